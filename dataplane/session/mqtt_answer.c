/* mqtt_answer.c - which reason code answers which error, and packets towards the peer.
 *
 * Spec: MQTT 5.0 2.4, 3.2.2.2, 3.4.2.1, 3.5.2.1, 3.9.3, 3.11.3, 3.14.2.1, 4.13; 3.1.1 3.2.2.3,
 * 3.9.3. */
#include "dataplane/session/mqtt_internal.h"

/* 0 is not among the codes of errors: then 5.0 says UNSPECIFIED and 3.1.1 nothing. */
struct answer {
	uint8_t disconnect; /* 5.0 DISCONNECT */
	uint8_t connack;    /* 5.0 CONNACK */
	uint8_t connack_v4; /* 3.1.1 return code */
	uint8_t suback;     /* 5.0 SUBACK; 3.1.1 knows 0x80 only */
	uint8_t unsuback;   /* 5.0 UNSUBACK */
	uint8_t puback;     /* 5.0 PUBACK, PUBREC */
};

enum { UNSPECIFIED = 0x80 };

static const struct answer answers[ERR_COUNT] = {
	/* bytes that cannot be read: malformed packet */
	[ERR_TRUNCATED] = {.disconnect = 0x81, .connack = 0x81},
	[ERR_LENGTH_ENCODING] = {.disconnect = 0x81, .connack = 0x81},
	[ERR_TRAILING_BYTES] = {.disconnect = 0x81, .connack = 0x81},
	[ERR_BAD_UTF8] = {.disconnect = 0x81, .connack = 0x81},
	[ERR_MQTT_FLAGS] = {.disconnect = 0x81, .connack = 0x81},
	[ERR_MQTT_CONNECT_FLAGS] = {.disconnect = 0x81, .connack = 0x81},
	[ERR_MQTT_PROPERTY] = {.disconnect = 0x81, .connack = 0x81},
	[ERR_MQTT_QOS] = {.disconnect = 0x81, .connack = 0x81},
	[ERR_MQTT_SUBSCRIBE_OPTIONS] = {.disconnect = 0x81},
	[ERR_MQTT_PACKET_TYPE] = {.disconnect = 0x81},
	[ERR_FRAME_TOO_BIG] = {.disconnect = 0x95, .connack = 0x95},
	/* packets that should not be here: protocol error */
	[ERR_MQTT_FOREIGN] = {.disconnect = 0x82},
	[ERR_MQTT_SECOND_CONNECT] = {.disconnect = 0x82},
	[ERR_MQTT_PROPERTY_TWICE] = {.disconnect = 0x82, .connack = 0x82},
	[ERR_MQTT_PACKET_ID] = {.disconnect = 0x82},
	[ERR_MQTT_SUBSCRIBE_EMPTY] = {.disconnect = 0x82},
	[ERR_MQTT_REASON_CODE] = {.disconnect = 0x82},
	[ERR_MQTT_PROTOCOL] = {.disconnect = 0x82, .connack = 0x82},
	/* what we do not offer or accept */
	[ERR_MQTT_PROTOCOL_VERSION] = {.connack = 0x84, .connack_v4 = 1},
	[ERR_MQTT_CLIENT_ID] = {.disconnect = 0x87, .connack = 0x85, .connack_v4 = 2},
	[ERR_MQTT_CREDENTIALS] = {.disconnect = 0x87, .connack = 0x86, .connack_v4 = 4},
	[ERR_MQTT_NOT_AUTHORISED] = {.disconnect = 0x87,
		.connack = 0x87,
		.connack_v4 = 5,
		.suback = 0x87,
		.unsuback = 0x87,
		.puback = 0x87},
	[ERR_MQTT_AUTH_METHOD] = {.connack = 0x8C},
	[ERR_MQTT_TOPIC] = {.disconnect = 0x90, .connack = 0x90},
	[ERR_MQTT_TOPIC_RESERVED] = {.connack = 0x90, .connack_v4 = 5, .puback = 0x90},
	[ERR_MQTT_TOPIC_ALIAS] = {.disconnect = 0x94},
	[ERR_MQTT_PAYLOAD_FORMAT] = {.disconnect = 0x99, .connack = 0x99},
	[ERR_MQTT_RETAIN_UNSUPPORTED] = {.disconnect = 0x9A, .connack = 0x9A},
	[ERR_MQTT_QOS_UNSUPPORTED] = {.disconnect = 0x9B, .connack = 0x9B},
	/* what filters get */
	[ERR_NONE] = {.suback = 0x00, .unsuback = 0x00},
	[ERR_MQTT_FILTER] = {.disconnect = 0x8F, .suback = 0x8F, .unsuback = 0x8F},
	[ERR_FILTER_MALFORMED] = {.suback = 0x8F, .unsuback = 0x8F},
	[ERR_TOPIC_TOO_DEEP] = {.suback = 0x8F, .unsuback = 0x8F},
	[ERR_EXPRESSION_SIZE] = {.suback = 0x8F},
	[ERR_EXPRESSION_REFUSED] = {.suback = 0x8F},
	[ERR_PATTERN_TABLE_FULL] = {.suback = 0x97},
	[ERR_PATTERNS_OF_SESSION] = {.suback = 0x97},
	[ERR_MQTT_SHARED_UNSUPPORTED] = {.suback = 0x9E},
	[ERR_FILTER_TABLE_FULL] = {.suback = 0x97},
	[ERR_SHAPE_TABLE_FULL] = {.suback = 0x97},
	[ERR_SUBSCRIPTION_TABLE_FULL] = {.suback = 0x97},
	[ERR_MQTT_FILTERS_MAX] = {.suback = 0x97},
	[ERR_NOT_SUBSCRIBED] = {.unsuback = 0x11},
	[ERR_REPLICAS_FULL] = {.suback = 0x97},
	/* publishes */
	[ERR_MQTT_RECEIVE_MAX] = {.disconnect = 0x93},
	[ERR_MQTT_PACKET_ID_IN_USE] = {.disconnect = 0x82, .puback = 0x91},
	[ERR_MQTT_QUOTA] = {.disconnect = 0x97, .puback = 0x97},
	[ERR_QUEUE_FULL] = {.disconnect = 0x97, .puback = 0x97},
	[ERR_RETAINED_FULL] = {.puback = 0x97},
	[ERR_WORK_FULL] = {.suback = 0x97, .puback = 0x97},
	[ERR_PEER_FULL] = {.suback = 0x97, .puback = 0x97},
	[ERR_NO_MESSAGES] = {.puback = 0x97},
	[ERR_NO_BUFFERS] = {.puback = 0x97},
	[ERR_STORAGE_FULL] = {.suback = 0x97, .puback = 0x97},
	[ERR_STORAGE_IO] = {.suback = 0x83, .puback = 0x83},
	/* it is not the client's fault */
	[ERR_MQTT_PEER_PACKET_MAX] = {.disconnect = 0x95, .connack = 0x95},
	[ERR_MQTT_SERVER_BUSY] = {.disconnect = 0x89, .connack = 0x89, .connack_v4 = 3},
	[ERR_MQTT_KEEPALIVE] = {.disconnect = 0x8D},
	[ERR_MQTT_TAKEN_OVER] = {.disconnect = 0x8E, .connack = 0x88, .connack_v4 = 3},
	[ERR_SHUTDOWN] = {.disconnect = 0x8B, .connack = 0x88, .connack_v4 = 3},
};

