/* match_test.c - the rules of MQTT 5.0 4.7, row by row, and the matcher's limits. */
#include "dataplane/match/internal.h"

#include "dataplane/match/naive.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

static struct counters counters;

static struct match *make(uint32_t filters_max, size_t filter_bytes_max)
{
	const struct match_conf conf = {.filters_max = filters_max,
		.filter_bytes_max = filter_bytes_max,
		.key = {1, 2},
		.counters = &counters};

	memset(&counters, 0, sizeof(counters));
	struct match *m = match_create(&conf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	return m;
}

static void finish(struct match **m)
{
	match_check(*m);
	match_destroy(m);
	CU_ASSERT_PTR_NULL(*m);
}

static uint32_t insert(struct match *m, const char *filter)
{
	uint32_t id = MATCH_NONE;
	CU_ASSERT_EQUAL(match_insert(m, span_str(filter), &id), ERR_NONE);
	return id;
}

static void count_hit(void *owner, uint32_t id)
{
	uint32_t *last = owner;
	*last = id;
}

static uint32_t hits(struct match *m, const char *topic)
{
	uint32_t last = MATCH_NONE;
	return match_topic(m, span_str(topic), count_hit, &last);
}

struct pair {
	const char *filter, *topic;
	bool matches;
};

/* The examples of MQTT 5.0 4.7 first, then what follows from its rules. */
static const struct pair pairs[] = {
	/* 4.7.1.2 */
	{"sport/tennis/player1/#", "sport/tennis/player1", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
	{"sport/#", "sport", true},
	{"#", "sport/tennis", true},
	{"#", "/", true},
	/* 4.7.1.3 */
	{"sport/tennis/+", "sport/tennis/player1", true},
	{"sport/tennis/+", "sport/tennis/player2", true},
	{"sport/tennis/+", "sport/tennis/player1/ranking", false},
	{"sport/+", "sport", false},
	{"sport/+", "sport/", true},
	{"+/+", "/finance", true},
	{"/+", "/finance", true},
	{"+", "/finance", false},
	{"+", "finance", true},
	{"+/tennis/#", "sport/tennis", true},
	{"sport/+/player1", "sport/tennis/player1", true},
	{"sport/+/player1", "sport//player1", true},
	{"sport/+/player1", "sport/tennis/player2", false},
	/* 4.7.2 */
	{"#", "$SYS/monitor", false},
	{"+/monitor/Clients", "$SYS/monitor/Clients", false},
	{"$SYS/#", "$SYS/monitor", true},
	{"$SYS/#", "$SYS", true},
	{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
	{"+", "$SYS", false},
	{"+/#", "$SYS", false},
	{"$SYS", "$SYS", true},
	{"a/#", "a/$SYS", true},
	{"a/+", "a/$SYS", true},
	{"+/$SYS", "a/$SYS", true},
	/* 4.7.3 */
	{"ACCOUNTS", "Accounts", false},
	{"Accounts payable", "Accounts payable", true},
	{"/finance", "finance", false},
	{"finance", "/finance", false},
	{"/", "/", true},
	{"/", "//", false},
	{"a/", "a", false},
	{"a", "a/", false},
	/* Empty levels are levels. */
	{"a//b", "a//b", true},
	{"a//b", "a/b", false},
	{"a/+/b", "a//b", true},
	{"a/+/b", "a/b", false},
	{"+/+/+", "//", true},
	{"+/+", "//", false},
	{"/#", "/", true},
	{"/#", "a", false},
	{"/#", "/a/b", true},
	{"a//#", "a/", true},
	{"a//#", "a", false},
	{"a/#", "a/", true},
	/* Levels are compared whole, and in their place. */
	{"a/b", "b/a", false},
	{"+/b", "b/a", false},
	{"a/+", "b/a", false},
	{"ab/#", "a", false},
	{"a/#", "ab", false},
	{"a/+/c/#", "a/b/c", true},
	{"a/+/c/#", "a/b/c/d/e", true},
	{"a/+/c/#", "a/b/cc", false},
	{"+/+/#", "a", false},
	{"+/#", "a", true},
	{"+/#", "a/b/c", true},
	{"a/+/#", "a/b", true},
	{"a/+/#", "a", false},
};

static void matches_as_the_specification_says(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct match *m = make(4, 100);
		insert(m, pairs[i].filter);
		if (hits(m, pairs[i].topic) != (pairs[i].matches ? 1u : 0u)) {
			printf("# %s on %s\n", pairs[i].filter, pairs[i].topic);
			CU_FAIL("not as the specification says");
		}
		finish(&m);
	}
}

static void the_oracle_agrees_with_the_table(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		const struct span filter = span_str(pairs[i].filter);
		const struct span topic = span_str(pairs[i].topic);
		CU_ASSERT_EQUAL(naive_matches(filter, topic), pairs[i].matches);
		CU_ASSERT_TRUE(naive_filter_ok(filter));
		CU_ASSERT_TRUE(naive_topic_ok(topic));
	}
}

static void all_pairs_at_once(void)
{
	struct match *m = make(ARRAY_SIZE(pairs), 4096);

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		insert(m, pairs[i].filter);
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		uint32_t expected = 0;
		for (uint32_t id = 0; id < m->store.where.out; id++)
			expected += naive_matches(match_text(m, id), span_str(pairs[i].topic));
		CU_ASSERT_EQUAL(hits(m, pairs[i].topic), expected);
	}
	finish(&m);
}

