/* parts.c - see parts.h. */
#include "controlplane/link/parts.h"

#include <stdlib.h>

/* Room for so many bytes in all; doubles, so that a text is copied twice at most. */
static bool reserve(struct parts *p, size_t size)
{
	size_t room = p->room < PARTS_KEPT_BYTES ? PARTS_KEPT_BYTES : p->room;

	if (size <= p->room)
		return true;
	while (room < size)
		room *= 2;
	uint8_t *bytes = realloc(p->bytes, room);
	if (bytes == NULL)
		return false;
	p->bytes = bytes;
	p->room = room;
	return true;
}

void parts_add(struct parts *p, struct span text, size_t size_max)
{
	if (p->spoilt)
		return;
	if (text.size > size_max - p->size || !reserve(p, p->size + text.size)) {
		parts_drop(p);
		p->spoilt = true;
		return;
	}
	if (text.size != 0)
		memcpy(p->bytes + p->size, text.at, text.size);
	p->size += text.size;
}

enum err parts_join(
	struct parts *p, struct span last, size_t size, size_t size_max, struct span *whole)
{
	*whole = last;
	if (p->spoilt || size > size_max || size < p->size || size - p->size != last.size)
		return ERR_SLOT_BAD;
	if (p->size == 0)
		return ERR_NONE;
	if (!reserve(p, size))
		return ERR_SLOT_BAD;
	if (last.size != 0)
		memcpy(p->bytes + p->size, last.at, last.size);
	*whole = (struct span){p->bytes, size};
	return ERR_NONE;
}

void parts_drop(struct parts *p)
{
	p->size = 0;
	p->spoilt = false;
	if (p->room > PARTS_KEPT_BYTES)
		parts_fini(p);
}

void parts_fini(struct parts *p)
{
	free(p->bytes);
	*p = (struct parts){.bytes = NULL};
}
