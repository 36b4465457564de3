/* box.c - the packet pools of a box, sized from the configuration. */
#include "dataplane/worker/box.h"

#include "dataplane/net/buffers.h"

#include <rte_mempool.h>
#include <stdio.h>

enum {
	HEADER_ROOM = RTE_PKTMBUF_HEADROOM + 640, /* headers, options and a few small payloads */
	CONTROL_BUFFERS = 512,
	BUFFER_OVERHEAD = 256, /* rte_mbuf, mempool header, alignment */
};

struct wanted {
	struct rte_mempool **pool;
	const char *name;
	uint32_t count;
	uint16_t room;
	bool stays; /* no buffer of it is ever seen by another worker */
};

static size_t list(struct box_pools *p, const struct shm_config *c, struct wanted *out)
{
	const struct wanted all[] = {
		{&p->rx, "rx", c->rx_buffers, BUFFERS_ROOM, false},
		{&p->headers, "hd", c->tx_buffers, HEADER_ROOM, true},
		{&p->copies, "cp", c->tx_buffers, BUFFERS_ROOM, false},
		{&p->held, "he", c->held_buffers, BUFFERS_ROOM, false},
		{&p->segments, "ms", c->message_buffers, BUFFERS_ROOM, false},
		{&p->control, "ct", CONTROL_BUFFERS, BUFFERS_ROOM, false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		out[i] = all[i];
	return ARRAY_SIZE(all);
}

/* Received frames, messages and filters go to other workers, which give the buffers back. */
static struct rte_mempool *create(const struct wanted *w, const char *name, uint32_t workers)
{
	if (workers > 1 && !w->stays)
		return buffers_create_shared(name, w->count, w->room);
	return buffers_create(name, w->count, w->room);
}

bool box_pools_create(struct box_pools *p, uint16_t number, uint16_t worker,
	const struct shm_config *config, char *why, size_t why_size)
{
	struct wanted wanted[8];
	const size_t n = list(p, config, wanted);

	*p = (struct box_pools){0};
	for (size_t i = 0; i < n; i++) {
		char name[24];
		snprintf(name, sizeof(name), "sb%u.%u.%s", number, worker, wanted[i].name);
		*wanted[i].pool = create(&wanted[i], name, config->workers);
		if (*wanted[i].pool == NULL) {
			snprintf(why, why_size,
				"no memory for %u buffers of %u bytes (pool %s, %zu MiB in all): "
				"lower `buffers` in the configuration or give the box more",
				wanted[i].count, wanted[i].room, name,
				box_pools_bytes(config) >> 20);
			box_pools_destroy(p);
			return false;
		}
	}
	return true;
}

void box_pools_destroy(struct box_pools *p)
{
	struct wanted wanted[8];
	const struct shm_config none = {0};
	const size_t n = list(p, &none, wanted);

	for (size_t i = 0; i < n; i++) {
		rte_mempool_free(*wanted[i].pool);
		*wanted[i].pool = NULL;
	}
}

size_t box_pools_bytes(const struct shm_config *config)
{
	struct box_pools unused;
	struct wanted wanted[8] = {{0}};
	const size_t n = list(&unused, config, wanted);
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += (size_t)wanted[i].count * (wanted[i].room + BUFFER_OVERHEAD);
	return bytes;
}

bool box_pools_full(const struct box_pools *p)
{
	struct wanted wanted[8];
	struct box_pools copy = *p;
	const struct shm_config none = {0};
	const size_t n = list(&copy, &none, wanted);

	for (size_t i = 0; i < n; i++)
		if (*wanted[i].pool != NULL && rte_mempool_in_use_count(*wanted[i].pool) != 0)
			return false;
	return true;
}
