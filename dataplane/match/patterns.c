/* patterns.c - patterns that come and go, their news, and a topic's way past them.
 *
 * Where tiers are taken in: patterns_tier.c. */
#include "dataplane/match/internal.h"

#include "dataplane/base/assert.h"

static size_t round_up(size_t bytes)
{
	return (bytes + 63) & ~(size_t)63;
}

static size_t pool_part(const struct match_conf *conf)
{
	return round_up(pool_bytes(conf->patterns_max, sizeof(struct pattern)));
}

static size_t news_part(const struct match_conf *conf)
{
	return round_up(conf->patterns_max * (sizeof(uint32_t) + sizeof(bool)));
}

size_t patterns_bytes(const struct match_conf *conf)
{
	return pool_part(conf) + news_part(conf) + round_up(sizeof(struct regex_tree)) +
	       round_up(sizeof(struct regex_room)) + round_up(REGEX_PROGRAM_BYTES_MAX) +
	       round_up(MATCH_FILTER_BYTES_MAX + 1);
}

size_t patterns_used(const struct patterns *p)
{
	return pool_used(&p->pool) + p->pool.out * (sizeof(*p->news) + sizeof(*p->in_news));
}

size_t patterns_compiled_bytes(const struct patterns *p)
{
	size_t bytes = p->coming == NULL ? 0 : tier_bytes(p->coming);

	for (uint32_t i = 0; i < TIER_SEATS; i++)
		bytes += p->seat[i] == NULL ? 0 : tier_bytes(p->seat[i]);
	return bytes;
}

void patterns_init(struct patterns *p, void *memory, const struct match_conf *conf)
{
	uint8_t *at = memory;

	ASSERT(conf->pattern_size_max <= FORM_TEXT_MAX);
	*p = (struct patterns){.first = POOL_NONE, .size_max = conf->pattern_size_max};
	pool_init(&p->pool, at, conf->patterns_max, sizeof(struct pattern));
	at += pool_part(conf);
	p->news = (uint32_t *)(void *)at;
	p->in_news = (bool *)(p->news + conf->patterns_max);
	at += news_part(conf);
	p->tree = (struct regex_tree *)(void *)at;
	at += round_up(sizeof(struct regex_tree));
	p->room = (struct regex_room *)(void *)at;
	at += round_up(sizeof(struct regex_room));
	p->program = at;
	at += round_up(REGEX_PROGRAM_BYTES_MAX);
	p->scanned = at;
}

void patterns_fini(struct patterns *p)
{
	tier_destroy(&p->coming);
	for (uint32_t i = 0; i < TIER_SEATS; i++)
		tier_destroy(&p->seat[i]);
}

static struct pattern *pattern_at(const struct patterns *p, uint32_t pattern)
{
	return (struct pattern *)(void *)p->pool.objects + pattern;
}

enum err patterns_prepare(struct match *m, const struct filter_form *form, struct span *extra)
{
	struct patterns *p = &m->patterns;
	size_t size;

	if (form->irregular && form->body.size > p->size_max)
		return ERR_EXPRESSION_SIZE;
	if (form->kind != FORM_EXPRESSION) {
		form_levels(form, m->levels);
		*extra = span_of(m->levels, form->body.size);
		return ERR_NONE;
	}
	enum err e = regex_read(form->body, p->tree);
	if (e == ERR_NONE)
		e = regex_compile(p->tree, p->program, &size);
	if (e == ERR_NONE)
		*extra = span_of(p->program, size);
	return e;
}

static void tell(struct patterns *p, uint32_t pattern)
{
	if (p->in_news[pattern])
		return;
	p->in_news[pattern] = true;
	p->news[(p->news_head + p->news_count++) % p->pool.count] = pattern;
}

static void begin_interpreting(struct patterns *p, uint32_t pattern)
{
	struct pattern *at = pattern_at(p, pattern);

	at->seat = PATTERN_INTERPRETED;
	at->prev = POOL_NONE;
	at->next = p->first;
	p->interpreted++;
	if (p->first != POOL_NONE)
		pattern_at(p, p->first)->prev = pattern;
	p->first = pattern;
}

