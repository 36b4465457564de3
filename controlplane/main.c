/* main.c - signalbox-controlplane: the control plane on real time, real memory, a real socket and a
 * real disk.
 *
 * Waits without spinning: in poll, for the doorbell that workers ring, the
 * store, the local socket, a signal, or the next thing that is due. What it does
 * is in link/, registry/, sessions/, ipc/. When the store fails it ends at once;
 * the launcher starts it again, later and later if that does not help. */
#include "controlplane/compile/process.h"
#include "controlplane/ipc/answer.h"
#include "controlplane/ipc/server.h"
#include "controlplane/options.h"
#include "controlplane/privileges.h"
#include "dataplane/base/assert.h"
#include "dataplane/shm/attach.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/shm/tiers.h"
#include "storage/rocks/rocks.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>

enum {
	FD_SIGNALS,
	FD_DOORBELL,
	FD_STORE,
	FD_IPC,
	FDS = FD_IPC + IPC_FDS_MAX,
	BUSY_TURNS = 64, /* turns with work between two looks at the descriptors */
	NAP_US_MIN = 50, /* without a doorbell */
	NAP_US_MAX = 1000,
	HEAP_US = 1000 * 1000, /* between two looks at the heap, which walk its free lists */
	TRIAL_CPU_S =
		2, /* processor time for a batch of expressions before they are subscribed to */
};

struct process {
	struct shm_map map;
	struct controlplane *cp;
	struct storage *store;
	struct compiler *compiler, *trier; /* of sets, of single expressions */
	struct compile *compile;
	struct trials *trials;
	struct ipc_server server;
	int signals;
	uint64_t nap_us;
	uint64_t heap_us; /* when the next look is due */
	bool stop;
	char directory[PATH_MAX]; /* of the store */
};

static uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static struct sessions_now clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (struct sessions_now){.us = clock_us(),
		.wall_ms = (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u};
}

__attribute__((noreturn)) static void fail(int code, const char *what, const char *why)
{
	fprintf(stderr, "signalbox-controlplane: %s: %s\n", what, why);
	exit(code);
}

static size_t answer(void *owner, struct span request, uint8_t *reply)
{
	return ipc_answer((struct controlplane *)owner, clock_us(), request, reply);
}

/* How long to wait at most; without a doorbell, longer and longer naps. */
static uint64_t patience_us(struct process *p, bool worked)
{
	const struct sessions_now now = clock_now();
	const uint64_t next_us = controlplane_next_us(p->cp, now);

	if (worked) {
		p->nap_us = NAP_US_MIN;
		return 0;
	}
	uint64_t wait_us = next_us <= now.us ? 0 : next_us - now.us;
	if (p->map.doorbell >= 0)
		return wait_us;
	wait_us = p->nap_us < wait_us ? p->nap_us : wait_us;
	p->nap_us = p->nap_us * 2 < NAP_US_MAX ? p->nap_us * 2 : NAP_US_MAX;
	return wait_us;
}

