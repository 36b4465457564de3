/* main.c - signalbox-dataplane: attaches the shared memory, opens the NIC, starts the workers.
 *
 * Started by the launcher. What to do comes from the configuration snapshot in
 * shared memory; the command line only says where that memory is. Each worker
 * has a thread, an EAL core and a queue of the NIC; the main thread makes
 * everything, looks after the NIC until a signal comes (watch.c), and ends it. Not here: the
 * threads (thread.c), what a turn does (worker.c). */
#include "dataplane/base/assert.h"
#include "dataplane/shm/attach.h"
#include "dataplane/worker/peer.h"
#include "dataplane/worker/service.h"
#include "dataplane/worker/stages.h"
#include "dataplane/worker/thread.h"
#include "dataplane/worker/watch.h"
#include "drivers/impair.h"
#include "drivers/pci/pci.h"
#include "drivers/soft/soft.h"

#include <errno.h>
#include <getopt.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
	CONFIG_WAIT_US = 10 * 1000 * 1000, /* for the control plane's first snapshot */
	EXIT_CONFIG = 2,                   /* cannot work as configured */
	CPU_LIST_BYTES = 6 * CPU_SETSIZE,
	EAL_MIB = 64,        /* what EAL wants beside the pools */
	EAL_WORKER_MIB = 16, /* and for each worker's queue */
};

struct process {
	struct shm_map map;
	uint16_t number;
	uint32_t workers; /* as the regions were made */
	struct shm_config config;
	uint64_t config_sequence;
	struct hash_key key;
	struct peers *peers;
	struct letters boxes[SHM_WORKERS_MAX];
	struct service *service;
	struct driver *nic;    /* the software NIC itself */
	struct driver *driver; /* the impairing one before it */
	struct thread_team team;
	struct thread threads[SHM_WORKERS_MAX];
	sigset_t signals; /* that end us */
	bool hugepages;
};

static void fail(const char *what)
{
	fprintf(stderr, "signalbox-dataplane: %s\n", what);
	exit(EXIT_CONFIG);
}

/* True: we are told to end. */
static bool wait_signal(struct process *p, long us)
{
	const struct timespec t = {0, us * 1000};

	return sigtimedwait(&p->signals, NULL, &t) > 0;
}

static void attach(struct process *p, const char *spec)
{
	char why[192];

	if (shm_attach(spec, &p->map) != ERR_NONE) {
		snprintf(why, sizeof(why), "--shm: %s", p->map.why);
		fail(why);
	}
	if (p->map.base[SHM_DP] == NULL || p->map.base[SHM_DP_COUNTERS] == NULL ||
		p->map.view[SHM_CP] == NULL)
		fail("--shm needs dp=FD:rw, dpc=FD:rw and cp=FD:ro");
	p->workers = p->map.workers;
	shm_region_start(p->map.base[SHM_DP], (uint32_t)getpid());
	shm_region_start(p->map.base[SHM_DP_COUNTERS], (uint32_t)getpid());
	if (p->map.base[SHM_LIVE] != NULL)
		shm_region_start(p->map.base[SHM_LIVE], (uint32_t)getpid());
}

static void wait_for_config(struct process *p)
{
	const struct shm_config_page *page = shm_config_page_const(p->map.view[SHM_CP]);
	const uint64_t patience = thread_clock_us() + CONFIG_WAIT_US;

	while (!shm_config_read(page, &p->config, &p->config_sequence)) {
		if (wait_signal(p, 1000))
			exit(0);
		if (thread_clock_us() > patience)
			fail("the control plane has published no configuration for 10 s");
	}
	p->config.workers = p->workers; /* the memory is made for so many */
}

/* One EAL core for the main thread and one for each worker, all of which float over the processors
 * that we may use: "(0-2)@(0,1)". */
static void core_list(uint32_t workers, char *out, size_t size)
{
	cpu_set_t may;
	size_t used = (size_t)snprintf(out, size, "(0-%u)@(", workers);
	bool any = false;

	CPU_ZERO(&may);
	if (sched_getaffinity(0, sizeof(may), &may) != 0)
		CPU_SET(0, &may);
	for (int cpu = 0; cpu < CPU_SETSIZE && used < size; cpu++) {
		if (!CPU_ISSET(cpu, &may))
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s%d", any ? "," : "", cpu);
		any = true;
	}
	ASSERT(used + 2 <= size);
	snprintf(out + used, size - used, ")");
}

