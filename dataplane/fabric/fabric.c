/* fabric.c - subscriptions, and the fan-out of a message.
 *
 * The audiences of the filters that matched are lists in order of subscriber:
 * connections, then queues, then workers. One list is walked; several are
 * merged with a heap, so that a subscriber's matches come one after the other
 * and fold into one delivery. */
#include "dataplane/fabric/fabric.h"

#include "dataplane/base/assert.h"
#include "dataplane/fabric/audience.h"
#include "dataplane/match/form.h"

#include <stdlib.h>

/* The place in one list. */
struct cursor {
	uint32_t subscriber;
	uint32_t subscription;
};

struct fabric {
	struct audiences audiences;
	struct match *match;
	struct counters *counters;
	fabric_deliver *deliver;
	void *owner;
	uint32_t queues_from, workers_from; /* subscribers: connections, queues, workers */
	uint32_t from, end;                 /* those whom the message that is published is for */
	bool publishing;                    /* no changes now */
	uint32_t specials_max;
	uint32_t *specials; /* by subscriber: its filters behind "$filter/" */
	uint32_t cursors, cursors_max;
	struct cursor *cursor; /* a heap, the lowest subscriber first */
};

static struct match_conf match_conf_of(const struct fabric_conf *conf)
{
	struct match_conf match = conf->match;

	match.counters = conf->counters;
	return match;
}

static uint64_t subscribers_of(const struct fabric_conf *conf)
{
	return (uint64_t)conf->connections_max + conf->queues_max + conf->workers;
}

static struct audiences_conf audiences_conf_of(const struct fabric_conf *conf)
{
	return (struct audiences_conf){
		.filters_max = conf->match.filters_max,
		.subscribers_max = (uint32_t)subscribers_of(conf),
		.subscriptions_max = conf->subscriptions_max,
		.secret = conf->match.key.k0 ^ conf->match.key.k1,
	};
}

static size_t round_up(size_t bytes)
{
	return (bytes + 63) & ~(size_t)63;
}

static size_t cursors_bytes(const struct fabric_conf *conf)
{
	return round_up(match_hits_max(&conf->match) * sizeof(struct cursor));
}

static size_t own_bytes(const struct fabric_conf *conf)
{
	return round_up(sizeof(struct fabric)) + cursors_bytes(conf) +
	       round_up(subscribers_of(conf) * sizeof(uint32_t));
}

static void init_own(struct fabric *f, const struct fabric_conf *conf)
{
	uint8_t *at = (uint8_t *)f + round_up(sizeof(struct fabric));

	f->cursor = (struct cursor *)(void *)at;
	f->cursors_max = match_hits_max(&conf->match);
	f->specials = (uint32_t *)(void *)(at + cursors_bytes(conf));
	f->specials_max = conf->specials_max;
	f->counters = conf->counters;
	f->deliver = conf->deliver;
	f->owner = conf->owner;
	f->queues_from = conf->connections_max;
	f->workers_from = conf->connections_max + conf->queues_max;
}

size_t fabric_bytes(const struct fabric_conf *conf)
{
	const struct match_conf match = match_conf_of(conf);
	const struct audiences_conf audiences = audiences_conf_of(conf);
	const size_t bytes = match_bytes(&match);

	if (bytes == 0 || conf->subscriptions_max >= UINT32_MAX - 1 ||
		subscribers_of(conf) >= UINT32_MAX)
		return 0;
	return own_bytes(conf) + audiences_bytes(&audiences) + bytes;
}

/* A place as subscriber counts for each subscription: most have one. */
size_t fabric_used(const struct fabric *f)
{
	return pool_used(&f->audiences.pool) + f->audiences.pool.out * sizeof(struct listener) +
	       counter_get(f->counters, COUNTER_FILTERS) * sizeof(struct audience) +
	       match_used(f->match);
}

size_t fabric_compiled_bytes(const struct fabric *f)
{
	return match_compiled_bytes(f->match);
}

struct fabric *fabric_create(const struct fabric_conf *conf)
{
	const struct match_conf match = match_conf_of(conf);
	const struct audiences_conf audiences = audiences_conf_of(conf);
	const size_t bytes = own_bytes(conf) + audiences_bytes(&audiences);

