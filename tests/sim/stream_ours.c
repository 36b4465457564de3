/* stream_ours.c - net and tcp of ours as an end of stream_play.c's wire. */
#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"
#include "dataplane/net/net.h"
#include "dataplane/tcp/tcp.h"
#include "tests/sim/stream_end.h"
#include "tests/unit/eal.h"

#include <rte_mempool.h>
#include <stdlib.h>

enum { BURST = 32, LENT_BUFFERS = 128, S = 1000000, POOLS = 5 };
enum { POOL_HEADERS, POOL_COPIES, POOL_HELD, POOL_NET, POOL_LENT };

struct ours {
	struct end end; /* first: the end is ours */
	struct end_conf conf;
	struct net *net;
	struct tcp *tcp;
	struct rte_mempool *const *pools;
	struct tcp_lent lent; /* the pattern, as a chain */
	int64_t refs;
	struct rng rng;
};

static struct ours *of(struct end *e)
{
	return (struct ours *)e;
}

static uint64_t name_of(struct tcp_id id)
{
	return (uint64_t)id.generation << 32 | id.index;
}

static struct tcp_id id_of(uint64_t conn)
{
	return (struct tcp_id){(uint32_t)conn, (uint32_t)(conn >> 32)};
}

static struct ours *owner_of(struct tcp_lent *l)
{
	return (struct ours *)((char *)l - offsetof(struct ours, lent));
}

static void on_ref(struct tcp_lent *l)
{
	owner_of(l)->refs++;
}

static void on_put(struct tcp_lent *l)
{
	owner_of(l)->refs--;
}

static uint16_t on_transmit(void *owner, struct rte_mbuf **frames, uint16_t n)
{
	struct ours *o = owner;

	return driver_tx(o->end.driver, 0, frames, n);
}

/* Pools are made once and kept, since DPDK's names must be unique. */
static struct rte_mempool *const *pools_of(unsigned side, bool tight)
{
	static const uint32_t sizes[2][POOLS] = {
		{1024, 512, 1024, 64, LENT_BUFFERS}, {40, 16, 24, 64, LENT_BUFFERS}};
	static struct rte_mempool *pools[2][2][POOLS];

	for (unsigned i = 0; i < POOLS; i++)
		if (pools[side][tight][i] == NULL)
			pools[side][tight][i] = unit_pool(sizes[tight][i]);
	return pools[side][tight];
}

static void lend_pattern(struct ours *o)
{
	struct rte_mbuf *last = NULL;

	for (uint32_t at = 0; at < STREAM_PATTERN;) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(o->pools[POOL_LENT]);
		ASSERT(m != NULL);
		const uint32_t part = RTE_MIN(700 + rng_below(&o->rng, 1300), STREAM_PATTERN - at);
		memcpy(rte_pktmbuf_append(m, (uint16_t)part), o->conf.pattern + at, part);
		at += part;
		if (last == NULL)
			o->lent.head = m;
		else
			last->next = m;
		last = m;
	}
	o->lent.ref = on_ref;
	o->lent.put = on_put;
}

static void ours_begin(struct end *e, uint64_t now_us)
{
	struct ours *o = of(e);
	struct rte_mbuf *frames[BURST];
	const uint16_t n = driver_rx(e->driver, 0, frames, BURST);

	for (uint16_t i = 0; i < n; i++) {
		struct net_packet packet;
		if (net_rx(o->net, &frames[i], &packet, now_us))
			tcp_rx(o->tcp, &packet, now_us);
	}
	net_poll_timers(o->net, now_us);
	tcp_poll_timers(o->tcp, now_us, 64);
}

static bool ours_next_event(struct end *e, struct end_event *out)
{
	struct tcp_event event;

	while (tcp_next_event(of(e)->tcp, &event)) {
		*out = (struct end_event){.conn = name_of(event.id),
			.user = event.user,
			.peer_port = event.peer_port,
			.in_order = event.why == ERR_NONE};
		if (event.kind == TCP_EVENT_ACCEPTED)
			out->kind = END_ACCEPTED;
		else if (event.kind == TCP_EVENT_CONNECTED)
			out->kind = END_CONNECTED;
		else if (event.kind == TCP_EVENT_CLOSED)
			out->kind = END_CLOSED;
		else
			continue; /* whoever plays looks at all of them in each turn */
		return true;
	}
	return false;
}

static void ours_finish(struct end *e, uint64_t now_us)
{
	struct ours *o = of(e);

	tcp_flush(o->tcp, now_us);
	net_flush(o->net);
	if (rng_chance(&o->rng, 5000))
		tcp_check(o->tcp);
}

static uint64_t ours_next_us(const struct end *e)
{
	const struct ours *o = (const struct ours *)e;

	return RTE_MIN(tcp_next_us(o->tcp), net_next_us(o->net));
}

static bool ours_connect(struct end *e, uint16_t port, uint64_t user, uint64_t now_us)
{
	struct ours *o = of(e);
	const rte_be32_t peer = rte_cpu_to_be_32(0x0a000002 - o->conf.side);
	struct tcp_id id;

	return tcp_connect(o->tcp, peer, STREAM_PORT, port, user, &id, now_us) == ERR_NONE;
}

static void ours_set_user(struct end *e, uint64_t conn, uint64_t user)
{
	tcp_set_user(of(e)->tcp, id_of(conn), user);
}

