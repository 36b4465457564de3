/* wire_rig.c - see wire_rig.h. */
#include "tests/wire/wire_rig.h"

#include "dataplane/base/writer.h"
#include "dataplane/tcp/tcp_icmp.h"
#include "tests/unit/eal.h"

#include <stdio.h>
#include <stdlib.h>

enum { ETHERNET = 14, IPV4 = 20 };

static const uint8_t own_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 2};

static struct rig rig;

struct rig_conf rig_conf_default(void)
{
	return (struct rig_conf){.window = 65535,
		.send_queue = 1 << 20,
		.nodes = 4096,
		.backlog = 16,
		.half_open = 16,
		.connections = 32,
		.time_waits = 8,
		.headers = 512,
		.copies = 512,
		.held = 256,
		.mtu = 1500,
		.segs_max = 8,
		.time_wait_us = 60000000,
		.probes = 3,
		.interval_us = 1000000,
		.start_us = 1000000};
}

/* One pool a size and use, kept: DPDK's names must be unique. */
static struct rte_mempool *pool_of(uint32_t count, unsigned use)
{
	static struct {
		uint32_t count;
		unsigned use;
		struct rte_mempool *pool;
	} known[64];
	static unsigned known_count;

	for (unsigned i = 0; i < known_count; i++)
		if (known[i].count == count && known[i].use == use)
			return known[i].pool;
	ASSERT(known_count < ARRAY_SIZE(known));
	known[known_count].count = count;
	known[known_count].use = use;
	return known[known_count++].pool = unit_pool(count);
}

/* Decodes a TCP frame of the box; other frames (ARP) are let go. */
static void catch_frame(struct rig *r, const struct rte_mbuf *m)
{
	uint8_t bytes[RIG_FRAME_MAX];
	const uint8_t *at = rte_pktmbuf_read(m, 0, m->pkt_len, bytes);

	ASSERT(m->pkt_len <= sizeof(bytes));
	ASSERT(m->nb_segs <= r->conf.segs_max);
	r->arp_asked |= at[12] == 8 && at[13] == 6 && at[21] == 1;
	if (m->pkt_len < ETHERNET + IPV4 + TCP_HEADER_MIN || at[12] != 8 || at[13] != 0 ||
		at[23] != NET_PROTO_TCP)
		return;
	if (r->first + r->count >= RIG_SEGMENTS) {
		r->overflow++;
		return;
	}
	struct rig_segment *s = &r->segments[r->first + r->count++];
	const size_t size = m->pkt_len - ETHERNET - IPV4;
	const uint8_t *tcp = at + ETHERNET + IPV4;
	rte_be32_t src, dst;
	memcpy(&src, at + 26, 4);
	memcpy(&dst, at + 30, 4);
	s->at_us = r->now_us;
	s->checksum_ok = net_checksum_finish(net_checksum_add(
				 net_checksum_pseudo(src, dst, NET_PROTO_TCP, (uint16_t)size), tcp,
				 size)) == 0;
	const enum err e = tcp_header_decode(span_of(tcp, size), &s->h);
	ASSERT(e == ERR_NONE);
	s->size = (uint16_t)(size - s->h.size);
	memcpy(s->payload, tcp + s->h.size, s->size);
}

static uint16_t on_transmit(void *owner, struct rte_mbuf **frames, uint16_t n)
{
	struct rig *r = owner;

	if (r->nic_full)
		return 0;
	for (uint16_t i = 0; i < n; i++) {
		catch_frame(r, frames[i]);
		rte_pktmbuf_free(frames[i]);
	}
	return n;
}

static struct rte_mbuf *frame_of(struct rig *r, struct span bytes)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->rx);

	ASSERT(m != NULL);
	memcpy(rte_pktmbuf_append(m, (uint16_t)bytes.size), bytes.at, bytes.size);
	return m;
}

static void give(struct rig *r, struct span bytes)
{
	struct rte_mbuf *m = frame_of(r, bytes);
	struct net_packet packet;

	if (net_rx(r->net, &m, &packet, r->now_us))
		tcp_rx(r->tcp, &packet, r->now_us);
}

