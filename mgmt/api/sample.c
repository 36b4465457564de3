/* sample.c - copies the counter regions, and compares two copies. See sample.h. */
#include "mgmt/api/sample.h"

#include <string.h>

static void read_block(const void *region, uint32_t block, uint64_t *values)
{
	const struct counters *c = shm_counters_const(region, block);

	for (unsigned id = 0; id < COUNTER_TOTAL; id++)
		values[id] = counter_get(c, (enum counter)id);
}

static void add(uint64_t *sum, const uint64_t *values)
{
	for (unsigned id = 0; id < COUNTER_TOTAL; id++)
		sum[id] += values[id];
}

static void read_workers(const struct shm_map *map, struct snapshot *out)
{
	const void *region = map->view[SHM_DP_COUNTERS];

	out->sum.workers = map->workers < SHM_WORKERS_MAX ? map->workers : SHM_WORKERS_MAX;
	for (uint32_t w = 0; w < out->sum.workers; w++) {
		read_block(region, w, out->worker_value[w]);
		add(out->sum.value, out->worker_value[w]);
		out->sum.worker[w] = (struct worker_view){
			.heartbeat_us = shm_load(&shm_counters_const(region, w)->heartbeat_us),
			.busy_us = out->worker_value[w][COUNTER_WORKER_BUSY_US],
		};
	}
}

/* The dataplane lives as long as its slowest worker does. */
static uint64_t oldest_beat(const struct sample *s)
{
	uint64_t oldest = s->workers == 0 ? 0 : UINT64_MAX;

	for (uint32_t w = 0; w < s->workers; w++)
		if (s->worker[w].heartbeat_us < oldest)
			oldest = s->worker[w].heartbeat_us;
	return oldest;
}

static void read_header(const void *region, struct process_view *out)
{
	const struct shm_header *h = (const struct shm_header *)region;

	out->attached = true;
	out->generation = shm_load(&h->generation);
	out->ready = shm_load32(&h->ready) == 1;
	out->heartbeat_us = shm_load(&h->heartbeat_us);
}

static void read_process(const void *launcher, enum shm_process_id id, struct process_view *out)
{
	const struct shm_process *p = shm_process_const(launcher, id);

	out->known = true;
	out->pid = shm_load32(&p->pid);
	out->state = shm_load32(&p->state);
	out->restarts = shm_load32(&p->restarts);
	out->last_code = shm_load32(&p->last_code);
	out->last_fatal = shm_load32(&p->last_fatal) != 0;
	out->started_us = shm_load(&p->started_us);
}

void snapshot_read(
	const struct shm_map *map, uint64_t now_us, int64_t wall_ms, struct snapshot *out)
{
	struct process_view *process = out->sum.process;

	memset(out, 0, sizeof(*out));
	if (map->view[SHM_DP_COUNTERS] != NULL) {
		read_workers(map, out);
		read_header(map->view[SHM_DP_COUNTERS], &process[SHM_PROCESS_DATAPLANE]);
		process[SHM_PROCESS_DATAPLANE].heartbeat_us = oldest_beat(&out->sum);
	}
	if (map->view[SHM_CP_COUNTERS] != NULL) {
		const void *region = map->view[SHM_CP_COUNTERS];
		read_block(region, 0, out->controlplane_value);
		add(out->sum.value, out->controlplane_value);
		read_header(region, &process[SHM_PROCESS_CONTROLPLANE]);
		/* Its one block of counters has a heartbeat too: the later one counts. */
		const uint64_t beat = shm_load(&shm_counters_const(region, 0)->heartbeat_us);
		if (beat > process[SHM_PROCESS_CONTROLPLANE].heartbeat_us)
			process[SHM_PROCESS_CONTROLPLANE].heartbeat_us = beat;
	}
	if (map->view[SHM_LAUNCHER] != NULL)
		for (unsigned id = 0; id < SHM_PROCESSES; id++)
			read_process(
				map->view[SHM_LAUNCHER], (enum shm_process_id)id, &process[id]);
	/* Last: no heartbeat in the sample is younger than the sample, unless clocks differ. */
	out->sum.now_us = now_us;
	out->sum.wall_ms = wall_ms;
}

double sample_rate(const struct sample *older, const struct sample *newer, unsigned counter)
{
	const uint64_t before = older->value[counter], after = newer->value[counter];

	if (newer->now_us <= older->now_us)
		return 0;
	const uint64_t grown = after >= before ? after - before : after;
	return (double)grown * 1e6 / (double)(newer->now_us - older->now_us);
}

double sample_busy_percent(const struct sample *older, const struct sample *newer, uint32_t worker)
{
	const uint64_t before = older->worker[worker].busy_us;
	const uint64_t after = newer->worker[worker].busy_us;

	if (newer->now_us <= older->now_us || after <= before)
		return 0;
	const double percent =
		(double)(after - before) * 100.0 / (double)(newer->now_us - older->now_us);
	return percent > 100.0 ? 100.0 : percent;
}

int64_t sample_age_ms(const struct sample *s, uint64_t heartbeat_us)
{
	if (heartbeat_us == 0)
		return -1;
	return heartbeat_us < s->now_us ? (int64_t)((s->now_us - heartbeat_us) / 1000) : 0;
}
