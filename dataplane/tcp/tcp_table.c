/* tcp_table.c - see tcp_table.h. Removal is Knuth's algorithm R (TAOCP 6.4). */
#include "dataplane/tcp/tcp_table.h"

#include "dataplane/base/assert.h"

static_assert(sizeof(struct tcp_tuple) == 12, "hashed as bytes: no padding");

static uint32_t slots_for(uint32_t count)
{
	uint32_t slots = 16;

	ASSERT(count < UINT32_MAX / 4);
	while (slots < 2 * count)
		slots *= 2;
	return slots;
}

size_t tcp_table_bytes(uint32_t count)
{
	return slots_for(count) * sizeof(struct tcp_table_entry);
}

void tcp_table_init(struct tcp_table *t, void *memory, uint32_t count)
{
	t->entries = memory;
	t->mask = slots_for(count) - 1;
	t->used = 0;
	t->limit = count;
	for (uint32_t i = 0; i <= t->mask; i++)
		t->entries[i] = (struct tcp_table_entry){.index = TABLE_EMPTY};
}

uint32_t tcp_table_hash(const struct tcp_table *t, const struct tcp_tuple *tuple)
{
	return (uint32_t)siphash(t->key, span_of(tuple, sizeof(*tuple)));
}

uint32_t tcp_table_find(const struct tcp_table *t, const struct tcp_tuple *tuple)
{
	const uint32_t hash = tcp_table_hash(t, tuple);

	for (uint32_t i = hash & t->mask;; i = (i + 1) & t->mask) {
		const struct tcp_table_entry *e = &t->entries[i];
		if (e->index == TABLE_EMPTY)
			return TABLE_EMPTY;
		if (e->hash == hash && t->same(t->owner, e->index, tuple))
			return e->index;
	}
}

void tcp_table_insert(struct tcp_table *t, const struct tcp_tuple *tuple, uint32_t index)
{
	const uint32_t hash = tcp_table_hash(t, tuple);
	uint32_t i = hash & t->mask;

	ASSERT(t->used < t->limit);
	ASSERT(index != TABLE_EMPTY);
	while (t->entries[i].index != TABLE_EMPTY)
		i = (i + 1) & t->mask;
	t->entries[i] = (struct tcp_table_entry){hash, index};
	t->used++;
}

/* Moves back what probing would no longer reach across the empty slot `hole`. */
static void close_gap(struct tcp_table *t, uint32_t hole)
{
	for (uint32_t i = (hole + 1) & t->mask; t->entries[i].index != TABLE_EMPTY;
		i = (i + 1) & t->mask) {
		const uint32_t home = t->entries[i].hash & t->mask;
		if (((i - home) & t->mask) < ((i - hole) & t->mask))
			continue; /* its home lies behind the hole */
		t->entries[hole] = t->entries[i];
		t->entries[i].index = TABLE_EMPTY;
		hole = i;
	}
}

void tcp_table_remove(struct tcp_table *t, const struct tcp_tuple *tuple, uint32_t index)
{
	uint32_t i = tcp_table_hash(t, tuple) & t->mask;

	while (t->entries[i].index != index) {
		ASSERT(t->entries[i].index != TABLE_EMPTY);
		i = (i + 1) & t->mask;
	}
	t->entries[i].index = TABLE_EMPTY;
	t->used--;
	close_gap(t, i);
}