/* An ARP request from the peer teaches the box where it is. */
static void introduce_peer(struct rig *r)
{
	uint8_t bytes[42];
	struct writer w = writer_of(bytes, sizeof(bytes));

	write_bytes(&w, span_of("\xff\xff\xff\xff\xff\xff", 6));
	write_bytes(&w, span_of(peer_mac, 6));
	write_u16(&w, 0x0806);
	write_u16(&w, 1);
	write_u16(&w, 0x0800);
	write_u16(&w, 6 << 8 | 4);
	write_u16(&w, 1);
	write_bytes(&w, span_of(peer_mac, 6));
	write_u32(&w, RIG_PEER);
	write_bytes(&w, span_of("\0\0\0\0\0\0", 6));
	write_u32(&w, RIG_LOCAL);
	ASSERT(!w.bad);
	give(r, writer_span(&w));
	net_flush(r->net);
}

static void on_error(void *owner, const struct net_error *e, uint64_t now_us)
{
	const struct rig *r = owner;

	tcp_icmp(r->tcp, e, now_us);
}

static void open_stacks(struct rig *r)
{
	const struct rig_conf *c = &r->conf;
	struct net_conf net = {.mtu = c->mtu,
		.address = rte_cpu_to_be_32(RIG_LOCAL),
		.netmask = rte_cpu_to_be_32(0xffffff00),
		.pool = r->control,
		.counters = &r->counters,
		.transmit = on_transmit,
		.on_error = on_error,
		.owner = r};
	struct tcp_conf tcp = {.address = net.address,
		.mtu = c->mtu,
		.connections_max = c->connections,
		.half_open_max = c->half_open,
		.time_wait_max = c->time_waits,
		.receive_window_max = c->window,
		.send_queue_max = c->send_queue,
		.send_nodes_max = c->nodes,
		.time_wait_us = c->time_wait_us,
		.keepalive_us = c->keepalive_us,
		.keepalive_interval_us = c->interval_us,
		.keepalive_probes = c->probes,
		.user_timeout_us = c->user_timeout_us,
		.congestion = c->congestion,
		.headers = r->headers,
		.copies = r->copies,
		.held = r->held,
		.segs_max = c->segs_max,
		.key = {1, 2},
		.seed = 3,
		.counters = &r->counters};

	memcpy(net.mac, own_mac, 6);
	r->net = net_create(&net, r->now_us);
	tcp.net = r->net;
	r->tcp = tcp_create(&tcp, r->now_us);
	ASSERT(r->net != NULL && r->tcp != NULL);
}

struct rig *rig_open(const struct rig_conf *conf)
{
	struct rig *r = &rig;

	memset(r, 0, sizeof(*r));
	r->conf = *conf;
	r->now_us = conf->start_us;
	r->rx = pool_of(512, 0);
	r->control = pool_of(64, 1);
	r->headers = pool_of(conf->headers, 2);
	r->copies = pool_of(conf->copies, 3);
	r->held = pool_of(conf->held, 4);
	open_stacks(r);
	introduce_peer(r);
	r->arp_asked = false;
	return r;
}

static void on_ref(struct tcp_lent *l)
{
	(void)l;
	rig.lent_refs++;
}

static void on_put(struct tcp_lent *l)
{
	(void)l;
	rig.lent_refs--;
}

void rig_lent_append(struct rig *r, struct span bytes)
{
	struct rte_mbuf *m = frame_of(r, bytes);
	struct rte_mbuf **end = &r->lent.head;

	while (*end != NULL)
		end = &(*end)->next;
	*end = m;
	r->lent_size += (uint32_t)bytes.size;
	r->lent.ref = on_ref;
	r->lent.put = on_put;
}

uint32_t rig_close(struct rig *r)
{
	tcp_check(r->tcp);
	tcp_destroy(&r->tcp);
	net_destroy(&r->net);
	ASSERT(r->lent_refs == 0);
	rte_pktmbuf_free(r->lent.head);
	return rte_mempool_in_use_count(r->rx) + rte_mempool_in_use_count(r->headers) +
	       rte_mempool_in_use_count(r->copies) + rte_mempool_in_use_count(r->held) +
	       rte_mempool_in_use_count(r->control);
}

