/* mqtt_decode.c - reads the bodies of MQTT control packets.
 *
 * Each function reads straight through, in the order of the specification's
 * section, and asks once at the end. Spec: MQTT 5.0 part 3, 3.1.1 part 3, and
 * 3.1 where its CONNECT differs. Finding the frame: mqtt.c; properties:
 * mqtt_props.c. */
#include "dataplane/base/assert.h"
#include "dataplane/codec/mqtt.h"
#include "dataplane/codec/mqtt_wire.h"

enum {
	CONNECT_RESERVED = 0x01,
	CONNECT_CLEAN_START = 0x02,
	CONNECT_WILL = 0x04,
	CONNECT_WILL_RETAIN = 0x20,
	CONNECT_PASSWORD = 0x40,
	CONNECT_USERNAME = 0x80,
	CONNACK_SESSION_PRESENT = 0x01,
	OPTION_NO_LOCAL = 0x04,
	OPTION_RETAIN_AS_PUBLISHED = 0x08,
	OPTIONS_RESERVED = 0xc0,
	OPTIONS_RESERVED_V4 = 0xfc,
	RETAIN_HANDLING_MAX = 2,
};

#define EACH_BYTE(b) (0x0101010101010101u * (uint64_t)(b))

/* '#' is 0x23 and '+' is 0x2b: one bit apart, so that one comparison finds both. */
static bool has_wildcard(struct span s)
{
	uint64_t word;
	size_t i = 0;

	static_assert(('#' | 0x08) == '+', "one bit apart");
	for (; i + sizeof(word) <= s.size; i += sizeof(word)) {
		memcpy(&word, s.at + i, sizeof(word));
		word = (word | EACH_BYTE(0x08)) ^ EACH_BYTE('+');
		if (((word - EACH_BYTE(0x01)) & ~word & EACH_BYTE(0x80)) != 0)
			return true;
	}
	for (; i < s.size; i++)
		if ((s.at[i] | 0x08) == '+')
			return true;
	return false;
}

bool mqtt_is_topic_name(struct span s)
{
	return s.size != 0 && !has_wildcard(s);
}

/* Name and level must fit each other; `version` is what was read either way, for the answer. */
static void read_protocol(struct mqtt_in *in, struct mqtt_connect *out)
{
	const struct span name = mqtt_read_binary(in);
	const uint8_t level = read_u8(&in->r);
	const bool is_mqtt = span_equal(name, span_str("MQTT"));

	out->version = (enum mqtt_version)level;
	if (!is_mqtt && !span_equal(name, span_str("MQIsdp")))
		mqtt_fail(in, ERR_MQTT_PROTOCOL_NAME); /* [MQTT-3.1.2-1] */
	else if (is_mqtt ? level != MQTT_V4 && level != MQTT_V5 : level != MQTT_V3)
		mqtt_fail(in, ERR_MQTT_PROTOCOL_VERSION); /* [MQTT-3.1.2-2] */
}

static void read_connect_flags(struct mqtt_in *in, struct mqtt_connect *out)
{
	const uint8_t flags = read_u8(&in->r);

	out->clean_start = (flags & CONNECT_CLEAN_START) != 0;
	out->has_will = (flags & CONNECT_WILL) != 0;
	out->will_qos = flags >> 3 & 3;
	out->will_retain = (flags & CONNECT_WILL_RETAIN) != 0;
	out->has_password = (flags & CONNECT_PASSWORD) != 0;
	out->has_username = (flags & CONNECT_USERNAME) != 0;
	if ((flags & CONNECT_RESERVED) != 0) /* [MQTT-3.1.2-3] */
		mqtt_fail(in, ERR_MQTT_CONNECT_FLAGS);
	if (!out->has_will && (out->will_qos != 0 || out->will_retain)) /* [MQTT-3.1.2-11], -13 */
		mqtt_fail(in, ERR_MQTT_CONNECT_FLAGS);
	if (out->will_qos == 3) /* [MQTT-3.1.2-12] */
		mqtt_fail(in, ERR_MQTT_QOS);
	if (out->has_password && !out->has_username && out->version < MQTT_V5)
		mqtt_fail(in, ERR_MQTT_CONNECT_FLAGS); /* 3.1.1 [MQTT-3.1.2-22]; 5.0 allows it */
}

