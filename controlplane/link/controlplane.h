/* controlplane.h - the control plane as one object: rings in, rules, rings out.
 *
 * Everything comes as an argument: the memory, the time, the seed of chance.
 * So main() runs it on real time and a simulation runs it in virtual time,
 * beside a dataplane in the same process. A turn takes what the store has
 * completed and a bounded number of commands, lets registry and sessions judge
 * them, and hands out what the event rings have room for; what has no room stays
 * where it is. It believes nothing that lies in the dataplane's memory (command.h), and a new
 * generation of the dataplane means that all its connections are gone.
 *
 * Killing it needs no farewell: the next one takes the next generation and
 * workers say again who is connected, and what work is open (docs/durability.md).
 * Not here: sockets, clocks, which store it is (main.c). */
#pragma once
#include "controlplane/compile/compile.h"
#include "controlplane/compile/trials.h"
#include "controlplane/ipc/ipc.h"
#include "controlplane/link/inspect.h"
#include "controlplane/registry/registry.h"
#include "controlplane/sessions/sessions.h"
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
	struct storage *store;           /* lent; open; outlives it */
	struct compile *compile;         /* the same; NULL: patterns are not compiled */
	struct trials *trials;           /* the same; NULL: no worker will ask */
};

struct controlplane;

/* Takes the next generation of its regions and publishes the configuration. ERR_NO_SESSIONS: no
 * memory; ERR_STORAGE_*: what is stored cannot be used. Then *out is NULL and nothing was changed.
 */
MUST_USE enum err controlplane_create(
	const struct controlplane_conf *conf, struct sessions_now now, struct controlplane **out);
/* Frees memory; regions stay as they are, as after a kill. */
void controlplane_destroy(struct controlplane **cp);
/* For an orderly end: says that nobody serves. */
void controlplane_retire(struct controlplane *cp);

/* *worked: it found work, so there may be more. ERR_STORAGE_*: the store is dead and nothing is
 * acknowledged any more; close it, end, be started again. */
MUST_USE enum err controlplane_turn(struct controlplane *cp, struct sessions_now now, bool *worked);
/* When the next turn is due even if no ring and no store moves. */
uint64_t controlplane_next_us(const struct controlplane *cp, struct sessions_now now);
/* Something waits in a ring: look here between shm_doorbell_sleep and waiting. */
bool controlplane_pending(const struct controlplane *cp);

/* Publishes the configuration with that impairment. */
void controlplane_impair(struct controlplane *cp, const struct shm_impair *impair);
/* The same with one more wish that the dataplane opens its NIC again. */
void controlplane_reset_nic(struct controlplane *cp);

/* Asks a worker: see inspect.h. */
enum inspect_state controlplane_inspect(struct controlplane *cp, const struct ipc_inspect *asked,
	uint64_t now_us, struct shm_answer_head *head, uint8_t *records);

void controlplane_facts(const struct controlplane *cp, uint64_t now_us, struct ipc_facts *out);
const struct registry *controlplane_registry(const struct controlplane *cp);
const struct sessions *controlplane_sessions(const struct controlplane *cp);
