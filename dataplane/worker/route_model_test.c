/* route_model_test.c - random schedules of two and three workers: no observer goes backwards.
 *
 * Each topic has one publisher, whose versions only grow, so whatever an
 * observer gets of a topic must grow, too: live, as a retained value, through a
 * queue. When all is quiet everybody has the newest of everything, memory and
 * store agree, and every publish and subscription was answered once. */
#include "dataplane/worker/route_fake.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"
#include "dataplane/match/naive.h"
#include "dataplane/shm/owner.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	MIXED = 3, /* QoS: any of them */
	TOPICS = 12,
	PUBLISHERS = 4,     /* topic t is publisher t % PUBLISHERS' */
	FIRST_OBSERVER = 8, /* connections from there on, of each worker */
	OBSERVERS = 4,      /* of each worker; the last two are durable */
	STEPS = 30000,
	FILTERS = 6,
};

static const char *const filters[FILTERS] = {"#", "t/#", "t/+", "+/#", "t/3", "t/+/x"};

struct topic {
	char name[16];
	uint32_t version; /* the newest that was taken */
	uint8_t qos;
	bool always_retained; /* else live order counts alone */
	bool removed;         /* the newest retained one removes */
	uint32_t stored;      /* as the store has it; 0: none */
};

struct observer {
	uint32_t live[TOPICS];  /* newest on the transient way; not of retained values */
	uint32_t seen[TOPICS];  /* newest on the transient way, of topics always retained */
	uint32_t queue[TOPICS]; /* newest in the queue */
	bool wants[FILTERS];    /* subscribed and answered */
	bool asked[FILTERS];    /* not answered yet */
	uint32_t session;
	bool declined;
};

static struct rng rng;
static uint32_t workers;
static struct topic topics[TOPICS];
static struct observer observers[FAKE_WORKERS_MAX][OBSERVERS];
static struct {
	struct message *parked;
	uint32_t topic, worker;
	uint32_t unanswered, next_id;
	uint8_t owed[1 << 16];
} posters[PUBLISHERS];
static uint64_t delivered, declined_count, parked_count;

static uint32_t topic_index(struct span name)
{
	for (uint32_t i = 0; i < TOPICS; i++)
		if (span_equal(name, span_str(topics[i].name)))
			return i;
	CU_FAIL_FATAL("unknown topic");
	return 0;
}

static uint32_t version_of(const struct message *m)
{
	char digits[16] = {0};

	memcpy(digits, m->props.correlation.at, m->props.correlation.size);
	return (uint32_t)strtoul(digits, NULL, 10);
}

static void must_not_go_back(uint32_t *last, uint32_t version, const char *what, uint32_t topic)
{
	if (version < *last) {
		printf("# %s: topic %s goes back from %u to %u\n", what, topics[topic].name, *last,
			version);
		CU_FAIL_FATAL("an observer goes backwards");
	}
	*last = version;
}

static bool offer(
	struct worker *w, struct connection *c, const struct delivery *d, struct message *m)
{
	struct observer *o = &observers[w->conf.worker][c->id.index - FIRST_OBSERVER];
	const uint32_t t = topic_index(m->topic);
	const uint32_t version = version_of(m);

	CU_ASSERT_TRUE_FATAL(c->session_open);
	if (d->retained && rng_chance(&rng, 200000)) {
		o->declined = true;
		declined_count++;
		return false;
	}
	delivered++;
	if (topics[t].always_retained)
		must_not_go_back(&o->seen[t], version, "a connection", t);
	if (!d->retained)
		must_not_go_back(&o->live[t], version, "live", t);
	return true;
}

static void published(struct worker *w, struct connection *c, uint16_t packet_id, enum err e)
{
	(void)w;
	CU_ASSERT_EQUAL(e, ERR_NONE);
	CU_ASSERT_EQUAL_FATAL(posters[c->id.index].owed[packet_id], 1);
	posters[c->id.index].owed[packet_id] = 0;
	posters[c->id.index].unanswered--;
}

