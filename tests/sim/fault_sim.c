/* fault_sim.c - many seeds of a box under faults; each is judged by the ledger, some are run twice.
 *
 * Fresh seeds every time: 100, or 2,000 where SIGNALBOX_LONG is set. The base is printed;
 * SIGNALBOX_SEED gives it again. One of them alone, with a report: SIGNALBOX_SEED=n fault_sim
 * one_seed. */
#include "dataplane/base/attr.h"
#include "tests/sim/scene.h"
#include "tests/unit/unit.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	FRESH = SANITIZED ? 15 : 100,
	FRESH_LONG = SANITIZED ? 200 : 2000,
	REPLAY_EVERY = 10, /* in a long run: all */
	AMBUSH_TRIES = 20,
	CONTROL_TRIES = 20,
	KILL_SEED = 1000000,
	/* Of the points, every how many: the sanitizers see them all in a few short runs. */
	KILL_STRIDE = SANITIZED ? 3 : 1,
	KILL_DEPTH = SANITIZED ? 0 : 4,
	KILL_DEPTH_LONG = SANITIZED ? 4 : 64,
};

/* So that all kinds of effects come up. */
static const struct scene_faults kill_faults = {.drops = true,
	.goodbyes = true,
	.purges = true,
	.resubscriptions = true,
	.wills = true,
	.retained = true,
	.controlplane_kills = true,
	.dataplane_kills = true,
	.huge = true,
	.blackouts = true};

/* And those that come up only when there is too little of something. */
static const struct scene_faults tight_faults = {.drops = true,
	.small_pools = true,
	.small_queues = true,
	.blackouts = true,
	.slow_disk = true,
	.dataplane_kills = true};

/* For whoever looks at an abort; written before it, since a handler may not. */
static char last_words[96];
static int last_words_size;

static void on_abort(int number)
{
	if (write(STDOUT_FILENO, last_words, (size_t)last_words_size) < 0)
		_exit(101);
	signal(number, SIG_DFL);
	raise(number);
}

static struct scene_result play(const struct scene_conf *conf)
{
	last_words_size = snprintf(last_words, sizeof(last_words),
		"# died in a scene; again: SIGNALBOX_SEED=%llu fault_sim one_seed\n",
		(unsigned long long)conf->seed);
	return scene_run(conf);
}

static bool good(const struct scene_result *r)
{
	return r->clean && r->live;
}

static void complain(uint64_t seed, const struct scene_result *r)
{
	printf("# seed %llu: %s; again: SIGNALBOX_SEED=%llu fault_sim one_seed\n",
		(unsigned long long)seed, !r->live ? "did not drain" : "not clean",
		(unsigned long long)seed);
}

static bool long_run(void)
{
	return getenv("SIGNALBOX_LONG") != NULL;
}

struct sum {
	uint64_t scenes, bad, differing, kills, virtual_us;
	struct ledger_totals totals;
};

static void add(struct sum *sum, const struct scene_result *r)
{
	sum->scenes++;
	sum->bad += !good(r);
	sum->kills += r->kills;
	sum->virtual_us += r->virtual_us;
	sum->totals.attempt += r->totals.attempt;
	sum->totals.acknowledged += r->totals.acknowledged;
	sum->totals.ok += r->totals.ok;
	sum->totals.recovered += r->totals.recovered;
	sum->totals.lost += r->totals.lost;
	sum->totals.unexpected += r->totals.unexpected;
	sum->totals.duplicated += r->totals.duplicated;
}

static void print(const struct sum *sum)
{
	const struct ledger_totals *t = &sum->totals;

	printf("# %lu scenes, %lu bad, %lu s of virtual time, %lu kills: attempt %lu acknowledged "
	       "%lu ok %lu recovered %lu lost %lu unexpected %lu duplicated %lu\n",
		sum->scenes, sum->bad, sum->virtual_us / 1000000, sum->kills, t->attempt,
		t->acknowledged, t->ok, t->recovered, t->lost, t->unexpected, t->duplicated);
}

static void play_seed(struct sum *sum, uint64_t seed, bool twice)
{
	const struct scene_conf conf = {.seed = seed};
	const struct scene_result r = play(&conf);

	add(sum, &r);
	if (!good(&r))
		complain(seed, &r);
	if (!twice)
		return;
	const struct scene_result again = play(&conf);
	if (again.trace != r.trace) {
		sum->differing++;
		printf("# seed %llu: a replay differs\n", (unsigned long long)seed);
	}
}

static void fresh_seeds(void)
{
	const uint64_t base = unit_seed();
	const uint32_t count = long_run() ? FRESH_LONG : FRESH;
	struct sum sum = {0};

	for (uint32_t i = 0; i < count; i++)
		play_seed(&sum, base + i, long_run() || i % REPLAY_EVERY == 0);
	print(&sum);
	CU_ASSERT_EQUAL(sum.bad, 0);
	CU_ASSERT_EQUAL(sum.differing, 0);
}

