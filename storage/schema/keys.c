/* keys.c - keys to bytes and back. See schema.h. */
#include "dataplane/base/assert.h"
#include "storage/schema/schema.h"

/* What a key is made of, behind its kind. */
enum part { NO_PART, ID, SMALL, NUMBER, TEXT, DUE };
enum { PARTS = 3 };

static const struct layout {
	uint8_t kind, parts[PARTS];
} layouts[] = {
	{'M', {NO_PART}},
	{'W', {SMALL}},
	{'X', {SMALL, NUMBER}},
	{'I', {TEXT}},
	{'S', {ID}},
	{'C', {ID}},
	{'G', {ID}},
	{'F', {ID, TEXT}},
	{'Q', {ID, NUMBER}},
	{'P', {ID, SMALL}},
	{'B', {ID}},
	{'R', {ID, NUMBER}},
	{'L', {ID}},
	{'D', {NUMBER, DUE, ID}},
	{'T', {TEXT}},
};

static const struct layout *layout_of(uint8_t kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++)
		if (layouts[i].kind == kind)
			return &layouts[i];
	return NULL;
}

static void encode_part(struct writer *w, const struct schema_key *k, uint8_t part)
{
	switch ((enum part)part) {
	case ID:
		write_u64(w, k->id);
		break;
	case SMALL:
		write_u16(w, k->small);
		break;
	case NUMBER:
		write_u64(w, k->number);
		break;
	case TEXT:
		write_bytes(w, k->text);
		break;
	case DUE:
		write_u8(w, k->due);
		break;
	case NO_PART:
		break;
	}
}

static void encode(struct writer *w, const struct schema_key *k, size_t parts)
{
	const struct layout *l = layout_of(k->kind);

	ASSERT(l != NULL);
	write_u8(w, k->kind);
	for (size_t i = 0; i < parts; i++)
		encode_part(w, k, l->parts[i]);
}

void schema_key_encode(struct writer *w, const struct schema_key *k)
{
	encode(w, k, PARTS);
}

void schema_key_encode_prefix(struct writer *w, const struct schema_key *k)
{
	encode(w, k, 1);
}

static void decode_part(struct reader *r, struct schema_key *k, uint8_t part)
{
	switch ((enum part)part) {
	case ID:
		k->id = read_u64(r);
		break;
	case SMALL:
		k->small = read_u16(r);
		break;
	case NUMBER:
		k->number = read_u64(r);
		break;
	case TEXT:
		k->text = read_bytes(r, reader_left(r));
		break;
	case DUE:
		k->due = read_u8(r);
		break;
	case NO_PART:
		break;
	}
}

enum err schema_key_decode(struct span in, struct schema_key *out)
{
	struct reader r = reader_of(in);

	*out = (struct schema_key){.kind = read_u8(&r)};
	const struct layout *l = layout_of(out->kind);
	if (r.bad || l == NULL)
		return ERR_STORAGE_CORRUPT;
	for (size_t i = 0; i < PARTS; i++)
		decode_part(&r, out, l->parts[i]);
	if (r.bad || reader_left(&r) != 0 || out->text.size > SCHEMA_TEXT_MAX)
		return ERR_STORAGE_CORRUPT;
	if (out->kind == 'D' && out->due != SCHEMA_DUE_EXPIRY && out->due != SCHEMA_DUE_WILL)
		return ERR_STORAGE_CORRUPT;
	return ERR_NONE;
}

enum { CLASS_UNIT = 16, MANTISSA = 8 };

uint8_t schema_size_class(uint64_t bytes)
{
	uint64_t units = (bytes + CLASS_UNIT - 1) / CLASS_UNIT;
	unsigned exponent = 0;

	if (units < MANTISSA)
		return (uint8_t)units;
	while (units >= 2 * MANTISSA) {
		units = (units + 1) / 2;
		exponent++;
	}
	const uint64_t size_class = MANTISSA + exponent * MANTISSA + (units - MANTISSA);
	return size_class > UINT8_MAX ? UINT8_MAX : (uint8_t)size_class;
}

uint64_t schema_class_bytes(uint8_t size_class)
{
	if (size_class < MANTISSA)
		return (uint64_t)size_class * CLASS_UNIT;
	const unsigned exponent = (size_class - MANTISSA) / MANTISSA;
	const uint64_t mantissa = MANTISSA + (size_class - MANTISSA) % MANTISSA;
	return (mantissa << exponent) * CLASS_UNIT;
}
