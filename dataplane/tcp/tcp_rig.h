/* tcp_rig.h - for the tests of dataplane/tcp: a stack on a port without a NIC.
 *
 * No peer: records are made by hand, or by tcp_connect to nobody. What would be
 * sent is thrown away. Packet scripts and whole conversations are in tests/wire. */
#pragma once
#include "dataplane/tcp/tcp_internal.h"

struct tcp_rig {
	struct counters counters;
	struct net *net;
	struct tcp *tcp;
	struct rte_mempool *headers, *copies, *held;
};

/* One static rig; `nodes`: send nodes. */
struct tcp_rig *tcp_rig_open(uint32_t nodes);
void tcp_rig_close(struct tcp_rig *r); /* fails the test if a buffer is missing */
