/* counters.h - what is counted, as rows of one table, and the block that holds it.
 *
 * A block has one writer and any number of readers, who may map it read-only
 * from another process; a value is one aligned 64-bit word, so a reader sees
 * some recent value, never a torn one. Error rows follow the named counters.
 * Names and kinds: counters.def and err.def. */
#pragma once
#include "dataplane/base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum counter {
#define COUNTER(name, text) COUNTER_##name,
#define GAUGE(name, text)   COUNTER_##name,
#include "dataplane/base/counters.def"
#undef COUNTER
#undef GAUGE
	COUNTER_NAMED,                            /* rows of counters.def */
	COUNTER_TOTAL = COUNTER_NAMED + ERR_COUNT /* and one per error */
};

enum { COUNTERS_MAX = 510 }; /* fixed by the layout in shared memory: one 4 KiB page */

struct counters {
	uint64_t heartbeat_us; /* monotonic clock when the writer last passed by */
	uint64_t reserved;
	uint64_t value[COUNTERS_MAX];
};

static inline void counter_set(struct counters *c, enum counter id, uint64_t v)
{
	__atomic_store_n(&c->value[id], v, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const struct counters *c, enum counter id)
{
	return __atomic_load_n(&c->value[id], __ATOMIC_RELAXED);
}

/* Single writer: a plain load and an atomic store are enough. */
static inline void counter_add(struct counters *c, enum counter id, uint64_t n)
{
	counter_set(c, id, c->value[id] + n);
}

static inline void counter_sub(struct counters *c, enum counter id, uint64_t n)
{
	counter_set(c, id, c->value[id] - n);
}

static inline void counter_err(struct counters *c, enum err e)
{
	counter_add(c, (enum counter)(COUNTER_NAMED + (unsigned)e), 1);
}

/* Names for people and JSON, for 0 <= id < COUNTER_TOTAL: "TCP_ACCEPTED", "ERR_TRUNCATED". */
const char *counter_name(unsigned id);
const char *counter_text(unsigned id);
bool counter_is_gauge(unsigned id);
