/* tcp_conn.h - what is remembered of a connection: hot and cold halves, by one index.
 *
 * The hot half is what a segment in order and its acknowledgement touch; the
 * cold half serves set-up, loss and the end. Sequence variables carry their
 * RFC 9293 3.3.1 names. Everything else a connection uses (queue nodes,
 * flights, buffers) is taken from pools while it is needed, so an idle
 * connection costs these two records. */
#pragma once
#include "dataplane/base/assert.h"
#include "dataplane/tcp/tcp.h"
#include "dataplane/tcp/tcp_header.h"
#include "dataplane/tcp/tcp_seq.h"
#include "dataplane/tcp/tcp_table.h"

enum { TCP_NONE = UINT32_MAX }; /* no index */

enum tcp_state {
	STATE_FREE = 0, /* the record is not in use */
	STATE_CLOSED,   /* over for the peer; waits for tcp_release */
	STATE_SYN_SENT,
	STATE_SYN_RECEIVED,
	STATE_ESTABLISHED,
	STATE_FIN_WAIT_1,
	STATE_FIN_WAIT_2,
	STATE_CLOSE_WAIT,
	STATE_CLOSING,
	STATE_LAST_ACK,
	STATE_TIME_WAIT, /* passed through: a record of tcp_timewait.c takes over */
	STATE_COUNT
};

enum {
	CONN_ON_READY = 1 << 0,    /* in the list of events */
	CONN_ON_OUTPUT = 1 << 1,   /* in the list of tcp_flush */
	CONN_ON_STARVED = 1 << 2,  /* a send failed for want of nodes or buffers */
	CONN_KNOWN = 1 << 3,       /* the application has heard of it */
	CONN_RELEASED = 1 << 4,    /* the application is done with it */
	CONN_PASSIVE = 1 << 5,     /* came from a listener */
	CONN_IN_TABLE = 1 << 6,    /* segments find it */
	CONN_TIMESTAMPS = 1 << 7,  /* negotiated, RFC 7323 */
	CONN_SACK = 1 << 8,        /* negotiated, RFC 2018 */
	CONN_ACK_NOW = 1 << 9,     /* an ACK leaves with the next flush */
	CONN_SEND_SYN = 1 << 10,   /* SYN or SYN-ACK leaves with the next flush */
	CONN_SEND_RST = 1 << 11,   /* RST leaves with the next flush */
	CONN_FIN_QUEUED = 1 << 12, /* tcp_close was called: a FIN ends the queue */
	CONN_FIN_RECEIVED = 1 << 13,
	CONN_FIN_AHEAD = 1 << 14,     /* a FIN beyond a gap was seen: cold.fin_seq */
	CONN_TURN_BUFFERS = 1 << 15,  /* the receive queue holds buffers of this turn */
	CONN_DRAINING = 1 << 16,      /* closed in order; the application has bytes to read */
	CONN_RETRANSMIT = 1 << 17,    /* one segment at SND.UNA, whatever cwnd says */
	CONN_RECOVERY = 1 << 18,      /* fast recovery, until SND.UNA reaches cold.recover */
	CONN_RECOVERY_SACK = 1 << 19, /* ... by RFC 6675, else by RFC 6582 */
	CONN_RESCUED = 1 << 20,       /* RFC 6675 rule 4 was used in this recovery */
	CONN_PERSIST = 1 << 21,       /* the retransmission timer probes a closed window */
	CONN_PROBE = 1 << 22,         /* a probe is due */
	CONN_CWND_LIMITED = 1 << 23,  /* more would have been sent but for cwnd */
	CONN_WANT_WRITE = 1 << 24,    /* the send queue was full */
	CONN_TIMING = 1 << 25,        /* cold.rtt_seq is being timed */
	CONN_SYN_AGAIN = 1 << 26,     /* our SYN was retransmitted */
	CONN_DSACK = 1 << 27,         /* cold.dsack goes into the next ACK */
	CONN_WSCALE = 1 << 28,        /* negotiated, RFC 7323 */
	CONN_READ = 1 << 29,          /* the application has read since our last ACK */
};

