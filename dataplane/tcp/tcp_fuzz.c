/* tcp_fuzz.c - a hostile peer against a listener and connections of our own, through net and tcp.
 *
 * The input is a list of commands (tests/corpus/make_tcp.py writes them too):
 * segments whose numbers are chosen relative to the real state, so that deep
 * states are reached; raw frames; raw TCP; time; what the application does.
 * Bytes of a stream follow from their place, so what is delivered and what is
 * sent is checked byte by byte. tcp_check runs after every step, and in the end
 * every buffer must be back. */
#include "dataplane/base/reader.h"
#include "dataplane/base/writer.h"
#include "dataplane/net/buffers.h"
#include "dataplane/tcp/tcp_icmp.h"
#include "dataplane/tcp/tcp_internal.h"
#include "tests/unit/eal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	CONNECTIONS = 8,
	POOL = 64,
	PORT = 80,
	PEER_PORT = 1000,
	PEER_PORTS = 4,
	PEER_ISN = 5000,
	LOCAL = 0x0a000001,
	PEER = 0x0a000002,
	HEADERS = 34,
	FRAME = 2048,
	TIMERS_MAX = 24, /* timers that one step of time may fire */
	STEPS_MAX = 400,
	LENT_SIZE = 8192,
};

/* What the application knows of a connection. */
struct stream {
	uint32_t generation;
	bool known, closed;
	uint32_t written, read;
};

static struct {
	struct net *net;
	struct tcp *tcp;
	struct counters counters;
	struct rte_mempool *rx, *headers, *copies, *held, *control;
	struct tcp_lent lent;
	int lent_refs;
	struct stream streams[CONNECTIONS];
	uint64_t now_us;
	uint32_t target;                        /* which connection the peer has in mind */
	struct tcp_header syn_acks[PEER_PORTS]; /* the last to each port: its handshakes */
	bool hold, nic_full;
	bool was_full; /* segments of an earlier life of a tuple may still leave */
} w;

static uint8_t peer_byte(uint32_t seq)
{
	return (uint8_t)(seq * 5 + (seq >> 8));
}

static uint8_t our_byte(uint32_t k)
{
	return (uint8_t)(k * 31 + (k >> 8));
}

static void on_ref(struct tcp_lent *l)
{
	(void)l;
	w.lent_refs++;
}

static void on_put(struct tcp_lent *l)
{
	(void)l;
	w.lent_refs--;
}

/* Whose segment is it? NULL: nobody's any more. */
static const struct conn *conn_of(const struct tcp_header *h)
{
	const struct tcp_tuple tuple = {
		rte_cpu_to_be_32(PEER), rte_cpu_to_be_32(LOCAL), h->dst_port, h->src_port};
	const uint32_t index = tcp_table_find(&w.tcp->table, &tuple);

	return index < CONNECTIONS ? &w.tcp->conns[index] : NULL;
}

