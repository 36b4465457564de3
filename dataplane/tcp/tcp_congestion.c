/* tcp_congestion.c - how much may be in the network: a table of algorithms behind cwnd.
 *
 * Rows: CUBIC, and Reno with appropriate byte counting. Each is told of
 * acknowledged bytes (only while cwnd is what limits sending, RFC 7661), of
 * losses, timeouts and idle times, and moves cwnd and ssthresh; nothing else
 * does, but for the inflation during RFC 6582's recovery (tcp_loss.c).
 * Spec: RFC 9438, 5681, 3465, 6928, 6937. CUBIC's curve itself is tcp_cubic.c's. */
#include "dataplane/tcp/tcp_internal.h"

enum {
	INITIAL_SEGMENTS = 10, /* RFC 6928 */
	INITIAL_BYTES = 14600,
	CWND_MAX = CUBIC_CWND_MAX,
};

struct congestion {
	const char *name;
	void (*acked)(struct tcp *t, struct conn *c, uint32_t bytes);
	void (*loss)(struct tcp *t, struct conn *c, uint32_t flight);
};

static void reno_acked(struct tcp *t, struct conn *c, uint32_t bytes)
{
	struct conn_cold *cold = conn_cold(t, c);

	cold->acked_bytes += bytes; /* RFC 3465 2.1 */
	if (cold->acked_bytes < c->cwnd)
		return;
	cold->acked_bytes -= c->cwnd;
	c->cwnd += tcp_payload_max(t, c);
}

static void reno_loss(struct tcp *t, struct conn *c, uint32_t flight)
{
	c->ssthresh = RTE_MAX(flight / 2, 2 * tcp_payload_max(t, c)); /* RFC 5681 (4) */
}

/* In congestion avoidance. Without a place to remember the epoch, as Reno. */
static void cubic_on_acked(struct tcp *t, struct conn *c, uint32_t bytes)
{
	const struct cubic_ack a = {.now_us = t->now_us,
		.cwnd = c->cwnd,
		.mss = tcp_payload_max(t, c),
		.bytes = bytes,
		.srtt_us = c->srtt_us};
	struct flight *f = tcp_flight_get(t, c, false);

	if (f == NULL) {
		reno_acked(t, c, bytes);
		return;
	}
	if (f->cubic.epoch_us == 0)
		cubic_begin(&f->cubic, &a, conn_cold(t, c)->w_max);
	c->cwnd = cubic_acked(&f->cubic, &a);
}

/* RFC 9438 4.6, 4.7. */
static void cubic_on_loss(struct tcp *t, struct conn *c, uint32_t flight)
{
	struct conn_cold *cold = conn_cold(t, c);
	const uint64_t cut = (uint64_t)flight * CUBIC_BETA_TENTHS / 10;
	struct flight *f = tcp_flight_get(t, c, true);

	c->ssthresh = RTE_MAX((uint32_t)cut, 2 * tcp_payload_max(t, c));
	cold->w_max = cubic_w_max(c->cwnd, cold->w_max);
	if (f != NULL)
		f->cubic = (struct cubic){.cwnd_prior = c->cwnd};
}

static const struct congestion algorithms[TCP_CONGESTIONS] = {
	[TCP_CONGESTION_CUBIC] = {"cubic", cubic_on_acked, cubic_on_loss},
	[TCP_CONGESTION_NEWRENO] = {"newreno", reno_acked, reno_loss},
};

enum tcp_congestion tcp_congestion_named(const char *name)
{
	for (unsigned i = 0; i < TCP_CONGESTIONS; i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return (enum tcp_congestion)i;
	return TCP_CONGESTION_CUBIC;
}

static const struct congestion *algorithm(const struct tcp *t, const struct conn *c)
{
	ASSERT(conn_cold(t, c)->congestion < RTE_DIM(algorithms));
	return &algorithms[conn_cold(t, c)->congestion];
}

/* RFC 6928 2. */
static uint32_t initial_window(const struct tcp *t, const struct conn *c)
{
	const uint32_t mss = tcp_payload_max(t, c);

	return RTE_MIN(INITIAL_SEGMENTS * mss, RTE_MAX(2 * mss, (uint32_t)INITIAL_BYTES));
}

void tcp_congestion_start(struct tcp *t, struct conn *c)
{
	conn_cold(t, c)->congestion = (uint8_t)t->conf.congestion;
	/* RFC 5681 3.1: one segment if the SYN or its answer was lost. */
	c->cwnd = (c->flags & CONN_SYN_AGAIN) != 0 ? tcp_payload_max(t, c) : initial_window(t, c);
	c->ssthresh = CWND_MAX;
}

/* RFC 9406 4.3: in the first slow start only, while ssthresh is what it was at the beginning. */
static enum hystart_verdict ask_hystart(struct tcp *t, struct conn *c)
{
	struct flight *f = c->ssthresh == CWND_MAX ? tcp_flight_get(t, c, false) : NULL;

