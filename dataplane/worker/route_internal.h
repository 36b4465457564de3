/* route_internal.h - what the files of route share.
 *
 * route.c: a publish. route_peer.c: loans between workers, slots in and out,
 * forwards. route_interest.c: subscriptions. route_snapshot.c, route_serve.c:
 * retained values for a subscriber, at home and at the owner. */
#pragma once
#include "dataplane/fabric/cells.h"
#include "dataplane/worker/route_peer.h"
#include "dataplane/worker/route_snapshot.h"
#include "dataplane/worker/worker_internal.h"

/* Publishes of one connection that later ones must not overtake. */
struct way {
	uint32_t generation; /* of the connection that it is about */
	uint32_t loans;      /* MESSAGEs that others have not fanned out yet */
	uint32_t forwards;   /* not ROUTED yet, all to... */
	uint32_t owner;
	uint32_t after[3];  /* fan-outs that wait for their STORE, by QoS */
	uint32_t snapshots; /* list; POOL_NONE: none */
	bool poked;
};

/* A message that is durable, for those who waited for that. */
struct ready {
	struct message *message;
	struct order order;
	bool stored;
};

struct queue { /* of indices */
	uint32_t *at;
	uint32_t head, count, max;
};

/* A publish on its way; filled by route_deliver. */
struct pass {
	bool collect; /* targets of a STORE */
	bool deliver; /* to connections here */
	uint64_t workers;
	uint32_t got;
};

struct route {
	uint32_t workers, self;
	struct retained *retained;
	struct pass pass;
	struct way *ways;         /* by connection */
	struct peer_state *peers; /* by worker */
	struct pool loans, routings, forwards, askings, snapshots;
	void *pools[5];
	struct queue pokes;    /* connections that may go on */
	struct queue ends;     /* filters whose interest may be over */
	struct queue declines; /* forwards of wills that found no room at the owner */
	bool *ending;          /* by filter: it is in there */
	struct ready *ready;
	uint32_t ready_head, ready_count, ready_max;
	uint32_t retained_after;          /* STOREs that a retained value waits for */
	uint64_t after_begun, after_done; /* those so far */
	uint32_t after_by_topic[ROUTE_TOPIC_BUCKETS], held_by_topic[ROUTE_TOPIC_BUCKETS];
	uint32_t to_tell; /* askings that have somebody to tell */
	struct cells texts;
	void *texts_memory;
	struct queue waiting; /* snapshots for their turn */
	struct queue driven;  /* snapshots that have something to say */
	struct queue served;  /* servings that have something to tell */
	uint32_t actives_max, active_count;
	uint32_t *actives; /* snapshot by place; POOL_NONE: free */
	struct serving *servings;
};

/* A publish, wherever it comes from. */
struct job {
	struct store_order store;
	struct way *way; /* NULL: a will, a forward */
};

/* route.c */
enum published route_local(
	struct worker *w, struct message *m, const struct job *job, bool *matched);
void route_set_publisher(struct worker *w, struct message *m);
void route_fan_out_here(struct worker *w, struct message *m);
struct way *route_way(struct worker *w, uint32_t connection, uint32_t generation); /* NULL: gone */
struct way *route_way_of(struct worker *w, const struct connection *c);            /* begins it */
uint64_t route_others(const struct route *r); /* all other workers */
struct connection *route_connection(struct worker *w, uint32_t index, uint32_t generation);
void route_poke(struct worker *w, uint32_t connection);
uint32_t route_bucket(struct span topic);
bool queue_create(struct queue *q, uint32_t max);
void queue_push(struct queue *q, uint32_t value);
uint32_t queue_pop(struct queue *q);
