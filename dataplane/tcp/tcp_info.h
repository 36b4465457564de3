/* tcp_info.h - what a connection is like now, on request. Nothing is kept for it. */
#pragma once
#include "dataplane/base/tcp_facts.h"
#include "dataplane/tcp/tcp.h"
#include "dataplane/tcp/tcp_trace.h"

/* False: there is no such connection, or no more. */
MUST_USE bool tcp_info(const struct tcp *t, struct tcp_id id, struct tcp_facts *out);
/* The same by place, to walk over all: below tcp_info_places. False: nobody is there. */
MUST_USE bool tcp_info_at(const struct tcp *t, uint32_t index, struct tcp_facts *out);
uint32_t tcp_info_places(const struct tcp *t);

/* What happened to it lately, also when it has gone: a walk of tcp_trace.h. */
struct tcp_trace_walk tcp_events_begin(const struct tcp *t, struct tcp_id id);
uint32_t tcp_events_walk(const struct tcp *t, struct tcp_trace_walk *walk, uint32_t budget,
	struct tcp_happened *out, uint32_t room);
