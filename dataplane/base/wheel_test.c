/* wheel_test.c - wheel.h against a naive model: an array of deadlines.
 *
 * What must hold: never early; when polled, at most a millisecond late; no more than the budget;
 * the time to sleep until is never later than the first deadline, and never in the past once all
 * that was due has fired (or a caller would spin). */
#include "dataplane/base/rng.h"
#include "dataplane/base/wheel.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

enum { TIMERS = 200 };

struct model {
	struct wheel wheel;
	struct wheel_node nodes[TIMERS + WHEEL_LEVELS * WHEEL_SLOTS];
	struct rng rng;
	uint64_t deadline_us[TIMERS]; /* UINT64_MAX: not armed */
	uint64_t due_ms[TIMERS];      /* must have fired by this tick */
	uint32_t armed;
	uint32_t fired;    /* in this poll */
	bool chaos;        /* callbacks arm and cancel */
	uint64_t fired_us; /* the last firing */
};

static uint64_t up_to_ms(uint64_t us)
{
	return us / 1000 + (us % 1000 != 0);
}

static void arm(struct model *m, uint32_t i, uint64_t deadline_us, uint64_t now_us)
{
	m->armed += m->deadline_us[i] == UINT64_MAX;
	m->deadline_us[i] = deadline_us;
	m->due_ms[i] = up_to_ms(deadline_us);
	if (m->due_ms[i] <= now_us / 1000)
		m->due_ms[i] = now_us / 1000 + 1;
	wheel_arm(&m->wheel, i, deadline_us);
}

static void cancel(struct model *m, uint32_t i)
{
	m->armed -= m->deadline_us[i] != UINT64_MAX;
	m->deadline_us[i] = UINT64_MAX;
	wheel_cancel(&m->wheel, i);
}

/* From microseconds to months: every level, every distance from a boundary. */
static uint64_t some_us(struct rng *rng)
{
	static const uint64_t scales_us[] = {1, 1000, 300 * 1000, 70ull * 1000 * 1000,
		5ull * 3600 * 1000 * 1000, 3ull * 86400 * 1000 * 1000,
		120ull * 86400 * 1000 * 1000};
	const uint64_t scale = scales_us[rng_below(rng, 7)];

	if (rng_below(rng, 4) == 0) /* near where levels meet */
		return ((uint64_t)1000 << 8 * (1 + rng_below(rng, 4))) + rng_below(rng, 5000) -
		       2500;
	return rng_next(rng) % (scale + 1);
}

static void on_fire(void *owner, uint32_t i, uint64_t now_us)
{
	struct model *m = owner;

	CU_ASSERT_NOT_EQUAL(m->deadline_us[i], UINT64_MAX);
	CU_ASSERT_TRUE(m->deadline_us[i] <= now_us); /* never early */
	CU_ASSERT_FALSE(wheel_is_armed(&m->wheel, i));
	m->armed--;
	m->deadline_us[i] = UINT64_MAX;
	m->fired++;
	m->fired_us = now_us;
	if (!m->chaos)
		return;
	if (rng_below(&m->rng, 3) == 0)
		arm(m, i, now_us + some_us(&m->rng), now_us);
	if (rng_below(&m->rng, 3) == 0)
		cancel(m, rng_below(&m->rng, TIMERS));
	if (rng_below(&m->rng, 3) == 0)
		arm(m, rng_below(&m->rng, TIMERS), some_us(&m->rng), now_us); /* often past */
}

static void poll(struct model *m, uint64_t now_us, uint32_t budget)
{
	m->fired = 0;
	const uint32_t fired = wheel_poll(&m->wheel, now_us, budget, on_fire, m);
	uint64_t first_ms = UINT64_MAX;

	CU_ASSERT_EQUAL(fired, m->fired);
	CU_ASSERT_TRUE(fired <= budget);
	CU_ASSERT_EQUAL(m->wheel.armed, m->armed);
	for (uint32_t i = 0; i < TIMERS; i++) {
		const bool armed = m->deadline_us[i] != UINT64_MAX;
		CU_ASSERT_EQUAL(wheel_is_armed(&m->wheel, i), armed);
		if (armed && m->due_ms[i] < first_ms)
			first_ms = m->due_ms[i];
	}
	const uint64_t next_us = wheel_next_us(&m->wheel);
	CU_ASSERT_EQUAL(next_us == UINT64_MAX, first_ms == UINT64_MAX);
	CU_ASSERT_TRUE(next_us / 1000 <= first_ms);
	if (fired < budget) { /* nothing left over: no more than a millisecond late */
		CU_ASSERT_TRUE(first_ms > now_us / 1000);
		CU_ASSERT_TRUE(next_us > now_us);
	}
}

static struct model *model_new(uint64_t seed, uint64_t now_us)
{
	struct model *m = calloc(1, sizeof(*m));

	m->rng = rng_from(seed);
	for (int i = 0; i < TIMERS; i++)
		m->deadline_us[i] = UINT64_MAX;
	wheel_init(&m->wheel, m->nodes, TIMERS, now_us);
	return m;
}

