/* tcp_input.c - SEGMENT ARRIVES, from the checksum to the effects.
 *
 * RFC 9293 3.10.7.4 step by step, for all synchronized states and SYN-RECEIVED;
 * the steps fill struct tcp_effects, which is carried out once, at the end.
 * Spec also: RFC 7323 5 (PAWS), RFC 5961 (blind attacks). Not here: LISTEN and
 * SYN-SENT (tcp_open.c), what comes for half-open records (tcp_half.c) and TIME-WAIT
 * (tcp_timewait.c), what an ACK moves (tcp_ack.c). */
#include "dataplane/tcp/tcp_half.h"

/* RFC 7323 5.5: after 24 days of silence TS.Recent says nothing any more. */
static const uint64_t paws_valid_us = (uint64_t)24 * 24 * 3600 * 1000000;

/* Checksum and header of a packet whose first 60 bytes, or all, are contiguous (net.h). */
static enum err parse(const struct net_packet *packet, struct segment *s, uint64_t now_us)
{
	struct rte_mbuf *m = packet->mbuf;
	const uint32_t size = rte_pktmbuf_pkt_len(m);

	if (size < TCP_HEADER_MIN || size > UINT16_MAX)
		return ERR_TCP_HEADER;
	if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_GOOD) {
		const uint32_t sum = net_checksum_pseudo(
			packet->src, packet->dst, NET_PROTO_TCP, (uint16_t)size);
		if (net_checksum_finish(net_checksum_mbuf(sum, m, 0, size)) != 0)
			return ERR_TCP_CHECKSUM;
	}
	const enum err e = tcp_header_decode(
		span_of(rte_pktmbuf_mtod(m, const uint8_t *), rte_pktmbuf_data_len(m)), &s->h);
	if (e != ERR_NONE)
		return e;
	s->mbuf = m;
	s->tuple = (struct tcp_tuple){packet->src, packet->dst, s->h.src_port, s->h.dst_port};
	s->offset = s->h.size;
	s->size = size - s->h.size;
	s->seq = s->h.seq;
	s->now_us = now_us;
	return ERR_NONE;
}

/* RFC 7323 5.2: older than TS.Recent, unless TS.Recent is too old itself (5.5). */
bool tcp_timestamp_is_old(struct tcp *t, struct conn *c, const struct segment *s)
{
	return seq_lt(s->h.options.tsval, c->ts_recent) &&
	       s->now_us - conn_cold(t, c)->ts_recent_us < paws_valid_us;
}

/* RFC 7323 4.3: the timestamp to echo is that of the segment that advanced the last ACK sent. */
void tcp_timestamp_take(struct tcp *t, struct conn *c, const struct segment *s)
{
	if ((c->flags & CONN_TIMESTAMPS) == 0 || !s->h.options.has_timestamps)
		return;
	if (seq_gt(s->h.seq, c->last_ack_sent) || tcp_timestamp_is_old(t, c, s))
		return;
	c->ts_recent = s->h.options.tsval;
	conn_cold(t, c)->ts_recent_us = s->now_us;
}

/* first, a: PAWS. False: dropped. */
static bool check_timestamp(
	struct tcp *t, struct conn *c, const struct segment *s, struct tcp_effects *fx)
{
	if ((c->flags & CONN_TIMESTAMPS) == 0 || (s->h.flags & TCP_RST) != 0)
		return true;
	if (!s->h.options.has_timestamps) {
		/* RFC 7323 3.2: silently dropped; but some send the handshake's ACK without. */
		if (c->state == STATE_SYN_RECEIVED)
			return true;
		counter_err(t->conf.counters, ERR_TCP_PAWS);
		return false;
	}
	if (!tcp_timestamp_is_old(t, c, s))
		return true;
	counter_err(t->conf.counters, ERR_TCP_PAWS);
	fx->ack = s->size > 0;
	fx->challenge = s->size == 0;
	return false;
}

/* Remembers bytes that came twice, to be reported (RFC 2883). */
static void note_duplicate(struct tcp *t, struct conn *c, struct tcp_range range)
{
	counter_add(t->conf.counters, COUNTER_TCP_DUPLICATES, 1);
	if ((c->flags & CONN_SACK) == 0)
		return;
	c->flags |= CONN_DSACK;
	conn_cold(t, c)->dsack = range;
}