static void write_ipv4(struct writer *w, size_t tcp_size)
{
	uint8_t *start = w->at;

	write_u16(w, 0x4500);
	write_u16(w, (uint16_t)(IPV4 + tcp_size));
	write_u32(w, 0x00004000); /* DF */
	write_u16(w, 64 << 8 | NET_PROTO_TCP);
	write_u16(w, 0);
	write_u32(w, RIG_PEER);
	write_u32(w, RIG_LOCAL);
	const uint16_t sum = net_checksum_finish(net_checksum_add(0, start, IPV4));
	memcpy(start + 10, &sum, 2);
}

void rig_give_ipv4(struct rig *r, struct span packet)
{
	uint8_t bytes[RIG_FRAME_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	write_bytes(&w, span_of(own_mac, 6));
	write_bytes(&w, span_of(peer_mac, 6));
	write_u16(&w, 0x0800);
	write_bytes(&w, packet);
	ASSERT(!w.bad);
	give(r, writer_span(&w));
	tcp_check(r->tcp);
}

void rig_inject(struct rig *r, const struct rig_inject *in)
{
	uint8_t bytes[RIG_FRAME_MAX];
	uint8_t tcp[RIG_FRAME_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct tcp_header h = in->h;
	const bool raw = in->options.at != NULL;

	if (raw)
		h.options = (struct tcp_options){0};
	size_t size = tcp_header_encode(&h, tcp);
	if (raw) {
		memcpy(tcp + size, in->options.at, in->options.size);
		size += in->options.size;
		tcp[12] = (uint8_t)(size / 4 << 4);
	}
	if (in->offset != 0)
		tcp[12] = (uint8_t)(in->offset << 4);
	tcp[18] = (uint8_t)(in->urgent >> 8);
	tcp[19] = (uint8_t)in->urgent;
	ASSERT(size + in->payload.size <= sizeof(tcp));
	if (in->payload.size > 0)
		memcpy(tcp + size, in->payload.at, in->payload.size);
	size += in->payload.size;
	const uint16_t sum = net_checksum_finish(net_checksum_add(
		net_checksum_pseudo(rte_cpu_to_be_32(RIG_PEER), rte_cpu_to_be_32(RIG_LOCAL),
			NET_PROTO_TCP, (uint16_t)size),
		tcp, size));
	memcpy(tcp + 16, &sum, 2);
	tcp[16] ^= in->bad_checksum;

	write_ipv4(&w, size);
	write_bytes(&w, span_of(tcp, size));
	ASSERT(!w.bad);
	rig_give_ipv4(r, writer_span(&w));
}

void rig_turn(struct rig *r)
{
	struct tcp_event e;

	if (r->hold)
		return;
	while (tcp_next_event(r->tcp, &e)) {
		if (e.kind == TCP_EVENT_READABLE)
			continue;
		ASSERT(r->event_count < RIG_EVENTS);
		r->events[r->event_count++] = e;
	}
	tcp_check(r->tcp);
	tcp_flush(r->tcp, r->now_us);
	net_flush(r->net);
	tcp_check(r->tcp);
	if (r->arp_asked) { /* the box has forgotten where the peer is */
		r->arp_asked = false;
		introduce_peer(r);
	}
}

void rig_advance(struct rig *r, uint64_t us)
{
	const uint64_t target = r->now_us + us;

	for (;;) {
		const uint64_t next = RTE_MAX(tcp_next_us(r->tcp), r->now_us);
		if (next >= target)
			break;
		r->now_us = RTE_MAX(next, r->now_us + 1);
		net_poll_timers(r->net, r->now_us);
		tcp_poll_timers(r->tcp, r->now_us, 100);
		rig_turn(r);
	}
	r->now_us = target;
	net_poll_timers(r->net, r->now_us);
	tcp_poll_timers(r->tcp, r->now_us, 100);
	rig_turn(r);
}

struct rig_segment *rig_next(struct rig *r)
{
	if (r->count == 0) {
		r->first = 0;
		return NULL;
	}
	struct rig_segment *s = &r->segments[r->first++];
	if (--r->count == 0)
		r->first = 0;
	return s;
}
