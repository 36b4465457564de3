/* region_test.c - layout, page 0, the configuration snapshot, the doorbell's words. */
#include "dataplane/shm/region.h"

#include "dataplane/shm/config.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/shm/processes.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

static void *region_new(enum shm_region kind, uint32_t workers)
{
	void *base = aligned_alloc(SHM_PAGE, shm_region_bytes(kind, workers));
	memset(base, 0, shm_region_bytes(kind, workers));
	shm_region_init(base, kind, workers);
	return base;
}

static void everything_lies_inside_and_apart(void)
{
	for (uint32_t workers = 1; workers <= SHM_WORKERS_MAX; workers++) {
		uint8_t *dp = region_new(SHM_DP, workers), *cp = region_new(SHM_CP, workers);
		uint8_t *counters = region_new(SHM_DP_COUNTERS, workers);
		uint8_t *dp_at = dp + SHM_PAGE, *counters_at = counters + SHM_PAGE;
		uint8_t *cp_at = (uint8_t *)(shm_config_page(cp) + 1);

		CU_ASSERT((uint8_t *)shm_config_page(cp) >= cp + SHM_PAGE);
		for (uint32_t w = 0; w < workers; w++) {
			CU_ASSERT((uint8_t *)shm_dp_worker(dp, w) >= dp_at);
			CU_ASSERT((uint8_t *)shm_cp_worker(cp, w) >= cp_at);
			CU_ASSERT((uint8_t *)shm_counters(counters, w) >= counters_at);
			CU_ASSERT((uintptr_t)shm_dp_worker(dp, w) % SHM_PAGE == 0);
			CU_ASSERT((uintptr_t)shm_cp_worker(cp, w) % SHM_PAGE == 0);
			CU_ASSERT(shm_dp_worker_const(dp, w) == shm_dp_worker(dp, w));
			CU_ASSERT(shm_cp_worker_const(cp, w) == shm_cp_worker(cp, w));
			CU_ASSERT(shm_counters_const(counters, w) == shm_counters(counters, w));
			dp_at = (uint8_t *)(shm_dp_worker(dp, w) + 1);
			cp_at = (uint8_t *)(shm_cp_worker(cp, w) + 1);
			counters_at = (uint8_t *)(shm_counters(counters, w) + 1);
		}
		CU_ASSERT(dp_at == dp + shm_region_bytes(SHM_DP, workers));
		CU_ASSERT(cp_at == cp + shm_region_bytes(SHM_CP, workers));
		CU_ASSERT(counters_at == counters + shm_region_bytes(SHM_DP_COUNTERS, workers));
		free(dp);
		free(cp);
		free(counters);
	}
	uint8_t *launcher = region_new(SHM_LAUNCHER, 1);
	CU_ASSERT((uint8_t *)(shm_process(launcher, SHM_PROCESSES)) <=
		  launcher + shm_region_bytes(SHM_LAUNCHER, 1));
	CU_ASSERT((uint8_t *)shm_process(launcher, (enum shm_process_id)0) == launcher + SHM_PAGE);
	free(launcher);
}

static void check_refuses_what_it_does_not_know(void)
{
	static const struct {
		const char *name;
		size_t offset, size;
		uint64_t value;
	} rows[] = {
		{"magic", offsetof(struct shm_header, magic), 8, 1},
		{"no magic", offsetof(struct shm_header, magic), 8, 0},
		{"kind", offsetof(struct shm_header, kind), 4, SHM_CP},
		{"no workers", offsetof(struct shm_header, workers), 4, 0},
		{"other workers", offsetof(struct shm_header, workers), 4, 3},
		{"many workers", offsetof(struct shm_header, workers), 4, SHM_WORKERS_MAX + 1},
		{"all workers", offsetof(struct shm_header, workers), 4, UINT32_MAX},
		{"size", offsetof(struct shm_header, size), 8, SHM_PAGE},
		{"newer than we", offsetof(struct shm_header, abi_oldest), 4, SHM_ABI + 1},
		{"older than we", offsetof(struct shm_header, abi), 4, SHM_ABI_OLDEST - 1},
	};
	const size_t bytes = shm_region_bytes(SHM_DP, 2);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t *base = region_new(SHM_DP, 2);
		CU_ASSERT(shm_region_check(base, bytes, SHM_DP) == ERR_NONE);
		CU_ASSERT(shm_region_check(base, bytes + 1, SHM_DP) == ERR_NONE);
		CU_ASSERT(shm_region_check(base, bytes - 1, SHM_DP) == ERR_ABI_MISMATCH);
		CU_ASSERT(shm_region_check(base, SHM_PAGE - 1, SHM_DP) == ERR_ABI_MISMATCH);
		memcpy(base + rows[i].offset, &rows[i].value, rows[i].size);
		CU_ASSERT(shm_region_check(base, bytes, SHM_DP) == ERR_ABI_MISMATCH);
		free(base);
	}
}

