/* rig.c - processes and directories for the tests of durability. */
#include "tests/durability/rig.h"

#include "storage/rocks/rocks.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void shell(const char *format, ...) PRINTF(1, 2);

static void shell(const char *format, ...)
{
	char command[1024];
	va_list rest;

	va_start(rest, format);
	vsnprintf(command, sizeof(command), format, rest);
	va_end(rest);
	CU_ASSERT_FATAL(system(command) == 0);
}

void rig_init(struct rig *r)
{
	*r = (struct rig){.base = "/tmp/signalbox-power-XXXXXX"};
	/* In memory if it can be: nothing here is really synced, and the tests are many. */
	if (access("/dev/shm", W_OK) == 0)
		snprintf(r->base, sizeof(r->base), "/dev/shm/signalbox-power-XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(r->base) != NULL);
	snprintf(r->store, sizeof(r->store), "%s/store", r->base);
	snprintf(r->image, sizeof(r->image), "%s/image", r->base);
	snprintf(r->ledger, sizeof(r->ledger), "%s/ledger", r->base);
	rig_clear(r);
}

void rig_fini(struct rig *r)
{
	shell("rm -rf %s", r->base);
}

void rig_clear(struct rig *r)
{
	shell("rm -rf %s/* && mkdir %s %s", r->base, r->store, r->image);
}

static void set(const char *name, const char *value)
{
	(void)setenv(name, value, 1);
}

static void set_number(const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	set(name, text);
}

static void exec_writer(struct rig *r, const struct rig_run *run)
{
	char seed[32], batches[32];

	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)run->seed);
	snprintf(batches, sizeof(batches), "%llu", (unsigned long long)run->batches);
	set("LD_PRELOAD", getenv("POWERCUT_LIBRARY"));
	set("POWERCUT_DIRECTORY", r->store);
	set("POWERCUT_IMAGE", r->image);
	set_number("POWERCUT_SEED", run->seed);
	set_number("POWERCUT_AT", run->cut_at);
	set_number("POWERCUT_NAME", run->cut_name);
	set_number("POWERCUT_HOLES", run->holes);
	set_number("POWERCUT_FAIL_WRITE", run->fail_write_at);
	set_number("POWERCUT_FAIL_SYNC", run->fail_sync_at);
	set_number("POWERCUT_ERRNO", (uint64_t)run->fail_errno);
	execl(getenv("POWERCUT_WRITER"), "writer", r->store, r->ledger, seed, batches,
		r->no_sync ? "nosync" : (char *)NULL, (char *)NULL);
	_exit(127);
}

static int ended(pid_t pid)
{
	int status = 0;

	CU_ASSERT_FATAL(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int rig_write(struct rig *r, const struct rig_run *run)
{
	fflush(stdout);
	const pid_t pid = fork();

	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0)
		exec_writer(r, run);
	return ended(pid);
}

void rig_take_image(struct rig *r)
{
	shell("rm -rf %s && mv %s %s && mkdir %s", r->store, r->image, r->store, r->image);
}

uint64_t rig_completed(const struct rig *r)
{
	uint64_t last = 0, most = 0;
	const int fd = open(r->ledger, O_RDONLY);

	while (fd >= 0 && read(fd, &last, sizeof(last)) == (ssize_t)sizeof(last))
		most = last + 1 > most ? last + 1 : most;
	if (fd >= 0)
		close(fd);
	return most;
}

/* What the checking process has to say. */
struct report {
	enum workload_verdict verdict;
	enum err err;
	uint64_t batches;
	char why[256];
};

static void check(const char *directory, struct report *report)
{
	const struct rocks_conf conf = storage_rocks_conf(directory);
	char why[STORAGE_WHY_MAX];
	struct storage_facts facts;
	struct storage *s;

	report->err = storage_rocks_open(&conf, &s, why);
	snprintf(report->why, sizeof(report->why), "%.250s", why);
	if (report->err != ERR_NONE)
		return;
	report->verdict = workload_check(s, &report->batches, report->why);
	s->ops->facts(s, &facts);
	report->err = facts.err;
	s->ops->close(&s);
}

enum workload_verdict rig_check(struct rig *r, uint64_t *batches, enum err *err, char why[256])
{
	char copy[RIG_PATH + 16];
	struct report *report = (struct report *)mmap(
		NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_FATAL(report != MAP_FAILED);
	*report = (struct report){.verdict = WORKLOAD_REFUSED, .err = ERR_STORAGE_CORRUPT};
	snprintf(copy, sizeof(copy), "%s/copy", r->base);
	shell("rm -rf %s && cp -r %s %s", copy, r->store, copy);
	fflush(stdout);
	const pid_t pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		check(copy, report);
		_exit(0);
	}
	const int code = ended(pid);
	if (code != 0 && report->why[0] == '\0')
		snprintf(report->why, sizeof(report->why), "ended by %d", code);
	const struct report said = *report;
	munmap(report, sizeof(*report));
	*batches = said.batches;
	*err = said.err;
	snprintf(why, 256, "%s", said.why);
	return said.verdict;
}
