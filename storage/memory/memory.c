/* memory.c - the simulated disk: what is applied, what is durable, and the batches between. */
#include "storage/memory/memory.h"

#include "dataplane/base/assert.h"
#include "storage/copy.h"
#include "storage/memory/tree.h"
#include "storage/pending.h"

#include <stdlib.h>

struct fault {
	uint64_t left; /* until it strikes; 0: never */
	enum err err;
};

struct memory_disk {
	struct memory_disk_conf conf;
	struct tree durable;
	struct batch_list written; /* and not durable */
	struct fault fault[2];
	bool stalled, open;
	uint64_t syncs;
};

struct memory_store {
	struct storage base; /* first */
	struct memory_disk *disk;
	struct tree applied;
	struct pending pending;
	struct pending_reach reach;
	uint64_t now_us;
	bool syncing;
	uint64_t sync_began_us, sync_covers; /* positions below will be synced */
	uint64_t sync_wanted;                /* positions below are waited for */
	struct storage_facts facts;
};

static struct memory_store *store_of(struct storage *s)
{
	return (struct memory_store *)s;
}

static const struct memory_store *store_seen(const struct storage *s)
{
	return (const struct memory_store *)s;
}

/* The disk */

struct memory_disk *memory_disk_create(const struct memory_disk_conf *conf)
{
	struct memory_disk *d = (struct memory_disk *)calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->conf = *conf;
	batch_list_init(&d->written);
	tree_init(&d->durable);
	return d;
}

static void lose_all(struct memory_disk *d)
{
	while (d->written.oldest != NULL)
		batch_list_drop(&d->written);
}

void memory_disk_destroy(struct memory_disk **d)
{
	ASSERT(!(*d)->open);
	lose_all(*d);
	tree_fini(&(*d)->durable);
	free(*d);
	*d = NULL;
}

void memory_disk_resize(struct memory_disk *d, uint64_t bytes_max)
{
	d->conf.bytes_max = bytes_max;
}

void memory_disk_fail(struct memory_disk *d, enum memory_fault what, uint64_t count, enum err err)
{
	ASSERT(count == 0 || err != ERR_NONE);
	d->fault[what] = (struct fault){count, err};
}

void memory_disk_stall(struct memory_disk *d, bool stalled)
{
	d->stalled = stalled;
}

uint64_t memory_disk_syncs(const struct memory_disk *d)
{
	return d->syncs;
}

static enum err struck(struct fault *f)
{
	return f->left > 0 && --f->left == 0 ? f->err : ERR_NONE;
}

static bool apply_op(struct tree *t, const struct storage_op *op)
{
	switch (op->kind) {
	case STORAGE_PUT:
		return tree_put(t, op->key, op->value);
	case STORAGE_DELETE:
		tree_delete(t, op->key);
		return true;
	case STORAGE_DELETE_RANGE:
		tree_delete_range(t, op->key, op->value);
		return true;
	}
	ASSERT(false);
	return false;
}

/* No memory is no fault that a test asks for: a simulation that has none ends here. */
static void apply(struct tree *t, const struct storage_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const bool applied = apply_op(t, &ops[i]);
		ASSERT(applied);
	}
}

/* The oldest batches reach the disk. */
static void persist(struct memory_disk *d, uint64_t count)
{
	while (count-- > 0) {
		ASSERT(d->written.oldest != NULL);
		apply(&d->durable, d->written.oldest->ops, d->written.oldest->count);
		batch_list_drop(&d->written);
	}
}

static uint64_t unsynced_count(const struct memory_disk *d)
{
	uint64_t count = 0;

	for (const struct batch_copy *r = d->written.oldest; r != NULL; r = r->next)
		count++;
	return count;
}

/* Syncs */

static bool dead(const struct memory_store *m)
{
	return m->reach.err != ERR_NONE;
}

static uint64_t journal_due_us(const struct memory_store *m)
{
	const struct batch_copy *r = m->disk->written.oldest;

	while (r != NULL && r->sync != STORAGE_JOURNAL)
		r = r->next;
	if (r == NULL || m->disk->conf.sync_interval_us == 0)
		return UINT64_MAX;
	return r->submitted_us + m->disk->conf.sync_interval_us;
}

static void begin_sync(struct memory_store *m, uint64_t at_us)
{
	m->syncing = true;
	m->sync_began_us = at_us;
	m->sync_covers = m->pending.tail;
}

static void begin_sync_if_due(struct memory_store *m, uint64_t at_us)
{
	if (dead(m) || m->syncing)
		return;
	if (m->sync_wanted > m->reach.synced || journal_due_us(m) <= at_us)
		begin_sync(m, at_us);
}

static void end_sync(struct memory_store *m, uint64_t at_us)
{
	const uint64_t took_us = at_us - m->sync_began_us;

	m->syncing = false;
	m->reach.err = struck(&m->disk->fault[MEMORY_FAULT_SYNC]);
	if (dead(m))
		return;
	persist(m->disk, m->sync_covers - m->reach.synced);
	m->reach.synced = m->sync_covers;
	m->disk->syncs++;
	m->facts.syncs++;
	m->facts.sync_us_last = took_us;
	if (took_us > m->facts.sync_us_max)
		m->facts.sync_us_max = took_us;
}

uint64_t storage_memory_next_us(const struct storage *s)
{
	const struct memory_store *m = store_seen(s);

	if (dead(m) || m->disk->stalled)
		return UINT64_MAX;
	return m->syncing ? m->sync_began_us + m->disk->conf.sync_us : journal_due_us(m);
}

