/* route_peer.c - what workers say to each other about messages: loans, answers, forwards.
 *
 * A loan ends with its RELEASE, which says that the borrower has fanned the
 * message out. So a FORWARD is ROUTED, and its publisher goes on, when the last
 * worker has it: nothing that comes later by another ring can overtake it. */
#include "dataplane/worker/route_internal.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

static uint32_t lenders(uint32_t workers)
{
	return workers - 1;
}

size_t route_peers_bytes(const struct shm_config *c)
{
	if (c->workers < 2)
		return 0;
	const size_t n = lenders(c->workers);
	const size_t slots = ROUTE_OWED_MAX + ROUTE_IN_MAX + ROUTE_FORWARDS_MAX;
	return n * slots * sizeof(struct peer_slot) +
	       pool_bytes((uint32_t)n * ROUTE_LOANS_MAX, sizeof(struct loan)) +
	       pool_bytes((uint32_t)n * ROUTE_FORWARDS_MAX, sizeof(struct routing)) +
	       pool_bytes(ROUTE_FORWARDS_MAX, sizeof(struct forward)) +
	       pool_bytes(ROUTE_ASKING_MAX, sizeof(struct asking)) +
	       ROUTE_FORWARDS_MAX * sizeof(uint32_t);
}

static bool pool_create(struct pool *p, void **memory, uint32_t count, size_t size)
{
	*memory = aligned_alloc(64, (pool_bytes(count, size) + 63) & ~(size_t)63);
	if (*memory == NULL)
		return false;
	memset(*memory, 0, pool_bytes(count, size)); /* touched now */
	pool_init(p, *memory, count, size);
	return true;
}

static bool slots_create(struct slots *s, uint32_t max)
{
	*s = (struct slots){.at = calloc(max, sizeof(*s->at)), .max = max};
	return s->at != NULL;
}

bool route_peers_create(struct worker *w)
{
	struct route *r = w->route;
	const uint32_t n = lenders(r->workers);

	if (n == 0)
		return true;
	r->peers = calloc(r->workers, sizeof(*r->peers));
	if (r->peers == NULL)
		return false;
	for (uint32_t i = 0; i < r->workers; i++)
		if (i != r->self &&
			(!slots_create(&r->peers[i].out, ROUTE_OWED_MAX) ||
				!slots_create(&r->peers[i].in, ROUTE_IN_MAX) ||
				!slots_create(&r->peers[i].forwards, ROUTE_FORWARDS_MAX)))
			return false;
	return queue_create(&r->declines, ROUTE_FORWARDS_MAX) &&
	       pool_create(&r->loans, &r->pools[0], n * ROUTE_LOANS_MAX, sizeof(struct loan)) &&
	       pool_create(&r->routings, &r->pools[1], n * ROUTE_FORWARDS_MAX,
		       sizeof(struct routing)) &&
	       pool_create(
		       &r->forwards, &r->pools[2], ROUTE_FORWARDS_MAX, sizeof(struct forward)) &&
	       pool_create(&r->askings, &r->pools[3], ROUTE_ASKING_MAX, sizeof(struct asking));
}

static void drop_slots(struct slots *s)
{
	for (; s->count > 0; s->count--) {
		rte_pktmbuf_free(s->at[s->head].payload);
		s->head = (s->head + 1) % s->max;
	}
	free(s->at);
}

void route_peers_fini(struct worker *w)
{
	struct route *r = w->route;

	for (uint32_t i = 0; r->peers != NULL && i < r->workers; i++) {
		drop_slots(&r->peers[i].out);
		drop_slots(&r->peers[i].in);
		drop_slots(&r->peers[i].forwards);
	}
	for (uint32_t i = 0; i < r->loans.count; i++)
		if (pool_taken(&r->loans, i))
			message_put(&((struct loan *)pool_at(&r->loans, i))->message);
	for (uint32_t i = 0; i < r->askings.count; i++)
		if (pool_taken(&r->askings, i))
			message_put(&((struct asking *)pool_at(&r->askings, i))->filter);
	free(r->peers);
	free(r->declines.at);
	for (size_t i = 0; i < ARRAY_SIZE(r->pools); i++)
		free(r->pools[i]);
}

static void append(struct slots *s, const struct peer_slot *slot)
{
	ASSERT(s->count < s->max);
	s->at[(s->head + s->count++) % s->max] = *slot;
}