static void on_signal(struct process *p)
{
	struct signalfd_siginfo info;

	if (read(p->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		p->stop = true;
}

static void wait_work(struct process *p, bool worked)
{
	struct shm_header *own = (struct shm_header *)p->map.base[SHM_CP];
	const uint64_t us = patience_us(p, worked);
	struct timespec timeout = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
	struct pollfd fds[FDS];

	fds[FD_SIGNALS] = (struct pollfd){.fd = p->signals, .events = POLLIN};
	fds[FD_DOORBELL] = (struct pollfd){.fd = p->map.doorbell, .events = POLLIN};
	fds[FD_STORE] = (struct pollfd){.fd = p->store->ops->event_fd(p->store), .events = POLLIN};
	ipc_server_fds(&p->server, &fds[FD_IPC]);
	shm_doorbell_sleep(own);
	if (controlplane_pending(p->cp))
		timeout = (struct timespec){0, 0};
	const int ready = ppoll(fds, FDS, &timeout, NULL);
	shm_doorbell_wake(own, p->map.doorbell);
	if (ready <= 0)
		return;
	if (fds[FD_SIGNALS].revents != 0)
		on_signal(p);
	for (int i = FD_IPC; i < FDS; i++) {
		if (fds[i].revents != 0) {
			ipc_server_poll(&p->server, answer, p->cp);
			return;
		}
	}
}

/* What it had not acknowledged is said again to the one that starts next. */
__attribute__((noreturn)) static void die_with_store(struct process *p, enum err why)
{
	fprintf(stderr, "signalbox-controlplane: %s: the store has failed: %s; %s\n", p->directory,
		err_text(why), options_store_remedy(why));
	controlplane_retire(p->cp);
	p->store->ops->close(&p->store);
	_exit(options_store_is_hopeless(why) ? EXIT_STORE_DAMAGED : EXIT_STORE_FAILED);
}

static void count_heap(struct process *p, uint64_t now_us)
{
	struct counters *c = shm_counters(p->map.base[SHM_CP_COUNTERS], 0);

	if (now_us < p->heap_us)
		return;
	p->heap_us = now_us + HEAP_US;
	const struct mallinfo2 m = mallinfo2();
	counter_set(c, COUNTER_MEMORY_HEAP, m.arena + m.hblkhd);
	counter_set(c, COUNTER_MEMORY_HEAP_USED, m.uordblks + m.hblkhd);
}

static void serve(struct process *p)
{
	uint32_t busy = 0;
	bool worked;

	while (!p->stop) {
		const enum err e = controlplane_turn(p->cp, clock_now(), &worked);
		if (e != ERR_NONE)
			die_with_store(p, e);
		if (worked && ++busy < BUSY_TURNS)
			continue;
		busy = 0;
		count_heap(p, clock_us());
		wait_work(p, worked);
	}
}

static void open_memory(struct process *p, const char *spec)
{
	if (shm_attach(spec, &p->map) != ERR_NONE)
		fail(EXIT_FAILURE, "--shm", p->map.why);
	if (p->map.base[SHM_CP] == NULL || p->map.base[SHM_CP_COUNTERS] == NULL ||
		p->map.view[SHM_DP] == NULL)
		fail(EXIT_USAGE, "--shm", "cp and cpc are needed for writing, dp for reading");
}

/* The launcher made the memory before anybody had read the configuration. */
static void check_workers(const struct process *p, const struct shm_config *config)
{
	char why[128];

	if (p->map.workers == config->workers)
		return;
	snprintf(why, sizeof(why),
		"is %u, but the shared memory is made for %u: start signalbox-launcher with "
		"--workers %u",
		config->workers, p->map.workers, config->workers);
	fail(EXIT_USAGE, "net.workers", why);
}

static void watch_signals(struct process *p)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->signals < 0)
		fail(EXIT_FAILURE, "signalfd", strerror(errno));
}

__attribute__((noreturn)) static void refuse_store(const char *why, enum err e)
{
	fprintf(stderr, "signalbox-controlplane: %s; %s\n", why, options_store_remedy(e));
	exit(options_store_is_hopeless(e) ? EXIT_STORE_DAMAGED : EXIT_STORE_UNUSABLE);
}

/* As the user that we are from now on; nobody else is to read it. */
static void open_store(struct process *p, const char *data, const struct shm_config *config)
{
	char why[STORAGE_WHY_MAX];

	if (snprintf(p->directory, sizeof(p->directory), "%s/store", data) >=
		(int)sizeof(p->directory))
		fail(EXIT_USAGE, "--data", "the path is too long");
	umask(S_IRWXG | S_IRWXO);
	struct rocks_conf conf = storage_rocks_conf(p->directory);
	conf.sync_interval_us = config->sync_interval_us;
	conf.wal_bytes_max = config->wal_bytes_max;
	const enum err e = storage_rocks_open(&conf, &p->store, why);
	if (e != ERR_NONE)
		refuse_store(why, e);
	ASSERT(p->store != NULL);
}

static struct compiler *create_compiler(const struct shm_config *config, int program, bool each)
{
	const struct process_conf conf = {.program = program,
		.cpu_s = each ? TRIAL_CPU_S : config->compile_time_s,
		.memory_bytes = config->compile_memory_max,
		.database_bytes = config->compile_database_max,
		.each = each};

	return process_create(&conf);
}

