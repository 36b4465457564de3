/* peers.c - see peers.h. The only place that takes slots out of the rings. */
#include "dataplane/worker/peers.h"

#include "dataplane/base/assert.h"
#include "dataplane/worker/worker_internal.h"

/* Gives way to route.c's: without it nobody sends what it would get. */
__attribute__((weak)) void route_on_peer(struct worker *w, const struct peer_slot *slot)
{
	(void)w;
	ASSERT(slot->kind == PEER_FRAME || slot->kind == PEER_NEIGHBOUR);
}

static void dispatch(struct worker *w, const struct peer_slot *slot)
{
	switch (slot->kind) {
	case PEER_FRAME:
		steer_on_frame(w, slot);
		break;
	case PEER_NEIGHBOUR:
		steer_on_neighbour(w, slot);
		break;
	default:
		route_on_peer(w, slot);
	}
}

bool peers_poll(struct worker *w)
{
	struct peers *p = w->conf.peers;
	struct peer_slot slot;
	uint32_t got = 0;

	if (p == NULL)
		return false;
	for (uint32_t from = 0; from < peers_workers(p); from++) {
		if (from == w->conf.worker)
			continue;
		for (uint32_t n = 0; n < WORKER_PEER_SLOTS; n++) {
			if (!peer_pop(p, from, w->conf.worker, &slot))
				break;
			dispatch(w, &slot);
			got++;
		}
	}
	counter_add(w->counters, COUNTER_PEER_RX, got);
	return got > 0;
}

void peers_flush(struct worker *w)
{
	if (w->conf.peers != NULL)
		peers_ring(w->conf.peers, w->conf.worker);
}

bool peers_pending(const struct worker *w)
{
	return w->conf.peers != NULL && peer_pending(w->conf.peers, w->conf.worker);
}

/* What is lent, and tokens, died with the workers; buffers did not. */
static void discard(const struct peer_slot *slot)
{
	switch (slot->kind) {
	case PEER_FRAME:
	case PEER_NEIGHBOUR:
		rte_pktmbuf_free((struct rte_mbuf *)slot->p);
		break;
	case PEER_MESSAGE:
	case PEER_FORWARD:
	case PEER_SNAPSHOT:
	case PEER_VALUE:
		rte_pktmbuf_free(slot->payload);
		break;
	default:
		break;
	}
}

void peers_clear(struct peers *p)
{
	struct peer_slot slot;

	for (uint32_t from = 0; from < peers_workers(p); from++)
		for (uint32_t to = 0; to < peers_workers(p); to++)
			while (from != to && peer_pop(p, from, to, &slot))
				discard(&slot);
}
