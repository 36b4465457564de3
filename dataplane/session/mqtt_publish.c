/* mqtt_publish.c - PUBLISH from the client.
 *
 * A message is begun when the header is here and grows by the chunks of its
 * payload as they come; when it is whole it is published. Without room for any
 * of that the session parks for a bounded time; then the message is dropped
 * (QoS 0), refused (5.0) or the connection closed (3.1.1).
 *
 * Spec: MQTT 5.0 3.3, 4.3, 4.7; 3.1.1 likewise. Not here: the answers (mqtt_inbound.c). */
#include "dataplane/session/mqtt_messages.h"

enum {
	HEARD_STEP_BYTES = 1024,
	NOBODY_LISTENS = 0x10,
	TOPIC_INVALID = 0x90,
	QUOTA_EXCEEDED = 0x97,
};

/* 4.7.2: the server's own topics; 4.8.2: a shared filter is no topic. */
bool mqtt_topic_reserved(struct span topic)
{
	return mqtt_starts_with(topic, "$SYS/") || mqtt_starts_with(topic, "$share/");
}

/* A single pair is taken as it lies; several are joined in the scratch, which is larger than the
 * packet that they came in. */
static struct span users_of(const struct mqtt_session *s, const struct mqtt_props *p)
{
	struct writer w = mqtt_scratch(s);

	if (!p->user_split)
		return p->user;
	mqtt_join_user(&w, p);
	ASSERT(!w.bad);
	return writer_span(&w);
}

/* In the fabric 0 means that a message does not expire. A publisher who says 0 wants delivery now
 * or never: the shortest time there is comes closest. */
static uint32_t expiry_s(const struct mqtt_props *p)
{
	const bool now_or_never = mqtt_props_has(p, MQTT_PROPERTY_MESSAGE_EXPIRY);

	return p->message_expiry_s == 0 ? now_or_never : p->message_expiry_s;
}

struct message_props mqtt_message_props(const struct mqtt_session *s, const struct mqtt_props *p)
{
	if (!mqtt_is_v5(s))
		return (struct message_props){0};
	return (struct message_props){
		.content_type = p->content_type,
		.reply_to = p->response_topic,
		.correlation = p->correlation,
		.user = users_of(s, p),
		.expiry_s = expiry_s(p),
		.payload_is_utf8 = p->payload_format,
	};
}

static enum err judge_publish(struct mqtt_session *s, struct mqtt_publish *p)
{
	if (mqtt_props_has(&p->props, MQTT_PROPERTY_SUBSCRIPTION_ID))
		return ERR_MQTT_PROTOCOL; /* 3.3.4-6: only a server says which filters matched */
	if (p->retain && s->conf->retains_nothing && mqtt_is_v5(s))
		return ERR_MQTT_RETAIN_UNSUPPORTED; /* 3.2.2-14 */
	return mqtt_alias_resolve(s, p);
}

/* True while the publisher may wait; then it is counted why. */
static bool wait_for_room(struct mqtt_session *s, struct mqtt_cause *c, enum err why)
{
	if (s->parked_since_us == 0)
		counter_add(s->conf->counters, COUNTER_PUBLISH_PARKED, 1);
	if (mqtt_park(s, c))
		return true;
	mqtt_unpark(s, c->now_us);
	counter_err(s->conf->counters, why);
	return false;
}

static enum mqtt_event violate(struct mqtt_cause *c, enum err why)
{
	c->err = why;
	return MQTT_ON_VIOLATION;
}

enum published mqtt_publish_message(
	struct mqtt_session *s, struct message **m, const struct publish_order *o, bool *matched)
{
	struct counters *counters = s->conf->counters;
	const uint32_t size = (*m)->payload_size;

	ASSERT(message_whole(*m));
	*matched = false;
	const enum published done = s->ops->verbs.publish(s->owner, m, o, matched);
	if (done == PUBLISHED_NO_ROOM || done == PUBLISHED_REFUSED)
		return done;
	*m = NULL;
	counter_add(counters, COUNTER_PUBLISHES, 1);
	counter_add(counters, COUNTER_PUBLISH_BYTES, size);
	if (done == PUBLISHED_DONE && !*matched)
		counter_add(counters, COUNTER_MESSAGES_UNMATCHED, 1);
	return done;
}

/* The answer to the publish that is over may go when it is its turn. */
static enum mqtt_event answer(struct mqtt_session *s, struct mqtt_cause *c, uint32_t node)
{
	if (node == POOL_NONE)
		return MQTT_ON_NOTHING;
	mqtt_inbound_answer(s, node);
	return mqtt_flush(s, c);
}

