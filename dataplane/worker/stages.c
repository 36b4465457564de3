/* stages.c - see stages.h. */
#include "dataplane/worker/stages.h"

#include <rte_cycles.h>
#include <string.h>

static const enum counter counted[STAGES] = {
	[STAGE_LINK] = COUNTER_CYCLES_LINK,
	[STAGE_RECEIVE] = COUNTER_CYCLES_RECEIVE,
	[STAGE_TCP_IN] = COUNTER_CYCLES_TCP_IN,
	[STAGE_SESSION] = COUNTER_CYCLES_SESSION,
	[STAGE_MATCH] = COUNTER_CYCLES_MATCH,
	[STAGE_FAN_OUT] = COUNTER_CYCLES_FAN_OUT,
	[STAGE_TCP_OUT] = COUNTER_CYCLES_TCP_OUT,
	[STAGE_SEND] = COUNTER_CYCLES_SEND,
};

uint64_t stages_cycles(void)
{
	return rte_rdtsc();
}

void stages_begin(struct stages *s)
{
	s->now = STAGE_LINK;
	s->sampling = s->cycles != NULL && s->turn++ % STAGES_SAMPLE == 0;
	if (!s->sampling)
		return;
	memset(s->spent, 0, sizeof(s->spent));
	s->since = s->cycles();
}

void stages_end(struct stages *s, bool busy, struct counters *c)
{
	if (!s->sampling)
		return;
	(void)stages_enter(s, STAGE_LINK);
	s->sampling = false;
	if (!busy)
		return;
	counter_add(c, COUNTER_CYCLES_TURNS, 1);
	for (unsigned i = 0; i < STAGES; i++)
		counter_add(c, counted[i], s->spent[i]);
}
