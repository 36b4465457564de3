/* box_sim.c - the whole box under load and faults, in virtual time. */
#include "dataplane/base/assert.h"
#include "tests/sim/client.h"
#include "tests/unit/unit.h"

#include <stdio.h>

enum { SECOND_US = 1000000, CROWD = 200 };

/* A crowd: everybody subscribes to one topic and publishes to it. */
struct crowd {
	struct world *world;
	struct client *client[CROWD];
	uint32_t count;
	uint32_t connected, subscribed, closed;
	uint32_t live_subscribed[CROWD]; /* subscriptions acknowledged in this life */
	uint64_t messages;
	uint64_t target;
	bool come_back; /* reconnect when closed */
};

static uint32_t index_of(const struct crowd *w, const struct client *c)
{
	for (uint32_t i = 0; i < w->count; i++)
		if (w->client[i] == c)
			return i;
	ASSERT(false);
	return 0;
}

static void on_connected(void *owner, struct client *c)
{
	struct crowd *w = (struct crowd *)owner;

	w->connected++;
	client_subscribe(c, "crowd/+");
}

static void on_subscribed(void *owner, struct client *c)
{
	struct crowd *w = (struct crowd *)owner;

	w->subscribed++;
	w->live_subscribed[index_of(w, c)] = 1;
}

static void on_message(
	void *owner, struct client *c, struct span topic, struct span piece, bool whole)
{
	(void)c;
	(void)topic;
	(void)piece;
	((struct crowd *)owner)->messages += whole;
}

static void on_closed(void *owner, struct client *c)
{
	struct crowd *w = (struct crowd *)owner;

	w->closed++;
	w->live_subscribed[index_of(w, c)] = 0;
	if (w->come_back)
		client_connect(c);
}

static void gather(struct crowd *w, const struct world_conf *conf, uint32_t count)
{
	const struct client_events events = {.connected = on_connected,
		.subscribed = on_subscribed,
		.message = on_message,
		.closed = on_closed,
		.owner = w};

	w->world = world_create(conf);
	w->count = count;
	for (uint32_t i = 0; i < count; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%u", i);
		w->client[i] = client_new(w->world, id, &events);
		client_connect(w->client[i]);
	}
}

static bool all_subscribed(void *owner)
{
	const struct crowd *w = (const struct crowd *)owner;
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->count; i++)
		n += w->live_subscribed[i];
	return n == w->count;
}

static bool reached(void *owner)
{
	const struct crowd *w = (const struct crowd *)owner;

	return w->messages >= w->target;
}

static void everybody_says_hello(struct crowd *w)
{
	w->target = w->messages + (uint64_t)w->count * w->count;
	for (uint32_t i = 0; i < w->count; i++)
		CU_ASSERT(client_publish(w->client[i], "crowd/x", span_str("hello")));
	CU_ASSERT(world_run(w->world, reached, w, 60ull * SECOND_US));
	world_run(w->world, NULL, NULL, SECOND_US);
	CU_ASSERT_EQUAL(w->messages, w->target); /* and not one too many */
}

static void two_hundred_clients(void)
{
	struct crowd w = {0};
	const struct world_conf conf = world_defaults(unit_seed());

	gather(&w, &conf, CROWD);
	CU_ASSERT_FATAL(world_run(w.world, all_subscribed, &w, 60ull * SECOND_US));
	everybody_says_hello(&w);
	CU_ASSERT_EQUAL(w.closed, 0);
	world_destroy(&w.world);
}

static void controlplane_dies_under_load(void)
{
	struct crowd w = {0};
	const struct world_conf conf = world_defaults(unit_seed());

	gather(&w, &conf, 20);
	CU_ASSERT_FATAL(world_run(w.world, all_subscribed, &w, 60ull * SECOND_US));
	world_kill_controlplane(w.world);
	everybody_says_hello(&w); /* established traffic goes on */
	CU_ASSERT_EQUAL(w.closed, 0);
	/* Who comes now waits, and is let in when the control plane is back. */
	struct crowd late = {.world = w.world, .count = 1};
	const struct client_events events = {
		.connected = on_connected, .subscribed = on_subscribed, .owner = &late};
	late.client[0] = client_new(w.world, "late", &events);
	client_connect(late.client[0]);
	CU_ASSERT_FALSE(world_run(w.world, all_subscribed, &late, SECOND_US));
	world_start_controlplane(w.world);
	CU_ASSERT(world_run(w.world, all_subscribed, &late, SECOND_US));
	everybody_says_hello(&w);
	CU_ASSERT_EQUAL(w.closed, 0);
	world_destroy(&w.world);
}

static void controlplane_restart_keeps_takeover(void)
{
	struct crowd w = {0};
	const struct world_conf conf = world_defaults(unit_seed());

	gather(&w, &conf, 5);
	CU_ASSERT_FATAL(world_run(w.world, all_subscribed, &w, 60ull * SECOND_US));
	world_kill_controlplane(w.world);
	world_start_controlplane(w.world);
	world_run(w.world, NULL, NULL, SECOND_US);
	/* A namesake of client 0: the new control plane must know that 0 is here. */
	struct crowd twin = {.world = w.world, .count = 1};
	const struct client_events events = {
		.connected = on_connected, .subscribed = on_subscribed, .owner = &twin};
	twin.client[0] = client_new(w.world, "c0", &events);
	client_connect(twin.client[0]);
	CU_ASSERT(world_run(w.world, all_subscribed, &twin, 10ull * SECOND_US));
	world_run(w.world, NULL, NULL, 10ull * SECOND_US);
	CU_ASSERT_EQUAL(w.closed, 1);
	CU_ASSERT_FALSE(client_live(w.client[0]));
	CU_ASSERT(client_live(w.client[1]));
	world_destroy(&w.world);
}

