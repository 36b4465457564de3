/* match_index_test.c - the hash index against a plain list, with hashes made to collide. */
#include "dataplane/match/index.h"

#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

enum { ENTRIES = 200 };

static struct index ix;
static uint32_t hash_of[ENTRIES]; /* by id */
static bool present[ENTRIES];

static void start(uint32_t entries_max)
{
	void *memory = aligned_alloc(64, index_bytes(entries_max));
	CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
	index_init(&ix, memory, entries_max);
	for (uint32_t id = 0; id < ENTRIES; id++)
		present[id] = false;
}

static void finish(void)
{
	free(ix.slots);
}

/* How often the index answers `id` for `hash`. */
static uint32_t times_found(uint32_t hash, uint32_t id)
{
	uint32_t at = index_home(&ix, hash), found, times = 0;

	while ((found = index_next(&ix, hash, &at)) != INDEX_NONE)
		times += found == id;
	return times;
}

static void toggle(struct rng *rng, uint32_t mask)
{
	const uint32_t id = rng_below(rng, ENTRIES);

	if (present[id]) {
		index_drop(&ix, hash_of[id], id);
	} else {
		hash_of[id] = (uint32_t)rng_next(rng) & mask;
		index_add(&ix, hash_of[id], id);
	}
	present[id] = !present[id];
}

/* Masks make hashes fall together: at the start, at the end and around it, or everywhere. */
static void agrees_with_a_list(void)
{
	static const uint32_t masks[] = {
		0, 1, 0xff, 0x80000000, 0xf0000000, 0xff000000, 0xff000001, UINT32_MAX};
	struct rng rng = rng_from(unit_seed());

	for (size_t m = 0; m < sizeof(masks) / sizeof(masks[0]); m++) {
		start(ENTRIES);
		for (int step = 0; step < 3000; step++) {
			toggle(&rng, masks[m]);
			const uint32_t id = rng_below(&rng, ENTRIES);
			CU_ASSERT_EQUAL(times_found(hash_of[id], id), present[id] ? 1 : 0);
			if (step % 16 == 0)
				index_check(&ix);
		}
		finish();
	}
}

static void entries_wrap_around_the_end(void)
{
	start(8);
	for (uint32_t id = 0; id < 8; id++)
		index_add(&ix, UINT32_MAX, id);
	index_check(&ix);
	for (uint32_t id = 0; id < 8; id += 2)
		index_drop(&ix, UINT32_MAX, id);
	index_check(&ix);
	for (uint32_t id = 0; id < 8; id++)
		CU_ASSERT_EQUAL(times_found(UINT32_MAX, id), id % 2);
	finish();
}

static void holds_nothing_when_made_for_nothing(void)
{
	start(0);
	CU_ASSERT_EQUAL(times_found(7, 0), 0);
	index_check(&ix);
	finish();
}

static void is_full_at_exactly_its_maximum(void)
{
	start(ENTRIES);
	for (uint32_t id = 0; id < ENTRIES; id++)
		index_add(&ix, id * 0x9e3779b9u, id);
	CU_ASSERT_EQUAL(ix.used, ix.max);
	index_check(&ix);
	for (uint32_t id = 0; id < ENTRIES; id++)
		CU_ASSERT_EQUAL(times_found(id * 0x9e3779b9u, id), 1);
	finish();
}

static const struct unit_test tests[] = {
	{"agrees_with_a_list", agrees_with_a_list},
	{"entries_wrap_around_the_end", entries_wrap_around_the_end},
	{"holds_nothing_when_made_for_nothing", holds_nothing_when_made_for_nothing},
	{"is_full_at_exactly_its_maximum", is_full_at_exactly_its_maximum},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("match_index", tests, argc, argv);
}
