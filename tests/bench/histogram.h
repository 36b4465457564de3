/* histogram.h - counts of times, in buckets that are never wider than 1/128 of their value.
 *
 * The layout of HdrHistogram with two significant digits and a half: linear below 128, then 128
 * buckets for each doubling. Fixed memory, constant time; values of one unit, here nanoseconds.
 * A quantile is the largest value of its bucket, so it never flatters. Not here: what is
 * measured, and coordinated omission, which is avoided where the times are made (load.h). */
#pragma once
#include "dataplane/base/attr.h"

#include <stddef.h>
#include <stdint.h>

enum {
	HISTOGRAM_BITS = 7,
	HISTOGRAM_VALUE_BITS = 42, /* 73 minutes in nanoseconds; larger values count as that */
	HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS,
};

struct histogram {
	uint64_t count;
	uint64_t sum; /* of the values themselves */
	uint64_t max; /* the value itself */
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* 0 <= part <= 1; 0 when it is empty. */
MUST_USE uint64_t histogram_quantile(const struct histogram *h, double part);
MUST_USE double histogram_mean(const struct histogram *h);