/* Every second time by copy, else lent. */
static size_t ours_send(struct end *e, uint64_t conn, uint32_t at, size_t size)
{
	struct ours *o = of(e);
	const struct tcp_id id = id_of(conn);

	size = RTE_MIN(size, tcp_send_room(o->tcp, id));
	if (size == 0)
		return 0;
	const bool ok = rng_chance(&o->rng, 500000)
				? tcp_send_lent(o->tcp, id, &o->lent, at, (uint32_t)size)
				: tcp_send(o->tcp, id, span_of(o->conf.pattern + at, size));
	return ok ? size : 0;
}

/* Every second time in one copy, else as it lies there. */
static size_t ours_recv(struct end *e, uint64_t conn, uint8_t *to, size_t size)
{
	struct ours *o = of(e);
	const struct tcp_id id = id_of(conn);
	const struct span first = tcp_recv_peek(o->tcp, id);

	if (rng_chance(&o->rng, 500000)) {
		size = RTE_MIN(size, tcp_recv_available(o->tcp, id));
		ASSERT(tcp_recv_copy(o->tcp, id, to, size) == size);
	} else {
		size = RTE_MIN(size, first.size);
		if (size > 0)
			memcpy(to, first.at, size);
	}
	if (size > 0)
		tcp_recv_consume(o->tcp, id, size);
	return size;
}

static bool ours_at_end(struct end *e, uint64_t conn)
{
	return tcp_at_end(of(e)->tcp, id_of(conn));
}

static void ours_half_close(struct end *e, uint64_t conn)
{
	tcp_close(of(e)->tcp, id_of(conn));
}

static void ours_abort(struct end *e, uint64_t conn)
{
	tcp_abort(of(e)->tcp, id_of(conn));
}

static void ours_release(struct end *e, uint64_t conn)
{
	tcp_release(of(e)->tcp, id_of(conn));
}

static struct end_left ours_left(const struct end *e)
{
	const struct ours *o = (const struct ours *)e;
	struct end_left left = {
		.connections = counter_get(o->conf.counters, COUNTER_TCP_CONNECTIONS) +
			       counter_get(o->conf.counters, COUNTER_TCP_TIME_WAITS),
		.timers = tcp_next_us(o->tcp) != UINT64_MAX,
		.lent = (uint64_t)(o->refs < 0 ? -o->refs : o->refs)};

	for (unsigned i = 0; i < POOL_LENT; i++)
		left.buffers += rte_mempool_in_use_count(o->pools[i]);
	return left;
}

static void ours_close(struct end *e)
{
	struct ours *o = of(e);

	tcp_check(o->tcp);
	tcp_destroy(&o->tcp);
	net_destroy(&o->net);
	rte_pktmbuf_free(o->lent.head);
	free(o);
}

static const struct end_ops ours_ops = {.begin = ours_begin,
	.next_event = ours_next_event,
	.finish = ours_finish,
	.next_us = ours_next_us,
	.connect = ours_connect,
	.set_user = ours_set_user,
	.send = ours_send,
	.recv = ours_recv,
	.at_end = ours_at_end,
	.half_close = ours_half_close,
	.abort = ours_abort,
	.release = ours_release,
	.left = ours_left,
	.close = ours_close};

/* Probes find a peer that an unheard reset has left; TIME-WAIT is that of the RFC, four
 * minutes. */
static struct tcp_conf tcp_conf_of(struct ours *o)
{
	const struct end_conf *c = &o->conf;

	return (struct tcp_conf){.net = o->net,
		.address = rte_cpu_to_be_32(0x0a000001 + c->side),
		.mtu = c->mtu,
		.connections_max = 2 * STREAM_CONNECTIONS,
		.half_open_max = STREAM_CONNECTIONS,
		.time_wait_max = 2 * STREAM_CONNECTIONS,
		.receive_window_max = c->window,
		.send_queue_max = c->send_queue,
		.send_nodes_max = c->tight ? 32 : 2048,
		.time_wait_us = 240ull * S,
		.keepalive_us = 10ull * S,
		.keepalive_interval_us = 5ull * S,
		.keepalive_probes = 9,
		.user_timeout_us = 600ull * S,
		.headers = o->pools[POOL_HEADERS],
		.copies = o->pools[POOL_COPIES],
		.held = o->pools[POOL_HELD],
		.segs_max = c->segs_max,
		.key = {c->seed, c->side},
		.seed = c->seed + c->side,
		.counters = c->counters};
}

struct end *end_ours(const struct end_conf *conf)
{
	struct ours *o = calloc(1, sizeof(*o));

	ASSERT(o != NULL);
	o->end = (struct end){&ours_ops, conf->driver};
	o->conf = *conf;
	o->rng = rng_from(conf->seed ^ (conf->side + 1));
	o->pools = pools_of(conf->side, conf->tight);
	lend_pattern(o);
	const struct net_conf net = {.mac = {2, 0, 0, 0, 0, (uint8_t)(conf->side + 1)},
		.mtu = conf->mtu,
		.address = rte_cpu_to_be_32(0x0a000001 + conf->side),
		.netmask = rte_cpu_to_be_32(0xffffff00),
		.pool = o->pools[POOL_NET],
		.counters = conf->counters,
		.transmit = on_transmit,
		.owner = o};
	o->net = net_create(&net, 0);
	ASSERT(o->net != NULL);
	const struct tcp_conf tcp = tcp_conf_of(o);
	o->tcp = tcp_create(&tcp, 0);
	ASSERT(o->tcp != NULL);
	ASSERT(tcp_listen(o->tcp, 0, STREAM_PORT, STREAM_CONNECTIONS) == ERR_NONE);
	return &o->end;
}
