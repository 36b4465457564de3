/* world.c - moves the time of a box and of its clients. What it is made of: world_build.c. */
#include "tests/sim/world_internal.h"

#include "dataplane/base/assert.h"
#include "dataplane/shm/region.h"

#include <rte_byteorder.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	STEP_US = 20,        /* how far time moves while somebody is busy */
	IDLE_STEP_US = 1000, /* and at most, while the planes owe each other an answer */
	CLIENT_BURST = 32,
};

static uint32_t address(uint8_t last)
{
	return rte_cpu_to_be_32(198u << 24 | 18u << 16 | last);
}

struct world_conf world_defaults(uint64_t seed)
{
	const struct shm_config config = {.workers = 1,
		.connections_max = 1024,
		.subscriptions_max = 4096,
		.filters_max = 4096,
		.filter_bytes_max = 1 << 20,
		.messages_max = 8192,
		.packet_size_max = 256 << 20,
		.rx_buffers = 4096,
		.tx_buffers = 8192,
		.held_buffers = 4096,
		.message_buffers = 16384,
		.receive_window_max = 256 << 10,
		.send_queue_max = 4 << 20,
		.half_open_max = 256,
		.mqtt_port = 1883,
		.sessions_max = 1024,
		.queue_messages_max = 10000,
		.queue_bytes_max = 64 << 20,
		.queued_max = 1000,
		.outbound_max = 8192,
		.inflight_max = 32,
		.receive_max = 32,
		.topic_alias_max = 16,
		.session_expiry_max_s = UINT32_MAX,
		.retained_max = 1024,
		.retained_bytes_max = 4 << 20,
		.wal_bytes_max = 64 << 20,
		.sync_interval_us = 100000,
		.durability = "synced",
		.congestion = "cubic",
		.connect_timeout_us = 10000000,
		.grant_timeout_us = 5000000,
		.park_timeout_us = 1000000,
		.tcp_keepalive_us = 120000000,
		.tcp_user_timeout_us = 60000000,
		.time_wait_us = 10000000,
		.idle_spin_us = 100,
		.idle_sleep_us = 200,
		.address = address(2),
		.netmask = rte_cpu_to_be_32(0xfffffffc),
		.gateway = address(1),
		.mtu = 1500,
		.nic = "sim"};
	return (struct world_conf){
		.seed = seed, .config = config, .client_buffers = 16384, .sync_us = 100};
}

struct world *world_create(const struct world_conf *conf)
{
	struct world *w = calloc(1, sizeof(*w));

	ASSERT(w != NULL);
	ASSERT(conf->config.workers >= 1 && conf->config.workers <= WORLD_WORKERS_MAX);
	w->seed = conf->seed;
	w->rng = rng_from(conf->seed ^ 0x7075726e);
	w->config = conf->config;
	w->now_us = 1000000;
	w->wall_ms = WORLD_EPOCH_MS;
	w->skip_syncs = conf->skip_syncs;
	w->forget_kind = conf->forget_kind;
	world_build(w, conf);
	world_start(w, WORLD_CONTROLPLANE);
	world_start(w, WORLD_DATAPLANE);
	return w;
}

void world_destroy(struct world **world)
{
	struct world *w = *world;

	*world = NULL;
	world_tear_down(w);
	free(w);
}

void world_join(struct world *w, const struct world_actor *a)
{
	ASSERT(w->actor_count < WORLD_ACTORS_MAX);
	w->actors[w->actor_count++] = *a;
}

