/* tiers.h - compiled patterns on their way from the control plane to the dataplane.
 *
 * A region of its own. For each seat there is room for two versions, used in
 * turn: the control plane writes the next one beside the one that counts, then
 * says its number, which is all that a reader waits for (a futex, if it likes). A
 * version is a head, the texts of its filters ({u16 size, text} each) and a database that
 * Hyperscan has serialised. Readers copy it once, then judge lengths and
 * checksum in their copy: one that is written over meanwhile is refused, and
 * there is a newer one. It outlives restarts of either side: a new control
 * plane counts on, and finds in the texts what is compiled already.
 *
 *	page 0 header | page 1 numbers | seat 0: even, odd | seat 1: even, odd | ...
 *
 * Memory is taken as it is written. Not here: what the bytes mean to
 * Hyperscan (dataplane/match/tier.h), whose reader gets nothing that has not passed here. */
#pragma once
#include "dataplane/shm/region.h"

enum {
	SHM_TIER_SEATS = 9,
	SHM_TIER_BYTES = 16 << 20, /* of a version, its head included */
};

struct shm_tier_head {
	uint64_t checksum; /* SipHash of all that follows, to the end of the database */
	uint64_t number;   /* of this version, from 1 */
	uint32_t texts_size;
	uint32_t database_size;
	uint64_t reserved;
};

struct shm_tiers_page {
	uint32_t changes; /* counts versions of all seats; woken by futex */
	uint32_t reserved[15];
	uint64_t number[SHM_TIER_SEATS]; /* of the version that counts; 0: none yet */
};

/* A version, checked; spans into the reader's copy. */
struct shm_tier {
	struct span texts, database;
};

const struct shm_tiers_page *shm_tiers_page(const void *base);
/* False: too large. */
MUST_USE bool shm_tier_write(void *base, uint32_t seat, struct span texts, struct span database);
/* Bytes that a copy of that version needs; 0: its head makes no sense. */
size_t shm_tier_size(const void *base, uint32_t seat, uint64_t number);
/* `copy`: of that many bytes, aligned to 8. ERR_TIER_BAD. */
MUST_USE enum err shm_tier_read(const void *base, uint32_t seat, uint64_t number, uint8_t *copy,
	size_t size, struct shm_tier *out);
/* The judge alone: of a copy. */
MUST_USE enum err shm_tier_check(
	const uint8_t *copy, size_t size, uint64_t number, struct shm_tier *out);

/* What both sides count alike. The size that a head tells, itself included; 0: nonsense. */
size_t shm_tier_head_size(const struct shm_tier_head *head);
/* Of a whole version, all but its checksum. */
uint64_t shm_tier_checksum(const uint8_t *version, size_t size);
