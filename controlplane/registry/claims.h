/* claims.h - the registry's memory: sessions, claims, and how they are found.
 *
 * A session is a client id in use; a claim is one connection that holds it,
 * waits for it or is to hear a refusal. Both are found by hash and live in
 * pools taken at start; only the text of a client id is allocated, bounded in
 * all. Mechanics only: the rules are in registry.c. */
#pragma once
#include "controlplane/registry/chain.h"
#include "controlplane/registry/prepare.h"
#include "controlplane/registry/registry.h"
#include "dataplane/base/pool.h"

enum claim_state {
	CLAIM_PREPARES, /* holds, and is granted when sessions/ is ready */
	CLAIM_HOLDS,
	CLAIM_REVOKED, /* holds still, and was or is to be told to close */
	CLAIM_WAITS,
	CLAIM_REFUSED, /* without a session; until that was told */
	CLAIM_GONE,    /* until sessions/ has heard of it */
};

enum claim_due { DUE_GRANT = 1, DUE_REVOKE = 2 };

struct claim {
	struct shm_connection connection;
	uint64_t epoch;       /* 0: not granted */
	uint64_t since_us;    /* of CONNECT */
	uint64_t deadline_us; /* WAITS */
	uint64_t kept;        /* sessions/' id; 0: nothing is kept */
	uint8_t *will;        /* owned, until it is asked for */
	uint32_t will_size, session_expiry_s;
	uint32_t session;   /* POOL_NONE when refused */
	uint32_t same_hash; /* next in its bucket */
	uint32_t address;
	uint16_t port, keepalive_s, receive_max;
	uint16_t err; /* of its REVOKE; PREPARES: to come behind its GRANT */
	uint8_t worker, state, due, verdict, protocol, version;
	bool assigned; /* the client id is ours, and the GRANT tells it */
	bool clean, present, durable;
	bool again;    /* a registry before us may have asked for it, and we have not yet */
	bool asked;    /* PREPARES: sessions/ has it, and will answer */
	bool detached; /* not to be found any more: its connection is gone */
};

struct session {
	uint8_t *client_id; /* owned */
	uint32_t client_id_size;
	uint32_t same_hash;
	uint32_t holder, waiter; /* claims; a session always has a holder */
};

struct registry {
	struct registry_conf conf;
	struct pool sessions, claims;
	uint32_t *session_buckets, *claim_buckets;
	uint32_t session_mask, claim_mask;
	struct chain due[SHM_WORKERS_MAX]; /* with effects to take */
	struct chain of[SHM_WORKERS_MAX];  /* all of a worker */
	struct chain waiting;              /* oldest first: all wait equally long */
	struct chain prepare;              /* to be asked for */
	struct chain gone;                 /* to be told to sessions/ */
	uint32_t refusals[SHM_WORKERS_MAX];
	uint64_t epoch, assigned; /* counters */
	uint32_t again;           /* claims that are */
	size_t id_bytes, will_bytes;
	bool *session_used; /* by index, for listing */
	void *memory[2];    /* of the pools */
};

MUST_USE bool registry_memory_create(struct registry *r);
void registry_memory_destroy(struct registry *r);
size_t registry_memory_bytes(uint32_t sessions, uint32_t claims); /* but client ids and wills */

static inline struct claim *claim_at(const struct registry *r, uint32_t index)
{
	return (struct claim *)pool_at(&r->claims, index);
}

static inline struct session *session_at(const struct registry *r, uint32_t index)
{
	return (struct session *)pool_at(&r->sessions, index);
}

/* POOL_NONE: not found, or no room. */
uint32_t session_find(const struct registry *r, struct span client_id);
uint32_t session_create(struct registry *r, struct span client_id);
void session_free(struct registry *r, uint32_t index);
uint32_t claim_find(const struct registry *r, uint32_t worker, struct shm_connection connection);
uint32_t claim_new(struct registry *r, uint32_t worker, struct shm_connection connection);
/* A copy of its will. False: no room. */
MUST_USE bool claim_will_create(struct registry *r, uint32_t index, struct span will);
void claim_will_free(struct registry *r, uint32_t index);
/* It has been asked for, or will not be. */
void claim_not_again(struct registry *r, uint32_t index);
/* Out of every queue that leads to its worker: its connection is gone. */
void claim_detach(struct registry *r, uint32_t index);
void claim_free(struct registry *r, uint32_t index); /* detaches it, too */

/* Something is to be told to the claim's worker. */
void claim_tell(struct registry *r, uint32_t index, enum claim_due what);
