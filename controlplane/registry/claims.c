/* claims.c - pools, hash tables and queues of the registry. See claims.h. */
#include "controlplane/registry/claims.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/poison.h"

#include <stdlib.h>

static uint32_t buckets_for(uint32_t count)
{
	uint32_t n = 16;

	while (n < count)
		n *= 2;
	return n;
}

static uint32_t *buckets_create(uint32_t count, uint32_t *mask)
{
	const uint32_t n = buckets_for(count);
	uint32_t *buckets = malloc(n * sizeof(*buckets));

	*mask = n - 1;
	for (uint32_t i = 0; buckets != NULL && i < n; i++)
		buckets[i] = POOL_NONE;
	return buckets;
}

/* A claim is of one worker, so the workers' chains of a kind share one array of links. */
static bool chains_create(struct chain *chains, uint32_t count)
{
	if (!chain_create(&chains[0], count))
		return false;
	for (uint32_t w = 1; w < SHM_WORKERS_MAX; w++)
		chains[w] = chains[0];
	return true;
}

bool registry_memory_create(struct registry *r)
{
	const uint32_t sessions = r->conf.sessions_max;
	/* For each session one who holds and one who waits, and the refusals on their way. */
	const uint32_t claims = 2 * sessions + r->conf.workers * REGISTRY_REFUSALS_MAX;

	r->memory[0] = malloc(pool_bytes(sessions, sizeof(struct session)));
	r->memory[1] = malloc(pool_bytes(claims, sizeof(struct claim)));
	r->session_used = calloc(sessions, sizeof(*r->session_used));
	r->session_buckets = buckets_create(sessions, &r->session_mask);
	r->claim_buckets = buckets_create(claims, &r->claim_mask);
	if (r->memory[0] == NULL || r->memory[1] == NULL || r->session_used == NULL ||
		r->session_buckets == NULL || r->claim_buckets == NULL)
		return false;
	pool_init(&r->sessions, r->memory[0], sessions, sizeof(struct session));
	pool_init(&r->claims, r->memory[1], claims, sizeof(struct claim));
	return chain_create(&r->waiting, claims) && chain_create(&r->prepare, claims) &&
	       chain_create(&r->gone, claims) && chains_create(r->due, claims) &&
	       chains_create(r->of, claims);
}

size_t registry_memory_bytes(uint32_t sessions, uint32_t claims)
{
	enum { BUCKETS = 2, CHAINS = 5 }; /* at most two buckets; waiting, prepare, gone, due, of */
	const size_t place = sizeof(uint32_t), buckets = BUCKETS * sizeof(uint32_t);

	return sessions * (sizeof(struct session) + place + sizeof(bool) + buckets) +
	       claims * (sizeof(struct claim) + place + buckets +
				CHAINS * sizeof(struct chain_link));
}

/* Whoever waits or prepares may have one. */
static void free_wills(struct registry *r)
{
	for (uint32_t i = r->waiting.first; i != POOL_NONE; i = r->waiting.links[i].next)
		claim_will_free(r, i);
	for (uint32_t i = r->prepare.first; i != POOL_NONE; i = r->prepare.links[i].next)
		claim_will_free(r, i);
}

void registry_memory_destroy(struct registry *r)
{
	for (uint32_t i = 0; r->session_used != NULL && i < r->sessions.count; i++)
		if (r->session_used[i])
			free(session_at(r, i)->client_id);
	free_wills(r);
	unpoison(r->sessions.objects, r->sessions.count * r->sessions.size);
	unpoison(r->claims.objects, r->claims.count * r->claims.size);
	free(r->memory[0]);
	free(r->memory[1]);
	free(r->session_used);
	free(r->session_buckets);
	free(r->claim_buckets);
	free(r->waiting.links);
	free(r->prepare.links);
	free(r->gone.links);
	free(r->due[0].links);
	free(r->of[0].links);
}

static uint32_t *session_bucket(const struct registry *r, struct span client_id)
{
	return &r->session_buckets[siphash(r->conf.key, client_id) & r->session_mask];
}

static struct span session_id(const struct session *s)
{
	return span_of(s->client_id, s->client_id_size);
}

uint32_t session_find(const struct registry *r, struct span client_id)
{
	uint32_t i = *session_bucket(r, client_id);

	while (i != POOL_NONE && !span_equal(session_id(session_at(r, i)), client_id))
		i = session_at(r, i)->same_hash;
	return i;
}

