/* text.c - see text.h. */
#include "controlplane/link/text.h"

/* Bytes behind a lead byte, and the range of the first of them: it keeps out overlong forms,
 * surrogates and what lies above U+10FFFF. Size 0: no lead byte. */
struct lead {
	uint8_t more, low, high;
};

static struct lead lead_of(uint8_t byte)
{
	if (byte >= 0xc2 && byte <= 0xdf)
		return (struct lead){1, 0x80, 0xbf};
	if (byte >= 0xe0 && byte <= 0xef)
		return (struct lead){2, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf};
	if (byte >= 0xf0 && byte <= 0xf4)
		return (struct lead){3, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf};
	return (struct lead){0, 0, 0};
}

/* Bytes of the character at the start of s, which is not empty; 0: ill-formed, or U+0000. */
static size_t character_size(struct span s)
{
	if (s.at[0] < 0x80)
		return s.at[0] != 0;
	const struct lead lead = lead_of(s.at[0]);
	if (lead.more == 0 || s.size <= lead.more)
		return 0;
	if (s.at[1] < lead.low || s.at[1] > lead.high)
		return 0;
	for (size_t i = 2; i <= lead.more; i++)
		if ((s.at[i] & 0xc0) != 0x80)
			return 0;
	return 1 + (size_t)lead.more;
}

bool text_is_string(struct span s)
{
	if (s.size > TEXT_MAX)
		return false;
	while (s.size > 0) {
		const size_t size = character_size(s);
		if (size == 0)
			return false;
		s = span_skip(s, size);
	}
	return true;
}

bool text_is_filter(struct span s)
{
	return s.size != 0 && text_is_string(s);
}

bool text_is_topic(struct span s)
{
	if (!text_is_filter(s))
		return false;
	return memchr(s.at, '+', s.size) == NULL && memchr(s.at, '#', s.size) == NULL;
}
