/* error.h - what an ICMP error says of a TCP segment that it quotes.
 *
 * Its form is checked, and that the address is ours; whether such a segment was ever sent is for
 * TCP to judge (RFC 5927 4). Spec: RFC 792, 1191 4. */
#pragma once
#include <rte_byteorder.h>
#include <stdint.h>

enum net_error_kind {
	NET_ERROR_UNREACHABLE = 1, /* nobody there, or no way: unreachable, time exceeded, ... */
	NET_ERROR_TOO_BIG,         /* RFC 1191: fragmentation needed */
};

struct net_error {
	enum net_error_kind kind;
	uint16_t mtu;                /* TOO_BIG: of the next hop; 0: its router does not say */
	uint16_t size;               /* of the quoted packet, as its header says */
	rte_be32_t src, dst;         /* of the quoted packet: ours, the peer's */
	uint16_t src_port, dst_port; /* host order */
	uint32_t seq;
};

typedef void net_on_error(void *owner, const struct net_error *e, uint64_t now_us);
