/* route.c - a publish: whom it matches, what it needs, and in which order it happens.
 *
 * What must be durable is asked for first, without touching anybody: a pass
 * over queues and other workers collects, then all room is asked for, and only
 * then anything is done. Two fan-outs of one connection and QoS keep their
 * order; so do all values of one topic, whose owner sets, fans out and stores
 * in one order. */
#include "dataplane/worker/route_internal.h"

#include "dataplane/base/assert.h"
#include "dataplane/shm/owner.h"

#include <stdlib.h>

bool queue_create(struct queue *q, uint32_t max)
{
	*q = (struct queue){.at = calloc(max > 0 ? max : 1, sizeof(*q->at)), .max = max};
	return q->at != NULL;
}

void queue_push(struct queue *q, uint32_t value)
{
	ASSERT(q->count < q->max);
	q->at[(q->head + q->count++) % q->max] = value;
}

uint32_t queue_pop(struct queue *q)
{
	ASSERT(q->count > 0);
	const uint32_t value = q->at[q->head];
	q->head = (q->head + 1) % q->max;
	q->count--;
	return value;
}

/* A subscription is in force wherever its snapshot is asked for. */
static bool filter_matches(void *owner, struct span filter, struct span topic)
{
	struct worker *w = owner;

	return fabric_filter_matches(w->fabric, filter, topic);
}

static struct retained_conf retained_conf_of(struct worker *w)
{
	return (struct retained_conf){.topics_max = w->conf.config.retained_max,
		.bytes_max = w->conf.config.retained_bytes_max,
		.secret = w->conf.key.k0 ^ w->conf.key.k1,
		.counters = w->counters,
		.matches = filter_matches,
		.owner = w};
}

static bool create_tables(struct worker *w)
{
	struct route *r = w->route;
	const struct shm_config *c = &w->conf.config;
	const struct retained_conf retained = retained_conf_of(w);

	r->retained = retained_create(&retained);
	r->ways = calloc(c->connections_max, sizeof(*r->ways));
	r->ending = calloc(c->filters_max, sizeof(*r->ending));
	r->ready_max = c->messages_max;
	r->ready = calloc(r->ready_max, sizeof(*r->ready));
	if (r->retained == NULL || r->ways == NULL || r->ending == NULL || r->ready == NULL)
		return false;
	for (uint32_t i = 0; i < c->connections_max; i++)
		r->ways[i] = (struct way){.generation = UINT32_MAX, .snapshots = POOL_NONE};
	return queue_create(&r->pokes, c->connections_max) &&
	       queue_create(&r->ends, c->filters_max);
}

bool route_create(struct worker *w)
{
	w->route = calloc(1, sizeof(*w->route));
	if (w->route == NULL)
		return false;
	w->route->self = w->conf.worker;
	w->route->workers = w->conf.peers != NULL ? peers_workers(w->conf.peers) : 1;
	ASSERT(w->route->workers <= ROUTE_WORKERS_MAX);
	return create_tables(w) && route_peers_create(w) && route_snapshots_create(w);
}

void route_fini(struct worker *w)
{
	struct route *r = w->route;

	if (r == NULL)
		return;
	for (; r->ready_count > 0; r->ready_count--) {
		message_put(&r->ready[r->ready_head].message);
		r->ready_head = (r->ready_head + 1) % r->ready_max;
	}
	route_snapshots_fini(w);
	route_peers_fini(w);
	retained_destroy(&r->retained);
	free(r->ways);
	free(r->ending);
	free(r->ready);
	free(r->pokes.at);
	free(r->ends.at);
	free(r);
	w->route = NULL;
}

size_t route_retained_bytes(const struct shm_config *c)
{
	const struct retained_conf retained = {
		.topics_max = c->retained_max, .bytes_max = c->retained_bytes_max};

	return retained_bytes(&retained);
}

size_t route_retained_used(const struct worker *w)
{
	return retained_used(w->route->retained);
}

size_t route_place_bytes(void)
{
	return sizeof(struct way) + sizeof(uint32_t);
}

