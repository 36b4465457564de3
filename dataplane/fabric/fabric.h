/* fabric.h - who gets a message: subscriptions of this worker's connections, and fan-out.
 *
 * Maps filters (match.h) to lists of subscriptions and connections to theirs.
 * A message goes to a connection once, however many of its filters match; the
 * delivery carries all of them. Connections are 32-bit indices that the worker
 * chose. One fabric a worker: no locks, no clock, no I/O. Not here: wire
 * formats, sessions, other workers. */
#pragma once
#include "dataplane/fabric/verbs.h"
#include "dataplane/match/match.h"

enum { FABRIC_IDENTIFIERS_MAX = 8 };

/* All matching subscriptions of one connection, folded. One with no_local that is the publisher's
 * own is left out (MQTT-5.0 3.8.3.1-3), the others of that connection are not. */
struct delivery {
	uint32_t connection;
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
	uint32_t subscriptions_max;
	struct match_conf match;   /* its counters are set to those below */
	struct counters *counters; /* SUBSCRIPTIONS, FILTERS, IDENTIFIERS_LEFT_OUT */
	fabric_deliver *deliver;   /* borrows the message; may message_ref it */
	void *owner;
};

struct fabric;

MUST_USE struct fabric *fabric_create(const struct fabric_conf *conf); /* NULL: no memory */
void fabric_destroy(struct fabric **f);
size_t fabric_bytes(const struct fabric_conf *conf); /* 0: more than 32-bit indices can serve */

/* ERR_MQTT_FILTER, ERR_TOPIC_TOO_DEEP, ERR_FILTER_TABLE_FULL, ERR_SHAPE_TABLE_FULL,
 * ERR_SUBSCRIPTION_TABLE_FULL.
 * *was_new is false when an equal filter of this connection got new options. */
MUST_USE enum err fabric_subscribe(struct fabric *f, uint32_t connection, struct span filter,
	const struct subscription_options *options, bool *was_new);
/* ERR_NOT_SUBSCRIBED when there is none. */
MUST_USE enum err fabric_unsubscribe(struct fabric *f, uint32_t connection, struct span filter);
void fabric_forget(struct fabric *f, uint32_t connection); /* drops all its subscriptions */
uint32_t fabric_count(const struct fabric *f, uint32_t connection);

/* Delivers a whole message to every matching connection, in order of connection. Borrows it.
 * Returns the number of deliveries. */
uint32_t fabric_publish(struct fabric *f, struct message *m);
void fabric_check(const struct fabric *f); /* asserts its invariants; for tests */
