/* route_interest.c - subscriptions of transient connections, and that other workers know of them.
 *
 * While any connection here has a filter, all other workers have this one as a
 * subscriber of it. What they have been told is what this worker's own number
 * subscribes to in its own fabric, so a filter's text outlives its last
 * connection until its end has been told. An answer comes when all have
 * applied it. */
#include "dataplane/worker/route_internal.h"

#include "dataplane/base/assert.h"

static const struct message_props no_props;
static const struct subscription_options no_options;

/* The last connection may have left it: others are told in time, unless it comes back. */
static void may_end(struct worker *w, struct span filter)
{
	struct route *r = w->route;
	const uint32_t id = fabric_filter(w->fabric, filter);

	if (r->workers == 1 || id == MATCH_NONE || r->ending[id] ||
		fabric_filter_wanted(w->fabric, id) ||
		!fabric_has(w->fabric, fabric_worker(w->fabric, r->self), filter))
		return;
	r->ending[id] = true;
	queue_push(&r->ends, id);
}

/* Notes in our own fabric that others are told. *known: they are, and have all applied it. */
static enum err announce(struct worker *w, struct span filter, bool *known)
{
	struct route *r = w->route;
	const uint32_t self = fabric_worker(w->fabric, r->self);
	bool was_new;

	*known = fabric_has(w->fabric, self, filter) && r->askings.out == 0 && r->ends.count == 0;
	if (*known)
		return ERR_NONE;
	return fabric_subscribe(w->fabric, self, filter, &no_options, &was_new);
}

static enum err ask(struct worker *w, const struct connection *c, uint32_t token,
	struct span filter, const struct subscription_options *options, bool was_new)
{
	struct route *r = w->route;
	struct message *m = message_begin(w->messages, filter, &no_props, 0);

	if (m == NULL)
		return ERR_NO_MESSAGES;
	const uint32_t index = pool_get(&r->askings);
	if (index == POOL_NONE) {
		message_put(&m);
		return ERR_PEER_FULL;
	}
	*(struct asking *)pool_at(&r->askings, index) = (struct asking){.connection = c->id.index,
		.generation = c->id.generation,
		.token = token,
		.waiting = r->workers - 1,
		.to_tell = route_others(r),
		.filter = m,
		.was_new = was_new,
		.options = *options};
	r->to_tell++;
	return ERR_NONE;
}

static void take_back(struct worker *w, uint32_t connection, struct span filter)
{
	if (fabric_unsubscribe(w->fabric, connection, filter) == ERR_NONE)
		may_end(w, filter);
}

/* Tells whom it can. False: somebody is left. */
static bool tell(struct worker *w, uint32_t index)
{
	struct asking *a = pool_at(&w->route->askings, index);
	const struct loan loan = {.connection = POOL_NONE, .routing = POOL_NONE};

	for (uint32_t i = 0; i < w->route->workers; i++) {
		if (!(a->to_tell >> i & 1) || !route_can_lend(w, i))
			continue;
		struct peer_slot slot = {.kind = PEER_INTEREST, .a = 1, .b = index};
		route_lend(w, i, a->filter, &slot, &loan);
		a->to_tell &= ~(1ull << i);
	}
	return a->to_tell == 0;
}

static enum err subscribe(struct worker *w, struct connection *c, uint32_t token,
	struct span filter, const struct subscription_options *options, bool *was_new,
	bool *answered)
{
	enum err e = fabric_subscribe(w->fabric, c->id.index, filter, options, was_new);

	*answered = true;
	if (e != ERR_NONE || w->route->workers == 1)
		return e;
	e = announce(w, filter, answered);
	if (e == ERR_NONE && !*answered)
		e = ask(w, c, token, filter, options, *was_new);
	if (e != ERR_NONE) {
		*answered = true;
		if (*was_new)
			take_back(w, c->id.index, filter);
	}
	return e;
}

void route_subscribe(struct worker *w, struct connection *c, uint32_t token, struct span filter,
	const struct subscription_options *options)
{
	bool was_new, answered = true;
	enum err e = ERR_NONE;

	if (options->retain_handling != 2 && !route_snapshot_room(w, filter))
		e = ERR_SNAPSHOTS_FULL;
	if (e == ERR_NONE)
		e = subscribe(w, c, token, filter, options, &was_new, &answered);
	if (!answered)
		return;
	if (e == ERR_NONE)
		route_snapshot(w, c, filter, options, was_new);
	connection_answer(w, c, token, e);
}

