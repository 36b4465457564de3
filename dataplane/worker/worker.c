/* worker.c - creates a worker and runs its turns. */
#include "dataplane/worker/worker_internal.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/effect.h"
#include "dataplane/tcp/tcp_icmp.h"
#include "dataplane/worker/attempts.h"
#include "dataplane/worker/route.h"
#include "dataplane/worker/tiers.h"

#include <rte_prefetch.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	ALIASES_MEAN = 2,   /* topic aliases that all clients may use together, each */
	FILTER_BLOCKS = 64, /* SUBSCRIBEs of many filters under way at once */
	GAUGES_US = 10000,  /* between two looks at pools: each costs a walk over their caches */
};

uint32_t worker_messages_max(const struct shm_config *c)
{
	return c->messages_max + c->outbound_max;
}

static uint16_t transmit(void *owner, struct rte_mbuf **frames, uint16_t n)
{
	struct worker *w = (struct worker *)owner;

	const enum stage before = stages_enter(&w->stages, STAGE_SEND);
	const uint16_t sent = driver_tx(w->conf.driver, w->conf.worker, frames, n);
	(void)stages_enter(&w->stages, before);
	effect_point(EFFECT_FRAMES, 0);
	return sent;
}

static void on_error(void *owner, const struct net_error *e, uint64_t now_us)
{
	struct worker *w = (struct worker *)owner;

	if (w->tcp != NULL)
		tcp_icmp(w->tcp, e, now_us);
}

static bool on_whole(void *owner, struct rte_mbuf **frame)
{
	return steer_whole((struct worker *)owner, frame);
}

static struct net_conf net_conf_of(struct worker *w)
{
	const struct shm_config *c = &w->conf.config;
	struct net_conf n = {.mtu = c->mtu,
		.address = c->address,
		.netmask = c->netmask,
		.gateway = c->gateway,
		.allow = c->allow,
		.deny = c->deny,
		.pool = w->conf.pools.control,
		.counters = w->counters,
		.transmit = transmit,
		.on_error = on_error,
		.on_whole = on_whole,
		.owner = w};

	memcpy(n.mac, w->conf.driver->facts.mac, sizeof(n.mac));
	return n;
}

/* Open connections are written down for the next dataplane, where there is memory for it. */
static void set_live(struct tcp_conf *t, const struct worker *w)
{
	void *region = w->conf.link.live_region;

	if (region == NULL)
		return;
	const uint32_t generation = (uint32_t)((const struct shm_header *)region)->generation;
	t->live = (struct tcp_live_conf){
		.table = (struct tcp_live_table *)shm_live(region, w->conf.worker),
		.max = (SHM_LIVE_BYTES - TCP_LIVE_HEAD_BYTES) / sizeof(struct tcp_live),
		.generation = generation == 0 ? 1 : generation};
}

static struct tcp_conf tcp_conf_of(const struct worker *w)
{
	const struct shm_config *c = &w->conf.config;
	struct tcp_conf conf = {.net = w->net,
		.address = c->address,
		.mtu = c->mtu,
		.worker = w->conf.worker,
		.box = w->conf.number,
		.connections_max = c->connections_max,
		.half_open_max = c->half_open_max,
		.time_wait_max = c->connections_max,
		.receive_window_max = c->receive_window_max,
		.send_queue_max = c->send_queue_max,
		.send_nodes_max = c->connections_max * 4 + c->tx_buffers,
		.time_wait_us = c->time_wait_us,
		.keepalive_us = c->tcp_keepalive_us,
		.keepalive_interval_us = c->tcp_keepalive_us / 8,
		.keepalive_probes = 5,
		.user_timeout_us = c->tcp_user_timeout_us,
		.congestion = tcp_congestion_named(c->congestion),
		.headers = w->conf.pools.headers,
		.copies = w->conf.pools.copies,
		.held = w->conf.pools.held,
		.segs_max = w->conf.driver->facts.segs_max,
		.checksum_by_nic = w->conf.driver->facts.tx_checksum,
		.key = w->conf.key,
		.seed = w->conf.seed,
		.counters = w->counters};

	set_live(&conf, w);
	return conf;
}

static struct fabric_conf fabric_conf_of(struct worker *w)
{
	const struct shm_config *c = &w->conf.config;

