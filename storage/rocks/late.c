/* late.c - batches that the syncer writes: those that would have had to wait, and those that
 * delete a range.
 *
 * A range is deleted key by key. RocksDB's own range deletions are not used: with them its
 * iterators may pass over a damaged table without a word (fixed in 8.5.2: facebook/rocksdb#11783,
 * #11786), and each of them slows reads down until it is compacted away. */
#include "storage/rocks/rocks_internal.h"

static bool within(struct span key, const struct storage_op *range)
{
	return span_compare(key, range->key) >= 0 && span_compare(key, range->value) < 0;
}

/* What earlier operations of the same batch have put there. */
static void delete_put(
	rocksdb_writebatch_t *to, const struct batch_copy *c, const struct storage_op *range)
{
	for (const struct storage_op *op = c->ops; op < range; op++)
		if (op->kind == STORAGE_PUT && within(op->key, range))
			rocksdb_writebatch_delete(to, rocks_chars(op->key), op->key.size);
}

static enum err delete_stored(
	struct rocks_store *r, rocksdb_writebatch_t *to, const struct storage_op *range)
{
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	char *text = NULL;
	size_t size;

	rocksdb_readoptions_set_iterate_upper_bound(
		options, rocks_chars(range->value), range->value.size);
	rocksdb_readoptions_set_fill_cache(options, 0);
	rocksdb_iterator_t *i = rocksdb_create_iterator(r->db, options);
	for (rocksdb_iter_seek(i, rocks_chars(range->key), range->key.size); rocksdb_iter_valid(i);
		rocksdb_iter_next(i)) {
		const char *key = rocksdb_iter_key(i, &size);
		rocksdb_writebatch_delete(to, key, size);
	}
	rocksdb_iter_get_error(i, &text);
	rocksdb_iter_destroy(i);
	rocksdb_readoptions_destroy(options);
	return rocks_judge(text);
}

/* All that was submitted before is written. */
enum err rocks_fill_late(
	struct rocks_store *r, rocksdb_writebatch_t *to, const struct batch_copy *c)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct storage_op *op = &c->ops[i];
		if (op->kind != STORAGE_DELETE_RANGE) {
			rocks_fill(to, op);
			continue;
		}
		if (span_compare(op->key, op->value) >= 0)
			continue;
		delete_put(to, c, op);
		const enum err err = delete_stored(r, to, op);
		if (err != ERR_NONE)
			return err;
	}
	return ERR_NONE;
}