	if (f == NULL)
		return HYSTART_SLOW_START;
	if (!f->has_hystart)
		hystart_begin(&f->hystart, c->snd_nxt);
	f->has_hystart = true;
	return hystart_acked(&f->hystart, c->snd_una, c->snd_nxt);
}

void tcp_congestion_rtt(struct tcp *t, struct conn *c, uint32_t rtt_us)
{
	struct flight *f = tcp_flight_of(t, c);

	if (f != NULL && f->has_hystart)
		hystart_sample(&f->hystart, rtt_us);
}

static void slow_start(struct tcp *t, struct conn *c, uint32_t bytes)
{
	const uint32_t mss = tcp_payload_max(t, c);
	/* RFC 3465 2.3: L = 2, and 1 in the slow start after a timeout. */
	const bool after = seq_lt(c->snd_una, conn_cold(t, c)->recover);
	const uint32_t more = RTE_MIN(bytes, after ? mss : 2 * mss);
	const enum hystart_verdict verdict = ask_hystart(t, c);

	c->cwnd += verdict == HYSTART_SLOW_START ? more : more / 4;
	if (verdict == HYSTART_OVER)
		c->ssthresh = c->cwnd;
}

void tcp_congestion_acked(struct tcp *t, struct conn *c, uint32_t bytes)
{
	if (c->cwnd < c->ssthresh) {
		slow_start(t, c, bytes);
	} else {
		algorithm(t, c)->acked(t, c, bytes);
	}
	c->cwnd = RTE_MIN(c->cwnd, (uint32_t)CWND_MAX);
}

/* RFC 9438 4.2, 5.8: the curve's time does not run while something else than cwnd limits sending:
 * the next epoch begins where cwnd is. */
void tcp_congestion_unlimited(struct tcp *t, struct conn *c)
{
	struct flight *f = tcp_flight_of(t, c);

	if (f != NULL)
		f->cubic.epoch_us = 0;
}

void tcp_congestion_loss(struct tcp *t, struct conn *c, uint32_t flight)
{
	algorithm(t, c)->loss(t, c, flight);
	c->cwnd = c->ssthresh;
	conn_cold(t, c)->acked_bytes = 0;
}

/* RFC 6937 3, with the slow start reduction bound: the window shrinks to ssthresh in step with what
 * arrives, and grows to it by no more than a segment beyond that. */
void tcp_congestion_prr(struct tcp *t, struct conn *c, uint32_t delivered)
{
	struct prr *p = &tcp_flight_of(t, c)->prr;
	const uint32_t pipe = tcp_in_flight(t, c);
	uint64_t may = 0;

	p->delivered += delivered;
	if (pipe > c->ssthresh) {
		may = ((uint64_t)p->delivered * c->ssthresh + p->flight - 1) / p->flight;
		may = may > p->out ? may - p->out : 0;
	} else {
		const uint32_t due = p->delivered > p->out ? p->delivered - p->out : 0;
		may = RTE_MAX(due, delivered) + tcp_payload_max(t, c);
		may = RTE_MIN(may, (uint64_t)c->ssthresh - pipe);
	}
	c->cwnd = pipe + (uint32_t)may;
}

/* RFC 5681 3.1: the second and later timeouts of the same data leave ssthresh alone. RFC 9438 4.8:
 * the next epoch begins at the curve's flat point. */
void tcp_congestion_timeout(struct tcp *t, struct conn *c, uint32_t flight)
{
	if (conn_cold(t, c)->backoff == 0)
		algorithm(t, c)->loss(t, c, flight);
	tcp_congestion_unlimited(t, c);
	conn_cold(t, c)->w_max = 0;
	c->cwnd = tcp_payload_max(t, c);
	conn_cold(t, c)->acked_bytes = 0;
}

/* RFC 5681 4.1: what was learnt before a pause longer than the timeout no longer holds. */
void tcp_congestion_idle(struct tcp *t, struct conn *c, uint64_t now_us)
{
	const uint64_t since = conn_cold(t, c)->sent_us;

	if (since == 0 || now_us - since <= c->rto_us)
		return;
	c->cwnd = RTE_MIN(c->cwnd, initial_window(t, c));
}
