/* memory_of_processes_test.c - what a killed process had is freed, and nothing else. */
#include "tests/sim/process.h"

#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 3000 };

static void what_nobody_allocates_is_not_counted(void)
{
	void *at = malloc(10);

	CU_ASSERT_EQUAL(process_blocks(PROCESS_DATAPLANE), 0);
	CU_ASSERT_EQUAL(process_blocks(PROCESS_CONTROLPLANE), 0);
	free(at);
}

static void a_killed_process_loses_all_it_has(void)
{
	static char *kept[2][BLOCKS];

	for (int p = PROCESS_DATAPLANE; p <= PROCESS_CONTROLPLANE; p++) {
		const enum process before = process_enter((enum process)p);
		for (int i = 0; i < BLOCKS; i++)
			kept[p - 1][i] = calloc(1, 16 + (size_t)i % 100);
		process_leave(before);
	}
	CU_ASSERT_EQUAL(process_blocks(PROCESS_DATAPLANE), BLOCKS);
	process_kill(PROCESS_DATAPLANE);
	CU_ASSERT_EQUAL(process_blocks(PROCESS_DATAPLANE), 0);
	CU_ASSERT_EQUAL(process_blocks(PROCESS_CONTROLPLANE), BLOCKS);
	CU_ASSERT_EQUAL(kept[1][BLOCKS - 1][0], 0); /* ASan: still there */
	process_kill(PROCESS_CONTROLPLANE);
	CU_ASSERT_EQUAL(process_blocks(PROCESS_CONTROLPLANE), 0);
}

static void *a_block(struct rng *r)
{
	void *at = NULL;

	switch (rng_below(r, 3)) {
	case 0:
		return malloc(32);
	case 1:
		return aligned_alloc(64, 128);
	default:
		CU_ASSERT_FATAL(posix_memalign(&at, 64, 128) == 0);
		return at;
	}
}

/* Blocks come, grow and go at random; the book agrees at every step. */
static void the_book_agrees(void)
{
	static void *at[BLOCKS];
	struct rng r = rng_from(unit_seed());
	size_t owned = 0;

	for (int step = 0; step < 20 * BLOCKS; step++) {
		const uint32_t i = rng_below(&r, BLOCKS);
		const enum process before = process_enter(PROCESS_DATAPLANE);
		if (at[i] == NULL) {
			at[i] = a_block(&r);
			owned++;
		} else if (rng_below(&r, 3) == 0) {
			at[i] = realloc(at[i], 64 + rng_below(&r, 500));
		} else {
			free(at[i]);
			at[i] = NULL;
			owned--;
		}
		process_leave(before);
		if (process_blocks(PROCESS_DATAPLANE) != owned)
			break;
	}
	CU_ASSERT_EQUAL(process_blocks(PROCESS_DATAPLANE), owned);
	process_kill(PROCESS_DATAPLANE);
	CU_ASSERT_EQUAL(process_blocks(PROCESS_DATAPLANE), 0);
	memset(at, 0, sizeof(at));
}

static const struct unit_test tests[] = {
	{"what_nobody_allocates_is_not_counted", what_nobody_allocates_is_not_counted},
	{"a_killed_process_loses_all_it_has", a_killed_process_loses_all_it_has},
	{"the_book_agrees", the_book_agrees},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("memory_of_processes", tests, argc, argv);
}
