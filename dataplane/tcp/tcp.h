/* tcp.h - TCP endpoints of one worker: segments in, ordered bytes and events out.
 *
 * Share-nothing: one flow table, one timer wheel, pools of its own; all memory
 * taken by tcp_create. `now` is an argument. A turn is: tcp_rx for each packet,
 * tcp_poll_timers, tcp_next_event until false (reading and sending as they
 * come), then tcp_flush, which sends data, acknowledgements and probes. Received
 * buffers do not outlive tcp_flush: what was not consumed is copied into `held`
 * buffers, or is not acknowledged if there are none.
 *
 * Spec: RFC 9293, 9438, 5681, 6298, 6675, 2018, 7323, 5961, 6528, 6691, 1122. Not here: IP (net.h),
 * what the bytes mean. Several stacks may live in one process. */
#pragma once
#include "dataplane/net/net.h"
#include "dataplane/tcp/tcp_congestion.h"
#include "dataplane/tcp/tcp_live.h"

struct tcp;
struct tcp_conf {
	struct net *net;
	rte_be32_t address; /* ours, the source of tcp_connect */
	uint16_t mtu;       /* bytes of an IP packet; 0: 1500 */
	uint16_t worker, box;
	uint32_t connections_max, keepalive_probes;
	uint32_t half_open_max;      /* handshakes of all listeners; beyond it SYN cookies */
	uint32_t time_wait_max;      /* the oldest gives way */
	uint32_t receive_window_max; /* bytes a peer may have under way to us */
	uint32_t send_queue_max;     /* bytes we keep for a peer before tcp_send_room is 0 */
	uint32_t send_nodes_max;     /* pieces in all send queues together */
	uint64_t time_wait_us;       /* 2 MSL */
	uint64_t keepalive_us, keepalive_interval_us; /* idle before the first probe; 0: off */
	uint64_t user_timeout_us;                     /* unacknowledged data for so long: give up */
	enum tcp_congestion congestion;
	struct rte_mempool *headers; /* header and small segments out; reserve kept for control */
	struct rte_mempool *copies;  /* bytes given to tcp_send */
	struct rte_mempool *held;    /* received bytes that wait, out-of-order ones too */
	uint16_t segs_max;           /* chain length the NIC takes */
	bool checksum_by_nic;        /* it fills in checksums; else we do */
	struct hash_key key;         /* secret: flow hash, ISN, timestamp offsets */
	uint64_t seed;               /* challenge-ACK limits, ephemeral ports */
	struct counters *counters;
	struct tcp_live_conf live; /* what is open, for who comes after a crash */
};

/* A connection: index below connections_max, and a generation that tells reuse. */
struct tcp_id {
	uint32_t index;
	uint32_t generation;
};

enum tcp_event_kind {
	TCP_EVENT_ACCEPTED = 1, /* a listener's new connection: call tcp_set_user */
	TCP_EVENT_CONNECTED,    /* tcp_connect succeeded */
	TCP_EVENT_READABLE,     /* bytes to read, or the peer's FIN (tcp_at_end) */
	TCP_EVENT_WRITABLE,     /* the send queue was full and has room again */
	TCP_EVENT_CLOSED,       /* gone; `why`; call tcp_release, nothing else works any more */
};

struct tcp_event {
	enum tcp_event_kind kind;
	enum err why; /* CLOSED: ERR_NONE after an orderly close */
	struct tcp_id id;
	uint64_t user;
	rte_be32_t peer_address, local_address;
	uint16_t peer_port, local_port;
};

/* Bytes that TCP may keep a reference to: embed it in what owns them. */
struct tcp_lent {
	struct rte_mbuf *head; /* the chain; must not change while refs > 0 */
	void (*ref)(struct tcp_lent *l);
	void (*put)(struct tcp_lent *l);
};

MUST_USE struct tcp *tcp_create(const struct tcp_conf *conf, uint64_t now_us);
void tcp_destroy(struct tcp **t); /* frees all buffers; tells no peer */
size_t tcp_bytes(const struct tcp_conf *conf);

MUST_USE enum err tcp_listen(struct tcp *t, rte_be32_t address, uint16_t port, uint32_t backlog);
/* port 0 as `local_port`: choose one (RFC 6056). Answered by CONNECTED or CLOSED. */
MUST_USE enum err tcp_connect(struct tcp *t, rte_be32_t address, uint16_t port, uint16_t local_port,
	uint64_t user, struct tcp_id *id, uint64_t now_us);

void tcp_rx(struct tcp *t, struct net_packet *packet, uint64_t now_us); /* takes packet->mbuf */
MUST_USE bool tcp_next_event(struct tcp *t, struct tcp_event *out);
void tcp_set_user(struct tcp *t, struct tcp_id id, uint64_t user);

struct span tcp_recv_peek(const struct tcp *t, struct tcp_id id); /* first contiguous bytes */
size_t tcp_recv_available(const struct tcp *t, struct tcp_id id);
size_t tcp_recv_copy(const struct tcp *t, struct tcp_id id, void *to, size_t size);
void tcp_recv_consume(struct tcp *t, struct tcp_id id, size_t size);
bool tcp_recv_ended(const struct tcp *t, struct tcp_id id); /* FIN received: no more will come */
bool tcp_at_end(const struct tcp *t, struct tcp_id id);     /* FIN received and all bytes read */

size_t tcp_send_room(const struct tcp *t, struct tcp_id id);
/* All or nothing; false when the queue, nodes or buffers do not suffice. One send larger than the
 * room is taken if the queue is empty. */
MUST_USE bool tcp_send(struct tcp *t, struct tcp_id id, struct span bytes);
/* Sends bytes of lent's chain. Takes a reference until they are acknowledged; copies small ones. */
MUST_USE bool tcp_send_lent(
	struct tcp *t, struct tcp_id id, struct tcp_lent *lent, uint32_t offset, uint32_t size);
/* A header that is copied and the first `size` bytes of lent's chain behind it: all or nothing. */
MUST_USE bool tcp_send_framed(
	struct tcp *t, struct tcp_id id, struct span header, struct tcp_lent *lent, uint32_t size);
void tcp_close(struct tcp *t, struct tcp_id id);   /* FIN after what is queued; reading may go on */
void tcp_abort(struct tcp *t, struct tcp_id id);   /* RST now; CLOSED follows */
void tcp_release(struct tcp *t, struct tcp_id id); /* after CLOSED */

uint32_t tcp_poll_timers(struct tcp *t, uint64_t now_us, uint32_t budget);
void tcp_flush(struct tcp *t, uint64_t now_us);
uint64_t tcp_next_us(const struct tcp *t); /* earliest timer; UINT64_MAX; 0: a turn is due now */
void tcp_check(const struct tcp *t);
