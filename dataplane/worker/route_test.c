/* route_test.c - publishes between workers, queues and connections: rows and scenarios. */
#include "dataplane/worker/route_fake.h"

#include "dataplane/base/assert.h"
#include "dataplane/shm/owner.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOG = 4096 };

/* What happened, one word each: "0.3:t=1" delivered at worker 0, connection 3; "r" retained. */
static char text[LOG];
static bool declines; /* retained values */
static uint32_t committed, offered;

static const char *taken(void)
{
	static char out[LOG];

	snprintf(out, sizeof(out), "%s", text);
	text[0] = '\0';
	return out;
}

static void note(const char *word)
{
	const size_t at = strlen(text);

	if (at + strlen(word) + 2 < sizeof(text))
		snprintf(text + at, sizeof(text) - at, "%s%s", at > 0 ? " " : "", word);
}

static const char *value_of(const struct message *m)
{
	static char value[32];
	const uint32_t n = m->payload_size < 31 ? m->payload_size : 31;

	if (n > 0)
		memcpy(value, rte_pktmbuf_mtod(m->payload, const char *), n);
	value[n] = '\0';
	return value;
}

static bool offer(
	struct worker *w, struct connection *c, const struct delivery *d, struct message *m)
{
	char word[64];

	offered++;
	if (d->retained && declines)
		return false;
	snprintf(word, sizeof(word), "%u.%u:%.*s=%s%s", w->conf.worker, c->id.index,
		(int)m->topic.size, (const char *)m->topic.at, value_of(m), d->retained ? "r" : "");
	note(word);
	return true;
}

static void published(struct worker *w, struct connection *c, uint16_t packet_id, enum err e)
{
	char word[64];

	snprintf(word, sizeof(word), "%u.%u:ack%u%s%s", w->conf.worker, c->id.index, packet_id,
		e == ERR_NONE ? "" : "-", e == ERR_NONE ? "" : err_name(e));
	note(word);
}

static void answered(struct worker *w, struct connection *c, uint32_t token, enum err e)
{
	char word[64];

	snprintf(word, sizeof(word), "%u.%u:sub%u%s%s", w->conf.worker, c->id.index, token,
		e == ERR_NONE ? "" : "-", e == ERR_NONE ? "" : err_name(e));
	note(word);
}

static void commit(const struct fake_store *s)
{
	char word[64];

	committed++;
	for (uint32_t i = 0; i < s->target_count; i++) {
		snprintf(word, sizeof(word), "q%u:%.*s=%s@%u%s", (unsigned)s->targets[i].session,
			(int)s->message->topic.size, (const char *)s->message->topic.at,
			value_of(s->message), s->targets[i].qos, s->targets[i].retain ? "r" : "");
		note(word);
	}
	if (s->order.set_retained)
		note("R");
	if (s->order.record)
		note("P");
	if (s->order.will_of != 0)
		note("W");
}

static void start(uint32_t workers)
{
	fake_start(workers, 32, 64);
	fake_hooks = (struct fake_hooks){offer, published, answered, NULL, commit};
	text[0] = '\0';
	declines = false;
}

/* A topic whose owner is that worker, of two. */
static const char *topic_of(uint32_t owner)
{
	static const char *const topics[] = {"a", "b", "c", "d", "e", "f"};

	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		if (topic_owner(span_str(topics[i]), 2) == owner)
			return topics[i];
	ASSERT(false);
	return NULL;
}

static uint32_t owner_of(const char *topic, uint32_t workers)
{
	return topic_owner(span_str(topic), workers);
}

struct post {
	const char *topic, *value;
	uint8_t qos;
	bool retain, durable;
	uint16_t packet_id;
};

static enum published post_as(
	struct worker *w, const struct publisher *from, const struct post *p, bool *matched)
{
	const struct message_props props = {0};
	const struct publish_order order = {.qos = p->qos, .packet_id = p->packet_id};
	struct message *m =
		message_begin(w->messages, span_str(p->topic), &props, (uint32_t)strlen(p->value));

