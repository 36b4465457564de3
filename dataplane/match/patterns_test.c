/* patterns_test.c - the forms of filters by tables, limits, and the news of what comes and goes.
 *
 * Random ones, and Hyperscan: controlplane/compile/engines_test.c. */
#include "dataplane/match/internal.h"

#include "dataplane/base/assert.h"
#include "dataplane/match/naive.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static struct counters counters;
static uint32_t hits;

static struct match *make(uint32_t patterns_max, uint32_t size_max)
{
	const struct match_conf conf = {.filters_max = 256,
		.filter_bytes_max = 1 << 20,
		.patterns_max = patterns_max,
		.pattern_size_max = size_max,
		.key = {5, 6},
		.counters = &counters};

	memset(&counters, 0, sizeof(counters));
	struct match *m = match_create(&conf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	ASSERT(m != NULL);
	return m;
}

static void finish(struct match **m)
{
	match_check(*m);
	match_destroy(m);
}

static void on_hit(void *owner, uint32_t id)
{
	(void)owner, (void)id;
	hits++;
}

static uint32_t hits_of(struct match *m, const char *topic)
{
	hits = 0;
	const uint32_t n = match_topic(m, span_str(topic), on_hit, NULL);
	CU_ASSERT_EQUAL(n, hits);
	return n;
}

static enum err insert(struct match *m, const char *filter)
{
	uint32_t id;

	return match_insert(m, span_str(filter), &id);
}

#define AMQP  "$filter/amqp/"
#define REGEX "$filter/regex/"

static const struct row {
	const char *filter;
	const char *yes[6], *no[6];
} rows[] = {
	{AMQP "a.b", {"a/b"}, {"a", "a/b/c", "a.b", "b/a"}},
	{AMQP "a.*", {"a/b", "a/"}, {"a", "a/b/c"}},
	{AMQP "*", {"a", "b"}, {"a/b", "$a"}},
	{AMQP "#", {"a", "a/b", "/", "a/b/c"}, {"$SYS", "$SYS/x"}},
	{AMQP "a.#", {"a", "a/b", "a/b/c"}, {"b", "ab", "b/a"}},
	{AMQP "#.z", {"z", "a/z", "a/b/z", "/z"}, {"za", "z/a", "$a/z", "az"}},
	{AMQP "a.#.z", {"a/z", "a/b/z", "a/b/c/z", "a/z/z"}, {"a", "z", "a/zz", "a/z/b", "aa/z"}},
	{AMQP "a.#.m.#.z", {"a/m/z", "a/b/m/c/z", "a/m/m/z"}, {"a/z", "a/m", "a/b/z"}},
	{AMQP "#.a.#", {"a", "b/a", "a/b", "b/a/b"}, {"b", "ab", "$x/a"}},
	{AMQP "#.#", {"a", "a/b"}, {"$a"}},
	{AMQP "*.#.*", {"a/b", "a/b/c"}, {"a", "$a/b"}},
	{AMQP "$SYS.#.x", {"$SYS/x", "$SYS/a/x"}, {"a/x", "$SYS"}},
	{AMQP "a/b.c", {"a.b/c"}, {"a/b/c", "a/b.c"}},
	{AMQP "a..b", {"a//b"}, {"a/b"}},
	{AMQP "a*.b", {"a*/b"}, {"ax/b"}},
	{AMQP "%23.z", {"z", "a/z"}, {"za"}},
	{AMQP "a%2e%2A.%62", {"a/x/b"}, {"a/b"}},
	{AMQP "a%25.b", {"a%/b"}, {"a/b"}},
	{REGEX "^a%2b$", {"a", "aa"}, {"a+", "b"}},
	{REGEX "^%5cd%2B%24", {"12"}, {"x"}},
	{REGEX "b", {"b", "abc", "a/b"}, {"a", "B"}},
	{REGEX "^a/b$", {"a/b"}, {"a/b/c", "xa/b", "a/bb"}},
	{REGEX "^a|b$", {"ac", "cb"}, {"ca", "bc"}},
	{REGEX "a.c",
		{"abc", "a/c",
			"a\xc3\xa9"
			"c"},
		{"ac", "abbc"}},
	{REGEX "^[a-c]+/[^/]+$", {"abc/x", "a/\xe2\x82\xac"}, {"abd/x", "a/", "a/x/y"}},
	{REGEX "^s[0-9]{2,3}$", {"s12", "s123"}, {"s1", "s1234"}},
	{REGEX "^\\d+\\.\\w$", {"12.x"}, {"12x", ".x", "1.-"}},
	{REGEX "^(?:ab|cd)*e?$", {"ab", "abcd", "cde", "e"}, {"abc", "ee"}},
	{REGEX "\xc3\xa9+", {"x\xc3\xa9", "\xc3\xa9\xc3\xa9"}, {"x\xc3", "\xc3\xa8"}},
	{REGEX "^\\$SYS", {"$SYS/x"}, {"a$SYS"}},
	{REGEX "SYS", {"aSYS"}, {"$SYS/x"}},
	{REGEX "x{0}", {"a", "x"}, {"$a"}},
	{REGEX "^(a?){3}$", {"a", "aa", "aaa"}, {"aaaa", "b"}},
	{REGEX "^[]a-]+$", {"]-a"}, {"b"}},
	{REGEX "^[^]]$", {"a"}, {"]", "ab"}},
	{REGEX "a*?b", {"b", "aab"}, {"a"}},
	{REGEX "^((a*)*)*$", {"aaa"}, {"aab"}},
};

static void forms_match_as_the_table_says(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct match *m = make(8, FORM_TEXT_MAX);
		const struct row *r = &rows[i];
		if (insert(m, r->filter) != ERR_NONE)
			printf("# %s is refused\n", r->filter);
		CU_ASSERT_EQUAL_FATAL(insert(m, r->filter), ERR_NONE);
		for (size_t n = 0; n < ARRAY_SIZE(r->yes) && r->yes[n] != NULL; n++) {
			if (hits_of(m, r->yes[n]) != 1)
				printf("# %s does not match %s\n", r->filter, r->yes[n]);
			CU_ASSERT_EQUAL(hits_of(m, r->yes[n]), 1);
		}
		for (size_t n = 0; n < ARRAY_SIZE(r->no) && r->no[n] != NULL; n++) {
			if (hits_of(m, r->no[n]) != 0)
				printf("# %s matches %s\n", r->filter, r->no[n]);
			CU_ASSERT_EQUAL(hits_of(m, r->no[n]), 0);
		}
		finish(&m);
	}
}

