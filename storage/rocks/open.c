/* open.c - RocksDB's options, its errors, and a store's beginning and end. */
#include "storage/rocks/directory.h"
#include "storage/rocks/recovery.h"
#include "storage/rocks/rocks_internal.h"

#include "dataplane/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { KIB = 1024, MIB = 1024 * KIB, BLOOM_BITS = 10, INFO_LEVEL_FATAL = 4 };

struct rocks_conf storage_rocks_conf(const char *directory)
{
	return (struct rocks_conf){.directory = directory,
		.sync_interval_us = 100000,
		.wal_bytes_max = 64 * MIB,
		.cache_bytes = 32 * MIB,
		.open_files_max = 256,
		.background_threads = 2};
}

static bool says(const char *text, const char *words)
{
	return strstr(text, words) != NULL;
}

/* A file that RocksDB wants and that is not there or too short is damage, not a moment's trouble.
 */
static enum err meaning(const char *text)
{
	if (says(text, "No space left") || says(text, "quota exceeded"))
		return ERR_STORAGE_FULL;
	if (strncmp(text, "IO error", strlen("IO error")) != 0 || says(text, "No such file") ||
		says(text, "too short"))
		return ERR_STORAGE_CORRUPT;
	return ERR_STORAGE_IO;
}

enum err rocks_judge(char *text)
{
	if (text == NULL)
		return ERR_NONE;
	const enum err err = meaning(text);
	rocksdb_free(text);
	return err;
}

/* Options */

/* One piece: cut into 64, as RocksDB would, none of them holds the index of a table. */
static rocksdb_cache_t *cache_create(uint64_t bytes)
{
	rocksdb_lru_cache_options_t *o = rocksdb_lru_cache_options_create();

	rocksdb_lru_cache_options_set_capacity(o, bytes);
	rocksdb_lru_cache_options_set_num_shard_bits(o, 0);
	rocksdb_cache_t *cache = rocksdb_cache_create_lru_opts(o);
	rocksdb_lru_cache_options_destroy(o);
	return cache;
}

static void set_tables(rocksdb_options_t *o, const struct rocks_conf *conf)
{
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
	rocksdb_cache_t *cache = cache_create(conf->cache_bytes);

	rocksdb_block_based_options_set_block_cache(t, cache);
	/* Indices and filters count as cache: memory has one bound. */
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
	rocksdb_block_based_options_set_filter_policy(
		t, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
	rocksdb_block_based_options_set_format_version(t, 5);
	rocksdb_options_set_block_based_table_factory(o, t);
	rocksdb_options_set_compression(o, rocksdb_lz4_compression);
	rocksdb_options_set_max_open_files(o, (int)conf->open_files_max);
	rocksdb_cache_destroy(cache);
	rocksdb_block_based_options_destroy(t);
}

static void set_journal(rocksdb_options_t *o, const struct rocks_conf *conf)
{
	/* A journal file may end in the middle of a batch; damage anywhere else is an error. Not
	 * point-in-time, the default: it would drop all behind a bad byte without a word. What this
	 * mode does not see or refuses in vain, recovery.c has dealt with. */
	rocksdb_options_set_wal_recovery_mode(o, rocksdb_tolerate_corrupted_tail_records_recovery);
	/* RocksDB must never turn to a new file by itself: the syncer does, see there. */
	rocksdb_options_set_write_buffer_size(o, 4 * conf->wal_bytes_max);
	rocksdb_options_set_max_write_buffer_number(o, 4);
	/* With one column family this only says how much is preallocated. */
	rocksdb_options_set_max_total_wal_size(o, conf->wal_bytes_max);
}

static void set_small_files(rocksdb_options_t *o)
{
	rocksdb_options_set_info_log_level(o, INFO_LEVEL_FATAL);
	rocksdb_options_set_max_log_file_size(o, MIB);
	rocksdb_options_set_keep_log_file_num(o, 4);
	rocksdb_options_set_stats_dump_period_sec(o, 0);
	rocksdb_options_set_stats_persist_period_sec(o, 0);
	rocksdb_options_set_max_manifest_file_size(o, 4 * MIB);
	rocksdb_options_set_manifest_preallocation_size(o, 64 * KIB);
}

static rocksdb_options_t *options_create(const struct rocks_conf *conf)
{
	rocksdb_options_t *o = rocksdb_options_create();

	rocksdb_options_set_create_if_missing(o, 1);
	rocksdb_options_set_paranoid_checks(o, 1);
	rocksdb_options_set_skip_stats_update_on_db_open(o, 1);
	rocksdb_options_set_max_background_jobs(o, (int)conf->background_threads);
	/* The disk writes tables as they grow, so that the journal's syncs do not wait for them. */
	rocksdb_options_set_bytes_per_sync(o, MIB);
	rocksdb_options_set_is_fd_close_on_exec(o, 1);
	set_tables(o, conf);
	set_journal(o, conf);
	set_small_files(o);
	return o;
}

/* Beginning and end */

static void init_lock(struct rocks_store *r)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->work, &monotonic);
	pthread_cond_init(&r->caught_up, NULL);
	pthread_condattr_destroy(&monotonic);
}

