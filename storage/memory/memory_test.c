/* memory_test.c - the simulated disk: time, group commit, and each fault. */
#include "dataplane/base/rng.h"
#include "storage/memory/memory.h"
#include "tests/unit/unit.h"

#include <stdio.h>

enum { SYNC_US = 100, INTERVAL_US = 5000, OUT_MAX = 64 };

struct rig {
	struct memory_disk *disk;
	struct storage *s;
	uint64_t now_us;
};

static struct rig rig_of(uint64_t bytes_max)
{
	const struct memory_disk_conf conf = {SYNC_US, INTERVAL_US, bytes_max};
	struct rig r = {.disk = memory_disk_create(&conf)};

	CU_ASSERT_FATAL(r.disk != NULL);
	r.s = storage_memory_open(r.disk, 0);
	CU_ASSERT_FATAL(r.s != NULL);
	return r;
}

static void rig_fini(struct rig *r)
{
	if (r->s != NULL)
		r->s->ops->close(&r->s);
	memory_disk_destroy(&r->disk);
}

static void reopen(struct rig *r)
{
	r->s = storage_memory_open(r->disk, r->now_us);
	CU_ASSERT_FATAL(r->s != NULL);
}

static void pass(struct rig *r, uint64_t us)
{
	r->now_us += us;
	storage_memory_now(r->s, r->now_us);
}

/* Batch n puts two keys, so that half of it would be seen. */
static enum err put(struct rig *r, uint32_t n, enum storage_sync sync)
{
	char a[16], b[16];

	snprintf(a, sizeof(a), "a%06u", n);
	snprintf(b, sizeof(b), "b%06u", n);
	const struct storage_op ops[] = {{STORAGE_PUT, span_str(a), span_str("value")},
		{STORAGE_PUT, span_str(b), span_str("value")}};
	return r->s->ops->submit(r->s, &(struct storage_batch){ops, 2, sync, n});
}

static bool there(struct rig *r, char which, uint32_t n)
{
	char key[16];
	size_t size;

	snprintf(key, sizeof(key), "%c%06u", which, n);
	return r->s->ops->get(r->s, span_str(key), NULL, 0, &size) == STORAGE_FOUND;
}

/* How many of the batches [0, n) are there; they must be a prefix of whole batches. */
static uint32_t prefix(struct rig *r, uint32_t n)
{
	uint32_t count = 0;

	while (count < n && there(r, 'a', count))
		count++;
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT(there(r, 'a', i) == (i < count));
		CU_ASSERT(there(r, 'b', i) == (i < count));
	}
	return count;
}

/* Everything that poll has: the tokens must be `first`, first + 1 ... */
static uint32_t polled(struct rig *r, uint64_t first, enum err err)
{
	struct storage_completion out[OUT_MAX];
	const uint32_t n = r->s->ops->poll(r->s, out, OUT_MAX);

	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT(out[i].token == first + i);
		CU_ASSERT(out[i].err == err);
	}
	return n;
}

static void one_sync_serves_all_before_it(void)
{
	struct rig r = rig_of(0);

	(void)put(&r, 0, STORAGE_SYNCED); /* begins a sync; these two wait for the next */
	(void)put(&r, 1, STORAGE_SYNCED);
	(void)put(&r, 2, STORAGE_SYNCED);
	CU_ASSERT(polled(&r, 0, ERR_NONE) == 0);
	CU_ASSERT(storage_memory_next_us(r.s) == SYNC_US);
	pass(&r, SYNC_US - 1);
	CU_ASSERT(polled(&r, 0, ERR_NONE) == 0);
	pass(&r, 1);
	CU_ASSERT(polled(&r, 0, ERR_NONE) == 1);
	pass(&r, SYNC_US);
	CU_ASSERT(polled(&r, 1, ERR_NONE) == 2);
	CU_ASSERT(memory_disk_syncs(r.disk) == 2);
	CU_ASSERT(storage_memory_next_us(r.s) == UINT64_MAX);
	rig_fini(&r);
}

