/* tcp_undo.c - a timeout that was none: the answer to the original was only late.
 *
 * With timestamps the first acknowledgement after a timeout tells which
 * transmission it answers: an echo older than the retransmission is the
 * original's. Then nothing is sent again, and the window is as it was.
 * Spec: RFC 3522 3.2 (detection), 4015 3 (response), 9438 4.9. Not here: connections without
 * timestamps. */
#include "dataplane/tcp/tcp_internal.h"

/* Before the first timeout of some data changes anything. */
void tcp_undo_remember(struct tcp *t, struct conn *c)
{
	struct flight *f = tcp_flight_get(t, c, true);
	const uint32_t flight = c->snd_max - c->snd_una;

	if (f == NULL || (c->flags & CONN_TIMESTAMPS) == 0 || conn_cold(t, c)->backoff != 0)
		return;
	f->undo = (struct undo){.armed = true,
		.tsval = tcp_timestamp(c, t->now_us),
		.ssthresh =
			c->ssthresh == CUBIC_CWND_MAX ? c->ssthresh : RTE_MAX(flight, c->ssthresh),
		.w_max = conn_cold(t, c)->w_max};
}

/* SND.UNA has moved by `bytes`. */
void tcp_undo_ack(struct tcp *t, struct conn *c, const struct segment *s, uint32_t bytes)
{
	struct flight *f = tcp_flight_of(t, c);

	if (f == NULL || !f->undo.armed)
		return;
	f->undo.armed = false; /* RFC 3522 3.2 (5): the first one decides */
	if (!s->h.options.has_timestamps || seq_ge(s->h.options.tsecr, f->undo.tsval))
		return;
	counter_add(t->conf.counters, COUNTER_TCP_UNDONE, 1);
	const uint32_t mss = tcp_payload_max(t, c);
	c->snd_nxt = c->snd_max;                                              /* RFC 4015 3.2 (6) */
	c->cwnd = RTE_MIN(c->snd_max - c->snd_una + RTE_MIN(bytes, 10 * mss), /* ... (7) */
		(uint32_t)CUBIC_CWND_MAX);
	c->cwnd = RTE_MAX(c->cwnd, mss);
	c->ssthresh = f->undo.ssthresh;
	conn_cold(t, c)->w_max = f->undo.w_max;
	conn_cold(t, c)->recover = c->snd_una;
	/* What was acknowledged has been counted: no growth on top of it. */
	c->flags &= ~(uint32_t)(CONN_RETRANSMIT | CONN_CWND_LIMITED);
}
