/* retained_test.c - retained values: rows, and random walks of changes and snapshots beside a
 * model. */
#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"
#include "dataplane/fabric/retained_internal.h"
#include "dataplane/match/naive.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEGMENTS = 64, TOPICS = 400 };

static struct counters counters;
static struct rte_mempool *segments;
static struct messages *store;
static struct retained *retained;
static const struct message_props no_props;
static uint64_t now_us;
static uint8_t bytes[300 << 10];

/* As CU_ASSERT_PTR_NOT_NULL_FATAL, and the static analyzer understands it. */
static void must(const void *p)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	ASSERT(p != NULL);
}

/* Filters that are not levels: topics that end with what stands behind the prefix. */
static bool ends_with(void *owner, struct span filter, struct span topic)
{
	const struct span end = span_skip(filter, sizeof("$filter/") - 1);

	CU_ASSERT_PTR_EQUAL(owner, &retained);
	return topic.size >= end.size && span_equal(span_skip(topic, topic.size - end.size), end);
}

static void start(uint32_t topics_max, uint64_t bytes_max)
{
	const struct retained_conf conf = {.topics_max = topics_max,
		.bytes_max = bytes_max,
		.secret = 7,
		.counters = &counters,
		.matches = ends_with,
		.owner = &retained};

	segments = unit_pool(SEGMENTS);
	const struct messages_conf messages = {
		.count = 4, .large_count = 2, .segments = segments, .counters = &counters};
	memset(&counters, 0, sizeof(counters));
	store = messages_create(&messages);
	retained = retained_create(&conf);
	must(store);
	must(retained);
	now_us = 5000000;
}

static void finish(void)
{
	retained_check(retained);
	CU_ASSERT_EQUAL(messages_alive(store), 0);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(segments), SEGMENTS);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_RETAINED), retained_count(retained));
	retained_destroy(&retained);
	messages_destroy(&store);
	rte_mempool_free(segments);
}

static enum err set_full(struct span topic, const struct message_props *props, struct span payload)
{
	struct message *m = message_begin(store, topic, props, (uint32_t)payload.size);

	must(m);
	CU_ASSERT_TRUE(message_append(m, payload));
	m->retain = true;
	m->qos = 1;
	m->born_us = now_us;
	const enum err e = retained_set(retained, m);
	message_put(&m);
	return e;
}

static enum err set(const char *topic, const char *payload)
{
	return set_full(span_str(topic), &no_props, span_str(payload));
}

static bool holds(const struct message *m, struct span expected)
{
	for (const struct rte_mbuf *s = m->payload; s != NULL; s = s->next) {
		if (s->data_len > expected.size ||
			memcmp(rte_pktmbuf_mtod(s, const void *), expected.at, s->data_len) != 0)
			return false;
		expected = span_skip(expected, s->data_len);
	}
	return expected.size == 0;
}

/* The topics that a filter tells, joined by spaces; and how many were looked at. */
static const char *told(const char *filter, uint32_t *looks)
{
	static char text[4096];
	struct retained_cursor *c = retained_open(retained, span_str(filter));
	uint32_t budget = 100000;
	struct message *m;
	size_t at = 0;

	must(c);
	text[0] = '\0';
	while (retained_next(retained, c, store, now_us, &budget, &m) == RETAINED_VALUE) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s", at > 0 ? " " : "",
			(int)m->topic.size, (const char *)m->topic.at);
		CU_ASSERT_TRUE(m->retain);
		CU_ASSERT_EQUAL(m->qos, 1);
		message_put(&m);
	}
	retained_close(retained, &c);
	if (looks != NULL)
		*looks = 100000 - budget;
	return text;
}

static const char *const some[] = {"a", "a/b", "a/b/c", "a/c", "a!", "ab", "b/a", "b/b/c", "/",
	"/a", "a/", "$SYS/x", "$SYS/y", "%", "a//c", "a/b/d", "c/b/c"};

struct told_row {
	const char *filter, *topics;
};

