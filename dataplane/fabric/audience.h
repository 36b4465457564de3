/* audience.h - who listens to a filter, in order of subscriber; and what a subscriber listens to.
 *
 * The audience of a filter is a list, for fan-out, threaded through a treap,
 * for changes: finding, adding and removing cost O(log n) of its n
 * subscriptions, walking costs nothing but the walk. All links lie in the
 * subscriptions themselves, so memory is what `subscriptions_max` says,
 * whatever they listen to. A treap's order of priorities comes from a keyed
 * mix of the subscriber: nobody outside can make it degenerate.
 *
 * Filters and subscribers are the caller's indices. Not here: matching, fan-out. */
#pragma once
#include "dataplane/base/pool.h"
#include "dataplane/fabric/verbs.h"

enum { AUDIENCE_NONE = UINT32_MAX };

struct subscription {
	uint32_t subscriber;
	uint32_t filter;
	uint32_t next, prev;   /* in the filter's audience, by subscriber */
	uint32_t lower, upper; /* its treap */
	uint32_t subscriber_next, subscriber_prev;
	struct subscription_options options;
};

struct audience {
	uint32_t root;
	uint32_t first;
	uint32_t count;
};

struct listener { /* a subscriber */
	uint32_t first;
	uint32_t count;
};

struct audiences_conf {
	uint32_t filters_max;
	uint32_t subscribers_max;
	uint32_t subscriptions_max;
	uint64_t secret;
};

struct audiences {
	struct pool pool;          /* struct subscription */
	struct audience *audience; /* by filter */
	struct listener *listener; /* by subscriber */
	struct audiences_conf conf;
};

size_t audiences_bytes(const struct audiences_conf *conf);
/* memory: aligned to 64 bytes. */
void audiences_init(struct audiences *a, void *memory, const struct audiences_conf *conf);
/* All answer an index of a subscription, or AUDIENCE_NONE. */
uint32_t audiences_find(const struct audiences *a, uint32_t filter, uint32_t subscriber);
/* The first of a filter's audience that is not below `subscriber`. */
uint32_t audiences_from(const struct audiences *a, uint32_t filter, uint32_t subscriber);
/* There must be none yet; its options are the caller's to set. AUDIENCE_NONE: full. */
MUST_USE uint32_t audiences_add(struct audiences *a, uint32_t filter, uint32_t subscriber);
void audiences_drop(struct audiences *a, uint32_t index);
void audiences_check(const struct audiences *a);

/* Without a look at whether it is in use: for walks along the links. */
static inline struct subscription *audiences_at(const struct audiences *a, uint32_t index)
{
	return (struct subscription *)a->pool.objects + index;
}

static inline void audiences_prefetch(const struct audiences *a, uint32_t index)
{
	/* AUDIENCE_NONE would only be a useless address: prefetching one does no harm. */
	__builtin_prefetch(a->pool.objects + (size_t)index * sizeof(struct subscription));
}
