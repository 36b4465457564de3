/* index.h - from a 32-bit hash to the ids that have it: open addressing, linear probing.
 *
 * Eight slots share a cache line and at most half of them are in use, so a
 * lookup touches one line, seldom two; prefetch it with index_prefetch. Removal
 * moves later entries back instead of leaving tombstones, so the cost does not
 * grow with history. Several ids may have one hash: the caller compares what
 * they stand for. The hash must be keyed with a secret: peers choose what is
 * hashed. Memory: the caller's. */
#pragma once
#include "dataplane/base/attr.h"

#include <stddef.h>
#include <stdint.h>

enum { INDEX_NONE = UINT32_MAX };

struct index_slot {
	uint32_t hash;
	uint32_t id; /* INDEX_NONE: empty */
};

struct index {
	struct index_slot *slots;
	uint32_t count; /* slots, at least twice `max` */
	uint32_t used;
	uint32_t max; /* entries */
};

size_t index_bytes(uint32_t entries_max);
/* memory: aligned to 64 bytes. */
void index_init(struct index *ix, void *memory, uint32_t entries_max);
void index_add(struct index *ix, uint32_t hash, uint32_t id);  /* there must be room */
void index_drop(struct index *ix, uint32_t hash, uint32_t id); /* must be there */
void index_check(const struct index *ix);

/* The hash's top bits say where to start, so any number of slots will do. */
static inline uint32_t index_home(const struct index *ix, uint32_t hash)
{
	return (uint32_t)(((uint64_t)hash * ix->count) >> 32);
}

static inline void index_prefetch(const struct index *ix, uint32_t hash)
{
	__builtin_prefetch(&ix->slots[index_home(ix, hash)]);
}

static inline uint32_t index_after(const struct index *ix, uint32_t at)
{
	return at + 1 == ix->count ? 0 : at + 1;
}

/* The next id with that hash from slot *at on, which starts at index_home; INDEX_NONE: no more. */
static inline uint32_t index_next(const struct index *ix, uint32_t hash, uint32_t *at)
{
	for (;;) {
		const struct index_slot slot = ix->slots[*at];
		if (slot.id == INDEX_NONE)
			return INDEX_NONE;
		*at = index_after(ix, *at);
		if (slot.hash == hash)
			return slot.id;
	}
}
