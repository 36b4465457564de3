/* processes.h - what the launcher tells about the processes that it watches.
 *
 * Page 1 of the LAUNCHER region; written by the launcher alone, read by all.
 * Values are words, so a reader sees a recent one, never a torn one. */
#pragma once
#include "dataplane/shm/region.h"

enum shm_process_id {
	SHM_PROCESS_DATAPLANE,
	SHM_PROCESS_CONTROLPLANE,
	SHM_PROCESS_MGMT,
	SHM_PROCESSES
};

enum shm_process_state { SHM_PROCESS_OFF, SHM_PROCESS_RUNS, SHM_PROCESS_WAITS, SHM_PROCESS_STOPS };

/* Exit code: a person must do something first, a new start does not help. */
enum { SHM_EXIT_HOPELESS = 5 };

struct shm_process {
	uint32_t pid;   /* 0: does not run */
	uint32_t state; /* enum shm_process_state; WAITS: for its next start, after a failure; OFF:
			 * not yet, or not any more */
	uint32_t restarts;   /* starts beyond the first */
	uint32_t last_code;  /* exit code of the last end, or the signal's number */
	uint32_t last_fatal; /* 1: last_code is a signal */
	uint32_t reserved;
	uint64_t started_us; /* monotonic */
};

static inline const struct shm_process *shm_process_const(
	const void *launcher_base, enum shm_process_id id)
{
	return (const struct shm_process *)((const uint8_t *)launcher_base + SHM_PAGE) + id;
}

static inline struct shm_process *shm_process(void *launcher_base, enum shm_process_id id)
{
	return (struct shm_process *)((uint8_t *)launcher_base + SHM_PAGE) + id;
}
