/* tier.h - patterns that Hyperscan has compiled together, ready to be scanned by one worker.
 *
 * Made by the service thread from what the control plane wrote (shm/tiers.h,
 * where lengths and checksum have been judged: Hyperscan's own deserialiser
 * trusts what it reads, and gets nothing else). Making one takes milliseconds
 * and memory, of which all is touched; scanning takes neither. The database is shared by
 * the workers, scratch and table are one worker's own. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/err.h"
#include "dataplane/base/span.h"

enum {
	TIER_SEATS = 9,           /* tiers at once: a fresh one, and large ones */
	TIER_PATTERNS_MAX = 4096, /* of one */
};

struct tier_base; /* what the workers share: database and texts */
struct tier;      /* one worker's */

/* Takes `bytes` of `texts` ({u16 size, text} each, in network order) and a serialised database,
 * copies of them its own. ERR_TIER_BAD: they contradict each other, or Hyperscan's version;
 * ERR_TIER_MEMORY. */
MUST_USE enum err tier_base_create(struct span texts, struct span database, struct tier_base **out);
void tier_base_put(struct tier_base **base); /* the last who has it frees it */
/* Another for a worker; NULL: no memory. */
MUST_USE struct tier *tier_create(struct tier_base *base);
void tier_destroy(struct tier **tier);
size_t tier_base_bytes(const struct tier_base *base);
/* Its own memory, and its share of what the workers have together. */
size_t tier_bytes(const struct tier *t);

typedef void tier_hit(void *owner, uint32_t index); /* which of its patterns */

uint32_t tier_count(const struct tier *t);
struct span tier_text(const struct tier *t, uint32_t index);
/* The worker's own notes: which pattern is it there. */
struct tier_note {
	uint32_t pattern; /* POOL_NONE: none, or not any more */
	uint32_t serial;
};
struct tier_note *tier_notes(struct tier *t);
/* topic: and a NUL behind it, which counts. */
void tier_scan(struct tier *t, struct span topic_and_nul, tier_hit *hit, void *owner);
