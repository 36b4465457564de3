/* tcp_trace.h - what happened lately, always on: one ring of 8-byte records for all connections.
 *
 *	| 22 bits: us since the record before | 16: argument | 20: connection | 6: what |
 *
 * A delta that does not fit is a record of its own, TIME, whose upper 58 bits are
 * the delta. Connections beyond 2^20 share the low bits of their index. A record
 * is written by one inline call and read only when somebody asks for a
 * connection's: then the ring is walked back from the newest to the record OPENED
 * of that connection, or to the end. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/tcp_facts.h"

enum {
	TCP_TRACE_RECORDS = 1 << 16, /* 512 KiB a worker */
	TRACE_WHAT_BITS = 6,
	TRACE_INDEX_BITS = 20,
	TRACE_ARGUMENT_BITS = 16,
	TRACE_ARGUMENT_AT = TRACE_WHAT_BITS + TRACE_INDEX_BITS,
	TRACE_DELTA_AT = TRACE_ARGUMENT_AT + TRACE_ARGUMENT_BITS,
	TRACE_DELTA_MAX = (1 << (64 - TRACE_DELTA_AT)) - 1,
	TRACE_INDEX_MASK = (1 << TRACE_INDEX_BITS) - 1,
};

static_assert(TCP_WHATS <= 1 << TRACE_WHAT_BITS, "what happened fits its bits");

struct tcp_trace {
	uint64_t *records;
	uint64_t next;    /* counts records, for ever */
	uint64_t last_us; /* of the newest */
};

static inline void tcp_trace_put(struct tcp_trace *t, uint64_t record)
{
	t->records[t->next++ & (TCP_TRACE_RECORDS - 1)] = record;
}

/* More time has passed than a record can tell: says so, and returns the time that now counts. */
uint64_t tcp_trace_gap(struct tcp_trace *t, uint64_t now_us);

static inline void tcp_trace_add(
	struct tcp_trace *t, uint32_t index, enum tcp_what what, uint16_t argument, uint64_t now_us)
{
	uint64_t delta = now_us - t->last_us;

	if (__builtin_expect(delta > TRACE_DELTA_MAX, 0)) {
		now_us = tcp_trace_gap(t, now_us);
		delta = 0;
	}
	t->last_us = now_us;
	tcp_trace_put(t, delta << TRACE_DELTA_AT | (uint64_t)argument << TRACE_ARGUMENT_AT |
				 (uint64_t)(index & TRACE_INDEX_MASK) << TRACE_WHAT_BITS | what);
}

/* A walk back; copies of what matched, the newest first. */
struct tcp_trace_walk {
	uint32_t index;
	uint16_t generation; /* low bits */
	bool ours;           /* records of that index are of that generation, not of a later one */
	uint64_t at;         /* the next record to look at lies before it */
	uint64_t at_us;      /* that record's time */
	bool over;           /* nothing older is known of that connection */
};

/* `newest`: no later connection has that place now. */
struct tcp_trace_walk tcp_trace_walk_begin(
	const struct tcp_trace *t, uint32_t index, uint32_t generation, bool newest);
/* Looks at `budget` records at most and finds `room` at most: how many it found. */
uint32_t tcp_trace_walk_on(const struct tcp_trace *t, struct tcp_trace_walk *walk, uint32_t budget,
	struct tcp_happened *out, uint32_t room);
