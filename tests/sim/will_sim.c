/* will_sim.c - wills that lead to wills: clients who end each other, queues that are full of them.
 *
 * The box itself ends no connection because of what it delivers, so a loop needs clients who come
 * back for the next round. It costs what its CONNECTs cost: a will each, never more, and two others
 * who have nothing to do with it are served. */
#include "controlplane/sessions/peer.h"
#include "dataplane/base/assert.h"
#include "tests/sim/device.h"
#include "tests/unit/unit.h"

#include <stdio.h>

enum {
	SECOND_US = 1000000,
	LOOPERS_MAX = 16,
	MESSAGES = 100,
	PACE_US = 20000,
	BACK_US = 10000, /* until one who was closed is back */
};

static const char payload[600];

struct looper {
	struct client *client;
	char topic[16];
	uint32_t lives; /* granted */
	uint64_t back_us;
};

/* Who loops, and a durable reader and a writer beside it. */
struct play {
	struct world *world;
	struct ledger *ledger;
	struct device *reader, *writer;
	struct looper looper[LOOPERS_MAX];
	uint32_t count;
	const char *filter; /* they subscribe to; NULL: each to its topic */
	bool come_back;
	uint32_t closed, said;
	uint64_t say_us;
};

static struct looper *looper_of(struct play *p, const struct client *c)
{
	for (uint32_t i = 0; i < p->count; i++)
		if (p->looper[i].client == c)
			return &p->looper[i];
	ASSERT(false);
	return NULL;
}

static void on_connected(void *owner, struct client *c)
{
	struct play *p = (struct play *)owner;
	struct looper *l = looper_of(p, c);

	l->lives++;
	client_subscribe_qos(c, p->filter != NULL ? p->filter : l->topic, 1);
}

static void on_closed(void *owner, struct client *c)
{
	struct play *p = (struct play *)owner;

	p->closed++;
	looper_of(p, c)->back_us = world_now_us(p->world) + BACK_US;
}

static bool come_back(struct play *p, uint64_t now_us)
{
	bool busy = false;

	for (uint32_t i = 0; p->come_back && i < p->count; i++) {
		struct looper *l = &p->looper[i];
		if (client_gone(l->client) && now_us >= l->back_us) {
			client_connect(l->client);
			busy = true;
		}
	}
	return busy;
}

static bool turn(void *owner, uint64_t now_us)
{
	struct play *p = (struct play *)owner;
	bool busy = come_back(p, now_us);

	if (p->said < MESSAGES && now_us >= p->say_us) {
		p->say_us = now_us + PACE_US;
		p->said += device_publish(p->writer, "t", 100, (uint8_t)(1 + p->said % 2), false);
		busy = true;
	}
	busy |= device_turn(p->reader, now_us);
	return device_turn(p->writer, now_us) || busy;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t next_us(void *owner)
{
	const struct play *p = (const struct play *)owner;
	uint64_t t = earlier(device_next_us(p->reader), device_next_us(p->writer));

	if (p->said < MESSAGES)
		t = earlier(t, p->say_us);
	for (uint32_t i = 0; p->come_back && i < p->count; i++)
		if (client_gone(p->looper[i].client))
			t = earlier(t, p->looper[i].back_us);
	return t;
}

static bool settled(void *owner)
{
	const struct play *p = (const struct play *)owner;

	return device_settled(p->reader) && device_settled(p->writer);
}

static bool all_said(void *owner)
{
	const struct play *p = (const struct play *)owner;

	return p->said == MESSAGES && settled(owner) && ledger_owed(p->ledger) == 0;
}

static struct device *join(struct play *p, uint32_t number, const char *id)
{
	const struct device_conf conf = {.number = number,
		.id = id,
		.version = MQTT_V5,
		.expiry_s = 3600,
		.window = 8,
		.seed = number};
	struct device *d = device_create(p->world, p->ledger, &conf);

	device_stay(d, true, world_now_us(p->world));
	return d;
}

static struct world_conf conf_of(uint32_t workers)
{
	struct world_conf conf = world_defaults(unit_seed());

	conf.config.workers = workers;
	conf.config.takeover_timeout_us = 200000;
	conf.config.park_timeout_us = 100000;
	conf.config.time_wait_us = 500000;
	return conf;
}

static void begin(struct play *p, const struct world_conf *conf)
{
	const struct world_actor actor = {turn, next_us, p};

	*p = (struct play){.world = world_create(conf), .ledger = ledger_create(1000, 10)};
	ASSERT(p->ledger != NULL);
	p->said = MESSAGES;
	p->reader = join(p, 1, "reader");
	p->writer = join(p, 2, "writer");
	CU_ASSERT(device_subscribe(p->reader, "t", 2));
	world_join(p->world, &actor);
	CU_ASSERT(world_run(p->world, settled, p, 10ull * SECOND_US));
}

static void add_looper(struct play *p, const char *id, const char *topic, struct client_greeting g)
{
	const struct client_events events = {
		.connected = on_connected, .closed = on_closed, .owner = p};
	struct looper *l = &p->looper[p->count++];

	snprintf(l->topic, sizeof(l->topic), "%s", topic);
	l->client = client_new(p->world, id, &events);
	g.will_payload = span_of(payload, sizeof(payload));
	client_greet(l->client, &g);
	client_connect(l->client);
}

static uint64_t errors(const struct play *p, enum err e)
{
	const enum counter id = (enum counter)(COUNTER_NAMED + e);

	return world_counter(p->world, id) + world_cp_counter(p->world, id);
}

static uint64_t lives(const struct play *p)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < p->count; i++)
		n += p->looper[i].lives;
	return n;
}

