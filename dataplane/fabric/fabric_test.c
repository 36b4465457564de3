/* fabric_test.c - subscriptions and fan-out: tables, and random walks beside a naive fabric. */
#include "dataplane/fabric/fabric.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/pool.h"
#include "dataplane/base/rng.h"
#include "dataplane/match/naive.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	QUEUES = 10,
	WORKERS = 3,
	CONNECTIONS = 40,
	SUBSCRIPTIONS = 300,
	DELIVERIES = 5000,
	SPECIALS = 2,
};

static struct counters counters;
static struct rte_mempool *segments;
static struct messages *store;
static struct fabric *fabric;
static struct delivery got[DELIVERIES];
static uint32_t got_count;
static struct message *got_message;

/* As CU_ASSERT_PTR_NOT_NULL_FATAL, and the static analyzer understands it. */
static void must(const void *p)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	ASSERT(p != NULL);
}

static void on_deliver(void *owner, const struct delivery *d, struct message *m)
{
	CU_ASSERT_PTR_EQUAL(owner, got);
	CU_ASSERT_TRUE_FATAL(got_count < DELIVERIES);
	got[got_count++] = *d;
	got_message = m;
}

static void start(uint32_t connections_max, uint32_t subscriptions_max, uint32_t filters_max)
{
	segments = unit_pool(1);
	const struct messages_conf messages = {
		.count = 4, .segments = segments, .counters = &counters};
	const struct fabric_conf conf = {.connections_max = connections_max,
		.queues_max = QUEUES,
		.workers = WORKERS,
		.subscriptions_max = subscriptions_max,
		.specials_max = SPECIALS,
		.match = {.filters_max = filters_max,
			.filter_bytes_max = 256 * filters_max,
			.patterns_max = filters_max,
			.pattern_size_max = 64},
		.counters = &counters,
		.deliver = on_deliver,
		.owner = got};

	memset(&counters, 0, sizeof(counters));
	store = messages_create(&messages);
	fabric = fabric_create(&conf);
	must(store);
	must(fabric);
}

/* Ends a test in which everybody has gone. */
static void finish(void)
{
	fabric_check(fabric);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_SUBSCRIPTIONS), 0);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_FILTERS), 0);
	CU_ASSERT_EQUAL(messages_alive(store), 0);
	CU_ASSERT_EQUAL(fabric_used(fabric), 0);
	fabric_destroy(&fabric);
	messages_destroy(&store);
	rte_mempool_free(segments);
	CU_ASSERT_PTR_NULL(fabric);
}

static enum err subscribe(uint32_t connection, const char *filter)
{
	const struct subscription_options options = {.qos_max = 0};
	bool was_new;
	return fabric_subscribe(fabric, connection, span_str(filter), &options, &was_new);
}

static uint32_t scope = FABRIC_ALL;

static uint32_t publish(const char *topic, uint32_t publisher, bool retain)
{
	const struct message_props props = {0};
	struct message *m = message_begin(store, span_str(topic), &props, 0);

	must(m);
	m->publisher = publisher;
	m->retain = retain;
	got_count = 0;
	got_message = NULL;
	const uint32_t deliveries = fabric_publish(fabric, m, scope);
	CU_ASSERT_EQUAL(deliveries, got_count);
	CU_ASSERT_TRUE(got_message == (deliveries > 0 ? m : NULL));
	CU_ASSERT_EQUAL(m->refs, 1);
	message_put(&m);
	return deliveries;
}

