/* rocks.c - the interface's functions: what the owner's thread does. */
#include "storage/rocks/rocks_internal.h"

#include "dataplane/base/assert.h"
#include "storage/rocks/journal.h"

#include <unistd.h>

/* What an operation costs in memory beside its bytes: about. */
enum { ENTRY_BYTES = 100 };

static struct rocks_store *store_of(struct storage *s)
{
	return (struct rocks_store *)s;
}

/* With the lock held */

void rocks_wake(struct rocks_store *r)
{
	if (r->idle)
		pthread_cond_signal(&r->work);
	r->idle = false;
}

void rocks_die(struct rocks_store *r, enum err err)
{
	if (r->reach.err == ERR_NONE)
		r->reach.err = err;
	pthread_cond_broadcast(&r->caught_up);
	rocks_wake(r);
}

void rocks_announce(struct rocks_store *r)
{
	const uint64_t one = 1;

	if (r->signalled || !pending_ready(&r->pending, r->reach))
		return;
	/* An eventfd that holds 0 takes a 1. */
	r->signalled = write(r->event_fd, &one, sizeof(one)) == (ssize_t)sizeof(one);
	ASSERT(r->signalled);
}

size_t rocks_seal(const struct rocks_store *r, rocksdb_writebatch_t *batch)
{
	uint8_t claim[JOURNAL_CLAIM];
	size_t bytes;

	journal_claim(claim, r->journal_synced);
	rocksdb_writebatch_put_log_data(batch, (const char *)claim, sizeof(claim));
	rocksdb_writebatch_data(batch, &bytes);
	return bytes + (size_t)rocksdb_writebatch_count(batch) * ENTRY_BYTES;
}

void rocks_wrote(struct rocks_store *r, enum storage_sync sync, size_t bytes)
{
	r->reach.written++;
	r->journal_bytes += bytes;
	r->journal_batches++;
	if (sync == STORAGE_JOURNAL && r->journal_due_us == UINT64_MAX)
		r->journal_due_us = rocks_now_us() + r->conf.sync_interval_us;
}

/* submit */

void rocks_fill(rocksdb_writebatch_t *to, const struct storage_op *op)
{
	ASSERT(op->kind != STORAGE_DELETE_RANGE);
	if (op->kind == STORAGE_PUT)
		rocksdb_writebatch_put(to, rocks_chars(op->key), op->key.size,
			rocks_chars(op->value), op->value.size);
	else
		rocksdb_writebatch_delete(to, rocks_chars(op->key), op->key.size);
}

static bool has_range(const struct storage_batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->ops[i].kind == STORAGE_DELETE_RANGE)
			return true;
	return false;
}

static enum err put_late(struct rocks_store *r, const struct storage_batch *b)
{
	struct batch_copy *copy = batch_copy_create(b);

	if (copy == NULL)
		return ERR_STORAGE_FULL;
	batch_list_add(&r->late, copy);
	rocks_wake(r);
	return ERR_NONE;
}

/* RocksDB would have to wait: memory or tables are not flushed fast enough. */
static bool would_wait(const char *text)
{
	return text != NULL && strstr(text, "Write stall") != NULL;
}

static enum err write_batch(struct rocks_store *r, const struct storage_batch *b)
{
	char *text = NULL;

	if (r->holding || r->late.oldest != NULL || has_range(b))
		return put_late(r, b);
	rocksdb_writebatch_clear(r->batch);
	for (size_t i = 0; i < b->count; i++)
		rocks_fill(r->batch, &b->ops[i]);
	const size_t bytes = rocks_seal(r, r->batch);
	rocksdb_write(r->db, r->write_now, r->batch, &text);
	if (would_wait(text)) {
		rocksdb_free(text);
		return put_late(r, b);
	}
	const enum err err = rocks_judge(text);
	if (err == ERR_NONE)
		rocks_wrote(r, b->sync, bytes);
	return err;
}

static enum err submit_locked(struct rocks_store *r, const struct storage_batch *b)
{
	if (r->reach.err != ERR_NONE)
		return r->reach.err;
	if (!pending_push(&r->pending, b->token, b->sync)) {
		rocks_die(r, ERR_STORAGE_FULL);
		return r->reach.err;
	}
	const bool timing = r->journal_due_us != UINT64_MAX;
	const enum err err = write_batch(r, b);
	if (err != ERR_NONE) {
		r->pending.tail--; /* it was refused: no completion */
		rocks_die(r, err);
	}
	if (b->sync == STORAGE_SYNCED)
		r->sync_wanted = r->pending.tail;
	if (b->sync == STORAGE_SYNCED || (b->sync == STORAGE_JOURNAL && !timing))
		rocks_wake(r);
	rocks_announce(r);
	return err;
}

static enum err rocks_submit(struct storage *s, const struct storage_batch *b)
{
	struct rocks_store *r = store_of(s);

	pthread_mutex_lock(&r->lock);
	const enum err err = submit_locked(r, b);
	pthread_mutex_unlock(&r->lock);
	return err;
}

