/* outbox.c - effects that wait. See outbox.h. */
#include "controlplane/sessions/outbox.h"

#include "controlplane/sessions/memory.h"
#include "dataplane/base/assert.h"

#include <stdlib.h>

/* The ring is laid out anew when it grows: from its first one on. */
static bool make_room(struct outbox *o)
{
	const size_t before = o->room;

	if (o->count < o->room)
		return true;
	if (!memory_grow((void **)&o->ring, &o->room, o->room + 1, sizeof(*o->ring)))
		return false;
	const size_t wrapped = before - o->first; /* from first to the old end */
	memmove(&o->ring[o->room - wrapped], &o->ring[o->first], wrapped * sizeof(*o->ring));
	o->first = before == 0 ? 0 : o->room - wrapped;
	return true;
}

void outbox_put(struct outbox *o, uint8_t type, const void *body, size_t size, struct body *text)
{
	if (!make_room(o)) {
		o->bad = true;
		return;
	}
	struct boxed *b = &o->ring[(o->first + o->count++) % o->room];
	ASSERT(size <= sizeof(b->bytes));
	*b = (struct boxed){.type = type, .size = (uint8_t)size};
	if (size > 0)
		memcpy(b->bytes, body, size);
	if (text != NULL)
		b->text = body_ref(text);
}

bool outbox_take(struct outbox *o, struct boxed *out)
{
	if (o->count == 0)
		return false;
	*out = o->ring[o->first];
	o->first = (o->first + 1) % o->room;
	o->count--;
	return true;
}

void outbox_clear(struct outbox *o)
{
	struct boxed b;

	while (outbox_take(o, &b))
		body_put(&b.text);
	o->bad = false;
}

void outbox_fini(struct outbox *o)
{
	outbox_clear(o);
	free(o->ring);
	*o = (struct outbox){0};
}