/* Nobody comes back; everything ends, and the two others have lost nothing. */
static void end(struct play *p)
{
	struct ledger_totals t;

	p->come_back = false;
	CU_ASSERT(world_run(p->world, all_said, p, 60ull * SECOND_US));
	for (uint32_t i = 0; i < p->count; i++)
		client_abort(p->looper[i].client);
	world_run(p->world, NULL, NULL, 10ull * SECOND_US);
	CU_ASSERT(ledger_judge(p->ledger, &t));
	CU_ASSERT_EQUAL(t.ok, MESSAGES);
	CU_ASSERT_EQUAL(world_cp_counter(p->world, COUNTER_STORE_PENDING), 0);
	device_destroy(&p->reader);
	device_destroy(&p->writer);
	world_destroy(&p->world);
	ledger_destroy(&p->ledger);
}

/* Four to a client id: whoever is thrown out throws out the next, and all hear of it. */
static void takeovers(uint32_t workers)
{
	const struct world_conf conf = conf_of(workers);
	struct play p = {.world = NULL};
	char id[16];

	begin(&p, &conf);
	p.come_back = true;
	p.filter = "loop/#";
	p.said = 0;
	for (uint32_t i = 0; i < LOOPERS_MAX; i++) {
		snprintf(id, sizeof(id), "ring-%u", i / 4);
		const struct client_greeting g = {.version = i % 2 ? MQTT_V5 : MQTT_V4,
			.clean_start = true,
			.will_topic = i % 2 ? "loop/odd" : "loop/even",
			.will_qos = (uint8_t)(i % 3),
			.will_retain = i % 4 == 0};
		add_looper(&p, id, "", g);
	}
	CU_ASSERT(world_run(p.world, all_said, &p, 60ull * SECOND_US));
	p.come_back = false;
	world_run(p.world, NULL, NULL, SECOND_US);
	p.come_back = false;
	world_run(p.world, NULL, NULL, SECOND_US);
	const uint64_t wills = world_cp_counter(p.world, COUNTER_WILLS_DUE);
	const uint64_t taken = world_cp_counter(p.world, COUNTER_CP_TAKEOVERS);
	printf("# %lu takeovers, %lu wills\n", (unsigned long)taken, (unsigned long)wills);
	CU_ASSERT(taken > 100);
	CU_ASSERT(wills >= taken && wills <= world_cp_counter(p.world, COUNTER_CP_GRANTS));
	CU_ASSERT_EQUAL(world_counter(p.world, COUNTER_WILLS_PUBLISHED), wills);
	end(&p);
}

static void takeovers_without_end(void)
{
	takeovers(1);
	takeovers(2);
}

/* Each life leaves a will for everybody's queue, and nobody ever acknowledges one. */
static void wills_into_their_own_queues(void)
{
	enum { ROOM = 4, COUNT = 4, ROUNDS = 30 };
	struct world_conf conf = conf_of(2);
	struct play p = {.world = NULL};
	char id[16];

	conf.config.queue_messages_max = ROOM;
	begin(&p, &conf);
	p.filter = "loop";
	p.come_back = true;
	for (uint32_t i = 0; i < COUNT; i++) {
		snprintf(id, sizeof(id), "own-%u", i);
		const struct client_greeting g = {.version = MQTT_V5,
			.session_expiry_s = 3600,
			.will_topic = "loop",
			.will_qos = 1};
		add_looper(&p, id, "", g);
	}
	for (int round = 0; round < ROUNDS; round++) {
		world_run(p.world, NULL, NULL, SECOND_US / 5);
		for (uint32_t i = 0; i < COUNT; i++)
			client_abort(p.looper[i].client);
	}
	world_run(p.world, NULL, NULL, 5ull * SECOND_US);
	CU_ASSERT(lives(&p) > COUNT * ROUNDS / 2);
	CU_ASSERT(world_cp_counter(p.world, COUNTER_QUEUE_REFUSALS) > 0);
	CU_ASSERT(world_cp_counter(p.world, COUNTER_STORED_ENTRIES) <= COUNT * ROOM);
	/* They come again once a second, all of them, and no more often. */
	const uint64_t before = world_cp_counter(p.world, COUNTER_QUEUE_REFUSALS);
	world_run(p.world, NULL, NULL, 10ull * SECOND_US);
	const uint64_t refused = world_cp_counter(p.world, COUNTER_QUEUE_REFUSALS) - before;
	CU_ASSERT(refused > 0 && refused <= 11 * lives(&p));
	p.said = 0;
	end(&p);
}

