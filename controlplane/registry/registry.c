/* registry.c - the rules: who is granted, who waits, who is revoked. See registry.h.
 *
 *	(CONNECT) -> PREPARES -> HOLDS     the client id was free; what it owns is known
 *	(CONNECT) -> WAITS -> PREPARES     its holder is gone, or was too slow
 *	(CONNECT) -> REFUSED               told, then forgotten
 *	HOLDS -> REVOKED                   another one waits
 *	any -> gone                        CLOSED, or a new generation of its worker
 *	       by GONE                     if sessions/ keeps something and is to hear of it
 */
#include "controlplane/registry/registry.h"

#include "controlplane/accounts/accounts.h"
#include "controlplane/registry/rules.h"
#include "dataplane/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

enum { ASSIGN_TRIES = 4 };

struct registry *registry_create(const struct registry_conf *conf)
{
	ASSERT(conf->workers >= 1 && conf->workers <= SHM_WORKERS_MAX);
	ASSERT(conf->sessions_max >= 1);
	struct registry *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->conf = *conf;
	r->epoch = conf->epoch_base;
	if (!registry_memory_create(r))
		registry_destroy(&r);
	return r;
}

void registry_destroy(struct registry **r)
{
	if (*r != NULL)
		registry_memory_destroy(*r);
	free(*r);
	*r = NULL;
}

static void count(struct registry *r, enum counter id)
{
	counter_add(r->conf.counters, id, 1);
}

static void count_sessions(struct registry *r)
{
	counter_set(r->conf.counters, COUNTER_CP_SESSIONS, r->sessions.out);
	counter_set(r->conf.counters, COUNTER_MEMORY_REGISTRY,
		registry_memory_bytes(r->sessions.count, r->claims.count));
	counter_set(r->conf.counters, COUNTER_MEMORY_REGISTRY_USED,
		registry_memory_bytes(r->sessions.out, r->claims.out) + r->id_bytes);
}

/* The claim gets its session and an epoch above all others; the GRANT follows by prepare.c. */
static void prepare(struct registry *r, uint32_t index)
{
	struct claim *c = claim_at(r, index);

	c->state = CLAIM_PREPARES;
	c->verdict = SHM_GRANTED;
	c->epoch = ++r->epoch;
	session_at(r, c->session)->holder = index;
	chain_append(&r->prepare, index);
}

void registry_revoke(struct registry *r, uint32_t index, enum err why)
{
	struct claim *c = claim_at(r, index);

	if (c->state == CLAIM_REVOKED)
		return;
	if (c->state == CLAIM_PREPARES) {
		c->err = (uint16_t)why;
		return;
	}
	ASSERT(c->state == CLAIM_HOLDS);
	c->state = CLAIM_REVOKED;
	c->err = (uint16_t)why;
	claim_tell(r, index, DUE_REVOKE);
}

/* If something is kept for it: its connection holds that no more. */
void registry_let_go(struct registry *r, uint32_t index)
{
	const struct claim *c = claim_at(r, index);

	if ((c->state == CLAIM_HOLDS || c->state == CLAIM_REVOKED) && c->kept != 0)
		chain_append(&r->gone, index);
}

/* No session, or none any more: forgotten as soon as that is told. */
static void set_refused(struct registry *r, uint32_t index, enum claim_due what)
{
	struct claim *c = claim_at(r, index);

	registry_let_go(r, index);
	claim_not_again(r, index);
	c->state = CLAIM_REFUSED;
	c->session = POOL_NONE;
	c->due = 0;
	r->refusals[c->worker]++;
	claim_tell(r, index, what);
}

void registry_refuse(struct registry *r, uint32_t index, enum shm_verdict verdict)
{
	ASSERT(verdict != SHM_GRANTED);
	claim_at(r, index)->verdict = (uint8_t)verdict;
	set_refused(r, index, DUE_GRANT);
	count(r, COUNTER_CP_REFUSALS);
}