static const struct {
	const char *filter;
	enum err err;
} refused[] = {
	{"$filter/", ERR_FILTER_MALFORMED},
	{"$filter/amqp", ERR_FILTER_MALFORMED},
	{"$filter/content/x", ERR_FILTER_MALFORMED},
	{AMQP "", ERR_FILTER_MALFORMED},
	{AMQP "a.b#", ERR_FILTER_MALFORMED},
	{AMQP "#a.b", ERR_FILTER_MALFORMED},
	{AMQP "a.+", ERR_FILTER_MALFORMED},
	{AMQP "a%", ERR_FILTER_MALFORMED},
	{AMQP "a%2", ERR_FILTER_MALFORMED},
	{AMQP "a%2g", ERR_FILTER_MALFORMED},
	{AMQP "a%00", ERR_FILTER_MALFORMED},
	{AMQP "a.%2B", ERR_FILTER_MALFORMED},
	{REGEX "a%00", ERR_FILTER_MALFORMED},
	{REGEX "%28", ERR_FILTER_MALFORMED},
	{REGEX "", ERR_FILTER_MALFORMED},
	{REGEX "(", ERR_FILTER_MALFORMED},
	{REGEX ")", ERR_FILTER_MALFORMED},
	{REGEX "a)", ERR_FILTER_MALFORMED},
	{REGEX "[", ERR_FILTER_MALFORMED},
	{REGEX "[a", ERR_FILTER_MALFORMED},
	{REGEX "[]", ERR_FILTER_MALFORMED},
	{REGEX "[b-a]", ERR_FILTER_MALFORMED},
	{REGEX "[\\d-z]", ERR_FILTER_MALFORMED},
	{REGEX "[[:alpha:]]", ERR_FILTER_MALFORMED},
	{REGEX "[\xc3\xa9]", ERR_FILTER_MALFORMED},
	{REGEX "*a", ERR_FILTER_MALFORMED},
	{REGEX "a**", ERR_FILTER_MALFORMED},
	{REGEX "a*+", ERR_FILTER_MALFORMED},
	{REGEX "^*", ERR_FILTER_MALFORMED},
	{REGEX "a^b", ERR_FILTER_MALFORMED},
	{REGEX "a$b", ERR_FILTER_MALFORMED},
	{REGEX "(^a)", ERR_FILTER_MALFORMED},
	{REGEX "(a$)", ERR_FILTER_MALFORMED},
	{REGEX "a{", ERR_FILTER_MALFORMED},
	{REGEX "a{x}", ERR_FILTER_MALFORMED},
	{REGEX "a{2,1}", ERR_FILTER_MALFORMED},
	{REGEX "a{1", ERR_FILTER_MALFORMED},
	{REGEX "a}", ERR_FILTER_MALFORMED},
	{REGEX "\\", ERR_FILTER_MALFORMED},
	{REGEX "\\b", ERR_FILTER_MALFORMED},
	{REGEX "\\1", ERR_FILTER_MALFORMED},
	{REGEX "(?=a)", ERR_FILTER_MALFORMED},
	{REGEX "(?<=a)", ERR_FILTER_MALFORMED},
	{REGEX "\xc3", ERR_FILTER_MALFORMED},
	{REGEX "a{1025}", ERR_EXPRESSION_SIZE},
	{REGEX "(a{1000}){1000}", ERR_EXPRESSION_SIZE},
	{REGEX "((((){1000}){1000}){1000}){1000}", ERR_EXPRESSION_SIZE},
	{REGEX "(((a{30}){30}){30}){30}", ERR_EXPRESSION_SIZE},
	{REGEX "((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))",
		ERR_EXPRESSION_SIZE},
};