static void drop_first(struct slots *s)
{
	s->head = (s->head + 1) % s->max;
	s->count--;
}

bool route_can_lend(const struct worker *w, uint32_t to)
{
	return w->route->peers[to].loans < ROUTE_LOANS_MAX &&
	       peer_room(w->conf.peers, w->route->self, to) > 0;
}

bool route_can_lend_all(const struct worker *w, uint64_t workers)
{
	for (uint32_t i = 0; workers >> i != 0; i++)
		if ((workers >> i & 1) && !route_can_lend(w, i))
			return false;
	return true;
}

/* Room was asked for by whoever pushes what can be refused. */
static void push(struct worker *w, uint32_t to, const struct peer_slot *slot)
{
	const bool pushed = peer_push(w->conf.peers, w->route->self, to, slot);

	ASSERT(pushed);
	counter_add(w->counters, COUNTER_PEER_TX, 1);
}

void route_lend(struct worker *w, uint32_t to, struct message *m, struct peer_slot *slot,
	const struct loan *loan)
{
	struct route *r = w->route;
	const uint32_t index = pool_get(&r->loans);

	ASSERT(index != POOL_NONE);
	struct loan *l = pool_at(&r->loans, index);
	*l = *loan;
	l->message = message_ref(m);
	l->to = to;
	message_lend(m);
	r->peers[to].loans++;
	slot->p = m;
	slot->payload = m->payload;
	slot->loan = index;
	push(w, to, slot);
}

void route_fan_out_there(struct worker *w, struct message *m, uint64_t workers, struct loan loan)
{
	struct route *r = w->route;

	for (uint32_t i = 0; workers >> i != 0; i++) {
		if (!(workers >> i & 1))
			continue;
		struct peer_slot slot = {.kind = PEER_MESSAGE};
		route_lend(w, i, m, &slot, &loan);
		if (loan.routing != POOL_NONE)
			((struct routing *)pool_at(&r->routings, loan.routing))->waiting++;
		struct way *way = route_way(w, loan.connection, loan.generation);
		if (way != NULL)
			way->loans++;
	}
}

void route_answer_peer(struct worker *w, uint32_t to, const struct peer_slot *slot)
{
	struct slots *out = &w->route->peers[to].out;

	if (out->count > 0 || !peer_push(w->conf.peers, w->route->self, to, slot))
		append(out, slot);
	else
		counter_add(w->counters, COUNTER_PEER_TX, 1);
}

void route_release(struct worker *w, const struct peer_slot *slot)
{
	const struct peer_slot release = {.kind = PEER_RELEASE, .loan = slot->loan};

	route_answer_peer(w, slot->from, &release);
}

static void on_release(struct worker *w, const struct peer_slot *slot)
{
	struct route *r = w->route;
	struct loan l = *(struct loan *)pool_at(&r->loans, slot->loan);

	ASSERT(l.to == slot->from);
	pool_put(&r->loans, slot->loan);
	r->peers[slot->from].loans--;
	message_put(&l.message);
	if (l.routing != POOL_NONE)
		route_routed(w, l.routing);
	struct way *way = route_way(w, l.connection, l.generation);
	if (way != NULL && --way->loans == 0)
		route_poke(w, l.connection);
}

/* A FORWARD of ours: the publisher's further publishes wait until it is ROUTED. */
enum published route_forward(struct worker *w, struct message *m, const struct publisher *from,
	const struct publish_order *o, uint32_t owner)
{
	struct route *r = w->route;
	const struct connection *c = from->connection;
	const uint32_t token = route_can_lend(w, owner) ? pool_get(&r->forwards) : POOL_NONE;

	if (token == POOL_NONE)
		return PUBLISHED_NO_ROOM;
	struct forward *f = pool_at(&r->forwards, token);
	*f = (struct forward){.connection = POOL_NONE,
		.packet_id = o->packet_id,
		.qos = o->qos,
		.will_of = from->will_of};
	struct peer_slot slot = {.kind = PEER_FORWARD,
		.a = o->packet_id,
		.b = token,
		.c = from->will_of,
		.flags = from->durable && o->qos == 2 ? PEER_FORWARD_RECORD : 0};
	if (c != NULL) {
		struct way *way = route_way(w, c->id.index, c->id.generation);
		f->connection = c->id.index;
		f->generation = c->id.generation;
		way->owner = owner;
		way->forwards++;
	}
	const struct loan loan = {.connection = POOL_NONE, .routing = POOL_NONE};
	route_lend(w, owner, m, &slot, &loan);
	return o->qos > 0 ? PUBLISHED_LATER : PUBLISHED_DONE;
}