size_t route_bytes(const struct shm_config *c)
{
	return sizeof(struct route) + route_retained_bytes(c) +
	       c->connections_max * route_place_bytes() +
	       c->filters_max * (sizeof(bool) + sizeof(uint32_t)) +
	       c->messages_max * sizeof(struct ready) + route_peers_bytes(c) +
	       route_snapshots_bytes();
}

struct connection *route_connection(struct worker *w, uint32_t index, uint32_t generation)
{
	if (index >= w->conf.config.connections_max)
		return NULL;
	struct connection *c = &w->connections[index];
	return c->session_open && c->id.generation == generation ? c : NULL;
}

struct way *route_way_of(struct worker *w, const struct connection *c)
{
	struct way *way = &w->route->ways[c->id.index];

	if (way->generation != c->id.generation)
		*way = (struct way){.generation = c->id.generation,
			.snapshots = POOL_NONE,
			.poked = way->poked};
	return way;
}

struct way *route_way(struct worker *w, uint32_t connection, uint32_t generation)
{
	if (connection >= w->conf.config.connections_max)
		return NULL;
	struct way *way = &w->route->ways[connection];
	return way->generation == generation ? way : NULL;
}

void route_poke(struct worker *w, uint32_t connection)
{
	struct way *way = &w->route->ways[connection];

	if (way->poked)
		return;
	way->poked = true;
	queue_push(&w->route->pokes, connection);
}

uint32_t route_bucket(struct span topic)
{
	return topic_owner(topic, ROUTE_TOPIC_BUCKETS);
}

/* Who published it, as a subscriber of this worker's fabric: no_local asks. */
void route_set_publisher(struct worker *w, struct message *m)
{
	const struct message_origin *o = &m->origin;

	m->publisher = POOL_NONE;
	if (o->session != 0) {
		const uint32_t queue = works_replica(w, o->session);
		if (queue != POOL_NONE)
			m->publisher = fabric_queue(w->fabric, queue);
	} else if (o->worker == w->route->self &&
		   route_connection(w, o->index, o->generation) != NULL) {
		m->publisher = o->index;
	}
}

static void set_origin(struct worker *w, struct message *m, const struct publisher *from)
{
	const struct connection *c = from->connection;

	m->origin = (struct message_origin){.worker = UINT32_MAX, .session = from->will_of};
	if (c != NULL)
		m->origin = (struct message_origin){.session = from->durable ? from->session : 0,
			.index = c->id.index,
			.generation = c->id.generation,
			.worker = w->route->self};
	route_set_publisher(w, m);
}

static void to_connection(
	struct worker *w, struct connection *c, const struct delivery *d, struct message *m)
{
	/* Only retained values are declined. */
	(void)connection_offer(w, c, d, m);
	w->route->pass.got++;
}

/* QoS 0 goes to where the session is connected now, if anywhere. */
static void to_place(struct worker *w, const struct delivery *d, struct message *m)
{
	struct pass *pass = &w->route->pass;
	struct shm_connection at;
	uint32_t worker;

	if (!works_replica_place(w, d->index, &worker, &at))
		return;
	if (worker != w->route->self) {
		pass->workers |= worker < w->route->workers ? 1ull << worker : 0;
		return;
	}
	struct connection *c = route_connection(w, at.index, at.generation);
	if (c == NULL || !pass->deliver)
		return;
	struct delivery here = *d;
	here.kind = SUBSCRIBER_CONNECTION;
	here.index = at.index;
	to_connection(w, c, &here, m);
}

static void to_queue(struct worker *w, const struct delivery *d, uint8_t qos)
{
	struct store_target t = {
		.session = works_replica_session(w, d->index), .qos = qos, .retain = d->retain};

	for (uint32_t i = 0; i < d->identifier_count; i++) {
		if (t.identifier_count < STORE_IDENTIFIERS_MAX)
			t.identifiers[t.identifier_count++] = d->identifiers[i];
		else
			counter_add(w->counters, COUNTER_IDENTIFIERS_LEFT_OUT, 1);
	}
	works_target(w, &t);
}

