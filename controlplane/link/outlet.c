/* outlet.c - effects of the registry and the sessions, to workers. See inside.h.
 *
 * For one worker, in this order: what has begun; all that the registry has to
 * say; then what the sessions have. So no DELIVER comes before its GRANT; that
 * RECEIVED_ID and QUEUE_PLACE come before it is the sessions' doing, which call
 * nobody ready before these are taken. To a worker of a new dataplane nothing goes from the
 * sessions before it has greeted: what they have was for the one before. */
#include "controlplane/link/inside.h"

/* Counted once for each time that room runs out. */
static void set_full(struct controlplane *cp, struct peer *peer, bool full)
{
	if (full && !peer->full)
		counter_err(cp->counters,
			shm_tx_room(&peer->events) == 0 ? ERR_RING_FULL : ERR_ARENA_FULL);
	peer->full = full;
}

static void push_one(struct controlplane *cp, struct peer *peer, const struct registry_effect *e)
{
	bool pushed;

	if (e->kind == REGISTRY_GRANT)
		pushed = shm_tx_push(&peer->events, SHM_EVENT_GRANT, &e->grant, sizeof(e->grant));
	else
		pushed =
			shm_tx_push(&peer->events, SHM_EVENT_REVOKE, &e->revoke, sizeof(e->revoke));
	counter_add(cp->counters, COUNTER_RING_TX, pushed);
	/* There was room; only a consumer's index that jumps can take it away again. The worker
	 * that does so has lost an answer and is to be restarted. */
	if (!pushed)
		counter_err(cp->counters, ERR_RING_CORRUPT);
}

/* False: no room for all that the registry has to say. */
static bool push_registry(struct controlplane *cp, uint32_t worker, bool *worked)
{
	struct peer *peer = &cp->peers[worker];
	struct registry_effect e;

	while (registry_due(cp->registry, worker)) {
		if (shm_tx_room(&peer->events) == 0)
			return false;
		if (!registry_next(cp->registry, worker, &e))
			break;
		push_one(cp, peer, &e);
		*worked = true;
	}
	return true;
}

static bool push_trials(struct controlplane *cp, uint32_t worker, bool *worked)
{
	struct peer *peer = &cp->peers[worker];
	struct trial t;

	while (cp->trials != NULL && trials_next(cp->trials, worker, &t)) {
		const struct shm_trial body = {.token = t.token, .err = t.err};
		if (!shm_tx_push(&peer->events, SHM_EVENT_TRIED, &body, sizeof(body)))
			return false;
		counter_add(cp->counters, COUNTER_RING_TX, 1);
		trials_took(cp->trials, &t);
		*worked = true;
	}
	return true;
}

/* False: no room to finish it. */
static bool push_begun(struct controlplane *cp, struct peer *peer, bool *worked)
{
	const uint32_t slots = carrier_push(&peer->carrier, &peer->events, &peer->text);

	counter_add(cp->counters, COUNTER_RING_TX, slots);
	*worked |= slots > 0;
	return !peer->carrier.loaded;
}

/* False: no room for more, or no memory for a long one. */
static bool push_effect(
	struct controlplane *cp, uint32_t worker, const struct sessions_effect *e, bool *worked)
{
	struct peer *peer = &cp->peers[worker];

	if (carrier_send(&peer->events, &peer->text, e)) {
		counter_add(cp->counters, COUNTER_RING_TX, 1);
		sessions_took(cp->sessions, worker);
		*worked = true;
		return true;
	}
	if (!carrier_load(&peer->carrier, e))
		return false;
	sessions_took(cp->sessions, worker);
	return push_begun(cp, peer, worked);
}

bool outlet_push(struct controlplane *cp, uint32_t worker, struct sessions_now now)
{
	struct peer *peer = &cp->peers[worker];
	struct sessions_effect e;
	bool worked = false;

	bool room = push_begun(cp, peer, &worked) && push_registry(cp, worker, &worked) &&
		    push_trials(cp, worker, &worked);
	for (uint32_t i = 0; room && peer->greeted && i < CONTROLPLANE_BURST; i++) {
		if (shm_tx_room(&peer->events) == 0)
			room = false;
		else if (!sessions_next(cp->sessions, worker, &e, now))
			break;
		else
			room = push_effect(cp, worker, &e, &worked);
	}
	set_full(cp, peer, !room);
	return worked;
}
