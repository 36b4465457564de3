/* histogram_test.c - quantiles of known sets, at the edges of buckets and of the range. */
#include "tests/bench/histogram.h"

#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

static struct histogram h, other;

static void is_empty_at_first(void)
{
	histogram_clear(&h);
	CU_ASSERT_EQUAL(histogram_quantile(&h, 0.5), 0);
	CU_ASSERT_EQUAL(histogram_mean(&h), 0);
}

static void is_exact_below_256(void)
{
	histogram_clear(&h);
	for (uint64_t v = 0; v < 256; v++)
		histogram_add(&h, v);
	for (uint64_t v = 0; v < 256; v++)
		CU_ASSERT_EQUAL(histogram_quantile(&h, ((double)v + 1) / 256), v);
	CU_ASSERT_EQUAL(histogram_quantile(&h, 0), 0);
	CU_ASSERT_EQUAL(histogram_quantile(&h, 1), 255);
	CU_ASSERT_DOUBLE_EQUAL(histogram_mean(&h), 127.5, 1e-9);
}

/* Of any value, its quantile is not below it, and not more than 1/128 above. */
static void is_near_everywhere(void)
{
	for (unsigned bits = 0; bits < HISTOGRAM_VALUE_BITS; bits++)
		for (int step = -1; step <= 1; step++) {
			const uint64_t v = (1ull << bits) + (uint64_t)step;
			histogram_clear(&h);
			histogram_add(&h, v);
			histogram_add(&h, (1ull << HISTOGRAM_VALUE_BITS) - 1);
			const uint64_t got = histogram_quantile(&h, 0.5);
			CU_ASSERT(got >= v && got - v <= v / 128);
		}
}

static void keeps_what_is_too_large(void)
{
	histogram_clear(&h);
	histogram_add(&h, UINT64_MAX / 2);
	CU_ASSERT_EQUAL(h.count, 1);
	CU_ASSERT_EQUAL(h.max, UINT64_MAX / 2);
	CU_ASSERT(histogram_quantile(&h, 0.5) >= (1ull << HISTOGRAM_VALUE_BITS) - 1);
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void agrees_with_a_sorted_list(void)
{
	enum { N = 10000 };
	static uint64_t list[N];
	static const double parts[] = {0.01, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
	struct rng rng = rng_from(unit_seed());

	histogram_clear(&h);
	for (size_t i = 0; i < N; i++) {
		list[i] = rng_next(&rng) >> (24 + rng_below(&rng, 30));
		histogram_add(&h, list[i]);
	}
	qsort(list, N, sizeof(list[0]), by_value);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const size_t rank = (size_t)(parts[i] * N + 0.999999);
		const uint64_t want = list[rank - 1], got = histogram_quantile(&h, parts[i]);
		CU_ASSERT(got >= want && got - want <= want / 128);
	}
}

static void merges(void)
{
	histogram_clear(&h);
	histogram_clear(&other);
	for (uint64_t v = 1; v <= 100; v++)
		histogram_add(v % 2 == 0 ? &h : &other, v);
	histogram_merge(&h, &other);
	CU_ASSERT_EQUAL(h.count, 100);
	CU_ASSERT_EQUAL(h.max, 100);
	CU_ASSERT_EQUAL(histogram_quantile(&h, 0.99), 99);
	CU_ASSERT_DOUBLE_EQUAL(histogram_mean(&h), 50.5, 1e-9);
}

static const struct unit_test tests[] = {
	{"is_empty_at_first", is_empty_at_first},
	{"is_exact_below_256", is_exact_below_256},
	{"is_near_everywhere", is_near_everywhere},
	{"keeps_what_is_too_large", keeps_what_is_too_large},
	{"agrees_with_a_sorted_list", agrees_with_a_sorted_list},
	{"merges", merges},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("histogram", tests, argc, argv);
}
