/* schema_fuzz.c - decoders of the store over any bytes; what they take is encoded to the same.
 *
 * Input: u8 which, u8 size of a key, the key, a value. Chance finds no checksum, so the value is
 * tried as it is, and once more as the content of one that is sealed here. */
#include "dataplane/base/assert.h"
#include "storage/schema/schema.h"

enum { ROOM = 1 << 17 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_key(struct span in)
{
	static uint8_t bytes[ROOM];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct schema_key k;

	if (schema_key_decode(in, &k) != ERR_NONE)
		return;
	schema_key_encode(&w, &k);
	ASSERT(!w.bad);
	ASSERT(span_equal(writer_span(&w), in));
	w = writer_of(bytes, sizeof(bytes));
	schema_key_encode_prefix(&w, &k);
	ASSERT(writer_used(&w) <= in.size);
	ASSERT(memcmp(bytes, in.at, writer_used(&w)) == 0);
}

static void try_session(struct span value, struct span key)
{
	static uint8_t bytes[ROOM];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct schema_session s;

	if (schema_decode_session(value, key, &s) != ERR_NONE)
		return;
	schema_encode_session(&w, key, &s);
	ASSERT(span_equal(writer_span(&w), value));
}

static void try_reference(struct span value, struct span key)
{
	uint8_t bytes[SCHEMA_REFERENCE_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct schema_reference r;

	if (schema_decode_reference(value, key, &r) != ERR_NONE)
		return;
	schema_encode_reference(&w, key, &r);
	ASSERT(span_equal(writer_span(&w), value));
}

/* Chance finds no check behind a reference: one that is made of the input is taken back as it was.
 */
static void make_reference(struct span value, struct span key)
{
	struct reader in = reader_of(value);
	const uint8_t bits = read_u8(&in), count = read_u8(&in) % (SCHEMA_IDENTIFIERS_MAX + 1);
	const uint64_t body = read_u64(&in) & SCHEMA_BODY_ID_MAX, size = read_u32(&in);
	struct schema_reference r = {.body = body,
		.qos = 1 + (bits & 1),
		.size_class = schema_size_class(size),
		.retain = (bits & 2) != 0,
		.received = (bits & 4) != 0,
		.sole = (bits & 8) != 0,
		.identifier_count = count};
	uint8_t bytes[SCHEMA_REFERENCE_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	ASSERT(schema_class_bytes(r.size_class) >= size);
	for (uint32_t i = 0; i < count; i++)
		r.identifiers[i] = read_u32(&in);
	schema_encode_reference(&w, key, &r);
	ASSERT(!w.bad);
	try_reference(writer_span(&w), key);
}

/* The small ones: what is taken is encoded to the same. */
static enum err try_small(uint8_t which, struct span value, struct span key)
{
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct schema_meta meta;
	struct schema_mark mark;
	struct schema_options options;
	uint64_t number;
	enum err e;

	if (which == 2) {
		e = schema_decode_meta(value, key, &meta);
		if (e == ERR_NONE)
			schema_encode_meta(&w, key, &meta);
	} else if (which == 3) {
		e = schema_decode_mark(value, key, &mark);
		if (e == ERR_NONE)
			schema_encode_mark(&w, key, &mark);
	} else if (which == 4) {
		e = schema_decode_options(value, key, &options);
		if (e == ERR_NONE)
			schema_encode_options(&w, key, &options);
	} else {
		e = schema_decode_number(value, key, &number);
		if (e == ERR_NONE)
			schema_encode_number(&w, key, number);
	}
	ASSERT(e != ERR_NONE || span_equal(writer_span(&w), value));
	return e;
}

static enum err try_open(struct span value, struct span key)
{
	uint8_t bytes[SCHEMA_HEAD];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct span content;
	const enum err e = schema_open(value, key, &content);

	ASSERT(e != ERR_NONE || content.size + SCHEMA_HEAD == value.size);
	schema_encode_nothing(&w, key);
	ASSERT(e != ERR_NONE || content.size != 0 || span_equal(writer_span(&w), value));
	return e;
}

static void try_value(uint8_t which, struct span value, struct span key)
{
	enum err e = ERR_NONE;

	which %= 7;
	if (which == 0)
		try_session(value, key);
	else if (which == 1)
		try_reference(value, key);
	else
		e = which < 6 ? try_small(which, value, key) : try_open(value, key);
	ASSERT(e == ERR_NONE || e == ERR_STORAGE_CORRUPT || e == ERR_STORAGE_VERSION);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t sealed[ROOM];
	struct reader r = reader_of((struct span){data, size});
	const uint8_t which = read_u8(&r);
	const struct span key = read_bytes(&r, read_u8(&r));
	const struct span value = read_bytes(&r, reader_left(&r));

	try_key(key);
	try_key((struct span){data, size});
	try_value(which, value, key);
	make_reference(value, key);
	if (value.size > sizeof(sealed) - SCHEMA_HEAD)
		return 0;
	if (value.size > 0)
		memcpy(sealed + SCHEMA_HEAD, value.at, value.size);
	schema_seal(sealed, key, value);
	try_value(which, span_of(sealed, SCHEMA_HEAD + value.size), key);
	return 0;
}
