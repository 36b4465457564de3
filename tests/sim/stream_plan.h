/* stream_plan.h - what a seed of stream_play.c is to be: the wire, the stacks, the connections. */
#pragma once
#include "dataplane/base/rng.h"
#include "drivers/impair.h"
#include "tests/sim/stream_play.h"

/* One side of a connection: what it does, and how far it is. */
struct half {
	uint64_t bytes;    /* to send */
	bool waits;        /* with its FIN for the other's */
	uint64_t abort_us; /* that long after its opening it resets; 0: never */
	uint64_t stall_at; /* having read so much it goes away, once, for */
	uint64_t stall_us;
	uint32_t pause_us; /* at most, now and then, in reading and writing */

	uint64_t conn;
	bool open, closed, in_order, ended, finished, aborted;
	uint64_t sent, received;
	uint64_t opened_us, closed_us, read_us, write_us;
};

struct link {
	unsigned opener;
	uint64_t start_us;
	uint32_t offset[2]; /* in the pattern, of the first byte from each side */
	uint16_t port;
	bool started;
	struct half half[2];
};

struct flap {
	uint64_t down_us, up_us;
};

struct plan {
	struct impair_settings impair;
	uint64_t bits_per_s;
	uint32_t frames_max;
	struct end_conf end[2];
	struct flap flap[STREAM_FLAPS]; /* both zero: none */
	uint32_t count;
	struct link links[STREAM_CONNECTIONS];
};

/* Draws it all; leaves `pattern` and `counters` of the ends alone. */
void plan_draw(struct plan *p, const struct stream_conf *conf, struct rng *rng);
