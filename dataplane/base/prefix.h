/* prefix.h - lists of IPv4 prefixes: which sources are meant.
 *
 * Pure, and good for shared memory: a list of nonsense matches what it matches, and no more is read
 * than there is. Addresses are in network byte order. Not here: text (controlplane/config). */
#pragma once
#include "dataplane/base/attr.h"

#include <stdbool.h>
#include <stdint.h>

enum { PREFIXES_MAX = 8, PREFIX_NONE = -1 };

struct prefix {
	uint32_t address;
	uint32_t bits; /* that count, from the left */
};

struct prefixes {
	uint32_t count;
	struct prefix list[PREFIXES_MAX];
};

/* Bits of the longest one that holds the address; PREFIX_NONE. */
int prefixes_match(const struct prefixes *p, uint32_t address);
/* The longest prefix decides, and of two as long the denial. What none holds is allowed if nothing
 * else is allowed by name. */
MUST_USE bool prefixes_allow(
	const struct prefixes *allow, const struct prefixes *deny, uint32_t address);
