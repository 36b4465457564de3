/* facts.h - what the control plane tells about itself in one answer. See ipc.h. */
#pragma once
#include "dataplane/shm/config.h"

enum { IPC_TEXT_MAX = 256 }; /* of SET_IMPAIR and REFUSED, with the NUL that is not sent */

/* Of what must survive. Its counters are in the counter regions, too. */
struct ipc_store {
	uint64_t batches, syncs;
	uint64_t unsynced; /* batches that a power cut would take */
	uint64_t sync_us_last, sync_us_max;
	uint64_t disk_bytes; /* about */
	uint64_t sessions;   /* stored */
	uint32_t err;        /* enum err; ERR_NONE while it lives */
	uint32_t reserved;
};

struct ipc_facts {
	uint64_t generation, uptime_us;         /* of the control plane */
	uint64_t dp_generation, dp_beat_age_us; /* as the dataplane says; UINT64_MAX: never */
	uint64_t config_sequence;
	uint32_t workers, dp_pid, dp_ready;
	uint32_t sessions, sessions_max;
	uint32_t reserved;
	struct ipc_store store;
	struct shm_config config;  /* in effect, impairment included */
	char impair[IPC_TEXT_MAX]; /* the same impairment for people: "off" */
};
