/* tcp_icmp.h - what an ICMP error says of a segment of ours: the way from net_conf.on_error. */
#pragma once
#include "dataplane/tcp/tcp.h"

void tcp_icmp(struct tcp *t, const struct net_error *e, uint64_t now_us);
