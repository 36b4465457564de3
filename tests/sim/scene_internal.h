/* scene_internal.h - what the scene's own files share. */
#pragma once
#include "dataplane/base/rng.h"
#include "tests/sim/device.h"
#include "tests/sim/scene.h"

enum {
	SECOND_US = 1000000,
	TOPICS = 4,
	MESSAGES_MAX = 1500,
	SESSIONS_MAX = 400,
	PATIENCE_US = 60 * SECOND_US, /* of the liveness phase */
};

struct plan {
	struct scene_faults faults;
	struct impair_settings impair;
	uint32_t workers, devices;
	uint8_t qos_max;
	uint32_t publishes; /* in the safety phase */
	uint64_t safety_us;
	uint64_t pace_us; /* between actions, about */
	struct device_conf device[SCENE_DEVICES_MAX];
	char ids[SCENE_DEVICES_MAX][8];
};

struct scene {
	const struct scene_conf *conf;
	struct plan plan;
	struct rng rng;
	struct world *world;
	struct ledger *ledger;
	uint32_t devices;
	struct device *device[SCENE_DEVICES_MAX + 1]; /* and an observer at the end */
	bool safety;                                  /* the phase */
	bool was_alive;                               /* the dataplane, at the last look */
	uint64_t act_us, fault_us, plane_us[2], unpause_us, release_us, light_us;
	uint32_t published, kills;
};

struct plan scene_plan(const struct scene_conf *conf, struct rng *rng);
struct world_conf scene_world(const struct scene_conf *conf, const struct plan *p);

/* scene_faults.c */
void scene_turn_faults(struct scene *s, uint64_t now_us);
uint64_t scene_faults_next_us(const struct scene *s);
void scene_print_faults(const struct scene_faults *f);
void scene_calm(struct scene *s); /* no more of them, and what is broken is repaired */
