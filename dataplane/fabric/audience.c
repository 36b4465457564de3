/* audience.c - treaps (Seidel and Aragon) with their leaves threaded, without recursion. */
#include "dataplane/fabric/audience.h"

#include "dataplane/base/assert.h"

static size_t round_up(size_t bytes)
{
	return (bytes + 63) & ~(size_t)63;
}

static size_t pool_part(const struct audiences_conf *conf)
{
	return round_up(pool_bytes(conf->subscriptions_max, sizeof(struct subscription)));
}

static size_t audience_part(const struct audiences_conf *conf)
{
	return round_up((size_t)conf->filters_max * sizeof(struct audience));
}

static size_t listener_part(const struct audiences_conf *conf)
{
	return round_up((size_t)conf->subscribers_max * sizeof(struct listener));
}

size_t audiences_bytes(const struct audiences_conf *conf)
{
	return pool_part(conf) + audience_part(conf) + listener_part(conf);
}

void audiences_init(struct audiences *a, void *memory, const struct audiences_conf *conf)
{
	uint8_t *at = memory;

	*a = (struct audiences){.conf = *conf};
	pool_init(&a->pool, at, conf->subscriptions_max, sizeof(struct subscription));
	at += pool_part(conf);
	a->audience = (struct audience *)at;
	at += audience_part(conf);
	a->listener = (struct listener *)at;
	for (uint32_t i = 0; i < conf->filters_max; i++)
		a->audience[i] = (struct audience){AUDIENCE_NONE, AUDIENCE_NONE, 0};
	for (uint32_t i = 0; i < conf->subscribers_max; i++)
		a->listener[i] = (struct listener){AUDIENCE_NONE, 0};
}

