/* tcp_output.c - which segments leave, and when: once a turn, for those with something to say.
 *
 * First the receive queue is settled, so that only what is kept is
 * acknowledged; then resets, SYNs, data (lost data first), and last a bare ACK
 * if no segment carried it. What finds no room in the NIC's queue or no buffer
 * waits for the next flush.
 * Spec: RFC 9293 3.8.6 (windows, sender's silly windows, probes), 5681, 6675 5, 3042. */
#include "dataplane/tcp/tcp_internal.h"

/* Sequence number after all that is queued, the FIN included. */
static uint32_t queue_end(const struct conn *c)
{
	return conn_send_end(c) + ((c->flags & CONN_FIN_QUEUED) != 0);
}

/* The segment [from, to), as payload and FIN. */
static struct outgoing cut(const struct conn *c, struct tcp_range r)
{
	const uint32_t end = conn_send_end(c);
	struct outgoing o = {.seq = r.left, .flags = TCP_ACK};

	o.size = seq_gt(r.right, end) ? (seq_lt(r.left, end) ? end - r.left : 0) : r.right - r.left;
	if (seq_gt(r.right, end))
		o.flags |= TCP_FIN;
	if (o.size > 0 && seq_ge(r.right, end))
		o.flags |= TCP_PSH; /* the queue is empty behind it */
	return o;
}

/* A segment's worth of `within`, as far as the peer's window goes. False: none of it. */
static bool cut_within(
	const struct tcp *t, const struct conn *c, struct tcp_range within, struct outgoing *o)
{
	const uint32_t edge = c->snd_una + c->snd_wnd;
	const uint32_t end = conn_send_end(c);
	uint32_t most = within.left + tcp_payload_room(t, c);

	if (seq_ge(most, end) && seq_gt(within.right, end))
		most = seq_max(most, end + 1); /* a FIN is no payload */
	within.right = seq_min(seq_min(within.right, edge), most);
	if (seq_ge(within.left, within.right))
		return false;
	*o = cut(c, within);
	return true;
}

/* RFC 9293 3.8.6.2.1: a segment made small by the window waits, unless it is a good part of the
 * largest window we saw. What was sent before is not held back. */
static bool is_silly(const struct tcp *t, const struct conn *c, const struct outgoing *o)
{
	const bool all = seq_ge(o->seq + o->size, conn_send_end(c));

	return !all && seq_ge(o->seq, c->snd_max) && o->size < tcp_payload_room(t, c) &&
	       o->size < conn_cold(t, c)->snd_wnd_max / 2;
}

/* New data, or after a timeout old data from SND.NXT on. False: nothing may be sent. */
static bool choose_next(struct tcp *t, struct conn *c, struct outgoing *o)
{
	const struct board *b = tcp_board_of(t, c);
	struct tcp_range within = {c->snd_nxt, queue_end(c)};

	if (b != NULL && seq_lt(c->snd_nxt, c->snd_max)) {
		/* What the peer reported after the timeout is skipped. */
		const struct tcp_range again = {c->snd_nxt, c->snd_max};
		struct tcp_range hole;
		if (board_hole(b, again, &hole))
			within = hole;
		else
			within.left = c->snd_max;
	}
	if (!cut_within(t, c, within, o) || is_silly(t, c, o))
		return false;
	const uint32_t flight = tcp_in_flight(t, c);
	/* RFC 3042: each of the first two duplicates lets one new segment out. */
	const bool fresh = c->snd_nxt == c->snd_max && (c->flags & CONN_RECOVERY) == 0;
	const uint32_t limited =
		b == NULL && fresh ? RTE_MIN(c->dupacks, DUPACKS - 1u) * tcp_payload_max(t, c) : 0;
	if (flight > 0 && flight + o->size > c->cwnd + limited) {
		c->flags |= CONN_CWND_LIMITED;
		return false;
	}
	return true;
}

/* RFC 6675 4, NextSeg (): lost data, new data, then what may be lost, then the rescue. */
static bool choose_in_recovery(struct tcp *t, struct conn *c, struct outgoing *o)
{
	const struct board *b = tcp_board_of(t, c);
	const struct board_flight f = tcp_board_flight(t, c);
	const uint32_t top = board_top(b, c->snd_una);
	struct tcp_range hole;

	ASSERT(b != NULL);
	if (board_pipe(b, &f) + f.mss > c->cwnd) {
		c->flags |= CONN_CWND_LIMITED;
		return false;
	}
	const uint32_t lost = seq_min(board_lost_edge(b, &f), top);
	if (board_hole(b, (struct tcp_range){f.high_rxt, lost}, &hole) && cut_within(t, c, hole, o))
		return true; /* (1) */
	if (choose_next(t, c, o))
		return true; /* (2) */
	if (board_hole(b, (struct tcp_range){f.high_rxt, top}, &hole) && cut_within(t, c, hole, o))
		return true; /* (3) */
	if ((c->flags & CONN_RESCUED) != 0 || seq_ge(top, c->snd_max))
		return false;
	c->flags |= CONN_RESCUED; /* (4) */
	hole = (struct tcp_range){seq_max(top, c->snd_max - f.mss), c->snd_max};
	return cut_within(t, c, hole, o);
}

