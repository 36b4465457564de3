/* tcp_trace.c - the trace, read. See tcp_trace.h. */
#include "dataplane/tcp/tcp_trace.h"

/* A caller whose clock is late, since nobody has told it yet, moves nothing back. */
uint64_t tcp_trace_gap(struct tcp_trace *t, uint64_t now_us)
{
	if (now_us < t->last_us)
		return t->last_us;
	tcp_trace_put(t, (now_us - t->last_us) << TRACE_WHAT_BITS | TCP_WHAT_TIME);
	return now_us;
}

static uint64_t record_before(const struct tcp_trace *t, uint64_t at)
{
	return t->records[(at - 1) & (TCP_TRACE_RECORDS - 1)];
}

static enum tcp_what what_of(uint64_t record)
{
	return (enum tcp_what)(record & ((1 << TRACE_WHAT_BITS) - 1));
}

static uint64_t delta_of(uint64_t record)
{
	return what_of(record) == TCP_WHAT_TIME ? record >> TRACE_WHAT_BITS
						: record >> TRACE_DELTA_AT;
}

struct tcp_trace_walk tcp_trace_walk_begin(
	const struct tcp_trace *t, uint32_t index, uint32_t generation, bool newest)
{
	return (struct tcp_trace_walk){.index = index & TRACE_INDEX_MASK,
		.generation = (uint16_t)generation,
		.ours = newest,
		.at = t->next,
		.at_us = t->last_us};
}

/* Still in the ring? While the walk rested, newer ones may have taken its place. */
static bool is_there(const struct tcp_trace *t, uint64_t at)
{
	return at > 0 && t->next - at < TCP_TRACE_RECORDS;
}

static bool is_of(const struct tcp_trace_walk *walk, uint64_t record)
{
	return what_of(record) != TCP_WHAT_TIME &&
	       (record >> TRACE_WHAT_BITS & TRACE_INDEX_MASK) == walk->index;
}

static uint16_t argument_of(uint64_t record)
{
	return (uint16_t)(record >> TRACE_ARGUMENT_AT);
}

static struct tcp_happened read_record(uint64_t record, uint64_t at_us)
{
	return (struct tcp_happened){
		.at_us = at_us, .argument = argument_of(record), .what = (uint8_t)what_of(record)};
}

/* Before this, the place was the generation's before. */
static void pass_opening(struct tcp_trace_walk *walk, uint16_t generation)
{
	walk->over = walk->ours;
	walk->ours = (uint16_t)(generation - 1) == walk->generation;
}

uint32_t tcp_trace_walk_on(const struct tcp_trace *t, struct tcp_trace_walk *walk, uint32_t budget,
	struct tcp_happened *out, uint32_t room)
{
	uint32_t found = 0;

	for (; budget > 0 && found < room && !walk->over; budget--) {
		if (!is_there(t, walk->at)) {
			walk->over = true;
			break;
		}
		const uint64_t record = record_before(t, walk->at--);
		if (is_of(walk, record)) {
			if (walk->ours)
				out[found++] = read_record(record, walk->at_us);
			if (what_of(record) == TCP_WHAT_OPENED)
				pass_opening(walk, argument_of(record));
		}
		walk->at_us -= delta_of(record);
	}
	return found;
}
