/* pending.c - a ring that grows, and the order in which its batches may leave. */
#include "storage/pending.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

enum { ROOM_FIRST = 64 };

static struct pending_batch *slot(const struct pending *p, uint64_t position)
{
	return &p->ring[position & (p->room - 1)];
}

void pending_fini(struct pending *p)
{
	free(p->ring);
	*p = (struct pending){0};
}

static bool grow(struct pending *p)
{
	struct pending larger = *p;

	larger.room = p->room == 0 ? ROOM_FIRST : 2 * p->room;
	larger.ring = (struct pending_batch *)malloc(larger.room * sizeof(*larger.ring));
	if (larger.ring == NULL)
		return false;
	for (uint64_t i = p->head; i < p->tail; i++)
		*slot(&larger, i) = *slot(p, i);
	free(p->ring);
	*p = larger;
	return true;
}

bool pending_push(struct pending *p, uint64_t token, enum storage_sync sync)
{
	if (p->tail - p->head == p->room && !grow(p))
		return false;
	*slot(p, p->tail++) = (struct pending_batch){token, sync};
	return true;
}

static bool through(const struct pending *p, struct pending_reach reach)
{
	const bool synced = slot(p, p->head)->sync == STORAGE_SYNCED;

	ASSERT(reach.synced <= reach.written);
	ASSERT(reach.written <= p->tail);
	return !p->failing && p->head < (synced ? reach.synced : reach.written);
}

bool pending_ready(const struct pending *p, struct pending_reach reach)
{
	return p->head < p->tail && (reach.err != ERR_NONE || through(p, reach));
}

uint32_t pending_poll(
	struct pending *p, struct pending_reach reach, struct storage_completion *out, uint32_t max)
{
	uint32_t count = 0;

	while (count < max && pending_ready(p, reach)) {
		p->failing = !through(p, reach);
		out[count++] = (struct storage_completion){
			slot(p, p->head++)->token, p->failing ? reach.err : ERR_NONE};
	}
	return count;
}

uint64_t pending_unsynced(const struct pending *p, struct pending_reach reach)
{
	uint64_t done = p->head;

	/* A batch that may leave counts as complete, polled or not; those behind a synced one that
	 * still waits do not. */
	while (done < reach.written && slot(p, done)->sync != STORAGE_SYNCED)
		done++;
	return done > reach.synced ? done - reach.synced : 0;
}
