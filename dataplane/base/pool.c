/* pool.c - a free list of indices over the caller's memory. */
#include "dataplane/base/pool.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/poison.h"

enum { POOL_TAKEN = UINT32_MAX - 1, POOL_ALIGN = 64 };

static size_t objects_bytes(uint32_t count, size_t size)
{
	return ((size_t)count * size + POOL_ALIGN - 1) & ~(size_t)(POOL_ALIGN - 1);
}

size_t pool_bytes(uint32_t count, size_t size)
{
	return objects_bytes(count, size) + (size_t)count * sizeof(uint32_t);
}

void pool_init(struct pool *p, void *memory, uint32_t count, size_t size)
{
	ASSERT(count < POOL_TAKEN);
	*p = (struct pool){.objects = (uint8_t *)memory, .count = count, .size = size};
	p->next = (uint32_t *)(p->objects + objects_bytes(count, size));
	for (uint32_t i = 0; i < count; i++)
		p->next[i] = i + 1 < count ? i + 1 : (uint32_t)POOL_NONE;
	p->free = count == 0 ? (uint32_t)POOL_NONE : 0;
	poison(p->objects, (size_t)count * size);
}

uint32_t pool_get(struct pool *p)
{
	const uint32_t index = p->free;

	if (index == POOL_NONE)
		return POOL_NONE;
	ASSERT(index < p->count);
	p->free = p->next[index];
	p->next[index] = POOL_TAKEN;
	p->out++;
	unpoison(p->objects + (size_t)index * p->size, p->size);
	return index;
}

void pool_put(struct pool *p, uint32_t index)
{
	ASSERT(index < p->count);
	ASSERT(p->next[index] == POOL_TAKEN);
	p->next[index] = p->free;
	p->free = index;
	p->out--;
	poison(p->objects + (size_t)index * p->size, p->size);
}

void *pool_at(const struct pool *p, uint32_t index)
{
	ASSERT(index < p->count);
	ASSERT(p->next[index] == POOL_TAKEN);
	return p->objects + (size_t)index * p->size;
}

bool pool_taken(const struct pool *p, uint32_t index)
{
	ASSERT(index < p->count);
	return p->next[index] == POOL_TAKEN;
}