static struct rocks_store *store_create(const struct rocks_conf *conf)
{
	struct rocks_store *r = (struct rocks_store *)calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->base.ops = &rocks_ops;
	r->conf = *conf;
	r->event_fd = -1;
	r->directory_fd = -1;
	batch_list_init(&r->late);
	r->journal_due_us = UINT64_MAX;
	r->write_now = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_no_slowdown(r->write_now, 1);
	r->write_late = rocksdb_writeoptions_create();
	r->read = rocksdb_readoptions_create();
	r->batch = rocksdb_writebatch_create();
	init_lock(r);
	return r;
}

/* After an error RocksDB is left as it is: a file that has failed must not be touched again (its
 * assertions say so), and a disk that hangs must not hold us. The process is about to end; until
 * then the directory stays locked. */
static void leave(rocksdb_t *db)
{
	static rocksdb_t *volatile left; /* so that it counts as no leak */

	left = db;
	(void)left;
}

static void close_db(struct rocks_store *r)
{
	if (r->reach.err != ERR_NONE) {
		leave(r->db);
		return;
	}
	if (r->db != NULL)
		rocksdb_close(r->db);
	if (r->directory_fd >= 0)
		close(r->directory_fd);
}

void rocks_free(struct rocks_store *r)
{
	close_db(r);
	rocksdb_writebatch_destroy(r->batch);
	rocksdb_readoptions_destroy(r->read);
	rocksdb_writeoptions_destroy(r->write_late);
	rocksdb_writeoptions_destroy(r->write_now);
	if (r->event_fd >= 0)
		close(r->event_fd);
	pending_fini(&r->pending);
	pthread_cond_destroy(&r->caught_up);
	pthread_cond_destroy(&r->work);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static enum err open_db(struct rocks_store *r, char why[STORAGE_WHY_MAX])
{
	const char *directory = r->conf.directory;
	rocksdb_options_t *options = options_create(&r->conf);
	char *text = NULL;

	r->db = rocksdb_open(options, directory, &text);
	rocksdb_options_destroy(options);
	if (text == NULL)
		return ERR_NONE;
	snprintf(why, STORAGE_WHY_MAX, "%s: %s", directory, text);
	return rocks_judge(text);
}

static enum err open_all(struct rocks_store *r, char why[STORAGE_WHY_MAX])
{
	enum err err = rocks_directory_lock(r->conf.directory, &r->directory_fd, why);

	if (err == ERR_NONE)
		err = rocks_directory_room(r->conf.directory, r->directory_fd, why);
	if (err == ERR_NONE)
		err = rocks_recover(r->conf.directory, why);
	if (err == ERR_NONE)
		err = open_db(r, why);
	return err;
}

static enum err start(struct rocks_store *r, char why[STORAGE_WHY_MAX])
{
	const enum err err = open_all(r, why);

	if (err != ERR_NONE)
		return err;
	r->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (r->event_fd < 0 || pthread_create(&r->syncer, NULL, rocks_syncer, r) != 0) {
		snprintf(why, STORAGE_WHY_MAX, "%s: no descriptor or no thread is free",
			r->conf.directory);
		return ERR_STORAGE_IO;
	}
	return ERR_NONE;
}

enum err storage_rocks_open(
	const struct rocks_conf *conf, struct storage **out, char why[STORAGE_WHY_MAX])
{
	struct rocks_store *r = store_create(conf);

	*out = NULL;
	why[0] = '\0';
	if (r == NULL) {
		snprintf(why, STORAGE_WHY_MAX, "no memory for a store");
		return ERR_STORAGE_IO;
	}
	const enum err err = start(r, why);
	if (err != ERR_NONE)
		rocks_free(r);
	else
		*out = &r->base;
	return err;
}
