/* patterns_internal.h - the patterns of one matcher, for match.c and patterns.c. */
#pragma once
#include "dataplane/base/pool.h"
#include "dataplane/match/form.h"
#include "dataplane/match/patterns.h"

enum { PATTERN_INTERPRETED = TIER_SEATS };

struct pattern {
	uint32_t filter;     /* id in the store */
	uint32_t serial;     /* of all that ever were */
	uint32_t next, prev; /* among the interpreted */
	uint32_t mark;       /* of the last tier in which it was found */
	uint8_t kind;        /* enum form_kind */
	uint8_t seat;        /* whose tier reports it; PATTERN_INTERPRETED: none does */
	bool sees_dollar;
	bool regular; /* MQTT knows no limit of topics for it */
};

/* How far a tier is. */
enum tier_stage { TIER_NONE, TIER_LOOK_UP, TIER_GIVE_BACK, TIER_RELIEVE };

struct patterns {
	struct pool pool;
	uint32_t first; /* the interpreted ones */
	uint32_t interpreted;
	uint32_t regular; /* patterns by plan alone */
	uint32_t serials; /* given so far */
	uint32_t marks;
	uint32_t size_max;
	uint32_t *news; /* a ring of numbers, each in it once */
	bool *in_news;  /* by number */
	uint32_t news_head, news_count;
	struct tier *seat[TIER_SEATS];
	struct tier *coming; /* NULL while `stage` is not NONE: the seat is cleared */
	uint32_t coming_seat, coming_at;
	enum tier_stage stage;
	struct regex_tree *tree; /* room to read one in */
	struct regex_room *room; /* and to run one */
	void *program;
	uint8_t *scanned; /* a topic of any size and a NUL */
};

struct match;
struct filter;
struct search_hit {
	match_hit *hit;
	void *owner;
	uint32_t hits;
};

size_t patterns_bytes(const struct match_conf *conf);
size_t patterns_used(const struct patterns *p);           /* of these */
size_t patterns_compiled_bytes(const struct patterns *p); /* of the tiers that it has */
void patterns_init(struct patterns *p, void *memory, const struct match_conf *conf);
void patterns_fini(struct patterns *p); /* frees the tiers that it has */
/* The pattern of a note, while it lives; else NULL. */
struct pattern *patterns_noted(const struct patterns *p, struct tier_note note);
/* What the store keeps beside the text of a filter of that form: a program, or levels. */
MUST_USE enum err patterns_prepare(
	struct match *m, const struct filter_form *form, struct span *extra);
/* POOL_NONE: full. The number becomes part of the filter's shape. */
MUST_USE uint32_t patterns_add(struct match *m, const struct filter_form *form, uint32_t filter);
void patterns_drop(struct match *m, uint32_t pattern);
/* From whoever reports it to that seat. */
void patterns_move(struct match *m, uint32_t pattern, uint32_t seat);
void patterns_match(struct match *m, struct span topic, struct search_hit *to);
MUST_USE bool patterns_one(struct match *m, const struct filter *f, struct span topic);
void patterns_check(const struct match *m);
