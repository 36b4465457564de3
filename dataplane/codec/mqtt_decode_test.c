/* mqtt_decode_test.c - the bodies of MQTT packets: every rule broken once, fields read, encoded. */
#include "dataplane/base/attr.h"
#include "dataplane/codec/hex.h"
#include "dataplane/codec/mqtt_any.h"
#include "dataplane/codec/mqtt_vectors.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

static const struct mqtt_limits roomy = {1 << 20, 4096};

/* Frame and body, from a heap copy of exact size. */
static enum err decode_copy(struct span s, enum mqtt_version v, struct mqtt_any *out)
{
	uint8_t *copy = malloc(s.size);
	struct mqtt_frame f;

	memcpy(copy, s.at, s.size);
	const struct decoded d = mqtt_decode(span_of(copy, s.size), v, &roomy, &f);
	CU_ASSERT(d.verdict != DECODE_MORE);
	const enum err e = d.verdict == DECODE_BAD ? d.err : mqtt_any_decode(&f, v, out);
	free(copy);
	return e;
}

static void every_rule_is_enforced(void)
{
	for (size_t i = 0; i < mqtt_bad_count; i++) {
		uint8_t bytes[MQTT_VECTOR_SIZE_MAX];
		struct mqtt_any any;
		const struct span in = hex_read(mqtt_bad[i].hex, bytes, sizeof(bytes));
		const enum err e = decode_copy(in, mqtt_bad[i].version, &any);

		if (e != mqtt_bad[i].err) {
			CU_FAIL("a rule of mqtt_bad.c");
			printf("# %s: %s\n", mqtt_bad[i].rule, err_name(e));
		}
	}
}

/* The frame of a hex text; its bytes stay until the next call. */
static struct mqtt_frame frame_of(const char *hex, enum mqtt_version v)
{
	static uint8_t bytes[512];
	struct mqtt_frame f = {0};
	const struct span in = hex_read(hex, bytes, sizeof(bytes));

	CU_ASSERT_EQUAL_FATAL(mqtt_decode(in, v, &roomy, &f).verdict, DECODE_DONE);
	return f;
}

static void an_unknown_connect_says_its_version(void)
{
	static const struct {
		const char *hex;
		unsigned int version;
		enum err err;
	} rows[] = {
		{"10 0a 00 04 'MQTT' 06 02 00 3c", 6, ERR_MQTT_PROTOCOL_VERSION},
		{"10 07 00 04 'MQTT' ff", 255, ERR_MQTT_PROTOCOL_VERSION},
		{"10 07 00 04 'MQTT' 03", 3, ERR_MQTT_PROTOCOL_VERSION},
		{"10 09 00 06 'MQIsdp' 04", 4, ERR_MQTT_PROTOCOL_VERSION},
		{"10 07 00 04 'AMQP' 05", 5, ERR_MQTT_PROTOCOL_NAME},
		{"10 06 00 04 'MQTT'", 0, ERR_TRUNCATED},
		{"10 08 00 04 'MQTT' 05 01", 5, ERR_MQTT_CONNECT_FLAGS},
		{"10 07 00 04 'MQTT' 04", 4, ERR_TRUNCATED},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct mqtt_frame f = frame_of(rows[i].hex, MQTT_V4);
		struct mqtt_connect c;
		CU_ASSERT_EQUAL(mqtt_decode_connect(&f, &c), rows[i].err);
		CU_ASSERT_EQUAL((unsigned int)c.version, rows[i].version);
	}
}

