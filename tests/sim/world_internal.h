/* world_internal.h - what the simulation's own files share. */
#pragma once
#include "controlplane/link/controlplane.h"
#include "controlplane/sessions/sessions.h"
#include "dataplane/base/rng.h"
#include "dataplane/tcp/tcp.h"
#include "dataplane/worker/peer.h"
#include "dataplane/worker/peers.h"
#include "storage/memory/memory.h"
#include "tests/sim/client.h"
#include "tests/sim/process.h"

#include <setjmp.h>

enum { CLIENT_SCRATCH = 160 << 10, WORLD_ACTORS_MAX = 4, WORLD_EPOCH_MS = 1000000000 };

enum client_state { CLIENT_IDLE, CLIENT_CONNECTING, CLIENT_GREETING, CLIENT_LIVE, CLIENT_CLOSING };

struct client {
	struct world *world;
	struct client_events events;
	enum client_state state;
	struct tcp_id tcp;
	char id[32];
	struct client_greeting greeting;
	enum err why;
	uint16_t packet_id;
	uint32_t payload_left; /* of the PUBLISH being read */
	size_t topic_size;
	uint8_t topic[256];
};

/* A kill that waits for its moment. */
struct ambush {
	enum world_victim victim;
	struct world_point at;
	uint32_t left; /* occurrences; 0: none waits */
};

struct world {
	uint64_t seed;
	uint64_t now_us;
	uint64_t wall_ms; /* at now_us 0 */
	uint64_t trace;   /* running hash of all frames */
	struct rng rng;   /* order of turns */
	struct shm_config config;
	struct sim_wire *wire;
	void *region[SHM_REGIONS]; /* as the launcher would hold them */
	struct box_conf box[WORLD_WORKERS_MAX];
	struct worker *worker[WORLD_WORKERS_MAX]; /* NULL: dead */
	struct peers *peers;
	struct controlplane *plane; /* NULL: dead */
	struct trials *trials;      /* its own */
	struct memory_disk *disk;
	struct storage *store; /* on it; NULL: the control plane is dead */
	struct storage *lent;  /* what the control plane sees of it */
	uint64_t births;       /* of the shared memory */
	unsigned lives;        /* of the dataplane so far */
	bool skip_syncs;
	uint8_t forget_kind;
	bool failed;    /* the control plane's last turn: its store is dead */
	bool paused[2]; /* control plane, dataplane */

	jmp_buf death; /* out of the turn of a plane */
	struct ambush ambush;

	struct net *net; /* the clients' stack */
	struct tcp *tcp;
	struct box_pools client_pools;
	struct counters client_counters;
	uint8_t *scratch;
	uint32_t client_count, actor_count;
	struct world_actor actors[WORLD_ACTORS_MAX];
	struct client clients[WORLD_CLIENTS_MAX];
};

void client_on_event(struct world *w, const struct tcp_event *e);

/* world_build.c: what lies around the planes. */
void world_build(struct world *w, const struct world_conf *conf);
void world_tear_down(struct world *w);
void world_clear_regions(struct world *w); /* as the launcher makes them */
/* Whatever a dead dataplane held comes back, as with the memory of its process. */
void world_refill_pools(struct world *w);

/* world_planes.c */
bool world_turn_controlplane(struct world *w, unsigned unused);
bool world_turn_worker(struct world *w, unsigned worker);
uint64_t world_planes_next_us(const struct world *w);
void world_end_planes(struct world *w);
void world_effect(struct world *w, const struct world_point *now); /* it was done just now */

/* world_disk.c: the store as the control plane sees it. */
struct storage *world_lend_store(struct world *w);
void world_drop_lent(struct world *w);
void world_take_store_back(struct world *w); /* the control plane is dead */
void world_turn_disk(struct world *w);