	return (struct fabric_conf){.connections_max = c->connections_max,
		.queues_max = c->sessions_max,
		.workers = w->conf.peers == NULL ? 0 : peers_workers(w->conf.peers),
		/* Beside those of clients: the wishes of other workers, and ours at them. */
		.subscriptions_max =
			c->subscriptions_max +
			(w->conf.peers == NULL ? 0 : peers_workers(w->conf.peers) * c->filters_max),
		.specials_max = c->patterns_session_max,
		.match = {.filters_max = c->filters_max,
			.filter_bytes_max = c->filter_bytes_max,
			.patterns_max = c->patterns_max,
			.pattern_size_max = c->pattern_size_max,
			.key = w->conf.key,
			.counters = w->counters},
		.counters = w->counters,
		.deliver = route_deliver,
		.owner = w};
}

static struct messages_conf messages_conf_of(const struct worker *w)
{
	const struct shm_config *c = &w->conf.config;

	return (struct messages_conf){.count = worker_messages_max(c),
		.large_count = 32,
		.segments = w->conf.pools.segments,
		.segments_reserve = c->message_buffers / 64,
		.counters = w->counters};
}

static struct mqtt_memory_conf session_memory_of(
	const struct shm_config *c, struct counters *counters)
{
	const uint32_t aliases =
		c->topic_alias_max < ALIASES_MEAN ? c->topic_alias_max : ALIASES_MEAN;

	return (struct mqtt_memory_conf){.outbound = {.nodes_max = c->outbound_max,
						 .queued_max = c->queued_max,
						 .inflight_max = (uint16_t)c->inflight_max,
						 .counters = counters},
		.inbound_max = c->connections_max + c->outbound_max,
		.alias_chunks_max = c->connections_max * aliases,
		.filter_blocks_max = FILTER_BLOCKS};
}

static bool create_sessions(struct worker *w)
{
	const struct mqtt_memory_conf conf = session_memory_of(&w->conf.config, w->counters);

	w->session_memory = mqtt_memory_create(&conf);
	return w->session_memory != NULL;
}

static void session_conf_init(struct worker *w)
{
	const struct shm_config *c = &w->conf.config;

	w->session_conf =
		(struct mqtt_session_conf){.limits = {.packet_size_max = c->packet_size_max,
						   .control_size_max = WORKER_CONTROL_SIZE_MAX},
			.connect_timeout_us = c->connect_timeout_us,
			.grant_timeout_us = c->grant_timeout_us,
			.park_timeout_us = c->park_timeout_us,
			.session_expiry_max_s = c->session_expiry_max_s,
			.receive_max = (uint16_t)c->receive_max,
			.topic_alias_max = (uint16_t)c->topic_alias_max,
			.retains_nothing = c->retained_max == 0,
			.keepalive_max_s = (uint16_t)c->keepalive_max_s,
			.counters = w->counters,
			.memory = w->session_memory,
			.scratch = w->encode,
			.scratch_size = WORKER_SCRATCH_BYTES};
}

static bool create_tables(struct worker *w, uint64_t now_us)
{
	const uint32_t n = w->conf.config.connections_max;

	w->connections = calloc(n, sizeof(*w->connections));
	w->again = calloc(n, sizeof(*w->again));
	w->dirty = calloc(n, sizeof(*w->dirty));
	w->wheel_nodes = calloc(wheel_nodes(n), sizeof(*w->wheel_nodes));
	w->names_memory = aligned_alloc(64, (pool_bytes(n, WORKER_CLIENT_ID_MAX) + 63) & ~63ull);
	w->scratch = malloc(WORKER_SCRATCH_BYTES);
	w->encode = malloc(WORKER_SCRATCH_BYTES);
	if (w->connections == NULL || w->again == NULL || w->dirty == NULL ||
		w->wheel_nodes == NULL || w->names_memory == NULL || w->scratch == NULL ||
		w->encode == NULL)
		return false;
	wheel_init(&w->wheel, w->wheel_nodes, n, now_us);
	pool_init(&w->names, w->names_memory, n, WORKER_CLIENT_ID_MAX);
	for (uint32_t i = 0; i < n; i++)
		w->connections[i].client_id_long = POOL_NONE;
	return true;
}

