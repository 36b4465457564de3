/* ledger.h - who sent what, what was acknowledged, who got it: judges a run.
 *
 * Clients report what they do and see, in the order in which it happens; the
 * ledger knows nothing of the box and believes nobody. Each message has a number
 * and a payload made from it, so that a received payload says which message it
 * is and whether a bit of it changed. A session is one life of a client's state:
 * what was agreed in it is owed until it ends. Violations are found at once
 * where that is possible, else by ledger_judge, when everything has drained.
 *
 * Rules: docs/durability.md; the fields have RabbitMQ's Jepsen names. All memory
 * is taken at creation. Not here: MQTT, time. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/span.h"

enum {
	LEDGER_TOPIC_MAX = 48,   /* bytes */
	LEDGER_PAYLOAD_MIN = 16, /* number, size, check */
	LEDGER_PAYLOAD_MAX = 200 << 10,
	LEDGER_NONE = 0, /* no message, no session, no subscription */
};

struct ledger_message {
	uint32_t publisher; /* client; wills count as their client's */
	const char *topic;
	uint32_t size; /* of the payload; 0: removes a retained value */
	uint8_t qos;
	bool retain, will;
};

/* What became of a will, as far as its client can know. */
enum ledger_will { LEDGER_WILL_OPEN, LEDGER_WILL_MAYBE, LEDGER_WILL_VOID, LEDGER_WILL_DUE };

struct ledger_received {
	struct span topic, payload;
	uint8_t qos;
	bool dup, retain;
};

struct ledger_totals {
	uint64_t attempt, acknowledged, ok, recovered, lost, unexpected, duplicated;
	uint64_t repeated; /* at QoS 1, where that may be */
	uint64_t corrupted, order, phantom, retained, wills, sessions, protocol;
};

struct ledger;

MUST_USE struct ledger *ledger_create(uint32_t messages_max, uint32_t sessions_max);
void ledger_destroy(struct ledger **l);
/* Prints each violation as it is found, at most 20 of them. */
void ledger_loud(struct ledger *l, bool loud);

/* Off: where messages are refused in the middle of a stream, what is said again comes later. */
void ledger_order(struct ledger *l, bool matters);

/* Publishing. False or LEDGER_NONE: the table is full. */
uint32_t ledger_attempt(struct ledger *l, const struct ledger_message *m);
struct span ledger_payload(struct ledger *l, uint32_t message); /* until the next call */
/* Acknowledged: PUBACK or PUBREC of a number that was attempted; anything else is a phantom. */
void ledger_acknowledged(struct ledger *l, uint32_t publisher, uint32_t message);
void ledger_refused(struct ledger *l, uint32_t message);
void ledger_will(struct ledger *l, uint32_t message, enum ledger_will fate);

/* Sessions. Durable ones are owed what they subscribed to; the others get what comes. */
uint32_t ledger_session(struct ledger *l, uint32_t client, bool durable);
void ledger_session_ended(struct ledger *l, uint32_t session);
uint32_t ledger_subscribe(struct ledger *l, uint32_t session, const char *filter, uint8_t qos);
void ledger_subscribed(struct ledger *l, uint32_t subscription, uint8_t granted);
void ledger_unsubscribe(struct ledger *l, uint32_t subscription);
void ledger_unsubscribed(struct ledger *l, uint32_t subscription);
/* A message given to the application, once per delivery that the protocol counts as one. Its
 * number. */
uint32_t ledger_received(struct ledger *l, uint32_t session, const struct ledger_received *r);
/* The number that a payload says, unjudged; LEDGER_NONE: none. */
uint32_t ledger_number(struct span payload);

/* That session subscribed when all was quiet: every retained value must have come to it. */
void ledger_observes(struct ledger *l, uint32_t session);
/* Anything else that must not be; counted as `protocol` or `sessions`. */
void ledger_broken_protocol(struct ledger *l, uint32_t client, const char *what);
void ledger_broken_session(struct ledger *l, uint32_t client, const char *what);

/* Acknowledged, owed to a durable session that still is, and not there: what the drain waits for.
 */
uint64_t ledger_owed(const struct ledger *l);
/* After the drain. True: clean. */
MUST_USE bool ledger_judge(struct ledger *l, struct ledger_totals *out);
const struct ledger_totals *ledger_totals(const struct ledger *l);
void ledger_print(const struct ledger *l);
uint64_t ledger_hash(const struct ledger *l); /* of all that was reported */
