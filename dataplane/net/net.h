/* net.h - Ethernet, ARP, IPv4 and ICMP of one port, for one worker.
 *
 * net_rx takes every frame: answers ARP and echo itself, gives TCP segments
 * back as views, frees the rest and counts why. net_ipv4_tx takes an IPv4
 * payload and puts the headers in front; while the neighbour is unknown a few
 * packets wait for ARP's answer. Nothing is transmitted before net_flush, so a
 * turn ends with one burst; what the NIC does not take stays queued (bounded).
 *
 * Spec: RFC 826, 5227 (announce), 791, 792, 815, 1122, 1191, 6864.
 * Addresses are in network byte order. Not here: TCP, IPv6. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/counters.h"
#include "dataplane/base/hash.h"
#include "dataplane/base/prefix.h"
#include "dataplane/net/error.h"

#include <rte_byteorder.h>
#include <rte_mbuf.h>

enum {
	NET_HEADROOM = 34, /* Ethernet + IPv4: bytes net_ipv4_tx puts in front */
	NET_NEIGHBOURS = 1024,
	NET_TX_QUEUE = 1024, /* frames that wait for net_flush */
	NET_PROTO_TCP = 6,
};

/* Hands frames to the NIC; takes the first ones and returns how many. Counts NIC_*, as drivers do.
 */
typedef uint16_t net_transmit(void *owner, struct rte_mbuf **frames, uint16_t n);

/* A frame that was put together from fragments. True: it belongs to another worker, who has got it.
 */
typedef bool net_on_whole(void *owner, struct rte_mbuf **frame);

struct net_conf {
	uint8_t mac[6];
	uint16_t mtu;
	rte_be32_t address, netmask;
	rte_be32_t gateway;          /* 0: none */
	struct prefixes allow, deny; /* sources; ICMP is not asked, for any router may send it */
	struct rte_mempool *pool;    /* for ARP and ICMP; has a reserve that data cannot use up */
	struct counters *counters;
	net_transmit *transmit;
	net_on_error *on_error; /* within net_rx; NULL: nobody wants to hear of them */
	net_on_whole *on_whole; /* within net_rx; NULL: there is no other worker */
	void *owner;
};

/* What TCP gets: the IPv4 header is already checked and cut off, padding trimmed. */
struct net_packet {
	struct rte_mbuf *mbuf; /* data starts at the L4 header; a chain whose first 60 bytes, or
				* all if fewer, are contiguous */
	rte_be32_t src, dst;
	uint8_t ttl, tos;
};

struct net;

MUST_USE struct net *net_create(const struct net_conf *conf, uint64_t now_us);
void net_destroy(struct net **n);

/* Takes the frame, which nobody else refers to. True: *out holds a TCP packet that is now the
 * caller's. */
MUST_USE bool net_rx(
	struct net *n, struct rte_mbuf **frame, struct net_packet *out, uint64_t now_us);

/* Takes an ARP frame that another worker of the box has received: what it teaches is learned, and
 * nothing answered or counted, for that was done where it came in. */
void net_learn(struct net *n, struct rte_mbuf **frame, uint64_t now_us);

/* How many more packets net_ipv4_tx takes before net_flush makes room. */
uint32_t net_tx_room(const struct net *n);

/* Takes a packet whose data starts at the L4 header and whose first segment is private and has
 * NET_HEADROOM bytes in front; later ones may be shared. Sets DF. Drops are counted, never
 * reported: IP is best effort. */
void net_ipv4_tx(struct net *n, struct rte_mbuf **packet, rte_be32_t src, rte_be32_t dst,
	uint8_t protocol, uint64_t now_us);

void net_flush(struct net *n);
void net_poll_timers(struct net *n, uint64_t now_us); /* ARP retries and ageing */
uint64_t net_next_us(const struct net *n); /* when it wants net_poll_timers; UINT64_MAX */
void net_check(const struct net *n);       /* asserts the invariants; slow */

/* Internet checksum (RFC 1071), over bytes or over a chain from `offset`, added to `sum`. Partial
 * sums are at most 0xffff; those of parts of even size may be added to each other plainly. */
uint32_t net_checksum_add(uint32_t sum, const void *bytes, size_t size);
uint32_t net_checksum_mbuf(uint32_t sum, const struct rte_mbuf *m, uint32_t offset, uint32_t size);
uint16_t net_checksum_finish(uint32_t sum); /* folded and complemented; 0 when the sum verifies */
uint32_t net_checksum_pseudo(rte_be32_t src, rte_be32_t dst, uint8_t protocol, uint16_t size);
