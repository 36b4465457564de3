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

static void try_value(uint8_t which, struct span value, struct span key)
{
	struct schema_meta meta;
	struct schema_mark mark;
	struct schema_options options;
	struct span content;
	uint64_t number;
	enum err e = ERR_NONE;

	switch (which % 7) {
	case 0:
		try_session(value, key);
		break;
	case 1:
		try_reference(value, key);
		break;
	case 2:
		e = schema_decode_meta(value, key, &meta);
		break;
	case 3:
		e = schema_decode_mark(value, key, &mark);
		break;
	case 4:
		e = schema_decode_options(value, key, &options);
		break;
	case 5:
		e = schema_decode_number(value, key, &number);
		break;
	default:
		e = schema_open(value, key, &content);
		ASSERT(e != ERR_NONE || content.size + SCHEMA_HEAD == value.size);
	}
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
	if (value.size > sizeof(sealed) - SCHEMA_HEAD)
		return 0;
	if (value.size > 0)
		memcpy(sealed + SCHEMA_HEAD, value.at, value.size);
	schema_seal(sealed, key, value);
	try_value(which, span_of(sealed, SCHEMA_HEAD + value.size), key);
	return 0;
}