/* Every segment sent is well-formed, sums up, and carries the right bytes. */
static void check_sent(const struct rte_mbuf *m)
{
	uint8_t copy[FRAME];
	struct tcp_header h;
	const uint8_t *at = rte_pktmbuf_read(m, 0, m->pkt_len, copy);

	ASSERT(m->pkt_len <= 1514);
	ASSERT(m->nb_segs <= 8);
	if (at[12] != 8 || at[13] != 0 || at[23] != NET_PROTO_TCP)
		return;
	const struct span tcp = span_of(at + HEADERS, m->pkt_len - HEADERS);
	const uint32_t pseudo = net_checksum_pseudo(
		rte_cpu_to_be_32(LOCAL), rte_cpu_to_be_32(PEER), NET_PROTO_TCP, (uint16_t)tcp.size);
	ASSERT(net_checksum_finish(net_checksum_add(pseudo, tcp.at, tcp.size)) == 0);
	ASSERT(tcp_header_decode(tcp, &h) == ERR_NONE);
	ASSERT((h.flags & (TCP_SYN | TCP_FIN)) != (TCP_SYN | TCP_FIN));
	if ((h.flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
		w.syn_acks[h.dst_port % PEER_PORTS] = h;
	const struct conn *c = conn_of(&h);
	if (c == NULL || w.was_full || (h.flags & (TCP_SYN | TCP_RST)) != 0)
		return;
	for (size_t i = h.size; i < tcp.size; i++) {
		const uint32_t k = h.seq + (uint32_t)(i - h.size) - conn_cold(w.tcp, c)->iss - 1;
		ASSERT(tcp.at[i] == our_byte(k));
	}
}

static uint16_t on_transmit(void *owner, struct rte_mbuf **frames, uint16_t n)
{
	(void)owner;
	if (w.nic_full)
		return 0;
	for (uint16_t i = 0; i < n; i++)
		check_sent(frames[i]);
	rte_pktmbuf_free_bulk(frames, n);
	return n;
}

/* Gives a frame, in one buffer or two. */
static void give(struct span frame, bool split)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w.rx);
	struct net_packet packet;

	if (m == NULL)
		return;
	const size_t first = split && frame.size > 100 ? 100 : frame.size;
	memcpy(rte_pktmbuf_append(m, (uint16_t)first), frame.at, first);
	if (first < frame.size) {
		struct rte_mbuf *rest = rte_pktmbuf_alloc(w.rx);
		if (rest == NULL) {
			rte_pktmbuf_free(m);
			return;
		}
		memcpy(rte_pktmbuf_append(rest, (uint16_t)(frame.size - first)), frame.at + first,
			frame.size - first);
		rte_pktmbuf_chain(m, rest);
	}
	if (net_rx(w.net, &m, &packet, w.now_us))
		tcp_rx(w.tcp, &packet, w.now_us);
}