struct form {
	const char *text;
	size_t size; /* 0: as long as the text */
	enum err filter, topic;
};

static const struct form forms[] = {
	{"", 0, ERR_MQTT_FILTER, ERR_MQTT_TOPIC},
	{"a", 0, ERR_NONE, ERR_NONE},
	{"/", 0, ERR_NONE, ERR_NONE},
	{"a/b", 0, ERR_NONE, ERR_NONE},
	{"a\0b", 3, ERR_MQTT_FILTER, ERR_MQTT_TOPIC},
	{"#", 0, ERR_NONE, ERR_MQTT_TOPIC},
	{"+", 0, ERR_NONE, ERR_MQTT_TOPIC},
	{"sport/tennis/#", 0, ERR_NONE, ERR_MQTT_TOPIC},
	{"sport/tennis#", 0, ERR_MQTT_FILTER, ERR_MQTT_TOPIC},
	{"sport/tennis/#/ranking", 0, ERR_MQTT_FILTER, ERR_MQTT_TOPIC},
	{"#/", 0, ERR_MQTT_FILTER, ERR_MQTT_TOPIC},
	{"##", 0, ERR_MQTT_FILTER, ERR_MQTT_TOPIC},
	{"#a", 0, ERR_MQTT_FILTER, ERR_MQTT_TOPIC},
	{"+/tennis/#", 0, ERR_NONE, ERR_MQTT_TOPIC},
	{"sport+", 0, ERR_MQTT_FILTER, ERR_MQTT_TOPIC},
	{"+sport", 0, ERR_MQTT_FILTER, ERR_MQTT_TOPIC},
	{"++", 0, ERR_MQTT_FILTER, ERR_MQTT_TOPIC},
	{"+#", 0, ERR_MQTT_FILTER, ERR_MQTT_TOPIC},
	{"sport/+/player1", 0, ERR_NONE, ERR_MQTT_TOPIC},
	{"+/+", 0, ERR_NONE, ERR_MQTT_TOPIC},
	{"/+/", 0, ERR_NONE, ERR_MQTT_TOPIC},
	{"$SYS/#", 0, ERR_NONE, ERR_MQTT_TOPIC},
	{"a b/\xc3\xa4", 0, ERR_NONE, ERR_NONE},
};

static void forms_are_judged(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		const size_t size = forms[i].size ? forms[i].size : strlen(forms[i].text);
		const struct span text = span_of(forms[i].text, size);
		CU_ASSERT_EQUAL(match_filter_check(text), forms[i].filter);
		CU_ASSERT_EQUAL(match_topic_check(text), forms[i].topic);
		CU_ASSERT_EQUAL(naive_filter_ok(text), forms[i].filter == ERR_NONE);
		CU_ASSERT_EQUAL(naive_topic_ok(text), forms[i].topic == ERR_NONE);
	}
}

static void malformed_filters_are_not_inserted(void)
{
	struct match *m = make(4, 1000);
	uint32_t id;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (forms[i].filter == ERR_NONE)
			continue;
		const size_t size = forms[i].size ? forms[i].size : strlen(forms[i].text);
		const struct span text = span_of(forms[i].text, size);
		CU_ASSERT_EQUAL(match_insert(m, text, &id), forms[i].filter);
		CU_ASSERT_EQUAL(match_find(m, text), MATCH_NONE);
	}
	finish(&m);
}