static void dataplane_dies_and_clients_return(void)
{
	struct crowd w = {.come_back = true};
	const struct world_conf conf = world_defaults(unit_seed());

	gather(&w, &conf, 20);
	CU_ASSERT_FATAL(world_run(w.world, all_subscribed, &w, 60ull * SECOND_US));
	world_restart_dataplane(w.world);
	/* A client notices when it speaks: its next segment meets a stack that knows nothing. */
	for (uint32_t i = 0; i < w.count; i++)
		(void)client_publish(w.client[i], "crowd/x", span_str("anybody?"));
	world_run(w.world, NULL, NULL, 5ull * SECOND_US);
	CU_ASSERT_EQUAL(w.closed, 20);
	CU_ASSERT_FATAL(world_run(w.world, all_subscribed, &w, 60ull * SECOND_US));
	everybody_says_hello(&w);
	world_destroy(&w.world);
}

/* Pools far too small for the load: something is shed and counted, and the box recovers. */
static void empty_pools_shed_and_recover(void)
{
	struct crowd w = {0};
	struct world_conf conf = world_defaults(unit_seed());

	conf.config.message_buffers = 16;
	conf.config.messages_max = 8;
	conf.config.tx_buffers = 256;
	conf.config.held_buffers = 64;
	conf.config.rx_buffers = 512;
	conf.config.park_timeout_us = 20000;
	gather(&w, &conf, 50);
	CU_ASSERT_FATAL(world_run(w.world, all_subscribed, &w, 120ull * SECOND_US));
	static uint8_t big[30000];
	for (int round = 0; round < 5; round++)
		for (uint32_t i = 0; i < w.count; i++)
			(void)client_publish(w.client[i], "crowd/x", span_of(big, sizeof(big)));
	world_run(w.world, NULL, NULL, 60ull * SECOND_US);
	CU_ASSERT(world_counter(w.world, (enum counter)(COUNTER_NAMED + ERR_NO_MESSAGES)) +
			  world_counter(
				  w.world, (enum counter)(COUNTER_NAMED + ERR_SEND_QUEUE_FULL)) >
		  0);
	/* Load gone: a message gets through to everybody again. */
	w.target = w.messages + w.count;
	CU_ASSERT(client_publish(w.client[0], "crowd/x", span_str("after the storm")));
	CU_ASSERT(world_run(w.world, reached, &w, 60ull * SECOND_US));
	world_destroy(&w.world);
}

/* Gauges of memory: so much for each client, and nothing when all have gone. */
static void memory_is_told(void)
{
	static const enum counter used[] = {COUNTER_MEMORY_TCP_USED, COUNTER_MEMORY_SESSIONS_USED,
		COUNTER_MEMORY_SUBSCRIPTIONS_USED};
	struct crowd w = {0};
	const struct world_conf conf = world_defaults(unit_seed());

	gather(&w, &conf, 10);
	CU_ASSERT_FATAL(world_run(w.world, all_subscribed, &w, 60ull * SECOND_US));
	everybody_says_hello(&w);
	for (size_t i = 0; i < ARRAY_SIZE(used); i++)
		CU_ASSERT(world_counter(w.world, used[i]) > 0);
	CU_ASSERT(world_counter(w.world, COUNTER_MEMORY_TCP_USED) <
		  world_counter(w.world, COUNTER_MEMORY_TCP));
	CU_ASSERT(world_cp_counter(w.world, COUNTER_MEMORY_REGISTRY_USED) > 10 * 64);
	for (uint32_t i = 0; i < w.count; i++)
		client_close(w.client[i]);
	world_run(w.world, NULL, NULL, 60ull * SECOND_US); /* beyond TIME-WAIT */
	for (size_t i = 0; i < ARRAY_SIZE(used); i++)
		CU_ASSERT_EQUAL(world_counter(w.world, used[i]), 0);
	CU_ASSERT_EQUAL(world_counter(w.world, COUNTER_MEMORY_MESSAGES_USED), 0);
	CU_ASSERT_EQUAL(world_cp_counter(w.world, COUNTER_MEMORY_REGISTRY_USED), 0);
	world_destroy(&w.world);
}

static const struct unit_test tests[] = {
	{"memory_is_told", memory_is_told},
	{"two_hundred_clients", two_hundred_clients},
	{"controlplane_dies_under_load", controlplane_dies_under_load},
	{"controlplane_restart_keeps_takeover", controlplane_restart_keeps_takeover},
	{"dataplane_dies_and_clients_return", dataplane_dies_and_clients_return},
	{"empty_pools_shed_and_recover", empty_pools_shed_and_recover},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("box", tests, argc, argv);
}
