/* world_planes.c - the planes' lives: starts, turns, deaths. */
#include "tests/sim/world_internal.h"

#include "dataplane/base/assert.h"
#include "dataplane/shm/region.h"

#include <stdio.h>

static struct world *in_turn; /* whose plane is running */
static uint32_t kills[WORLD_VICTIMS][WORLD_VICTIMS][EFFECTS][EFFECT_DETAILS];

static uint32_t *kills_at(const struct world_point *at, enum world_victim v)
{
	ASSERT(at->detail < EFFECT_DETAILS);
	return &kills[v][at->by][at->effect][at->detail];
}

void effect_hook(enum effect e, unsigned detail)
{
	if (in_turn == NULL)
		return;
	const enum world_victim by =
		process_current() == PROCESS_DATAPLANE ? WORLD_DATAPLANE : WORLD_CONTROLPLANE;
	world_effect(in_turn, &(struct world_point){by, e, detail});
}

void world_effect(struct world *w, const struct world_point *now)
{
	struct ambush *a = &w->ambush;

	if (a->left == 0 || a->at.by != now->by || a->at.effect != now->effect ||
		(a->at.detail != 0 && a->at.detail != now->detail) || --a->left > 0)
		return;
	++*kills_at(&a->at, a->victim);
	if (in_turn == w)
		longjmp(w->death, 1);
	world_kill(w, a->victim); /* outside of the planes: on the disk */
}

void world_kill_at(struct world *w, enum world_victim v, const struct world_point *at, uint32_t nth)
{
	w->ambush = (struct ambush){v, *at, nth};
}

uint32_t world_kills_at(const struct world_point *at, enum world_victim v)
{
	return *kills_at(at, v);
}

/* Runs a plane's code as that process. False: it died of it, and is buried. */
static bool run(struct world *w, enum process p, bool (*code)(struct world *w, unsigned which),
	unsigned which, bool *answer)
{
	const enum process before = process_enter(p);
	const bool survived = setjmp(w->death) == 0;

	in_turn = w;
	if (survived)
		*answer = code(w, which);
	in_turn = NULL;
	process_leave(before);
	if (!survived)
		world_kill(w, w->ambush.victim);
	return survived;
}

static struct sessions_now now_of(const struct world *w)
{
	return (struct sessions_now){w->now_us, w->wall_ms + w->now_us / 1000};
}

static bool create_controlplane(struct world *w, unsigned unused)
{
	uint64_t s = w->seed ^ 0xc0de;
	/* Without a compiler: all are accepted, and interpreted. */
	w->trials = trials_create(NULL, shm_counters(w->region[SHM_CP_COUNTERS], 0));
	const struct controlplane_conf conf = {.cp = w->region[SHM_CP],
		.cp_counters = w->region[SHM_CP_COUNTERS],
		.dp = w->region[SHM_DP],
		.workers = w->config.workers,
		.pid = 2,
		.key = {rng_mix(&s), rng_mix(&s)},
		.config = &w->config,
		.store = w->lent,
		.trials = w->trials};

	(void)unused;
	return w->trials != NULL && controlplane_create(&conf, now_of(w), &w->plane) == ERR_NONE;
}

static void start_controlplane(struct world *w)
{
	bool created = false;

	w->store = storage_memory_open(w->disk, w->now_us);
	ASSERT(w->store != NULL);
	w->lent = world_lend_store(w);
	if (run(w, PROCESS_CONTROLPLANE, create_controlplane, 0, &created) && !created)
		world_kill(w, WORLD_CONTROLPLANE); /* the launcher tries again later */
}

static bool create_workers(struct world *w, unsigned unused)
{
	char why[256] = "";
	uint64_t s = w->seed + 0x1000 * ++w->lives;
	const struct hash_key key = {rng_mix(&s), rng_mix(&s)};

	(void)unused;
	shm_region_start(w->region[SHM_DP], w->lives);
	shm_region_start(w->region[SHM_DP_COUNTERS], w->lives);
	w->peers = w->config.workers > 1 ? peers_create(w->config.workers) : NULL;
	for (uint32_t i = 0; i < w->config.workers; i++) {
		w->box[i].key = key;
		w->box[i].seed = rng_mix(&s);
		w->box[i].peers = w->peers;
		w->worker[i] = worker_create(&w->box[i], w->now_us, why, sizeof(why));
		if (w->worker[i] == NULL)
			fprintf(stderr, "%s\n", why);
		ASSERT(w->worker[i] != NULL);
	}
	return true;
}

void world_start(struct world *w, enum world_victim v)
{
	bool created;

	if (v != WORLD_DATAPLANE && w->store == NULL)
		start_controlplane(w);
	if (v != WORLD_CONTROLPLANE && !world_alive(w, WORLD_DATAPLANE))
		run(w, PROCESS_DATAPLANE, create_workers, 0, &created);
}

