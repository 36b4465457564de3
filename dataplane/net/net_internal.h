/* net_internal.h - what the files of dataplane/net share: limits, and the state of a port.
 *
 * Not for other folders: they include net.h. */
#pragma once
#include "dataplane/base/assert.h"
#include "dataplane/base/wheel.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/icmp.h"
#include "dataplane/net/net.h"
#include "dataplane/net/reassembly.h"

enum {
	L4_HEADER_MAX = 60, /* so much of a packet given to TCP is contiguous */

	NET_TX_RESERVE = 32, /* of NET_TX_QUEUE: for ARP, which data must not starve */

	ARP_WAYS = 8, /* a neighbour lives in one of so many places */
	ARP_SETS = NET_NEIGHBOURS / ARP_WAYS,
	ARP_WAITING = 4,       /* packets that wait for one neighbour */
	ARP_WAITING_ALL = 256, /* and for all together */
	ARP_TRIES = 3,
	ARP_RETRY_US = 1000 * 1000,
	ARP_AGE_US = 60 * 1000 * 1000,    /* RFC 1122 2.3.2.1: a minute, then asked again */
	ARP_BUSY_US = 1000 * 1000,        /* used so recently: not evicted */
	ARP_DEFEND_US = 10 * 1000 * 1000, /* RFC 5227 2.4: DEFEND_INTERVAL */
	ARP_POLL_BUDGET = 64,
};

enum neighbour_state {
	NEIGHBOUR_FREE = 0,
	NEIGHBOUR_ASKED,  /* no answer yet; packets wait */
	NEIGHBOUR_KNOWN,  /* confirmed less than ARP_AGE_US ago */
	NEIGHBOUR_POLLED, /* known, asked by unicast whether it is still there */
};

struct neighbour {
	uint64_t used_us;                      /* last packet sent to it; 0: none */
	uint64_t confirmed_us;                 /* last heard of by ARP */
	struct rte_mbuf *waiting[ARP_WAITING]; /* oldest first; data starts at the IPv4 header */
	uint8_t mac[6];
	uint8_t state;
	uint8_t tries;
	uint8_t waiting_count;
};

struct arp {
	rte_be32_t address[NET_NEIGHBOURS]; /* set by set; 0: free */
	struct neighbour neighbour[NET_NEIGHBOURS];
	struct wheel wheel; /* one timer a neighbour: retry, or age */
	struct wheel_node nodes[NET_NEIGHBOURS + WHEEL_LEVELS * WHEEL_SLOTS];
	uint32_t waiting_all;
	uint64_t defend_us; /* when our address may be defended again */
};

struct net {
	struct net_conf conf;
	struct rte_mbuf *queue[NET_TX_QUEUE]; /* oldest first */
	uint32_t queued;
	struct arp arp;
	struct icmp_bucket icmp_echoes, icmp_errors;
	struct reassembly reassembly;
};

/* net.c. `net_put` frees and counts why; the others never fail but by counting. */
void net_put(struct net *n, struct rte_mbuf **packet, enum err why);
MUST_USE enum err net_pull(struct net *n, struct rte_mbuf **packet, uint16_t size);
void net_trim(struct rte_mbuf *packet, uint32_t size);
void net_eth_tx(struct net *n, struct rte_mbuf **packet, const uint8_t dst[6], uint16_t type);

/* arp.c */
void arp_init(struct arp *a, uint64_t now_us);
void arp_fini(struct net *n);
void arp_check(const struct net *n);
void arp_announce(struct net *n);
void arp_rx(struct net *n, struct rte_mbuf **packet, uint64_t now_us);
void arp_overhear(struct net *n, struct rte_mbuf **packet, uint64_t now_us);
void arp_send(struct net *n, struct rte_mbuf **packet, rte_be32_t next_hop, uint64_t now_us);

/* ipv4.c */
MUST_USE bool ipv4_rx(struct net *n, struct rte_mbuf **packet, bool broadcast,
	struct net_packet *out, uint64_t now_us);
bool ipv4_may_be_source(const struct net *n, rte_be32_t address);
bool ipv4_is_on_link(const struct net *n, rte_be32_t address);