static const struct told_row told_rows[] = {
	{"#", "/ /a a a/ a//c a/b a/b/c a/b/d a/c a! ab b/a b/b/c c/b/c %"},
	{"+", "% a a! ab"},
	{"a/#", "a a/ a//c a/b a/b/c a/b/d a/c"},
	{"a/+", "a/ a/b a/c"},
	{"+/+", "/ /a a/ a/b a/c b/a"},
	{"+/b/c", "a/b/c b/b/c c/b/c"},
	{"+/b/#", "a/b a/b/c a/b/d b/b/c c/b/c"},
	{"a/b/+", "a/b/c a/b/d"},
	{"a/b", "a/b"},
	{"$filter//c", "a//c a/b/c a/c b/b/c c/b/c"},
	{"$filter/x", "$SYS/x"},
	{"$filter/nowhere", ""},
	{"a/d", ""},
	{"b", ""},
	{"$SYS/#", "$SYS/x $SYS/y"},
	{"$SYS/+", "$SYS/x $SYS/y"},
	{"$SYS/y", "$SYS/y"},
	{"+/x", ""},
	{"a//c", "a//c"},
	{"a/+/c", "a//c a/b/c"},
	{"/+", "/ /a"},
	{"+/", "/ a/"},
	{"c/#", "c/b/c"},
	{"z/#", ""},
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The same words, in any order. */
static bool same_words(const char *a, const char *b)
{
	char left[4096], right[4096], *l[64], *r[64], *rest;
	size_t nl = 0, nr = 0;

	snprintf(left, sizeof(left), "%s", a);
	snprintf(right, sizeof(right), "%s", b);
	for (char *w = strtok_r(left, " ", &rest); w != NULL && nl < 64;
		w = strtok_r(NULL, " ", &rest))
		l[nl++] = w;
	for (char *w = strtok_r(right, " ", &rest); w != NULL && nr < 64;
		w = strtok_r(NULL, " ", &rest))
		r[nr++] = w;
	if (nl != nr)
		return false;
	qsort(l, nl, sizeof(*l), by_text);
	qsort(r, nr, sizeof(*r), by_text);
	for (size_t i = 0; i < nl; i++)
		if (strcmp(l[i], r[i]) != 0)
			return false;
	return true;
}

static void filters_tell_what_they_match(void)
{
	start(100, 100 * 64);
	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		CU_ASSERT_EQUAL(set(some[i], "v"), ERR_NONE);
	retained_check(retained);
	for (size_t i = 0; i < ARRAY_SIZE(told_rows); i++) {
		const char *got = told(told_rows[i].filter, NULL);
		if (!same_words(got, told_rows[i].topics)) {
			printf("# %s: %s\n", told_rows[i].filter, got);
			CU_FAIL("wrong topics");
		}
	}
	CU_ASSERT_EQUAL(retained_count(retained), ARRAY_SIZE(some));
	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		CU_ASSERT_EQUAL(set(some[i], ""), ERR_NONE);
	CU_ASSERT_EQUAL(retained_count(retained), 0);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_RETAINED_BYTES), 0);
	finish();
}

/* What cannot match is not read: 100 x 100 topics, and what a filter looks at. */
static void filters_read_only_their_part(void)
{
	static const struct {
		const char *filter;
		uint32_t looks;
	} rows[] = {{"50/50", 2}, {"50/5000", 2}, {"50/#", 101}, {"+/50", 300}, {"50/+", 101},
		{"#", 10000}, {"x/+/y", 2}, {"+/7/z", 300}};
	char topic[32];
	uint32_t looks;

	start(10000, 10000 * 64);
	for (int i = 0; i < 10000; i++) {
		snprintf(topic, sizeof(topic), "%d/%d", i / 100, i % 100);
		CU_ASSERT_EQUAL(set(topic, "v"), ERR_NONE);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct retained_cursor *c = retained_open(retained, span_str(rows[i].filter));
		uint32_t budget = 100000;
		struct message *m;
		while (retained_next(retained, c, store, now_us, &budget, &m) == RETAINED_VALUE)
			message_put(&m);
		looks = 100000 - budget;
		if (looks > rows[i].looks) {
			printf("# %s: %u looks\n", rows[i].filter, looks);
			CU_FAIL("too many looks");
		}
		retained_close(retained, &c);
	}
	finish();
}

