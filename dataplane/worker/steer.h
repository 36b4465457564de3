/* steer.h - which worker a received frame belongs to.
 *
 * Virtual NICs give no hash that can be relied on: a frame comes in at any
 * queue, and at another one next time. So the owner of a connection follows
 * from a keyed hash of its addresses and ports, the same at every worker, and
 * whoever receives a frame of another's hands it on by ring (PEER_FRAME).
 *
 * ARP is answered where it arrives, and copied to all others to learn from. An ICMP error goes to
 * the owner of the segment that it quotes. Fragments have no ports: all of a packet go to one
 * worker, who hands the whole on. What else is no TCP over IPv4 is handled where it arrives. Alone,
 * a worker keeps everything and looks at nothing. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/hash.h"

#include <rte_mbuf.h>

struct worker;
struct peer_slot;

struct steer {
	uint32_t workers;
	struct hash_key key;
};

enum {
	STEER_HERE = UINT16_MAX,         /* whoever has it handles it */
	STEER_EVERYBODY = UINT16_MAX - 1 /* and all others learn from it */
};

struct steer steer_of(uint32_t workers, struct hash_key key);
/* A worker, or one of the above. Pure; the frame may be a chain, and anything. */
MUST_USE uint32_t steer_owner(const struct steer *s, const struct rte_mbuf *frame);

void steer_init(struct worker *w);
/* Hands on what belongs to others; the rest is moved to the front. Returns how many that is. */
MUST_USE uint16_t steer_in(struct worker *w, struct rte_mbuf **frames, uint16_t n);
/* A frame that was put together here. True: it is another's, and taken. */
MUST_USE bool steer_whole(struct worker *w, struct rte_mbuf **frame);
void steer_on_frame(struct worker *w, const struct peer_slot *slot);
void steer_on_neighbour(struct worker *w, const struct peer_slot *slot);