/* Of a message that is not published: its payload has been skipped. */
static enum mqtt_event answer_skipped(struct mqtt_session *s, struct mqtt_cause *c)
{
	const uint32_t node = s->incoming_node;

	s->incoming_node = POOL_NONE;
	s->incoming_dropped = false;
	return answer(s, c, node);
}

static enum mqtt_event refuse_incoming(struct mqtt_session *s, struct mqtt_cause *c)
{
	if (s->incoming_node != POOL_NONE && !mqtt_is_v5(s))
		return violate(c, ERR_MQTT_QUOTA);
	message_put(&s->incoming);
	if (s->incoming_node != POOL_NONE)
		mqtt_inbound_code(s, s->incoming_node, QUOTA_EXCEEDED);
	return answer_skipped(s, c);
}

static struct publish_order order_of(const struct mqtt_session *s, uint32_t node)
{
	if (node == POOL_NONE)
		return (struct publish_order){.qos = 0};
	return (struct publish_order){mqtt_inbound_qos(s, node), mqtt_inbound_id(s, node)};
}

static enum mqtt_event publish_incoming(struct mqtt_session *s, struct mqtt_cause *c)
{
	const uint32_t node = s->incoming_node;
	const struct publish_order order = order_of(s, node);
	struct message *m = s->incoming;
	bool matched;

	s->incoming = NULL; /* the session may be called to deliver while it publishes */
	s->incoming_node = POOL_NONE;
	const enum published done = mqtt_publish_message(s, &m, &order, &matched);
	if (done == PUBLISHED_NO_ROOM) {
		s->incoming = m;
		s->incoming_node = node;
		return wait_for_room(s, c, ERR_MQTT_QUOTA) ? MQTT_ON_NOTHING
							   : refuse_incoming(s, c);
	}
	mqtt_unpark(s, c->now_us);
	if (done == PUBLISHED_REFUSED) {
		s->incoming = m;
		s->incoming_node = node;
		counter_err(s->conf->counters, ERR_RETAINED_FULL);
		return refuse_incoming(s, c);
	}
	if (done == PUBLISHED_LATER)
		return MQTT_ON_NOTHING; /* on_published answers */
	if (node != POOL_NONE && !matched)
		mqtt_inbound_code(s, node, NOBODY_LISTENS);
	return answer(s, c, node);
}

bool mqtt_publish_waits(const struct mqtt_session *s)
{
	return s->incoming != NULL && s->payload_left == 0;
}

enum mqtt_event mqtt_retry_publish(struct mqtt_session *s, struct mqtt_cause *c)
{
	return publish_incoming(s, c);
}

/* All of it is here, and is taken whatever comes of it. */
static enum mqtt_event complete(struct mqtt_session *s, struct mqtt_cause *c)
{
	const enum mqtt_event next =
		s->incoming != NULL ? publish_incoming(s, c) : answer_skipped(s, c);

	c->parked = false;
	return next;
}

/* The rest of the packet is payload: of m, or to be skipped. */
static enum mqtt_event expect(
	struct mqtt_session *s, struct mqtt_cause *c, struct message *m, uint32_t node)
{
	s->incoming = m;
	s->incoming_node = node;
	s->payload_left = c->frame->payload_size;
	s->incoming_dropped = m == NULL && s->payload_left > 0;
	return s->payload_left == 0 ? complete(s, c) : MQTT_ON_NOTHING;
}

/* There was no room for too long. */
static enum mqtt_event refuse(
	struct mqtt_session *s, struct mqtt_cause *c, const struct mqtt_publish *p)
{
	if (p->qos == 0)
		return expect(s, c, NULL, POOL_NONE);
	if (!mqtt_is_v5(s))
		return violate(c, ERR_MQTT_QUOTA);
	const uint32_t node = mqtt_inbound_owe(s, p, MQTT_ADMIT_NEW);
	if (node == POOL_NONE)
		return violate(c, ERR_MQTT_QUOTA); /* not even for the answer */
	mqtt_inbound_code(s, node, QUOTA_EXCEEDED);
	return expect(s, c, NULL, node);
}

