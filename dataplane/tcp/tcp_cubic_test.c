/* tcp_cubic_test.c - CUBIC's whole numbers against RFC 9438's formulas in doubles. */
#include "dataplane/tcp/tcp_cubic.h"

#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>

#define C_CUBIC    0.4 /* RFC 9438 4.1.1, 5 */
#define BETA_CUBIC 0.7

enum { S = 1000000, START_US = 7 * S };

static bool near(double is, double want, double slack)
{
	if (fabs(is - want) <= slack)
		return true;
	printf("# %.3f is not %.3f within %.3f\n", is, want, slack);
	return false;
}

/* (4.2), in segments: K and W_cubic (t). */
static double k_of(double w_max, double cwnd)
{
	return cwnd < w_max ? cbrt((w_max - cwnd) / C_CUBIC) : 0;
}

static double w_cubic(double w_max, double k, double t)
{
	return C_CUBIC * pow(t - k, 3) + w_max;
}

static const struct {
	uint32_t mss, cwnd, w_max; /* bytes */
} starts[] = {
	{1460, 14600, 0},
	{1460, 14600, 14600},
	{1460, 102200, 146000},
	{1448, 1013600, 1448000},
	{536, 53600, 60000},
	{88, 176, 1000000},
	{8960, 8960, 1 << 30},
	{1460, 1460, 1461},
	{65483, 1 << 29, 1 << 30},
};

static void the_curve(void)
{
	static const double times[] = {0, 0.001, 0.0505, 0.2, 1, 3.3, 7.21, 20, 60};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		const double mss = starts[i].mss;
		const double cwnd = starts[i].cwnd / mss;
		const double w_max = fmax(starts[i].w_max / mss, cwnd);
		const double k = k_of(w_max, cwnd);
		const struct cubic_ack a = {
			.now_us = START_US, .cwnd = starts[i].cwnd, .mss = starts[i].mss};
		struct cubic q = {0};

		cubic_begin(&q, &a, starts[i].w_max);
		CU_ASSERT(near(q.k_ms, k * 1000, 1));
		CU_ASSERT_EQUAL(q.epoch_us, START_US);
		for (size_t j = 0; j < sizeof(times) / sizeof(times[0]); j++) {
			const double d = fabs(times[j] - k);
			/* Two milliseconds of rounding, on the slope of the curve; and a byte. */
			const double slack = 3 * C_CUBIC * d * d * 0.002 + 1e-3;
			const double is =
				(double)cubic_window(&q, (uint64_t)(times[j] * S), starts[i].mss);
			const double want = fmax(w_cubic(w_max, k, times[j]), 0);
			if (d < 100)
				CU_ASSERT(near(is / mss, want, slack + 2 / mss));
		}
	}
}

/* A window's worth of ACKs, one a segment, spread over a round trip: the RFC's own steps in doubles
 * beside ours. */
struct walk {
	double cwnd, w_max, k, w_est, cwnd_prior; /* segments */
	uint32_t ours;
	struct cubic q;
	uint32_t mss, rtt_us;
	uint64_t now_us;
	double time_us; /* the same, with its fraction */
};

static void step(struct walk *w)
{
	const double t = (double)(w->now_us - w->q.epoch_us) / S;
	const double alpha =
		w->w_est >= w->cwnd_prior ? 1 : 3 * (1 - BETA_CUBIC) / (1 + BETA_CUBIC); /* 4.3 */
	const struct cubic_ack a = {.now_us = w->now_us,
		.cwnd = w->ours,
		.mss = w->mss,
		.bytes = w->mss,
		.srtt_us = w->rtt_us};
	const double target = w_cubic(w->w_max, w->k, t + (double)w->rtt_us / S);

	w->w_est += alpha / w->cwnd;
	if (w_cubic(w->w_max, w->k, t) < w->w_est)
		w->cwnd = fmax(w->w_est, w->cwnd);
	else /* 4.2, 4.4, 4.5 */
		w->cwnd += (fmin(fmax(target, w->cwnd), 1.5 * w->cwnd) - w->cwnd) / w->cwnd;
	w->ours = cubic_acked(&w->q, &a);
	w->time_us += w->rtt_us / w->cwnd;
	w->now_us = (uint64_t)w->time_us;
}

static struct walk walk_from(uint32_t mss, double cwnd, double w_max, uint32_t rtt_us)
{
	struct walk w = {.cwnd = cwnd,
		.w_max = fmax(w_max, cwnd),
		.k = k_of(w_max, cwnd),
		.w_est = cwnd,
		.cwnd_prior = w_max,
		.ours = (uint32_t)(cwnd * mss),
		.mss = mss,
		.rtt_us = rtt_us,
		.now_us = START_US,
		.time_us = START_US};
	const struct cubic_ack a = {.now_us = w.now_us, .cwnd = w.ours, .mss = mss};

