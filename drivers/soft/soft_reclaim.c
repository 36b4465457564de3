/* soft_reclaim.c - finds the receive buffers that a closed PMD kept.
 *
 * A buffer that the PMD took for the kernel has no port yet, nor has one that
 * it was given to send; one that it delivered has. The free ones look like either, so they are all
 * taken out and marked first. On the main thread, while no worker touches the pool. */
#include "drivers/soft/soft_internal.h"

#include <rte_mempool.h>
#include <stdlib.h>

enum { MARKED = RTE_MBUF_PORT_INVALID - 1 };

struct search {
	void **found;
	uint32_t count;
};

static void *take(struct rte_mempool *pool)
{
	void *object;

	return rte_mempool_get(pool, &object) == 0 ? object : NULL;
}

static void look(struct rte_mempool *pool, void *search, void *object, unsigned index)
{
	struct search *s = (struct search *)search;
	const struct rte_mbuf *m = (const struct rte_mbuf *)object;

	(void)pool;
	(void)index;
	if (m->port == RTE_MBUF_PORT_INVALID)
		s->found[s->count++] = object;
}

/* Only where it fails is memory a reason to go without the buffers. */
static void **list_create(const struct rte_mempool *pool)
{
	return calloc(pool->size, sizeof(void *));
}

uint32_t soft_reclaim(struct rte_mempool *pool)
{
	void **free_ones = list_create(pool);
	struct search s = {list_create(pool), 0};
	uint32_t n = 0;

	if (free_ones != NULL && s.found != NULL) {
		for (void *object; (object = take(pool)) != NULL; n++) {
			((struct rte_mbuf *)object)->port = MARKED;
			free_ones[n] = object;
		}
		rte_mempool_obj_iter(pool, look, &s);
		for (uint32_t i = 0; i < s.count; i++)
			rte_mempool_put(pool, s.found[i]);
		for (uint32_t i = 0; i < n; i++)
			rte_mempool_put(pool, free_ones[i]);
	}
	free(free_ones);
	free(s.found);
	return s.count;
}