static void connect_fields(void)
{
	const struct mqtt_frame f =
		frame_of("10 2c 00 04 'MQTT' 05 ee 01 02 05 11 00 00 00 0a "
			 "00 03 'dev' 05 18 00 00 00 07 00 03 'w/t' 00 03 'bye' "
			 "00 01 'u' 00 02 00 ff",
			MQTT_V4);
	struct mqtt_connect c;

	CU_ASSERT_EQUAL_FATAL(mqtt_decode_connect(&f, &c), ERR_NONE);
	CU_ASSERT_EQUAL(c.version, MQTT_V5);
	CU_ASSERT(c.clean_start && c.has_will && c.will_retain);
	CU_ASSERT(c.has_username && c.has_password);
	CU_ASSERT_EQUAL(c.will_qos, 1);
	CU_ASSERT_EQUAL(c.keepalive_s, 0x0102);
	CU_ASSERT_EQUAL(c.props.session_expiry_s, 10);
	CU_ASSERT_EQUAL(c.will_props.will_delay_s, 7);
	CU_ASSERT(span_equal(c.client_id, span_str("dev")));
	CU_ASSERT(span_equal(c.will_topic, span_str("w/t")));
	CU_ASSERT(span_equal(c.will_payload, span_str("bye")));
	CU_ASSERT(span_equal(c.username, span_str("u")));
	CU_ASSERT(span_equal(c.password, span_of("\0\xff", 2)));
}

static void publish_fields(void)
{
	const struct mqtt_frame f = frame_of("3d 0d 00 03 'a/b' 01 02 02 01 01 'xyz'", MQTT_V5);
	struct mqtt_publish p;

	CU_ASSERT_EQUAL_FATAL(mqtt_decode_publish(&f, MQTT_V5, &p), ERR_NONE);
	CU_ASSERT(p.dup && p.retain);
	CU_ASSERT_EQUAL(p.qos, 2);
	CU_ASSERT_EQUAL(p.packet_id, 0x0102);
	CU_ASSERT_EQUAL(p.props.payload_format, 1);
	CU_ASSERT(span_equal(p.topic, span_str("a/b")));
	CU_ASSERT_EQUAL(f.payload_size, 3);
}

static void subscribe_walks_its_filters(void)
{
	const struct mqtt_frame f =
		frame_of("82 14 00 0a 00 00 03 'a/b' 2e 00 01 '#' 11 00 04 '+/$x' 00", MQTT_V5);
	struct mqtt_subscribe s;
	struct mqtt_filter filter;

	CU_ASSERT_EQUAL_FATAL(mqtt_decode_subscribe(&f, MQTT_V5, &s), ERR_NONE);
	CU_ASSERT_EQUAL(s.packet_id, 10);
	CU_ASSERT_EQUAL(s.filter_count, 3);
	CU_ASSERT_FATAL(mqtt_next_filter(&s, &filter));
	CU_ASSERT(span_equal(filter.filter, span_str("a/b")));
	CU_ASSERT_EQUAL(filter.qos, 2);
	CU_ASSERT(filter.no_local && filter.retain_as_published);
	CU_ASSERT_EQUAL(filter.retain_handling, 2);
	CU_ASSERT_FATAL(mqtt_next_filter(&s, &filter));
	CU_ASSERT(span_equal(filter.filter, span_str("#")));
	CU_ASSERT_EQUAL(filter.qos, 1);
	CU_ASSERT(!filter.no_local && !filter.retain_as_published);
	CU_ASSERT_EQUAL(filter.retain_handling, 1);
	CU_ASSERT_FATAL(mqtt_next_filter(&s, &filter));
	CU_ASSERT(span_equal(filter.filter, span_str("+/$x")));
	CU_ASSERT(!mqtt_next_filter(&s, &filter));
	CU_ASSERT(!mqtt_next_filter(&s, &filter));
}

static void unsubscribe_walks_its_filters(void)
{
	const struct mqtt_frame f = frame_of("a2 09 00 0a 00 01 'a' 00 02 'bc'", MQTT_V4);
	struct mqtt_subscribe s;
	struct mqtt_filter filter;

	CU_ASSERT_EQUAL_FATAL(mqtt_decode_unsubscribe(&f, MQTT_V4, &s), ERR_NONE);
	CU_ASSERT_EQUAL(s.filter_count, 2);
	CU_ASSERT_FATAL(mqtt_next_filter(&s, &filter));
	CU_ASSERT(span_equal(filter.filter, span_str("a")));
	CU_ASSERT_FATAL(mqtt_next_filter(&s, &filter));
	CU_ASSERT(span_equal(filter.filter, span_str("bc")));
	CU_ASSERT(!mqtt_next_filter(&s, &filter));
}

