/* worker_internal.h - what the worker's own files share. */
#pragma once
#include "dataplane/base/pool.h"
#include "dataplane/base/wheel.h"
#include "dataplane/fabric/fabric.h"
#include "dataplane/worker/connection.h"
#include "dataplane/worker/inspect.h"
#include "dataplane/worker/peers.h"
#include "dataplane/worker/stages.h"
#include "dataplane/worker/steer.h"
#include "dataplane/worker/worker.h"
#include "dataplane/worker/worker_link.h"

enum {
	WORKER_BURST = 32,
	WORKER_BURSTS = 4,             /* per turn */
	WORKER_TIMERS = 256,           /* per turn */
	WORKER_EVENTS = 1024,          /* TCP events per turn */
	WORKER_INPUT_BYTES = 64 << 10, /* of one connection per turn */
	WORKER_ANSWERS = 512,          /* of the fabric, per session input */
	WORKER_PEER_SLOTS = 256,       /* of each other worker per turn */
	WORKER_LINK_SLOTS = 256,       /* events of the control plane per turn */
	WORKER_CLIENT_ID_MAX = 256,    /* longer ones are refused (MQTT-3.1.3-5 lets us) */
	WORKER_SCRATCH_BYTES = 160 << 10,
	/* of an MQTT packet without PUBLISH payload */
	WORKER_CONTROL_SIZE_MAX = MESSAGE_HEAD_LARGE,
	WORKER_LINGER_US = 5 * 1000 * 1000, /* after our FIN, for the peer's */
	WORKER_COPY_MAX = 256,    /* payloads up to this many bytes are copied, not lent */
	WORKER_COPY_FRAME = 1024, /* if the whole frame is no larger than this */
};

struct answer {
	uint32_t token;
	enum err err;
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
	struct connection *calling; /* whose session is inside a call: they are for it */
	struct mqtt_session_conf session_conf;
	struct mqtt_memory *session_memory;
	struct worker_link link;
	struct steer steer;
	struct stages stages;
	struct works *works;
	struct route *route;
	struct attempts *attempts;
	struct inspect inspect;
	bool busy;          /* this turn found something to do */
	uint64_t gauges_us; /* when those that cost something are due */
};

/* worker.c: takes a frame that is this worker's to handle. */
void worker_receive(struct worker *w, struct rte_mbuf *frame);

/* worker.c: messages alive at once: those that publishers and queues bring in, and those that wait
 * for clients, which must not starve them. */
uint32_t worker_messages_max(const struct shm_config *c);

/* memory.c: gauges of what was taken, and of what is in use. */
struct worker_taken { /* bytes, by those who know their configuration */
	size_t tcp, sessions, subscriptions, messages;
};
void worker_memory_taken(struct worker *w, const struct worker_taken *taken);
void worker_memory_publish(struct worker *w);

/* effects.c */
extern const struct session_ops worker_session_ops;
