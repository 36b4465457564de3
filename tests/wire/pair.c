/* pair.c - see pair.h. */
#include "tests/wire/pair.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"
#include "dataplane/net/buffers.h"
#include "dataplane/net/headers.h"
#include "tests/unit/eal.h"

#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	PATTERN = 65521, /* bytes before the pattern repeats: a prime */
	PORT = 1883,
	BURST = 32,
	CONNECTIONS = 64,
	PIECE_MAX = 6000,
	POOLS = 5,
};

enum { POOL_RX, POOL_HEADERS, POOL_COPIES, POOL_HELD, POOL_NET };

/* An application's end of a connection. */
struct stream {
	struct tcp_id id;
	bool open, closed, told_end;
	enum err why;
	uint64_t sent, received;
	uint64_t read_us; /* not before */
};

struct side {
	struct net *net;
	struct tcp *tcp;
	struct counters counters;
	struct driver *driver;
	struct rte_mempool *pools[POOLS];
	struct stream streams[CONNECTIONS];
	uint32_t stream_count;
	struct tcp_lent lent; /* the pattern, as a chain */
	struct rte_mempool *pattern_pool;
	int64_t refs;
	uint64_t ref_calls;
};

struct pair {
	struct pair_conf conf;
	struct sim_wire *wire;
	struct side side[2];
	struct rng rng;
	uint8_t pattern[PATTERN];
	uint64_t wrong, received;
};

static struct pair p;

static struct side *side_of(struct tcp_lent *l)
{
	return l == &p.side[0].lent ? &p.side[0] : &p.side[1];
}

static void on_ref(struct tcp_lent *l)
{
	side_of(l)->refs++;
	side_of(l)->ref_calls++;
}

static void on_put(struct tcp_lent *l)
{
	side_of(l)->refs--;
}

/* What a NIC with checksum offload does: adds up the segment, and what it finds in the field. */
static void fill_checksum(struct rte_mbuf *m)
{
	const uint32_t at = m->l2_len + m->l3_len;

	ASSERT(at == sizeof(struct eth_header) + sizeof(struct ipv4_header));
	const uint32_t sum = net_checksum_mbuf(0, m, at, m->pkt_len - at);
	const uint16_t checksum = net_checksum_finish(sum);
	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, at + 16), &checksum, sizeof(checksum));
	m->ol_flags &= ~RTE_MBUF_F_TX_TCP_CKSUM; /* it may be kept, and come again */
}

static uint16_t on_transmit(void *owner, struct rte_mbuf **frames, uint16_t n)
{
	struct side *s = owner;

	for (uint16_t i = 0; i < n; i++) {
		ASSERT(p.conf.checksum_by_nic ||
			(frames[i]->ol_flags & RTE_MBUF_F_TX_L4_MASK) == 0);
		if ((frames[i]->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM) != 0)
			fill_checksum(frames[i]);
	}
	return driver_tx(s->driver, 0, frames, n);
}

/* Pools are made once for each size and kept: DPDK's names must be unique. */
static struct rte_mempool *pool_of(uint32_t count, unsigned which)
{
	static struct {
		uint32_t count;
		unsigned which;
		struct rte_mempool *pool;
	} known[128];
	static unsigned known_count;

	for (unsigned i = 0; i < known_count; i++)
		if (known[i].count == count && known[i].which == which)
			return known[i].pool;
	ASSERT(known_count < ARRAY_SIZE(known));
	known[known_count].count = count;
	known[known_count].which = which;
	return known[known_count++].pool = unit_pool(count);
}

/* The pattern in a chain of buffers filled unevenly. */
static void make_pattern(struct side *s, unsigned index)
{
	struct rte_mbuf *last = NULL;

	s->pattern_pool = pool_of(128, 100 + index);
	for (uint32_t at = 0; at < PATTERN;) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(s->pattern_pool);
		ASSERT(m != NULL);
		const uint32_t part = RTE_MIN(700 + rng_below(&p.rng, 1300), PATTERN - at);
		memcpy(rte_pktmbuf_append(m, (uint16_t)part), p.pattern + at, part);
		at += part;
		if (last == NULL)
			s->lent.head = m;
		else
			last->next = m;
		last = m;
	}
	s->lent.ref = on_ref;
	s->lent.put = on_put;
	s->refs = 0;
	s->ref_calls = 0;
}

