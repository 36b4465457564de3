/* compile.c - news in, sets out, versions published. See compile.h. */
#include "controlplane/compile/compile.h"

#include "controlplane/compile/members.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/reader.h"
#include "dataplane/base/writer.h"

#include <stdlib.h>

enum {
	DEAD_WEIGHT = 64,            /* so many do not matter */
	SETTLE_US = 2 * 1000 * 1000, /* before what is missing counts as gone */
	LONG_US = 60 * 1000 * 1000,  /* before what could not be done is tried again */
};

/* One that is compiled, or about to be. */
struct set {
	uint32_t seat;
	uint32_t count, fresh; /* the last `fresh` are new in that seat */
	uint64_t started_us;
	struct member *at[COMPILE_LARGE_MAX];
};

struct compile {
	struct compile_conf conf;
	struct members members;
	struct set set;
	bool runs;
	uint32_t fresh_max;                 /* halved by a failure, doubled by a success */
	uint32_t published[SHM_TIER_SEATS]; /* texts of the version that counts */
	uint64_t news_us, first_us;         /* the last; the first that waits, 0: none */
	uint64_t forgot_us, retry_us;
	uint64_t heavy_retry_us; /* of a tier that could not be made lighter */
	bool greeted;            /* the dataplane is about to say what there is, or has */
	uint8_t *texts;          /* of the set */
};

enum { TEXTS_MAX = SHM_TIER_BYTES };

/* Texts of a version are dead in their seat until somebody has them. */
static void adopt(struct compile *c, uint32_t seat, struct span texts)
{
	struct reader r = reader_of(texts);

	while (reader_left(&r) > 0 && !r.bad) {
		const struct span text = read_bytes(&r, read_u16(&r));
		struct member *e = r.bad ? NULL : members_create_one(&c->members, text);
		c->published[seat]++;
		if (e != NULL && e->seat == MEMBER_NOWHERE)
			members_place(&c->members, e, seat);
	}
}

/* Large tiers first: what has moved there from the fresh one may be in that still. */
static bool create_from_region(struct compile *c)
{
	const struct shm_tiers_page *page = shm_tiers_page(c->conf.tiers);

	for (uint32_t seat = SHM_TIER_SEATS; seat-- > 0;) {
		const uint64_t number = page->number[seat];
		const size_t size = number == 0 ? 0 : shm_tier_size(c->conf.tiers, seat, number);
		struct shm_tier tier;
		if (size == 0)
			continue;
		uint8_t *copy = malloc(size);
		if (copy == NULL)
			return false;
		if (shm_tier_read(c->conf.tiers, seat, number, copy, size, &tier) == ERR_NONE)
			adopt(c, seat, tier.texts);
		free(copy);
	}
	return true;
}

struct compile *compile_create(const struct compile_conf *conf)
{
	struct compile *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->conf = *conf;
	c->fresh_max = COMPILE_LARGE_MAX;
	c->texts = malloc(TEXTS_MAX);
	if (!members_create(&c->members, conf->workers * conf->patterns_max, conf->text_bytes_max,
		    conf->key) ||
		c->texts == NULL || !create_from_region(c))
		compile_destroy(&c);
	return c;
}

void compile_destroy(struct compile **c)
{
	if (*c != NULL) {
		members_fini(&(*c)->members);
		free((*c)->texts);
	}
	free(*c);
	*c = NULL;
}

static void note_refused(const struct compile *c)
{
	counter_set(c->conf.counters, COUNTER_PATTERNS_REFUSED, c->members.refused);
}

void compile_forget(struct compile *c, uint32_t worker, uint64_t now_us)
{
	const uint32_t from = worker * c->conf.patterns_max;

	ASSERT(worker < c->conf.workers);
	for (uint32_t n = 0; n < c->conf.patterns_max; n++)
		members_number(&c->members, from + n, NULL);
	c->forgot_us = c->news_us = now_us;
	c->greeted = true;
	note_refused(c);
}

void compile_news(struct compile *c, const struct compile_news *news, uint64_t now_us)
{
	struct member *e = NULL;

	ASSERT(news->worker < c->conf.workers);
	if (news->pattern >= c->conf.patterns_max) {
		counter_err(c->conf.counters, ERR_SLOT_BAD);
		return;
	}
	if (news->added)
		e = members_create_one(&c->members, news->filter);
	members_number(&c->members, news->worker * c->conf.patterns_max + news->pattern, e);
	c->news_us = now_us;
	if (e != NULL && c->first_us == 0)
		c->first_us = now_us;
	note_refused(c);
}