static void read_will(struct mqtt_in *in, struct mqtt_connect *out)
{
	mqtt_props_init(&out->will_props);
	out->will_topic = out->will_payload = span_of(NULL, 0);
	if (!out->has_will)
		return;
	mqtt_read_props(in, out->version, MQTT_WILL, &out->will_props);
	out->will_topic = mqtt_read_text(in);
	out->will_payload = mqtt_read_binary(in);
	if (!mqtt_is_topic_name(out->will_topic)) /* [MQTT-4.7.1-1], [MQTT-4.7.3-1] */
		mqtt_fail(in, ERR_MQTT_TOPIC);
}

static void read_credentials(struct mqtt_in *in, struct mqtt_connect *out)
{
	/* MQTT 3.1 section 3.1: the remaining length takes precedence over these two flags. */
	const bool lenient = out->version == MQTT_V3;

	if (lenient && reader_left(&in->r) == 0)
		out->has_username = false;
	out->username = out->has_username ? mqtt_read_text(in) : span_of(NULL, 0);
	if (lenient && reader_left(&in->r) == 0)
		out->has_password = false;
	out->password = out->has_password ? mqtt_read_binary(in) : span_of(NULL, 0);
}

enum err mqtt_decode_connect(const struct mqtt_frame *f, struct mqtt_connect *out)
{
	struct mqtt_in in = mqtt_in_of(f->body);

	ASSERT(f->type == MQTT_CONNECT);
	read_protocol(&in, out);
	if (in.err != ERR_NONE) /* what follows may be of any form */
		return in.err;
	read_connect_flags(&in, out);
	out->keepalive_s = read_u16(&in.r);
	mqtt_read_props(&in, out->version, MQTT_CONNECT, &out->props);
	if (mqtt_props_has(&out->props, MQTT_PROPERTY_AUTH_DATA) &&
		!mqtt_props_has(&out->props, MQTT_PROPERTY_AUTH_METHOD))
		mqtt_fail(&in, ERR_MQTT_PROTOCOL); /* 3.1.2.11.10 */
	out->client_id = mqtt_read_text(&in);
	read_will(&in, out);
	read_credentials(&in, out);
	return mqtt_in_end(&in);
}

enum err mqtt_decode_connack(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_connack *out)
{
	struct mqtt_in in = mqtt_in_of(f->body);

	ASSERT(f->type == MQTT_CONNACK);
	const uint8_t flags = read_u8(&in.r);
	out->session_present = (flags & CONNACK_SESSION_PRESENT) != 0;
	out->reason = read_u8(&in.r);
	if ((flags & ~CONNACK_SESSION_PRESENT) != 0) /* [MQTT-3.2.2-1] */
		mqtt_fail(&in, ERR_MQTT_CONNACK_FLAGS);
	if (out->session_present && out->reason != 0) /* [MQTT-3.2.2-6] */
		mqtt_fail(&in, ERR_MQTT_CONNACK_FLAGS);
	if (!mqtt_reason_allowed(MQTT_CONNACK, v, out->reason)) /* [MQTT-3.2.2-8] */
		mqtt_fail(&in, ERR_MQTT_REASON_CODE);
	mqtt_read_props(&in, v, MQTT_CONNACK, &out->props);
	return mqtt_in_end(&in);
}

enum err mqtt_decode_publish(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_publish *out)
{
	struct mqtt_in in = mqtt_in_of(f->body);

