/* rocks_test.c - what only a disk can do: other processes, damage, journals that turn. */
#include "storage/rocks/rocks.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIB = 1 << 20, OUT_MAX = 64, DEADLINE_MS = 20000, PATH_SIZE = 400, VALUE_SIZE = 200 };

static char directory[64];

static void begin(void)
{
	snprintf(directory, sizeof(directory), "/tmp/signalbox-rocks-XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(directory) != NULL);
}

static void end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CU_ASSERT(system(command) == 0);
}

static enum err try_open(struct storage **s, char why[STORAGE_WHY_MAX])
{
	struct rocks_conf conf = storage_rocks_conf(directory);

	conf.wal_bytes_max = MIB;
	return storage_rocks_open(&conf, s, why);
}

static struct storage *opened(void)
{
	struct storage *s = NULL;
	char why[STORAGE_WHY_MAX];

	if (try_open(&s, why) != ERR_NONE)
		printf("# %s\n", why);
	CU_ASSERT_FATAL(s != NULL);
	return s;
}

/* It must be refused, with that error and these words. */
static void refused(enum err err, const char *words)
{
	struct storage *s = NULL;
	char why[STORAGE_WHY_MAX] = "";
	const enum err answer = try_open(&s, why);

	if (answer != err || strstr(why, words) == NULL)
		printf("# %s: %s\n", err_name(answer), why);
	CU_ASSERT(answer == err);
	CU_ASSERT(s == NULL);
	CU_ASSERT(strstr(why, words) != NULL);
	CU_ASSERT(strstr(why, directory) != NULL);
}

static void value_of(uint32_t n, uint8_t to[VALUE_SIZE])
{
	for (uint32_t i = 0; i < VALUE_SIZE; i++)
		to[i] = (uint8_t)(n * 31 + i * (n | 1));
}

static enum err put(struct storage *s, uint32_t n, enum storage_sync sync)
{
	char key[16];
	uint8_t value[VALUE_SIZE];

	snprintf(key, sizeof(key), "key%08u", n);
	value_of(n, value);
	const struct storage_op op = {STORAGE_PUT, span_str(key), span_of(value, VALUE_SIZE)};
	return s->ops->submit(s, &(struct storage_batch){&op, 1, sync, n});
}

static enum storage_found found(struct storage *s, uint32_t n)
{
	char key[16];
	uint8_t value[VALUE_SIZE], expected[VALUE_SIZE];
	size_t size = 0;

	snprintf(key, sizeof(key), "key%08u", n);
	const enum storage_found f = s->ops->get(s, span_str(key), value, sizeof(value), &size);
	if (f != STORAGE_FOUND)
		return f;
	value_of(n, expected);
	CU_ASSERT(size == VALUE_SIZE);
	CU_ASSERT(memcmp(value, expected, VALUE_SIZE) == 0);
	return f;
}

/* How many of [0, n) are there: they must be a prefix. */
static uint32_t prefix(struct storage *s, uint32_t n)
{
	uint32_t count = 0;

	while (count < n && found(s, count) == STORAGE_FOUND)
		count++;
	for (uint32_t i = count; i < n; i++)
		CU_ASSERT_FATAL(found(s, i) == STORAGE_ABSENT);
	return count;
}

static void complete(struct storage *s, uint32_t count)
{
	struct storage_completion out[OUT_MAX];

	while (count > 0) {
		struct pollfd p = {.fd = s->ops->event_fd(s), .events = POLLIN};
		CU_ASSERT_FATAL(poll(&p, 1, DEADLINE_MS) == 1);
		const uint32_t n = s->ops->poll(s, out, OUT_MAX);
		for (uint32_t i = 0; i < n; i++)
			CU_ASSERT_FATAL(out[i].err == ERR_NONE);
		count -= n;
	}
}

/* A process that puts [0, n) and is killed. */
static void put_and_be_killed(uint32_t n)
{
	const pid_t pid = fork();
	int status;

	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		struct storage *s = opened();
		for (uint32_t i = 0; i < n; i++)
			if (put(s, i, STORAGE_JOURNAL) != ERR_NONE)
				_exit(1);
		kill(getpid(), SIGKILL);
	}
	CU_ASSERT_FATAL(waitpid(pid, &status, 0) == pid);
	CU_ASSERT_FATAL(WIFSIGNALED(status));
}

