/* main.c - signalbox-bridge: the kernel peer of a box on a memif.
 *
 *	signalbox-bridge --socket PATH --tap NAME [--queues N]
 *
 * Connects to the box's memif, again and again while there is none, and carries
 * frames to and from the tap (bridge.h). Runs in a child: DPDK takes a lost
 * peer's memory away in a thread of its own, under the hands of whoever is just
 * reading it, so a child that dies of that is replaced, and the link has
 * flapped. Exit code: 0 ended by a signal, 1 failed, 2 cannot work like this. */
#include "drivers/bridge/bridge.h"
#include "drivers/soft/soft.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	BUFFERS = 8192,
	MEMORY_MIB = 64,
	SPIN_US = 100,         /* empty turns for so long before the first wait */
	WAIT_US = 200,         /* the box cannot wake us */
	WAIT_ALONE_US = 20000, /* between attempts to connect, and to look at the link */
	EXIT_CONFIG = 2,
	LINK_TRIES = 100,
	LINK_TRY_US = 1000,
	AGAIN_US = 50000, /* after a child that died */
};

struct options {
	const char *socket, *tap;
	uint16_t queues;
};

static struct counters counters;
static volatile sig_atomic_t stopping;

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "signalbox-bridge: %s: %s\n", what, why);
	exit(EXIT_CONFIG);
}

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
}

static uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Or until a signal comes. */
static void rest(long us)
{
	const struct timespec t = {0, us * 1000};

	(void)ppoll(NULL, 0, &t, NULL);
}

/* ---- the child ---- */

/* On any processor that we may use: EAL would keep us on one. */
static struct rte_mempool *start_eal(void)
{
	char megabytes[16], core[24];
	cpu_set_t may;
	int cpu = 0;

	CPU_ZERO(&may);
	(void)sched_getaffinity(0, sizeof(may), &may);
	while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &may))
		cpu++;
	snprintf(megabytes, sizeof(megabytes), "%d", MEMORY_MIB);
	snprintf(core, sizeof(core), "0@%d", cpu);
	const char *args[] = {"signalbox-bridge", "--no-huge", "--no-shconf", "--no-pci",
		"--no-telemetry", "--iova-mode=va", "--log-level=error", "-m", megabytes,
		"--lcores", core, NULL};
	if (rte_eal_init(ARRAY_SIZE(args) - 1, (char **)(uintptr_t)args) < 0)
		fail("DPDK does not start", rte_strerror(rte_errno));
	(void)sched_setaffinity(0, sizeof(may), &may);
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"bridge", BUFFERS, 256, 0, 2048 + RTE_PKTMBUF_HEADROOM, (int)SOCKET_ID_ANY);
	if (pool == NULL)
		fail("no memory for buffers", rte_strerror(rte_errno));
	return pool;
}

static struct driver *connect_box(const struct options *o, struct rte_mempool *pool)
{
	struct rte_mempool *pools[BRIDGE_QUEUES_MAX];
	struct counters *blocks[BRIDGE_QUEUES_MAX];
	struct driver *memif = NULL;
	char why[256];

	for (uint16_t i = 0; i < o->queues; i++) {
		pools[i] = pool;
		blocks[i] = &counters;
	}
	const struct soft_conf conf = {.kind = "memif_peer",
		.interface = o->socket,
		.queues = o->queues,
		.pools = pools,
		.counters = blocks};
	if (soft_open(&conf, &memif, why, sizeof(why)) != ERR_NONE)
		return NULL; /* no box yet */
	return memif;
}

/* While the box is there. */
static void carry(struct bridge *b, struct driver *memif)
{
	uint64_t busy_us = clock_us(), look_us = busy_us + WAIT_ALONE_US;

	while (!stopping) {
		const bool busy = bridge_poll(b);
		const uint64_t now = clock_us();
		if (busy)
			busy_us = now;
		else if (now - busy_us >= SPIN_US)
			bridge_wait(b, WAIT_US);
		if (now < look_us)
			continue;
		if (!memif->ops->link_up(memif))
			return;
		look_us = now + WAIT_ALONE_US;
	}
}

/* The handshake takes some turns of DPDK's own thread; a box that does not answer is left. */
static bool linked(struct driver *memif)
{
	for (int i = 0; i < LINK_TRIES && !memif->ops->link_up(memif); i++)
		rest(LINK_TRY_US);
	return memif->ops->link_up(memif);
}

static void serve(const struct options *o)
{
	char why[256];
	struct rte_mempool *pool = start_eal();
	struct bridge *b = bridge_create(o->tap, o->queues, pool, &counters, why, sizeof(why));

	if (b == NULL)
		fail("--tap", why);
	while (!stopping) {
		struct driver *memif = connect_box(o, pool);
		if (memif != NULL && linked(memif)) {
			bridge_connect(b, memif);
			carry(b, memif);
			bridge_connect(b, NULL);
		}
		if (memif != NULL)
			memif->ops->close(memif);
		if (!bridge_poll(b)) /* drops what nobody takes */
			bridge_wait(b, WAIT_ALONE_US);
	}
	bridge_destroy(&b);
	rte_eal_cleanup();
}

/* ---- the parent ---- */

static bool parse(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {{"socket", required_argument, NULL, 's'},
		{"tap", required_argument, NULL, 't'}, {"queues", required_argument, NULL, 'q'},
		{NULL, 0, NULL, 0}};
	unsigned long queues = 1;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			o->socket = optarg;
		else if (c == 't')
			o->tap = optarg;
		else if (c == 'q')
			queues = strtoul(optarg, NULL, 10);
		else
			return false;
	}
	o->queues = (uint16_t)queues;
	return optind == argc && o->socket != NULL && o->tap != NULL && queues >= 1 &&
	       queues <= BRIDGE_QUEUES_MAX;
}

static pid_t start_child(const struct options *o)
{
	const pid_t parent = getpid();
	const pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		exit(1);
	serve(o);
	exit(0);
}

/* Until it ends, or we are told to: then it is told, too. The status it ended with. */
static int wait_child(pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		if (stopping)
			kill(child, SIGTERM);
	return status;
}

int main(int argc, char **argv)
{
	const struct sigaction act = {.sa_handler = on_signal}; /* calls are interrupted */
	struct options o = {0};

	if (!parse(&o, argc, argv))
		fail("usage", "signalbox-bridge --socket PATH --tap NAME [--queues 1..8]");
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	while (!stopping) {
		const pid_t child = start_child(&o);
		if (child < 0)
			fail("fork", strerror(errno));
		const int status = wait_child(child);
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		fprintf(stderr, "signalbox-bridge: died of signal %d, starts again\n",
			WTERMSIG(status));
		rest(AGAIN_US);
	}
	return 0;
}
