/* doorbell.h - wakes a process that waits for its rings, without a system call while it is awake.
 *
 * The sleeper says so in the header of its own region, looks at its rings once
 * more, and only then waits for an eventfd. The pusher pushes, then looks at
 * that word. Both put a full fence between their store and their load, so at
 * least one of them sees the other: no wake-up is lost (Dekker).
 *
 *	sleeper                             pusher
 *	shm_doorbell_sleep(own header)      shm_tx_push(...), as often as it likes
 *	rings empty? poll(fd, timeout)      shm_doorbell_ring(sleeper's header, fd)
 *	shm_doorbell_wake(own header, fd)
 *
 * The eventfd is non-blocking. A pusher who does not ring only makes the
 * sleeper late by its time-out. Not here: what is waited for. */
#pragma once
#include "dataplane/shm/region.h"

#include <unistd.h>

/* From now on a push rings. Look at the rings again before waiting. */
static inline void shm_doorbell_sleep(struct shm_header *own)
{
	__atomic_store_n(&own->sleeping, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Awake again: takes what was rung. `fd` < 0: no doorbell, there is only the time-out. */
static inline void shm_doorbell_wake(struct shm_header *own, int fd)
{
	uint64_t rung;

	__atomic_store_n(&own->sleeping, 0, __ATOMIC_SEQ_CST);
	if (fd >= 0 && read(fd, &rung, sizeof(rung)) < 0)
		return; /* nobody rang: the time-out ended the wait */
}

/* After one or several pushes. True: the sleeper was woken. */
static inline bool shm_doorbell_ring(const struct shm_header *sleeper, int fd)
{
	const uint64_t one = 1;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (fd < 0 || __atomic_load_n(&sleeper->sleeping, __ATOMIC_RELAXED) == 0)
		return false;
	/* Can only fail when the count is at its limit: then it is awake soon anyway. */
	return write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one);
}
