/* schema_test.c - keys and values there and back, in order, and whatever is wrong with them. */
#include "dataplane/base/rng.h"
#include "storage/schema/schema.h"
#include "tests/unit/unit.h"

enum { ROOM = 256 };

static const struct schema_key keys[] = {
	{.kind = 'B', .id = 1},
	{.kind = 'B', .id = 256},
	{.kind = 'C', .id = 7},
	{.kind = 'D', .due = SCHEMA_DUE_EXPIRY, .number = 5, .id = 9},
	{.kind = 'D', .due = SCHEMA_DUE_WILL, .number = 5, .id = 1},
	{.kind = 'D', .due = SCHEMA_DUE_EXPIRY, .number = 1000, .id = 1},
	{.kind = 'F', .id = 7, .text = {(const uint8_t *)"a/+", 3}},
	{.kind = 'F', .id = 7, .text = {(const uint8_t *)"b", 1}},
	{.kind = 'F', .id = 8, .text = {(const uint8_t *)"a", 1}},
	{.kind = 'G', .id = UINT64_MAX},
	{.kind = 'I', .text = {(const uint8_t *)"client", 6}},
	{.kind = 'L', .id = 3},
	{.kind = 'M'},
	{.kind = 'P', .id = 7, .small = 1},
	{.kind = 'P', .id = 7, .small = 65535},
	{.kind = 'Q', .id = 7, .number = 255},
	{.kind = 'Q', .id = 7, .number = 256},
	{.kind = 'R', .id = 1, .number = 7},
	{.kind = 'S', .id = 7},
	{.kind = 'T', .text = {(const uint8_t *)"a/b", 3}},
	{.kind = 'W', .small = 3},
	{.kind = 'X', .small = 3, .number = 17},
};

static struct span key_bytes(const struct schema_key *k, uint8_t to[ROOM])
{
	struct writer w = writer_of(to, ROOM);

	schema_key_encode(&w, k);
	CU_ASSERT(!w.bad);
	return writer_span(&w);
}

static bool key_equal(const struct schema_key *a, const struct schema_key *b)
{
	return a->kind == b->kind && a->due == b->due && a->small == b->small && a->id == b->id &&
	       a->number == b->number && span_equal(a->text, b->text);
}

static void keys_come_back(void)
{
	uint8_t bytes[ROOM];
	struct schema_key out;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct span s = key_bytes(&keys[i], bytes);
		CU_ASSERT(schema_key_decode(s, &out) == ERR_NONE);
		CU_ASSERT(key_equal(&out, &keys[i]));
		/* Those that end with a text have no wrong length. */
		if (keys[i].text.size > 0)
			continue;
		const struct span less = {s.at, s.size - 1}, more = {s.at, s.size + 1};
		CU_ASSERT(schema_key_decode(less, &out) == ERR_STORAGE_CORRUPT);
		CU_ASSERT(schema_key_decode(more, &out) == ERR_STORAGE_CORRUPT);
	}
}

static void bad_keys_are_refused(void)
{
	uint8_t due[18] = {'D', [8] = 1, [9] = 3, [17] = 1};
	struct schema_key out;

	CU_ASSERT(schema_key_decode(span_of("", 0), &out) == ERR_STORAGE_CORRUPT);
	CU_ASSERT(schema_key_decode(span_str("z"), &out) == ERR_STORAGE_CORRUPT);
	CU_ASSERT(schema_key_decode(span_of(due, sizeof(due)), &out) == ERR_STORAGE_CORRUPT);
	due[9] = SCHEMA_DUE_WILL;
	CU_ASSERT(schema_key_decode(span_of(due, sizeof(due)), &out) == ERR_NONE);
}

static void keys_lie_in_the_order_of_their_numbers(void)
{
	uint8_t a[ROOM], b[ROOM];

	for (size_t i = 1; i < ARRAY_SIZE(keys); i++) {
		const struct span x = key_bytes(&keys[i - 1], a), y = key_bytes(&keys[i], b);
		const size_t n = x.size < y.size ? x.size : y.size;
		const int c = memcmp(x.at, y.at, n);
		CU_ASSERT(c < 0 || (c == 0 && x.size < y.size));
	}
}

static void a_prefix_begins_its_keys(void)
{
	uint8_t a[ROOM], b[ROOM];
	struct writer w = writer_of(a, sizeof(a));

	schema_key_encode_prefix(&w, &keys[15]);
	const struct span key = key_bytes(&keys[15], b);
	CU_ASSERT(writer_used(&w) == 9 && memcmp(a, key.at, 9) == 0);
}

