/* sim.h - a wire in memory with two ends, in virtual time.
 *
 * Frames sent at one end arrive at the other after `delay_us`, serialised at
 * `bits_per_s`, impaired by seed: lost, duplicated, reordered, with one bit flipped (see impair.h).
 * Both ends are drivers; whoever runs the simulation moves time by sim_now and asks sim_next_us
 * when something arrives. Enforces what real NICs enforce: at most 8 segments, frames of at most
 * MTU + 14 (others: ERR_NIC_TX_DROPPED), a bounded transmit ring. Same seed, same calls: the same
 * frames, bit by bit. A frame is copied into the receiver's pool when it is received (pool empty:
 * ERR_NIC_RX_DROPPED); one that is not polled for holds its place.
 *
 * End 0 may have several queues, as a NIC for several workers. A flow comes in at one of them,
 * chosen by seed; now and then a frame comes in at another, as with a kernel's fanout. */
#pragma once
#include "dataplane/base/span.h"
#include "drivers/impair.h"

enum { SIM_SEGS_MAX = 8, SIM_QUEUES_MAX = 8 };

struct sim_conf {
	struct impair_settings impair; /* delay_us is the one-way latency; each way the same */
	uint64_t bits_per_s;           /* 0: infinitely fast */
	uint32_t frames_max;           /* under way in one direction; beyond: tx ring full */
	uint16_t mtu;
	struct rte_mempool *pool[2]; /* receive pool of each end */
	uint8_t mac[2][6];
	struct counters *counters[2];
	/* Of end 0 beyond the first queue; queues 0 and 1: there is only that. */
	uint16_t queues;
	struct rte_mempool *more_pools[SIM_QUEUES_MAX - 1];
	struct counters *more_counters[SIM_QUEUES_MAX - 1];
};

struct sim_wire;

MUST_USE struct sim_wire *sim_create(const struct sim_conf *conf);
void sim_destroy(struct sim_wire **w);
struct driver *sim_end(struct sim_wire *w, unsigned end); /* 0 or 1 */
void sim_now(struct sim_wire *w, uint64_t now_us);
uint64_t sim_next_us(const struct sim_wire *w); /* UINT64_MAX: nothing under way */
void sim_impair(struct sim_wire *w, const struct impair_settings *s);
/* Called for every frame put on the wire, before impairment; for traces and tests. */
void sim_tap(struct sim_wire *w, void (*seen)(void *owner, unsigned from, struct span frame),
	void *owner);
