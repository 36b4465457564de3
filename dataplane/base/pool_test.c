/* pool_test.c - pool.h against a plain array of who has what. */
#include "dataplane/base/pool.h"
#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

enum { COUNT = 100, SIZE = 24 };

static void gives_each_object_once_then_none(void)
{
	static const uint32_t counts[] = {0, 1, 2, 7, COUNT};

	for (size_t row = 0; row < sizeof(counts) / sizeof(counts[0]); row++) {
		const uint32_t count = counts[row];
		void *memory = aligned_alloc(64, (pool_bytes(count, SIZE) + 127) & ~(size_t)63);
		bool seen[COUNT] = {false};
		struct pool p;
		pool_init(&p, memory, count, SIZE);
		for (uint32_t i = 0; i < count; i++) {
			const uint32_t index = pool_get(&p);
			CU_ASSERT_TRUE_FATAL(index < count);
			CU_ASSERT_FALSE(seen[index]);
			seen[index] = true;
			memset(pool_at(&p, index), 0xa5, SIZE);
		}
		CU_ASSERT_EQUAL(p.out, count);
		CU_ASSERT_EQUAL(pool_get(&p), POOL_NONE);
		CU_ASSERT_EQUAL(p.out, count);
		free(memory);
	}
}

/* Each object keeps what its owner wrote, whatever happens to the others. */
static void objects_do_not_overlap(void)
{
	struct rng rng = rng_from(unit_seed());
	uint8_t *memory = malloc(pool_bytes(COUNT, SIZE));
	uint32_t taken[COUNT];
	uint8_t mark[COUNT];
	uint32_t out = 0;
	struct pool p;

	pool_init(&p, memory, COUNT, SIZE);
	for (int step = 0; step < 20000; step++) {
		if (rng_below(&rng, 2) == 0) {
			const uint32_t index = pool_get(&p);
			CU_ASSERT_EQUAL_FATAL(index == POOL_NONE, out == COUNT);
			if (index == POOL_NONE)
				continue;
			taken[out] = index;
			mark[out] = (uint8_t)rng_next(&rng);
			memset(pool_at(&p, index), mark[out], SIZE);
			out++;
		} else if (out > 0) {
			const uint32_t k = rng_below(&rng, out);
			const uint8_t *at = pool_at(&p, taken[k]);
			for (int i = 0; i < SIZE; i++)
				CU_ASSERT_EQUAL(at[i], mark[k]);
			pool_put(&p, taken[k]);
			out--;
			taken[k] = taken[out];
			mark[k] = mark[out];
		}
		CU_ASSERT_EQUAL(p.out, out);
	}
	free(memory);
}

static void the_last_put_is_the_next_got(void)
{
	void *memory = malloc(pool_bytes(COUNT, SIZE));
	struct pool p;

	pool_init(&p, memory, COUNT, SIZE);
	const uint32_t a = pool_get(&p);
	const uint32_t b = pool_get(&p);
	CU_ASSERT_NOT_EQUAL(a, b);
	pool_put(&p, a); /* still warm in the cache */
	CU_ASSERT_EQUAL(pool_get(&p), a);
	free(memory);
}

static const struct unit_test tests[] = {
	{"gives_each_object_once_then_none", gives_each_object_once_then_none},
	{"objects_do_not_overlap", objects_do_not_overlap},
	{"the_last_put_is_the_next_got", the_last_put_is_the_next_got},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("pool", tests, argc, argv);
}
