/* outbox.h - effects for one worker that wait to be taken, in order, with their text. */
#pragma once
#include "controlplane/sessions/body.h"
#include "controlplane/sessions/sessions.h"

struct boxed {
	uint8_t type, size;
	uint8_t bytes[48];
	struct body *text; /* NULL: none */
};

struct outbox {
	struct boxed *ring;
	size_t room, first, count;
	bool bad; /* there was no memory for an effect: its worker's words are incomplete */
};

/* Copies the body of the slot, takes a reference of the text. */
void outbox_put(struct outbox *o, uint8_t type, const void *body, size_t size, struct body *text);
MUST_USE bool outbox_take(struct outbox *o, struct boxed *out); /* gives the text's reference */
void outbox_clear(struct outbox *o);
void outbox_fini(struct outbox *o);
