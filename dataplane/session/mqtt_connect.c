/* mqtt_connect.c - how an MQTT conversation begins and ends: CONNECT, its answer, the will,
 * DISCONNECT.
 *
 * Spec: MQTT 5.0 3.1, 3.2, 3.14; 3.1.1 likewise; MQTT 3.1 ("MQIsdp") where it differs. Not here:
 * who may connect (the control plane), reason codes (mqtt_answer.c). */
#include "dataplane/session/mqtt_messages.h"

/* Protocol level of a CONNECT that was not understood, to answer in words that its sender knows;
 * 0 when the protocol name is not ours or not here. */
static uint8_t level_of(struct span body)
{
	struct reader r = reader_of(body);
	const struct span name = read_bytes(&r, read_u16(&r));
	const uint8_t level = read_u8(&r);

	if (r.bad)
		return 0;
	if (!span_equal(name, span_str("MQTT")) && !span_equal(name, span_str("MQIsdp")))
		return 0;
	return level == 0 ? 1 : level;
}

/* The bytes behind a fixed header, whatever length it claims. */
static struct span body_of(struct span in)
{
	size_t head = 1;

	if (in.size == 0 || in.at[0] >> 4 != MQTT_CONNECT)
		return (struct span){0};
	while (head < in.size && head < MQTT_FIXED_HEADER_MAX && (in.at[head] & 0x80) != 0)
		head++;
	return head < in.size ? span_skip(in, head + 1) : (struct span){0};
}

/* Newer clients are answered as 5.0 (3.1.2.2), older ones as 3.1.1. Bridges of mosquitto set the
 * top bit of the level that they mean, and read the answer in the form of that level. */
static uint8_t version_of_level(uint8_t level)
{
	if (level == 0)
		return 0;
	return (level & 0x7f) < MQTT_V5 ? MQTT_V4 : MQTT_V5;
}

enum mqtt_event mqtt_misread_connect(struct mqtt_session *s, struct mqtt_cause *c)
{
	s->version = version_of_level(level_of(body_of(c->in)));
	return MQTT_ON_REFUSAL;
}

static enum err judge_will(const struct mqtt_session *s, const struct mqtt_connect *p)
{
	if (p->will_retain && p->version == MQTT_V5 && s->conf->retains_nothing)
		return ERR_MQTT_RETAIN_UNSUPPORTED; /* 3.2.2-13 */
	if (mqtt_topic_reserved(p->will_topic))
		return ERR_MQTT_TOPIC_RESERVED; /* better now than silently at the end */
	return ERR_NONE;
}

/* What the codec cannot know: rules between fields, and what we do not offer. */
static enum err judge_connect(const struct mqtt_session *s, const struct mqtt_connect *p)
{
	if (mqtt_props_has(&p->props, MQTT_PROPERTY_AUTH_METHOD))
		return ERR_MQTT_AUTH_METHOD; /* 4.12.0-1 */
	if (p->client_id.size == 0 && p->version == MQTT_V3)
		return ERR_MQTT_CLIENT_ID; /* MQTT 3.1: at least one character */
	if (p->client_id.size == 0 && p->version == MQTT_V4 && !p->clean_start)
		return ERR_MQTT_CLIENT_ID; /* 3.1.1: 3.1.3-8 */
	return p->has_will ? judge_will(s, p) : ERR_NONE;
}

/* 3.1.2.10: the longest silence; a limit of ours holds for those who ask for more or for none. */
static uint16_t keepalive_granted(const struct mqtt_session_conf *conf, uint16_t asked_s)
{
	const uint16_t max_s = conf->keepalive_max_s;

	return max_s != 0 && (asked_s == 0 || asked_s > max_s) ? max_s : asked_s;
}

/* A 3.1.1 session without "clean" is a session of 5.0 that never expires. */
static uint32_t session_expiry_s(const struct mqtt_connect *p)
{
	if (p->version == MQTT_V5)
		return p->props.session_expiry_s;
	return p->clean_start ? 0 : UINT32_MAX;
}

static uint32_t expiry_granted(const struct mqtt_session_conf *conf, uint32_t asked_s)
{
	return asked_s < conf->session_expiry_max_s ? asked_s : conf->session_expiry_max_s;
}

static void note_connect(struct mqtt_session *s, const struct mqtt_connect *p)
{
	const bool v5 = p->version == MQTT_V5;

	s->version = (uint8_t)p->version;
	s->clean_start = p->clean_start;
	s->id_left_to_us = p->client_id.size == 0;
	s->keepalive_asked_s = p->keepalive_s;
	s->keepalive_s = keepalive_granted(s->conf, p->keepalive_s);
	s->expiry_asked_s = session_expiry_s(p);
	s->expiry_s = expiry_granted(s->conf, s->expiry_asked_s);
	s->out.receive_max = v5 ? p->props.receive_max : UINT16_MAX;
	s->request_problem = v5 && (!mqtt_props_has(&p->props, MQTT_PROPERTY_REQUEST_PROBLEM) ||
					   p->props.request_problem != 0);
	s->peer_packet_max = v5 && mqtt_props_has(&p->props, MQTT_PROPERTY_PACKET_SIZE_MAX)
				     ? p->props.packet_size_max
				     : 0;
}

