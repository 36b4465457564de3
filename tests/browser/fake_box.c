/* fake_box.c - stands in for the other processes in tests of management.
 *
 * usage: fake_box SIGNALBOX-MGMT
 *
 * Makes the counter regions as the launcher does, starts signalbox-mgmt over
 * them at a free port of 127.0.0.1 ("mgmt PID PORT" on standard output), and
 * counts like a box under load until standard input ends. Commands, one a line:
 * "stall" and "go" stop and start the heartbeats, "drop" counts errors, "restart"
 * kills signalbox-mgmt and starts it again at the same port. */
#include "dataplane/base/assert.h"
#include "dataplane/shm/processes.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 2, TURN_MS = 20 };

struct box {
	int fd[SHM_REGIONS];
	void *base[SHM_REGIONS];
	const char *program;
	pid_t mgmt;
	unsigned port;
	bool stalled;
	uint64_t turns;
};

static const enum shm_region given[] = {SHM_DP_COUNTERS, SHM_CP_COUNTERS, SHM_LAUNCHER};

__attribute__((noreturn)) static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void make_regions(struct box *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
		const enum shm_region kind = given[i];
		const size_t bytes = shm_region_bytes(kind, WORKERS);
		b->fd[kind] = memfd_create("region", 0);
		if (b->fd[kind] < 0 || ftruncate(b->fd[kind], (off_t)bytes) != 0)
			die("memfd");
		b->base[kind] =
			mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd[kind], 0);
		if (b->base[kind] == MAP_FAILED)
			die("mmap");
		shm_region_init(b->base[kind], kind, WORKERS);
		shm_region_start(b->base[kind], (uint32_t)getpid());
		shm_region_ready(b->base[kind], true);
	}
	for (unsigned id = 0; id < SHM_PROCESSES; id++) {
		struct shm_process *p = shm_process(b->base[SHM_LAUNCHER], (enum shm_process_id)id);
		p->pid = (uint32_t)getpid();
		p->state = SHM_PROCESS_RUNS;
		p->started_us = now_us();
	}
}

/* In the child: the regions by number, and its words into the pipe. */
__attribute__((noreturn)) static void become_mgmt(const struct box *b, int words)
{
	char shm[128], address[32];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(shm, sizeof(shm), "dpc=%d:ro,cpc=%d:ro,launcher=%d:ro", b->fd[SHM_DP_COUNTERS],
		b->fd[SHM_CP_COUNTERS], b->fd[SHM_LAUNCHER]);
	snprintf(address, sizeof(address), "127.0.0.1:%u", b->port);
	dup2(words, STDERR_FILENO);
	execl(b->program, b->program, "--shm", shm, "--listen", address, (char *)NULL);
	die(b->program);
}

static void start_mgmt(struct box *b)
{
	char said[256] = "";
	int words[2];

	if (pipe(words) != 0)
		die("pipe");
	b->mgmt = fork();
	if (b->mgmt < 0)
		die("fork");
	if (b->mgmt == 0)
		become_mgmt(b, words[1]);
	close(words[1]);
	FILE *f = fdopen(words[0], "r");
	if (f == NULL || fgets(said, sizeof(said), f) == NULL)
		die("signalbox-mgmt says nothing");
	if (sscanf(said, "signalbox-mgmt: serves at port %u", &b->port) != 1) {
		fputs(said, stderr);
		exit(1);
	}
	struct shm_process *p = shm_process(b->base[SHM_LAUNCHER], SHM_PROCESS_MGMT);
	p->pid = (uint32_t)b->mgmt;
	p->started_us = now_us();
	printf("mgmt %d %u\n", (int)b->mgmt, b->port);
	fflush(stdout);
	/* The pipe stays open: what it may still say goes nowhere. */
}

static void stop_mgmt(struct box *b, int how)
{
	int status;

	kill(b->mgmt, how);
	if (waitpid(b->mgmt, &status, 0) == b->mgmt && how == SIGTERM && status != 0)
		fprintf(stderr, "signalbox-mgmt ended with status %d\n", status);
}

/* A load that rises and falls every 40 seconds. */
static uint64_t wave(uint64_t turn)
{
	const uint64_t period = 40 * 1000 / TURN_MS, at = turn % period;

	return 100 + (at < period / 2 ? at : period - at) / 4;
}

static void count(struct box *b)
{
	const uint64_t n = wave(b->turns++);

	for (uint32_t w = 0; w < WORKERS; w++) {
		struct counters *c = shm_counters(b->base[SHM_DP_COUNTERS], w);
		const uint64_t mine = w == 0 ? n : n / 2;
		counter_add(c, COUNTER_PUBLISHES, mine);
		counter_add(c, COUNTER_DELIVERIES, mine * 10);
		counter_add(c, COUNTER_NIC_RX_BYTES, mine * 130);
		counter_add(c, COUNTER_NIC_TX_BYTES, mine * 1240);
		counter_add(c, COUNTER_TCP_RETRANSMITS, (b->turns + w) % 64 == 0);
		counter_add(c, COUNTER_WORKER_TURNS, 20000);
		counter_add(c, COUNTER_WORKER_BUSY_US, mine * 40);
		counter_set(c, COUNTER_SESSIONS, 480 + n);
		counter_set(c, COUNTER_TCP_CONNECTIONS, 490 + n);
		counter_set(c, COUNTER_RX_BUFFERS_FREE, 8192 - n);
		if (!b->stalled)
			shm_store(&c->heartbeat_us, now_us());
	}
	if (!b->stalled)
		shm_region_beat(b->base[SHM_CP_COUNTERS], now_us());
}

static void drop(struct box *b)
{
	struct counters *c = shm_counters(b->base[SHM_DP_COUNTERS], 0);

	counter_err(c, ERR_MQTT_TOPIC);
	counter_err(c, ERR_TCP_CHECKSUM);
	counter_err(c, ERR_SEND_QUEUE_FULL);
}

static void obey(struct box *b, const char *command)
{
	if (strcmp(command, "stall\n") == 0 || strcmp(command, "go\n") == 0) {
		b->stalled = command[0] == 's';
	} else if (strcmp(command, "drop\n") == 0) {
		drop(b);
	} else if (strcmp(command, "restart\n") == 0) {
		stop_mgmt(b, SIGKILL);
		shm_process(b->base[SHM_LAUNCHER], SHM_PROCESS_MGMT)->restarts++;
		start_mgmt(b);
	} else {
		fprintf(stderr, "fake_box: no such command: %s", command);
	}
}

int main(int argc, char **argv)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	static struct box box;
	char command[64];

	if (argc != 2) {
		fprintf(stderr, "usage: fake_box SIGNALBOX-MGMT\n");
		return 2;
	}
	box.program = argv[1];
	setvbuf(stdin, NULL, _IONBF, 0);
	make_regions(&box);
	count(&box);
	start_mgmt(&box);
	for (;;) {
		if (poll(&in, 1, TURN_MS) > 0) {
			if (fgets(command, sizeof(command), stdin) == NULL)
				break;
			obey(&box, command);
		}
		count(&box);
	}
	stop_mgmt(&box, SIGTERM);
	return 0;
}
