/* pool.h - equal objects in the caller's memory, by 32-bit index.
 *
 * All memory is taken at start. An index is small, survives relocation and can
 * be checked; POOL_NONE means none. `pool_get` answering POOL_NONE is a normal
 * answer: shed load and count it. One thread. Freed objects are poisoned in
 * ASan builds. */
#pragma once
#include "dataplane/base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POOL_NONE = UINT32_MAX };

struct pool {
	uint8_t *objects;
	uint32_t *next; /* free list; POOL_TAKEN marks an object in use */
	uint32_t free;  /* head of the free list */
	uint32_t count; /* objects in all */
	uint32_t out;   /* objects in use */
	size_t size;    /* bytes of one object */
};

/* Bytes of memory that pool_init wants for `count` objects of `size` bytes. */
size_t pool_bytes(uint32_t count, size_t size);
void pool_init(struct pool *p, void *memory, uint32_t count, size_t size);
MUST_USE uint32_t pool_get(struct pool *p); /* contents: undefined */
void pool_put(struct pool *p, uint32_t index);
void *pool_at(const struct pool *p, uint32_t index);   /* asserts that it is in use */
bool pool_taken(const struct pool *p, uint32_t index); /* is it in use? index < count */
static inline size_t pool_used(const struct pool *p)   /* bytes, places in the free list included */
{
	return p->out * (p->size + sizeof(*p->next));
}
