/* copy.c - copies of batches. */
#include "storage/copy.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

static struct span keep_bytes(uint8_t **to, struct span from)
{
	const struct span kept = {*to, from.size};

	if (from.size > 0)
		memcpy(*to, from.at, from.size);
	*to += from.size;
	return kept;
}

struct batch_copy *batch_copy_create(const struct storage_batch *b)
{
	size_t bytes = sizeof(struct batch_copy) + b->count * sizeof(b->ops[0]);

	for (size_t i = 0; i < b->count; i++)
		bytes += b->ops[i].key.size + b->ops[i].value.size;
	struct batch_copy *c = (struct batch_copy *)malloc(bytes);
	if (c == NULL)
		return NULL;
	*c = (struct batch_copy){.sync = b->sync, .count = b->count};
	uint8_t *to = (uint8_t *)&c->ops[b->count];
	for (size_t i = 0; i < b->count; i++) {
		c->ops[i].kind = b->ops[i].kind;
		c->ops[i].key = keep_bytes(&to, b->ops[i].key);
		c->ops[i].value = keep_bytes(&to, b->ops[i].value);
	}
	return c;
}

void batch_list_init(struct batch_list *l)
{
	*l = (struct batch_list){.end = &l->oldest};
}

void batch_list_add(struct batch_list *l, struct batch_copy *b)
{
	*l->end = b;
	l->end = &b->next;
}

void batch_list_drop(struct batch_list *l)
{
	struct batch_copy *b = l->oldest;

	ASSERT(b != NULL);
	l->oldest = b->next;
	if (l->oldest == NULL)
		l->end = &l->oldest;
	free(b);
}
