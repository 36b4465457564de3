/* route.h - the way of a published message: to connections here, to other workers, into queues.
 *
 * A message is matched once, on the worker where it arrived (a retained one: on
 * the owner of its topic). Deliveries to connections of this worker happen at
 * once; another worker gets it once, whatever it has; durable sessions become
 * targets of one STORE. Who waits for what: docs/durability.md, "Publish".
 *
 * Snapshots of retained values run on the owners, paced by the session that
 * subscribed. Not here: sessions, work (works.h), rings (peer.h). */
#pragma once
#include "dataplane/fabric/fabric.h"
#include "dataplane/shm/config.h"
#include "dataplane/worker/works.h"

struct publisher {
	struct connection *connection; /* NULL: a will, by the control plane */
	uint64_t session;              /* kept session of the publisher; 0: none */
	bool durable;                  /* its packet ids are kept, too */
	uint64_t will_of;
};

/* Behind messages, fabric and works. False: no memory. */
MUST_USE bool route_create(struct worker *w);
/* Before messages and fabric; the rings are cleared already, or nobody turns any more. */
void route_fini(struct worker *w);
size_t route_bytes(const struct shm_config *c); /* what follows included */
size_t route_place_bytes(void);                 /* of one connection */
size_t route_retained_bytes(const struct shm_config *c);
size_t route_retained_used(const struct worker *w);
/* The fabric's conf.deliver, with the worker as its owner. A worker that is not alone needs room
 * for one subscription more for each filter of its connections, and those of other workers. */
void route_deliver(void *owner, const struct delivery *d, struct message *m);

/* As verbs.publish: takes *m unless NO_ROOM or REFUSED, which a will never is. */
enum published route_publish(struct worker *w, struct message **m, const struct publisher *from,
	const struct publish_order *o, bool *matched);
/* A STORE has ended; m is still the work's. Answers the publisher, fans out what waited. */
void route_stored(struct worker *w, const struct order *order, struct message *m, enum err e);

/* Subscriptions of transient connections; answered by mqtt_session_on_subscribed, now or later. */
void route_subscribe(struct worker *w, struct connection *c, uint32_t token, struct span filter,
	const struct subscription_options *options);
void route_unsubscribe(struct worker *w, struct connection *c, uint32_t token, struct span filter);
/* All of them, its snapshots, and what it is owed: before its generation changes. */
void route_forget(struct worker *w, struct connection *c);
/* A durable session's subscription is in force: its snapshot, if its options want one. */
void route_snapshot(struct worker *w, struct connection *c, struct span filter,
	const struct subscription_options *options, bool was_new);
/* A durable session's subscription is gone: so is its snapshot. */
void route_snapshot_stop(struct worker *w, struct connection *c, struct span filter);
void route_room(struct worker *w, struct connection *c); /* its session takes more */
/* RETAINED of the control plane: a stored value, before LOADED. Takes *m. */
void route_load_retained(struct worker *w, struct message **m);

bool route_poll(struct worker *w);        /* peers' slots and running snapshots, a bounded piece */
bool route_waits(const struct worker *w); /* something is to be tried again soon */

/* What it asks of the worker, in connection.c. False: its session declined a retained value. */
bool connection_offer(
	struct worker *w, struct connection *c, const struct delivery *d, struct message *m);
/* Never from inside a call of that session. */
void connection_published(struct worker *w, struct connection *c, uint16_t packet_id, enum err e);
/* The durable session whose queue its subscriptions are; 0: they are the connection's own. */
uint64_t connection_queue(const struct connection *c);
/* Subscribes, as the connection or as its queue; answered now or later. */
void connection_subscribe(struct worker *w, struct connection *c, uint32_t token,
	struct span filter, const struct subscription_options *options);
/* Answers a subscription: when the session's own call has returned, or at once. */
void connection_answer(struct worker *w, struct connection *c, uint32_t token, enum err e);
