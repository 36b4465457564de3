/* span.h - a borrowed run of bytes: where, and how many. Never owns them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *at; /* may be NULL when size is 0 */
	size_t size;       /* bytes */
};

static inline struct span span_of(const void *at, size_t size)
{
	return (struct span){(const uint8_t *)at, size};
}

static inline struct span span_str(const char *text)
{
	return span_of(text, strlen(text));
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

/* Below, at or above 0: as unsigned bytes, a prefix before what it begins. */
static inline int span_compare(struct span a, struct span b)
{
	const size_t common = a.size < b.size ? a.size : b.size;
	const int order = common == 0 ? 0 : memcmp(a.at, b.at, common);

	return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* The bytes after the first n; n must not exceed the size. */
static inline struct span span_skip(struct span s, size_t n)
{
	return (struct span){n == 0 ? s.at : s.at + n, s.size - n};
}
