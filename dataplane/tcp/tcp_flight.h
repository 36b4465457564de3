/* tcp_flight.h - what is remembered of a connection only while much of it is in the network.
 *
 * Taken from a pool when an acknowledgement finds that cwnd is what limits
 * sending, or when something is lost; given back when all is acknowledged and
 * nothing waits. A connection that sends a message now and then never has one,
 * and one for which none is free does without: Reno's growth, NewReno's recovery.
 *
 * Below, what loss recovery and congestion control offer the rest of the stack. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/tcp/tcp_cubic.h"
#include "dataplane/tcp/tcp_sack.h"

struct flight {
	bool has_board; /* the peer has told what it holds; until it is all acknowledged */
	struct board board;
	struct cubic cubic;
};

struct tcp;
struct conn;
struct segment;

/* tcp_flight.c: a connection's flight; NULL: it has none, or none is free */
struct flight *tcp_flight_of(const struct tcp *t, const struct conn *c);
struct flight *tcp_flight_get(struct tcp *t, struct conn *c);
bool tcp_flight_wanted(const struct conn *c);
void tcp_flight_put(struct tcp *t, struct conn *c);
struct board *tcp_board_of(const struct tcp *t, const struct conn *c);

/* tcp_congestion.c: how much may be in the network */
void tcp_congestion_start(struct tcp *t, struct conn *c);
void tcp_congestion_acked(struct tcp *t, struct conn *c, uint32_t bytes);    /* if cwnd limits */
void tcp_congestion_unlimited(struct tcp *t, struct conn *c);                /* if it does not */
void tcp_congestion_loss(struct tcp *t, struct conn *c, uint32_t flight);    /* cuts */
void tcp_congestion_timeout(struct tcp *t, struct conn *c, uint32_t flight); /* one segment */
void tcp_congestion_idle(struct tcp *t, struct conn *c, uint64_t now_us);    /* before sending */

/* tcp_loss.c: what is in flight, and what to send again */
uint32_t tcp_in_flight(const struct tcp *t, const struct conn *c);
/* How an ACK bears on loss: what it moved, and what it told. */
struct ack_news {
	uint32_t acked;  /* sequence numbers it acknowledged for the first time */
	uint32_t sacked; /* bytes its SACK blocks told for the first time */
	bool duplicate;  /* RFC 5681 2's definition */
};
uint32_t tcp_loss_sack(struct tcp *t, struct conn *c, const struct segment *s);
void tcp_loss_ack(struct tcp *t, struct conn *c, const struct ack_news *news);
void tcp_loss_timeout(struct tcp *t, struct conn *c);
void tcp_loss_restart(struct tcp *t, struct conn *c);
struct board_flight tcp_board_flight(const struct tcp *t, const struct conn *c);
