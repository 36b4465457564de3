/* match.c - insertion and lookup over the engines.
 *
 * exact: one table of whole topics. shapes: one table of keys that shapes.h
 * makes. A lookup works in three passes over a batch, so that its cache misses
 * overlap: probe the tables, fetch the places, compare the texts. Patterns: patterns.c. */
#include "dataplane/match/internal.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

enum {
	BATCH = 16,                         /* lookups that are under way together */
	CANDIDATES = 32,                    /* filters whose hash was right */
	EXACT_PLACE = MATCH_LEVELS_MAX + 2, /* apart from the keys of shapes.c */
};

static size_t round_up(size_t bytes)
{
	return (bytes + 63) & ~(size_t)63;
}

size_t match_bytes(const struct match_conf *conf)
{
	if (conf->filters_max >= UINT32_MAX / 8 || conf->patterns_max >= UINT32_MAX / 8)
		return 0;
	const size_t store = store_bytes(conf->filters_max, conf->filter_bytes_max);
	if (store == 0)
		return 0;
	return round_up(sizeof(struct match)) + 2 * index_bytes(conf->filters_max) +
	       round_up(shapes_bytes()) + round_up(store) + patterns_bytes(conf) +
	       round_up(MATCH_FILTER_BYTES_MAX);
}

/* An AMQP filter and one of MQTT may be the same, but none is thrice. */
uint32_t match_hits_max(const struct match_conf *conf)
{
	return 2 * (MATCH_SHAPES_MAX + 1) + conf->patterns_max;
}

size_t match_used(const struct match *m)
{
	return store_used(&m->store) +
	       2ull * (m->exact.used + m->shaped.used) * sizeof(struct index_slot) +
	       pool_used(&m->shapes.pool) + patterns_used(&m->patterns);
}

size_t match_compiled_bytes(const struct match *m)
{
	return patterns_compiled_bytes(&m->patterns);
}

struct match *match_create(const struct match_conf *conf)
{
	const size_t bytes = match_bytes(conf);
	if (bytes == 0)
		return NULL;
	uint8_t *memory = aligned_alloc(64, bytes);
	if (memory == NULL)
		return NULL;

	/* Touched now, so that no page fault comes later. */
	memset(memory, 0, bytes);
	struct match *m = (struct match *)memory;
	memory += round_up(sizeof(struct match));
	m->key = conf->key;
	m->counters = conf->counters;
	m->hash_mask = UINT32_MAX;
	m->shapes_cheap = PLAN_SHAPES;
	index_init(&m->exact, memory, conf->filters_max);
	memory += index_bytes(conf->filters_max);
	index_init(&m->shaped, memory, conf->filters_max);
	memory += index_bytes(conf->filters_max);
	shapes_init(&m->shapes, memory, conf->key);
	memory += round_up(shapes_bytes());
	store_init(&m->store, memory, conf->filters_max, conf->filter_bytes_max);
	memory += round_up(store_bytes(conf->filters_max, conf->filter_bytes_max));
	patterns_init(&m->patterns, memory, conf);
	m->levels = memory + patterns_bytes(conf);
	return m;
}

void match_destroy(struct match **m)
{
	if (*m != NULL)
		patterns_fini(&(*m)->patterns);
	free(*m);
	*m = NULL;
}

/* The expression is not looked into. */
enum err match_filter_check(struct span filter)
{
	struct regex_tree tree;
	struct filter_form form;

	const enum err e = form_read(filter, &form);
	if (e != ERR_NONE || form.kind != FORM_EXPRESSION)
		return e;
	return regex_read(form.body, &tree);
}

/* Where a filter is, or would be, found. */
struct key {
	bool wild;
	bool pattern;
	uint32_t hash;
	struct shape_form shape; /* of a wild one */
	const struct filter_form *form;
};

/* The top half: the tables want 32 bits, and these are as good as any. */
static uint32_t fold(const struct match *m, uint64_t hash)
{
	return (uint32_t)(hash >> 32) & m->hash_mask;
}

static uint32_t hash_exact(const struct match *m, struct span text)
{
	return fold(m, siphash((struct hash_key){m->key.k0 ^ EXACT_PLACE, m->key.k1}, text));
}

/* In well-formed levels these bytes are wildcards wherever they stand. */
static bool has_wildcard(struct span levels)
{
	return memchr(levels.at, '+', levels.size) != NULL ||
	       memchr(levels.at, '#', levels.size) != NULL;
}

