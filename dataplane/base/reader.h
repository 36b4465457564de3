/* reader.h - reads fields from a span, in network order, with a sticky error.
 *
 * The first overrun sets `bad` and every later read yields zero or an empty
 * span, so a decoder reads straight on and asks once at the end. */
#pragma once
#include "dataplane/base/span.h"

struct reader {
	const uint8_t *at;
	const uint8_t *end;
	bool bad; /* something was read past the end */
};

static inline struct reader reader_of(struct span s)
{
	return (struct reader){s.at, s.size == 0 ? s.at : s.at + s.size, false};
}

static inline size_t reader_left(const struct reader *r)
{
	return (size_t)(r->end - r->at);
}

static inline struct span read_bytes(struct reader *r, size_t n)
{
	if (r->bad || reader_left(r) < n) {
		r->bad = true;
		return (struct span){r->at, 0};
	}
	struct span out = {r->at, n};
	if (n != 0)
		r->at += n;
	return out;
}

static inline uint8_t read_u8(struct reader *r)
{
	struct span b = read_bytes(r, 1);
	return b.size == 0 ? 0 : b.at[0];
}

static inline uint16_t read_u16(struct reader *r)
{
	struct span b = read_bytes(r, 2);
	return b.size == 0 ? 0 : (uint16_t)(b.at[0] << 8 | b.at[1]);
}

static inline uint32_t read_u32(struct reader *r)
{
	struct span b = read_bytes(r, 4);
	return b.size == 0 ? 0
			   : (uint32_t)b.at[0] << 24 | (uint32_t)b.at[1] << 16 |
				     (uint32_t)b.at[2] << 8 | b.at[3];
}

static inline uint64_t read_u64(struct reader *r)
{
	const uint64_t high = read_u32(r);

	return high << 32 | read_u32(r);
}
