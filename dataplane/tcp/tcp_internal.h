/* tcp_internal.h - the stack's own record, and what its files offer each other.
 *
 * Below, one group of functions for each file. Not for other folders. */
#pragma once
#include "dataplane/base/poison.h"
#include "dataplane/base/pool.h"
#include "dataplane/base/rng.h"
#include "dataplane/base/wheel.h"
#include "dataplane/tcp/tcp_conn.h"
#include "dataplane/tcp/tcp_flight.h"
#include "dataplane/tcp/tcp_path.h"
#include "dataplane/tcp/tcp_trace.h"

#include <rte_mempool.h>

enum {
	TCP_LISTENERS = 64,
	SEND_COPY_MAX = 256,          /* pieces up to this are copied into the header's buffer */
	SEND_LEND_MIN = 128,          /* what is lent and no larger is copied at once */
	SEND_REFS_MAX = 60000,        /* an mbuf's count has 16 bits */
	DELAYED_ACK_US = 40 * 1000,   /* RFC 1122 4.2.3.2: below 500 ms */
	RTO_MIN_US = 200 * 1000,      /* as Linux; RFC 6298 2.4 says one second */
	RTO_MAX_US = 60 * 1000000,    /* RFC 6298 2.5 */
	RTO_INITIAL_US = 1000000,     /* RFC 6298 2.1 */
	RTO_AFTER_SYN_US = 3000000,   /* RFC 6298 5.7 */
	TCP_MSS_FLOOR = 88,           /* options, SACK included, and some bytes */
	SYN_RETRIES_MAX = 7,          /* 183 s; RFC 9293 3.8.3: three minutes at least */
	SYN_ACK_RETRIES_MAX = 5,      /* 63 s */
	FIN_WAIT_2_US = 60 * 1000000, /* since the peer was last heard */
	DUPACKS = 3,                  /* RFC 5681 */
	RETRY_FLUSH_US = 1000,        /* back-pressure: try again */
	CHALLENGE_PERIOD_MS = 1000,
	COOKIE_PERIOD_US = 64 * 1000000,
	HALF_LISTS = SYN_ACK_RETRIES_MAX + 2, /* by SYN-ACKs sent: none to all */
};

struct listener {
	rte_be32_t address; /* 0: any */
	uint16_t port;
	uint32_t backlog;
	uint32_t waiting; /* established, and the application not told yet */
};

/* A piece of a send queue. */
struct send_node {
	struct tcp_lent *lent;   /* NULL: copied bytes, in `buffer` */
	struct rte_mbuf *buffer; /* lent: the segment of the chain that the last look found */
	uint32_t buffer_at;      /* ... and that segment's offset in the chain */
	uint32_t offset;         /* first byte: in the chain, or in the buffer's data */
	uint32_t size;
	uint32_t next;
};

struct conn_list {
	uint32_t head, tail;
};

struct tcp {
	struct tcp_conf conf;
	uint64_t now_us; /* of the last call that brought it */
	struct rng rng;
	uint8_t *memory; /* one block: all below lies in it */
	struct conn *conns;
	struct conn_cold *colds;
	struct conn_list idle, ready, output; /* idle: free records, the longest free first */
	bool freed;                   /* send queues gave something back since the last wake-up */
	uint32_t starved, conns_used; /* starved: head, in no order */
	struct tcp_table table;
	struct wheel wheel;
	struct pool nodes, flights, halves;
	struct conn_list half_lists[HALF_LISTS]; /* tcp_half.c */
	struct hash_key cookie_keys[2];          /* of cookie_period and the one before */
	uint64_t cookie_period, cookie_sent_us;  /* 0: none yet */
	struct live_walk live;
	struct timewait *timewaits;
	uint32_t timewait_idle, timewait_oldest, timewait_newest, timewait_used;
	struct tcp_path paths[TCP_PATHS]; /* sets of tcp_path.c */
	struct listener listeners[TCP_LISTENERS];
	uint32_t listener_count;
	uint16_t mss; /* payload and options that fit our MTU */
	uint8_t wscale;
	uint16_t ahead_max; /* out-of-order buffers of one connection */
	uint32_t headers_reserve, held_reserve, held_ahead_floor; /* free ones left to others */
	uint64_t blocked_us; /* a flush left something behind; 0: no */
	struct tcp_trace trace;
};

