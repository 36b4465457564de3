/* owner.h - which worker owns a topic: it orders, keeps and answers for its retained value.
 *
 * Pure and fixed: both planes and every start agree, as the control plane
 * hands stored values to their owners. FNV-1a, folded; no secret, since who
 * owns a topic is no secret and costs nobody but the owner's share of work. */
#pragma once
#include "dataplane/base/span.h"

static inline uint32_t topic_owner(struct span topic, uint32_t workers)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < topic.size; i++)
		h = (h ^ topic.at[i]) * 0x100000001b3u;
	return (uint32_t)((h ^ h >> 32) % workers);
}
