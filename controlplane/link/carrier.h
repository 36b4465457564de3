/* carrier.h - effects of the sessions to a worker: a slot, and text in our arena.
 *
 * Text of more than SHM_PART_BYTES goes before its slot, in PARTs. What has no
 * room now, or not all of it, is copied here and goes on later, so an effect
 * that has begun is sent to its end whatever becomes of its session: one at a
 * time, and nothing of the same kind before it. Memory: one text, given back
 * when it was long. */
#pragma once
#include "controlplane/sessions/sessions.h"
#include "dataplane/shm/ring.h"

enum { CARRIER_KEPT_BYTES = SHM_PART_BYTES };

struct carrier {
	struct sessions_effect effect; /* its text is in bytes */
	uint8_t *bytes;                /* owned */
	size_t size, at, room;         /* of the text; sent in parts; of the memory */
	bool loaded;
};

/* Sends it at once, whole; false: no room, or it needs parts. */
MUST_USE bool carrier_send(
	struct shm_tx *tx, struct shm_arena *arena, const struct sessions_effect *e);
/* Takes a copy; it must be empty. False: no memory. */
MUST_USE bool carrier_load(struct carrier *o, const struct sessions_effect *e);
/* Goes on with what was loaded: slots sent. Then it is empty, or there is no room. */
uint32_t carrier_push(struct carrier *o, struct shm_tx *tx, struct shm_arena *arena);
/* For one that is no more. */
void carrier_drop(struct carrier *o);
void carrier_fini(struct carrier *o);
