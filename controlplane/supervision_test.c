/* supervision_test.c - the real signalbox-launcher over children that only sleep: it starts them,
 * starts again what is killed, stops all when asked, and takes them along when it is killed itself.
 *
 * The program is $LAUNCHER; without it there is nothing to test. */
#include "tests/unit/unit.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHILDREN = 3, PATIENCE_MS = 15000 };

static const char *const names[CHILDREN] = {"dataplane", "controlplane", "mgmt"};

struct world {
	char folder[48], bin[64], run[64], data[64];
	pid_t launcher;
	pid_t children[CHILDREN];
};

static uint64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* What a pid file says; 0: nothing yet. */
static pid_t pid_of(const struct world *w, const char *name)
{
	char path[128];
	int pid = 0;

	snprintf(path, sizeof(path), "%s/%s.pid", w->run, name);
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid;
}

/* Gone, or a zombie that nobody has fetched yet. */
static bool is_dead(pid_t pid)
{
	char path[64], text[128] = "";

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return true;
	const bool read = fgets(text, sizeof(text), f) != NULL;
	fclose(f);
	const char *state = strrchr(text, ')');
	return !read || (state != NULL && state[2] == 'Z');
}

/* Another pid than before in its file, and alive; 0: not in time. */
static pid_t wait_pid(const struct world *w, const char *name, pid_t before)
{
	const uint64_t end = clock_ms() + PATIENCE_MS;

	while (clock_ms() < end) {
		const pid_t pid = pid_of(w, name);
		if (pid != 0 && pid != before && !is_dead(pid))
			return pid;
		poll(NULL, 0, 2);
	}
	return 0;
}

static bool wait_dead(pid_t pid)
{
	const uint64_t end = clock_ms() + PATIENCE_MS;

	while (!is_dead(pid) && clock_ms() < end)
		poll(NULL, 0, 2);
	return is_dead(pid);
}

static void write_child(const struct world *w, const char *name, const char *script)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/signalbox-%s", w->bin, name);
	FILE *f = fopen(path, "w");
	CU_ASSERT_FATAL(f != NULL);
	fprintf(f, "#!/bin/sh\n%s\n", script);
	fclose(f);
	CU_ASSERT_FATAL(chmod(path, 0755) == 0);
}

static void remove_children(const struct world *w)
{
	char path[128];

	for (int i = 0; i < CHILDREN; i++) {
		snprintf(path, sizeof(path), "%s/signalbox-%s", w->bin, names[i]);
		unlink(path);
	}
}

static pid_t start_launcher(const struct world *w)
{
	const char *program = getenv("LAUNCHER");

	if (program == NULL)
		return -1;
	const pid_t pid = fork();
	if (pid != 0)
		return pid;
	if (freopen("/dev/null", "w", stderr) == NULL)
		_exit(126);
	execl(program, program, "--run-dir", w->run, "--data", w->data, "--bin", w->bin, "--nic",
		"tap", "--interface", "t0", "--address", "192.0.2.2/30", "--gateway", "192.0.2.1",
		"--mgmt-listen", "127.0.0.1:8080", (char *)NULL);
	_exit(127);
}