static bool one_is_gone(void *owner)
{
	return ((const struct play *)owner)->closed > 0;
}

/* A chain: each one's will goes to the next, which takes no packet of that size. */
static void a_will_ends_nobody_else(void)
{
	enum { COUNT = 8 };
	const struct world_conf conf = conf_of(2);
	static char topics[COUNT + 1][16];
	struct play p = {.world = NULL};

	begin(&p, &conf);
	for (uint32_t i = 0; i <= COUNT; i++)
		snprintf(topics[i], sizeof(topics[i]), "chain/%u", i);
	for (uint32_t i = 0; i < COUNT; i++) {
		const struct client_greeting g = {.version = MQTT_V5,
			.clean_start = true,
			.session_expiry_s = i % 2 ? 3600 : 0,
			.packet_size_max = 200,
			.will_topic = topics[i + 1],
			.will_qos = 1};
		add_looper(&p, topics[i], topics[i], g);
	}
	world_run(p.world, NULL, NULL, SECOND_US);
	CU_ASSERT_EQUAL_FATAL(lives(&p), COUNT);
	for (uint32_t i = 0; i < 2; i++) { /* to one with a durable session, to one without */
		const uint64_t large = errors(&p, ERR_MQTT_PEER_PACKET_MAX);
		p.closed = 0;
		client_abort(p.looper[i * 3].client);
		CU_ASSERT(world_run(p.world, one_is_gone, &p, SECOND_US));
		world_run(p.world, NULL, NULL, 2ull * SECOND_US);
		/* The durable one's session has an end of its own, an hour from now. */
		CU_ASSERT_EQUAL(p.closed, 1);
		CU_ASSERT_EQUAL(errors(&p, ERR_MQTT_PEER_PACKET_MAX), large + 1);
	}
	CU_ASSERT_EQUAL(world_cp_counter(p.world, COUNTER_WILLS_DUE), 2);
	CU_ASSERT_EQUAL(world_cp_counter(p.world, COUNTER_STORED_ENTRIES), 0);
	p.said = 0;
	end(&p);
}

/* More of them than may be on their way at once: the ones behind them must not wait for ever. */
static void retained_wills_without_room(void)
{
	enum { ROUNDS = 2 * WILLS_MAX / LOOPERS_MAX };
	struct world_conf conf = conf_of(2);
	static char topics[LOOPERS_MAX][16];
	struct play p = {.world = NULL};

	conf.config.retained_max = 1;
	begin(&p, &conf);
	p.filter = "loop/#";
	p.come_back = true;
	for (uint32_t i = 0; i < LOOPERS_MAX; i++) {
		snprintf(topics[i], sizeof(topics[i]), "loop/%u", i);
		const struct client_greeting g = {.version = MQTT_V5,
			.clean_start = true,
			.will_topic = topics[i],
			.will_retain = true,
			.will_qos = (uint8_t)(i % 3)};
		add_looper(&p, topics[i], "", g);
	}
	for (int round = 0; round < ROUNDS; round++) {
		world_run(p.world, NULL, NULL, SECOND_US / 10);
		for (uint32_t i = 0; i < LOOPERS_MAX; i++)
			client_abort(p.looper[i].client);
	}
	world_run(p.world, NULL, NULL, 2ull * SECOND_US);
	const uint64_t due = world_cp_counter(p.world, COUNTER_WILLS_DUE);
	CU_ASSERT(due > WILLS_MAX);
	CU_ASSERT_EQUAL(world_counter(p.world, COUNTER_WILLS_PUBLISHED), due);
	CU_ASSERT(errors(&p, ERR_RETAINED_FULL) > WILLS_MAX);
	CU_ASSERT(world_counter(p.world, COUNTER_RETAINED) <= 2);
	p.said = 0;
	end(&p);
}

static const struct unit_test tests[] = {
	{"takeovers_without_end", takeovers_without_end},
	{"wills_into_their_own_queues", wills_into_their_own_queues},
	{"a_will_ends_nobody_else", a_will_ends_nobody_else},
	{"retained_wills_without_room", retained_wills_without_room},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("will", tests, argc, argv);
}