static bool create_layers(struct worker *w, uint64_t now_us)
{
	const struct net_conf net = net_conf_of(w);
	const struct messages_conf messages = messages_conf_of(w);
	const struct fabric_conf fabric = fabric_conf_of(w);

	w->net = net_create(&net, now_us);
	if (w->net == NULL)
		return false;
	const struct tcp_conf tcp = tcp_conf_of(w);
	w->tcp = tcp_create(&tcp, now_us);
	w->messages = messages_create(&messages);
	w->fabric = fabric_create(&fabric);
	const struct mqtt_memory_conf sessions = session_memory_of(&w->conf.config, w->counters);
	const struct worker_taken taken = {.tcp = tcp_bytes(&tcp),
		.sessions = mqtt_memory_bytes(&sessions),
		.subscriptions = fabric_bytes(&fabric),
		.messages = messages_bytes(&messages)};
	worker_memory_taken(w, &taken);
	return w->tcp != NULL && w->messages != NULL && w->fabric != NULL && link_create(w) &&
	       create_sessions(w) && works_create(w) && route_create(w) && attempts_create(w);
}

struct worker *worker_create(
	const struct box_conf *conf, uint64_t now_us, char *why, size_t why_size)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->conf = *conf;
	w->counters = conf->counters;
	w->now_us = now_us;
	w->stages.cycles = conf->cycles;
	steer_init(w);
	inspect_init(w);
	if (!create_tables(w, now_us) || !create_layers(w, now_us)) {
		snprintf(why, why_size,
			"no memory for the tables of %u connections: lower limits.connections",
			conf->config.connections_max);
		worker_destroy(&w);
		return NULL;
	}
	session_conf_init(w);
	if (tcp_listen(w->tcp, conf->config.address, (uint16_t)conf->config.mqtt_port,
		    conf->config.half_open_max) != ERR_NONE) {
		snprintf(why, why_size, "cannot listen on port %u", conf->config.mqtt_port);
		worker_destroy(&w);
	}
	return w;
}

static void close_sessions(struct worker *w)
{
	for (uint32_t i = 0; i < w->conf.config.connections_max; i++) {
		struct connection *c = &w->connections[i];
		c->open = false; /* nothing goes out any more, to nobody */
		link_forget_request(w, c);
		c->grant = GRANT_NONE;
		if (c->session_open)
			connection_end_session(w, c);
	}
}

void worker_destroy(struct worker **worker)
{
	struct worker *w = *worker;

	*worker = NULL;
	if (w->fabric != NULL && w->messages != NULL && w->tcp != NULL && w->works != NULL &&
		w->route != NULL)
		close_sessions(w);
	works_fini(w); /* it holds messages, and so do the next */
	attempts_fini(w);
	route_fini(w);
	if (w->tcp != NULL)
		tcp_destroy(&w->tcp); /* gives back what it was lent */
	if (w->net != NULL)
		net_destroy(&w->net);
	if (w->fabric != NULL)
		fabric_destroy(&w->fabric);
	if (w->session_memory != NULL)
		mqtt_memory_destroy(&w->session_memory);
	if (w->messages != NULL)
		messages_destroy(&w->messages);
	link_fini(w);
	free(w->connections);
	free(w->again);
	free(w->dirty);
	free(w->wheel_nodes);
	free(w->names_memory);
	free(w->scratch);
	free(w->encode);
	free(w);
}

void worker_receive(struct worker *w, struct rte_mbuf *frame)
{
	struct net_packet packet;

	if (net_rx(w->net, &frame, &packet, w->now_us))
		tcp_rx(w->tcp, &packet, w->now_us);
}

static void receive(struct worker *w)
{
	struct rte_mbuf *frames[WORKER_BURST];

	for (int burst = 0; burst < WORKER_BURSTS; burst++) {
		(void)stages_enter(&w->stages, STAGE_RECEIVE);
		const uint16_t n = driver_rx(w->conf.driver, w->conf.worker, frames, WORKER_BURST);
		(void)stages_enter(&w->stages, STAGE_TCP_IN);
		for (uint16_t i = 0; i < n; i++)
			rte_prefetch0(rte_pktmbuf_mtod(frames[i], const void *));
		const uint16_t mine = steer_in(w, frames, n);
		for (uint16_t i = 0; i < mine; i++)
			worker_receive(w, frames[i]);
		w->busy |= n > 0;
		if (n < WORKER_BURST)
			return;
	}
}