bool mqtt_is_v5(const struct mqtt_session *s)
{
	return s->version == MQTT_V5;
}

/* Before CONNECT any version will do. */
enum mqtt_version mqtt_wire(const struct mqtt_session *s)
{
	return s->version == 0 ? MQTT_V4 : (enum mqtt_version)s->version;
}

void mqtt_set(struct mqtt_props *p, enum mqtt_property id)
{
	p->has |= (uint64_t)1 << id;
}

bool mqtt_starts_with(struct span s, const char *prefix)
{
	const size_t size = strlen(prefix);

	return s.size >= size && memcmp(s.at, prefix, size) == 0;
}

struct writer mqtt_scratch(const struct mqtt_session *s)
{
	return writer_of(s->conf->scratch, s->conf->scratch_size);
}

uint8_t mqtt_filter_code(const struct mqtt_session *s, enum mqtt_type packet, enum err e)
{
	ASSERT(e < ERR_COUNT);
	const uint8_t code = packet == MQTT_SUBSCRIBE ? answers[e].suback : answers[e].unsuback;

	if (e == ERR_NONE)
		return 0; /* unsubscribed; what a SUBSCRIBE is granted, its filter says */
	return mqtt_is_v5(s) && code != 0 ? code : UNSPECIFIED;
}

uint8_t mqtt_publish_code(enum err e)
{
	ASSERT(e < ERR_COUNT);
	if (e == ERR_NONE)
		return 0;
	return answers[e].puback != 0 ? answers[e].puback : UNSPECIFIED;
}

