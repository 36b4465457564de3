/* world_build.c - what lies around the planes: memory, wire, disk, the clients' stack. */
#include "tests/sim/world_internal.h"

#include "dataplane/base/assert.h"
#include "dataplane/shm/attach.h"
#include "tests/unit/eal.h"

#include <rte_byteorder.h>
#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t macs[2][6] = {{0x02, 0x53, 0x42, 0, 0, 1}, {0x02, 0x53, 0x42, 0, 0, 2}};

enum { CACHED_POOLS = 8 };

/* Pools outlive a world: the next one with the same sizes takes them. */
static struct cached {
	uint32_t sizes[4]; /* rx, tx, held, message */
	struct box_pools pools;
	bool filled, taken;
} cache[CACHED_POOLS];

static uint16_t pools_made; /* names are per process */

static void sizes_of(const struct shm_config *c, uint32_t sizes[4])
{
	sizes[0] = c->rx_buffers;
	sizes[1] = c->tx_buffers;
	sizes[2] = c->held_buffers;
	sizes[3] = c->message_buffers;
}

static void make_pools(struct box_pools *p, const struct shm_config *c)
{
	char why[256] = "";

	if (!box_pools_create(p, pools_made++, 0, c, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		ASSERT(false);
	}
}

static void take_pools(struct box_pools *p, const struct shm_config *c)
{
	struct cached *room = NULL;
	uint32_t sizes[4];

	sizes_of(c, sizes);
	for (size_t i = 0; i < CACHED_POOLS; i++) {
		struct cached *k = &cache[i];
		if (k->filled && !k->taken && memcmp(k->sizes, sizes, sizeof(sizes)) == 0) {
			k->taken = true;
			*p = k->pools;
			return;
		}
		if (room == NULL && !k->taken)
			room = k;
	}
	ASSERT(room != NULL);
	if (room->filled)
		box_pools_destroy(&room->pools);
	*room = (struct cached){.filled = true, .taken = true};
	memcpy(room->sizes, sizes, sizeof(sizes));
	make_pools(&room->pools, c);
	*p = room->pools;
}

static void give_pools(const struct box_pools *p)
{
	for (size_t i = 0; i < CACHED_POOLS; i++)
		if (cache[i].taken && cache[i].pools.rx == p->rx)
			cache[i].taken = false;
}

static void return_buffer(struct rte_mempool *mp, void *unused, void *object, unsigned index)
{
	rte_pktmbuf_init(mp, unused, object, index);
	rte_mempool_put(mp, object);
}

static void refill(struct rte_mempool *mp)
{
	void *one;

	while (rte_mempool_get(mp, &one) == 0)
		; /* now all are out, and come back in the order of their making */
	rte_mempool_obj_iter(mp, return_buffer, NULL);
}

static void refill_all(const struct box_pools *p)
{
	refill(p->rx);
	refill(p->headers);
	refill(p->copies);
	refill(p->held);
	refill(p->segments);
	refill(p->control);
}

void world_refill_pools(struct world *w)
{
	for (uint32_t i = 0; i < w->config.workers; i++)
		refill_all(&w->box[i].pools);
}

static void on_frame(void *owner, unsigned from, struct span frame)
{
	struct world *w = (struct world *)owner;
	const struct hash_key key = {w->trace, w->now_us ^ from};

	w->trace = siphash(key, frame);
}

static void build_wire(struct world *w, const struct world_conf *conf)
{
	struct sim_conf sim = {.impair = conf->impair,
		.bits_per_s = 1000000000,
		.frames_max = 1024,
		.mtu = 1500,
		.pool = {w->box[0].pools.rx, w->client_pools.rx},
		.counters = {w->box[0].counters, &w->client_counters},
		.queues = (uint16_t)w->config.workers};

	for (uint32_t i = 1; i < w->config.workers; i++) {
		sim.more_pools[i - 1] = w->box[i].pools.rx;
		sim.more_counters[i - 1] = w->box[i].counters;
	}
	memcpy(sim.mac, macs, sizeof(macs));
	sim.impair.seed = conf->seed;
	w->wire = sim_create(&sim);
	ASSERT(w->wire != NULL);
	sim_tap(w->wire, on_frame, w);
	sim_now(w->wire, w->now_us);
}

static uint16_t client_transmit(void *owner, struct rte_mbuf **frames, uint16_t n)
{
	struct world *w = (struct world *)owner;

	return driver_tx(sim_end(w->wire, 1), 0, frames, n);
}

static void build_client_net(struct world *w)
{
	struct net_conf net = {.mtu = 1500,
		.address = w->config.gateway,
		.netmask = w->config.netmask,
		.pool = w->client_pools.control,
		.counters = &w->client_counters,
		.transmit = client_transmit,
		.owner = w};

	memcpy(net.mac, macs[1], 6);
	w->net = net_create(&net, w->now_us);
	ASSERT(w->net != NULL);
}

static void build_clients(struct world *w, const struct world_conf *conf)
{
	uint64_t s = w->seed ^ 0xc11e;

	build_client_net(w);
	const struct tcp_conf tcp = {.net = w->net,
		.address = w->config.gateway,
		.mtu = 1500,
		.box = 1,
		.connections_max = WORLD_CLIENTS_MAX,
		.half_open_max = WORLD_CLIENTS_MAX,
		.time_wait_max = WORLD_CLIENTS_MAX,
		.receive_window_max = 1 << 20,
		.send_queue_max = 1 << 20,
		.send_nodes_max = 65536,
		.time_wait_us = 1000000,
		.keepalive_us = conf->client_keepalive_us,
		.keepalive_interval_us = conf->client_keepalive_us / 4,
		.keepalive_probes = 3,
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
	ASSERT(w->tcp != NULL && w->scratch != NULL);
}

static void build_regions(struct world *w)
{
	/* Not that of compiled patterns: nobody compiles here. */
	for (int kind = 0; kind < SHM_TIERS; kind++) {
		const size_t size = shm_region_bytes((enum shm_region)kind, w->config.workers);
		w->region[kind] = aligned_alloc(SHM_PAGE, size);
		ASSERT(w->region[kind] != NULL);
	}
	world_clear_regions(w);
}

void world_clear_regions(struct world *w)
{
	const uint32_t workers = w->config.workers;

	w->births++;
	for (int kind = 0; kind < SHM_TIERS; kind++) {
		memset(w->region[kind], 0, shm_region_bytes((enum shm_region)kind, workers));
		shm_region_init(w->region[kind], (enum shm_region)kind, workers);
		shm_region_count_from(w->region[kind], w->births * 1000); /* as the launcher does */
	}
}

static void build_pools(struct world *w, const struct world_conf *conf)
{
	struct shm_config clients = conf->config;

	clients.rx_buffers = clients.tx_buffers = clients.held_buffers = conf->client_buffers;
	clients.message_buffers = 64;
	take_pools(&w->client_pools, &clients);
	refill_all(&w->client_pools);
	for (uint32_t i = 0; i < w->config.workers; i++)
		take_pools(&w->box[i].pools, &conf->config);
	world_refill_pools(w);
}

void world_build(struct world *w, const struct world_conf *conf)
{
	const struct memory_disk_conf disk = {.sync_us = conf->sync_us,
		.sync_interval_us = conf->config.sync_interval_us,
		.bytes_max = conf->disk_bytes_max};

	unit_eal_start();
	build_regions(w);
	build_pools(w, conf);
	for (uint32_t i = 0; i < w->config.workers; i++) {
		w->box[i].number = 0;
		w->box[i].worker = (uint16_t)i;
		w->box[i].config = conf->config;
		w->box[i].counters = shm_counters(w->region[SHM_DP_COUNTERS], i);
		w->box[i].link = (struct box_link){.dp_region = w->region[SHM_DP],
			.cp_region = w->region[SHM_CP],
			.doorbell = -1};
	}
	build_wire(w, conf);
	for (uint32_t i = 0; i < w->config.workers; i++)
		w->box[i].driver = sim_end(w->wire, 0);
	build_clients(w, conf);
	w->disk = memory_disk_create(&disk);
	ASSERT(w->disk != NULL);
}

void world_tear_down(struct world *w)
{
	world_end_planes(w);
	tcp_destroy(&w->tcp);
	net_destroy(&w->net);
	sim_destroy(&w->wire);
	memory_disk_destroy(&w->disk);
	for (uint32_t i = 0; i < w->config.workers; i++) {
		ASSERT(box_pools_full(&w->box[i].pools));
		give_pools(&w->box[i].pools);
	}
	ASSERT(box_pools_full(&w->client_pools));
	give_pools(&w->client_pools);
	for (int kind = 0; kind < SHM_TIERS; kind++)
		free(w->region[kind]);
	free(w->scratch);
}
