/* batch.h - a write batch under construction: keys and values as schema.h says.
 *
 * Begin a value, encode it with the writer and key that you get, end it; a key
 * and its value stay in place until then. Sticky: without memory `bad` is set
 * and the batch must not be submitted. Not here: what belongs into one batch. */
#pragma once
#include "controlplane/sessions/body.h"
#include "storage/schema/schema.h"
#include "storage/storage.h"

struct batch_op {
	size_t key_at, key_size, value_at, value_size;
	struct span lent; /* a value that lies elsewhere until the batch is submitted */
	enum storage_op_kind kind;
};

struct batch {
	struct batch_op *ops;
	struct storage_op *out; /* as the store wants them */
	uint8_t *bytes;
	size_t count, ops_room, out_room, used, bytes_room;
	size_t lent_bytes;
	bool bad;
};

void batch_fini(struct batch *b);
void batch_begin(struct batch *b);
static inline bool batch_empty(const struct batch *b)
{
	return b->count == 0;
}

/* A writer for a value of at most `room` bytes under that key. */
struct writer batch_put(struct batch *b, const struct schema_key *k, size_t room, struct span *key);
void batch_end(struct batch *b, const struct writer *w);
/* The value is the body, which is sealed for this key here and lent. */
void batch_put_body(struct batch *b, const struct schema_key *k, struct body *body);
void batch_put_nothing(struct batch *b, const struct schema_key *k);
void batch_delete(struct batch *b, const struct schema_key *k);
/* All keys that begin as k's first part says. */
void batch_delete_all(struct batch *b, const struct schema_key *k);
/* Bytes in all, about. */
size_t batch_bytes(const struct batch *b);
/* To the store. ERR_STORAGE_*: it is dead. */
MUST_USE enum err batch_submit(
	struct batch *b, struct storage *store, enum storage_sync sync, uint64_t token);
