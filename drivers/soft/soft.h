/* soft.h - software NICs through DPDK's virtual devices: tap and af_packet.
 *
 * Needs EAL to be up. The box has a MAC of its own, different from the kernel
 * device's: net_tap gives its kernel end the port's MAC, and two owners of one MAC confuse both.
 * Known traps handled here: chained and shared mbufs where the PMD writes or
 * cannot chain, af_packet's blocking send, runts, frames above 2 KiB. Partial
 * checksums from a veth peer must be switched off at the peer (ethtool -K tx off). */
#pragma once
#include "drivers/driver.h"

struct soft_conf {
	const char *kind;      /* "tap" or "af_packet" */
	const char *interface; /* kernel name: of the tap, or of the device to attach to */
	uint16_t box;          /* box number: part of DPDK names, several boxes a process */
	uint16_t queues;
	struct rte_mempool **pools; /* receive pool per queue */
	struct counters *counters;
};

/* ERR_NIC_CONFIG with a reason in `why`: what, where, how to mend it. */
MUST_USE enum err soft_open(
	const struct soft_conf *conf, struct driver **out, char *why, size_t why_size);