	ASSERT(m != NULL);
	CU_ASSERT_TRUE(message_append(m, span_str(p->value)));
	m->qos = p->qos;
	m->retain = p->retain;
	const enum published got = route_publish(w, &m, from, &order, matched);
	CU_ASSERT_EQUAL(m == NULL, got != PUBLISHED_NO_ROOM);
	if (m != NULL)
		message_put(&m);
	return got;
}

static enum published post(struct connection *c, const struct post *p)
{
	const struct publisher from = {
		.connection = c, .durable = p->durable, .session = p->durable ? c->epoch : 0};
	bool matched;

	return post_as(c->worker, &from, p, &matched);
}

static void subscribe(struct connection *c, const char *filter, uint8_t qos)
{
	const struct subscription_options o = {.qos_max = qos};

	route_subscribe(c->worker, c, 7, span_str(filter), &o);
}

static void alone_everything_is_at_once(void)
{
	start(1);
	struct connection *a = fake_open(0, 1, 0), *b = fake_open(0, 2, 0);
	subscribe(b, "t", 2);
	CU_ASSERT_STRING_EQUAL(taken(), "0.2:sub7");
	CU_ASSERT_EQUAL(post(a, &(struct post){.topic = "t", .value = "1"}), PUBLISHED_DONE);
	CU_ASSERT_EQUAL(
		post(a, &(struct post){.topic = "t", .value = "2", .qos = 1}), PUBLISHED_DONE);
	CU_ASSERT_EQUAL(
		post(a, &(struct post){.topic = "t", .value = "3", .qos = 2}), PUBLISHED_DONE);
	CU_ASSERT_STRING_EQUAL(taken(), "0.2:t=1 0.2:t=2 0.2:t=3");
	route_unsubscribe(&fake_workers[0], b, 8, span_str("t"));
	route_unsubscribe(&fake_workers[0], b, 9, span_str("t"));
	CU_ASSERT_STRING_EQUAL(taken(), "0.2:sub8 0.2:sub9-NOT_SUBSCRIBED");
	fake_finish();
}

struct durable_row {
	uint8_t qos;
	bool retain, durable;
	enum published answer;
	const char *at_once, *later; /* then, when it is stored */
};

/* docs/durability.md, "Publish": connection 2 is transient, queue 3 durable and somewhere else. */
static const struct durable_row durable_rows[] = {
	{0, false, false, PUBLISHED_DONE, "0.2:t=v", ""},
	{1, false, false, PUBLISHED_LATER, "0.2:t=v", "q3:t=v@1 0.1:ack5"},
	{2, false, false, PUBLISHED_LATER, "", "q3:t=v@2 0.2:t=v 0.1:ack5"},
	{0, true, false, PUBLISHED_DONE, "0.2:t=v", "R"},
	{1, true, false, PUBLISHED_LATER, "0.2:t=v", "q3:t=v@1 R 0.1:ack5"},
	{2, true, true, PUBLISHED_LATER, "", "q3:t=v@2 R P 0.2:t=v 0.1:ack5"},
};

static void what_is_durable_is_stored_first(void)
{
	const struct subscription_options o = {.qos_max = 2};

	for (size_t i = 0; i < ARRAY_SIZE(durable_rows); i++) {
		const struct durable_row *row = &durable_rows[i];
		start(1);
		struct connection *a = fake_open(0, 1, row->durable ? 4 : 0);
		subscribe(fake_open(0, 2, 0), "t", 2);
		fake_queue_subscribe(3, "+", &o);
		(void)taken();
		CU_ASSERT_EQUAL(
			post(a, &(struct post){"t", "v", row->qos, row->retain, row->durable, 5}),
			row->answer);
		CU_ASSERT_STRING_EQUAL(taken(), row->at_once);
		(void)fake_complete(0, ERR_NONE);
		CU_ASSERT_STRING_EQUAL(taken(), row->later);
		fake_finish();
	}
}

