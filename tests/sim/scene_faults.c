/* scene_faults.c - what goes wrong, when, and how it is repaired. */
#include "tests/sim/scene_internal.h"

#include "storage/memory/memory.h"

enum {
	FAULT_EVERY_US = 250000,
	RESTART_US = 300000, /* at most, from a death to the new life */
	PAUSE_US = 400000,
	BLACKOUT_US = 300000,
	STEP_WALL_MS = 20000,
	AMBUSH_DEPTH = 60, /* occurrences, at most */
};

static const enum world_victim planes[2] = {WORLD_CONTROLPLANE, WORLD_DATAPLANE};

static void tell_devices(struct scene *s, uint64_t now_us)
{
	for (uint32_t i = 0; i < s->devices; i++)
		device_disturbed(s->device[i], now_us);
}

/* Who is dead is started again, after a while; a launcher does no more. */
static void watch_planes(struct scene *s, uint64_t now_us)
{
	const bool alive = world_alive(s->world, WORLD_DATAPLANE);

	if (!alive && s->was_alive)
		tell_devices(s, now_us);
	s->was_alive = alive;
	for (size_t i = 0; i < 2; i++) {
		if (world_alive(s->world, planes[i])) {
			s->plane_us[i] = UINT64_MAX;
		} else if (s->plane_us[i] == UINT64_MAX) {
			s->plane_us[i] = now_us + rng_below(&s->rng, RESTART_US);
			s->kills++;
		} else if (now_us >= s->plane_us[i]) {
			world_start(s->world, planes[i]);
			s->plane_us[i] = UINT64_MAX;
		}
	}
}

static void set_ambush(struct scene *s)
{
	const struct world_point at = scene_draw_point(&s->rng);
	const bool power = s->plan.faults.power_cuts && rng_below(&s->rng, 3) == 0;
	enum world_victim v = at.by;

	if (power)
		v = WORLD_MACHINE;
	else if (v == WORLD_MACHINE)
		v = planes[rng_below(&s->rng, 2)];
	world_kill_at(s->world, v, &at, 1 + rng_below(&s->rng, AMBUSH_DEPTH));
}

static void fail_disk(struct scene *s)
{
	const enum memory_fault what =
		rng_below(&s->rng, 2) == 0 ? MEMORY_FAULT_SYNC : MEMORY_FAULT_SUBMIT;

	memory_disk_fail(world_disk(s->world), what, 1 + rng_below(&s->rng, 20), ERR_STORAGE_IO);
}

static void step_wall(struct scene *s)
{
	const int64_t by = (int64_t)rng_below(&s->rng, 2 * STEP_WALL_MS) - STEP_WALL_MS;

	world_step_wall(s->world, by);
	for (uint32_t i = 0; i < s->devices; i++)
		device_confused(s->device[i]);
}

static void stall(struct scene *s, uint64_t now_us)
{
	memory_disk_stall(world_disk(s->world), true);
	s->release_us = now_us + rng_below(&s->rng, PAUSE_US);
}

static void pause_plane(struct scene *s, uint64_t now_us)
{
	world_pause(s->world, planes[rng_below(&s->rng, 2)], true);
	s->unpause_us = now_us + rng_below(&s->rng, PAUSE_US);
}

/* Nothing gets through for a while, and somebody comes back from elsewhere: the box finds two of
 * it. */
static void black_out(struct scene *s, uint64_t now_us)
{
	const struct impair_settings nothing = {
		.loss_ppm = 1000000, .delay_us = 50, .seed = s->plan.impair.seed};

	world_impair(s->world, &nothing);
	s->light_us = now_us + rng_below(&s->rng, BLACKOUT_US);
	device_drop(s->device[rng_below(&s->rng, s->plan.devices)]);
}

enum kind {
	KILL_CONTROLPLANE,
	KILL_DATAPLANE,
	POWER_CUT,
	AMBUSH,
	FULL,
	DISK_ERROR,
	STALL,
	PAUSE,
	CLOCK,
	BLACKOUT,
	KINDS
};

static bool planned(const struct scene_faults *f, enum kind k)
{
	const bool table[KINDS] = {f->controlplane_kills, f->dataplane_kills, f->power_cuts,
		f->ambushes, f->disk_full, f->disk_errors, f->disk_stalls, f->pauses,
		f->clock_steps, f->blackouts};

	return table[k];
}

static void happen(struct scene *s, enum kind k, uint64_t now_us)
{
	struct memory_disk *disk = world_disk(s->world);

	switch (k) {
	case KILL_CONTROLPLANE:
		world_kill(s->world, WORLD_CONTROLPLANE);
		break;
	case KILL_DATAPLANE:
		world_kill(s->world, WORLD_DATAPLANE);
		break;
	case POWER_CUT:
		world_kill(s->world, WORLD_MACHINE);
		break;
	case AMBUSH:
		set_ambush(s);
		break;
	case FULL: /* for a while: stall's end repairs it */
		memory_disk_resize(disk, 1);
		s->release_us = now_us + rng_below(&s->rng, PAUSE_US);
		break;
	case DISK_ERROR:
		fail_disk(s);
		break;
	case STALL:
		stall(s, now_us);
		break;
	case PAUSE:
		pause_plane(s, now_us);
		break;
	case CLOCK:
		step_wall(s);
		break;
	case BLACKOUT:
		black_out(s, now_us);
		break;
	case KINDS:
		break;
	}
}

static void repair(struct scene *s, uint64_t now_us)
{
	if (now_us >= s->release_us) {
		memory_disk_stall(world_disk(s->world), false);
		memory_disk_resize(world_disk(s->world), 0);
		s->release_us = UINT64_MAX;
	}
	if (now_us >= s->light_us) {
		world_impair(s->world, &s->plan.impair);
		s->light_us = UINT64_MAX;
	}
	if (now_us >= s->unpause_us) {
		world_pause(s->world, WORLD_MACHINE, false);
		s->unpause_us = UINT64_MAX;
	}
}

void scene_turn_faults(struct scene *s, uint64_t now_us)
{
	watch_planes(s, now_us);
	repair(s, now_us);
	if (!s->safety || now_us < s->fault_us)
		return;
	const enum kind k = (enum kind)rng_below(&s->rng, KINDS);
	if (planned(&s->plan.faults, k))
		happen(s, k, now_us);
	s->fault_us = now_us + rng_below(&s->rng, FAULT_EVERY_US);
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t scene_faults_next_us(const struct scene *s)
{
	uint64_t t = earliest(s->plane_us[0], s->plane_us[1]);

	t = earliest(t, earliest(s->unpause_us, earliest(s->release_us, s->light_us)));
	return s->safety ? earliest(t, s->fault_us) : t;
}

void scene_calm(struct scene *s)
{
	const struct impair_settings none = {.delay_us = 50, .seed = s->plan.impair.seed};

	const struct world_point nowhere = {0};

	s->safety = false;
	world_kill_at(s->world, WORLD_MACHINE, &nowhere, 0);
	memory_disk_fail(world_disk(s->world), MEMORY_FAULT_SYNC, 0, ERR_NONE);
	memory_disk_fail(world_disk(s->world), MEMORY_FAULT_SUBMIT, 0, ERR_NONE);
	repair(s, UINT64_MAX);
	world_impair(s->world, &none);
}