/* The will is built now, so that no lack of memory can silence it later. */
static enum err keep_will(struct mqtt_session *s, const struct mqtt_connect *p)
{
	if (!p->has_will)
		return ERR_NONE;
	const struct message_props props = mqtt_message_props(s, &p->will_props);
	s->will = s->ops->verbs.message_begin(
		s->owner, p->will_topic, &props, (uint32_t)p->will_payload.size);
	if (s->will == NULL)
		return ERR_MQTT_SERVER_BUSY;
	s->will->qos = p->will_qos;
	s->will->retain = p->will_retain && !s->conf->retains_nothing;
	if (p->will_payload.size != 0 && !message_append(s->will, p->will_payload))
		return ERR_MQTT_SERVER_BUSY;
	return ERR_NONE;
}

static bool request(struct mqtt_session *s, const struct mqtt_connect *p)
{
	const struct session_request r = {
		.client_id = p->client_id,
		.username = p->username,
		.password = p->password,
		.has_username = p->has_username,
		.has_password = p->has_password,
		.clean_start = p->clean_start,
		.session_expiry_s = s->expiry_s,
		.keepalive_s = s->keepalive_s,
		.receive_max = s->out.receive_max,
		.will = s->will,
		.will_delay_s = s->will != NULL && mqtt_is_v5(s) ? p->will_props.will_delay_s : 0,
		.protocol = SESSION_MQTT,
		.version = (uint8_t)p->version,
	};

	return s->ops->request(s->owner, &r);
}

enum mqtt_event mqtt_ask(struct mqtt_session *s, struct mqtt_cause *c)
{
	struct mqtt_connect p;

	c->err = mqtt_decode_connect(c->frame, &p);
	if (c->err != ERR_NONE) {
		s->version = version_of_level(level_of(c->frame->body));
		return MQTT_ON_REFUSAL;
	}
	note_connect(s, &p);
	c->err = judge_connect(s, &p);
	if (c->err == ERR_NONE)
		c->err = keep_will(s, &p);
	if (c->err == ERR_NONE && !request(s, &p))
		c->err = ERR_MQTT_SERVER_BUSY;
	return c->err == ERR_NONE ? MQTT_ON_NOTHING : MQTT_ON_REFUSAL;
}

enum mqtt_event mqtt_refuse(struct mqtt_session *s, struct mqtt_cause *c)
{
	mqtt_drop_will(s); /* 3.1.2-8: only an accepted CONNECT leaves one */
	mqtt_send_refusal(s, c->err);
	return mqtt_finish(s, c->err);
}

/* 3.2.2.3.3, 3.2.2.3.8: windows and aliases, where they are not the default. */
static void fill_limits(struct mqtt_session *s, struct mqtt_props *p)
{
	if (s->conf->receive_max != UINT16_MAX) {
		mqtt_set(p, MQTT_PROPERTY_RECEIVE_MAX);
		p->receive_max = s->conf->receive_max;
	}
	s->aliases_offered = mqtt_alias_offer(s);
	if (s->aliases_offered) {
		mqtt_set(p, MQTT_PROPERTY_TOPIC_ALIAS_MAX);
		p->topic_alias_max = s->conf->topic_alias_max;
	}
	mqtt_set(p, MQTT_PROPERTY_PACKET_SIZE_MAX);
	p->packet_size_max = s->conf->limits.packet_size_max;
}

/* 3.2.2.3: what we do not offer, and where we decide otherwise than was asked. Absent because they
 * are all served: QoS 2, wildcards, subscription identifiers. */
static void fill_offer(struct mqtt_session *s, const struct session_grant *g, struct mqtt_props *p)
{
	const uint32_t expiry_s = g->durable ? s->expiry_s : 0;

	fill_limits(s, p);
	if (s->conf->retains_nothing)
		mqtt_set(p, MQTT_PROPERTY_RETAIN_AVAILABLE); /* 3.2.2.3.5, 0: no */
	mqtt_set(p, MQTT_PROPERTY_SHARED_AVAILABLE);         /* 0: no */
	if (expiry_s != s->expiry_asked_s) {
		mqtt_set(p, MQTT_PROPERTY_SESSION_EXPIRY);
		p->session_expiry_s = expiry_s;
	}
	if (s->id_left_to_us) {
		mqtt_set(p, MQTT_PROPERTY_ASSIGNED_CLIENT_ID); /* 3.2.2-16 */
		p->assigned_client_id = g->assigned_client_id;
	}
	if (s->keepalive_s != s->keepalive_asked_s) {
		mqtt_set(p, MQTT_PROPERTY_SERVER_KEEPALIVE); /* 3.2.2-21 */
		p->server_keepalive_s = s->keepalive_s;
	}
}

