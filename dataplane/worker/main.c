/* main.c - signalbox-dataplane: attaches the shared memory, opens the NIC, runs the worker.
 *
 * Started by the launcher. What to do comes from the configuration snapshot in
 * shared memory; the command line only says where that memory is. One worker,
 * on the main thread. Not here: what a turn does (worker.c). */
#include "dataplane/base/assert.h"
#include "dataplane/shm/attach.h"
#include "dataplane/worker/idle.h"
#include "dataplane/worker/worker.h"
#include "drivers/impair.h"
#include "drivers/soft/soft.h"

#include <errno.h>
#include <getopt.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
	CONFIG_WAIT_US = 10 * 1000 * 1000, /* for the control plane's first snapshot */
	GOODBYE_US = 200 * 1000,           /* for clients to hear that we stop */
	CLOCK_EVERY = 64,                  /* busy turns between looks at the configuration */
	EXIT_CONFIG = 2,                   /* cannot work as configured */
};

struct process {
	struct shm_map map;
	struct box_conf conf;
	struct driver *nic; /* the software NIC itself */
	struct worker *worker;
	uint64_t config_sequence;
	bool hugepages;
};

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
}

static uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void fail(const char *what)
{
	fprintf(stderr, "signalbox-dataplane: %s\n", what);
	exit(EXIT_CONFIG);
}

static void pause_us(long us)
{
	const struct timespec t = {0, us * 1000};

	nanosleep(&t, NULL);
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
	shm_region_start(p->map.base[SHM_DP], (uint32_t)getpid());
	shm_region_start(p->map.base[SHM_DP_COUNTERS], (uint32_t)getpid());
	p->conf.counters = shm_counters(p->map.base[SHM_DP_COUNTERS], 0);
	p->conf.link = (struct box_link){p->map.base[SHM_DP], p->map.view[SHM_CP], p->map.doorbell};
}

static const struct shm_config_page *config_page(const struct process *p)
{
	return shm_config_page_const(p->map.view[SHM_CP]);
}

static void wait_for_config(struct process *p)
{
	const uint64_t patience = clock_us() + CONFIG_WAIT_US;

	while (!shm_config_read(config_page(p), &p->conf.config, &p->config_sequence)) {
		if (stopping)
			exit(0);
		if (clock_us() > patience)
			fail("the control plane has published no configuration for 10 s");
		pause_us(1000);
	}
}

/* EAL wants a core list: all we may run on, as one floating main thread. */
static void core_list(char *out, size_t size)
{
	const long n = sysconf(_SC_NPROCESSORS_ONLN);

	snprintf(out, size, "0@0-%ld", n > 1 ? n - 1 : 0);
}