/* Seeds that have found something once. */
static void seeds_that_found_something(void)
{
	static const uint64_t seeds[] = {1, 13, 15, 41, 55, 64, 1062, 5047, 5082, 5096, 9079, 30004,
		40069, 40085, 60036, 100036, 300068, 1000607, 1795864725359156, 1795864664511762,
		1795866123772348, 1795865669674713, 1795868259002416, 5500067, 7700025, 30200096,
		20200056};
	struct sum sum = {0};

	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++)
		play_seed(&sum, seeds[i], !SANITIZED);
	print(&sum);
	CU_ASSERT_EQUAL(sum.bad, 0);
	CU_ASSERT_EQUAL(sum.differing, 0);
}

static void one_seed(void)
{
	const struct scene_conf conf = {.seed = unit_seed(), .loud = true};
	const struct scene_result r = play(&conf), again = play(&conf);

	CU_ASSERT(r.clean);
	CU_ASSERT(r.live);
	CU_ASSERT_EQUAL(r.trace, again.trace);
}

/* Deep first: what happens once in a run is found as well as what happens often. How deep is what
 * it costs: most scenes never come there. */
static bool kill_there(struct sum *sum, const struct world_point *at, enum world_victim v)
{
	const uint32_t depth = long_run() ? KILL_DEPTH_LONG : KILL_DEPTH;

	for (uint32_t i = 0; i < AMBUSH_TRIES; i++) {
		const struct scene_conf conf = {.seed = KILL_SEED + i,
			.loud = getenv("LOUD") != NULL,
			.faults = i % 2 == 0 ? &kill_faults : &tight_faults,
			.workers = WORLD_WORKERS_MAX,
			.ambush = {.wanted = true,
				.victim = v,
				.at = *at,
				.depth = 1 + (depth >> i / 3)}};
		const struct scene_result r = play(&conf);
		add(sum, &r);
		if (!good(&r))
			printf("# by %d, effect %d, detail %u, victim %d, seed %u: %s\n", at->by,
				at->effect, at->detail, v, KILL_SEED + i,
				r.live ? "not clean" : "did not drain");
		if (r.ambushed)
			return true;
	}
	return false;
}

/* The plane that does it is killed behind each effect, and so is the machine. */
static void every_kill_point(void)
{
	const uint32_t stride = long_run() ? 1 : KILL_STRIDE;
	struct world_point at;
	struct sum sum = {0};
	uint32_t unvisited = 0, pairs = 0;

	for (uint32_t i = (uint32_t)(unit_seed() % stride); scene_point(i, &at); i += stride)
		for (int machine = 0; machine < 2; machine++) {
			const enum world_victim own =
				at.by == WORLD_MACHINE ? WORLD_CONTROLPLANE : at.by;
			const enum world_victim v = machine ? WORLD_MACHINE : own;
			pairs++;
			if (kill_there(&sum, &at, v))
				continue;
			unvisited++;
			printf("# never killed: by %d, effect %d, detail %u, victim %d\n", at.by,
				at.effect, at.detail, v);
		}
	print(&sum);
	printf("# %u pairs of a point and a victim, %u not visited\n", pairs, unvisited);
	CU_ASSERT_EQUAL(sum.bad, 0);
	CU_ASSERT_EQUAL(unvisited, 0);
}

/* What was received at QoS 2 is not written down: some of it must come twice. */
static void a_forgetful_store_duplicates(void)
{
	const struct scene_faults faults = {
		.power_cuts = true, .dataplane_kills = true, .drops = true, .slow_disk = true};
	uint64_t duplicated = 0;

	for (uint32_t i = 0; i < CONTROL_TRIES; i++) {
		const struct scene_conf conf = {
			.seed = i + 1, .forget_kind = 'P', .faults = &faults};
		const struct scene_result r = play(&conf);
		duplicated += r.totals.duplicated;
	}
	printf("# duplicated %lu\n", duplicated);
	CU_ASSERT(duplicated > 0);
}

/* If this finds nothing the other tests mean nothing. */
static void a_disk_that_lies_loses_messages(void)
{
	const struct scene_faults faults = {.power_cuts = true, .drops = true};
	uint64_t lost = 0;

	for (uint32_t i = 0; i < CONTROL_TRIES; i++) {
		const struct scene_conf conf = {
			.seed = i + 1, .skip_syncs = true, .faults = &faults};
		const struct scene_result r = play(&conf);
		lost += r.totals.lost;
	}
	printf("# lost %lu\n", lost);
	CU_ASSERT(lost > 0);
}

static const struct unit_test tests[] = {
	{"fresh_seeds", fresh_seeds},
	{"seeds_that_found_something", seeds_that_found_something},
	{"one_seed", one_seed},
	{"every_kill_point", every_kill_point},
	{"a_forgetful_store_duplicates", a_forgetful_store_duplicates},
	{"a_disk_that_lies_loses_messages", a_disk_that_lies_loses_messages},
};

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* Worlds come and go: do not ask the kernel for their memory each time. */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	signal(SIGABRT, on_abort);
	return UNIT_MAIN("fault", tests, argc, argv);
}
