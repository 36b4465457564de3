/* buffers_test.c - pools of packet buffers: what is taken comes back, from any thread if shared. */
#include "dataplane/net/buffers.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <rte_mempool.h>
#include <sched.h>
#include <string.h>

enum { BUFFERS = 64, HELD = 40, ROUNDS = 500000, BURST = 7 };

static void all_can_be_taken_and_given_back(struct rte_mempool *p)
{
	struct rte_mbuf *m[BUFFERS];

	CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(p, m, BUFFERS), 0);
	CU_ASSERT_PTR_NULL(rte_pktmbuf_alloc(p));
	CU_ASSERT_EQUAL(rte_mempool_avail_count(p), 0);
	for (unsigned i = 0; i < BUFFERS; i++)
		for (unsigned k = 0; k < i; k++)
			CU_ASSERT_PTR_NOT_EQUAL(m[i], m[k]);
	rte_pktmbuf_free_bulk(m, BUFFERS);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(p), BUFFERS);
}

static void a_pool_gives_each_buffer_once(void)
{
	unit_eal_start();
	struct rte_mempool *own = buffers_create("own", BUFFERS, BUFFERS_ROOM);
	struct rte_mempool *shared = buffers_create_shared("shared", BUFFERS, BUFFERS_ROOM);

	CU_ASSERT_FATAL(own != NULL && shared != NULL);
	CU_ASSERT_PTR_NULL(buffers_create("own", 1, BUFFERS_ROOM));
	all_can_be_taken_and_given_back(own);
	all_can_be_taken_and_given_back(shared);
	rte_mempool_free(own);
	rte_mempool_free(shared);
}

struct taker {
	struct rte_mempool *pool;
	uint8_t name;
	unsigned bad;
	pthread_barrier_t *start;
};

/* EAL has tied the main thread, and so its children, to one processor. */
static void run_anywhere(void)
{
	cpu_set_t all;

	CPU_ZERO(&all);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		CPU_SET(cpu, &all);
	pthread_setaffinity_np(pthread_self(), sizeof(all), &all);
}

/* Writes its name into all that it takes, and finds it there when it gives it back. */
static void *take_and_give(void *arg)
{
	struct taker *t = arg;
	struct rte_mbuf *held[HELD] = {0};
	unsigned n = 0;

	run_anywhere();
	pthread_barrier_wait(t->start);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < BURST && n < HELD; i++) {
			struct rte_mbuf *m = rte_pktmbuf_alloc(t->pool);
			if (m == NULL)
				break;
			memset(rte_pktmbuf_append(m, 100), t->name, 100);
			held[n++] = m;
		}
		for (unsigned i = 0; i < round % BURST + 1 && n > 0; i++) {
			struct rte_mbuf *m = held[--n];
			const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);
			t->bad += at[0] != t->name || at[99] != t->name;
			rte_pktmbuf_free(m);
		}
	}
	rte_pktmbuf_free_bulk(held, n);
	return NULL;
}

static void threads_share_a_pool(void)
{
	unit_eal_start();
	struct rte_mempool *p = buffers_create_shared("threads", BUFFERS, BUFFERS_ROOM);
	pthread_barrier_t start;
	struct taker a = {.pool = p, .name = 1, .start = &start};
	struct taker b = {.pool = p, .name = 2, .start = &start};
	pthread_t thread;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	pthread_barrier_init(&start, NULL, 2);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, take_and_give, &a), 0);
	take_and_give(&b);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&start);
	CU_ASSERT_EQUAL(a.bad + b.bad, 0);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(p), BUFFERS);
	all_can_be_taken_and_given_back(p);
	rte_mempool_free(p);
}

static const struct unit_test tests[] = {
	{"a_pool_gives_each_buffer_once", a_pool_gives_each_buffer_once},
	{"threads_share_a_pool", threads_share_a_pool},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("buffers", tests, argc, argv);
}