static void run_timers(struct worker *w)
{
	const uint32_t fired =
		tcp_poll_timers(w->tcp, w->now_us, WORKER_TIMERS) +
		wheel_poll(&w->wheel, w->now_us, WORKER_TIMERS, connection_on_timer, w);

	net_poll_timers(w->net, w->now_us);
	w->busy |= fired > 0;
}

static void run_events(struct worker *w)
{
	struct tcp_event e;

	for (uint32_t n = 0; n < WORKER_EVENTS && tcp_next_event(w->tcp, &e); n++) {
		connection_on_event(w, &e);
		if (w->dirty_count > 0)
			worker_settle(w);
		w->busy = true;
	}
}

static void publish_gauges(struct worker *w)
{
	counter_set(w->counters, COUNTER_RING_PENDING, w->link.pending);
	__atomic_store_n(&w->counters->heartbeat_us, w->now_us, __ATOMIC_RELAXED);
	if (w->now_us < w->gauges_us)
		return;
	w->gauges_us = w->now_us + GAUGES_US;
	worker_memory_publish(w);
}

bool worker_turn(struct worker *w, uint64_t now_us)
{
	ASSERT(now_us >= w->now_us);
	w->now_us = now_us;
	w->busy = false;
	stages_begin(&w->stages);
	w->busy |= link_poll(w); /* before the NIC: two full queues cannot wait for each other */
	w->busy |= peers_poll(w);
	w->busy |= route_poll(w);
	w->busy |= tiers_poll(w);
	w->busy |= inspect_poll(w);
	(void)stages_enter(&w->stages, STAGE_SESSION);
	w->busy |= attempts_poll(w);
	worker_run_again(w);
	receive(w);
	(void)stages_enter(&w->stages, STAGE_LINK);
	run_timers(w);
	(void)stages_enter(&w->stages, STAGE_SESSION);
	run_events(w);
	worker_settle(w);
	(void)stages_enter(&w->stages, STAGE_TCP_OUT);
	tcp_flush(w->tcp, now_us);
	net_flush(w->net);
	(void)stages_enter(&w->stages, STAGE_LINK);
	w->busy |= link_flush(w);
	peers_flush(w);
	stages_end(&w->stages, w->busy, w->counters);
	publish_gauges(w);
	counter_add(w->counters, COUNTER_WORKER_TURNS, 1);
	if (!w->busy)
		counter_add(w->counters, COUNTER_WORKER_IDLE_TURNS, 1);
	return w->busy;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t worker_next_us(const struct worker *w)
{
	if (w->again_count > 0 || peers_pending(w))
		return w->now_us;
	return earlier(wheel_next_us(&w->wheel), earlier(tcp_next_us(w->tcp), net_next_us(w->net)));
}

bool worker_loaded(const struct worker *w)
{
	return works_loaded(w);
}

bool worker_waits(const struct worker *w)
{
	return w->link.pending > 0 || w->link.farewell_count > 0 || w->link.resyncing ||
	       w->link.introducing || works_open(w) || route_waits(w);
}

void worker_shutdown(struct worker *w, uint64_t now_us)
{
	w->now_us = now_us;
	for (uint32_t i = 0; i < w->conf.config.connections_max; i++) {
		struct connection *c = &w->connections[i];
		if (c->session_open && !c->finishing)
			mqtt_session_on_revoke(&c->session, ERR_SHUTDOWN, now_us);
	}
	worker_settle(w);
}

uint32_t worker_connections(const struct worker *w)
{
	return (uint32_t)counter_get(w->counters, COUNTER_TCP_CONNECTIONS);
}

size_t worker_bytes(const struct box_conf *conf)
{
	const struct mqtt_memory_conf sessions = session_memory_of(&conf->config, NULL);
	const size_t n = conf->config.connections_max;

	return n * (sizeof(struct connection) + sizeof(struct farewell) + 2 * sizeof(uint32_t) +
			   sizeof(struct wheel_node) + WORKER_CLIENT_ID_MAX) +
	       2u * WORKER_SCRATCH_BYTES + works_bytes(&conf->config) + route_bytes(&conf->config) +
	       mqtt_memory_bytes(&sessions);
}
