/* process_test.c - the real signalbox-controlplane as a process: memory handed over as the launcher
 * does it, the doorbell, the local socket, its death and its privileges.
 *
 * The program is $CONTROLPLANE; without it there is nothing to test. */
#include "controlplane/ipc/client.h"
#include "controlplane/launcher/child.h"
#include "controlplane/options.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/shm/ring.h"
#include "tests/link/link_fake.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

struct world {
	char folder[40], socket[64], data[64], store[80], bin[256];
	struct memory memory;
	struct child child;
	pid_t pid;
	int pidfd;
	struct link_fake worker;
};

static uint64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* Until the word has that value; bounded. Waits in poll, a millisecond at a time. */
static bool wait_word(const uint32_t *word, uint32_t value)
{
	const uint64_t end = clock_ms() + PATIENCE_MS;

	while (shm_load32(word) != value) {
		if (clock_ms() > end)
			return false;
		poll(NULL, 0, 1);
	}
	return true;
}

static struct shm_header *cp_header(struct world *w)
{
	return w->memory.base[SHM_CP];
}

static void start(struct world *w)
{
	w->pid = child_start(&w->child, w->bin, &w->memory, &w->pidfd);
	CU_ASSERT_FATAL(w->pid > 0);
}

static int end(struct world *w, int number)
{
	int status = 0;

	kill(w->pid, number);
	CU_ASSERT(waitpid(w->pid, &status, 0) == w->pid);
	close(w->pidfd);
	return status;
}

static void start_worker(struct world *w)
{
	shm_region_start(w->memory.base[SHM_DP], 1);
	link_fake_start(&w->worker, w->memory.base[SHM_DP], w->memory.base[SHM_CP], 0);
	CU_ASSERT(link_fake_hello(&w->worker, false));
}

/* All but the process. */
static void world_prepare(struct world *w)
{
	const char *program = getenv("CONTROLPLANE"), *why;

	if (program == NULL)
		exit(1); /* main has looked */
	*w = (struct world){.pidfd = -1};
	const char *slash = strrchr(program, '/');
	CU_ASSERT_FATAL(slash != NULL);
	snprintf(w->bin, sizeof(w->bin), "%.*s", (int)(slash - program), program);
	snprintf(w->folder, sizeof(w->folder), "/tmp/process_test.XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(w->folder) != NULL);
	CU_ASSERT(chmod(w->folder, 0755) == 0); /* for whom it becomes */
	snprintf(w->socket, sizeof(w->socket), "%s/sock", w->folder);
	snprintf(w->data, sizeof(w->data), "%s/data", w->folder);
	snprintf(w->store, sizeof(w->store), "%s/store", w->data);
	CU_ASSERT_FATAL(memory_create(&w->memory, 1, &why));
	w->child.name = "signalbox-controlplane";
	w->child.rights.writes[SHM_CP] = w->child.rights.writes[SHM_CP_COUNTERS] = true;
	w->child.rights.reads[SHM_DP] = w->child.rights.doorbell = true;
	CU_ASSERT(child_arg(&w->child, "--socket") && child_arg(&w->child, w->socket));
	CU_ASSERT(child_arg(&w->child, "--data") && child_arg(&w->child, w->data));
	start_worker(w);
}

static void world_init(struct world *w)
{
	world_prepare(w);
	start(w);
	CU_ASSERT_FATAL(wait_word(&cp_header(w)->ready, 1));
}

static void remove_files(const char *folder)
{
	char path[512];
	DIR *dir = opendir(folder);

	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(folder);
}

static void world_fini(struct world *w)
{
	for (int k = 0; k < SHM_REGIONS; k++) {
		close(w->memory.fd[k]);
		close(w->memory.view_fd[k]);
	}
	close(w->memory.doorbell);
	link_fake_stop(&w->worker);
	unlink(w->socket);
	remove_files(w->store);
	rmdir(w->data);
	rmdir(w->folder);
}

static void say_connect(struct world *w, uint32_t index, const char *id, uint32_t expiry_s)
{
	const struct span none = {NULL, 0};
	struct shm_connect c = {.connection = {index, 1},
		.receive_max = 10,
		.session_expiry_s = expiry_s,
		.version = 5};

	CU_ASSERT(link_fake_connect(&w->worker, &c, span_str(id), none, none, none));
	shm_doorbell_ring(cp_header(w), w->memory.doorbell);
}

/* The next event of that type, of the living control plane. */
static bool wait_event(struct world *w, enum shm_event type, struct shm_slot *out)
{
	const uint64_t end_ms = clock_ms() + PATIENCE_MS;

	for (;;) {
		*out = link_fake_next(&w->worker).slot;
		if (out->type == type && out->sender == (uint32_t)cp_header(w)->generation)
			return true;
		if (clock_ms() > end_ms)
			return false;
		if (out->type == 0)
			poll(NULL, 0, 1);
	}
}

static bool wait_grant(struct world *w, struct shm_slot *out)
{
	return wait_event(w, SHM_EVENT_GRANT, out);
}

static void a_sleeping_process_answers_the_doorbell(void)
{
	enum { ROUNDS = 20, BEAT_MS = 100 };
	struct world w;
	struct shm_slot slot;
	uint32_t soon = 0;

	world_init(&w);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		char id[16];
		/* Asleep: from here only the bell wakes it, or its next beat, 100 ms after the
		 * last. */
		CU_ASSERT(wait_word(&cp_header(&w)->sleeping, 1));
		const uint64_t before_ms = clock_ms();
		snprintf(id, sizeof(id), "sensor%u", i);
		say_connect(&w, i, id, 0);
		CU_ASSERT(wait_grant(&w, &slot) && slot.grant.connection.index == i);
		soon += clock_ms() - before_ms < BEAT_MS / 2;
	}
	/* Not all: the machine may be busy. Without the bell it would be hardly one. */
	CU_ASSERT(soon > ROUNDS / 2);
	CU_ASSERT(WIFEXITED(end(&w, SIGTERM)));
	CU_ASSERT(cp_header(&w)->ready == 0);
	world_fini(&w);
}