static void values_come_back_whole(void)
{
	static const uint32_t sizes[] = {1, 30, 59, 60, 61, 119, 120, 121, 2048, 5000, 60000};
	const struct message_props props = {.content_type = span_str("text/plain"),
		.reply_to = span_str("r/1"),
		.correlation = span_str("77"),
		.user = span_of("\0\1k\0\1v", 6),
		.payload_is_utf8 = 1,
		.priority = 4};

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 + i / 256);
	start(ARRAY_SIZE(sizes), 2 * sizeof(bytes));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct message *m;
		uint32_t budget = 10;
		const struct span topic =
			span_of("tttttttttttttttttttttttttttttttttttttttttttttttttt"
				"tttttttttttttttttttttttt",
				50 + i);
		CU_ASSERT_EQUAL(set_full(topic, &props, span_of(bytes, sizes[i])), ERR_NONE);
		/* and again, over the old one */
		CU_ASSERT_EQUAL(set_full(topic, &props, span_of(bytes + 1, sizes[i])), ERR_NONE);
		struct retained_cursor *c = retained_open(retained, topic);
		CU_ASSERT_EQUAL(
			retained_next(retained, c, store, now_us, &budget, &m), RETAINED_VALUE);
		must(m);
		CU_ASSERT_TRUE(span_equal(m->topic, topic));
		CU_ASSERT_TRUE(span_equal(m->props.content_type, props.content_type));
		CU_ASSERT_TRUE(span_equal(m->props.reply_to, props.reply_to));
		CU_ASSERT_TRUE(span_equal(m->props.correlation, props.correlation));
		CU_ASSERT_TRUE(span_equal(m->props.user, props.user));
		CU_ASSERT_EQUAL(m->props.priority, 4);
		CU_ASSERT_EQUAL(m->props.payload_is_utf8, 1);
		CU_ASSERT_TRUE(holds(m, span_of(bytes + 1, sizes[i])));
		message_put(&m);
		retained_close(retained, &c);
	}
	finish();
}

static void memory_is_bounded_and_comes_back(void)
{
	start(3, 4 * 64);
	CU_ASSERT_EQUAL(set("a", "1"), ERR_NONE);
	CU_ASSERT_EQUAL(set_full(span_str("b"), &no_props, span_of(bytes, 60)), ERR_NONE); /* 2 */
	CU_ASSERT_EQUAL(set_full(span_str("c"), &no_props, span_of(bytes, 60)), ERR_RETAINED_FULL);
	CU_ASSERT_EQUAL(set("c", "1"), ERR_NONE);
	CU_ASSERT_EQUAL(set("d", "1"), ERR_RETAINED_FULL);
	CU_ASSERT_EQUAL(
		counter_get(&counters, (enum counter)(COUNTER_NAMED + ERR_RETAINED_FULL)), 2);
	CU_ASSERT_STRING_EQUAL(told("#", NULL), "a b c");
	/* Over an old value, its own cells count. */
	CU_ASSERT_EQUAL(set_full(span_str("b"), &no_props, span_of(bytes + 9, 119)), ERR_NONE);
	CU_ASSERT_EQUAL(set("c", ""), ERR_NONE);
	CU_ASSERT_EQUAL(set_full(span_str("b"), &no_props, span_of(bytes, 179)), ERR_NONE);
	CU_ASSERT_EQUAL(set_full(span_str("b"), &no_props, span_of(bytes, 180)), ERR_RETAINED_FULL);
	CU_ASSERT_EQUAL(set("b", ""), ERR_NONE);
	CU_ASSERT_EQUAL(set("nobody", ""), ERR_NONE);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_RETAINED_BYTES), 64 + sizeof(struct value));
	finish();
}

static void values_expire(void)
{
	const struct message_props props = {.expiry_s = 10};
	uint32_t budget = 100;
	struct message *m;

	start(10, 4096);
	CU_ASSERT_EQUAL(set("b", "stays"), ERR_NONE);
	CU_ASSERT_EQUAL(set_full(span_str("a"), &props, span_str("goes")), ERR_NONE);
	now_us += 3500000;
	struct retained_cursor *c = retained_open(retained, span_str("a"));
	CU_ASSERT_EQUAL(retained_next(retained, c, store, now_us, &budget, &m), RETAINED_VALUE);
	must(m);
	CU_ASSERT_EQUAL(m->props.expiry_s, 7);
	CU_ASSERT_EQUAL(m->born_us, now_us);
	message_put(&m);
	retained_close(retained, &c);
	now_us += 6499999;
	CU_ASSERT_STRING_EQUAL(told("#", NULL), "a b");
	retained_sweep(retained, now_us, 10);
	CU_ASSERT_EQUAL(retained_count(retained), 2);
	now_us += 1;
	CU_ASSERT_STRING_EQUAL(told("#", NULL), "b");
	c = retained_open(retained, span_str("#")); /* stands on the one that goes */
	retained_sweep(retained, now_us, 2);
	CU_ASSERT_EQUAL(retained_count(retained), 1);
	CU_ASSERT_EQUAL(retained_next(retained, c, store, now_us, &budget, &m), RETAINED_VALUE);
	must(m);
	CU_ASSERT_TRUE(span_equal(m->topic, span_str("b")));
	message_put(&m);
	retained_close(retained, &c);
	finish();
}