/* The largest file whose name ends so. */
static off_t largest(const char *tail, char path[PATH_SIZE])
{
	DIR *d = opendir(directory);
	const struct dirent *entry;
	off_t most = -1;

	CU_ASSERT_FATAL(d != NULL);
	while ((entry = readdir(d)) != NULL) {
		const size_t size = strlen(entry->d_name);
		struct stat s;
		if (size < strlen(tail) || strcmp(entry->d_name + size - strlen(tail), tail) != 0 ||
			fstatat(dirfd(d), entry->d_name, &s, 0) != 0 || s.st_size <= most)
			continue;
		most = s.st_size;
		snprintf(path, PATH_SIZE, "%s/%s", directory, entry->d_name);
	}
	closedir(d);
	return most;
}

static void flip(const char *path, off_t at)
{
	uint8_t byte;
	const int fd = open(path, O_RDWR);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_FATAL(pread(fd, &byte, 1, at) == 1);
	byte ^= 0x10;
	CU_ASSERT_FATAL(pwrite(fd, &byte, 1, at) == 1);
	close(fd);
}

static void survives_a_kill(void)
{
	begin();
	put_and_be_killed(1000);
	struct storage *s = opened();
	CU_ASSERT(prefix(s, 1001) == 1000);
	s->ops->close(&s);
	end();
}

static void opens_where_the_power_went(void)
{
	char path[PATH_SIZE];

	begin();
	put_and_be_killed(1000);
	const off_t size = largest(".log", path);
	CU_ASSERT_FATAL(size > 1000 * VALUE_SIZE);
	CU_ASSERT_FATAL(truncate(path, size - VALUE_SIZE / 2) == 0);
	struct storage *s = opened();
	CU_ASSERT(prefix(s, 1000) == 999);
	s->ops->close(&s);
	end();
}

static void refuses_a_damaged_journal(void)
{
	char path[PATH_SIZE];

	begin();
	put_and_be_killed(1000);
	const off_t size = largest(".log", path);
	CU_ASSERT_FATAL(size > 1000 * VALUE_SIZE);
	flip(path, size / 2);
	refused(ERR_STORAGE_CORRUPT, "orruption");
	refused(ERR_STORAGE_CORRUPT, "orruption"); /* nothing was repaired */
	flip(path, size / 2);
	struct storage *s = opened();
	CU_ASSERT(prefix(s, 1001) == 1000);
	s->ops->close(&s);
	end();
}

/* Twenty times what the journal may hold. */
static void turns_its_journal(void)
{
	const uint32_t count = 20 * MIB / VALUE_SIZE;
	char path[PATH_SIZE];

	begin();
	struct storage *s = opened();
	for (uint32_t i = 0; i < count; i++) {
		CU_ASSERT_FATAL(put(s, i, STORAGE_SYNCED) == ERR_NONE);
		if (i % 1000 == 999) {
			CU_ASSERT_FATAL(found(s, i) == STORAGE_FOUND);
			complete(s, 1000);
		}
	}
	complete(s, count % 1000);
	CU_ASSERT(largest(".log", path) < 3 * MIB);
	CU_ASSERT(largest(".sst", path) > 0);
	CU_ASSERT(prefix(s, count + 1) == count);
	s->ops->close(&s);
	s = opened();
	CU_ASSERT(prefix(s, count + 1) == count);
	s->ops->close(&s);
	end();
}

static void signals_when_poll_has_something(void)
{
	struct storage_completion out[2];

	begin();
	struct storage *s = opened();
	struct pollfd p = {.fd = s->ops->event_fd(s), .events = POLLIN};
	CU_ASSERT(poll(&p, 1, 0) == 0);
	CU_ASSERT(put(s, 0, STORAGE_JOURNAL) == ERR_NONE);
	CU_ASSERT(put(s, 1, STORAGE_MEMORY) == ERR_NONE);
	CU_ASSERT(poll(&p, 1, 0) == 1);
	CU_ASSERT(s->ops->poll(s, out, 1) == 1);
	CU_ASSERT(poll(&p, 1, 0) == 1); /* one is left */
	CU_ASSERT(s->ops->poll(s, out, 1) == 1);
	CU_ASSERT(poll(&p, 1, 0) == 0);
	CU_ASSERT(put(s, 2, STORAGE_SYNCED) == ERR_NONE);
	CU_ASSERT(poll(&p, 1, DEADLINE_MS) == 1);
	CU_ASSERT(s->ops->poll(s, out, 2) == 1);
	CU_ASSERT(out[0].token == 2);
	s->ops->close(&s);
	end();
}

