/* store.h - the filters and their texts, by id, in memory taken once.
 *
 * Texts of 1 to 65535 bytes come and go forever, so a heap of fixed places
 * would fragment. This is a circular log instead: a new filter is written at
 * the head; a cleaner frees the tail, carrying what still lives there to the
 * head. Half as much memory again as the living may need keeps the cleaner
 * ahead at eight units of work for each unit written (the sum is in store.c),
 * so an insertion costs time in proportion to its own text, and is refused
 * only when there are `filters_max` filters or `text_bytes_max` bytes of text.
 * Not here: hashes, shapes, matching. */
#pragma once
#include "dataplane/base/pool.h"
#include "dataplane/base/span.h"

enum { STORE_NONE = UINT32_MAX };

/* As it lies in the log. */
struct filter {
	uint32_t id;    /* STORE_NONE: dead */
	uint32_t hash;  /* under which the index knows it */
	uint32_t shape; /* of shapes.h, or MATCH_EXACT */
	uint16_t size;  /* bytes of text */
	uint16_t extra; /* bytes behind it, aligned to 8: what its engine wants beside the text */
	uint8_t text[];
};

struct store {
	uint8_t *log;
	struct pool where; /* by id: the unit at which the filter lies */
	uint32_t units;    /* of the log */
	uint32_t head;     /* where the next filter goes */
	uint32_t tail;     /* the oldest filter */
	uint32_t used;     /* units from tail to head */
	uint32_t live;     /* of them, units of filters that are alive */
	size_t text_bytes; /* of the living, extra ones included */
	size_t text_bytes_max;
};

size_t store_bytes(uint32_t filters_max, size_t text_bytes_max); /* 0: beyond what it can do */
size_t store_used(const struct store *s); /* living filters, with their places */
/* memory: aligned to 64 bytes. */
void store_init(struct store *s, void *memory, uint32_t filters_max, size_t text_bytes_max);
/* Copies both; the caller fills in hash and shape. STORE_NONE: full. Moves others. */
MUST_USE uint32_t store_add(struct store *s, struct span text, struct span extra);
void store_drop(struct store *s, uint32_t id);
struct filter *store_at(const struct store *s, uint32_t id); /* until the next store_add */
void store_check(const struct store *s);

static inline struct span store_extra(const struct filter *f)
{
	return span_of(f->text + ((f->size + 7u) & ~7u), f->extra);
}

/* store_at in two steps for who looks up several: prefetch the place, then the filter there. */
static inline void store_prefetch_place(const struct store *s, uint32_t id)
{
	__builtin_prefetch(s->where.objects + (size_t)id * sizeof(uint32_t));
}
const struct filter *store_prefetch(const struct store *s, uint32_t id);