static const struct schema_session session = {.client_id = {(const uint8_t *)"anna", 4},
	.expiry_s = 100,
	.will_delay_s = 5,
	.disconnected_ms = 1234567890123,
	.epoch = 1ull << 33,
	.will = 9,
	.will_due_s = 77,
	.entries = 64,
	.sent = 13,
	.connect = {.dataplane = 3, .worker = 1, .index = 17, .generation = 5, .present = true},
	.durable = true,
	.connected = true};

static const struct schema_reference reference = {.body = SCHEMA_BODY_ID_MAX,
	.qos = 2,
	.size_class = 200,
	.retain = true,
	.sole = true,
	.identifier_count = 5,
	.identifiers = {1, 2, 268435455, 4, 5}};

enum value { META, MARK, SESSION, OPTIONS, NUMBER, NOTHING, REFERENCE, VALUES };

static struct span encode(enum value v, struct span key, uint8_t to[ROOM])
{
	const struct schema_meta meta = {1, 2, 3, 8};
	const struct schema_mark mark = {4, 5};
	const struct schema_options options = {6, 1, 13};
	struct writer w = writer_of(to, ROOM);

	switch (v) {
	case META:
		schema_encode_meta(&w, key, &meta);
		break;
	case MARK:
		schema_encode_mark(&w, key, &mark);
		break;
	case SESSION:
		schema_encode_session(&w, key, &session);
		break;
	case OPTIONS:
		schema_encode_options(&w, key, &options);
		break;
	case NUMBER:
		schema_encode_number(&w, key, 42);
		break;
	case NOTHING:
		schema_encode_nothing(&w, key);
		break;
	case REFERENCE:
		schema_encode_reference(&w, key, &reference);
		break;
	case VALUES:
		break;
	}
	CU_ASSERT(!w.bad);
	return writer_span(&w);
}

static enum err decode(enum value v, struct span value, struct span key)
{
	struct schema_meta meta;
	struct schema_mark mark;
	struct schema_options options;
	struct schema_session s;
	struct schema_reference r;
	struct span content;
	uint64_t number;

	switch (v) {
	case META:
		return schema_decode_meta(value, key, &meta);
	case MARK:
		return schema_decode_mark(value, key, &mark);
	case SESSION:
		return schema_decode_session(value, key, &s);
	case OPTIONS:
		return schema_decode_options(value, key, &options);
	case NUMBER:
		return schema_decode_number(value, key, &number);
	case NOTHING:
		return schema_open(value, key, &content);
	case REFERENCE:
		return schema_decode_reference(value, key, &r);
	case VALUES:
		break;
	}
	return ERR_NONE;
}

static void values_come_back(void)
{
	const struct span key = span_str("a key");
	uint8_t bytes[ROOM];
	struct schema_session s;
	struct schema_reference r;
	struct schema_meta m;
	struct schema_mark k;
	struct schema_options o;

	CU_ASSERT(schema_decode_session(encode(SESSION, key, bytes), key, &s) == ERR_NONE);
	CU_ASSERT(span_equal(s.client_id, session.client_id) && s.expiry_s == 100);
	CU_ASSERT(s.will_delay_s == 5 && s.disconnected_ms == session.disconnected_ms);
	CU_ASSERT(s.epoch == session.epoch && s.will == 9 && s.will_due_s == 77);
	CU_ASSERT(s.entries == 64 && s.sent == 13 && s.durable && s.connected);
	CU_ASSERT(s.connect.dataplane == 3 && s.connect.worker == 1 && s.connect.index == 17);
	CU_ASSERT(s.connect.generation == 5 && s.connect.present);
	const struct span value = encode(REFERENCE, key, bytes);
	CU_ASSERT(value.size == SCHEMA_REFERENCE_MAX);
	CU_ASSERT(schema_decode_reference(value, key, &r) == ERR_NONE);
	CU_ASSERT(r.body == reference.body && r.qos == 2 && r.size_class == 200);
	CU_ASSERT(r.retain && r.sole && !r.received && r.identifier_count == 5);
	CU_ASSERT(memcmp(r.identifiers, reference.identifiers, sizeof(r.identifiers)) == 0);
	CU_ASSERT(schema_decode_meta(encode(META, key, bytes), key, &m) == ERR_NONE);
	CU_ASSERT(m.next_session == 1 && m.next_body == 2 && m.sessions == 3);
	CU_ASSERT(m.dataplane == 8);
	CU_ASSERT(schema_decode_mark(encode(MARK, key, bytes), key, &k) == ERR_NONE);
	CU_ASSERT(k.dp_generation == 4 && k.sequence == 5);
	CU_ASSERT(schema_decode_options(encode(OPTIONS, key, bytes), key, &o) == ERR_NONE);
	CU_ASSERT(o.identifier == 6 && o.qos == 1 && o.flags == 13);
}

