/* utf8.c - well-formed UTF-8, by the table of RFC 3629 section 4. Not here: which
 * well-formed strings a protocol allows. */
#include "dataplane/codec/utf8.h"

#define EACH_BYTE(b) (0x0101010101010101u * (uint64_t)(b))

static inline uint64_t load8(const uint8_t *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof(word));
	return word;
}

/* Is some byte of the word 0 or above 0x7f? Exact: 0x01..0x7f minus one neither borrows nor gets
 * a top bit. */
static inline bool has_odd_byte(uint64_t word)
{
	return (((word - EACH_BYTE(0x01)) | word) & EACH_BYTE(0x80)) != 0;
}

/* Only 0x01..0x7f: what nearly every topic is. Eight bytes at a time, the last eight overlapping,
 * so that nothing past the end is touched. */
static bool is_plain_ascii(struct span s)
{
	if (s.size < sizeof(uint64_t)) {
		for (size_t i = 0; i < s.size; i++)
			if (s.at[i] == 0 || s.at[i] > 0x7f)
				return false;
		return true;
	}
	for (size_t i = 0; i + sizeof(uint64_t) <= s.size; i += sizeof(uint64_t))
		if (has_odd_byte(load8(s.at + i)))
			return false;
	return !has_odd_byte(load8(s.at + s.size - sizeof(uint64_t)));
}

/* Bytes of the multi-byte character at `at`; 0 when it is ill-formed. RFC 3629 section 4: the
 * range of the second byte is what keeps out overlong forms, surrogates and U+110000. */
static size_t character_size(const uint8_t *at, size_t left)
{
	const uint8_t lead = at[0];
	uint8_t low = 0x80;
	uint8_t high = 0xbf;
	size_t size = 0;

	if (lead >= 0xc2 && lead <= 0xdf) {
		size = 2;
	} else if (lead >= 0xe0 && lead <= 0xef) {
		size = 3;
		low = lead == 0xe0 ? 0xa0 : low;
		high = lead == 0xed ? 0x9f : high;
	} else if (lead >= 0xf0 && lead <= 0xf4) {
		size = 4;
		low = lead == 0xf0 ? 0x90 : low;
		high = lead == 0xf4 ? 0x8f : high;
	}
	if (size == 0 || left < size || at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

bool utf8_valid(struct span s, bool nul_ok)
{
	size_t i = 0;

	if (is_plain_ascii(s))
		return true;
	while (i < s.size) {
		if (s.size - i >= sizeof(uint64_t) && !has_odd_byte(load8(s.at + i))) {
			i += sizeof(uint64_t);
		} else if (s.at[i] < 0x80) {
			if (s.at[i] == 0 && !nul_ok)
				return false;
			i++;
		} else {
			const size_t size = character_size(s.at + i, s.size - i);
			if (size == 0)
				return false;
			i += size;
		}
	}
	return true;
}
