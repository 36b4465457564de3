/* main.c - signalbox-launcher: holds the memory, starts, watches and restarts; nothing else.
 *
 * It decides nothing and parses nothing that comes from outside but its own
 * command line. It dies last: on SIGTERM or SIGINT the others are stopped first
 * (SIGKILL after 3 s), then what it made in the run directory is removed. Should
 * it die itself, the kernel kills the others (PR_SET_PDEATHSIG). */
#include "controlplane/launcher/child.h"
#include "controlplane/launcher/restart.h"
#include "dataplane/shm/processes.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_US = 3 * 1000 * 1000, EXIT_USAGE = 2, EXIT_CONFIG = 2 };

struct process {
	struct child child;
	struct restart restart;
	pid_t pid; /* 0: does not run */
	int pidfd;
	uint64_t start_us; /* when to start it; UINT64_MAX: runs, or never */
	bool lived;        /* has been started before */
};

struct launcher {
	struct memory memory;
	struct process process[SHM_PROCESSES];
	uint32_t workers;
	const char *bin;
	const char *run_dir;
	int signals;
	bool stopping;
	int exit_code;
};

static const char *const short_names[SHM_PROCESSES] = {
	[SHM_PROCESS_DATAPLANE] = "dataplane",
	[SHM_PROCESS_CONTROLPLANE] = "controlplane",
	[SHM_PROCESS_MGMT] = "mgmt",
};

static uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void fail(const char *what, const char *detail)
{
	fprintf(stderr, "signalbox-launcher: %s%s%s\n", what, detail[0] != '\0' ? ": " : "",
		detail);
	exit(EXIT_USAGE);
}

static void run_path(
	const struct launcher *l, const char *name, const char *suffix, char *out, size_t size)
{
	snprintf(out, size, "%s/%s%s", l->run_dir, name, suffix);
}

static void write_pid(const struct launcher *l, const char *name, pid_t pid)
{
	char path[PATH_MAX];

	run_path(l, name, ".pid", path, sizeof(path));
	FILE *f = fopen(path, "w");
	if (f == NULL)
		fail(path, strerror(errno));
	fprintf(f, "%d\n", (int)pid);
	fclose(f);
}

static void remove_run_files(const struct launcher *l)
{
	char path[PATH_MAX];

	for (int i = 0; i < SHM_PROCESSES; i++) {
		run_path(l, short_names[i], ".pid", path, sizeof(path));
		unlink(path);
	}
	run_path(l, "launcher", ".pid", path, sizeof(path));
	unlink(path);
	run_path(l, "control", ".sock", path, sizeof(path));
	unlink(path);
}

static struct shm_process *record(struct launcher *l, int i)
{
	return shm_process(l->memory.base[SHM_LAUNCHER], (enum shm_process_id)i);
}

static void start(struct launcher *l, int i, uint64_t now_us)
{
	struct process *p = &l->process[i];
	struct shm_process *r = record(l, i);

	p->start_us = UINT64_MAX;
	p->pid = child_start(&p->child, l->bin, &l->memory, &p->pidfd);
	if (p->pid < 0 || p->pidfd < 0) {
		fprintf(stderr, "signalbox-launcher: cannot start %s: %s\n", p->child.name,
			strerror(errno));
		p->pid = 0;
		restart_on_start(&p->restart, now_us);
		p->start_us = restart_on_end(&p->restart, now_us);
		return;
	}
	restart_on_start(&p->restart, now_us);
	r->restarts += p->lived;
	p->lived = true;
	r->pid = (uint32_t)p->pid;
	r->state = SHM_PROCESS_RUNS;
	r->started_us = now_us;
	write_pid(l, short_names[i], p->pid);
}

