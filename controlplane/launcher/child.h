/* child.h - starts one process with its descriptors and nothing else.
 *
 * The child gets standard input from /dev/null, the launcher's output, its
 * regions as descriptors 3 and up (named to it by --shm, see shm/attach.h), and
 * dies with the launcher. */
#pragma once
#include "controlplane/launcher/memory.h"

#include <sys/types.h>

enum { CHILD_ARGS_MAX = 32 };

/* What a process may see of the shared memory. */
struct child_rights {
	bool reads[SHM_REGIONS];
	bool writes[SHM_REGIONS];
	bool doorbell;
};

struct child {
	const char *name;  /* program's file name */
	const char *netns; /* path of a network namespace to start in; NULL: ours */
	struct child_rights rights;
	const char *args[CHILD_ARGS_MAX]; /* beyond --shm; NULL-terminated */
	uint32_t arg_count;
};

/* Appends arguments; false when there are too many. */
MUST_USE bool child_arg(struct child *c, const char *a);
/* Starts bin/name. Returns its pid and a pidfd, or -1 with errno. */
pid_t child_start(const struct child *c, const char *bin, const struct memory *m, int *pidfd);