/* Of one session; another worker asks for all of its own. */
static void special_filters_are_limited(void)
{
	start(4, 32, 16);
	CU_ASSERT_EQUAL(subscribe(1, "$filter/amqp/a.#.b"), ERR_NONE);
	CU_ASSERT_EQUAL(subscribe(1, "$filter/amqp/a.#.b"), ERR_NONE);
	CU_ASSERT_EQUAL(subscribe(1, "$filter/amqp/a.*"), ERR_NONE);
	CU_ASSERT_EQUAL(subscribe(1, "$filter/regex/a"), ERR_PATTERNS_OF_SESSION);
	CU_ASSERT_EQUAL(fabric_filter(fabric, span_str("$filter/regex/a")), MATCH_NONE);
	CU_ASSERT_EQUAL(subscribe(1, "a/+"), ERR_NONE);
	CU_ASSERT_EQUAL(subscribe(2, "$filter/regex/a"), ERR_NONE);
	CU_ASSERT_EQUAL(subscribe(fabric_worker(fabric, 1), "$filter/regex/b"), ERR_NONE);
	CU_ASSERT_EQUAL(subscribe(fabric_worker(fabric, 1), "$filter/regex/c"), ERR_NONE);
	CU_ASSERT_EQUAL(subscribe(fabric_worker(fabric, 1), "$filter/regex/d"), ERR_NONE);
	CU_ASSERT_EQUAL(publish("a/b", 0, false), 3);
	fabric_check(fabric);
	CU_ASSERT_EQUAL(fabric_unsubscribe(fabric, 1, span_str("$filter/amqp/a.*")), ERR_NONE);
	CU_ASSERT_EQUAL(subscribe(1, "$filter/regex/a"), ERR_NONE);
	CU_ASSERT_TRUE(fabric_filter_matches(fabric, span_str("$filter/regex/a"), span_str("ba")));
	CU_ASSERT_FALSE(fabric_filter_matches(fabric, span_str("$filter/regex/a"), span_str("b")));
	CU_ASSERT_FALSE(fabric_filter_matches(fabric, span_str("$filter/regex/x"), span_str("x")));
	fabric_forget(fabric, 1);
	fabric_forget(fabric, 2);
	fabric_forget(fabric, fabric_worker(fabric, 1));
	finish();
}

struct folded_row {
	const char *filter; /* all by connection 7, which publishes to "a/b" */
	struct subscription_options options;
};

struct folding {
	struct folded_row rows[4];
	bool retain;
	bool delivered;
	struct delivery expected;
};

static const struct folding foldings[] = {
	{{{"a/b", {.qos_max = 1, .identifier = 5}}}, false, true,
		{.qos = 1, .identifier_count = 1, .identifiers = {5}}},
	{{{"a/b", {.qos_max = 1}}, {"a/+", {.qos_max = 2}}, {"#", {.qos_max = 0}}}, false, true,
		{.qos = 2}},
	{{{"a/b", {.identifier = 3}}, {"a/+", {.identifier = 3}}, {"#", {.identifier = 9}}}, false,
		true, {.identifier_count = 3, .identifiers = {3, 3, 9}}},
	{{{"a/b", {.identifier = 3}}, {"a/+", {.identifier = 0}}}, false, true,
		{.identifier_count = 1, .identifiers = {3}}},
	/* Retain: only with both, and one subscription suffices. */
	{{{"a/b", {.retain_as_published = true}}}, true, true, {.retain = true}},
	{{{"a/b", {.retain_as_published = true}}}, false, true, {.retain = false}},
	{{{"a/b", {.retain_as_published = false}}}, true, true, {.retain = false}},
	{{{"a/b", {0}}, {"a/#", {.retain_as_published = true}}}, true, true, {.retain = true}},
	/* No local leaves out that subscription, with all it brings, and no other. */
	{{{"a/b", {.no_local = true}}}, false, false, {0}},
	{{{"a/b", {.no_local = true}}, {"a/#", {.no_local = true}}}, false, false, {0}},
	{{{"a/b", {.no_local = true, .qos_max = 2, .identifier = 4, .retain_as_published = true}},
		 {"+/b", {.qos_max = 1, .identifier = 6}}},
		true, true, {.qos = 1, .identifier_count = 1, .identifiers = {6}}},
};

static int by_value(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Identifiers may come in any order. */
static bool same(struct delivery a, struct delivery b)
{
	if (a.index != b.index || a.kind != b.kind || a.qos != b.qos || a.retain != b.retain ||
		a.identifier_count != b.identifier_count)
		return false;
	qsort(a.identifiers, a.identifier_count, sizeof(uint32_t), by_value);
	qsort(b.identifiers, b.identifier_count, sizeof(uint32_t), by_value);
	return memcmp(a.identifiers, b.identifiers, a.identifier_count * sizeof(uint32_t)) == 0;
}

static void matches_of_a_connection_fold(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(foldings); i++) {
		const struct folding *f = &foldings[i];
		struct delivery expected = f->expected;
		bool was_new;

		start(10, 10, 10);
		for (size_t r = 0; r < ARRAY_SIZE(f->rows) && f->rows[r].filter != NULL; r++)
			CU_ASSERT_EQUAL(fabric_subscribe(fabric, 7, span_str(f->rows[r].filter),
						&f->rows[r].options, &was_new),
				ERR_NONE);
		CU_ASSERT_EQUAL(publish("a/b", 7, f->retain), f->delivered ? 1 : 0);
		expected.index = 7;
		CU_ASSERT_TRUE(!f->delivered || same(got[0], expected));
		/* From another connection, no_local means nothing. */
		CU_ASSERT_EQUAL(publish("a/b", 8, f->retain), 1);
		CU_ASSERT_EQUAL(publish("a/b", POOL_NONE, f->retain), 1);
		fabric_forget(fabric, 7);
		finish();
	}
}

