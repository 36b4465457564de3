/* body.c - shared bytes and their cache. See body.h. */
#include "controlplane/sessions/body.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

struct body *body_create(size_t content_size)
{
	struct body *b = malloc(sizeof(*b) + SCHEMA_HEAD + content_size);

	if (b == NULL)
		return NULL;
	b->refs = 1;
	b->size = SCHEMA_HEAD + content_size;
	memset(b->bytes, 0, SCHEMA_HEAD);
	return b;
}

struct body *body_ref(struct body *b)
{
	b->refs++;
	return b;
}

void body_put(struct body **b)
{
	if (*b == NULL)
		return;
	ASSERT((*b)->refs > 0);
	if (--(*b)->refs == 0)
		free(*b);
	*b = NULL;
}

void bodies_remove(struct bodies *c, uint64_t id)
{
	if (id < c->first || id >= c->end)
		return;
	struct body **slot = &c->slots[id % BODIES_MAX];
	if (*slot == NULL)
		return;
	c->bytes -= (*slot)->size;
	body_put(slot);
}

static void drop_oldest(struct bodies *c)
{
	bodies_remove(c, c->first);
	c->first++;
}

void bodies_add(struct bodies *c, uint64_t id, struct body *b)
{
	if (c->first == c->end)
		c->first = c->end = id;
	ASSERT(id >= c->end);
	if (b->size > BODIES_BYTES_MAX / 4)
		return;
	while (c->first < c->end &&
		(id - c->first >= BODIES_MAX || c->bytes + b->size > BODIES_BYTES_MAX))
		drop_oldest(c);
	if (c->first == c->end)
		c->first = id;
	c->slots[id % BODIES_MAX] = body_ref(b);
	c->bytes += b->size;
	c->end = id + 1;
}

struct body *bodies_find(const struct bodies *c, uint64_t id)
{
	return id < c->first || id >= c->end ? NULL : c->slots[id % BODIES_MAX];
}

void bodies_fini(struct bodies *c)
{
	while (c->first < c->end)
		drop_oldest(c);
}