/* Ethernet and IPv4 in front of TCP bytes whose checksum is put right. */
static void give_tcp(uint8_t *tcp, size_t size, bool split, bool bad)
{
	uint8_t bytes[FRAME];
	struct writer to = writer_of(bytes, sizeof(bytes));

	if (size >= TCP_HEADER_MIN) {
		memset(tcp + 16, 0, 2);
		const uint32_t pseudo = net_checksum_pseudo(rte_cpu_to_be_32(PEER),
			rte_cpu_to_be_32(LOCAL), NET_PROTO_TCP, (uint16_t)size);
		const uint16_t sum = net_checksum_finish(net_checksum_add(pseudo, tcp, size));
		memcpy(tcp + 16, &sum, 2);
		tcp[16] ^= bad;
	}
	write_bytes(&to, span_of("\2\0\0\0\0\1\2\0\0\0\0\2\x08\0", 14));
	uint8_t *ip = to.at;
	write_u16(&to, 0x4500);
	write_u16(&to, (uint16_t)(20 + size));
	write_u32(&to, 0x4000);
	write_u32(&to, 64 << 24 | NET_PROTO_TCP << 16);
	write_u32(&to, PEER);
	write_u32(&to, LOCAL);
	const uint16_t sum = net_checksum_finish(net_checksum_add(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
	write_bytes(&to, span_of(tcp, size));
	if (!to.bad)
		give(writer_span(&to), split);
}

static void on_error(void *owner, const struct net_error *e, uint64_t now_us)
{
	(void)owner;
	tcp_icmp(w.tcp, e, now_us);
}

static void introduce_peer(void)
{
	static const uint8_t arp[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 8, 6,
		0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0,
		1};

	give(span_of(arp, sizeof(arp)), false);
	net_flush(w.net);
}

/* The connection the peer has in mind: its record, or NULL. */
static struct conn *target(void)
{
	struct conn *c = &w.tcp->conns[w.target % CONNECTIONS];

	return c->state > STATE_CLOSED ? c : NULL;
}

static void put_ports(struct tcp_header *h)
{
	const struct conn *c = target();

	h->src_port =
		c == NULL ? (uint16_t)(PEER_PORT + w.target % PEER_PORTS) : c->tuple.peer_port;
	h->dst_port = c == NULL ? PORT : c->tuple.local_port;
}

/* The handshake that the peer has in mind, if there is no connection yet. */
static const struct tcp_header *syn_ack(void)
{
	static_assert(PEER_PORT % PEER_PORTS == 0, "a port's place is that of its target");
	return &w.syn_acks[w.target % PEER_PORTS];
}

static uint32_t handshake_seq(uint8_t flags, uint32_t from_next)
{
	return (flags & TCP_SYN) != 0 ? (uint32_t)PEER_ISN : syn_ack()->ack + from_next;
}

static uint32_t choose_seq(const struct conn *c, uint8_t flags, uint8_t sel)
{
	static const int32_t from_next[] = {0, 1, -1, 10, 100, -10, -100, 1460, 2920, 4380, 1000,
		2000, 3000, 500, INT32_MIN, 70000};
	const uint32_t step = (sel >> 5) * 100u;

	if (c == NULL)
		return handshake_seq(flags, (uint32_t)from_next[sel & 0x0f]) + step;
	const uint32_t edge = c->rcv_nxt + conn_rcv_wnd(c);
	switch (sel & 0x1f) {
	case 16:
		return edge - 1;
	case 17:
		return edge;
	case 18:
		return edge + 1;
	case 19:
		return conn_cold(w.tcp, c)->irs;
	case 20:
		return edge - 10;
	case 21: {
		const struct rte_mbuf *m = conn_cold(w.tcp, c)->ahead_head;
		return m == NULL ? c->rcv_nxt : m->hash.usr - step;
	}
	default:
		return c->rcv_nxt + (uint32_t)from_next[sel & 0x0f] + step;
	}
}

static uint32_t choose_ack(const struct conn *c, uint8_t sel)
{
	const uint32_t step = (sel >> 4) * 100u;

	if (c == NULL)
		return syn_ack()->seq + 1 + step;
	switch (sel & 0x0f) {
	case 0:
		return c->snd_max;
	case 1:
		return c->snd_una;
	case 2:
		return c->snd_una + 1;
	case 3:
		return c->snd_una + (c->snd_max - c->snd_una) / 2;
	case 4:
		return c->snd_max + 1;
	case 5:
		return c->snd_una - 1;
	case 6:
		return c->snd_una + 1460;
	case 7:
		return c->snd_una - 100000;
	default:
		return seq_min(c->snd_una + step, c->snd_max);
	}
}

/* SACK blocks between SND.UNA and SND.MAX, and a little beyond. */
static void put_sack(const struct conn *c, struct tcp_options *o, uint8_t sel)
{
	const uint32_t flight = c->snd_max - c->snd_una;

	o->sack_count = (sel >> 2) & 3;
	for (unsigned i = 0; i < o->sack_count; i++) {
		const uint32_t at = flight / 8 * ((sel >> 4) + 2 * i + 1);
		o->sack[i] = (struct tcp_range){
			c->snd_una + at, c->snd_una + at + flight / 8 + (sel & 1)};
	}
}

static void put_options(const struct conn *c, struct tcp_header *h, uint8_t sel)
{
	static const int32_t jump[] = {0, 0, -1000, 1000};
	struct tcp_options *o = &h->options;

	if ((sel & 3) != 0) {
		o->has_timestamps = true;
		o->tsval =
			(c == NULL ? (uint32_t)PEER_ISN : c->ts_recent) + (uint32_t)jump[sel & 3];
		o->tsecr = c == NULL ? syn_ack()->options.tsval
				     : tcp_timestamp(c, w.now_us) - (sel >> 4);
	}
	if ((h->flags & TCP_SYN) != 0) {
		o->mss = (sel & 4) != 0 ? 1460 : (sel & 8) != 0 ? 100 : 0;
		o->sack_permitted = (sel & 16) != 0;
		o->has_wscale = (sel & 32) != 0;
		o->wscale = sel >> 6;
	} else if (c != NULL) {
		put_sack(c, o, sel);
	}
}

static void do_segment(struct reader *r)
{
	static const uint16_t sizes[] = {0, 1, 10, 100, 536, 1000, 1460, 8};
	struct tcp_header h = {.flags = read_u8(r)};
	const struct conn *c = target();
	uint8_t tcp[FRAME];

	put_ports(&h);
	h.seq = choose_seq(c, h.flags, read_u8(r));
	h.ack = choose_ack(c, read_u8(r));
	h.window = read_u16(r);
	put_options(c, &h, read_u8(r));
	const uint8_t sel = read_u8(r);
	if (r->bad || TCP_HEADER_MIN + tcp_options_size(&h.options) > TCP_HEADER_MAX)
		return;
	const size_t header = tcp_header_encode(&h, tcp);
	const uint16_t size = sizes[sel & 7];
	const uint32_t first =
		h.seq + ((h.flags & TCP_SYN) != 0); /* a SYN has a number of its own */
	for (uint16_t i = 0; i < size; i++)
		tcp[header + i] = peer_byte(first + i);
	give_tcp(tcp, header + size, (sel & 32) != 0, (sel & 24) == 24);
}

static void do_raw_frame(struct reader *r)
{
	const struct span frame = read_bytes(r, read_u8(r));

	if (!r->bad && frame.size > 0)
		give(frame, false);
}

/* TCP bytes as given, but that ports and checksum are right, and perhaps the numbers. Without
 * payload: its bytes would be wrong. */
static void do_raw_tcp(struct reader *r, bool fix)
{
	const struct span given = read_bytes(r, read_u8(r) % 61);
	const struct conn *c = target();
	struct tcp_header h = {0};
	uint8_t tcp[64];
	struct writer to = writer_of(tcp, sizeof(tcp));

	if (r->bad)
		return;
	memcpy(tcp, given.at, given.size);
	if (given.size >= TCP_HEADER_MIN) {
		const size_t claimed = (size_t)(tcp[12] >> 4) * 4;
		if (claimed >= TCP_HEADER_MIN && claimed < given.size)
			return;
		put_ports(&h);
		write_u16(&to, h.src_port);
		write_u16(&to, h.dst_port);
		if (fix && c != NULL) {
			write_u32(&to, c->rcv_nxt);
			write_u32(&to, c->snd_max);
		}
	}
	give_tcp(tcp, given.size, false, false);
}

static struct tcp_id id_of(uint32_t index)
{
	return (struct tcp_id){index, w.streams[index].generation};
}

static void do_read(uint32_t index, size_t most)
{
	struct stream *s = &w.streams[index];
	const struct conn *c = &w.tcp->conns[index];
	const uint32_t start = conn_cold(w.tcp, c)->irs + 1;

	while (most > 0) {
		const struct span bytes = tcp_recv_peek(w.tcp, id_of(index));
		const size_t n = bytes.size < most ? bytes.size : most;
		if (n == 0)
			return;
		for (size_t i = 0; i < n; i++)
			ASSERT(bytes.at[i] == peer_byte(start + s->read + (uint32_t)i));
		s->read += (uint32_t)n;
		tcp_recv_consume(w.tcp, id_of(index), n);
		most -= n;
	}
}

static void do_write(uint32_t index, uint32_t size)
{
	struct stream *s = &w.streams[index];
	uint8_t bytes[256 * 16];

	for (uint32_t i = 0; i < size; i++)
		bytes[i] = our_byte(s->written + i);
	if (tcp_send(w.tcp, id_of(index), span_of(bytes, size)))
		s->written += size;
}

static void do_lend(uint32_t index, uint32_t size)
{
	struct stream *s = &w.streams[index];

	if (s->written + size <= LENT_SIZE &&
		tcp_send_lent(w.tcp, id_of(index), &w.lent, s->written, size))
		s->written += size;
}

static void do_connect(void)
{
	struct tcp_id id;
	const enum err e = tcp_connect(w.tcp, rte_cpu_to_be_32(PEER), PORT, 0, 0, &id, w.now_us);

	if (e != ERR_NONE)
		return;
	w.streams[id.index] = (struct stream){.generation = id.generation, .known = true};
	w.target = id.index;
}

static void do_application(struct reader *r)
{
	const uint8_t act = read_u8(r) & 7;
	const uint32_t n = read_u8(r);
	const uint32_t index = w.target % CONNECTIONS;

	if (act == 5)
		do_connect();
	if (act == 7) {
		w.nic_full = !w.nic_full;
		w.was_full = true;
	}
	if (!w.streams[index].known || w.streams[index].closed)
		return;
	if (act == 0)
		do_read(index, n * 8);
	else if (act == 1)
		do_write(index, n * 16);
	else if (act == 2)
		do_lend(index, n * 32);
	else if (act == 3)
		tcp_close(w.tcp, id_of(index));
	else if (act == 4)
		tcp_abort(w.tcp, id_of(index));
	else if (act == 6)
		do_read(index, SIZE_MAX);
}

static void on_event(const struct tcp_event *e)
{
	struct stream *s = &w.streams[e->id.index];

	if (e->kind == TCP_EVENT_ACCEPTED) {
		ASSERT(!s->known);
		*s = (struct stream){.generation = e->id.generation, .known = true};
		return;
	}
	ASSERT(s->known && !s->closed);
	ASSERT(s->generation == e->id.generation);
	if (e->kind == TCP_EVENT_CLOSED) {
		s->closed = true;
		s->known = false;
		tcp_release(w.tcp, e->id);
	}
}

static void turn(void)
{
	struct tcp_event e;

	while (tcp_next_event(w.tcp, &e))
		on_event(&e);
	tcp_flush(w.tcp, w.now_us);
	tcp_check(w.tcp);
}

static void do_time(struct reader *r)
{
	static const uint64_t spans[] = {1000, 40000, 200000, 1000000, 10000000, 61000000,
		3600000000, UINT64_C(25) * 24 * 3600 * 1000000};
	const uint64_t end = w.now_us + spans[read_u8(r) & 7];

	for (unsigned i = 0; i < TIMERS_MAX && w.now_us < end; i++) {
		const uint64_t next = tcp_next_us(w.tcp);
		w.now_us = next <= w.now_us ? w.now_us + 1 : next < end ? next : end;
		net_poll_timers(w.net, w.now_us);
		tcp_poll_timers(w.tcp, w.now_us, 16);
		turn();
	}
	if (w.now_us < end)
		w.now_us = end;
	introduce_peer(); /* net has forgotten it by now */
}

/* A router's error about a segment of the target, or not quite. */
static void do_icmp(struct reader *r)
{
	static const uint8_t types[] = {3, 3, 3, 4, 5, 11, 12, 3};
	const struct conn *c = target();
	const uint8_t sel = read_u8(r);
	struct tcp_header h = {0};
	uint8_t bytes[70];
	struct writer to = writer_of(bytes, sizeof(bytes));

	put_ports(&h);
	write_bytes(&to, span_of("\2\0\0\0\0\1\2\0\0\0\0\2\x08\0", 14));
	write_bytes(&to, span_of("\x45\0\0\x38\0\0\x40\0\x40\1\x66\xb9\x0a\0\0\7\x0a\0\0\1", 20));
	uint8_t *icmp = to.at;
	write_u8(&to, types[sel & 7]);
	write_u8(&to, (sel & 7) == 0 ? 4 : sel >> 4);
	write_u32(&to, 0);
	write_u16(&to, read_u16(r)); /* MTU */
	write_u16(&to, 0x4500);
	write_u16(&to, read_u16(r)); /* size */
	write_bytes(&to, span_of("\0\0\x40\0\x40\6\0\0\x0a\0\0\1\x0a\0\0\2", 16));
	write_u16(&to, h.dst_port);
	write_u16(&to, h.src_port);
	write_u32(&to, choose_ack(c, read_u8(r)));
	ASSERT(!to.bad);
	const uint16_t sum = net_checksum_finish(net_checksum_add(0, icmp, 36));
	memcpy(icmp + 2, &sum, sizeof(sum));
	give(writer_span(&to), false);
}

static void step(struct reader *r)
{
	const uint8_t op = read_u8(r);

	switch (op & 7) {
	case 0:
		do_segment(r);
		break;
	case 1:
		do_raw_frame(r);
		break;
	case 2:
		do_time(r);
		break;
	case 3:
		turn();
		break;
	case 4:
		do_application(r);
		break;
	case 5:
		do_raw_tcp(r, (op & 8) != 0);
		break;
	case 6:
		w.target = read_u8(r);
		break;
	default:
		if ((op & 8) != 0)
			do_icmp(r);
		else
			w.hold = !w.hold;
		break;
	}
	tcp_check(w.tcp);
	if (!w.hold)
		turn();
}

static struct rte_mempool *make_pool(const char *name, uint32_t count)
{
	struct rte_mempool *p = buffers_create(name, count, BUFFERS_ROOM);

	ASSERT(p != NULL);
	return p;
}

static void open_world(void)
{
	if (w.rx == NULL) {
		unit_eal_start();
		w.rx = make_pool("fuzz_rx", POOL);
		w.headers = make_pool("fuzz_headers", POOL);
		w.copies = make_pool("fuzz_copies", 32);
		w.held = make_pool("fuzz_held", 24);
		w.control = make_pool("fuzz_control", 32);
		struct rte_mempool *lent = make_pool("fuzz_lent", 8);
		struct rte_mbuf **end = &w.lent.head;
		for (uint32_t at = 0; at < LENT_SIZE; end = &(*end)->next) {
			*end = rte_pktmbuf_alloc(lent);
			uint8_t *to = (uint8_t *)rte_pktmbuf_append(*end, LENT_SIZE / 8);
			for (uint32_t i = 0; i < LENT_SIZE / 8; i++)
				to[i] = our_byte(at++);
		}
		w.lent.ref = on_ref;
		w.lent.put = on_put;
	}
	memset(w.streams, 0, sizeof(w.streams));
	memset(w.syn_acks, 0, sizeof(w.syn_acks));
	w.counters = (struct counters){0};
	w.now_us = 1000000;
	w.target = 0;
	w.hold = w.nic_full = w.was_full = false;
}

static void open_stacks(uint8_t sel)
{
	const struct net_conf net = {.mac = {2, 0, 0, 0, 0, 1},
		.mtu = 1500,
		.address = rte_cpu_to_be_32(LOCAL),
		.netmask = rte_cpu_to_be_32(0xffffff00),
		.pool = w.control,
		.counters = &w.counters,
		.transmit = on_transmit,
		.on_error = on_error};
	struct tcp_conf tcp = {.address = net.address,
		.connections_max = CONNECTIONS,
		.half_open_max = 3,
		.time_wait_max = 2,
		.receive_window_max = (sel & 1) != 0   ? 3000
				      : (sel & 2) != 0 ? 200000
						       : 65535,
		.send_queue_max = (sel & 4) != 0 ? 2000 : 60000,
		.send_nodes_max = 40,
		.time_wait_us = 60000000,
		.keepalive_us = (sel & 8) != 0 ? 5000000 : 0,
		.keepalive_interval_us = 1000000,
		.keepalive_probes = 2,
		.user_timeout_us = (sel & 16) != 0 ? 30000000 : 0,
		.headers = w.headers,
		.copies = w.copies,
		.held = w.held,
		.segs_max = (sel & 32) != 0 ? 1 : 8,
		.key = {1, 2},
		.seed = 3,
		.counters = &w.counters};

	w.net = net_create(&net, w.now_us);
	ASSERT(w.net != NULL);
	tcp.net = w.net;
	w.tcp = tcp_create(&tcp, w.now_us);
	ASSERT(w.tcp != NULL);
	introduce_peer();
	ASSERT(tcp_listen(w.tcp, 0, PORT, 3) == ERR_NONE);
}

static void close_world(void)
{
	w.nic_full = false;
	tcp_check(w.tcp);
	tcp_destroy(&w.tcp);
	net_destroy(&w.net);
	ASSERT(w.lent_refs == 0);
	ASSERT(rte_mempool_in_use_count(w.rx) == 0);
	ASSERT(rte_mempool_in_use_count(w.headers) == 0);
	ASSERT(rte_mempool_in_use_count(w.copies) == 0);
	ASSERT(rte_mempool_in_use_count(w.held) == 0);
	ASSERT(rte_mempool_in_use_count(w.control) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_of(span_of(data, size));

	open_world();
	open_stacks(read_u8(&r));
	for (unsigned i = 0; i < STEPS_MAX && !r.bad && reader_left(&r) > 0; i++)
		step(&r);
	close_world();
	return 0;
}