/* Table 2-6 the other way round: the codes of each packet, in hex. */
struct reasons {
	enum mqtt_type type;
	enum mqtt_version version;
	const char *hex;
};

static const struct reasons reasons[] = {
	{MQTT_CONNACK, MQTT_V5,
		"00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f"},
	{MQTT_PUBACK, MQTT_V5, "00 10 80 83 87 90 91 97 99"},
	{MQTT_PUBREC, MQTT_V5, "00 10 80 83 87 90 91 97 99"},
	{MQTT_PUBREL, MQTT_V5, "00 92"},
	{MQTT_PUBCOMP, MQTT_V5, "00 92"},
	{MQTT_SUBACK, MQTT_V5, "00 01 02 80 83 87 8f 91 97 9e a1 a2"},
	{MQTT_UNSUBACK, MQTT_V5, "00 11 80 83 87 8f 91"},
	{MQTT_DISCONNECT, MQTT_V5,
		"00 04 80 81 82 83 87 89 8b 8c 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f "
		"a0 a1 a2"},
	{MQTT_AUTH, MQTT_V5, "00 18 19"},
	{MQTT_CONNACK, MQTT_V4, "00 01 02 03 04 05"},
	{MQTT_SUBACK, MQTT_V4, "00 01 02 80"},
	{MQTT_SUBACK, MQTT_V3, "00 01 02 80"},
};

/* A packet of the type with that reason, in its longest form. */
static struct span packet_with(enum mqtt_type t, enum mqtt_version v, uint8_t reason, uint8_t *out)
{
	struct writer w = writer_of(out, 32);
	const bool v5 = v == MQTT_V5;

	write_u8(&w, (uint8_t)(t << 4 | (t == MQTT_PUBREL ? 2 : 0)));
	write_u8(&w, 0);
	if (t == MQTT_CONNACK)
		write_u8(&w, 0);
	else if (t != MQTT_DISCONNECT && t != MQTT_AUTH)
		write_u16(&w, 1);
	if (v5 && (t == MQTT_SUBACK || t == MQTT_UNSUBACK))
		write_u8(&w, 0);
	write_u8(&w, reason);
	if (t == MQTT_AUTH)
		write_bytes(&w, span_of("\4\25\0\1m", 5));
	else if (v5 && t != MQTT_SUBACK && t != MQTT_UNSUBACK)
		write_u8(&w, 0);
	out[1] = (uint8_t)(writer_used(&w) - 2);
	return writer_span(&w);
}

static void reason_codes_are_those_of_the_packet(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		uint8_t allowed[64], packet[32];
		const struct span list = hex_read(reasons[i].hex, allowed, sizeof(allowed));
		for (unsigned int code = 0; code < 256; code++) {
			struct mqtt_any any;
			const enum err e =
				decode_copy(packet_with(reasons[i].type, reasons[i].version,
						    (uint8_t)code, packet),
					reasons[i].version, &any);
			const bool good = memchr(list.at, (int)code, list.size) != NULL;
			CU_ASSERT_EQUAL(e, good ? ERR_NONE : ERR_MQTT_REASON_CODE);
		}
	}
}

