/* utf8_test.c - well-formed and ill-formed strings, each at every alignment of the fast path. */
#include "dataplane/codec/utf8.h"

#include "dataplane/base/attr.h"
#include "dataplane/codec/hex.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

struct row {
	const char *hex;
	bool valid;
	const char *why;
};

static const struct row rows[] = {
	{"", true, "empty"},
	{"'a'", true, "ASCII"},
	{"7f", true, "the last of one byte"},
	{"c2 80", true, "the first of two bytes"},
	{"df bf", true, "the last of two bytes"},
	{"e0 a0 80", true, "the first of three bytes"},
	{"ed 9f bf", true, "the last before the surrogates"},
	{"ee 80 80", true, "the first after the surrogates"},
	{"ef bf bf", true, "U+FFFF, a non-character, may be sent"},
	{"ef bb bf", true, "U+FEFF is no byte order mark, [MQTT-1.5.4-3]"},
	{"f0 90 80 80", true, "the first of four bytes"},
	{"f0 aa 9b 94", true, "U+2A6D4, the example of 1.5.4"},
	{"f4 8f bf bf", true, "U+10FFFF"},
	{"80", false, "a continuation alone"},
	{"bf", false, "a continuation alone"},
	{"c0 80", false, "overlong NUL"},
	{"c1 bf", false, "overlong two bytes"},
	{"c2", false, "cut short"},
	{"c2 'a'", false, "continuation missing"},
	{"c2 c2 80", false, "a lead where a continuation belongs"},
	{"e0 9f bf", false, "overlong three bytes"},
	{"e0 a0", false, "cut short"},
	{"e1 80 'a'", false, "third byte missing"},
	{"e1 'a' 80", false, "second byte missing"},
	{"ed a0 80", false, "U+D800, [MQTT-1.5.4-1]"},
	{"ed bf bf", false, "U+DFFF, [MQTT-1.5.4-1]"},
	{"ed a0 bd ed b8 80", false, "a surrogate pair"},
	{"f0 8f bf bf", false, "overlong four bytes"},
	{"f0 90 80", false, "cut short"},
	{"f0 90 80 c0", false, "fourth byte missing"},
	{"f4 90 80 80", false, "U+110000"},
	{"f5 80 80 80", false, "beyond U+13FFFF"},
	{"f8 88 80 80 80", false, "five bytes"},
	{"fe", false, "never a lead"},
	{"ff", false, "never a lead"},
};

/* The string with `before` and `after` letters around it, on the heap at its exact size. */
static bool valid_between(struct span s, size_t before, size_t after, bool nul_ok)
{
	const size_t size = before + s.size + after;
	uint8_t *copy = malloc(size + (size == 0));

	memset(copy, 'x', size);
	if (s.size != 0)
		memcpy(copy + before, s.at, s.size);
	const bool valid = utf8_valid(span_of(copy, size), nul_ok);
	free(copy);
	return valid;
}

static void judges_every_row_at_every_place(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t bytes[16];
		const struct span s = hex_read(rows[i].hex, bytes, sizeof(bytes));
		for (size_t before = 0; before < 18; before++)
			for (size_t after = 0; after < 18; after++)
				if (valid_between(s, before, after, false) != rows[i].valid)
					CU_FAIL_FATAL(rows[i].why);
	}
}

static void nul_is_asked_for(void)
{
	const struct span nul = span_of("", 1);

	for (size_t before = 0; before < 18; before++)
		for (size_t after = 0; after < 18; after++) {
			CU_ASSERT(!valid_between(nul, before, after, false));
			CU_ASSERT(valid_between(nul, before, after, true));
		}
}

/* RFC 3629 section 3, from the number to the bytes: the other way round than the code. */
static size_t encode(uint32_t point, uint8_t *out)
{
	if (point < 0x80) {
		out[0] = (uint8_t)point;
		return 1;
	}
	const size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	for (size_t i = size - 1; i > 0; i--, point >>= 6)
		out[i] = (uint8_t)(0x80 | (point & 0x3f));
	out[0] = (uint8_t)(0xf00 >> size | point);
	return size;
}

static void every_code_point(void)
{
	uint8_t bytes[4];
	size_t wrong = 0;

	for (uint32_t point = 1; point < 0x120000; point++) {
		const bool good = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
		wrong += utf8_valid(span_of(bytes, encode(point, bytes)), false) != good;
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* Of all two byte strings these are well-formed: 127 x 127 of ASCII, 30 leads x 64. */
static void every_pair_of_bytes(void)
{
	size_t valid = 0;

	for (unsigned int i = 0; i < 0x10000; i++) {
		const uint8_t bytes[2] = {(uint8_t)(i >> 8), (uint8_t)i};
		valid += utf8_valid(span_of(bytes, 2), false);
	}
	CU_ASSERT_EQUAL(valid, 127 * 127 + 30 * 64);
}

static const struct unit_test tests[] = {
	{"judges_every_row_at_every_place", judges_every_row_at_every_place},
	{"nul_is_asked_for", nul_is_asked_for},
	{"every_code_point", every_code_point},
	{"every_pair_of_bytes", every_pair_of_bytes},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("utf8", tests, argc, argv);
}