static void world_init(struct world *w, const char *controlplane)
{
	*w = (struct world){.launcher = 0};
	snprintf(w->folder, sizeof(w->folder), "/tmp/supervision_test.XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(w->folder) != NULL);
	snprintf(w->bin, sizeof(w->bin), "%s/bin", w->folder);
	snprintf(w->run, sizeof(w->run), "%s/run", w->folder);
	snprintf(w->data, sizeof(w->data), "%s/data", w->folder);
	CU_ASSERT_FATAL(mkdir(w->bin, 0755) == 0);
	write_child(w, "dataplane", "exec sleep 1000");
	write_child(w, "controlplane", controlplane);
	write_child(w, "mgmt", "exec sleep 1000");
	w->launcher = start_launcher(w);
	CU_ASSERT_FATAL(w->launcher > 0);
}

static void wait_children(struct world *w)
{
	for (int i = 0; i < CHILDREN; i++) {
		w->children[i] = wait_pid(w, names[i], 0);
		CU_ASSERT_FATAL(w->children[i] > 0);
	}
}

static int end_launcher(struct world *w, int number)
{
	int status = 0;

	kill(w->launcher, number);
	CU_ASSERT(waitpid(w->launcher, &status, 0) == w->launcher);
	return status;
}

static void world_fini(struct world *w)
{
	char path[128];

	for (int i = 0; i <= CHILDREN; i++) {
		snprintf(path, sizeof(path), "%s/%s.pid", w->run,
			i < CHILDREN ? names[i] : "launcher");
		unlink(path);
	}
	remove_children(w);
	rmdir(w->bin);
	rmdir(w->run);
	rmdir(w->data);
	rmdir(w->folder);
}

static void what_is_killed_starts_again_alone(void)
{
	struct world w;

	world_init(&w, "exec sleep 1000");
	wait_children(&w);
	for (int i = 0; i < CHILDREN; i++) {
		const pid_t before = w.children[i];
		kill(before, SIGKILL);
		w.children[i] = wait_pid(&w, names[i], before);
		CU_ASSERT(w.children[i] > 0);
		for (int k = 0; k < CHILDREN; k++)
			CU_ASSERT(pid_of(&w, names[k]) == w.children[k] && !is_dead(w.children[k]));
	}
	end_launcher(&w, SIGTERM);
	world_fini(&w);
}

static void an_orderly_stop_leaves_nothing(void)
{
	static const int signals[] = {SIGTERM, SIGINT};

	for (int s = 0; s < 2; s++) {
		struct world w;
		world_init(&w, "exec sleep 1000");
		wait_children(&w);
		CU_ASSERT(pid_of(&w, "launcher") == w.launcher);
		const int status = end_launcher(&w, signals[s]);
		CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		for (int i = 0; i < CHILDREN; i++) {
			CU_ASSERT(is_dead(w.children[i]));
			CU_ASSERT(pid_of(&w, names[i]) == 0);
		}
		CU_ASSERT(pid_of(&w, "launcher") == 0);
		world_fini(&w);
	}
}

static void a_killed_launcher_takes_all_with_it(void)
{
	struct world w;

	world_init(&w, "exec sleep 1000");
	wait_children(&w);
	end_launcher(&w, SIGKILL);
	for (int i = 0; i < CHILDREN; i++)
		CU_ASSERT(wait_dead(w.children[i]));
	world_fini(&w);
}

/* One that ends at once: the others go on, and it is not started a thousand times. */
static void a_crash_loop_backs_off(void)
{
	struct world w;
	char starts[128];
	struct stat st = {.st_size = 0};

	world_init(&w, "echo >> \"$0.starts\"; exit 3");
	snprintf(starts, sizeof(starts), "%s/signalbox-controlplane.starts", w.bin);
	const uint64_t begin = clock_ms(), end = begin + PATIENCE_MS;
	/* Starts at 0, 0, 100, 300, 700 ms: the fifth cannot be earlier. */
	while ((stat(starts, &st) != 0 || st.st_size < 5) && clock_ms() < end)
		poll(NULL, 0, 2);
	CU_ASSERT(st.st_size == 5);
	CU_ASSERT(clock_ms() - begin >= 500);
	CU_ASSERT(!is_dead(wait_pid(&w, "dataplane", 0)));
	const int status = end_launcher(&w, SIGTERM);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	unlink(starts);
	world_fini(&w);
}

/* One that says that starting it does not help: it is left, and the others go on. */
static void a_hopeless_one_is_left(void)
{
	struct world w;
	char starts[128];
	struct stat st = {.st_size = 0};

	world_init(&w, "echo >> \"$0.starts\"; exit 5");
	snprintf(starts, sizeof(starts), "%s/signalbox-controlplane.starts", w.bin);
	const uint64_t end = clock_ms() + PATIENCE_MS;
	while ((stat(starts, &st) != 0 || st.st_size < 3) && clock_ms() < end)
		poll(NULL, 0, 2);
	CU_ASSERT(st.st_size == 3);
	/* The fourth start would come 200 ms later; until another one's third has come it is 300.
	 */
	pid_t before = wait_pid(&w, "dataplane", 0);
	for (int i = 0; i < 3; i++) {
		kill(before, SIGKILL);
		before = wait_pid(&w, "dataplane", before);
		CU_ASSERT_FATAL(before > 0);
	}
	CU_ASSERT(stat(starts, &st) == 0 && st.st_size == 3);
	const int status = end_launcher(&w, SIGTERM);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	unlink(starts);
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"what_is_killed_starts_again_alone", what_is_killed_starts_again_alone},
	{"an_orderly_stop_leaves_nothing", an_orderly_stop_leaves_nothing},
	{"a_killed_launcher_takes_all_with_it", a_killed_launcher_takes_all_with_it},
	{"a_crash_loop_backs_off", a_crash_loop_backs_off},
	{"a_hopeless_one_is_left", a_hopeless_one_is_left},
};

int main(int argc, char **argv)
{
	if (getenv("LAUNCHER") == NULL) {
		fprintf(stderr, "LAUNCHER names no program: skipped\n");
		return 77;
	}
	return UNIT_MAIN("supervision", tests, argc, argv);
}