/* Of those that no tier has, how many should have one. */
static uint32_t homeless(const struct compile *c)
{
	return c->members.alive[MEMBER_NOWHERE] - c->members.refused;
}

struct gathering {
	struct compile *c;
	uint32_t from; /* the seat whose members are taken */
	uint32_t most;
};

static void gather_one(void *owner, struct member *e)
{
	struct gathering *g = owner;
	struct set *s = &g->c->set;

	if (e->seat != g->from || !member_lives(e) || e->refused || s->count >= g->most)
		return;
	s->at[s->count++] = e;
}

static void gather(struct compile *c, uint32_t from, uint32_t most)
{
	struct gathering g = {c, from, most < COMPILE_LARGE_MAX ? most : COMPILE_LARGE_MAX};

	members_each(&c->members, gather_one, &g);
}

/* The large seat that is to take more: one that is not half full, or an empty one, or the emptiest.
 * After a failure an empty one, so that what is well compiled is not tried again. */
static uint32_t choose_large(const struct compile *c)
{
	const uint32_t *alive = c->members.alive;
	uint32_t best = 1;

	for (uint32_t seat = 2; seat < SHM_TIER_SEATS; seat++)
		if (alive[seat] < alive[best])
			best = seat;
	if (c->fresh_max < COMPILE_LARGE_MAX)
		return best;
	for (uint32_t seat = 1; seat < SHM_TIER_SEATS; seat++)
		if (alive[seat] > 0 && alive[seat] < COMPILE_LARGE_MAX / 2)
			return seat;
	return best;
}

static void prepare(struct compile *c, uint32_t seat)
{
	struct set *s = &c->set;

	s->seat = seat;
	s->count = 0;
	gather(c, seat, COMPILE_LARGE_MAX);
	const uint32_t own = s->count;
	const uint32_t most = own + c->fresh_max;
	if (seat != 0)
		gather(c, 0, most);
	gather(c, MEMBER_NOWHERE, seat == 0 && most > COMPILE_FRESH_MAX ? COMPILE_FRESH_MAX : most);
	s->fresh = s->count - own;
}

/* {u16 size, text} each. False: more than fit. */
static bool write_texts(struct compile *c, struct span *out)
{
	struct writer w = writer_of(c->texts, TEXTS_MAX);

	for (uint32_t i = 0; i < c->set.count; i++) {
		write_u16(&w, c->set.at[i]->size);
		write_bytes(&w, member_text(c->set.at[i]));
	}
	*out = writer_span(&w);
	return !w.bad;
}

static void hold_set(struct compile *c, bool held)
{
	for (uint32_t i = 0; i < c->set.count; i++)
		members_hold(&c->members, c->set.at[i], held);
}

static bool start(struct compile *c, uint64_t now_us)
{
	static_assert(sizeof(struct span) * COMPILE_LARGE_MAX <= 1 << 17, "on the stack");
	struct span filters[COMPILE_LARGE_MAX];
	const struct set *s = &c->set;

	for (uint32_t i = 0; i < s->count; i++)
		filters[i] = member_text(s->at[i]);
	c->first_us = 0;
	if (!c->conf.compiler->ops->start(c->conf.compiler, filters, s->count)) {
		c->retry_us = now_us + COMPILE_RETRY_US;
		counter_add(c->conf.counters, COUNTER_PATTERN_COMPILES_FAILED, 1);
		return false;
	}
	hold_set(c, true);
	c->set.started_us = now_us;
	c->runs = true;
	return true;
}

struct clearing {
	struct member **at;
	uint32_t seat, count;
};

static void clear_one(void *owner, struct member *e)
{
	struct clearing *k = owner;

	if (e->seat == k->seat)
		k->at[k->count++] = e;
}

/* What was in that seat is nowhere, and forgotten if nobody has it. A seat's tier has at most
 * COMPILE_LARGE_MAX. */
static void clear_seat(struct compile *c, uint32_t seat)
{
	struct member *at[COMPILE_LARGE_MAX];
	struct clearing k = {at, seat, 0};

	ASSERT(c->members.all[seat] <= COMPILE_LARGE_MAX);
	members_each(&c->members, clear_one, &k);
	for (uint32_t i = 0; i < k.count; i++)
		members_place(&c->members, at[i], MEMBER_NOWHERE);
}

static bool publish(struct compile *c, struct span database)
{
	struct set *s = &c->set;
	struct span texts;

	if (!write_texts(c, &texts) || !shm_tier_write(c->conf.tiers, s->seat, texts, database))
		return false;
	clear_seat(c, s->seat);
	for (uint32_t i = 0; i < s->count; i++)
		members_place(&c->members, s->at[i], s->seat);
	c->published[s->seat] = s->count;
	return true;
}

