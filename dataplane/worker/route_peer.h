/* route_peer.h - loans between workers, forwards, and subscriptions that others must hear of.
 *
 * Nobody waits on a full ring. What is lent is counted for each borrower and bounded; whoever
 * borrows always takes a slot out of the ring, and answers that it could not push wait in a queue
 * that is as long as all that can be owed. */
#pragma once
#include "dataplane/fabric/retained.h"
#include "dataplane/worker/peer.h"
#include "dataplane/worker/route.h"

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
	uint64_t will_of;
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
