/* child.c - fork, namespaces, descriptors, exec. */
#include "controlplane/launcher/child.h"

#include "dataplane/shm/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	FIRST_FD = 3,
	PARKED_FD = 64, /* descriptors are collected from here on, then moved down */
	EXIT_EXEC = 127,
};

bool child_arg(struct child *c, const char *a)
{
	if (c->arg_count + 1 >= CHILD_ARGS_MAX)
		return false;
	c->args[c->arg_count++] = a;
	c->args[c->arg_count] = NULL;
	return true;
}

static void die(const char *name, const char *what)
{
	fprintf(stderr, "signalbox-launcher: %s: %s: %s\n", name, what, strerror(errno));
	_exit(EXIT_EXEC);
}

/* Copies `fd` to PARKED_FD + n: no copy can fall on one that is still needed. */
static void park(const char *name, int fd, int n)
{
	if (dup2(fd, PARKED_FD + n) < 0)
		die(name, "cannot pass a descriptor");
}

/* Parks what the rights allow and writes the --shm option that names it. Returns how many. */
static int park_all(const struct child *c, const struct memory *m, char *spec, size_t size)
{
	size_t used = 0;
	int n = 0;

	for (int kind = 0; kind < SHM_REGIONS; kind++) {
		if (!c->rights.reads[kind] && !c->rights.writes[kind])
			continue;
		const bool writes = c->rights.writes[kind];
		park(c->name, writes ? m->fd[kind] : m->view_fd[kind], n);
		used += (size_t)snprintf(spec + used, size - used, "%s%s=%d:%s", n > 0 ? "," : "",
			shm_region_name((enum shm_region)kind), FIRST_FD + n, writes ? "rw" : "ro");
		n++;
	}
	if (c->rights.doorbell) {
		park(c->name, m->doorbell, n);
		snprintf(spec + used, size - used, "%sdoorbell=%d", n > 0 ? "," : "", FIRST_FD + n);
		n++;
	}
	return n;
}

static void enter_netns(const struct child *c)
{
	if (c->netns == NULL)
		return;
	const int fd = open(c->netns, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		die(c->name, c->netns);
	close(fd);
}

static void standard_input(const struct child *c)
{
	const int null = open("/dev/null", O_RDONLY);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		die(c->name, "/dev/null");
}

__attribute__((noreturn)) static void become(
	const struct child *c, const char *bin, const struct memory *m, pid_t parent)
{
	const char *args[CHILD_ARGS_MAX + 4];
	char spec[160] = "", path[512];
	uint32_t n = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_EXEC); /* it died before we asked */
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	standard_input(c);
	enter_netns(c);
	const int fds = park_all(c, m, spec, sizeof(spec));
	for (int i = 0; i < fds; i++)
		if (dup2(PARKED_FD + i, FIRST_FD + i) < 0)
			die(c->name, "cannot pass a descriptor");
	if (syscall(SYS_close_range, FIRST_FD + fds, ~0u, 0) != 0)
		die(c->name, "cannot close descriptors");
	snprintf(path, sizeof(path), "%s/%s", bin, c->name);
	args[n++] = path;
	if (fds > 0) {
		args[n++] = "--shm";
		args[n++] = spec;
	}
	for (uint32_t i = 0; i <= c->arg_count; i++)
		args[n++] = c->args[i];
	execv(path, (char *const *)(uintptr_t)args);
	die(c->name, path);
	_exit(EXIT_EXEC);
}

pid_t child_start(const struct child *c, const char *bin, const struct memory *m, int *pidfd)
{
	const pid_t parent = getpid();
	const pid_t pid = fork();

	if (pid == 0)
		become(c, bin, m, parent);
	if (pid < 0)
		return -1;
	*pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return pid;
}
