/* monitor.h - what the answers are made from: the regions, the newest snapshot, the history. */
#pragma once
#include "mgmt/api/facts.h"
#include "mgmt/api/history.h"
#include "mgmt/api/inspect.h"

struct monitor {
	const struct shm_map *map;
	uint64_t epoch; /* tells this run's sample ids from those of the run before */
	struct snapshot snapshot;
	struct facts facts; /* the caller's to open, tick and read; all 0 is nobody to ask */
	struct inspections inspections; /* the caller's to dial; until then nobody to ask */
	struct history history;
};

/* Takes the first sample, so that there always is one. */
void monitor_init(struct monitor *m, const struct shm_map *map, uint64_t now_us, int64_t wall_ms);
/* Once every HISTORY_STEP_US. */
void monitor_tick(struct monitor *m, uint64_t now_us, int64_t wall_ms);
/* The newest words of the box, between two ticks: heartbeats are judged by these. */
void monitor_refresh(struct monitor *m, uint64_t now_us, int64_t wall_ms);