static void deliveries_come_in_order_of_connection(void)
{
	static const uint32_t exact[] = {5, 1, 9, 3, 7}, wild[] = {8, 1, 2, 9}, open[] = {0, 9, 5};
	static const uint32_t expected[] = {0, 1, 2, 3, 5, 7, 8, 9};

	start(10, 20, 10);
	for (size_t i = 0; i < ARRAY_SIZE(exact); i++)
		CU_ASSERT_EQUAL(subscribe(exact[i], "a/b"), ERR_NONE);
	CU_ASSERT_EQUAL(publish("a/b", POOL_NONE, false), 5);
	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(got[i].index, 2 * i + 1);
	for (size_t i = 0; i < ARRAY_SIZE(wild); i++)
		CU_ASSERT_EQUAL(subscribe(wild[i], "a/+"), ERR_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(open); i++)
		CU_ASSERT_EQUAL(subscribe(open[i], "#"), ERR_NONE);
	CU_ASSERT_EQUAL_FATAL(publish("a/b", POOL_NONE, false), ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		CU_ASSERT_EQUAL(got[i].index, expected[i]);
	fabric_check(fabric);
	for (uint32_t c = 0; c < 10; c++)
		fabric_forget(fabric, c);
	CU_ASSERT_EQUAL(publish("a/b", POOL_NONE, false), 0);
	finish();
}

static void an_equal_filter_gets_new_options(void)
{
	const struct subscription_options old = {.qos_max = 2, .identifier = 1, .no_local = true};
	const struct subscription_options new = {.qos_max = 1, .identifier = 2};
	bool was_new = false;

	start(2, 1, 1);
	CU_ASSERT_EQUAL(fabric_subscribe(fabric, 1, span_str("a/#"), &old, &was_new), ERR_NONE);
	CU_ASSERT_TRUE(was_new);
	CU_ASSERT_EQUAL(fabric_subscribe(fabric, 1, span_str("a/#"), &new, &was_new), ERR_NONE);
	CU_ASSERT_FALSE(was_new);
	CU_ASSERT_EQUAL(fabric_count(fabric, 1), 1);
	CU_ASSERT_EQUAL(publish("a", 1, false), 1);
	CU_ASSERT_EQUAL(got[0].qos, 1);
	CU_ASSERT_EQUAL(got[0].identifier_count, 1);
	CU_ASSERT_EQUAL(got[0].identifiers[0], 2);
	CU_ASSERT_EQUAL(fabric_unsubscribe(fabric, 1, span_str("a/#")), ERR_NONE);
	finish();
}

static void unsubscribing_needs_a_subscription(void)
{
	start(3, 4, 4);
	CU_ASSERT_EQUAL(subscribe(1, "a"), ERR_NONE);
	CU_ASSERT_EQUAL(fabric_unsubscribe(fabric, 2, span_str("a")), ERR_NOT_SUBSCRIBED);
	CU_ASSERT_EQUAL(fabric_unsubscribe(fabric, 1, span_str("b")), ERR_NOT_SUBSCRIBED);
	CU_ASSERT_EQUAL(fabric_unsubscribe(fabric, 1, span_str("+")), ERR_NOT_SUBSCRIBED);
	CU_ASSERT_EQUAL(fabric_unsubscribe(fabric, 1, span_str("##")), ERR_NOT_SUBSCRIBED);
	CU_ASSERT_EQUAL(fabric_unsubscribe(fabric, 1, span_str("a")), ERR_NONE);
	CU_ASSERT_EQUAL(fabric_unsubscribe(fabric, 1, span_str("a")), ERR_NOT_SUBSCRIBED);
	CU_ASSERT_EQUAL(publish("a", POOL_NONE, false), 0);
	finish();
}

static void tables_fill_up_and_serve_on(void)
{
	start(4, 3, 2);
	CU_ASSERT_EQUAL(subscribe(0, "a"), ERR_NONE);
	CU_ASSERT_EQUAL(subscribe(1, "+"), ERR_NONE);
	CU_ASSERT_EQUAL(subscribe(0, "#"), ERR_FILTER_TABLE_FULL);
	CU_ASSERT_EQUAL(subscribe(0, "a#"), ERR_MQTT_FILTER);
	CU_ASSERT_EQUAL(subscribe(2, "a"), ERR_NONE);
	CU_ASSERT_EQUAL(subscribe(3, "a"), ERR_SUBSCRIPTION_TABLE_FULL);
	CU_ASSERT_EQUAL(subscribe(2, "a"), ERR_NONE); /* is there already */
	CU_ASSERT_EQUAL(publish("a", POOL_NONE, false), 3);
	CU_ASSERT_EQUAL(fabric_count(fabric, 3), 0);
	fabric_check(fabric);
	fabric_forget(fabric, 1);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_FILTERS), 1);
	CU_ASSERT_EQUAL(subscribe(3, "#"), ERR_NONE);
	CU_ASSERT_EQUAL(publish("a", POOL_NONE, false), 3);
	/* A filter made for a subscription that found no room goes again. */
	fabric_forget(fabric, 3);
	CU_ASSERT_EQUAL(subscribe(1, "a"), ERR_NONE);
	CU_ASSERT_EQUAL(subscribe(1, "b"), ERR_SUBSCRIPTION_TABLE_FULL);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_FILTERS), 1);
	for (uint32_t c = 0; c < 4; c++)
		fabric_forget(fabric, c);
	finish();
}

