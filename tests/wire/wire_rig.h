/* wire_rig.h - one stack in virtual time, and a peer made by hand: segments in, segments caught.
 *
 * The box is 10.0.0.1, the peer 10.0.0.2. What the box sends is decoded and
 * kept in order, with its time. Sequence numbers here are as on the wire; the
 * scripts' relative ones are wire_script.c's. */
#pragma once
#include "dataplane/tcp/tcp_internal.h"

enum {
	RIG_SEGMENTS = 256,
	RIG_EVENTS = 64,
	RIG_PORT = 80,
	RIG_PEER_PORT = 1000,
	RIG_LOCAL = 0x0a000001,
	RIG_PEER = 0x0a000002,
	RIG_FRAME_MAX = 2048,
	RIG_LENT_PIECE = 1700,
	RIG_LENT = 20 * RIG_LENT_PIECE,
};

/* A segment the box sent. */
struct rig_segment {
	struct tcp_header h;
	uint64_t at_us;
	uint16_t size;
	bool checksum_ok;
	uint8_t payload[RIG_FRAME_MAX];
};

/* A segment the peer sends. */
struct rig_inject {
	struct tcp_header h;
	struct span payload;
	struct span options; /* as bytes, when at is not NULL: instead of h.options */
	uint16_t urgent;
	uint8_t offset; /* data offset in words; 0: as it should be */
	bool bad_checksum;
};

struct rig_conf {
	uint32_t window, send_queue, nodes, backlog, half_open, connections, time_waits;
	uint32_t headers, copies, held;
	uint16_t mtu, segs_max;
	uint64_t keepalive_us, interval_us, user_timeout_us, time_wait_us;
	uint32_t probes;
	uint64_t start_us;
	enum tcp_congestion congestion;
};

struct rig {
	struct net *net;
	struct tcp *tcp;
	struct rig_conf conf;
	struct counters counters;
	struct rte_mempool *rx, *headers, *copies, *held, *control;
	uint64_t now_us;
	bool hold; /* no flush until the turn ends */
	bool arp_asked;
	bool nic_full; /* takes nothing */
	struct rig_segment segments[RIG_SEGMENTS];
	uint32_t first, count;
	struct tcp_event events[RIG_EVENTS];
	uint32_t event_count;
	uint32_t overflow;
	struct tcp_lent lent; /* a chain for scripts that lend */
	uint32_t lent_size;
	int lent_refs;
};

struct rig_conf rig_conf_default(void);
struct rig *rig_open(const struct rig_conf *conf);
uint32_t rig_close(struct rig *r); /* returns how many buffers are missing */
void rig_lent_append(struct rig *r, struct span bytes);
void rig_inject(struct rig *r, const struct rig_inject *in);
/* A packet of the peer's, or of a router beside it; it begins at the IPv4 header. */
void rig_give_ipv4(struct rig *r, struct span packet);
void rig_turn(struct rig *r); /* events, flush */
/* Moves time, with a turn whenever something is due. */
void rig_advance(struct rig *r, uint64_t us);
struct rig_segment *rig_next(struct rig *r); /* NULL: none waits */
