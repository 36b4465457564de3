/* chain.c - queues of claims. See chain.h. */
#include "controlplane/registry/chain.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/pool.h"

#include <stdlib.h>

enum { CHAIN_OUT = UINT32_MAX - 1 }; /* a link that is in no queue; POOL_NONE ends one */

bool chain_create(struct chain *c, uint32_t count)
{
	*c = (struct chain){.first = POOL_NONE, .last = POOL_NONE};
	c->links = malloc(count * sizeof(*c->links));
	for (uint32_t i = 0; c->links != NULL && i < count; i++)
		c->links[i].prev = c->links[i].next = CHAIN_OUT;
	return c->links != NULL;
}

bool chain_has(const struct chain *c, uint32_t index)
{
	return c->links[index].next != CHAIN_OUT;
}

void chain_append(struct chain *c, uint32_t index)
{
	ASSERT(!chain_has(c, index));
	c->links[index] = (struct chain_link){c->last, POOL_NONE};
	if (c->last == POOL_NONE)
		c->first = index;
	else
		c->links[c->last].next = index;
	c->last = index;
}

void chain_remove(struct chain *c, uint32_t index)
{
	const struct chain_link link = c->links[index];

	ASSERT(chain_has(c, index));
	if (link.prev == POOL_NONE)
		c->first = link.next;
	else
		c->links[link.prev].next = link.next;
	if (link.next == POOL_NONE)
		c->last = link.prev;
	else
		c->links[link.next].prev = link.prev;
	c->links[index] = (struct chain_link){CHAIN_OUT, CHAIN_OUT};
}
