/* route_internal.h - what the files of route share.
 *
 * route.c: a publish. route_peer.c: loans between workers, slots in and out,
 * forwards. route_interest.c: subscriptions. route_snapshot.c, route_serve.c:
 * retained values for a subscriber, at home and at the owner.
 *
 * Nobody waits on a full ring. What is lent is counted for each borrower and bounded; whoever
 * borrows always takes a slot out of the ring, and answers what it could not push wait in a queue
 * that is as long as all that can be owed. */
#pragma once
#include "dataplane/fabric/cells.h"
#include "dataplane/fabric/retained.h"
#include "dataplane/worker/peer.h"
#include "dataplane/worker/route.h"
#include "dataplane/worker/worker_internal.h"

enum {
	ROUTE_WORKERS_MAX = 64,
	ROUTE_LOANS_MAX = 4096,    /* to one worker at once */
	ROUTE_FORWARDS_MAX = 1024, /* of one worker, unanswered */
	ROUTE_ASKING_MAX = 4096,   /* subscriptions that other workers have not applied yet */
	ROUTE_OWED_MAX =
		ROUTE_LOANS_MAX + 2 * ROUTE_FORWARDS_MAX + ROUTE_ASKING_MAX + RETAINED_CURSORS_MAX,
	/* Beside what is lent, each snapshot has a request or an answer under way. */
	ROUTE_IN_MAX = ROUTE_LOANS_MAX + 2 * RETAINED_CURSORS_MAX,
	ROUTE_SNAPSHOTS_MAX = 16384, /* running and waiting */
	ROUTE_TOPIC_BUCKETS = 1024,
	ROUTE_CREDIT = 32,  /* values asked for at once */
	ROUTE_VALUES = 256, /* per turn */
	ROUTE_LOOKS = 4096,
	ROUTE_RETRIES = 256,
};

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

struct loan {
	struct message *message;
	uint32_t to;
	uint32_t connection, generation; /* whose way it is on; POOL_NONE: nobody's */
	uint32_t routing;                /* POOL_NONE: it is nobody's forward */
};

/* A FORWARD of another worker, here at the owner. */
struct routing {
	uint32_t from;
	uint32_t waiting; /* loans, and one for a fan-out that is still to come */
	uint64_t token;
	bool forwarded;
	uint32_t routed;
};

/* A FORWARD of ours. */
struct forward {
	uint32_t connection, generation;
	uint16_t packet_id;
	uint8_t qos;
	bool routed;
};

/* A subscription that the others are told about. */
struct asking {
	uint32_t connection, generation, token;
	uint32_t waiting; /* APPLIED */
	uint64_t to_tell; /* workers */
	struct message *filter;
	enum err err;
	bool was_new;
	struct subscription_options options;
};

/* A message that is durable, for those who waited for that. */
struct ready {
	struct message *message;
	struct order order;
	bool stored;
};

struct slots { /* a queue */
	struct peer_slot *at;
	uint32_t head, count, max;
};

struct peer_state {
	struct slots out;      /* answers that found no room in the ring */
	struct slots in;       /* what found no room here, and what is behind it */
	struct slots forwards; /* FORWARDs that did not; `session` is the time they came */
	uint32_t loans;        /* out to it */
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

enum snapshot_state {
	SNAPSHOT_WAITS,  /* for its turn */
	SNAPSHOT_BEGIN,  /* to be said to `owner` */
	SNAPSHOT_GO,     /* likewise, from `declined` on if there is one */
	SNAPSHOT_CLOSE,  /* likewise; then the next owner */
	SNAPSHOT_RUNS,   /* SNAPSHOT_END will come */
	SNAPSHOT_STALLS, /* until its session has room */
};

/* At home. */
struct snapshot {
	uint32_t connection, generation;
	uint32_t next;            /* of that connection */
	uint32_t text, text_size; /* the filter, in cells */
	uint32_t identifier;
	uint64_t session; /* durable; else 0 */
	uint32_t active;  /* place in `actives`; POOL_NONE: it waits */
	uint32_t owner;
	struct message *filter;   /* while it is active */
	struct message *declined; /* the value that found no room, or NULL */
	uint8_t qos;
	uint8_t state; /* enum snapshot_state */
	bool queued;   /* in `driven` */
	bool dead;     /* its connection does not want it any more */
	bool roomy;    /* room came while it ran */
};

/* At an owner; its index: home * actives_max + place at home. */
struct serving {
	struct retained_cursor *cursor; /* NULL: none */
	struct message *own;            /* filter, of a snapshot of this worker */
	uint32_t loan;                  /* filter, of another's */
	uint32_t identifier;
	uint64_t session;
	uint32_t credit;
	uint64_t after;  /* durable: begins when so many of `after_begun` are done */
	uint32_t bucket; /* held, until its topic is settled; POOL_NONE */
	uint8_t qos;
	bool queued; /* in `served` */
};

struct route {
	uint32_t workers, self;
	struct retained *retained;
	struct pass pass;
	struct way *ways;         /* by connection */
	struct peer_state *peers; /* by worker */
	struct pool loans, routings, forwards, askings, snapshots;
	void *pools[5];
	struct queue pokes; /* connections that may go on */
	struct queue ends;  /* filters whose interest may be over */
	bool *ending;       /* by filter: it is in there */
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
bool queue_init(struct queue *q, uint32_t max);
void queue_push(struct queue *q, uint32_t value);
uint32_t queue_pop(struct queue *q);

/* route_peer.c */
bool route_peers_create(struct worker *w);
void route_peers_fini(struct worker *w);
size_t route_peers_bytes(const struct shm_config *c);
bool route_can_lend(const struct worker *w, uint32_t to);
bool route_can_lend_all(const struct worker *w, uint64_t workers);
/* Room was asked for. The slot's p, payload and loan are filled. */
void route_lend(struct worker *w, uint32_t to, struct message *m, struct peer_slot *slot,
	const struct loan *loan);
void route_fan_out_there(struct worker *w, struct message *m, uint64_t workers, struct loan loan);
void route_answer_peer(struct worker *w, uint32_t to, const struct peer_slot *slot);
void route_release(struct worker *w, const struct peer_slot *slot); /* what was lent to us */
enum published route_forward(struct worker *w, struct message *m, const struct publisher *from,
	const struct publish_order *o, uint32_t owner);
void route_routed(struct worker *w, uint32_t routing); /* one less that it waits for */
void route_forwarded(struct worker *w, uint32_t routing, enum err e);
bool route_poll_peers(struct worker *w);
bool route_peers_wait(const struct worker *w);

/* route_interest.c */
bool route_on_interest(struct worker *w, const struct peer_slot *slot); /* false: not now */
void route_on_applied(struct worker *w, const struct peer_slot *slot);
void route_forget_filters(struct worker *w, struct connection *c);
bool route_poll_interest(struct worker *w);

/* route_snapshot.c */
bool route_snapshots_create(struct worker *w);
void route_snapshots_fini(struct worker *w);
size_t route_snapshots_bytes(void);
/* ERR_SNAPSHOTS_FULL. */
bool route_snapshot_room(const struct worker *w, struct span filter);
void route_on_value(struct worker *w, uint32_t active, struct message *m);
void route_on_snapshot_end(struct worker *w, uint32_t active, bool more);
void route_forget_snapshots(struct worker *w, struct connection *c);
bool route_poll_snapshots(struct worker *w);

/* route_serve.c */
void route_serve(struct worker *w, uint32_t home, const struct peer_slot *slot, struct message *m);
bool route_poll_servings(struct worker *w);
void route_servings_fini(struct worker *w);
