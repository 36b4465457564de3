/* offload.h - what a NIC shall do for us, out of what it says that it can. Pure.
 *
 * What is wished and not offered is done in software: a frame of more segments than segs_max is
 * copied into one buffer, a TCP checksum is computed, a frame that comes in at the wrong queue is
 * handed on. So only a lack of queues is refused. Not here: segmentation (TSO) and VLANs, for which
 * the stack has no use yet. */
#pragma once
#include "dataplane/base/err.h"

#include <rte_ethdev.h>
#include <stdbool.h>

struct offload_wish {
	uint64_t rx, tx; /* RTE_ETH_RX_OFFLOAD_..., RTE_ETH_TX_OFFLOAD_... */
	uint64_t rss;    /* RTE_ETH_RSS_...: what to spread over queues by, if there are several */
	uint16_t queues;
	uint16_t rx_descriptors, tx_descriptors;
};

struct offload_plan {
	struct rte_eth_conf conf;
	uint16_t segs_max; /* of a frame that goes to the NIC as it is */
	bool tx_checksum;  /* the NIC fills in the checksum of a TCP segment */
	uint16_t rx_descriptors, tx_descriptors; /* as near to the wish as the NIC allows */
};

/* ERR_NIC_CONFIG with a reason: it cannot be used so. */
MUST_USE enum err offload_negotiate(const struct rte_eth_dev_info *info,
	const struct offload_wish *wish, struct offload_plan *out, char *why, size_t why_size);
