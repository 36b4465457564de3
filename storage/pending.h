/* pending.h - batches that are submitted and not yet given back by poll.
 *
 * Batches have positions: 0, 1, 2 ... in order of submission. The owner says how far it has
 * written and synced; a batch may leave when its class is satisfied, never before those in front of
 * it. After the first one that leaves with an error, all do. For the implementations; not for
 * those who use a store. No locks: the owner has them. */
#pragma once
#include "storage/storage.h"

struct pending_batch {
	uint64_t token;
	enum storage_sync sync;
};

struct pending {
	struct pending_batch *ring; /* room is a power of two, or 0 */
	size_t room;
	uint64_t head; /* the next one to leave */
	uint64_t tail; /* submitted */
	bool failing;  /* one has left with an error */
};

/* How far the owner is: positions below are through. */
struct pending_reach {
	uint64_t written; /* in the journal */
	uint64_t synced;  /* on the disk; never above written */
	enum err err;     /* not ERR_NONE: dead; these two do not move any more */
};

void pending_fini(struct pending *p);
/* False: no memory; nothing has changed. */
MUST_USE bool pending_push(struct pending *p, uint64_t token, enum storage_sync sync);
MUST_USE bool pending_ready(const struct pending *p, struct pending_reach reach);
uint32_t pending_poll(struct pending *p, struct pending_reach reach, struct storage_completion *out,
	uint32_t max);
/* Batches that have left, or may, and are not on the disk. */
uint64_t pending_unsynced(const struct pending *p, struct pending_reach reach);
