/* memory.c - growing memory and tables. See memory.h. */
#include "controlplane/sessions/memory.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

enum { GROW_MIN = 16, TABLE_MIN = 64 };

bool memory_grow(void **at, size_t *room, size_t count, size_t size)
{
	size_t wanted = *room < GROW_MIN ? GROW_MIN : *room;

	if (count <= *room)
		return true;
	while (wanted < count)
		wanted *= 2;
	if (wanted > SIZE_MAX / size)
		return false;
	void *grown = realloc(*at, wanted * size);
	if (grown == NULL)
		return false;
	*at = grown;
	*room = wanted;
	return true;
}

static uint32_t home_of(const struct table *t, uint64_t key)
{
	const uint64_t h = key * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 32) & t->mask;
}

void table_fini(struct table *t)
{
	free(t->slots);
	*t = (struct table){0};
}

static struct table_slot *slot_of(const struct table *t, uint64_t key)
{
	uint32_t i = home_of(t, key);

	while (t->slots[i].key != 0 && t->slots[i].key != key)
		i = (i + 1) & t->mask;
	return &t->slots[i];
}

struct table_slot *table_find(const struct table *t, uint64_t key)
{
	if (t->count == 0 || key == 0)
		return NULL;
	struct table_slot *slot = slot_of(t, key);
	return slot->key == 0 ? NULL : slot;
}

static bool table_create(struct table *t, uint32_t slots)
{
	const struct table old = *t;

	t->slots = calloc(slots, sizeof(*t->slots));
	if (t->slots == NULL) {
		*t = old;
		return false;
	}
	t->mask = slots - 1;
	for (uint32_t i = 0; old.slots != NULL && i <= old.mask; i++)
		if (old.slots[i].key != 0)
			*slot_of(t, old.slots[i].key) = old.slots[i];
	free(old.slots);
	return true;
}

struct table_slot *table_put(struct table *t, uint64_t key)
{
	ASSERT(key != 0);
	if (t->slots == NULL && !table_create(t, TABLE_MIN))
		return NULL;
	struct table_slot *slot = slot_of(t, key);
	if (slot->key == key)
		return slot;
	if (t->count + 1 > (t->mask + 1) / 4 * 3) {
		if (!table_create(t, (t->mask + 1) * 2))
			return NULL;
		slot = slot_of(t, key);
	}
	*slot = (struct table_slot){.key = key};
	t->count++;
	return slot;
}

void table_remove(struct table *t, uint64_t key)
{
	struct table_slot *slot = table_find(t, key);

	if (slot == NULL)
		return;
	uint32_t hole = (uint32_t)(slot - t->slots);
	/* Whoever lies behind the hole and would be looked for before it moves into it. */
	for (uint32_t i = (hole + 1) & t->mask; t->slots[i].key != 0; i = (i + 1) & t->mask) {
		const uint32_t home = home_of(t, t->slots[i].key);
		if (((i - home) & t->mask) < ((i - hole) & t->mask))
			continue;
		t->slots[hole] = t->slots[i];
		hole = i;
	}
	t->slots[hole] = (struct table_slot){0};
	t->count--;
}
