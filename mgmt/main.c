/* main.c - signalbox-mgmt: serves the console, the REST and the metrics.
 *
 * Attaches the counter regions that the launcher hands over, opens the
 * listening socket, gives up its rights, then waits: for clients, for the next
 * second, for the end. It may die at any time; nobody else notices. */
#include "mgmt/http/server.h"
#include "mgmt/privileges.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"usage: signalbox-mgmt --shm SPEC --listen ADDRESS:PORT [--socket PATH] [--user NAME]\n"
	"  --shm SPEC       regions from the launcher: dpc=FD:ro,cpc=FD:ro,launcher=FD:ro\n"
	"  --listen A:P     where to serve, such as 127.0.0.1:8080 or [::1]:8080\n"
	"  --socket PATH    the control plane's, for what only it knows\n"
	"  --user NAME      who to become when started as root (nobody)\n"
	"  --version        prints the version\n";

struct options {
	const char *shm, *listen, *user, *socket;
};

static struct monitor monitor; /* about 1 MB, for as long as the process lives */

__attribute__((noreturn)) static void die(const char *what, const char *why)
{
	fprintf(stderr, "signalbox-mgmt: %s: %s\n", what, why);
	exit(1);
}

static uint64_t clock_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static uint64_t now_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

static int64_t wall_ms(void)
{
	return (int64_t)(clock_us(CLOCK_REALTIME) / 1000u);
}

static struct options read_options(int argc, char **argv)
{
	static const struct option known[] = {
		{"shm", required_argument, NULL, 's'},
		{"listen", required_argument, NULL, 'l'},
		{"user", required_argument, NULL, 'u'},
		{"socket", required_argument, NULL, 'c'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.user = "nobody"};

	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (c == 's') {
			o.shm = optarg;
		} else if (c == 'l') {
			o.listen = optarg;
		} else if (c == 'c') {
			o.socket = optarg;
		} else if (c == 'u') {
			o.user = optarg;
		} else {
			const bool asked = c == 'v' || c == 'h';
			fputs(c == 'v' ? VERSION "\n" : usage, asked ? stdout : stderr);
			exit(asked ? 0 : 2);
		}
	}
	if (o.shm == NULL || o.listen == NULL || optind != argc) {
		fputs(usage, stderr);
		exit(2);
	}
	return o;
}

static struct server *open_server(const struct options *o)
{
	struct sockaddr_storage address;
	socklen_t size;

	if (!server_address_read(o->listen, &address, &size))
		die(o->listen, "is not ADDRESS:PORT, such as 127.0.0.1:8080");
	struct server *s =
		server_create(&monitor, VERSION, (const struct sockaddr *)&address, size);
	if (s == NULL)
		die(o->listen, strerror(errno));
	return s;
}

/* Readable once for SIGTERM or SIGINT. */
static int open_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	const int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		die("signalfd", strerror(errno));
	return fd;
}

static int open_timer(void)
{
	const struct itimerspec each = {
		.it_interval.tv_sec = HISTORY_STEP_US / 1000000,
		.it_value.tv_sec = HISTORY_STEP_US / 1000000,
	};
	const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0 || timerfd_settime(fd, 0, &each, NULL) != 0)
		die("timerfd", strerror(errno));
	return fd;
}

static void serve(struct server *s, int signals, int timer)
{
	struct pollfd fds[] = {
		{.fd = server_fd(s), .events = POLLIN},
		{.fd = timer, .events = POLLIN},
		{.fd = signals, .events = POLLIN},
		{.fd = -1, .events = POLLIN},
		{.fd = -1, .events = POLLIN},
	};

	for (;;) {
		uint64_t elapsed;

		fds[3].fd = monitor.facts.fd;
		fds[4].fd = monitor.inspections.fd;
		if (poll(fds, 5, server_wait_ms(s, 1000)) < 0 && errno != EINTR)
			die("poll", strerror(errno));
		if (fds[2].revents != 0)
			return;
		if (fds[3].revents != 0)
			facts_read(&monitor.facts, now_us());
		if (fds[4].revents != 0)
			inspections_read(&monitor.inspections, now_us());
		/* One sample however many seconds a stopped process has missed. */
		if (read(timer, &elapsed, sizeof(elapsed)) == sizeof(elapsed)) {
			monitor_tick(&monitor, now_us(), wall_ms());
			server_tick(s, now_us());
			facts_tick(&monitor.facts);
		}
		server_turn(s, now_us(), wall_ms());
	}
}

int main(int argc, char **argv)
{
	const struct options o = read_options(argc, argv);
	const int signals = open_signals();
	static struct shm_map map;

	if (shm_attach(o.shm, &map) != ERR_NONE)
		die("--shm", map.why);
	monitor_init(&monitor, &map, now_us(), wall_ms());
	facts_init(&monitor.facts, o.socket);
	facts_tick(&monitor.facts);
	inspections_init(&monitor.inspections, o.socket);
	struct server *s = open_server(&o);
	const int timer = open_timer();
	if (!privileges_drop(o.user))
		die("cannot give up privileges", strerror(errno));
	fprintf(stderr, "signalbox-mgmt: serves at port %u of %s\n", server_port(s), o.listen);
	serve(s, signals, timer);
	server_close(s);
	facts_fini(&monitor.facts);
	inspections_fini(&monitor.inspections);
	shm_detach(&map);
	return 0;
}
