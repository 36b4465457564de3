/* tcp_facts.h - what a TCP connection is asked about, in words that all processes know.
 *
 * The stack fills them in (dataplane/tcp/tcp_info.c), shared memory carries them as they are, and
 * management names them. Plain numbers of fixed sizes, no holes. Not here: who may ask. */
#pragma once
#include "dataplane/base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TCP_STATES = 11 }; /* enum tcp_state: 0 is no connection */

enum tcp_facts_flags {
	TCP_FACTS_TIMESTAMPS = 1 << 0, /* negotiated, as the next two */
	TCP_FACTS_SACK = 1 << 1,
	TCP_FACTS_WSCALE = 1 << 2,
	TCP_FACTS_PASSIVE = 1 << 3,  /* came from a listener */
	TCP_FACTS_RECOVERY = 1 << 4, /* in fast recovery */
	TCP_FACTS_PERSIST = 1 << 5,  /* the peer's window is closed and is being probed */
	TCP_FACTS_CWND_LIMITED = 1 << 6,
	TCP_FACTS_FIN_QUEUED = 1 << 7,
	TCP_FACTS_FIN_RECEIVED = 1 << 8,
};

struct tcp_facts {
	uint32_t index, generation;
	uint8_t peer[16], local[16];    /* IPv6; of IPv4 mapped (RFC 4291 2.5.5.2) */
	uint16_t peer_port, local_port; /* of the machine's order */
	uint16_t mss;                   /* payload and options of a segment */
	uint8_t state;                  /* enum tcp_state */
	uint8_t congestion;             /* row of the table of algorithms */
	uint8_t snd_wscale, rcv_wscale;
	uint8_t backoff, dupacks;
	uint32_t flags; /* enum tcp_facts_flags */
	uint32_t srtt_us, rttvar_us, rto_us;
	uint32_t cwnd, ssthresh; /* bytes */
	uint32_t in_flight;      /* as congestion control counts them */
	uint32_t unacked;        /* sent and not acknowledged, in flight or not */
	uint32_t snd_wnd, rcv_wnd;
	uint32_t send_queued, recv_queued, ahead_buffers;
	uint32_t retransmits;         /* segments */
	uint32_t bytes_in, bytes_out; /* of the stream, acknowledged; modulo 2^32 */
	uint32_t reserved;
	uint64_t silent_us; /* since the last acceptable segment */
};

static_assert(sizeof(struct tcp_facts) == 128, "no holes");

/* What happened to a connection: the rows of tcp_events.def. */
enum tcp_what {
#define TCP_EVENT(name, argument, text) TCP_WHAT_##name,
#include "dataplane/base/tcp_events.def"
#undef TCP_EVENT
	TCP_WHATS
};

struct tcp_happened {
	uint64_t at_us; /* of the worker's clock */
	uint16_t argument;
	uint8_t what; /* enum tcp_what */
	uint8_t reserved[5];
};

static_assert(sizeof(struct tcp_happened) == 16, "no holes");

/* "SEGMENT_IN", "segment came in", "bytes": NULL if there is no such row, or no argument. */
const char *tcp_what_name(unsigned what);
const char *tcp_what_text(unsigned what);
const char *tcp_what_argument(unsigned what);

/* "ESTABLISHED"; NULL: there is no such state. */
const char *tcp_state_name(unsigned state);
/* UINT32_MAX: none has that name. */
uint32_t tcp_state_named(const char *name);
