/* tcp_header.h - the TCP header and its options: bytes to fields and back.
 *
 * Pure. What is unknown is skipped; what is known and malformed is an error, so
 * the segment is dropped. Options that belong to SYNs only are ignored elsewhere.
 *
 *	 0      2      4        8        12   13    14     16     18     20
 *	| src  | dst  | seq    | ack    | off |flags| wnd  | sum  | urg  | options
 *
 * Spec: RFC 9293 3.1, 3.2; RFC 7323 (window scale, timestamps), 2018 (SACK). Not here: the
 * checksum (net.h), and what the fields mean for a connection. */
#pragma once
#include "dataplane/base/err.h"
#include "dataplane/base/span.h"

enum {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
};

enum {
	TCP_HEADER_MIN = 20,
	TCP_HEADER_MAX = 60,
	TCP_SACK_BLOCKS = 4,   /* more do not fit the options */
	TCP_WSCALE_MAX = 14,   /* RFC 7323 2.3 */
	TCP_MSS_DEFAULT = 536, /* RFC 9293 MUST-15 */
};

/* Sequence numbers from left up to, not including, right. */
struct tcp_range {
	uint32_t left, right;
};

struct tcp_options {
	uint16_t mss; /* 0: absent */
	bool has_wscale, has_timestamps, sack_permitted;
	uint8_t wscale;
	uint8_t sack_count;
	uint32_t tsval, tsecr;
	struct tcp_range sack[TCP_SACK_BLOCKS];
};

struct tcp_header {
	uint16_t src_port, dst_port;
	uint32_t seq, ack;
	uint16_t window; /* as it stands in the header, not scaled */
	uint8_t flags;
	uint8_t size; /* bytes, options included */
	struct tcp_options options;
};

/* `in` begins with the header and holds all of it, or all of the segment. */
MUST_USE enum err tcp_header_decode(struct span in, struct tcp_header *out);
/* Bytes that the options take, padding included. */
size_t tcp_options_size(const struct tcp_options *o);
/* Writes header and options with a checksum of 0; returns the size. */
size_t tcp_header_encode(const struct tcp_header *h, uint8_t out[TCP_HEADER_MAX]);
