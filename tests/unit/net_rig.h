/* net_rig.h - for the tests of dataplane/net: a port without a NIC, and frames made by hand.
 *
 * The box is 10.0.0.1/24 with gateway 10.0.0.254; the peer is 10.0.0.2. What the box sends is kept
 * as bytes. Frames go in as chains on memory of exactly their size, so that a sanitizer sees the
 * first byte read beyond a segment. rig_close checks that no buffer is missing. */
#pragma once
#include "dataplane/base/span.h"
#include "dataplane/net/net.h"

enum { RIG_SENT = 2048, RIG_FRAME = 2048, RIG_BUFFERS = 2000 };

struct rig_frame {
	uint16_t size;
	uint8_t at[RIG_FRAME];
};

struct rig {
	struct net *net;
	struct net_conf conf;
	struct counters counters;
	struct rte_mempool *pool;  /* of the port: ARP and ICMP */
	struct rte_mempool *wires; /* of what "arrives", and of test payloads */
	uint16_t nic_takes;        /* of each burst */
	uint32_t error_count;      /* ICMP errors that TCP would hear of; `error` is the last one */
	struct net_error error;
	uint32_t sent_count;
	struct rig_frame sent[RIG_SENT];
};

extern const uint8_t rig_mac[6], rig_peer_mac[6], rig_broadcast[6];

enum { RIG_ADDRESS = 0x0a000001, RIG_PEER = 0x0a000002, RIG_GATEWAY = 0x0a0000fe }; /* host order */

/* Memory lives in one static rig: a second open closes the first's. The announcement is flushed
 * away, so nothing is sent yet. */
struct rig *rig_open(uint64_t now_us);
/* As rig_open, with another netmask and gateway (host order) and the announcement still queued. */
struct rig *rig_open_raw(uint64_t now_us, uint32_t netmask, uint32_t gateway);
void rig_close(struct rig *r); /* fails the test if a buffer leaked */

/* A chain of the bytes. `cuts`: ascending offsets at which segments end; equal ones give empty
 * segments. */
struct rte_mbuf *rig_chain(
	struct rte_mempool *pool, struct span bytes, const uint16_t *cuts, size_t cuts_count);
/* Gives a frame to the port. True: `out` is the caller's. */
bool rig_rx(struct rig *r, struct span bytes, struct net_packet *out, uint64_t now_us);
/* A payload with headroom, ready for net_ipv4_tx, and the call. */
void rig_tx(struct rig *r, uint32_t dst, struct span payload, uint64_t now_us);
void rig_flush(struct rig *r); /* sent frames are appended to r->sent */
/* Forgets what was sent and counted. */
void rig_clear(struct rig *r);

uint64_t rig_err(const struct rig *r, enum err e);
uint64_t rig_errs(const struct rig *r); /* of all kinds */

/* Builders: each starts or continues `f`. Addresses in host order. */
void frame_eth(struct rig_frame *f, const uint8_t dst[6], const uint8_t src[6], uint16_t type);
void frame_ipv4(struct rig_frame *f, uint32_t src, uint32_t dst, uint8_t protocol,
	struct span options, struct span payload);
void frame_append(struct rig_frame *f, struct span bytes);
void frame_resum(struct rig_frame *f); /* puts the IPv4 header checksum right */
void frame_arp(struct rig_frame *f, uint16_t operation, const uint8_t sender_mac[6],
	uint32_t sender, uint32_t target);
/* An ARP request or reply from a peer, as a whole frame, given to the port. */
void rig_arp(struct rig *r, uint16_t operation, const uint8_t mac[6], uint32_t sender,
	uint32_t target, uint64_t now_us);
struct span frame_span(const struct rig_frame *f);
