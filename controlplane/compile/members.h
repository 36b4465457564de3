/* members.h - the patterns that compile.c knows: by text, by the workers' numbers, by tier.
 *
 * One for each text: alive while a worker has it, somewhere while a tier
 * has it; neither, and it is forgotten, unless a set under way holds it. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/hash.h"
#include "dataplane/shm/tiers.h"

enum {
	MEMBER_NOWHERE = SHM_TIER_SEATS, /* for its seat */
};

struct member {
	struct member *next; /* of those with like hashes */
	uint64_t hash;
	uint32_t users; /* numbers that stand for it */
	uint16_t size;
	uint8_t seat;
	bool refused; /* not to be compiled again */
	bool held;    /* by the set under way */
	uint8_t text[];
};

struct members {
	struct member **bucket;
	struct member **by_number;
	uint32_t mask;
	uint32_t numbers; /* of all workers: below that */
	uint32_t alive[MEMBER_NOWHERE + 1], all[MEMBER_NOWHERE + 1]; /* by seat */
	uint32_t refused;                                            /* alive, nowhere */
	size_t bytes, bytes_max;                                     /* of texts */
	struct hash_key key;
};

MUST_USE bool members_create(
	struct members *m, uint32_t numbers, size_t bytes_max, struct hash_key key);
void members_fini(struct members *m);

static inline struct span member_text(const struct member *e)
{
	return span_of(e->text, e->size);
}

static inline bool member_lives(const struct member *e)
{
	return e->users > 0;
}

struct member *members_find(const struct members *m, struct span text); /* NULL */
/* Finds or makes it, dead and nowhere: then it must get a number or a seat. NULL: no room. */
MUST_USE struct member *members_create_one(struct members *m, struct span text);
/* All of these may forget it. */
void members_number(struct members *m, uint32_t number, struct member *e); /* NULL: nothing */
void members_place(struct members *m, struct member *e, uint32_t seat);
void members_refuse(struct members *m, struct member *e);
void members_hold(struct members *m, struct member *e, bool held);

typedef void members_visit(void *owner, struct member *e); /* must not have it forgotten */
void members_each(const struct members *m, members_visit *visit, void *owner);
void members_check(const struct members *m);
