/* memory.c - what a worker's memory holds, as gauges.
 *
 * Bytes that were taken and bytes in use, part by part; docs/reference/rest.md says how to read
 * them. A connection's record, its timer and its places in lists are the session's part. */
#include "dataplane/tcp/tcp_memory.h"
#include "dataplane/worker/route.h"
#include "dataplane/worker/worker_internal.h"

#include <rte_mempool.h>

static size_t buffer_bytes(const struct rte_mempool *p)
{
	return (size_t)p->header_size + p->elt_size + p->trailer_size;
}

static void publish_buffers(struct worker *w)
{
	const struct box_pools *p = &w->conf.pools;
	struct rte_mempool *all[] = {
		p->rx, p->headers, p->copies, p->held, p->segments, p->control};
	uint32_t free[ARRAY_SIZE(all)];
	size_t taken = 0, used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		free[i] = rte_mempool_avail_count(all[i]);
		taken += all[i]->size * buffer_bytes(all[i]);
		used += (all[i]->size - free[i]) * buffer_bytes(all[i]);
	}
	counter_set(w->counters, COUNTER_RX_BUFFERS_FREE, free[0]);
	counter_set(w->counters, COUNTER_TX_BUFFERS_FREE, free[1]);
	counter_set(w->counters, COUNTER_MESSAGE_BUFFERS_FREE, free[4]);
	counter_set(w->counters, COUNTER_MEMORY_BUFFERS, taken);
	counter_set(w->counters, COUNTER_MEMORY_BUFFERS_USED, used);
}

/* Of the tables that a connection has a place in. */
static size_t place_bytes(void)
{
	return sizeof(struct connection) + sizeof(struct wheel_node) + sizeof(struct farewell) +
	       2 * sizeof(uint32_t) + route_place_bytes();
}

void worker_memory_taken(struct worker *w, const struct worker_taken *taken)
{
	const struct shm_config *c = &w->conf.config;
	const size_t retained = route_retained_bytes(c);
	const size_t route = route_bytes(c) - retained - c->connections_max * route_place_bytes();

	counter_set(w->counters, COUNTER_MEMORY_TCP, taken->tcp);
	counter_set(w->counters, COUNTER_MEMORY_SESSIONS,
		c->connections_max * (place_bytes() + WORKER_CLIENT_ID_MAX) + taken->sessions);
	counter_set(w->counters, COUNTER_MEMORY_SUBSCRIPTIONS, taken->subscriptions);
	counter_set(w->counters, COUNTER_MEMORY_MESSAGES, taken->messages);
	counter_set(w->counters, COUNTER_MEMORY_RETAINED, retained);
	counter_set(w->counters, COUNTER_MEMORY_WORK,
		works_bytes(c) + route + 2u * WORKER_SCRATCH_BYTES);
}

void worker_memory_publish(struct worker *w)
{
	const uint64_t open = counter_get(w->counters, COUNTER_TCP_CONNECTIONS);

	counter_set(w->counters, COUNTER_MEMORY_TCP_USED, tcp_used(w->tcp));
	counter_set(w->counters, COUNTER_MEMORY_SESSIONS_USED,
		open * place_bytes() + pool_used(&w->names) + mqtt_memory_used(w->session_memory));
	counter_set(w->counters, COUNTER_MEMORY_SUBSCRIPTIONS_USED, fabric_used(w->fabric));
	counter_set(w->counters, COUNTER_MEMORY_PATTERNS, fabric_compiled_bytes(w->fabric));
	counter_set(w->counters, COUNTER_MEMORY_MESSAGES_USED, messages_used(w->messages));
	counter_set(w->counters, COUNTER_MEMORY_RETAINED_USED, route_retained_used(w));
	publish_buffers(w);
}
