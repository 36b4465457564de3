/* tcp_ack.c - what an acceptable ACK moves: SND.UNA, the window, the clock.
 *
 * Spec: RFC 9293 3.10.7.4 (fifth), RFC 6298 (retransmission timer), RFC 7323 4 (round trips from
 * timestamps). Not here: loss and congestion (tcp_loss.c, tcp_congestion.c). */
#include "dataplane/tcp/tcp_internal.h"

enum { CLOCK_GRANULARITY_US = 1000, RTT_MAX_US = 60 * 1000000 };

uint32_t tcp_timestamp(const struct conn *c, uint64_t now_us)
{
	return (uint32_t)(now_us / 1000) + c->ts_offset;
}

/* RFC 6298 2.2, 2.3. A sample of nothing would stop the clock: at least one microsecond. */
void tcp_rtt_sample(struct conn *c, uint64_t rtt_us)
{
	const uint32_t r = (uint32_t)RTE_MAX(RTE_MIN(rtt_us, (uint64_t)RTT_MAX_US), UINT64_C(1));

	if (c->srtt_us == 0) {
		c->srtt_us = r;
		c->rttvar_us = r / 2;
	} else {
		const uint32_t off = c->srtt_us > r ? c->srtt_us - r : r - c->srtt_us;
		c->rttvar_us = (3 * c->rttvar_us + off) / 4;
		c->srtt_us = RTE_MAX((7 * c->srtt_us + r) / 8, 1u);
	}
	const uint32_t rto = c->srtt_us + RTE_MAX(4 * c->rttvar_us, (uint32_t)CLOCK_GRANULARITY_US);
	c->rto_us = RTE_MIN(RTE_MAX(rto, (uint32_t)RTO_MIN_US), (uint32_t)RTO_MAX_US);
}

uint32_t tcp_rto_us(const struct tcp *t, const struct conn *c)
{
	const unsigned doublings = RTE_MIN(conn_cold(t, c)->backoff, 16u);

	return (uint32_t)RTE_MIN((uint64_t)c->rto_us << doublings, (uint64_t)RTO_MAX_US);
}

static void sample(struct tcp *t, struct conn *c, uint64_t rtt_us)
{
	tcp_rtt_sample(c, rtt_us);
	tcp_congestion_rtt(t, c, (uint32_t)RTE_MIN(rtt_us, (uint64_t)RTT_MAX_US));
	conn_cold(t, c)->backoff = 0;
}

/* RFC 7323 4.1: the round trip that the echo tells, good for retransmitted segments too; 0: none.
 */
static uint64_t echoed_us(const struct conn *c, const struct segment *s)
{
	const uint32_t ms = tcp_timestamp(c, s->now_us) - s->h.options.tsecr;

	if ((c->flags & CONN_TIMESTAMPS) == 0 || !s->h.options.has_timestamps)
		return 0;
	if (ms > RTT_MAX_US / 1000)
		return 0; /* not an echo of ours */
	return (uint64_t)RTE_MAX(ms, 1u) * 1000;
}

/* A sample, if this ACK gives one: from the segment being timed, else from the timestamp. */
static void measure(struct tcp *t, struct conn *c, const struct segment *s)
{
	const struct conn_cold *cold = conn_cold(t, c);
	const uint64_t rtt_us = echoed_us(c, s);

	if ((c->flags & CONN_TIMING) == 0) {
		if (rtt_us != 0)
			sample(t, c, rtt_us);
	} else if (seq_gt(s->h.ack, c->rtt_seq)) {
		c->flags &= ~(uint32_t)CONN_TIMING;
		sample(t, c, s->now_us - cold->rtt_start_us);
	} else if (rtt_us != 0) {
		tcp_congestion_rtt(t, c, (uint32_t)rtt_us);
	}
}

