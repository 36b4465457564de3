/* launcher_test.c - what a started process gets: its regions with the right rights, and nothing
 * else.
 *
 * The test starts itself: with --shm as its first word it is the child, looks at
 * what it was given, and answers by its exit code. */
#include "controlplane/launcher/child.h"
#include "dataplane/shm/attach.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BAD_ATTACH = 10, BAD_WRITE, BAD_VIEW, BAD_EXTRA, BAD_INPUT, BAD_ARGS };

/* The child's side: DP writable, CP readable and not to be made writable, nothing else open. */
static int be_child(int argc, char **argv)
{
	struct shm_map map;
	char byte;

	if (argc != 4 || strcmp(argv[3], "hello") != 0)
		return BAD_ARGS;
	if (read(STDIN_FILENO, &byte, 1) != 0)
		return BAD_INPUT;
	/* dp=3:rw,cp=4:ro,doorbell=5: descriptor 4 must refuse a writable mapping. */
	if (mmap(NULL, SHM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 4, 0) != MAP_FAILED ||
		errno != EACCES || ftruncate(3, 1) == 0)
		return BAD_VIEW;
	if (fcntl(6, F_GETFD) != -1)
		return BAD_EXTRA;
	if (shm_attach(argv[2], &map) != ERR_NONE || map.doorbell < 0)
		return BAD_ATTACH;
	if (map.base[SHM_DP] == NULL || map.base[SHM_CP] != NULL || map.view[SHM_CP] == NULL)
		return BAD_WRITE;
	shm_region_start(map.base[SHM_DP], (uint32_t)getpid());
	return 0;
}

static const char *own_name(const char **folder)
{
	static char path[PATH_MAX];
	const ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	CU_ASSERT_FATAL(n > 0);
	path[n] = '\0';
	char *slash = strrchr(path, '/');
	*slash = '\0';
	*folder = path;
	return slash + 1;
}

static struct child self(const char **folder)
{
	struct child c = {.name = own_name(folder)};

	c.rights.writes[SHM_DP] = c.rights.reads[SHM_CP] = c.rights.doorbell = true;
	CU_ASSERT(child_arg(&c, "hello"));
	return c;
}

static void child_gets_its_rights_and_no_more(void)
{
	static struct memory m;
	const char *why, *folder;
	const struct child c = self(&folder);
	int pidfd, status;

	CU_ASSERT_FATAL(memory_create(&m, 1, &why));
	const uint64_t before = ((const struct shm_header *)m.base[SHM_DP])->generation;
	CU_ASSERT(before > 0); /* not the same as in the memory of a box before this one */
	const pid_t pid = child_start(&c, folder, &m, &pidfd);
	CU_ASSERT_FATAL(pid > 0 && pidfd >= 0);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	/* What it wrote is in the launcher's memory and outlives it. */
	CU_ASSERT_EQUAL(((const struct shm_header *)m.base[SHM_DP])->generation, before + 1);
	CU_ASSERT_EQUAL(((const struct shm_header *)m.base[SHM_DP])->pid, (uint32_t)pid);
	close(pidfd);
}

static void missing_program_ends_with_127(void)
{
	static struct memory m;
	const char *why, *folder;
	struct child c = self(&folder);
	int pidfd, status;

	c.name = "no-such-program";
	CU_ASSERT_FATAL(memory_create(&m, 1, &why));
	const pid_t pid = child_start(&c, folder, &m, &pidfd);
	CU_ASSERT_FATAL(pid > 0);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 127);
	close(pidfd);
}

static void arguments_are_bounded(void)
{
	struct child c = {.name = "x"};
	uint32_t n = 0;

	while (child_arg(&c, "a"))
		n++;
	CU_ASSERT_EQUAL(n, CHILD_ARGS_MAX - 1);
	CU_ASSERT_PTR_NULL(c.args[n]);
}

static const struct unit_test tests[] = {
	{"child_gets_its_rights_and_no_more", child_gets_its_rights_and_no_more},
	{"missing_program_ends_with_127", missing_program_ends_with_127},
	{"arguments_are_bounded", arguments_are_bounded},
};

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "--shm") == 0)
		return be_child(argc, argv);
	return UNIT_MAIN("launcher", tests, argc, argv);
}
