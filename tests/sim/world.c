/* world.c - builds a box, its control plane and its clients, and moves their time. */
#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"
#include "tests/sim/world_internal.h"
#include "tests/unit/eal.h"

#include <rte_byteorder.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	STEP_US = 20,        /* how far time moves while somebody is busy */
	IDLE_STEP_US = 1000, /* and at most, while the planes owe each other an answer */
	CLIENT_BURST = 32,
};

static const uint8_t macs[2][6] = {{0x02, 0x53, 0x42, 0, 0, 1}, {0x02, 0x53, 0x42, 0, 0, 2}};

static rte_be32_t address(uint8_t last)
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
	return (struct world_conf){.seed = seed, .config = config, .client_buffers = 16384};
}

static void on_frame(void *owner, unsigned from, struct span frame)
{
	struct world *w = (struct world *)owner;
	const struct hash_key key = {w->trace, w->now_us ^ from};

	w->trace = siphash(key, frame);
}

static void create_wire(struct world *w, const struct world_conf *conf)
{
	struct sim_conf sim = {.impair = conf->impair,
		.bits_per_s = 1000000000,
		.frames_max = 1024,
		.mtu = 1500,
		.pool = {w->box.pools.rx, w->client_pools.rx},
		.counters = {w->box.counters, &w->client_counters}};

	memcpy(sim.mac, macs, sizeof(macs));
	sim.impair.seed = conf->seed;
	w->wire = sim_create(&sim);
	ASSERT(w->wire != NULL);
	sim_tap(w->wire, on_frame, w);
	sim_now(w->wire, w->now_us);
}

static void start_worker(struct world *w)
{
	char why[256] = "";
	uint64_t s = w->seed + 0x1000 * ++w->lives;

	shm_region_start(w->region[SHM_DP], 1);
	w->box.seed = rng_mix(&s);
	w->box.key = (struct hash_key){rng_mix(&s), rng_mix(&s)};
	w->worker = worker_create(&w->box, w->now_us, why, sizeof(why));
	if (w->worker == NULL)
		fprintf(stderr, "%s\n", why);
	ASSERT(w->worker != NULL);
}

static uint16_t client_transmit(void *owner, struct rte_mbuf **frames, uint16_t n)
{
	struct world *w = (struct world *)owner;

	return driver_tx(sim_end(w->wire, 1), 0, frames, n);
}

static void create_clients(struct world *w)
{
	struct net_conf net = {.mtu = 1500,
		.address = address(1),
		.netmask = rte_cpu_to_be_32(0xfffffffc),
		.pool = w->client_pools.control,
		.counters = &w->client_counters,
		.transmit = client_transmit,
		.owner = w};
	uint64_t s = w->seed ^ 0xc11e;

	memcpy(net.mac, macs[1], 6);
	w->net = net_create(&net, w->now_us);
	const struct tcp_conf tcp = {.net = w->net,
		.address = address(1),
		.mtu = 1500,
		.box = 1,
		.connections_max = WORLD_CLIENTS_MAX,
		.half_open_max = WORLD_CLIENTS_MAX,
		.time_wait_max = WORLD_CLIENTS_MAX,
		.receive_window_max = 1 << 20,
		.send_queue_max = 1 << 20,
		.send_nodes_max = 65536,
		.time_wait_us = 1000000,
		.user_timeout_us = 60000000,
		.headers = w->client_pools.headers,
		.copies = w->client_pools.copies,
		.held = w->client_pools.held,
		.segs_max = SIM_SEGS_MAX,
		.key = {rng_mix(&s), rng_mix(&s)},
		.seed = rng_mix(&s),
		.counters = &w->client_counters};
	w->tcp = tcp_create(&tcp, w->now_us);
	w->scratch = malloc(CLIENT_SCRATCH);
	ASSERT(w->net != NULL && w->tcp != NULL && w->scratch != NULL);
}

static void create_regions(struct world *w)
{
	for (int kind = 0; kind < SHM_REGIONS; kind++) {
		const size_t size = shm_region_bytes((enum shm_region)kind, 1);
		w->region[kind] = aligned_alloc(SHM_PAGE, size);
		ASSERT(w->region[kind] != NULL);
		memset(w->region[kind], 0, size);
		shm_region_init(w->region[kind], (enum shm_region)kind, 1);
	}
}

static void create_pools(struct world *w, const struct world_conf *conf)
{
	static uint16_t serial; /* pool names are per process */
	struct shm_config clients = conf->config;
	char why[256];

	clients.rx_buffers = clients.tx_buffers = clients.held_buffers = conf->client_buffers;
	clients.message_buffers = 64;
	w->box.number = serial++;
	ASSERT(box_pools_create(&w->box.pools, w->box.number, 0, &conf->config, why, sizeof(why)));
	ASSERT(box_pools_create(&w->client_pools, serial++, 1, &clients, why, sizeof(why)));
}

