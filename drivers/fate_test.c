/* fate_test.c - the verdicts on frames: how often, and how independent of each other. */
#include "drivers/fate.h"
#include "tests/unit/unit.h"

#include <string.h>

enum { FRAMES = 200000, SIZE = 100 };

struct tally {
	uint32_t lost, duplicate, late, corrupt;
	uint32_t overtakers[FATE_OVERTAKERS_MAX + 1];
	uint32_t delay_min_us, delay_max_us;
	uint64_t delay_sum_us;
};

static struct tally tally(const struct impair_settings *s)
{
	struct rng rng = fate_rng(s, 0);
	struct tally t = {.delay_min_us = UINT32_MAX};

	for (int i = 0; i < FRAMES; i++) {
		const struct fate f = fate_of(s, &rng, SIZE);
		CU_ASSERT_FALSE(f.lost && f.duplicate);
		CU_ASSERT_TRUE(f.corrupt_bit == FATE_INTACT || f.corrupt_bit < SIZE * 8);
		CU_ASSERT_TRUE_FATAL(f.overtakers <= FATE_OVERTAKERS_MAX);
		t.lost += f.lost;
		t.duplicate += f.duplicate;
		t.late += f.overtakers > 0;
		t.overtakers[f.overtakers]++;
		t.corrupt += f.corrupt_bit != FATE_INTACT;
		t.delay_min_us = f.delay_us < t.delay_min_us ? f.delay_us : t.delay_min_us;
		t.delay_max_us = f.delay_us > t.delay_max_us ? f.delay_us : t.delay_max_us;
		t.delay_sum_us += f.delay_us;
	}
	return t;
}

static bool is_near(uint32_t count, uint32_t ppm)
{
	const double expected = (double)FRAMES * ppm / 1e6;

	return count > expected * 0.9 - 10 && count < expected * 1.1 + 10;
}

static void nothing_happens_at_zero(void)
{
	const struct impair_settings s = {.seed = 5};
	const struct tally t = tally(&s);

	CU_ASSERT_TRUE(fate_is_none(&s));
	CU_ASSERT_EQUAL(t.lost + t.duplicate + t.late + t.corrupt, 0);
	CU_ASSERT_EQUAL(t.delay_max_us, 0);
}

static void rates_are_as_set(void)
{
	static const struct impair_settings rows[] = {
		{.loss_ppm = 10000, .seed = 1},
		{.loss_ppm = 1000000, .seed = 1},
		{.duplicate_ppm = 50000, .seed = 2},
		{.reorder_ppm = 200000, .seed = 3},
		{.corrupt_ppm = 1000, .seed = 4},
		{.corrupt_ppm = 1000000, .seed = 4},
		{10000, 20000, 30000, 40000, 0, 0, 5},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct tally t = tally(&rows[i]);
		CU_ASSERT_FALSE(fate_is_none(&rows[i]));
		CU_ASSERT_TRUE(is_near(t.lost, rows[i].loss_ppm));
		CU_ASSERT_TRUE(is_near(t.duplicate, rows[i].duplicate_ppm));
		CU_ASSERT_TRUE(is_near(t.late, rows[i].reorder_ppm));
		CU_ASSERT_TRUE(is_near(t.corrupt, rows[i].corrupt_ppm));
		for (int k = 1; k <= FATE_OVERTAKERS_MAX; k++)
			CU_ASSERT_TRUE(is_near(t.overtakers[k], rows[i].reorder_ppm / 3));
	}
}

static void delays_lie_within_the_jitter(void)
{
	static const struct impair_settings rows[] = {
		{.delay_us = 20000},
		{.jitter_us = 1000},
		{.delay_us = 20000, .jitter_us = 3},
		{.delay_us = UINT32_MAX, .jitter_us = UINT32_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct tally t = tally(&rows[i]);
		const uint64_t most = (uint64_t)rows[i].delay_us + rows[i].jitter_us;
		CU_ASSERT_FALSE(fate_is_none(&rows[i]));
		CU_ASSERT_EQUAL(t.delay_min_us, rows[i].delay_us);
		CU_ASSERT_EQUAL(t.delay_max_us, most > UINT32_MAX ? UINT32_MAX : most);
	}
	const struct tally even = tally(&rows[1]);
	CU_ASSERT_TRUE(even.delay_sum_us / FRAMES >= 495 && even.delay_sum_us / FRAMES <= 505);
}

/* Turning one knob leaves the other verdicts, frame by frame, as they were. */
static void knobs_are_independent(void)
{
	const struct impair_settings a = {.loss_ppm = 100000, .jitter_us = 50, .seed = 9};
	struct impair_settings b = a;
	struct rng ra = fate_rng(&a, 1);
	struct rng rb = fate_rng(&b, 1);

	b.duplicate_ppm = b.corrupt_ppm = b.reorder_ppm = 500000;
	for (int i = 0; i < 1000; i++) {
		const struct fate fa = fate_of(&a, &ra, SIZE);
		const struct fate fb = fate_of(&b, &rb, SIZE);
		CU_ASSERT_EQUAL(fa.lost, fb.lost);
		CU_ASSERT_EQUAL(fa.delay_us, fb.delay_us);
	}
}

static void seeds_and_directions_differ(void)
{
	const struct impair_settings a = {.loss_ppm = 500000, .seed = 1};
	const struct impair_settings b = {.loss_ppm = 500000, .seed = 2};
	struct rng r[4] = {fate_rng(&a, 0), fate_rng(&a, 1), fate_rng(&b, 0), fate_rng(&b, 1)};
	int differ[4] = {0};

	for (int i = 0; i < 100; i++) {
		bool lost[4];
		for (int k = 0; k < 4; k++)
			lost[k] = fate_of(&a, &r[k], SIZE).lost;
		for (int k = 0; k < 4; k++)
			differ[k] += lost[k] != lost[(k + 1) % 4];
	}
	for (int k = 0; k < 4; k++)
		CU_ASSERT_TRUE(differ[k] > 20);
}

static void an_empty_frame_has_no_bit_to_flip(void)
{
	const struct impair_settings s = {.corrupt_ppm = 1000000};
	struct rng rng = fate_rng(&s, 0);

	CU_ASSERT_EQUAL(fate_of(&s, &rng, 0).corrupt_bit, FATE_INTACT);
	CU_ASSERT_TRUE(fate_of(&s, &rng, 1).corrupt_bit < 8);
}

static const struct unit_test tests[] = {
	{"nothing_happens_at_zero", nothing_happens_at_zero},
	{"rates_are_as_set", rates_are_as_set},
	{"delays_lie_within_the_jitter", delays_lie_within_the_jitter},
	{"knobs_are_independent", knobs_are_independent},
	{"seeds_and_directions_differ", seeds_and_directions_differ},
	{"an_empty_frame_has_no_bit_to_flip", an_empty_frame_has_no_bit_to_flip},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("fate", tests, argc, argv);
}
