/* controlplane.h - the control plane as one object: rings in, rules, rings out.
 *
 * Everything comes as an argument: the memory, the time, the seed of chance.
 * So main() runs it on real time and a simulation runs it in virtual time,
 * beside a dataplane in the same process. A turn takes a bounded number of
 * commands, lets the registry judge them, and hands out what the event rings
 * have room for; what has no room stays in the registry. It believes nothing
 * that lies in the dataplane's memory (command.h), and a new generation of the
 * dataplane means that all its connections are gone.
 *
 * Killing it needs no farewell: the next one takes the next generation and
 * workers say again who is connected. Not here: sockets and clocks (main.c). */
#pragma once
#include "controlplane/ipc/ipc.h"
#include "controlplane/registry/registry.h"
#include "dataplane/shm/config.h"

enum {
	CONTROLPLANE_BURST = 256, /* commands a worker and turn */
	CONTROLPLANE_BEAT_US = 100000,
	CONTROLPLANE_RETRY_US = 1000, /* while answers wait for room */
};

struct controlplane_conf {
	void *cp, *cp_counters; /* regions that we write */
	const void *dp;         /* and read */
	uint32_t workers;       /* as those regions were made */
	uint32_t pid;
	struct hash_key key;             /* secret, random */
	const struct shm_config *config; /* checked; copied */
};

struct controlplane;

/* Takes the next generation of its regions and publishes the configuration. NULL: no memory. */
struct controlplane *controlplane_create(const struct controlplane_conf *conf, uint64_t now_us);
/* Frees memory; regions stay as they are, as after a kill. */
void controlplane_destroy(struct controlplane **cp);
/* For an orderly end: says that nobody serves. */
void controlplane_retire(struct controlplane *cp);

/* True: it found work, so there may be more. */
bool controlplane_turn(struct controlplane *cp, uint64_t now_us);
/* When the next turn is due even if no ring moves. */
uint64_t controlplane_next_us(const struct controlplane *cp, uint64_t now_us);
/* Something waits in a ring: look here between shm_doorbell_sleep and waiting. */
bool controlplane_pending(const struct controlplane *cp);

/* Publishes the configuration with that impairment. */
void controlplane_impair(struct controlplane *cp, const struct shm_impair *impair);

void controlplane_facts(const struct controlplane *cp, uint64_t now_us, struct ipc_facts *out);
const struct registry *controlplane_registry(const struct controlplane *cp);