static void answered(struct worker *w, struct connection *c, uint32_t token, enum err e)
{
	struct observer *o = &observers[w->conf.worker][c->id.index - FIRST_OBSERVER];

	if (token >= FILTERS)
		return;
	CU_ASSERT_TRUE_FATAL(o->asked[token]);
	CU_ASSERT_TRUE_FATAL(e == ERR_NONE || e == ERR_NO_MESSAGES);
	o->asked[token] = false;
	o->wants[token] = e == ERR_NONE;
}

static struct observer *observer_of(uint64_t session)
{
	for (uint32_t w = 0; w < workers; w++)
		for (uint32_t i = 0; i < OBSERVERS; i++)
			if (observers[w][i].session == session)
				return &observers[w][i];
	ASSERT(false);
	return NULL;
}

static void commit(const struct fake_store *s)
{
	const uint32_t t = topic_index(s->message->topic);
	const uint32_t version = version_of(s->message);

	for (uint32_t i = 0; i < s->target_count; i++)
		if (topics[t].always_retained)
			must_not_go_back(&observer_of(s->targets[i].session)->queue[t], version,
				"a queue", t);
	if (s->order.set_retained)
		topics[t].stored = s->message->payload_size > 0 ? version : 0;
}

static struct message *make(struct worker *w, uint32_t t)
{
	char version[16];
	const bool remove = rng_chance(&rng, 100000);

	snprintf(version, sizeof(version), "%u", topics[t].version + 1);
	const struct message_props props = {.correlation = span_str(version)};
	struct message *m =
		message_begin(w->messages, span_str(topics[t].name), &props, remove ? 0 : 3);
	if (m == NULL)
		return NULL;
	if (!remove && !message_append(m, span_str("xyz"))) {
		message_put(&m);
		return NULL;
	}
	m->qos = topics[t].qos < MIXED ? topics[t].qos : (uint8_t)rng_below(&rng, 3);
	m->retain = topics[t].always_retained || rng_chance(&rng, 400000);
	return m;
}

static void publish(uint32_t p)
{
	struct worker *w = &fake_workers[posters[p].worker];
	struct connection *c = &w->connections[p];
	bool matched;

	if (posters[p].parked == NULL) {
		posters[p].topic = p + PUBLISHERS * rng_below(&rng, TOPICS / PUBLISHERS);
		posters[p].parked = make(w, posters[p].topic);
	}
	struct message *m = posters[p].parked;
	if (m == NULL)
		return;
	struct topic *t = &topics[posters[p].topic];
	const struct publisher from = {
		.connection = c, .durable = c->epoch != 0, .session = c->epoch};
	const struct publish_order o = {.qos = m->qos, .packet_id = (uint16_t)posters[p].next_id};
	const bool retain = m->retain, removes = m->payload_size == 0;
	const enum published got = route_publish(w, &posters[p].parked, &from, &o, &matched);
	if (got == PUBLISHED_NO_ROOM) {
		parked_count++;
		return;
	}
	t->version++;
	if (retain)
		t->removed = removes;
	if (got == PUBLISHED_LATER) {
		posters[p].owed[posters[p].next_id] = 1;
		posters[p].unanswered++;
	}
	posters[p].next_id = posters[p].next_id % UINT16_MAX + 1;
}