/* Without memory for compiled patterns, or without the program, they are interpreted. */
static void create_compile(struct process *p, const struct shm_config *config, int program)
{
	struct counters *counters = shm_counters(p->map.base[SHM_CP_COUNTERS], 0);
	struct compile_conf conf = {.tiers = p->map.base[SHM_TIERS],
		.workers = p->map.workers,
		.patterns_max = config->patterns_max,
		.text_bytes_max =
			(size_t)config->patterns_max * config->pattern_size_max + SHM_TIER_BYTES,
		.counters = counters};
	const bool compiles = conf.tiers != NULL && program >= 0;

	if (program < 0)
		fputs("signalbox-controlplane: no signalbox-compiler beside it: patterns are not "
		      "compiled\n",
			stderr);
	if (getrandom(&conf.key, sizeof(conf.key), 0) != (ssize_t)sizeof(conf.key))
		fail(EXIT_FAILURE, "getrandom", strerror(errno));
	if (compiles) {
		p->compiler = create_compiler(config, program, false);
		p->trier = create_compiler(config, program, true);
		conf.compiler = p->compiler;
		p->compile = compile_create(&conf);
	}
	p->trials = trials_create(p->trier, counters);
	if (p->trials == NULL ||
		(compiles && (p->compiler == NULL || p->trier == NULL || p->compile == NULL)))
		fail(EXIT_FAILURE, "patterns", "no memory");
}

static void create(struct process *p, const struct shm_config *config)
{
	struct controlplane_conf conf = {.cp = p->map.base[SHM_CP],
		.cp_counters = p->map.base[SHM_CP_COUNTERS],
		.dp = p->map.view[SHM_DP],
		.workers = p->map.workers,
		.pid = (uint32_t)getpid(),
		.config = config,
		.store = p->store,
		.compile = p->compile,
		.trials = p->trials};

	if (getrandom(&conf.key, sizeof(conf.key), 0) != (ssize_t)sizeof(conf.key))
		fail(EXIT_FAILURE, "getrandom", strerror(errno));
	const enum err e = controlplane_create(&conf, clock_now(), &p->cp);
	if (e == ERR_NONE)
		return;
	p->store->ops->close(&p->store);
	if (e == ERR_NO_SESSIONS)
		fail(EXIT_FAILURE, "sessions", "no memory");
	char why[STORAGE_WHY_MAX];
	snprintf(why, sizeof(why), "%.300s: %s", p->directory, err_text(e));
	refuse_store(why, e);
}

static int run(const struct options *o, const struct shm_config *config)
{
	static struct process p = {.nap_us = NAP_US_MIN};
	struct privileges user;
	const pid_t parent = getppid();

	if (!privileges_find(o->user, &user))
		fail(EXIT_USAGE, "--user", strerror(errno));
	open_memory(&p, o->shm);
	check_workers(&p, config);
	if (!privileges_data(o->data, &user))
		fail(EXIT_FAILURE, o->data, strerror(errno));
	if (!ipc_server_open(&p.server, o->socket, user.uid))
		fail(EXIT_FAILURE, o->socket, strerror(errno));
	watch_signals(&p);
	const int program = process_find();
	if (!privileges_drop(&user, parent))
		fail(EXIT_FAILURE, "cannot give up privileges", strerror(errno));
	open_store(&p, o->data, config);
	create_compile(&p, config, program);
	create(&p, config);
	serve(&p);
	controlplane_retire(p.cp);
	controlplane_destroy(&p.cp);
	compile_destroy(&p.compile);
	trials_destroy(&p.trials);
	process_destroy(&p.compiler);
	process_destroy(&p.trier);
	p.store->ops->close(&p.store);
	ipc_server_close(&p.server);
	unlink(o->socket); /* where its folder is not ours, the launcher removes it */
	return EXIT_SUCCESS;
}

static int show(const struct shm_config *config, enum config_format format)
{
	static char text[65536];
	const size_t size = config_show(config, format, text, sizeof(text));

	if (size >= sizeof(text))
		fail(EXIT_FAILURE, "--show-config", "the text is too long");
	fputs(text, stdout);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct options o;
	struct shm_config config;
	bool help;

	if (!options_parse(argc, argv, &o, &help))
		return EXIT_USAGE;
	if (help)
		return EXIT_SUCCESS;
	if (!options_config(&o, &config))
		return EXIT_USAGE;
	switch (o.mode) {
	case OPTIONS_CHECK:
		puts("OK");
		return EXIT_SUCCESS;
	case OPTIONS_SHOW:
		return show(&config, CONFIG_YAML);
	case OPTIONS_SHOW_MARKDOWN:
		return show(&config, CONFIG_MARKDOWN);
	case OPTIONS_SERVE:
		break;
	}
	return run(&o, &config);
}
