/* route_snapshot.c - retained values for a subscriber, at home: one owner after the other.
 *
 * An owner is asked for a few values at a time. A value that the session
 * declines is dropped with all behind it, and the owner asked again from that
 * topic on when there is room: what comes then is the newest, so a live value
 * that went by meanwhile is never followed by an older one. */
#include "dataplane/worker/route_internal.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

enum { TEXT_CELLS = 4 * ROUTE_SNAPSHOTS_MAX }; /* room for filters of 240 bytes, on average */

static const struct message_props no_props;

static uint32_t actives_of(uint32_t workers)
{
	return RETAINED_CURSORS_MAX / workers;
}

size_t route_snapshots_bytes(void)
{
	return pool_bytes(ROUTE_SNAPSHOTS_MAX, sizeof(struct snapshot)) +
	       TEXT_CELLS * sizeof(struct cell) +
	       RETAINED_CURSORS_MAX * (sizeof(struct serving) + 2 * sizeof(uint32_t)) +
	       2u * ROUTE_SNAPSHOTS_MAX * sizeof(uint32_t);
}

bool route_snapshots_create(struct worker *w)
{
	struct route *r = w->route;
	const size_t bytes = pool_bytes(ROUTE_SNAPSHOTS_MAX, sizeof(struct snapshot));

	r->actives_max = actives_of(r->workers);
	r->pools[4] = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
	r->texts_memory = calloc(TEXT_CELLS, sizeof(struct cell));
	r->actives = calloc(r->actives_max, sizeof(*r->actives));
	r->servings = calloc((size_t)r->workers * r->actives_max, sizeof(*r->servings));
	if (r->pools[4] == NULL || r->texts_memory == NULL || r->actives == NULL ||
		r->servings == NULL)
		return false;
	memset(r->pools[4], 0, bytes);
	pool_init(&r->snapshots, r->pools[4], ROUTE_SNAPSHOTS_MAX, sizeof(struct snapshot));
	cells_init(&r->texts, r->texts_memory, TEXT_CELLS);
	for (uint32_t i = 0; i < r->actives_max; i++)
		r->actives[i] = POOL_NONE;
	return queue_create(&r->waiting, ROUTE_SNAPSHOTS_MAX) &&
	       queue_create(&r->driven, ROUTE_SNAPSHOTS_MAX) &&
	       queue_create(&r->served, r->workers * r->actives_max);
}

static struct snapshot *snapshot_at(const struct worker *w, uint32_t index)
{
	return pool_at(&w->route->snapshots, index);
}

void route_snapshots_fini(struct worker *w)
{
	struct route *r = w->route;

	if (r->servings != NULL)
		route_servings_fini(w);
	for (uint32_t i = 0; i < r->snapshots.count; i++) {
		if (!pool_taken(&r->snapshots, i))
			continue;
		struct snapshot *s = snapshot_at(w, i);
		if (s->filter != NULL)
			message_put(&s->filter);
		if (s->declined != NULL)
			message_put(&s->declined);
	}
	free(r->texts_memory);
	free(r->actives);
	free(r->servings);
	free(r->waiting.at);
	free(r->driven.at);
	free(r->served.at);
}

bool route_snapshot_room(const struct worker *w, struct span filter)
{
	const struct route *r = w->route;

	return r->snapshots.out < r->snapshots.count &&
	       cells_for(filter.size) <= r->texts.free_count;
}

static void drive(struct worker *w, uint32_t index)
{
	struct snapshot *s = snapshot_at(w, index);

	if (s->queued)
		return;
	s->queued = true;
	queue_push(&w->route->driven, index);
}

static void keep_text(struct worker *w, struct snapshot *s, struct span filter)
{
	s->text = cells_take(&w->route->texts, (uint32_t)cells_for(filter.size));
	s->text_size = (uint32_t)filter.size;
	struct cells_place place = {.cell = s->text};
	cells_write(&w->route->texts, &place, filter);
}

static void begin(struct worker *w, struct connection *c, struct span filter,
	const struct subscription_options *options)
{
	struct route *r = w->route;
	struct way *way = route_way_of(w, c);
	const uint32_t index = pool_get(&r->snapshots);

	ASSERT(index != POOL_NONE);
	struct snapshot *s = snapshot_at(w, index);
	*s = (struct snapshot){.connection = c->id.index,
		.generation = c->id.generation,
		.next = way->snapshots,
		.identifier = options->identifier,
		.active = POOL_NONE,
		.session = options->qos_max > 0 ? connection_queue(c) : 0,
		.qos = options->qos_max};
	way->snapshots = index;
	keep_text(w, s, filter);
	queue_push(&r->waiting, index);
}

