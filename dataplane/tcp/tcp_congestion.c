/* tcp_congestion.c - how much may be in the network: a table of algorithms behind cwnd.
 *
 * Rows: Reno with appropriate byte counting. Each is told of acknowledged
 * bytes (only while cwnd is what limits sending, RFC 7661), of losses, timeouts
 * and idle times, and moves cwnd and ssthresh; nothing else does, but for the
 * inflation during RFC 6582's recovery (tcp_loss.c).
 * Spec: RFC 5681, 3465, 6928. */
#include "dataplane/tcp/tcp_internal.h"

enum {
	INITIAL_SEGMENTS = 10, /* RFC 6928 */
	INITIAL_BYTES = 14600,
	CWND_MAX = 1 << 30,
};

struct congestion {
	const char *name;
	void (*acked)(struct tcp *t, struct conn *c, uint32_t bytes);
	void (*loss)(struct tcp *t, struct conn *c, uint32_t flight);
};

static uint32_t half_flight(const struct tcp *t, const struct conn *c, uint32_t flight)
{
	return RTE_MAX(flight / 2, 2 * tcp_payload_max(t, c)); /* RFC 5681 (4) */
}

static void reno_acked(struct tcp *t, struct conn *c, uint32_t bytes)
{
	struct conn_cold *cold = conn_cold(t, c);
	const uint32_t mss = tcp_payload_max(t, c);

	if (c->cwnd < c->ssthresh) {
		/* RFC 3465 2.3: L = 2, and 1 in the slow start after a timeout. */
		const uint32_t most = seq_lt(c->snd_una, cold->recover) ? mss : 2 * mss;
		c->cwnd += RTE_MIN(bytes, most);
	} else {
		cold->acked_bytes += bytes; /* RFC 3465 2.1 */
		if (cold->acked_bytes >= c->cwnd) {
			cold->acked_bytes -= c->cwnd;
			c->cwnd += mss;
		}
	}
	c->cwnd = RTE_MIN(c->cwnd, (uint32_t)CWND_MAX);
}

static void reno_loss(struct tcp *t, struct conn *c, uint32_t flight)
{
	c->ssthresh = half_flight(t, c, flight);
	c->cwnd = c->ssthresh;
	conn_cold(t, c)->acked_bytes = 0;
}

static const struct congestion algorithms[] = {{"reno", reno_acked, reno_loss}};

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
	/* RFC 5681 3.1: one segment if the SYN or its answer was lost. */
	c->cwnd = (c->flags & CONN_SYN_AGAIN) != 0 ? tcp_payload_max(t, c) : initial_window(t, c);
	c->ssthresh = CWND_MAX;
}

void tcp_congestion_acked(struct tcp *t, struct conn *c, uint32_t bytes)
{
	algorithm(t, c)->acked(t, c, bytes);
}

void tcp_congestion_loss(struct tcp *t, struct conn *c, uint32_t flight)
{
	algorithm(t, c)->loss(t, c, flight);
}

/* RFC 5681 3.1: the second and later timeouts of the same data leave ssthresh alone. */
void tcp_congestion_timeout(struct tcp *t, struct conn *c, uint32_t flight)
{
	if (conn_cold(t, c)->backoff == 0)
		algorithm(t, c)->loss(t, c, flight);
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