/* For one that was granted before: not a GRANT, it is to close. */
void registry_turn_out_claim(struct registry *r, uint32_t index, enum err why)
{
	claim_at(r, index)->err = (uint16_t)why;
	set_refused(r, index, DUE_REVOKE);
}

/* The holder is no more: the next one holds, or the session ends. */
void registry_pass_on(struct registry *r, uint32_t session)
{
	struct session *s = session_at(r, session);
	const uint32_t next = s->waiter;

	s->holder = POOL_NONE;
	s->waiter = POOL_NONE;
	if (next == POOL_NONE) {
		session_free(r, session);
		count_sessions(r);
		return;
	}
	chain_remove(&r->waiting, next);
	prepare(r, next);
	count(r, COUNTER_CP_TAKEOVERS);
}

/* A claim's connection is gone. */
static void drop(struct registry *r, uint32_t index)
{
	struct claim *c = claim_at(r, index);
	const enum claim_state state = (enum claim_state)c->state;
	const uint32_t session = c->session;

	if (state == CLAIM_PREPARES && c->asked) {
		claim_detach(r, index); /* registry_ready goes on */
		return;
	}
	if (state == CLAIM_WAITS)
		session_at(r, session)->waiter = POOL_NONE;
	registry_let_go(r, index);
	if (chain_has(&r->gone, index)) {
		claim_detach(r, index);
		c->state = CLAIM_GONE;
	} else {
		claim_free(r, index);
	}
	if (state == CLAIM_HOLDS || state == CLAIM_REVOKED || state == CLAIM_PREPARES)
		registry_pass_on(r, session);
}

/* For as long as all wait, so that the chain stays in order. */
static void wait_on(struct registry *r, uint32_t index, uint64_t now_us)
{
	if (chain_has(&r->waiting, index))
		chain_remove(&r->waiting, index);
	claim_at(r, index)->deadline_us = now_us + r->conf.takeover_timeout_us;
	chain_append(&r->waiting, index);
}

/* Behind the holder; a client that comes a third time makes its second try pointless. */
static void wait_behind(struct registry *r, uint32_t session, uint32_t index, uint64_t now_us)
{
	struct session *s = session_at(r, session);
	struct claim *c = claim_at(r, index);

	if (s->waiter != POOL_NONE) {
		chain_remove(&r->waiting, s->waiter);
		registry_refuse(r, s->waiter, SHM_REFUSED_BUSY);
	}
	s->waiter = index;
	c->state = CLAIM_WAITS;
	c->session = session;
	wait_on(r, index, now_us);
	registry_revoke(r, s->holder, ERR_MQTT_TAKEN_OVER);
}

static void name_of(uint64_t random, char out[REGISTRY_ID_BYTES + 1])
{
	snprintf(out, REGISTRY_ID_BYTES + 1, "sb-%016llx", (unsigned long long)random);
}

/* The connection's client id in `out`; false: none is free, which chance does not allow. Made of
 * what the CONNECT brings along, so that it is the same when that is asked again: one before us may
 * have written it down, with a will. */
static bool assign_id(
	struct registry *r, const struct registry_connect *c, char out[REGISTRY_ID_BYTES + 1])
{
	/* Another key than the tables', so that their order tells nothing about ids. */
	const struct hash_key key = {~r->conf.key.k0, r->conf.key.k1};

	if (c->epoch != 0) {
		name_of(c->epoch, out);
		return (c->flags & SHM_CONNECT_AGAIN) != 0 ||
		       session_find(r, span_str(out)) == POOL_NONE;
	}
	for (int i = 0; i < ASSIGN_TRIES; i++) {
		const uint64_t words[2] = {++r->assigned, r->conf.epoch_base};
		name_of(siphash(key, span_of(words, sizeof(words))), out);
		if (session_find(r, span_str(out)) == POOL_NONE)
			return true;
	}
	return false;
}

