/* route_fake.c - see route_fake.h. */
#include "dataplane/worker/route_fake.h"

#include "dataplane/base/assert.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include <rte_mempool.h>
#include <stdlib.h>

enum { RING_MAX = 64, SEGMENTS = 2048 };

struct ring {
	struct peer_slot slots[RING_MAX];
	uint32_t head, count;
};

struct peers {
	uint32_t workers, slots, kept;
	struct ring rings[FAKE_WORKERS_MAX][FAKE_WORKERS_MAX];
};

struct fake_hooks fake_hooks;
struct worker fake_workers[FAKE_WORKERS_MAX];
struct fake_works fake_works[FAKE_WORKERS_MAX];
struct counters fake_counters[FAKE_WORKERS_MAX];
struct fake_place fake_places[FAKE_QUEUES + 1];
static struct peers peers;
static struct rte_mempool *segments[FAKE_WORKERS_MAX];
static uint32_t generation;

uint32_t peers_workers(const struct peers *p)
{
	return p->workers;
}

bool peer_push(struct peers *p, uint32_t from, uint32_t to, const struct peer_slot *slot)
{
	struct ring *r = &p->rings[from][to];
	const uint32_t kept = slot->kind < PEER_RESERVED ? p->kept : 0;

	ASSERT(from != to);
	if (r->count + kept >= p->slots)
		return false;
	struct peer_slot *at = &r->slots[(r->head + r->count++) % RING_MAX];
	*at = *slot;
	at->from = (uint16_t)from;
	return true;
}

uint32_t peer_room(const struct peers *p, uint32_t from, uint32_t to)
{
	const uint32_t used = p->rings[from][to].count + p->kept;
	return used < p->slots ? p->slots - used : 0;
}

bool peer_pop(struct peers *p, uint32_t from, uint32_t to, struct peer_slot *out)
{
	struct ring *r = &p->rings[from][to];

	if (r->count == 0)
		return false;
	*out = r->slots[r->head];
	r->head = (r->head + 1) % RING_MAX;
	r->count--;
	return true;
}

void works_targets_begin(struct worker *w)
{
	fake_works[w->conf.worker].target_count = 0;
}

void works_target(struct worker *w, const struct store_target *t)
{
	ASSERT(fake_works[w->conf.worker].target_count < FAKE_QUEUES);
	fake_works[w->conf.worker].targets[fake_works[w->conf.worker].target_count++] = *t;
}

uint32_t works_targets(const struct worker *w)
{
	return fake_works[w->conf.worker].target_count;
}

bool works_room(const struct worker *w, const struct message *m)
{
	(void)m;
	return fake_works[w->conf.worker].count < fake_works[w->conf.worker].max;
}

void works_store(struct worker *w, struct message *m, const struct store_order *o)
{
	struct fake_works *k = &fake_works[w->conf.worker];

	ASSERT(works_room(w, m));
	struct fake_store *s = &k->stores[(k->head + k->count++) % FAKE_STORES];
	*s = (struct fake_store){
		.message = message_ref(m), .order = *o, .target_count = k->target_count};
	memcpy(s->targets, k->targets, sizeof(s->targets));
	k->target_count = 0;
}

uint32_t works_replica(const struct worker *w, uint64_t session)
{
	(void)w;
	return session >= 1 && session <= FAKE_QUEUES ? (uint32_t)session - 1 : (uint32_t)POOL_NONE;
}

uint64_t works_replica_session(const struct worker *w, uint32_t queue)
{
	(void)w;
	return queue + 1;
}

bool works_replica_place(
	const struct worker *w, uint32_t queue, uint32_t *worker, struct shm_connection *at)
{
	(void)w;
	*worker = fake_places[queue + 1].worker;
	*at = fake_places[queue + 1].at;
	return fake_places[queue + 1].connected;
}

bool works_takes_events(const struct worker *w)
{
	return !fake_works[w->conf.worker].deaf;
}

void works_decline_will(struct worker *w, uint64_t will)
{
	ASSERT(works_takes_events(w));
	fake_works[w->conf.worker].declined = will;
}

bool connection_offer(
	struct worker *w, struct connection *c, const struct delivery *d, struct message *m)
{
	return fake_hooks.offer(w, c, d, m);
}

void connection_published(struct worker *w, struct connection *c, uint16_t packet_id, enum err e)
{
	fake_hooks.published(w, c, packet_id, e);
}

void connection_answer(struct worker *w, struct connection *c, uint32_t token, enum err e)
{
	fake_hooks.answer(w, c, token, e);
}

void connection_input(struct worker *w, struct connection *c)
{
	if (fake_hooks.input != NULL)
		fake_hooks.input(w, c);
}

uint64_t connection_queue(const struct connection *c)
{
	return c->epoch;
}