static void packet_ids_of_durable_publishers_are_stored(void)
{
	start(1);
	struct connection *a = fake_open(0, 1, 4);
	subscribe(fake_open(0, 2, 0), "t", 2);
	(void)taken();
	CU_ASSERT_EQUAL(post(a, &(struct post){"t", "v", 2, false, true, 5}), PUBLISHED_LATER);
	CU_ASSERT_STRING_EQUAL(taken(), "");
	CU_ASSERT_TRUE(fake_complete(0, ERR_NONE));
	CU_ASSERT_STRING_EQUAL(taken(), "P 0.2:t=v 0.1:ack5");
	/* Refused: nobody gets it, and the publisher hears why. */
	CU_ASSERT_EQUAL(post(a, &(struct post){"t", "w", 2, false, true, 6}), PUBLISHED_LATER);
	CU_ASSERT_TRUE(fake_complete(0, ERR_STORAGE_FULL));
	CU_ASSERT_STRING_EQUAL(taken(), "0.1:ack6-STORAGE_FULL");
	fake_finish();
}

static void without_room_nothing_happens(void)
{
	const struct subscription_options o = {.qos_max = 1};

	start(1);
	struct connection *a = fake_open(0, 1, 0);
	subscribe(fake_open(0, 2, 0), "+", 1);
	fake_queue_subscribe(3, "t", &o);
	(void)taken();
	fake_works[0].max = 0;
	CU_ASSERT_EQUAL(
		post(a, &(struct post){.topic = "t", .value = "1", .qos = 1}), PUBLISHED_NO_ROOM);
	CU_ASSERT_EQUAL(post(a, &(struct post){.topic = "u", .value = "1", .retain = true}),
		PUBLISHED_NO_ROOM);
	CU_ASSERT_STRING_EQUAL(taken(), "");
	/* What is not durable goes on. */
	CU_ASSERT_EQUAL(
		post(a, &(struct post){.topic = "u", .value = "2", .qos = 1}), PUBLISHED_DONE);
	CU_ASSERT_EQUAL(post(a, &(struct post){.topic = "t", .value = "3"}), PUBLISHED_DONE);
	CU_ASSERT_STRING_EQUAL(taken(), "0.2:u=2 0.2:t=3");
	fake_works[0].max = FAKE_STORES;
	fake_finish();
}

/* QoS 0 for a durable session goes to where it is connected. */
static void qos_0_goes_to_the_place(void)
{
	const struct subscription_options o = {.qos_max = 1, .no_local = true};

	start(2);
	struct connection *a = fake_open(0, 1, 0), *here = fake_open(0, 2, 3),
			  *there = fake_open(1, 2, 4);
	fake_queue_subscribe(3, "t", &o);
	fake_queue_subscribe(4, "t", &o);
	fake_queue_subscribe(5, "t", &o);
	CU_ASSERT_EQUAL(post(a, &(struct post){.topic = "t", .value = "1"}), PUBLISHED_DONE);
	fake_settle();
	CU_ASSERT_STRING_EQUAL(taken(), "0.2:t=1 1.2:t=1");
	/* Its own publishes do not come back, on neither way. */
	CU_ASSERT_EQUAL(post(there, &(struct post){.topic = "t", .value = "2", .durable = true}),
		PUBLISHED_DONE);
	fake_settle();
	CU_ASSERT_STRING_EQUAL(taken(), "0.2:t=2");
	CU_ASSERT_EQUAL(post(here, &(struct post){"t", "3", 1, false, true, 5}), PUBLISHED_LATER);
	fake_settle();
	CU_ASSERT_STRING_EQUAL(taken(), "q4:t=3@1 q5:t=3@1 0.2:ack5");
	fake_finish();
}