/* `levels` levels of `size` bytes in all; the last one is '#' or nothing of the kind. */
static struct span deep(size_t levels, bool open)
{
	static uint8_t text[65536];
	size_t n = 0;

	for (size_t i = 0; i < levels; i++) {
		text[n++] = i + 1 == levels && open ? '#' : 'x';
		text[n++] = '/';
	}
	return span_of(text, n - 1);
}

static void depth_has_a_limit(void)
{
	struct match *m = make(4, 1000);
	uint32_t id, last;

	CU_ASSERT_EQUAL(match_filter_check(deep(128, false)), ERR_NONE);
	CU_ASSERT_EQUAL(match_topic_check(deep(128, false)), ERR_NONE);
	CU_ASSERT_EQUAL(match_filter_check(deep(129, false)), ERR_TOPIC_TOO_DEEP);
	CU_ASSERT_EQUAL(match_topic_check(deep(129, false)), ERR_TOPIC_TOO_DEEP);
	CU_ASSERT_EQUAL(match_insert(m, deep(129, true), &id), ERR_TOPIC_TOO_DEEP);

	CU_ASSERT_EQUAL(match_insert(m, deep(128, true), &id), ERR_NONE);
	CU_ASSERT_EQUAL(match_insert(m, deep(128, false), &id), ERR_NONE);
	CU_ASSERT_EQUAL(match_topic(m, deep(126, false), count_hit, &last), 0);
	CU_ASSERT_EQUAL(match_topic(m, deep(127, false), count_hit, &last), 1);
	CU_ASSERT_EQUAL(match_topic(m, deep(128, false), count_hit, &last), 2);
	/* Beyond the limit nothing matches, though '#' would. */
	CU_ASSERT_EQUAL(match_topic(m, deep(129, false), count_hit, &last), 0);
	finish(&m);
}

static void size_has_a_limit(void)
{
	static uint8_t text[MATCH_FILTER_BYTES_MAX + 1];
	struct match *m = make(2, MATCH_FILTER_BYTES_MAX);
	uint32_t id, last;

	memset(text, 'a', sizeof(text));
	CU_ASSERT_EQUAL(match_filter_check(span_of(text, sizeof(text))), ERR_MQTT_FILTER);
	CU_ASSERT_EQUAL(match_topic_check(span_of(text, sizeof(text))), ERR_MQTT_TOPIC);
	const struct span longest = span_of(text, sizeof(text) - 1);
	CU_ASSERT_EQUAL(match_insert(m, longest, &id), ERR_NONE);
	CU_ASSERT_EQUAL(match_topic(m, longest, count_hit, &last), 1);
	CU_ASSERT_TRUE(span_equal(match_text(m, id), longest));
	finish(&m);
}

static void equal_filters_share_an_id(void)
{
	struct match *m = make(4, 100);
	const uint32_t a = insert(m, "a/+"), b = insert(m, "a/b");

	CU_ASSERT_NOT_EQUAL(a, b);
	CU_ASSERT_EQUAL(insert(m, "a/+"), a);
	CU_ASSERT_EQUAL(insert(m, "a/b"), b);
	CU_ASSERT_EQUAL(match_find(m, span_str("a/b")), b);
	CU_ASSERT_EQUAL(match_find(m, span_str("a/#")), MATCH_NONE);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_FILTERS), 2);
	match_remove(m, a);
	CU_ASSERT_EQUAL(match_find(m, span_str("a/+")), MATCH_NONE);
	CU_ASSERT_EQUAL(hits(m, "a/b"), 1);
	match_remove(m, b);
	CU_ASSERT_EQUAL(hits(m, "a/b"), 0);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_FILTERS), 0);
	CU_ASSERT_EQUAL(m->shapes.pool.out, 0);
	CU_ASSERT_EQUAL(m->store.where.out, 0);
	finish(&m);
}

static void tables_fill_up_and_serve_on(void)
{
	struct match *m = make(2, 8);
	uint32_t id;

	insert(m, "a/+");
	CU_ASSERT_EQUAL(match_insert(m, span_str("123456"), &id), ERR_FILTER_TABLE_FULL);
	CU_ASSERT_EQUAL(match_insert(m, span_str("+/3456"), &id), ERR_FILTER_TABLE_FULL);
	const uint32_t b = insert(m, "b");
	CU_ASSERT_EQUAL(match_insert(m, span_str("c"), &id), ERR_FILTER_TABLE_FULL);
	CU_ASSERT_EQUAL(match_insert(m, span_str("#"), &id), ERR_FILTER_TABLE_FULL);
	/* What was refused left no shape behind. */
	CU_ASSERT_EQUAL(m->shapes.pool.out, 1);
	CU_ASSERT_EQUAL(insert(m, "b"), b);
	match_remove(m, b);
	insert(m, "#");
	CU_ASSERT_EQUAL(hits(m, "a/b"), 2);
	finish(&m);
}

