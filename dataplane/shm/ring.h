/* ring.h - one producer, one consumer, slots in shared memory. Only ring_tx.c and
 * ring_rx.c touch them, one for each side.
 *
 * Each index lives with its writer: the producer's beside the slots, the
 * consumer's in the region of the other direction. Both survive a restart, so
 * a new process goes on where the old one stopped; a slot says which
 * generation sent it. The consumer copies a slot once, checks it, and uses the
 * copy. An index that makes no sense is answered with SHM_CORRUPT and the
 * ring is skipped to its end: the other side is to be restarted.
 *
 * A slot is for one generation, from one generation. Control plane: commands of
 * another dataplane than the present are skipped; a new one means that all
 * connections of the old one are gone. Worker: at each turn, before its
 * events, it looks at the control plane's generation; events of another
 * sender, or for another receiver than itself, are skipped. After a change it
 * sends CONNECT again for each connection: AGAIN|LIVE with its epoch and the
 * client id in use for those granted, AGAIN for those who wait. One CONNECT has
 * one GRANT, asked again the same one; LIVE has none. A GRANT for a live
 * connection means: adopt its epoch, or close if it is a refusal. A REVOKE may
 * come twice, and for a connection that is gone. */
#pragma once
#include "dataplane/shm/slots.h"

struct shm_tx {
	uint8_t (*slots)[SHM_SLOT_BYTES];
	uint64_t *producer;               /* ours */
	const struct shm_index *consumer; /* theirs */
	uint64_t next;
	uint32_t sender, receiver; /* generations written into slots */
};

struct shm_rx {
	const uint8_t (*slots)[SHM_SLOT_BYTES];
	const struct shm_index *producer; /* theirs */
	uint64_t *consumer;               /* ours */
	uint64_t next;
};

enum shm_pop { SHM_EMPTY, SHM_POPPED, SHM_CORRUPT };

void shm_tx_init(struct shm_tx *tx, uint8_t (*slots)[SHM_SLOT_BYTES], struct shm_index *producer,
	const struct shm_index *consumer, uint32_t sender);
uint32_t shm_tx_room(const struct shm_tx *tx); /* 0 also when the consumer's index is nonsense */
/* body: at most 48 bytes. False: full. */
MUST_USE bool shm_tx_push(struct shm_tx *tx, uint8_t type, const void *body, size_t size);

void shm_rx_init(struct shm_rx *rx, const uint8_t (*slots)[SHM_SLOT_BYTES],
	const struct shm_index *producer, struct shm_index *consumer);
/* SHM_POPPED: *out is a private copy and the slot is given back by shm_rx_done, so that a
 * consumer that dies while it works on a slot sees it again. */
MUST_USE enum shm_pop shm_rx_pop(struct shm_rx *rx, struct shm_slot *out);
void shm_rx_done(struct shm_rx *rx);
bool shm_rx_pending(const struct shm_rx *rx); /* pop would not say SHM_EMPTY */

/* Text on its way: a byte ring. Space comes back when the consumer has passed the slot. */
struct shm_arena {
	uint8_t *bytes;
	uint32_t head; /* next free byte */
	uint32_t used;
	uint32_t size_at[SHM_RING_SLOTS]; /* bytes taken by the slot with that ring index */
	uint64_t reclaimed;               /* ring index up to which space came back */
};

void shm_arena_init(struct shm_arena *a, uint8_t *bytes, uint64_t ring_index);
/* Copies the parts, joined, for the slot that is pushed next. False: full. */
MUST_USE bool shm_arena_put(struct shm_arena *a, struct shm_tx *tx, const struct span *parts,
	size_t count, struct shm_text *out);
/* The reader's side: checks {offset, size} and copies out. False: nonsense. */
MUST_USE bool shm_arena_copy(
	const uint8_t *arena, struct shm_text text, uint8_t *to, size_t to_size);
