/* rocks_internal.h - what the files of storage/rocks share.
 *
 * Two threads: the owner's, which calls the interface, and the syncer. All of struct rocks_store
 * below `lock` is under it; RocksDB's writes are done with it held, its syncs without. */
#pragma once
#include "storage/copy.h"
#include "storage/pending.h"
#include "storage/rocks/rocks.h"

#include <pthread.h>
#include <rocksdb/c.h>

struct rocks_store {
	struct storage base; /* first */
	struct rocks_conf conf;
	rocksdb_t *db;
	rocksdb_writeoptions_t *write_now;  /* refuses instead of waiting */
	rocksdb_writeoptions_t *write_late; /* may wait: the syncer's */
	rocksdb_readoptions_t *read;
	rocksdb_writebatch_t *batch; /* the owner's, to fill */
	int event_fd;
	pthread_t syncer;

	pthread_mutex_t lock;
	pthread_cond_t work;      /* for the syncer */
	pthread_cond_t caught_up; /* nothing is late any more */
	bool stop;
	bool holding;           /* batches go to `late`, as long as this or late is set */
	bool idle;              /* the syncer waits for `work` */
	bool signalled;         /* event_fd is readable */
	struct batch_list late; /* for the syncer to write, in order */
	struct pending pending;
	struct pending_reach reach;
	uint64_t sync_wanted;    /* a SYNCED batch waits below this position */
	uint64_t journal_due_us; /* the timer of JOURNAL batches; UINT64_MAX: not running */
	/* Of the journal's present file: */
	uint64_t journal_bytes, journal_batches; /* written */
	uint64_t journal_synced;                 /* batches that are on the disk for certain */
	struct storage_facts facts;
};

uint64_t rocks_now_us(void); /* monotonic */
/* What RocksDB's text means; frees it. ERR_NONE for NULL. */
enum err rocks_judge(char *text);

static inline const char *rocks_chars(struct span s)
{
	return s.size == 0 ? "" : (const char *)s.at;
}

void rocks_fill(rocksdb_writebatch_t *to, const struct storage_op *op); /* no range */
/* late.c: without the lock, by the syncer. */
enum err rocks_fill_late(
	struct rocks_store *r, rocksdb_writebatch_t *to, const struct batch_copy *c);

/* With the lock held. */
void rocks_wake(struct rocks_store *r);              /* the syncer, if it waits */
void rocks_die(struct rocks_store *r, enum err err); /* the first error counts */
void rocks_announce(struct rocks_store *r);          /* event_fd, if poll has something */
/* Ends a batch with what the journal claims; its size, in the journal or in memory. */
size_t rocks_seal(const struct rocks_store *r, rocksdb_writebatch_t *batch);
void rocks_wrote(struct rocks_store *r, enum storage_sync sync, size_t bytes);

/* syncer.c: the argument is the store. */
void *rocks_syncer(void *store);

/* open.c */
extern const struct storage_ops rocks_ops;
void rocks_free(struct rocks_store *r); /* what open made, without the thread */
