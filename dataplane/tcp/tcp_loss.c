/* tcp_loss.c - noticing loss: duplicate ACKs, SACK, fast recovery, timeouts.
 *
 * With SACK by RFC 6675's scoreboard and pipe; without, by NewReno (RFC 6582).
 * After a timeout SND.NXT goes back to SND.UNA and what the peer reports again
 * is skipped; the old reports are forgotten, since a peer may have dropped
 * what it reported (RFC 2018 8). Not here: what is then sent (tcp_output.c). */
#include "dataplane/tcp/tcp_internal.h"

struct board_flight tcp_board_flight(const struct tcp *t, const struct conn *c)
{
	const struct flight *f = tcp_flight_of(t, c);
	const bool late = f != NULL && f->tail.has_lost_edge;

	return (struct board_flight){.una = c->snd_una,
		.max = c->snd_max,
		.high_rxt = seq_max(conn_cold(t, c)->high_rxt, c->snd_una),
		.mss = tcp_payload_max(t, c),
		.lost = late ? seq_max(f->tail.lost_edge, c->snd_una) : c->snd_una};
}

uint32_t tcp_in_flight(const struct tcp *t, const struct conn *c)
{
	const struct board *b = tcp_board_of(t, c);

	if ((c->flags & CONN_RECOVERY_SACK) != 0) {
		const struct board_flight f = tcp_board_flight(t, c);
		return board_pipe(b, &f);
	}
	const uint32_t flight = c->snd_nxt - c->snd_una;
	return b == NULL ? flight : flight - board_bytes(b, c->snd_nxt);
}

/* The scoreboard, when there is something to write on it. */
static struct board *board_get(struct tcp *t, struct conn *c)
{
	struct flight *f = tcp_flight_get(t, c, true);

	if (f == NULL)
		return NULL; /* recovers as if there were no SACK */
	if (!f->has_board)
		board_init(&f->board);
	f->has_board = true;
	return &f->board;
}

static void board_release(struct tcp *t, struct conn *c)
{
	struct flight *f = tcp_flight_of(t, c);

	if (f != NULL)
		f->has_board = false;
}

uint32_t tcp_loss_held(const struct tcp *t, const struct conn *c)
{
	const struct board *b = tcp_board_of(t, c);

	return b == NULL ? 0 : board_bytes(b, c->snd_max);
}

/* Takes the SACK blocks that make sense: whole, in order, between SND.UNA and SND.MAX. A D-SACK
 * lies below SND.UNA or inside another block, and so tells nothing new here. */
uint32_t tcp_loss_sack(struct tcp *t, struct conn *c, const struct segment *s)
{
	uint32_t news = 0;

	if ((c->flags & CONN_SACK) == 0)
		return 0;
	for (unsigned i = 0; i < s->h.options.sack_count; i++) {
		const struct tcp_range r = s->h.options.sack[i];
		const bool sane = seq_lt(r.left, r.right) && seq_gt(r.left, c->snd_una) &&
				  seq_le(r.right, c->snd_max);
		struct board *b = sane ? board_get(t, c) : NULL;
		if (b != NULL)
			news += board_add(b, r);
	}
	return news;
}

static void enter_recovery(struct tcp *t, struct conn *c)
{
	struct conn_cold *cold = conn_cold(t, c);
	const struct board *b = tcp_board_of(t, c);
	const uint32_t mss = tcp_payload_max(t, c);
	const bool sack = b != NULL && b->count > 0;
	uint32_t flight = c->snd_max - c->snd_una;

	if (!sack) /* RFC 3042 3: what limited transmit sent does not count */
		flight -= RTE_MIN(flight / 2, (DUPACKS - 1) * mss);
	counter_add(t->conf.counters, COUNTER_TCP_FAST_RECOVERIES, 1);
	tcp_trace(t, c, TCP_WHAT_RECOVERY, flight / mss);
	tcp_tail_disarm(t, c);
	tcp_congestion_loss(t, c, flight);
	cold->recover = c->snd_max;
	cold->high_rxt = c->snd_una;
	c->snd_nxt = c->snd_max;
	c->flags |= CONN_RECOVERY | CONN_RETRANSMIT;
	c->flags &= ~(uint32_t)(CONN_RESCUED | CONN_TIMING);
	if (sack) {
		c->flags |= CONN_RECOVERY_SACK;
		tcp_flight_of(t, c)->prr = (struct prr){.flight = c->snd_max - c->snd_una};
	} else {
		c->cwnd += DUPACKS * mss; /* RFC 6582 3.2 (2): they have left the network */
	}
}