/* More matching filters than a delivery has room for identifiers. */
static void surplus_identifiers_are_left_out(void)
{
	static const char *const filters[] = {
		"a/b/c", "a/b/+", "a/+/c", "a/+/+", "+/b/c", "+/b/+", "+/+/c", "+/+/+", "#", "a/#"};
	bool was_new;

	start(1, 10, 10);
	for (uint32_t i = 0; i < ARRAY_SIZE(filters); i++) {
		const struct subscription_options options = {.identifier = i + 1};
		CU_ASSERT_EQUAL(
			fabric_subscribe(fabric, 0, span_str(filters[i]), &options, &was_new),
			ERR_NONE);
	}
	CU_ASSERT_EQUAL(publish("a/b/c", POOL_NONE, false), 1);
	CU_ASSERT_EQUAL(got[0].identifier_count, FABRIC_IDENTIFIERS_MAX);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_IDENTIFIERS_LEFT_OUT), 2);
	fabric_forget(fabric, 0);
	finish();
}

/* The treap's depth is logarithmic also when connections come in order. */
static void large_audiences_are_served_in_order(void)
{
	struct rng rng = rng_from(unit_seed());

	start(DELIVERIES, 2 * DELIVERIES, 2);
	for (uint32_t c = 0; c < DELIVERIES; c++)
		CU_ASSERT_EQUAL(subscribe(c, "a"), ERR_NONE);
	for (uint32_t c = DELIVERIES; c > 0; c--)
		CU_ASSERT_EQUAL(subscribe(c - 1, "+"), ERR_NONE);
	fabric_check(fabric);
	CU_ASSERT_EQUAL(publish("a", POOL_NONE, false), DELIVERIES);
	for (uint32_t c = 0; c < DELIVERIES; c++)
		CU_ASSERT_EQUAL(got[c].index, c);
	for (uint32_t i = 0; i < DELIVERIES; i++) {
		const char *filter = i % 2 ? "a" : "+";
		const enum err e =
			fabric_unsubscribe(fabric, rng_below(&rng, DELIVERIES), span_str(filter));
		CU_ASSERT_TRUE(e == ERR_NONE || e == ERR_NOT_SUBSCRIBED);
	}
	fabric_check(fabric);
	(void)publish("a", POOL_NONE, false);
	for (uint32_t i = 1; i < got_count; i++)
		CU_ASSERT_TRUE(got[i - 1].index < got[i].index);
	for (uint32_t c = 0; c < DELIVERIES; c++)
		fabric_forget(fabric, c);
	finish();
}

