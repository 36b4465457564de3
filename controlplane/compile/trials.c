/* trials.c - see trials.h. */
#include "controlplane/compile/trials.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

enum state { FREE, WAITS, RUNS, ANSWERED };

struct entry {
	struct trial trial;
	enum state state;
	uint64_t order; /* first come, first tried */
	uint8_t *text;
	size_t size;
};

struct trials {
	struct compiler *compiler;
	struct counters *counters;
	struct entry entry[TRIALS_MAX];
	uint32_t used, waiting;
	uint64_t orders;
	struct entry *batch[TRIALS_BATCH];
	uint32_t batch_count; /* 0: nothing runs */
};

struct trials *trials_create(struct compiler *compiler, struct counters *counters)
{
	struct trials *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->compiler = compiler;
	t->counters = counters;
	return t;
}

static void drop(struct trials *t, struct entry *e)
{
	t->waiting -= e->state == WAITS;
	free(e->text);
	*e = (struct entry){0};
	t->used--;
}

void trials_destroy(struct trials **t)
{
	for (uint32_t i = 0; *t != NULL && i < TRIALS_MAX; i++)
		if ((*t)->entry[i].state != FREE)
			drop(*t, &(*t)->entry[i]);
	free(*t);
	*t = NULL;
}

/* One that runs has nobody to hear of it, and goes when its batch is done. */
void trials_forget(struct trials *t, uint32_t worker)
{
	for (uint32_t i = 0; t->used > 0 && i < TRIALS_MAX; i++) {
		struct entry *e = &t->entry[i];
		if (e->state == FREE || e->trial.worker != worker)
			continue;
		if (e->state == RUNS)
			e->trial.worker = UINT32_MAX;
		else
			drop(t, e);
	}
}

static struct entry *free_entry(struct trials *t)
{
	for (uint32_t i = 0; t->used < TRIALS_MAX && i < TRIALS_MAX; i++)
		if (t->entry[i].state == FREE)
			return &t->entry[i];
	return NULL;
}

static void answer(struct trials *t, struct entry *e, enum err err)
{
	t->waiting -= e->state == WAITS;
	e->state = ANSWERED;
	e->trial.err = err;
	if (e->trial.worker == UINT32_MAX)
		drop(t, e);
}

bool trials_add(struct trials *t, uint32_t worker, uint32_t token, struct span filter)
{
	struct entry *e = free_entry(t);
	uint8_t *text = malloc(filter.size + 1);

	if (e == NULL || text == NULL) {
		free(text);
		return false;
	}
	memcpy(text, filter.at, filter.size);
	*e = (struct entry){.trial = {.worker = worker, .token = token},
		.state = WAITS,
		.order = ++t->orders,
		.text = text,
		.size = filter.size};
	t->used++;
	t->waiting++;
	if (t->compiler == NULL)
		answer(t, e, ERR_NONE);
	return true;
}

static struct entry *oldest(struct trials *t)
{
	struct entry *best = NULL;

	for (uint32_t i = 0; i < TRIALS_MAX; i++) {
		struct entry *e = &t->entry[i];
		if (e->state == WAITS && (best == NULL || e->order < best->order))
			best = e;
	}
	return best;
}

static void start(struct trials *t)
{
	struct span filters[TRIALS_BATCH];
	uint32_t n = 0;

	while (n < TRIALS_BATCH && t->waiting > 0) {
		struct entry *e = oldest(t);
		e->state = RUNS;
		t->waiting--;
		filters[n] = span_of(e->text, e->size);
		t->batch[n++] = e;
	}
	t->batch_count = n;
	if (t->compiler->ops->start(t->compiler, filters, n))
		return;
	/* Nobody is to wait for a machine without memory. */
	for (uint32_t i = 0; i < n; i++)
		answer(t, t->batch[i], ERR_NONE);
	t->batch_count = 0;
}

/* A verdict for each that it came to; the one on which it died is refused, the rest tried again. */
static void finish(struct trials *t, enum compiler_state state, struct span verdicts)
{
	const bool died = state != COMPILER_DONE;

	counter_add(t->counters, COUNTER_PATTERN_TRIALS, t->batch_count);
	for (uint32_t i = 0; i < t->batch_count; i++) {
		struct entry *e = t->batch[i];
		if (i < verdicts.size) {
			answer(t, e, verdicts.at[i] == 0 ? ERR_NONE : ERR_EXPRESSION_REFUSED);
		} else if (died && i == verdicts.size) {
			answer(t, e, ERR_EXPRESSION_REFUSED);
		} else {
			e->state = WAITS;
			t->waiting++;
		}
	}
	t->batch_count = 0;
}

bool trials_poll(struct trials *t)
{
	struct compiler_answer out = {.database = {NULL, 0}};

	if (t->batch_count == 0) {
		if (t->waiting == 0)
			return false;
		start(t);
		return true;
	}
	const enum compiler_state state = t->compiler->ops->poll(t->compiler, &out);
	if (state == COMPILER_RUNS)
		return false;
	finish(t, state, out.database);
	return true;
}

bool trials_wait(const struct trials *t)
{
	return t->batch_count > 0;
}

bool trials_next(const struct trials *t, uint32_t worker, struct trial *out)
{
	for (uint32_t i = 0; t->used > 0 && i < TRIALS_MAX; i++) {
		const struct entry *e = &t->entry[i];
		if (e->state != ANSWERED || e->trial.worker != worker)
			continue;
		*out = e->trial;
		return true;
	}
	return false;
}

void trials_took(struct trials *t, const struct trial *taken)
{
	for (uint32_t i = 0; i < TRIALS_MAX; i++) {
		struct entry *e = &t->entry[i];
		if (e->state != ANSWERED || e->trial.worker != taken->worker ||
			e->trial.token != taken->token)
			continue;
		drop(t, e);
		return;
	}
}
