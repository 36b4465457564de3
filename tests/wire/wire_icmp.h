/* wire_icmp.h - a script's line `icmp`: an error of a router about a segment that the box has sent.
 *
 * icmp TYPE/CODE SEQ [mtu=N] [size=N] [lport=N] [dport=N] [badsum]. SEQ counts as in other lines.
 * `size` is what the quoted header claims: 1500 if nothing is said. */
#pragma once
#include "tests/wire/wire_rig.h"

struct icmp_line {
	uint32_t isn; /* SEQ counts from here */
	uint16_t src_port, dst_port;
	uint8_t type, code;
	uint16_t mtu, size;
	uint32_t seq;
	bool bad_checksum;
};

/* Reads the words behind `icmp`; false: they make no sense. */
bool icmp_line_parse(struct icmp_line *l, char *const *words, unsigned count);
void icmp_line_send(struct rig *r, const struct icmp_line *l);