static void the_timer_syncs_a_journal(void)
{
	struct rig r = rig_of(0);
	struct storage_facts facts;

	(void)put(&r, 0, STORAGE_JOURNAL);
	(void)put(&r, 1, STORAGE_MEMORY);
	CU_ASSERT(polled(&r, 0, ERR_NONE) == 2);
	r.s->ops->facts(r.s, &facts);
	CU_ASSERT(facts.unsynced == 2);
	CU_ASSERT(storage_memory_next_us(r.s) == INTERVAL_US);
	pass(&r, INTERVAL_US + SYNC_US);
	r.s->ops->facts(r.s, &facts);
	CU_ASSERT(facts.unsynced == 0 && facts.syncs == 1 && facts.sync_us_last == SYNC_US);
	(void)put(&r, 2, STORAGE_MEMORY);
	CU_ASSERT(storage_memory_next_us(r.s) == UINT64_MAX);
	rig_fini(&r);
}

static void a_crash_leaves_a_prefix(void)
{
	struct rng rng = rng_from(unit_seed());
	bool some = false;

	for (int i = 0; i < 200; i++) {
		struct rig r = rig_of(0);
		uint32_t done = 0;
		const uint32_t count = 1 + rng_below(&rng, 30);
		for (uint32_t n = 0; n < count; n++) {
			(void)put(&r, n, (enum storage_sync)rng_below(&rng, 3));
			pass(&r, rng_below(&rng, SYNC_US));
		}
		struct storage_facts facts;
		done = polled(&r, 0, ERR_NONE);
		r.s->ops->facts(r.s, &facts);
		storage_memory_crash(&r.s, rng_next(&rng) | 1);
		CU_ASSERT_FATAL(r.s == NULL);
		reopen(&r);
		const uint32_t left = prefix(&r, count);
		CU_ASSERT(left >= done - facts.unsynced);
		some |= left > done;
		rig_fini(&r);
	}
	CU_ASSERT(some);
}

static void a_crash_may_take_all_that_is_not_synced(void)
{
	struct rig r = rig_of(0);

	(void)put(&r, 0, STORAGE_SYNCED);
	pass(&r, SYNC_US);
	(void)put(&r, 1, STORAGE_JOURNAL);
	(void)put(&r, 2, STORAGE_SYNCED);
	CU_ASSERT(prefix(&r, 3) == 3);
	storage_memory_crash(&r.s, 0);
	reopen(&r);
	CU_ASSERT(prefix(&r, 3) == 1);
	rig_fini(&r);
}

static void a_kill_takes_memory_batches_alone(void)
{
	struct rig r = rig_of(0);

	(void)put(&r, 0, STORAGE_MEMORY);
	(void)put(&r, 1, STORAGE_JOURNAL);
	(void)put(&r, 2, STORAGE_SYNCED);
	(void)put(&r, 3, STORAGE_MEMORY);
	storage_memory_kill(&r.s);
	reopen(&r);
	CU_ASSERT(!there(&r, 'a', 0) && there(&r, 'b', 1) && there(&r, 'a', 2));
	CU_ASSERT(!there(&r, 'b', 3));
	storage_memory_crash(&r.s, 0); /* what open found is on the disk */
	reopen(&r);
	CU_ASSERT(there(&r, 'a', 1) && there(&r, 'b', 2));
	rig_fini(&r);
}

static void a_stalled_disk_completes_nothing(void)
{
	struct rig r = rig_of(0);

	(void)put(&r, 0, STORAGE_SYNCED);
	memory_disk_stall(r.disk, true);
	CU_ASSERT(storage_memory_next_us(r.s) == UINT64_MAX);
	pass(&r, 1000 * SYNC_US);
	CU_ASSERT(polled(&r, 0, ERR_NONE) == 0);
	(void)put(&r, 1, STORAGE_JOURNAL); /* waits for what is before it */
	CU_ASSERT(polled(&r, 0, ERR_NONE) == 0);
	memory_disk_stall(r.disk, false);
	pass(&r, 0);
	CU_ASSERT(polled(&r, 0, ERR_NONE) == 2);
	rig_fini(&r);
}

