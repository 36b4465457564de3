/* workload.c - the batches, and what must be there after them. */
#include "tests/durability/workload.h"

#include "dataplane/base/rng.h"

#include <stdio.h>

enum { KEY_SIZE = 9, BODY_MAX = 2000, ENTRY_SIZE = 32 };

static void key_of(uint8_t to[KEY_SIZE], char kind, uint64_t n)
{
	to[0] = (uint8_t)kind;
	for (int i = 0; i < 8; i++)
		to[8 - i] = (uint8_t)(n >> (8 * i));
}

static uint64_t number_of(struct span key)
{
	uint64_t n = 0;

	for (int i = 1; i < KEY_SIZE; i++)
		n = n << 8 | key.at[i];
	return n;
}

static size_t value_of(uint8_t to[BODY_MAX], char kind, uint64_t n)
{
	struct rng rng = rng_from(2 * n + (kind == 'b'));
	const size_t size = kind == 'b' ? rng_below(&rng, BODY_MAX) : ENTRY_SIZE;

	for (size_t i = 0; i < size; i++)
		to[i] = (uint8_t)rng_next(&rng);
	return size;
}

enum storage_sync workload_sync(uint64_t n)
{
	if (n % 3 != 0)
		return STORAGE_SYNCED;
	return n % 2 == 0 ? STORAGE_JOURNAL : STORAGE_MEMORY;
}

enum err workload_submit(struct storage *s, uint64_t n)
{
	uint8_t body[KEY_SIZE], entry[KEY_SIZE], mark[8], old_body[KEY_SIZE], end[KEY_SIZE],
		old_entry[KEY_SIZE], body_value[BODY_MAX], entry_value[BODY_MAX];
	const uint64_t old = n - WORKLOAD_ALIVE;

	key_of(body, 'b', n);
	key_of(entry, 'q', n);
	key_of(old_body, 'b', 0);
	key_of(end, 'b', old + 1);
	key_of(old_entry, 'q', old);
	memcpy(mark, &n, sizeof(n));
	const struct storage_op ops[] = {
		{STORAGE_PUT, {body, KEY_SIZE}, {body_value, value_of(body_value, 'b', n)}},
		{STORAGE_PUT, {entry, KEY_SIZE}, {entry_value, value_of(entry_value, 'q', n)}},
		{STORAGE_PUT, span_str("m"), {mark, sizeof(mark)}},
		{STORAGE_DELETE, {old_entry, KEY_SIZE}, {0}},
		{STORAGE_DELETE_RANGE, {old_body, KEY_SIZE}, {end, KEY_SIZE}},
	};
	const size_t count = ARRAY_SIZE(ops) - (n < WORKLOAD_ALIVE ? 2 : 0);
	return s->ops->submit(s, &(struct storage_batch){ops, count, workload_sync(n), n});
}

/* Checking: bodies, the mark, entries, in the order of keys. */

struct check {
	uint64_t from, end; /* these batches must be there */
	uint64_t at;
	char kind;
	bool wrong;
};

static bool check_one(void *owner, struct span key, struct span value)
{
	struct check *c = (struct check *)owner;
	uint8_t expected[BODY_MAX];

	if (c->at == c->end || key.size != KEY_SIZE || key.at[0] != (uint8_t)c->kind ||
		number_of(key) != c->at) {
		c->wrong = true;
		return false;
	}
	c->wrong = !span_equal(value, span_of(expected, value_of(expected, c->kind, c->at)));
	c->at += !c->wrong;
	return !c->wrong;
}

/* All keys of one kind. */
static enum workload_verdict check_kind(
	struct storage *s, char kind, uint64_t batches, char why[128])
{
	const uint64_t from = batches < WORKLOAD_ALIVE ? 0 : batches - WORKLOAD_ALIVE;
	struct check c = {.from = from, .end = batches, .at = from, .kind = kind};
	const uint8_t first = (uint8_t)kind, last = (uint8_t)(kind + 1);

	if (s->ops->scan(s, span_of(&first, 1), span_of(&last, 1), check_one, &c) != ERR_NONE)
		return WORKLOAD_REFUSED;
	if (!c.wrong && c.at == c.end)
		return WORKLOAD_WHOLE;
	snprintf(why, 128, "after %llu batches: '%c' of batch %llu is wrong or missing",
		(unsigned long long)batches, kind, (unsigned long long)c.at);
	return WORKLOAD_WRONG;
}

enum workload_verdict workload_check(struct storage *s, uint64_t *batches, char why[128])
{
	uint64_t mark = 0;
	size_t size = 0;
	const enum storage_found found = s->ops->get(s, span_str("m"), &mark, sizeof(mark), &size);

	*batches = 0;
	if (found == STORAGE_FAILED)
		return WORKLOAD_REFUSED;
	if (found == STORAGE_FOUND && size != sizeof(mark)) {
		snprintf(why, 128, "the mark has %zu bytes", size);
		return WORKLOAD_WRONG;
	}
	*batches = found == STORAGE_FOUND ? mark + 1 : 0;
	const enum workload_verdict bodies = check_kind(s, 'b', *batches, why);
	return bodies != WORKLOAD_WHOLE ? bodies : check_kind(s, 'q', *batches, why);
}
