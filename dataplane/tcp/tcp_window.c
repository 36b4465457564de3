/* tcp_window.c - the window we advertise.
 *
 * It follows what the application has read: the right edge is RCV.NXT and the
 * part of receive_window_max that unread bytes leave. It never moves left, and
 * moves right in steps worth a segment (RFC 9293 3.8.6.2.2, silly windows).
 * Spec: RFC 9293 3.8.6, RFC 7323 2. */
#include "dataplane/tcp/tcp_internal.h"

static uint32_t step(const struct tcp *t)
{
	return RTE_MIN((uint32_t)t->mss, t->conf.receive_window_max / 2);
}

/* Where the right edge could be now. */
static uint32_t right_edge(const struct tcp *t, const struct conn *c)
{
	const uint32_t max = t->conf.receive_window_max;
	const uint32_t room = c->recv_bytes < max ? max - c->recv_bytes : 0;
	const uint32_t edge = c->rcv_nxt + RTE_MIN(room, (uint32_t)UINT16_MAX << c->rcv_wscale);

	if (seq_lt(edge, c->rcv_adv) || edge - c->rcv_adv < step(t))
		return seq_max(c->rcv_adv, c->rcv_nxt);
	return edge;
}

/* Has reading opened the window enough for an ACK of its own: by two segments, or half of all? */
bool tcp_window_grew(const struct tcp *t, const struct conn *c)
{
	const uint32_t edge = right_edge(t, c);
	const uint32_t worth = RTE_MIN(2u * t->mss, t->conf.receive_window_max / 2);

	return (c->flags & CONN_READ) != 0 && seq_gt(edge, c->rcv_adv) &&
	       edge - c->rcv_adv >= worth;
}

/* RFC 7323 2.4: rounding to the scale's unit must not move the edge to the left. Rounding up is
 * paid for by at most two units beyond the maximum; a peer that nibbles at them gets no third. */
uint16_t tcp_window_choose(struct tcp *t, struct conn *c)
{
	const uint32_t unit = 1u << c->rcv_wscale;
	const uint32_t window = right_edge(t, c) - c->rcv_nxt;
	const bool spare = c->recv_bytes + window <= t->conf.receive_window_max + unit;
	const uint32_t units =
		RTE_MIN((window + (spare ? unit - 1 : 0)) >> c->rcv_wscale, (uint32_t)UINT16_MAX);

	c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt + (units << c->rcv_wscale));
	return (uint16_t)units;
}
