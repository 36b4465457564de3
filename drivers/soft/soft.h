/* soft.h - software NICs through DPDK's virtual devices: tap, af_packet, af_xdp and
 * memif.
 *
 * Needs EAL to be up. tap has at most 4 queues. The box has a MAC of its own, different from the
 * kernel device's: net_tap gives its kernel end the port's MAC, and two owners of one MAC confuse
 * both. Known traps handled here: chained and shared mbufs where the PMD writes or cannot chain,
 * af_packet's blocking send, runts, frames above 2 KiB. Partial checksums from a veth peer must be
 * switched off at the peer (ethtool -K tx off).
 *
 * tap: an existing persistent device (`ip tuntap add dev NAME mode tap multi_queue`) is attached to
 * and stays, with its addresses, when the box ends or is killed; else one is made, and dies with
 * the process.
 *
 * memif: the box listens and has link when a peer has come; another process opens memif_peer, with
 * as many queues, and has link a moment after soft_open. A peer whose link is lost closes the NIC
 * and opens it again. Nothing can wake either end. */
#pragma once
#include "drivers/driver.h"

enum { SOFT_QUEUES_MAX = 16, SOFT_SEGS_MAX = 32 };

struct soft_conf {
	const char *kind; /* "tap", "af_packet", "af_xdp", "memif" or "memif_peer" */
	/* Kernel name: of the tap, or of the device to attach to. memif: path of the socket. */
	const char *interface;
	uint16_t box; /* box number: part of DPDK names, several boxes a process */
	uint16_t queues;
	struct rte_mempool **pools; /* per queue, of at least 2 KiB of room; af_xdp: no gaps */
	struct counters **counters; /* per queue: of the worker that owns it */
};

/* ERR_NIC_CONFIG with a reason in `why`: what, where, how to mend it. */
MUST_USE enum err soft_open(
	const struct soft_conf *conf, struct driver **out, char *why, size_t why_size);

/* The box's MAC on an interface: locally administered, always the same for the same pair. */
void soft_mac(uint16_t box, const char *interface, uint8_t mac[6]);
