/* ring_fuzz.c - the ring reader over hostile memory: indices, slots and arena are the input.
 *
 * The input is a script of what a dataplane may do to its memory while the
 * control plane reads it, and of reads:
 *
 *	0 slot      64 bytes, where the next slot is due, with its right sequence
 *	1 slot      64 bytes as they are
 *	2 arena     u16 where (times 16), u8 size, bytes
 *	3 producer  i16 added to it
 *	4 producer  u64, as it is
 *	5 read      u8 slots, at most
 *	6 restart   of the reader
 *	7 CONNECT   u8 each: id, user, password size, flags: a good one, text from the input
 *
 * Each popped copy goes through the command decoder, and what that accepts
 * through the registry. */
#include "controlplane/link/command.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/reader.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_STEP = 16, SMALL = 64, WRITES_MAX = 1024 };

/* On the heap at exact size, so that a sanitizer sees the first byte past; taken once, and only
 * what a run wrote is wiped after it, since a megabyte for each run would be most of the time. */
static uint8_t *slots, *arena;
static struct {
	size_t at, size;
} written[WRITES_MAX];
static uint32_t writes;

struct world {
	struct shm_index producer, consumer;
	struct shm_rx rx;
	uint64_t due; /* where the next slot is due */
	struct registry *registry;
	struct counters counters;
};

static struct command command; /* too large for a stack */

static void world_init(struct world *w)
{
	const struct registry_conf conf = {.workers = 1,
		.sessions_max = 8,
		.takeover_timeout_us = 10,
		.epoch_base = 1u << 20,
		.counters = &w->counters};

	if (slots == NULL) {
		slots = calloc(SHM_RING_SLOTS, SHM_SLOT_BYTES);
		arena = calloc(1, SHM_ARENA_BYTES);
	}
	*w = (struct world){.registry = registry_create(&conf)};
	ASSERT(slots != NULL && arena != NULL && w->registry != NULL);
	shm_rx_init(&w->rx, (const uint8_t(*)[SHM_SLOT_BYTES])slots, &w->producer, &w->consumer);
}

static void world_fini(struct world *w)
{
	registry_destroy(&w->registry);
	memset(slots, 0, (size_t)SHM_RING_SLOTS * SHM_SLOT_BYTES);
	for (uint32_t i = 0; i < writes; i++)
		memset(arena + written[i].at, 0, written[i].size);
	writes = 0;
}

static void fill_arena(size_t at, struct span bytes)
{
	if (bytes.size == 0 || bytes.size > SHM_ARENA_BYTES - at || writes == WRITES_MAX)
		return;
	memcpy(arena + at, bytes.at, bytes.size);
	written[writes].at = at;
	written[writes++].size = bytes.size;
}

static void place_slot(struct world *w, struct shm_slot *slot, bool right)
{
	if (right)
		slot->sequence = (uint32_t)w->due;
	memcpy(slots + (w->due % SHM_RING_SLOTS) * SHM_SLOT_BYTES, slot, sizeof(*slot));
	w->due++;
	w->producer.value = w->due;
}

static void write_slot(struct world *w, struct reader *r, bool right)
{
	struct shm_slot slot;
	const struct span bytes = read_bytes(r, sizeof(slot));

	if (bytes.size != sizeof(slot))
		return;
	memcpy(&slot, bytes.at, sizeof(slot));
	place_slot(w, &slot, right);
}

static void write_connect(struct world *w, struct reader *r)
{
	struct shm_slot slot;

	memset(&slot, 0, sizeof(slot));
	slot.type = SHM_COMMAND_CONNECT;
	slot.connect.client_id_size = read_u8(r);
	slot.connect.username_size = read_u8(r);
	slot.connect.password_size = read_u8(r);
	slot.connect.flags = read_u8(r);
	const struct span text =
		read_bytes(r, (size_t)slot.connect.client_id_size + slot.connect.username_size +
				      slot.connect.password_size);
	slot.connect.connection.index = (uint32_t)w->due % 8;
	slot.connect.text = (struct shm_text){(uint32_t)w->due % 512 * 1024, (uint32_t)text.size};
	slot.connect.epoch = (slot.connect.flags & SHM_CONNECT_LIVE) != 0 ? w->due : 0;
	fill_arena(slot.connect.text.offset, text);
	place_slot(w, &slot, true);
}

