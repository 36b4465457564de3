/* idmap.h - finds objects of a pool by a 64-bit key.
 *
 * Beside the pool: an object's index there is its place here, so the table is
 * never full. Chained; memory is the caller's and taken at start. Keys are made
 * of numbers that we gave out and of few bits that a peer chose: no secret.
 * One thread. Not here: the objects (pool.h). */
#pragma once
#include "dataplane/base/pool.h"

struct idmap {
	uint64_t *keys;  /* by index */
	uint32_t *next;  /* by index; the chain of a bucket */
	uint32_t *heads; /* by bucket */
	uint32_t shift;  /* 64 less the bits of a bucket's number */
};

size_t idmap_bytes(uint32_t count);
enum { IDMAP_ENTRY_BYTES = 20 }; /* of these for one index, if all are used: at most two heads */
void idmap_init(struct idmap *m, void *memory, uint32_t count); /* memory: aligned to 8 bytes */
/* The key must not be in the map; the index neither. */
void idmap_set(struct idmap *m, uint64_t key, uint32_t index);
uint32_t idmap_find(const struct idmap *m, uint64_t key); /* POOL_NONE: not here */
void idmap_drop(struct idmap *m, uint64_t key);           /* must be here */
