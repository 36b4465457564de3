/* hash.h - keyed and unkeyed hashes over bytes.
 *
 * siphash: SipHash-2-4, 64 bits, for tables that peers can fill and for
 * sequence numbers (RFC 6528). The key is random and secret. */
#pragma once
#include "dataplane/base/span.h"

struct hash_key {
	uint64_t k0;
	uint64_t k1;
};

uint64_t siphash(struct hash_key key, struct span bytes);
