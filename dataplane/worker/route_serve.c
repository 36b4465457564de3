/* route_serve.c - retained values, at their owner: cursors, a few values at a time for each.
 *
 * Values go the way of live messages: the same ring, or straight to a
 * connection here. For a queue each is a STORE. A value that waits for its own
 * STORE is not in memory yet. So a durable snapshot begins when those are
 * settled that were on their way before, as they may not name its queue; and as
 * those that come later do, it stops at such a topic, and holds up new values
 * of it, until they are settled: a queue never gets an old value behind a new
 * one. */
#include "dataplane/worker/route_internal.h"

#include "dataplane/base/assert.h"

static void serve_on(struct worker *w, uint32_t index)
{
	struct serving *v = &w->route->servings[index];

	if (v->queued)
		return;
	v->queued = true;
	queue_push(&w->route->served, index);
}

static void let_go(struct worker *w, struct serving *v)
{
	if (v->bucket == POOL_NONE)
		return;
	w->route->held_by_topic[v->bucket]--;
	v->bucket = POOL_NONE;
}

static void close_serving(struct worker *w, uint32_t home, struct serving *v)
{
	const struct peer_slot filter = {.from = (uint16_t)home, .loan = v->loan};

	let_go(w, v);
	retained_close(w->route->retained, &v->cursor);
	if (v->own != NULL)
		message_put(&v->own);
	else
		route_release(w, &filter);
}

static void open_serving(
	struct worker *w, uint32_t home, const struct peer_slot *slot, struct message *filter)
{
	struct serving *v = &w->route->servings[home * w->route->actives_max + slot->a];

	ASSERT(v->cursor == NULL);
	v->cursor = retained_open(w->route->retained, filter->topic);
	ASSERT(v->cursor != NULL); /* each worker has its share of them */
	v->own = home == w->route->self ? message_ref(filter) : NULL;
	v->loan = slot->loan;
	v->qos = (uint8_t)slot->qos;
	v->identifier = slot->identifier;
	v->session = slot->session;
	v->bucket = POOL_NONE;
	v->after = w->route->after_begun;
}

/* A request of a home. The filter of BEGIN stays lent until CLOSE. */
void route_serve(struct worker *w, uint32_t home, const struct peer_slot *slot, struct message *m)
{
	struct route *r = w->route;
	const uint32_t index = home * r->actives_max + slot->a;
	struct serving *v = &r->servings[index];

	ASSERT(slot->a < r->actives_max);
	if (slot->flags & PEER_SNAPSHOT_CLOSE) {
		close_serving(w, home, v);
		return;
	}
	if (slot->flags & PEER_SNAPSHOT_BEGIN)
		open_serving(w, home, slot, m);
	if (slot->flags & PEER_SNAPSHOT_SEEK) {
		retained_seek(r->retained, v->cursor, m->topic);
		if (home != r->self) {
			rte_pktmbuf_free(slot->payload);
			route_release(w, slot);
		}
	}
	v->credit = (uint32_t)slot->b;
	serve_on(w, index);
}

static void say_end(struct worker *w, uint32_t home, uint32_t active, bool more)
{
	const struct peer_slot end = {.kind = PEER_SNAPSHOT_END, .a = active, .b = more};

	if (home == w->route->self)
		route_on_snapshot_end(w, active, more);
	else
		route_answer_peer(w, home, &end);
}

/* False: its topic has a value under way, or there is no room for work. */
static bool store(struct worker *w, struct serving *v, struct message *m)
{
	struct route *r = w->route;
	const uint32_t bucket = route_bucket(m->topic);
	struct store_target t = {
		.session = v->session, .qos = m->qos < v->qos ? m->qos : v->qos, .retain = true};
	const struct store_order order = {.order = {.kind = ORDER_NOBODY}};

	if (r->after_by_topic[bucket] > 0) {
		if (v->bucket == POOL_NONE) {
			v->bucket = bucket;
			r->held_by_topic[bucket]++;
		}
		return false;
	}
	if (v->identifier != 0)
		t.identifiers[t.identifier_count++] = v->identifier;
	works_targets_begin(w);
	works_target(w, &t);
	if (!works_room(w, m))
		return false;
	let_go(w, v);
	works_store(w, m, &order);
	return true;
}

static bool give(struct worker *w, uint32_t home, uint32_t active, struct message *m)
{
	struct serving *v = &w->route->servings[home * w->route->actives_max + active];
	const struct loan loan = {.connection = POOL_NONE, .routing = POOL_NONE};
	struct peer_slot slot = {.kind = PEER_VALUE, .a = active};

	if (v->session != 0 && m->qos > 0)
		return store(w, v, m);
	if (home == w->route->self)
		route_on_value(w, active, m);
	else if (route_can_lend(w, home))
		route_lend(w, home, m, &slot, &loan);
	else
		return false;
	return true;
}

/* The next few values of one cursor. True: something came of it. */
static bool serve(struct worker *w, uint32_t index, uint32_t *looks, uint32_t *values)
{
	struct route *r = w->route;
	struct serving *v = &r->servings[index];
	const uint32_t home = index / r->actives_max, active = index % r->actives_max;
	bool moved = false;

	if (v->session != 0 && r->after_done < v->after) {
		serve_on(w, index);
		return false;
	}
	while (v->credit > 0 && *values > 0) {
		struct message *m;
		const enum retained_step step =
			retained_next(r->retained, v->cursor, w->messages, w->now_us, looks, &m);
		if (step == RETAINED_END) {
			say_end(w, home, active, false);
			return true;
		}
		if (step != RETAINED_VALUE) {
			serve_on(w, index);
			return moved || step == RETAINED_BUDGET;
		}
		const bool given = give(w, home, active, m);
		if (!given)
			retained_seek(r->retained, v->cursor, m->topic);
		message_put(&m);
		if (!given) {
			serve_on(w, index);
			return moved;
		}
		--*values;
		v->credit--;
		moved = true;
	}
	if (v->credit == 0)
		say_end(w, home, active, true);
	else
		serve_on(w, index);
	return moved;
}

bool route_poll_servings(struct worker *w)
{
	struct route *r = w->route;
	uint32_t looks = ROUTE_LOOKS, values = ROUTE_VALUES;
	bool moved = false;

	for (uint32_t n = r->served.count; n > 0 && looks > 0 && values > 0; n--) {
		const uint32_t index = queue_pop(&r->served);
		r->servings[index].queued = false;
		moved |= serve(w, index, &looks, &values);
	}
	return moved;
}

void route_servings_fini(struct worker *w)
{
	struct route *r = w->route;

	for (uint32_t i = 0; i < r->workers * r->actives_max; i++) {
		struct serving *v = &r->servings[i];
		if (v->cursor == NULL)
			continue;
		retained_close(r->retained, &v->cursor);
		if (v->own != NULL)
			message_put(&v->own);
	}
}