	w.q.cwnd_prior = (uint32_t)(w_max * mss);
	cubic_begin(&w.q, &a, (uint32_t)(w_max * mss));
	return w;
}

static void growth_after_a_loss(void)
{
	static const struct {
		double w_max;
		uint32_t rtt_us;
		double seconds;
	} rows[] = {
		{20, 100, 0.05},   /* a short path: Reno-friendly */
		{20, 10000, 4},    /* ... and a longer one */
		{100, 100000, 12}, /* concave, then convex */
		{1000, 100000, 20},
		{10000, 30000, 8},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct walk w =
			walk_from(1460, rows[i].w_max * BETA_CUBIC, rows[i].w_max, rows[i].rtt_us);
		double worst = 0;
		bool fell = false;
		while ((double)(w.now_us - START_US) < rows[i].seconds * S) {
			const uint32_t before = w.ours;
			step(&w);
			fell |= w.ours < before;
			worst = fmax(worst, fabs((double)w.ours / w.mss / w.cwnd - 1));
		}
		printf("# from %.0f segments, %u us: %.1f, off by at most %.2f %%\n", rows[i].w_max,
			rows[i].rtt_us, w.cwnd, worst * 100);
		CU_ASSERT_FALSE(fell);
		CU_ASSERT(worst < 0.01);
		CU_ASSERT(w.cwnd > rows[i].w_max * BETA_CUBIC);
	}
}

/* 4.2: however far the curve is ahead, one round trip grows cwnd by half at the most. */
static void target_is_bounded(void)
{
	struct walk w = walk_from(1460, 10, 10, 100000);

	w.time_us += 90.0 * S;
	w.now_us += 90ull * S;
	for (int i = 0; i < 10; i++) { /* a window of acknowledgements */
		step(&w);
		CU_ASSERT(w.ours <= 1460 * 10 * 18 / 10);
	}
	CU_ASSERT(near((double)w.ours / 1460, w.cwnd, 0.05));
	/* Even one that acknowledges all at once. */
	const struct cubic_ack all = {
		.now_us = w.now_us, .cwnd = 14600, .mss = 1460, .bytes = 14600, .srtt_us = 100000};
	CU_ASSERT(cubic_acked(&w.q, &all) <= 14600 * 3 / 2);
}

static void fast_convergence(void)
{
	CU_ASSERT_EQUAL(cubic_w_max(100000, 0), 100000);
	CU_ASSERT_EQUAL(cubic_w_max(100000, 100000), 100000);
	CU_ASSERT_EQUAL(cubic_w_max(100000, 100001), 85000); /* (1 + 0.7) / 2 */
	CU_ASSERT_EQUAL(cubic_w_max(1 << 30, UINT32_MAX), (uint32_t)((1ull << 30) * 17 / 20));
}

/* No division by zero, no wrap, never down: whatever the numbers are (nginx 442). */
static void any_numbers(void)
{
	struct rng rng = rng_from(unit_seed());
	bool wrong = false;

	for (int i = 0; i < 200000; i++) {
		struct cubic_ack a = {.now_us = 1 + rng_below(&rng, 100),
			.cwnd = 1 + (uint32_t)rng_below(&rng, 1u << rng_below(&rng, 30)),
			.mss = 1 + (uint32_t)rng_below(&rng, 65535),
			.bytes = (uint32_t)rng_below(&rng, 1u << rng_below(&rng, 31)),
			.srtt_us = (uint32_t)rng_below(&rng, 60u * S)};
		struct cubic q = {
			.cwnd_prior = (uint32_t)rng_below(&rng, 1u << rng_below(&rng, 31))};
		cubic_begin(&q, &a, (uint32_t)rng_below(&rng, 1u << rng_below(&rng, 31)));
		for (int k = 0; k < 4; k++) {
			a.now_us += rng_below(&rng, 1u << rng_below(&rng, 31));
			const uint32_t cwnd = cubic_acked(&q, &a);
			wrong |= cwnd < a.cwnd || cwnd > CUBIC_CWND_MAX;
			a.cwnd = cwnd;
		}
	}
	CU_ASSERT_FALSE(wrong);
}

static const struct unit_test tests[] = {{"the_curve", the_curve},
	{"growth_after_a_loss", growth_after_a_loss}, {"target_is_bounded", target_is_bounded},
	{"fast_convergence", fast_convergence}, {"any_numbers", any_numbers}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_cubic", tests, argc, argv);
}