/* The compiler cannot say which: halves of what is new, down to the one. */
static void on_failure(struct compile *c, uint64_t now_us)
{
	const struct set *s = &c->set;

	if (s->fresh > 1)
		c->fresh_max = s->fresh / 2;
	else if (s->fresh == 1)
		members_refuse(&c->members, s->at[s->count - 1]);
	else
		c->heavy_retry_us = now_us + LONG_US;
}

static void finish(struct compile *c, enum compiler_state state,
	const struct compiler_answer *answer, uint64_t now_us)
{
	struct counters *counters = c->conf.counters;

	c->runs = false;
	counter_set(counters, COUNTER_PATTERN_COMPILE_US, now_us - c->set.started_us);
	if (state == COMPILER_DONE && publish(c, answer->database)) {
		counter_add(counters, COUNTER_PATTERN_COMPILES, 1);
		c->fresh_max =
			c->fresh_max < COMPILE_LARGE_MAX / 2 ? 2 * c->fresh_max : COMPILE_LARGE_MAX;
	} else {
		counter_add(counters, COUNTER_PATTERN_COMPILES_FAILED, 1);
		if (state == COMPILER_REFUSED && answer->culprit < c->set.count)
			members_refuse(&c->members, c->set.at[answer->culprit]);
		else
			on_failure(c, now_us);
	}
	hold_set(c, false);
	note_refused(c);
}

/* A seat whose tier is mostly of patterns that have gone, or moved. SHM_TIER_SEATS: none. */
static uint32_t heavy_seat(const struct compile *c)
{
	for (uint32_t seat = 0; seat < SHM_TIER_SEATS; seat++) {
		const uint32_t all = c->published[seat], alive = c->members.alive[seat];
		if (all > 0 && (alive == 0 || all - alive > all / 2 + DEAD_WEIGHT))
			return seat;
	}
	return SHM_TIER_SEATS;
}

static bool is_settled(const struct compile *c, uint64_t now_us)
{
	return c->greeted && now_us >= c->news_us + SETTLE_US &&
	       now_us >= c->forgot_us + SETTLE_US && now_us >= c->heavy_retry_us;
}

/* When what is homeless is to be compiled; UINT64_MAX: nothing is. */
static uint64_t due_us(const struct compile *c)
{
	if (homeless(c) == 0)
		return UINT64_MAX;
	const uint64_t quiet = c->news_us + COMPILE_QUIET_US;
	const uint64_t patience = c->first_us == 0 ? quiet : c->first_us + COMPILE_WAIT_US;
	const uint64_t due = quiet < patience ? quiet : patience;
	return due > c->retry_us ? due : c->retry_us;
}

static bool begin(struct compile *c, uint64_t now_us)
{
	if (due_us(c) <= now_us) {
		const uint32_t together = homeless(c) + c->members.alive[0];
		prepare(c, together <= COMPILE_FRESH_MAX ? 0 : choose_large(c));
		if (c->set.fresh > 0)
			return start(c, now_us);
		c->retry_us = now_us + LONG_US; /* all tiers are full */
		return false;
	}
	const uint32_t seat = is_settled(c, now_us) ? heavy_seat(c) : SHM_TIER_SEATS;
	if (seat == SHM_TIER_SEATS)
		return false;
	prepare(c, seat);
	return c->set.count == 0 ? publish(c, span_of(NULL, 0)) : start(c, now_us);
}

bool compile_poll(struct compile *c, uint64_t now_us)
{
	struct compiler_answer answer = {.culprit = UINT32_MAX};

	if (!c->runs)
		return begin(c, now_us);
	const enum compiler_state state = c->conf.compiler->ops->poll(c->conf.compiler, &answer);
	if (state == COMPILER_RUNS)
		return false;
	finish(c, state, &answer, now_us);
	return true;
}

uint64_t compile_next_us(const struct compile *c, uint64_t now_us)
{
	if (c->runs)
		return now_us + COMPILE_POLL_US;
	const uint64_t due = due_us(c);
	if (due != UINT64_MAX)
		return due;
	return !c->greeted || heavy_seat(c) == SHM_TIER_SEATS ? UINT64_MAX : now_us + SETTLE_US;
}

void compile_check(const struct compile *c)
{
	members_check(&c->members);
	ASSERT(c->set.count <= COMPILE_LARGE_MAX);
	ASSERT(c->members.refused <= c->members.alive[MEMBER_NOWHERE]);
}
