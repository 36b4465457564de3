/* mqtt_frame_test.c - where a packet ends: the four properties of a codec over mqtt_good.c, and
 * what is judged before it is waited for. */
#include "dataplane/base/attr.h"
#include "dataplane/codec/hex.h"
#include "dataplane/codec/mqtt_any.h"
#include "dataplane/codec/mqtt_vectors.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

static const struct mqtt_limits roomy = {1 << 20, 4096};

static struct span good_bytes(const struct mqtt_good *good, uint8_t *bytes)
{
	return hex_read(good->hex, bytes, MQTT_VECTOR_SIZE_MAX);
}

/* Decodes the first n bytes from a heap copy of that size, which a sanitizer guards. */
static struct decoded decode_copy(
	struct span whole, size_t n, enum mqtt_version v, const struct mqtt_limits *limits)
{
	struct mqtt_frame f;
	uint8_t *copy = malloc(n + (n == 0));

	if (n != 0)
		memcpy(copy, whole.at, n);
	const struct decoded d = mqtt_decode(span_of(copy, n), v, limits, &f);
	if (d.verdict == DECODE_DONE) {
		struct mqtt_any any;
		CU_ASSERT_EQUAL(mqtt_any_decode(&f, v, &any), ERR_NONE);
		CU_ASSERT(f.body.at + f.body.size == copy + d.used);
	}
	free(copy);
	return d;
}

static void a_prefix_asks_for_more(void)
{
	uint8_t bytes[MQTT_VECTOR_SIZE_MAX];

	for (size_t i = 0; i < mqtt_good_count; i++) {
		const struct span whole = good_bytes(&mqtt_good[i], bytes);
		const enum mqtt_version v = mqtt_good[i].version;
		const struct decoded done = decode_copy(whole, whole.size, v, &roomy);
		CU_ASSERT_EQUAL_FATAL(done.verdict, DECODE_DONE);
		for (size_t n = 0; n < done.used; n++) {
			const struct decoded d = decode_copy(whole, n, v, &roomy);
			CU_ASSERT_EQUAL(d.verdict, DECODE_MORE);
			CU_ASSERT(d.need > n);
			CU_ASSERT(d.need <= done.used);
		}
	}
}

/* What follows the header of a PUBLISH makes no difference, neither payload nor the next packet. */
static void a_header_is_enough_for_a_publish(void)
{
	uint8_t bytes[MQTT_VECTOR_SIZE_MAX];

	for (size_t i = 0; i < mqtt_good_count; i++) {
		const struct span whole = good_bytes(&mqtt_good[i], bytes);
		const enum mqtt_version v = mqtt_good[i].version;
		const size_t used = decode_copy(whole, whole.size, v, &roomy).used;
		struct mqtt_frame f = {0};

		for (size_t n = used; n <= whole.size; n++)
			CU_ASSERT_EQUAL(decode_copy(whole, n, v, &roomy).used, used);
		CU_ASSERT_EQUAL(mqtt_decode(whole, v, &roomy, &f).used, used);
		CU_ASSERT_EQUAL(f.payload_size, whole.size - used);
		CU_ASSERT(f.type == MQTT_PUBLISH || used == whole.size);
	}
}

static void encoding_gives_back_the_bytes(void)
{
	uint8_t bytes[MQTT_VECTOR_SIZE_MAX], again[MQTT_VECTOR_SIZE_MAX];

	for (size_t i = 0; i < mqtt_good_count; i++) {
		const enum mqtt_version v = mqtt_good[i].version;
		struct span whole = good_bytes(&mqtt_good[i], bytes);
		struct mqtt_frame f;
		struct mqtt_any one, two;
		const struct decoded d = mqtt_decode(whole, v, &roomy, &f);

		CU_ASSERT_EQUAL_FATAL(d.verdict, DECODE_DONE);
		CU_ASSERT_EQUAL_FATAL(mqtt_any_decode(&f, v, &one), ERR_NONE);
		struct writer w = writer_of(again, sizeof(again));
		CU_ASSERT(mqtt_any_encode(&w, &one));
		CU_ASSERT(!w.bad);
		whole.size = d.used;
		if (span_equal(writer_span(&w), whole) != mqtt_good[i].canonical)
			CU_FAIL(mqtt_good[i].name);

		CU_ASSERT_EQUAL_FATAL(
			mqtt_decode(writer_span(&w), v, &roomy, &f).verdict, DECODE_DONE);
		CU_ASSERT_EQUAL_FATAL(mqtt_any_decode(&f, v, &two), ERR_NONE);
		CU_ASSERT(mqtt_any_equal(&one, &two));
	}
}

