/* cells.c - chains of cells. */
#include "dataplane/fabric/cells.h"

#include "dataplane/base/assert.h"

void cells_init(struct cells *c, void *memory, uint32_t count)
{
	*c = (struct cells){.at = memory, .count = count, .free_count = count, .free = CELLS_NONE};
	for (uint32_t i = count; i > 0; i--) {
		c->at[i - 1].next = c->free;
		c->free = i - 1;
	}
}

uint32_t cells_take(struct cells *c, uint32_t count)
{
	const uint32_t first = count > 0 ? c->free : CELLS_NONE;
	uint32_t last = first;

	ASSERT(count <= c->free_count);
	if (count == 0)
		return CELLS_NONE;
	for (uint32_t i = 1; i < count; i++)
		last = c->at[last].next;
	c->free = c->at[last].next;
	c->free_count -= count;
	c->at[last].next = CELLS_NONE;
	return first;
}

void cells_put(struct cells *c, uint32_t first)
{
	uint32_t last = first, count = 1;

	if (first == CELLS_NONE)
		return;
	for (; c->at[last].next != CELLS_NONE; count++)
		last = c->at[last].next;
	c->at[last].next = c->free;
	c->free = first;
	c->free_count += count;
	ASSERT(c->free_count <= c->count);
}

/* The bytes left in the cell of a place, which moves on when there are none. */
static size_t room(const struct cells *c, struct cells_place *p)
{
	if (p->offset == CELL_BYTES)
		*p = (struct cells_place){.cell = c->at[p->cell].next};
	ASSERT(p->cell < c->count);
	return CELL_BYTES - p->offset;
}

void cells_write(struct cells *c, struct cells_place *p, struct span bytes)
{
	while (bytes.size > 0) {
		const size_t left = room(c, p);
		const size_t n = bytes.size < left ? bytes.size : left;
		memcpy(c->at[p->cell].bytes + p->offset, bytes.at, n);
		p->offset += (uint32_t)n;
		bytes = span_skip(bytes, n);
	}
}

void cells_read(const struct cells *c, struct cells_place *p, void *to, size_t size)
{
	uint8_t *at = to;

	while (size > 0) {
		const size_t left = room(c, p);
		const size_t n = size < left ? size : left;
		memcpy(at, c->at[p->cell].bytes + p->offset, n);
		p->offset += (uint32_t)n;
		at += n;
		size -= n;
	}
}
