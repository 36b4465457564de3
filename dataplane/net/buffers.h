/* buffers.h - pools of packet buffers.
 *
 * A plain stack of free buffers without per-core caches. A pool of one thread
 * has no lock: that thread alone gets and puts. A shared one has: its buffers may go
 * to other workers, which give them back from where they are. The room of a free buffer
 * is poisoned in ASan builds, so that a use after free is seen where it
 * happens. Names must be unique in the process: put the box's number in. */
#pragma once
#include "dataplane/base/attr.h"

#include <rte_mbuf.h>

enum { BUFFERS_ROOM = 2048 + RTE_PKTMBUF_HEADROOM };

/* `room`: bytes of a buffer, headroom included; 0 for headers that only carry chains. NULL: no
 * memory, or the name is taken. */
MUST_USE struct rte_mempool *buffers_create(const char *name, uint32_t count, uint16_t room);
MUST_USE struct rte_mempool *buffers_create_shared(const char *name, uint32_t count, uint16_t room);
