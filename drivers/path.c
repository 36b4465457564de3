/* path.c - see path.h. */
#include "drivers/path.h"

#include "dataplane/base/assert.h"

#include <string.h>

void path_init(struct path *p, struct path_frame *ring, uint32_t frames_max)
{
	*p = (struct path){.ring = ring, .size = frames_max};
}

uint32_t path_room(const struct path *p)
{
	return p->size - p->count - p->back_count;
}

/* Nothing overtakes by being due earlier: a ring gives the oldest first. */
static void push(struct path *p, void *frame, uint64_t due_us)
{
	ASSERT(p->count < p->size);
	p->ring[(p->head + p->count) % p->size] = (struct path_frame){frame, due_us};
	p->count++;
}

static void release(struct path *p, uint32_t i)
{
	const struct path_back b = p->back[i];

	p->back_count--;
	memmove(&p->back[i], &p->back[i + 1], (p->back_count - i) * sizeof(p->back[0]));
	push(p, b.frame, b.due_us);
}

static void release_expired(struct path *p, uint64_t now_us)
{
	for (uint32_t i = 0; i < p->back_count;)
		if (p->back[i].until_us <= now_us)
			release(p, i);
		else
			i++;
}

void path_put(struct path *p, void *frame, uint8_t overtakers, uint64_t now_us, uint64_t due_us)
{
	ASSERT(path_room(p) > 0);
	release_expired(p, now_us);
	if (overtakers > 0 && p->back_count < PATH_BACK) {
		const uint64_t hold_us = now_us + PATH_HOLD_US;
		p->back[p->back_count++] = (struct path_back){
			frame, due_us, due_us > hold_us ? due_us : hold_us, overtakers};
		return;
	}
	push(p, frame, due_us);
	for (uint32_t i = 0; i < p->back_count;)
		if (--p->back[i].overtakers == 0)
			release(p, i);
		else
			i++;
}

void *path_peek(struct path *p, uint64_t now_us)
{
	release_expired(p, now_us);
	if (p->count == 0 || p->ring[p->head].due_us > now_us)
		return NULL;
	return p->ring[p->head].frame;
}

void path_pop(struct path *p)
{
	ASSERT(p->count > 0);
	p->head = (p->head + 1) % p->size;
	p->count--;
}

uint64_t path_next_us(const struct path *p)
{
	uint64_t next_us = p->count > 0 ? p->ring[p->head].due_us : UINT64_MAX;

	for (uint32_t i = 0; i < p->back_count; i++)
		if (p->back[i].until_us < next_us)
			next_us = p->back[i].until_us;
	return next_us;
}