static void what_is_refused(void)
{
	struct match *m = make(8, FORM_TEXT_MAX);
	uint32_t steps;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		const enum err e = insert(m, refused[i].filter);
		if (e != refused[i].err)
			printf("# %s: %s\n", refused[i].filter, err_text(e));
		CU_ASSERT_EQUAL(e, refused[i].err);
		CU_ASSERT_EQUAL(
			match_judge(m, span_str(refused[i].filter), &steps), refused[i].err);
		CU_ASSERT_EQUAL(match_find(m, span_str(refused[i].filter)), MATCH_NONE);
	}
	CU_ASSERT_EQUAL(match_judge(m, span_str(REGEX "^ab{3}"), &steps), ERR_NONE);
	CU_ASSERT_EQUAL(steps, 6);
	CU_ASSERT_EQUAL(match_judge(m, span_str(AMQP "a.#.b"), &steps), ERR_NONE);
	CU_ASSERT_EQUAL(steps, 0);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_FILTERS), 0);
	finish(&m);
}

static void regular_words_need_no_pattern(void)
{
	struct match *m = make(0, 0);

	CU_ASSERT_EQUAL(insert(m, AMQP "a.b"), ERR_NONE);
	CU_ASSERT_EQUAL(insert(m, AMQP "a.*"), ERR_NONE);
	CU_ASSERT_EQUAL(insert(m, AMQP "a.#"), ERR_NONE);
	CU_ASSERT_EQUAL(insert(m, "a/b"), ERR_NONE);
	CU_ASSERT_EQUAL(insert(m, "a/+"), ERR_NONE);
	CU_ASSERT_EQUAL(insert(m, "a/#"), ERR_NONE);
	CU_ASSERT_EQUAL(insert(m, AMQP "#.a"), ERR_EXPRESSION_SIZE);
	CU_ASSERT_EQUAL(hits_of(m, "a/b"), 6);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_MATCH_INTERPRETED), 0);
	match_remove(m, match_find(m, span_str("a/+")));
	CU_ASSERT_EQUAL(hits_of(m, "a/b"), 5);
	finish(&m);
}

