/* match_store_test.c - the log of filters: its limits are exact, whatever came and went before. */
#include "dataplane/match/store.h"

#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

enum { FILTERS = 300, TEXT_MAX = 65535 };

static struct store store;
static void *memory;
static uint8_t text[TEXT_MAX + 1];

struct kept {
	uint32_t size;
	uint8_t fill;
	bool alive;
};
static struct kept kept[FILTERS]; /* by id */

static void start(uint32_t filters_max, size_t text_bytes_max)
{
	const size_t bytes = (store_bytes(filters_max, text_bytes_max) + 63) & ~(size_t)63;
	memory = aligned_alloc(64, bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
	store_init(&store, memory, filters_max, text_bytes_max);
	memset(kept, 0, sizeof(kept));
}

static void finish(void)
{
	store_check(&store);
	free(memory);
}

static bool fits(uint32_t size)
{
	return store.where.out < store.where.count &&
	       size <= store.text_bytes_max - store.text_bytes;
}

static uint32_t add(uint32_t size, uint8_t fill)
{
	const bool expected = fits(size);
	memset(text, fill, size);
	const uint32_t id = store_add(&store, span_of(text, size), span_of(NULL, 0));
	CU_ASSERT_EQUAL(id != STORE_NONE, expected);
	if (id == STORE_NONE)
		return id;
	CU_ASSERT_FALSE(kept[id].alive);
	kept[id] = (struct kept){size, fill, true};
	store_at(&store, id)->hash = size ^ fill;
	return id;
}

static void drop(uint32_t id)
{
	store_drop(&store, id);
	kept[id].alive = false;
}

static bool is_whole(uint32_t id)
{
	const struct filter *f = store_at(&store, id);

	if (f->size != kept[id].size || f->hash != (kept[id].size ^ kept[id].fill))
		return false;
	for (uint32_t i = 0; i < f->size; i++)
		if (f->text[i] != kept[id].fill)
			return false;
	return true;
}

static void check_all(void)
{
	store_check(&store);
	for (uint32_t id = 0; id < FILTERS; id++)
		if (kept[id].alive)
			CU_ASSERT_TRUE(is_whole(id));
}

static uint32_t random_size(struct rng *rng, uint32_t size_max)
{
	return rng_chance(rng, 100000) ? 1 + rng_below(rng, size_max) : 1 + rng_below(rng, 40);
}

/* Keeps the store full to the brim while filters come and go in a certain order. */
static void churn(struct rng *rng, uint32_t steps, uint32_t size_max)
{
	for (uint32_t step = 0; step < steps; step++) {
		const uint32_t size = random_size(rng, size_max);
		for (uint32_t id = rng_below(rng, FILTERS); !fits(size); id = (id + 1) % FILTERS)
			if (kept[id].alive)
				drop(id);
		add(size, (uint8_t)rng_next(rng));
		if (step % 1024 == 0)
			check_all();
	}
	check_all();
}

static void short_texts_come_and_go(void)
{
	struct rng rng = rng_from(unit_seed());
	start(FILTERS, 4000);
	churn(&rng, 200000, 40);
	finish();
}

static void long_texts_come_and_go(void)
{
	struct rng rng = rng_from(unit_seed());
	start(FILTERS, 3 * TEXT_MAX);
	churn(&rng, 20000, TEXT_MAX);
	finish();
}

/* The cleaner's worst case: everything alive, one goes and one comes, always the youngest. */
static void a_full_store_that_changes_at_one_end(void)
{
	start(FILTERS, (size_t)FILTERS * 16);
	uint32_t id = STORE_NONE;
	for (int i = 0; i < FILTERS; i++)
		id = add(16, (uint8_t)i);
	for (int i = 0; i < 300000; i++) {
		drop(id);
		id = add(16, (uint8_t)i);
	}
	check_all();
	finish();
}

/* Rounding at its worst: as many filters as can be, each a byte over a unit. */
static void rounding_is_paid_for(void)
{
	start(FILTERS, (size_t)FILTERS * 17);
	for (int round = 0; round < 2000; round++) {
		for (uint32_t id = (uint32_t)round % 3; id < FILTERS; id += 3)
			if (kept[id].alive)
				drop(id);
		while (fits(17))
			add(17, (uint8_t)round);
		CU_ASSERT_EQUAL(store.where.out, FILTERS);
	}
	check_all();
	finish();
}

/* Large enough that the log's slack is nothing beside it: now the cleaner's sum must hold. */
static void a_large_store_at_its_limit(void)
{
	enum { MANY = 60000, SIZE = 17 };
	struct rng rng = rng_from(unit_seed());
	uint32_t oldest = 0;

	start(MANY, (size_t)MANY * SIZE);
	memset(text, 'x', SIZE);
	for (uint32_t i = 0; i < MANY; i++)
		CU_ASSERT_NOT_EQUAL(
			store_add(&store, span_of(text, SIZE), span_of(NULL, 0)), STORE_NONE);
	for (uint32_t i = 0; i < 20 * MANY; i++) {
		/* In turns of a log's length: at random, in order, always the same. */
		const uint32_t turn = i / (2 * MANY) % 3;
		const uint32_t id = turn == 0   ? rng_below(&rng, MANY)
				    : turn == 1 ? oldest++ % MANY
						: 0;
		store_drop(&store, id);
		CU_ASSERT_EQUAL_FATAL(store_add(&store, span_of(text, SIZE), span_of(NULL, 0)), id);
	}
	finish();
}

static void limits_are_exact(void)
{
	start(2, 10);
	const uint32_t a = add(9, 'a');
	CU_ASSERT_EQUAL(add(2, 'b'), STORE_NONE);
	const uint32_t b = add(1, 'b');
	CU_ASSERT_NOT_EQUAL(b, STORE_NONE);
	drop(a);
	drop(b);
	add(1, 'c');
	add(1, 'd');
	CU_ASSERT_EQUAL(add(1, 'e'), STORE_NONE);
	finish();
}

/* Sizes that do not fit 32-bit units are answered, not computed. */
static void impossible_sizes_are_refused(void)
{
	CU_ASSERT_EQUAL(store_bytes(1, SIZE_MAX), 0);
	CU_ASSERT_EQUAL(store_bytes(1, (size_t)64 << 30), 0);
	CU_ASSERT_NOT_EQUAL(store_bytes(1, 65535), 0);
}

static const struct unit_test tests[] = {
	{"short_texts_come_and_go", short_texts_come_and_go},
	{"long_texts_come_and_go", long_texts_come_and_go},
	{"a_full_store_that_changes_at_one_end", a_full_store_that_changes_at_one_end},
	{"rounding_is_paid_for", rounding_is_paid_for},
	{"a_large_store_at_its_limit", a_large_store_at_its_limit},
	{"limits_are_exact", limits_are_exact},
	{"impossible_sizes_are_refused", impossible_sizes_are_refused},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("match_store", tests, argc, argv);
}