/* 3.1.2-24: nothing larger than the client said it takes. */
static bool too_large(const struct mqtt_session *s, size_t size)
{
	return s->peer_packet_max != 0 && size > s->peer_packet_max;
}

enum err mqtt_send(struct mqtt_session *s, const struct writer *w)
{
	ASSERT(!w->bad);
	if (too_large(s, writer_used(w)))
		return ERR_MQTT_PEER_PACKET_MAX;
	return s->ops->send(s->owner, writer_span(w)) ? ERR_NONE : ERR_SEND_QUEUE_FULL;
}

enum mqtt_event mqtt_reply(struct mqtt_session *s, struct mqtt_cause *c, const struct writer *w)
{
	c->err = mqtt_send(s, w);
	if (c->err == ERR_MQTT_PEER_PACKET_MAX)
		return MQTT_ON_VIOLATION; /* the client waits for an answer that it cannot get */
	if (c->err == ERR_SEND_QUEUE_FULL)
		return mqtt_park(s, c) ? MQTT_ON_NOTHING : MQTT_ON_STUCK;
	c->parked = false;
	mqtt_unpark(s, c->now_us);
	return MQTT_ON_NOTHING;
}

/* The reason in words, for clients that want it (3.1.2.11.7). */
static void explain(struct mqtt_props *p, enum err why)
{
	mqtt_set(p, MQTT_PROPERTY_REASON_STRING);
	p->reason_string = span_str(err_text(why));
}

/* 3.2.2-19, 3.14.2-3: without the words when they make the packet too large; if it still is,
 * not at all. What finds no room in the queue is not sent either: the connection ends anyway. */
static void send_last(struct mqtt_session *s, enum mqtt_type type, uint8_t code, enum err why)
{
	struct mqtt_connack connack = {.reason = code};
	struct mqtt_reason disconnect = {.reason = code};

	for (int words = s->request_problem; words >= 0; words--) {
		struct writer w = mqtt_scratch(s);
		struct mqtt_props props = {0};
		if (words)
			explain(&props, why);
		connack.props = props;
		disconnect.props = props;
		if (type == MQTT_CONNACK)
			mqtt_encode_connack(&w, mqtt_wire(s), &connack);
		else
			mqtt_encode_reason(&w, type, mqtt_wire(s), &disconnect);
		if (mqtt_send(s, &w) == ERR_NONE)
			return;
	}
}

void mqtt_send_refusal(struct mqtt_session *s, enum err why)
{
	ASSERT(why != ERR_NONE && why < ERR_COUNT);
	const bool v5 = mqtt_is_v5(s);
	const uint8_t code = v5 ? answers[why].connack : answers[why].connack_v4;

	/* Return codes of 3.1.1 do not cover everything: then it is closed without (3.1.1 3.2.2.3).
	 * So is what is not MQTT at all. */
	if (v5 || (s->version != 0 && code != 0))
		send_last(s, MQTT_CONNACK, code != 0 ? code : UNSPECIFIED, why);
}

void mqtt_send_disconnect(struct mqtt_session *s, enum err why)
{
	ASSERT(why != ERR_NONE && why < ERR_COUNT);
	const uint8_t code = answers[why].disconnect;

	/* 3.1.1 has no DISCONNECT from the server: 3.1.1 4.8. */
	if (mqtt_is_v5(s))
		send_last(s, MQTT_DISCONNECT, code != 0 ? code : UNSPECIFIED, why);
}
