/* soft_test.c - what of a software NIC can be tried without root: limits, names, MACs, copies. */
#include "drivers/soft/soft_internal.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

static struct counters block;

/* The reason for which a configuration is refused; "" when it is not. */
static const char *refused(const char *kind, const char *interface, uint16_t queues)
{
	static char why[256];
	static struct rte_mempool *pools[SOFT_QUEUES_MAX];
	static struct counters *blocks[SOFT_QUEUES_MAX];
	struct driver *nic = NULL;

	for (unsigned q = 0; q < SOFT_QUEUES_MAX; q++) {
		if (pools[q] == NULL)
			pools[q] = unit_pool(16);
		blocks[q] = &block;
	}
	const struct soft_conf conf = {.kind = kind,
		.interface = interface,
		.queues = queues,
		.pools = pools,
		.counters = blocks};
	why[0] = '\0';
	if (soft_open(&conf, &nic, why, sizeof(why)) != ERR_NIC_CONFIG)
		return "";
	CU_ASSERT_PTR_NULL(nic);
	return why;
}

static void refuses_with_a_reason(void)
{
	static const struct {
		const char *kind, *interface;
		uint16_t queues;
		const char *word; /* that the reason must hold */
	} rows[] = {
		{"veth", "sbx0", 1, "\"veth\""},
		{"", "sbx0", 1, "tap, af_packet"},
		{"tap", "", 1, "\"\""},
		{"tap", "a_name_that_is_16", 1, "a_name_that_is_16"},
		{"tap", "sbx0,mac=fixed", 1, "sbx0,mac=fixed"},
		{"af_packet", "..", 1, "\"..\""},
		{"tap", "sbx0", 0, "0 workers"},
		{"af_packet", "sbx0", 17, "17 workers"},
		{"tap", "sbx0", 5, "use 1 to 4"},
		{"af_packet", "sb-missing", 1, "sb-missing cannot be used"},
		{"memif", "sbx0", 1, "path of its socket"},
		{"memif", "/tmp/", 1, "path of its socket"},
		{"memif", "/tmp/a,role=client", 1, "path of its socket"},
		{"memif", "/proc/version", 1, "/proc/version is there"},
		{"memif_peer", "/tmp/sb-missing", 1, "nobody listens"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *why = refused(rows[i].kind, rows[i].interface, rows[i].queues);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, rows[i].word));
	}
}

static void names(void)
{
	static const struct {
		const char *name;
		bool good;
	} rows[] = {
		{"sbx0", true},
		{"sbx-nic", true},
		{"eth0.100", true},
		{"123456789012345", true},
		{"1234567890123456", false},
		{"", false},
		{".", false},
		{"..", false},
		{"a b", false},
		{"a/b", false},
		{"a=b", false},
		{"a,b", false},
		{"\xc3\xa4", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		CU_ASSERT_EQUAL(soft_name_good(rows[i].name), rows[i].good);
}

static void mac_is_local_stable_and_distinct(void)
{
	uint8_t mac[4][6];

	soft_mac(0, "sbx0", mac[0]);
	soft_mac(0, "sbx0", mac[1]);
	soft_mac(1, "sbx0", mac[2]);
	soft_mac(0, "sbx1", mac[3]);
	CU_ASSERT_EQUAL(memcmp(mac[0], "\x02\x53\x42", 3), 0);
	CU_ASSERT_EQUAL(memcmp(mac[0], mac[1], 6), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(mac[0], mac[2], 6), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(mac[0], mac[3], 6), 0);
}

/* A chain of `segs` segments of `size` bytes, filled with a running number. */
static struct rte_mbuf *chain(struct rte_mempool *pool, unsigned segs, uint16_t size)
{
	struct rte_mbuf *first = NULL;
	uint8_t value = 0;

	for (unsigned i = 0; i < segs; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		char *at = rte_pktmbuf_append(m, size);
		for (uint16_t j = 0; j < size; j++)
			at[j] = (char)value++;
		if (first == NULL)
			first = m;
		else
			CU_ASSERT_EQUAL(rte_pktmbuf_chain(first, m), 0);
	}
	return first;
}

static void copy_has_the_bytes_of_the_chain(void)
{
	struct rte_mempool *pool = unit_pool(64);
	struct rte_mbuf *frame = chain(pool, 5, 100);

	struct rte_mbuf *copy = soft_linearise(pool, frame);
	CU_ASSERT_PTR_NOT_NULL(copy);
	if (copy == NULL)
		return;
	CU_ASSERT_EQUAL(copy->nb_segs, 1);
	CU_ASSERT_EQUAL(copy->pkt_len, 500);
	const uint8_t *bytes = rte_pktmbuf_mtod(copy, const uint8_t *);
	for (unsigned i = 0; i < 500; i++)
		CU_ASSERT_EQUAL(bytes[i], (uint8_t)i);
	rte_pktmbuf_free(copy);
	rte_pktmbuf_free(frame);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), 64);
}