/* Who keeps a session keeps its will: it may have to be published when we are gone. */
static void note_grant(struct mqtt_session *s, const struct session_grant *g)
{
	s->epoch = g->epoch;
	s->durable = s->out.durable = g->durable;
	s->kept = g->kept;
	if (s->kept)
		mqtt_drop_will(s);
}

/* The control plane was restarted and has granted the session again. */
enum mqtt_event mqtt_renew(struct mqtt_session *s, struct mqtt_cause *c)
{
	note_grant(s, c->grant);
	return MQTT_ON_NOTHING;
}

enum mqtt_event mqtt_welcome(struct mqtt_session *s, struct mqtt_cause *c)
{
	struct mqtt_connack p = {0};
	struct writer w = mqtt_scratch(s);

	/* 3.2.2-2, 3.2.2-3; in 3.1 that byte was reserved. */
	p.session_present = c->grant->session_present && !s->clean_start && s->version != MQTT_V3;
	if (mqtt_is_v5(s))
		fill_offer(s, c->grant, &p.props);
	mqtt_encode_connack(&w, mqtt_wire(s), &p);
	note_grant(s, c->grant);
	s->heard_us = c->now_us;
	counter_add(s->conf->counters, COUNTER_CONNECTS, 1);
	counter_add(s->conf->counters, COUNTER_SESSIONS, 1);
	c->err = mqtt_send(s, &w);
	return c->err == ERR_NONE ? MQTT_ON_NOTHING : MQTT_ON_STUCK;
}

/* 3.14.2.1: the reason codes that a client may give. */
static bool reason_allowed(uint8_t reason)
{
	static const uint8_t allowed[] = {
		0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99};

	return memchr(allowed, reason, sizeof(allowed)) != NULL;
}

static enum err judge_disconnect(const struct mqtt_session *s, const struct mqtt_reason *p)
{
	if (!reason_allowed(p->reason))
		return ERR_MQTT_REASON_CODE;
	if (mqtt_props_has(&p->props, MQTT_PROPERTY_SERVER_REFERENCE))
		return ERR_MQTT_PROTOCOL; /* 3.14.2.2.5: only a server refers to servers */
	if (s->expiry_asked_s == 0 && mqtt_props_has(&p->props, MQTT_PROPERTY_SESSION_EXPIRY) &&
		p->props.session_expiry_s != 0)
		return ERR_MQTT_PROTOCOL; /* 3.14.2.2.2 */
	return ERR_NONE;
}

static bool changes_expiry(const struct mqtt_session *s, const struct mqtt_reason *p)
{
	return mqtt_is_v5(s) && mqtt_props_has(&p->props, MQTT_PROPERTY_SESSION_EXPIRY);
}

void mqtt_farewell(struct mqtt_session *s, const struct mqtt_goodbye *g)
{
	if (s->kept)
		s->ops->farewell(s->owner, g->will_void, g->expiry_changed,
			g->expiry_changed ? g->expiry_s : 0);
	s->kept = false;
}

enum mqtt_event mqtt_take_disconnect(struct mqtt_session *s, struct mqtt_cause *c)
{
	struct mqtt_reason p;

	c->err = mqtt_decode_reason(c->frame, mqtt_wire(s), &p);
	if (c->err == ERR_NONE && mqtt_is_v5(s))
		c->err = judge_disconnect(s, &p);
	if (c->err != ERR_NONE)
		return MQTT_ON_VIOLATION;
	if (p.reason == 0)
		mqtt_drop_will(s); /* 3.14.4-3 */
	mqtt_farewell(s, &(struct mqtt_goodbye){.will_void = p.reason == 0,
				 .expiry_changed = changes_expiry(s, &p),
				 .expiry_s = expiry_granted(s->conf, p.props.session_expiry_s)});
	c->err = ERR_MQTT_DISCONNECTED;
	return MQTT_ON_GOODBYE;
}

void mqtt_drop_will(struct mqtt_session *s)
{
	if (s->will != NULL)
		message_put(&s->will);
}

/* 3.1.2-8. Its time begins now (3.1.3.2.4). The session ends with its connection, and so does the
 * will's delay (3.1.3.2.2): what is kept longer has its will elsewhere. */
enum mqtt_event mqtt_publish_will(struct mqtt_session *s, struct mqtt_cause *c)
{
	const struct publish_order order = {.qos = 0}; /* nobody waits for an answer */
	bool matched;

	if (s->will == NULL)
		return MQTT_ON_NOTHING;
	struct message *m = s->will;
	s->will = NULL;
	m->born_us = c->now_us;
	const enum published done = mqtt_publish_message(s, &m, &order, &matched);
	if (done == PUBLISHED_NO_ROOM || done == PUBLISHED_REFUSED) {
		message_put(&m);
		counter_err(s->conf->counters, ERR_MQTT_QUOTA);
		return MQTT_ON_NOTHING;
	}
	counter_add(s->conf->counters, COUNTER_WILLS_PUBLISHED, 1);
	return MQTT_ON_NOTHING;
}