void route_deliver(void *owner, const struct delivery *d, struct message *m)
{
	struct worker *w = owner;
	struct pass *pass = &w->route->pass;
	const uint8_t qos = d->qos < m->qos ? d->qos : m->qos;

	switch ((enum subscriber_kind)d->kind) {
	case SUBSCRIBER_CONNECTION:
		if (pass->deliver && w->connections[d->index].session_open) {
			const enum stage before = stages_enter(&w->stages, STAGE_FAN_OUT);
			to_connection(w, &w->connections[d->index], d, m);
			(void)stages_enter(&w->stages, before);
		}
		break;
	case SUBSCRIBER_QUEUE:
		if (qos == 0)
			to_place(w, d, m);
		else if (pass->collect)
			to_queue(w, d, qos);
		break;
	case SUBSCRIBER_WORKER:
		if (d->index != w->route->self)
			pass->workers |= 1ull << d->index;
	}
}

static void match(struct worker *w, struct message *m, uint32_t scope)
{
	const enum stage before = stages_enter(&w->stages, STAGE_MATCH);

	(void)fabric_publish(w->fabric, m, scope);
	(void)stages_enter(&w->stages, before);
}

/* Whom it is for beside connections: workers, and targets of works if it is to be stored. */
static uint64_t look(struct worker *w, struct message *m, bool collect)
{
	w->route->pass = (struct pass){.collect = collect};
	match(w, m, FABRIC_QUEUES | FABRIC_WORKERS);
	return w->route->pass.workers;
}

void route_fan_out_here(struct worker *w, struct message *m)
{
	w->route->pass = (struct pass){.deliver = true};
	match(w, m, FABRIC_CONNECTIONS | FABRIC_QUEUES);
}

uint64_t route_others(const struct route *r)
{
	const uint64_t all = r->workers == 64 ? UINT64_MAX : (1ull << r->workers) - 1;

	ASSERT(r->self < ROUTE_WORKERS_MAX);
	return all & ~(1ull << r->self);
}

static struct loan loan_of(const struct message *m, uint32_t routing, bool on_way)
{
	return (struct loan){.connection = on_way ? m->origin.index : (uint32_t)POOL_NONE,
		.generation = m->origin.generation,
		.routing = routing};
}

/* Nothing durable, and room for everybody who could want it: one look at the fabric suffices. */
static bool publish_at_once(struct worker *w, struct message *m, const struct job *job)
{
	w->route->pass = (struct pass){.deliver = true};
	match(w, m, FABRIC_ALL);
	const uint32_t got = w->route->pass.got;
	const uint64_t workers = w->route->pass.workers;
	route_fan_out_there(w, m, workers, loan_of(m, POOL_NONE, job->way != NULL));
	return got > 0 || workers != 0;
}

/* The order of fan-outs: this one waits for its STORE. A will that a full queue refuses comes again
 * and again, and nobody shall get it each time. */
static bool waits(const struct worker *w, const struct message *m, const struct job *job)
{
	if (m->qos == 2 || job->store.will_of != 0 || (m->retain && w->route->retained_after > 0))
		return true;
	return job->way != NULL && job->way->after[m->qos] > 0;
}

static void note_after(struct worker *w, const struct message *m, const struct job *job, int by)
{
	struct route *r = w->route;

	if (job->way != NULL)
		job->way->after[m->qos] += (uint32_t)by;
	if (!m->retain)
		return;
	r->retained_after += (uint32_t)by;
	*(by > 0 ? &r->after_begun : &r->after_done) += 1;
	r->after_by_topic[route_bucket(m->topic)] += (uint32_t)by;
}

/* A durable snapshot waits until its topic is settled: no new value keeps it from that. */
static bool topic_is_held(const struct worker *w, const struct message *m)
{
	return m->retain && w->route->held_by_topic[route_bucket(m->topic)] > 0;
}

static void fan_out(struct worker *w, struct message *m, uint64_t workers, const struct loan *loan)
{
	/* Room was asked for, but for a value that waited meanwhile: counted. */
	if (m->retain)
		retained_set(w->route->retained, m);
	route_fan_out_here(w, m);
	route_fan_out_there(w, m, workers, *loan);
}

static bool must_store(const struct worker *w, const struct message *m, const struct job *job)
{
	return works_targets(w) > 0 || m->retain || job->store.will_of != 0 || job->store.record;
}

