/* peers.h - a worker's turn at its rings from the others: each slot goes to who knows its kind. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/worker/peer.h"

struct worker;

/* A bounded piece of what the others have said. True: there was something. */
bool peers_poll(struct worker *w);
void peers_flush(struct worker *w); /* wakes whom this turn has told something */
bool peers_pending(const struct worker *w);
/* All workers are gone, or do not turn any more: frees the buffers that are still in the rings, so
 * that pools and rings can go. */
void peers_clear(struct peers *p);

/* route.c: every kind but FRAME and NEIGHBOUR. */
void route_on_peer(struct worker *w, const struct peer_slot *slot);
