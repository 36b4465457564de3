/* sample.h - what management knows of the box at one moment.
 *
 * Copied out of the counter regions, which others write: a sample may mix
 * moments a few microseconds apart, but every number in it is one that was
 * there. Times are of the monotonic clock, in microseconds, unless they say
 * otherwise. Not here: what the numbers mean (health.h, report.h). */
#pragma once
#include "dataplane/shm/attach.h"
#include "dataplane/shm/processes.h"

struct worker_view {
	uint64_t heartbeat_us; /* 0: never */
	uint64_t busy_us;      /* WORKER_BUSY_US */
};

struct process_view {
	bool known;    /* the launcher's region is here: pid to started_us are so */
	bool attached; /* its counter region is here: generation to ready are so */
	bool ready;
	bool last_fatal;
	uint32_t pid, state, restarts, last_code; /* as in processes.h */
	uint64_t started_us;
	uint64_t generation;
	uint64_t heartbeat_us;
};

struct sample {
	uint64_t id; /* given by the history; 0: not in it */
	uint64_t now_us;
	int64_t wall_ms; /* since 1970 */
	uint32_t workers;
	struct worker_view worker[SHM_WORKERS_MAX];
	struct process_view process[SHM_PROCESSES];
	uint64_t value[COUNTER_TOTAL]; /* summed over all writers */
};

/* The newest sample also says who counted what. */
struct snapshot {
	struct sample sum;
	uint64_t worker_value[SHM_WORKERS_MAX][COUNTER_TOTAL];
	uint64_t controlplane_value[COUNTER_TOTAL];
};

void snapshot_read(
	const struct shm_map *map, uint64_t now_us, int64_t wall_ms, struct snapshot *out);

/* Per second between two samples. A counter that went back was restarted from 0. */
double sample_rate(const struct sample *older, const struct sample *newer, unsigned counter);
double sample_busy_percent(const struct sample *older, const struct sample *newer, uint32_t worker);
/* Milliseconds since a heartbeat as the sample saw it; -1: there was none. */
int64_t sample_age_ms(const struct sample *s, uint64_t heartbeat_us);
