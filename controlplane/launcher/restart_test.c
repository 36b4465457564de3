/* restart_test.c - how long a process that died waits for its next start. */
#include "controlplane/launcher/restart.h"

#include "tests/unit/unit.h"

static const uint64_t second_us = 1000000;

static void first_death_restarts_at_once(void)
{
	struct restart r = {0};

	restart_on_start(&r, 5);
	CU_ASSERT_EQUAL(restart_on_end(&r, 6), 6);
}

static void crash_loop_backs_off_to_five_seconds(void)
{
	static const uint64_t delay_ms[] = {0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000};
	struct restart r = {0};
	uint64_t now_us = second_us;

	for (size_t i = 0; i < sizeof(delay_ms) / sizeof(delay_ms[0]); i++) {
		restart_on_start(&r, now_us);
		now_us += 1000;
		const uint64_t at_us = restart_on_end(&r, now_us);
		CU_ASSERT_EQUAL(at_us - now_us, delay_ms[i] * 1000);
		now_us = at_us;
	}
}

static void health_forgives(void)
{
	struct restart r = {0};

	for (int i = 0; i < 6; i++) {
		restart_on_start(&r, second_us);
		(void)restart_on_end(&r, second_us + 1);
	}
	restart_on_start(&r, 2 * second_us);
	CU_ASSERT_EQUAL(restart_on_end(&r, 12 * second_us), 12 * second_us);
	restart_on_start(&r, 12 * second_us);
	CU_ASSERT_EQUAL(restart_on_end(&r, 13 * second_us), 13 * second_us + 100000);
}

static void hopeless_ends_are_believed_the_third_time(void)
{
	struct restart r = {0};

	restart_on_start(&r, second_us);
	CU_ASSERT_EQUAL(restart_on_hopeless_end(&r, second_us + 1), second_us + 1);
	/* Others, and health, between them change nothing. */
	restart_on_start(&r, 2 * second_us);
	(void)restart_on_end(&r, 50 * second_us);
	restart_on_start(&r, 50 * second_us);
	CU_ASSERT(restart_on_hopeless_end(&r, 90 * second_us) <= 91 * second_us);
	restart_on_start(&r, 91 * second_us);
	CU_ASSERT_EQUAL(restart_on_hopeless_end(&r, 92 * second_us), UINT64_MAX);
}

static void a_million_deaths_do_not_overflow(void)
{
	struct restart r = {.failures = UINT32_MAX - 3};

	for (int i = 0; i < 3; i++) {
		restart_on_start(&r, 1);
		CU_ASSERT(restart_on_end(&r, 2) <= 2 + 5 * second_us);
	}
}

static const struct unit_test tests[] = {
	{"first_death_restarts_at_once", first_death_restarts_at_once},
	{"crash_loop_backs_off_to_five_seconds", crash_loop_backs_off_to_five_seconds},
	{"health_forgives", health_forgives},
	{"hopeless_ends_are_believed_the_third_time", hopeless_ends_are_believed_the_third_time},
	{"a_million_deaths_do_not_overflow", a_million_deaths_do_not_overflow},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("restart", tests, argc, argv);
}
