/* health_test.c - who is down, and why. */
#include "mgmt/api/health.h"

#include "tests/unit/unit.h"

#include <string.h>

enum { S = 1000000, NOW_US = 100 * S };

/* Two workers and a control plane that moved just now, all ready. */
static struct sample well(void)
{
	struct sample s;

	memset(&s, 0, sizeof(s));
	s.now_us = NOW_US;
	s.workers = 2;
	s.worker[0].heartbeat_us = NOW_US;
	s.worker[1].heartbeat_us = NOW_US - 1000;
	for (unsigned p = SHM_PROCESS_DATAPLANE; p <= SHM_PROCESS_CONTROLPLANE; p++)
		s.process[p] = (struct process_view){
			.attached = true, .ready = true, .heartbeat_us = NOW_US};
	return s;
}

static void expect(const struct sample *s, const char *code, const char *text)
{
	struct health health;

	health_judge(s, &health);
	if (code == NULL) {
		CU_ASSERT_EQUAL(health.count, 0);
		return;
	}
	CU_ASSERT_EQUAL_FATAL(health.count, 1);
	CU_ASSERT_STRING_EQUAL(health.reason[0].code, code);
	CU_ASSERT_STRING_EQUAL(health.reason[0].text, text);
}

static void all_well(void)
{
	const struct sample s = well();

	expect(&s, NULL, NULL);
}

static void worker_at_the_limit(void)
{
	struct sample s = well();

	s.worker[1].heartbeat_us = NOW_US - 2 * S;
	expect(&s, NULL, NULL);
	s.worker[1].heartbeat_us -= 1000;
	expect(&s, "WORKER_STALLED", "worker 1 has not moved for 2001 ms");
}

static void worker_never_ran(void)
{
	struct sample s = well();

	s.worker[0].heartbeat_us = 0;
	expect(&s, "WORKER_NOT_STARTED", "worker 0 has never run");
}

static void controlplane_stalled(void)
{
	struct sample s = well();

	s.process[SHM_PROCESS_CONTROLPLANE].heartbeat_us = NOW_US - 5 * S;
	expect(&s, "CONTROLPLANE_STALLED", "the control plane has not moved for 5000 ms");
}

static void controlplane_never_ran(void)
{
	struct sample s = well();

	s.process[SHM_PROCESS_CONTROLPLANE].heartbeat_us = 0;
	expect(&s, "CONTROLPLANE_NOT_STARTED", "the control plane has never run");
}

static void unattached(void)
{
	struct sample s;
	struct health health;

	memset(&s, 0, sizeof(s));
	health_judge(&s, &health);
	CU_ASSERT_EQUAL_FATAL(health.count, 2);
	CU_ASSERT_STRING_EQUAL(health.reason[0].code, "DATAPLANE_UNKNOWN");
	CU_ASSERT_STRING_EQUAL(health.reason[1].code, "CONTROLPLANE_UNKNOWN");
}

static void ready_asks_both_planes(void)
{
	struct sample s = well();
	struct health health;

	health_judge_ready(&s, &health);
	CU_ASSERT_EQUAL(health.count, 0);
	s.process[SHM_PROCESS_DATAPLANE].ready = false;
	health_judge_ready(&s, &health);
	CU_ASSERT_EQUAL_FATAL(health.count, 1);
	CU_ASSERT_STRING_EQUAL(health.reason[0].code, "DATAPLANE_NOT_READY");
	s.process[SHM_PROCESS_CONTROLPLANE].ready = false;
	health_judge_ready(&s, &health);
	CU_ASSERT_EQUAL(health.count, 2);
}

/* Everything wrong at once still fits. */
static void all_reasons_fit(void)
{
	struct sample s;
	struct health health;

	memset(&s, 0, sizeof(s));
	s.workers = SHM_WORKERS_MAX;
	health_judge_ready(&s, &health);
	CU_ASSERT_EQUAL(health.count, SHM_WORKERS_MAX + 4);
}

static const struct unit_test tests[] = {
	{"all_well", all_well},
	{"worker_at_the_limit", worker_at_the_limit},
	{"worker_never_ran", worker_never_ran},
	{"controlplane_stalled", controlplane_stalled},
	{"controlplane_never_ran", controlplane_never_ran},
	{"unattached", unattached},
	{"ready_asks_both_planes", ready_asks_both_planes},
	{"all_reasons_fit", all_reasons_fit},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("health", tests, argc, argv);
}
