/* internal.h - the matcher's inside, for match.c and for tests that look in. */
#pragma once
#include "dataplane/match/shapes.h"
#include "dataplane/match/store.h"

enum { MATCH_EXACT = UINT32_MAX }; /* a filter without wildcards has this for its shape */

struct match {
	struct store store;
	struct index exact;  /* whole topics */
	struct index shaped; /* keys made by shapes.h */
	struct shapes shapes;
	struct hash_key key;
	struct counters *counters;
	uint32_t hash_mask; /* all ones; tests take bits away to make hashes collide */
	bool matching;      /* in match_topic: no changes now */
};

void match_check(const struct match *m);
