/* stream_play.h - two TCP stacks exchange random streams on a bad wire, in virtual time, judged.
 *
 * From a seed come the wire (loss to 10 %, delay, jitter, reordering, duplication, flipped bits,
 * the link going down and up), the stacks' sizes, and 4 to 64 connections: who opens, from which
 * port, how much goes each way, how slowly it is read and written, who ends it, when and how. The
 * judge asks for: every byte once and in order; both sides told of the end; nothing left over.
 * Same seed, same frames. */
#pragma once
#include "tests/sim/stream_end.h"

enum { STREAM_WHY = 200, STREAM_FLAPS = 3 };

struct stream_conf {
	uint64_t seed;
	bool lwip; /* end 1 is lwIP, else both are ours */
};

struct stream_verdict {
	bool good;
	char why[STREAM_WHY];  /* of the first thing that was not */
	uint64_t trace;        /* of all frames, with their times */
	uint64_t bytes;        /* that arrived */
	uint64_t connections;  /* that were opened */
	uint64_t in_order;     /* ... and ended so at both sides */
	uint64_t late_resets;  /* ... that one side heard of as reset, with all bytes there */
	uint64_t never_opened; /* at one side, which is lwIP: it gives up a handshake early */
	uint64_t forsaken;     /* ... or that it would have kept for ever after a lost reset */
	uint64_t ports_again;  /* ... from a port that was used before */
	uint64_t virtual_us, frames, retransmits, timeouts, zero_windows, checksums;
};

void stream_play(const struct stream_conf *conf, struct stream_verdict *out);
