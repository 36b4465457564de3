/* scene.h - one seed: a box, a handful of devices, what they do and what goes wrong.
 *
 * A plan is drawn from the seed: who is there, and which kinds of fault there are at all (a
 * random subset, so that rare combinations come up). Then two phases. Safety:
 * devices publish, subscribe, go and come back while faults happen. Liveness: faults stop, and
 * within bounded virtual time everything must have drained. Then every topic is probed, and the
 * ledger judges. Not here: the checks themselves (ledger.h). */
#pragma once
#include "dataplane/base/rng.h"
#include "tests/sim/ledger.h"
#include "tests/sim/world.h"

enum { SCENE_DEVICES_MAX = 8 };

/* What a plan may contain. */
struct scene_faults {
	bool network, blackouts, controlplane_kills, dataplane_kills, power_cuts, ambushes;
	bool disk_full, disk_errors, disk_stalls, slow_disk;
	bool pauses, clock_steps, small_pools, small_queues;
	bool drops, goodbyes, purges, resubscriptions, wills, retained, huge;
};

/* A kill at one point, for sure. */
struct scene_ambush {
	bool wanted;
	enum world_victim victim;
	struct world_point at;
	uint32_t depth; /* at most that many times it is done before */
};

struct scene_conf {
	uint64_t seed;
	bool skip_syncs;        /* the disk lies */
	uint8_t forget_kind;    /* the store drops keys of that kind (schema.h); 0: none */
	const char *durability; /* NULL: synced */
	uint32_t workers;       /* 0: the seed chooses */
	struct scene_ambush ambush;
	const struct scene_faults *faults; /* NULL: the seed chooses */
	bool loud;
};

struct scene_result {
	bool clean;     /* what the ledger says */
	bool live;      /* it drained in time */
	bool ambushed;  /* the wanted kill has happened */
	uint64_t trace; /* of all frames and reports */
	uint64_t virtual_us;
	uint32_t kills;
	struct ledger_totals totals;
};

/* Where kills are tried: every kind of slot, every other effect. False: there are no more. */
MUST_USE bool scene_point(uint32_t number, struct world_point *out);
struct world_point scene_draw_point(struct rng *r);

struct scene_result scene_run(const struct scene_conf *conf);