static void what_does_not_fit_is_not_written(void)
{
	uint8_t bytes[MQTT_VECTOR_SIZE_MAX];

	for (size_t i = 0; i < mqtt_good_count; i++) {
		const enum mqtt_version v = mqtt_good[i].version;
		const struct span whole = good_bytes(&mqtt_good[i], bytes);
		struct mqtt_frame f;
		struct mqtt_any any;
		const struct decoded d = mqtt_decode(whole, v, &roomy, &f);

		CU_ASSERT_EQUAL_FATAL(d.verdict, DECODE_DONE);
		CU_ASSERT_EQUAL_FATAL(mqtt_any_decode(&f, v, &any), ERR_NONE);
		for (size_t room = 0; room < d.used && mqtt_good[i].canonical; room++) {
			uint8_t *small = malloc(room + (room == 0));
			struct writer w = writer_of(small, room);
			CU_ASSERT(mqtt_any_encode(&w, &any));
			CU_ASSERT(w.bad);
			CU_ASSERT_EQUAL(writer_used(&w), 0);
			free(small);
		}
	}
}

/* All packets of one version behind each other, payloads stepped over. */
static size_t count_in_a_row(enum mqtt_version v, size_t *expected)
{
	static uint8_t stream[1 << 16];
	size_t size = 0, decoded = 0;

	*expected = 0;
	for (size_t i = 0; i < mqtt_good_count; i++)
		if (mqtt_good[i].version == v) {
			size += hex_read(mqtt_good[i].hex, stream + size, sizeof(stream) - size)
					.size;
			(*expected)++;
		}
	struct span in = span_of(stream, size);
	while (in.size != 0) {
		struct mqtt_frame f;
		struct mqtt_any any;
		const struct decoded d = mqtt_decode(in, v, &roomy, &f);
		CU_ASSERT_EQUAL_FATAL(d.verdict, DECODE_DONE);
		CU_ASSERT_EQUAL(mqtt_any_decode(&f, v, &any), ERR_NONE);
		in = span_skip(in, d.used + f.payload_size);
		decoded++;
	}
	return decoded;
}

static void a_row_of_packets_is_each_of_them(void)
{
	for (enum mqtt_version v = MQTT_V3; v <= MQTT_V5; v++) {
		size_t expected;
		CU_ASSERT_EQUAL(count_in_a_row(v, &expected), expected);
	}
}

/* Waiting by `need` alone gets there in few steps: length, topic length, topic, properties. */
static void waiting_for_need_takes_few_steps(void)
{
	uint8_t bytes[MQTT_VECTOR_SIZE_MAX];

	for (size_t i = 0; i < mqtt_good_count; i++) {
		const struct span whole = good_bytes(&mqtt_good[i], bytes);
		size_t steps = 0;
		struct decoded d = {.verdict = DECODE_MORE};
		for (size_t have = 0; d.verdict == DECODE_MORE; steps++, have = d.need)
			d = decode_copy(whole, have, mqtt_good[i].version, &roomy);
		CU_ASSERT_EQUAL(d.verdict, DECODE_DONE);
		CU_ASSERT(steps <= 9);
	}
}

/* Table 2-2 once more, written as ranges: all 256 first bytes in each version. */
static enum err first_byte_verdict(unsigned int first, enum mqtt_version v)
{
	if (first < 0x10 || (first >= 0xf0 && v != MQTT_V5))
		return ERR_MQTT_PACKET_TYPE;
	if (first >= 0x30 && first <= 0x3f)
		return (first & 0x06) == 0x06           ? ERR_MQTT_QOS
		       : first == 0x38 || first == 0x39 ? ERR_MQTT_FLAGS
							: ERR_NONE;
	if (first == 0x62 || first == 0x82 || first == 0xa2)
		return ERR_NONE;
	if (v == MQTT_V3 && (first == 0x6a || first == 0x8a || first == 0xaa))
		return ERR_NONE;
	if ((first & 0xf0) == 0x60 || (first & 0xf0) == 0x80 || (first & 0xf0) == 0xa0)
		return ERR_MQTT_FLAGS;
	return (first & 0x0f) == 0 ? ERR_NONE : ERR_MQTT_FLAGS;
}