	ASSERT(f->type == MQTT_PUBLISH);
	out->dup = (f->flags & 8) != 0;
	out->qos = f->flags >> 1 & 3;
	out->retain = (f->flags & 1) != 0;
	out->topic = mqtt_read_text(&in);
	out->packet_id = out->qos != 0 ? mqtt_read_packet_id(&in) : 0;
	mqtt_read_props(&in, v, MQTT_PUBLISH, &out->props);
	/* 3.3.2.1: an alias may stand for the topic. */
	const bool aliased = mqtt_props_has(&out->props, MQTT_PROPERTY_TOPIC_ALIAS);
	if (out->topic.size == 0 && !aliased && v == MQTT_V5)
		mqtt_fail(&in, ERR_MQTT_PROTOCOL); /* 3.3.2.1: no name, and no alias for one */
	else if (!mqtt_is_topic_name(out->topic) && (out->topic.size != 0 || !aliased))
		mqtt_fail(&in, ERR_MQTT_TOPIC);
	return mqtt_in_end(&in);
}

enum err mqtt_decode_ack(const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_ack *out)
{
	struct mqtt_in in = mqtt_in_of(f->body);

	ASSERT(f->type >= MQTT_PUBACK && f->type <= MQTT_PUBCOMP);
	mqtt_props_init(&out->props);
	out->reason = 0;
	out->packet_id = mqtt_read_packet_id(&in);
	/* 3.4.2.1, 3.4.2.2.1: reason and properties are left out from the end. */
	if (v == MQTT_V5 && reader_left(&in.r) != 0)
		out->reason = read_u8(&in.r);
	if (v == MQTT_V5 && reader_left(&in.r) != 0)
		mqtt_read_props(&in, v, f->type, &out->props);
	if (v == MQTT_V5 && !mqtt_reason_allowed(f->type, v, out->reason)) /* [MQTT-3.4.2-1] */
		mqtt_fail(&in, ERR_MQTT_REASON_CODE);
	return mqtt_in_end(&in);
}

/* 3.8.3.1; before 5.0 there is the QoS alone. */
static void read_options(struct mqtt_in *in, bool v5, struct mqtt_filter *out)
{
	const uint8_t options = read_u8(&in->r);

	out->qos = options & 3;
	out->no_local = (options & OPTION_NO_LOCAL) != 0;
	out->retain_as_published = (options & OPTION_RETAIN_AS_PUBLISHED) != 0;
	out->retain_handling = options >> 4 & 3;
	if ((options & (v5 ? OPTIONS_RESERVED : OPTIONS_RESERVED_V4)) != 0)
		mqtt_fail(in, ERR_MQTT_SUBSCRIBE_OPTIONS); /* [MQTT-3.8.3-5]; 3.1.1 -4 */
	if (out->qos == 3) /* 3.8.3.1: a protocol error; 3.1.1 [MQTT-3.8.3-4]: malformed */
		mqtt_fail(in, v5 ? ERR_MQTT_PROTOCOL : ERR_MQTT_QOS);
	if (out->retain_handling > RETAIN_HANDLING_MAX)
		mqtt_fail(in, ERR_MQTT_PROTOCOL); /* 3.8.3.1 */
	if (out->no_local && out->filter.size >= 7 && memcmp(out->filter.at, "$share/", 7) == 0)
		mqtt_fail(in, ERR_MQTT_PROTOCOL); /* [MQTT-3.8.3-4] */
}

static void read_filters(struct mqtt_in *in, bool v5, struct mqtt_subscribe *out)
{
	out->filters = in->r;
	out->filter_count = 0;
	while (in->err == ERR_NONE && !in->r.bad && reader_left(&in->r) != 0) {
		struct mqtt_filter f = {.filter = mqtt_read_text(in)};
		if (f.filter.size == 0)
			mqtt_fail(in, ERR_MQTT_FILTER); /* [MQTT-4.7.3-1] */
		if (out->has_options)
			read_options(in, v5, &f);
		out->filter_count++;
	}
	if (out->filter_count == 0)
		mqtt_fail(in, ERR_MQTT_SUBSCRIBE_EMPTY); /* [MQTT-3.8.3-2], [MQTT-3.10.3-2] */
}

