/* tcp_emit.c - one segment: header, options, payload from the send queue, checksum.
 *
 * Every segment of a connection passes tcp_emit, so it is here that an ACK
 * counts as sent. Spec: RFC 9293 3.1, 3.10.7.1 (resets); RFC 7323 3.2, 2018 4, 2883 4 (options).
 * Not here: which segments are sent, and when (tcp_output.c). */
#include "dataplane/net/headers.h"
#include "dataplane/tcp/tcp_half.h"

static bool has_room(struct tcp *t)
{
	if (net_tx_room(t->conf.net) == 0)
		net_flush(t->conf.net);
	return net_tx_room(t->conf.net) > 0;
}

/* Over all; where the NIC adds up the bytes, it wants to find what lies outside of them. */
static uint16_t checksum_of(const struct tcp *t, struct rte_mbuf *m, const struct reply *r)
{
	const uint32_t sum = net_checksum_pseudo(
		r->tuple.local, r->tuple.peer, NET_PROTO_TCP, (uint16_t)m->pkt_len);

	if (!t->conf.checksum_by_nic)
		return net_checksum_finish(net_checksum_mbuf(sum, m, 0, m->pkt_len));
	m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM;
	m->l2_len = sizeof(struct eth_header);
	m->l3_len = sizeof(struct ipv4_header);
	return (uint16_t)~net_checksum_finish(sum);
}

/* Header in place, checksum over all, and off. `room` bytes were left for the header. */
static void finish(struct tcp *t, struct rte_mbuf *m, const struct reply *r)
{
	uint8_t bytes[TCP_HEADER_MAX];
	const size_t size = tcp_header_encode(&r->h, bytes);
	uint8_t *to = rte_pktmbuf_mtod(m, uint8_t *);
	const uint32_t total = m->pkt_len;

	memcpy(to, bytes, size);
	ASSERT(total <= UINT16_MAX);
	const uint16_t checksum = checksum_of(t, m, r);
	memcpy(to + 16, &checksum, sizeof(checksum));
	counter_add(t->conf.counters, COUNTER_TCP_TX_SEGMENTS, 1);
	if ((r->h.flags & TCP_RST) != 0)
		counter_add(t->conf.counters, COUNTER_TCP_RESETS_SENT, 1);
	net_ipv4_tx(t->conf.net, &m, r->tuple.local, r->tuple.peer, NET_PROTO_TCP, t->now_us);
}

/* RFC 2018 3: what we hold beyond a gap; a D-SACK goes first (RFC 2883 4). */
static void put_sack(const struct tcp *t, const struct conn *c, struct tcp_options *o)
{
	const struct conn_cold *cold = conn_cold(t, c);
	const unsigned most = o->has_timestamps ? TCP_SACK_BLOCKS - 1 : TCP_SACK_BLOCKS;

	if ((c->flags & CONN_SACK) == 0)
		return;
	if ((c->flags & CONN_DSACK) != 0)
		o->sack[o->sack_count++] = cold->dsack;
	for (unsigned i = 0; i < cold->sack_count && o->sack_count < most; i++)
		o->sack[o->sack_count++] = cold->sack[i];
}

static void put_options(
	const struct tcp *t, const struct conn *c, uint8_t flags, struct tcp_options *o)
{
	const bool offer = c->state == STATE_SYN_SENT; /* else: what was agreed */

	if ((flags & TCP_RST) != 0)
		return;
	o->has_timestamps = offer || (c->flags & CONN_TIMESTAMPS) != 0;
	o->tsval = tcp_timestamp(c, t->now_us);
	o->tsecr = c->ts_recent;
	if ((flags & TCP_SYN) != 0) {
		o->mss = t->mss;
		o->has_wscale = offer || (c->flags & CONN_WSCALE) != 0;
		o->wscale = t->wscale;
		o->sack_permitted = offer || (c->flags & CONN_SACK) != 0;
	} else {
		put_sack(t, c, o);
	}
}

/* Payload and no options: what congestion control counts in. */
uint32_t tcp_payload_max(const struct tcp *t, const struct conn *c)
{
	(void)t;
	return c->mss - ((c->flags & CONN_TIMESTAMPS) != 0 ? 12u : 0u);
}