/* RFC 6298 5.2, 5.3. */
static void restart_timer(struct tcp *t, struct conn *c, uint64_t now_us)
{
	tcp_tail_disarm(t, c);
	c->retransmit_us = c->snd_una == c->snd_max ? 0 : now_us + tcp_rto_us(t, c);
}

/* SND.UNA moves. */
static void advance(struct tcp *t, struct conn *c, const struct segment *s)
{
	const uint32_t ack = s->h.ack;
	struct conn_cold *cold = conn_cold(t, c);

	measure(t, c, s);
	c->snd_una = ack;
	c->snd_nxt = seq_max(c->snd_nxt, ack);
	tcp_sendq_acked(t, c, ack);
	if (tcp_board_of(t, c) != NULL)
		board_advance(tcp_board_of(t, c), ack);
	c->progress_us = s->now_us;
	if ((c->flags & CONN_PERSIST) != 0)
		cold->backoff = 0;
	c->flags &= ~(uint32_t)(CONN_PERSIST | CONN_PROBE);
	restart_timer(t, c, s->now_us);
}

/* RFC 9293 3.10.7.4: SND.WND, unless the segment is older than the last that set it. True: the
 * window is not what it was. */
static bool update_window(struct tcp *t, struct conn *c, const struct segment *s)
{
	struct conn_cold *cold = conn_cold(t, c);
	const uint32_t before = c->snd_wnd;

	if (!seq_lt(c->snd_wl1, s->h.seq) &&
		!(c->snd_wl1 == s->h.seq && seq_le(c->snd_wl2, s->h.ack)))
		return false;
	c->snd_wnd = (uint32_t)s->h.window << c->snd_wscale;
	c->snd_wl1 = s->h.seq;
	c->snd_wl2 = s->h.ack;
	cold->snd_wnd_max = RTE_MAX(cold->snd_wnd_max, c->snd_wnd);
	return c->snd_wnd != before;
}

/* A window that was closed, or too small to use, has opened: no more probing. */
static void end_persist(struct tcp *t, struct conn *c)
{
	tcp_tail_disarm(t, c);
	c->flags &= ~(uint32_t)(CONN_PERSIST | CONN_PROBE);
	conn_cold(t, c)->backoff = 0;
	c->retransmit_us = c->snd_una == c->snd_nxt ? 0 : t->now_us + tcp_rto_us(t, c);
}

void tcp_ack_process(struct tcp *t, struct conn *c, const struct segment *s, struct tcp_effects *fx)
{
	const uint32_t ack = s->h.ack;
	const uint32_t window = c->snd_wnd;
	const uint32_t held = tcp_loss_held(t, c);
	struct ack_news news = {0};

	if (seq_lt(ack, c->snd_una))
		return; /* old, and its window with it */
	news.acked = ack - c->snd_una;
	if (news.acked > 0)
		advance(t, c, s);
	if (news.acked > 0)
		tcp_undo_ack(t, c, s, news.acked);
	const bool window_changed = update_window(t, c, s);
	/* RFC 5681 2: nothing new, nothing in it, and something is on its way. */
	news.duplicate = news.acked == 0 && s->size == 0 && !window_changed &&
			 (s->h.flags & TCP_FIN) == 0 && c->snd_una != c->snd_max;
	news.sacked = tcp_loss_sack(t, c, s);
	news.dsack = s->h.options.sack_count > 0 && (c->flags & CONN_SACK) != 0 &&
		     seq_le(s->h.options.sack[0].right, ack);
	news.delivered = news.acked + tcp_loss_held(t, c) - held;
	if ((c->flags & CONN_PERSIST) != 0 || c->snd_wnd == 0)
		c->progress_us = s->now_us; /* it answers probes: RFC 9293 3.8.6.1 */
	if ((c->flags & CONN_PERSIST) != 0 && c->snd_wnd > window)
		end_persist(t, c);
	tcp_loss_ack(t, c, &news);
	fx->output |= news.acked > 0 || news.sacked > 0 || news.duplicate || window_changed;
}