static void the_socket_is_served(void)
{
	static struct ipc_reply reply;
	struct ipc_request request = {.type = IPC_GET_FACTS, .token = 3};
	struct world w;

	world_init(&w);
	const int fd = ipc_connect(w.socket, PATIENCE_MS);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(ipc_ask(fd, &request, &reply) && reply.type == IPC_FACTS);
	CU_ASSERT(reply.facts.config.mqtt_port == 1883 && reply.facts.workers == 1);
	request = (struct ipc_request){.type = IPC_SET_IMPAIR, .text = "delay=1ms"};
	CU_ASSERT(ipc_ask(fd, &request, &reply) && reply.type == IPC_DONE);
	struct shm_config config;
	uint64_t sequence;
	CU_ASSERT(
		shm_config_read(shm_config_page_const(w.memory.base[SHM_CP]), &config, &sequence));
	CU_ASSERT(config.impair.delay_us == 1000);
	close(fd);
	const int status = end(&w, SIGTERM);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	world_fini(&w);
}

/* What it said last, nobody may have heard. */
static void kill_and_start(struct world *w)
{
	CU_ASSERT(WIFSIGNALED(end(w, SIGKILL)));
	shm_region_ready(cp_header(w), false);
	start(w);
	CU_ASSERT_FATAL(wait_word(&cp_header(w)->ready, 1));
}

/* To a control plane that is new: who waits is said again. */
static void greet_again(struct world *w, uint32_t index, const char *id)
{
	CU_ASSERT(link_fake_hello(&w->worker, true));
	say_connect(w, index, id, UINT32_MAX);
	CU_ASSERT(link_fake_say(&w->worker, SHM_COMMAND_RESYNCED, NULL, 0));
	shm_doorbell_ring(cp_header(w), w->memory.doorbell);
}

static void a_session_survives_what_is_killed(void)
{
	struct world w;
	struct shm_slot slot;
	struct stat st;

	world_init(&w);
	say_connect(&w, 1, "a", UINT32_MAX);
	CU_ASSERT(wait_grant(&w, &slot) && slot.grant.session != 0);
	CU_ASSERT(slot.grant.session_present == 0 && slot.grant.durable == 1);
	const uint64_t session = slot.grant.session;
	CU_ASSERT(stat(w.store, &st) == 0 && (st.st_mode & 0777) == 0700);
	for (uint32_t i = 2; i < 5; i++) {
		kill_and_start(&w);
		greet_again(&w, i, "a");
		CU_ASSERT(wait_grant(&w, &slot) && slot.grant.connection.index == i);
		CU_ASSERT(slot.grant.session == session && slot.grant.session_present == 1);
	}
	const int status = end(&w, SIGTERM);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	world_fini(&w);
}