static bool has_filter(const struct worker *w, const struct snapshot *s, struct span filter)
{
	struct cells_place place = {.cell = s->text};
	uint8_t piece[CELL_BYTES];

	if (s->text_size != filter.size)
		return false;
	while (filter.size > 0) {
		const size_t n = filter.size < sizeof(piece) ? filter.size : sizeof(piece);
		cells_read(&w->route->texts, &place, piece, n);
		if (memcmp(piece, filter.at, n) != 0)
			return false;
		filter = span_skip(filter, n);
	}
	return true;
}

/* It ends as soon as its owner has answered; one that still waits, in its turn. */
static void kill(struct worker *w, uint32_t index)
{
	struct snapshot *s = snapshot_at(w, index);

	s->dead = true;
	if (s->state == SNAPSHOT_STALLS || s->state == SNAPSHOT_GO) {
		s->state = SNAPSHOT_CLOSE;
		drive(w, index);
	}
}

/* Those of a connection, or of one filter of it, come off its list. */
static void stop(struct worker *w, struct way *way, const struct span *filter)
{
	uint32_t *link = &way->snapshots;

	while (*link != POOL_NONE) {
		struct snapshot *s = snapshot_at(w, *link);
		const uint32_t index = *link;
		if (filter != NULL && !has_filter(w, s, *filter)) {
			link = &s->next;
			continue;
		}
		*link = s->next;
		kill(w, index);
	}
}

void route_snapshot_stop(struct worker *w, struct connection *c, struct span filter)
{
	struct way *way = route_way(w, c->id.index, c->id.generation);

	if (way != NULL)
		stop(w, way, &filter);
}

void route_forget_snapshots(struct worker *w, struct connection *c)
{
	struct way *way = route_way(w, c->id.index, c->id.generation);

	if (way != NULL)
		stop(w, way, NULL);
}

/* MQTT-5.0 3.8.3.1: 0 always, 1 for a new subscription, 2 never. */
void route_snapshot(struct worker *w, struct connection *c, struct span filter,
	const struct subscription_options *options, bool was_new)
{
	if (options->retain_handling == 2 || (options->retain_handling == 1 && !was_new))
		return;
	route_snapshot_stop(w, c, filter);
	if (!route_snapshot_room(w, filter)) {
		counter_err(w->counters, ERR_SNAPSHOTS_FULL);
		return;
	}
	begin(w, c, filter, options);
}

static void free_snapshot(struct worker *w, uint32_t index)
{
	struct route *r = w->route;
	struct snapshot *s = snapshot_at(w, index);
	struct way *way = route_way(w, s->connection, s->generation);

	if (!s->dead && way != NULL) {
		uint32_t *link = &way->snapshots;
		while (*link != index)
			link = &snapshot_at(w, *link)->next;
		*link = s->next;
	}
	if (s->filter != NULL)
		message_put(&s->filter);
	if (s->declined != NULL)
		message_put(&s->declined);
	if (s->active != POOL_NONE) {
		r->actives[s->active] = POOL_NONE;
		r->active_count--;
	}
	cells_put(&r->texts, s->text);
	pool_put(&r->snapshots, index);
}

/* The filter as a message, for whoever serves it. NULL: no room now. */
static struct message *filter_message(struct worker *w, const struct snapshot *s)
{
	struct cells_place place = {.cell = s->text};

	ASSERT(s->text_size <= WORKER_SCRATCH_BYTES);
	cells_read(&w->route->texts, &place, w->scratch, s->text_size);
	return message_begin(w->messages, span_of(w->scratch, s->text_size), &no_props, 0);
}

static uint32_t free_active(const struct route *r)
{
	for (uint32_t i = 0; i < r->actives_max; i++)
		if (r->actives[i] == POOL_NONE)
			return i;
	return POOL_NONE;
}

static bool activate(struct worker *w)
{
	struct route *r = w->route;
	const uint32_t index = r->waiting.at[r->waiting.head];
	struct snapshot *s = snapshot_at(w, index);

	if (!s->dead) {
		s->filter = filter_message(w, s);
		if (s->filter == NULL)
			return false;
	}
	(void)queue_pop(&r->waiting);
	if (s->dead) {
		free_snapshot(w, index);
		return true;
	}
	s->active = free_active(r);
	r->actives[s->active] = index;
	r->active_count++;
	s->state = SNAPSHOT_BEGIN;
	drive(w, index);
	return true;
}

static void deliver(struct worker *w, struct snapshot *s, struct message *m)
{
	struct connection *c = route_connection(w, s->connection, s->generation);
	struct delivery d = {.index = s->connection,
		.kind = SUBSCRIBER_CONNECTION,
		.qos = s->qos,
		.retained = true};

	if (s->identifier != 0)
		d.identifiers[d.identifier_count++] = s->identifier;
	if (c == NULL || connection_offer(w, c, &d, m))
		return;
	s->declined = message_ref(m);
	s->roomy = false;
}

