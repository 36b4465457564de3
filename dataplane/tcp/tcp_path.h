/* tcp_path.h - how large a packet may be on the way to a peer. Not for other folders. */
#pragma once
#include "dataplane/tcp/tcp_conn.h"

enum { TCP_PATHS = 1024 }; /* peers whose path MTU is remembered */

/* What is known of the way to a peer, until it is too old. */
struct tcp_path {
	uint64_t until_us;
	rte_be32_t peer;
	uint16_t mtu;
};

void tcp_path_start(struct tcp *t, struct conn *c, uint64_t now_us); /* once mss is negotiated */
void tcp_path_age(struct tcp *t, struct conn *c);                    /* while mss < mss_max */
void tcp_path_too_big(struct tcp *t, struct conn *c, const struct net_error *e);
void tcp_path_timeout(struct tcp *t, struct conn *c); /* before it is taken for a loss */