static void subscribe(uint32_t worker, uint32_t i)
{
	struct worker *w = &fake_workers[worker];
	struct observer *o = &observers[worker][i];
	struct connection *c = &w->connections[FIRST_OBSERVER + i];
	const uint32_t f = rng_below(&rng, FILTERS);
	const struct subscription_options options = {
		.qos_max = o->session != 0 ? 2 : (uint8_t)rng_below(&rng, 3)};

	if (!c->session_open || o->asked[f])
		return;
	if (o->wants[f] && rng_chance(&rng, 700000)) {
		o->wants[f] = false;
		if (o->session == 0) {
			route_unsubscribe(w, c, FILTERS, span_str(filters[f]));
			return;
		}
		for (uint32_t n = 0; n < workers; n++)
			CU_ASSERT_EQUAL(
				fabric_unsubscribe(fake_workers[n].fabric,
					fabric_queue(fake_workers[n].fabric, o->session - 1),
					span_str(filters[f])),
				ERR_NONE);
		route_snapshot_stop(w, c, span_str(filters[f]));
		return;
	}
	if (o->session == 0) {
		o->asked[f] = true;
		o->wants[f] = false;
		route_subscribe(w, c, f, span_str(filters[f]), &options);
		return;
	}
	fake_queue_subscribe(o->session, filters[f], &options);
	o->wants[f] = true;
	route_snapshot(w, c, span_str(filters[f]), &options, true);
}

/* A new client at the same place; its queue, if it has one, goes on. */
static void reconnect(uint32_t worker, uint32_t i)
{
	struct observer *o = &observers[worker][i];
	struct connection *c = &fake_workers[worker].connections[FIRST_OBSERVER + i];

	if (o->session != 0) /* a snapshot would end with it, as it should not here */
		return;
	fake_close(c);
	const struct observer blank = {.session = o->session};
	*o = blank;
	(void)fake_open(worker, FIRST_OBSERVER + i, 0);
}

static void room(uint32_t worker, uint32_t i)
{
	struct observer *o = &observers[worker][i];
	struct connection *c = &fake_workers[worker].connections[FIRST_OBSERVER + i];

	if (!o->declined)
		return;
	o->declined = false;
	route_room(&fake_workers[worker], c);
}

static void step(void)
{
	const uint32_t worker = rng_below(&rng, workers), dice = rng_below(&rng, 100);
	const uint32_t observer = rng_below(&rng, OBSERVERS);

	if (dice < 35)
		publish(rng_below(&rng, PUBLISHERS));
	else if (dice < 65)
		(void)fake_turn(worker, 1 + rng_below(&rng, 6));
	else if (dice < 80)
		(void)fake_complete(worker, ERR_NONE);
	else if (dice < 85)
		subscribe(worker, observer);
	else if (dice < 86 && rng_chance(&rng, 100000))
		reconnect(worker, observer);
	else if (dice < 96)
		room(worker, observer);
	else
		for (uint32_t i = 0; i < workers; i++)
			fake_workers[i].now_us += 10;
}

static uint32_t in_memory(uint32_t t)
{
	struct worker *w = &fake_workers[topic_owner(span_str(topics[t].name), workers)];
	struct retained_cursor *c = retained_open(w->route->retained, span_str(topics[t].name));
	uint32_t budget = 10, version = 0;
	struct message *m;

	if (retained_next(w->route->retained, c, w->messages, w->now_us, &budget, &m) ==
		RETAINED_VALUE) {
		version = version_of(m);
		message_put(&m);
	}
	retained_close(w->route->retained, &c);
	return version;
}

static bool wants(const struct observer *o, uint32_t t)
{
	for (uint32_t f = 0; f < FILTERS; f++)
		if (o->wants[f] && naive_matches(span_str(filters[f]), span_str(topics[t].name)))
			return true;
	return false;
}

static void check_observer(const struct observer *o)
{
	for (uint32_t f = 0; f < FILTERS; f++)
		CU_ASSERT_FALSE(o->asked[f]);
	for (uint32_t t = 0; t < TOPICS; t++) {
		if (!wants(o, t) || !topics[t].always_retained || topics[t].version == 0 ||
			topics[t].removed)
			continue;
		uint32_t got = o->session != 0 && topics[t].qos > 0 ? o->queue[t] : o->seen[t];
		if (topics[t].qos == MIXED && o->seen[t] > got)
			got = o->seen[t];
		if (got != topics[t].version) {
			printf("# %s: %u, not %u (session %u, qos %u)\n", topics[t].name, got,
				topics[t].version, o->session, topics[t].qos);
			CU_FAIL_FATAL("somebody has not got the newest");
		}
	}
}