static void bury_controlplane(struct world *w)
{
	w->plane = NULL;
	w->trials = NULL;
	w->paused[0] = false;
	process_kill(PROCESS_CONTROLPLANE);
	world_take_store_back(w);
}

static void bury_dataplane(struct world *w)
{
	for (uint32_t i = 0; i < w->config.workers; i++)
		w->worker[i] = NULL;
	w->peers = NULL;
	w->paused[1] = false;
	process_kill(PROCESS_DATAPLANE);
	world_refill_pools(w);
}

static void power_cut(struct world *w)
{
	if (w->store != NULL) {
		w->plane = NULL;
		process_kill(PROCESS_CONTROLPLANE);
		world_drop_lent(w);
		storage_memory_crash(&w->store, rng_next(&w->rng) | 1);
	}
	bury_dataplane(w);
	world_clear_regions(w);
}

void world_kill(struct world *w, enum world_victim v)
{
	ASSERT(in_turn == NULL);
	if (v == WORLD_MACHINE)
		power_cut(w);
	else if (v == WORLD_CONTROLPLANE && w->store != NULL)
		bury_controlplane(w);
	else if (v == WORLD_DATAPLANE && world_alive(w, WORLD_DATAPLANE))
		bury_dataplane(w);
}

void world_pause(struct world *w, enum world_victim v, bool paused)
{
	if (v != WORLD_DATAPLANE)
		w->paused[0] = paused;
	if (v != WORLD_CONTROLPLANE)
		w->paused[1] = paused;
}

bool world_alive(const struct world *w, enum world_victim v)
{
	const bool controlplane = w->plane != NULL, dataplane = w->worker[0] != NULL;

	return v == WORLD_CONTROLPLANE ? controlplane
	       : v == WORLD_DATAPLANE  ? dataplane
				       : controlplane && dataplane;
}

static bool turn_controlplane(struct world *w, unsigned unused)
{
	bool worked;

	(void)unused;
	w->failed = controlplane_turn(w->plane, now_of(w), &worked) != ERR_NONE;
	return worked;
}

bool world_turn_controlplane(struct world *w, unsigned unused)
{
	bool busy = true;

	if (w->plane == NULL || w->paused[0])
		return false;
	run(w, PROCESS_CONTROLPLANE, turn_controlplane, unused, &busy);
	if (w->plane != NULL && w->failed)
		world_kill(w, WORLD_CONTROLPLANE); /* its store is dead: it ends itself */
	return busy;
}

static bool turn_worker(struct world *w, unsigned worker)
{
	return worker_turn(w->worker[worker], w->now_us);
}

bool world_turn_worker(struct world *w, unsigned worker)
{
	bool busy = true;

	if (w->worker[worker] == NULL || w->paused[1])
		return false;
	run(w, PROCESS_DATAPLANE, turn_worker, worker, &busy);
	return busy;
}

uint64_t world_planes_next_us(const struct world *w)
{
	uint64_t t = UINT64_MAX;

	if (w->plane != NULL && !w->paused[0])
		t = controlplane_next_us(w->plane, now_of(w));
	for (uint32_t i = 0; i < w->config.workers; i++)
		if (w->worker[i] != NULL && !w->paused[1])
			t = RTE_MIN(t, worker_next_us(w->worker[i]));
	if (w->store != NULL)
		t = RTE_MIN(t, storage_memory_next_us(w->store));
	return t;
}

static bool end_controlplane(struct world *w, unsigned unused)
{
	(void)unused;
	if (w->plane != NULL)
		controlplane_destroy(&w->plane);
	if (w->trials != NULL)
		trials_destroy(&w->trials);
	return true;
}

static bool end_workers(struct world *w, unsigned unused)
{
	(void)unused;
	if (w->peers != NULL)
		peers_clear(w->peers);
	for (uint32_t i = 0; i < w->config.workers; i++)
		if (w->worker[i] != NULL)
			worker_destroy(&w->worker[i]);
	if (w->peers != NULL)
		peers_destroy(&w->peers);
	return true;
}

/* In order: all memory must come back by itself. */
void world_end_planes(struct world *w)
{
	bool done;

	w->ambush.left = 0;
	run(w, PROCESS_DATAPLANE, end_workers, 0, &done);
	run(w, PROCESS_CONTROLPLANE, end_controlplane, 0, &done);
	ASSERT(process_blocks(PROCESS_DATAPLANE) == 0);
	ASSERT(process_blocks(PROCESS_CONTROLPLANE) == 0);
	if (w->store != NULL)
		world_take_store_back(w);
}

void world_kill_controlplane(struct world *w)
{
	world_kill(w, WORLD_CONTROLPLANE);
}

void world_start_controlplane(struct world *w)
{
	world_start(w, WORLD_CONTROLPLANE);
}

void world_restart_dataplane(struct world *w)
{
	world_kill(w, WORLD_DATAPLANE);
	world_start(w, WORLD_DATAPLANE);
}