static void a_filter_works_everywhere_before_its_answer(void)
{
	start(2);
	struct connection *a = fake_open(0, 1, 0), *b = fake_open(1, 2, 0), *c = fake_open(1, 3, 0);
	subscribe(b, "t/#", 0);
	CU_ASSERT_STRING_EQUAL(taken(), "");
	fake_settle();
	CU_ASSERT_STRING_EQUAL(taken(), "1.2:sub7");
	/* The others know it: a second one is answered at once. */
	subscribe(c, "t/#", 0);
	CU_ASSERT_STRING_EQUAL(taken(), "1.3:sub7");
	CU_ASSERT_EQUAL(post(a, &(struct post){.topic = "t", .value = "1"}), PUBLISHED_DONE);
	fake_settle();
	CU_ASSERT_STRING_EQUAL(taken(), "1.2:t=1 1.3:t=1");
	CU_ASSERT_EQUAL(counter_get(&fake_counters[0], COUNTER_SUBSCRIPTIONS), 1);
	route_unsubscribe(&fake_workers[1], b, 8, span_str("t/#"));
	fake_settle();
	CU_ASSERT_EQUAL(counter_get(&fake_counters[0], COUNTER_SUBSCRIPTIONS), 1);
	fake_close(c);
	fake_settle();
	CU_ASSERT_EQUAL(counter_get(&fake_counters[0], COUNTER_SUBSCRIPTIONS), 0);
	CU_ASSERT_EQUAL(counter_get(&fake_counters[1], COUNTER_SUBSCRIPTIONS), 0);
	fake_finish();
}

/* A filter that comes back before its end is told, and one that ends before it is told. */
static void interest_comes_and_goes(void)
{
	start(2);
	struct connection *b = fake_open(1, 2, 0);
	(void)fake_open(0, 1, 0);
	subscribe(b, "t", 0);
	route_unsubscribe(&fake_workers[1], b, 8, span_str("t"));
	subscribe(b, "t", 0);
	fake_settle();
	CU_ASSERT_EQUAL(counter_get(&fake_counters[0], COUNTER_SUBSCRIPTIONS), 1);
	route_unsubscribe(&fake_workers[1], b, 8, span_str("t"));
	subscribe(b, "t", 0);
	route_unsubscribe(&fake_workers[1], b, 8, span_str("t"));
	fake_settle();
	CU_ASSERT_EQUAL(counter_get(&fake_counters[0], COUNTER_SUBSCRIPTIONS), 0);
	fake_finish();
}

static void a_refusing_worker_refuses_the_subscription(void)
{
	char filter[16];

	start(2);
	struct connection *a = fake_open(0, 1, 0), *b = fake_open(1, 2, 0);
	for (int i = 0; i < 64; i++) { /* all that worker 0 has room for */
		snprintf(filter, sizeof(filter), "f%d", i);
		const struct subscription_options o = {0};
		bool was_new;
		CU_ASSERT_EQUAL(
			fabric_subscribe(fake_workers[0].fabric, 1, span_str(filter), &o, &was_new),
			ERR_NONE);
	}
	subscribe(b, "t", 0);
	fake_settle();
	CU_ASSERT_STRING_EQUAL(taken(), "1.2:sub7-FILTER_TABLE_FULL");
	CU_ASSERT_EQUAL(fabric_count(fake_workers[1].fabric, 2), 0);
	CU_ASSERT_EQUAL(counter_get(&fake_counters[1], COUNTER_SUBSCRIPTIONS), 0);
	fabric_forget(fake_workers[0].fabric, a->id.index);
	fake_finish();
}

