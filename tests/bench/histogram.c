/* histogram.c - see histogram.h. */
#include "tests/bench/histogram.h"

#include <math.h>
#include <string.h>

static const uint64_t value_max = (1ull << HISTOGRAM_VALUE_BITS) - 1;

/* How far a value is shifted to have HISTOGRAM_BITS + 1 digits. */
static unsigned shift_of(uint64_t value)
{
	const unsigned digits = 64u - (unsigned)__builtin_clzll(value | 1);

	return digits > HISTOGRAM_BITS ? digits - HISTOGRAM_BITS - 1 : 0;
}

static size_t bucket_of(uint64_t value)
{
	const unsigned shift = shift_of(value);

	return ((size_t)shift << HISTOGRAM_BITS) + (size_t)(value >> shift);
}

/* The largest value that lands in a bucket. */
static uint64_t top_of(size_t bucket)
{
	const size_t half = (size_t)1 << HISTOGRAM_BITS;
	const unsigned shift = bucket < half ? 0 : (unsigned)(bucket / half - 1);
	const uint64_t first = bucket - ((size_t)shift << HISTOGRAM_BITS);

	return ((first + 1) << shift) - 1;
}

void histogram_clear(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
}

void histogram_add(struct histogram *h, uint64_t value)
{
	h->count++;
	h->sum += value;
	if (value > h->max)
		h->max = value;
	h->bucket[bucket_of(value < value_max ? value : value_max)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	into->count += from->count;
	into->sum += from->sum;
	if (from->max > into->max)
		into->max = from->max;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
}

uint64_t histogram_quantile(const struct histogram *h, double part)
{
	const uint64_t wanted = (uint64_t)ceil(part * (double)h->count);
	uint64_t seen = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen > 0 && seen >= wanted)
			return top_of(i) < h->max ? top_of(i) : h->max;
	}
	return h->max;
}

double histogram_mean(const struct histogram *h)
{
	return h->count == 0 ? 0 : (double)h->sum / (double)h->count;
}
