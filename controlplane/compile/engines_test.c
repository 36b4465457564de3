/* engines_test.c - random filters of all forms and random topics: all engines together say what
 * naive.c says, always.
 *
 * Filters come and go; some patterns are compiled, by Hyperscan itself, and
 * taken in as tiers piece by piece with topics in between; tiers overlap,
 * replace each other, know patterns that have gone. Expressions are made as trees
 * and printed by this test, so neither reader nor program is trusted.
 * 200,000 pairs; 10 million where SIGNALBOX_LONG is set. */
#include "controlplane/compile/set.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"
#include "dataplane/match/internal.h"
#include "dataplane/match/naive.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	FILTERS = 120,
	TEXT = 2048,
	TOPICS = 160, /* of a round, beside those while a tier moves */
	PAIRS = 200000,
	PAIRS_LONG = 10000000,
	DEPTH = 3,
};

struct known {
	bool used;
	uint8_t kind; /* enum form_kind */
	size_t size;
	uint8_t text[TEXT];
	size_t said_size;
	uint8_t said[3 * TEXT]; /* with some of it as %HH */
	struct regex_tree tree; /* EXPRESSION */
};

static struct rng rng;
static struct match *m;
static struct counters counters;
static struct known known[FILTERS]; /* by the matcher's id */
static uint32_t hit[FILTERS];
static unsigned long pairs, matched, scanned;

static const char *const words[] = {"a", "b", "ab", "", "\xc3\xa9", "a.b", "1", "$a"};
static const char *const keys[] = {"a", "b", "ab", "", "\xc3\xa9", "a/b", "1", "$a"};

static void add_text(uint8_t *text, size_t *n, const char *s)
{
	for (; *s != '\0'; s++)
		text[(*n)++] = (uint8_t)*s;
}

static size_t random_topic(uint8_t *text)
{
	const uint32_t levels = 1 + rng_below(&rng, 6);
	size_t n = 0;

	for (uint32_t i = 0; i < levels; i++) {
		if (i > 0)
			add_text(text, &n, "/");
		add_text(text, &n, words[rng_below(&rng, i == 0 ? 8 : 7)]);
	}
	if (n == 0)
		add_text(text, &n, "b");
	return n;
}

static void random_levels(struct known *k)
{
	const uint32_t levels = 1 + rng_below(&rng, 5);

	for (uint32_t i = 0; i < levels; i++) {
		if (i > 0)
			add_text(k->text, &k->size, "/");
		if (i + 1 == levels && rng_chance(&rng, 150000))
			add_text(k->text, &k->size, "#");
		else if (rng_chance(&rng, 250000))
			add_text(k->text, &k->size, "+");
		else
			add_text(k->text, &k->size, words[rng_below(&rng, 8)]);
	}
	if (k->size == 0)
		add_text(k->text, &k->size, "+");
}

static void random_words(struct known *k)
{
	const uint32_t count = 1 + rng_below(&rng, 5);

	add_text(k->text, &k->size, "$filter/amqp/");
	const size_t before = k->size;
	for (uint32_t i = 0; i < count; i++) {
		if (i > 0)
			add_text(k->text, &k->size, ".");
		if (rng_chance(&rng, 300000))
			add_text(k->text, &k->size, "#");
		else if (rng_chance(&rng, 250000))
			add_text(k->text, &k->size, "*");
		else
			add_text(k->text, &k->size, keys[rng_below(&rng, 8)]);
	}
	if (k->size == before)
		add_text(k->text, &k->size, "#");
}

static uint16_t new_node(struct regex_tree *t, enum regex_kind kind)
{
	ASSERT(t->nodes < REGEX_NODES_MAX);
	t->node[t->nodes] =
		(struct regex_node){.kind = (uint8_t)kind, .first = REGEX_NONE, .next = REGEX_NONE};
	return t->nodes++;
}

/* Printed, and what it must stand for. */
static const struct {
	const char *text;
	const char *in; /* ASCII characters of it; NULL: all but... */
	const char *out;
} sets[] = {
	{".", NULL, ""},
	{"[ab]", "ab", NULL},
	{"[^a]", NULL, "a"},
	{"[^/]", NULL, "/"},
	{"[a-c1/]", "abc1/", NULL},
	{"\\d", "0123456789", NULL},
	{"\\D", NULL, "0123456789"},
	{"[^\\d.]", NULL, "0123456789."},
	{"[]a-]", "]a-", NULL},
	{"\\.", ".", NULL},
};

