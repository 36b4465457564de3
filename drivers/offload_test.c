/* offload_test.c - negotiation with NICs that there are not: able, poor, odd, and none. */
#include "drivers/offload.h"

#include "tests/unit/unit.h"

#include <string.h>

static const struct offload_wish wish = {.rx = RTE_ETH_RX_OFFLOAD_TCP_CKSUM,
	.tx = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_TCP_CKSUM,
	.rss = RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_IPV4,
	.queues = 2,
	.rx_descriptors = 1024,
	.tx_descriptors = 512};

/* All that it can, and more than is wished. */
static struct rte_eth_dev_info able(void)
{
	return (struct rte_eth_dev_info){.max_rx_queues = 8,
		.max_tx_queues = 8,
		.rx_offload_capa = UINT64_MAX,
		.tx_offload_capa = UINT64_MAX,
		.flow_type_rss_offloads = UINT64_MAX,
		.rx_desc_lim = {.nb_min = 64, .nb_max = 4096, .nb_align = 32},
		.tx_desc_lim = {.nb_min = 64,
			.nb_max = 4096,
			.nb_align = 32,
			.nb_seg_max = 38,
			.nb_mtu_seg_max = 8}};
}

static struct offload_plan plan_for(
	const struct rte_eth_dev_info *info, const struct offload_wish *w)
{
	struct offload_plan plan;
	char why[128] = "";

	CU_ASSERT_EQUAL(offload_negotiate(info, w, &plan, why, sizeof(why)), ERR_NONE);
	return plan;
}

static void takes_what_is_wished_and_no_more(void)
{
	const struct rte_eth_dev_info info = able();
	const struct offload_plan plan = plan_for(&info, &wish);

	CU_ASSERT_EQUAL(plan.conf.rxmode.offloads, wish.rx);
	CU_ASSERT_EQUAL(plan.conf.txmode.offloads, wish.tx);
	CU_ASSERT_EQUAL(plan.conf.rx_adv_conf.rss_conf.rss_hf, wish.rss);
	CU_ASSERT_EQUAL(plan.conf.rxmode.mq_mode, RTE_ETH_MQ_RX_RSS);
	CU_ASSERT_EQUAL(plan.segs_max, 8);
	CU_ASSERT(plan.tx_checksum);
	CU_ASSERT(plan.rx_descriptors == 1024 && plan.tx_descriptors == 512);
}

static void a_nic_without_chains_gets_one_segment(void)
{
	struct rte_eth_dev_info info = able();

	info.tx_offload_capa &= ~RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	const struct offload_plan plan = plan_for(&info, &wish);
	CU_ASSERT_EQUAL(plan.segs_max, 1);
	CU_ASSERT_EQUAL(plan.conf.txmode.offloads, RTE_ETH_TX_OFFLOAD_TCP_CKSUM);
}

static void a_nic_without_checksums_leaves_them_to_us(void)
{
	struct rte_eth_dev_info info = able();

	info.tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	info.rx_offload_capa = 0;
	const struct offload_plan plan = plan_for(&info, &wish);
	CU_ASSERT(!plan.tx_checksum);
	CU_ASSERT_EQUAL(plan.conf.txmode.offloads, RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	CU_ASSERT_EQUAL(plan.conf.rxmode.offloads, 0);
}

static void spreads_only_where_it_can_and_has_to(void)
{
	struct rte_eth_dev_info info = able();
	struct offload_wish one = wish;

	one.queues = 1;
	struct offload_plan plan = plan_for(&info, &one);
	CU_ASSERT_EQUAL(plan.conf.rxmode.mq_mode, RTE_ETH_MQ_RX_NONE);
	CU_ASSERT_EQUAL(plan.conf.rx_adv_conf.rss_conf.rss_hf, 0);
	info.flow_type_rss_offloads = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6;
	plan = plan_for(&info, &wish);
	CU_ASSERT_EQUAL(plan.conf.rx_adv_conf.rss_conf.rss_hf, RTE_ETH_RSS_IPV4);
	info.flow_type_rss_offloads = 0;
	plan = plan_for(&info, &wish);
	CU_ASSERT_EQUAL(plan.conf.rxmode.mq_mode, RTE_ETH_MQ_RX_NONE);
}

static void limits_of_segments(void)
{
	static const struct {
		uint16_t uncut, cut, most; /* as the NIC says, 0: nothing; what follows */
	} rows[] = {{8, 38, 8}, {0, 38, 38}, {0, 0, UINT16_MAX}, {5, 0, 5}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rte_eth_dev_info info = able();
		info.tx_desc_lim.nb_mtu_seg_max = rows[i].uncut;
		info.tx_desc_lim.nb_seg_max = rows[i].cut;
		CU_ASSERT_EQUAL(plan_for(&info, &wish).segs_max, rows[i].most);
	}
}

static void descriptors_are_what_the_nic_takes(void)
{
	static const struct {
		uint16_t wish, least, most, align, got;
	} rows[] = {{1024, 64, 4096, 32, 1024}, {1000, 64, 4096, 32, 1024}, {1024, 0, 0, 0, 1024},
		{1024, 64, 1000, 32, 992}, {1, 64, 4096, 32, 64}, {1, 0, 0, 0, 1},
		{4096, 1, 512, 1, 512}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rte_eth_dev_info info = able();
		struct offload_wish w = wish;
		w.rx_descriptors = rows[i].wish;
		info.rx_desc_lim = (struct rte_eth_desc_lim){
			.nb_min = rows[i].least, .nb_max = rows[i].most, .nb_align = rows[i].align};
		CU_ASSERT_EQUAL(plan_for(&info, &w).rx_descriptors, rows[i].got);
	}
}

static void too_few_queues_are_refused(void)
{
	struct rte_eth_dev_info info = able();
	struct offload_plan plan;
	char why[128] = "";

	info.max_tx_queues = 1;
	CU_ASSERT_EQUAL(offload_negotiate(&info, &wish, &plan, why, sizeof(why)), ERR_NIC_CONFIG);
	CU_ASSERT_STRING_EQUAL(why, "it has 1 queues and there are 2 workers: use 1");
}

static const struct unit_test tests[] = {
	{"takes_what_is_wished_and_no_more", takes_what_is_wished_and_no_more},
	{"a_nic_without_chains_gets_one_segment", a_nic_without_chains_gets_one_segment},
	{"a_nic_without_checksums_leaves_them_to_us", a_nic_without_checksums_leaves_them_to_us},
	{"spreads_only_where_it_can_and_has_to", spreads_only_where_it_can_and_has_to},
	{"limits_of_segments", limits_of_segments},
	{"descriptors_are_what_the_nic_takes", descriptors_are_what_the_nic_takes},
	{"too_few_queues_are_refused", too_few_queues_are_refused},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("offload", tests, argc, argv);
}
