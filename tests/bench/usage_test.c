/* usage_test.c - lines of /proc, and gaps of a clock that jumps. */
#include "tests/bench/usage.h"

#include "tests/unit/unit.h"

#include <unistd.h>

static void reads_a_process(void)
{
	struct usage_process p;
	unsigned core;
	/* utime 150 and stime 50 ticks, rss 3 pages, processor 1; and a name to fall over. */
	const char *line = "42 (a) b 7) S 1 2 3 4 5 6 7 8 9 10 150 50 11 12 13 14 15 16 17 18 3 "
			   "19 20 21 22 23 24 25 26 27 28 29 30 31 32 1 33 34\n";

	CU_ASSERT(usage_parse_process(line, &p, &core));
	CU_ASSERT_EQUAL(p.cpu_us, 200u * 1000000u / (uint64_t)sysconf(_SC_CLK_TCK));
	CU_ASSERT_EQUAL(p.rss_bytes, 3u * (uint64_t)sysconf(_SC_PAGESIZE));
	CU_ASSERT_EQUAL(core, 1);
	CU_ASSERT_FALSE(usage_parse_process("42 (a) S 1 2 3\n", &p, &core));
	CU_ASSERT_FALSE(usage_parse_process("", &p, &core));
}

static void reads_a_core(void)
{
	struct usage_core c;
	unsigned core;
	const uint64_t tick = 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);

	CU_ASSERT(usage_parse_core("cpu3 1 2 4 1000 2000 8 16 32 0 0\n", &core, &c));
	CU_ASSERT_EQUAL(core, 3);
	CU_ASSERT_EQUAL(c.busy_us, 31 * tick);
	CU_ASSERT_EQUAL(c.softirq_us, 24 * tick);
	CU_ASSERT_EQUAL(c.nice_us, 2 * tick);
	CU_ASSERT_EQUAL(c.stolen_us, 32 * tick);
	CU_ASSERT_FALSE(usage_parse_core("cpu  1 2 4 1000 2000 8 16 32 0 0\n", &core, &c));
	CU_ASSERT_FALSE(usage_parse_core("intr 1\n", &core, &c));
}

static void knows_this_process(void)
{
	struct usage_process p;
	struct usage_core c;

	CU_ASSERT(usage_process(getpid(), &p));
	CU_ASSERT(p.rss_bytes > 0);
	CU_ASSERT(p.cores != 0);
	CU_ASSERT_FALSE(usage_process(-5, &p));
	CU_ASSERT(usage_core(0, &c));
	CU_ASSERT_FALSE(usage_core(100000, &c));
}

static uint64_t clock_ns;

/* 10 ns a look; every hundredth takes 1 us more. */
static uint64_t jumps(void)
{
	static unsigned looks;

	clock_ns += ++looks % 100 == 0 ? 1010 : 10;
	return clock_ns;
}

static void measures_gaps(void)
{
	static struct usage_gaps g;

	usage_measure_gaps(jumps, 2000000, 500, &g);
	CU_ASSERT(g.gaps.count >= 990 && g.gaps.count <= 1010);
	CU_ASSERT_EQUAL(g.gaps.max, 1010);
	CU_ASSERT_DOUBLE_EQUAL(g.share, 0.505, 0.005);
}

static const struct unit_test tests[] = {
	{"reads_a_process", reads_a_process},
	{"reads_a_core", reads_a_core},
	{"knows_this_process", knows_this_process},
	{"measures_gaps", measures_gaps},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("usage", tests, argc, argv);
}
