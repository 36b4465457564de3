/* patterns.h - the third engine, as those see it who compile and those who place what is compiled.
 *
 * A pattern works from its insertion on, by an interpreter. The control plane
 * is told of what comes and goes (news), compiles many together for Hyperscan,
 * and what it has made comes back as a tier (tier.h). A worker takes a tier
 * piece by piece: it looks up the texts, gives back to the interpreter what the old
 * tier of that seat had alone, exchanges one pointer, and relieves the interpreter.
 * At any time each pattern is reported by one of them. */
#pragma once
#include "dataplane/match/match.h"
#include "dataplane/match/tier.h"

struct match_news {
	uint32_t pattern; /* number; reused after it has gone */
	bool added;       /* else: gone; or another with that number is still to be said */
	struct span text; /* of the filter; until the next change */
};

/* The next that the control plane has not heard of; the same one until match_took_news. */
MUST_USE bool match_next_news(const struct match *m, struct match_news *out);
void match_took_news(struct match *m);
void match_repeat_news(struct match *m); /* to one who has heard nothing: all that are there */

/* Offers a tier for a seat, NULL to clear it; not while match_tier_moves. */
void match_tier_offer(struct match *m, uint32_t seat, struct tier *tier);
/* Takes up to `budget` patterns further. True: *left, which may be NULL, is out of use. */
MUST_USE bool match_tier_step(struct match *m, uint32_t budget, struct tier **left);
bool match_tier_moves(const struct match *m); /* one is on its way */
