/* ring_tx.c - the producer's side, and the only file of it that touches shared slots. See ring.h.
 */
#include "dataplane/base/effect.h"
#include "dataplane/shm/ring.h"

enum { RING_MASK = SHM_RING_SLOTS - 1 };

static_assert(SHM_ARENA_BYTES <= UINT32_MAX / 2, "arena offsets and sums fit 32 bits");

void shm_tx_init(struct shm_tx *tx, uint8_t (*slots)[SHM_SLOT_BYTES], struct shm_index *producer,
	const struct shm_index *consumer, uint32_t sender)
{
	*tx = (struct shm_tx){.slots = slots,
		.producer = &producer->value,
		.consumer = consumer,
		.next = shm_load(&producer->value),
		.sender = sender};
}

uint32_t shm_tx_room(const struct shm_tx *tx)
{
	const uint64_t waiting = tx->next - shm_load(&tx->consumer->value);
	return waiting > SHM_RING_SLOTS ? 0 : (uint32_t)(SHM_RING_SLOTS - waiting);
}

bool shm_tx_push(struct shm_tx *tx, uint8_t type, const void *body, size_t size)
{
	struct shm_slot *slot = (struct shm_slot *)(void *)tx->slots[tx->next & RING_MASK];

	ASSERT(size <= sizeof(slot->bytes));
	ASSERT(type != 0);
	if (shm_tx_room(tx) == 0)
		return false;
	/* Type 0 while the body changes: a half-written slot never looks like a command. */
	__atomic_store_n(&slot->type, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	if (size != 0)
		memcpy(slot->bytes, body, size);
	memset(slot->bytes + size, 0, sizeof(slot->bytes) - size);
	slot->sender = tx->sender;
	slot->receiver = tx->receiver;
	slot->sequence = (uint32_t)tx->next;
	memset(slot->reserved, 0, sizeof(slot->reserved));
	__atomic_store_n(&slot->type, type, __ATOMIC_RELEASE);
	tx->next++;
	shm_store(tx->producer, tx->next);
	effect_point(EFFECT_SLOT, type);
	return true;
}

void shm_arena_init(struct shm_arena *a, uint8_t *bytes, uint64_t ring_index)
{
	*a = (struct shm_arena){.bytes = bytes, .reclaimed = ring_index};
}

/* Takes back the text of the slots that the consumer has passed. */
static void arena_reclaim(struct shm_arena *a, const struct shm_tx *tx)
{
	const uint64_t consumer = shm_load(&tx->consumer->value);
	uint64_t passed = consumer - a->reclaimed;

	if (passed > tx->next - a->reclaimed)
		return; /* nonsense: ahead of us, or backwards */
	/* Only slots still in the ring when they were filled have a size, so one round is enough.
	 */
	if (passed > SHM_RING_SLOTS)
		passed = SHM_RING_SLOTS;
	for (uint64_t i = 0; i < passed; i++) {
		uint32_t *size = &a->size_at[(a->reclaimed + i) & RING_MASK];
		ASSERT(a->used >= *size);
		a->used -= *size;
		*size = 0;
	}
	a->reclaimed = consumer;
	if (a->used == 0)
		a->head = 0;
}

/* Bytes to take for a text of `size`, with those lost at the end of the arena; 0: no room. */
static uint32_t arena_cost(const struct shm_arena *a, size_t size)
{
	const uint32_t tail = SHM_ARENA_BYTES - a->head;

	if (size > SHM_ARENA_BYTES)
		return 0;
	const uint32_t cost = (uint32_t)size + (size > tail ? tail : 0);
	return cost > SHM_ARENA_BYTES - a->used ? 0 : cost;
}

bool shm_arena_put(struct shm_arena *a, struct shm_tx *tx, const struct span *parts, size_t count,
	struct shm_text *out)
{
	size_t size = 0;

	arena_reclaim(a, tx);
	if (shm_tx_room(tx) == 0)
		return false;
	for (size_t i = 0; i < count; i++)
		size += parts[i].size;
	const uint32_t cost = arena_cost(a, size);
	if (cost == 0 && size != 0)
		return false;
	if (cost > size)
		a->head = 0;
	*out = (struct shm_text){a->head, (uint32_t)size};
	for (size_t i = 0; i < count; i++) {
		if (parts[i].size != 0)
			memcpy(a->bytes + a->head, parts[i].at, parts[i].size);
		a->head += (uint32_t)parts[i].size;
	}
	if (a->head == SHM_ARENA_BYTES)
		a->head = 0;
	a->used += cost;
	/* Added, not set: a put whose push did not follow belongs to the slot that comes. */
	a->size_at[tx->next & RING_MASK] += cost;
	return true;
}