static void walk(uint64_t seed, uint64_t now_us)
{
	struct model *m = model_new(seed, now_us);

	m->chaos = true;
	for (int step = 0; step < 3000; step++) {
		const uint32_t i = rng_below(&m->rng, TIMERS);
		switch (rng_below(&m->rng, 8)) {
		case 0:
			cancel(m, i);
			break;
		case 1: /* sleep as told, which may be forever */
			if (wheel_next_us(&m->wheel) != UINT64_MAX &&
				wheel_next_us(&m->wheel) > now_us)
				now_us = wheel_next_us(&m->wheel);
			break;
		case 2:
			now_us += some_us(&m->rng);
			break;
		case 3:
			poll(m, now_us, rng_below(&m->rng, 4));
			break;
		case 4:
			poll(m, now_us, UINT32_MAX);
			break;
		default:
			arm(m, i, now_us + some_us(&m->rng), now_us);
			break;
		}
	}
	m->chaos = false;
	poll(m, now_us + 400ull * 86400 * 1000 * 1000, UINT32_MAX);
	CU_ASSERT_EQUAL(m->armed, 0);
	free(m);
}

static void random_walks_agree_with_the_model(void)
{
	struct rng rng = rng_from(unit_seed());
	static const uint64_t starts_us[] = {
		0, 1, 999, 255 * 1000, (uint64_t)0xffffffff * 1000, (uint64_t)1 << 50};

	for (size_t i = 0; i < sizeof(starts_us) / sizeof(starts_us[0]); i++)
		for (int k = 0; k < 5; k++)
			walk(rng_next(&rng), starts_us[i]);
}

/* Only sleeping as wheel_next_us says, one timer fires exactly at its deadline, rounded up. */
static void sleeping_as_told_is_on_time(void)
{
	static const uint64_t waits_us[] = {1, 999, 1000, 1001, 255000, 256000, 257000, 65535000,
		65536000, 65537000, 16777216000, 16777217001, 4294967295000, 4294967296000,
		4294967297000, 31536000000000};
	static const uint64_t starts_us[] = {0, 1, 255000, 256000, 16777215999, 777777777777};

	for (size_t s = 0; s < sizeof(starts_us) / sizeof(starts_us[0]); s++)
		for (size_t i = 0; i < sizeof(waits_us) / sizeof(waits_us[0]); i++) {
			struct model *m = model_new(1, starts_us[s]);
			const uint64_t deadline_us = starts_us[s] + waits_us[i];
			uint64_t now_us = starts_us[s];
			int wakes = 0;
			arm(m, 3, deadline_us, now_us);
			while (m->armed > 0 && wakes < 30) {
				now_us = wheel_next_us(&m->wheel);
				poll(m, now_us, 1);
				wakes++;
			}
			CU_ASSERT_EQUAL(m->fired_us, m->due_ms[3] * 1000);
			CU_ASSERT_TRUE(m->due_ms[3] * 1000 < deadline_us + 2000);
			CU_ASSERT_TRUE(wakes <= 4 + 8); /* one a level; 8 times round for a year */
			free(m);
		}
}

static void the_budget_spreads_a_herd(void)
{
	struct model *m = model_new(1, 0);

	for (uint32_t i = 0; i < TIMERS; i++)
		arm(m, i, 5000 + i % 3, 0);
	for (uint32_t left = TIMERS; left > 0; left -= 50) {
		CU_ASSERT_TRUE(wheel_next_us(&m->wheel) <= 6000);
		poll(m, 7000, 50);
		CU_ASSERT_EQUAL(m->fired, 50);
	}
	CU_ASSERT_EQUAL(wheel_next_us(&m->wheel), UINT64_MAX);
	poll(m, 8000, 0);
	free(m);
}

static void arming_again_moves_and_cancelling_twice_is_nothing(void)
{
	struct model *m = model_new(1, 0);

	arm(m, 0, 5000, 0);
	arm(m, 0, 90000, 0);
	poll(m, 50000, 10);
	CU_ASSERT_EQUAL(m->fired, 0);
	arm(m, 0, 51000, 50000);
	poll(m, 51000, 10);
	CU_ASSERT_EQUAL(m->fired, 1);
	arm(m, 0, 60000, 51000);
	cancel(m, 0);
	wheel_cancel(&m->wheel, 0);
	poll(m, 1000000, 10);
	CU_ASSERT_EQUAL(m->fired, 0);
	arm(m, 0, UINT64_MAX - 1, 1000000); /* as good as never */
	poll(m, 1ull << 53, 10);
	CU_ASSERT_EQUAL(m->fired, 0);
	free(m);
}

static void arm_in_the_past(void *owner, uint32_t i, uint64_t now_us)
{
	struct model *m = owner;

	(void)now_us;
	if (++m->fired < 1000)
		wheel_arm(&m->wheel, i, 0);
}

/* A callback that always finds its next deadline past fires once a tick, not without end. */
static void a_timer_that_is_always_late_does_not_hold_the_poll(void)
{
	struct model *m = model_new(1, 0);

	wheel_arm(&m->wheel, 0, 0);
	CU_ASSERT_EQUAL(wheel_poll(&m->wheel, 10000, UINT32_MAX, arm_in_the_past, m), 10);
	CU_ASSERT_EQUAL(wheel_poll(&m->wheel, 10999, UINT32_MAX, arm_in_the_past, m), 0);
	CU_ASSERT_EQUAL(wheel_poll(&m->wheel, 11000, UINT32_MAX, arm_in_the_past, m), 1);
	free(m);
}

static const struct unit_test tests[] = {
	{"random_walks_agree_with_the_model", random_walks_agree_with_the_model},
	{"sleeping_as_told_is_on_time", sleeping_as_told_is_on_time},
	{"the_budget_spreads_a_herd", the_budget_spreads_a_herd},
	{"arming_again_moves_and_cancelling_twice_is_nothing",
		arming_again_moves_and_cancelling_twice_is_nothing},
	{"a_timer_that_is_always_late_does_not_hold_the_poll",
		a_timer_that_is_always_late_does_not_hold_the_poll},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("wheel", tests, argc, argv);
}
