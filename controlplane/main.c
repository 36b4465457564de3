/* main.c - signalbox-controlplane: the control plane on real time, real memory and a real socket.
 *
 * Waits without spinning: in poll, for the doorbell that workers ring, the
 * local socket, a signal, or the next thing that is due. What it does is in
 * link/, registry/, ipc/. */
#include "controlplane/ipc/answer.h"
#include "controlplane/ipc/server.h"
#include "controlplane/options.h"
#include "controlplane/privileges.h"
#include "dataplane/shm/attach.h"
#include "dataplane/shm/doorbell.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>

enum {
	FD_SIGNALS,
	FD_DOORBELL,
	FD_IPC,
	FDS = FD_IPC + IPC_FDS_MAX,
	BUSY_TURNS = 64, /* turns with work between two looks at the descriptors */
	NAP_US_MIN = 50, /* without a doorbell */
	NAP_US_MAX = 1000,
};

struct process {
	struct shm_map map;
	struct controlplane *cp;
	struct ipc_server server;
	int signals;
	uint64_t nap_us;
	bool stop;
};

static uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
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
	const uint64_t now_us = clock_us(), next_us = controlplane_next_us(p->cp, now_us);

	if (worked) {
		p->nap_us = NAP_US_MIN;
		return 0;
	}
	uint64_t wait_us = next_us <= now_us ? 0 : next_us - now_us;
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

static void serve(struct process *p)
{
	uint32_t busy = 0;

	while (!p->stop) {
		const bool worked = controlplane_turn(p->cp, clock_us());
		if (worked && ++busy < BUSY_TURNS)
			continue;
		busy = 0;
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

static void create(struct process *p, const struct shm_config *config)
{
	struct controlplane_conf conf = {.cp = p->map.base[SHM_CP],
		.cp_counters = p->map.base[SHM_CP_COUNTERS],
		.dp = p->map.view[SHM_DP],
		.workers = p->map.workers,
		.pid = (uint32_t)getpid(),
		.config = config};

	if (getrandom(&conf.key, sizeof(conf.key), 0) != (ssize_t)sizeof(conf.key))
		fail(EXIT_FAILURE, "getrandom", strerror(errno));
	p->cp = controlplane_create(&conf, clock_us());
	if (p->cp == NULL)
		fail(EXIT_FAILURE, "sessions", "no memory");
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
	if (!privileges_drop(&user, parent))
		fail(EXIT_FAILURE, "cannot give up privileges", strerror(errno));
	create(&p, config);
	serve(&p);
	controlplane_retire(p.cp);
	controlplane_destroy(&p.cp);
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