static void write_arena(struct reader *r)
{
	const size_t at = (size_t)read_u16(r) * ARENA_STEP;

	fill_arena(at, read_bytes(r, read_u8(r)));
}

static void check_connect(const struct registry_connect *c, const struct shm_slot *slot)
{
	const size_t size = c->client_id.size + c->username.size + c->password.size;

	ASSERT(size == slot->connect.text.size);
	ASSERT(size == 0 || memcmp(c->client_id.at, command.text, c->client_id.size) == 0);
	ASSERT(c->client_id.at + c->client_id.size == c->username.at);
	ASSERT(c->password.at + c->password.size == command.text + size);
	ASSERT(c->client_id.size == 0 || memchr(c->client_id.at, 0, c->client_id.size) == NULL);
	ASSERT(c->username.size == 0 || memchr(c->username.at, 0, c->username.size) == NULL);
}

static void judge(struct world *w, const struct shm_slot *slot)
{
	struct registry_effect effect;

	if (command_decode(slot, arena, 0, &command) != ERR_NONE)
		return;
	if (command.type == SHM_COMMAND_CONNECT) {
		check_connect(&command.connect, slot);
		if (!registry_connect(w->registry, &command.connect, w->due))
			while (registry_next(w->registry, 0, &effect))
				;
	} else if (command.type == SHM_COMMAND_CLOSED) {
		registry_closed(w->registry, 0, command.closed);
	} else {
		ASSERT(command.type == SHM_COMMAND_HELLO);
		registry_worker_gone(w->registry, 0);
	}
	registry_check(w->registry);
}

static void read_slots(struct world *w, uint32_t most)
{
	struct shm_slot slot;
	uint8_t small[SMALL];
	uint32_t popped = 0, corrupt = 0;

	for (uint32_t i = 0; i < most; i++) {
		const enum shm_pop got = shm_rx_pop(&w->rx, &slot);
		if (got == SHM_EMPTY)
			break;
		if (got == SHM_CORRUPT) {
			corrupt++;
			ASSERT(w->rx.next == w->producer.value); /* skipped to its end */
			continue;
		}
		popped++;
		ASSERT(slot.sequence == (uint32_t)w->rx.next);
		if (shm_arena_copy(arena, slot.connect.text, small, sizeof(small)))
			ASSERT(slot.connect.text.size <= sizeof(small));
		judge(w, &slot);
		shm_rx_done(&w->rx);
		ASSERT(w->consumer.value == w->rx.next);
	}
	/* The memory stood still: no more than the ring holds, and one fault at most. */
	ASSERT(popped <= SHM_RING_SLOTS && corrupt <= 1);
}

static void step(struct world *w, struct reader *r)
{
	switch (read_u8(r) % 8) {
	case 0:
		write_slot(w, r, true);
		return;
	case 1:
		write_slot(w, r, false);
		return;
	case 2:
		write_arena(r);
		return;
	case 3:
		w->producer.value += (uint64_t)(int64_t)(int16_t)read_u16(r);
		return;
	case 4:
		w->due = w->producer.value = (uint64_t)read_u32(r) << 32 | read_u32(r);
		return;
	case 5:
		read_slots(w, read_u8(r));
		return;
	case 6:
		shm_rx_init(&w->rx, (const uint8_t(*)[SHM_SLOT_BYTES])slots, &w->producer,
			&w->consumer);
		return;
	default:
		write_connect(w, r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_of((struct span){data, size});
	struct world w;

	world_init(&w);
	while (!r.bad && reader_left(&r) > 0)
		step(&w, &r);
	read_slots(&w, UINT32_MAX);
	world_fini(&w);
	return 0;
}
