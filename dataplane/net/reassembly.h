/* reassembly.h - IPv4 packets of which not all fragments are here.
 *
 * Not for other folders: they include net.h. Spec: RFC 791 3.2, 815, 1122 3.3.2. */
#pragma once
#include "dataplane/net/net.h"

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

void reassembly_init(struct net *n);
void reassembly_fini(struct net *n);
/* Takes a fragment whose header is checked and whose padding is cut off. True: it was the last one,
 * and *packet is the whole packet, from its header on. */
MUST_USE bool reassembly_rx(
	struct net *n, struct rte_mbuf **packet, uint16_t header_size, uint64_t now_us);
void reassembly_poll(struct net *n, uint64_t now_us);
void reassembly_check(const struct net *n);
