/* stages_test.c - shares of a clock that a table moves. */
#include "dataplane/worker/stages.h"

#include "tests/unit/unit.h"

#include <string.h>

static uint64_t clock_cycles;
static unsigned looks;
static struct counters counters;
static struct stages stages;

static uint64_t cycles(void)
{
	looks++;
	return clock_cycles;
}

static void begin(uint64_t (*clock)(void))
{
	memset(&counters, 0, sizeof(counters));
	stages = (struct stages){.cycles = clock};
	looks = 0;
}

static void turn(bool busy)
{
	stages_begin(&stages);
	clock_cycles += 1;
	(void)stages_enter(&stages, STAGE_SESSION);
	clock_cycles += 10;
	const enum stage before = stages_enter(&stages, STAGE_MATCH);
	CU_ASSERT_EQUAL(before, STAGE_SESSION);
	clock_cycles += 100;
	(void)stages_enter(&stages, before);
	clock_cycles += 1000;
	stages_end(&stages, busy, &counters);
}

static void counts_what_each_takes(void)
{
	begin(cycles);
	turn(true);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_CYCLES_TURNS), 1);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_CYCLES_LINK), 1);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_CYCLES_SESSION), 1010);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_CYCLES_MATCH), 100);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_CYCLES_SEND), 0);
}

static void samples_one_in_some(void)
{
	begin(cycles);
	for (int i = 0; i < 4 * STAGES_SAMPLE; i++)
		turn(true);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_CYCLES_TURNS), 4);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_CYCLES_SESSION), 4 * 1010);
	CU_ASSERT_EQUAL(looks, 4 * 5);
}

static void leaves_out_idle_turns(void)
{
	begin(cycles);
	turn(false);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_CYCLES_TURNS), 0);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_CYCLES_SESSION), 0);
}

static void measures_nothing_without_a_clock(void)
{
	begin(NULL);
	for (int i = 0; i < 4 * STAGES_SAMPLE; i++)
		turn(true);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_CYCLES_TURNS), 0);
}

static const struct unit_test tests[] = {
	{"counts_what_each_takes", counts_what_each_takes},
	{"samples_one_in_some", samples_one_in_some},
	{"leaves_out_idle_turns", leaves_out_idle_turns},
	{"measures_nothing_without_a_clock", measures_nothing_without_a_clock},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("stages", tests, argc, argv);
}