static void quiesce(void)
{
	bool more = true;

	while (more) {
		more = false;
		fake_settle();
		for (uint32_t p = 0; p < PUBLISHERS; p++) {
			if (posters[p].parked != NULL)
				publish(p);
			more |= posters[p].parked != NULL;
		}
		for (uint32_t w = 0; w < workers; w++)
			for (uint32_t i = 0; i < OBSERVERS; i++) {
				more |= observers[w][i].declined;
				room(w, i);
			}
	}
	fake_settle();
}

static void check_quiet(void)
{
	for (uint32_t p = 0; p < PUBLISHERS; p++)
		CU_ASSERT_EQUAL(posters[p].unanswered, 0);
	for (uint32_t t = 0; t < TOPICS; t++) {
		CU_ASSERT_EQUAL(in_memory(t), topics[t].stored);
		if (topics[t].always_retained && topics[t].version > 0)
			CU_ASSERT_EQUAL(
				topics[t].stored, topics[t].removed ? 0 : topics[t].version);
	}
	for (uint32_t w = 0; w < workers; w++)
		for (uint32_t i = 0; i < OBSERVERS; i++)
			check_observer(&observers[w][i]);
}

static void begin(uint32_t slots, uint32_t messages)
{
	uint32_t session = 1;

	fake_start(workers, slots, messages);
	fake_hooks = (struct fake_hooks){offer, published, answered, NULL, commit};
	memset(observers, 0, sizeof(observers));
	memset(posters, 0, sizeof(posters));
	memset(topics, 0, sizeof(topics));
	for (uint32_t t = 0; t < TOPICS; t++) {
		snprintf(topics[t].name, sizeof(topics[t].name), t % 3 ? "t/%u" : "t/%u/x", t);
		topics[t].qos = t % 8 == 1 ? MIXED : (uint8_t)(t / PUBLISHERS);
		topics[t].always_retained = t % 4 != 3;
	}
	for (uint32_t p = 0; p < PUBLISHERS; p++) {
		posters[p].worker = p % workers;
		posters[p].next_id = 1;
		(void)fake_open(posters[p].worker, p, p == 2 ? 8 : 0);
	}
	for (uint32_t w = 0; w < workers; w++)
		for (uint32_t i = 0; i < OBSERVERS; i++) {
			observers[w][i].session = i >= 2 && session < 8 ? session++ : 0;
			(void)fake_open(w, FIRST_OBSERVER + i, observers[w][i].session);
		}
}

static void run(uint32_t slots, uint32_t messages)
{
	begin(slots, messages);
	for (uint32_t i = 0; i < STEPS; i++) {
		step();
		if (i % 3000 == 2999) {
			quiesce();
			check_quiet();
		}
	}
	for (uint32_t p = 0; p < PUBLISHERS; p++)
		if (posters[p].parked != NULL)
			message_put(&posters[p].parked);
	fake_finish();
}

static void nobody_goes_backwards(void)
{
	delivered = declined_count = parked_count = 0;
	rng = rng_from(unit_seed());
	for (uint32_t round = 0; round < 6; round++) {
		workers = 2 + round % 2;
		run(round < 4 ? 16 : 8, round < 2 ? 400 : 60);
	}
	printf("# %lu delivered, %lu declined, %lu parked\n", (unsigned long)delivered,
		(unsigned long)declined_count, (unsigned long)parked_count);
	CU_ASSERT_TRUE(delivered > 10000);
	CU_ASSERT_TRUE(declined_count > 100);
	CU_ASSERT_TRUE(parked_count > 1000);
}

static const struct unit_test tests[] = {
	{"nobody_goes_backwards", nobody_goes_backwards},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("route_model", tests, argc, argv);
}