static struct regex_set set_of(const char *in, const char *out)
{
	struct regex_set s = {.others = in == NULL};

	for (uint32_t c = 1; c < 128; c++)
		if (in != NULL ? strchr(in, (int)c) != NULL : strchr(out, (int)c) == NULL)
			s.ascii[c / 64] |= 1ull << (c % 64);
	return s;
}

static uint16_t random_set(struct known *k)
{
	const uint32_t which = rng_below(&rng, ARRAY_SIZE(sets));
	const uint16_t node = new_node(&k->tree, REGEX_SET);

	ASSERT(k->tree.sets < REGEX_SETS_MAX);
	add_text(k->text, &k->size, sets[which].text);
	k->tree.set[k->tree.sets] = set_of(sets[which].in, sets[which].out);
	k->tree.node[node].least = k->tree.sets++;
	return node;
}

static uint16_t random_character(struct known *k)
{
	static const struct {
		const char *text;
		uint32_t c;
	} characters[] = {{"a", 'a'}, {"b", 'b'}, {"/", '/'}, {"\xc3\xa9", 0xe9}, {"1", '1'},
		{"\\$", '$'}, {"\xe2\x82\xac", 0x20ac}, {"a", 'a'}, {"/", '/'}};
	const uint32_t which = rng_below(&rng, ARRAY_SIZE(characters));
	const uint16_t node = new_node(&k->tree, REGEX_CHAR);

	add_text(k->text, &k->size, characters[which].text);
	k->tree.node[node].character = characters[which].c;
	return node;
}

static uint16_t random_either(struct known *k, uint32_t depth);

static uint16_t random_atom(struct known *k, uint32_t depth)
{
	if (depth < DEPTH && rng_chance(&rng, 250000)) {
		add_text(k->text, &k->size, rng_chance(&rng, 500000) ? "(" : "(?:");
		const uint16_t node = random_either(k, depth + 1);
		add_text(k->text, &k->size, ")");
		return node;
	}
	return rng_chance(&rng, 300000) ? random_set(k) : random_character(k);
}

static uint16_t random_repeat(struct known *k, uint32_t depth)
{
	static const struct {
		const char *text;
		uint16_t least, most;
	} repeats[] = {{"*", 0, REGEX_NONE}, {"+", 1, REGEX_NONE}, {"?", 0, 1}, {"{2}", 2, 2},
		{"{1,3}", 1, 3}, {"{2,}", 2, REGEX_NONE}, {"*?", 0, REGEX_NONE}, {"{0}", 0, 0}};
	const uint16_t atom = random_atom(k, depth);

	if (!rng_chance(&rng, 300000))
		return atom;
	const uint32_t which = rng_below(&rng, ARRAY_SIZE(repeats));
	const uint16_t node = new_node(&k->tree, REGEX_REPEAT);
	add_text(k->text, &k->size, repeats[which].text);
	k->tree.node[node].first = atom;
	k->tree.node[node].least = repeats[which].least;
	k->tree.node[node].most = repeats[which].most;
	return node;
}

static void append(struct regex_tree *t, uint16_t parent, uint16_t *last, uint16_t child)
{
	if (*last == REGEX_NONE)
		t->node[parent].first = child;
	else
		t->node[*last].next = child;
	*last = child;
}

static uint16_t random_join(struct known *k, uint32_t depth)
{
	const uint16_t node = new_node(&k->tree, REGEX_JOIN);
	uint16_t last = REGEX_NONE;

	if (depth == 0 && rng_chance(&rng, 400000)) {
		add_text(k->text, &k->size, "^");
		k->tree.node[node].begins = true;
	}
	for (uint32_t n = rng_below(&rng, depth == 0 ? 7 : 4); n > 0; n--)
		append(&k->tree, node, &last, random_repeat(k, depth));
	if (depth == 0 && rng_chance(&rng, 400000)) {
		add_text(k->text, &k->size, "$");
		k->tree.node[node].ends = true;
	}
	return node;
}

