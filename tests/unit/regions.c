/* regions.c - see regions.h. */
#include "tests/unit/regions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const enum shm_region given[] = {SHM_DP_COUNTERS, SHM_CP_COUNTERS, SHM_LAUNCHER};

void unit_regions_open(struct shm_map *out, uint32_t workers)
{
	memset(out, 0, sizeof(*out));
	out->workers = workers;
	out->doorbell = -1;
	for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
		const size_t bytes = shm_region_bytes(given[i], workers);
		void *base = aligned_alloc(SHM_PAGE, bytes);
		if (base == NULL) {
			fprintf(stderr, "no memory for regions\n");
			exit(100);
		}
		memset(base, 0, bytes);
		shm_region_init(base, given[i], workers);
		out->base[given[i]] = base;
		out->view[given[i]] = base;
		out->bytes[given[i]] = bytes;
	}
}

void unit_regions_close(struct shm_map *map)
{
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		free(map->base[given[i]]);
	memset(map, 0, sizeof(*map));
}

void unit_regions_beat(struct shm_map *map, uint64_t now_us)
{
	for (uint32_t w = 0; w < map->workers; w++)
		shm_store(&shm_counters(map->base[SHM_DP_COUNTERS], w)->heartbeat_us, now_us);
	shm_region_beat(map->base[SHM_DP_COUNTERS], now_us);
	shm_region_beat(map->base[SHM_CP_COUNTERS], now_us);
}