static void end_interpreting(struct patterns *p, const struct pattern *at)
{
	p->interpreted--;
	if (at->prev == POOL_NONE)
		p->first = at->next;
	else
		pattern_at(p, at->prev)->next = at->next;
	if (at->next != POOL_NONE)
		pattern_at(p, at->next)->prev = at->prev;
}

void patterns_move(struct match *m, uint32_t pattern, uint32_t seat)
{
	struct patterns *p = &m->patterns;
	struct pattern *at = pattern_at(p, pattern);

	if (at->seat == seat)
		return;
	if (at->seat == PATTERN_INTERPRETED) {
		end_interpreting(p, at);
		counter_add(m->counters, COUNTER_PATTERNS_COMPILED, 1);
	}
	at->seat = (uint8_t)seat;
	if (seat == PATTERN_INTERPRETED) {
		begin_interpreting(p, pattern);
		counter_sub(m->counters, COUNTER_PATTERNS_COMPILED, 1);
	}
}

uint32_t patterns_add(struct match *m, const struct filter_form *form, uint32_t filter)
{
	struct patterns *p = &m->patterns;
	const uint32_t pattern = pool_get(&p->pool);

	if (pattern == POOL_NONE)
		return POOL_NONE;
	*pattern_at(p, pattern) = (struct pattern){.filter = filter,
		.serial = ++p->serials,
		.kind = form->kind,
		.sees_dollar = form->sees_dollar,
		.regular = !form->irregular};
	p->regular += !form->irregular;
	begin_interpreting(p, pattern);
	tell(p, pattern);
	counter_add(m->counters, COUNTER_PATTERNS, 1);
	return pattern;
}

void patterns_drop(struct match *m, uint32_t pattern)
{
	struct patterns *p = &m->patterns;

	patterns_move(m, pattern, PATTERN_INTERPRETED);
	p->regular -= pattern_at(p, pattern)->regular;
	end_interpreting(p, pattern_at(p, pattern));
	tell(p, pattern);
	pool_put(&p->pool, pattern);
	counter_sub(m->counters, COUNTER_PATTERNS, 1);
}

bool match_next_news(const struct match *m, struct match_news *out)
{
	const struct patterns *p = &m->patterns;

	if (p->news_count == 0)
		return false;
	const uint32_t pattern = p->news[p->news_head];
	*out = (struct match_news){.pattern = pattern, .added = pool_taken(&p->pool, pattern)};
	if (out->added)
		out->text = match_text(m, pattern_at(p, pattern)->filter);
	return true;
}

void match_took_news(struct match *m)
{
	struct patterns *p = &m->patterns;

	ASSERT(p->news_count > 0);
	p->in_news[p->news[p->news_head]] = false;
	p->news_head = (p->news_head + 1) % p->pool.count;
	p->news_count--;
}

void match_repeat_news(struct match *m)
{
	struct patterns *p = &m->patterns;

	while (p->news_count > 0)
		match_took_news(m);
	for (uint32_t i = 0; i < p->pool.count; i++)
		if (pool_taken(&p->pool, i))
			tell(p, i);
}

/* MQTT-5.0 4.7.2-1, and what docs/reference/filters.md says of long topics. */
static bool may_see(const struct pattern *at, struct span topic)
{
	return (topic.size <= FORM_TOPIC_MAX || at->regular) &&
	       (topic.at[0] != '$' || at->sees_dollar);
}

bool patterns_one(struct match *m, const struct filter *f, struct span topic)
{
	const struct pattern *at = pattern_at(&m->patterns, f->shape & ~(uint32_t)MATCH_PATTERN);

	if (!may_see(at, topic))
		return false;
	if (at->kind == FORM_EXPRESSION)
		return regex_run(store_extra(f).at, topic, m->patterns.room);
	return form_matches(match_levels(f), topic);
}

