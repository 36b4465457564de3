/* soft_pci.c - what is special about a real NIC by its PCI address.
 *
 * It has an address of its own, offloads, and events: it may ask for a reset, or be pulled. Its
 * frames go through soft_io.c as all do. Nothing wakes us: its interrupts are not armed. */
#include "drivers/pci/pci.h"
#include "drivers/soft/soft_internal.h"

#include <rte_ethdev.h>

enum { RX_DESCRIPTORS = 1024, TX_DESCRIPTORS = 1024 };

static enum err pci_prepare(struct soft *s, char *args, size_t size, char *why, size_t why_size)
{
	s->mtu = SOFT_MTU_MAX;
	if (size > 0)
		args[0] = '\0';
	return pci_check("/sys", s->interface, why, why_size);
}

static bool pci_link_up(const struct soft *s)
{
	struct rte_eth_link link = {0};

	return s->ports > 0 && rte_eth_link_get_nowait(s->queue[0].port, &link) == 0 &&
	       link.link_status == RTE_ETH_LINK_UP;
}

const struct soft_kind soft_pci = {
	.name = "pci",
	.vdev = "driver",
	.bus = "pci",
	.name_good = pci_address_good,
	.name_rule = "its PCI address, such as 0000:01:00.0",
	.queues_max = SOFT_QUEUES_MAX,
	.rx_bytes_max = SOFT_ROOM_BYTES,
	.rx_descriptors = RX_DESCRIPTORS,
	.tx_descriptors = TX_DESCRIPTORS,
	.rx_offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM,
	.tx_offloads = RTE_ETH_TX_OFFLOAD_TCP_CKSUM,
	.rss = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP,
	.has_mac = true,
	.prepare = pci_prepare,
	.link_up = pci_link_up,
};