/* EAL says little of a device that it cannot have. */
static void check_nic(const struct process *p)
{
	char address[sizeof(p->config.interface) + 1] = "", why[512];

	memcpy(address, p->config.interface, sizeof(p->config.interface));
	if (strncmp(p->config.nic, "pci", sizeof(p->config.nic)) == 0 &&
		pci_check("/sys", address, why, sizeof(why)) != ERR_NONE)
		fail(why);
}

static void start_eal(const struct process *p)
{
	static char cores[CPU_LIST_BYTES];
	char megabytes[16], device[sizeof(p->config.interface) + 1] = "";
	const bool is_pci = strncmp(p->config.nic, "pci", sizeof(p->config.nic)) == 0;
	const char *args[16];
	int n = 0;

	core_list(p->workers, cores, sizeof(cores));
	snprintf(megabytes, sizeof(megabytes), "%zu",
		p->workers * ((box_pools_bytes(&p->config) >> 20) + EAL_WORKER_MIB) + EAL_MIB);
	args[n++] = "signalbox-dataplane";
	/* Only the one real NIC that is ours to touch, or none. */
	memcpy(device, p->config.interface, sizeof(p->config.interface));
	args[n++] = is_pci ? "--allow" : "--no-pci";
	if (is_pci)
		args[n++] = device;
	args[n++] = "--no-telemetry";
	args[n++] = "--log-level=error";
	args[n++] = "--iova-mode=va";
	args[n++] = "--lcores";
	args[n++] = cores;
	if (p->hugepages) {
		args[n++] = "--in-memory";
	} else {
		args[n++] = "--no-huge";
		args[n++] = "--no-shconf";
		args[n++] = "-m";
		args[n++] = megabytes;
	}
	args[n] = NULL;
	if (rte_eal_init(n, (char **)(uintptr_t)args) < 0) {
		char why[160];
		snprintf(why, sizeof(why),
			"DPDK does not start: %s (wanted %s MiB%s; lower `buffers` in the "
			"configuration or free memory)",
			rte_strerror(rte_errno), megabytes, p->hugepages ? " of hugepages" : "");
		fail(why);
	}
}

static void open_nic(struct process *p)
{
	struct rte_mempool *rx[SHM_WORKERS_MAX], *held[SHM_WORKERS_MAX];
	struct counters *counters[SHM_WORKERS_MAX];
	const struct shm_config *c = &p->config;
	char kind[sizeof(c->nic) + 1] = "", interface[sizeof(c->interface) + 1] = "", why[512];

	for (uint32_t i = 0; i < p->workers; i++) {
		rx[i] = p->threads[i].conf.pools.rx;
		held[i] = p->threads[i].conf.pools.held;
		counters[i] = p->threads[i].conf.counters;
	}
	memcpy(kind, c->nic, sizeof(c->nic));
	memcpy(interface, c->interface, sizeof(c->interface));
	const struct soft_conf soft = {.kind = kind,
		.interface = interface,
		.box = p->number,
		.queues = (uint16_t)p->workers,
		.pools = rx,
		.counters = counters};
	if (soft_open(&soft, &p->nic, why, sizeof(why)) != ERR_NONE)
		fail(why);
	/* Held frames are copies of their own: the receive pool must not wait for a delay. */
	p->driver = impair_create(p->nic, held, counters, c->held_buffers / 2);
	if (p->driver == NULL)
		fail("no memory for the impairing driver");
}

static void random_bytes(void *out, size_t size)
{
	if (getrandom(out, size, 0) != (ssize_t)size)
		fail("no random numbers from the kernel");
}

/* Everything of a worker that the NIC needs before it is there. */
static void prepare_thread(struct process *p, uint32_t worker)
{
	struct thread *t = &p->threads[worker];
	char why[256];

	*t = (struct thread){.team = &p->team,
		.page = shm_config_page_const(p->map.view[SHM_CP]),
		.config_sequence = p->config_sequence,
		.conf = {.number = p->number,
			.worker = (uint16_t)worker,
			.config = p->config,
			.counters = shm_counters(p->map.base[SHM_DP_COUNTERS], worker),
			.cycles = stages_cycles,
			.letters = &p->boxes[worker],
			.peers = p->peers,
			.key = p->key}};
	t->conf.link = (struct box_link){
		p->map.base[SHM_DP], p->map.view[SHM_CP], p->map.doorbell, p->map.base[SHM_LIVE]};
	if (worker == 0) {
		t->beat[0] = p->map.base[SHM_DP];
		t->beat[1] = p->map.base[SHM_DP_COUNTERS];
	}
	random_bytes(&t->conf.seed, sizeof(t->conf.seed));
	if (!box_pools_create(
		    &t->conf.pools, p->number, (uint16_t)worker, &p->config, why, sizeof(why)))
		fail(why);
}

