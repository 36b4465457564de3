/* prepare.c - what passes between the registry and sessions/. See prepare.h. */
#include "controlplane/registry/prepare.h"

#include "controlplane/registry/rules.h"
#include "dataplane/base/assert.h"

/* An epoch tells a claim from those that had its place before. */
static uint64_t token_of(uint32_t index, const struct claim *c)
{
	return (uint64_t)index << 32 | (uint32_t)c->epoch;
}

bool registry_next_connect(const struct registry *r, struct sessions_connect *out)
{
	const uint32_t index = r->prepare.first;

	if (index == POOL_NONE)
		return false;
	const struct claim *c = claim_at(r, index);
	const struct session *s = session_at(r, c->session);
	*out = (struct sessions_connect){.token = token_of(index, c),
		.worker = c->worker,
		.connection = c->connection,
		.epoch = c->epoch,
		.client_id = {s->client_id, s->client_id_size},
		.will = {c->will, c->will_size},
		.session_expiry_s = c->session_expiry_s,
		.receive_max = c->receive_max,
		.clean = c->clean,
		.again = c->again};
	return true;
}

void registry_asked(struct registry *r)
{
	const uint32_t index = r->prepare.first;

	ASSERT(index != POOL_NONE);
	chain_remove(&r->prepare, index);
	claim_at(r, index)->asked = true;
	claim_will_free(r, index);
	claim_not_again(r, index);
}

/* Its connection ended meanwhile. */
static void ready_too_late(struct registry *r, uint32_t index)
{
	struct claim *c = claim_at(r, index);
	const uint32_t session = c->session;

	if (c->kept != 0) {
		c->state = CLAIM_GONE;
		chain_append(&r->gone, index);
	} else {
		claim_free(r, index);
	}
	registry_pass_on(r, session);
}

static void ready_granted(struct registry *r, uint32_t index)
{
	struct claim *c = claim_at(r, index);
	const enum err revoked = (enum err)c->err;

	c->state = CLAIM_HOLDS;
	claim_tell(r, index, DUE_GRANT);
	counter_add(r->conf.counters, COUNTER_CP_GRANTS, 1);
	if (revoked != ERR_NONE)
		registry_revoke(r, index, revoked);
}

void registry_ready(struct registry *r, const struct sessions_ready *ready)
{
	const uint32_t index = (uint32_t)(ready->token >> 32);
	struct claim *c = claim_at(r, index);

	ASSERT(c->state == CLAIM_PREPARES);
	ASSERT(c->asked);
	ASSERT(token_of(index, c) == ready->token);
	c->asked = false;
	if (ready->err == ERR_NONE) {
		c->kept = ready->session;
		c->present = ready->present;
		c->durable = ready->durable;
	}
	if (c->detached) {
		ready_too_late(r, index);
	} else if (ready->err == ERR_NONE) {
		ready_granted(r, index);
	} else {
		const uint32_t session = c->session;
		counter_err(r->conf.counters, ready->err);
		registry_refuse(r, index, SHM_REFUSED_BUSY);
		registry_pass_on(r, session);
	}
}

bool registry_expects(const struct registry *r)
{
	return r->again > 0;
}

bool registry_next_gone(struct registry *r, uint64_t *session, uint64_t *epoch)
{
	const uint32_t index = r->gone.first;

	if (index == POOL_NONE)
		return false;
	const struct claim *c = claim_at(r, index);
	*session = c->kept;
	*epoch = c->epoch;
	chain_remove(&r->gone, index);
	if (c->state == CLAIM_GONE)
		claim_free(r, index);
	return true;
}

uint64_t registry_position(
	struct registry *r, uint32_t worker, struct shm_connection connection, uint64_t session)
{
	ASSERT(worker < r->conf.workers);
	const uint32_t index = claim_find(r, worker, connection);

	if (index == POOL_NONE)
		return 0;
	struct claim *c = claim_at(r, index);
	const bool holds = c->state == CLAIM_HOLDS || c->state == CLAIM_REVOKED;
	if (!holds || session == 0 || (c->kept != 0 && c->kept != session))
		return 0;
	c->kept = session;
	return c->epoch;
}

void registry_turn_out(
	struct registry *r, uint32_t worker, struct shm_connection connection, enum err why)
{
	ASSERT(worker < r->conf.workers);
	const uint32_t index = claim_find(r, worker, connection);

	if (index == POOL_NONE)
		return;
	struct claim *c = claim_at(r, index);
	if (c->state == CLAIM_HOLDS)
		registry_revoke(r, index, why);
}