/* A file where its folder should be; nobody serves, and the exit code says why. */
static void a_store_that_cannot_be_opened_is_an_end(void)
{
	struct world w;
	int status = 0;

	world_prepare(&w);
	CU_ASSERT(mkdir(w.data, 0755) == 0);
	FILE *f = fopen(w.store, "w");
	CU_ASSERT_FATAL(f != NULL);
	fclose(f);
	start(&w);
	CU_ASSERT(waitpid(w.pid, &status, 0) == w.pid);
	close(w.pidfd);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_STORE_UNUSABLE);
	CU_ASSERT(cp_header(&w)->ready == 0);
	unlink(w.store);
	world_fini(&w);
}

/* No new start would help: the launcher hears it from the exit code. */
static void a_damaged_store_is_told_apart(void)
{
	struct world w;
	char path[128];
	int status = 0;

	world_prepare(&w);
	CU_ASSERT(mkdir(w.data, 0755) == 0 && mkdir(w.store, 0700) == 0);
	snprintf(path, sizeof(path), "%s/000007.sst", w.store);
	FILE *f = fopen(path, "w");
	CU_ASSERT_FATAL(f != NULL);
	fclose(f);
	CU_ASSERT(geteuid() != 0 || chown(w.store, 65534, 65534) == 0);
	start(&w);
	CU_ASSERT(waitpid(w.pid, &status, 0) == w.pid);
	close(w.pidfd);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_STORE_DAMAGED);
	CU_ASSERT(cp_header(&w)->ready == 0);
	unlink(path);
	world_fini(&w);
}

static void a_killed_one_is_followed_by_the_next_generation(void)
{
	struct world w;
	struct shm_slot slot;

	world_init(&w);
	say_connect(&w, 1, "a", 0);
	CU_ASSERT(wait_grant(&w, &slot));
	const uint64_t first = slot.grant.epoch, generation = cp_header(&w)->generation;
	say_connect(&w, 2, "b", 0);
	kill_and_start(&w);
	greet_again(&w, 2, "b");
	CU_ASSERT(wait_grant(&w, &slot) && slot.grant.connection.index == 2);
	CU_ASSERT(slot.grant.epoch > first && cp_header(&w)->generation == generation + 1);
	end(&w, SIGTERM);
	world_fini(&w);
}

/* The value of a line of /proc/PID/status. */
static unsigned long status_of(pid_t pid, const char *line)
{
	char path[64], text[256];
	unsigned long value = ULONG_MAX;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "r");
	while (f != NULL && fgets(text, sizeof(text), f) != NULL)
		if (strncmp(text, line, strlen(line)) == 0)
			value = strtoul(text + strlen(line), NULL, 0);
	if (f != NULL)
		fclose(f);
	return value;
}

static void it_serves_without_privileges(void)
{
	struct world w;
	struct stat st;

	world_init(&w);
	CU_ASSERT(status_of(w.pid, "NoNewPrivs:") == 1);
	CU_ASSERT(stat(w.socket, &st) == 0 && (st.st_mode & 0777) == 0600);
	if (geteuid() == 0) {
		CU_ASSERT(status_of(w.pid, "Uid:") != 0 && status_of(w.pid, "Gid:") != 0);
		CU_ASSERT(status_of(w.pid, "CapEff:") == 0 && status_of(w.pid, "CapPrm:") == 0);
		CU_ASSERT(st.st_uid != 0 && stat(w.data, &st) == 0 && st.st_uid != 0);
	}
	end(&w, SIGTERM);
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"a_sleeping_process_answers_the_doorbell", a_sleeping_process_answers_the_doorbell},
	{"the_socket_is_served", the_socket_is_served},
	{"a_killed_one_is_followed_by_the_next_generation",
		a_killed_one_is_followed_by_the_next_generation},
	{"a_session_survives_what_is_killed", a_session_survives_what_is_killed},
	{"a_store_that_cannot_be_opened_is_an_end", a_store_that_cannot_be_opened_is_an_end},
	{"a_damaged_store_is_told_apart", a_damaged_store_is_told_apart},
	{"it_serves_without_privileges", it_serves_without_privileges},
};

int main(int argc, char **argv)
{
	if (getenv("CONTROLPLANE") == NULL) {
		fprintf(stderr, "CONTROLPLANE names no program: skipped\n");
		return 77;
	}
	return UNIT_MAIN("process", tests, argc, argv);
}
