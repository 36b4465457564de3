/* monitor.c - takes samples. See monitor.h. */
#include "mgmt/http/monitor.h"

void monitor_init(struct monitor *m, const struct shm_map *map, uint64_t now_us, int64_t wall_ms)
{
	m->map = map;
	m->epoch = (uint64_t)wall_ms;
	history_init(&m->history);
	inspections_init(&m->inspections, NULL);
	monitor_tick(m, now_us, wall_ms);
}

void monitor_refresh(struct monitor *m, uint64_t now_us, int64_t wall_ms)
{
	snapshot_read(m->map, now_us, wall_ms, &m->snapshot);
}

void monitor_tick(struct monitor *m, uint64_t now_us, int64_t wall_ms)
{
	monitor_refresh(m, now_us, wall_ms);
	m->snapshot.sum.id = history_add(&m->history, &m->snapshot.sum);
}