/* A segment on its way through the steps of RFC 9293 3.10.7. */
struct segment {
	struct tcp_header h;
	struct tcp_tuple tuple;
	struct rte_mbuf *mbuf; /* NULL once taken */
	uint32_t offset, size; /* payload that is still wanted, in mbuf */
	uint32_t seq;          /* of that payload; of the SYN when there is one */
	uint64_t now_us;
};

/* What the steps ask for; tcp_input_effects does it once, at the end. */
struct tcp_effects {
	bool ack;       /* acknowledge with this turn's flush */
	bool ack_later; /* ... or a little later */
	bool challenge; /* acknowledge, rate-limited (RFC 5961 7) */
	bool wake;      /* readable */
	bool output;    /* something may be sent now */
	bool reset;     /* answer with RST and SEG.ACK as its number */
	bool finish;    /* the connection is over ... */
	enum err why;   /* ... for this reason */
};

static inline uint32_t conn_index(const struct tcp *t, const struct conn *c)
{
	return (uint32_t)(c - t->conns);
}

static inline struct conn_cold *conn_cold(const struct tcp *t, const struct conn *c)
{
	return &t->colds[c - t->conns];
}

#include "dataplane/tcp/tcp_trace_hooks.h"
static inline bool conn_is_synchronized(const struct conn *c)
{
	return c->state >= STATE_ESTABLISHED;
}

/* Sequence number after the last byte of the send queue: the FIN's, if one is queued. */
static inline uint32_t conn_send_end(const struct conn *c)
{
	return c->send_seq + c->send_bytes;
}

static inline bool conn_fin_acked(const struct conn *c)
{
	return (c->flags & CONN_FIN_QUEUED) != 0 && c->snd_una == conn_send_end(c) + 1;
}

static inline uint32_t conn_rcv_wnd(const struct conn *c)
{
	return seq_gt(c->rcv_adv, c->rcv_nxt) ? c->rcv_adv - c->rcv_nxt : 0;
}

/* tcp_conn.c: life of a connection */
void tcp_conns_init(struct tcp *t);
struct conn *tcp_conn_get(struct tcp *t, const struct tcp_tuple *tuple);
void tcp_conn_accepted(struct tcp *t, struct conn *c);
void tcp_conn_abort(struct tcp *t, struct conn *c, enum err why);
struct conn *tcp_conn_find(const struct tcp *t, struct tcp_id id);
void tcp_set_state(struct tcp *t, struct conn *c, enum tcp_state state);
void tcp_conn_established(struct tcp *t, struct conn *c, uint64_t now_us);
/* The end, whatever the reason: frees what it used; CLOSED follows once all was read. */
void tcp_conn_finish(struct tcp *t, struct conn *c, enum err why);
void tcp_conn_drained(struct tcp *t, struct conn *c);
void tcp_conn_try_free(struct tcp *t, struct conn *c);
void tcp_event_add(struct tcp *t, struct conn *c, enum tcp_event_kind kind);
void tcp_output_add(struct tcp *t, struct conn *c);
bool tcp_conn_same(const void *owner, uint32_t index, const struct tcp_tuple *tuple);

/* tcp_open.c: LISTEN and SYN-SENT */
struct listener *tcp_listener_find(struct tcp *t, const struct tcp_tuple *tuple);
void tcp_input_listen(struct tcp *t, struct listener *l, const struct segment *s, uint32_t iss_min);
void tcp_input_syn_sent(struct tcp *t, struct conn *c, struct segment *s, struct tcp_effects *fx);
void tcp_negotiate(struct tcp *t, struct conn *c, const struct segment *s);
/* tcp_input.c: the other states */
void tcp_timestamp_take(struct tcp *t, struct conn *c, const struct segment *s);
bool tcp_timestamp_is_old(struct tcp *t, struct conn *c, const struct segment *s);

