/* worker_link.h - the worker's end of the link to the control plane.
 *
 * Requests and farewells out, grants and revocations in; see link.c for what
 * happens when either side is born again. Not here: the rings (shm/ring.h). */
#pragma once
#include "dataplane/session/session.h"
#include "dataplane/shm/ring.h"

struct connection;
struct worker;

/* A CLOSED that found the ring full, or waits for its ENDED to be said. At most one per connection
 * is waiting. */
struct farewell {
	struct shm_closed body;
	uint64_t after; /* number of that work; 0: none */
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
	bool resyncing;      /* it is to be greeted */
	bool introducing;    /* greeted, and not told everything yet */
	bool rang;           /* something was pushed since the last doorbell */
	struct farewell *farewells;
	uint32_t farewell_count;
};

MUST_USE bool link_create(struct worker *w); /* false: no memory */
void link_fini(struct worker *w);
bool link_poll(struct worker *w);  /* true: something came */
bool link_flush(struct worker *w); /* true: something moved */
/* For works: a slot, and text for the slot that is pushed next. False: no room. */
MUST_USE bool link_push(struct worker *w, enum shm_command type, const void *body, size_t size);
MUST_USE bool link_put(
	struct worker *w, const struct span *parts, size_t count, struct shm_text *out);
/* There is more room than farewells want, and the control plane knows who is here. */
bool link_has_spare_room(const struct worker *w);
/* False: cannot be asked now. Answered by mqtt_session_on_grant. */
MUST_USE bool link_request(struct worker *w, struct connection *c, const struct session_request *r);
void link_closed(struct worker *w, struct connection *c, enum err why);
void link_forget_request(struct worker *w, struct connection *c);