static enum err decode_filters(
	const struct mqtt_frame *f, enum mqtt_version v, bool options, struct mqtt_subscribe *out)
{
	struct mqtt_in in = mqtt_in_of(f->body);

	out->has_options = options;
	out->packet_id = mqtt_read_packet_id(&in);
	mqtt_read_props(&in, v, f->type, &out->props);
	read_filters(&in, v == MQTT_V5, out);
	return mqtt_in_end(&in);
}

enum err mqtt_decode_subscribe(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_subscribe *out)
{
	ASSERT(f->type == MQTT_SUBSCRIBE);
	return decode_filters(f, v, true, out);
}

enum err mqtt_decode_unsubscribe(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_subscribe *out)
{
	ASSERT(f->type == MQTT_UNSUBSCRIBE);
	return decode_filters(f, v, false, out);
}

bool mqtt_next_filter(struct mqtt_subscribe *s, struct mqtt_filter *out)
{
	struct mqtt_in in = {s->filters, ERR_NONE};

	if (in.r.bad || reader_left(&in.r) == 0)
		return false;
	*out = (struct mqtt_filter){.filter = mqtt_read_binary(&in)}; /* checked when decoded */
	if (s->has_options)
		read_options(&in, true, out);
	s->filters = in.r;
	return !in.r.bad;
}

enum err mqtt_decode_suback(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_suback *out)
{
	struct mqtt_in in = mqtt_in_of(f->body);

	ASSERT(f->type == MQTT_SUBACK || f->type == MQTT_UNSUBACK);
	out->reasons = span_of(NULL, 0);
	out->packet_id = mqtt_read_packet_id(&in);
	mqtt_read_props(&in, v, f->type, &out->props);
	if (f->type == MQTT_UNSUBACK && v != MQTT_V5) /* 3.1.1 3.11.3: no payload */
		return mqtt_in_end(&in);

	const size_t count = reader_left(&in.r);
	out->reasons = read_bytes(&in.r, count > 0 ? count : 1); /* one a filter: at least one */
	for (size_t i = 0; i < out->reasons.size; i++)
		if (!mqtt_reason_allowed(f->type, v, out->reasons.at[i]))
			mqtt_fail(&in, ERR_MQTT_REASON_CODE); /* [MQTT-3.9.3-2], [MQTT-3.11.3-2] */
	return mqtt_in_end(&in);
}

enum err mqtt_decode_reason(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_reason *out)
{
	struct mqtt_in in = mqtt_in_of(f->body);
	const size_t size = f->body.size;

	ASSERT(f->type == MQTT_DISCONNECT || f->type == MQTT_AUTH);
	out->reason = 0;
	mqtt_props_init(&out->props);
	if (v != MQTT_V5 || size == 0) /* 3.14.2.1, 3.15.2.1: nothing means success */
		return mqtt_in_end(&in);

	out->reason = read_u8(&in.r);
	if (!mqtt_reason_allowed(f->type, v, out->reason)) /* [MQTT-3.14.2-1], [MQTT-3.15.2-1] */
		mqtt_fail(&in, ERR_MQTT_REASON_CODE);
	if (f->type == MQTT_DISCONNECT && size == 1) /* 3.14.2.2.1 */
		return mqtt_in_end(&in);
	mqtt_read_props(&in, v, f->type, &out->props);
	if (f->type == MQTT_AUTH && !mqtt_props_has(&out->props, MQTT_PROPERTY_AUTH_METHOD))
		mqtt_fail(&in, ERR_MQTT_PROTOCOL); /* 3.15.2.2.2 */
	return mqtt_in_end(&in);
}
