/* memory.h - a store in memory on a simulated disk, in virtual time, with faults on demand.
 *
 * The disk outlives the store, as a disk does: create it, open a store on it, crash or kill or
 * close that, open it again. A batch is applied when it is submitted and completes when the
 * simulation's time says so. Deterministic: the same calls, the same answers. Time and seeds are
 * arguments. For tests and simulations. What open finds is on the disk from then on. */
#pragma once
#include "storage/storage.h"

struct memory_disk_conf {
	uint64_t sync_us;          /* how long one sync takes */
	uint64_t sync_interval_us; /* a JOURNAL batch is synced after that; 0: only by others */
	uint64_t bytes_max;        /* keys and values that fit; 0: no limit */
};

struct memory_disk;

MUST_USE struct memory_disk *memory_disk_create(const struct memory_disk_conf *conf);
void memory_disk_destroy(struct memory_disk **d); /* no store is open on it */
void memory_disk_resize(struct memory_disk *d, uint64_t bytes_max);

enum memory_fault { MEMORY_FAULT_SYNC, MEMORY_FAULT_SUBMIT };

/* The count-th from now on (1: the next one) fails with `err`, once. 0: none does. */
void memory_disk_fail(struct memory_disk *d, enum memory_fault what, uint64_t count, enum err err);
/* While it is stalled no sync completes; what was due completes when it is released. */
void memory_disk_stall(struct memory_disk *d, bool stalled);
uint64_t memory_disk_syncs(const struct memory_disk *d); /* completed, all stores together */

/* NULL: no memory. At most one at a time. close: all that was submitted is on the disk, unless the
 * store is dead or the disk stalled: then as by kill. */
MUST_USE struct storage *storage_memory_open(struct memory_disk *d, uint64_t now_us);
/* Time goes on: syncs complete, the next ones begin. Never backwards. */
void storage_memory_now(struct storage *s, uint64_t now_us);
/* When `storage_memory_now` will next change anything; UINT64_MAX: not before another call. */
uint64_t storage_memory_next_us(const struct storage *s);
/* The power goes: what is not synced is lost but for a prefix of whole batches, as the seed
 * says. Seed 0: all of it is lost. The store is gone. */
void storage_memory_crash(struct storage **s, uint64_t seed);
/* The process dies: unsynced MEMORY batches are lost, all others stay. The store is gone. */
void storage_memory_kill(struct storage **s);
