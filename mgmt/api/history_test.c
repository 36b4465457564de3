/* history_test.c - samples, the ring, and rates over it. */
#include "mgmt/api/history.h"

#include "tests/unit/regions.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

enum { S = 1000000 };

static struct history h;

static struct sample sample(uint64_t now_us, uint64_t publishes)
{
	struct sample s;

	memset(&s, 0, sizeof(s));
	s.now_us = now_us;
	s.workers = 1;
	s.value[COUNTER_PUBLISHES] = publishes;
	return s;
}

static void add(uint64_t now_us, uint64_t publishes)
{
	const struct sample s = sample(now_us, publishes);

	history_add(&h, &s);
}

static void empty_has_nothing(void)
{
	history_init(&h);
	CU_ASSERT_PTR_NULL(history_newest(&h));
	CU_ASSERT_PTR_NULL(history_at(&h, 0));
	CU_ASSERT_PTR_NULL(history_at(&h, 1));
	CU_ASSERT_PTR_NULL(history_base(&h));
	CU_ASSERT_EQUAL(history_oldest_id(&h), 0);
	CU_ASSERT_EQUAL(history_rate(&h, COUNTER_PUBLISHES), 0);
}

static void ids_count_from_one(void)
{
	history_init(&h);
	add(1 * S, 10);
	add(2 * S, 20);
	CU_ASSERT_EQUAL(history_newest(&h)->id, 2);
	CU_ASSERT_EQUAL(history_at(&h, 1)->value[COUNTER_PUBLISHES], 10);
	CU_ASSERT_EQUAL(history_at(&h, 2)->value[COUNTER_PUBLISHES], 20);
	CU_ASSERT_PTR_NULL(history_at(&h, 3));
	CU_ASSERT_EQUAL(history_oldest_id(&h), 1);
}

static void oldest_makes_room(void)
{
	history_init(&h);
	for (uint64_t i = 1; i <= HISTORY_SAMPLES + 2; i++)
		add(i * S, i);
	CU_ASSERT_EQUAL(history_oldest_id(&h), 3);
	CU_ASSERT_PTR_NULL(history_at(&h, 2));
	for (uint64_t id = 3; id <= HISTORY_SAMPLES + 2; id++) {
		const struct sample *s = history_at(&h, id);
		CU_ASSERT(s != NULL && s->id == id && s->value[COUNTER_PUBLISHES] == id);
	}
}

static void rate_is_over_five_steps(void)
{
	history_init(&h);
	for (uint64_t i = 0; i < 5; i++)
		add((i + 1) * S, 0);
	/* Six samples: base is the first of them, five seconds earlier. */
	add(6 * S, 500);
	CU_ASSERT_DOUBLE_EQUAL(history_rate(&h, COUNTER_PUBLISHES), 100, 1e-9);
	add(7 * S, 1500);
	CU_ASSERT_DOUBLE_EQUAL(history_rate(&h, COUNTER_PUBLISHES), 300, 1e-9);
}

static void rate_with_few_samples(void)
{
	history_init(&h);
	add(1 * S, 7);
	CU_ASSERT_EQUAL(history_rate(&h, COUNTER_PUBLISHES), 0);
	add(3 * S, 27);
	CU_ASSERT_DOUBLE_EQUAL(history_rate(&h, COUNTER_PUBLISHES), 10, 1e-9);
}

static void rates_of_odd_pairs(void)
{
	static const struct {
		uint64_t from_us, to_us, before, after;
		double rate;
	} rows[] = {
		{1 * S, 2 * S, 100, 150, 50},
		{1 * S, 3 * S, 100, 150, 25}, /* an odd step */
		{1 * S, 2 * S, 100, 100, 0},  /* nothing happened */
		{1 * S, 2 * S, 100, 30, 30},  /* restarted from 0 */
		{2 * S, 2 * S, 100, 150, 0},  /* no time passed */
		{3 * S, 2 * S, 100, 150, 0},  /* the clock went back */
		{1 * S, 2 * S, 0, 1u << 31, 1u << 31},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct sample a = sample(rows[i].from_us, rows[i].before);
		const struct sample b = sample(rows[i].to_us, rows[i].after);
		CU_ASSERT_DOUBLE_EQUAL(sample_rate(&a, &b, COUNTER_PUBLISHES), rows[i].rate, 1e-6);
	}
}

static void busy_is_a_percentage(void)
{
	static const struct {
		uint64_t before, after;
		double percent;
	} rows[] = {
		{0, S / 2, 50}, {S, S, 0}, {S, 0, 0}, {0, 3 * S, 100}, /* never above all of it */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sample a = sample(1 * S, 0), b = sample(2 * S, 0);
		a.worker[0].busy_us = rows[i].before;
		b.worker[0].busy_us = rows[i].after;
		CU_ASSERT_DOUBLE_EQUAL(sample_busy_percent(&a, &b, 0), rows[i].percent, 1e-9);
	}
}