/* first, b: is any of the segment in the window (RFC 9293 3.4)? */
bool tcp_is_acceptable(const struct segment *s, uint32_t rcv_nxt, uint32_t window)
{
	const uint32_t size =
		s->size + ((s->h.flags & TCP_SYN) != 0) + ((s->h.flags & TCP_FIN) != 0);

	/* RFC 5961 3.2: a RST is judged by its number alone. */
	if ((s->h.flags & TCP_RST) != 0)
		return s->seq == rcv_nxt || seq_in(s->seq, rcv_nxt, window);
	/* An empty one may lie at the right edge, and a byte beyond it: a peer that has filled the
	 * window, and probes it, numbers its ACKs so. */
	if (size == 0)
		return seq_in(s->seq, rcv_nxt, window + 2);
	/* RFC 9293 3.10.7.4: with a closed window, ACKs of what begins at its edge still count. */
	if (window == 0)
		return s->seq == rcv_nxt;
	return seq_in(s->seq, rcv_nxt, window) || seq_in(s->seq + size - 1, rcv_nxt, window);
}

/* An unacceptable segment is answered with an ACK; those that carry nothing, at a limited rate,
 * so that two ends that disagree do not answer each other for ever. */
static void answer_unacceptable(
	struct tcp *t, struct conn *c, const struct segment *s, struct tcp_effects *fx)
{
	const uint32_t end = s->seq + s->size;

	counter_err(t->conf.counters, ERR_TCP_UNACCEPTABLE);
	if ((s->h.flags & TCP_RST) != 0)
		return;
	if (s->size > 0 && seq_le(end, c->rcv_nxt))
		note_duplicate(t, c, (struct tcp_range){s->seq, end});
	if (s->size > 0 || (s->h.flags & TCP_FIN) != 0)
		fx->ack = true;
	else
		fx->challenge = true;
}

/* first, c: cuts off what lies outside the window (RFC 9293 3.10.7.4). */
static void trim(struct tcp *t, struct conn *c, struct segment *s, struct tcp_effects *fx)
{
	const uint32_t edge = c->rcv_nxt + conn_rcv_wnd(c);

	if (s->size == 0 && (s->h.flags & TCP_FIN) == 0)
		return;
	if (seq_lt(s->seq, c->rcv_nxt)) {
		const uint32_t old = RTE_MIN(c->rcv_nxt - s->seq, s->size);
		if (old > 0)
			note_duplicate(t, c, (struct tcp_range){s->seq, s->seq + old});
		s->seq = c->rcv_nxt;
		s->offset += old;
		s->size -= old;
		fx->ack = true;
	}
	const uint32_t end = s->seq + s->size + ((s->h.flags & TCP_FIN) != 0);
	if (seq_gt(end, edge)) {
		const uint32_t beyond = end - edge;
		s->size -= RTE_MIN(beyond - ((s->h.flags & TCP_FIN) != 0), s->size);
		s->h.flags &= (uint8_t)~TCP_FIN;
		fx->ack = true;
	}
}

/* In SYN-RECEIVED the peer's SYN comes again when our SYN-ACK was lost, or, in a simultaneous
 * open, as a SYN-ACK (RFC 9293 3.5, figure 8). False: dealt with. */
static bool check_syn_again(
	struct tcp *t, struct conn *c, struct segment *s, struct tcp_effects *fx)
{
	if ((s->h.flags & (TCP_SYN | TCP_RST)) != TCP_SYN || s->seq != conn_cold(t, c)->irs)
		return true;
	if ((s->h.flags & TCP_ACK) == 0) {
		c->flags |= CONN_SEND_SYN | CONN_SYN_AGAIN;
		fx->output = true;
		return false;
	}
	s->h.flags &= (uint8_t)~TCP_SYN;
	s->seq++;
	return true;
}

/* first: sequence number */
static bool step_sequence(struct tcp *t, struct conn *c, struct segment *s, struct tcp_effects *fx)
{
	if (c->state == STATE_SYN_RECEIVED && !check_syn_again(t, c, s, fx))
		return false;
	/* RFC 5961 4.2 puts this before all else: whatever its number, a SYN is challenged. */
	if (conn_is_synchronized(c) && (s->h.flags & (TCP_SYN | TCP_RST)) == TCP_SYN) {
		counter_err(t->conf.counters, ERR_TCP_CHALLENGE);
		fx->challenge = true;
		return false;
	}
	if (!check_timestamp(t, c, s, fx))
		return false;
	if (!tcp_is_acceptable(s, c->rcv_nxt, conn_rcv_wnd(c))) {
		answer_unacceptable(t, c, s, fx);
		return false;
	}
	return true;
}

/* second: RST (RFC 5961 3.2) */
static bool step_reset(
	struct tcp *t, struct conn *c, const struct segment *s, struct tcp_effects *fx)
{
	if ((s->h.flags & TCP_RST) == 0)
		return true;
	if (s->seq == c->rcv_nxt) {
		fx->finish = true;
		fx->why = ERR_TCP_RESET;
	} else {
		counter_err(t->conf.counters, ERR_TCP_CHALLENGE);
		fx->challenge = true;
	}
	return false;
}

