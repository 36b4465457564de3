/* hex.h - bytes written as text, for the tests: "10 0d 'MQTT' 04" is six bytes.
 *
 * Two hex digits make a byte, what stands between '' is taken as it is, blanks
 * separate. Test code: a typing mistake ends the program. */
#pragma once
#include "dataplane/base/assert.h"
#include "dataplane/base/span.h"

#include <ctype.h>

static inline uint8_t hex_digit(char c)
{
	ASSERT(isxdigit((unsigned char)c));
	return (uint8_t)(isdigit((unsigned char)c) ? c - '0'
						   : tolower((unsigned char)c) - 'a' + 10);
}

/* Fills `bytes` from the text; answers what was filled. */
static inline struct span hex_read(const char *text, uint8_t *bytes, size_t size_max)
{
	size_t n = 0;

	while (*text != '\0') {
		ASSERT(n < size_max);
		if (*text == ' ') {
			text++;
		} else if (*text == '\'') {
			for (text++; *text != '\''; text++) {
				ASSERT(*text != '\0' && n < size_max);
				bytes[n++] = (uint8_t)*text;
			}
			text++;
		} else {
			bytes[n++] = (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
			text += 2;
		}
	}
	return span_of(bytes, n);
}
