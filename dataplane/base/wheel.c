/* wheel.c - see wheel.h. Level k has slots of 256^k ticks; a node sits at the lowest level whose
 * span reaches its deadline and cascades down as time comes near. */
#include "dataplane/base/wheel.h"

#include "dataplane/base/assert.h"

enum { TICK_US = 1000, SLOT_BITS = 8, SLOT_MASK = WHEEL_SLOTS - 1 };

static uint32_t head_of(const struct wheel *w, unsigned level, unsigned slot)
{
	return w->count + level * WHEEL_SLOTS + slot;
}

static void link_node(struct wheel *w, uint32_t index)
{
	struct wheel_node *n = &w->nodes[index];
	const uint64_t ahead = n->tick - w->tick;
	unsigned level = 0;

	while (level + 1 < WHEEL_LEVELS && ahead >= (uint64_t)1 << (SLOT_BITS * (level + 1)))
		level++;
	uint64_t tick = n->tick;
	const uint64_t reach = ((uint64_t)1 << (SLOT_BITS * WHEEL_LEVELS)) - 1;
	if (ahead > reach)
		tick = w->tick + reach; /* waits at the end, is put back from there */
	const unsigned slot = (unsigned)(tick >> (SLOT_BITS * level)) & SLOT_MASK;
	const uint32_t head = head_of(w, level, slot);

	n->prev = w->nodes[head].prev;
	n->next = head;
	w->nodes[n->prev].next = index;
	w->nodes[head].prev = index;
	w->busy[level][slot / 64] |= (uint64_t)1 << (slot % 64);
}

static void unlink_node(struct wheel *w, uint32_t index)
{
	struct wheel_node *n = &w->nodes[index];

	w->nodes[n->prev].next = n->next;
	w->nodes[n->next].prev = n->prev;
	if (n->prev == n->next && n->prev >= w->count) {
		const uint32_t at = n->prev - w->count;
		const unsigned slot = at % WHEEL_SLOTS;
		w->busy[at / WHEEL_SLOTS][slot / 64] &= ~((uint64_t)1 << (slot % 64));
	}
}

void wheel_init(struct wheel *w, struct wheel_node *nodes, uint32_t count, uint64_t now_us)
{
	*w = (struct wheel){.nodes = nodes, .count = count, .tick = now_us / TICK_US};
	for (uint32_t i = 0; i < count; i++)
		nodes[i] = (struct wheel_node){.tick = WHEEL_NEVER};
	for (uint32_t i = count; i < wheel_nodes(count); i++)
		nodes[i] = (struct wheel_node){.next = i, .prev = i};
}

bool wheel_is_armed(const struct wheel *w, uint32_t index)
{
	ASSERT(index < w->count);
	return w->nodes[index].tick != WHEEL_NEVER;
}

void wheel_cancel(struct wheel *w, uint32_t index)
{
	if (!wheel_is_armed(w, index))
		return;
	unlink_node(w, index);
	w->nodes[index].tick = WHEEL_NEVER;
	w->armed--;
}

void wheel_arm(struct wheel *w, uint32_t index, uint64_t deadline_us)
{
	uint64_t tick = deadline_us / TICK_US + (deadline_us % TICK_US != 0);

	wheel_cancel(w, index);
	if (tick <= w->tick)
		tick = w->tick + 1;
	w->nodes[index].tick = tick;
	link_node(w, index);
	w->armed++;
}

/* Moves the nodes of one slot of a higher level to where they belong now. */
static void cascade(struct wheel *w, unsigned level)
{
	const unsigned slot = (unsigned)(w->tick >> (SLOT_BITS * level)) & SLOT_MASK;
	const uint32_t head = head_of(w, level, slot);

	for (uint32_t i = w->nodes[head].next; i != head;) {
		const uint32_t next = w->nodes[i].next;
		unlink_node(w, i);
		link_node(w, i);
		i = next;
	}
	if (slot == 0 && level + 1 < WHEEL_LEVELS)
		cascade(w, level + 1);
}

/* Distance from `from` to the first busy slot of a level, going round; WHEEL_SLOTS if none. */
static unsigned first_busy(const struct wheel *w, unsigned level, unsigned from)
{
	for (unsigned i = 0; i < WHEEL_SLOTS;) {
		const unsigned slot = (from + i) & SLOT_MASK;
		const uint64_t word = w->busy[level][slot / 64] >> (slot % 64);
		if (word != 0)
			return i + (unsigned)__builtin_ctzll(word) < WHEEL_SLOTS
				       ? i + (unsigned)__builtin_ctzll(word)
				       : (unsigned)WHEEL_SLOTS;
		i += 64 - slot % 64;
	}
	return WHEEL_SLOTS;
}

/* The next tick at which something fires or cascades; UINT64_MAX if nothing is armed. */
static uint64_t next_tick(const struct wheel *w)
{
	uint64_t best = UINT64_MAX;

	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		const uint64_t now = w->tick >> (SLOT_BITS * level);
		const unsigned d = first_busy(w, level, (unsigned)(now + 1) & SLOT_MASK);
		if (d == WHEEL_SLOTS)
			continue;
		const uint64_t at = (now + 1 + d) << (SLOT_BITS * level);
		if (at < best)
			best = at;
	}
	return best;
}

/* Fires the current tick's slot, as far as the budget goes. */
static uint32_t fire_slot(
	struct wheel *w, uint64_t now_us, uint32_t budget, wheel_fire *fire, void *owner)
{
	const uint32_t head = head_of(w, 0, (unsigned)w->tick & SLOT_MASK);
	uint32_t fired = 0;

	while (fired < budget && w->nodes[head].next != head) {
		const uint32_t index = w->nodes[head].next;
		ASSERT(w->nodes[index].tick <= w->tick);
		wheel_cancel(w, index);
		fire(owner, index, now_us);
		fired++;
	}
	return fired;
}

uint32_t wheel_poll(
	struct wheel *w, uint64_t now_us, uint32_t budget, wheel_fire *fire, void *owner)
{
	const uint64_t target = now_us / TICK_US;
	uint32_t fired = fire_slot(w, now_us, budget, fire, owner); /* left over from last time */

	while (fired < budget && w->tick < target) {
		const uint64_t next = next_tick(w);
		if (next > target) {
			w->tick = target;
			break;
		}
		w->tick = next;
		if ((w->tick & SLOT_MASK) == 0)
			cascade(w, 1);
		fired += fire_slot(w, now_us, budget - fired, fire, owner);
	}
	return fired;
}

uint64_t wheel_next_us(const struct wheel *w)
{
	const uint32_t head = head_of(w, 0, (unsigned)w->tick & SLOT_MASK);

	if (w->armed == 0)
		return UINT64_MAX;
	if (w->nodes[head].next != head)
		return w->tick * TICK_US;
	const uint64_t next = next_tick(w);
	return next == UINT64_MAX ? UINT64_MAX : next * TICK_US;
}
