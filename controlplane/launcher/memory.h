/* memory.h - the launcher's regions: sealed memfds, one writer each.
 *
 * A writer gets the descriptor itself, a reader one reopened read-only; the
 * file's mode keeps an unprivileged reader from reopening it for writing.
 * Sealed against shrinking and growing, so that no reader can be hit by SIGBUS. */
#pragma once
#include "dataplane/shm/region.h"

struct memory {
	int fd[SHM_REGIONS];      /* read and write */
	int view_fd[SHM_REGIONS]; /* read only */
	void *base[SHM_REGIONS];  /* mapped in the launcher; it writes only LAUNCHER */
	int doorbell;             /* eventfd: wakes the control plane */
};

/* False: *why is static text, errno says more. */
MUST_USE bool memory_create(struct memory *m, uint32_t workers, const char **why);
