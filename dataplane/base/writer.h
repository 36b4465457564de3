/* writer.h - writes fields into a caller's buffer, in network order, with a sticky error.
 *
 * The first write that does not fit sets `bad` and later ones do nothing; ask
 * once at the end. */
#pragma once
#include "dataplane/base/span.h"

struct writer {
	uint8_t *start;
	uint8_t *at;
	uint8_t *end;
	bool bad; /* something did not fit */
};

static inline struct writer writer_of(void *buffer, size_t size)
{
	uint8_t *b = (uint8_t *)buffer;
	return (struct writer){b, b, size == 0 ? b : b + size, false};
}

static inline size_t writer_used(const struct writer *w)
{
	return (size_t)(w->at - w->start);
}

static inline struct span writer_span(const struct writer *w)
{
	return (struct span){w->start, writer_used(w)};
}

static inline void write_bytes(struct writer *w, struct span s)
{
	if (w->bad || (size_t)(w->end - w->at) < s.size) {
		w->bad = true;
		return;
	}
	if (s.size == 0)
		return; /* either side may be NULL */
	memcpy(w->at, s.at, s.size);
	w->at += s.size;
}

static inline void write_u8(struct writer *w, uint8_t v)
{
	write_bytes(w, (struct span){&v, 1});
}

static inline void write_u16(struct writer *w, uint16_t v)
{
	const uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
	write_bytes(w, (struct span){b, 2});
}

static inline void write_u32(struct writer *w, uint32_t v)
{
	const uint8_t b[4] = {
		(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
	write_bytes(w, (struct span){b, 4});
}

static inline void write_u64(struct writer *w, uint64_t v)
{
	write_u32(w, (uint32_t)(v >> 32));
	write_u32(w, (uint32_t)v);
}