/* A bijection of 64 bits (splitmix64's end), so no two subscribers have equal priority. */
static uint64_t priority(const struct audiences *a, uint32_t subscriber)
{
	uint64_t z = a->conf.secret + subscriber;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t priority_of(const struct audiences *a, uint32_t index)
{
	return priority(a, audiences_at(a, index)->subscriber);
}

uint32_t audiences_find(const struct audiences *a, uint32_t filter, uint32_t subscriber)
{
	ASSERT(filter < a->conf.filters_max);
	uint32_t at = a->audience[filter].root;

	while (at != AUDIENCE_NONE) {
		const struct subscription *s = audiences_at(a, at);
		if (s->subscriber == subscriber)
			return at;
		at = subscriber < s->subscriber ? s->lower : s->upper;
	}
	return AUDIENCE_NONE;
}

uint32_t audiences_from(const struct audiences *a, uint32_t filter, uint32_t subscriber)
{
	uint32_t at = a->audience[filter].root, best = AUDIENCE_NONE;

	if (subscriber == 0)
		return a->audience[filter].first;
	while (at != AUDIENCE_NONE) {
		const struct subscription *s = audiences_at(a, at);
		if (s->subscriber >= subscriber)
			best = at;
		at = s->subscriber >= subscriber ? s->lower : s->upper;
	}
	return best;
}

/* Puts it at its place in the treap, and notes between which two that is. */
static void enter_treap(struct audiences *a, uint32_t index)
{
	struct subscription *s = audiences_at(a, index);
	uint32_t *link = &a->audience[s->filter].root;
	const uint64_t mine = priority(a, s->subscriber);

	while (*link != AUDIENCE_NONE && priority_of(a, *link) > mine) {
		struct subscription *at = audiences_at(a, *link);
		if (s->subscriber < at->subscriber) {
			s->next = *link;
			link = &at->lower;
		} else {
			s->prev = *link;
			link = &at->upper;
		}
	}
	/* What was here goes below it, cut in two at its subscriber. */
	uint32_t rest = *link;
	uint32_t *lower = &s->lower, *upper = &s->upper;
	*link = index;
	while (rest != AUDIENCE_NONE) {
		struct subscription *at = audiences_at(a, rest);
		if (s->subscriber < at->subscriber) {
			s->next = *upper = rest;
			upper = &at->lower;
			rest = at->lower;
		} else {
			s->prev = *lower = rest;
			lower = &at->upper;
			rest = at->upper;
		}
	}
	*lower = *upper = AUDIENCE_NONE;
}

static void leave_treap(struct audiences *a, const struct subscription *s)
{
	uint32_t *link = &a->audience[s->filter].root;

	for (struct subscription *at = audiences_at(a, *link); at != s; at = audiences_at(a, *link))
		link = s->subscriber < at->subscriber ? &at->lower : &at->upper;
	/* What is below it takes its place, joined by priority. */
	uint32_t lower = s->lower, upper = s->upper;
	while (lower != AUDIENCE_NONE && upper != AUDIENCE_NONE) {
		if (priority_of(a, lower) > priority_of(a, upper)) {
			*link = lower;
			link = &audiences_at(a, lower)->upper;
			lower = *link;
		} else {
			*link = upper;
			link = &audiences_at(a, upper)->lower;
			upper = *link;
		}
	}
	*link = lower != AUDIENCE_NONE ? lower : upper;
}

static void enter_lists(struct audiences *a, uint32_t index)
{
	struct subscription *s = audiences_at(a, index);
	struct audience *audience = &a->audience[s->filter];
	struct listener *listener = &a->listener[s->subscriber];

	*(s->prev == AUDIENCE_NONE ? &audience->first : &audiences_at(a, s->prev)->next) = index;
	if (s->next != AUDIENCE_NONE)
		audiences_at(a, s->next)->prev = index;
	audience->count++;

	s->subscriber_prev = AUDIENCE_NONE;
	s->subscriber_next = listener->first;
	if (listener->first != AUDIENCE_NONE)
		audiences_at(a, listener->first)->subscriber_prev = index;
	listener->first = index;
	listener->count++;
}

static void leave_lists(struct audiences *a, const struct subscription *s)
{
	struct audience *audience = &a->audience[s->filter];
	struct listener *listener = &a->listener[s->subscriber];

	*(s->prev == AUDIENCE_NONE ? &audience->first : &audiences_at(a, s->prev)->next) = s->next;
	if (s->next != AUDIENCE_NONE)
		audiences_at(a, s->next)->prev = s->prev;
	audience->count--;

	*(s->subscriber_prev == AUDIENCE_NONE
			? &listener->first
			: &audiences_at(a, s->subscriber_prev)->subscriber_next) =
		s->subscriber_next;
	if (s->subscriber_next != AUDIENCE_NONE)
		audiences_at(a, s->subscriber_next)->subscriber_prev = s->subscriber_prev;
	listener->count--;
}

uint32_t audiences_add(struct audiences *a, uint32_t filter, uint32_t subscriber)
{
	ASSERT(filter < a->conf.filters_max);
	ASSERT(subscriber < a->conf.subscribers_max);
	const uint32_t index = pool_get(&a->pool);
	if (index == POOL_NONE)
		return AUDIENCE_NONE;
	*audiences_at(a, index) = (struct subscription){
		.subscriber = subscriber,
		.filter = filter,
		.next = AUDIENCE_NONE,
		.prev = AUDIENCE_NONE,
	};
	enter_treap(a, index);
	enter_lists(a, index);
	return index;
}

void audiences_drop(struct audiences *a, uint32_t index)
{
	const struct subscription *s = pool_at(&a->pool, index);

	leave_treap(a, s);
	leave_lists(a, s);
	pool_put(&a->pool, index);
}

static void check_audience(const struct audiences *a, uint32_t filter)
{
	const struct audience *audience = &a->audience[filter];
	uint32_t count = 0, prev = AUDIENCE_NONE;

	for (uint32_t i = audience->first; i != AUDIENCE_NONE; i = audiences_at(a, i)->next) {
		const struct subscription *s = pool_at(&a->pool, i);
		ASSERT(s->filter == filter);
		ASSERT(s->prev == prev);
		ASSERT(prev == AUDIENCE_NONE || audiences_at(a, prev)->subscriber < s->subscriber);
		ASSERT(audiences_find(a, filter, s->subscriber) == i);
		ASSERT(s->lower == AUDIENCE_NONE || priority_of(a, s->lower) < priority_of(a, i));
		ASSERT(s->upper == AUDIENCE_NONE || priority_of(a, s->upper) < priority_of(a, i));
		prev = i;
		count++;
	}
	ASSERT(count == audience->count);
	ASSERT((audience->root == AUDIENCE_NONE) == (count == 0));
}

static void check_listener(const struct audiences *a, uint32_t subscriber)
{
	uint32_t count = 0, prev = AUDIENCE_NONE;

	for (uint32_t i = a->listener[subscriber].first; i != AUDIENCE_NONE;
		i = audiences_at(a, i)->subscriber_next) {
		const struct subscription *s = pool_at(&a->pool, i);
		ASSERT(s->subscriber == subscriber);
		ASSERT(s->subscriber_prev == prev);
		prev = i;
		count++;
	}
	ASSERT(count == a->listener[subscriber].count);
}

void audiences_check(const struct audiences *a)
{
	uint32_t by_filter = 0, by_subscriber = 0;

	for (uint32_t i = 0; i < a->conf.filters_max; i++) {
		check_audience(a, i);
		by_filter += a->audience[i].count;
	}
	for (uint32_t i = 0; i < a->conf.subscribers_max; i++) {
		check_listener(a, i);
		by_subscriber += a->listener[i].count;
	}
	ASSERT(by_filter == a->pool.out);
	ASSERT(by_subscriber == a->pool.out);
}