static void the_first_byte_is_judged_alone(void)
{
	for (enum mqtt_version v = MQTT_V3; v <= MQTT_V5; v++)
		for (unsigned int first = 0; first < 256; first++) {
			const uint8_t byte = (uint8_t)first;
			const enum err e = first_byte_verdict(first, v);
			const struct decoded d = decode_copy(span_of(&byte, 1), 1, v, &roomy);
			CU_ASSERT_EQUAL(d.verdict, e == ERR_NONE ? DECODE_MORE : DECODE_BAD);
			CU_ASSERT_EQUAL(d.err, e);
			CU_ASSERT_EQUAL(d.need, e == ERR_NONE ? 2 : 0);
		}
}

struct judged {
	const char *what;
	const char *hex;
	enum mqtt_version version;
	struct mqtt_limits limits;
	size_t need; /* MORE; 0: BAD */
	enum err err;
};

static const struct judged judged[] = {
	{"a control packet at its limit", "82 fd 1f", MQTT_V4, {1 << 20, 4096}, 4096, 0},
	{"one byte more", "82 fe 1f", MQTT_V4, {1 << 20, 4096}, 0, ERR_FRAME_TOO_BIG},
	{"a CONNECT of 256 MiB", "10 ff ff ff 7f", MQTT_V4, {1 << 20, 4096}, 0, ERR_FRAME_TOO_BIG},
	{"a PUBLISH at its limit", "30 fc ff 3f", MQTT_V4, {1 << 20, 4096}, 6, 0},
	{"one byte more", "30 fd ff 3f", MQTT_V4, {1 << 20, 4096}, 0, ERR_FRAME_TOO_BIG},
	{"the largest PUBLISH", "30 ff ff ff 7f", MQTT_V4, {UINT32_MAX, 4096}, 7, 0},
	{"length of three bytes and more", "10 80 80 80", MQTT_V4, {1 << 20, 4096}, 5, 0},
	{"length without end", "10 80 80 80 80", MQTT_V4, {1 << 20, 4096}, 0, ERR_LENGTH_ENCODING},
	{"length without end, PUBLISH", "30 ff ff ff ff", MQTT_V5, {1 << 20, 4096}, 0,
		ERR_LENGTH_ENCODING},
	{"PINGREQ with a body to come", "c0 01", MQTT_V4, {1 << 20, 4096}, 0, ERR_TRAILING_BYTES},
	{"too short for a topic", "30 01", MQTT_V4, {1 << 20, 4096}, 0, ERR_TRUNCATED},
	{"too short for a packet id", "32 03", MQTT_V4, {1 << 20, 4096}, 0, ERR_TRUNCATED},
	{"too short for a property length", "30 02", MQTT_V5, {1 << 20, 4096}, 0, ERR_TRUNCATED},
	{"topic past the packet", "30 04 00 03", MQTT_V4, {1 << 20, 4096}, 0, ERR_TRUNCATED},
	{"topic of the whole packet", "30 04 00 02", MQTT_V4, {1 << 20, 4096}, 6, 0},
	{"topic leaves no packet id", "32 05 00 02", MQTT_V4, {1 << 20, 4096}, 0, ERR_TRUNCATED},
	{"topic at the header's limit", "30 20 00 0c", MQTT_V4, {1 << 20, 16}, 16, 0},
	{"one byte more", "30 20 00 0d", MQTT_V4, {1 << 20, 16}, 0, ERR_FRAME_TOO_BIG},
	{"no header fits", "30 20", MQTT_V4, {1 << 20, 3}, 0, ERR_FRAME_TOO_BIG},
	{"properties at the header's limit", "30 20 00 01 'a' 0a", MQTT_V5, {1 << 20, 16}, 16, 0},
	{"one byte more", "30 20 00 01 'a' 0b", MQTT_V5, {1 << 20, 16}, 0, ERR_FRAME_TOO_BIG},
	{"properties of the whole packet", "30 06 00 01 'a' 02", MQTT_V5, {1 << 20, 4096}, 8, 0},
	{"properties past the packet", "30 05 00 01 'a' 02", MQTT_V5, {1 << 20, 4096}, 0,
		ERR_TRUNCATED},
	{"properties of 256 MiB", "30 0f 00 01 'a' ff ff ff 7f", MQTT_V5, {1 << 20, 4096}, 0,
		ERR_TRUNCATED},
	{"property length goes on", "30 20 00 01 'a' 80 80", MQTT_V5, {1 << 20, 4096}, 8, 0},
	{"past the header's limit", "30 20 00 01 'a' 80 80", MQTT_V5, {1 << 20, 7}, 0,
		ERR_FRAME_TOO_BIG},
	{"past the packet, though bytes are here", "30 04 00 01 'a' 80 00 00", MQTT_V5,
		{1 << 20, 4096}, 0, ERR_TRUNCATED},
	{"the next packet is not asked", "30 04 00 01 'a' 80 80 80 80", MQTT_V5, {1 << 20, 4096}, 0,
		ERR_TRUNCATED},
	{"property length without end", "30 20 00 01 'a' 80 80 80 80 01", MQTT_V5, {1 << 20, 4096},
		0, ERR_LENGTH_ENCODING},
};