static bool turn_clients(struct world *w, unsigned unused)
{
	struct rte_mbuf *frames[CLIENT_BURST];
	struct tcp_event e;
	bool busy = false;
	uint16_t n;

	(void)unused;
	while ((n = driver_rx(sim_end(w->wire, 1), 0, frames, CLIENT_BURST)) > 0) {
		for (uint16_t i = 0; i < n; i++) {
			struct net_packet packet;
			if (net_rx(w->net, &frames[i], &packet, w->now_us))
				tcp_rx(w->tcp, &packet, w->now_us);
		}
		busy = true;
	}
	busy |= tcp_poll_timers(w->tcp, w->now_us, 1024) > 0;
	net_poll_timers(w->net, w->now_us);
	while (tcp_next_event(w->tcp, &e)) {
		client_on_event(w, &e);
		busy = true;
	}
	for (uint32_t i = 0; i < w->actor_count; i++)
		busy |= w->actors[i].turn(w->actors[i].owner, w->now_us);
	tcp_flush(w->tcp, w->now_us);
	net_flush(w->net);
	return busy;
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t next_us(const struct world *w)
{
	uint64_t t = earliest(sim_next_us(w->wire), world_planes_next_us(w));
	bool waits = false;

	t = earliest(t, earliest(tcp_next_us(w->tcp), net_next_us(w->net)));
	for (uint32_t i = 0; i < w->actor_count; i++)
		t = earliest(t, w->actors[i].next_us(w->actors[i].owner));
	for (uint32_t i = 0; i < w->config.workers; i++)
		waits |= w->worker[i] != NULL && worker_waits(w->worker[i]);
	return waits ? earliest(t, w->now_us + IDLE_STEP_US) : t;
}

struct turn {
	bool (*take)(struct world *w, unsigned which);
	unsigned which;
};

/* Who runs first is chance: the processes of a real box know nothing of each other's turns. */
static uint32_t shuffle(struct world *w, struct turn *turns)
{
	uint32_t n = 0;

	turns[n++] = (struct turn){world_turn_controlplane, 0};
	turns[n++] = (struct turn){turn_clients, 0};
	for (uint32_t i = 0; i < w->config.workers; i++)
		turns[n++] = (struct turn){world_turn_worker, i};
	for (uint32_t i = n; i > 1; i--) {
		const uint32_t k = rng_below(&w->rng, i);
		const struct turn t = turns[i - 1];
		turns[i - 1] = turns[k];
		turns[k] = t;
	}
	return n;
}

static void step(struct world *w)
{
	struct turn turns[2 + WORLD_WORKERS_MAX];
	const uint32_t n = shuffle(w, turns);
	bool busy = false;

	sim_now(w->wire, w->now_us);
	world_turn_disk(w);
	for (uint32_t i = 0; i < n; i++)
		busy |= turns[i].take(w, turns[i].which);
	const uint64_t next = next_us(w);
	w->now_us = busy || next <= w->now_us ? w->now_us + STEP_US : next;
}

bool world_run(struct world *w, bool (*done)(void *owner), void *owner, uint64_t for_us)
{
	const uint64_t end = w->now_us + for_us;

	while (w->now_us < end) {
		if (done != NULL && done(owner))
			return true;
		step(w);
	}
	return done != NULL && done(owner);
}

uint64_t world_now_us(const struct world *w)
{
	return w->now_us;
}

uint64_t world_trace(const struct world *w)
{
	return w->trace;
}

uint64_t world_counter(const struct world *w, enum counter id)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < w->config.workers; i++)
		sum += counter_get(w->box[i].counters, id);
	return sum;
}

uint64_t world_cp_counter(const struct world *w, enum counter id)
{
	return counter_get(shm_counters(w->region[SHM_CP_COUNTERS], 0), id);
}

void world_impair(struct world *w, const struct impair_settings *s)
{
	sim_impair(w->wire, s);
}

struct memory_disk *world_disk(const struct world *w)
{
	return w->disk;
}

void world_step_wall(struct world *w, int64_t by_ms)
{
	if (by_ms < 0 && w->wall_ms < (uint64_t)-by_ms)
		w->wall_ms = 0;
	else
		w->wall_ms += (uint64_t)by_ms;
}

void world_print_errors(const struct world *w)
{
	for (unsigned id = COUNTER_NAMED; id < COUNTER_TOTAL; id++) {
		const uint64_t n =
			world_counter(w, (enum counter)id) + world_cp_counter(w, (enum counter)id);
		if (n > 0)
			printf("# %s %lu\n", counter_name(id), (unsigned long)n);
	}
}