void route_on_value(struct worker *w, uint32_t active, struct message *m)
{
	struct snapshot *s = snapshot_at(w, w->route->actives[active]);

	if (!s->dead && s->declined == NULL)
		deliver(w, s, m);
}

void route_on_snapshot_end(struct worker *w, uint32_t active, bool more)
{
	const uint32_t index = w->route->actives[active];
	struct snapshot *s = snapshot_at(w, index);

	ASSERT(s->state == SNAPSHOT_RUNS);
	if (s->dead || (s->declined == NULL && !more))
		s->state = SNAPSHOT_CLOSE;
	else if (s->declined != NULL && !s->roomy)
		s->state = SNAPSHOT_STALLS;
	else
		s->state = SNAPSHOT_GO;
	if (s->state != SNAPSHOT_STALLS)
		drive(w, index);
}

void route_room(struct worker *w, struct connection *c)
{
	const struct way *way = route_way(w, c->id.index, c->id.generation);
	uint32_t at = way != NULL ? way->snapshots : (uint32_t)POOL_NONE;

	for (; at != POOL_NONE; at = snapshot_at(w, at)->next) {
		struct snapshot *s = snapshot_at(w, at);
		s->roomy = true;
		if (s->state != SNAPSHOT_STALLS)
			continue;
		s->state = SNAPSHOT_GO;
		drive(w, at);
	}
}

/* What is said to the owner, and what goes with it. */
static struct peer_slot request(const struct snapshot *s, struct message **with)
{
	struct peer_slot slot = {.kind = PEER_SNAPSHOT,
		.a = s->active,
		.b = ROUTE_CREDIT,
		.qos = s->qos,
		.identifier = s->identifier,
		.session = s->session};

	*with = NULL;
	if (s->state == SNAPSHOT_BEGIN) {
		slot.flags = PEER_SNAPSHOT_BEGIN;
		*with = s->filter;
	} else if (s->state == SNAPSHOT_CLOSE) {
		slot.flags = PEER_SNAPSHOT_CLOSE;
	} else if (s->declined != NULL) {
		slot.flags = PEER_SNAPSHOT_SEEK;
		*with = s->declined;
	}
	return slot;
}

/* False: no room now. */
static bool say(struct worker *w, struct snapshot *s)
{
	struct message *with;
	struct peer_slot slot = request(s, &with);
	const struct loan loan = {.connection = POOL_NONE, .routing = POOL_NONE};

	if (s->owner == w->route->self) {
		route_serve(w, s->owner, &slot, with);
		return true;
	}
	if (with == NULL) {
		if (!peer_push(w->conf.peers, w->route->self, s->owner, &slot))
			return false;
		counter_add(w->counters, COUNTER_PEER_TX, 1);
		return true;
	}
	if (!route_can_lend(w, s->owner))
		return false;
	route_lend(w, s->owner, with, &slot, &loan);
	return true;
}

/* The owner is through. */
static void next_owner(struct worker *w, uint32_t index)
{
	struct snapshot *s = snapshot_at(w, index);

	if (s->dead || ++s->owner == w->route->workers) {
		if (!s->dead)
			counter_add(w->counters, COUNTER_SNAPSHOTS, 1);
		free_snapshot(w, index);
		return;
	}
	s->state = SNAPSHOT_BEGIN;
	drive(w, index);
}

static bool step(struct worker *w, uint32_t index)
{
	struct snapshot *s = snapshot_at(w, index);

	if (s->dead && s->state == SNAPSHOT_BEGIN) { /* nobody knows of it */
		s->queued = false;
		free_snapshot(w, index);
		return true;
	}
	if (!say(w, s))
		return false;
	s->queued = false;
	if (s->state == SNAPSHOT_CLOSE) {
		next_owner(w, index);
		return true;
	}
	if (s->state == SNAPSHOT_GO && s->declined != NULL)
		message_put(&s->declined);
	s->state = SNAPSHOT_RUNS;
	return true;
}

bool route_poll_snapshots(struct worker *w)
{
	struct route *r = w->route;
	bool moved = false;

	while (r->waiting.count > 0 && r->active_count < r->actives_max && activate(w))
		moved = true;
	for (uint32_t n = r->driven.count; n > 0; n--) {
		const uint32_t index = queue_pop(&r->driven);
		const bool stepped = step(w, index);
		if (!stepped)
			queue_push(&r->driven, index);
		moved |= stepped;
	}
	return moved;
}
