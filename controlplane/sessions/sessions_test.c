/* sessions_test.c - what survives, rule by rule. */
#include "tests/unit/sessions_rig.h"
#include "tests/unit/unit.h"

static struct rig rig;

static void said(const char *expected, int line)
{
	const char *s = rig_said(&rig);

	if (strcmp(s, expected) != 0) {
		printf("# line %d: \"%s\"\n#     not \"%s\"\n", line, s, expected);
		CU_ASSERT(false);
	}
}

#define SAID(text) said(text, __LINE__)

static const struct rig_who anna = {.index = 1, .client = "anna", .expiry_s = 100};

static void a_message_waits_for_its_client(void)
{
	rig_init(&rig);
	rig_connect(&rig, &anna);
	struct sessions_ready ready = rig_ready(&rig);
	CU_ASSERT(ready.err == ERR_NONE && ready.session == 1 && ready.durable && !ready.present);
	SAID("0:place1@0.1 1:place1@0.1");
	const struct shm_work ended = {.session = 1, .epoch = rig.epoch};
	rig_work(&rig, 0, SHM_COMMAND_ENDED, ended, NULL);
	rig_run(&rig);
	SAID("0:place1@none 0:done1 1:place1@none");
	const struct rig_store_work m = {
		.worker = 1, .targets = {1}, .qos = 1, .topic = "t", .payload = "x"};
	rig_publish(&rig, &m);
	rig_hear(&rig, 1);
	SAID(""); /* not before it is down */
	rig_run(&rig);
	SAID("1:done1");
	rig_connect(&rig, &anna);
	ready = rig_ready(&rig);
	CU_ASSERT(ready.session == 1 && ready.present && ready.durable);
	SAID("0:place1@0.1 1:place1@0.1 0:deliver@1#1q1:t=x");
	const struct shm_work settled = {.session = 1, .entry = 1};
	rig_work(&rig, 0, SHM_COMMAND_SETTLED, settled, NULL);
	rig_run(&rig);
	SAID("0:done2");
	CU_ASSERT(rig_store_rows(&rig.store, 'Q') == 0);
	CU_ASSERT(rig_store_rows(&rig.store, 'B') == 0);
	rig_fini(&rig);
}

static const struct unit_test tests[] = {
	{"a_message_waits_for_its_client", a_message_waits_for_its_client},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("sessions", tests, argc, argv);
}
