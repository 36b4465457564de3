/* world_disk.c - the store as the control plane sees it: between it and the disk stands the world,
 * which counts effects, keeps the disk's memory out of the victim's, and can make the disk lie. */
#include "tests/sim/world_internal.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

struct lent {
	struct storage storage; /* first: it is one */
	struct world *world;
	uint64_t syncs;
};

static struct world *world_of(const struct storage *s)
{
	return ((const struct lent *)s)->world;
}

/* Takes out of a batch what the store shall forget. */
static size_t select_ops(
	const struct world *w, const struct storage_batch *b, struct storage_op *to)
{
	size_t n = 0;

	for (size_t i = 0; i < b->count; i++) {
		const struct storage_op *op = &b->ops[i];
		const bool forget = w->forget_kind != 0 && op->kind == STORAGE_PUT &&
				    op->key.size > 0 && op->key.at[0] == w->forget_kind;
		if (!forget)
			to[n++] = *op;
	}
	return n;
}

static enum err on_submit(struct storage *s, const struct storage_batch *b)
{
	struct world *w = world_of(s);
	struct storage_batch batch = *b;
	const enum process before = process_enter(PROCESS_NOBODY);
	struct storage_op *ops = malloc((b->count + 1) * sizeof(*ops));

	ASSERT(ops != NULL);
	batch.count = select_ops(w, b, ops);
	batch.ops = ops;
	if (w->skip_syncs && batch.sync == STORAGE_SYNCED)
		batch.sync = STORAGE_MEMORY;
	const enum err e = w->store->ops->submit(w->store, &batch);
	free(ops);
	process_leave(before);
	effect_point(EFFECT_BATCH, 0);
	return e;
}

static enum storage_found on_get(
	struct storage *s, struct span key, void *to, size_t room, size_t *size)
{
	struct storage *inner = world_of(s)->store;
	const enum process before = process_enter(PROCESS_NOBODY);
	const enum storage_found found = inner->ops->get(inner, key, to, room, size);

	process_leave(before);
	return found;
}

/* What is seen belongs to the control plane again. */
struct seer {
	bool (*seen)(void *owner, struct span key, struct span value);
	void *owner;
	enum process process;
};

static bool on_seen(void *owner, struct span key, struct span value)
{
	const struct seer *s = (const struct seer *)owner;
	const enum process before = process_enter(s->process);
	const bool more = s->seen(s->owner, key, value);

	process_leave(before);
	return more;
}

static enum err on_scan(struct storage *s, struct span from, struct span to,
	bool (*seen)(void *owner, struct span key, struct span value), void *owner)
{
	struct storage *inner = world_of(s)->store;
	struct seer seer = {seen, owner, process_enter(PROCESS_NOBODY)};
	const enum err e = inner->ops->scan(inner, from, to, on_seen, &seer);

	process_leave(seer.process);
	return e;
}

static uint32_t on_poll(struct storage *s, struct storage_completion *out, uint32_t max)
{
	struct storage *inner = world_of(s)->store;
	const enum process before = process_enter(PROCESS_NOBODY);
	const uint32_t n = inner->ops->poll(inner, out, max);

	process_leave(before);
	if (n > 0)
		effect_point(EFFECT_COMPLETION, 0);
	return n;
}

static int on_event_fd(const struct storage *s)
{
	(void)s;
	return -1;
}

static void on_facts(const struct storage *s, struct storage_facts *out)
{
	const struct storage *inner = world_of(s)->store;

	inner->ops->facts(inner, out);
}

/* It is the world's to close: the control plane only borrows it. */
static void on_close(struct storage **s)
{
	(void)s;
	ASSERT(false);
}

static const struct storage_ops lent_ops = {.submit = on_submit,
	.get = on_get,
	.scan = on_scan,
	.poll = on_poll,
	.event_fd = on_event_fd,
	.facts = on_facts,
	.close = on_close};

struct storage *world_lend_store(struct world *w)
{
	struct lent *l = calloc(1, sizeof(*l));

	ASSERT(l != NULL);
	l->storage.ops = &lent_ops;
	l->world = w;
	l->syncs = memory_disk_syncs(w->disk);
	return &l->storage;
}

void world_drop_lent(struct world *w)
{
	free(w->lent);
	w->lent = NULL;
}

void world_take_store_back(struct world *w)
{
	world_drop_lent(w);
	storage_memory_kill(&w->store);
}

void world_turn_disk(struct world *w)
{
	if (w->store == NULL)
		return;
	struct lent *l = (struct lent *)w->lent;
	storage_memory_now(w->store, w->now_us);
	const uint64_t syncs = memory_disk_syncs(w->disk);
	if (syncs == l->syncs)
		return;
	l->syncs = syncs;
	/* May be the end of it. */
	world_effect(w, &(struct world_point){WORLD_MACHINE, EFFECT_SYNC, 0});
}