static void tell_end(const struct process *p, int status)
{
	if (WIFSIGNALED(status))
		fprintf(stderr, "signalbox-launcher: %s (pid %d) was ended by signal %d (%s)\n",
			p->child.name, (int)p->pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		fprintf(stderr, "signalbox-launcher: %s (pid %d) exited with code %d\n",
			p->child.name, (int)p->pid, WEXITSTATUS(status));
}

static bool is_hopeless(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == SHM_EXIT_HOPELESS;
}

/* When to start it again; UINT64_MAX: never. */
static uint64_t next_start(struct launcher *l, struct process *p, int status, uint64_t now_us)
{
	if (l->stopping)
		return UINT64_MAX;
	tell_end(p, status);
	if (!is_hopeless(status))
		return restart_on_end(&p->restart, now_us);
	const uint64_t at_us = restart_on_hopeless_end(&p->restart, now_us);
	if (at_us == UINT64_MAX)
		fprintf(stderr,
			"signalbox-launcher: %s is not started again: what it said last must be "
			"mended first, and then the box be started anew\n",
			p->child.name);
	return at_us;
}

static void on_end(struct launcher *l, int i, int status, uint64_t now_us)
{
	struct process *p = &l->process[i];
	struct shm_process *r = record(l, i);

	p->start_us = next_start(l, p, status, now_us);
	close(p->pidfd);
	p->pid = 0;
	p->pidfd = -1;
	r->pid = 0;
	r->state = p->start_us == UINT64_MAX ? SHM_PROCESS_OFF : SHM_PROCESS_WAITS;
	r->last_fatal = WIFSIGNALED(status);
	r->last_code = (uint32_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void reap(struct launcher *l, uint64_t now_us)
{
	for (int i = 0; i < SHM_PROCESSES; i++) {
		int status;
		if (l->process[i].pid > 0 && waitpid(l->process[i].pid, &status, WNOHANG) > 0)
			on_end(l, i, status, now_us);
	}
}

/* Waits for a death, a signal, or `until_us`. */
static void wait_event(struct launcher *l, uint64_t until_us)
{
	struct pollfd fds[SHM_PROCESSES + 1] = {{.fd = l->signals, .events = POLLIN}};
	const uint64_t now_us = clock_us();
	int timeout_ms = -1;

	for (int i = 0; i < SHM_PROCESSES; i++)
		fds[i + 1] = (struct pollfd){
			.fd = l->process[i].pid > 0 ? l->process[i].pidfd : -1, .events = POLLIN};
	if (until_us != UINT64_MAX)
		timeout_ms = until_us <= now_us ? 0 : (int)((until_us - now_us) / 1000 + 1);
	poll(fds, SHM_PROCESSES + 1, timeout_ms);
	if (fds[0].revents & POLLIN) {
		struct signalfd_siginfo info;
		if (read(l->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
			l->stopping = true;
	}
	reap(l, clock_us());
}

static void watch(struct launcher *l)
{
	while (!l->stopping) {
		uint64_t next_us = UINT64_MAX;
		const uint64_t now_us = clock_us();
		for (int i = 0; i < SHM_PROCESSES; i++) {
			if (l->process[i].start_us <= now_us)
				start(l, i, now_us);
			if (l->process[i].start_us < next_us)
				next_us = l->process[i].start_us;
		}
		wait_event(l, next_us);
	}
}

static bool any_alive(const struct launcher *l)
{
	for (int i = 0; i < SHM_PROCESSES; i++)
		if (l->process[i].pid > 0)
			return true;
	return false;
}

static void signal_all(struct launcher *l, int number)
{
	for (int i = 0; i < SHM_PROCESSES; i++)
		if (l->process[i].pid > 0)
			kill(l->process[i].pid, number);
}

static void stop(struct launcher *l)
{
	const uint64_t patience_us = clock_us() + PATIENCE_US;

	for (int i = 0; i < SHM_PROCESSES; i++)
		record(l, i)->state = SHM_PROCESS_STOPS;
	signal_all(l, SIGTERM);
	while (any_alive(l) && clock_us() < patience_us)
		wait_event(l, patience_us);
	signal_all(l, SIGKILL);
	while (any_alive(l))
		wait_event(l, UINT64_MAX);
	remove_run_files(l);
}

static void grant_rights(struct launcher *l)
{
	struct child_rights *dp = &l->process[SHM_PROCESS_DATAPLANE].child.rights;
	struct child_rights *cp = &l->process[SHM_PROCESS_CONTROLPLANE].child.rights;
	struct child_rights *mgmt = &l->process[SHM_PROCESS_MGMT].child.rights;

	dp->writes[SHM_DP] = dp->writes[SHM_DP_COUNTERS] = dp->writes[SHM_LIVE] = true;
	dp->reads[SHM_CP] = dp->reads[SHM_LAUNCHER] = dp->reads[SHM_TIERS] = true;
	dp->doorbell = true;
	cp->writes[SHM_CP] = cp->writes[SHM_CP_COUNTERS] = cp->writes[SHM_TIERS] = true;
	cp->reads[SHM_DP] = cp->reads[SHM_DP_COUNTERS] = cp->reads[SHM_LAUNCHER] = true;
	cp->doorbell = true;
	mgmt->reads[SHM_DP_COUNTERS] = mgmt->reads[SHM_CP_COUNTERS] = true;
	mgmt->reads[SHM_LAUNCHER] = true;
}

static void add(struct child *c, const char *name, const char *value)
{
	if (!child_arg(c, name) || (value != NULL && !child_arg(c, value)))
		fail("too many arguments", name);
}

static const struct option options[] = {{"run-dir", required_argument, NULL, 'r'},
	{"data", required_argument, NULL, 'd'}, {"config", required_argument, NULL, 'c'},
	{"bin", required_argument, NULL, 'b'}, {"dataplane-netns", required_argument, NULL, 'N'},
	{"nic", required_argument, NULL, 'n'}, {"interface", required_argument, NULL, 'i'},
	{"address", required_argument, NULL, 'a'}, {"gateway", required_argument, NULL, 'g'},
	{"impair", required_argument, NULL, 'I'}, {"mgmt-listen", required_argument, NULL, 'm'},
	{"workers", required_argument, NULL, 'w'}, {"user", required_argument, NULL, 'u'},
	{"hugepages", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};

/* Most options are meant for the control plane and go there as they are. */
static void pass_on(struct launcher *l, int o)
{
	struct child *cp = &l->process[SHM_PROCESS_CONTROLPLANE].child;

	for (const struct option *k = options; k->name != NULL; k++) {
		static char flag[ARRAY_SIZE(options)][32];
		if (k->val != o)
			continue;
		snprintf(flag[k - options], sizeof(flag[0]), "--%s", k->name);
		add(cp, flag[k - options], optarg);
	}
}

/* How much memory there must be, and the control plane checks that its configuration agrees. */
static uint32_t take_workers(struct launcher *l)
{
	char *end;
	const unsigned long n = strtoul(optarg, &end, 10);

	if (*end != '\0' || n < 1 || n > SHM_WORKERS_MAX)
		fail("--workers is a number from 1 to 8, not", optarg);
	pass_on(l, 'w');
	return (uint32_t)n;
}

static void parse(struct launcher *l, int argc, char **argv)
{
	struct child *dp = &l->process[SHM_PROCESS_DATAPLANE].child;
	struct child *mgmt = &l->process[SHM_PROCESS_MGMT].child;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == '?')
			exit(EXIT_USAGE);
		else if (o == 'r')
			l->run_dir = optarg;
		else if (o == 'b')
			l->bin = optarg;
		else if (o == 'N')
			dp->netns = optarg;
		else if (o == 'h')
			add(dp, "--hugepages", NULL);
		else if (o == 'w')
			l->workers = take_workers(l);
		else if (o == 'm')
			add(mgmt, "--listen", optarg);
		else
			pass_on(l, o);
	}
	if (optind != argc || l->run_dir == NULL)
		fail("usage: signalbox-launcher --run-dir DIR --data DIR --nic tap|af_packet "
		     "--interface NAME --address A.B.C.D/LEN --gateway A.B.C.D "
		     "--mgmt-listen A.B.C.D:PORT [--workers N] [--config FILE] [--impair SPEC] "
		     "[--user UID] "
		     "[--dataplane-netns PATH] [--hugepages] [--bin DIR]",
			"");
}

/* Beside our own binary, wherever the build put the others: one folder for each is not enough. */
static const char *own_folder(void)
{
	static char path[PATH_MAX];
	const ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		fail("/proc/self/exe", strerror(errno));
	path[n] = '\0';
	*strrchr(path, '/') = '\0'; /* the kernel's answer is absolute */
	return path;
}

static void watch_signals(struct launcher *l)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	l->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (l->signals < 0)
		fail("signalfd", strerror(errno));
}

int main(int argc, char **argv)
{
	static struct launcher l = {.workers = 1};
	static char socket_path[PATH_MAX];
	const char *why;

	for (int i = 0; i < SHM_PROCESSES; i++)
		l.process[i].pidfd = -1;
	l.process[SHM_PROCESS_DATAPLANE].child.name = "signalbox-dataplane";
	l.process[SHM_PROCESS_CONTROLPLANE].child.name = "signalbox-controlplane";
	l.process[SHM_PROCESS_MGMT].child.name = "signalbox-mgmt";
	grant_rights(&l);
	parse(&l, argc, argv);
	if (l.bin == NULL)
		l.bin = own_folder();
	if (mkdir(l.run_dir, 0755) != 0 && errno != EEXIST)
		fail(l.run_dir, strerror(errno));
	run_path(&l, "control", ".sock", socket_path, sizeof(socket_path));
	add(&l.process[SHM_PROCESS_CONTROLPLANE].child, "--socket", socket_path);
	add(&l.process[SHM_PROCESS_MGMT].child, "--socket", socket_path);
	if (!memory_create(&l.memory, l.workers, &why))
		fail(why, strerror(errno));
	watch_signals(&l);
	write_pid(&l, "launcher", getpid());
	watch(&l);
	stop(&l);
	return 0;
}