void route_on_applied(struct worker *w, const struct peer_slot *slot)
{
	struct route *r = w->route;
	struct asking *at = pool_at(&r->askings, (uint32_t)slot->b);

	ASSERT(at->waiting > 0);
	if (at->err == ERR_NONE)
		at->err = (enum err)slot->a;
	if (--at->waiting > 0)
		return;
	struct asking a = *at;
	pool_put(&r->askings, (uint32_t)slot->b);
	struct connection *c = route_connection(w, a.connection, a.generation);
	if (c != NULL) {
		if (a.err == ERR_NONE)
			route_snapshot(w, c, a.filter->topic, &a.options, a.was_new);
		else if (a.was_new)
			take_back(w, a.connection, a.filter->topic);
		connection_answer(w, c, a.token, a.err);
	}
	message_put(&a.filter);
}

void route_unsubscribe(struct worker *w, struct connection *c, uint32_t token, struct span filter)
{
	const enum err e = fabric_unsubscribe(w->fabric, c->id.index, filter);

	if (e == ERR_NONE) {
		may_end(w, filter);
		route_snapshot_stop(w, c, filter);
	}
	connection_answer(w, c, token, e);
}

void route_forget_filters(struct worker *w, struct connection *c)
{
	struct span filter;

	if (w->route->workers == 1) {
		fabric_forget(w->fabric, c->id.index);
		return;
	}
	while (fabric_any(w->fabric, c->id.index, &filter)) {
		const uint32_t id = fabric_filter(w->fabric, filter);
		/* If so, its text outlives this subscription. */
		const bool told =
			fabric_has(w->fabric, fabric_worker(w->fabric, w->route->self), filter);
		const enum err e = fabric_unsubscribe(w->fabric, c->id.index, filter);
		ASSERT(e == ERR_NONE);
		if (told)
			may_end(w, fabric_filter_text(w->fabric, id));
	}
}

bool route_on_interest(struct worker *w, const struct peer_slot *slot)
{
	const struct message *filter = slot->p;
	const uint32_t from = fabric_worker(w->fabric, slot->from);
	bool was_new;
	enum err e;

	if (slot->a == 0) {
		e = fabric_unsubscribe(w->fabric, from, filter->topic);
		(void)e; /* it may have had no room when it began */
		return true;
	}
	e = fabric_subscribe(w->fabric, from, filter->topic, &no_options, &was_new);
	const struct peer_slot applied = {.kind = PEER_APPLIED, .a = e, .b = slot->b};
	route_answer_peer(w, slot->from, &applied);
	return true;
}

/* False: no room to tell them all now. */
static bool end_interest(struct worker *w, uint32_t id)
{
	struct route *r = w->route;
	const uint32_t self = fabric_worker(w->fabric, r->self);
	const struct loan loan = {.connection = POOL_NONE, .routing = POOL_NONE};

	if (fabric_filter_wanted(w->fabric, id))
		return true;
	if (!route_can_lend_all(w, route_others(r)))
		return false;
	struct message *m =
		message_begin(w->messages, fabric_filter_text(w->fabric, id), &no_props, 0);
	if (m == NULL)
		return false;
	for (uint32_t i = 0; i < r->workers; i++) {
		struct peer_slot slot = {.kind = PEER_INTEREST};
		if (i != r->self)
			route_lend(w, i, m, &slot, &loan);
	}
	const enum err e = fabric_unsubscribe(w->fabric, self, m->topic);
	ASSERT(e == ERR_NONE);
	message_put(&m);
	return true;
}

static bool poll_ends(struct worker *w)
{
	struct route *r = w->route;
	bool moved = false;

	for (uint32_t n = ROUTE_RETRIES; n > 0 && r->ends.count > 0; n--) {
		const uint32_t id = r->ends.at[r->ends.head];
		if (!end_interest(w, id))
			break;
		r->ending[id] = false;
		(void)queue_pop(&r->ends);
		moved = true;
	}
	return moved;
}

static bool poll_begins(struct worker *w)
{
	struct route *r = w->route;
	bool moved = false;

	for (uint32_t i = 0; r->to_tell > 0 && i < r->askings.count; i++) {
		if (!pool_taken(&r->askings, i) ||
			((struct asking *)pool_at(&r->askings, i))->to_tell == 0)
			continue;
		if (!tell(w, i))
			break;
		r->to_tell--;
		moved = true;
	}
	return moved;
}

/* An end must not overtake the beginning that it ends. */
bool route_poll_interest(struct worker *w)
{
	const bool moved = poll_begins(w);

	return (w->route->to_tell == 0 && poll_ends(w)) || moved;
}