/* All that it needs is there. What waits is fanned out later, with room then. */
static bool has_room(
	struct worker *w, const struct message *m, uint64_t workers, bool store, bool later)
{
	if (store && !works_room(w, m))
		return false;
	if (later && topic_is_held(w, m))
		return false;
	return later || route_can_lend_all(w, workers);
}

/* A will cannot be told to try again later: without room for its value it is a message and no more.
 */
static void release_value(struct worker *w, struct message *m)
{
	if (!m->retain || retained_room(w->route->retained, m))
		return;
	counter_err(w->counters, ERR_RETAINED_FULL);
	m->retain = false;
}

/* The publish of a topic that this worker may publish: not retained, or its own. */
enum published route_local(
	struct worker *w, struct message *m, const struct job *job, bool *matched)
{
	struct store_order order = job->store;
	const uint32_t routing =
		order.order.kind == ORDER_PEER ? (uint32_t)order.order.token : (uint32_t)POOL_NONE;

	if (m->qos == 0 && !m->retain && order.will_of == 0 &&
		(job->way == NULL || job->way->after[0] == 0) &&
		route_can_lend_all(w, route_others(w->route))) {
		*matched = publish_at_once(w, m, job);
		return PUBLISHED_DONE;
	}
	if (order.will_of != 0)
		release_value(w, m);
	if (m->retain && !retained_room(w->route->retained, m))
		return PUBLISHED_REFUSED;
	works_targets_begin(w);
	const uint64_t workers = look(w, m, true);
	const bool store = must_store(w, m, job), later = store && waits(w, m, job);
	if (!store && job->way != NULL && job->way->after[m->qos] > 0)
		return PUBLISHED_NO_ROOM;
	if (!has_room(w, m, workers, store, later))
		return PUBLISHED_NO_ROOM;
	order.set_retained = m->retain;
	order.order.fan_out_after = later;
	order.order.will = order.will_of != 0;
	order.order.qos = m->qos;
	*matched = workers != 0 || works_targets(w) > 0;
	if (store)
		works_store(w, m, &order);
	if (later) {
		note_after(w, m, job, 1);
		if (routing != POOL_NONE)
			((struct routing *)pool_at(&w->route->routings, routing))->waiting++;
		return m->qos == 0 ? PUBLISHED_DONE : PUBLISHED_LATER;
	}
	const struct loan loan = loan_of(m, routing, job->way != NULL);
	fan_out(w, m, workers, &loan);
	*matched |= w->route->pass.got > 0;
	return store && m->qos > 0 ? PUBLISHED_LATER : PUBLISHED_DONE;
}

/* May it go now, and not overtake what this connection published before? */
static bool is_in_order(const struct way *way, bool away, uint32_t owner)
{
	if (way == NULL)
		return true;
	if (away && way->forwards == 0)
		return way->loans == 0 && way->after[0] + way->after[1] + way->after[2] == 0;
	return way->forwards == 0 || (away && way->owner == owner);
}

static struct job job_of(
	const struct publisher *from, const struct publish_order *o, struct way *way)
{
	struct job job = {.way = way, .store = {.will_of = from->will_of}};

	if (from->connection == NULL)
		return job;
	/* At QoS 0 nobody is answered, but what waits behind it is let go. */
	job.store.order = (struct order){.kind = ORDER_CONNECTION,
		.qos = o->qos,
		.packet_id = o->packet_id,
		.index = from->connection->id.index,
		.generation = from->connection->id.generation};
	job.store.record = from->durable && o->qos == 2;
	job.store.session = job.store.record ? from->session : 0;
	return job;
}

enum published route_publish(struct worker *w, struct message **m, const struct publisher *from,
	const struct publish_order *o, bool *matched)
{
	struct route *r = w->route;
	struct way *way = from->connection != NULL ? route_way_of(w, from->connection) : NULL;
	const uint32_t owner =
		(*m)->retain && r->workers > 1 ? topic_owner((*m)->topic, r->workers) : r->self;
	enum published p;

	*matched = true;
	if (!is_in_order(way, owner != r->self, owner))
		return PUBLISHED_NO_ROOM;
	set_origin(w, *m, from);
	if (owner != r->self) {
		p = route_forward(w, *m, from, o, owner);
	} else {
		const struct job job = job_of(from, o, way);
		p = route_local(w, *m, &job, matched);
	}
	if (p == PUBLISHED_DONE || p == PUBLISHED_LATER)
		message_put(m);
	return p;
}

