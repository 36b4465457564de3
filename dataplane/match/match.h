/* match.h - which filters does a topic match?
 *
 * A filter lives in exactly one engine: `exact` (literal filters, one hash
 * lookup), `shapes` (wildcard filters grouped by which levels are wild; one
 * lookup per shape in use) or `patterns` (what is irregular; an interpreter,
 * and Hyperscan for what is compiled: patterns.h). Filters are MQTT's (4.7):
 * levels joined by '/', `+` one level, `#` the rest including its parent; a
 * topic that starts with '$' is not matched by a filter that starts with a
 * wildcard (4.7.2); or, behind "$filter/", AMQP's or regular expressions
 * (form.h). Insertion works at once, in constant time; so does removal. One
 * matcher belongs to one worker: no locks.
 *
 * All memory is taken by match_create. Equal filters share one id. Bytes are
 * compared as they are (4.7.3): whether they are UTF-8 is the codec's to judge. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/counters.h"
#include "dataplane/base/hash.h"

enum {
	MATCH_LEVELS_MAX = 128, /* deeper topics and filters: ERR_TOPIC_TOO_DEEP */
	MATCH_FILTER_BYTES_MAX = 65535,
	MATCH_SHAPES_MAX = 4096, /* kinds of wildcard filter in use at once; see docs/matching.md */
	MATCH_NONE = UINT32_MAX,
};

struct match;

struct match_conf {
	uint32_t filters_max;      /* distinct filters */
	size_t filter_bytes_max;   /* bytes of text of all filters together */
	uint32_t patterns_max;     /* of them, those that are patterns; 0: none are let in */
	uint32_t pattern_size_max; /* bytes of text of one; FORM_TEXT_MAX at the most */
	struct hash_key key;       /* secret: peers choose the strings */
	struct counters *counters; /* FILTERS, PATTERNS, MATCH_... */
};

MUST_USE struct match *match_create(const struct match_conf *conf); /* NULL: no memory */
void match_destroy(struct match **m);
/* What match_create takes; 0: more than 32-bit indices can serve. */
size_t match_bytes(const struct match_conf *conf);
/* Of these, what its filters use; tables count by their share, half full being full. */
size_t match_used(const struct match *m);
size_t match_compiled_bytes(const struct match *m); /* beside these, of compiled patterns */

/* Is it a well-formed filter (4.7.1, form.h), a well-formed topic name (4.7.3)? ERR_MQTT_FILTER,
 * ERR_MQTT_TOPIC, ERR_TOPIC_TOO_DEEP, ERR_FILTER_MALFORMED, ERR_EXPRESSION_SIZE. */
MUST_USE enum err match_filter_check(struct span filter);
MUST_USE enum err match_topic_check(struct span topic);

/* The same, and whether a pattern is within the limits of this matcher. *steps: of an expression's
 * program; 0: it is none. */
MUST_USE enum err match_judge(struct match *m, struct span filter, uint32_t *steps);

/* Adds a filter, or finds it: same text, same id. Ids are below filters_max, and are reused after
 * match_remove. The text is copied. Errors: those of match_filter_check, ERR_FILTER_TABLE_FULL
 * (filters_max or filter_bytes_max), ERR_SHAPE_TABLE_FULL (MATCH_SHAPES_MAX),
 * ERR_PATTERN_TABLE_FULL. */
MUST_USE enum err match_insert(struct match *m, struct span filter, uint32_t *id);
uint32_t match_find(const struct match *m, struct span filter); /* MATCH_NONE */
void match_remove(struct match *m, uint32_t id);
struct span match_text(const struct match *m, uint32_t id); /* valid until the next insert */

typedef void match_hit(void *owner, uint32_t id);

/* Calls `hit` once for each filter that matches, in no particular order. The callback must not
 * insert, remove or match. Returns the number of hits, at most match_hits_max. A topic that
 * match_topic_check would refuse for its depth matches nothing but patterns. */
uint32_t match_topic(struct match *m, struct span topic, match_hit *hit, void *owner);
uint32_t match_hits_max(const struct match_conf *conf);
/* Does that one filter match? Slow. */
MUST_USE bool match_one(struct match *m, uint32_t id, struct span topic);