/* As the engines for regular filters see it: words are levels. */
static struct span levels_of(const struct match *m, const struct filter_form *form)
{
	if (form->kind == FORM_LEVELS)
		return form->body;
	form_levels(form, m->levels);
	return span_of(m->levels, form->body.size);
}

static struct key key_of(const struct match *m, struct span filter, const struct filter_form *form)
{
	struct key key = {.form = form, .pattern = form->irregular};
	struct levels levels;

	if (key.pattern) {
		key.hash = hash_exact(m, filter);
		return key;
	}
	const struct span text = levels_of(m, form);
	key.wild = has_wildcard(text);
	if (!key.wild) {
		key.hash = hash_exact(m, text);
		return key;
	}
	const bool fits = levels_cut(text, &levels);
	ASSERT(fits);
	key.shape = shape_form_of(text, &levels);
	key.hash = fold(m, shapes_hash_filter(&m->shapes, &key.shape, text, &levels));
	return key;
}

static uint32_t find_in(
	const struct match *m, const struct index *ix, uint32_t hash, struct span filter)
{
	uint32_t at = index_home(ix, hash);

	for (;;) {
		const uint32_t id = index_next(ix, hash, &at);
		if (id == INDEX_NONE)
			return MATCH_NONE;
		if (span_equal(match_text(m, id), filter))
			return id;
	}
}

/* A regular one may have become a pattern: plan.h. */
static uint32_t find(const struct match *m, const struct key *key, struct span filter)
{
	const uint32_t id = find_in(m, key->wild ? &m->shaped : &m->exact, key->hash, filter);

	if (id != MATCH_NONE || !key->wild || m->patterns.regular == 0)
		return id;
	return find_in(m, &m->exact, hash_exact(m, filter), filter);
}

uint32_t match_find(const struct match *m, struct span filter)
{
	struct filter_form form;

	if (form_read(filter, &form) != ERR_NONE)
		return MATCH_NONE;
	const struct key key = key_of(m, filter, &form);
	return find(m, &key, filter);
}

/* Into the store and the index; the shape is still to be said. */
static struct filter *file(
	struct match *m, const struct key *key, struct span filter, struct span extra)
{
	const uint32_t id = store_add(&m->store, filter, extra);

	if (id == STORE_NONE)
		return NULL;
	struct filter *f = store_at(&m->store, id);
	f->hash = key->hash;
	f->shape = MATCH_EXACT;
	index_add(key->wild ? &m->shaped : &m->exact, key->hash, id);
	counter_add(m->counters, COUNTER_FILTERS, 1);
	return f;
}

static enum err add_pattern(
	struct match *m, const struct key *key, struct span filter, struct span extra, uint32_t *id)
{
	if (m->patterns.pool.out == m->patterns.pool.count)
		return ERR_PATTERN_TABLE_FULL;
	struct filter *f = file(m, key, filter, extra);
	if (f == NULL)
		return ERR_FILTER_TABLE_FULL;
	*id = f->id;
	const uint32_t pattern = patterns_add(m, key->form, f->id);
	ASSERT(pattern != POOL_NONE);
	f->shape = MATCH_PATTERN | pattern;
	return ERR_NONE;
}

static enum err add_regular(
	struct match *m, const struct key *key, struct span filter, struct span extra, uint32_t *id)
{
	uint32_t shape = MATCH_EXACT;

	if (key->wild) {
		shape = shapes_get(&m->shapes, &key->shape);
		if (shape == SHAPES_NONE)
			return ERR_SHAPE_TABLE_FULL;
	}
	struct filter *f = file(m, key, filter, extra);
	if (f == NULL) {
		if (key->wild)
			shapes_put(&m->shapes, shape);
		return ERR_FILTER_TABLE_FULL;
	}
	f->shape = shape;
	*id = f->id;
	return ERR_NONE;
}

static bool has_room_for_pattern(const struct match *m, const struct filter_form *form)
{
	const struct patterns *p = &m->patterns;

	return p->pool.out < p->pool.count && form->body.size <= p->size_max;
}

/* plan.h */
static bool is_cheaper_as_pattern(const struct match *m, const struct key *key)
{
	if (!key->wild || shapes_find(&m->shapes, &key->shape) != SHAPES_NONE ||
		!has_room_for_pattern(m, key->form))
		return false;
	const uint32_t shapes = m->shapes.pool.out;
	return shapes == MATCH_SHAPES_MAX ||
	       (shapes >= m->shapes_cheap && m->patterns.interpreted < PLAN_WAITING);
}