/* Room is asked for once more: since it was stored, others may have used it. False: not now. */
static bool fan_out_ready(struct worker *w, const struct ready *ready)
{
	struct message *m = ready->message;
	const struct order *o = &ready->order;
	struct way *way =
		o->kind == ORDER_CONNECTION ? route_way(w, o->index, o->generation) : NULL;
	const uint32_t routing = o->kind == ORDER_PEER ? (uint32_t)o->token : (uint32_t)POOL_NONE;

	if (ready->stored || (m->qos < 2 && !o->will)) {
		route_set_publisher(w, m);
		const uint64_t workers = look(w, m, false);
		if (!route_can_lend_all(w, workers))
			return false;
		const struct loan loan = loan_of(m, routing, way != NULL);
		fan_out(w, m, workers, &loan);
	}
	const struct job job = {.way = way};
	note_after(w, m, &job, -1);
	if (way != NULL && way->after[m->qos] == 0)
		route_poke(w, o->index);
	if (routing != POOL_NONE)
		route_routed(w, routing);
	return true;
}

static bool poll_ready(struct worker *w)
{
	struct route *r = w->route;
	bool moved = false;

	for (uint32_t n = ROUTE_RETRIES; n > 0 && r->ready_count > 0; n--) {
		struct ready *ready = &r->ready[r->ready_head];
		if (!fan_out_ready(w, ready))
			break;
		message_put(&ready->message);
		r->ready_head = (r->ready_head + 1) % r->ready_max;
		r->ready_count--;
		moved = true;
	}
	return moved;
}

static void answer(struct worker *w, const struct order *o, enum err e)
{
	if (o->kind == ORDER_PEER)
		route_forwarded(w, (uint32_t)o->token, e);
	if (o->kind != ORDER_CONNECTION || o->qos == 0)
		return;
	struct connection *c = route_connection(w, o->index, o->generation);
	if (c != NULL)
		connection_published(w, c, o->packet_id, e);
}

void route_stored(struct worker *w, const struct order *order, struct message *m, enum err e)
{
	struct route *r = w->route;

	if (order->fan_out_after) {
		ASSERT(r->ready_count < r->ready_max); /* one for each message alive */
		r->ready[(r->ready_head + r->ready_count++) % r->ready_max] = (struct ready){
			.message = message_ref(m), .order = *order, .stored = e == ERR_NONE};
		(void)poll_ready(w);
	}
	answer(w, order, e);
}

void route_forget(struct worker *w, struct connection *c)
{
	route_forget_filters(w, c);
	route_forget_snapshots(w, c);
	route_way_of(w, c)->generation = UINT32_MAX; /* answers that come now are nobody's */
}

void route_load_retained(struct worker *w, struct message **m)
{
	retained_set(w->route->retained, *m); /* counted */
	message_put(m);
}

static bool poll_pokes(struct worker *w)
{
	struct route *r = w->route;
	const uint32_t count = r->pokes.count;

	for (uint32_t n = count; n > 0; n--) {
		const uint32_t index = queue_pop(&r->pokes);
		r->ways[index].poked = false;
		if (w->connections[index].session_open)
			connection_input(w, &w->connections[index]);
	}
	return count > 0;
}

bool route_poll(struct worker *w)
{
	bool moved = route_poll_peers(w);

	moved |= poll_ready(w);
	moved |= route_poll_interest(w);
	moved |= route_poll_snapshots(w);
	moved |= route_poll_servings(w);
	moved |= poll_pokes(w);
	retained_sweep(w->route->retained, w->now_us, 16);
	return moved;
}

bool route_waits(const struct worker *w)
{
	const struct route *r = w->route;

	return r->ready_count > 0 || r->pokes.count > 0 || r->ends.count > 0 || r->to_tell > 0 ||
	       r->driven.count > 0 || r->served.count > 0 || route_peers_wait(w);
}
