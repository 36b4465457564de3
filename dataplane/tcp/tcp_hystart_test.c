/* tcp_hystart_test.c - rounds and round trips of RFC 9406, by hand. */
#include "dataplane/tcp/tcp_hystart.h"

#include "tests/unit/unit.h"

enum { MS = 1000, WINDOW = 10000 };

/* A round in which every round trip takes so long: `acks` of them, then the end of the round. */
static enum hystart_verdict round_of(struct hystart *h, uint32_t rtt_us, int acks)
{
	enum hystart_verdict v = HYSTART_SLOW_START;
	const uint32_t end = h->window_end;

	for (int i = 1; i <= acks; i++) {
		hystart_sample(h, rtt_us);
		v = hystart_acked(h, i == acks ? end : end - 1, end + WINDOW);
	}
	return v;
}

/* 4.2: thresholds of an eighth, at least 4 ms, at most 16 ms. */
static void thresholds(void)
{
	static const struct {
		uint32_t before_us, after_us;
		enum hystart_verdict want;
	} rows[] = {
		{10 * MS, 13999, HYSTART_SLOW_START},
		{10 * MS, 14000, HYSTART_CONSERVATIVE},
		{64 * MS, 71999, HYSTART_SLOW_START},
		{64 * MS, 72000, HYSTART_CONSERVATIVE},
		{400 * MS, 415999, HYSTART_SLOW_START},
		{400 * MS, 416000, HYSTART_CONSERVATIVE},
		{10 * MS, 1 * MS, HYSTART_SLOW_START},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hystart h;
		hystart_begin(&h, WINDOW);
		CU_ASSERT_EQUAL(round_of(&h, rows[i].before_us, 10), HYSTART_SLOW_START);
		CU_ASSERT_EQUAL(round_of(&h, rows[i].after_us, 10), rows[i].want);
	}
}

/* 4.2: fewer than eight samples prove nothing. */
static void eight_samples(void)
{
	struct hystart h;

	hystart_begin(&h, WINDOW);
	round_of(&h, 10 * MS, 10);
	CU_ASSERT_EQUAL(round_of(&h, 100 * MS, 7), HYSTART_SLOW_START);
	hystart_begin(&h, WINDOW);
	round_of(&h, 10 * MS, 10);
	CU_ASSERT_EQUAL(round_of(&h, 100 * MS, 8), HYSTART_CONSERVATIVE);
}

/* 4.2: five rounds, the one in which it began included. */
static void five_rounds(void)
{
	struct hystart h;

	hystart_begin(&h, UINT32_MAX - 3 * WINDOW); /* across the wrap */
	round_of(&h, 10 * MS, 10);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(round_of(&h, 30 * MS, 10), HYSTART_CONSERVATIVE);
	CU_ASSERT_EQUAL(round_of(&h, 30 * MS, 10), HYSTART_OVER);
}

/* 4.2: a round trip below the baseline: it was jitter. */
static void back_to_slow_start(void)
{
	struct hystart h;

	hystart_begin(&h, WINDOW);
	round_of(&h, 10 * MS, 10);
	CU_ASSERT_EQUAL(round_of(&h, 30 * MS, 10), HYSTART_CONSERVATIVE);
	CU_ASSERT_EQUAL(round_of(&h, 29 * MS, 10), HYSTART_SLOW_START);
	CU_ASSERT_EQUAL(h.baseline_us, HYSTART_RTT_NONE);
}

/* Nothing is known in the first round, nor after one without samples. */
static void no_samples(void)
{
	struct hystart h;

	hystart_begin(&h, WINDOW);
	for (int i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(
			hystart_acked(&h, h.window_end, h.window_end + WINDOW), HYSTART_SLOW_START);
	CU_ASSERT_EQUAL(round_of(&h, 50 * MS, 10), HYSTART_SLOW_START);
}

static const struct unit_test tests[] = {{"thresholds", thresholds},
	{"eight_samples", eight_samples}, {"five_rounds", five_rounds},
	{"back_to_slow_start", back_to_slow_start}, {"no_samples", no_samples}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_hystart", tests, argc, argv);
}
