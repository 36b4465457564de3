/* ring_rx.c - the consumer's side, and the only file of it that touches shared slots. See ring.h.
 *
 * The producer may be hostile and may write at any moment: each word is read once. */
#include "dataplane/base/effect.h"
#include "dataplane/shm/ring.h"

enum { SLOT_WORDS = SHM_SLOT_BYTES / sizeof(uint64_t), RING_MASK = SHM_RING_SLOTS - 1 };

void shm_rx_init(struct shm_rx *rx, const uint8_t (*slots)[SHM_SLOT_BYTES],
	const struct shm_index *producer, struct shm_index *consumer)
{
	*rx = (struct shm_rx){.slots = slots,
		.producer = producer,
		.consumer = &consumer->value,
		.next = shm_load(&consumer->value)};
}

/* Each word is read once, and the compiler may not read it again later. */
static void copy_slot(const uint8_t *slot, struct shm_slot *out)
{
	const uint64_t *from = (const uint64_t *)(const void *)slot;
	uint64_t words[SLOT_WORDS];

	for (size_t i = 0; i < SLOT_WORDS; i++)
		words[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	memcpy(out, words, sizeof(words));
}

static enum shm_pop skip_to(struct shm_rx *rx, uint64_t index)
{
	rx->next = index;
	shm_store(rx->consumer, index);
	return SHM_CORRUPT;
}

enum shm_pop shm_rx_pop(struct shm_rx *rx, struct shm_slot *out)
{
	const uint64_t producer = shm_load(&rx->producer->value);
	const uint64_t waiting = producer - rx->next;

	if (waiting == 0)
		return SHM_EMPTY;
	if (waiting > SHM_RING_SLOTS)
		return skip_to(rx, producer);
	copy_slot(rx->slots[rx->next & RING_MASK], out);
	/* The index moved over a slot that nobody wrote. */
	if (out->sequence != (uint32_t)rx->next)
		return skip_to(rx, producer);
	return SHM_POPPED;
}

void shm_rx_done(struct shm_rx *rx)
{
	rx->next++;
	shm_store(rx->consumer, rx->next);
	effect_point(EFFECT_SLOT_TAKEN, 0);
}

bool shm_rx_pending(const struct shm_rx *rx)
{
	return shm_load(&rx->producer->value) != rx->next;
}

bool shm_arena_copy(const uint8_t *arena, struct shm_text text, uint8_t *to, size_t to_size)
{
	if (text.offset > SHM_ARENA_BYTES || text.size > SHM_ARENA_BYTES - text.offset)
		return false;
	if (text.size > to_size)
		return false;
	if (text.size != 0)
		memcpy(to, arena + text.offset, text.size);
	return true;
}