static void start_worker(uint32_t i, uint32_t messages)
{
	struct worker *w = &fake_workers[i];
	struct shm_config *c = &w->conf.config;

	memset(w, 0, sizeof(*w));
	memset(&fake_counters[i], 0, sizeof(fake_counters[i]));
	*c = (struct shm_config){.workers = peers.workers,
		.connections_max = FAKE_CONNECTIONS,
		.subscriptions_max = 1000,
		.filters_max = 64,
		.messages_max = messages,
		.retained_max = 200000,
		.retained_bytes_max = 200000ull * 128,
		.park_timeout_us = 1000000};
	w->conf.worker = (uint16_t)i;
	w->conf.peers = peers.workers > 1 ? &peers : NULL;
	w->counters = &fake_counters[i];
	w->now_us = 1000;
	segments[i] = unit_pool(SEGMENTS);
	w->messages = messages_create(&(struct messages_conf){.count = messages,
		.share_reserve = messages / 8,
		.segments = segments[i],
		.counters = w->counters});
	w->fabric = fabric_create(&(struct fabric_conf){.connections_max = FAKE_CONNECTIONS,
		.queues_max = FAKE_QUEUES,
		.workers = peers.workers,
		.subscriptions_max = c->subscriptions_max,
		.match = {.filters_max = c->filters_max, .filter_bytes_max = 4096},
		.counters = w->counters,
		.deliver = route_deliver,
		.owner = w});
	w->connections = calloc(FAKE_CONNECTIONS, sizeof(*w->connections));
	memset(&fake_works[i], 0, sizeof(fake_works[i]));
	w->scratch = malloc(WORKER_SCRATCH_BYTES);
	fake_works[w->conf.worker].max = FAKE_STORES;
	ASSERT(w->messages != NULL && w->fabric != NULL && w->connections != NULL);
	CU_ASSERT_TRUE_FATAL(route_create(w));
}

void fake_start(uint32_t workers, uint32_t slots, uint32_t messages)
{
	ASSERT(slots <= RING_MAX && workers <= FAKE_WORKERS_MAX);
	memset(&peers, 0, sizeof(peers));
	memset(fake_places, 0, sizeof(fake_places));
	memset(&fake_hooks, 0, sizeof(fake_hooks));
	peers.workers = workers;
	peers.slots = slots;
	peers.kept = slots / 4;
	for (uint32_t i = 0; i < workers; i++)
		start_worker(i, messages);
}

void fake_finish(void)
{
	for (uint32_t i = 0; i < peers.workers; i++)
		for (uint32_t c = 0; c < FAKE_CONNECTIONS; c++)
			if (fake_workers[i].connections[c].session_open)
				fake_close(&fake_workers[i].connections[c]);
	for (uint64_t s = 1; s <= FAKE_QUEUES; s++)
		fake_queue_forget((uint32_t)s);
	fake_settle();
	for (uint32_t i = 0; i < peers.workers; i++) {
		struct worker *w = &fake_workers[i];
		CU_ASSERT_EQUAL(messages_alive(w->messages), 0);
		CU_ASSERT_FALSE(route_waits(w));
		CU_ASSERT_EQUAL(counter_get(w->counters, COUNTER_SUBSCRIPTIONS), 0);
		retained_check(w->route->retained);
		fabric_check(w->fabric);
		route_fini(w);
		fabric_destroy(&w->fabric);
		messages_destroy(&w->messages);
		free(w->connections);
		free(w->scratch);
	}
	for (uint32_t i = 0; i < peers.workers; i++) {
		CU_ASSERT_EQUAL(rte_mempool_avail_count(segments[i]), SEGMENTS);
		rte_mempool_free(segments[i]);
	}
}

struct connection *fake_open(uint32_t worker, uint32_t index, uint64_t session)
{
	struct connection *c = &fake_workers[worker].connections[index];

	ASSERT(!c->session_open);
	*c = (struct connection){.worker = &fake_workers[worker],
		.id = {index, ++generation},
		.open = true,
		.session_open = true,
		.epoch = session};
	if (session != 0) {
		fake_places[session].connected = true;
		fake_places[session].worker = worker;
		fake_places[session].at = (struct shm_connection){index, c->id.generation};
	}
	return c;
}

void fake_close(struct connection *c)
{
	c->session_open = false;
	if (c->epoch != 0)
		fake_places[c->epoch].connected = false;
	route_forget(c->worker, c);
}

bool fake_turn(uint32_t worker, uint32_t slots)
{
	struct worker *w = &fake_workers[worker];
	struct peer_slot slot;
	bool moved = false;

	for (uint32_t from = 0; from < peers.workers; from++)
		for (uint32_t n = 0; from != worker && n < slots; n++) {
			if (!peer_pop(&peers, from, worker, &slot))
				break;
			route_on_peer(w, &slot);
			moved = true;
		}
	return route_poll(w) || moved;
}

bool fake_complete(uint32_t worker, enum err e)
{
	struct worker *w = &fake_workers[worker];
	struct fake_works *k = &fake_works[w->conf.worker];

	if (k->count == 0)
		return false;
	struct fake_store s = k->stores[k->head];
	k->head = (k->head + 1) % FAKE_STORES;
	k->count--;
	if (e == ERR_NONE && fake_hooks.commit != NULL)
		fake_hooks.commit(&s);
	route_stored(w, &s.order.order, s.message, e);
	message_put(&s.message);
	return true;
}

void fake_settle(void)
{
	for (uint32_t quiet = 0, rounds = 0; quiet < 3; rounds++) {
		bool moved = false;
		ASSERT(rounds < 1000000);
		for (uint32_t i = 0; i < peers.workers; i++) {
			moved |= fake_turn(i, RING_MAX);
			moved |= fake_complete(i, ERR_NONE);
		}
		quiet = moved ? 0 : quiet + 1;
	}
}

void fake_queue_subscribe(
	uint32_t session, const char *filter, const struct subscription_options *options)
{
	bool was_new;

	for (uint32_t i = 0; i < peers.workers; i++)
		CU_ASSERT_EQUAL(fabric_subscribe(fake_workers[i].fabric,
					fabric_queue(fake_workers[i].fabric, session - 1),
					span_str(filter), options, &was_new),
			ERR_NONE);
}

void fake_queue_forget(uint32_t session)
{
	for (uint32_t i = 0; i < peers.workers; i++)
		fabric_forget(
			fake_workers[i].fabric, fabric_queue(fake_workers[i].fabric, session - 1));
}