static void plan(const struct match *m, struct key *key, struct span filter)
{
	if (key->pattern || !is_cheaper_as_pattern(m, key))
		return;
	key->pattern = true;
	key->wild = false;
	key->hash = hash_exact(m, filter);
}

enum err match_judge(struct match *m, struct span filter, uint32_t *steps)
{
	struct filter_form form;
	struct span extra;

	*steps = 0;
	enum err e = form_read(filter, &form);
	if (e == ERR_NONE && form.kind != FORM_LEVELS)
		e = patterns_prepare(m, &form, &extra);
	if (e == ERR_NONE && form.kind == FORM_EXPRESSION)
		*steps = regex_steps(extra.at);
	return e;
}

/* A filter that is not there yet. */
static enum err add(struct match *m, const struct key *key, struct span filter, uint32_t *id)
{
	struct span extra = {NULL, 0};

	if (key->form->kind != FORM_LEVELS) {
		const enum err e = patterns_prepare(m, key->form, &extra);
		if (e != ERR_NONE)
			return e;
	}
	if (key->pattern)
		return add_pattern(m, key, filter, extra, id);
	return add_regular(m, key, filter, extra, id);
}

enum err match_insert(struct match *m, struct span filter, uint32_t *id)
{
	struct filter_form form;

	ASSERT(!m->matching);
	*id = MATCH_NONE;
	const enum err e = form_read(filter, &form);
	if (e != ERR_NONE)
		return e;
	struct key key = key_of(m, filter, &form);
	*id = find(m, &key, filter);
	if (*id != MATCH_NONE)
		return ERR_NONE;
	plan(m, &key, filter);
	return add(m, &key, filter, id);
}

void match_remove(struct match *m, uint32_t id)
{
	ASSERT(!m->matching);
	const struct filter *f = store_at(&m->store, id);

	if (match_is_pattern(f)) {
		index_drop(&m->exact, f->hash, id);
		patterns_drop(m, f->shape & ~(uint32_t)MATCH_PATTERN);
	} else if (f->shape == MATCH_EXACT) {
		index_drop(&m->exact, f->hash, id);
	} else {
		index_drop(&m->shaped, f->hash, id);
		shapes_put(&m->shapes, f->shape);
	}
	store_drop(&m->store, id);
	counter_sub(m->counters, COUNTER_FILTERS, 1);
}

struct span match_text(const struct match *m, uint32_t id)
{
	const struct filter *f = store_at(&m->store, id);

	return span_of(f->text, f->size);
}

struct wanted {
	uint32_t hash; /* when looked up */
	uint32_t id;   /* when found */
	uint32_t shape;
};

/* One topic on its way through the tables. */
struct search {
	struct match *m;
	struct span topic;
	const struct levels *levels; /* of the topic; not for exact filters */
	struct search_hit to;
	uint32_t lookups;
	uint32_t shaped;
	uint32_t candidates;
	struct wanted lookup[BATCH];
	struct wanted candidate[CANDIDATES];
};

/* Are the topic's levels those that the filter names? Its shape is known to fit. */
static bool same_levels(
	const struct search *s, const struct filter *f, const struct shape_form *form)
{
	const struct span text = match_levels(f);
	size_t at = 0;

	for (uint32_t i = 0; i < form->levels; i++) {
		if (shape_is_wild(form, i)) {
			at += 2;
			continue;
		}
		const struct span level = levels_at(s->topic, s->levels, i);
		const size_t end = at + level.size;
		if (end > text.size || (end < text.size && text.at[end] != '/'))
			return false;
		if (memcmp(text.at + at, level.at, level.size) != 0)
			return false;
		at = end + 1;
	}
	return true;
}

/* A hash may be right by chance, also that of a filter of another shape. */
static bool is_match(const struct search *s, const struct filter *f, uint32_t shape)
{
	if (f->shape != shape)
		return false;
	if (shape == MATCH_EXACT)
		return span_equal(match_levels(f), s->topic);
	return same_levels(s, f, &shapes_at(&s->m->shapes, shape)->form);
}