static void a_store_without_room_is_asked_again(void)
{
	struct message *held[4], *m;
	uint32_t budget = 100;

	start(10, 4096);
	CU_ASSERT_EQUAL(set("a", "1"), ERR_NONE);
	struct retained_cursor *c = retained_open(retained, span_str("#"));
	for (size_t i = 0; i < ARRAY_SIZE(held); i++)
		held[i] = message_begin(store, span_str("x"), &no_props, 0);
	CU_ASSERT_EQUAL(retained_next(retained, c, store, now_us, &budget, &m), RETAINED_NO_ROOM);
	message_put(&held[0]);
	struct rte_mbuf *others[SEGMENTS];
	CU_ASSERT_EQUAL(rte_pktmbuf_alloc_bulk(segments, others, SEGMENTS), 0);
	CU_ASSERT_EQUAL(retained_next(retained, c, store, now_us, &budget, &m), RETAINED_NO_ROOM);
	rte_pktmbuf_free_bulk(others, SEGMENTS);
	CU_ASSERT_EQUAL(retained_next(retained, c, store, now_us, &budget, &m), RETAINED_VALUE);
	message_put(&m);
	CU_ASSERT_EQUAL(retained_next(retained, c, store, now_us, &budget, &m), RETAINED_END);
	/* Back to what was declined. */
	retained_seek(retained, c, span_str("a"));
	CU_ASSERT_EQUAL(retained_next(retained, c, store, now_us, &budget, &m), RETAINED_VALUE);
	message_put(&m);
	budget = 0;
	retained_seek(retained, c, span_str("a"));
	CU_ASSERT_EQUAL(retained_next(retained, c, store, now_us, &budget, &m), RETAINED_BUDGET);
	retained_close(retained, &c);
	for (size_t i = 1; i < ARRAY_SIZE(held); i++)
		message_put(&held[i]);
	finish();
}

static void cursors_are_counted(void)
{
	static struct retained_cursor *c[RETAINED_CURSORS_MAX];

	start(10, 4096);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		c[i] = retained_open(retained, span_str("#"));
		must(c[i]);
	}
	CU_ASSERT_PTR_NULL(retained_open(retained, span_str("#")));
	retained_close(retained, &c[17]);
	c[17] = retained_open(retained, span_str("a"));
	must(c[17]);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		retained_close(retained, &c[i]);
	finish();
}

/* The model: every topic has a version, 0 when it is not there, and when it last came or went. */
struct modelled {
	char topic[24];
	uint32_t version, since, told; /* told: the version in the snapshot under way */
};

struct snapshot {
	struct retained_cursor *cursor;
	char filter[24];
	uint32_t began;
	bool open;
	uint32_t told[TOPICS];
};

static struct modelled model[TOPICS];
static struct snapshot snapshots[8];
static uint32_t step_now, version_now;

static void random_text(struct rng *rng, char *out, bool filter)
{
	static const char *const levels[] = {"a", "b", "ab", "", "a!", "$a", "+", "+"};
	const uint32_t count = 1 + rng_below(rng, 4);
	size_t at = 0;

	for (uint32_t i = 0; i < count; i++)
		at += (size_t)snprintf(out + at, 24 - at, "%s%s", i > 0 ? "/" : "",
			levels[rng_below(rng, filter ? 8 : 6)]);
	if (filter && rng_chance(rng, 500000))
		snprintf(out + at, 24 - at, "/#");
	if (filter && rng_chance(rng, 100000))
		snprintf(out, 24, "#");
	if (out[0] == '\0')
		snprintf(out, 24, "c");
}

static void model_topics(struct rng *rng)
{
	for (uint32_t i = 0; i < TOPICS; i++) {
		bool fresh;
		do {
			fresh = true;
			random_text(rng, model[i].topic, false);
			for (uint32_t j = 0; j < i; j++)
				fresh &= strcmp(model[i].topic, model[j].topic) != 0;
		} while (!fresh);
		model[i].version = model[i].since = 0;
	}
}

