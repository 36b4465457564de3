/* fabric.h - who gets a message: subscriptions, and fan-out.
 *
 * Maps filters (match.h) to lists of subscriptions and subscribers to theirs.
 * Subscribers are of three kinds, in one range of numbers: connections of this
 * worker, by the index that the worker chose; queues of durable sessions
 * (fabric_queue); other workers that want a filter's messages (fabric_worker).
 * A message goes to a subscriber once, however many of its filters match; the
 * delivery carries all of them. One fabric a worker: no locks, no clock, no I/O.
 * Not here: wire formats, sessions, rings, where a queue's client is. */
#pragma once
#include "dataplane/fabric/verbs.h"
#include "dataplane/match/match.h"

enum { FABRIC_IDENTIFIERS_MAX = 8 };

enum subscriber_kind { SUBSCRIBER_CONNECTION, SUBSCRIBER_QUEUE, SUBSCRIBER_WORKER };

enum fabric_scope { /* who is to get a message: a mask */
	FABRIC_CONNECTIONS = 1 << SUBSCRIBER_CONNECTION,
	FABRIC_QUEUES = 1 << SUBSCRIBER_QUEUE,
	FABRIC_WORKERS = 1 << SUBSCRIBER_WORKER,
	FABRIC_ALL = FABRIC_CONNECTIONS | FABRIC_QUEUES | FABRIC_WORKERS,
};

/* All matching subscriptions of one subscriber, folded. One with no_local that is the publisher's
 * own is left out (MQTT-5.0 3.8.3.1-3), the others of that subscriber are not. */
struct delivery {
	uint32_t index; /* of the connection, the queue or the worker */
	uint8_t kind;   /* enum subscriber_kind */
	uint8_t qos; /* the highest that the subscriptions allow; the message's own may be lower */
	bool retain; /* any of them is retain-as-published, and the publisher's flag is set */
	uint8_t identifier_count; /* further ones are left out, and counted */
	uint32_t identifiers[FABRIC_IDENTIFIERS_MAX];
	/* Not from a match. */
	uint64_t entry; /* of a durable session's queue: settle it; 0: transient */
	bool dup;       /* it may have been sent before */
	bool retained;  /* a retained value: its flag is set whatever the options say */
};

/* Must not subscribe, unsubscribe, forget or publish: note it and do it after fabric_publish. */
typedef void fabric_deliver(void *owner, const struct delivery *d, struct message *m);

struct fabric_conf {
	uint32_t connections_max;
	uint32_t queues_max;        /* durable sessions; 0: none */
	uint32_t workers;           /* of the box; 0: this one is alone */
	uint32_t subscriptions_max; /* of all kinds */
	uint32_t specials_max;      /* filters behind "$filter/" of one connection or queue */
	struct match_conf match;    /* its counters are set to those below */
	struct counters *counters;  /* SUBSCRIPTIONS, FILTERS, IDENTIFIERS_LEFT_OUT */
	fabric_deliver *deliver;    /* borrows the message; may message_ref it */
	void *owner;
};

struct fabric;

MUST_USE struct fabric *fabric_create(const struct fabric_conf *conf); /* NULL: no memory */
void fabric_destroy(struct fabric **f);
size_t fabric_bytes(const struct fabric_conf *conf); /* 0: more than 32-bit indices can serve */
size_t fabric_used(const struct fabric *f); /* subscriptions, their filters and subscribers */
size_t fabric_compiled_bytes(const struct fabric *f); /* match.h */

/* The number by which a subscriber is called below; a connection is called by its index. */
uint32_t fabric_queue(const struct fabric *f, uint32_t queue);
uint32_t fabric_worker(const struct fabric *f, uint32_t worker);

/* ERR_MQTT_FILTER, ERR_TOPIC_TOO_DEEP, ERR_FILTER_TABLE_FULL, ERR_SHAPE_TABLE_FULL,
 * ERR_SUBSCRIPTION_TABLE_FULL; of "$filter/": ERR_FILTER_MALFORMED, ERR_EXPRESSION_SIZE,
 * ERR_PATTERN_TABLE_FULL, ERR_PATTERNS_OF_SESSION.
 * *was_new is false when an equal filter of this subscriber got new options. */
MUST_USE enum err fabric_subscribe(struct fabric *f, uint32_t subscriber, struct span filter,
	const struct subscription_options *options, bool *was_new);
/* ERR_NOT_SUBSCRIBED when there is none. */
MUST_USE enum err fabric_unsubscribe(struct fabric *f, uint32_t subscriber, struct span filter);
void fabric_forget(struct fabric *f, uint32_t subscriber); /* drops all its subscriptions */
uint32_t fabric_count(const struct fabric *f, uint32_t subscriber);
/* One of its filters, to walk by dropping each; valid until the next change. False: none. */
MUST_USE bool fabric_any(const struct fabric *f, uint32_t subscriber, struct span *filter);
bool fabric_has(const struct fabric *f, uint32_t subscriber, struct span filter);
/* A filter's number, while anybody has it; MATCH_NONE: nobody. */
uint32_t fabric_filter(const struct fabric *f, struct span filter);
struct span fabric_filter_text(const struct fabric *f, uint32_t filter);
/* Would fabric_subscribe find fault with the filter itself? *steps: match_judge. */
MUST_USE enum err fabric_filter_judge(struct fabric *f, struct span filter, uint32_t *steps);
/* Does it match? False also if nobody has it. */
MUST_USE bool fabric_filter_matches(struct fabric *f, struct span filter, struct span topic);
struct match *fabric_match(struct fabric *f); /* for who brings compiled patterns */
bool fabric_filter_wanted(const struct fabric *f, uint32_t filter); /* has a connection it? */

/* Delivers a whole message to every matching subscriber of the kinds in `scope`, in order of kind,
 * then index. Borrows it; its `publisher` says whose no_local counts. Returns the number of
 * deliveries. */
uint32_t fabric_publish(struct fabric *f, struct message *m, uint32_t scope);
void fabric_check(const struct fabric *f); /* asserts its invariants; for tests */