static uint16_t random_either(struct known *k, uint32_t depth)
{
	const uint16_t node = new_node(&k->tree, REGEX_EITHER);
	uint16_t last = REGEX_NONE;

	append(&k->tree, node, &last, random_join(k, depth));
	while (rng_chance(&rng, 200000)) {
		add_text(k->text, &k->size, "|");
		append(&k->tree, node, &last, random_join(k, depth));
	}
	return node;
}

static void random_expression(struct known *k)
{
	add_text(k->text, &k->size, "$filter/regex/");
	const size_t before = k->size;
	k->tree.root = random_either(k, 0);
	if (k->size == before) {
		add_text(k->text, &k->size, "b?");
		k->tree.node[k->tree.node[k->tree.root].first].first = REGEX_NONE;
	}
}

static bool sees_dollar(const struct known *k)
{
	const char *body = (const char *)k->text + sizeof("$filter/regex/") - 1;

	return strncmp(body, "\\$", 2) == 0 || strncmp(body, "^\\$", 3) == 0;
}

static bool expected(const struct known *k, struct span topic)
{
	const struct span text = span_of(k->text, k->size);

	if (k->kind == FORM_LEVELS)
		return naive_matches(text, topic);
	if (k->kind == FORM_WORDS)
		return naive_words_match(span_skip(text, sizeof("$filter/amqp/") - 1), topic);
	return (topic.at[0] != '$' || sees_dollar(k)) && naive_expression_matches(&k->tree, topic);
}

/* What stands behind the prefix: sometimes a byte as its number. */
static void say(struct known *k)
{
	const size_t prefix = k->kind == FORM_LEVELS  ? k->size
			      : k->kind == FORM_WORDS ? sizeof("$filter/amqp/") - 1
						      : sizeof("$filter/regex/") - 1;
	const uint32_t share_ppm = rng_chance(&rng, 300000) ? 300000 : 0;

	for (size_t i = 0; i < k->size; i++) {
		char number[4];
		k->said[k->said_size++] = k->text[i];
		if (i < prefix || !rng_chance(&rng, share_ppm))
			continue;
		snprintf(number, sizeof(number), rng_chance(&rng, 500000) ? "%%%02x" : "%%%02X",
			k->text[i]);
		k->said_size--;
		add_text(k->said, &k->said_size, number);
	}
}

static void insert_one(void)
{
	static struct known k;
	uint32_t id;

	memset(&k, 0, sizeof(k));
	k.used = true;
	k.kind = (uint8_t)rng_below(&rng, 3);
	if (k.kind == FORM_LEVELS)
		random_levels(&k);
	else if (k.kind == FORM_WORDS)
		random_words(&k);
	else
		random_expression(&k);
	k.text[k.size] = '\0';
	say(&k);
	const enum err e = match_insert(m, span_of(k.said, k.said_size), &id);
	if (e == ERR_EXPRESSION_SIZE || e == ERR_FILTER_TABLE_FULL)
		return;
	if (e != ERR_NONE)
		printf("# '%s': %s\n", k.text, err_text(e));
	CU_ASSERT_EQUAL_FATAL(e, ERR_NONE);
	CU_ASSERT_EQUAL_FATAL(match_filter_check(span_of(k.said, k.said_size)), ERR_NONE);
	known[id] = k;
}

static void change(void)
{
	const uint32_t id = rng_below(&rng, FILTERS);

	if (known[id].used) {
		match_remove(m, id);
		known[id].used = false;
	}
	insert_one();
}

static void on_hit(void *owner, uint32_t id)
{
	(void)owner;
	CU_ASSERT_TRUE_FATAL(id < FILTERS);
	hit[id]++;
}

static void compare(void)
{
	static uint8_t text[TEXT];
	const struct span topic = span_of(text, random_topic(text));
	uint32_t total = 0;

	ASSERT(topic.size <= NAIVE_TOPIC_MAX);
	memset(hit, 0, sizeof(hit));
	const uint32_t got = match_topic(m, topic, on_hit, NULL);
	for (uint32_t id = 0; id < FILTERS; id++) {
		const bool wanted = known[id].used && expected(&known[id], topic);
		total += wanted;
		pairs += known[id].used;
		matched += wanted;
		if (hit[id] == (wanted ? 1u : 0u) &&
			(!known[id].used || match_one(m, id, topic) == wanted))
			continue;
		printf("# '%s' on '%.*s': %u hits, seat %u\n", known[id].text, (int)topic.size,
			topic.at, hit[id], counters.value[COUNTER_PATTERNS_COMPILED] > 0);
		CU_FAIL_FATAL("the matcher and the oracle differ");
	}
	CU_ASSERT_EQUAL_FATAL(got, total);
}

