/* shapes.h - the shapes of wildcard filters that are in use.
 *
 * A shape says how many levels a filter has before a '#', which of them are
 * '+', and whether a '#' follows. All filters of a shape that could match a
 * topic have one text in the topic's literal places, so one hash lookup finds
 * the only one that does. A topic's levels are hashed once (struct hashes) and
 * a shape's key is put together from them:
 *
 *	key = seed of shape ^ the hash of each literal level, keyed by its place
 *
 * Shapes are kept by level count: a topic of k levels meets the closed shapes
 * of k levels and the open ones of at most k ('#' includes its parent, 4.7.1.2).
 * There are 2^n shapes of n levels and each one in use costs a lookup, so at
 * most MATCH_SHAPES_MAX are let in. Not here: the filters themselves. */
#pragma once
#include "dataplane/base/hash.h"
#include "dataplane/base/pool.h"
#include "dataplane/match/index.h"
#include "dataplane/match/levels.h"

enum { SHAPES_NONE = UINT32_MAX };
struct shape_form {
	uint64_t wild[MATCH_LEVELS_MAX / 64]; /* bit i: level i is '+' */
	uint32_t levels;                      /* before the '#' if it is open */
	uint32_t open;                        /* 1: ends in '#' */
};

struct shape {
	struct shape_form form;
	uint64_t seed;
	uint32_t filters;    /* that have this shape */
	uint32_t next, prev; /* of equal level count and openness */
};

struct shapes {
	struct pool pool;
	struct index index;                            /* form's seed to shape */
	uint32_t first[2][MATCH_LEVELS_MAX + 1];       /* by openness and level count */
	uint64_t open_used[MATCH_LEVELS_MAX / 64 + 1]; /* bit n: first[1][n] is not empty */
	struct hash_key key;
};

/* A topic's levels, hashed once. */
struct hashes {
	uint64_t level[MATCH_LEVELS_MAX];
	uint64_t before[MATCH_LEVELS_MAX + 1]; /* [n]: the first n of them together */
};

size_t shapes_bytes(void);
void shapes_init(struct shapes *s, void *memory, struct hash_key key); /* 64-byte aligned */
struct shape_form shape_form_of(struct span filter, const struct levels *l);
uint32_t shapes_find(const struct shapes *s, const struct shape_form *form); /* SHAPES_NONE */
/* Finds or makes it, and counts one more filter. SHAPES_NONE: MATCH_SHAPES_MAX are in use. */
MUST_USE uint32_t shapes_get(struct shapes *s, const struct shape_form *form);
void shapes_put(struct shapes *s, uint32_t index);
void shapes_check(const struct shapes *s);

void shapes_hash_topic(
	const struct shapes *s, struct span topic, const struct levels *l, struct hashes *out);
/* The key under which a filter of that form is known. */
uint64_t shapes_hash_filter(const struct shapes *s, const struct shape_form *form,
	struct span filter, const struct levels *l);

static inline const struct shape *shapes_at(const struct shapes *s, uint32_t index)
{
	return (const struct shape *)s->pool.objects + index;
}

static inline bool shape_is_wild(const struct shape_form *form, uint32_t level)
{
	return form->wild[level / 64] >> (level % 64) & 1;
}

/* MQTT-5.0 4.7.2-1: a filter that starts with a wildcard does not see topics of '$'. */
static inline bool shape_starts_wild(const struct shape_form *form)
{
	return form->levels == 0 || shape_is_wild(form, 0);
}

/* The key that a topic has in the eyes of a shape: everything before, less what is wild. */
static inline uint64_t shape_key(const struct shape *shape, const struct hashes *h)
{
	uint64_t key = shape->seed ^ h->before[shape->form.levels];

	for (uint32_t w = 0; w < MATCH_LEVELS_MAX / 64; w++)
		for (uint64_t bits = shape->form.wild[w]; bits != 0; bits &= bits - 1)
			key ^= h->level[w * 64 + (uint32_t)__builtin_ctzll(bits)];
	return key;
}

/* The next list of open shapes, of `from` levels or more; above MATCH_LEVELS_MAX: none. */
static inline uint32_t shapes_open_from(const struct shapes *s, uint32_t from)
{
	for (uint32_t w = from / 64; w < MATCH_LEVELS_MAX / 64 + 1; w++, from = w * 64) {
		const uint64_t bits = s->open_used[w] >> (from % 64);
		if (bits != 0)
			return from + (uint32_t)__builtin_ctzll(bits);
	}
	return MATCH_LEVELS_MAX + 1;
}