	if (fabric_bytes(conf) == 0)
		return NULL;
	uint8_t *memory = aligned_alloc(64, bytes);
	if (memory == NULL)
		return NULL;
	/* Touched now, so that no page fault comes later. */
	memset(memory, 0, bytes);
	struct fabric *f = (struct fabric *)memory;
	init_own(f, conf);
	audiences_init(&f->audiences, memory + own_bytes(conf), &audiences);
	f->match = match_create(&match);
	if (f->match == NULL)
		fabric_destroy(&f);
	return f;
}

void fabric_destroy(struct fabric **f)
{
	if (*f != NULL)
		match_destroy(&(*f)->match);
	free(*f);
	*f = NULL;
}

uint32_t fabric_queue(const struct fabric *f, uint32_t queue)
{
	ASSERT(queue < f->workers_from - f->queues_from);
	return f->queues_from + queue;
}

uint32_t fabric_worker(const struct fabric *f, uint32_t worker)
{
	ASSERT(worker < f->audiences.conf.subscribers_max - f->workers_from);
	return f->workers_from + worker;
}

static void drop(struct fabric *f, uint32_t index)
{
	const struct subscription s = *audiences_at(&f->audiences, index);
	const uint32_t filter = s.filter;

	if (form_is_special(match_text(f->match, filter)))
		f->specials[s.subscriber]--;
	audiences_drop(&f->audiences, index);
	counter_sub(f->counters, COUNTER_SUBSCRIPTIONS, 1);
	if (f->audiences.audience[filter].count == 0)
		match_remove(f->match, filter);
}

/* Other workers ask for all their clients. */
static enum err add(struct fabric *f, uint32_t id, uint32_t subscriber, uint32_t *index)
{
	const bool special = form_is_special(match_text(f->match, id));

	if (special && f->specials[subscriber] >= f->specials_max && subscriber < f->workers_from)
		return ERR_PATTERNS_OF_SESSION;
	*index = audiences_add(&f->audiences, id, subscriber);
	if (*index == AUDIENCE_NONE)
		return ERR_SUBSCRIPTION_TABLE_FULL;
	f->specials[subscriber] += special;
	counter_add(f->counters, COUNTER_SUBSCRIPTIONS, 1);
	return ERR_NONE;
}

enum err fabric_subscribe(struct fabric *f, uint32_t subscriber, struct span filter,
	const struct subscription_options *options, bool *was_new)
{
	uint32_t id;

	ASSERT(!f->publishing);
	ASSERT(subscriber < f->audiences.conf.subscribers_max);
	ASSERT(options->qos_max <= 2);
	enum err e = match_insert(f->match, filter, &id);
	if (e != ERR_NONE)
		return e;
	uint32_t index = audiences_find(&f->audiences, id, subscriber);
	*was_new = index == AUDIENCE_NONE;
	if (*was_new)
		e = add(f, id, subscriber, &index);
	if (e == ERR_NONE)
		audiences_at(&f->audiences, index)->options = *options;
	else if (f->audiences.audience[id].count == 0)
		match_remove(f->match, id);
	return e;
}

enum err fabric_unsubscribe(struct fabric *f, uint32_t subscriber, struct span filter)
{
	uint32_t index = AUDIENCE_NONE;

	ASSERT(!f->publishing);
	const uint32_t id = match_find(f->match, filter);
	if (id != MATCH_NONE)
		index = audiences_find(&f->audiences, id, subscriber);
	if (index == AUDIENCE_NONE)
		return ERR_NOT_SUBSCRIBED;
	drop(f, index);
	return ERR_NONE;
}

void fabric_forget(struct fabric *f, uint32_t subscriber)
{
	ASSERT(!f->publishing);
	ASSERT(subscriber < f->audiences.conf.subscribers_max);
	while (f->audiences.listener[subscriber].first != AUDIENCE_NONE)
		drop(f, f->audiences.listener[subscriber].first);
}

bool fabric_any(const struct fabric *f, uint32_t subscriber, struct span *filter)
{
	ASSERT(subscriber < f->audiences.conf.subscribers_max);
	const uint32_t first = f->audiences.listener[subscriber].first;
	if (first == AUDIENCE_NONE)
		return false;
	*filter = match_text(f->match, audiences_at(&f->audiences, first)->filter);
	return true;
}