/* Reads */

/* Waits until all that was submitted can be seen; the error if there is one. */
static enum err await_written(struct rocks_store *r)
{
	pthread_mutex_lock(&r->lock);
	while (r->reach.err == ERR_NONE && r->late.oldest != NULL)
		pthread_cond_wait(&r->caught_up, &r->lock);
	const enum err err = r->reach.err;
	pthread_mutex_unlock(&r->lock);
	return err;
}

static enum err die(struct rocks_store *r, enum err err)
{
	pthread_mutex_lock(&r->lock);
	rocks_die(r, err);
	rocks_announce(r);
	pthread_mutex_unlock(&r->lock);
	return err;
}

static enum storage_found rocks_get(
	struct storage *s, struct span key, void *to, size_t room, size_t *size)
{
	struct rocks_store *r = store_of(s);
	char *text = NULL;

	if (await_written(r) != ERR_NONE)
		return STORAGE_FAILED;
	rocksdb_pinnableslice_t *value =
		rocksdb_get_pinned(r->db, r->read, rocks_chars(key), key.size, &text);
	if (text != NULL) {
		(void)die(r, rocks_judge(text));
		return STORAGE_FAILED;
	}
	if (value == NULL)
		return STORAGE_ABSENT;
	const char *at = rocksdb_pinnableslice_value(value, size);
	if (room > 0 && *size > 0)
		memcpy(to, at, *size < room ? *size : room);
	rocksdb_pinnableslice_destroy(value);
	return STORAGE_FOUND;
}

static void scan_all(rocksdb_iterator_t *i, struct span from,
	bool (*seen)(void *owner, struct span key, struct span value), void *owner)
{
	bool more = true;

	for (rocksdb_iter_seek(i, rocks_chars(from), from.size); more && rocksdb_iter_valid(i);
		rocksdb_iter_next(i)) {
		struct span key, value;

		key.at = (const uint8_t *)rocksdb_iter_key(i, &key.size);
		value.at = (const uint8_t *)rocksdb_iter_value(i, &value.size);
		more = seen(owner, key, value);
	}
}

static enum err rocks_scan(struct storage *s, struct span from, struct span to,
	bool (*seen)(void *owner, struct span key, struct span value), void *owner)
{
	struct rocks_store *r = store_of(s);
	char *text = NULL;
	enum err err = await_written(r);

	if (err != ERR_NONE || span_compare(from, to) >= 0)
		return err;
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_iterate_upper_bound(options, rocks_chars(to), to.size);
	rocksdb_iterator_t *i = rocksdb_create_iterator(r->db, options);
	scan_all(i, from, seen, owner);
	rocksdb_iter_get_error(i, &text);
	rocksdb_iter_destroy(i);
	rocksdb_readoptions_destroy(options);
	err = rocks_judge(text);
	return err == ERR_NONE ? ERR_NONE : die(r, err);
}

/* Completions and facts */

static uint32_t rocks_poll(struct storage *s, struct storage_completion *out, uint32_t max)
{
	struct rocks_store *r = store_of(s);
	uint64_t count;

	pthread_mutex_lock(&r->lock);
	const uint32_t n = pending_poll(&r->pending, r->reach, out, max);
	for (uint32_t i = 0; i < n; i++)
		r->facts.batches += out[i].err == ERR_NONE;
	if (r->signalled && !pending_ready(&r->pending, r->reach))
		r->signalled = read(r->event_fd, &count, sizeof(count)) < 0;
	pthread_mutex_unlock(&r->lock);
	return n;
}

static int rocks_event_fd(const struct storage *s)
{
	return ((const struct rocks_store *)s)->event_fd;
}

static uint64_t property(rocksdb_t *db, const char *name)
{
	uint64_t value = 0;

	return rocksdb_property_int(db, name, &value) == 0 ? value : 0;
}

static void rocks_facts(const struct storage *s, struct storage_facts *out)
{
	/* The lock is no part of what the store is. */
	struct rocks_store *r = (struct rocks_store *)(uintptr_t)s;

	pthread_mutex_lock(&r->lock);
	*out = r->facts;
	out->unsynced = pending_unsynced(&r->pending, r->reach);
	out->err = r->reach.err;
	pthread_mutex_unlock(&r->lock);
	/* The journal holds what is in memory. */
	out->disk_bytes = property(r->db, "rocksdb.total-sst-files-size") +
			  property(r->db, "rocksdb.cur-size-all-mem-tables");
}

static void rocks_close(struct storage **s)
{
	struct rocks_store *r = store_of(*s);

	pthread_mutex_lock(&r->lock);
	r->stop = true;
	rocks_wake(r);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->syncer, NULL);
	rocks_free(r);
	*s = NULL;
}

const struct storage_ops rocks_ops = {
	.submit = rocks_submit,
	.get = rocks_get,
	.scan = rocks_scan,
	.poll = rocks_poll,
	.event_fd = rocks_event_fd,
	.facts = rocks_facts,
	.close = rocks_close,
};