static void one_at_a_time(void)
{
	begin();
	struct storage *s = opened();
	refused(ERR_STORAGE_IO, "open already");
	s->ops->close(&s);
	s = opened();
	s->ops->close(&s);
	end();
}

static void write_file(const char *name, const char *text)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *f = fopen(path, "w");
	CU_ASSERT_FATAL(f != NULL);
	fputs(text, f);
	fclose(f);
}

static void refuses_what_is_no_store(void)
{
	char path[PATH_SIZE];

	begin();
	write_file("holiday.jpg", "a beach");
	refused(ERR_STORAGE_CORRUPT, "holiday.jpg");
	write_file("CURRENT", "a beach");
	refused(ERR_STORAGE_CORRUPT, "CURRENT");
	end();
	begin();
	write_file("CURRENT", "MANIFEST-000009\n");
	refused(ERR_STORAGE_CORRUPT, "MANIFEST-000009");
	end();

	/* RocksDB would begin anew and throw the tables away. */
	begin();
	put_and_be_killed(1);
	snprintf(path, sizeof(path), "%s/CURRENT", directory);
	CU_ASSERT(unlink(path) == 0);
	refused(ERR_STORAGE_CORRUPT, "CURRENT is missing");
	end();
}

static void says_why_it_cannot_begin(void)
{
	begin();
	CU_ASSERT(rmdir(directory) == 0);
	struct storage *s = opened(); /* made when it is missing */
	s->ops->close(&s);
	end();
	snprintf(directory, sizeof(directory), "/tmp/signalbox-none/of/these");
	refused(ERR_STORAGE_IO, "No such file");
	snprintf(directory, sizeof(directory), "/dev/null");
	refused(ERR_STORAGE_IO, "Not a directory");
}

/* A journal with a hole in it, which is larger than any disk. */
static void refuses_a_disk_without_room_for_its_journals(void)
{
	char path[PATH_SIZE];

	begin();
	struct storage *s = opened();
	s->ops->close(&s);
	snprintf(path, sizeof(path), "%s/999999.log", directory);
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(ftruncate(fd, (off_t)15 << 40) == 0);
	close(fd);
	refused(ERR_STORAGE_FULL, "bytes are free, and it needs 164");
	CU_ASSERT(unlink(path) == 0);
	s = opened();
	s->ops->close(&s);
	end();
}

static void refuses_a_directory_that_it_may_not_write(void)
{
	const uid_t self = geteuid(), nobody = 65534;

	begin();
	CU_ASSERT(chmod(directory, 0555) == 0);
	CU_ASSERT_FATAL(self != 0 || seteuid(nobody) == 0); /* root may write everything */
	refused(ERR_STORAGE_IO, "may not be written");
	CU_ASSERT_FATAL(seteuid(self) == 0);
	end();
}

static void begins_where_a_beginning_ended(void)
{
	begin();
	write_file("LOG", "");
	write_file("MANIFEST-000001", "");
	write_file("000001.dbtmp", "MANIFEST");
	struct storage *s = opened(); /* the power went while it was being made */
	CU_ASSERT(put(s, 1, STORAGE_SYNCED) == ERR_NONE);
	s->ops->close(&s);
	end();
}

static const struct unit_test tests[] = {
	{"rocks_survives_a_kill", survives_a_kill},
	{"rocks_opens_where_the_power_went", opens_where_the_power_went},
	{"rocks_refuses_a_damaged_journal", refuses_a_damaged_journal},
	{"rocks_turns_its_journal", turns_its_journal},
	{"rocks_signals_when_poll_has_something", signals_when_poll_has_something},
	{"rocks_one_at_a_time", one_at_a_time},
	{"rocks_refuses_what_is_no_store", refuses_what_is_no_store},
	{"rocks_says_why_it_cannot_begin", says_why_it_cannot_begin},
	{"rocks_refuses_a_disk_without_room_for_its_journals",
		refuses_a_disk_without_room_for_its_journals},
	{"rocks_refuses_a_directory_that_it_may_not_write",
		refuses_a_directory_that_it_may_not_write},
	{"rocks_begins_where_a_beginning_ended", begins_where_a_beginning_ended},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("rocks", tests, argc, argv);
}
