/* storage.h - what must survive: submit and complete.
 *
 * The control plane submits write batches and reads; completions come back by
 * storage_poll in order of submission. A batch is atomic: all of it survives a
 * power cut or none. Completion of a synced batch means that it is on the
 * disk; one sync may serve many batches (group commit). Keys are bytes, ordered
 * as unsigned bytes; `schema/` gives them meaning and versions.
 *
 * On ERR from the disk the store is dead: complete everything with the error,
 * close, exit, be restarted. No retry, no partial truth. One thread submits and polls.
 * Time and faults are the implementation's: rocks/ on a disk, memory/ for tests. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/err.h"
#include "dataplane/base/span.h"

enum storage_sync { STORAGE_MEMORY, STORAGE_JOURNAL, STORAGE_SYNCED };
enum storage_op_kind { STORAGE_PUT, STORAGE_DELETE, STORAGE_DELETE_RANGE };

struct storage_op {
	enum storage_op_kind kind;
	struct span key;
	struct span value; /* PUT: the value; DELETE_RANGE: the end, exclusive */
};

struct storage_batch {
	const struct storage_op *ops; /* copied by submit */
	size_t count;
	enum storage_sync sync;
	uint64_t token; /* comes back in the completion */
};

struct storage_completion {
	uint64_t token;
	enum err err;
	struct span value; /* reads: valid until the next poll */
	bool found;
};

struct storage;

struct storage_ops {
	enum err (*submit)(struct storage *s, const struct storage_batch *b);
	enum err (*read)(struct storage *s, struct span key, uint64_t token);
	/* Calls `seen` for each key in [from, to), in order, until it returns false. */
	enum err (*scan)(struct storage *s, struct span from, struct span to,
		bool (*seen)(void *owner, struct span key, struct span value), void *owner);
	uint32_t (*poll)(struct storage *s, struct storage_completion *out, uint32_t max);
	void (*close)(struct storage **s);
};

struct storage {
	const struct storage_ops *ops;
};
