/* tcp_info.h - what a connection is like now, on request. Nothing is kept for it. */
#pragma once
#include "dataplane/base/tcp_facts.h"
#include "dataplane/tcp/tcp.h"

/* False: there is no such connection, or no more. */
MUST_USE bool tcp_info(const struct tcp *t, struct tcp_id id, struct tcp_facts *out);
/* The same by place, to walk over all: below tcp_info_places. False: nobody is there. */
MUST_USE bool tcp_info_at(const struct tcp *t, uint32_t index, struct tcp_facts *out);
uint32_t tcp_info_places(const struct tcp *t);