static void limits_are_kept(void)
{
	char topic[FORM_TOPIC_MAX + 2];
	struct match *m = make(2, 8);

	CU_ASSERT_EQUAL(insert(m, REGEX "12345678"), ERR_NONE);
	CU_ASSERT_EQUAL(insert(m, REGEX "123456789"), ERR_EXPRESSION_SIZE);
	CU_ASSERT_EQUAL(insert(m, AMQP "#.a"), ERR_NONE);
	CU_ASSERT_EQUAL(insert(m, AMQP "#.b"), ERR_PATTERN_TABLE_FULL);
	CU_ASSERT_EQUAL(insert(m, AMQP "#.a"), ERR_NONE);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_PATTERNS), 2);
	const size_t used = match_used(m);
	match_remove(m, match_find(m, span_str(REGEX "12345678")));
	CU_ASSERT(match_used(m) + sizeof(struct pattern) <= used);
	CU_ASSERT_EQUAL(match_compiled_bytes(m), 0);
	CU_ASSERT_EQUAL(insert(m, REGEX "b"), ERR_NONE);
	memset(topic, 'b', sizeof(topic));
	topic[FORM_TOPIC_MAX] = '\0';
	CU_ASSERT_EQUAL(hits_of(m, topic), 1);
	topic[FORM_TOPIC_MAX] = 'b';
	topic[FORM_TOPIC_MAX + 1] = '\0';
	CU_ASSERT_EQUAL(hits_of(m, topic), 0);
	finish(&m);
}

static uint32_t shape_filter(struct match *m, uint32_t bits, char last, enum err *e)
{
	char filter[] = "x/x/x/x/x/x/x/x/x/x";
	uint32_t id;

	for (uint32_t i = 0; i < 9; i++)
		filter[2 * i] = bits >> i & 1 ? '+' : 'x';
	filter[18] = last;
	*e = match_insert(m, span_str(filter), &id);
	return id;
}

/* Rare shapes become patterns, once there are so many that a scan is cheaper; and are found,
 * removed, and asked about topics of any size like others. */
static void rare_shapes_become_patterns(void)
{
	struct match *m = make(40, 64);
	enum err e;

	m->shapes_cheap = 8;
	for (uint32_t bits = 1; bits <= 20; bits++) {
		(void)shape_filter(m, bits, 'x', &e);
		CU_ASSERT_EQUAL(e, ERR_NONE);
	}
	CU_ASSERT_EQUAL(m->shapes.pool.out, 8);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_PATTERNS), 12);
	CU_ASSERT_EQUAL(hits_of(m, "x/x/x/x/x/x/x/x/x/x"), 20);
	/* A shape in use takes another, and one that is a pattern is found again. */
	const uint32_t shaped = shape_filter(m, 3, 'y', &e);
	CU_ASSERT_FALSE(match_is_pattern(store_at(&m->store, shaped)));
	const uint32_t before = (uint32_t)counter_get(&counters, COUNTER_FILTERS);
	const uint32_t again = shape_filter(m, 20, 'x', &e);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_FILTERS), before);
	CU_ASSERT_TRUE(match_is_pattern(store_at(&m->store, again)));
	match_remove(m, again);
	CU_ASSERT_EQUAL(hits_of(m, "x/x/x/x/x/x/x/x/x/x"), 19);
	/* A first level that is long: those match that have '+' there, the odd ones to 19. */
	static const char rest[] = "/x/x/x/x/x/x/x/x/x";
	char topic[FORM_TOPIC_MAX + sizeof(rest)];
	memset(topic, 'x', FORM_TOPIC_MAX);
	memcpy(topic + FORM_TOPIC_MAX, rest, sizeof(rest));
	CU_ASSERT_EQUAL(hits_of(m, topic), 10);
	finish(&m);
}

