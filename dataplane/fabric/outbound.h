/* outbound.h - messages on their way to one client: those that wait, and those that it has not
 * acknowledged.
 *
 * For clean and durable sessions alike. A message of a clean session gets a
 * packet id of its own and waits while the window is closed. An entry of a
 * durable queue brings its id along (docs/durability.md): how many of them are
 * under way is the control plane's to say; but never more messages than the
 * client takes. Nodes come from one pool of the worker. Nothing is sent twice:
 * a clean session ends with its connection, entries come again from their queue.
 *
 *	WAITING -> SENT -> (QoS 2: RECEIVING ->) RELEASING -> RELEASED -> gone
 *
 * One thread, no clock. Not here: packets, who settles what (session/mqtt_outbound.c). */
#pragma once
#include "dataplane/base/idmap.h"
#include "dataplane/fabric/fabric.h"

enum outbound_state {
	OUTBOUND_WAITING,   /* for the window or for room in the send queue */
	OUTBOUND_SENT,      /* until PUBACK or PUBREC */
	OUTBOUND_RECEIVING, /* an entry: PUBREC came, the control plane writes it down */
	OUTBOUND_RELEASING, /* PUBREL is due */
	OUTBOUND_RELEASED,  /* until PUBCOMP */
};

struct outbound_node {
	struct message *message; /* a reference while it waits, then NULL */
	struct delivery delivery;
	uint32_t next, prev; /* in the list that its state says */
	uint16_t packet_id;  /* 0: none yet */
	uint8_t state;       /* enum outbound_state */
	uint8_t qos;         /* 1 or 2: what it is sent with */
	bool resumed;        /* its PUBLISH went over an earlier connection */
};

struct outbound_list {
	uint32_t first, last, count;
};

struct outbounds_conf {
	uint32_t nodes_max;        /* messages of all clients, waiting or in flight */
	uint32_t queued_max;       /* waiting for one client; entries not counted */
	uint16_t inflight_max;     /* in flight to one client; entries not counted */
	struct counters *counters; /* INFLIGHT, QUEUED */
};

struct outbounds; /* of one worker */

MUST_USE struct outbounds *outbounds_create(const struct outbounds_conf *conf);
void outbounds_destroy(struct outbounds **all); /* asserts that no node is in use */
size_t outbounds_bytes(const struct outbounds_conf *conf);
size_t outbounds_used(const struct outbounds *all);

struct outbound { /* of one client */
	struct outbounds *all;
	uint64_t serial;                           /* never used twice in `all`; 48 bits */
	struct outbound_list waiting, flight, due; /* due: RELEASING, in the order of PUBRECs */
	uint32_t sent;                             /* over this connection, unacknowledged */
	uint16_t receive_max;                      /* what the client takes; not 0 */
	uint16_t last_id;                          /* given out last, or of the last entry */
	bool durable;                              /* ids of our own keep away from entries' */
};

void outbound_open(struct outbound *o, struct outbounds *all, uint64_t serial);
void outbound_clear(struct outbound *o); /* drops all */

/* Puts a message at the end of those that wait; qos is 1 or 2. An entry that is here already stays
 * as it is. ERR_INFLIGHT_FULL: no node. ERR_QUEUE_FULL: too many wait for this client.
 * ERR_MQTT_PACKET_ID_IN_USE: the entry's id is. Then nothing was taken. */
MUST_USE enum err outbound_push(
	struct outbound *o, struct message *m, const struct delivery *d, uint8_t qos);
/* An entry whose PUBREC came over an earlier connection: it is RELEASING. Errors: the same. */
MUST_USE enum err outbound_resume(struct outbound *o, uint64_t entry);
bool outbound_window_open(const struct outbound *o); /* for messages that are not entries */

/* What is to be sent next, with its packet id; NULL: nothing may be. */
struct outbound_node *outbound_next(struct outbound *o);
struct outbound_node *outbound_due(const struct outbound *o); /* the next PUBREL; NULL: none */
/* What is in flight under that id; NULL: nothing. */
struct outbound_node *outbound_find(const struct outbound *o, uint16_t packet_id);
/* The same for an entry. */
struct outbound_node *outbound_find_entry(const struct outbound *o, uint64_t entry);

void outbound_sent(struct outbound *o, struct outbound_node *n);      /* WAITING -> SENT */
void outbound_receiving(struct outbound *o, struct outbound_node *n); /* SENT -> RECEIVING */
void outbound_releasing(struct outbound *o, struct outbound_node *n); /* -> RELEASING */
void outbound_released(struct outbound *o, struct outbound_node *n);  /* RELEASING -> RELEASED */
void outbound_drop(struct outbound *o, struct outbound_node *n);      /* gone, from any state */
void outbound_check(const struct outbound *o); /* asserts its invariants; for tests */
