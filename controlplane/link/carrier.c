/* carrier.c - see carrier.h. */
#include "controlplane/link/carrier.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

/* Where the slot of that type says where its text lies; NULL: it has none. */
static struct shm_text *text_of(struct sessions_effect *e)
{
	switch ((enum shm_event)e->type) {
	case SHM_EVENT_QUEUE_SUBSCRIBE:
	case SHM_EVENT_QUEUE_UNSUBSCRIBE:
		return &e->replica.text;
	case SHM_EVENT_DELIVER:
		return &e->deliver.text;
	case SHM_EVENT_PUBLISH:
		return &e->publish.text;
	case SHM_EVENT_RETAINED:
		return &e->retained.text;
	case SHM_EVENT_GRANT:
	case SHM_EVENT_REVOKE:
	case SHM_EVENT_DONE:
	case SHM_EVENT_REFUSED:
	case SHM_EVENT_RECEIVED_ID:
	case SHM_EVENT_QUEUE_GONE:
	case SHM_EVENT_QUEUE_PLACE:
	case SHM_EVENT_PART:
	case SHM_EVENT_LOADED:
	case SHM_EVENT_TRIED:
	case SHM_EVENTS:
		break;
	}
	return NULL;
}

static void set_text_size(struct sessions_effect *e, size_t size)
{
	if (e->type == SHM_EVENT_DELIVER)
		e->deliver.text_size = (uint32_t)size;
	else if (e->type == SHM_EVENT_PUBLISH)
		e->publish.text_size = (uint32_t)size;
	else if (e->type == SHM_EVENT_RETAINED)
		e->retained.text_size = (uint32_t)size;
	else
		ASSERT(size <= SHM_PART_BYTES); /* a filter */
}

/* The slot, with the last part of its text. */
static bool send_last(struct shm_tx *tx, struct shm_arena *arena, const struct sessions_effect *e,
	const struct span text[2], size_t whole)
{
	struct sessions_effect slot = *e;
	struct shm_text *at = text_of(&slot);

	if (at == NULL) {
		ASSERT(whole == 0);
		return shm_tx_push(tx, e->type, e->bytes, e->size);
	}
	set_text_size(&slot, whole);
	if (!shm_arena_put(arena, tx, text, 2, at))
		return false;
	return shm_tx_push(tx, slot.type, slot.bytes, slot.size);
}

static bool send_part(struct shm_tx *tx, struct shm_arena *arena, struct span text)
{
	struct shm_part part = {0};

	return shm_arena_put(arena, tx, &text, 1, &part.text) &&
	       shm_tx_push(tx, SHM_EVENT_PART, &part, sizeof(part));
}

bool carrier_send(struct shm_tx *tx, struct shm_arena *arena, const struct sessions_effect *e)
{
	const size_t size = e->text[0].size + e->text[1].size;

	return size <= SHM_PART_BYTES && send_last(tx, arena, e, e->text, size);
}

bool carrier_load(struct carrier *o, const struct sessions_effect *e)
{
	const size_t first = e->text[0].size, size = first + e->text[1].size;

	ASSERT(!o->loaded);
	if (size > o->room) {
		uint8_t *bytes = realloc(o->bytes, size);
		if (bytes == NULL)
			return false;
		o->bytes = bytes;
		o->room = size;
	}
	if (first != 0)
		memcpy(o->bytes, e->text[0].at, first);
	if (size != first)
		memcpy(o->bytes + first, e->text[1].at, size - first);
	o->effect = *e;
	o->size = size;
	o->at = 0;
	o->loaded = true;
	return true;
}

uint32_t carrier_push(struct carrier *o, struct shm_tx *tx, struct shm_arena *arena)
{
	uint32_t slots = 0;

	if (!o->loaded)
		return 0;
	for (; o->size - o->at > SHM_PART_BYTES; o->at += SHM_PART_BYTES, slots++)
		if (!send_part(tx, arena, (struct span){o->bytes + o->at, SHM_PART_BYTES}))
			return slots;
	const struct span last[2] = {span_skip((struct span){o->bytes, o->size}, o->at), {NULL, 0}};
	if (!send_last(tx, arena, &o->effect, last, o->size))
		return slots;
	carrier_drop(o);
	return slots + 1;
}

void carrier_drop(struct carrier *o)
{
	o->loaded = false;
	if (o->room > CARRIER_KEPT_BYTES)
		carrier_fini(o);
}

void carrier_fini(struct carrier *o)
{
	free(o->bytes);
	*o = (struct carrier){.loaded = false};
}