/* Payload that fits beside the options of the next segment (RFC 6691). */
uint32_t tcp_payload_room(const struct tcp *t, const struct conn *c)
{
	struct tcp_options o = {0};

	put_options(t, c, TCP_ACK, &o);
	return c->mss - (uint32_t)tcp_options_size(&o);
}

/* What this segment tells need not be told again. */
static void acknowledged(struct conn *c)
{
	c->last_ack_sent = c->rcv_nxt;
	c->flags &= ~(uint32_t)(CONN_ACK_NOW | CONN_DSACK | CONN_READ);
	c->ack_us = 0;
	c->unacked_segments = 0;
}

static uint16_t choose_window(struct tcp *t, struct conn *c, uint8_t flags)
{
	if ((flags & TCP_RST) != 0)
		return 0;
	if ((flags & TCP_SYN) != 0) /* RFC 7323 2.2: not scaled */
		return (uint16_t)RTE_MIN(t->conf.receive_window_max, (uint32_t)UINT16_MAX);
	return tcp_window_choose(t, c);
}

/* Sends one segment, or, when there is no room or buffer, nothing. */
bool tcp_emit(struct tcp *t, struct conn *c, struct outgoing *o)
{
	struct reply r = {.tuple = c->tuple,
		.h = {.src_port = c->tuple.local_port,
			.dst_port = c->tuple.peer_port,
			.seq = o->seq,
			.ack = (o->flags & TCP_ACK) != 0 ? c->rcv_nxt : 0}};
	struct chain chain;

	if (!has_room(t) || !tcp_chain_begin(t, &chain, o->size > 0)) {
		tcp_trace(t, c, TCP_WHAT_BLOCKED, o->size);
		return false;
	}
	put_options(t, c, o->flags, &r.h.options);
	const size_t header = TCP_HEADER_MIN + tcp_options_size(&r.h.options);
	chain.head->data_len = (uint16_t)header;
	chain.head->pkt_len = (uint32_t)header;
	if (o->size > 0) {
		const uint32_t got = tcp_sendq_gather(
			t, c, &chain, (struct tcp_range){o->seq, o->seq + o->size});
		if (got == 0) {
			rte_pktmbuf_free(chain.head);
			return false;
		}
		if (got < o->size)
			o->flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		o->size = got;
	}
	r.h.flags = o->flags;
	r.h.window = choose_window(t, c, o->flags);
	finish(t, chain.head, &r);
	tcp_trace_segment(t, c, TCP_WHAT_SEGMENT_OUT, o->flags, o->size);
	if ((o->flags & TCP_ACK) != 0)
		acknowledged(c);
	return true;
}

/* A segment of no connection: to strangers, and from half-open and TIME-WAIT records. */
bool tcp_emit_reply(struct tcp *t, const struct reply *r)
{
	struct chain chain;

	if (!has_room(t) || !tcp_chain_begin(t, &chain, false)) {
		counter_err(t->conf.counters, ERR_TCP_TX_BLOCKED);
		return false;
	}
	const size_t header = TCP_HEADER_MIN + tcp_options_size(&r->h.options);
	chain.head->data_len = (uint16_t)header;
	chain.head->pkt_len = (uint32_t)header;
	finish(t, chain.head, r);
	return true;
}

/* RFC 9293 3.10.7.1: a RST that the sender of s will believe. Never in answer to a RST. */
void tcp_reset_stranger(struct tcp *t, const struct segment *s)
{
	struct reply r = {.tuple = s->tuple,
		.h = {.src_port = s->tuple.local_port, .dst_port = s->tuple.peer_port}};

	if ((s->h.flags & TCP_RST) != 0)
		return;
	if ((s->h.flags & TCP_ACK) != 0) {
		r.h.seq = s->h.ack;
		r.h.flags = TCP_RST;
	} else {
		r.h.ack = s->h.seq + s->size + ((s->h.flags & TCP_SYN) != 0) +
			  ((s->h.flags & TCP_FIN) != 0);
		r.h.flags = TCP_RST | TCP_ACK;
	}
	tcp_emit_reply(t, &r);
}
