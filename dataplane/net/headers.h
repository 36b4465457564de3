/* headers.h - Ethernet, ARP, IPv4 and ICMP headers as they lie on the wire.
 *
 * Packed, so that they may lie at any address. Whoever reads one has made sure that the bytes are
 * there and contiguous (net_pull). Spec: RFC 894, 826, 791, 792. */
#pragma once
#include "dataplane/base/assert.h"
#include "dataplane/base/attr.h"
#include "dataplane/net/net.h"

enum {
	ETH_TYPE_IPV4 = 0x0800,
	ETH_TYPE_ARP = 0x0806,
	IPV4_PROTO_ICMP = 1,
	IPV4_PROTO_UDP = 17,
	IPV4_MORE_FRAGMENTS = 0x2000,
	IPV4_OFFSET_MASK = 0x1fff, /* in units of eight bytes */
	ICMP_ECHO_REPLY = 0,
	ICMP_UNREACHABLE = 3,
	ICMP_CODE_PROTOCOL = 2, /* of ICMP_UNREACHABLE, and so the next three */
	ICMP_CODE_PORT = 3,
	ICMP_CODE_TOO_BIG = 4, /* fragmentation needed and DF set */
	ICMP_CODE_SOURCE_ROUTE = 5,
	ICMP_CODE_REASSEMBLY = 1, /* of ICMP_TIME_EXCEEDED */
	ICMP_SOURCE_QUENCH = 4,
	ICMP_REDIRECT = 5,
	ICMP_ECHO = 8,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER = 12,
};

struct PACKED eth_header {
	uint8_t dst[6], src[6];
	rte_be16_t type;
};

struct PACKED arp_packet {
	rte_be16_t hardware, protocol;
	uint8_t hardware_size, protocol_size;
	rte_be16_t operation;
	uint8_t sender_mac[6];
	rte_be32_t sender;
	uint8_t target_mac[6];
	rte_be32_t target;
};

struct PACKED ipv4_header {
	uint8_t version_ihl, tos;
	rte_be16_t total_size;
	rte_be16_t id, fragment;
	uint8_t ttl, protocol;
	rte_be16_t checksum; /* as net_checksum_finish gives it */
	rte_be32_t src, dst;
};

struct PACKED icmp_header {
	uint8_t type, code;
	uint16_t checksum;
	uint32_t rest;
};

/* Such a message quotes the packet that it is about (RFC 792). */
static inline bool net_icmp_is_error(uint8_t type)
{
	return type == ICMP_UNREACHABLE || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
	       type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER;
}

static_assert(sizeof(struct eth_header) + sizeof(struct ipv4_header) == NET_HEADROOM, "headroom");
static_assert(sizeof(struct arp_packet) == 28, "RFC 826");
