/* parcel_test.c - messages and targets to bytes and back: every form, every prefix, every size that
 * lies. */
#include "dataplane/shm/parcel.h"

#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

enum { ROOM = 4096, RANDOM_RUNS = 2000, SIZES_AT = 16 };

static const struct parcel full = {.topic = {(const uint8_t *)"a/b", 3},
	.content_type = {(const uint8_t *)"text", 4},
	.reply_to = {(const uint8_t *)"r", 1},
	.correlation = {(const uint8_t *)"\0\1", 2},
	.user = {(const uint8_t *)"\0\1k\0\1v", 6},
	.payload = {(const uint8_t *)"payload", 7},
	.born_ms = 0x0102030405060708,
	.expiry_s = 0x11121314,
	.payload_size = 7,
	.qos = 2,
	.priority = 9,
	.retain = true,
	.payload_is_utf8 = true};

static struct span encode(uint8_t *to, size_t room, const struct parcel *p)
{
	struct writer w = writer_of(to, room);

	parcel_encode_head(&w, p);
	write_bytes(&w, p->payload);
	CU_ASSERT_FATAL(!w.bad);
	return writer_span(&w);
}

static void check_same(const struct parcel *a, const struct parcel *b)
{
	CU_ASSERT(span_equal(a->topic, b->topic) && span_equal(a->reply_to, b->reply_to));
	CU_ASSERT(span_equal(a->content_type, b->content_type));
	CU_ASSERT(span_equal(a->correlation, b->correlation) && span_equal(a->user, b->user));
	CU_ASSERT(a->born_ms == b->born_ms && a->expiry_s == b->expiry_s);
	CU_ASSERT(a->payload_size == b->payload_size && a->qos == b->qos);
	CU_ASSERT(a->priority == b->priority && a->retain == b->retain);
	CU_ASSERT(a->payload_is_utf8 == b->payload_is_utf8);
}

/* What lies in the store stays readable: these bytes may never change their meaning. */
static void the_layout_is_what_it_was(void)
{
	static const uint8_t bytes[] = {1, 3, 2, 9, 0x11, 0x12, 0x13, 0x14, 1, 2, 3, 4, 5, 6, 7, 8,
		0, 3, 0, 4, 0, 1, 0, 2, 0, 0, 0, 6, 0, 0, 0, 7, 'a', '/', 'b', 't', 'e', 'x', 't',
		'r', 0, 1, 0, 1, 'k', 0, 1, 'v', 'p', 'a', 'y', 'l', 'o', 'a', 'd'};
	uint8_t buffer[ROOM];

	CU_ASSERT(span_equal(encode(buffer, sizeof(buffer), &full), span_of(bytes, sizeof(bytes))));
}

static void what_is_encoded_is_decoded(void)
{
	static const struct parcel rows[] = {
		{.topic = {(const uint8_t *)"t", 1}},
		{.topic = {(const uint8_t *)"t", 1}, .qos = 1, .retain = true},
		{.topic = {(const uint8_t *)"t", 1},
			.payload_is_utf8 = true,
			.born_ms = UINT64_MAX},
		{.expiry_s = UINT32_MAX, .priority = 255},
	};
	uint8_t buffer[ROOM];
	struct parcel out;

	CU_ASSERT(parcel_decode(encode(buffer, sizeof(buffer), &full), &out) == ERR_NONE);
	check_same(&full, &out);
	CU_ASSERT(span_equal(out.payload, full.payload));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CU_ASSERT(
			parcel_decode(encode(buffer, sizeof(buffer), &rows[i]), &out) == ERR_NONE);
		check_same(&rows[i], &out);
		CU_ASSERT(out.payload.size == 0);
	}
}

static void the_largest_sizes_fit(void)
{
	static uint8_t big[6 * UINT16_MAX], buffer[sizeof(big) + PARCEL_FIXED];
	const struct span all = {big, UINT16_MAX};
	const struct parcel p = {.topic = all,
		.content_type = all,
		.reply_to = all,
		.correlation = all,
		.user = all,
		.payload = all,
		.payload_size = UINT16_MAX};
	struct parcel out;

	CU_ASSERT(parcel_decode(encode(buffer, sizeof(buffer), &p), &out) == ERR_NONE);
	check_same(&p, &out);
}

