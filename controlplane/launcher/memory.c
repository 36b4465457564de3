/* memory.c - makes, sizes and seals the regions. */
#include "controlplane/launcher/memory.h"

#include "dataplane/shm/attach.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Of the control plane's the low half counts (epochs begin there): seconds. The others only must
 * not come again: microseconds, for a box may start twice in a second. */
static uint64_t first_generation(enum shm_region kind)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (kind == SHM_CP || kind == SHM_CP_COUNTERS)
		return (uint64_t)t.tv_sec;
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static bool create_region(
	struct memory *m, enum shm_region kind, uint32_t workers, const char **why)
{
	const size_t size = shm_region_bytes(kind, workers);
	char path[64];

	*why = "cannot create shared memory";
	m->fd[kind] = memfd_create(shm_region_name(kind), MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->fd[kind] < 0 || fchmod(m->fd[kind], 0600) != 0 ||
		ftruncate(m->fd[kind], (off_t)size) != 0)
		return false;
	m->base[kind] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd[kind], 0);
	if (m->base[kind] == MAP_FAILED)
		return false;
	shm_region_init(m->base[kind], kind, workers);
	shm_region_count_from(m->base[kind], first_generation(kind));
	*why = "cannot seal shared memory";
	if (fcntl(m->fd[kind], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return false;
	*why = "cannot reopen shared memory read-only (is /proc mounted?)";
	snprintf(path, sizeof(path), "/proc/self/fd/%d", m->fd[kind]);
	m->view_fd[kind] = open(path, O_RDONLY | O_CLOEXEC);
	return m->view_fd[kind] >= 0;
}

bool memory_create(struct memory *m, uint32_t workers, const char **why)
{
	for (int kind = 0; kind < SHM_REGIONS; kind++)
		if (!create_region(m, (enum shm_region)kind, workers, why))
			return false;
	*why = "cannot create the doorbell";
	m->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return m->doorbell >= 0;
}
