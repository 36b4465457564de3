/* icmp.h - ICMP within dataplane/net: who is answered, and how often.
 *
 * Not for other folders: they include net.h. Spec: RFC 792, 1122 3.2.2. */
#pragma once
#include "dataplane/net/net.h"

enum {
	ICMP_ECHO_TOKEN_US = 100, /* 10,000 replies a second; beyond: ERR_ICMP_RATE */
	ICMP_ECHO_BURST = 1000,
	ICMP_ERROR_TOKEN_US = 10000, /* 100 errors a second (RFC 1812 4.3.2.8) */
	ICMP_ERROR_BURST = 50,
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

MUST_USE bool icmp_take_token(struct icmp_bucket *b, uint64_t now_us);
void icmp_init(struct net *n, uint64_t now_us);
/* Takes the packet, whose data starts at the ICMP header. */
void icmp_rx(struct net *n, struct rte_mbuf **packet, rte_be32_t src, uint64_t now_us);
/* icmp_error.c: answers a packet that begins at its header, from a host, to us. Borrows it. */
void icmp_refuse(
	struct net *n, const struct rte_mbuf *packet, struct icmp_refusal what, uint64_t now_us);
