/* world.h - a whole box and its clients in one process, in virtual time.
 *
 * One or two workers on a simulated wire; on the other end a TCP stack of ours
 * that carries MQTT clients; the control plane beside, over the same shared memory
 * as in the real box, with a store on a simulated disk. world_run gives everybody
 * a turn, in an order of the seed's, and moves time to the next thing that is due. The
 * same seed gives the same frames: world_trace is their hash.
 *
 * Kills run no code of the victim, not even to the end of its turn: at an effect (effect.def) it
 * simply stops. What the kernel would free is freed (process.h). */
#pragma once
#include "dataplane/base/effect.h"
#include "dataplane/worker/worker.h"
#include "drivers/sim/sim.h"

enum { WORLD_CLIENTS_MAX = 512, WORLD_WORKERS_MAX = 2 };

struct world;
struct memory_disk;

enum world_victim {
	WORLD_CONTROLPLANE,
	WORLD_DATAPLANE,
	WORLD_MACHINE, /* both, and what is not on the disk */
	WORLD_VICTIMS
};

/* Where a kill may happen: who does what. MACHINE: the disk. */
struct world_point {
	enum world_victim by;
	enum effect effect;
	unsigned detail; /* 0: of any kind */
};

/* Takes part in turns; for what moves clients. */
struct world_actor {
	bool (*turn)(void *owner, uint64_t now_us); /* true: it did something */
	uint64_t (*next_us)(void *owner);
	void *owner;
};

struct world_conf {
	uint64_t seed;
	struct impair_settings impair;
	struct shm_config config;     /* world_defaults fills it */
	uint32_t client_buffers;      /* of the clients' stack */
	uint64_t client_keepalive_us; /* TCP's, so that clients notice a box that died; 0: off */
	uint64_t sync_us;             /* how long the disk takes */
	uint64_t disk_bytes_max;      /* 0: no limit */
	uint8_t forget_kind;          /* keys that begin with it are not stored; 0: all are */
	bool skip_syncs;              /* the disk lies: nothing is ever synced when it says so */
};

struct world_conf world_defaults(uint64_t seed);
struct world *world_create(const struct world_conf *conf);
/* Asserts that every buffer of the box came back, and all memory. */
void world_destroy(struct world **world);
void world_join(struct world *w, const struct world_actor *a);
uint64_t world_now_us(const struct world *w);
/* Runs until `done` says so or virtual time is up. True: done. */
bool world_run(struct world *w, bool (*done)(void *owner), void *owner, uint64_t for_us);
uint64_t world_trace(const struct world *w);
uint64_t world_counter(const struct world *w, enum counter id); /* of all workers */
uint64_t world_cp_counter(const struct world *w, enum counter id);
void world_print_errors(const struct world *w); /* every ERR_ counter that is not 0 */
void world_impair(struct world *w, const struct impair_settings *s);
struct memory_disk *world_disk(const struct world *w);
void world_step_wall(struct world *w, int64_t by_ms); /* not before 1970 */

/* Who is dead already is not killed again; who lives is not started again. The control plane may
 * also end by itself, when its store is dead. */
void world_kill(struct world *w, enum world_victim v);
void world_start(struct world *w, enum world_victim v);
bool world_alive(const struct world *w, enum world_victim v); /* MACHINE: both */
/* A plane that is paused takes no turns, as if it were stopped (SIGSTOP). MACHINE: both. */
void world_pause(struct world *w, enum world_victim v, bool paused);
/* At the nth (1: next) time from now on that this is done. 0: not at all. */
void world_kill_at(
	struct world *w, enum world_victim v, const struct world_point *at, uint32_t nth);
/* Kills that have happened there, in all worlds of this program. */
uint32_t world_kills_at(const struct world_point *at, enum world_victim v);

void world_kill_controlplane(struct world *w); /* it stays dead */
void world_start_controlplane(struct world *w);
void world_restart_dataplane(struct world *w); /* kill -9 and a new one */
