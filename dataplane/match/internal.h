/* internal.h - the matcher's inside, for its own files and for tests that look in. */
#pragma once
#include "dataplane/match/patterns_internal.h"
#include "dataplane/match/plan.h"
#include "dataplane/match/shapes.h"
#include "dataplane/match/store.h"

enum {
	MATCH_EXACT = UINT32_MAX, /* a filter without wildcards has this for its shape */
	MATCH_PATTERN = 1u << 31, /* a pattern has this and its number for its shape */
};

struct match {
	struct store store;
	struct index exact;  /* whole topics; and texts of patterns, to be found by */
	struct index shaped; /* keys made by shapes.h */
	struct shapes shapes;
	struct patterns patterns;
	struct hash_key key;
	struct counters *counters;
	uint32_t hash_mask;    /* all ones; tests take bits away to make hashes collide */
	uint32_t shapes_cheap; /* PLAN_SHAPES; tests set others */
	bool matching;         /* in match_topic: no changes now */
	uint8_t *levels;       /* room for the levels of a filter of words */
};

void match_check(const struct match *m);

static inline bool match_is_pattern(const struct filter *f)
{
	return f->shape != MATCH_EXACT && f->shape >= MATCH_PATTERN;
}

/* What an expression is not: its levels. */
static inline struct span match_levels(const struct filter *f)
{
	return f->extra > 0 ? store_extra(f) : span_of(f->text, f->size);
}