/* third: security; there is none. fourth: SYN, here only in SYN-RECEIVED of an active OPEN */
static bool step_syn(struct tcp *t, struct conn *c, const struct segment *s, struct tcp_effects *fx)
{
	if ((s->h.flags & TCP_SYN) == 0)
		return true;
	ASSERT(c->state == STATE_SYN_RECEIVED);
	counter_err(t->conf.counters, ERR_TCP_CHALLENGE);
	fx->challenge = true;
	return false;
}

/* fifth, in SYN-RECEIVED */
static bool ack_of_syn(
	struct tcp *t, struct conn *c, const struct segment *s, struct tcp_effects *fx)
{
	struct conn_cold *cold = conn_cold(t, c);

	if (seq_le(s->h.ack, c->snd_una) || seq_gt(s->h.ack, c->snd_max)) {
		counter_err(t->conf.counters, ERR_TCP_ACK_UNACCEPTABLE);
		fx->reset = true;
		fx->ack = false; /* of text that was here before: the reset says it all */
		return false;
	}
	/* Karn; of a cookie we know no start */
	if ((c->flags & CONN_SYN_AGAIN) == 0 && cold->rtt_start_us != 0)
		tcp_rtt_sample(c, s->now_us - cold->rtt_start_us);
	c->snd_una = c->snd_nxt = s->h.ack;
	c->flags &= ~(uint32_t)CONN_SEND_SYN;
	c->snd_wl1 = s->h.seq - 1; /* makes the window below count */
	tcp_conn_established(t, c, s->now_us);
	return true;
}

/* fifth: ACK */
static bool step_ack(struct tcp *t, struct conn *c, const struct segment *s, struct tcp_effects *fx)
{
	if ((s->h.flags & TCP_ACK) == 0) {
		counter_err(t->conf.counters, ERR_TCP_FLAGS);
		return false;
	}
	if (c->state == STATE_SYN_RECEIVED && !ack_of_syn(t, c, s, fx))
		return false;
	/* RFC 5961 5.2: neither ahead of what was sent nor older than the largest window. */
	const uint32_t oldest = c->snd_una - conn_cold(t, c)->snd_wnd_max;
	if (seq_gt(s->h.ack, c->snd_max) || seq_lt(s->h.ack, oldest)) {
		counter_err(t->conf.counters, ERR_TCP_ACK_UNACCEPTABLE);
		fx->challenge = true;
		return false;
	}
	tcp_ack_process(t, c, s, fx);
	if (!conn_fin_acked(c))
		return true;
	if (c->state == STATE_FIN_WAIT_1) {
		tcp_set_state(t, c, STATE_FIN_WAIT_2);
	} else if (c->state == STATE_CLOSING) {
		tcp_set_state(t, c, STATE_TIME_WAIT);
		return false;
	} else if (c->state == STATE_LAST_ACK) {
		fx->finish = true;
		fx->why = ERR_NONE;
		return false;
	}
	return true;
}

/* sixth: URG. RFC 6093: urgent bytes stay in band. seventh: text */
static void step_text(struct tcp *t, struct conn *c, struct segment *s, struct tcp_effects *fx)
{
	if (s->size == 0)
		return;
	if (c->state != STATE_ESTABLISHED && c->state != STATE_FIN_WAIT_1 &&
		c->state != STATE_FIN_WAIT_2) {
		fx->ack = true; /* text after a FIN: not a byte of it counts */
		counter_err(t->conf.counters, ERR_TCP_UNACCEPTABLE);
		return;
	}
	tcp_recv_accept(t, c, s, fx);
}

/* The FIN is next in order. What waits is copied first: once the FIN is acknowledged no byte can
 * be given up any more. */
static void take_fin(struct tcp *t, struct conn *c, struct tcp_effects *fx)
{
	fx->ack = true;
	if (!tcp_recv_settle(t, c))
		return; /* the FIN comes again with what was given up */
	c->flags &= ~(uint32_t)CONN_FIN_AHEAD;
	c->flags |= CONN_FIN_RECEIVED;
	c->rcv_nxt++;
	tcp_ahead_free(t, c); /* nothing lies beyond a FIN, whatever a peer has sent there */
	fx->wake = true;
	if (c->state == STATE_ESTABLISHED)
		tcp_set_state(t, c, STATE_CLOSE_WAIT);
	else if (c->state == STATE_FIN_WAIT_1)
		tcp_set_state(t, c, STATE_CLOSING);
	else if (c->state == STATE_FIN_WAIT_2)
		tcp_set_state(t, c, STATE_TIME_WAIT);
}