static void three_kinds_share_a_message(void)
{
	static const struct {
		uint32_t scope, count;
		uint8_t first; /* enum subscriber_kind */
	} rows[] = {{FABRIC_ALL, 5, SUBSCRIBER_CONNECTION},
		{FABRIC_CONNECTIONS, 2, SUBSCRIBER_CONNECTION},
		{FABRIC_QUEUES, 2, SUBSCRIBER_QUEUE}, {FABRIC_WORKERS, 1, SUBSCRIBER_WORKER},
		{FABRIC_CONNECTIONS | FABRIC_QUEUES, 4, SUBSCRIBER_CONNECTION},
		{FABRIC_QUEUES | FABRIC_WORKERS, 3, SUBSCRIBER_QUEUE}};
	static const struct {
		uint32_t index;
		uint8_t kind;
	} all[] = {{3, SUBSCRIBER_CONNECTION}, {9, SUBSCRIBER_CONNECTION}, {0, SUBSCRIBER_QUEUE},
		{9, SUBSCRIBER_QUEUE}, {2, SUBSCRIBER_WORKER}};

	start(10, 20, 10);
	for (int lists = 1; lists <= 2; lists++) {
		const char *filter = lists == 1 ? "a/b" : "a/#";
		CU_ASSERT_EQUAL(subscribe(fabric_worker(fabric, 2), filter), ERR_NONE);
		CU_ASSERT_EQUAL(subscribe(fabric_queue(fabric, 9), filter), ERR_NONE);
		CU_ASSERT_EQUAL(subscribe(9, filter), ERR_NONE);
		CU_ASSERT_EQUAL(subscribe(fabric_queue(fabric, 0), filter), ERR_NONE);
		CU_ASSERT_EQUAL(subscribe(3, filter), ERR_NONE);
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			uint32_t at = 0;
			scope = rows[i].scope;
			CU_ASSERT_EQUAL(publish("a/b", POOL_NONE, false), rows[i].count);
			CU_ASSERT_EQUAL(got[0].kind, rows[i].first);
			for (size_t k = 0; k < ARRAY_SIZE(all); k++)
				if (scope & 1u << all[k].kind) {
					CU_ASSERT_EQUAL(got[at].kind, all[k].kind);
					CU_ASSERT_EQUAL(got[at].index, all[k].index);
					at++;
				}
			CU_ASSERT_EQUAL(at, rows[i].count);
		}
	}
	scope = FABRIC_ALL;
	for (uint32_t c = 0; c < 10; c++)
		fabric_forget(fabric, c);
	fabric_forget(fabric, fabric_queue(fabric, 0));
	fabric_forget(fabric, fabric_queue(fabric, 9));
	fabric_forget(fabric, fabric_worker(fabric, 2));
	finish();
}

/* A durable session that publishes is its queue, as far as no_local is concerned. */
static void a_queue_does_not_get_its_own(void)
{
	const struct subscription_options o = {.qos_max = 1, .no_local = true};
	bool was_new;

	start(10, 10, 10);
	const uint32_t queue = fabric_queue(fabric, 3);
	CU_ASSERT_EQUAL(fabric_subscribe(fabric, queue, span_str("a"), &o, &was_new), ERR_NONE);
	CU_ASSERT_EQUAL(publish("a", queue, false), 0);
	CU_ASSERT_EQUAL(publish("a", 3, false), 1);
	CU_ASSERT_EQUAL(subscribe(queue, "#"), ERR_NONE);
	CU_ASSERT_EQUAL(publish("a", queue, false), 1);
	CU_ASSERT_EQUAL(got[0].qos, 0);
	fabric_forget(fabric, queue);
	finish();
}

static void memory_is_told(void)
{
	start(4, 10, 4);
	CU_ASSERT_EQUAL(subscribe(1, "a/+"), ERR_NONE);
	const size_t one = fabric_used(fabric);
	CU_ASSERT(one > 64 && one < 512);
	CU_ASSERT_EQUAL(subscribe(2, "a/+"), ERR_NONE); /* the same filter, once more */
	const size_t again = fabric_used(fabric) - one;
	CU_ASSERT(again > 0 && again < one);
	CU_ASSERT_EQUAL(subscribe(2, "b/+"), ERR_NONE); /* the same shape */
	CU_ASSERT(fabric_used(fabric) > one + 2 * again);
	fabric_forget(fabric, 1);
	fabric_forget(fabric, 2);
	finish();
}