bool fabric_has(const struct fabric *f, uint32_t subscriber, struct span filter)
{
	const uint32_t id = match_find(f->match, filter);

	return id != MATCH_NONE && audiences_find(&f->audiences, id, subscriber) != AUDIENCE_NONE;
}

uint32_t fabric_filter(const struct fabric *f, struct span filter)
{
	return match_find(f->match, filter);
}

struct span fabric_filter_text(const struct fabric *f, uint32_t filter)
{
	return match_text(f->match, filter);
}

enum err fabric_filter_judge(struct fabric *f, struct span filter, uint32_t *steps)
{
	return match_judge(f->match, filter, steps);
}

bool fabric_filter_matches(struct fabric *f, struct span filter, struct span topic)
{
	const uint32_t id = match_find(f->match, filter);

	return id != MATCH_NONE && match_one(f->match, id, topic);
}

struct match *fabric_match(struct fabric *f)
{
	return f->match;
}

/* Connections are the lowest subscribers. */
bool fabric_filter_wanted(const struct fabric *f, uint32_t filter)
{
	ASSERT(filter < f->audiences.conf.filters_max);
	const uint32_t first = f->audiences.audience[filter].first;
	return first != AUDIENCE_NONE &&
	       audiences_at(&f->audiences, first)->subscriber < f->queues_from;
}

uint32_t fabric_count(const struct fabric *f, uint32_t subscriber)
{
	ASSERT(subscriber < f->audiences.conf.subscribers_max);
	return f->audiences.listener[subscriber].count;
}

static void add_identifier(struct fabric *f, struct delivery *d, uint32_t identifier)
{
	if (d->identifier_count < FABRIC_IDENTIFIERS_MAX)
		d->identifiers[d->identifier_count++] = identifier;
	else
		counter_add(f->counters, COUNTER_IDENTIFIERS_LEFT_OUT, 1);
}

/* Adds one more subscription to a delivery; false: the message is not for it. */
static bool fold(
	struct fabric *f, struct delivery *d, const struct subscription *s, const struct message *m)
{
	/* MQTT-5.0 3.8.3.1-3. */
	if (s->options.no_local && s->subscriber == m->publisher)
		return false;
	/* MQTT-5.0 3.3.4-2: the highest QoS of all matching subscriptions. */
	if (d->qos < s->options.qos_max)
		d->qos = s->options.qos_max;
	d->retain |= m->retain && s->options.retain_as_published;
	/* MQTT-5.0 3.3.4-3 and -4: the identifiers of all, also equal ones, in any order. */
	if (s->options.identifier != 0)
		add_identifier(f, d, s->options.identifier);
	return true;
}

static struct delivery delivery_to(const struct fabric *f, uint32_t subscriber)
{
	if (subscriber < f->queues_from)
		return (struct delivery){.index = subscriber, .kind = SUBSCRIBER_CONNECTION};
	if (subscriber < f->workers_from)
		return (struct delivery){
			.index = subscriber - f->queues_from, .kind = SUBSCRIBER_QUEUE};
	return (struct delivery){.index = subscriber - f->workers_from, .kind = SUBSCRIBER_WORKER};
}

/* The common case: one filter, so a subscriber comes once. */
static uint32_t deliver_list(struct fabric *f, struct message *m, uint32_t first)
{
	uint32_t deliveries = 0;

	for (uint32_t i = first; i != AUDIENCE_NONE;) {
		const struct subscription *s = audiences_at(&f->audiences, i);
		struct delivery d = delivery_to(f, s->subscriber);
		if (s->subscriber >= f->end)
			break;
		i = s->next;
		audiences_prefetch(&f->audiences, i);
		if (!fold(f, &d, s, m))
			continue;
		f->deliver(f->owner, &d, m);
		deliveries++;
	}
	return deliveries;
}

/* Moves the cursor at `hole` down to where it belongs. */
static void sink(struct fabric *f, uint32_t hole)
{
	const struct cursor moving = f->cursor[hole];

	for (;;) {
		uint32_t child = 2 * hole + 1;
		if (child + 1 < f->cursors &&
			f->cursor[child + 1].subscriber < f->cursor[child].subscriber)
			child++;
		if (child >= f->cursors || f->cursor[child].subscriber >= moving.subscriber)
			break;
		f->cursor[hole] = f->cursor[child];
		hole = child;
	}
	f->cursor[hole] = moving;
}

