/* store.c - a circular log of filters with a cleaner.
 *
 * Why the cleaner keeps ahead. Let L be the most units that can be alive, A =
 * 3/2 L the log, P = A - F what is in use. It works while F < A/4, on 8 units
 * of the tail for each unit written. By the time it has gone once through P,
 * at most P/8 units were written, so F never fell below A/4 - P/8 > 0; it met
 * at most L living ones, so it freed at least P - L. F settles where writing
 * and freeing are even, P/8 = P - L: P = 8/7 L, F = A - 8/7 L > A/5. The gaps
 * at the end of the log (less than one filter a round) come out of SLACK. */
#include "dataplane/match/store.h"

#include "dataplane/base/assert.h"

enum {
	UNIT = 16, /* bytes; a gap of one unit can hold a filter's header */
	TEXT_MAX = 65535,
	GAP_HALF_MAX = TEXT_MAX / UNIT,
	CLEAN_RATE = 8,
	FREE_SHARE = 4, /* clean while less than a fourth is free */
};

static_assert(sizeof(struct filter) == UNIT, "the smallest gap holds a header");

static uint32_t units_of(size_t bytes)
{
	return (uint32_t)(1 + (bytes + UNIT - 1) / UNIT);
}

/* Behind its header. */
static size_t bytes_of(size_t size, size_t extra)
{
	return extra == 0 ? size : ((size + 7) & ~(size_t)7) + extra;
}

static uint32_t units_at(const struct filter *f)
{
	return units_of(bytes_of(f->size, f->extra));
}

static size_t log_units(uint32_t filters_max, size_t text_bytes_max)
{
	const size_t slack = 4 * (size_t)units_of(2 * TEXT_MAX);
	/* Each filter: a header, its bytes, and less than a unit of rounding. */
	const size_t live = 2 * (size_t)filters_max + text_bytes_max / UNIT;

	return live + live / 2 + slack;
}

static size_t log_bytes(uint32_t filters_max, size_t text_bytes_max)
{
	return (log_units(filters_max, text_bytes_max) * UNIT + 63) & ~(size_t)63;
}

size_t store_bytes(uint32_t filters_max, size_t text_bytes_max)
{
	if (text_bytes_max / UNIT > UINT32_MAX ||
		log_units(filters_max, text_bytes_max) > UINT32_MAX)
		return 0;
	return log_bytes(filters_max, text_bytes_max) + pool_bytes(filters_max, sizeof(uint32_t));
}

size_t store_used(const struct store *s)
{
	return (size_t)s->live * UNIT + pool_used(&s->where);
}

void store_init(struct store *s, void *memory, uint32_t filters_max, size_t text_bytes_max)
{
	ASSERT(store_bytes(filters_max, text_bytes_max) != 0);
	*s = (struct store){.log = memory, .text_bytes_max = text_bytes_max};
	s->units = (uint32_t)log_units(filters_max, text_bytes_max);
	pool_init(&s->where, s->log + log_bytes(filters_max, text_bytes_max), filters_max,
		sizeof(uint32_t));
}

static struct filter *at_unit(const struct store *s, uint32_t unit)
{
	return (struct filter *)(s->log + (size_t)unit * UNIT);
}

static uint32_t forward(const struct store *s, uint32_t unit, uint32_t n)
{
	ASSERT(unit + n <= s->units);
	return unit + n == s->units ? 0 : unit + n;
}

/* A dead filter of so many units behind its header. */
static void fill_gap(struct filter *gap, uint32_t units)
{
	const uint32_t size = units < GAP_HALF_MAX ? units : GAP_HALF_MAX;

	*gap = (struct filter){.id = STORE_NONE,
		.size = (uint16_t)(size * UNIT),
		.extra = (uint16_t)((units - size) * UNIT)};
}

/* Room for n units in one piece at the head. */
static uint32_t take(struct store *s, uint32_t n)
{
	const uint32_t left = s->units - s->head;

	if (left < n) {
		ASSERT(s->used + left + n <= s->units);
		fill_gap(at_unit(s, s->head), left - 1);
		s->used += left;
		s->head = 0;
	}
	ASSERT(s->used + n <= s->units);
	const uint32_t at = s->head;
	s->head = forward(s, s->head, n);
	s->used += n;
	return at;
}

/* Goes through `budget` units of the tail, or somewhat more. */
static void clean(struct store *s, uint32_t budget)
{
	for (uint32_t done = 0; done < budget && s->used > s->live;) {
		const struct filter *old = at_unit(s, s->tail);
		const uint32_t n = units_at(old);

		if (old->id != STORE_NONE) {
			/* Taken before the old place is given back: the two never overlap. */
			const uint32_t to = take(s, n);
			memcpy(at_unit(s, to), old, (size_t)n * UNIT);
			*(uint32_t *)pool_at(&s->where, old->id) = to;
		}
		s->tail = forward(s, s->tail, n);
		s->used -= n;
		done += n;
	}
}

uint32_t store_add(struct store *s, struct span text, struct span extra)
{
	ASSERT(text.size <= TEXT_MAX);
	ASSERT(extra.size <= TEXT_MAX - UNIT);
	const size_t bytes = bytes_of(text.size, extra.size);
	if (bytes > s->text_bytes_max - s->text_bytes)
		return STORE_NONE;
	const uint32_t id = pool_get(&s->where);
	if (id == POOL_NONE)
		return STORE_NONE;

	const uint32_t n = units_of(bytes);
	if (s->units - s->used < s->units / FREE_SHARE + n)
		clean(s, n * CLEAN_RATE);
	const uint32_t at = take(s, n);
	struct filter *f = at_unit(s, at);
	*f = (struct filter){.id = id, .size = (uint16_t)text.size, .extra = (uint16_t)extra.size};
	memcpy(f->text, text.at, text.size);
	if (extra.size > 0)
		memcpy(f->text + (bytes - extra.size), extra.at, extra.size);
	*(uint32_t *)pool_at(&s->where, id) = at;
	s->live += n;
	s->text_bytes += bytes;
	return id;
}

struct filter *store_at(const struct store *s, uint32_t id)
{
	struct filter *f = at_unit(s, *(const uint32_t *)pool_at(&s->where, id));

	ASSERT(f->id == id);
	return f;
}

const struct filter *store_prefetch(const struct store *s, uint32_t id)
{
	const uint32_t *places = (const uint32_t *)s->where.objects;
	const struct filter *f = at_unit(s, places[id]);

	__builtin_prefetch(f);
	return f;
}

void store_drop(struct store *s, uint32_t id)
{
	struct filter *f = store_at(s, id);

	f->id = STORE_NONE;
	s->live -= units_at(f);
	s->text_bytes -= bytes_of(f->size, f->extra);
	pool_put(&s->where, id);
}

void store_check(const struct store *s)
{
	uint32_t used = 0, live = 0, filters = 0;
	size_t text_bytes = 0;

	for (uint32_t at = s->tail; used < s->used;) {
		const struct filter *f = at_unit(s, at);
		const uint32_t n = units_at(f);
		if (f->id != STORE_NONE) {
			ASSERT(store_at(s, f->id) == f);
			live += n;
			text_bytes += bytes_of(f->size, f->extra);
			filters++;
		}
		at = forward(s, at, n);
		used += n;
	}
	ASSERT(used == s->used);
	ASSERT(live == s->live);
	ASSERT(text_bytes == s->text_bytes);
	ASSERT(text_bytes <= s->text_bytes_max);
	ASSERT(filters == s->where.out);
}
