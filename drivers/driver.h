/* driver.h - where packets come from and go to. One page.
 *
 * A driver is one port with one queue pair per worker. rx and tx never block
 * and never fail half-way: tx takes the first n of what it is given and leaves
 * the rest with the caller (a full ring is back-pressure, not loss). Frames
 * are rte_mbuf chains of at most `segs_max` segments, without FCS; tx may be handed indirect
 * and shared segments and must not write into them.
 *
 * The driver next to the wire counts NIC_* (packets, bytes, full rings); nobody else does.
 *
 * Threading: open, renew and close on the main thread, while no worker is inside; sound and link_up
 * on the main thread at any time; rx, tx and wait for queue q only on the worker that owns q.
 * Implementations: soft/ (tap, af_packet, af_xdp, memif,
 * pcap), pci/, sim/. */
#pragma once
#include "dataplane/base/counters.h"

#include <rte_mbuf.h>

struct driver;

struct driver_facts {
	uint8_t mac[6]; /* the box's own address on this port */
	uint16_t mtu;   /* bytes of an IP packet */
	uint16_t queues;
	uint16_t segs_max; /* segments of a frame that tx accepts */
	bool tx_checksum;  /* fills in TCP checksums of frames with RTE_MBUF_F_TX_TCP_CKSUM */
	bool wakes;        /* `wait` returns when a frame arrives; else it sleeps */
	char name[32];     /* "tap", "af_packet", "sim" */
};

struct driver_ops {
	uint16_t (*rx)(struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n);
	uint16_t (*tx)(struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n);
	/* Waits for a frame, for `bell` to be readable (-1: none), or until `timeout_us` has
	 * passed. May return early for no reason. Takes nothing out of `bell`. */
	void (*wait)(struct driver *d, uint16_t queue, int bell, uint64_t timeout_us);
	bool (*link_up)(struct driver *d);
	/* False: the device is gone, or asks for a new start: it wants `renew`. NULL: always so. */
	bool (*sound)(struct driver *d);
	/* Closes the device and opens it again, with the same facts; frames on their way in it are
	 * lost. After ERR_NIC_CONFIG there is none: rx brings nothing, tx drops and counts, and
	 * `renew` may be tried again. NULL: it cannot. */
	enum err (*renew)(struct driver *d, char *why, size_t why_size);
	void (*close)(struct driver *d);
};

struct driver {
	const struct driver_ops *ops;
	struct driver_facts facts;
	struct counters *counters; /* of the worker that owns queue 0 */
};

static inline uint16_t driver_rx(
	struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n)
{
	return d->ops->rx(d, queue, frames, n);
}

static inline uint16_t driver_tx(
	struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n)
{
	return d->ops->tx(d, queue, frames, n);
}
