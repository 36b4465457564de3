/* world.h - a whole box and its clients in one process, in virtual time.
 *
 * One worker on a simulated wire; on the other end a TCP stack of ours that
 * carries MQTT clients; the control plane beside, over the same shared memory
 * as in the real box. world_step runs everybody once and moves time to the next
 * thing that is due. The same seed gives the same frames: world_trace is their
 * hash. Kills run no clean-up code in the victim: its memory is simply left. */
#pragma once
#include "dataplane/worker/worker.h"
#include "drivers/sim/sim.h"

enum { WORLD_CLIENTS_MAX = 512 };

struct world;

struct world_conf {
	uint64_t seed;
	struct impair_settings impair;
	struct shm_config config; /* world_defaults fills it */
	uint32_t client_buffers;  /* of the clients' stack */
};

struct world_conf world_defaults(uint64_t seed);
struct world *world_create(const struct world_conf *conf);
/* Asserts that every buffer of the box came back. */
void world_destroy(struct world **world);
uint64_t world_now_us(const struct world *w);
/* Runs until `done` says so or virtual time is up. True: done. */
bool world_run(struct world *w, bool (*done)(void *owner), void *owner, uint64_t for_us);
uint64_t world_trace(const struct world *w);
uint64_t world_counter(const struct world *w, enum counter id); /* of the dataplane */
void world_print_errors(const struct world *w); /* every ERR_ counter that is not 0 */
void world_impair(struct world *w, const struct impair_settings *s);

void world_kill_controlplane(struct world *w); /* it stays dead */
void world_start_controlplane(struct world *w);
void world_restart_dataplane(struct world *w); /* kill -9 and a new one */
