/* tcp_seq.h - sequence numbers: 32 bits that wrap (RFC 9293 3.4).
 *
 * a < b means that b lies less than 2^31 ahead of a. Also used for timestamps (RFC 7323 5.2). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline bool seq_gt(uint32_t a, uint32_t b)
{
	return seq_lt(b, a);
}

static inline bool seq_ge(uint32_t a, uint32_t b)
{
	return seq_le(b, a);
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? b : a;
}

static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? a : b;
}

/* start <= s < start + size */
static inline bool seq_in(uint32_t s, uint32_t start, uint32_t size)
{
	return s - start < size;
}