/* Retained ones go by the owner; nothing of the publisher overtakes them. */
static void retained_publishes_are_forwarded(void)
{
	const struct subscription_options own = {.no_local = true};
	const char *t = topic_of(1);
	char expected[128];

	start(2);
	struct connection *a = fake_open(0, 1, 0), *b = fake_open(1, 2, 0);
	route_subscribe(a->worker, a, 7, span_str("#"), &own);
	subscribe(fake_open(0, 3, 0), "#", 0);
	subscribe(b, "#", 0);
	fake_settle();
	(void)taken();
	CU_ASSERT_EQUAL(post(a, &(struct post){t, "1", 1, true, false, 5}), PUBLISHED_LATER);
	CU_ASSERT_EQUAL(post(a, &(struct post){.topic = "x", .value = "2"}), PUBLISHED_NO_ROOM);
	CU_ASSERT_EQUAL(post(a, &(struct post){t, "2", 1, true, false, 6}), PUBLISHED_LATER);
	CU_ASSERT_STRING_EQUAL(taken(), "");
	fake_settle();
	snprintf(expected, sizeof(expected),
		"1.2:%s=1 1.2:%s=2 R 0.3:%s=1 0.3:%s=2 0.1:ack5 R 0.1:ack6", t, t, t, t);
	const char *got = taken();
	CU_ASSERT_PTR_NOT_NULL(strstr(got, "0.1:ack5"));
	CU_ASSERT_PTR_NOT_NULL(strstr(got, "0.1:ack6"));
	CU_ASSERT_EQUAL(strlen(got), strlen(expected));
	CU_ASSERT_EQUAL(post(a, &(struct post){.topic = "x", .value = "3"}), PUBLISHED_DONE);
	CU_ASSERT_EQUAL(retained_count(fake_workers[1].route->retained), 1);
	CU_ASSERT_EQUAL(retained_count(fake_workers[0].route->retained), 0);
	/* Not before the other worker has fanned out what came before. */
	CU_ASSERT_EQUAL(post(a, &(struct post){.topic = t, .value = "4", .retain = true}),
		PUBLISHED_NO_ROOM);
	fake_settle();
	CU_ASSERT_EQUAL(
		post(a, &(struct post){.topic = t, .value = "4", .retain = true}), PUBLISHED_DONE);
	fake_finish();
}

static void a_forward_without_room_is_refused_in_time(void)
{
	const char *t = topic_of(1);

	start(2);
	struct connection *a = fake_open(0, 1, 0);
	fake_works[1].max = 0;
	CU_ASSERT_EQUAL(post(a, &(struct post){t, "1", 1, true, false, 5}), PUBLISHED_LATER);
	fake_settle();
	CU_ASSERT_STRING_EQUAL(taken(), "");
	fake_workers[1].now_us += 1000000;
	fake_settle();
	CU_ASSERT_STRING_EQUAL(taken(), "0.1:ack5-MQTT_QUOTA");
	fake_works[1].max = FAKE_STORES;
	fake_finish();
}

static void wills_are_published_and_removed(void)
{
	const struct publisher from = {.will_of = 6};
	bool matched;

	start(2);
	subscribe(fake_open(0, 2, 0), "#", 0);
	fake_settle();
	(void)taken();
	for (uint32_t owner = 0; owner < 2; owner++) {
		const struct post p = {.topic = topic_of(owner), .value = "bye", .retain = true};
		CU_ASSERT_EQUAL(post_as(&fake_workers[0], &from, &p, &matched), PUBLISHED_DONE);
		fake_settle();
		const char *got = taken();
		CU_ASSERT_PTR_NOT_NULL(strstr(got, "=bye"));
		CU_ASSERT_PTR_NOT_NULL(strstr(got, "R W"));
	}
	fake_finish();
}

/* It comes again until there is room in the queue, and each time nobody gets it. */
static void a_refused_will_goes_to_nobody(void)
{
	const struct publisher from = {.will_of = 6};
	bool matched;

	start(2);
	subscribe(fake_open(0, 2, 0), "#", 1);
	fake_queue_subscribe(1, "#", &(struct subscription_options){.qos_max = 1});
	fake_settle();
	for (uint8_t qos = 0; qos < 3; qos++)
		for (uint32_t owner = 0; owner < 2; owner++) {
			const struct post p = {.topic = topic_of(owner),
				.value = "bye",
				.qos = qos,
				.retain = true};
			(void)taken();
			(void)post_as(&fake_workers[0], &from, &p, &matched);
			while (!fake_complete(owner, ERR_QUEUE_FULL)) {
				bool moved = fake_turn(0, 1);
				moved |= fake_turn(1, 1);
				CU_ASSERT_FATAL(moved);
			}
			fake_settle();
			CU_ASSERT_STRING_EQUAL(taken(), "");
			CU_ASSERT_EQUAL(retained_count(fake_workers[owner].route->retained), 0);
			/* The control plane has refused it, and knows. */
			CU_ASSERT_EQUAL(fake_works[0].declined, 0);
			(void)post_as(&fake_workers[0], &from, &p, &matched);
			fake_settle();
			const char *got = taken();
			CU_ASSERT_PTR_NOT_NULL(strstr(got, "0.2:"));
			CU_ASSERT_PTR_NOT_NULL(strstr(got, "R W"));
			const struct post gone = {
				.topic = topic_of(owner), .value = "", .retain = true};
			(void)post_as(&fake_workers[0], &from, &gone, &matched);
			fake_settle();
		}
	fake_finish();
}