/* While too many wait for being compiled, or there is no room for patterns, shapes are taken. */
static void patterns_that_wait_are_few(void)
{
	struct match *m = make(2 * PLAN_WAITING, 64);
	enum err e;

	m->shapes_cheap = 4;
	for (uint32_t bits = 1; bits < 60; bits++)
		(void)shape_filter(m, bits, 'x', &e);
	CU_ASSERT_EQUAL(m->shapes.pool.out, 4);
	CU_ASSERT_EQUAL(m->patterns.interpreted, 55);
	for (uint32_t bits = 60; bits < 120; bits++)
		(void)shape_filter(m, bits, 'x', &e);
	CU_ASSERT_EQUAL(m->patterns.interpreted, PLAN_WAITING);
	CU_ASSERT_EQUAL(m->shapes.pool.out, 119 - PLAN_WAITING);
	CU_ASSERT_EQUAL(hits_of(m, "x/x/x/x/x/x/x/x/x/x"), 119);
	finish(&m);
	m = make(2, 64);
	m->shapes_cheap = 4;
	for (uint32_t bits = 1; bits < 60; bits++) {
		(void)shape_filter(m, bits, 'x', &e);
		CU_ASSERT_EQUAL(e, ERR_NONE);
	}
	CU_ASSERT_EQUAL(m->shapes.pool.out, 57);
	CU_ASSERT_EQUAL(hits_of(m, "x/x/x/x/x/x/x/x/x/x"), 59);
	finish(&m);
}

static void expect_news(struct match *m, bool added, const char *text)
{
	struct match_news n;

	CU_ASSERT_TRUE_FATAL(match_next_news(m, &n));
	CU_ASSERT_EQUAL(n.added, added);
	if (text != NULL)
		CU_ASSERT_TRUE(span_equal(n.text, span_str(text)));
	match_took_news(m);
}

static void news_are_said_once(void)
{
	struct match *m = make(4, 64);
	struct match_news n;

	CU_ASSERT_EQUAL(insert(m, AMQP "#.a"), ERR_NONE);
	CU_ASSERT_EQUAL(insert(m, REGEX "b"), ERR_NONE);
	CU_ASSERT_EQUAL(insert(m, REGEX "b"), ERR_NONE);
	expect_news(m, true, AMQP "#.a");
	expect_news(m, true, REGEX "b");
	CU_ASSERT_FALSE(match_next_news(m, &n));
	match_remove(m, match_find(m, span_str(AMQP "#.a")));
	/* What takes its number before its end was said, says so itself. */
	CU_ASSERT_EQUAL(insert(m, REGEX "c"), ERR_NONE);
	expect_news(m, true, REGEX "c");
	CU_ASSERT_FALSE(match_next_news(m, &n));
	match_remove(m, match_find(m, span_str(REGEX "c")));
	expect_news(m, false, NULL);
	match_repeat_news(m);
	expect_news(m, true, REGEX "b");
	CU_ASSERT_FALSE(match_next_news(m, &n));
	finish(&m);
}

/* Each prefix and each cut of a good expression is read without harm, and so is a long one. */
static void readers_stay_inside(void)
{
	static const char good[] = "^(?:a|[^b-d\\]x]{2,5}|\\d+?)*(\\.|\xc3\xa9)$|z{3}";
	static struct regex_tree tree;
	uint8_t text[REGEX_SIZE_MAX + 1];

	for (size_t from = 0; from < sizeof(good) - 1; from++)
		for (size_t to = from; to < sizeof(good); to++)
			(void)!regex_read(span_of(good + from, to - from), &tree);
	memset(text, '(', sizeof(text));
	CU_ASSERT_EQUAL(regex_read(span_of(text, REGEX_SIZE_MAX), &tree), ERR_EXPRESSION_SIZE);
	memset(text, '|', sizeof(text));
	CU_ASSERT_EQUAL(regex_read(span_of(text, REGEX_SIZE_MAX), &tree), ERR_NONE);
	CU_ASSERT_EQUAL(regex_read(span_of(text, REGEX_SIZE_MAX + 1), &tree), ERR_EXPRESSION_SIZE);
}

static const struct unit_test tests[] = {
	{"forms_match_as_the_table_says", forms_match_as_the_table_says},
	{"what_is_refused", what_is_refused},
	{"regular_words_need_no_pattern", regular_words_need_no_pattern},
	{"limits_are_kept", limits_are_kept},
	{"rare_shapes_become_patterns", rare_shapes_become_patterns},
	{"patterns_that_wait_are_few", patterns_that_wait_are_few},
	{"news_are_said_once", news_are_said_once},
	{"readers_stay_inside", readers_stay_inside},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("patterns", tests, argc, argv);
}