static void interpret(struct match *m, struct span topic, struct search_hit *to)
{
	const struct patterns *p = &m->patterns;
	uint64_t compared = 0;

	for (uint32_t i = p->first; i != POOL_NONE; compared++) {
		const struct pattern *at = pattern_at(p, i);
		i = at->next;
		if (!patterns_one(m, store_at(&m->store, at->filter), topic))
			continue;
		to->hits++;
		to->hit(to->owner, at->filter);
	}
	counter_add(m->counters, COUNTER_MATCH_INTERPRETED, 1);
	counter_add(m->counters, COUNTER_MATCH_INTERPRETED_FILTERS, compared);
}

struct pattern *patterns_noted(const struct patterns *p, struct tier_note note)
{
	if (note.pattern == POOL_NONE || !pool_taken(&p->pool, note.pattern))
		return NULL;
	struct pattern *at = pattern_at(p, note.pattern);
	return at->serial == note.serial ? at : NULL;
}

struct scanning {
	struct match *m;
	struct tier *tier;
	uint32_t seat;
	struct span topic;
	struct search_hit *to;
};

/* A tier knows patterns that have gone meanwhile, or that are reported by another by now. */
static void on_scan_hit(void *owner, uint32_t index)
{
	struct scanning *s = owner;
	const struct tier_note note = tier_notes(s->tier)[index];

	const struct pattern *at = patterns_noted(&s->m->patterns, note);
	if (at == NULL || at->seat != s->seat || !may_see(at, s->topic))
		return;
	s->to->hits++;
	s->to->hit(s->to->owner, at->filter);
}

static void scan(struct match *m, struct span topic, struct search_hit *to)
{
	struct patterns *p = &m->patterns;
	struct scanning s = {.m = m, .topic = topic, .to = to};

	memcpy(p->scanned, topic.at, topic.size);
	p->scanned[topic.size] = 0;
	for (s.seat = 0; s.seat < TIER_SEATS; s.seat++) {
		s.tier = p->seat[s.seat];
		if (s.tier == NULL)
			continue;
		tier_scan(s.tier, span_of(p->scanned, topic.size + 1), on_scan_hit, &s);
		counter_add(m->counters, COUNTER_MATCH_SCANS, 1);
	}
}

void patterns_match(struct match *m, struct span topic, struct search_hit *to)
{
	if (topic.size > FORM_TOPIC_MAX && m->patterns.regular == 0)
		return;
	if (m->patterns.first != POOL_NONE)
		interpret(m, topic, to);
	scan(m, topic, to);
}

static void check_one(const struct match *m, uint32_t pattern)
{
	const struct pattern *at = pattern_at(&m->patterns, pattern);

	ASSERT(store_at(&m->store, at->filter)->shape == (MATCH_PATTERN | pattern));
	ASSERT(at->seat <= PATTERN_INTERPRETED);
	if (at->seat != PATTERN_INTERPRETED)
		ASSERT(m->patterns.seat[at->seat] != NULL);
}

void patterns_check(const struct match *m)
{
	const struct patterns *p = &m->patterns;
	uint32_t interpreted = 0, listed = 0, regular = 0;

	for (uint32_t i = 0; i < p->pool.count; i++) {
		if (!pool_taken(&p->pool, i))
			continue;
		check_one(m, i);
		interpreted += pattern_at(p, i)->seat == PATTERN_INTERPRETED;
		regular += pattern_at(p, i)->regular;
	}
	for (uint32_t i = p->first; i != POOL_NONE; i = pattern_at(p, i)->next) {
		ASSERT(pool_taken(&p->pool, i));
		ASSERT(pattern_at(p, i)->seat == PATTERN_INTERPRETED);
		listed++;
	}
	ASSERT(interpreted == listed);
	ASSERT(interpreted == p->interpreted);
	ASSERT(regular == p->regular);
	ASSERT(p->news_count <= p->pool.count);
}
