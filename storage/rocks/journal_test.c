/* journal_test.c - whole, torn or damaged: every cut and every flipped bit of a journal. */
#include "dataplane/base/rng.h"
#include "storage/rocks/journal.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = 32768, HEADER = 7, SECTOR = 512, FILE_MAX = 1 << 18, BATCHES = 60 };

struct journal {
	uint8_t bytes[FILE_MAX];
	size_t size;
	size_t batch_at[BATCHES]; /* where each begins */
};

static struct journal j;

static void little(uint8_t *to, uint64_t n, int bytes)
{
	for (int i = 0; i < bytes; i++)
		to[i] = (uint8_t)(n >> (8 * i));
}

/* RocksDB's log writer: a batch in as many records as it takes. */
static void append(const uint8_t *batch, size_t size)
{
	bool first = true;

	do {
		if (BLOCK - j.size % BLOCK < HEADER)
			j.size += BLOCK - j.size % BLOCK;
		const size_t room = BLOCK - j.size % BLOCK - HEADER;
		const size_t part = size < room ? size : room;
		const bool last = part == size;
		uint8_t *to = j.bytes + j.size;
		to[6] = (uint8_t)(first ? (last ? 1 : 2) : (last ? 4 : 3));
		memcpy(to + HEADER, batch, part);
		little(to, journal_crc(span_of(to + 6, 1 + part)), 4);
		little(to + 4, part, 2);
		j.size += HEADER + part;
		batch += part;
		size -= part;
		first = false;
	} while (size > 0);
}

/* Batches of random bytes; each claims all but the three before it. */
static void make(uint32_t count, uint32_t size_max)
{
	static uint8_t batch[FILE_MAX];
	struct rng rng = rng_from(7);

	memset(&j, 0, sizeof(j));
	for (uint32_t n = 0; n < count; n++) {
		const size_t size = 12 + rng_below(&rng, size_max);
		for (size_t i = 0; i < size; i++)
			batch[i] = (uint8_t)(1 + rng_below(&rng, 255));
		batch[size] = 3;
		batch[size + 1] = JOURNAL_CLAIM;
		journal_claim(batch + size + 2, n < 3 ? 0 : n - 3);
		j.batch_at[n] = j.size;
		append(batch, size + 2 + JOURNAL_CLAIM);
		CU_ASSERT_FATAL(j.size < FILE_MAX - 2 * BLOCK);
	}
}

/* On a copy of exactly that size, so that the sanitizer sees a read behind it. */
static enum journal_verdict judged(size_t size, size_t *at)
{
	uint8_t *all = (uint8_t *)malloc(size + 1), *copy = all + 1;

	memcpy(copy, j.bytes, size);
	const enum journal_verdict verdict = journal_check(span_of(copy, size), at);
	free(all);
	return verdict;
}

static void knows_the_checksum(void)
{
	/* RFC 3720 B.4: 32 bytes of zeros; masked as LevelDB does. */
	const uint8_t zeros[32] = {0};
	const uint32_t crc = 0x8a9136aau;

	CU_ASSERT(journal_crc(span_of(zeros, 32)) == ((crc >> 15) | (crc << 17)) + 0xa282ead8u);
	/* "123456789", whose size is no multiple of eight */
	const uint32_t check = 0xe3069283u;
	CU_ASSERT(journal_crc(span_str("123456789")) ==
		  ((check >> 15) | (check << 17)) + 0xa282ead8u);
}

static void an_end_may_be_missing(void)
{
	size_t at;

	make(30, 3000);
	CU_ASSERT_FATAL(j.size > BLOCK);
	for (size_t size = 0; size <= j.size; size += size % BLOCK < 100 ? 1 : 13)
		CU_ASSERT_FATAL(judged(size, &at) == JOURNAL_WHOLE);
}

static void every_flipped_bit_is_damage(void)
{
	size_t at;

	make(6, 200); /* the last ones are in no claim */
	for (size_t bit = 0; bit < 8 * j.size; bit++) {
		j.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		const enum journal_verdict verdict = judged(j.size, &at);
		if (verdict != JOURNAL_DAMAGED || at > bit / 8)
			printf("# bit %zu of %zu\n", bit, 8 * j.size);
		CU_ASSERT_FATAL(verdict == JOURNAL_DAMAGED);
		CU_ASSERT_FATAL(at <= bit / 8);
		j.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	CU_ASSERT(judged(j.size, &at) == JOURNAL_WHOLE);
}

/* Sectors that read as zeros: a tear where nobody claims that they were on the disk. */
static void zeros_are_a_tear_unless_claimed(void)
{
	make(BATCHES, 3000);
	static struct journal whole;
	memcpy(&whole, &j, sizeof(j));
	for (size_t s = 0; s + SECTOR <= j.size; s += SECTOR) {
		uint32_t first = 0; /* the first batch that the sector damages */
		size_t at = 0;
		while (first + 1 < BATCHES && j.batch_at[first + 1] <= s)
			first++;
		memset(j.bytes + s, 0, SECTOR);
		/* The last batch claims BATCHES - 4: those below are certain. */
		const enum journal_verdict verdict = judged(j.size, &at);
		CU_ASSERT_FATAL(verdict == (first < BATCHES - 4 ? JOURNAL_DAMAGED : JOURNAL_TORN));
		CU_ASSERT_FATAL(at >= whole.batch_at[first] && at < s + SECTOR);
		memcpy(j.bytes, whole.bytes, j.size);
	}
}

static void zeros_behind_the_end_are_a_tear(void)
{
	size_t at;

	make(5, 300);
	CU_ASSERT(judged(j.size + 5000, &at) == JOURNAL_TORN);
	CU_ASSERT(at == j.size);
	CU_ASSERT(judged(j.size + BLOCK, &at) == JOURNAL_TORN);
	CU_ASSERT(at == j.size);
}

static const struct unit_test tests[] = {
	{"journal_knows_the_checksum", knows_the_checksum},
	{"journal_an_end_may_be_missing", an_end_may_be_missing},
	{"journal_every_flipped_bit_is_damage", every_flipped_bit_is_damage},
	{"journal_zeros_are_a_tear_unless_claimed", zeros_are_a_tear_unless_claimed},
	{"journal_zeros_behind_the_end_are_a_tear", zeros_behind_the_end_are_a_tear},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("journal", tests, argc, argv);
}
