/* tcp_flight.h - what is remembered of a connection only while much of it is in the network.
 *
 * Taken from a pool when an acknowledgement finds that cwnd is what limits
 * sending, or when something is lost; given back when all is acknowledged and
 * nothing waits. A connection that sends a message now and then never has one,
 * and one for which none is free does without: Reno's growth, NewReno's recovery. */
#pragma once
#include "dataplane/tcp/tcp_cubic.h"
#include "dataplane/tcp/tcp_hystart.h"
#include "dataplane/tcp/tcp_sack.h"

/* Proportional rate reduction, RFC 6937 3. */
struct prr {
	uint32_t delivered; /* bytes that arrived since recovery began */
	uint32_t out;       /* bytes sent since then */
	uint32_t flight;    /* RecoverFS: bytes in flight when it began */
};

/* Whose deadline stands in for the retransmission timer's: tcp_tail.c. */
enum tail_timer { TAIL_NONE = 0, TAIL_PROBE, TAIL_REORDER };

struct tail {
	uint64_t rto_us;    /* the deadline of the retransmission timer meanwhile */
	uint32_t end_seq;   /* SND.NXT when the probe had left */
	uint32_t edge;      /* reported up to here when the timer was armed */
	uint32_t lost_edge; /* if has_lost_edge: what is not reported below is lost */
	uint8_t timer;      /* enum tail_timer */
	bool due, probing;  /* a probe leaves with the next flush; one is out */
	bool again;         /* ... and was a retransmission */
	bool has_lost_edge;
};

/* What a timeout has changed, should it turn out to be spurious: tcp_undo.c. */
struct undo {
	bool armed;
	uint32_t tsval; /* of the first retransmission */
	uint32_t ssthresh, w_max;
};

struct flight {
	bool has_board; /* the peer has told what it holds; until it is all acknowledged */
	struct board board;
	struct cubic cubic;
	bool has_hystart;
	struct hystart hystart;
	struct prr prr;
	struct tail tail;
	struct undo undo;
};

struct tcp;
struct conn;
struct segment;

/* tcp_flight.c: a connection's flight; NULL: it has none. Half are kept for those that `lost`. */
struct flight *tcp_flight_of(const struct tcp *t, const struct conn *c);
struct flight *tcp_flight_get(struct tcp *t, struct conn *c, bool lost);
bool tcp_flight_wanted(const struct conn *c);
void tcp_flight_put(struct tcp *t, struct conn *c);
struct board *tcp_board_of(const struct tcp *t, const struct conn *c);

/* tcp_congestion.c: how much may be in the network */
void tcp_congestion_start(struct tcp *t, struct conn *c);
void tcp_congestion_acked(struct tcp *t, struct conn *c, uint32_t bytes); /* if cwnd limits */
void tcp_congestion_rtt(struct tcp *t, struct conn *c, uint32_t rtt_us);
void tcp_congestion_prr(struct tcp *t, struct conn *c, uint32_t delivered);  /* in recovery */
void tcp_congestion_unlimited(struct tcp *t, struct conn *c);                /* if it does not */
void tcp_congestion_loss(struct tcp *t, struct conn *c, uint32_t flight);    /* cuts */
void tcp_congestion_timeout(struct tcp *t, struct conn *c, uint32_t flight); /* one segment */
void tcp_congestion_idle(struct tcp *t, struct conn *c, uint64_t now_us);    /* before sending */

/* tcp_loss.c: what is in flight, and what to send again */
uint32_t tcp_in_flight(const struct tcp *t, const struct conn *c);
/* How an ACK bears on loss: what it moved, and what it told. */
struct ack_news {
	uint32_t acked;     /* sequence numbers it acknowledged for the first time */
	uint32_t sacked;    /* bytes its SACK blocks told for the first time */
	uint32_t delivered; /* DeliveredData of RFC 6937: what the peer holds more than before */
	bool duplicate;     /* RFC 5681 2's definition */
	bool dsack;         /* it told of bytes that came twice */
};
uint32_t tcp_loss_held(const struct tcp *t, const struct conn *c); /* bytes reported */
uint32_t tcp_loss_sack(struct tcp *t, struct conn *c, const struct segment *s);
void tcp_loss_ack(struct tcp *t, struct conn *c, const struct ack_news *news);
void tcp_loss_timeout(struct tcp *t, struct conn *c);
void tcp_loss_restart(struct tcp *t, struct conn *c);
struct board_flight tcp_board_flight(const struct tcp *t, const struct conn *c);
void tcp_loss_reordered(struct tcp *t, struct conn *c); /* a hole is old enough to be a loss */

/* tcp_tail.c: probes, and holes that are not filled in time */
void tcp_tail_arm(struct tcp *t, struct conn *c);
void tcp_tail_disarm(struct tcp *t, struct conn *c);
bool tcp_tail_fire(struct tcp *t, struct conn *c, uint64_t now_us); /* false: the timeout */
void tcp_tail_sent(struct tcp *t, struct conn *c, bool again);
void tcp_tail_skipped(struct tcp *t, struct conn *c);
void tcp_tail_ack(struct tcp *t, struct conn *c, const struct ack_news *news);

/* tcp_undo.c: timeouts that were none */
void tcp_undo_remember(struct tcp *t, struct conn *c);
void tcp_undo_ack(struct tcp *t, struct conn *c, const struct segment *s, uint32_t bytes);
