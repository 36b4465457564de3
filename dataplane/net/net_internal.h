/* net_internal.h - what the files of dataplane/net share: limits, and the state of a port.
 *
 * Not for other folders: they include net.h. */
#pragma once
#include "dataplane/base/assert.h"
#include "dataplane/base/wheel.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/net.h"

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

	ICMP_ECHO_TOKEN_US = 100, /* 10,000 replies a second; beyond: ERR_ICMP_RATE */
	ICMP_ECHO_BURST = 1000,
	ICMP_ERROR_TOKEN_US = 10000, /* 100 errors a second (RFC 1812 4.3.2.8) */
	ICMP_ERROR_BURST = 50,
};

enum {
	REASSEMBLY_DATAGRAMS = 64, /* packets in pieces at once */
	REASSEMBLY_OF_SOURCE = 16, /* of these, those of one source */
	REASSEMBLY_PIECES = 16,    /* of one packet */
	REASSEMBLY_BUFFERS = 128,  /* of all */
	REASSEMBLY_US = 30 * 1000 * 1000,
};

enum datagram_state { DATAGRAM_FREE = 0, DATAGRAM_GATHERING, DATAGRAM_CONDEMNED };

struct piece {
	struct rte_mbuf *m; /* the first one's begins at the IPv4 header, others' behind it */
	uint32_t from, to;
};

/* A packet of which not all is here. */
struct datagram {
	uint64_t until_us;
	rte_be32_t src, dst;
	rte_be16_t id;
	uint8_t protocol;
	uint8_t state;
	uint32_t bytes, size; /* here, and in all; 0: the last piece has not come */
	uint8_t count;
	bool congested;                         /* a piece had ECN's CE */
	struct piece pieces[REASSEMBLY_PIECES]; /* in order, disjoint */
};

struct reassembly {
	struct datagram datagrams[REASSEMBLY_DATAGRAMS];
	uint32_t buffers;
	uint64_t next_us; /* nothing expires before */
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

/* Time is saved up and spent by what is sent, so much for each. */
struct icmp_bucket {
	uint64_t saved_us, full_us, token_us;
	uint64_t filled_us; /* when it was last filled */
};

/* Why a packet is not taken, as its sender is told. */
struct icmp_refusal {
	uint8_t type, code;
	uint8_t pointer; /* PARAMETER: of the byte that is wrong */
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

/* icmp.c: takes the packet, whose data starts at the ICMP header. */
MUST_USE bool icmp_take_token(struct icmp_bucket *b, uint64_t now_us);
void icmp_init(struct net *n, uint64_t now_us);
void icmp_rx(struct net *n, struct rte_mbuf **packet, rte_be32_t src, uint64_t now_us);

/* icmp_error.c: answers a packet that begins at its header, from a host, to us. Borrows it. */
void icmp_refuse(
	struct net *n, const struct rte_mbuf *packet, struct icmp_refusal what, uint64_t now_us);

/* reassembly.c: takes a fragment whose header is checked and whose padding is cut off. True: it was
 * the last one, and *packet is the whole packet, from its header on. */
void reassembly_init(struct net *n);
void reassembly_fini(struct net *n);
MUST_USE bool reassembly_rx(
	struct net *n, struct rte_mbuf **packet, uint16_t header_size, uint64_t now_us);
void reassembly_poll(struct net *n, uint64_t now_us);
void reassembly_check(const struct net *n);