static void create_worker(struct process *p, uint32_t worker)
{
	struct thread *t = &p->threads[worker];
	char why[256];

	t->nic = p->nic;
	t->conf.driver = p->driver;
	thread_impair(t, &p->config);
	t->worker = worker_create(&t->conf, thread_clock_us(), why, sizeof(why));
	if (t->worker == NULL)
		fail(why);
}

static void create_box(struct process *p)
{
	random_bytes(&p->key, sizeof(p->key));
	p->peers = peers_create(p->workers);
	if (p->peers == NULL)
		fail("no memory or descriptors for the rings between workers");
	for (uint32_t i = 0; i < p->workers; i++)
		prepare_thread(p, i);
	open_nic(p);
	for (uint32_t i = 0; i < p->workers; i++)
		create_worker(p, i);
}

/* Management sees only the counters' region: it is told there too. */
static void prepare_team(struct process *p)
{
	p->team.loading = p->workers;
	p->team.ready[0] = (struct shm_header *)p->map.base[SHM_DP];
	p->team.ready[1] = (struct shm_header *)p->map.base[SHM_DP_COUNTERS];
}

/* Without it patterns are interpreted, all of them. */
static void start_service(struct process *p)
{
	const struct service_conf conf = {
		.tiers = p->map.view[SHM_TIERS], .workers = p->workers, .boxes = p->boxes};

	if (conf.tiers == NULL)
		return;
	p->service = service_create(&conf);
	if (p->service == NULL || !service_start(p->service))
		fail("the service thread does not start");
}

static void run(struct process *p)
{
	struct watch watch = {.team = &p->team,
		.workers = p->workers,
		.nic = p->nic,
		.page = shm_config_page_const(p->map.view[SHM_CP]),
		.sequence = p->config_sequence};

	prepare_team(p);
	watch_init(&watch, &p->config);
	start_service(p);
	for (uint32_t i = 0; i < p->workers; i++)
		if (rte_eal_remote_launch(thread_run, &p->threads[i], i + 1) != 0)
			fail("a worker's thread does not start");
	while (!wait_signal(p, WATCH_EVERY_US))
		watch_turn(&watch, thread_clock_us());
	for (size_t i = 0; i < ARRAY_SIZE(p->team.ready); i++)
		shm_region_ready(p->team.ready[i], false);
	threads_stop(&p->team, p->workers);
	rte_eal_mp_wait_lcore();
	if (p->service != NULL)
		service_stop(p->service);
}

/* Workers and their memory end with the process: messages may still be lent among them. */
static void stop(struct process *p)
{
	p->driver->ops->close(p->driver);
	rte_eal_cleanup();
}

static void parse(struct process *p, int argc, char **argv, const char **shm)
{
	static const struct option options[] = {{"shm", required_argument, NULL, 's'},
		{"number", required_argument, NULL, 'n'}, {"hugepages", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 's')
			*shm = optarg;
		else if (o == 'n')
			p->number = (uint16_t)strtoul(optarg, NULL, 10);
		else if (o == 'h')
			p->hugepages = true;
		else
			exit(EXIT_CONFIG);
	}
	if (*shm == NULL || optind != argc)
		fail("usage: signalbox-dataplane --shm SPEC [--number N] [--hugepages] "
		     "(started by signalbox-launcher)");
}

/* Blocked before there are threads: only the main one takes them. */
static void block_signals(struct process *p)
{
	sigemptyset(&p->signals);
	sigaddset(&p->signals, SIGTERM);
	sigaddset(&p->signals, SIGINT);
	sigprocmask(SIG_BLOCK, &p->signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
	static struct process p;
	const char *shm = NULL;

	parse(&p, argc, argv, &shm);
	block_signals(&p);
	attach(&p, shm);
	wait_for_config(&p);
	check_nic(&p);
	start_eal(&p);
	create_box(&p);
	run(&p);
	stop(&p);
	return 0;
}
