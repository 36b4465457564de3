/* tcp_trace_hooks.h - how the stack's files write into the trace: a line each. tcp_internal.h
 * includes it, behind what it needs. */
#pragma once

static inline void tcp_trace(
	struct tcp *t, const struct conn *c, enum tcp_what what, uint32_t argument)
{
	tcp_trace_add(&t->trace, conn_index(t, c), what, (uint16_t)argument, t->now_us);
}

static inline void tcp_trace_segment(
	struct tcp *t, const struct conn *c, enum tcp_what plain, uint8_t flags, uint32_t size)
{
	const bool control = (flags & (TCP_SYN | TCP_FIN | TCP_RST)) != 0;

	tcp_trace(t, c, control ? (enum tcp_what)(plain + 2) : plain, control ? flags : size);
}

static_assert(TCP_WHAT_CONTROL_IN == TCP_WHAT_SEGMENT_IN + 2, "control segments are two rows on");
static_assert(TCP_WHAT_CONTROL_OUT == TCP_WHAT_SEGMENT_OUT + 2, "control segments are two rows on");
