/* mqtt_publish.c - PUBLISH in and out of an MQTT session, and acknowledgements that nobody awaits.
 *
 * In: a message is begun when the header is here and grows by the chunks of
 * its payload as they come; without room the session parks for a bounded time,
 * then skips the payload. Out: one header per delivery, the payload lent.
 *
 * Spec: MQTT 5.0 3.3 to 3.7, 4.7; 3.1.1 likewise. */
#include "dataplane/session/mqtt_internal.h"

enum { HEARD_STEP_BYTES = 1024 };

static_assert((int)FABRIC_IDENTIFIERS_MAX == (int)MQTT_SUB_IDS_MAX, "a delivery's fit a packet");

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

static enum err judge_publish(const struct mqtt_session *s, const struct mqtt_publish *p)
{
	if (p->qos > 0)
		return ERR_MQTT_QOS_UNSUPPORTED; /* 3.2.2-11 */
	if (p->retain && mqtt_is_v5(s))
		return ERR_MQTT_RETAIN_UNSUPPORTED; /* 3.2.2-14 */
	if (mqtt_props_has(&p->props, MQTT_PROPERTY_TOPIC_ALIAS))
		return ERR_MQTT_TOPIC_ALIAS; /* 3.3.2-9: we offered none */
	if (mqtt_props_has(&p->props, MQTT_PROPERTY_SUBSCRIPTION_ID))
		return ERR_MQTT_PROTOCOL; /* 3.3.4-6: only a server says which filters matched */
	return ERR_NONE;
}

/* The payload that is still to come belongs to no message. */
static void skip(struct mqtt_session *s, uint32_t payload_size)
{
	s->payload_left = payload_size;
	s->incoming_dropped = payload_size > 0;
}

/* True while the publisher may wait for memory; then its message is dropped and counted. */
static bool wait_for_room(struct mqtt_session *s, struct mqtt_cause *c)
{
	if (s->parked_since_us == 0)
		counter_add(s->conf->counters, COUNTER_PUBLISH_PARKED, 1);
	if (mqtt_park(s, c))
		return true;
	mqtt_unpark(s, c->now_us);
	counter_err(s->conf->counters, ERR_NO_MESSAGES);
	return false;
}

void mqtt_publish_message(struct mqtt_session *s, struct message **m)
{
	struct counters *counters = s->conf->counters;
	struct message *whole = *m;
	bool matched = false;

	ASSERT(message_whole(whole));
	*m = NULL; /* the session may be called to deliver while it publishes */
	counter_add(counters, COUNTER_PUBLISHES, 1);
	counter_add(counters, COUNTER_PUBLISH_BYTES, whole->payload_size);
	const struct publish_order order = {.qos = 0};
	if (s->ops->verbs.publish(s->owner, &whole, &order, &matched) == PUBLISHED_DONE && !matched)
		counter_add(counters, COUNTER_MESSAGES_UNMATCHED, 1);
}

enum mqtt_event mqtt_take_publish(struct mqtt_session *s, struct mqtt_cause *c)
{
	const uint32_t payload_size = c->frame->payload_size;
	struct mqtt_publish p;

	c->err = mqtt_decode_publish(c->frame, mqtt_wire(s), &p);
	if (c->err == ERR_NONE)
		c->err = judge_publish(s, &p);
	if (c->err != ERR_NONE)
		return MQTT_ON_VIOLATION;
	if (mqtt_topic_reserved(p.topic)) {
		counter_err(s->conf->counters, ERR_MQTT_TOPIC_RESERVED);
		skip(s, payload_size);
		return MQTT_ON_NOTHING;
	}
	const struct message_props props = mqtt_message_props(s, &p.props);
	struct message *m = s->ops->verbs.message_begin(s->owner, p.topic, &props, payload_size);
	if (m == NULL) {
		if (!wait_for_room(s, c))
			skip(s, payload_size);
		return MQTT_ON_NOTHING;
	}
	mqtt_unpark(s, c->now_us);
	m->retain = p.retain;
	m->born_us = c->now_us;
	if (payload_size == 0) {
		mqtt_publish_message(s, &m);
		return MQTT_ON_NOTHING;
	}
	s->incoming = m;
	s->payload_left = payload_size;
	return MQTT_ON_NOTHING;
}

/* A large payload may take longer than the keepalive: each KiB of it is a sign of life. */
static bool sign_of_life(uint32_t before, uint32_t after)
{
	return after == 0 || before / HEARD_STEP_BYTES != after / HEARD_STEP_BYTES;
}

enum mqtt_event mqtt_take_payload(struct mqtt_session *s, struct mqtt_cause *c)
{
	const uint32_t before = s->payload_left;

	ASSERT(c->in.size > 0 && c->in.size <= before);
	if (s->incoming != NULL && !message_append(s->incoming, c->in)) {
		if (wait_for_room(s, c))
			return MQTT_ON_NOTHING;
		message_put(&s->incoming);
		s->incoming_dropped = true;
	}
	mqtt_unpark(s, c->now_us);
	c->used = c->in.size;
	s->payload_left -= (uint32_t)c->in.size;
	if (sign_of_life(before, s->payload_left))
		s->heard_us = c->now_us;
	if (s->payload_left > 0)
		return MQTT_ON_NOTHING;
	s->incoming_dropped = false;
	if (s->incoming != NULL)
		mqtt_publish_message(s, &s->incoming);
	return MQTT_ON_NOTHING;
}