static void filters_can_be_asked_for(void)
{
	struct span filter;

	start(10, 10, 10);
	const uint32_t worker = fabric_worker(fabric, 1);
	CU_ASSERT_FALSE(fabric_any(fabric, worker, &filter));
	CU_ASSERT_EQUAL(fabric_filter(fabric, span_str("a/+")), MATCH_NONE);
	CU_ASSERT_EQUAL(subscribe(worker, "a/+"), ERR_NONE);
	const uint32_t id = fabric_filter(fabric, span_str("a/+"));
	CU_ASSERT_TRUE(span_equal(fabric_filter_text(fabric, id), span_str("a/+")));
	CU_ASSERT_FALSE(fabric_filter_wanted(fabric, id));
	CU_ASSERT_TRUE(fabric_has(fabric, worker, span_str("a/+")));
	CU_ASSERT_FALSE(fabric_has(fabric, 4, span_str("a/+")));
	CU_ASSERT_FALSE(fabric_has(fabric, worker, span_str("a")));
	CU_ASSERT_EQUAL(subscribe(4, "a/+"), ERR_NONE);
	CU_ASSERT_TRUE(fabric_filter_wanted(fabric, id));
	CU_ASSERT_TRUE(fabric_any(fabric, 4, &filter));
	CU_ASSERT_TRUE(span_equal(filter, span_str("a/+")));
	CU_ASSERT_EQUAL(fabric_unsubscribe(fabric, 4, filter), ERR_NONE);
	CU_ASSERT_FALSE(fabric_any(fabric, 4, &filter));
	fabric_forget(fabric, worker);
	finish();
}

/* The naive fabric: a list of everything, looked through for each message. */
struct entry {
	uint32_t connection;
	char filter[24];
	struct subscription_options options;
};

static struct entry model[SUBSCRIPTIONS];
static uint32_t model_count;

static struct entry *model_find(uint32_t connection, const char *filter)
{
	for (uint32_t i = 0; i < model_count; i++)
		if (model[i].connection == connection && strcmp(model[i].filter, filter) == 0)
			return &model[i];
	return NULL;
}

static uint32_t model_count_of(uint32_t connection)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < model_count; i++)
		count += model[i].connection == connection;
	return count;
}

static void model_drop(struct entry *e)
{
	*e = model[--model_count];
}

/* What connection c must get; `identifiers` may exceed a delivery's. */
static bool model_deliver(
	uint32_t c, const char *topic, uint32_t publisher, bool retain, struct delivery *d)
{
	bool any = false;

	*d = (struct delivery){.index = c};
	for (uint32_t i = 0; i < model_count; i++) {
		const struct subscription_options *o = &model[i].options;
		if (model[i].connection != c || (o->no_local && c == publisher) ||
			!naive_matches(span_str(model[i].filter), span_str(topic)))
			continue;
		any = true;
		d->qos = o->qos_max > d->qos ? o->qos_max : d->qos;
		d->retain = d->retain || (retain && o->retain_as_published);
		if (o->identifier != 0)
			d->identifiers[d->identifier_count++] = o->identifier;
		CU_ASSERT_TRUE_FATAL(d->identifier_count < FABRIC_IDENTIFIERS_MAX);
	}
	return any;
}

static const char *random_filter(struct rng *rng)
{
	static const char *const filters[] = {"a", "b", "a/b", "a/a", "b/b", "+", "+/+", "a/+",
		"+/b", "#", "a/#", "b/#", "$a/#", "$a/+", "/", "+/", "/+", "a/b/c", "a/+/c",
		"+/+/#"};
	return filters[rng_below(rng, ARRAY_SIZE(filters))];
}

static const char *random_topic(struct rng *rng)
{
	static const char *const topics[] = {"a", "b", "a/b", "a/a", "b/b", "$a", "$a/b", "/", "a/",
		"/b", "a/b/c", "c", "b/c/d"};
	return topics[rng_below(rng, ARRAY_SIZE(topics))];
}