/* A part of the patterns that are there, compiled. */
static struct tier *random_tier(void)
{
	static uint8_t texts[FILTERS * 3 * TEXT];
	struct span filters[FILTERS], database = {NULL, 0};
	struct writer w = writer_of(texts, sizeof(texts));
	const uint32_t share_ppm = rng_below(&rng, 1000000);
	struct tier_base *base;
	uint32_t count = 0, culprit;

	for (uint32_t id = 0; id < FILTERS; id++) {
		if (!known[id].used || !match_is_pattern(store_at(&m->store, id)) ||
			!rng_chance(&rng, share_ppm))
			continue;
		filters[count] = span_of(known[id].said, known[id].said_size);
		write_u16(&w, (uint16_t)filters[count].size);
		write_bytes(&w, filters[count++]);
	}
	if (count > 0)
		CU_ASSERT_EQUAL_FATAL(set_compile(filters, count, &database, &culprit), ERR_NONE);
	CU_ASSERT_EQUAL_FATAL(tier_base_create(writer_span(&w), database, &base), ERR_NONE);
	free((void *)(uintptr_t)database.at);
	struct tier *t = tier_create(base);
	tier_base_put(&base);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	return t;
}

static void take_in(uint32_t seat, struct tier *t)
{
	struct tier *left = NULL;
	const size_t bytes = t == NULL ? 0 : tier_bytes(t);

	match_tier_offer(m, seat, t);
	while (match_tier_moves(m)) {
		if (rng_chance(&rng, 100000))
			change();
		if (rng_chance(&rng, 100000))
			compare();
		if (match_tier_step(m, 1 + rng_below(&rng, 4), &left))
			tier_destroy(&left);
		match_check(m);
	}
	CU_ASSERT(match_compiled_bytes(m) >= bytes);
	CU_ASSERT((bytes > 0) == (t != NULL));
}

static void round_of(void)
{
	for (uint32_t i = 0; i < FILTERS; i++)
		change();
	for (uint32_t i = 0; i < 3; i++) {
		const uint32_t seat = rng_below(&rng, TIER_SEATS);
		take_in(seat, rng_chance(&rng, 850000) ? random_tier() : NULL);
		for (uint32_t n = 0; n < TOPICS; n++) {
			if (rng_chance(&rng, 50000))
				change();
			compare();
		}
	}
	scanned += counters.value[COUNTER_MATCH_SCANS];
}

static void all_engines_agree_with_the_oracle(void)
{
	const unsigned long most = getenv("SIGNALBOX_LONG") != NULL ? PAIRS_LONG : PAIRS;

	rng = rng_from(unit_seed());
	pairs = matched = scanned = 0;
	while (pairs < most) {
		const struct match_conf conf = {.filters_max = FILTERS,
			.filter_bytes_max = FILTERS * 8192,
			.patterns_max = FILTERS,
			.pattern_size_max = FORM_TEXT_MAX,
			.key = {rng_next(&rng), rng_next(&rng)},
			.counters = &counters};
		memset(&counters, 0, sizeof(counters));
		memset(known, 0, sizeof(known));
		m = match_create(&conf);
		ASSERT(m != NULL);
		m->shapes_cheap = rng_below(&rng, 8);
		for (uint32_t i = 0; i < 6 && pairs < most; i++)
			round_of();
		match_check(m);
		match_destroy(&m);
	}
	printf("# %lu pairs, %lu match, %lu scans by Hyperscan\n", pairs, matched, scanned);
	CU_ASSERT_TRUE(scanned > 0);
}

static const struct unit_test tests[] = {
	{"all_engines_agree_with_the_oracle", all_engines_agree_with_the_oracle},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("engines", tests, argc, argv);
}
