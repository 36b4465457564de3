/* stages.h - where the cycles of a worker's turns go.
 *
 * One turn in STAGES_SAMPLE is measured, from one change of stage to the next; if it found work its
 * cycles are counted (CYCLES_* of counters.def). So the shares are right and the cost is small: a
 * turn that is not measured pays one test for each change. Without a counter of cycles, as in
 * simulations, nothing is measured. One thread. */
#pragma once
#include "dataplane/base/counters.h"

#include <stdbool.h>
#include <stdint.h>

enum { STAGES_SAMPLE = 16 };

enum stage {
	STAGE_LINK,    /* the control plane, other workers, timers */
	STAGE_RECEIVE, /* out of the NIC */
	STAGE_TCP_IN,  /* frames to bytes in order */
	STAGE_SESSION, /* bytes to packets, and the state machine */
	STAGE_MATCH,   /* a topic to its subscribers */
	STAGE_FAN_OUT, /* a message into the send queues of its subscribers */
	STAGE_TCP_OUT, /* send queues to frames */
	STAGE_SEND,    /* into the NIC */
	STAGES,
};

struct stages {
	uint64_t (*cycles)(void); /* NULL: there is no such counter */
	uint64_t since, spent[STAGES];
	uint32_t turn;
	uint8_t now; /* enum stage */
	bool sampling;
};

/* Tells the stage that it was. */
static inline enum stage stages_enter(struct stages *s, enum stage next)
{
	const enum stage before = (enum stage)s->now;

	s->now = (uint8_t)next;
	if (s->sampling) {
		const uint64_t t = s->cycles();
		s->spent[before] += t - s->since;
		s->since = t;
	}
	return before;
}

/* The processor's, at one rate whatever it does: for main(). */
uint64_t stages_cycles(void);
void stages_begin(struct stages *s); /* a turn, in STAGE_LINK */
void stages_end(struct stages *s, bool busy, struct counters *c);