/* tcp_ack.c: what an acceptable ACK does */
void tcp_ack_process(
	struct tcp *t, struct conn *c, const struct segment *s, struct tcp_effects *fx);
void tcp_rtt_sample(struct conn *c, uint64_t rtt_us);
uint32_t tcp_rto_us(const struct tcp *t, const struct conn *c); /* with back-off */

/* tcp_recv.c: bytes in order, and bytes ahead of a gap */
void tcp_recv_accept(struct tcp *t, struct conn *c, struct segment *s, struct tcp_effects *fx);
MUST_USE bool tcp_recv_settle(struct tcp *t, struct conn *c); /* false: some were given up */
void tcp_recv_free(struct tcp *t, struct conn *c);
void tcp_recv_append(struct tcp *t, struct conn *c, struct rte_mbuf *m);

/* tcp_window.c: what we advertise */
uint16_t tcp_window_choose(struct tcp *t, struct conn *c); /* for the header; moves rcv_adv */
bool tcp_window_grew(const struct tcp *t, const struct conn *c);

/* tcp_ahead.c: the queue beyond a gap */
void tcp_ahead_insert(struct tcp *t, struct conn *c, const struct segment *s);
void tcp_ahead_merge(struct tcp *t, struct conn *c);
void tcp_ahead_free(struct tcp *t, struct conn *c);
void tcp_ahead_check(const struct tcp *t, const struct conn *c);

/* tcp_sendq.c: the send queue */
struct chain;
uint32_t tcp_sendq_gather(
	struct tcp *t, struct conn *c, struct chain *chain, struct tcp_range range);
void tcp_sendq_acked(struct tcp *t, struct conn *c, uint32_t upto);
void tcp_sendq_free(struct tcp *t, struct conn *c);
void tcp_sendq_check(const struct tcp *t, const struct conn *c);
void tcp_wake_starved(struct tcp *t);

/* tcp_chain.c: a segment's buffers */
struct chain {
	struct rte_mbuf *head, *last;
	uint16_t segs;
};
MUST_USE bool tcp_chain_begin(struct tcp *t, struct chain *chain, bool data);
/* Appends bytes `part` of m's data, by copy or by reference; returns how many found room. */
uint32_t tcp_chain_add(
	struct tcp *t, struct chain *chain, const struct rte_mbuf *m, struct tcp_range part);

/* tcp_output.c: which segments, when; tcp_emit.c: one segment */
uint32_t tcp_payload_max(const struct tcp *t, const struct conn *c);
uint32_t tcp_payload_room(const struct tcp *t, const struct conn *c);

struct outgoing {
	uint32_t seq;
	uint32_t size; /* payload from the send queue; after tcp_emit, what really left */
	uint8_t flags;
};
MUST_USE bool tcp_emit(struct tcp *t, struct conn *c, struct outgoing *o);
uint32_t tcp_timestamp(const struct conn *c, uint64_t now_us);

/* tcp_timer.c */
void tcp_timer_arm(struct tcp *t, struct conn *c);
bool tcp_challenge_allowed(struct tcp *t, struct conn *c, uint64_t now_us);

/* tcp_timewait.c */
size_t tcp_timewait_bytes(uint32_t count);
void tcp_timewait_init(struct tcp *t, void *memory);
void tcp_timewait_enter(struct tcp *t, struct conn *c, bool ack);
void tcp_timewait_input(struct tcp *t, uint32_t index, const struct segment *s);
uint32_t tcp_timewait_poll(struct tcp *t, uint64_t now_us, uint32_t budget);
uint64_t tcp_timewait_next_us(const struct tcp *t);
bool tcp_timewait_same(const struct tcp *t, uint32_t index, const struct tcp_tuple *tuple);
void tcp_timewait_check(const struct tcp *t);
