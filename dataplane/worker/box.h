/* box.h - one box: its packet pools, its NIC, its workers, as one value to pass around.
 *
 * Nothing here is global: DPDK objects carry the box's number in their names,
 * so several boxes live in one process and a test can run two of them against
 * each other. All memory is taken by box_create from a configuration whose
 * arithmetic box_memory prints. Not here: EAL and processes (main.c), the loop
 * of one worker (worker.h). */
#pragma once
#include "dataplane/base/hash.h"
#include "dataplane/shm/config.h"
#include "drivers/driver.h"

struct peers;
struct letters;
struct worker;

/* Packet buffers of one worker; with several, others may give some of them back. */
struct box_pools {
	struct rte_mempool *rx;       /* filled by the NIC; never outlive a turn */
	struct rte_mempool *headers;  /* segment headers out, with small payloads */
	struct rte_mempool *copies;   /* bytes that sessions send */
	struct rte_mempool *held;     /* received bytes that wait */
	struct rte_mempool *segments; /* payloads of messages */
	struct rte_mempool *control;  /* ARP and ICMP: never starved by data */
};

/* What a worker shares with the control plane; all NULL in tests without one. */
struct box_link {
	void *dp_region;       /* ours to write */
	const void *cp_region; /* read only */
	int doorbell;          /* wakes a sleeping control plane; -1: none */
	void *live_region;     /* ours: open connections, for the next of us; NULL: none */
};

struct box_conf {
	uint16_t number;
	uint16_t worker;
	struct shm_config config;
	struct box_pools pools;
	struct driver *driver;
	struct box_link link;
	struct counters *counters;
	uint64_t (*cycles)(void); /* NULL: stages are not measured */
	struct letters *letters;  /* letters of the service thread; NULL: there is none */
	struct peers *peers;      /* rings to the other workers; NULL: it is alone */
	struct hash_key key;      /* secret, fresh at every start, the same for all workers */
	uint64_t seed;            /* of this worker alone */
};

/* Creates the pools of one worker. False, with a reason, when memory does not suffice. */
MUST_USE bool box_pools_create(struct box_pools *p, uint16_t number, uint16_t worker,
	const struct shm_config *config, char *why, size_t why_size);
void box_pools_destroy(struct box_pools *p);
size_t box_pools_bytes(const struct shm_config *config);
/* Every buffer is back: asserted by tests after the worker is gone. */
bool box_pools_full(const struct box_pools *p);