struct world *world_create(const struct world_conf *conf)
{
	struct world *w = calloc(1, sizeof(*w));

	ASSERT(w != NULL);
	unit_eal_start();
	w->seed = conf->seed;
	w->config = conf->config;
	w->now_us = 1000000;
	w->disk = memory_disk_create(&(struct memory_disk_conf){.sync_us = 100});
	ASSERT(w->disk != NULL);
	create_regions(w);
	create_pools(w, conf);
	w->box.config = conf->config;
	w->box.counters = shm_counters(w->region[SHM_DP_COUNTERS], 0);
	w->box.link = (struct box_link){w->region[SHM_DP], w->region[SHM_CP], -1};
	create_wire(w, conf);
	w->box.driver = sim_end(w->wire, 0);
	create_clients(w);
	world_start_controlplane(w);
	start_worker(w);
	return w;
}

static struct sessions_now now(const struct world *w)
{
	return (struct sessions_now){w->now_us, 1700000000000 + w->now_us / 1000};
}

void world_start_controlplane(struct world *w)
{
	uint64_t s = w->seed ^ 0xc0de;
	const struct controlplane_conf conf = {.cp = w->region[SHM_CP],
		.cp_counters = w->region[SHM_CP_COUNTERS],
		.dp = w->region[SHM_DP],
		.workers = 1,
		.pid = 2,
		.key = {rng_mix(&s), rng_mix(&s)},
		.config = &w->config,
		.store = w->store = storage_memory_open(w->disk, w->now_us)};

	ASSERT(w->plane == NULL);
	ASSERT(w->store != NULL);
	const enum err e = controlplane_create(&conf, now(w), &w->plane);
	ASSERT(e == ERR_NONE);
}

void world_kill_controlplane(struct world *w)
{
	controlplane_destroy(&w->plane); /* touches nothing that is shared */
	storage_memory_kill(&w->store);
}

void world_restart_dataplane(struct world *w)
{
	/* Process memory is gone: the pools' contents too. What the kernel would free, we free. */
	worker_destroy(&w->worker);
	start_worker(w);
}

void world_destroy(struct world **world)
{
	struct world *w = *world;

	*world = NULL;
	worker_destroy(&w->worker);
	if (w->plane != NULL)
		world_kill_controlplane(w);
	memory_disk_destroy(&w->disk);
	tcp_destroy(&w->tcp);
	net_destroy(&w->net);
	sim_destroy(&w->wire);
	ASSERT(box_pools_full(&w->box.pools));
	ASSERT(box_pools_full(&w->client_pools));
	box_pools_destroy(&w->box.pools);
	box_pools_destroy(&w->client_pools);
	for (int kind = 0; kind < SHM_REGIONS; kind++)
		free(w->region[kind]);
	free(w->scratch);
	free(w);
}

static bool turn_clients(struct world *w)
{
	struct rte_mbuf *frames[CLIENT_BURST];
	struct tcp_event e;
	bool busy = false;
	uint16_t n;

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
	uint64_t t = earliest(sim_next_us(w->wire), worker_next_us(w->worker));

	t = earliest(t, earliest(tcp_next_us(w->tcp), net_next_us(w->net)));
	if (w->plane != NULL)
		t = earliest(t, earliest(controlplane_next_us(w->plane, now(w)),
					storage_memory_next_us(w->store)));
	return worker_waits(w->worker) ? earliest(t, w->now_us + IDLE_STEP_US) : t;
}

static bool turn_controlplane(struct world *w)
{
	bool worked;

	storage_memory_now(w->store, w->now_us);
	const enum err e = controlplane_turn(w->plane, now(w), &worked);
	ASSERT(e == ERR_NONE);
	return worked;
}

static void step(struct world *w)
{
	bool busy = false;

	sim_now(w->wire, w->now_us);
	if (w->plane != NULL)
		busy |= turn_controlplane(w);
	busy |= worker_turn(w->worker, w->now_us);
	busy |= turn_clients(w);
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
	return counter_get(w->box.counters, id);
}

void world_impair(struct world *w, const struct impair_settings *s)
{
	sim_impair(w->wire, s);
}

void world_print_errors(const struct world *w)
{
	for (unsigned id = COUNTER_NAMED; id < COUNTER_TOTAL; id++)
		if (world_counter(w, (enum counter)id) > 0)
			printf("# %s %lu\n", counter_name(id),
				(unsigned long)world_counter(w, (enum counter)id));
}
