/* tcp_tail.c - losses that no later segment tells of: a probe for the tail, a timer for the rest.
 *
 * Both timers are the connection's retransmission timer, brought forward; the
 * deadline that it had is kept in the flight. (1) Nothing of two or more
 * segments was acknowledged for two round trips: the last one, or a new one,
 * goes as a probe. (2) Something was reported above a hole: had the hole only
 * been overtaken, it would be filled within a quarter of a round trip; then
 * all that was sent before what was reported is lost. Order of sequence
 * numbers stands for order of sending, since each retransmission belongs to a
 * recovery, in which neither timer runs.
 * Spec: RFC 8985 6.2 (the timer), 7 (the probe). Not here: times of single segments, thus lost
 * retransmissions, which wait for the timeout; a flight of one segment, whose probe RFC 8985 7.2
 * delays by 200 ms, which is the timeout already. */
#include "dataplane/tcp/tcp_internal.h"

enum {
	PROBE_US_MIN = 5000,   /* a busy worker answers late */
	REORDER_US_MIN = 1000, /* RFC 8985 6.2: at least the timer's grain */
};

/* The retransmission timer again, with the deadline that it had. */
void tcp_tail_disarm(struct tcp *t, struct conn *c)
{
	struct flight *f = tcp_flight_of(t, c);

	if (f == NULL || f->tail.timer == TAIL_NONE)
		return;
	f->tail.timer = TAIL_NONE;
	c->retransmit_us = f->tail.rto_us;
}

static void bring_forward(struct conn *c, struct flight *f, enum tail_timer timer, uint64_t us)
{
	if (us >= c->retransmit_us)
		return;
	f->tail.rto_us = c->retransmit_us;
	f->tail.timer = (uint8_t)timer;
	c->retransmit_us = us;
}

/* RFC 8985 7.2: not in recovery, nothing reported, no probe out; and more than a segment in flight.
 */
static bool may_probe(const struct tcp *t, const struct conn *c)
{
	const uint32_t busy = CONN_RECOVERY | CONN_PERSIST | CONN_PROBE;
	const struct flight *f = tcp_flight_of(t, c);

	if ((c->flags & CONN_SACK) == 0 || (c->flags & busy) != 0 || c->srtt_us == 0)
		return false;
	if (c->snd_nxt != c->snd_max || conn_cold(t, c)->backoff != 0 || c->retransmit_us == 0)
		return false;
	if (c->snd_max - c->snd_una <= tcp_payload_max(t, c))
		return false;
	return f == NULL || (!f->has_board && !f->tail.probing && f->tail.timer == TAIL_NONE);
}

/* After all that could be sent was. */
void tcp_tail_arm(struct tcp *t, struct conn *c)
{
	const uint64_t wait_us = RTE_MAX(2 * (uint64_t)c->srtt_us, (uint64_t)PROBE_US_MIN);

	if (!may_probe(t, c) || t->now_us + wait_us >= c->retransmit_us)
		return;
	struct flight *f = tcp_flight_get(t, c, false);
	if (f != NULL)
		bring_forward(c, f, TAIL_PROBE, t->now_us + wait_us);
}

/* The timer has run out. False: it was the retransmission timer. */
bool tcp_tail_fire(struct tcp *t, struct conn *c, uint64_t now_us)
{
	struct flight *f = tcp_flight_of(t, c);

	if (f == NULL || f->tail.timer == TAIL_NONE)
		return false;
	const enum tail_timer timer = (enum tail_timer)f->tail.timer;
	f->tail.timer = TAIL_NONE;
	c->retransmit_us = now_us + tcp_rto_us(t, c);
	if (timer == TAIL_PROBE) {
		f->tail.due = true;
	} else {
		f->tail.has_lost_edge = true;
		f->tail.lost_edge = f->tail.edge;
		tcp_loss_reordered(t, c);
	}
	tcp_output_add(t, c);
	return true;
}

/* A probe has left (RFC 8985 7.3). */
void tcp_tail_sent(struct tcp *t, struct conn *c, bool again)
{
	struct flight *f = tcp_flight_of(t, c);

	counter_add(t->conf.counters, COUNTER_TCP_TAIL_PROBES, 1);
	f->tail.due = false;
	f->tail.probing = true;
	f->tail.again = again;
	f->tail.end_seq = c->snd_max;
}

/* The window leaves room for none. It counts as sent, or the timer of the next would for ever come
 * before the timeout, which asks for the window. */
void tcp_tail_skipped(struct tcp *t, struct conn *c)
{
	struct flight *f = tcp_flight_of(t, c);

	f->tail.due = f->tail.again = false;
	f->tail.probing = true;
	f->tail.end_seq = c->snd_max;
}

/* RFC 8985 7.4.2: what became of the probe. A retransmitted one that was needed, and alone filled
 * the gap, hides a loss that congestion control must hear of. */
static void judge_probe(
	struct tcp *t, struct conn *c, struct tail *tail, const struct ack_news *news)
{
	if (!tail->probing || seq_lt(c->snd_una, tail->end_seq))
		return;
	if (!tail->again || news->dsack) {
		tail->probing = false; /* new data arrived; or it came twice: nothing was lost */
	} else if (seq_gt(c->snd_una, tail->end_seq)) {
		tail->probing = false;
		tcp_congestion_loss(t, c, c->cwnd);
	} else if (news->duplicate) {
		tail->probing = false; /* it came twice, from a peer that tells no D-SACK */
	}
}

/* After the scoreboard has heard all. */
void tcp_tail_ack(struct tcp *t, struct conn *c, const struct ack_news *news)
{
	struct flight *f = tcp_flight_of(t, c);

	if (f == NULL)
		return;
	f->tail.due &= news->acked == 0;
	judge_probe(t, c, &f->tail, news);
	if (!f->has_board || f->board.count == 0 || (c->flags & CONN_RECOVERY) != 0) {
		if (f->tail.timer == TAIL_REORDER)
			tcp_tail_disarm(t, c);
		return;
	}
	const uint32_t top = board_top(&f->board, c->snd_una);
	/* What is reported of a probe was sent two round trips after all the rest. */
	if (f->tail.probing && seq_ge(top, f->tail.end_seq)) {
		f->tail.has_lost_edge = true;
		f->tail.lost_edge = top;
		tcp_loss_reordered(t, c);
		return;
	}
	if (f->tail.timer == TAIL_REORDER || c->snd_nxt != c->snd_max)
		return;
	tcp_tail_disarm(t, c);
	f->tail.edge = top;
	if (c->retransmit_us != 0)
		bring_forward(c, f, TAIL_REORDER,
			t->now_us + RTE_MAX(c->srtt_us / 4, (uint32_t)REORDER_US_MIN));
}
