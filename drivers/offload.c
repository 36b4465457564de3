/* offload.c - see offload.h. */
#include "drivers/offload.h"

#include <stdio.h>

/* Within the limits, and a multiple of what the NIC counts in. */
static uint16_t descriptors(uint16_t wish, const struct rte_eth_desc_lim *limit)
{
	const uint16_t align = limit->nb_align == 0 ? 1 : limit->nb_align;
	const uint16_t most = limit->nb_max == 0 ? UINT16_MAX : limit->nb_max;
	const uint32_t up = ((uint32_t)wish + align - 1) / align * align;

	if (up < limit->nb_min)
		return limit->nb_min;
	return up > most ? (uint16_t)(most / align * align) : (uint16_t)up;
}

static uint16_t segments(const struct rte_eth_dev_info *info, uint64_t tx_offloads)
{
	if ((tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) == 0)
		return 1;
	/* Of the two limits the one for a frame that the NIC does not cut counts. */
	const uint16_t most = info->tx_desc_lim.nb_mtu_seg_max != 0
				      ? info->tx_desc_lim.nb_mtu_seg_max
				      : info->tx_desc_lim.nb_seg_max;
	return most == 0 ? UINT16_MAX : most;
}

enum err offload_negotiate(const struct rte_eth_dev_info *info, const struct offload_wish *wish,
	struct offload_plan *out, char *why, size_t why_size)
{
	const uint16_t queues = RTE_MIN(info->max_rx_queues, info->max_tx_queues);
	struct rte_eth_conf conf = {0};

	if (queues < wish->queues) {
		snprintf(why, why_size, "it has %u queues and there are %u workers: use %u", queues,
			wish->queues, queues);
		return ERR_NIC_CONFIG;
	}
	conf.rxmode.offloads = wish->rx & info->rx_offload_capa;
	conf.txmode.offloads = wish->tx & info->tx_offload_capa;
	conf.rx_adv_conf.rss_conf.rss_hf = wish->rss & info->flow_type_rss_offloads;
	if (wish->queues > 1 && conf.rx_adv_conf.rss_conf.rss_hf != 0)
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	else
		conf.rx_adv_conf.rss_conf.rss_hf = 0;
	*out = (struct offload_plan){.conf = conf,
		.segs_max = segments(info, conf.txmode.offloads),
		.tx_checksum = (conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0,
		.rx_descriptors = descriptors(wish->rx_descriptors, &info->rx_desc_lim),
		.tx_descriptors = descriptors(wish->tx_descriptors, &info->tx_desc_lim)};
	return ERR_NONE;
}