/* On the heap at exact size: a sanitizer sees the first byte past. */
static enum err decode_exact(struct span in, size_t size)
{
	uint8_t *copy = malloc(size == 0 ? 1 : size);
	struct parcel out;

	memcpy(copy, in.at, size);
	const enum err e = parcel_decode((struct span){copy, size}, &out);
	free(copy);
	return e;
}

static void a_prefix_is_truncated_and_a_suffix_is_left_over(void)
{
	uint8_t buffer[ROOM];
	struct span whole = encode(buffer, sizeof(buffer), &full);

	for (size_t size = 0; size < whole.size; size++)
		CU_ASSERT(decode_exact(whole, size) == ERR_TRUNCATED);
	CU_ASSERT(decode_exact(whole, whole.size) == ERR_NONE);
	buffer[whole.size] = 0;
	CU_ASSERT(decode_exact(whole, whole.size + 1) == ERR_TRAILING_BYTES);
}

static void a_head_needs_no_payload(void)
{
	uint8_t buffer[ROOM];
	const struct span whole = encode(buffer, sizeof(buffer), &full);
	const size_t fixed = whole.size - full.payload_size;
	struct parcel out;
	size_t head = 0;

	for (size_t size = 0; size < fixed; size++)
		CU_ASSERT(parcel_decode_head((struct span){buffer, size}, &out, &head) ==
			  ERR_TRUNCATED);
	for (size_t size = fixed; size <= whole.size; size++) {
		CU_ASSERT(parcel_decode_head((struct span){buffer, size}, &out, &head) == ERR_NONE);
		CU_ASSERT(head == fixed);
		check_same(&full, &out);
	}
}

static void what_cannot_be_is_refused(void)
{
	static const struct {
		size_t at;
		uint8_t value;
	} rows[] = {{0, 0}, {0, 2}, {0, 255}, {1, 4}, {1, 128}, {1, 255}, {2, 3}, {2, 255}};
	uint8_t buffer[ROOM];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct span whole = encode(buffer, sizeof(buffer), &full);
		buffer[rows[i].at] = rows[i].value;
		CU_ASSERT(decode_exact(whole, whole.size) == ERR_SLOT_BAD);
	}
}

/* Each size field at its extremes: never past the input, never accepted. */
static void sizes_that_lie_are_found_out(void)
{
	static const struct {
		size_t at, size;
	} fields[] = {{16, 2}, {18, 2}, {20, 2}, {22, 2}, {24, 4}, {28, 4}};
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
	uint8_t buffer[ROOM];

	for (size_t f = 0; f < ARRAY_SIZE(fields); f++) {
		for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
			const struct span whole = encode(buffer, sizeof(buffer), &full);
			uint8_t before[4];
			memcpy(before, buffer + fields[f].at, fields[f].size);
			memset(buffer + fields[f].at, values[v], fields[f].size);
			if (memcmp(before, buffer + fields[f].at, fields[f].size) == 0)
				continue;
			CU_ASSERT(decode_exact(whole, whole.size) != ERR_NONE);
		}
	}
	const struct span whole = encode(buffer, sizeof(buffer), &full);
	memset(buffer + SIZES_AT, 0xff, PARCEL_FIXED - SIZES_AT);
	CU_ASSERT(decode_exact(whole, whole.size) == ERR_TRUNCATED);
}

static void targets_are_encoded_and_decoded(void)
{
	const struct store_target rows[] = {{.session = 1, .qos = 1},
		{.session = UINT64_MAX, .qos = 2, .retain = true},
		{.session = 2,
			.qos = 1,
			.identifier_count = STORE_IDENTIFIERS_MAX,
			.identifiers = {1, 2, UINT32_MAX, 4, 5}}};
	uint8_t buffer[ROOM];
	struct writer w = writer_of(buffer, sizeof(buffer));
	struct store_target out;
	uint32_t count = 0;

	store_encode_count(&w, ARRAY_SIZE(rows));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const size_t before = writer_used(&w);
		store_encode_target(&w, &rows[i]);
		CU_ASSERT(writer_used(&w) - before <= STORE_TARGET_MAX);
	}
	struct reader r = reader_of(writer_span(&w));
	CU_ASSERT(store_decode_count(&r, &count) == ERR_NONE && count == ARRAY_SIZE(rows));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CU_ASSERT(store_decode_target(&r, &out) == ERR_NONE);
		CU_ASSERT(out.session == rows[i].session && out.qos == rows[i].qos);
		CU_ASSERT(out.retain == rows[i].retain);
		CU_ASSERT(out.identifier_count == rows[i].identifier_count);
		CU_ASSERT(
			memcmp(out.identifiers, rows[i].identifiers, sizeof(out.identifiers)) == 0);
	}
	CU_ASSERT(reader_left(&r) == 0);
	CU_ASSERT(store_decode_target(&r, &out) == ERR_TRUNCATED);
}

