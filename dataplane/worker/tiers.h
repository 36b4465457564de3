/* tiers.h - compiled patterns, as a worker sees them: letters of the service thread into its
 * matcher, and news of patterns to the control plane.
 *
 * All workers have the same filters, but each plans for itself which are
 * patterns (match/plan.h), so each tells. Not here: the letters (letters.h), who makes tiers
 * (service.h). */
#pragma once
#include <stdbool.h>

struct worker;

enum { TIERS_NEWS_BUDGET = 32 }; /* patterns told, a turn */

/* A turn's share of it. True: it moved something. */
bool tiers_poll(struct worker *w);
void tiers_renew(struct worker *w); /* a new control plane: it has heard of no pattern */
