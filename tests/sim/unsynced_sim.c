/* unsynced_sim.c - what is acknowledged and not yet on the disk is measured. */
#include "dataplane/base/assert.h"
#include "storage/memory/memory.h"
#include "tests/sim/device.h"
#include "tests/unit/unit.h"

#include <stdio.h>

enum { SECOND_US = 1000000, MESSAGES = 20 };

/* A durable subscriber that is away, and a publisher. */
struct pair {
	struct world *world;
	struct ledger *ledger;
	struct device *reader, *writer;
};

static bool turn(void *owner, uint64_t now_us)
{
	const struct pair *p = (const struct pair *)owner;
	const bool reader = device_turn(p->reader, now_us);

	return device_turn(p->writer, now_us) || reader;
}

static uint64_t next_us(void *owner)
{
	const struct pair *p = (const struct pair *)owner;
	const uint64_t a = device_next_us(p->reader), b = device_next_us(p->writer);

	return a < b ? a : b;
}

static bool settled(void *owner)
{
	const struct pair *p = (const struct pair *)owner;

	return device_settled(p->reader) && device_settled(p->writer);
}

static bool drained(void *owner)
{
	const struct pair *p = (const struct pair *)owner;

	return settled(owner) && ledger_owed(p->ledger) == 0;
}

static struct device *join(struct pair *p, uint32_t number, const char *id)
{
	const struct device_conf conf = {
		.number = number, .id = id, .version = MQTT_V4, .window = MESSAGES, .seed = number};
	struct device *d = device_create(p->world, p->ledger, &conf);

	device_stay(d, true, world_now_us(p->world));
	return d;
}

static void begin(struct pair *p, const char *durability)
{
	struct world_conf conf = world_defaults(1);
	const struct world_actor actor = {turn, next_us, p};

	snprintf(conf.config.durability, sizeof(conf.config.durability), "%s", durability);
	p->world = world_create(&conf);
	p->ledger = ledger_create(100, 10);
	ASSERT(p->ledger != NULL);
	p->reader = join(p, 1, "reader");
	p->writer = join(p, 2, "writer");
	CU_ASSERT(device_subscribe(p->reader, "t", 1));
	world_join(p->world, &actor);
	CU_ASSERT(world_run(p->world, settled, p, 10ull * SECOND_US));
	device_stay(p->reader, false, world_now_us(p->world));
	device_goodbye(p->reader);
	world_run(p->world, NULL, NULL, SECOND_US);
}

/* Publishes while the disk does nothing; acknowledgements that came, and the largest gauge. */
static uint64_t publish_stalled(struct pair *p, uint64_t *unsynced)
{
	*unsynced = 0;
	memory_disk_stall(world_disk(p->world), true);
	for (int i = 0; i < MESSAGES; i++) {
		CU_ASSERT(device_publish(p->writer, "t", 100, 1, false));
		world_run(p->world, NULL, NULL, SECOND_US / 5);
		const uint64_t n = world_cp_counter(p->world, COUNTER_ACKNOWLEDGED_BUT_UNSYNCED);
		*unsynced = n > *unsynced ? n : *unsynced;
	}
	return ledger_totals(p->ledger)->acknowledged;
}

static void end(struct pair *p)
{
	struct ledger_totals t;

	memory_disk_stall(world_disk(p->world), false);
	device_stay(p->reader, true, world_now_us(p->world));
	CU_ASSERT(world_run(p->world, drained, p, 60ull * SECOND_US));
	world_run(p->world, NULL, NULL, 5ull * SECOND_US);
	CU_ASSERT_EQUAL(world_cp_counter(p->world, COUNTER_ACKNOWLEDGED_BUT_UNSYNCED), 0);
	CU_ASSERT(ledger_judge(p->ledger, &t));
	CU_ASSERT_EQUAL(t.ok, MESSAGES);
	device_destroy(&p->reader);
	device_destroy(&p->writer);
	world_destroy(&p->world);
	ledger_destroy(&p->ledger);
}

static void journal_acknowledges_what_a_power_cut_would_take(void)
{
	struct pair p = {0};
	uint64_t unsynced;

	begin(&p, "journal");
	CU_ASSERT_EQUAL(publish_stalled(&p, &unsynced), MESSAGES);
	CU_ASSERT(unsynced >= MESSAGES);
	end(&p);
}

static void synced_acknowledges_nothing_unsynced(void)
{
	struct pair p = {0};
	uint64_t unsynced;

	begin(&p, "synced");
	CU_ASSERT_EQUAL(publish_stalled(&p, &unsynced), 0);
	CU_ASSERT_EQUAL(unsynced, 0);
	end(&p);
}

static const struct unit_test tests[] = {
	{"journal_acknowledges_what_a_power_cut_would_take",
		journal_acknowledges_what_a_power_cut_would_take},
	{"synced_acknowledges_nothing_unsynced", synced_acknowledges_nothing_unsynced},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("unsynced", tests, argc, argv);
}