/* eighth: FIN. One that lies behind a gap is remembered. */
static void step_fin(
	struct tcp *t, struct conn *c, uint32_t fin_seq, bool fin, struct tcp_effects *fx)
{
	struct conn_cold *cold = conn_cold(t, c);

	if ((c->flags & CONN_FIN_RECEIVED) != 0)
		return;
	if (fin && seq_ge(fin_seq, c->rcv_nxt)) {
		c->flags |= CONN_FIN_AHEAD;
		cold->fin_seq = fin_seq;
		fx->ack = true;
	}
	if ((c->flags & CONN_FIN_AHEAD) != 0 && cold->fin_seq == c->rcv_nxt)
		take_fin(t, c, fx);
}

static void input_synchronized(
	struct tcp *t, struct conn *c, struct segment *s, struct tcp_effects *fx)
{
	if (!step_sequence(t, c, s, fx) || !step_reset(t, c, s, fx) || !step_syn(t, c, s, fx))
		return;
	tcp_timestamp_take(t, c, s);
	c->heard_us = s->now_us;
	conn_cold(t, c)->keepalive_sent = 0;
	trim(t, c, s, fx);
	const uint32_t fin_seq = s->seq + s->size;
	if (!step_ack(t, c, s, fx))
		return;
	step_text(t, c, s, fx);
	step_fin(t, c, fin_seq, (s->h.flags & TCP_FIN) != 0, fx);
}

/* What the steps asked for, once. */
static void run_effects(
	struct tcp *t, struct conn *c, const struct segment *s, const struct tcp_effects *fx)
{
	if (fx->reset)
		tcp_reset_stranger(t, s);
	if (fx->finish) {
		tcp_conn_finish(t, c, fx->why);
		return;
	}
	if (fx->wake)
		tcp_event_add(t, c, TCP_EVENT_READABLE);
	if (c->state == STATE_TIME_WAIT) {
		tcp_timewait_enter(t, c, fx->ack);
		return;
	}
	if (fx->challenge)
		tcp_trace(t, c, TCP_WHAT_CHALLENGE, 0);
	if (fx->ack || (fx->challenge && tcp_challenge_allowed(t, c, s->now_us)))
		c->flags |= CONN_ACK_NOW;
	else if (fx->ack_later && c->ack_us == 0)
		c->ack_us = s->now_us + DELAYED_ACK_US;
	if ((c->flags & CONN_ACK_NOW) != 0 || fx->output)
		tcp_output_add(t, c);
	tcp_timer_arm(t, c);
}

void tcp_input_conn(struct tcp *t, struct conn *c, struct segment *s)
{
	struct tcp_effects fx = {0};

	ASSERT(c->state != STATE_FREE && c->state != STATE_CLOSED);
	tcp_trace_segment(t, c, TCP_WHAT_SEGMENT_IN, s->h.flags, s->size);
	if (c->state == STATE_SYN_SENT)
		tcp_input_syn_sent(t, c, s, &fx);
	else
		input_synchronized(t, c, s, &fx);
	run_effects(t, c, s, &fx);
}

/* To whom the segment belongs. */
static void dispatch(struct tcp *t, struct segment *s)
{
	const uint32_t index = tcp_table_find(&t->table, &s->tuple);

	if (index == TABLE_EMPTY) {
		struct listener *l = tcp_listener_find(t, &s->tuple);
		if (l == NULL) {
			counter_err(t->conf.counters, ERR_TCP_NO_PORT);
			tcp_reset_stranger(t, s);
		} else if (!tcp_cookie_input(t, l, s)) {
			tcp_input_listen(t, l, s, 0);
		}
	} else if (index >= t->conf.connections_max + t->conf.time_wait_max) {
		tcp_half_input(t, index - t->conf.connections_max - t->conf.time_wait_max, s);
	} else if (index >= t->conf.connections_max) {
		tcp_timewait_input(t, index - t->conf.connections_max, s);
	} else {
		tcp_input_conn(t, &t->conns[index], s);
	}
}

void tcp_rx(struct tcp *t, struct net_packet *packet, uint64_t now_us)
{
	struct segment s = {0};
	const enum err e = parse(packet, &s, now_us);

	t->now_us = now_us;
	counter_add(t->conf.counters, COUNTER_TCP_RX_SEGMENTS, 1);
	if (e != ERR_NONE) {
		counter_err(t->conf.counters, e);
		s.mbuf = packet->mbuf;
	} else {
		dispatch(t, &s);
	}
	packet->mbuf = NULL;
	if (s.mbuf != NULL)
		rte_pktmbuf_free(s.mbuf);
}
