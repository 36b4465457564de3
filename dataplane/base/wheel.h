/* wheel.h - a hierarchical timer wheel over the caller's nodes, by index.
 *
 * Four levels of 256 slots, one slot a millisecond at the lowest. A timer
 * fires at its deadline rounded up to the next millisecond, never early.
 * Deadlines beyond 2^32 ms wait at the end and are put back. Arming an armed timer moves it.
 * One thread; `now` never comes from a clock of its own. */
#pragma once
#include "dataplane/base/attr.h"

#include <stdbool.h>
#include <stdint.h>

enum { WHEEL_LEVELS = 4, WHEEL_SLOTS = 256, WHEEL_NEVER = 0 };

struct wheel_node {
	uint64_t tick; /* when it is due, in ticks; WHEEL_NEVER when not armed */
	uint32_t next;
	uint32_t prev; /* index of a node, or a list head beyond `count` */
};

struct wheel {
	struct wheel_node *nodes; /* count + WHEEL_LEVELS * WHEEL_SLOTS of them */
	uint32_t count;
	uint32_t armed;                                /* timers waiting */
	uint64_t tick;                                 /* the last tick handled */
	uint64_t busy[WHEEL_LEVELS][WHEEL_SLOTS / 64]; /* which slots hold something */
};

/* Nodes that the caller provides for `count` timers. */
static inline uint32_t wheel_nodes(uint32_t count)
{
	return count + WHEEL_LEVELS * WHEEL_SLOTS;
}

typedef void wheel_fire(void *owner, uint32_t index, uint64_t now_us);

void wheel_init(struct wheel *w, struct wheel_node *nodes, uint32_t count, uint64_t now_us);
void wheel_arm(struct wheel *w, uint32_t index, uint64_t deadline_us);
void wheel_cancel(struct wheel *w, uint32_t index);
bool wheel_is_armed(const struct wheel *w, uint32_t index);

/* Fires what is due, at most `budget` timers; the rest follow at the next call. Returns how many.
 * The callback may arm and cancel any timer. */
uint32_t wheel_poll(
	struct wheel *w, uint64_t now_us, uint32_t budget, wheel_fire *fire, void *owner);

/* A time at or before which nothing is due: sleep until then, poll, ask again. UINT64_MAX: none. */
uint64_t wheel_next_us(const struct wheel *w);
