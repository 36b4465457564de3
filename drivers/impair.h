/* impair.h - a driver in front of a driver that loses, delays, reorders, duplicates and corrupts.
 *
 * There is no netem to rely on, so every software NIC can be impaired in both
 * directions, repeatably from a seed. All zero: frames pass untouched. The
 * settings may change while frames are under way. Delayed frames are held in a
 * bounded queue; beyond it they are dropped and counted (ERR_IMPAIR_DROPPED).
 *
 * Reordering: a frame is held back until 1 to 3 later ones have overtaken it; if none come it goes
 * after its delay, or after 10 ms if that is longer. Jitter alone never reorders. A corrupted frame
 * has one bit flipped, in a copy.
 *
 * Each queue is impaired for itself, with random numbers of its own; all calls about a queue are
 * for the worker that owns it. `now` comes in by impair_now before each turn: no clock here. */
#pragma once
#include "drivers/driver.h"

struct impair_settings {
	uint32_t loss_ppm, reorder_ppm, duplicate_ppm, corrupt_ppm; /* of a million frames */
	uint32_t delay_us, jitter_us;
	uint64_t seed;
};

/* Per queue: a pool and counters. Neither the inner driver's nor the stack's buffers are held: what
 * waits is copied into `copies`, at most held_max frames in each direction. Closing it closes the
 * inner driver. NULL: no memory. */
struct driver *impair_create(struct driver *inner, struct rte_mempool *const *copies,
	struct counters *const *counters, uint32_t held_max);
/* Starts the queue's random numbers anew from the seed. */
void impair_set(struct driver *d, uint16_t queue, const struct impair_settings *s);
/* Also sends what has become due. */
void impair_now(struct driver *d, uint16_t queue, uint64_t now_us);
/* When a held frame is due; UINT64_MAX: none. */
uint64_t impair_next_us(const struct driver *d, uint16_t queue);

/* Parses "loss=5%,delay=20ms,reorder=1%,duplicate=1%,corrupt=0.1%,jitter=1ms,seed=7" or "off". On
 * ERR_NIC_CONFIG, `why` says which word cannot be and what is wanted. Without a seed it is 1. */
MUST_USE enum err impair_parse(
	const char *text, struct impair_settings *out, char *why, size_t why_size);