/* Thirteen levels, each literal or wild: 8192 shapes, twice as many as are let in. */
static void shapes_have_a_limit(void)
{
	struct match *m = make(2 * MATCH_SHAPES_MAX, 1 << 20);
	char filter[] = "x/x/x/x/x/x/x/x/x/x/x/x/x";
	uint32_t id = 0, refused = 0, admitted = 0;

	for (uint32_t bits = 1; bits < 2 * MATCH_SHAPES_MAX; bits++) {
		for (uint32_t i = 0; i < 13; i++)
			filter[2 * i] = bits >> i & 1 ? '+' : 'x';
		const enum err e = match_insert(m, span_str(filter), &id);
		CU_ASSERT_TRUE(e == ERR_NONE || e == ERR_SHAPE_TABLE_FULL);
		admitted += e == ERR_NONE;
		refused += e == ERR_SHAPE_TABLE_FULL;
	}
	CU_ASSERT_EQUAL(admitted, MATCH_SHAPES_MAX);
	CU_ASSERT_EQUAL(refused, MATCH_SHAPES_MAX - 1);
	/* A shape in use takes another filter, a literal needs none. */
	insert(m, "y/x/x/x/x/x/x/x/x/x/x/x/+");
	insert(m, "x/x/x/x/x/x/x/x/x/x/x/x/x");
	CU_ASSERT_EQUAL(hits(m, "x/x/x/x/x/x/x/x/x/x/x/x/x"), MATCH_SHAPES_MAX + 1);
	CU_ASSERT_EQUAL(hits(m, "x/x/x/x/x/x/x/x/x/x/x/x"), 0);
	for (uint32_t last = m->store.where.out; last > 0; last--)
		match_remove(m, last - 1);
	CU_ASSERT_EQUAL(m->shapes.pool.out, 0);
	insert(m, "+/x/#");
	finish(&m);
}

/* Else a peer could fill one place of the table without knowing the key. */
static void hashes_know_the_place_of_a_level(void)
{
	static const char *const filters[] = {"a/b/+", "b/a/+", "a/a/+", "b/b/+", "+/a/b", "a/b/#",
		"a/+/b", "a/b/+/+", "a//b/+", "/a/b/+", "ab/+/+", "/+/+", "+//+"};
	struct match *m = make(ARRAY_SIZE(filters), 200);

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		const uint32_t id = insert(m, filters[i]);
		for (uint32_t other = 0; other < id; other++)
			CU_ASSERT_NOT_EQUAL(
				store_at(&m->store, other)->hash, store_at(&m->store, id)->hash);
	}
	finish(&m);
}

static void impossible_sizes_are_refused(void)
{
	const struct match_conf many = {.filters_max = UINT32_MAX, .filter_bytes_max = 1};
	const struct match_conf much = {.filters_max = 1, .filter_bytes_max = SIZE_MAX};

	CU_ASSERT_EQUAL(match_bytes(&many), 0);
	CU_ASSERT_PTR_NULL(match_create(&many));
	CU_ASSERT_PTR_NULL(match_create(&much));
}

static const struct unit_test tests[] = {
	{"matches_as_the_specification_says", matches_as_the_specification_says},
	{"the_oracle_agrees_with_the_table", the_oracle_agrees_with_the_table},
	{"all_pairs_at_once", all_pairs_at_once},
	{"forms_are_judged", forms_are_judged},
	{"malformed_filters_are_not_inserted", malformed_filters_are_not_inserted},
	{"depth_has_a_limit", depth_has_a_limit},
	{"size_has_a_limit", size_has_a_limit},
	{"equal_filters_share_an_id", equal_filters_share_an_id},
	{"tables_fill_up_and_serve_on", tables_fill_up_and_serve_on},
	{"shapes_have_a_limit", shapes_have_a_limit},
	{"hashes_know_the_place_of_a_level", hashes_know_the_place_of_a_level},
	{"impossible_sizes_are_refused", impossible_sizes_are_refused},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("match", tests, argc, argv);
}
