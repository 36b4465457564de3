/* bridge.h - carries frames between a memif and a tap of the kernel, so that a box on a memif has
 * kernel clients.
 *
 * One thread, as many queues on both sides: a frame that came in at queue n of the tap goes out at
 * queue n of the memif, and back, so the kernel's memory of which queue a flow was last answered
 * from works as on a plain tap. Nothing is lost here while there is room behind: frames that the
 * memif does not take wait, and so does the tap. Not here: the process and its restarts (main.c).
 */
#pragma once
#include "drivers/driver.h"

enum { BRIDGE_QUEUES_MAX = 8 };

struct bridge;

/* Attaches to an existing tap with the flag multi_queue. NULL with a reason. */
struct bridge *bridge_create(const char *tap, uint16_t queues, struct rte_mempool *pool,
	struct counters *counters, char *why, size_t why_size);
void bridge_destroy(struct bridge **bridge);

/* The memif to carry to and from; NULL: it is gone, and what waited for it too. */
void bridge_connect(struct bridge *b, struct driver *memif);

/* One turn over all queues; true when any frame moved. */
bool bridge_poll(struct bridge *b);

/* Until the kernel sends something, or the time has passed; memif cannot wake us. */
void bridge_wait(struct bridge *b, uint64_t timeout_us);