static void start_eal(const struct process *p)
{
	char cores[32], megabytes[16];
	const char *args[16];
	int n = 0;

	core_list(cores, sizeof(cores));
	snprintf(
		megabytes, sizeof(megabytes), "%zu", (box_pools_bytes(&p->conf.config) >> 20) + 64);
	args[n++] = "signalbox-dataplane";
	args[n++] = "--no-pci";
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

static struct impair_settings impair_of(const struct shm_config *c)
{
	return (struct impair_settings){.loss_ppm = c->impair.loss_ppm,
		.reorder_ppm = c->impair.reorder_ppm,
		.duplicate_ppm = c->impair.duplicate_ppm,
		.corrupt_ppm = c->impair.corrupt_ppm,
		.delay_us = c->impair.delay_us,
		.jitter_us = c->impair.jitter_us,
		.seed = c->impair.seed};
}

static void open_nic(struct process *p)
{
	const struct shm_config *c = &p->conf.config;
	char kind[sizeof(c->nic) + 1] = "", interface[sizeof(c->interface) + 1] = "", why[256];

	memcpy(kind, c->nic, sizeof(c->nic));
	memcpy(interface, c->interface, sizeof(c->interface));
	const struct soft_conf soft = {.kind = kind,
		.interface = interface,
		.box = p->conf.number,
		.queues = 1,
		.pools = &p->conf.pools.rx,
		.counters = &p->conf.counters};
	if (soft_open(&soft, &p->nic, why, sizeof(why)) != ERR_NONE)
		fail(why);
	/* Held frames are copies of their own: the receive pool must not wait for a delay. */
	p->conf.driver = impair_create(p->nic, p->conf.pools.held, c->held_buffers / 2);
	if (p->conf.driver == NULL)
		fail("no memory for the impairing driver");
	const struct impair_settings s = impair_of(c);
	impair_set(p->conf.driver, &s);
}

static void seed_secrets(struct process *p)
{
	if (getrandom(&p->conf.key, sizeof(p->conf.key), 0) != sizeof(p->conf.key) ||
		getrandom(&p->conf.seed, sizeof(p->conf.seed), 0) != sizeof(p->conf.seed))
		fail("no random numbers from the kernel");
}

static void start_worker(struct process *p)
{
	char why[256];

	if (!box_pools_create(&p->conf.pools, p->conf.number, 0, &p->conf.config, why, sizeof(why)))
		fail(why);
	open_nic(p);
	seed_secrets(p);
	p->worker = worker_create(&p->conf, clock_us(), why, sizeof(why));
	if (p->worker == NULL)
		fail(why);
}

/* Impairment may change while we run; everything else needs a restart. */
static void refresh_config(struct process *p)
{
	struct shm_config c;
	uint64_t sequence;

	if (shm_load(&config_page(p)->sequence) == p->config_sequence ||
		!shm_config_read(config_page(p), &c, &sequence))
		return;
	p->config_sequence = sequence;
	const struct impair_settings s = impair_of(&c);
	impair_set(p->conf.driver, &s);
}

static bool turn(struct process *p, uint64_t now_us)
{
	impair_now(p->conf.driver, now_us);
	const bool busy = worker_turn(p->worker, now_us);
	shm_region_beat(p->map.base[SHM_DP], now_us);
	shm_region_beat(p->map.base[SHM_DP_COUNTERS], now_us);
	return busy;
}

static uint64_t next_us(const struct process *p)
{
	const uint64_t a = worker_next_us(p->worker), b = impair_next_us(p->conf.driver);

	return a < b ? a : b;
}

static void run(struct process *p)
{
	const struct idle_conf conf = {.spin_us = p->conf.config.idle_spin_us,
		.wait_max_us = 10000,
		.sleep_max_us = p->conf.config.idle_sleep_us,
		.answer_us = 50,
		.wakes = p->nic->facts.wakes};
	struct idle idle = {0};
	unsigned turns = 0;

	while (!stopping) {
		const uint64_t start = clock_us();
		const bool busy = turn(p, start);
		const uint64_t now = clock_us();
		if (busy)
			counter_add(p->conf.counters, COUNTER_WORKER_BUSY_US, now - start);
		if (!busy || turns++ % CLOCK_EVERY == 0)
			refresh_config(p);
		const uint64_t wait =
			idle_wait_us(&idle, &conf, busy, worker_waits(p->worker), now, next_us(p));
		if (wait == 0)
			continue;
		counter_add(p->conf.counters, COUNTER_WORKER_SLEEPS, 1);
		p->nic->ops->wait(p->nic, 0, wait);
	}
}

/* Management sees only the counters' region: it is told there too. */
static void tell_ready(struct process *p, bool ready)
{
	shm_region_ready(p->map.base[SHM_DP], ready);
	shm_region_ready(p->map.base[SHM_DP_COUNTERS], ready);
}

static void stop(struct process *p)
{
	const uint64_t patience = clock_us() + GOODBYE_US;

	tell_ready(p, false);
	worker_shutdown(p->worker, clock_us());
	while (worker_connections(p->worker) > 0 && clock_us() < patience)
		if (!turn(p, clock_us()))
			pause_us(200);
	worker_destroy(&p->worker);
	p->conf.driver->ops->close(p->conf.driver);
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
			p->conf.number = (uint16_t)strtoul(optarg, NULL, 10);
		else if (o == 'h')
			p->hugepages = true;
		else
			exit(EXIT_CONFIG);
	}
	if (*shm == NULL || optind != argc)
		fail("usage: signalbox-dataplane --shm SPEC [--number N] [--hugepages] "
		     "(started by signalbox-launcher)");
}

int main(int argc, char **argv)
{
	static struct process p;
	const char *shm = NULL;
	const struct sigaction on = {.sa_handler = on_signal};

	parse(&p, argc, argv, &shm);
	sigaction(SIGTERM, &on, NULL);
	sigaction(SIGINT, &on, NULL);
	signal(SIGPIPE, SIG_IGN);
	attach(&p, shm);
	wait_for_config(&p);
	start_eal(&p);
	start_worker(&p);
	tell_ready(&p, true);
	run(&p);
	stop(&p);
	return 0;
}