static void a_newer_neighbour_that_still_speaks_ours_is_accepted(void)
{
	struct shm_header *h = region_new(SHM_CP, 1);

	h->abi = SHM_ABI + 1;
	h->abi_oldest = SHM_ABI;
	CU_ASSERT(shm_region_check(h, shm_region_bytes(SHM_CP, 1), SHM_CP) == ERR_NONE);
	free(h);
}

static void each_start_is_a_new_generation(void)
{
	struct shm_header *h = region_new(SHM_DP, 1);

	CU_ASSERT(h->generation == 0);
	CU_ASSERT(shm_region_start(h, 11) == 1);
	shm_region_ready(h, true);
	shm_region_beat(h, 77);
	CU_ASSERT(h->pid == 11 && h->ready == 1 && h->heartbeat_us == 77);
	shm_doorbell_sleep(h);
	CU_ASSERT(shm_region_start(h, 12) == 2);
	CU_ASSERT(h->pid == 12 && h->ready == 0 && h->sleeping == 0 && h->generation == 2);
	/* The launcher repairs a header: readers must still see a next generation. */
	shm_region_init(h, SHM_DP, 1);
	CU_ASSERT(shm_region_start(h, 13) == 3);
	free(h);
}

static void a_configuration_is_read_whole_or_not_at_all(void)
{
	void *cp = region_new(SHM_CP, 1);
	struct shm_config_page *page = shm_config_page(cp);
	struct shm_config in, out;
	uint64_t sequence = 0, later = 0;

	memset(&in, 0x5a, sizeof(in));
	CU_ASSERT(!shm_config_read(page, &out, &sequence));
	shm_config_write(page, &in);
	CU_ASSERT(shm_config_read(page, &out, &sequence));
	CU_ASSERT(memcmp(&in, &out, sizeof(in)) == 0);
	page->sequence++; /* a writer is at work, or died there */
	CU_ASSERT(!shm_config_read(page, &out, &later));
	in.mtu = 9000;
	shm_config_write(page, &in);
	CU_ASSERT(shm_config_read(shm_config_page_const(cp), &out, &later));
	CU_ASSERT(out.mtu == 9000 && later > sequence);
	free(cp);
}

static bool stop;

static void *rewrite(void *page)
{
	struct shm_config c;

	for (uint8_t fill = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); fill++) {
		memset(&c, fill, sizeof(c));
		shm_config_write(page, &c);
	}
	return NULL;
}

static void a_configuration_is_never_torn(void)
{
	void *cp = region_new(SHM_CP, 1);
	pthread_t writer;
	uint32_t torn = 0, reads = 0;

	stop = false;
	CU_ASSERT_FATAL(pthread_create(&writer, NULL, rewrite, shm_config_page(cp)) == 0);
	for (uint32_t tries = 0; reads < 2000 && tries < 50000000; tries++) {
		struct shm_config c;
		uint64_t sequence;
		if (!shm_config_read(shm_config_page_const(cp), &c, &sequence))
			continue;
		const uint8_t *bytes = (const uint8_t *)&c;
		torn += memcmp(bytes, bytes + 1, sizeof(c) - 1) != 0;
		reads++;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(writer, NULL);
	CU_ASSERT(reads == 2000);
	CU_ASSERT(torn == 0);
	free(cp);
}

static void a_doorbell_rings_only_for_a_sleeper(void)
{
	struct shm_header *h = region_new(SHM_CP, 1);
	const int fd = eventfd(0, EFD_NONBLOCK);

	CU_ASSERT(!shm_doorbell_ring(h, fd));
	shm_doorbell_sleep(h);
	CU_ASSERT(!shm_doorbell_ring(h, -1));
	CU_ASSERT(shm_doorbell_ring(h, fd));
	CU_ASSERT(shm_doorbell_ring(h, fd));
	shm_doorbell_wake(h, fd);
	uint64_t left;
	CU_ASSERT(read(fd, &left, sizeof(left)) < 0);
	CU_ASSERT(!shm_doorbell_ring(h, fd));
	shm_doorbell_sleep(h);
	shm_doorbell_wake(h, fd); /* nobody rang */
	shm_doorbell_wake(h, -1);
	CU_ASSERT(h->sleeping == 0);
	close(fd);
	free(h);
}

static const struct unit_test tests[] = {
	{"everything_lies_inside_and_apart", everything_lies_inside_and_apart},
	{"check_refuses_what_it_does_not_know", check_refuses_what_it_does_not_know},
	{"a_newer_neighbour_that_still_speaks_ours_is_accepted",
		a_newer_neighbour_that_still_speaks_ours_is_accepted},
	{"each_start_is_a_new_generation", each_start_is_a_new_generation},
	{"a_configuration_is_read_whole_or_not_at_all",
		a_configuration_is_read_whole_or_not_at_all},
	{"a_configuration_is_never_torn", a_configuration_is_never_torn},
	{"a_doorbell_rings_only_for_a_sleeper", a_doorbell_rings_only_for_a_sleeper},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("region", tests, argc, argv);
}
