/* regions.h - counter regions in plain memory, for tests of who reads them. */
#pragma once
#include "dataplane/shm/attach.h"

/* All that management is given: DP_COUNTERS, CP_COUNTERS, LAUNCHER, fresh and zero. */
void unit_regions_open(struct shm_map *out, uint32_t workers);
void unit_regions_close(struct shm_map *map);
/* All heartbeats at once. */
void unit_regions_beat(struct shm_map *map, uint64_t now_us);