static void judge_candidates(struct search *s)
{
	const struct store *store = &s->m->store;
	const struct filter *filters[CANDIDATES];

	for (uint32_t i = 0; i < s->candidates; i++)
		filters[i] = store_prefetch(store, s->candidate[i].id);
	for (uint32_t i = 0; i < s->candidates; i++) {
		if (!is_match(s, filters[i], s->candidate[i].shape))
			continue;
		s->to.hits++;
		s->to.hit(s->to.owner, filters[i]->id);
	}
	s->candidates = 0;
}

static void run_lookups(struct search *s)
{
	for (uint32_t i = 0; i < s->lookups; i++) {
		const struct wanted *w = &s->lookup[i];
		const struct index *ix = w->shape == MATCH_EXACT ? &s->m->exact : &s->m->shaped;
		uint32_t at = index_home(ix, w->hash), id;

		while ((id = index_next(ix, w->hash, &at)) != INDEX_NONE) {
			if (s->candidates == CANDIDATES)
				judge_candidates(s);
			store_prefetch_place(&s->m->store, id);
			s->candidate[s->candidates++] =
				(struct wanted){.id = id, .shape = w->shape};
		}
	}
	judge_candidates(s);
	s->lookups = 0;
}

static void look_up(struct search *s, uint32_t hash, uint32_t shape)
{
	index_prefetch(shape == MATCH_EXACT ? &s->m->exact : &s->m->shaped, hash);
	s->lookup[s->lookups++] = (struct wanted){.hash = hash, .shape = shape};
	if (s->lookups == BATCH)
		run_lookups(s);
}

static void look_up_list(struct search *s, uint32_t first, const struct hashes *hashes)
{
	const struct shapes *shapes = &s->m->shapes;
	const bool dollar = s->topic.at[0] == '$';

	for (uint32_t i = first; i != SHAPES_NONE;) {
		const struct shape *shape = shapes_at(shapes, i);
		/* MQTT-5.0 4.7.2-1. */
		if (!dollar || !shape_starts_wild(&shape->form)) {
			look_up(s, fold(s->m, shape_key(shape, hashes)), i);
			s->shaped++;
		}
		i = shape->next;
	}
}

static void look_up_shapes(struct search *s)
{
	const struct shapes *shapes = &s->m->shapes;
	const uint32_t levels = s->levels->count;
	struct hashes hashes;

	shapes_hash_topic(shapes, s->topic, s->levels, &hashes);
	look_up_list(s, shapes->first[0][levels], &hashes);
	for (uint32_t n = shapes_open_from(shapes, 0); n <= levels;
		n = shapes_open_from(shapes, n + 1))
		look_up_list(s, shapes->first[1][n], &hashes);
	run_lookups(s);
}

bool match_one(struct match *m, uint32_t id, struct span topic)
{
	const struct filter *f = store_at(&m->store, id);

	if (topic.size == 0)
		return false;
	if (match_is_pattern(f))
		return patterns_one(m, f, topic);
	const struct span levels = match_levels(f);
	const bool wild = levels.at[0] == '+' || levels.at[0] == '#';
	return !(topic.at[0] == '$' && wild) && form_matches(levels, topic);
}

uint32_t match_topic(struct match *m, struct span topic, match_hit *hit, void *owner)
{
	struct levels levels;
	struct search s;

	ASSERT(!m->matching);
	if (topic.size == 0)
		return 0;
	m->matching = true;
	s.m = m;
	s.topic = topic;
	s.levels = &levels;
	s.to = (struct search_hit){hit, owner, 0};
	s.lookups = s.candidates = s.shaped = 0;
	look_up(&s, hash_exact(m, topic), MATCH_EXACT);
	if (m->shapes.pool.out != 0 && levels_cut(topic, &levels))
		look_up_shapes(&s);
	else
		run_lookups(&s);
	if (m->patterns.pool.out != 0)
		patterns_match(m, topic, &s.to);
	m->matching = false;
	counter_add(m->counters, COUNTER_MATCH_EXACT, 1);
	counter_add(m->counters, COUNTER_MATCH_SHAPES, s.shaped);
	return s.to.hits;
}

void match_check(const struct match *m)
{
	store_check(&m->store);
	index_check(&m->exact);
	index_check(&m->shaped);
	shapes_check(&m->shapes);
	patterns_check(m);
	ASSERT(m->exact.used + m->shaped.used == m->store.where.out);
	ASSERT(!m->matching);
}