/* Else it would be on its way for ever, and wills and expiries stop when too many are. */
static void a_will_that_the_owner_has_no_room_for_is_declined(void)
{
	const struct publisher from = {.will_of = 6};
	bool matched;

	start(2);
	fake_works[1].max = 0;
	const struct post p = {.topic = topic_of(1), .value = "bye", .qos = 1, .retain = true};
	CU_ASSERT_EQUAL(post_as(&fake_workers[0], &from, &p, &matched), PUBLISHED_LATER);
	fake_works[0].deaf = true;
	fake_settle();
	fake_workers[1].now_us += 1000000;
	fake_settle();
	CU_ASSERT_EQUAL(fake_works[0].declined, 0);
	CU_ASSERT(route_waits(&fake_workers[0]));
	fake_works[0].deaf = false;
	fake_settle();
	CU_ASSERT_EQUAL(fake_works[0].declined, 6);
	CU_ASSERT_FALSE(route_waits(&fake_workers[0]));
	fake_works[1].max = FAKE_STORES;
	fake_works[0].declined = 0;
	fake_finish();
}

static void set(uint32_t owner, const char *topic, const char *value, uint8_t qos)
{
	const struct message_props props = {0};
	struct message *m = message_begin(
		fake_workers[owner].messages, span_str(topic), &props, (uint32_t)strlen(value));

	ASSERT(m != NULL);
	CU_ASSERT_TRUE(message_append(m, span_str(value)));
	m->qos = qos;
	route_load_retained(&fake_workers[owner], &m);
}

/* Room for one value of each worker. */
static void shrink_retained(uint32_t worker)
{
	struct route *r = fake_workers[worker].route;

	retained_destroy(&r->retained);
	r->retained = retained_create(&(struct retained_conf){
		.topics_max = 1, .bytes_max = 1024, .counters = &fake_counters[worker]});
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->retained);
	set(worker, "first", "1", 0);
	CU_ASSERT_EQUAL(retained_count(r->retained), 1);
}

static void a_will_goes_without_a_value_that_has_no_room(void)
{
	const enum counter full = (enum counter)(COUNTER_NAMED + ERR_RETAINED_FULL);
	const struct publisher from = {.will_of = 6};
	bool matched;

	start(2);
	subscribe(fake_open(0, 2, 0), "#", 1);
	fake_settle();
	for (uint32_t owner = 0; owner < 2; owner++) {
		const struct post p = {
			.topic = topic_of(owner), .value = "bye", .qos = 1, .retain = true};
		char word[32];
		shrink_retained(owner);
		(void)taken();
		CU_ASSERT_EQUAL(post_as(&fake_workers[0], &from, &p, &matched), PUBLISHED_LATER);
		fake_settle();
		snprintf(word, sizeof(word), "W 0.2:%s=bye", p.topic);
		CU_ASSERT_STRING_EQUAL(taken(), word);
		CU_ASSERT_EQUAL(counter_get(&fake_counters[owner], full), 1);
		CU_ASSERT_EQUAL(fake_works[0].declined, 0);
	}
	fake_finish();
}

