/* index.c - insertion, and removal by moving back (Knuth 6.4, algorithm R). */
#include "dataplane/match/index.h"

#include "dataplane/base/assert.h"

enum { LINE_SLOTS = 64 / sizeof(struct index_slot) };

/* At least one slot stays empty, which is what ends a search. */
static uint32_t slots_for(uint32_t entries_max)
{
	return (entries_max * 2 + LINE_SLOTS) & ~(uint32_t)(LINE_SLOTS - 1);
}

size_t index_bytes(uint32_t entries_max)
{
	return (size_t)slots_for(entries_max) * sizeof(struct index_slot);
}

void index_init(struct index *ix, void *memory, uint32_t entries_max)
{
	ASSERT(entries_max < UINT32_MAX / 4);
	*ix = (struct index){.slots = memory, .count = slots_for(entries_max), .max = entries_max};
	for (uint32_t i = 0; i < ix->count; i++)
		ix->slots[i] = (struct index_slot){0, INDEX_NONE};
}

void index_add(struct index *ix, uint32_t hash, uint32_t id)
{
	uint32_t at = index_home(ix, hash);

	ASSERT(ix->used < ix->max);
	ASSERT(id != INDEX_NONE);
	while (ix->slots[at].id != INDEX_NONE)
		at = index_after(ix, at);
	ix->slots[at] = (struct index_slot){hash, id};
	ix->used++;
}

/* Slots from `from` forward to `to`, around the end if need be. */
static uint32_t distance(const struct index *ix, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : to + ix->count - from;
}

void index_drop(struct index *ix, uint32_t hash, uint32_t id)
{
	uint32_t hole = index_home(ix, hash);

	while (ix->slots[hole].id != id || ix->slots[hole].hash != hash) {
		ASSERT(ix->slots[hole].id != INDEX_NONE);
		hole = index_after(ix, hole);
	}
	/* An entry may fill the hole when the hole lies between its home and its place. */
	for (uint32_t at = index_after(ix, hole); ix->slots[at].id != INDEX_NONE;
		at = index_after(ix, at)) {
		const uint32_t home = index_home(ix, ix->slots[at].hash);
		if (distance(ix, home, at) < distance(ix, hole, at))
			continue;
		ix->slots[hole] = ix->slots[at];
		hole = at;
	}
	ix->slots[hole].id = INDEX_NONE;
	ix->used--;
}

void index_check(const struct index *ix)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < ix->count; i++) {
		if (ix->slots[i].id == INDEX_NONE)
			continue;
		used++;
		/* No gap between an entry's home and its place, or a search would miss it. */
		for (uint32_t at = index_home(ix, ix->slots[i].hash); at != i;
			at = index_after(ix, at))
			ASSERT(ix->slots[at].id != INDEX_NONE);
	}
	ASSERT(used == ix->used);
	ASSERT(used <= ix->max);
}
