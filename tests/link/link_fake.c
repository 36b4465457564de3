/* link_fake.c - see link_fake.h. */
#include "tests/link/link_fake.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

void link_fake_start(struct link_fake *f, void *dp, const void *cp, uint32_t worker)
{
	const uint64_t generation = ((const struct shm_header *)dp)->generation;
	struct shm_dp_worker *ours = shm_dp_worker(dp, worker);
	const struct shm_cp_worker *theirs = shm_cp_worker_const(cp, worker);

	link_fake_stop(f);
	shm_tx_init(&f->commands, ours->commands, &ours->command_producer,
		&theirs->command_consumer, (uint32_t)generation);
	shm_rx_init(&f->events, theirs->events, &theirs->event_producer, &ours->event_consumer);
	shm_arena_init(&f->arena, ours->arena, f->commands.next);
	f->their_arena = theirs->arena;
}

void link_fake_stop(struct link_fake *f)
{
	free(f->text);
	*f = (struct link_fake){.text = NULL};
}

bool link_fake_say(struct link_fake *f, enum shm_command type, const void *body, size_t size)
{
	return shm_tx_push(&f->commands, (uint8_t)type, body, size);
}

bool link_fake_hello(struct link_fake *f, bool loaded)
{
	const struct shm_hello hello = {.loaded = loaded};

	return link_fake_say(f, SHM_COMMAND_HELLO, &hello, sizeof(hello));
}

bool link_fake_connect(struct link_fake *f, struct shm_connect *c, struct span client_id,
	struct span username, struct span password, struct span will)
{
	const struct span parts[] = {client_id, username, password, will};

	c->client_id_size = (uint16_t)client_id.size;
	c->username_size = (uint16_t)username.size;
	c->password_size = (uint16_t)password.size;
	return shm_arena_put(&f->arena, &f->commands, parts, ARRAY_SIZE(parts), &c->text) &&
	       link_fake_say(f, SHM_COMMAND_CONNECT, c, sizeof(*c));
}

bool link_fake_work(
	struct link_fake *f, enum shm_command type, struct shm_work *work, struct span text)
{
	while (text.size - f->sent > SHM_PART_BYTES) {
		const struct span piece = {text.at + f->sent, SHM_PART_BYTES};
		struct shm_part part;
		if (!shm_arena_put(&f->arena, &f->commands, &piece, 1, &part.text) ||
			!link_fake_say(f, SHM_COMMAND_PART, &part, sizeof(part)))
			return false;
		f->sent += SHM_PART_BYTES;
	}
	const struct span last = span_skip(text, f->sent);
	work->sequence = f->sequence + 1;
	if (type == SHM_COMMAND_STORE)
		work->text_size = (uint32_t)text.size;
	if (!shm_arena_put(&f->arena, &f->commands, &last, 1, &work->text) ||
		!link_fake_say(f, type, work, sizeof(*work)))
		return false;
	f->sequence++;
	f->sent = 0;
	return true;
}

static void add_text(struct link_fake *f, struct shm_text text)
{
	if (text.size == 0)
		return;
	if (f->text_size + text.size > f->text_room) {
		f->text_room = 2 * (f->text_size + text.size);
		f->text = realloc(f->text, f->text_room);
		ASSERT(f->text != NULL);
	}
	const bool copied = shm_arena_copy(f->their_arena, text, f->text + f->text_size, text.size);
	ASSERT(copied);
	f->text_size += text.size;
}

static struct shm_text text_of(const struct shm_slot *slot)
{
	if (slot->type == SHM_EVENT_PART)
		return slot->part.text;
	if (slot->type == SHM_EVENT_QUEUE_SUBSCRIBE || slot->type == SHM_EVENT_QUEUE_UNSUBSCRIBE)
		return slot->replica.text;
	if (slot->type == SHM_EVENT_DELIVER)
		return slot->deliver.text;
	if (slot->type == SHM_EVENT_PUBLISH)
		return slot->publish.text;
	if (slot->type == SHM_EVENT_RETAINED)
		return slot->retained.text;
	return (struct shm_text){0, 0};
}

struct link_event link_fake_next(struct link_fake *f)
{
	struct link_event e = {.parts = 0};

	if (f->whole) {
		f->text_size = 0;
		f->parts = 0;
		f->whole = false;
	}
	while (shm_rx_pop(&f->events, &e.slot) == SHM_POPPED) {
		if (e.slot.sender != f->sender) {
			f->text_size = 0;
			f->parts = 0;
			f->sender = e.slot.sender;
		}
		add_text(f, text_of(&e.slot));
		shm_rx_done(&f->events);
		if (e.slot.type != SHM_EVENT_PART) {
			e.text = (struct span){f->text, f->text_size};
			e.parts = f->parts;
			f->whole = true;
			return e;
		}
		f->parts++;
	}
	memset(&e.slot, 0, sizeof(e.slot));
	return e;
}
