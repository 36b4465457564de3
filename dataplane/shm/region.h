/* region.h - the memory that the processes share: regions and what lies where.
 *
 * Seven memfds held by the launcher, sealed against growing and shrinking. Each has one writer;
 * readers get a read-only descriptor. So any process can be restarted alone.
 *
 *	region             writer         readers
 *	DP                 dataplane      control plane: command rings, arenas
 *	CP                 control plane  dataplane: event rings, configuration
 *	DP_COUNTERS        dataplane      control plane, management
 *	CP_COUNTERS        control plane  management
 *	LAUNCHER           launcher       all: pids, restarts (processes.h)
 *	TIERS              control plane  dataplane: compiled patterns (tiers.h)
 *	LIVE               dataplane      the next dataplane: open connections
 *
 * Mapped by attach.h. No pointers. Readers of DP treat all as hostile: copy once, check, use. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/counters.h"
#include "dataplane/base/span.h"
#include "dataplane/shm/atomic.h"
#include "dataplane/shm/inspect.h"

/* clang-format off */
enum shm_region {
	SHM_DP, SHM_CP, SHM_DP_COUNTERS, SHM_CP_COUNTERS, SHM_LAUNCHER, SHM_TIERS, SHM_LIVE,
	SHM_REGIONS
}; /* clang-format on */

enum {
	SHM_WORKERS_MAX = 8,
	SHM_RING_SLOTS = 1024,
	SHM_SLOT_BYTES = 64,
	SHM_ARENA_BYTES = 1 << 20,  /* per worker and direction: text on its way */
	SHM_PART_BYTES = 128 << 10, /* text of one slot; longer ones go in parts */
	SHM_PAGE = 4096,
	SHM_LIVE_BYTES = SHM_PAGE + (16 << 20), /* per worker: a head, a million of 16 bytes */
	SHM_ABI = 5,
	SHM_ABI_OLDEST = 5, /* of this build; the oldest that it can work with */
};

#define SHM_MAGIC 0x786f626c616e6773u /* "sgnalbox" */

struct shm_header {
	uint64_t magic;
	uint32_t abi, abi_oldest;
	uint32_t kind; /* enum shm_region */
	uint32_t workers;
	uint64_t size;
	uint64_t generation;   /* counts starts of the writer; 0: never started */
	uint64_t heartbeat_us; /* monotonic; the writer's last turn */
	uint32_t pid, ready;   /* ready: 1 while the writer serves */
	uint32_t sleeping;     /* 1: the writer waits for its doorbell (doorbell.h) */
	uint32_t spare;
	uint8_t reserved[SHM_PAGE - 64];
};

/* One line each, so that producer and consumer do not share one. */
struct shm_index {
	uint64_t value;
	uint8_t reserved[56];
};

/* In DP, per worker, page-aligned. */
struct shm_dp_worker {
	struct shm_index command_producer;
	struct shm_index event_consumer;
	uint8_t reserved[SHM_PAGE - 2 * 64];
	uint8_t commands[SHM_RING_SLOTS][SHM_SLOT_BYTES];
	uint8_t arena[SHM_ARENA_BYTES];
	struct shm_answer answer; /* inspect.h */
};

/* In CP, per worker, page-aligned. */
struct shm_cp_worker {
	struct shm_index event_producer;
	struct shm_index command_consumer;
	struct shm_question question; /* inspect.h */
	uint8_t reserved[SHM_PAGE - 3 * 64];
	uint8_t events[SHM_RING_SLOTS][SHM_SLOT_BYTES];
	uint8_t arena[SHM_ARENA_BYTES];
};

size_t shm_region_bytes(enum shm_region kind, uint32_t workers);
/* First start of a region: the launcher fills page 0. An old generation is kept. */
void shm_region_init(void *base, enum shm_region kind, uint32_t workers);
/* Readers and writers: is it what we think it is? ERR_ABI_MISMATCH. `size` is what was mapped. */
MUST_USE enum err shm_region_check(const void *base, size_t size, enum shm_region kind);
/* The writer starts: takes the next generation and returns it. */
uint64_t shm_region_start(void *base, uint32_t pid);
void shm_region_ready(void *base, bool ready);
/* The writer passes by: readers see that it lives. */
void shm_region_beat(void *base, uint64_t now_us);

struct shm_dp_worker *shm_dp_worker(void *base, uint32_t worker);
const struct shm_dp_worker *shm_dp_worker_const(const void *base, uint32_t worker);
struct shm_cp_worker *shm_cp_worker(void *base, uint32_t worker);
const struct shm_cp_worker *shm_cp_worker_const(const void *base, uint32_t worker);
void *shm_live(void *base, uint32_t worker);               /* SHM_LIVE_BYTES, laid out by tcp */
struct counters *shm_counters(void *base, uint32_t block); /* block: a worker; of CP: 0 */
const struct counters *shm_counters_const(const void *base, uint32_t block);
