/* attach.c - the option with the descriptors: read, checked, mapped. See attach.h. */
#include "dataplane/shm/attach.h"

#include "dataplane/base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[SHM_REGIONS] = {
	[SHM_DP] = "dp",
	[SHM_CP] = "cp",
	[SHM_DP_COUNTERS] = "dpc",
	[SHM_CP_COUNTERS] = "cpc",
	[SHM_LAUNCHER] = "launcher",
	[SHM_TIERS] = "tiers",
	[SHM_LIVE] = "live",
};

struct part {
	char name[16];
	int fd;
	bool writes;
};

const char *shm_region_name(enum shm_region kind)
{
	ASSERT(kind < SHM_REGIONS);
	return names[kind];
}

static enum err refuse(struct shm_map *out, enum err e, const char *part, const char *why)
{
	snprintf(out->why, sizeof(out->why), "%.40s: %s", part, why);
	return e;
}

/* NAME=FD[:rw|:ro], up to the comma; *at moves behind it. */
static bool read_part(const char **at, struct part *out)
{
	const char *equals = strchr(*at, '=');
	char *end;

	if (equals == NULL || equals == *at || (size_t)(equals - *at) >= sizeof(out->name))
		return false;
	memcpy(out->name, *at, (size_t)(equals - *at));
	out->name[equals - *at] = '\0';
	if (equals[1] < '0' || equals[1] > '9')
		return false;
	const long fd = strtol(equals + 1, &end, 10);
	if (fd > INT32_MAX)
		return false;
	out->fd = (int)fd;
	out->writes = strncmp(end, ":rw", 3) == 0;
	if (out->writes || strncmp(end, ":ro", 3) == 0)
		end += 3;
	else if (strcmp(out->name, "doorbell") != 0)
		return false;
	if (*end == ',' && end[1] != '\0')
		end++;
	else if (*end != '\0')
		return false;
	*at = end;
	return true;
}

static enum err map_region(struct shm_map *out, enum shm_region kind, const struct part *part)
{
	struct stat st;
	const int protection = part->writes ? PROT_READ | PROT_WRITE : PROT_READ;

	if (out->view[kind] != NULL)
		return refuse(out, ERR_SHM_ATTACH, part->name, "given twice");
	if (fstat(part->fd, &st) != 0)
		return refuse(out, ERR_SHM_ATTACH, part->name, strerror(errno));
	const size_t size = (size_t)st.st_size;
	if (!S_ISREG(st.st_mode) || size < SHM_PAGE)
		return refuse(out, ERR_SHM_ATTACH, part->name, "is no region");
	void *base = mmap(NULL, size, protection, MAP_SHARED, part->fd, 0);
	if (base == MAP_FAILED)
		return refuse(out, ERR_SHM_ATTACH, part->name, strerror(errno));
	out->view[kind] = base;
	out->base[kind] = part->writes ? base : NULL;
	out->bytes[kind] = size;
	close(part->fd);
	madvise(base, size, MADV_DONTDUMP); /* credentials pass through here */
	if (shm_region_check(base, size, kind) != ERR_NONE)
		return refuse(out, ERR_ABI_MISMATCH, part->name, err_text(ERR_ABI_MISMATCH));
	const uint32_t workers = shm_load32(&((const struct shm_header *)base)->workers);
	if (out->workers != 0 && out->workers != workers)
		return refuse(
			out, ERR_ABI_MISMATCH, part->name, "is for another number of workers");
	/* The writer of DP may have changed it since the check. */
	if (workers < 1 || workers > SHM_WORKERS_MAX || size < shm_region_bytes(kind, workers))
		return refuse(out, ERR_ABI_MISMATCH, part->name, err_text(ERR_ABI_MISMATCH));
	out->workers = workers;
	return ERR_NONE;
}

static enum err attach_part(struct shm_map *out, const struct part *part)
{
	if (strcmp(part->name, "doorbell") == 0) {
		if (out->doorbell >= 0)
			return refuse(out, ERR_SHM_ATTACH, part->name, "given twice");
		if (fcntl(part->fd, F_SETFD, FD_CLOEXEC) != 0)
			return refuse(out, ERR_SHM_ATTACH, part->name, strerror(errno));
		out->doorbell = part->fd;
		return ERR_NONE;
	}
	for (unsigned kind = 0; kind < SHM_REGIONS; kind++)
		if (strcmp(part->name, names[kind]) == 0)
			return map_region(out, (enum shm_region)kind, part);
	return refuse(out, ERR_SHM_ATTACH, part->name, "no such region");
}

enum err shm_attach(const char *spec, struct shm_map *out)
{
	*out = (struct shm_map){.doorbell = -1};
	for (const char *at = spec; *at != '\0';) {
		struct part part;
		const char *start = at;
		enum err e;

		if (!read_part(&at, &part))
			e = refuse(out, ERR_SHM_ATTACH, start, "is not NAME=FD:rw or NAME=FD:ro");
		else
			e = attach_part(out, &part);
		if (e != ERR_NONE) {
			shm_detach(out);
			return e;
		}
	}
	if (out->workers == 0)
		return refuse(out, ERR_SHM_ATTACH, "--shm", "names no region");
	return ERR_NONE;
}

/* Leaves `why` as it is: a failed attach is undone by this. */
void shm_detach(struct shm_map *map)
{
	for (unsigned kind = 0; kind < SHM_REGIONS; kind++) {
		if (map->view[kind] != NULL)
			munmap((void *)(uintptr_t)map->view[kind], map->bytes[kind]);
		map->view[kind] = NULL;
		map->base[kind] = NULL;
	}
	if (map->doorbell >= 0)
		close(map->doorbell);
	map->doorbell = -1;
	map->workers = 0;
}

void shm_region_count_from(void *base, uint64_t generation)
{
	shm_store(&((struct shm_header *)base)->generation, generation);
}
