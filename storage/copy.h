/* copy.h - a batch on its way: the operations and their bytes in one piece of memory, in a list.
 *
 * For the implementations; not for those who use a store. */
#pragma once
#include "storage/storage.h"

struct batch_copy {
	struct batch_copy *next;
	enum storage_sync sync;
	uint64_t submitted_us; /* the owner's to use */
	size_t count;
	struct storage_op ops[];
};

/* NULL: no memory. To be freed with free(). */
MUST_USE struct batch_copy *batch_copy_create(const struct storage_batch *b);

struct batch_list {
	struct batch_copy *oldest, **end;
};

void batch_list_init(struct batch_list *l);
void batch_list_add(struct batch_list *l, struct batch_copy *b); /* takes it */
void batch_list_drop(struct batch_list *l);                      /* the oldest; not empty */
