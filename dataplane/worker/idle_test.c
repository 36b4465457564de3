/* idle_test.c - when a worker may wait. */
#include "dataplane/worker/idle.h"

#include "tests/unit/unit.h"

static const struct idle_conf waking = {
	.spin_us = 100, .wait_max_us = 10000, .sleep_max_us = 200, .answer_us = 50, .wakes = true};
static const struct idle_conf blind = {
	.spin_us = 100, .wait_max_us = 10000, .sleep_max_us = 200, .answer_us = 50, .wakes = false};

static uint64_t after(
	const struct idle_conf *conf, uint64_t empty_for_us, bool owed, uint64_t due_us)
{
	struct idle i = {0};

	idle_wait_us(&i, conf, true, false, 1000, UINT64_MAX);
	idle_wait_us(&i, conf, false, owed, 1000, due_us);
	return idle_wait_us(&i, conf, false, owed, 1000 + empty_for_us, due_us);
}

static void busy_never_waits(void)
{
	struct idle i = {0};

	for (uint64_t now = 1; now < 100000; now += 999)
		CU_ASSERT_EQUAL(idle_wait_us(&i, &waking, true, false, now, UINT64_MAX), 0);
}

static void spins_before_it_waits(void)
{
	CU_ASSERT_EQUAL(after(&waking, 99, false, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(after(&waking, 100, false, UINT64_MAX), 10000);
}

static void sleeps_briefly_on_a_blind_nic(void)
{
	CU_ASSERT_EQUAL(after(&blind, 5000, false, UINT64_MAX), 200);
}

static void wakes_for_the_next_timer(void)
{
	CU_ASSERT_EQUAL(after(&waking, 500, false, 1000 + 500 + 70), 70);
	CU_ASSERT_EQUAL(after(&waking, 500, false, 1200), 0);
}

static void does_not_oversleep_an_answer(void)
{
	CU_ASSERT_EQUAL(after(&waking, 500, true, UINT64_MAX), 50);
	CU_ASSERT_EQUAL(after(&blind, 500, true, UINT64_MAX), 50);
}

static void work_resets_the_spin(void)
{
	struct idle i = {0};

	idle_wait_us(&i, &waking, false, false, 1000, UINT64_MAX);
	CU_ASSERT_EQUAL(idle_wait_us(&i, &waking, false, false, 2000, UINT64_MAX), 10000);
	CU_ASSERT_EQUAL(idle_wait_us(&i, &waking, true, false, 3000, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(idle_wait_us(&i, &waking, false, false, 3001, UINT64_MAX), 0);
}

static const struct unit_test tests[] = {
	{"busy_never_waits", busy_never_waits},
	{"spins_before_it_waits", spins_before_it_waits},
	{"sleeps_briefly_on_a_blind_nic", sleeps_briefly_on_a_blind_nic},
	{"wakes_for_the_next_timer", wakes_for_the_next_timer},
	{"does_not_oversleep_an_answer", does_not_oversleep_an_answer},
	{"work_resets_the_spin", work_resets_the_spin},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("idle", tests, argc, argv);
}