struct conn {
	/* where it belongs */
	struct tcp_tuple tuple;
	uint32_t generation;
	uint32_t flags;
	uint8_t state;  /* enum tcp_state; written by tcp_set_state alone */
	uint8_t events; /* bits 1 << tcp_event_kind that wait to be told */
	uint8_t snd_wscale, rcv_wscale;
	/* sending */
	uint32_t snd_una, snd_nxt;
	uint32_t snd_max; /* SND.NXT before a timeout pulled it back */
	uint32_t snd_wnd; /* bytes */
	uint32_t snd_wl1, snd_wl2;
	uint32_t cwnd, ssthresh;
	uint16_t mss, mss_max; /* payload and options; less than both ends take on a narrow path */
	uint8_t dupacks;
	/* receiving */
	uint8_t unacked_segments; /* data segments since our last ACK */
	uint32_t rcv_nxt;
	uint32_t rcv_adv; /* right edge of the window as advertised */
	uint32_t last_ack_sent;
	uint32_t recv_bytes; /* in the receive queue */
	struct rte_mbuf *recv_head, *recv_tail;
	/* the send queue */
	uint32_t send_head, send_tail; /* nodes */
	uint32_t send_seq;             /* of its first byte */
	uint32_t send_bytes;
	uint32_t cursor_node, cursor_seq; /* where new data is found */
	struct rte_mbuf *send_open;       /* the `copies` buffer that takes more */
	/* timestamps and time */
	uint32_t ts_recent, ts_offset;
	uint32_t srtt_us, rttvar_us; /* 0: no sample yet */
	uint32_t rto_us;             /* without back-off */
	uint32_t rtt_seq;            /* being timed: an ACK beyond it is a sample */
	uint64_t retransmit_us;      /* deadline; 0: off. Persist and SYN too */
	uint64_t ack_us;             /* deadline of the delayed ACK; 0: off */
	uint64_t heard_us;           /* last acceptable segment */
	uint64_t progress_us;        /* last acknowledgement of something new, for R2 */
	uint64_t user;
	uint32_t ready_next, output_next;
};

struct conn_cold {
	uint64_t rtt_start_us;
	uint64_t sent_us;      /* last data segment, for restart after idle */
	uint64_t ts_recent_us; /* when ts_recent was taken */
	uint64_t probe_us;     /* last keepalive probe; when draining began */
	uint32_t challenge_ms; /* start of the period that challenge_left belongs to; 0: none */
	uint32_t path_s;       /* when mss < mss_max is forgotten */
	uint32_t iss, irs;
	uint32_t snd_wnd_max;
	uint32_t acked_bytes, w_max; /* byte counting of RFC 3465; of RFC 9438, 0: not known */
	/* loss recovery */
	uint32_t recover;  /* RecoveryPoint: SND.MAX when it began */
	uint32_t high_rxt; /* retransmitted up to here in this recovery */
	uint32_t flight;   /* in its pool (tcp_flight.h), or TCP_NONE */
	uint32_t rexmit_node, rexmit_seq, retransmits; /* cursor; segments sent again, SYNs too */
	/* out of order */
	struct rte_mbuf *ahead_head, *ahead_tail; /* by sequence number, in hash.usr */
	uint32_t fin_seq;
	uint16_t ahead_buffers, held_buffers;
	struct tcp_range sack[TCP_SACK_BLOCKS]; /* to report, the newest first */
	struct tcp_range dsack;
	/* the rest */
	uint32_t starved_next;
	enum err why; /* CLOSED's reason */
	uint16_t listener;
	uint8_t sack_count;
	uint8_t backoff; /* doublings of the retransmission timeout */
	uint8_t keepalive_sent;
	uint8_t challenge_left;
	uint8_t congestion; /* enum tcp_congestion */
};

static_assert(sizeof(struct conn) <= 256, "the hot half is four cache lines");
static_assert(sizeof(struct conn_cold) <= 256, "the cold half is four cache lines");
