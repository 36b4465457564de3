/* region.c - sizes, page 0 and what lies where. See region.h. */
#include "dataplane/shm/region.h"

#include "dataplane/base/assert.h"
#include "dataplane/shm/config.h"
#include "dataplane/shm/tiers.h"

enum {
	CONFIG_PAGE = 1, /* of CP: configuration after the header, then the workers */
	CP_FIXED_PAGES = 2,
};

static_assert(sizeof(struct shm_header) == SHM_PAGE, "the header is one page");
static_assert(sizeof(struct shm_index) == 64, "an index fills its cache line");
static_assert(sizeof(struct shm_dp_worker) % SHM_PAGE == 0, "workers are page-aligned");
static_assert(sizeof(struct shm_cp_worker) % SHM_PAGE == 0, "workers are page-aligned");
static_assert(sizeof(struct counters) == SHM_PAGE, "a block of counters is one page");
static_assert(sizeof(struct shm_config_page) <= SHM_PAGE, "the configuration is one page");
static_assert((SHM_RING_SLOTS & (SHM_RING_SLOTS - 1)) == 0, "slots are found by mask");

static const struct {
	size_t fixed, worker;
} sizes[SHM_REGIONS] = {
	[SHM_DP] = {SHM_PAGE, sizeof(struct shm_dp_worker)},
	[SHM_CP] = {CP_FIXED_PAGES * SHM_PAGE, sizeof(struct shm_cp_worker)},
	[SHM_DP_COUNTERS] = {SHM_PAGE, sizeof(struct counters)},
	[SHM_CP_COUNTERS] = {2 * SHM_PAGE, 0},
	[SHM_LAUNCHER] = {2 * SHM_PAGE, 0},
	[SHM_TIERS] = {2 * SHM_PAGE + (size_t)2 * SHM_TIER_SEATS * SHM_TIER_BYTES, 0},
	[SHM_LIVE] = {SHM_PAGE, SHM_LIVE_BYTES}, /* taken as it is written */
};

size_t shm_region_bytes(enum shm_region kind, uint32_t workers)
{
	ASSERT(kind < SHM_REGIONS);
	ASSERT(workers >= 1 && workers <= SHM_WORKERS_MAX);
	return sizes[kind].fixed + workers * sizes[kind].worker;
}

void shm_region_init(void *base, enum shm_region kind, uint32_t workers)
{
	struct shm_header *h = (struct shm_header *)base;

	h->abi = SHM_ABI;
	h->abi_oldest = SHM_ABI_OLDEST;
	h->kind = kind;
	h->workers = workers;
	h->size = shm_region_bytes(kind, workers);
	shm_store32(&h->ready, 0);
	shm_store32(&h->sleeping, 0);
	/* Last: whoever sees the magic sees the rest. */
	shm_store(&h->magic, SHM_MAGIC);
}

enum err shm_region_check(const void *base, size_t size, enum shm_region kind)
{
	const struct shm_header *h = (const struct shm_header *)base;

	/* Each field is read once: of DP, the writer may change it between two looks. */
	if (size < SHM_PAGE || shm_load(&h->magic) != SHM_MAGIC)
		return ERR_ABI_MISMATCH;
	const uint32_t abi = shm_load32(&h->abi), oldest = shm_load32(&h->abi_oldest);
	if (oldest > abi || oldest > SHM_ABI || abi < SHM_ABI_OLDEST)
		return ERR_ABI_MISMATCH;
	const uint32_t workers = shm_load32(&h->workers);
	if (shm_load32(&h->kind) != kind || workers < 1 || workers > SHM_WORKERS_MAX)
		return ERR_ABI_MISMATCH;
	const size_t bytes = shm_region_bytes(kind, workers);
	if (shm_load(&h->size) != bytes || size < bytes)
		return ERR_ABI_MISMATCH;
	return ERR_NONE;
}

uint64_t shm_region_start(void *base, uint32_t pid)
{
	struct shm_header *h = (struct shm_header *)base;
	const uint64_t generation = shm_load(&h->generation) + 1;

	shm_store32(&h->ready, 0);
	shm_store32(&h->sleeping, 0);
	shm_store32(&h->pid, pid);
	shm_store(&h->generation, generation);
	return generation;
}

void shm_region_ready(void *base, bool ready)
{
	shm_store32(&((struct shm_header *)base)->ready, ready);
}

void shm_region_beat(void *base, uint64_t now_us)
{
	shm_store(&((struct shm_header *)base)->heartbeat_us, now_us);
}

static const uint8_t *worker_at(const void *base, enum shm_region kind, uint32_t worker)
{
	ASSERT(worker < SHM_WORKERS_MAX);
	return (const uint8_t *)base + sizes[kind].fixed + worker * sizes[kind].worker;
}

const struct shm_dp_worker *shm_dp_worker_const(const void *base, uint32_t worker)
{
	return (const struct shm_dp_worker *)worker_at(base, SHM_DP, worker);
}

struct shm_dp_worker *shm_dp_worker(void *base, uint32_t worker)
{
	return (struct shm_dp_worker *)(uintptr_t)worker_at(base, SHM_DP, worker);
}

const struct shm_cp_worker *shm_cp_worker_const(const void *base, uint32_t worker)
{
	return (const struct shm_cp_worker *)worker_at(base, SHM_CP, worker);
}

struct shm_cp_worker *shm_cp_worker(void *base, uint32_t worker)
{
	return (struct shm_cp_worker *)(uintptr_t)worker_at(base, SHM_CP, worker);
}

void *shm_live(void *base, uint32_t worker)
{
	return (void *)(uintptr_t)worker_at(base, SHM_LIVE, worker);
}

const struct counters *shm_counters_const(const void *base, uint32_t block)
{
	return (const struct counters *)worker_at(base, SHM_DP_COUNTERS, block);
}

struct counters *shm_counters(void *base, uint32_t block)
{
	return (struct counters *)(uintptr_t)worker_at(base, SHM_DP_COUNTERS, block);
}

const struct shm_config_page *shm_config_page_const(const void *cp_base)
{
	return (const struct shm_config_page *)((const uint8_t *)cp_base + CONFIG_PAGE * SHM_PAGE);
}

struct shm_config_page *shm_config_page(void *cp_base)
{
	return (struct shm_config_page *)((uint8_t *)cp_base + CONFIG_PAGE * SHM_PAGE);
}