/* Every message that the server makes up by itself, against bytes written by hand. */
static void answers_are_encoded(void)
{
	uint8_t bytes[64], expected[64];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct mqtt_connack connack = {.session_present = true};
	struct mqtt_reason bye = {.reason = 0x8e};
	const struct mqtt_suback suback = {.packet_id = 7, .reasons = span_of("\0\x80", 2)};

	mqtt_encode_connack(&w, MQTT_V4, &connack);
	connack = (struct mqtt_connack){.reason = 0x84};
	mqtt_encode_connack(&w, MQTT_V5, &connack);
	mqtt_encode_suback(&w, MQTT_SUBACK, MQTT_V4, &suback);
	mqtt_encode_suback(&w, MQTT_UNSUBACK, MQTT_V4, &suback);
	mqtt_encode_suback(&w, MQTT_SUBACK, MQTT_V5, &suback);
	mqtt_encode_reason(&w, MQTT_DISCONNECT, MQTT_V5, &bye);
	mqtt_encode_reason(&w, MQTT_DISCONNECT, MQTT_V4, &bye);
	mqtt_encode_empty(&w, MQTT_PINGRESP);
	CU_ASSERT(!w.bad);
	CU_ASSERT(span_equal(writer_span(&w),
		hex_read("20 02 01 00 20 03 00 84 00 90 04 00 07 00 80 b0 02 00 07 "
			 "90 05 00 07 00 00 80 e0 01 8e e0 00 d0 00",
			expected, sizeof(expected))));
}

static void what_cannot_be_said_is_refused_by_the_writer(void)
{
	static uint8_t room[1 << 18];
	static uint8_t text[1 << 16];
	struct writer w = writer_of(room, sizeof(room));
	struct mqtt_publish p = {.topic = span_of(text, sizeof(text))};

	mqtt_encode_publish(&w, MQTT_V4, &p, 0);
	CU_ASSERT(w.bad); /* a topic of 64 KiB */

	p.topic = span_str("a");
	w = writer_of(room, sizeof(room));
	mqtt_encode_publish(&w, MQTT_V4, &p, MQTT_REMAINING_MAX - 2);
	CU_ASSERT(w.bad);
	w = writer_of(room, sizeof(room));
	mqtt_encode_publish(&w, MQTT_V4, &p, MQTT_REMAINING_MAX - 3);
	CU_ASSERT(!w.bad);
	CU_ASSERT_EQUAL(writer_used(&w), MQTT_FIXED_HEADER_MAX + 3);

	w.bad = true; /* an earlier failure sticks */
	mqtt_encode_empty(&w, MQTT_PINGREQ);
	CU_ASSERT_EQUAL(writer_used(&w), MQTT_FIXED_HEADER_MAX + 3);
}

static void properties_may_be_left_out_of_a_subscribe(void)
{
	uint8_t bytes[64], expected[64];
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct mqtt_filter f = {.filter = span_str("a"), .qos = 1, .retain_handling = 2};

	mqtt_encode_subscribe(&w, MQTT_SUBSCRIBE, MQTT_V5, 3, NULL, &f, 1);
	mqtt_encode_subscribe(&w, MQTT_SUBSCRIBE, MQTT_V4, 3, NULL, &f, 1);
	mqtt_encode_subscribe(&w, MQTT_UNSUBSCRIBE, MQTT_V4, 3, NULL, &f, 1);
	CU_ASSERT(span_equal(writer_span(&w), hex_read("82 07 00 03 00 00 01 'a' 21 82 06 00 03 00 "
						       "01 'a' 01 a2 05 00 03 00 01 'a'",
						      expected, sizeof(expected))));
}

static const struct unit_test tests[] = {
	{"every_rule_is_enforced", every_rule_is_enforced},
	{"an_unknown_connect_says_its_version", an_unknown_connect_says_its_version},
	{"connect_fields", connect_fields},
	{"publish_fields", publish_fields},
	{"subscribe_walks_its_filters", subscribe_walks_its_filters},
	{"unsubscribe_walks_its_filters", unsubscribe_walks_its_filters},
	{"reason_codes_are_those_of_the_packet", reason_codes_are_those_of_the_packet},
	{"answers_are_encoded", answers_are_encoded},
	{"what_cannot_be_said_is_refused_by_the_writer",
		what_cannot_be_said_is_refused_by_the_writer},
	{"properties_may_be_left_out_of_a_subscribe", properties_may_be_left_out_of_a_subscribe},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("mqtt_decode", tests, argc, argv);
}
