/* inspect.h - answers what an operator asks about connections (shm/inspect.h).
 *
 * A bounded number of places is looked at in a turn, so that no client waits
 * for it; while it looks the worker does not sleep. */
#pragma once
#include "dataplane/shm/inspect.h"
#include "dataplane/tcp/tcp_trace.h"

struct worker;

enum {
	INSPECT_PLACES = 256,   /* of connections, a turn */
	INSPECT_RECORDS = 2048, /* of the trace */
};

struct inspect {
	const struct shm_question *question; /* NULL: nobody asks (tests) */
	struct shm_answer *answer;
	struct shm_ask ask; /* checked */
	uint64_t sequence;  /* of the last question seen */
	uint32_t next;      /* place to look at */
	uint32_t count;     /* records in the answer */
	struct tcp_trace_walk walk;
	bool busy;
};

void inspect_init(struct worker *w);
bool inspect_poll(struct worker *w); /* true: it looked */
