/* buffers.h - pools of packet buffers: rte_mbuf pools of one thread.
 *
 * A plain stack of free buffers without locks or per-core caches: a pool
 * belongs to one worker, which alone gets and puts. The room of a free buffer
 * is poisoned in ASan builds, so that a use after free is seen where it
 * happens. Names must be unique in the process: put the box's number in. */
#pragma once
#include "dataplane/base/attr.h"

#include <rte_mbuf.h>

enum { BUFFERS_ROOM = 2048 + RTE_PKTMBUF_HEADROOM };

/* `room`: bytes of a buffer, headroom included; 0 for headers that only carry chains. NULL: no
 * memory, or the name is taken. */
MUST_USE struct rte_mempool *buffers_create(const char *name, uint32_t count, uint16_t room);
