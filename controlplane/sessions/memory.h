/* memory.h - memory of sessions/ that grows with what is stored, and tables by id.
 *
 * Unlike a worker the control plane may allocate as it goes; whoever grows
 * bounds it. A table maps ids of ours (never 0) to a number or a pointer: open
 * addressing, no tombstones. Ids are counted up by us, so the hash has no key. */
#pragma once
#include "dataplane/base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes *at hold at least `count` objects of `size` bytes, at least doubling. False: no memory,
 * and nothing has changed. */
MUST_USE bool memory_grow(void **at, size_t *room, size_t count, size_t size);

struct table_slot {
	uint64_t key; /* 0: free */
	union {
		uint64_t number;
		void *pointer;
	};
};

struct table {
	struct table_slot *slots;
	uint32_t mask, count; /* mask 0: no slots yet */
};

void table_fini(struct table *t);
struct table_slot *table_find(const struct table *t, uint64_t key); /* NULL: not there */
/* Finds or adds (then number 0). NULL: no memory. Slots move when one is added or removed. */
MUST_USE struct table_slot *table_put(struct table *t, uint64_t key);
void table_remove(struct table *t, uint64_t key);
