/* checksum_test.c - the Internet checksum against its definition, over memory and chains. */
#include "dataplane/base/rng.h"
#include "tests/unit/eal.h"
#include "tests/unit/net_rig.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

enum { SIZE_MAX_TESTED = 3000 };

/* RFC 1071, word by word in network order; the answer as it lies in memory. */
static uint16_t by_the_book(const uint8_t *at, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i++) {
		sum += (i & 1) == 0 ? (uint32_t)at[i] << 8 : at[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return rte_cpu_to_be_16((uint16_t)~sum);
}

static void the_rfcs_example(void)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	CU_ASSERT_EQUAL(net_checksum_add(0, bytes, 8), rte_cpu_to_be_16(0xddf2));
	CU_ASSERT_EQUAL(net_checksum_finish(net_checksum_add(0, bytes, 8)),
		rte_cpu_to_be_16((uint16_t)~0xddf2));
	CU_ASSERT_EQUAL(net_checksum_finish(0), 0xffff);
}

static void every_size_at_every_alignment(void)
{
	struct rng rng = rng_from(unit_seed());

	for (size_t size = 0; size < 200; size++)
		for (size_t shift = 0; shift < 9; shift++) {
			uint8_t *bytes = malloc(shift + size + 1);
			for (size_t i = 0; i < size; i++)
				bytes[shift + i] = (uint8_t)rng_next(&rng);
			const uint32_t sum = net_checksum_add(0, bytes + shift, size);
			CU_ASSERT_TRUE(sum <= 0xffff);
			CU_ASSERT_EQUAL(net_checksum_finish(sum), by_the_book(bytes + shift, size));
			free(bytes);
		}
}

static void extremes_do_not_lose_a_carry(void)
{
	static uint8_t ones[65535];
	static const size_t sizes[] = {2, 15, 16, 17, 1460, 65534, 65535};

	memset(ones, 0xff, sizeof(ones));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		CU_ASSERT_EQUAL(net_checksum_finish(net_checksum_add(0, ones, sizes[i])),
			by_the_book(ones, sizes[i]));
		CU_ASSERT_EQUAL(net_checksum_add(UINT32_MAX, ones, 2), 0xffff);
	}
}

static void parts_of_even_size_add_up(void)
{
	struct rng rng = rng_from(unit_seed());
	uint8_t bytes[512];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)rng_next(&rng);
	for (size_t cut = 0; cut <= sizeof(bytes); cut += 2) {
		const uint32_t a = net_checksum_add(0, bytes, cut);
		const uint32_t b = net_checksum_add(0, bytes + cut, sizeof(bytes) - cut);
		CU_ASSERT_EQUAL(net_checksum_finish(a + b), by_the_book(bytes, sizeof(bytes)));
		CU_ASSERT_EQUAL(
			net_checksum_finish(net_checksum_add(a, bytes + cut, sizeof(bytes) - cut)),
			by_the_book(bytes, sizeof(bytes)));
	}
}

/* Chains cut anywhere, empty segments too; sums that start and end anywhere. */
static void chains_sum_as_their_bytes(void)
{
	struct rng rng = rng_from(unit_seed());
	struct rte_mempool *pool = unit_pool(64);
	static uint8_t bytes[SIZE_MAX_TESTED];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)rng_next(&rng);
	for (int round = 0; round < 2000; round++) {
		const uint16_t size = (uint16_t)(1 + rng_below(&rng, SIZE_MAX_TESTED));
		uint16_t cuts[8];
		uint16_t at = 0;
		for (int i = 0; i < 8; i++)
			cuts[i] = at =
				(uint16_t)(at + rng_below(&rng, (uint32_t)(size - at) / 2 + 1));
		struct rte_mbuf *m = rig_chain(pool, span_of(bytes, size), cuts, 8);
		const uint32_t offset = rng_below(&rng, size + 1u);
		const uint32_t part = rng_below(&rng, size - offset + 1);
		CU_ASSERT_EQUAL(net_checksum_finish(net_checksum_mbuf(0, m, offset, part)),
			by_the_book(bytes + offset, part));
		CU_ASSERT_EQUAL(net_checksum_finish(net_checksum_mbuf(0, m, 0, size)),
			by_the_book(bytes, size));
		rte_pktmbuf_free(m);
	}
}

/* RFC 9293 3.1's pseudo-header, summed as bytes. */
static void the_pseudo_header(void)
{
	static const struct {
		uint32_t src, dst;
		uint8_t protocol;
		uint16_t size;
	} rows[] = {
		{0x0a000001, 0x0a000002, 6, 20},
		{0xffffffff, 0xffffffff, 255, 65535},
		{0x01020304, 0xf0f1f2f3, 6, 1480},
		{0, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint32_t s = rows[i].src;
		const uint32_t d = rows[i].dst;
		const uint8_t bytes[12] = {(uint8_t)(s >> 24), (uint8_t)(s >> 16),
			(uint8_t)(s >> 8), (uint8_t)s, (uint8_t)(d >> 24), (uint8_t)(d >> 16),
			(uint8_t)(d >> 8), (uint8_t)d, 0, rows[i].protocol,
			(uint8_t)(rows[i].size >> 8), (uint8_t)rows[i].size};
		const uint32_t sum = net_checksum_pseudo(
			rte_cpu_to_be_32(s), rte_cpu_to_be_32(d), rows[i].protocol, rows[i].size);
		CU_ASSERT_TRUE(sum <= 0xffff);
		CU_ASSERT_EQUAL(net_checksum_finish(sum), by_the_book(bytes, sizeof(bytes)));
	}
}

static const struct unit_test tests[] = {
	{"the_rfcs_example", the_rfcs_example},
	{"every_size_at_every_alignment", every_size_at_every_alignment},
	{"extremes_do_not_lose_a_carry", extremes_do_not_lose_a_carry},
	{"parts_of_even_size_add_up", parts_of_even_size_add_up},
	{"chains_sum_as_their_bytes", chains_sum_as_their_bytes},
	{"the_pseudo_header", the_pseudo_header},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("checksum", tests, argc, argv);
}
