/* rocks.h - a store on a disk: RocksDB in a directory.
 *
 * submit writes to the journal (RocksDB's WAL) at once, without a sync; a thread syncs it: one
 * sync for all that was written before it began. MEMORY batches are written to the journal, too, so
 * that their order and atomicity are those of all others; they never ask for a sync.
 *
 * Opening replays at most about wal_bytes_max and syncs what it has replayed. A journal that ends
 * in the middle of a batch lost its power: it opens without that batch. Any other damage is refused
 * with ERR_STORAGE_CORRUPT, at open or at the read that meets it; nothing is repaired.
 *
 * After an error: close, then _exit: never exit(), and never open it again in this process, since
 * close leaves RocksDB as it is then. Not here: what keys mean, backups. */
#pragma once
#include "storage/storage.h"

enum { STORAGE_WHY_MAX = 400 };

struct rocks_conf {
	const char *directory;     /* made if its parent is there; one process at a time */
	uint64_t sync_interval_us; /* JOURNAL batches are synced after that */
	uint64_t wal_bytes_max;    /* replayed after a restart, at most about; in memory as often */
	uint64_t cache_bytes;      /* blocks of tables in memory, their indices among them */
	uint32_t open_files_max;   /* tables */
	uint32_t background_threads; /* flush and compact */
	bool no_sync; /* TESTS ONLY: complete without syncing, so that a power cut must show it */
};

/* What a box needs: 64 MiB of journal, 32 MiB of cache, 256 files, 2 threads, 100 ms. */
struct rocks_conf storage_rocks_conf(const char *directory);

/* ERR_NONE, or ERR_STORAGE_*: then *out is NULL and `why` a line for people. */
MUST_USE enum err storage_rocks_open(
	const struct rocks_conf *conf, struct storage **out, char why[STORAGE_WHY_MAX]);
