/* process.c - fork, limits, exec, and what came out. See process.h. */
#include "controlplane/compile/process.h"

#include "controlplane/compile/wire.h"
#include "dataplane/base/poison.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NICE_MOST = 19, EXIT_EXEC = 127 };

struct process {
	struct compiler compiler; /* first */
	struct process_conf conf;
	pid_t pid;    /* 0: none runs */
	int output;   /* -1: none */
	void *mapped; /* the last answer */
	size_t mapped_size;
};

static struct process *process_of(struct compiler *c)
{
	return (struct process *)(void *)c; /* its first member */
}

static void unmap(struct process *p)
{
	if (p->mapped != NULL)
		munmap(p->mapped, p->mapped_size);
	p->mapped = NULL;
}

static bool write_all(int fd, const void *bytes, size_t size)
{
	while (size > 0) {
		const ssize_t n = write(fd, bytes, size);
		if (n <= 0)
			return false;
		bytes = (const uint8_t *)bytes + n;
		size -= (size_t)n;
	}
	return true;
}

/* The set as the compiler reads it. -1: no memory. */
static int write_input(const struct span *filters, uint32_t count, bool each)
{
	const struct wire_head head = {.magic = WIRE_MAGIC, .count = count, .each = each};
	const int fd = memfd_create("patterns", MFD_CLOEXEC);
	bool good = fd >= 0 && write_all(fd, &head, sizeof(head));

	for (uint32_t i = 0; good && i < count; i++) {
		const uint32_t size = (uint32_t)filters[i].size;
		good = write_all(fd, &size, sizeof(size)) &&
		       write_all(fd, filters[i].at, filters[i].size);
	}
	if (good && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool limit(int what, uint64_t most)
{
	const struct rlimit l = {.rlim_cur = most, .rlim_max = most};

	return setrlimit((__rlimit_resource_t)what, &l) == 0;
}

/* AddressSanitizer reserves more address space than any machine has memory. */
static bool limit_memory(uint64_t most)
{
#ifdef POISON_ON
	most = RLIM_INFINITY;
#endif
	return limit(RLIMIT_AS, most);
}

/* Behind fork, in a process that had threads: system calls alone. */
__attribute__((noreturn)) static void become(
	const struct process_conf *conf, int in, int out, pid_t parent)
{
	static const char *const args[] = {"signalbox-compiler", NULL};
	static const char *const environment[] = {NULL};
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_EXEC); /* it died before we asked */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Onto 3, which may be in use, by way of one that is not. */
	const int program = fcntl(conf->program, F_DUPFD, 10);
	if (program < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
		dup2(program, 3) < 0 || syscall(SYS_close_range, 4, ~0u, 0) != 0 ||
		fcntl(3, F_SETFD, FD_CLOEXEC) != 0)
		_exit(EXIT_EXEC);
	(void)!setpriority(PRIO_PROCESS, 0, NICE_MOST);
	if (!limit(RLIMIT_CPU, conf->cpu_s) || !limit_memory(conf->memory_bytes) ||
		!limit(RLIMIT_FSIZE, conf->database_bytes) || !limit(RLIMIT_CORE, 0))
		_exit(EXIT_EXEC);
	syscall(SYS_execveat, 3, "", args, environment, AT_EMPTY_PATH);
	_exit(EXIT_EXEC);
}

static bool start(struct compiler *c, const struct span *filters, uint32_t count)
{
	struct process *p = process_of(c);
	const pid_t parent = getpid();

	unmap(p);
	const int in = write_input(filters, count, p->conf.each);
	p->output = memfd_create("database", MFD_CLOEXEC);
	if (in >= 0 && p->output >= 0)
		p->pid = fork();
	if (in >= 0 && p->output >= 0 && p->pid == 0)
		become(&p->conf, in, p->output, parent);
	if (in >= 0)
		close(in);
	if (p->pid > 0)
		return true;
	if (p->output >= 0)
		close(p->output);
	p->pid = 0;
	p->output = -1;
	return false;
}

static bool map_output(struct process *p)
{
	struct stat st;

	if (fstat(p->output, &st) != 0 || st.st_size <= 0)
		return false;
	p->mapped_size = (size_t)st.st_size;
	p->mapped = mmap(NULL, p->mapped_size, PROT_READ, MAP_PRIVATE, p->output, 0);
	if (p->mapped != MAP_FAILED)
		return true;
	p->mapped = NULL;
	return false;
}

/* What it wrote, whole: a head and a database, or a head with its culprit. */
static enum compiler_state read_output(struct process *p, struct compiler_answer *out)
{
	struct wire_answer answer;

	if (!map_output(p) || p->mapped_size < sizeof(answer))
		return COMPILER_FAILED;
	memcpy(&answer, p->mapped, sizeof(answer));
	if (answer.magic != WIRE_MAGIC || answer.size != p->mapped_size - sizeof(answer))
		return COMPILER_FAILED;
	out->culprit = answer.culprit;
	out->database = span_of((const uint8_t *)p->mapped + sizeof(answer), answer.size);
	return answer.culprit == WIRE_NOBODY ? COMPILER_DONE : COMPILER_REFUSED;
}

static enum compiler_state read_verdicts(struct process *p, bool whole, struct compiler_answer *out)
{
	if (map_output(p))
		out->database = span_of(p->mapped, p->mapped_size);
	return whole ? COMPILER_DONE : COMPILER_FAILED;
}

static enum compiler_state poll_process(struct compiler *c, struct compiler_answer *out)
{
	struct process *p = process_of(c);
	enum compiler_state state = COMPILER_FAILED;
	int status;

	if (p->pid == 0)
		return COMPILER_FAILED;
	const pid_t ended = waitpid(p->pid, &status, WNOHANG);
	if (ended == 0)
		return COMPILER_RUNS;
	const bool whole = ended == p->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (p->conf.each)
		state = read_verdicts(p, whole, out);
	else if (whole)
		state = read_output(p, out);
	if (!whole && ended == p->pid)
		fprintf(stderr,
			"signalbox-controlplane: the compiler of patterns ended with %s %d\n",
			WIFSIGNALED(status) ? "signal" : "code",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	p->pid = 0;
	close(p->output);
	p->output = -1;
	return state;
}

struct compiler *process_create(const struct process_conf *conf)
{
	static const struct compiler_ops ops = {.start = start, .poll = poll_process};
	struct process *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	*p = (struct process){.compiler = {&ops}, .conf = *conf, .output = -1};
	return &p->compiler;
}

void process_destroy(struct compiler **c)
{
	struct process *p = process_of(*c);

	*c = NULL;
	if (p == NULL)
		return;
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
		close(p->output);
	}
	unmap(p);
	free(p);
}

int process_find(void)
{
	char path[PATH_MAX];
	const ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
	const char name[] = "signalbox-compiler";

	if (n <= 0 || (size_t)n >= sizeof(path))
		return -1;
	path[n] = '\0';
	char *end = strrchr(path, '/') + 1; /* the kernel's answer is absolute */
	if ((size_t)(path + sizeof(path) - end) < sizeof(name))
		return -1;
	memcpy(end, name, sizeof(name));
	return open(path, O_PATH | O_CLOEXEC);
}