/* With QoS 0 in both directions no identifier is in use: what starts or goes on with a handshake
 * is told so (3.5.2.1, 3.6.2.1), what would end one is counted. */
enum mqtt_event mqtt_take_ack(struct mqtt_session *s, struct mqtt_cause *c)
{
	const enum mqtt_type type = c->frame->type;
	struct writer w = mqtt_scratch(s);
	struct mqtt_ack p;

	c->err = mqtt_decode_ack(c->frame, mqtt_wire(s), &p);
	if (c->err != ERR_NONE)
		return MQTT_ON_VIOLATION;
	if (s->parked_since_us == 0)
		counter_err(s->conf->counters, ERR_MQTT_UNKNOWN_ID);
	if (type == MQTT_PUBACK || type == MQTT_PUBCOMP)
		return MQTT_ON_NOTHING;
	const struct mqtt_ack answer = {.packet_id = p.packet_id, .reason = 0x92};
	mqtt_encode_ack(
		&w, type == MQTT_PUBREL ? MQTT_PUBCOMP : MQTT_PUBREL, mqtt_wire(s), &answer);
	return mqtt_reply(s, c, &w);
}

/* False: its time is over (3.3.2-5). */
static bool still_valid(const struct message *m, uint64_t now_us, uint32_t *left_s)
{
	const uint64_t waited_s = now_us <= m->born_us ? 0 : (now_us - m->born_us) / 1000000;

	*left_s = waited_s < m->props.expiry_s ? m->props.expiry_s - (uint32_t)waited_s : 0;
	return m->props.expiry_s == 0 || *left_s > 0;
}

static void fill_span(
	struct mqtt_props *p, enum mqtt_property id, struct span *to, struct span from)
{
	if (from.size == 0)
		return;
	mqtt_set(p, id);
	*to = from;
}

/* 3.3.2.3: everything that the publisher said, unaltered, and the filters' identifiers. */
static void fill_props(struct mqtt_props *p, const struct message *m, const struct delivery *d,
	uint32_t expiry_left_s)
{
	if (m->props.payload_is_utf8 != 0)
		mqtt_set(p, MQTT_PROPERTY_PAYLOAD_FORMAT);
	p->payload_format = m->props.payload_is_utf8;
	if (m->props.expiry_s != 0)
		mqtt_set(p, MQTT_PROPERTY_MESSAGE_EXPIRY);
	p->message_expiry_s = expiry_left_s; /* 3.3.2-6 */
	fill_span(p, MQTT_PROPERTY_CONTENT_TYPE, &p->content_type, m->props.content_type);
	fill_span(p, MQTT_PROPERTY_RESPONSE_TOPIC, &p->response_topic, m->props.reply_to);
	fill_span(p, MQTT_PROPERTY_CORRELATION, &p->correlation, m->props.correlation);
	fill_span(p, MQTT_PROPERTY_USER, &p->user, m->props.user);
	if (d->identifier_count != 0)
		mqtt_set(p, MQTT_PROPERTY_SUBSCRIPTION_ID);
	p->subscription_id_count = d->identifier_count;
	memcpy(p->subscription_ids, d->identifiers, sizeof(d->identifiers));
}

static enum err forward(struct mqtt_session *s, struct mqtt_cause *c)
{
	struct message *m = c->message;
	struct writer w = mqtt_scratch(s);
	struct mqtt_publish p = {.topic = m->topic, .retain = c->delivery->retain};
	uint32_t left_s;

	if (!still_valid(m, c->now_us, &left_s))
		return ERR_MESSAGE_EXPIRED;
	if (mqtt_is_v5(s))
		fill_props(&p.props, m, c->delivery, left_s);
	mqtt_encode_publish(&w, mqtt_wire(s), &p, m->payload_size);
	if (w.bad)
		return ERR_FRAME_TOO_BIG;
	const uint64_t size = (uint64_t)writer_used(&w) + m->payload_size;
	if (s->peer_packet_max != 0 && size > s->peer_packet_max)
		return ERR_MQTT_PEER_PACKET_MAX; /* 3.1.2-24, 3.1.2-25 */
	if (!s->ops->send_message(s->owner, writer_span(&w), m))
		return ERR_SEND_QUEUE_FULL;
	return ERR_NONE;
}

enum mqtt_event mqtt_forward(struct mqtt_session *s, struct mqtt_cause *c)
{
	struct counters *counters = s->conf->counters;
	const enum err e = forward(s, c);

	if (e != ERR_NONE) {
		counter_err(counters, e);
		return MQTT_ON_NOTHING;
	}
	counter_add(counters, COUNTER_DELIVERIES, 1);
	counter_add(counters, COUNTER_DELIVERY_BYTES, c->message->payload_size);
	return MQTT_ON_NOTHING;
}
