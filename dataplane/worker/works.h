/* works.h - the worker's end of what must survive: work out, answers in, replicas of durable
 * sessions.
 *
 * Work is numbered, kept until it is answered, and said again to a new control
 * plane (docs/durability.md). A STORE keeps its message; text is written into the
 * arena when there is room, in parts if need be, in order. Replicas: the queue
 * subscriptions of all durable sessions, put into the fabric under an index
 * per session, and where each of them is connected.
 *
 * Not here: who gets a message (route.h), connections' grants (link.c). */
#pragma once
#include "dataplane/fabric/verbs.h"
#include "dataplane/shm/config.h"
#include "dataplane/shm/parcel.h"
#include "dataplane/shm/slots.h"

struct worker;
struct connection;

/* Who hears of a STORE's end: route_stored gets it back. */
enum order_kind { ORDER_NOBODY, ORDER_CONNECTION, ORDER_PEER };

struct order {
	uint8_t kind;               /* enum order_kind */
	uint8_t qos;                /* of the publish */
	bool fan_out_after;         /* transient subscribers get it when it is durable (QoS 2) */
	bool will;                  /* refused, it comes again: nobody gets it now */
	uint16_t packet_id;         /* CONNECTION */
	uint16_t peer;              /* PEER: worker */
	uint32_t index, generation; /* CONNECTION: its id */
	uint64_t token;             /* PEER: of its FORWARD */
};

/* What a STORE carries beside message and targets. */
struct store_order {
	uint64_t session; /* the publisher's kept session, if `record`; else 0 */
	uint64_t will_of; /* session whose will this was; 0: none */
	bool set_retained;
	bool record; /* remember order.packet_id as received, for `session` */
	struct order order;
};

MUST_USE bool works_create(struct worker *w); /* false: no memory */
void works_fini(struct worker *w);
size_t works_bytes(const struct shm_config *c);

/* Collecting the targets of one STORE; scratch of the worker, used up by works_store. */
void works_targets_begin(struct worker *w);
void works_target(struct worker *w, const struct store_target *t);
uint32_t works_targets(const struct worker *w);
/* Is there room for a STORE of that message and the targets collected so far? Ask before fanning
 * out; what it answers holds until other work is made. */
MUST_USE bool works_room(const struct worker *w, const struct message *m);
/* Refs the message until the answer: route_stored(w, &order, m, err). Room was asked for. */
void works_store(struct worker *w, struct message *m, const struct store_order *o);

/* False: no room for it now, park. Answers: mqtt_session_on_subscribed with the token,
 * mqtt_session_on_released, mqtt_session_on_received. */
MUST_USE bool works_subscribe(struct worker *w, struct connection *c, uint32_t token,
	struct span filter, const struct subscription_options *options);
MUST_USE bool works_unsubscribe(
	struct worker *w, struct connection *c, uint32_t token, struct span filter);
MUST_USE bool works_release(struct worker *w, struct connection *c, uint16_t packet_id);
/* These find room always: an entry is taken only with a promise of it (works_promise). */
void works_received(struct worker *w, struct connection *c, uint64_t entry);
void works_settled(struct worker *w, struct connection *c, uint64_t entry);
/* The number of that work, for works_said; 0: nobody needs to hear of it. */
uint64_t works_ended(struct worker *w, struct connection *c, bool will_void, bool expiry_changed,
	uint32_t expiry_s);
bool works_said(const struct worker *w, uint64_t sequence); /* the control plane has heard it */

/* Events of the control plane that are not a grant: link.c hands them over, while there is room for
 * what they are answered with. DONE and REFUSED are true whoever said them. */
bool works_takes_events(const struct worker *w);
void works_on_event(struct worker *w, const struct shm_slot *slot);
void works_decline_will(struct worker *w, uint64_t will); /* the same: while there is room */
/* A new control plane: nothing is said before it knows who is connected. */
void works_rewind(struct worker *w);
/* Says all that is open again, after link.c has said who is connected. True: done. */
MUST_USE bool works_resync(struct worker *w);
bool works_flush(struct worker *w);      /* writes what waits for room; true: something moved */
bool works_open(const struct worker *w); /* answers are owed */
bool works_loaded(const struct worker *w);

void works_forget_replicas(struct worker *w); /* they will be said again, all */
/* Replicas. The fabric's queue index of a session; POOL_NONE: not known. */
uint32_t works_replica(const struct worker *w, uint64_t session);
uint64_t works_replica_session(const struct worker *w, uint32_t queue);
/* Where it is connected: worker, and the connection there. False: nowhere. */
MUST_USE bool works_replica_place(
	const struct worker *w, uint32_t queue, uint32_t *worker, struct shm_connection *at);