static void targets_that_cannot_be_are_refused(void)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum err err;
	} rows[] = {{7, 0, ERR_SLOT_BAD}, {8, 0, ERR_SLOT_BAD}, {8, 3, ERR_SLOT_BAD},
		{9, 2, ERR_SLOT_BAD}, {10, STORE_IDENTIFIERS_MAX + 1, ERR_SLOT_BAD},
		{10, 255, ERR_SLOT_BAD}, {10, 2, ERR_TRUNCATED}, {10, 1, ERR_NONE}};
	const struct store_target good = {
		.session = 1, .qos = 1, .identifier_count = 1, .identifiers = {7}};
	uint8_t buffer[STORE_TARGET_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct writer w = writer_of(buffer, sizeof(buffer));
		struct store_target out;
		store_encode_target(&w, &good);
		buffer[rows[i].at] = rows[i].value;
		struct reader r = reader_of(writer_span(&w));
		CU_ASSERT(store_decode_target(&r, &out) == rows[i].err);
	}
	for (size_t size = 0; size < 15; size++) {
		struct reader r = reader_of((struct span){buffer, size});
		struct store_target out;
		CU_ASSERT(store_decode_target(&r, &out) == ERR_TRUNCATED);
	}
	struct reader r = reader_of((struct span){buffer, 3});
	uint32_t count;
	CU_ASSERT(store_decode_count(&r, &count) == ERR_TRUNCATED);
}

/* Random parcels come back; random damage is refused or means what it says. */
static void random_parcels_come_back(void)
{
	struct rng rng = rng_from(unit_seed());
	uint8_t text[64], buffer[ROOM], again[ROOM];

	for (int i = 0; i < RANDOM_RUNS; i++) {
		struct parcel p = {.born_ms = rng_next(&rng),
			.expiry_s = rng_below(&rng, 1000),
			.qos = (uint8_t)rng_below(&rng, 3),
			.priority = (uint8_t)rng_below(&rng, 256),
			.retain = rng_below(&rng, 2) != 0};
		struct span *const spans[] = {&p.topic, &p.content_type, &p.reply_to,
			&p.correlation, &p.user, &p.payload};
		struct parcel out;
		for (size_t k = 0; k < ARRAY_SIZE(spans); k++)
			*spans[k] = (struct span){text, rng_below(&rng, sizeof(text))};
		for (size_t k = 0; k < sizeof(text); k++)
			text[k] = (uint8_t)rng_next(&rng);
		p.payload_size = (uint32_t)p.payload.size;
		const struct span whole = encode(buffer, sizeof(buffer), &p);
		CU_ASSERT(parcel_decode(whole, &out) == ERR_NONE);
		check_same(&p, &out);
		buffer[rng_below(&rng, (uint32_t)whole.size)] ^=
			(uint8_t)(1u << rng_below(&rng, 8));
		if (parcel_decode(whole, &out) == ERR_NONE)
			CU_ASSERT(span_equal(encode(again, sizeof(again), &out), whole));
	}
}

static const struct unit_test tests[] = {
	{"the_layout_is_what_it_was", the_layout_is_what_it_was},
	{"what_is_encoded_is_decoded", what_is_encoded_is_decoded},
	{"the_largest_sizes_fit", the_largest_sizes_fit},
	{"a_prefix_is_truncated_and_a_suffix_is_left_over",
		a_prefix_is_truncated_and_a_suffix_is_left_over},
	{"a_head_needs_no_payload", a_head_needs_no_payload},
	{"what_cannot_be_is_refused", what_cannot_be_is_refused},
	{"sizes_that_lie_are_found_out", sizes_that_lie_are_found_out},
	{"targets_are_encoded_and_decoded", targets_are_encoded_and_decoded},
	{"targets_that_cannot_be_are_refused", targets_that_cannot_be_are_refused},
	{"random_parcels_come_back", random_parcels_come_back},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("parcel", tests, argc, argv);
}
