/* restart.h - when does a process that died start again? Pure.
 *
 * At once the first time, then after 100 ms, doubling up to 5 s; ten seconds of
 * health make the next death a first one again. */
#pragma once
#include <stdint.h>

struct restart {
	uint64_t started_us; /* monotonic, of the life that ended last */
	uint32_t failures;   /* in a row */
};

void restart_on_start(struct restart *r, uint64_t now_us);
/* The process ended: the time at which to start it again. */
uint64_t restart_on_end(struct restart *r, uint64_t now_us);
