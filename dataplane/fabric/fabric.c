/* fabric.c - subscriptions, and the fan-out of a message.
 *
 * The audiences of the filters that matched are lists in order of connection.
 * One list is walked; several are merged with a heap, so that a connection's
 * matches come one after the other and fold into one delivery. */
#include "dataplane/fabric/fabric.h"

#include "dataplane/base/assert.h"
#include "dataplane/fabric/audience.h"

#include <stdlib.h>

enum { CURSORS_MAX = MATCH_SHAPES_MAX + 1 }; /* one filter of each shape, and a literal one */

/* The place in one list. */
struct cursor {
	uint32_t connection;
	uint32_t subscription;
};

struct fabric {
	struct audiences audiences;
	struct match *match;
	struct counters *counters;
	fabric_deliver *deliver;
	void *owner;
	bool publishing; /* no changes now */
	uint32_t cursors;
	struct cursor cursor[CURSORS_MAX]; /* a heap, the lowest connection first */
};

static struct match_conf match_conf_of(const struct fabric_conf *conf)
{
	struct match_conf match = conf->match;

	match.counters = conf->counters;
	return match;
}

static struct audiences_conf audiences_conf_of(const struct fabric_conf *conf)
{
	return (struct audiences_conf){
		.filters_max = conf->match.filters_max,
		.connections_max = conf->connections_max,
		.subscriptions_max = conf->subscriptions_max,
		.secret = conf->match.key.k0 ^ conf->match.key.k1,
	};
}

static size_t own_bytes(void)
{
	return (sizeof(struct fabric) + 63) & ~(size_t)63;
}

size_t fabric_bytes(const struct fabric_conf *conf)
{
	const struct match_conf match = match_conf_of(conf);
	const struct audiences_conf audiences = audiences_conf_of(conf);
	const size_t bytes = match_bytes(&match);

	if (bytes == 0 || conf->subscriptions_max >= UINT32_MAX - 1)
		return 0;
	return own_bytes() + audiences_bytes(&audiences) + bytes;
}

struct fabric *fabric_create(const struct fabric_conf *conf)
{
	const struct match_conf match = match_conf_of(conf);
	const struct audiences_conf audiences = audiences_conf_of(conf);
	const size_t bytes = own_bytes() + audiences_bytes(&audiences);

	if (fabric_bytes(conf) == 0)
		return NULL;
	uint8_t *memory = aligned_alloc(64, bytes);
	if (memory == NULL)
		return NULL;
	/* Touched now, so that no page fault comes later. */
	memset(memory, 0, bytes);
	struct fabric *f = (struct fabric *)memory;
	audiences_init(&f->audiences, memory + own_bytes(), &audiences);
	f->counters = conf->counters;
	f->deliver = conf->deliver;
	f->owner = conf->owner;
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

static void drop(struct fabric *f, uint32_t index)
{
	const uint32_t filter = audiences_at(&f->audiences, index)->filter;

	audiences_drop(&f->audiences, index);
	counter_sub(f->counters, COUNTER_SUBSCRIPTIONS, 1);
	if (f->audiences.audience[filter].count == 0)
		match_remove(f->match, filter);
}

enum err fabric_subscribe(struct fabric *f, uint32_t connection, struct span filter,
	const struct subscription_options *options, bool *was_new)
{
	uint32_t id;

	ASSERT(!f->publishing);
	ASSERT(connection < f->audiences.conf.connections_max);
	ASSERT(options->qos_max <= 2);
	const enum err e = match_insert(f->match, filter, &id);
	if (e != ERR_NONE)
		return e;
	uint32_t index = audiences_find(&f->audiences, id, connection);
	*was_new = index == AUDIENCE_NONE;
	if (*was_new) {
		index = audiences_add(&f->audiences, id, connection);
		if (index == AUDIENCE_NONE) {
			if (f->audiences.audience[id].count == 0)
				match_remove(f->match, id);
			return ERR_SUBSCRIPTION_TABLE_FULL;
		}
		counter_add(f->counters, COUNTER_SUBSCRIPTIONS, 1);
	}
	audiences_at(&f->audiences, index)->options = *options;
	return ERR_NONE;
}

enum err fabric_unsubscribe(struct fabric *f, uint32_t connection, struct span filter)
{
	uint32_t index = AUDIENCE_NONE;

	ASSERT(!f->publishing);
	const uint32_t id = match_find(f->match, filter);
	if (id != MATCH_NONE)
		index = audiences_find(&f->audiences, id, connection);
	if (index == AUDIENCE_NONE)
		return ERR_NOT_SUBSCRIBED;
	drop(f, index);
	return ERR_NONE;
}

void fabric_forget(struct fabric *f, uint32_t connection)
{
	ASSERT(!f->publishing);
	ASSERT(connection < f->audiences.conf.connections_max);
	while (f->audiences.listener[connection].first != AUDIENCE_NONE)
		drop(f, f->audiences.listener[connection].first);
}

uint32_t fabric_count(const struct fabric *f, uint32_t connection)
{
	ASSERT(connection < f->audiences.conf.connections_max);
	return f->audiences.listener[connection].count;
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
	if (s->options.no_local && s->connection == m->publisher)
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

/* The common case: one filter, so a connection comes once. */
static uint32_t deliver_list(struct fabric *f, struct message *m, uint32_t first)
{
	uint32_t deliveries = 0;

	for (uint32_t i = first; i != AUDIENCE_NONE;) {
		const struct subscription *s = audiences_at(&f->audiences, i);
		struct delivery d = {.connection = s->connection};
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
			f->cursor[child + 1].connection < f->cursor[child].connection)
			child++;
		if (child >= f->cursors || f->cursor[child].connection >= moving.connection)
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

	f->cursor[cursor] = (struct cursor){s->connection, subscription};
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
	while (f->cursors > 0) {
		struct delivery d = {.connection = f->cursor[0].connection};
		bool wanted = false;
		while (f->cursors > 0 && f->cursor[0].connection == d.connection)
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
	const uint32_t first = f->audiences.audience[filter].first;

	ASSERT(f->cursors < CURSORS_MAX);
	ASSERT(first != AUDIENCE_NONE);
	f->cursor[f->cursors++].subscription = first;
	audiences_prefetch(&f->audiences, first);
}

uint32_t fabric_publish(struct fabric *f, struct message *m)
{
	uint32_t deliveries = 0;

	ASSERT(!f->publishing);
	ASSERT(message_whole(m));
	f->publishing = true;
	f->cursors = 0;
	const uint32_t filters = match_topic(f->match, m->topic, on_match, f);
	ASSERT(filters == f->cursors);
	if (filters == 1)
		deliveries = deliver_list(f, m, f->cursor[0].subscription);
	else if (filters > 1)
		deliveries = deliver_merged(f, m);
	f->publishing = false;
	return deliveries;
}

void fabric_check(const struct fabric *f)
{
	ASSERT(!f->publishing);
	audiences_check(&f->audiences);
	ASSERT(counter_get(f->counters, COUNTER_SUBSCRIPTIONS) == f->audiences.pool.out);
	for (uint32_t id = 0; id < f->audiences.conf.filters_max; id++)
		if (f->audiences.audience[id].count > 0)
			ASSERT(match_find(f->match, match_text(f->match, id)) == id);
}
