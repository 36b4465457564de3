/* soft_memif_test.c - both ends of a memif: a box here, its peer in another process.
 *
 * The peer does what it is told by a byte in a pipe, and answers with one. It is
 * forked before EAL starts, which cannot be shared. */
#include "drivers/soft/soft_port.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	BUFFERS = 4096,
	RING = 1024,
	PATIENCE_MS = 20000,
	SIZE = 100, /* of most frames */
};

enum order {
	CONNECT = 'c', /* open the NIC, wait for link */
	TAKE = 't',    /* all that comes until RING frames are there: in order, as sent? */
	ECHO = 'e',    /* send back what comes, until told otherwise */
	DONE = 'd',
	WRONG = 'w',
};

struct peer {
	pid_t pid;
	int to, from;
};

static char folder[] = "/tmp/soft_memif_XXXXXX";
static char path[64];
static struct counters block;

static struct driver *open_end(const char *kind, struct rte_mempool *pool)
{
	struct counters *blocks[1] = {&block};
	struct driver *nic = NULL;
	char why[256] = "";
	const struct soft_conf conf = {
		.kind = kind, .interface = path, .queues = 1, .pools = &pool, .counters = blocks};

	if (soft_open(&conf, &nic, why, sizeof(why)) != ERR_NONE)
		printf("# %s\n", why);
	return nic;
}

/* True: it is as wanted in time. Nobody announces it. */
static bool wait_link(struct driver *nic, bool up)
{
	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		if (nic->ops->link_up(nic) == up)
			return true;
		(void)poll(NULL, 0, 1);
	}
	return false;
}

static struct rte_mbuf *numbered(struct rte_mempool *pool, uint32_t number, unsigned segs)
{
	struct rte_mbuf *first = NULL;

	for (unsigned i = 0; i < segs; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		if (m == NULL)
			return NULL;
		memset(rte_pktmbuf_append(m, (uint16_t)(SIZE / segs)), (int)(number + i),
			SIZE / segs);
		if (first == NULL)
			first = m;
		else if (rte_pktmbuf_chain(first, m) != 0)
			return NULL;
	}
	memcpy(rte_pktmbuf_mtod(first, void *), &number, sizeof(number));
	return first;
}

static bool is_numbered(const struct rte_mbuf *m, uint32_t number, unsigned segs)
{
	uint8_t want[SIZE];

	for (unsigned i = 0; i < segs; i++)
		memset(want + i * (SIZE / segs), (int)(number + i), SIZE / segs);
	memcpy(want, &number, sizeof(number));
	return m->pkt_len == SIZE / segs * segs && m->nb_segs == 1 &&
	       memcmp(rte_pktmbuf_mtod(m, const void *), want, m->pkt_len) == 0;
}

/* ---- the peer ---- */

/* The receiver of frames from the box offers its buffers when it first looks. */
static bool has_posted(struct driver *nic)
{
	struct rte_mbuf *none;

	return driver_rx(nic, 0, &none, 1) == 0;
}

static bool peer_take(struct driver *nic)
{
	struct rte_mbuf *frames[32];
	uint32_t next = 0;
	bool good = true;

	for (int ms = 0; next < RING && ms < PATIENCE_MS; ms++) {
		const uint16_t n = driver_rx(nic, 0, frames, 32);
		for (uint16_t i = 0; i < n; i++, next++)
			good &= is_numbered(frames[i], next, 1 + next % 4);
		rte_pktmbuf_free_bulk(frames, n);
		if (n == 0)
			(void)poll(NULL, 0, 1);
	}
	return good && next == RING;
}

static void peer_echo(struct driver *nic, int orders)
{
	struct pollfd p = {.fd = orders, .events = POLLIN};
	struct rte_mbuf *frames[32];

	while (poll(&p, 1, 0) == 0) {
		const uint16_t n = driver_rx(nic, 0, frames, 32);
		const uint16_t sent = driver_tx(nic, 0, frames, n);
		rte_pktmbuf_free_bulk(frames + sent, n - sent);
	}
}

static void peer_serve(int orders, int answers)
{
	struct rte_mempool *pool = unit_pool(BUFFERS);
	struct driver *nic = NULL;
	char order;

	while (read(orders, &order, 1) == 1) {
		char answer = WRONG;
		if (order == CONNECT) {
			nic = open_end("memif_peer", pool);
			if (nic != NULL && wait_link(nic, true) && has_posted(nic))
				answer = DONE;
		} else if (order == TAKE && nic != NULL && peer_take(nic)) {
			answer = DONE;
		} else if (order == ECHO && nic != NULL) {
			answer = DONE;
		}
		if (write(answers, &answer, 1) != 1)
			break;
		if (order == ECHO && nic != NULL)
			peer_echo(nic, orders);
	}
	_exit(0);
}

static struct peer peer_start(void)
{
	int to[2], from[2];