/* Sets a cursor to a subscription, and has the one after it fetched. */
static void set_cursor(struct fabric *f, uint32_t cursor, uint32_t subscription)
{
	const struct subscription *s = audiences_at(&f->audiences, subscription);

	f->cursor[cursor] = (struct cursor){s->subscriber, subscription};
	audiences_prefetch(&f->audiences, s->next);
}

/* Takes the lowest subscription of all lists. */
static const struct subscription *pop(struct fabric *f)
{
	const struct subscription *s = audiences_at(&f->audiences, f->cursor[0].subscription);

	if (s->next != AUDIENCE_NONE)
		set_cursor(f, 0, s->next);
	else
		f->cursor[0] = f->cursor[--f->cursors];
	if (f->cursors > 0)
		sink(f, 0);
	return s;
}

static uint32_t deliver_merged(struct fabric *f, struct message *m)
{
	uint32_t deliveries = 0;

	for (uint32_t i = 0; i < f->cursors; i++)
		set_cursor(f, i, f->cursor[i].subscription);
	for (uint32_t i = f->cursors / 2; i > 0; i--)
		sink(f, i - 1);
	while (f->cursors > 0 && f->cursor[0].subscriber < f->end) {
		const uint32_t subscriber = f->cursor[0].subscriber;
		struct delivery d = delivery_to(f, subscriber);
		bool wanted = false;
		while (f->cursors > 0 && f->cursor[0].subscriber == subscriber)
			wanted |= fold(f, &d, pop(f), m);
		if (!wanted)
			continue;
		f->deliver(f->owner, &d, m);
		deliveries++;
	}
	return deliveries;
}

static void on_match(void *owner, uint32_t filter)
{
	struct fabric *f = owner;
	const uint32_t first = audiences_from(&f->audiences, filter, f->from);

	if (first == AUDIENCE_NONE)
		return;
	ASSERT(f->cursors < f->cursors_max);
	f->cursor[f->cursors++].subscription = first;
	audiences_prefetch(&f->audiences, first);
}

/* Kinds lie one after the other, so those in `scope` are a range. */
static void set_range(struct fabric *f, uint32_t scope)
{
	ASSERT(scope != 0 && scope <= FABRIC_ALL);
	ASSERT(scope != (FABRIC_CONNECTIONS | FABRIC_WORKERS));
	f->from = 0;
	if (!(scope & FABRIC_CONNECTIONS))
		f->from = scope & FABRIC_QUEUES ? f->queues_from : f->workers_from;
	f->end = f->audiences.conf.subscribers_max;
	if (!(scope & FABRIC_WORKERS))
		f->end = scope & FABRIC_QUEUES ? f->workers_from : f->queues_from;
}

uint32_t fabric_publish(struct fabric *f, struct message *m, uint32_t scope)
{
	uint32_t deliveries = 0;

	ASSERT(!f->publishing);
	ASSERT(message_whole(m));
	f->publishing = true;
	f->cursors = 0;
	set_range(f, scope);
	match_topic(f->match, m->topic, on_match, f);
	if (f->cursors == 1)
		deliveries = deliver_list(f, m, f->cursor[0].subscription);
	else if (f->cursors > 1)
		deliveries = deliver_merged(f, m);
	f->publishing = false;
	return deliveries;
}

static void check_specials(const struct fabric *f)
{
	for (uint32_t who = 0; who < f->audiences.conf.subscribers_max; who++) {
		uint32_t specials = 0, at = f->audiences.listener[who].first;
		while (at != AUDIENCE_NONE) {
			const struct subscription *s = audiences_at(&f->audiences, at);
			specials += form_is_special(match_text(f->match, s->filter));
			at = s->subscriber_next;
		}
		ASSERT(specials == f->specials[who]);
	}
}

void fabric_check(const struct fabric *f)
{
	ASSERT(!f->publishing);
	audiences_check(&f->audiences);
	ASSERT(counter_get(f->counters, COUNTER_SUBSCRIPTIONS) == f->audiences.pool.out);
	check_specials(f);
	for (uint32_t id = 0; id < f->audiences.conf.filters_max; id++)
		if (f->audiences.audience[id].count > 0)
			ASSERT(match_find(f->match, match_text(f->match, id)) == id);
}
