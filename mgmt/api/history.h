/* history.h - the last ten minutes, one sample a second.
 *
 * A ring: the oldest sample makes room. Samples are numbered from 1 without
 * gaps, so that a reader who went away can say where it stopped. Memory is the
 * caller's; one history is about 1 MB. Times are the caller's, too. */
#pragma once
#include "mgmt/api/sample.h"

enum {
	HISTORY_SAMPLES = 600,
	HISTORY_STEP_US = 1000000, /* how often the caller adds one */
	HISTORY_RATE_SAMPLES = 5,  /* "rate now" is over so many steps, where there are as many */
};

struct history {
	uint64_t newest; /* id; 0: empty */
	struct sample samples[HISTORY_SAMPLES];
};

void history_init(struct history *h);
/* Copies it, under the next id, which it returns. */
uint64_t history_add(struct history *h, const struct sample *s);
/* NULL: gone already, or not yet there. */
const struct sample *history_at(const struct history *h, uint64_t id);
const struct sample *history_newest(const struct history *h); /* NULL: empty */
uint64_t history_oldest_id(const struct history *h);          /* 0: empty */
/* The sample to which "now" is compared for a rate: NULL while there is only one. */
const struct sample *history_base(const struct history *h);
/* Per second over the last HISTORY_RATE_SAMPLES steps; 0 while there is only one sample. */
double history_rate(const struct history *h, unsigned counter);
double history_busy_percent(const struct history *h, uint32_t worker);