static void age_of_heartbeats(void)
{
	const struct sample s = sample(10 * S, 0);

	CU_ASSERT_EQUAL(sample_age_ms(&s, 0), -1);
	CU_ASSERT_EQUAL(sample_age_ms(&s, 10 * S), 0);
	CU_ASSERT_EQUAL(sample_age_ms(&s, 10 * S + 5), 0); /* it moved while we looked */
	CU_ASSERT_EQUAL(sample_age_ms(&s, 8 * S), 2000);
}

static void snapshot_folds_all_writers(void)
{
	struct shm_map map;
	struct snapshot *s = malloc(sizeof(*s));

	CU_ASSERT_FATAL(s != NULL);
	unit_regions_open(&map, 2);
	shm_region_start(map.base[SHM_DP_COUNTERS], 11);
	shm_region_start(map.base[SHM_DP_COUNTERS], 12);
	shm_region_ready(map.base[SHM_DP_COUNTERS], true);
	counter_add(shm_counters(map.base[SHM_DP_COUNTERS], 0), COUNTER_PUBLISHES, 3);
	counter_add(shm_counters(map.base[SHM_DP_COUNTERS], 1), COUNTER_PUBLISHES, 4);
	counter_add(shm_counters(map.base[SHM_DP_COUNTERS], 1), COUNTER_WORKER_BUSY_US, 9);
	counter_err(shm_counters(map.base[SHM_DP_COUNTERS], 1), ERR_TRUNCATED);
	counter_add(shm_counters(map.base[SHM_CP_COUNTERS], 0), COUNTER_CP_GRANTS, 5);
	shm_store(&shm_counters(map.base[SHM_CP_COUNTERS], 0)->heartbeat_us, 77);
	shm_store(&shm_counters(map.base[SHM_DP_COUNTERS], 0)->heartbeat_us, 99);
	shm_store(&shm_counters(map.base[SHM_DP_COUNTERS], 1)->heartbeat_us, 88);
	shm_process(map.base[SHM_LAUNCHER], SHM_PROCESS_DATAPLANE)->restarts = 1;

	snapshot_read(&map, 5 * S, 1234, s);
	CU_ASSERT_EQUAL(s->sum.workers, 2);
	CU_ASSERT_EQUAL(s->sum.now_us, 5 * S);
	CU_ASSERT_EQUAL(s->sum.wall_ms, 1234);
	CU_ASSERT_EQUAL(s->sum.value[COUNTER_PUBLISHES], 7);
	CU_ASSERT_EQUAL(s->sum.value[COUNTER_CP_GRANTS], 5);
	CU_ASSERT_EQUAL(s->sum.value[COUNTER_NAMED + ERR_TRUNCATED], 1);
	CU_ASSERT_EQUAL(s->worker_value[1][COUNTER_PUBLISHES], 4);
	CU_ASSERT_EQUAL(s->controlplane_value[COUNTER_CP_GRANTS], 5);
	CU_ASSERT_EQUAL(s->sum.worker[1].busy_us, 9);
	CU_ASSERT_EQUAL(s->sum.process[SHM_PROCESS_DATAPLANE].generation, 2);
	CU_ASSERT(s->sum.process[SHM_PROCESS_DATAPLANE].ready);
	CU_ASSERT_EQUAL(s->sum.process[SHM_PROCESS_DATAPLANE].restarts, 1);
	CU_ASSERT_EQUAL(s->sum.process[SHM_PROCESS_CONTROLPLANE].heartbeat_us, 77);
	CU_ASSERT_EQUAL(s->sum.process[SHM_PROCESS_DATAPLANE].heartbeat_us, 88);
	CU_ASSERT(!s->sum.process[SHM_PROCESS_CONTROLPLANE].ready);
	unit_regions_close(&map);
	free(s);
}

static void snapshot_without_regions(void)
{
	const struct shm_map map = {0};
	struct snapshot *s = malloc(sizeof(*s));

	CU_ASSERT_FATAL(s != NULL);
	snapshot_read(&map, 1, 2, s);
	CU_ASSERT_EQUAL(s->sum.workers, 0);
	CU_ASSERT(!s->sum.process[SHM_PROCESS_DATAPLANE].attached);
	CU_ASSERT(!s->sum.process[SHM_PROCESS_DATAPLANE].known);
	CU_ASSERT_EQUAL(s->sum.value[COUNTER_PUBLISHES], 0);
	free(s);
}

static const struct unit_test tests[] = {
	{"empty_has_nothing", empty_has_nothing},
	{"ids_count_from_one", ids_count_from_one},
	{"oldest_makes_room", oldest_makes_room},
	{"rate_is_over_five_steps", rate_is_over_five_steps},
	{"rate_with_few_samples", rate_with_few_samples},
	{"rates_of_odd_pairs", rates_of_odd_pairs},
	{"busy_is_a_percentage", busy_is_a_percentage},
	{"age_of_heartbeats", age_of_heartbeats},
	{"snapshot_folds_all_writers", snapshot_folds_all_writers},
	{"snapshot_without_regions", snapshot_without_regions},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("history", tests, argc, argv);
}