static void a_failed_sync_fails_all_that_waits(void)
{
	struct rig r = rig_of(0);
	struct storage_facts facts;
	size_t size;

	memory_disk_fail(r.disk, MEMORY_FAULT_SYNC, 2, ERR_STORAGE_IO);
	for (uint32_t n = 0; n < 4; n++)
		(void)put(&r, n, n == 3 ? STORAGE_JOURNAL : STORAGE_SYNCED);
	pass(&r, 10 * SYNC_US);
	struct storage_completion out[OUT_MAX];
	CU_ASSERT_FATAL(r.s->ops->poll(r.s, out, OUT_MAX) == 4);
	for (uint32_t n = 0; n < 4; n++) {
		CU_ASSERT(out[n].token == n);
		CU_ASSERT(out[n].err == (n == 0 ? ERR_NONE : ERR_STORAGE_IO));
	}
	CU_ASSERT(put(&r, 4, STORAGE_JOURNAL) == ERR_STORAGE_IO);
	CU_ASSERT(r.s->ops->get(r.s, span_str("a000000"), NULL, 0, &size) == STORAGE_FAILED);
	CU_ASSERT(polled(&r, 0, ERR_NONE) == 0);
	r.s->ops->facts(r.s, &facts);
	CU_ASSERT(facts.err == ERR_STORAGE_IO && facts.batches == 1);
	storage_memory_crash(&r.s, 0);
	reopen(&r);
	CU_ASSERT(prefix(&r, 5) == 1);
	rig_fini(&r);
}

static void a_failed_submit_kills_the_store(void)
{
	struct rig r = rig_of(0);

	memory_disk_fail(r.disk, MEMORY_FAULT_SUBMIT, 3, ERR_STORAGE_CORRUPT);
	CU_ASSERT(put(&r, 0, STORAGE_SYNCED) == ERR_NONE);
	CU_ASSERT(put(&r, 1, STORAGE_SYNCED) == ERR_NONE);
	CU_ASSERT(put(&r, 2, STORAGE_SYNCED) == ERR_STORAGE_CORRUPT);
	pass(&r, SYNC_US);
	CU_ASSERT(polled(&r, 0, ERR_STORAGE_CORRUPT) == 2);
	r.s->ops->close(&r.s);
	reopen(&r);
	CU_ASSERT(prefix(&r, 3) == 2);
	rig_fini(&r);
}

static void a_full_disk_kills_until_it_is_larger(void)
{
	struct rig r = rig_of(60); /* a batch is 24 bytes */

	CU_ASSERT(put(&r, 0, STORAGE_SYNCED) == ERR_NONE);
	CU_ASSERT(put(&r, 1, STORAGE_SYNCED) == ERR_NONE);
	pass(&r, 2 * SYNC_US);
	CU_ASSERT(put(&r, 2, STORAGE_SYNCED) == ERR_STORAGE_FULL);
	CU_ASSERT(polled(&r, 0, ERR_NONE) == 2);
	CU_ASSERT(put(&r, 2, STORAGE_SYNCED) == ERR_STORAGE_FULL);
	r.s->ops->close(&r.s);
	memory_disk_resize(r.disk, 0);
	reopen(&r);
	CU_ASSERT(prefix(&r, 3) == 2);
	CU_ASSERT(put(&r, 2, STORAGE_SYNCED) == ERR_NONE);
	rig_fini(&r);
}

static const struct unit_test tests[] = {
	{"memory_one_sync_serves_all_before_it", one_sync_serves_all_before_it},
	{"memory_the_timer_syncs_a_journal", the_timer_syncs_a_journal},
	{"memory_a_crash_leaves_a_prefix", a_crash_leaves_a_prefix},
	{"memory_a_crash_may_take_all_that_is_not_synced", a_crash_may_take_all_that_is_not_synced},
	{"memory_a_kill_takes_memory_batches_alone", a_kill_takes_memory_batches_alone},
	{"memory_a_stalled_disk_completes_nothing", a_stalled_disk_completes_nothing},
	{"memory_a_failed_sync_fails_all_that_waits", a_failed_sync_fails_all_that_waits},
	{"memory_a_failed_submit_kills_the_store", a_failed_submit_kills_the_store},
	{"memory_a_full_disk_kills_until_it_is_larger", a_full_disk_kills_until_it_is_larger},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("memory", tests, argc, argv);
}