static void on_routed(struct worker *w, const struct peer_slot *slot)
{
	struct forward *f = pool_at(&w->route->forwards, (uint32_t)slot->b);

	ASSERT(!f->routed);
	f->routed = true;
	struct way *way = route_way(w, f->connection, f->generation);
	if (way != NULL && --way->forwards == 0)
		route_poke(w, f->connection);
}

/* Comes behind ROUTED. */
static void on_forwarded(struct worker *w, const struct peer_slot *slot)
{
	const struct forward f = *(struct forward *)pool_at(&w->route->forwards, (uint32_t)slot->b);

	ASSERT(f.routed);
	/* Where it was stored, or refused, the control plane knows. */
	if (f.will_of != 0 && slot->a == ERR_MQTT_QUOTA) {
		queue_push(&w->route->declines, (uint32_t)slot->b);
		return;
	}
	pool_put(&w->route->forwards, (uint32_t)slot->b);
	struct connection *c = route_connection(w, f.connection, f.generation);
	if (c != NULL && f.qos > 0)
		connection_published(w, c, f.packet_id, (enum err)slot->a);
}

static bool poll_declines(struct worker *w)
{
	struct route *r = w->route;
	bool moved = false;

	while (r->declines.count > 0 && works_takes_events(w)) {
		const uint32_t index = queue_pop(&r->declines);
		works_decline_will(w, ((struct forward *)pool_at(&r->forwards, index))->will_of);
		pool_put(&r->forwards, index);
		moved = true;
	}
	return moved;
}

/* At the owner: both answers are out, or on their way in this order. */
static void end_routing(struct worker *w, uint32_t index)
{
	struct routing *g = pool_at(&w->route->routings, index);

	if (g->waiting > 0 || !g->forwarded)
		return;
	const struct peer_slot forwarded = {.kind = PEER_FORWARDED, .a = g->routed, .b = g->token};
	const uint32_t from = g->from;
	pool_put(&w->route->routings, index);
	route_answer_peer(w, from, &forwarded);
}

void route_routed(struct worker *w, uint32_t routing)
{
	struct routing *g = pool_at(&w->route->routings, routing);

	ASSERT(g->waiting > 0);
	if (--g->waiting > 0)
		return;
	const struct peer_slot routed = {.kind = PEER_ROUTED, .b = g->token};
	route_answer_peer(w, g->from, &routed);
	end_routing(w, routing);
}

void route_forwarded(struct worker *w, uint32_t routing, enum err e)
{
	struct routing *g = pool_at(&w->route->routings, routing);

	ASSERT(!g->forwarded);
	g->forwarded = true;
	g->routed = (uint32_t)e;
	end_routing(w, routing);
}

static struct job job_of(const struct peer_slot *slot, const struct message *m, uint32_t routing)
{
	struct job job = {.store = {.will_of = slot->c}};

	job.store.record = slot->flags & PEER_FORWARD_RECORD;
	job.store.session = job.store.record ? m->origin.session : 0;
	job.store.order = (struct order){.kind = ORDER_PEER,
		.qos = m->qos,
		.packet_id = (uint16_t)slot->a,
		.peer = slot->from,
		.token = routing};
	return job;
}

static bool is_too_late(const struct worker *w, const struct peer_slot *slot)
{
	return w->now_us >= slot->session + w->conf.config.park_timeout_us;
}

/* False: no room now; it is tried again, and refused when that takes too long. */
static bool on_forward(struct worker *w, const struct peer_slot *slot)
{
	struct route *r = w->route;
	/* A will goes without its value, then. */
	const bool full = slot->c == 0 && !retained_room(r->retained, slot->p);
	struct message *m = NULL;
	const uint32_t index = pool_get(&r->routings);
	bool matched;

	ASSERT(index != POOL_NONE); /* as many as all the others may have open */
	struct routing *g = pool_at(&r->routings, index);
	*g = (struct routing){.from = slot->from, .token = slot->b, .waiting = 1};
	enum published p = PUBLISHED_NO_ROOM;
	if (!full && message_may_lend_on(w->messages, slot->p))
		m = message_share(w->messages, slot->p);
	if (m != NULL) {
		const struct job job = job_of(slot, m, index);
		route_set_publisher(w, m);
		p = route_local(w, m, &job, &matched);
	}
	if (p == PUBLISHED_NO_ROOM && !full && !is_too_late(w, slot)) {
		if (m != NULL) { /* the next try takes these segments again */
			message_lend(m);
			message_put(&m);
		}
		pool_put(&r->routings, index);
		return false;
	}
	if (m == NULL)
		rte_pktmbuf_free(slot->payload);
	else
		message_put(&m);
	route_release(w, slot);
	if (p == PUBLISHED_NO_ROOM)
		route_forwarded(w, index, full ? ERR_RETAINED_FULL : ERR_MQTT_QUOTA);
	route_routed(w, index);
	return true;
}