static void snapshots_follow_the_options(void)
{
	struct subscription_options o = {.qos_max = 1};
	struct span filter = span_str("+");

	start(2);
	set(owner_of("x", 2), "x", "1", 0);
	set(owner_of("a", 2), "a", "2", 1);
	set(owner_of("b", 2), "b", "3", 1);
	struct connection *c = fake_open(0, 2, 0);
	for (uint8_t handling = 0; handling < 3; handling++) {
		o.retain_handling = handling;
		for (int again = 0; again < 2; again++) {
			route_subscribe(c->worker, c, 7, filter, &o);
			fake_settle();
			const char *got = taken();
			const bool told = handling == 0 || (handling == 1 && again == 0);
			CU_ASSERT_EQUAL(strstr(got, "0.2:x=1r") != NULL, told);
			CU_ASSERT_EQUAL(strstr(got, "0.2:a=2r") != NULL, told);
			CU_ASSERT_EQUAL(strstr(got, "0.2:b=3r") != NULL, told);
		}
		route_unsubscribe(c->worker, c, 7, filter);
		fake_settle();
		(void)taken();
	}
	fake_finish();
}

/* Values of QoS 0 go to the connection, others into the queue. */
static void durable_snapshots_are_stored(void)
{
	const struct subscription_options o = {.qos_max = 1, .identifier = 9};

	start(2);
	set(owner_of("x", 2), "x", "1", 0);
	set(owner_of("a", 2), "a", "2", 2);
	set(owner_of("b", 2), "b", "3", 1);
	struct connection *c = fake_open(0, 2, 3);
	fake_queue_subscribe(3, "+", &o);
	route_snapshot(c->worker, c, span_str("+"), &o, true);
	fake_settle();
	const char *got = taken();
	CU_ASSERT_PTR_NOT_NULL(strstr(got, "0.2:x=1r"));
	CU_ASSERT_PTR_NOT_NULL(strstr(got, "q3:a=2@1r"));
	CU_ASSERT_PTR_NOT_NULL(strstr(got, "q3:b=3@1r"));
	fake_finish();
}

static void declined_values_come_again_when_there_is_room(void)
{
	for (uint32_t owner = 0; owner < 2; owner++) {
		const char *t = topic_of(owner);
		char expected[32];
		start(2);
		set(owner, t, "1", 0);
		struct connection *c = fake_open(0, 2, 0), *p = fake_open(owner, 3, 0);
		declines = true;
		subscribe(c, "#", 0);
		fake_settle();
		CU_ASSERT_STRING_EQUAL(taken(), "0.2:sub7");
		CU_ASSERT_EQUAL(post(p, &(struct post){.topic = t, .value = "2", .retain = true}),
			PUBLISHED_DONE);
		fake_settle();
		declines = false;
		route_room(c->worker, c);
		fake_settle();
		/* The live one has gone by: what comes is not older. */
		const char *got = taken();
		snprintf(expected, sizeof(expected), "0.2:%s=2", t);
		CU_ASSERT_PTR_NOT_NULL(strstr(got, expected));
		snprintf(expected, sizeof(expected), "0.2:%s=2r", t);
		CU_ASSERT_PTR_NOT_NULL(strstr(got, expected));
		CU_ASSERT_PTR_NULL(strstr(got, "=1"));
		/* One that stalls ends with its connection. */
		declines = true;
		subscribe(c, "+", 0);
		fake_settle();
		fake_close(c);
		fake_finish();
	}
}