/* Of what is not published, why. */
static void note_skipped(struct mqtt_session *s, uint32_t node, enum mqtt_admission a)
{
	if (a == MQTT_ADMIT_AGAIN) {
		counter_add(s->conf->counters, COUNTER_PUBLISH_DUPLICATES, 1);
	} else if (a == MQTT_ADMIT_REFUSED) {
		counter_err(s->conf->counters, ERR_MQTT_PACKET_ID_IN_USE);
	} else {
		counter_err(s->conf->counters, ERR_MQTT_TOPIC_RESERVED);
		if (node != POOL_NONE)
			mqtt_inbound_code(s, node, TOPIC_INVALID);
	}
}

static struct message *begin(struct mqtt_session *s, const struct mqtt_cause *c,
	const struct mqtt_publish *p, const struct message_props *props)
{
	struct message *m =
		s->ops->verbs.message_begin(s->owner, p->topic, props, c->frame->payload_size);

	if (m == NULL)
		return NULL;
	m->qos = p->qos;
	m->retain = p->retain && !s->conf->retains_nothing; /* 3.1.1 cannot be told */
	m->born_us = c->now_us;
	return m;
}

static enum mqtt_event take(struct mqtt_session *s, struct mqtt_cause *c,
	const struct mqtt_publish *p, enum mqtt_admission a)
{
	const bool wanted = a == MQTT_ADMIT_NEW && !mqtt_topic_reserved(p->topic);
	const struct message_props props = mqtt_message_props(s, &p->props);
	struct message *m = wanted ? begin(s, c, p, &props) : NULL;
	bool room = m != NULL || !wanted;
	uint32_t node = POOL_NONE;

	if (room && p->qos > 0) {
		node = mqtt_inbound_owe(s, p, a);
		room = node != POOL_NONE;
	}
	if (!room) {
		if (m != NULL)
			message_put(&m);
		return wait_for_room(s, c, ERR_NO_MESSAGES) ? MQTT_ON_NOTHING : refuse(s, c, p);
	}
	mqtt_unpark(s, c->now_us);
	if (!wanted)
		note_skipped(s, node, a);
	return expect(s, c, m, node);
}

enum mqtt_event mqtt_take_publish(struct mqtt_session *s, struct mqtt_cause *c)
{
	enum mqtt_admission a = MQTT_ADMIT_NEW;
	struct mqtt_publish p;

	c->err = mqtt_decode_publish(c->frame, mqtt_wire(s), &p);
	if (c->err == ERR_NONE)
		c->err = judge_publish(s, &p);
	if (c->err == ERR_NONE && p.qos > 0)
		a = mqtt_inbound_admit(s, &p, &c->err);
	if (a == MQTT_ADMIT_NEVER || (c->err != ERR_NONE && a != MQTT_ADMIT_REFUSED))
		return MQTT_ON_VIOLATION;
	if (a == MQTT_ADMIT_LATER) {
		s->window_full = true;
		c->parked = true;
		return MQTT_ON_NOTHING;
	}
	s->window_full = false;
	return take(s, c, &p, a);
}

/* A large payload may take longer than the keepalive: each KiB of it is a sign of life. */
static bool sign_of_life(uint32_t before, uint32_t after)
{
	return after == 0 || before / HEARD_STEP_BYTES != after / HEARD_STEP_BYTES;
}

/* The rest of the payload is skipped, and the publish refused. */
static enum mqtt_event cut_short(struct mqtt_session *s, struct mqtt_cause *c)
{
	if (s->incoming_node != POOL_NONE && !mqtt_is_v5(s))
		return violate(c, ERR_MQTT_QUOTA);
	message_put(&s->incoming);
	s->incoming_dropped = true;
	if (s->incoming_node != POOL_NONE)
		mqtt_inbound_code(s, s->incoming_node, QUOTA_EXCEEDED);
	return MQTT_ON_NOTHING;
}

enum mqtt_event mqtt_take_payload(struct mqtt_session *s, struct mqtt_cause *c)
{
	const uint32_t before = s->payload_left;

	ASSERT(c->in.size > 0 && c->in.size <= before);
	if (s->incoming != NULL && !message_append(s->incoming, c->in)) {
		if (wait_for_room(s, c, ERR_NO_MESSAGES))
			return MQTT_ON_NOTHING;
		if (cut_short(s, c) == MQTT_ON_VIOLATION)
			return MQTT_ON_VIOLATION;
	}
	mqtt_unpark(s, c->now_us);
	c->used = c->in.size;
	s->payload_left -= (uint32_t)c->in.size;
	if (sign_of_life(before, s->payload_left))
		s->heard_us = c->now_us;
	return s->payload_left == 0 ? complete(s, c) : MQTT_ON_NOTHING;
}
