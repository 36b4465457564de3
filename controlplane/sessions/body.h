/* body.h - bytes that several things lend out: bodies of messages, filters; and a cache of bodies.
 *
 * A body is a stored value: head (schema.h) and content. The cache holds the
 * latest ones, by count and bytes, so that what is delivered at once is not
 * read from the store. Reference counted; one thread. */
#pragma once
#include "dataplane/base/attr.h"
#include "storage/schema/schema.h"

struct body {
	uint32_t refs;
	size_t size;     /* of the value: head and content */
	uint8_t bytes[]; /* the value */
};

MUST_USE struct body *body_create(size_t content_size); /* NULL: no memory */
struct body *body_ref(struct body *b);
void body_put(struct body **b); /* NULL inside is nothing */

static inline struct span body_content(const struct body *b)
{
	return span_of(b->bytes + SCHEMA_HEAD, b->size - SCHEMA_HEAD);
}

enum { BODIES_MAX = 1 << 14, BODIES_BYTES_MAX = 64 << 20 };

/* Ids are given in order, so the oldest goes first. */
struct bodies {
	struct body *slots[BODIES_MAX];
	uint64_t first, end; /* ids that may be here */
	size_t bytes;
};

void bodies_add(struct bodies *c, uint64_t id, struct body *b); /* takes a reference of its own */
struct body *bodies_find(const struct bodies *c, uint64_t id);  /* borrowed; NULL: not here */
void bodies_remove(struct bodies *c, uint64_t id);
void bodies_fini(struct bodies *c);
