/* tcp_cubic.c - see tcp_cubic.h.
 *
 * C is 0.4 segments/s^3, so W_cubic (t) - W_max in bytes is 4/10 MSS (d/1000)^3, d = t - K in
 * milliseconds. d is limited to 100 s, which keeps each product within 64 bits: the window would be
 * 400,000 segments beyond W_max then. */
#include "dataplane/tcp/tcp_cubic.h"

#include "dataplane/base/assert.h"

enum {
	DISTANCE_MS_MAX = 100 * 1000,
	ALPHA_PARTS = 9, /* RFC 9438 4.3: 3 (1 - 0.7) / (1 + 0.7) = 9/17 */
	ALPHA_WHOLE = 17,
	RENO_SHIFT = 16,
};

/* The largest r with r^3 <= n, bit by bit. */
static uint32_t cube_root(uint64_t n)
{
	uint64_t r = 0;

	for (int bit = 20; bit >= 0; bit--) {
		const uint64_t more = r | UINT64_C(1) << bit;
		if (more * more * more <= n)
			r = more;
	}
	return (uint32_t)r;
}

void cubic_begin(struct cubic *q, const struct cubic_ack *a, uint32_t w_max)
{
	ASSERT(a->mss > 0);
	ASSERT(a->cwnd > 0 && a->cwnd <= CUBIC_CWND_MAX);
	q->epoch_us = a->now_us;
	q->reno_bytes = (uint64_t)a->cwnd << RENO_SHIFT;
	q->unused_bytes = 0;
	q->k_ms = 0;
	q->w_max = a->cwnd;
	if (a->cwnd >= w_max)
		return;
	/* K = cbrt ((W_max - cwnd_epoch) / C), in segments and seconds */
	q->w_max = w_max;
	q->k_ms = cube_root((uint64_t)(w_max - a->cwnd) * 2500000000u / a->mss);
}

uint64_t cubic_window(const struct cubic *q, uint64_t t_us, uint32_t mss)
{
	const uint64_t t_ms = t_us / 1000;
	const bool before = t_ms < q->k_ms;
	const uint64_t off = before ? q->k_ms - t_ms : t_ms - q->k_ms;
	const uint64_t d = off < DISTANCE_MS_MAX ? off : DISTANCE_MS_MAX;
	const uint64_t rise = d * d * d / 1000 * 4 * mss / 10000000;

	if (!before)
		return q->w_max + rise;
	return rise < q->w_max ? q->w_max - rise : 0;
}

/* RFC 9438 4.3: what Reno would have; like CUBIC's average until cwnd_prior, then like Reno. */
static uint64_t grow_reno(struct cubic *q, const struct cubic_ack *a)
{
	const uint64_t share = ((uint64_t)a->bytes << RENO_SHIFT) / a->cwnd * a->mss;
	const uint64_t prior = q->cwnd_prior != 0 ? q->cwnd_prior : q->w_max;

	if (q->reno_bytes >> RENO_SHIFT >= prior)
		q->reno_bytes += share;
	else
		q->reno_bytes += share * ALPHA_PARTS / ALPHA_WHOLE;
	return q->reno_bytes >> RENO_SHIFT;
}

/* RFC 9438 4.4, 4.5: (target - cwnd) / cwnd for each segment acknowledged. What is not enough for
 * a byte waits. */
static uint32_t grow_towards(struct cubic *q, const struct cubic_ack *a, uint64_t target)
{
	const uint64_t most = a->cwnd + (uint64_t)a->cwnd / 2;
	const uint64_t gap = (target < most ? target : most) - a->cwnd;
	const uint64_t bytes = (uint64_t)q->unused_bytes + a->bytes;

	if (gap == 0) {
		q->unused_bytes = 0;
		return a->cwnd;
	}
	const uint64_t more = gap * bytes / a->cwnd;
	const uint64_t used = (more * a->cwnd + gap - 1) / gap;
	q->unused_bytes = (uint32_t)(used < bytes ? bytes - used : 0);
	return (uint32_t)(a->cwnd + (more < gap ? more : gap));
}

uint32_t cubic_acked(struct cubic *q, const struct cubic_ack *a)
{
	ASSERT(q->epoch_us != 0);
	ASSERT(a->cwnd > 0 && a->cwnd <= CUBIC_CWND_MAX);
	const uint64_t t_us = a->now_us - q->epoch_us;
	const uint64_t reno = grow_reno(q, a);
	uint64_t cwnd = a->cwnd;

	if (cubic_window(q, t_us, a->mss) < reno) {
		cwnd = reno > cwnd ? reno : cwnd;
	} else {
		const uint64_t target = cubic_window(q, t_us + a->srtt_us, a->mss);
		if (target > cwnd)
			cwnd = grow_towards(q, a, target);
	}
	return cwnd < CUBIC_CWND_MAX ? (uint32_t)cwnd : (uint32_t)CUBIC_CWND_MAX;
}

uint32_t cubic_w_max(uint32_t cwnd, uint32_t w_max_before)
{
	if (cwnd >= w_max_before)
		return cwnd;
	return (uint32_t)((uint64_t)cwnd * (10 + CUBIC_BETA_TENTHS) / 20);
}
