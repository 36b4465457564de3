/* pair.h - two whole stacks, net and tcp, on a simulated wire, with an application each.
 *
 * Each side sends `bytes` of a known pattern, by copy and by lending, in pieces
 * of random sizes; reads with pauses; checks every byte; closes. All in virtual
 * time, from one seed. Not here: what must come of it (tcp_pair_test.c). */
#pragma once
#include "dataplane/tcp/tcp.h"
#include "drivers/sim/sim.h"

struct pair_conf {
	struct impair_settings impair;
	uint64_t bits_per_s;
	uint64_t bytes; /* each way */
	uint32_t window, send_queue;
	uint32_t headers, copies, held, nodes, frames; /* sizes of the pools */
	uint16_t mtu, segs_max;
	bool checksum_by_nic; /* the wire fills in what both sides leave to it */
	uint32_t connections; /* at once */
	uint32_t pause_us;    /* the readers' longest pause; 0: they read at once */
	uint64_t user_timeout_us;
	uint64_t seed;
};

struct pair_result {
	bool finished;       /* both sides of all connections closed in order, before the limit */
	uint64_t wrong;      /* bytes that were not what they should be */
	uint64_t received;   /* bytes, all connections and both ways */
	uint64_t buffers;    /* not back in their pools at the end */
	uint64_t lent;       /* references not given back */
	uint64_t lent_calls; /* references taken in all */
	uint64_t now_us;     /* virtual time used */
	struct counters counters[2];
};

/* Runs to the end or for limit_us of virtual time. */
void pair_run(const struct pair_conf *conf, uint64_t limit_us, struct pair_result *out);
uint64_t pair_err(const struct pair_result *r, unsigned side, enum err e);