static void remember(struct claim *claim, const struct registry_connect *c, uint64_t now_us)
{
	claim->since_us = now_us;
	claim->address = c->address;
	claim->port = c->port;
	claim->keepalive_s = c->keepalive_s;
	claim->protocol = c->protocol;
	claim->version = c->version;
	claim->session_expiry_s = c->session_expiry_s;
	claim->receive_max = c->receive_max;
	claim->clean = (c->flags & SHM_CONNECT_CLEAN) != 0;
}

/* A first CONNECT of a connection that may have that client id. */
static void admit(struct registry *r, uint32_t index, struct span client_id, uint64_t now_us)
{
	const uint32_t found = session_find(r, client_id);

	if (found != POOL_NONE) {
		wait_behind(r, found, index, now_us);
		return;
	}
	const uint32_t session = session_create(r, client_id);
	if (session == POOL_NONE) {
		registry_refuse(r, index, SHM_REFUSED_BUSY);
		return;
	}
	claim_at(r, index)->session = session;
	prepare(r, index);
	count_sessions(r);
}

static enum shm_verdict ask_accounts(const struct registry_connect *c)
{
	const struct accounts_request request = {.client_id = c->client_id,
		.username = c->username,
		.password = c->password,
		.has_username = (c->flags & SHM_CONNECT_USERNAME) != 0,
		.has_password = (c->flags & SHM_CONNECT_PASSWORD) != 0,
		.address = c->address};
	return accounts_check(&request);
}

static void connect_new(
	struct registry *r, uint32_t index, const struct registry_connect *c, uint64_t now_us)
{
	struct claim *claim = claim_at(r, index);
	char assigned[REGISTRY_ID_BYTES + 1];
	const enum shm_verdict verdict = ask_accounts(c);

	claim->again = (c->flags & SHM_CONNECT_AGAIN) != 0;
	r->again += claim->again;
	if (verdict != SHM_GRANTED) {
		registry_refuse(r, index, verdict);
		return;
	}
	if (!claim_will_create(r, index, c->will)) {
		registry_refuse(r, index, SHM_REFUSED_BUSY);
		return;
	}
	if (c->client_id.size != 0) {
		admit(r, index, c->client_id, now_us);
		return;
	}
	claim->assigned = true;
	if (assign_id(r, c, assigned))
		admit(r, index, span_str(assigned), now_us);
	else
		registry_refuse(r, index, SHM_REFUSED_BUSY);
}

/* The claim replaces an older one of an earlier generation, whose takeover was under way. */
static void succeed(struct registry *r, uint32_t session, uint32_t index)
{
	struct session *s = session_at(r, session);

	registry_turn_out_claim(r, s->holder, ERR_MQTT_TAKEN_OVER);
	s->holder = index;
	if (s->waiter != POOL_NONE)
		registry_revoke(r, index, ERR_MQTT_TAKEN_OVER);
}

/* We are new, the connection is not: it holds what it says, unless somebody newer does. */
static void connect_live(struct registry *r, uint32_t index, const struct registry_connect *c)
{
	struct claim *claim = claim_at(r, index);
	uint32_t session;

	claim->epoch = c->epoch;
	claim->state = CLAIM_HOLDS;
	/* An epoch that nobody before us can have granted is an invention. */
	if (c->client_id.size == 0 || c->epoch == 0 || c->epoch > r->conf.epoch_base) {
		counter_err(r->conf.counters, ERR_SLOT_BAD);
		registry_turn_out_claim(r, index, ERR_SLOT_BAD);
		return;
	}
	session = session_find(r, c->client_id);
	if (session == POOL_NONE) {
		session = session_create(r, c->client_id);
		if (session == POOL_NONE) {
			registry_turn_out_claim(r, index, ERR_MQTT_SERVER_BUSY);
			return;
		}
		session_at(r, session)->holder = index;
		claim->session = session;
		count_sessions(r);
		return;
	}
	claim->session = session;
	if (claim_at(r, session_at(r, session)->holder)->epoch >= c->epoch)
		registry_turn_out_claim(r, index, ERR_MQTT_TAKEN_OVER);
	else
		succeed(r, session, index);
}

