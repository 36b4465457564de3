/* replica.h - durable sessions as a worker knows them: their index in the fabric, and where each is
 * connected.
 *
 * A table from session id to a small index, under which the session's queue
 * subscriptions lie in the fabric. Fixed size, taken at start. Pure. Not here:
 * the subscriptions themselves (fabric.h), who says so (works_event.c). */
#pragma once
#include "dataplane/base/pool.h"
#include "dataplane/shm/slots.h"

enum { REPLICA_NOWHERE = UINT32_MAX };

struct replica {
	uint64_t session;
	struct shm_connection at; /* at `worker` */
	uint32_t worker;          /* REPLICA_NOWHERE: not connected */
	uint32_t reserved;
};

struct replicas {
	struct pool pool;
	void *memory;
	uint32_t *slots; /* open addressing: pool indices, or POOL_NONE */
	uint32_t mask;
};

MUST_USE bool replicas_create(struct replicas *r, uint32_t count); /* false: no memory */
void replicas_fini(struct replicas *r);
size_t replicas_bytes(uint32_t count);

/* POOL_NONE: not there. */
uint32_t replicas_find(const struct replicas *r, uint64_t session);
/* Finds or adds it, nowhere connected. POOL_NONE: full. */
MUST_USE uint32_t replicas_add(struct replicas *r, uint64_t session);
void replicas_drop(struct replicas *r, uint32_t index);
struct replica *replicas_at(const struct replicas *r, uint32_t index);
static inline uint32_t replicas_count(const struct replicas *r)
{
	return r->pool.out;
}
/* NULL: `index` is not in use. Walks them all from 0 to pool.count. */
struct replica *replicas_try(const struct replicas *r, uint32_t index);
void replicas_check(const struct replicas *r); /* asserts its invariants; for tests */
