/* letters.h - tiers on their way between the service thread and one worker.
 *
 * For each worker there is a box of letters: the service thread puts a tier
 * for a seat in, the worker takes it, works it in over many turns
 * (match/patterns.h), and puts back what it does not use any more; only
 * then does the service thread free it. So nothing is freed under a scan, and
 * no worker frees, allocates or waits. */
#pragma once
#include "dataplane/match/patterns.h"

enum { LETTERS_BUDGET = 64 }; /* patterns of a tier, a turn */

/* `full` is written last by who puts something in, and cleared last by who takes it out. */
struct letter {
	struct tier *tier; /* NULL: the seat is to be cleared */
	uint32_t full;
};

struct letters {
	struct letter in[TIER_SEATS]; /* from the service thread */
	struct letter out;            /* from the worker: to be freed */
	uint32_t bad;                 /* versions that were refused; of worker 0's box */
};

static inline bool letter_full(const struct letter *l)
{
	return __atomic_load_n(&l->full, __ATOMIC_ACQUIRE) != 0;
}

static inline void letter_put(struct letter *l, struct tier *tier)
{
	l->tier = tier;
	__atomic_store_n(&l->full, 1, __ATOMIC_RELEASE);
}

static inline struct tier *letter_take(struct letter *l)
{
	struct tier *tier = l->tier;

	__atomic_store_n(&l->full, 0, __ATOMIC_RELEASE);
	return tier;
}

/* The worker's side: a turn's share. True: it moved something. */
bool letters_take_in(struct letters *l, struct match *m);