/* Asked before and known: the same question has the same answer. */
static void connect_again(struct registry *r, uint32_t index, const struct registry_connect *c)
{
	const struct claim *claim = claim_at(r, index);

	if (claim->state != CLAIM_HOLDS && claim->state != CLAIM_REVOKED)
		return; /* the answer comes anyway */
	const struct session *s = session_at(r, claim->session);
	const struct span id = {s->client_id, s->client_id_size};
	if (!span_equal(id, c->client_id) && !(claim->assigned && c->client_id.size == 0)) {
		counter_err(r->conf.counters, ERR_SLOT_BAD);
		return;
	}
	if ((c->flags & SHM_CONNECT_LIVE) != 0)
		return;
	claim_tell(r, index, DUE_GRANT);
	if (claim->state == CLAIM_REVOKED)
		claim_tell(r, index, DUE_REVOKE);
}

bool registry_connect(struct registry *r, const struct registry_connect *c, uint64_t now_us)
{
	ASSERT(c->worker < r->conf.workers);
	ASSERT(c->client_id.size <= REGISTRY_CLIENT_ID_MAX);
	uint32_t index = claim_find(r, c->worker, c->connection);

	if (index != POOL_NONE) {
		connect_again(r, index, c);
		return true;
	}
	if (r->refusals[c->worker] >= REGISTRY_REFUSALS_MAX)
		return false;
	index = claim_new(r, c->worker, c->connection);
	if (index == POOL_NONE)
		return false;
	remember(claim_at(r, index), c, now_us);
	if ((c->flags & SHM_CONNECT_LIVE) != 0)
		connect_live(r, index, c);
	else
		connect_new(r, index, c, now_us);
	return true;
}

void registry_closed(struct registry *r, uint32_t worker, struct shm_connection connection)
{
	ASSERT(worker < r->conf.workers);
	const uint32_t index = claim_find(r, worker, connection);

	if (index != POOL_NONE)
		drop(r, index);
}

void registry_worker_gone(struct registry *r, uint32_t worker)
{
	ASSERT(worker < r->conf.workers);
	struct chain *of = &r->of[worker];

	/* Those who wait first, so that nothing is granted to the dead. */
	for (uint32_t i = of->first, next; i != POOL_NONE; i = next) {
		next = of->links[i].next;
		if (claim_at(r, i)->state == CLAIM_WAITS)
			drop(r, i);
	}
	while (of->first != POOL_NONE)
		drop(r, of->first);
}

void registry_poll(struct registry *r, uint64_t now_us)
{
	while (r->waiting.first != POOL_NONE) {
		const struct claim *c = claim_at(r, r->waiting.first);
		const uint32_t session = c->session;
		if (c->deadline_us > now_us)
			return;
		if (claim_at(r, session_at(r, session)->holder)->state == CLAIM_PREPARES) {
			wait_on(r, r->waiting.first, now_us);
			continue;
		}
		/* Fenced by its lower epoch from now on. It may never have heard that it is to
		 * close, so it is told once more. */
		registry_turn_out_claim(r, session_at(r, session)->holder, ERR_MQTT_TAKEN_OVER);
		registry_pass_on(r, session);
	}
}

uint64_t registry_next_us(const struct registry *r)
{
	return r->waiting.first == POOL_NONE ? UINT64_MAX
					     : claim_at(r, r->waiting.first)->deadline_us;
}

bool registry_due(const struct registry *r, uint32_t worker)
{
	return r->due[worker].first != POOL_NONE;
}

static struct shm_grant grant_of(const struct registry *r, const struct claim *c)
{
	struct shm_grant out = {
		.connection = c->connection, .epoch = c->epoch, .verdict = c->verdict};

	if (c->verdict == SHM_GRANTED) {
		out.session = c->kept;
		out.session_present = c->present;
		out.durable = c->durable;
	}
	if (c->assigned && c->verdict == SHM_GRANTED) {
		const struct session *s = session_at(r, c->session);
		ASSERT(s->client_id_size <= sizeof(out.assigned));
		out.assigned_size = (uint8_t)s->client_id_size;
		memcpy(out.assigned, s->client_id, s->client_id_size);
	}
	return out;
}

