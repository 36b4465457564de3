/* storage.h - what must survive: submit and complete.
 *
 * The control plane submits write batches; completions come back by poll in order
 * of submission. Reads answer at once. A batch is atomic: all of it survives a
 * power cut or none. Completion of a synced batch means that it is on the
 * disk; one sync may serve many batches (group commit). Keys are bytes, ordered
 * as unsigned bytes; `schema/` gives them meaning and versions.
 *
 * On ERR from the disk the store is dead: complete everything with the error,
 * close, exit, be restarted. No retry, no partial truth. One thread calls everything here.
 * What a store holds when it is opened is on the disk: it may be answered for at once.
 * Time and faults are the implementation's: rocks/ on a disk, memory/ for tests. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/err.h"
#include "dataplane/base/span.h"

/* How far a batch must be before it is complete: MEMORY: applied, no journal. JOURNAL: written to
 * the journal; survives the process, not the machine until the next sync (a timer of the
 * implementation's or a later SYNCED batch). SYNCED: on the disk. A read or scan sees every batch
 * submitted before it. These are promises, not bans: an implementation may keep more. Power takes
 * batches from the end of the order of submission, whatever their class. */
enum storage_sync { STORAGE_MEMORY, STORAGE_JOURNAL, STORAGE_SYNCED };
enum storage_op_kind { STORAGE_PUT, STORAGE_DELETE, STORAGE_DELETE_RANGE };

struct storage_op {
	enum storage_op_kind kind;
	struct span key;
	struct span
		value; /* PUT: the value; DELETE_RANGE: the end, exclusive; not above: nothing */
};

struct storage_batch {
	const struct storage_op *ops; /* copied by submit */
	size_t count;
	enum storage_sync sync;
	uint64_t token; /* comes back in the completion */
};

struct storage_completion {
	uint64_t token;
	enum err err; /* ERR_STORAGE_IO, ERR_STORAGE_FULL, ERR_STORAGE_CORRUPT: the store is dead */
};

enum storage_found { STORAGE_FOUND, STORAGE_ABSENT, STORAGE_FAILED /* dead, as above */ };

struct storage_facts {
	uint64_t batches, syncs; /* completed; one sync may stand for many batches */
	uint64_t unsynced;       /* batches complete and not on the disk: what a power cut takes */
	uint64_t sync_us_last, sync_us_max;
	uint64_t disk_bytes; /* about */
	enum err err;        /* ERR_NONE while it lives */
};

struct storage;

struct storage_ops {
	/* Copies the batch. ERR_NONE, or the error that killed the store: then this batch has no
	 * completion. Never waits for a disk. */
	enum err (*submit)(struct storage *s, const struct storage_batch *b);
	/* The value is the caller's copy: at most `room` bytes are written, *size is the whole
	 * size. May wait for a disk. */
	enum storage_found (*get)(
		struct storage *s, struct span key, void *to, size_t room, size_t *size);
	/* Calls `seen` for each key in [from, to), in order, until it returns false. Spans die with
	 * the call. `seen` must not call the store. */
	enum err (*scan)(struct storage *s, struct span from, struct span to,
		bool (*seen)(void *owner, struct span key, struct span value), void *owner);
	/* Completions in order of submission; after the first with an error, all have it. */
	uint32_t (*poll)(struct storage *s, struct storage_completion *out, uint32_t max);
	/* A descriptor that is readable when poll has something; -1: none, only poll tells. */
	int (*event_fd)(const struct storage *s);
	void (*facts)(const struct storage *s, struct storage_facts *out);
	/* Syncs what it can; completes nothing more. May wait for a disk. */
	void (*close)(struct storage **s);
};

struct storage {
	const struct storage_ops *ops;
};
