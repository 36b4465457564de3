/* worker_internal.h - what the worker's own files share. */
#pragma once
#include "dataplane/base/pool.h"
#include "dataplane/base/wheel.h"
#include "dataplane/fabric/fabric.h"
#include "dataplane/session/mqtt.h"
#include "dataplane/shm/ring.h"
#include "dataplane/tcp/tcp.h"
#include "dataplane/worker/worker.h"

enum {
	WORKER_BURST = 32,
	WORKER_BURSTS = 4,             /* per turn */
	WORKER_TIMERS = 256,           /* per turn */
	WORKER_EVENTS = 1024,          /* TCP events per turn */
	WORKER_INPUT_BYTES = 64 << 10, /* of one connection per turn */
	WORKER_ANSWERS = 512,          /* of the fabric, per session input */
	WORKER_LINK_SLOTS = 64,        /* events of the control plane per turn */
	WORKER_CLIENT_ID_INLINE = 24,
	WORKER_CLIENT_ID_MAX = 256, /* longer ones are refused (MQTT-3.1.3-5 lets us) */
	WORKER_SCRATCH_BYTES = 160 << 10,
	WORKER_CONTROL_SIZE_MAX = MESSAGE_HEAD_LARGE, /* of an MQTT packet without PUBLISH payload */
	WORKER_LINGER_US = 5 * 1000 * 1000,  /* after our FIN, for the peer's */
	WORKER_COPY_MAX = 256,    /* payloads up to this many bytes are copied, not lent */
	WORKER_COPY_FRAME = 1024, /* if the whole frame is no larger than this */
};

/* Where a connection stands with the control plane. */
enum grant_state { GRANT_NONE, GRANT_ASKED, GRANT_LIVE };

struct connection {
	struct worker *worker; /* set once; a session's `owner` is its connection */
	struct tcp_id id;
	rte_be32_t peer_address;
	uint16_t peer_port;
	uint8_t grant; /* enum grant_state */
	bool open;     /* TCP has it */
	bool session_open;
	bool finishing; /* the session asked to end; carried out by settle */
	bool closing;   /* FIN is queued: input is read and dropped */
	bool queued;    /* in the `again` list */
	bool clean_start;
	uint8_t client_id_size;
	uint8_t version;
	uint16_t keepalive_s;
	uint32_t session_expiry_s;
	uint32_t client_id_long; /* pool index, when it does not fit inline */
	uint64_t epoch;
	struct rte_mbuf *request; /* text of an unanswered request, for sending it again */
	struct shm_connect asked; /* the request itself */
	uint8_t client_id[WORKER_CLIENT_ID_INLINE];
	struct mqtt_session session;
};

/* A CLOSED that found the ring full. At most one per connection is waiting. */
struct farewell {
	struct shm_closed body;
};

struct answer {
	uint32_t token;
	enum err err;
};

/* The worker's end of the link to the control plane. */
struct worker_link {
	struct shm_tx commands;
	struct shm_rx events;
	struct shm_arena arena;
	const struct shm_header *peer; /* control plane's page 0; NULL: no control plane (tests) */
	uint64_t peer_generation;
	uint64_t generation; /* ours */
	uint32_t pending;    /* requests without an answer */
	uint32_t resync_at;  /* next connection to tell a new control plane about */
	bool resyncing;
	bool rang; /* something was pushed since the last doorbell */
	struct farewell *farewells;
	uint32_t farewell_count;
};

struct worker {
	struct box_conf conf;
	struct counters *counters;
	uint64_t now_us;
	struct net *net;
	struct tcp *tcp;
	struct messages *messages;
	struct fabric *fabric;
	struct wheel wheel; /* one node per connection: the session's timer */
	struct wheel_node *wheel_nodes;
	struct connection *connections; /* by TCP index */
	uint32_t *again;                /* connections with input left, a ring */
	uint32_t again_head, again_count;
	uint32_t *dirty; /* connections that settle must look at */
	uint32_t dirty_count;
	struct pool names; /* long client ids */
	void *names_memory;
	uint8_t *scratch; /* contiguous room for a frame that straddles buffers */
	uint8_t *encode;  /* sessions build headers here */
	struct answer answers[WORKER_ANSWERS];
	uint32_t answer_count;
	struct connection *answering; /* whose answers they are */
	struct mqtt_session_conf session_conf;
	struct worker_link link;
	bool busy; /* this turn found something to do */
};

/* connection.c */
void connection_on_event(struct worker *w, const struct tcp_event *e);
void connection_input(struct worker *w, struct connection *c);
void connection_on_timer(void *owner, uint32_t index, uint64_t now_us);
void connection_deliver(void *owner, const struct delivery *d, struct message *m);
void connection_end_session(struct worker *w, struct connection *c);
void worker_settle(struct worker *w);
void worker_run_again(struct worker *w);
struct span connection_client_id(const struct worker *w, const struct connection *c);

/* effects.c */
extern const struct session_ops worker_session_ops;

/* link.c */
MUST_USE bool link_init(struct worker *w);
void link_fini(struct worker *w);
bool link_poll(struct worker *w);
void link_flush(struct worker *w);
bool link_request(struct worker *w, struct connection *c, const struct session_request *r);
void link_closed(struct worker *w, struct connection *c, enum err why);
void link_forget_request(struct worker *w, struct connection *c);