/* All is told to the worker; sessions/ may have to hear of it still. */
static void forget(struct registry *r, uint32_t index)
{
	if (!chain_has(&r->gone, index)) {
		claim_free(r, index);
		return;
	}
	claim_detach(r, index);
	claim_at(r, index)->state = CLAIM_GONE;
}

bool registry_next(struct registry *r, uint32_t worker, struct registry_effect *out)
{
	ASSERT(worker < r->conf.workers);
	const uint32_t index = r->due[worker].first;

	if (index == POOL_NONE)
		return false;
	struct claim *c = claim_at(r, index);
	if ((c->due & DUE_GRANT) != 0) {
		*out = (struct registry_effect){.kind = REGISTRY_GRANT, .grant = grant_of(r, c)};
		c->due &= (uint8_t)~DUE_GRANT;
	} else {
		*out = (struct registry_effect){.kind = REGISTRY_REVOKE,
			.revoke = {.connection = c->connection, .epoch = c->epoch, .err = c->err}};
		c->due = 0;
	}
	if (c->due == 0) {
		chain_remove(&r->due[worker], index);
		if (c->state == CLAIM_REFUSED)
			forget(r, index);
	}
	return true;
}

uint32_t registry_count(const struct registry *r)
{
	return r->sessions.out;
}

bool registry_list(const struct registry *r, uint32_t *cursor, struct registry_session *out)
{
	uint32_t i = *cursor;

	while (i < r->sessions.count && !r->session_used[i])
		i++;
	if (i >= r->sessions.count)
		return false;
	const struct session *s = session_at(r, i);
	const struct claim *c = claim_at(r, s->holder);
	*out = (struct registry_session){.client_id = {s->client_id, s->client_id_size},
		.connection = c->connection,
		.epoch = c->epoch,
		.since_us = c->since_us,
		.worker = c->worker,
		.address = c->address,
		.port = c->port,
		.keepalive_s = c->keepalive_s,
		.protocol = c->protocol,
		.version = c->version,
		.revoking = c->state == CLAIM_REVOKED};
	*cursor = i + 1;
	return true;
}

static void check_again(const struct registry *r)
{
	uint32_t again = 0;

	for (uint32_t w = 0; w < r->conf.workers; w++)
		for (uint32_t i = r->of[w].first; i != POOL_NONE; i = r->of[w].links[i].next)
			again += claim_at(r, i)->again;
	ASSERT(again == r->again);
}

void registry_check(const struct registry *r)
{
	uint32_t claims = 0, waiting = 0;
	size_t bytes = 0;

	for (uint32_t i = 0; i < r->sessions.count; i++) {
		if (!r->session_used[i])
			continue;
		const struct session *s = session_at(r, i);
		const struct claim *holder = claim_at(r, s->holder);
		ASSERT(holder->state == CLAIM_HOLDS || holder->state == CLAIM_REVOKED ||
			holder->state == CLAIM_PREPARES);
		ASSERT(holder->session == i);
		ASSERT(holder->epoch != 0 && holder->epoch <= r->epoch);
		bytes += s->client_id_size;
		claims++;
		if (s->waiter == POOL_NONE)
			continue;
		ASSERT(claim_at(r, s->waiter)->state == CLAIM_WAITS);
		ASSERT(claim_at(r, s->waiter)->session == i);
		ASSERT(chain_has(&r->waiting, s->waiter));
		ASSERT(holder->state == CLAIM_REVOKED || holder->err != 0);
		waiting++;
	}
	for (uint32_t w = 0; w < r->conf.workers; w++)
		claims += r->refusals[w];
	for (uint32_t i = r->gone.first; i != POOL_NONE; i = r->gone.links[i].next)
		claims += claim_at(r, i)->state == CLAIM_GONE;
	ASSERT(claims + waiting == r->claims.out);
	ASSERT(bytes == r->id_bytes);
	check_again(r);
}
