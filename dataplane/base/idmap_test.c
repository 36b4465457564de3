/* idmap_test.c - against a plain array. */
#include "dataplane/base/idmap.h"

#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

enum { COUNT = 200, KEYS = 300, STEPS = 50000 };

static struct idmap map;
static void *memory;

static void open_map(uint32_t count)
{
	memory = malloc(idmap_bytes(count));
	CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
	idmap_init(&map, memory, count);
}

static void close_map(void)
{
	free(memory);
}

static void finds_what_was_set(void)
{
	open_map(3);
	CU_ASSERT_EQUAL(idmap_find(&map, 7), POOL_NONE);
	idmap_set(&map, 7, 2);
	idmap_set(&map, 1ull << 60 | 7, 0);
	CU_ASSERT_EQUAL(idmap_find(&map, 7), 2);
	CU_ASSERT_EQUAL(idmap_find(&map, 1ull << 60 | 7), 0);
	idmap_drop(&map, 7);
	CU_ASSERT_EQUAL(idmap_find(&map, 7), POOL_NONE);
	CU_ASSERT_EQUAL(idmap_find(&map, 1ull << 60 | 7), 0);
	close_map();
}

static void holds_nothing(void)
{
	open_map(0);
	CU_ASSERT_EQUAL(idmap_find(&map, 0), POOL_NONE);
	close_map();
}

static uint64_t key_of(uint32_t i)
{
	return (uint64_t)(i / 3) << 16 | i % 3;
}

/* As the pool beside it would: a free index for a key that is not here. */
static void change_at_random(struct rng *rng, uint32_t *index_of, bool *taken)
{
	const uint32_t key = rng_below(rng, KEYS), index = rng_below(rng, COUNT);

	CU_ASSERT_EQUAL(idmap_find(&map, key_of(key)), index_of[key]);
	if (index_of[key] != POOL_NONE) {
		idmap_drop(&map, key_of(key));
		taken[index_of[key]] = false;
		index_of[key] = POOL_NONE;
	} else if (!taken[index]) {
		idmap_set(&map, key_of(key), index);
		taken[index] = true;
		index_of[key] = index;
	}
}

static void agrees_with_an_array(void)
{
	static uint32_t index_of[KEYS];
	static bool taken[COUNT];
	struct rng rng = rng_from(unit_seed());

	open_map(COUNT);
	for (uint32_t i = 0; i < KEYS; i++)
		index_of[i] = POOL_NONE;
	for (int i = 0; i < STEPS; i++)
		change_at_random(&rng, index_of, taken);
	for (uint32_t i = 0; i < KEYS; i++)
		CU_ASSERT_EQUAL(idmap_find(&map, key_of(i)), index_of[i]);
	close_map();
}

static const struct unit_test tests[] = {
	{"finds_what_was_set", finds_what_was_set},
	{"holds_nothing", holds_nothing},
	{"agrees_with_an_array", agrees_with_an_array},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("idmap", tests, argc, argv);
}
