/* workload.h - batches whose effect is known: after the first n of them a store holds exactly this.
 *
 * Batch n puts a body, a queue entry and the mark "m", which says n, and takes away what batch n -
 * WORKLOAD_ALIVE has put. So a store is checked by its mark: it must hold the work of the
 * batches up to it, whole, and nothing else. */
#pragma once
#include "storage/storage.h"

enum { WORKLOAD_ALIVE = 100 };

/* In its class: two of three are synced, of the others some journal, some memory. */
enum storage_sync workload_sync(uint64_t n);
MUST_USE enum err workload_submit(struct storage *s, uint64_t n);

enum workload_verdict {
	WORKLOAD_WHOLE,   /* as after *batches batches */
	WORKLOAD_REFUSED, /* the store says itself that it is damaged */
	WORKLOAD_WRONG    /* it says what is not so: `why` says where */
};
enum workload_verdict workload_check(struct storage *s, uint64_t *batches, char why[128]);
