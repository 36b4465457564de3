/* watch_test.c - when the NIC is opened again, and what is counted. */
#include "dataplane/worker/watch.h"

#include "tests/unit/unit.h"

#include <stdio.h>

enum { AGAIN_US = 500000 };

static struct counters counters;
static struct shm_config_page page;
static struct shm_config config;
static struct {
	bool link, sound;
	enum err answer;
	uint32_t renewed, resting; /* times; that the team rested then */
} fake;
static struct thread_team team;

static bool link_up(struct driver *d)
{
	(void)d;
	return fake.link;
}

static bool sound(struct driver *d)
{
	(void)d;
	return fake.sound;
}

static enum err renew(struct driver *d, char *why, size_t why_size)
{
	(void)d;
	fake.renewed++;
	fake.resting += team.resting;
	snprintf(why, why_size, "of a test");
	if (fake.answer == ERR_NONE)
		fake.sound = true;
	return fake.answer;
}

static const struct driver_ops whole = {.link_up = link_up, .sound = sound, .renew = renew};
static const struct driver_ops simple = {.link_up = link_up};
static struct driver nic;

/* No workers: nobody is waited for. */
static struct watch begin(const struct driver_ops *ops)
{
	struct watch w = {.team = &team, .nic = &nic, .page = &page};

	memset(&counters, 0, sizeof(counters));
	memset(&team, 0, sizeof(team));
	nic = (struct driver){.ops = ops, .counters = &counters};
	memset(&fake, 0, sizeof(fake));
	fake.link = fake.sound = true;
	memset(&page, 0, sizeof(page));
	config = (struct shm_config){.nic_resets = 0};
	shm_config_write(&page, &config);
	watch_init(&w, &config);
	return w;
}

static void ask(uint32_t resets)
{
	config.nic_resets = resets;
	shm_config_write(&page, &config);
}

static void a_sound_nic_is_left_alone(void)
{
	struct watch w = begin(&whole);

	for (uint64_t now = 0; now < 10; now++)
		watch_turn(&w, now * WATCH_EVERY_US);
	CU_ASSERT_EQUAL(fake.renewed, 0);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_NIC_LINK), 1);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_NIC_LINK_CHANGES), 0);
}

static void link_changes_are_counted(void)
{
	struct watch w = begin(&whole);

	for (uint32_t i = 1; i <= 3; i++) {
		fake.link = !fake.link;
		watch_turn(&w, i);
		watch_turn(&w, i);
		CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_NIC_LINK), fake.link);
		CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_NIC_LINK_CHANGES), i);
	}
}

static void a_nic_that_is_gone_is_tried_again_until_it_is_there(void)
{
	struct watch w = begin(&whole);

	fake.sound = false;
	fake.answer = ERR_NIC_CONFIG;
	watch_turn(&w, 1000);
	CU_ASSERT_EQUAL(fake.renewed, 1);
	CU_ASSERT_EQUAL(fake.resting, 1);
	CU_ASSERT_EQUAL(team.resting, 0);
	watch_turn(&w, 1000 + AGAIN_US - 1); /* too soon */
	CU_ASSERT_EQUAL(fake.renewed, 1);
	watch_turn(&w, 1000 + AGAIN_US);
	CU_ASSERT_EQUAL(fake.renewed, 2);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_NIC_RESETS), 0);
	fake.answer = ERR_NONE;
	watch_turn(&w, 1000 + 2 * AGAIN_US);
	watch_turn(&w, 1000 + 3 * AGAIN_US);
	CU_ASSERT_EQUAL(fake.renewed, 3);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_NIC_RESETS), 1);
}

static void whoever_asks_gets_one_reset(void)
{
	struct watch w = begin(&whole);

	ask(1);
	watch_turn(&w, 1);
	watch_turn(&w, 2);
	CU_ASSERT_EQUAL(fake.renewed, 1);
	ask(1); /* another key has changed */
	watch_turn(&w, 3);
	CU_ASSERT_EQUAL(fake.renewed, 1);
	ask(0); /* the control plane was restarted */
	watch_turn(&w, 4);
	CU_ASSERT_EQUAL(fake.renewed, 1);
	ask(1);
	watch_turn(&w, 5);
	CU_ASSERT_EQUAL(fake.renewed, 2);
}

static void a_driver_that_cannot_is_not_asked(void)
{
	struct watch w = begin(&simple);

	ask(1);
	watch_turn(&w, 1);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_NIC_RESETS), 0);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_NIC_LINK), 1);
}

static const struct unit_test tests[] = {
	{"a_sound_nic_is_left_alone", a_sound_nic_is_left_alone},
	{"link_changes_are_counted", link_changes_are_counted},
	{"a_nic_that_is_gone_is_tried_again_until_it_is_there",
		a_nic_that_is_gone_is_tried_again_until_it_is_there},
	{"whoever_asks_gets_one_reset", whoever_asks_gets_one_reset},
	{"a_driver_that_cannot_is_not_asked", a_driver_that_cannot_is_not_asked},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("watch", tests, argc, argv);
}
