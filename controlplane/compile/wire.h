/* wire.h - what the control plane and its compiler say to each other, in memory of this machine and
 * this build.
 *
 *	in:  head, then {u32 size, text} for each filter
 *	out: answer, then the database, if there is no culprit
 *	     or, where each is tried alone, a byte for each, as far as it comes: 0 is good */
#pragma once
#include <stdint.h>

#define WIRE_MAGIC 0x736e726574746170u /* "patterns" */

enum { WIRE_NOBODY = UINT32_MAX };

struct wire_head {
	uint64_t magic;
	uint32_t count;
	uint32_t each; /* 1: alone, only to see whether it can be */
};

struct wire_answer {
	uint64_t magic;
	uint32_t culprit; /* which filter; WIRE_NOBODY: none */
	uint32_t reserved;
	uint64_t size; /* of the database */
};