static void walk_subscribe(struct rng *rng)
{
	const uint32_t c = rng_below(rng, CONNECTIONS);
	const char *filter = random_filter(rng);
	/* Few identifiers, so that a delivery has room for all. */
	const struct subscription_options options = {.qos_max = (uint8_t)rng_below(rng, 3),
		.no_local = rng_chance(rng, 300000),
		.retain_as_published = rng_chance(rng, 300000),
		.identifier = filter[0] == 'a' ? rng_below(rng, 4) : 0};
	struct entry *known = model_find(c, filter);
	bool was_new = false;

	const enum err e = fabric_subscribe(fabric, c, span_str(filter), &options, &was_new);
	if (known == NULL && model_count == SUBSCRIPTIONS) {
		CU_ASSERT_EQUAL_FATAL(e, ERR_SUBSCRIPTION_TABLE_FULL);
		return;
	}
	CU_ASSERT_EQUAL_FATAL(e, ERR_NONE);
	CU_ASSERT_EQUAL(was_new, known == NULL);
	if (known == NULL) {
		known = &model[model_count++];
		known->connection = c;
		snprintf(known->filter, sizeof(known->filter), "%s", filter);
	}
	known->options = options;
}

static void walk_unsubscribe(struct rng *rng)
{
	const uint32_t c = rng_below(rng, CONNECTIONS);
	const char *filter = random_filter(rng);
	struct entry *known = model_find(c, filter);

	const enum err e = fabric_unsubscribe(fabric, c, span_str(filter));
	CU_ASSERT_EQUAL_FATAL(e, known == NULL ? ERR_NOT_SUBSCRIBED : ERR_NONE);
	if (known != NULL)
		model_drop(known);
}

static void forget(uint32_t c)
{
	CU_ASSERT_EQUAL(fabric_count(fabric, c), model_count_of(c));
	fabric_forget(fabric, c);
	CU_ASSERT_EQUAL(fabric_count(fabric, c), 0);
	for (uint32_t i = model_count; i > 0; i--)
		if (model[i - 1].connection == c)
			model_drop(&model[i - 1]);
}

static void walk_publish(struct rng *rng)
{
	const char *topic = random_topic(rng);
	const uint32_t publisher = rng_below(rng, CONNECTIONS);
	const bool retain = rng_chance(rng, 500000);
	uint32_t expected = 0;
	struct delivery d;

	(void)publish(topic, publisher, retain);
	for (uint32_t c = 0; c < CONNECTIONS; c++) {
		if (!model_deliver(c, topic, publisher, retain, &d))
			continue;
		CU_ASSERT_TRUE_FATAL(expected < got_count);
		CU_ASSERT_TRUE_FATAL(same(got[expected], d));
		expected++;
	}
	CU_ASSERT_EQUAL_FATAL(got_count, expected);
}

static void agrees_with_the_naive_fabric(void)
{
	struct rng rng = rng_from(unit_seed());

	start(CONNECTIONS, SUBSCRIPTIONS, 64);
	model_count = 0;
	for (uint32_t step = 0; step < 40000; step++) {
		const uint32_t dice = rng_below(&rng, 100);
		if (dice < 45)
			walk_subscribe(&rng);
		else if (dice < 60)
			walk_unsubscribe(&rng);
		else if (dice < 62)
			forget(rng_below(&rng, CONNECTIONS));
		else
			walk_publish(&rng);
		if (step % 512 == 0)
			fabric_check(fabric);
		CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_SUBSCRIPTIONS), model_count);
	}
	for (uint32_t c = 0; c < CONNECTIONS; c++)
		forget(c);
	CU_ASSERT_EQUAL(model_count, 0);
	finish();
}

static const struct unit_test tests[] = {
	{"special_filters_are_limited", special_filters_are_limited},
	{"matches_of_a_connection_fold", matches_of_a_connection_fold},
	{"deliveries_come_in_order_of_connection", deliveries_come_in_order_of_connection},
	{"an_equal_filter_gets_new_options", an_equal_filter_gets_new_options},
	{"unsubscribing_needs_a_subscription", unsubscribing_needs_a_subscription},
	{"tables_fill_up_and_serve_on", tables_fill_up_and_serve_on},
	{"surplus_identifiers_are_left_out", surplus_identifiers_are_left_out},
	{"large_audiences_are_served_in_order", large_audiences_are_served_in_order},
	{"three_kinds_share_a_message", three_kinds_share_a_message},
	{"a_queue_does_not_get_its_own", a_queue_does_not_get_its_own},
	{"memory_is_told", memory_is_told},
	{"filters_can_be_asked_for", filters_can_be_asked_for},
	{"agrees_with_the_naive_fabric", agrees_with_the_naive_fabric},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("fabric", tests, argc, argv);
}