static void walk_set(struct rng *rng)
{
	struct modelled *t = &model[rng_below(rng, TOPICS)];
	const bool remove = rng_chance(rng, 350000);
	char payload[200];

	memset(payload, 'x', sizeof(payload));
	snprintf(payload, sizeof(payload), "%u ", ++version_now);
	payload[strlen(payload)] = 'x';
	const size_t size = 12 + rng_below(rng, sizeof(payload) - 12);
	CU_ASSERT_EQUAL(
		set_full(span_str(t->topic), &no_props, span_of(payload, remove ? 0 : size)),
		ERR_NONE);
	if ((t->version != 0) == remove)
		t->since = step_now;
	t->version = remove ? 0 : version_now;
}

static uint32_t index_of(struct span topic)
{
	for (uint32_t i = 0; i < TOPICS; i++)
		if (span_equal(topic, span_str(model[i].topic)))
			return i;
	CU_FAIL_FATAL("unknown topic");
	return 0;
}

static void snapshot_end(struct snapshot *s)
{
	retained_close(retained, &s->cursor);
	s->open = false;
	for (uint32_t i = 0; i < TOPICS; i++) {
		const bool matches = naive_matches(span_str(s->filter), span_str(model[i].topic));
		if (!matches)
			CU_ASSERT_EQUAL_FATAL(s->told[i], 0);
		/* There all the time: told. */
		if (matches && model[i].version != 0 && model[i].since < s->began)
			CU_ASSERT_NOT_EQUAL_FATAL(s->told[i], 0);
	}
}

static void snapshot_step(struct rng *rng, struct snapshot *s)
{
	uint32_t budget = rng_below(rng, 20);
	struct message *m;
	const enum retained_step step =
		retained_next(retained, s->cursor, store, now_us, &budget, &m);

	if (step == RETAINED_END) {
		snapshot_end(s);
		return;
	}
	if (step != RETAINED_VALUE)
		return;
	const uint32_t i = index_of(m->topic);
	const uint32_t version =
		(uint32_t)strtoul(rte_pktmbuf_mtod(m->payload, const char *), NULL, 10);
	CU_ASSERT_EQUAL_FATAL(version, model[i].version); /* never an old one */
	if (rng_chance(rng, 100000)) {
		retained_seek(retained, s->cursor, m->topic); /* declined */
	} else {
		CU_ASSERT_EQUAL_FATAL(s->told[i], 0); /* never twice */
		s->told[i] = version;
	}
	message_put(&m);
}

static void snapshot_begin(struct rng *rng, struct snapshot *s)
{
	memset(s, 0, sizeof(*s));
	random_text(rng, s->filter, true);
	s->began = step_now;
	s->open = true;
	s->cursor = retained_open(retained, span_str(s->filter));
	must(s->cursor);
}

static void snapshots_agree_with_the_model(void)
{
	struct rng rng = rng_from(unit_seed());

	start(TOPICS, TOPICS * 64 * 5);
	model_topics(&rng);
	for (step_now = 1; step_now < 60000; step_now++) {
		struct snapshot *s = &snapshots[rng_below(&rng, ARRAY_SIZE(snapshots))];
		if (rng_chance(&rng, 300000))
			walk_set(&rng);
		else if (s->open)
			snapshot_step(&rng, s);
		else
			snapshot_begin(&rng, s);
		if (step_now % 512 == 0)
			retained_check(retained);
	}
	for (size_t i = 0; i < ARRAY_SIZE(snapshots); i++)
		while (snapshots[i].open)
			snapshot_step(&rng, &snapshots[i]);
	finish();
}

static const struct unit_test tests[] = {
	{"filters_tell_what_they_match", filters_tell_what_they_match},
	{"filters_read_only_their_part", filters_read_only_their_part},
	{"values_come_back_whole", values_come_back_whole},
	{"memory_is_bounded_and_comes_back", memory_is_bounded_and_comes_back},
	{"values_expire", values_expire},
	{"a_store_without_room_is_asked_again", a_store_without_room_is_asked_again},
	{"cursors_are_counted", cursors_are_counted},
	{"snapshots_agree_with_the_model", snapshots_agree_with_the_model},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("retained", tests, argc, argv);
}
