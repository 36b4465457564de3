/* attempts.c - see attempts.h. */
#include "dataplane/worker/attempts.h"

#include "dataplane/base/assert.h"
#include "dataplane/worker/route_internal.h"

#include <stdlib.h>

struct waiting {
	uint32_t connection, generation, token;
	uint32_t serial; /* tells it from one before it in this place */
	bool asked;
	struct message *filter;
	struct subscription_options options;
};

struct attempts {
	struct pool pool; /* struct waiting */
	uint32_t serials, to_ask;
	void *memory;
};

/* What crosses and comes back: the place, and enough of the serial. */
static uint32_t token_of(uint32_t index, uint32_t serial)
{
	static_assert(ATTEMPTS_AT_ONCE == 1024, "ten bits");
	return serial << 10 | index;
}

bool attempts_create(struct worker *w)
{
	struct attempts *t = calloc(1, sizeof(*t));

	w->attempts = t;
	if (t == NULL)
		return false;
	t->memory = malloc(pool_bytes(ATTEMPTS_AT_ONCE, sizeof(struct waiting)));
	if (t->memory == NULL)
		return false;
	pool_init(&t->pool, t->memory, ATTEMPTS_AT_ONCE, sizeof(struct waiting));
	return true;
}

void attempts_fini(struct worker *w)
{
	struct attempts *t = w->attempts;

	for (uint32_t i = 0; t != NULL && t->memory != NULL && i < ATTEMPTS_AT_ONCE; i++)
		if (pool_taken(&t->pool, i))
			message_put(&((struct waiting *)pool_at(&t->pool, i))->filter);
	if (t != NULL)
		free(t->memory);
	free(t);
	w->attempts = NULL;
}

static bool ask(struct worker *w, uint32_t index)
{
	struct waiting *at = pool_at(&w->attempts->pool, index);
	struct shm_trial body = {.token = token_of(index, at->serial)};

	if (!link_has_spare_room(w) || !link_put(w, &at->filter->topic, 1, &body.text) ||
		!link_push(w, SHM_COMMAND_TRY, &body, sizeof(body)))
		return false;
	at->asked = true;
	w->attempts->to_ask--;
	return true;
}

bool attempts_begin(struct worker *w, const struct attempts_ask *a, uint32_t steps)
{
	static const struct message_props no_props;
	struct attempts *t = w->attempts;

	if (steps < ATTEMPTS_STEPS || w->link.peer == NULL ||
		fabric_filter(w->fabric, a->filter) != MATCH_NONE)
		return false;
	struct message *m = message_begin(w->messages, a->filter, &no_props, 0);
	const uint32_t index = m == NULL ? POOL_NONE : pool_get(&t->pool);
	if (index == POOL_NONE) {
		if (m != NULL)
			message_put(&m);
		return false;
	}
	*(struct waiting *)pool_at(&t->pool, index) =
		(struct waiting){.connection = a->connection->id.index,
			.generation = a->connection->id.generation,
			.token = a->token,
			.serial = ++t->serials,
			.filter = m,
			.options = *a->options};
	t->to_ask++;
	(void)ask(w, index);
	return true;
}

bool attempts_poll(struct worker *w)
{
	struct attempts *t = w->attempts;
	bool moved = false;

	for (uint32_t i = 0; t->to_ask > 0 && i < ATTEMPTS_AT_ONCE; i++) {
		if (!pool_taken(&t->pool, i) || ((struct waiting *)pool_at(&t->pool, i))->asked)
			continue;
		if (!ask(w, i))
			break;
		moved = true;
	}
	return moved;
}

void attempts_renew(struct worker *w)
{
	struct attempts *t = w->attempts;

	t->to_ask = t->pool.out;
	for (uint32_t i = 0; i < ATTEMPTS_AT_ONCE; i++)
		if (pool_taken(&t->pool, i))
			((struct waiting *)pool_at(&t->pool, i))->asked = false;
}

void attempts_on_tried(struct worker *w, const struct shm_trial *answer)
{
	struct attempts *t = w->attempts;
	const uint32_t index = answer->token % ATTEMPTS_AT_ONCE;

	if (!pool_taken(&t->pool, index))
		return;
	struct waiting at = *(struct waiting *)pool_at(&t->pool, index);
	if (token_of(index, at.serial) != answer->token || !at.asked)
		return; /* said twice */
	pool_put(&t->pool, index);
	struct connection *c = route_connection(w, at.connection, at.generation);
	if (c != NULL && answer->err == ERR_NONE)
		connection_subscribe(w, c, at.token, at.filter->topic, &at.options);
	else if (c != NULL)
		connection_answer(w, c, at.token,
			answer->err < ERR_COUNT ? (enum err)answer->err : ERR_EXPRESSION_REFUSED);
	message_put(&at.filter);
}
