/* match_oracle_test.c - random filters and topics: the matcher says what naive.c says, always.
 *
 * Small alphabets, so that much matches and much nearly matches; filters come
 * and go between the topics; hashes lose bits, so that they collide. */
#include "dataplane/match/internal.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"
#include "dataplane/match/naive.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILTERS = 2000, TEXT = 1024 };

struct world {
	const char *name;
	uint32_t filters; /* in force at most */
	uint32_t rounds;  /* of one change and one topic */
	uint32_t levels_max;
	uint32_t words;      /* different levels */
	uint32_t wild_ppm;   /* chance that a level is '+' */
	uint32_t open_ppm;   /* chance that a filter ends in '#' */
	uint32_t dollar_ppm; /* chance that the first level starts with '$' */
	uint32_t hash_mask;
};

static const struct world worlds[] = {
	{"small", 60, 20000, 4, 2, 300000, 200000, 100000, UINT32_MAX},
	{"busy", 1000, 2500, 6, 3, 250000, 200000, 100000, UINT32_MAX},
	{"literal", 1000, 2500, 6, 4, 0, 0, 100000, UINT32_MAX},
	{"wild", 800, 2500, 9, 2, 600000, 300000, 50000, UINT32_MAX},
	{"deep", 200, 1500, 128, 1, 20000, 300000, 20000, UINT32_MAX},
	{"one_hash", 200, 4000, 4, 3, 300000, 200000, 100000, 0},
	{"few_hashes", 400, 3000, 5, 3, 300000, 200000, 100000, 0xf0000000},
	{"low_bits", 400, 3000, 5, 3, 300000, 200000, 100000, 0x0000000f},
};

static const char *const words[] = {"a", "", "b", "ab"};

static struct counters counters;
static struct match *m;
static uint32_t live[FILTERS]; /* ids in force */
static uint32_t live_count;
static uint32_t hit[FILTERS]; /* by id: hits for the topic at hand */
static unsigned long pairs, matched;

static void append(uint8_t *text, size_t *n, const char *word)
{
	for (; *word != '\0'; word++)
		text[(*n)++] = (uint8_t)*word;
}

/* A topic, or a filter. Never empty. */
static struct span random_text(const struct world *w, struct rng *rng, uint8_t *text, bool filter)
{
	/* Few depths at the deep end, or nothing would meet. */
	const uint32_t levels = w->levels_max > 16 && rng_chance(rng, 700000)
					? w->levels_max - rng_below(rng, 3)
					: 1 + rng_below(rng, w->levels_max);
	size_t n = 0;

	for (uint32_t i = 0; i < levels; i++) {
		if (i > 0)
			text[n++] = '/';
		if (filter && i + 1 == levels && rng_chance(rng, w->open_ppm)) {
			append(text, &n, "#");
		} else if (filter && rng_chance(rng, w->wild_ppm)) {
			append(text, &n, "+");
		} else {
			if (i == 0 && rng_chance(rng, w->dollar_ppm))
				append(text, &n, "$");
			append(text, &n, words[rng_below(rng, w->words)]);
		}
	}
	if (n == 0)
		append(text, &n, "a");
	return span_of(text, n);
}

static void change(const struct world *w, struct rng *rng)
{
	static uint8_t text[TEXT];
	uint32_t id = MATCH_NONE;

	/* The fuller, the likelier a removal: about three quarters full in the end. */
	if (rng_below(rng, w->filters) < live_count * 2 / 3) {
		const uint32_t i = rng_below(rng, live_count);
		match_remove(m, live[i]);
		live[i] = live[--live_count];
		return;
	}
	const struct span filter = random_text(w, rng, text, true);
	CU_ASSERT_TRUE(naive_filter_ok(filter));
	const bool known = match_find(m, filter) != MATCH_NONE;
	CU_ASSERT_EQUAL_FATAL(match_insert(m, filter, &id), ERR_NONE);
	CU_ASSERT_TRUE(span_equal(match_text(m, id), filter));
	if (!known)
		live[live_count++] = id;
}

static void on_hit(void *owner, uint32_t id)
{
	(void)owner;
	CU_ASSERT_TRUE_FATAL(id < FILTERS);
	hit[id]++;
}

static void compare(const struct world *w, struct rng *rng)
{
	static uint8_t text[TEXT];
	const struct span topic = random_text(w, rng, text, false);
	uint32_t expected = 0;

	memset(hit, 0, sizeof(hit));
	const uint32_t got = match_topic(m, topic, on_hit, NULL);
	for (uint32_t i = 0; i < live_count; i++) {
		const struct span filter = match_text(m, live[i]);
		const bool matches = naive_matches(filter, topic);
		expected += matches;
		pairs++;
		matched += matches;
		if (hit[live[i]] == (matches ? 1u : 0u))
			continue;
		printf("# %s: '%.*s' on '%.*s': %u hits\n", w->name, (int)filter.size, filter.at,
			(int)topic.size, topic.at, hit[live[i]]);
		CU_FAIL_FATAL("the matcher and the oracle differ");
	}
	CU_ASSERT_EQUAL_FATAL(got, expected);
}

static void run(const struct world *w)
{
	struct rng rng = rng_from(unit_seed() ^ w->filters ^ w->hash_mask);
	const struct match_conf conf = {.filters_max = FILTERS,
		.filter_bytes_max = FILTERS * 300,
		.key = {rng_next(&rng), rng_next(&rng)},
		.counters = &counters};

	memset(&counters, 0, sizeof(counters));
	m = match_create(&conf);
	ASSERT(m != NULL);
	m->hash_mask = w->hash_mask;
	live_count = 0;
	pairs = matched = 0;
	for (uint32_t i = 0; i < 2 * w->filters; i++)
		change(w, &rng);
	for (uint32_t round = 0; round < w->rounds; round++) {
		change(w, &rng);
		compare(w, &rng);
		if (round % 256 == 0)
			match_check(m);
		CU_ASSERT_EQUAL_FATAL(counter_get(&counters, COUNTER_FILTERS), live_count);
	}
	while (live_count > 0)
		match_remove(m, live[--live_count]);
	match_check(m);
	CU_ASSERT_EQUAL(m->store.where.out, 0);
	CU_ASSERT_EQUAL(m->shapes.pool.out, 0);
	match_destroy(&m);
	printf("# %s: %lu pairs, %lu match\n", w->name, pairs, matched);
}

static void agrees_with_the_oracle(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++)
		run(&worlds[i]);
}

static const struct unit_test tests[] = {
	{"agrees_with_the_oracle", agrees_with_the_oracle},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("match_oracle", tests, argc, argv);
}