static void lengths_are_judged_before_they_are_waited_for(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(judged); i++) {
		const struct judged *row = &judged[i];
		uint8_t bytes[32];
		const struct span in = hex_read(row->hex, bytes, sizeof(bytes));
		const struct decoded d = decode_copy(in, in.size, row->version, &row->limits);

		if (d.verdict != (row->need != 0 ? DECODE_MORE : DECODE_BAD) ||
			d.need != row->need || d.err != row->err)
			CU_FAIL(row->what);
	}
}

/* 1.5.5, table 1-1: both sides of each edge, in the length of a PUBLISH with topic "a". */
static void a_length_takes_the_bytes_it_needs(void)
{
	static const struct {
		uint32_t remaining;
		const char *hex;
	} rows[] = {
		{127, "30 7f"},
		{128, "30 80 01"},
		{16383, "30 ff 7f"},
		{16384, "30 80 80 01"},
		{2097151, "30 ff ff 7f"},
		{2097152, "30 80 80 80 01"},
		{268435455, "30 ff ff ff 7f"},
	};
	static const struct mqtt_limits none = {UINT32_MAX, UINT32_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t bytes[16], expected[16];
		struct writer w = writer_of(bytes, sizeof(bytes));
		const struct mqtt_publish p = {.topic = span_str("a")};
		const struct span head = hex_read(rows[i].hex, expected, sizeof(expected));
		struct mqtt_frame f = {0};

		mqtt_encode_publish(&w, MQTT_V4, &p, rows[i].remaining - 3);
		CU_ASSERT_FATAL(!w.bad);
		CU_ASSERT(span_equal(span_of(bytes, writer_used(&w) - 3), head));
		CU_ASSERT_EQUAL(
			mqtt_decode(writer_span(&w), MQTT_V4, &none, &f).verdict, DECODE_DONE);
		CU_ASSERT_EQUAL(f.payload_size, rows[i].remaining - 3);

		w = writer_of(bytes, writer_used(&w) - 1);
		mqtt_encode_publish(&w, MQTT_V4, &p, rows[i].remaining - 3);
		CU_ASSERT(w.bad);
		CU_ASSERT_EQUAL(writer_used(&w), 0);
	}
}

static const struct unit_test tests[] = {
	{"a_prefix_asks_for_more", a_prefix_asks_for_more},
	{"a_header_is_enough_for_a_publish", a_header_is_enough_for_a_publish},
	{"encoding_gives_back_the_bytes", encoding_gives_back_the_bytes},
	{"what_does_not_fit_is_not_written", what_does_not_fit_is_not_written},
	{"a_row_of_packets_is_each_of_them", a_row_of_packets_is_each_of_them},
	{"waiting_for_need_takes_few_steps", waiting_for_need_takes_few_steps},
	{"the_first_byte_is_judged_alone", the_first_byte_is_judged_alone},
	{"a_length_takes_the_bytes_it_needs", a_length_takes_the_bytes_it_needs},
	{"lengths_are_judged_before_they_are_waited_for",
		lengths_are_judged_before_they_are_waited_for},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("mqtt_frame", tests, argc, argv);
}
