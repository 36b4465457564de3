/* route_snapshot.h - retained values for a subscriber: at home, and at the owners.
 *
 * Home asks one owner after the other, for a few values at a time; see
 * route_snapshot.c and route_serve.c. */
#pragma once
#include "dataplane/fabric/retained.h"
#include "dataplane/worker/peer.h"
#include "dataplane/worker/route.h"

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
