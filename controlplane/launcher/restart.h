/* restart.h - when does a process that died start again? Pure.
 *
 * At once the first time, then after 100 ms, doubling up to 5 s; ten seconds of
 * health make the next death a first one again. Who says that a start does not help
 * is believed the third time: what a disk has misread once it may read right. */
#pragma once
#include <stdint.h>

struct restart {
	uint64_t started_us; /* monotonic, of the life that ended last */
	uint32_t failures;   /* in a row */
	uint32_t hopeless;   /* ends that a start does not change, in all */
};

void restart_on_start(struct restart *r, uint64_t now_us);
/* The process ended: the time at which to start it again. */
uint64_t restart_on_end(struct restart *r, uint64_t now_us);
/* It ended so that a new start does not help. UINT64_MAX: it shall not start again. */
uint64_t restart_on_hopeless_end(struct restart *r, uint64_t now_us);