void storage_memory_now(struct storage *s, uint64_t now_us)
{
	struct memory_store *m = store_of(s);

	ASSERT(now_us >= m->now_us);
	while (storage_memory_next_us(s) <= now_us) {
		/* What was due while the disk stalled ends when it is released. */
		const uint64_t due_us = storage_memory_next_us(s);
		const uint64_t at_us = due_us > m->now_us ? due_us : m->now_us;

		m->now_us = at_us;
		if (m->syncing)
			end_sync(m, at_us);
		begin_sync_if_due(m, at_us);
	}
	m->now_us = now_us;
}

/* The interface */

static enum err refuse(struct memory_store *m, const struct storage_batch *b)
{
	uint64_t bytes = m->applied.bytes;

	if (dead(m))
		return m->reach.err;
	m->reach.err = struck(&m->disk->fault[MEMORY_FAULT_SUBMIT]);
	for (size_t i = 0; i < b->count; i++)
		if (b->ops[i].kind == STORAGE_PUT)
			bytes += b->ops[i].key.size + b->ops[i].value.size;
	if (!dead(m) && m->disk->conf.bytes_max != 0 && bytes > m->disk->conf.bytes_max)
		m->reach.err = ERR_STORAGE_FULL;
	return m->reach.err;
}

static enum err memory_submit(struct storage *s, const struct storage_batch *b)
{
	struct memory_store *m = store_of(s);

	if (refuse(m, b) != ERR_NONE)
		return m->reach.err;
	struct batch_copy *r = batch_copy_create(b);
	if (r == NULL || !pending_push(&m->pending, b->token, b->sync)) {
		free(r);
		m->reach.err = ERR_STORAGE_FULL;
		return m->reach.err;
	}
	r->submitted_us = m->now_us;
	batch_list_add(&m->disk->written, r);
	apply(&m->applied, r->ops, r->count);
	m->reach.written = m->pending.tail;
	if (b->sync == STORAGE_SYNCED)
		m->sync_wanted = m->pending.tail;
	begin_sync_if_due(m, m->now_us);
	return ERR_NONE;
}

static enum storage_found memory_get(
	struct storage *s, struct span key, void *to, size_t room, size_t *size)
{
	const struct memory_store *m = store_of(s);
	struct span value;

	if (dead(m))
		return STORAGE_FAILED;
	if (!tree_find(&m->applied, key, &value))
		return STORAGE_ABSENT;
	*size = value.size;
	if (value.size > 0 && room > 0)
		memcpy(to, value.at, value.size < room ? value.size : room);
	return STORAGE_FOUND;
}

static enum err memory_scan(struct storage *s, struct span from, struct span to,
	bool (*seen)(void *owner, struct span key, struct span value), void *owner)
{
	const struct memory_store *m = store_of(s);

	if (!dead(m))
		tree_scan(&m->applied, from, to, seen, owner);
	return m->reach.err;
}

static uint32_t memory_poll(struct storage *s, struct storage_completion *out, uint32_t max)
{
	struct memory_store *m = store_of(s);
	const uint32_t count = pending_poll(&m->pending, m->reach, out, max);

	for (uint32_t i = 0; i < count; i++)
		m->facts.batches += out[i].err == ERR_NONE;
	return count;
}

static int memory_event_fd(const struct storage *s)
{
	(void)s;
	return -1;
}

static void memory_facts(const struct storage *s, struct storage_facts *out)
{
	const struct memory_store *m = store_seen(s);

	*out = m->facts;
	out->unsynced = pending_unsynced(&m->pending, m->reach);
	out->disk_bytes = m->applied.bytes;
	out->err = m->reach.err;
}

static void forget(struct storage **s)
{
	struct memory_store *m = store_of(*s);

	m->disk->open = false;
	pending_fini(&m->pending);
	tree_fini(&m->applied);
	free(m);
	*s = NULL;
}

static void memory_close(struct storage **s)
{
	struct memory_store *m = store_of(*s);

	if (dead(m) || m->disk->stalled) {
		storage_memory_kill(s);
		return;
	}
	persist(m->disk, unsynced_count(m->disk));
	forget(s);
}

void storage_memory_crash(struct storage **s, uint64_t seed)
{
	struct memory_disk *d = store_of(*s)->disk;
	const uint64_t unsynced = unsynced_count(d);
	struct rng rng = rng_from(seed);

	persist(d, seed == 0 ? 0 : rng_below(&rng, (uint32_t)unsynced + 1));
	lose_all(d);
	forget(s);
}

void storage_memory_kill(struct storage **s)
{
	struct memory_disk *d = store_of(*s)->disk;

	while (d->written.oldest != NULL) {
		if (d->written.oldest->sync == STORAGE_MEMORY)
			batch_list_drop(&d->written);
		else
			persist(d, 1);
	}
	forget(s);
}

static const struct storage_ops memory_ops = {
	.submit = memory_submit,
	.get = memory_get,
	.scan = memory_scan,
	.poll = memory_poll,
	.event_fd = memory_event_fd,
	.facts = memory_facts,
	.close = memory_close,
};

static struct memory_store *store_create(struct memory_disk *d, uint64_t now_us)
{
	struct memory_store *m = (struct memory_store *)calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->base.ops = &memory_ops;
	m->disk = d;
	m->now_us = now_us;
	tree_init(&m->applied);
	return m;
}

struct storage *storage_memory_open(struct memory_disk *d, uint64_t now_us)
{
	ASSERT(!d->open);
	struct memory_store *m = store_create(d, now_us);
	if (m == NULL)
		return NULL;
	struct storage *s = &m->base;
	d->open = true;
	if (!tree_copy(&m->applied, &d->durable))
		forget(&s);
	return s;
}
