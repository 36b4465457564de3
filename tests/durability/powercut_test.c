/* powercut_test.c - the power goes: what was completed is there, whole, and in order. */
#include "dataplane/base/rng.h"
#include "tests/durability/rig.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CUTS = 50,
	CUTS_LONG = 1000,
	LIVES = 5,
	CONTROL_CUTS_MAX = 100,
	CALLS_MAX = 3000,
	NAMES_MAX = 60
};

static uint32_t cuts(void)
{
	return getenv("SIGNALBOX_LONG") != NULL ? CUTS_LONG : CUTS;
}

/* While it opens, soon after, or anywhere; or soon after some file comes, goes or is renamed. */
static void somewhere(struct rig_run *run, struct rng *rng)
{
	static const uint32_t most[] = {60, 300, CALLS_MAX};
	const uint32_t kind = rng_below(rng, 6);

	if (kind < 3) {
		run->cut_at = 1 + rng_below(rng, most[kind]);
	} else {
		run->cut_name = 1 + rng_below(rng, NAMES_MAX);
		run->cut_at = 1 + rng_below(rng, 12);
	}
}

/* One life of a writer up to the cut. True: all is well with what is left. */
static bool live(struct rig *r, const struct rig_run *run, char why[256])
{
	uint64_t batches;
	enum err err;
	const int code = rig_write(r, run);

	if (code != -SIGKILL) {
		snprintf(why, 256, "the writer ended with %d", code);
		return false;
	}
	rig_take_image(r);
	if (rig_check(r, &batches, &err, why) != WORKLOAD_WHOLE)
		return false;
	const uint64_t completed = rig_completed(r);
	snprintf(why, 256, "%llu batches of %llu completed are there", (unsigned long long)batches,
		(unsigned long long)completed);
	return batches >= completed;
}

/* Lives of several stores, each ended by a cut: how many ended badly. */
static uint32_t bad_cuts(struct rig *r, struct rng *rng, uint32_t count, bool holes)
{
	uint32_t bad = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct rig_run run = {.seed = rng_next(rng) | 1, .holes = holes};
		char why[256] = "";
		somewhere(&run, rng);
		if (i % LIVES == 0)
			rig_clear(r);
		if (live(r, &run, why))
			continue;
		bad++;
		if (!r->no_sync)
			printf("# cut %u: at name %llu, call %llu, seed %llu: %s\n", i,
				(unsigned long long)run.cut_name, (unsigned long long)run.cut_at,
				(unsigned long long)run.seed, why);
		rig_clear(r);
	}
	return bad;
}

static void keeps_what_was_completed(void)
{
	struct rng rng = rng_from(unit_seed());
	struct rig r;

	rig_init(&r);
	CU_ASSERT(bad_cuts(&r, &rng, cuts(), false) == 0);
	rig_fini(&r);
}

/* Zeros where a file system had not yet written: more cruel than most. */
static void keeps_it_where_zeros_are_left(void)
{
	struct rng rng = rng_from(unit_seed());
	struct rig r;

	rig_init(&r);
	CU_ASSERT(bad_cuts(&r, &rng, cuts() / 2, true) == 0);
	rig_fini(&r);
}

/* The control: without syncs the same check must find loss, else it is blind. */
static void is_seen_to_lose_without_syncs(void)
{
	struct rng rng = rng_from(unit_seed());
	struct rig r;

	rig_init(&r);
	r.no_sync = true;
	uint32_t tried = 0, bad = 0;
	for (; bad == 0 && tried < CONTROL_CUTS_MAX; tried += LIVES)
		bad = bad_cuts(&r, &rng, LIVES, false);
	printf("# %u of %u cuts without syncs lost something\n", bad, tried);
	CU_ASSERT(bad > 0);
	rig_fini(&r);
}

static const struct unit_test tests[] = {
	{"powercut_keeps_what_was_completed", keeps_what_was_completed},
	{"powercut_keeps_it_where_zeros_are_left", keeps_it_where_zeros_are_left},
	{"powercut_is_seen_to_lose_without_syncs", is_seen_to_lose_without_syncs},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("powercut", tests, argc, argv);
}