/* A bit that flips, a byte that is missing, another key: never served. */
static void every_flipped_bit_is_found(void)
{
	const struct span key = span_str("a key");
	uint8_t bytes[ROOM];

	for (int v = 0; v < VALUES; v++) {
		const struct span value = encode((enum value)v, key, bytes);
		CU_ASSERT(decode((enum value)v, value, key) == ERR_NONE);
		for (size_t bit = 0; bit < 8 * value.size; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			CU_ASSERT(decode((enum value)v, value, key) != ERR_NONE);
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		for (size_t n = 0; n < value.size; n++)
			CU_ASSERT(decode((enum value)v, span_of(value.at, n), key) != ERR_NONE);
		CU_ASSERT(decode((enum value)v, value, span_str("b key")) == ERR_STORAGE_CORRUPT);
	}
}

static void other_versions_are_told_apart(void)
{
	const struct span key = span_str("k");
	uint8_t bytes[ROOM];

	for (int v = 0; v < VALUES; v++) {
		const struct span value = encode((enum value)v, key, bytes);
		bytes[0] = v == REFERENCE ? bytes[0] | 0x80 : SCHEMA_VERSION + 1;
		CU_ASSERT(decode((enum value)v, value, key) == ERR_STORAGE_VERSION);
		if (v == REFERENCE)
			continue;
		bytes[0] = SCHEMA_VERSION - 1;
		CU_ASSERT(decode((enum value)v, value, key) == ERR_STORAGE_VERSION);
		bytes[0] = 0;
		CU_ASSERT(decode((enum value)v, value, key) == ERR_STORAGE_CORRUPT);
	}
}

/* Whole by its checksum, and yet nonsense. */
static void nonsense_is_refused(void)
{
	const struct span key = span_str("k");
	uint8_t bytes[ROOM];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct schema_session nameless = session;
	const struct schema_options options = {.qos = 3};
	struct schema_options o;
	struct schema_session s;

	nameless.client_id.size = 0;
	schema_encode_session(&w, key, &nameless);
	CU_ASSERT(schema_decode_session(writer_span(&w), key, &s) == ERR_STORAGE_CORRUPT);
	w = writer_of(bytes, sizeof(bytes));
	schema_encode_options(&w, key, &options);
	CU_ASSERT(schema_decode_options(writer_span(&w), key, &o) == ERR_STORAGE_CORRUPT);
	/* A value of another kind under that key. */
	w = writer_of(bytes, sizeof(bytes));
	schema_encode_number(&w, key, 1);
	CU_ASSERT(schema_decode_options(writer_span(&w), key, &o) == ERR_STORAGE_CORRUPT);
}

static void sizes_are_rounded_up_by_an_eighth_at_most(void)
{
	struct rng rng = rng_from(unit_seed());

	for (uint64_t size = 0; size < 100000; size++) {
		const uint64_t rounded = schema_class_bytes(schema_size_class(size));
		CU_ASSERT(rounded >= size && rounded <= size + size / 8 + 16);
		CU_ASSERT(schema_size_class(rounded) == schema_size_class(size));
	}
	for (int i = 0; i < 10000; i++) {
		const uint64_t size = rng_next(&rng) >> (24 + rng_below(&rng, 30));
		const uint64_t rounded = schema_class_bytes(schema_size_class(size));
		CU_ASSERT(
			size > 1ull << 36 || (rounded >= size && rounded <= size + size / 8 + 16));
	}
}

static const struct unit_test tests[] = {
	{"keys_come_back", keys_come_back},
	{"bad_keys_are_refused", bad_keys_are_refused},
	{"keys_lie_in_the_order_of_their_numbers", keys_lie_in_the_order_of_their_numbers},
	{"a_prefix_begins_its_keys", a_prefix_begins_its_keys},
	{"values_come_back", values_come_back},
	{"every_flipped_bit_is_found", every_flipped_bit_is_found},
	{"other_versions_are_told_apart", other_versions_are_told_apart},
	{"nonsense_is_refused", nonsense_is_refused},
	{"sizes_are_rounded_up_by_an_eighth_at_most", sizes_are_rounded_up_by_an_eighth_at_most},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("schema", tests, argc, argv);
}