static void copy_leaves_shared_segments_alone(void)
{
	struct rte_mempool *pool = unit_pool(64);
	struct rte_mbuf *payload = chain(pool, 1, 400);
	struct rte_mbuf *frame = chain(pool, 1, 54);

	rte_mbuf_refcnt_update(payload, 1);
	CU_ASSERT_EQUAL(rte_pktmbuf_chain(frame, payload), 0);
	struct rte_mbuf *copy = soft_linearise(pool, frame);
	CU_ASSERT_PTR_NOT_NULL(copy);
	if (copy == NULL)
		return;
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(payload), 2);
	CU_ASSERT_EQUAL(payload->data_len, 400);
	rte_pktmbuf_free(copy);
	rte_pktmbuf_free(frame);
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(payload), 1);
	rte_pktmbuf_free(payload);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), 64);
}

static void copy_that_does_not_fit_is_none(void)
{
	struct rte_mempool *pool = unit_pool(64);
	struct rte_mbuf *frame = chain(pool, 3, 1000); /* a buffer holds 2048 */

	CU_ASSERT_PTR_NULL(soft_linearise(pool, frame));
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), 61);
	rte_pktmbuf_free(frame);
}

static void no_buffer_no_copy(void)
{
	struct rte_mempool *pool = unit_pool(2);
	struct rte_mbuf *frame = chain(pool, 2, 50);

	CU_ASSERT_PTR_NULL(soft_linearise(pool, frame));
	rte_pktmbuf_free(frame);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), 2);
}

/* Four ways to be outside of the pool: only what the PMD holds comes back. */
static void reclaims_what_the_pmd_kept(void)
{
	struct rte_mempool *pool = unit_pool(64);
	struct rte_mbuf *m[40];

	for (unsigned i = 0; i < ARRAY_SIZE(m); i++)
		m[i] = rte_pktmbuf_alloc(pool); /* as for the kernel: no port */
	for (unsigned i = 0; i < 10; i++)
		m[i]->port = 3; /* delivered, and ours */
	for (unsigned i = 10; i < 15; i++)
		rte_pktmbuf_free(m[i]); /* free, without a port */
	for (unsigned i = 15; i < 20; i++) {
		m[i]->port = 3;
		rte_pktmbuf_free(m[i]); /* free, with one */
	}
	CU_ASSERT_EQUAL(soft_reclaim(pool), 20);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 10);
	CU_ASSERT_EQUAL(soft_reclaim(pool), 0);
	for (unsigned i = 0; i < 10; i++)
		rte_pktmbuf_free(m[i]);
	for (unsigned i = 0; i < 64; i++)
		CU_ASSERT_PTR_NOT_NULL(rte_pktmbuf_alloc(pool)); /* each once */
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), 0);
}

static const struct unit_test tests[] = {
	{"refuses_with_a_reason", refuses_with_a_reason},
	{"names", names},
	{"mac_is_local_stable_and_distinct", mac_is_local_stable_and_distinct},
	{"copy_has_the_bytes_of_the_chain", copy_has_the_bytes_of_the_chain},
	{"copy_leaves_shared_segments_alone", copy_leaves_shared_segments_alone},
	{"copy_that_does_not_fit_is_none", copy_that_does_not_fit_is_none},
	{"no_buffer_no_copy", no_buffer_no_copy},
	{"reclaims_what_the_pmd_kept", reclaims_what_the_pmd_kept},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("soft", tests, argc, argv);
}
