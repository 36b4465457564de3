/* tiers_test.c - versions written, read, written over, and damaged. */
#include "dataplane/shm/tiers.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/mman.h>

static uint8_t *base;
static uint8_t copy[4096];

static void start(void)
{
	base = mmap(NULL, shm_region_bytes(SHM_TIERS, 1), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(base, MAP_FAILED);
}

static void finish(void)
{
	munmap(base, shm_region_bytes(SHM_TIERS, 1));
}

static uint64_t number_of(uint32_t seat)
{
	return shm_tiers_page(base)->number[seat];
}

static enum err read_version(uint32_t seat, uint64_t number, struct shm_tier *out)
{
	const size_t size = shm_tier_size(base, seat, number);

	CU_ASSERT_TRUE_FATAL(size <= sizeof(copy));
	return size == 0 ? ERR_TIER_BAD : shm_tier_read(base, seat, number, copy, size, out);
}

static void what_is_written_is_read(void)
{
	struct shm_tier t = {0};

	start();
	CU_ASSERT_EQUAL(number_of(3), 0);
	for (uint64_t n = 1; n < 6; n++) {
		const struct span texts = span_of("texts and more", 5 + n);
		CU_ASSERT_TRUE(shm_tier_write(base, 3, texts, span_str("database")));
		CU_ASSERT_EQUAL(number_of(3), n);
		CU_ASSERT_EQUAL(shm_tiers_page(base)->changes, n);
		CU_ASSERT_EQUAL_FATAL(read_version(3, n, &t), ERR_NONE);
		CU_ASSERT_TRUE(span_equal(t.texts, texts));
		CU_ASSERT_TRUE(span_equal(t.database, span_str("database")));
	}
	/* The one before is there still, the one before that is not. */
	CU_ASSERT_EQUAL(read_version(3, 4, &t), ERR_NONE);
	CU_ASSERT_EQUAL(read_version(3, 3, &t), ERR_TIER_BAD);
	CU_ASSERT_EQUAL(number_of(2), 0);
	CU_ASSERT_EQUAL(number_of(4), 0);
	finish();
}

static void an_empty_one_clears_a_seat(void)
{
	struct shm_tier t = {0};

	start();
	CU_ASSERT_TRUE(shm_tier_write(base, 0, span_of(NULL, 0), span_of(NULL, 0)));
	CU_ASSERT_EQUAL(read_version(0, 1, &t), ERR_NONE);
	CU_ASSERT_EQUAL(t.texts.size + t.database.size, 0);
	finish();
}

static void too_large_ones_are_refused(void)
{
	start();
	const struct span all = span_of(base, SHM_TIER_BYTES);
	const struct span fits = span_of(base, SHM_TIER_BYTES - sizeof(struct shm_tier_head) - 3);
	CU_ASSERT_FALSE(shm_tier_write(base, 8, span_of(NULL, 0), all));
	CU_ASSERT_FALSE(shm_tier_write(base, 8, all, all));
	CU_ASSERT_FALSE(shm_tier_write(base, 8, span_str("four"), fits));
	CU_ASSERT_EQUAL(number_of(8), 0);
	CU_ASSERT_TRUE(shm_tier_write(base, 8, span_str("abc"), fits));
	CU_ASSERT_EQUAL(shm_tier_size(base, 8, 1), SHM_TIER_BYTES);
	finish();
}

/* Any bit, any cut, another number. */
static void damage_is_seen(void)
{
	struct shm_tier t = {0};

	start();
	CU_ASSERT_TRUE(shm_tier_write(base, 1, span_str("texts"), span_str("a database")));
	const size_t size = shm_tier_size(base, 1, 1);
	uint8_t *version = base + (size_t)2 * SHM_PAGE + (size_t)3 * SHM_TIER_BYTES;
	for (size_t bit = 0; bit < 8 * size; bit++) {
		version[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT_EQUAL(shm_tier_read(base, 1, 1, copy, size, &t), ERR_TIER_BAD);
		version[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t cut = 0; cut < size; cut++)
		CU_ASSERT_EQUAL(shm_tier_check(version, cut, 1, &t), ERR_TIER_BAD);
	CU_ASSERT_EQUAL(shm_tier_check(version, size, 2, &t), ERR_TIER_BAD);
	CU_ASSERT_EQUAL(shm_tier_check(version, size, 1, &t), ERR_NONE);
	memset(version, 0xff, size);
	CU_ASSERT_EQUAL(shm_tier_size(base, 1, 1), 0);
	CU_ASSERT_EQUAL(
		shm_tier_read(base, 1, 1, copy, (size_t)SHM_TIER_BYTES + 1, &t), ERR_TIER_BAD);
	finish();
}

static const struct unit_test tests[] = {
	{"what_is_written_is_read", what_is_written_is_read},
	{"an_empty_one_clears_a_seat", an_empty_one_clears_a_seat},
	{"too_large_ones_are_refused", too_large_ones_are_refused},
	{"damage_is_seen", damage_is_seen},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tiers", tests, argc, argv);
}