/* More subscribers than there are cursors at once. */
static void snapshots_wait_for_their_turn(void)
{
	const struct subscription_options o = {.qos_max = 0};
	char filter[16];

	start(1);
	fake_workers[0].route->actives_max = 3;
	set(0, "a/1", "1", 0);
	struct connection *c = fake_open(0, 2, 0);
	declines = true;
	for (int i = 0; i < 10; i++) {
		snprintf(filter, sizeof(filter), "a/%s", i % 2 ? "+" : "1");
		struct connection *s = i == 0 ? c : fake_open(0, 2 + (uint32_t)i, 0);
		route_subscribe(s->worker, s, 7, span_str(filter), &o);
	}
	fake_settle();
	CU_ASSERT_EQUAL(fake_workers[0].route->active_count, 3);
	declines = false;
	for (uint32_t i = 2; i < 12; i++) {
		route_room(&fake_workers[0], &fake_workers[0].connections[i]);
		fake_settle();
	}
	const char *got = taken();
	for (uint32_t i = 2; i < 12; i++) {
		snprintf(filter, sizeof(filter), "0.%u:a/1=1r", i);
		CU_ASSERT_PTR_NOT_NULL(strstr(got, filter));
	}
	CU_ASSERT_EQUAL(fake_workers[0].route->active_count, 0);
	fake_finish();
}

/* Issue 3: 100,000 retained topics to one subscriber of #, while publishes go on. */
static void a_hundred_thousand_values_while_publishes_go_on(void)
{
	enum { COUNT = 100000 };
	char topic[16], value[16];

	start(2);
	for (uint32_t i = 0; i < COUNT; i++) {
		snprintf(topic, sizeof(topic), "%u/%u", i % 100, i);
		set(owner_of(topic, 2), topic, "0", 0);
	}
	struct connection *c = fake_open(0, 2, 0), *p = fake_open(1, 3, 0);
	offered = 0;
	subscribe(c, "#", 0);
	uint32_t posts = 0, turns = 0;
	while (counter_get(&fake_counters[0], COUNTER_SNAPSHOTS) == 0) {
		CU_ASSERT_TRUE_FATAL(++turns < COUNT);
		snprintf(topic, sizeof(topic), "%u/%u", posts % 100, posts % COUNT);
		snprintf(value, sizeof(value), "%u", turns);
		posts += post(p, &(struct post){topic, value, .retain = true}) == PUBLISHED_DONE;
		for (uint32_t i = 0; i < 2; i++) {
			(void)fake_turn(i, 64);
			(void)fake_complete(i, ERR_NONE);
		}
		text[0] = '\0';
	}
	fake_settle();
	CU_ASSERT_EQUAL(offered, COUNT + posts);
	CU_ASSERT_TRUE(posts > 100);
	fake_finish();
}

static const struct unit_test tests[] = {
	{"alone_everything_is_at_once", alone_everything_is_at_once},
	{"what_is_durable_is_stored_first", what_is_durable_is_stored_first},
	{"packet_ids_of_durable_publishers_are_stored",
		packet_ids_of_durable_publishers_are_stored},
	{"without_room_nothing_happens", without_room_nothing_happens},
	{"qos_0_goes_to_the_place", qos_0_goes_to_the_place},
	{"a_filter_works_everywhere_before_its_answer",
		a_filter_works_everywhere_before_its_answer},
	{"interest_comes_and_goes", interest_comes_and_goes},
	{"a_refusing_worker_refuses_the_subscription", a_refusing_worker_refuses_the_subscription},
	{"retained_publishes_are_forwarded", retained_publishes_are_forwarded},
	{"a_forward_without_room_is_refused_in_time", a_forward_without_room_is_refused_in_time},
	{"wills_are_published_and_removed", wills_are_published_and_removed},
	{"a_refused_will_goes_to_nobody", a_refused_will_goes_to_nobody},
	{"a_will_that_the_owner_has_no_room_for_is_declined",
		a_will_that_the_owner_has_no_room_for_is_declined},
	{"a_will_goes_without_a_value_that_has_no_room",
		a_will_goes_without_a_value_that_has_no_room},
	{"snapshots_follow_the_options", snapshots_follow_the_options},
	{"durable_snapshots_are_stored", durable_snapshots_are_stored},
	{"declined_values_come_again_when_there_is_room",
		declined_values_come_again_when_there_is_room},
	{"snapshots_wait_for_their_turn", snapshots_wait_for_their_turn},
	{"a_hundred_thousand_values_while_publishes_go_on",
		a_hundred_thousand_values_while_publishes_go_on},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("route", tests, argc, argv);
}