/* The first segment of a recovery, whatever cwnd says (RFC 5681 3.2, RFC 6675 5 (4.3)). */
static bool choose_retransmit(struct tcp *t, struct conn *c, struct outgoing *o)
{
	const struct board *b = tcp_board_of(t, c);
	struct tcp_range hole = {c->snd_una, c->snd_max};

	c->flags &= ~(uint32_t)CONN_RETRANSMIT;
	if (b != NULL && !board_hole(b, hole, &hole))
		return false;
	return cut_within(t, c, hole, o);
}

static bool choose(struct tcp *t, struct conn *c, struct outgoing *o)
{
	if ((c->flags & CONN_RETRANSMIT) != 0 && choose_retransmit(t, c, o))
		return true;
	if ((c->flags & CONN_RECOVERY_SACK) != 0)
		return choose_in_recovery(t, c, o);
	return choose_next(t, c, o);
}

/* RFC 6298 3 and 5.1, and the counts, for a segment that left. */
static void sent(struct tcp *t, struct conn *c, const struct outgoing *o)
{
	struct conn_cold *cold = conn_cold(t, c);
	const uint32_t end = o->seq + o->size + ((o->flags & TCP_FIN) != 0);

	if (seq_lt(o->seq, c->snd_max)) {
		counter_add(t->conf.counters, COUNTER_TCP_RETRANSMITS, 1);
		cold->retransmits++;
		tcp_trace(t, c, TCP_WHAT_AGAIN, o->size);
		c->flags &= ~(uint32_t)CONN_TIMING; /* Karn */
	} else if ((c->flags & CONN_TIMING) == 0) {
		c->flags |= CONN_TIMING;
		c->rtt_seq = o->seq;
		cold->rtt_start_us = t->now_us;
	}
	if (c->snd_una == c->snd_max)
		c->progress_us = t->now_us;
	if (seq_gt(end, c->snd_max)) {
		counter_add(t->conf.counters, COUNTER_TCP_TX_BYTES,
			o->size - RTE_MIN(o->size, c->snd_max - o->seq));
		tcp_tail_disarm(t, c); /* counted from the last new segment */
	}
	if ((c->flags & CONN_RECOVERY_SACK) != 0 &&
		seq_lt(o->seq, board_top(tcp_board_of(t, c), c->snd_una)))
		cold->high_rxt = seq_max(cold->high_rxt, end); /* not by the rescue */
	if ((c->flags & CONN_RECOVERY_SACK) != 0)
		tcp_flight_of(t, c)->prr.out += o->size;
	c->snd_nxt = seq_ge(o->seq, c->snd_nxt) ? end : c->snd_nxt;
	c->snd_max = seq_max(c->snd_max, end);
	cold->sent_us = t->now_us;
	if (c->retransmit_us == 0 || (c->flags & CONN_PERSIST) != 0)
		c->retransmit_us = t->now_us + tcp_rto_us(t, c);
	c->flags &= ~(uint32_t)CONN_PERSIST;
}

/* RFC 9293 3.8.6.1: one byte beyond the window, or the FIN; SND.NXT stays, so that the byte is
 * first to go again. Into a small window goes as much as fits (3.8.6.2.1, override). */
static bool send_probe(struct tcp *t, struct conn *c)
{
	struct tcp_range r = {c->snd_una, queue_end(c)};

	if (seq_ge(r.left, r.right)) {
		c->flags &= ~(uint32_t)CONN_PROBE;
		return true;
	}
	const uint32_t most = RTE_MAX(RTE_MIN(c->snd_wnd, tcp_payload_room(t, c)), 1u);
	r.right = seq_min(r.right, r.left + most);
	struct outgoing o = cut(c, r);
	if (!tcp_emit(t, c, &o))
		return false;
	counter_add(t->conf.counters, COUNTER_TCP_PROBES, 1);
	c->flags &= ~(uint32_t)CONN_PROBE;
	const uint32_t end = o.seq + o.size + ((o.flags & TCP_FIN) != 0);
	c->snd_max = seq_max(c->snd_max, end);
	if (c->snd_wnd > 0)
		c->snd_nxt = seq_max(c->snd_nxt, end);
	return true;
}

/* RFC 8985 7.3: new data if there is any that may go but for cwnd, else the last segment again. */
static bool send_tail_probe(struct tcp *t, struct conn *c)
{
	const uint32_t mss = tcp_payload_max(t, c);
	const uint32_t last = c->snd_max - RTE_MIN(mss, c->snd_max - c->snd_una);
	struct outgoing o;
	bool again = false;

	if (!cut_within(t, c, (struct tcp_range){c->snd_nxt, queue_end(c)}, &o) ||
		is_silly(t, c, &o)) {
		again = true;
		if (!cut_within(t, c, (struct tcp_range){last, c->snd_max}, &o)) {
			tcp_tail_skipped(t, c);
			return true;
		}
	}
	if (!tcp_emit(t, c, &o))
		return false;
	sent(t, c, &o);
	tcp_tail_sent(t, c, again);
	return true;
}