uint32_t session_create(struct registry *r, struct span client_id)
{
	const size_t bytes_max = (size_t)r->conf.sessions_max * REGISTRY_ID_BYTES_MEAN;

	ASSERT(client_id.size >= 1);
	if (client_id.size > bytes_max - r->id_bytes)
		return POOL_NONE;
	const uint32_t index = pool_get(&r->sessions);
	if (index == POOL_NONE)
		return POOL_NONE;
	uint8_t *copy = malloc(client_id.size);
	if (copy == NULL) {
		pool_put(&r->sessions, index);
		return POOL_NONE;
	}
	memcpy(copy, client_id.at, client_id.size);
	uint32_t *bucket = session_bucket(r, client_id);
	*session_at(r, index) = (struct session){.client_id = copy,
		.client_id_size = (uint32_t)client_id.size,
		.same_hash = *bucket,
		.holder = POOL_NONE,
		.waiter = POOL_NONE};
	*bucket = index;
	r->session_used[index] = true;
	r->id_bytes += client_id.size;
	return index;
}

void session_free(struct registry *r, uint32_t index)
{
	struct session *s = session_at(r, index);
	uint32_t *at = session_bucket(r, session_id(s));

	ASSERT(s->holder == POOL_NONE);
	ASSERT(s->waiter == POOL_NONE);
	while (*at != index)
		at = &session_at(r, *at)->same_hash;
	*at = s->same_hash;
	r->id_bytes -= s->client_id_size;
	r->session_used[index] = false;
	free(s->client_id);
	pool_put(&r->sessions, index);
}

static uint32_t *claim_bucket(
	const struct registry *r, uint32_t worker, struct shm_connection connection)
{
	const uint32_t words[3] = {worker, connection.index, connection.generation};
	return &r->claim_buckets[siphash(r->conf.key, span_of(words, sizeof(words))) &
				 r->claim_mask];
}

uint32_t claim_find(const struct registry *r, uint32_t worker, struct shm_connection connection)
{
	uint32_t i = *claim_bucket(r, worker, connection);

	for (; i != POOL_NONE; i = claim_at(r, i)->same_hash) {
		const struct claim *c = claim_at(r, i);
		if (c->worker == worker && c->connection.index == connection.index &&
			c->connection.generation == connection.generation)
			break;
	}
	return i;
}

uint32_t claim_new(struct registry *r, uint32_t worker, struct shm_connection connection)
{
	const uint32_t index = pool_get(&r->claims);

	if (index == POOL_NONE)
		return POOL_NONE;
	uint32_t *bucket = claim_bucket(r, worker, connection);
	*claim_at(r, index) = (struct claim){.connection = connection,
		.session = POOL_NONE,
		.same_hash = *bucket,
		.worker = (uint8_t)worker};
	*bucket = index;
	chain_append(&r->of[worker], index);
	return index;
}

bool claim_will_create(struct registry *r, uint32_t index, struct span will)
{
	struct claim *c = claim_at(r, index);

	ASSERT(c->will == NULL);
	if (will.size == 0)
		return true;
	if (will.size > REGISTRY_WILL_BYTES_MAX - r->will_bytes)
		return false;
	c->will = malloc(will.size);
	if (c->will == NULL)
		return false;
	memcpy(c->will, will.at, will.size);
	c->will_size = (uint32_t)will.size;
	r->will_bytes += will.size;
	return true;
}

void claim_will_free(struct registry *r, uint32_t index)
{
	struct claim *c = claim_at(r, index);

	r->will_bytes -= c->will_size;
	free(c->will);
	c->will = NULL;
	c->will_size = 0;
}

void claim_not_again(struct registry *r, uint32_t index)
{
	struct claim *c = claim_at(r, index);

	r->again -= c->again;
	c->again = false;
}

void claim_detach(struct registry *r, uint32_t index)
{
	struct claim *c = claim_at(r, index);
	uint32_t *at = claim_bucket(r, c->worker, c->connection);

	ASSERT(!c->detached);
	claim_not_again(r, index);
	while (*at != index)
		at = &claim_at(r, *at)->same_hash;
	*at = c->same_hash;
	if (chain_has(&r->due[c->worker], index))
		chain_remove(&r->due[c->worker], index);
	if (chain_has(&r->waiting, index))
		chain_remove(&r->waiting, index);
	if (c->state == CLAIM_REFUSED)
		r->refusals[c->worker]--;
	chain_remove(&r->of[c->worker], index);
	c->due = 0;
	c->detached = true;
}

void claim_free(struct registry *r, uint32_t index)
{
	if (!claim_at(r, index)->detached)
		claim_detach(r, index);
	if (chain_has(&r->prepare, index))
		chain_remove(&r->prepare, index);
	ASSERT(!chain_has(&r->gone, index));
	claim_will_free(r, index);
	pool_put(&r->claims, index);
}

void claim_tell(struct registry *r, uint32_t index, enum claim_due what)
{
	struct claim *c = claim_at(r, index);

	c->due |= (uint8_t)what;
	if (!chain_has(&r->due[c->worker], index))
		chain_append(&r->due[c->worker], index);
}
