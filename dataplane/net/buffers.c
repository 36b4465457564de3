/* buffers.c - the mempool operations behind buffers.h. */
#include "dataplane/net/buffers.h"

#include "dataplane/base/poison.h"

#include <errno.h>
#include <rte_malloc.h>
#include <rte_mempool.h>
#include <rte_pause.h>
#include <rte_spinlock.h>
#include <sched.h>

enum { LOCK_TRIES = 200 }; /* before the processor is left to whoever may hold the lock */

struct stack {
	rte_spinlock_t lock; /* of a shared pool */
	uint32_t used;
	uint32_t size;
	void *objects[];
};

static int stack_alloc(struct rte_mempool *mp)
{
	struct stack *s = rte_zmalloc("buffers", sizeof(*s) + mp->size * sizeof(void *), 0);

	if (s == NULL)
		return -ENOMEM;
	s->size = mp->size;
	mp->pool_data = s;
	return 0;
}

static void stack_free(struct rte_mempool *mp)
{
	rte_free(mp->pool_data);
}

static int stack_enqueue(struct rte_mempool *mp, void *const *objects, unsigned n)
{
	struct stack *s = mp->pool_data;

	if (s->size - s->used < n)
		return -ENOBUFS;
	for (unsigned i = 0; i < n; i++) {
		s->objects[s->used + i] = objects[i];
		poison((char *)objects[i] + sizeof(struct rte_mbuf),
			mp->elt_size - sizeof(struct rte_mbuf));
	}
	__atomic_store_n(&s->used, s->used + n, __ATOMIC_RELAXED); /* others count, unlocked */
	return 0;
}

static int stack_dequeue(struct rte_mempool *mp, void **objects, unsigned n)
{
	struct stack *s = mp->pool_data;

	if (s->used < n)
		return -ENOENT;
	for (unsigned i = 0; i < n; i++) {
		objects[i] = s->objects[s->used - 1 - i];
		unpoison((char *)objects[i] + sizeof(struct rte_mbuf),
			mp->elt_size - sizeof(struct rte_mbuf));
	}
	__atomic_store_n(&s->used, s->used - n, __ATOMIC_RELAXED);
	return 0;
}

static unsigned stack_count(const struct rte_mempool *mp)
{
	const struct stack *s = mp->pool_data;

	return __atomic_load_n(&s->used, __ATOMIC_RELAXED);
}

/* Held for a few stores. Workers may share a processor: the holder may not even run. */
static void lock(struct stack *s)
{
	for (unsigned tries = 1; !rte_spinlock_trylock(&s->lock); tries++) {
		if (tries % LOCK_TRIES == 0)
			sched_yield();
		rte_pause();
	}
}

static int shared_enqueue(struct rte_mempool *mp, void *const *objects, unsigned n)
{
	struct stack *s = mp->pool_data;

	lock(s);
	const int rc = stack_enqueue(mp, objects, n);
	rte_spinlock_unlock(&s->lock);
	return rc;
}

static int shared_dequeue(struct rte_mempool *mp, void **objects, unsigned n)
{
	struct stack *s = mp->pool_data;

	lock(s);
	const int rc = stack_dequeue(mp, objects, n);
	rte_spinlock_unlock(&s->lock);
	return rc;
}

static const struct rte_mempool_ops stack_ops = {
	.name = "sb_stack",
	.alloc = stack_alloc,
	.free = stack_free,
	.enqueue = stack_enqueue,
	.dequeue = stack_dequeue,
	.get_count = stack_count,
};

static const struct rte_mempool_ops shared_ops = {
	.name = "sb_shared",
	.alloc = stack_alloc,
	.free = stack_free,
	.enqueue = shared_enqueue,
	.dequeue = shared_dequeue,
	.get_count = stack_count,
};

RTE_INIT(register_pools)
{
	rte_mempool_register_ops(&stack_ops);
	rte_mempool_register_ops(&shared_ops);
}

/* Objects may cross page boundaries: addresses are virtual (--iova-mode=va), and without hugepages
 * DPDK would otherwise give each buffer a page of its own. */
static struct rte_mempool *create(const char *name, uint32_t count, uint16_t room, const char *ops)
{
	struct rte_pktmbuf_pool_private facts = {.mbuf_data_room_size = room};
	const unsigned size = (unsigned)sizeof(struct rte_mbuf) + room;
	struct rte_mempool *mp = rte_mempool_create_empty(name, count, size, 0, sizeof(facts),
		(int)SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_IOVA_CONTIG);

	if (mp == NULL)
		return NULL;
	if (rte_mempool_set_ops_byname(mp, ops, NULL) != 0) {
		rte_mempool_free(mp);
		return NULL;
	}
	rte_pktmbuf_pool_init(mp, &facts);
	if (rte_mempool_populate_default(mp) < 0) {
		rte_mempool_free(mp);
		return NULL;
	}
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	return mp;
}

struct rte_mempool *buffers_create(const char *name, uint32_t count, uint16_t room)
{
	return create(name, count, room, "sb_stack");
}

struct rte_mempool *buffers_create_shared(const char *name, uint32_t count, uint16_t room)
{
	return create(name, count, room, "sb_shared");
}