static bool on_message(struct worker *w, const struct peer_slot *slot)
{
	struct message *m = message_share(w->messages, slot->p);

	if (m == NULL)
		return false;
	if (slot->kind == PEER_VALUE) {
		route_on_value(w, slot->a, m);
	} else {
		route_set_publisher(w, m);
		route_fan_out_here(w, m);
	}
	message_put(&m);
	return true;
}

/* False: not now; what comes behind it waits, too. */
static bool take(struct worker *w, const struct peer_slot *slot)
{
	if (slot->kind == PEER_INTEREST) {
		if (!route_on_interest(w, slot))
			return false;
	} else if (slot->kind == PEER_SNAPSHOT) {
		route_serve(w, slot->from, slot, slot->p);
		return true; /* released by it */
	} else if (slot->kind == PEER_SNAPSHOT_END) {
		route_on_snapshot_end(w, slot->a, slot->b != 0);
		return true;
	} else if (!on_message(w, slot)) {
		return false;
	}
	route_release(w, slot);
	return true;
}

void route_on_peer(struct worker *w, const struct peer_slot *slot)
{
	struct peer_state *peer = &w->route->peers[slot->from];

	switch (slot->kind) {
	case PEER_MESSAGE:
	case PEER_INTEREST:
	case PEER_SNAPSHOT:
	case PEER_VALUE:
	case PEER_SNAPSHOT_END: /* behind its values */
		if (peer->in.count > 0 || !take(w, slot))
			append(&peer->in, slot);
		return;
	case PEER_FORWARD: {
		struct peer_slot mine = *slot;
		mine.session = w->now_us;
		if (peer->forwards.count > 0 || !on_forward(w, &mine))
			append(&peer->forwards, &mine);
		return;
	}
	case PEER_RELEASE:
		on_release(w, slot);
		return;
	case PEER_APPLIED:
		route_on_applied(w, slot);
		return;
	case PEER_ROUTED:
		on_routed(w, slot);
		return;
	case PEER_FORWARDED:
		on_forwarded(w, slot);
		return;
	default:
		ASSERT(false);
	}
}

static bool retry(struct worker *w, struct slots *s,
	bool (*attempt)(struct worker *w, const struct peer_slot *slot))
{
	bool moved = false;

	for (uint32_t n = ROUTE_RETRIES; n > 0 && s->count > 0; n--) {
		const struct peer_slot slot = s->at[s->head];
		if (!attempt(w, &slot))
			break;
		drop_first(s);
		moved = true;
	}
	return moved;
}

static bool flush(struct worker *w, uint32_t to)
{
	struct slots *out = &w->route->peers[to].out;
	bool moved = false;

	while (out->count > 0 &&
		peer_push(w->conf.peers, w->route->self, to, &out->at[out->head])) {
		drop_first(out);
		counter_add(w->counters, COUNTER_PEER_TX, 1);
		moved = true;
	}
	return moved;
}

bool route_poll_peers(struct worker *w)
{
	struct route *r = w->route;
	bool moved = poll_declines(w);

	for (uint32_t i = 0; r->peers != NULL && i < r->workers; i++) {
		if (i == r->self)
			continue;
		moved |= flush(w, i);
		moved |= retry(w, &r->peers[i].in, take);
		moved |= retry(w, &r->peers[i].forwards, on_forward);
	}
	return moved;
}

bool route_peers_wait(const struct worker *w)
{
	const struct route *r = w->route;

	if (r->declines.count > 0)
		return true;
	for (uint32_t i = 0; r->peers != NULL && i < r->workers; i++)
		if (r->peers[i].out.count > 0 || r->peers[i].in.count > 0 ||
			r->peers[i].forwards.count > 0)
			return true;
	return false;
}
