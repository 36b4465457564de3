/* replica.c - a hash table of session ids: linear probing, and no gaps left behind. */
#include "dataplane/worker/replica.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

/* Ids count upwards, so a multiplication spreads them; no peer chooses them. */
static uint32_t home(const struct replicas *r, uint64_t session)
{
	return (uint32_t)(session * 0x9e3779b97f4a7c15u >> 32) & r->mask;
}

/* At most half full: runs stay short. */
static uint32_t slots_for(uint32_t count)
{
	uint32_t n = 16;

	while (n < 2 * (uint64_t)count && n < 1u << 31)
		n *= 2;
	return n;
}

size_t replicas_bytes(uint32_t count)
{
	return pool_bytes(count, sizeof(struct replica)) + slots_for(count) * sizeof(uint32_t);
}

bool replicas_create(struct replicas *r, uint32_t count)
{
	const uint32_t slots = slots_for(count);

	*r = (struct replicas){.memory = malloc(pool_bytes(count, sizeof(struct replica))),
		.slots = malloc(slots * sizeof(*r->slots)),
		.mask = slots - 1};
	if (r->memory == NULL || r->slots == NULL)
		return false;
	memset(r->slots, 0xff, slots * sizeof(*r->slots)); /* POOL_NONE */
	pool_init(&r->pool, r->memory, count, sizeof(struct replica));
	return true;
}

void replicas_fini(struct replicas *r)
{
	free(r->memory);
	free(r->slots);
	*r = (struct replicas){0};
}

struct replica *replicas_at(const struct replicas *r, uint32_t index)
{
	return (struct replica *)pool_at(&r->pool, index);
}

/* The slot that names the session, or the free one where its search ends. */
static uint32_t probe(const struct replicas *r, uint64_t session)
{
	uint32_t i = home(r, session);

	while (r->slots[i] != POOL_NONE && replicas_at(r, r->slots[i])->session != session)
		i = (i + 1) & r->mask;
	return i;
}

uint32_t replicas_find(const struct replicas *r, uint64_t session)
{
	return r->slots[probe(r, session)];
}

uint32_t replicas_add(struct replicas *r, uint64_t session)
{
	const uint32_t slot = probe(r, session);

	if (r->slots[slot] != POOL_NONE)
		return r->slots[slot];
	const uint32_t index = pool_get(&r->pool);
	if (index == POOL_NONE)
		return POOL_NONE;
	*replicas_at(r, index) = (struct replica){.session = session, .worker = REPLICA_NOWHERE};
	r->slots[slot] = index;
	return index;
}

/* Does the entry at slot `i`, at home in `h`, stay reachable when slot `gap` is free? */
static bool reachable(uint32_t h, uint32_t gap, uint32_t i, uint32_t mask)
{
	return ((i - h) & mask) < ((i - gap) & mask);
}

void replicas_drop(struct replicas *r, uint32_t index)
{
	uint32_t gap = probe(r, replicas_at(r, index)->session);

	ASSERT(r->slots[gap] == index);
	for (uint32_t i = (gap + 1) & r->mask; r->slots[i] != POOL_NONE; i = (i + 1) & r->mask) {
		const uint32_t h = home(r, replicas_at(r, r->slots[i])->session);
		if (reachable(h, gap, i, r->mask))
			continue;
		r->slots[gap] = r->slots[i];
		gap = i;
	}
	r->slots[gap] = POOL_NONE;
	pool_put(&r->pool, index);
}

struct replica *replicas_try(const struct replicas *r, uint32_t index)
{
	return index < r->pool.count && pool_taken(&r->pool, index) ? replicas_at(r, index) : NULL;
}

void replicas_check(const struct replicas *r)
{
	uint32_t named = 0;

	for (uint32_t i = 0; i <= r->mask; i++) {
		if (r->slots[i] == POOL_NONE)
			continue;
		named++;
		ASSERT(probe(r, replicas_at(r, r->slots[i])->session) == i);
	}
	ASSERT(named == r->pool.out);
}