/* Is a probe due? In a recovery, or after a timeout, other rules decide. */
static bool tail_probe_is_due(const struct tcp *t, const struct conn *c)
{
	const struct flight *f = tcp_flight_of(t, c);

	return f != NULL && f->tail.due && (c->flags & CONN_RECOVERY) == 0 &&
	       c->snd_nxt == c->snd_max && c->snd_una != c->snd_max;
}

/* All that may be sent now. False: no room or no buffer. */
static bool send_data(struct tcp *t, struct conn *c)
{
	struct outgoing o;

	if (c->mss < c->mss_max)
		tcp_path_age(t, c);
	if ((c->flags & CONN_PROBE) != 0 && !send_probe(t, c))
		return false;
	if (tail_probe_is_due(t, c) && !send_tail_probe(t, c))
		return false;
	if (c->snd_una == c->snd_max && c->send_bytes > 0)
		tcp_congestion_idle(t, c, t->now_us);
	c->flags &= ~(uint32_t)CONN_CWND_LIMITED;
	while (choose(t, c, &o)) {
		const bool again = seq_lt(o.seq, c->snd_nxt);
		if (!tcp_emit(t, c, &o)) {
			if (again && (c->flags & CONN_RECOVERY) != 0)
				c->flags |= CONN_RETRANSMIT;
			return false;
		}
		sent(t, c, &o);
	}
	/* Something waits, and no acknowledgement will come to move it: the window must be asked.
	 */
	if (seq_lt(c->snd_nxt, queue_end(c)) && c->snd_nxt == c->snd_una && c->retransmit_us == 0) {
		c->flags |= CONN_PERSIST;
		c->retransmit_us = t->now_us + tcp_rto_us(t, c);
		c->progress_us = t->now_us;
	}
	tcp_tail_arm(t, c);
	return true;
}

static bool send_syn(struct tcp *t, struct conn *c)
{
	struct conn_cold *cold = conn_cold(t, c);
	struct outgoing o = {.seq = cold->iss, .flags = TCP_SYN};

	if (c->state == STATE_SYN_RECEIVED)
		o.flags |= TCP_ACK;
	if (!tcp_emit(t, c, &o))
		return false;
	c->flags &= ~(uint32_t)CONN_SEND_SYN;
	c->snd_nxt = c->snd_max = cold->iss + 1;
	cold->rtt_start_us = t->now_us;
	if (c->retransmit_us == 0)
		c->retransmit_us = t->now_us + tcp_rto_us(t, c);
	return true;
}

/* Nothing else carried it. The number is the highest that the peer accepts: below the edge of its
 * window, and not that of a probe. */
static bool send_ack(struct tcp *t, struct conn *c)
{
	struct outgoing o = {.seq = seq_min(c->snd_max, c->snd_una + c->snd_wnd), .flags = TCP_ACK};

	return tcp_emit(t, c, &o);
}

static bool send_reset(struct tcp *t, struct conn *c)
{
	struct outgoing o = {.seq = c->snd_max, .flags = TCP_RST | TCP_ACK};

	if (!tcp_emit(t, c, &o))
		return false;
	c->flags &= ~(uint32_t)CONN_SEND_RST;
	return true;
}

/* All that a connection has to say. False: it must wait for the next flush. */
static bool output(struct tcp *t, struct conn *c)
{
	if ((c->flags & CONN_SEND_RST) != 0 && !send_reset(t, c))
		return false;
	if (c->state == STATE_CLOSED)
		return true;
	if (!tcp_recv_settle(t, c))
		c->flags |= CONN_ACK_NOW;
	if ((c->flags & CONN_SEND_SYN) != 0 && !send_syn(t, c))
		return false;
	bool done = true;
	if (conn_is_synchronized(c)) {
		if (tcp_window_grew(t, c))
			c->flags |= CONN_ACK_NOW;
		done = send_data(t, c);
	}
	if ((c->flags & CONN_ACK_NOW) != 0)
		done = send_ack(t, c) && done;
	tcp_timer_arm(t, c);
	return done;
}

void tcp_flush(struct tcp *t, uint64_t now_us)
{
	const uint32_t last = t->output.tail;

	t->now_us = now_us;
	t->blocked_us = 0;
	tcp_wake_starved(t);
	for (bool more = t->output.head != TCP_NONE; more;) {
		const uint32_t index = t->output.head;
		struct conn *c = &t->conns[index];
		ASSERT((c->flags & CONN_ON_OUTPUT) != 0);
		const bool done = output(t, c);
		more = index != last;
		t->output.head = c->output_next;
		if (t->output.head == TCP_NONE)
			t->output.tail = TCP_NONE;
		c->flags &= ~(uint32_t)CONN_ON_OUTPUT;
		if (done) {
			tcp_conn_try_free(t, c);
		} else {
			tcp_output_add(t, c);
			t->blocked_us = now_us;
		}
	}
	net_flush(t->conf.net);
}