	if (pipe(to) != 0 || pipe(from) != 0)
		exit(100);
	const pid_t pid = fork();
	if (pid == 0) {
		close(to[1]);
		close(from[0]);
		peer_serve(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	return (struct peer){pid, to[1], from[0]};
}

static bool peer_does(const struct peer *p, enum order order)
{
	const char byte = (char)order;
	struct pollfd answer = {.fd = p->from, .events = POLLIN};
	char got = WRONG;

	return write(p->to, &byte, 1) == 1 && poll(&answer, 1, PATIENCE_MS) == 1 &&
	       read(p->from, &got, 1) == 1 && got == DONE;
}

static void peer_end(const struct peer *p, int number)
{
	kill(p->pid, number);
	waitpid(p->pid, NULL, 0);
	close(p->to);
	close(p->from);
}

/* ---- the box; both peers were forked before EAL was there ---- */

static struct peer first, second;

/* A ring that nobody empties fills: the rest stays with us, counted, and comes later, in order. */
static void a_full_ring_is_back_pressure(struct driver *nic, struct rte_mempool *pool)
{
	struct rte_mbuf *frames[RING + 100];
	uint16_t sent = 0;

	for (uint32_t i = 0; i < ARRAY_SIZE(frames); i++) {
		frames[i] = numbered(pool, i, 1 + i % 4);
		CU_ASSERT_PTR_NOT_NULL_FATAL(frames[i]);
	}
	for (uint16_t n; (n = driver_tx(nic, 0, frames + sent,
				  (uint16_t)RTE_MIN(32u, ARRAY_SIZE(frames) - sent))) > 0;)
		sent = (uint16_t)(sent + n);
	CU_ASSERT_EQUAL(sent, RING);
	CU_ASSERT_EQUAL(counter_get(&block, COUNTER_NIC_TX_PACKETS), RING);
	CU_ASSERT(counter_get(&block, COUNTER_NIC_TX_BACKPRESSURE) > 0);
	CU_ASSERT_EQUAL(counter_get(&block, COUNTER_NAMED + ERR_NIC_TX_DROPPED), 0);
	CU_ASSERT(peer_does(&first, TAKE));
	CU_ASSERT_EQUAL(driver_tx(nic, 0, frames + sent, 32), 32);
	rte_pktmbuf_free_bulk(frames + sent + 32, (unsigned)(ARRAY_SIZE(frames) - sent - 32));
}

static bool echoes(struct driver *nic, struct rte_mempool *pool, uint32_t number)
{
	struct rte_mbuf *m = numbered(pool, number, 3), *back = NULL;

	if (driver_tx(nic, 0, &m, 1) != 1)
		return false;
	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		if (driver_rx(nic, 0, &back, 1) == 1) {
			const bool good = is_numbered(back, number, 3);
			rte_pktmbuf_free(back);
			if (good)
				return true;
		}
		(void)poll(NULL, 0, 1);
	}
	return false;
}

static void a_peer_comes_and_goes(void)
{
	struct rte_mempool *pool = unit_pool(BUFFERS);
	struct driver *nic = open_end("memif", pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(nic);
	CU_ASSERT_FALSE(nic->ops->link_up(nic));
	struct rte_mbuf *lost = numbered(pool, 0, 1);
	CU_ASSERT_EQUAL(driver_tx(nic, 0, &lost, 1), 1); /* nobody will ever take it */
	CU_ASSERT_EQUAL(counter_get(&block, COUNTER_NAMED + ERR_NIC_TX_DROPPED), 1);
	block.value[COUNTER_NAMED + ERR_NIC_TX_DROPPED] = 0;

	CU_ASSERT_FATAL(peer_does(&first, CONNECT) && wait_link(nic, true));
	a_full_ring_is_back_pressure(nic, pool);
	peer_end(&first, SIGKILL);
	CU_ASSERT_FATAL(wait_link(nic, false));

	CU_ASSERT_FATAL(peer_does(&second, CONNECT) && wait_link(nic, true));
	CU_ASSERT(peer_does(&second, ECHO));
	for (uint32_t i = 0; i < 10; i++)
		CU_ASSERT(echoes(nic, pool, i));
	peer_end(&second, SIGTERM);
	nic->ops->close(nic);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), BUFFERS);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
}

static void remove_folder(void)
{
	(void)unlink(path);
	(void)rmdir(folder);
}

static const struct unit_test tests[] = {
	{"a_peer_comes_and_goes", a_peer_comes_and_goes},
};

int main(int argc, char **argv)
{
	if (mkdtemp(folder) == NULL || atexit(remove_folder) != 0)
		return 100;
	snprintf(path, sizeof(path), "%s/memif", folder);
	if (argc < 2 || strcmp(argv[1], "--list") != 0) {
		first = peer_start();
		second = peer_start();
	}
	return UNIT_MAIN("soft_memif", tests, argc, argv);
}