static void open_side(unsigned index)
{
	struct side *s = &p.side[index];
	const struct pair_conf *c = &p.conf;
	const uint32_t sizes[POOLS] = {512, c->headers, c->copies, c->held, 64};

	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < POOLS; i++)
		s->pools[i] = pool_of(sizes[i], index * POOLS + i);
	make_pattern(s, index);
	struct net_conf net = {.mac = {2, 0, 0, 0, 0, (uint8_t)(index + 1)},
		.mtu = c->mtu,
		.address = rte_cpu_to_be_32(0x0a000001 + index),
		.netmask = rte_cpu_to_be_32(0xffffff00),
		.pool = s->pools[POOL_NET],
		.counters = &s->counters,
		.transmit = on_transmit,
		.owner = s};
	s->net = net_create(&net, 0);
	struct tcp_conf tcp = {.net = s->net,
		.address = net.address,
		.mtu = c->mtu,
		.connections_max = CONNECTIONS,
		.half_open_max = CONNECTIONS,
		.time_wait_max = CONNECTIONS,
		.receive_window_max = c->window,
		.send_queue_max = c->send_queue,
		.send_nodes_max = c->nodes,
		.time_wait_us = 1000000,
		.user_timeout_us = c->user_timeout_us,
		.headers = s->pools[POOL_HEADERS],
		.copies = s->pools[POOL_COPIES],
		.held = s->pools[POOL_HELD],
		.segs_max = c->segs_max,
		.checksum_by_nic = c->checksum_by_nic,
		.key = {c->seed, index},
		.seed = c->seed + index,
		.counters = &s->counters};
	s->tcp = tcp_create(&tcp, 0);
	ASSERT(s->net != NULL && s->tcp != NULL);
}

static void open_pair(const struct pair_conf *conf)
{
	p.conf = *conf;
	p.rng = rng_from(conf->seed);
	p.wrong = p.received = 0;
	for (uint32_t i = 0; i < PATTERN; i++)
		p.pattern[i] = (uint8_t)rng_next(&p.rng);
	struct sim_conf sim = {.impair = conf->impair,
		.bits_per_s = conf->bits_per_s,
		.frames_max = conf->frames,
		.mtu = conf->mtu,
		.mac = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}}};
	for (unsigned i = 0; i < 2; i++) {
		open_side(i);
		sim.pool[i] = p.side[i].pools[POOL_RX];
		sim.counters[i] = &p.side[i].counters;
	}
	p.wire = sim_create(&sim);
	ASSERT(p.wire != NULL);
	for (unsigned i = 0; i < 2; i++)
		p.side[i].driver = sim_end(p.wire, i);
}

/* Sends what the queue takes: pieces of all sizes, every second one lent. */
static void pump(struct side *s, struct stream *st)
{
	while (st->open && st->sent < p.conf.bytes) {
		const uint32_t at = (uint32_t)(st->sent % PATTERN);
		uint64_t size = 1 + rng_below(&p.rng, rng_chance(&p.rng, 500000) ? 100 : PIECE_MAX);
		size = RTE_MIN(size, p.conf.bytes - st->sent);
		size = RTE_MIN(size, (uint64_t)PATTERN - at);
		size = RTE_MIN(size, RTE_MAX(tcp_send_room(s->tcp, st->id), (size_t)1));
		const bool lend = rng_chance(&p.rng, 500000);
		const bool ok = lend ? tcp_send_lent(s->tcp, st->id, &s->lent, at, (uint32_t)size)
				     : tcp_send(s->tcp, st->id, span_of(p.pattern + at, size));
		if (!ok)
			return; /* WRITABLE will follow */
		st->sent += size;
		if (st->sent == p.conf.bytes)
			tcp_close(s->tcp, st->id);
	}
}

static void check_bytes(struct stream *st, const uint8_t *at, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p.wrong += at[i] != p.pattern[(st->received + i) % PATTERN];
	st->received += size;
	p.received += size;
}

/* Reads all, or, now and then, only some, and goes away for a while. */
static void drain(struct side *s, struct stream *st, uint64_t now_us)
{
	uint8_t bytes[4096];

	while (!st->closed && now_us >= st->read_us) {
		size_t left = tcp_recv_available(s->tcp, st->id);
		if (left == 0)
			break;
		if (p.conf.pause_us > 0 && rng_chance(&p.rng, 100000)) {
			st->read_us = now_us + rng_below(&p.rng, p.conf.pause_us);
			break;
		}
		const struct span first = tcp_recv_peek(s->tcp, st->id);
		ASSERT(first.size > 0 && first.size <= left);
		const bool across = rng_chance(&p.rng, 300000);
		const size_t size = across ? RTE_MIN(left, sizeof(bytes)) : first.size;
		if (across)
			ASSERT(tcp_recv_copy(s->tcp, st->id, bytes, size) == size);
		check_bytes(st, across ? bytes : first.at, size);
		tcp_recv_consume(s->tcp, st->id, size);
	}
	st->told_end |= !st->closed && tcp_at_end(s->tcp, st->id);
}

static struct stream *stream_new(struct side *s, struct tcp_id id)
{
	ASSERT(s->stream_count < CONNECTIONS);
	struct stream *st = &s->streams[s->stream_count++];
	*st = (struct stream){.id = id};
	return st;
}

