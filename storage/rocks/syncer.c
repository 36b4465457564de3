/* syncer.c - the thread that waits for the disk so that the owner need not.
 *
 * It syncs the journal, writes what came late, and begins a new journal file in time. A file of
 * the journal is synced before the next one is begun: else a power cut could take the end of one
 * and leave the beginning of the next, and what survives would not be a prefix. */
#include "storage/rocks/rocks_internal.h"

#include <time.h>

enum { SECOND_US = 1000000, LATE_MAX = 1024 };

uint64_t rocks_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_US + (uint64_t)now.tv_nsec / 1000;
}

/* All below with the lock held, unless they let it go. */

static bool dead(const struct rocks_store *r)
{
	return r->reach.err != ERR_NONE;
}

static bool sync_due(const struct rocks_store *r)
{
	if (r->reach.written == r->reach.synced)
		return false;
	return r->stop || r->sync_wanted > r->reach.synced || rocks_now_us() >= r->journal_due_us;
}

static enum err sync_journal(struct rocks_store *r)
{
	char *text = NULL;

	if (!r->conf.no_sync)
		rocksdb_flush_wal(r->db, 1, &text);
	return rocks_judge(text);
}

static void sync_written(struct rocks_store *r)
{
	const uint64_t covers = r->reach.written, began_us = rocks_now_us();
	const uint64_t batches = r->journal_batches;

	r->journal_due_us = UINT64_MAX;
	pthread_mutex_unlock(&r->lock);
	const enum err err = sync_journal(r);
	const uint64_t took_us = rocks_now_us() - began_us;
	pthread_mutex_lock(&r->lock);
	if (err != ERR_NONE) {
		rocks_die(r, err);
		return;
	}
	r->reach.synced = covers;
	r->journal_synced = r->conf.no_sync ? 0 : batches;
	r->facts.syncs++;
	r->facts.sync_us_last = took_us;
	if (took_us > r->facts.sync_us_max)
		r->facts.sync_us_max = took_us;
}

static uint64_t property(struct rocks_store *r, const char *name)
{
	uint64_t value = 0;

	return rocksdb_property_int(r->db, name, &value) == 0 ? value : 0;
}

/* Half of what may be replayed goes to the tables at once while the other half fills. If the tables
 * do not keep up, the next half waits, until there is more to replay than agreed. */
static bool turn_due(struct rocks_store *r)
{
	const uint64_t half = r->conf.wal_bytes_max / 2;

	if (r->journal_bytes >= 2 * half)
		return true;
	return r->journal_bytes >= half && property(r, "rocksdb.num-immutable-mem-table") == 0;
}

static enum err flush_memory(struct rocks_store *r)
{
	rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
	char *text = NULL;

	rocksdb_flushoptions_set_wait(options, 0);
	rocksdb_flush(r->db, options, &text);
	rocksdb_flushoptions_destroy(options);
	return rocks_judge(text);
}

/* A new file of the journal. Nothing is written meanwhile: what is submitted comes late. */
static void turn(struct rocks_store *r)
{
	r->holding = true;
	sync_written(r);
	if (!dead(r)) {
		pthread_mutex_unlock(&r->lock);
		const enum err err = flush_memory(r);
		pthread_mutex_lock(&r->lock);
		r->journal_bytes = 0;
		r->journal_batches = 0;
		r->journal_synced = 0;
		if (err != ERR_NONE)
			rocks_die(r, err);
	}
	r->holding = false;
}

static enum err write_copy(struct rocks_store *r, rocksdb_writebatch_t *batch)
{
	char *text = NULL;

	rocksdb_write(r->db, r->write_late, batch, &text);
	return rocks_judge(text);
}

/* The owner adds to the end of `late` meanwhile, and writes nothing itself. */
static void write_late(struct rocks_store *r)
{
	const struct batch_copy *c = r->late.oldest;
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();

	pthread_mutex_unlock(&r->lock);
	enum err err = rocks_fill_late(r, batch, c);
	const size_t bytes = rocks_seal(r, batch);
	if (err == ERR_NONE)
		err = write_copy(r, batch);
	pthread_mutex_lock(&r->lock);
	rocksdb_writebatch_destroy(batch);
	if (err != ERR_NONE)
		rocks_die(r, err);
	else
		rocks_wrote(r, c->sync, bytes);
	batch_list_drop(&r->late);
	if (r->late.oldest == NULL)
		pthread_cond_broadcast(&r->caught_up);
}

/* False: nothing to do now. Those who wait for a sync get theirs however much comes late. */
static bool step(struct rocks_store *r)
{
	uint32_t steps = 0;

	while (r->late.oldest != NULL && !dead(r) && steps++ < LATE_MAX)
		write_late(r);
	if (dead(r))
		return false;
	if (turn_due(r))
		turn(r);
	else if (sync_due(r))
		sync_written(r);
	else if (steps == 0)
		return false;
	rocks_announce(r);
	return true;
}

static void wait_for_work(struct rocks_store *r)
{
	const uint64_t due_us = r->journal_due_us;

	r->idle = true;
	if (due_us == UINT64_MAX || dead(r)) {
		pthread_cond_wait(&r->work, &r->lock);
		return;
	}
	const struct timespec until = {
		(time_t)(due_us / SECOND_US), (long)(due_us % SECOND_US * 1000)};
	pthread_cond_timedwait(&r->work, &r->lock, &until);
	r->idle = false;
}

void *rocks_syncer(void *store)
{
	struct rocks_store *r = (struct rocks_store *)store;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		if (step(r))
			continue;
		rocks_announce(r);
		if (r->stop)
			break;
		wait_for_work(r);
	}
	while (r->late.oldest != NULL)
		batch_list_drop(&r->late);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}