static void leave_recovery(struct tcp *t, struct conn *c)
{
	const uint32_t mss = tcp_payload_max(t, c);

	/* RFC 6937 3; RFC 6582 3.2 (3), first option. */
	if ((c->flags & CONN_RECOVERY_SACK) != 0) {
		c->cwnd = c->ssthresh;
	} else {
		const uint32_t flight = RTE_MAX(c->snd_max - c->snd_una, mss) + mss;
		c->cwnd = RTE_MIN(c->ssthresh, flight);
	}
	c->flags &= ~(uint32_t)(CONN_RECOVERY | CONN_RECOVERY_SACK | CONN_RETRANSMIT);
	c->dupacks = 0;
}

static void recovery_ack(struct tcp *t, struct conn *c, const struct ack_news *news)
{
	const uint32_t mss = tcp_payload_max(t, c);

	if (seq_ge(c->snd_una, conn_cold(t, c)->recover)) {
		leave_recovery(t, c);
		return;
	}
	if ((c->flags & CONN_RECOVERY_SACK) != 0)
		return;        /* the scoreboard says it all */
	if (news->acked > 0) { /* RFC 6582 3.2 (3), partial: the next hole is lost too */
		c->flags |= CONN_RETRANSMIT;
		c->cwnd -= RTE_MIN(news->acked, c->cwnd);
		c->cwnd = RTE_MAX(c->cwnd + (news->acked >= mss ? mss : 0), mss);
	} else if (news->duplicate) {
		/* There cannot be more of them than segments: made-up ones open nothing. */
		const uint32_t most = c->ssthresh + (c->snd_max - c->snd_una);
		c->cwnd = RTE_MIN(c->cwnd + mss, RTE_MAX(most, c->cwnd));
	}
}

/* RFC 6675 5 (1), (2), RFC 5681 3.2. */
static bool is_loss(const struct tcp *t, const struct conn *c)
{
	const struct conn_cold *cold = conn_cold(t, c);
	const struct board *b = tcp_board_of(t, c);

	if (b != NULL && b->count > 0) {
		const struct board_flight f = tcp_board_flight(t, c);
		return seq_ge(c->snd_una, cold->recover) &&
		       (c->dupacks >= DUPACKS || board_lost_edge(b, &f) != c->snd_una);
	}
	return c->dupacks >= DUPACKS && seq_gt(c->snd_una, cold->recover);
}

/* RFC 7661: only a window that was used has shown that it may grow. */
static void grow(struct tcp *t, struct conn *c, uint32_t bytes)
{
	if ((c->flags & CONN_CWND_LIMITED) != 0)
		tcp_congestion_acked(t, c, bytes);
	else
		tcp_congestion_unlimited(t, c);
}

void tcp_loss_reordered(struct tcp *t, struct conn *c)
{
	const struct board *b = tcp_board_of(t, c);

	if (b != NULL && b->count > 0 && (c->flags & CONN_RECOVERY) == 0 && is_loss(t, c))
		enter_recovery(t, c);
}

void tcp_loss_ack(struct tcp *t, struct conn *c, const struct ack_news *news)
{
	const struct board *b = tcp_board_of(t, c);
	/* With SACK a duplicate is what tells something (RFC 6675 2). A peer that promised SACK
	 * but has dropped what it got, or for which no scoreboard is free, is as one without. */
	const bool duplicate = b != NULL ? news->sacked > 0 : news->duplicate;

	if ((c->flags & CONN_RECOVERY) != 0) {
		recovery_ack(t, c, news);
	} else {
		if (news->acked > 0)
			c->dupacks = 0;
		if (news->acked > 0)
			grow(t, c, news->acked);
		if (duplicate && c->dupacks < UINT8_MAX)
			c->dupacks++;
		if (duplicate && is_loss(t, c))
			enter_recovery(t, c);
	}
	tcp_tail_ack(t, c, news);
	if ((c->flags & CONN_RECOVERY_SACK) != 0)
		tcp_congestion_prr(t, c, news->delivered);
	b = tcp_board_of(t, c);
	if (b != NULL && b->count == 0 && (c->flags & CONN_RECOVERY_SACK) == 0)
		board_release(t, c);
	if (!tcp_flight_wanted(c))
		tcp_flight_put(t, c);
}

/* Begins again at SND.UNA, as if nothing beyond it had been sent. */
void tcp_loss_restart(struct tcp *t, struct conn *c)
{
	struct flight *f = tcp_flight_of(t, c);

	board_release(t, c);
	if (f != NULL)
		f->tail = (struct tail){0};
	conn_cold(t, c)->recover = c->snd_max;
	c->snd_nxt = c->snd_una;
	c->dupacks = 0;
	c->flags &= ~(uint32_t)(CONN_RECOVERY | CONN_RECOVERY_SACK | CONN_RETRANSMIT | CONN_TIMING);
}

/* RFC 6298 5.4 and RFC 5681 3.1: everything is taken for lost. */
void tcp_loss_timeout(struct tcp *t, struct conn *c)
{
	tcp_undo_remember(t, c);
	tcp_congestion_timeout(t, c, c->snd_max - c->snd_una);
	tcp_loss_restart(t, c);
}