static void on_event(struct side *s, const struct tcp_event *e)
{
	struct stream *st = &s->streams[e->user];

	switch (e->kind) {
	case TCP_EVENT_ACCEPTED:
		tcp_set_user(s->tcp, e->id, s->stream_count);
		stream_new(s, e->id)->open = true;
		break;
	case TCP_EVENT_CONNECTED:
		st->open = true;
		break;
	case TCP_EVENT_CLOSED:
		ASSERT(!st->closed);
		st->closed = true;
		st->open = false;
		st->why = e->why;
		tcp_release(s->tcp, e->id);
		break;
	case TCP_EVENT_READABLE:
	case TCP_EVENT_WRITABLE:
		break;
	}
}

static void receive(struct side *s, uint64_t now_us)
{
	struct rte_mbuf *frames[BURST];
	const uint16_t n = driver_rx(s->driver, 0, frames, BURST);

	for (uint16_t i = 0; i < n; i++) {
		struct net_packet packet;
		if (net_rx(s->net, &frames[i], &packet, now_us))
			tcp_rx(s->tcp, &packet, now_us);
	}
}

/* One turn of a worker's loop. */
static void turn(struct side *s, uint64_t now_us)
{
	struct tcp_event e;

	receive(s, now_us);
	net_poll_timers(s->net, now_us);
	tcp_poll_timers(s->tcp, now_us, 64);
	while (tcp_next_event(s->tcp, &e))
		on_event(s, &e);
	for (uint32_t i = 0; i < s->stream_count; i++) {
		drain(s, &s->streams[i], now_us);
		pump(s, &s->streams[i]);
	}
	tcp_flush(s->tcp, now_us);
	net_flush(s->net);
	if (rng_chance(&p.rng, 20000))
		tcp_check(s->tcp);
}

static bool all_closed(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (p.side[i].stream_count < p.conf.connections)
			return false;
		for (uint32_t k = 0; k < p.side[i].stream_count; k++)
			if (!p.side[i].streams[k].closed)
				return false;
	}
	return true;
}

static uint64_t next_us(uint64_t now_us)
{
	uint64_t next = sim_next_us(p.wire);

	for (unsigned i = 0; i < 2; i++) {
		const struct side *s = &p.side[i];
		next = RTE_MIN(next, tcp_next_us(s->tcp));
		next = RTE_MIN(next, net_next_us(s->net));
		for (uint32_t k = 0; k < s->stream_count; k++)
			if (s->streams[k].read_us > now_us)
				next = RTE_MIN(next, s->streams[k].read_us);
	}
	return next;
}

static bool in_order(void)
{
	for (unsigned i = 0; i < 2; i++)
		for (uint32_t k = 0; k < p.side[i].stream_count; k++) {
			const struct stream *st = &p.side[i].streams[k];
			if (!st->closed || st->why != ERR_NONE || st->received != p.conf.bytes)
				return false;
		}
	return true;
}

static void close_pair(struct pair_result *out)
{
	out->wrong = p.wrong;
	out->received = p.received;
	p.side[0].driver->ops->close(p.side[0].driver);
	sim_destroy(&p.wire);
	for (unsigned i = 0; i < 2; i++) {
		struct side *s = &p.side[i];
		tcp_check(s->tcp);
		tcp_destroy(&s->tcp);
		net_destroy(&s->net);
		out->counters[i] = s->counters;
		out->lent += (uint64_t)s->refs;
		out->lent_calls += s->ref_calls;
		rte_pktmbuf_free(s->lent.head);
		for (unsigned k = 0; k < POOLS; k++)
			out->buffers += rte_mempool_in_use_count(s->pools[k]);
		out->buffers += rte_mempool_in_use_count(s->pattern_pool);
	}
}

static void start(void)
{
	ASSERT(tcp_listen(p.side[1].tcp, 0, PORT, CONNECTIONS) == ERR_NONE);
	for (uint32_t i = 0; i < p.conf.connections; i++) {
		struct tcp_id id;
		const enum err e = tcp_connect(p.side[0].tcp, rte_cpu_to_be_32(0x0a000002), PORT, 0,
			p.side[0].stream_count, &id, 0);
		ASSERT(e == ERR_NONE);
		stream_new(&p.side[0], id);
	}
}

void pair_run(const struct pair_conf *conf, uint64_t limit_us, struct pair_result *out)
{
	uint64_t now_us = 0;

	*out = (struct pair_result){0};
	open_pair(conf);
	start();
	while (!all_closed() && now_us < limit_us) {
		sim_now(p.wire, now_us);
		turn(&p.side[0], now_us);
		turn(&p.side[1], now_us);
		/* What is due now comes with the next turn, a microsecond later. */
		now_us = RTE_MAX(next_us(now_us), now_us + 1);
	}
	out->finished = in_order();
	out->now_us = now_us;
	close_pair(out);
}

uint64_t pair_err(const struct pair_result *r, unsigned side, enum err e)
{
	return counter_get(&r->counters[side], (enum counter)(COUNTER_NAMED + (unsigned)e));
}
