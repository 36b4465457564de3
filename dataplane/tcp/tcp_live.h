/* tcp_live.h - the open connections of a stack, in memory that outlives its process.
 *
 * Sixteen bytes each, by the index of the connection's record. Whoever comes
 * after a crash finds what its predecessors' peers still take for open, and
 * draws an answer from each, which a RST follows (tcp_live.c). The memory is
 * all zero at first, and has one writer at a time. */
#pragma once
#include "dataplane/base/assert.h"
#include "dataplane/tcp/tcp_table.h"

enum { TCP_LIVE_HEAD_BYTES = 4096 };

struct tcp_live {
	struct tcp_tuple tuple;
	uint32_t generation; /* of the process that it is, or was, open in; 0: free */
};

struct tcp_live_table {
	uint32_t used; /* entries from here on were never written */
	uint8_t reserved[TCP_LIVE_HEAD_BYTES - 4];
	struct tcp_live entries[];
};

/* What tcp_create is told of it. */
struct tcp_live_conf {
	struct tcp_live_table *table; /* NULL: nobody comes after us */
	uint32_t max;                 /* entries it has room for */
	uint32_t generation;          /* of this process; not 0, and no predecessor's */
};

/* Through what a predecessor left: tcp_live.c. */
struct live_walk {
	uint32_t used, at, found; /* entries; of this round: so far, and orphans among them */
	uint32_t round;
	uint64_t round_us, next_us;
};

static_assert(sizeof(struct tcp_live) == 16, "what an idle connection costs in shared memory");

struct tcp;
struct conn;
void tcp_live_init(struct tcp *t);
void tcp_live_add(struct tcp *t, const struct conn *c);
void tcp_live_remove(struct tcp *t, const struct conn *c);
uint32_t tcp_live_poll(struct tcp *t, uint64_t now_us);
uint64_t tcp_live_next_us(const struct tcp *t);
void tcp_live_check(const struct tcp *t);
