/* ledger_internal.h - what the ledger's own files share. */
#pragma once
#include "tests/sim/ledger.h"

enum { LEDGER_SUBSCRIPTIONS_MAX = 1024, LEDGER_PRINTED_MAX = 20 };

/* Times are the ledger's own: reports so far; 0: not yet. */
struct entry {
	struct ledger_message said;
	char topic[LEDGER_TOPIC_MAX];
	uint64_t attempted, acknowledged;
	enum ledger_will fate;
	bool refused;
};

struct book_session {
	uint32_t client;
	bool durable, ended, observes;
};

struct subscription {
	uint32_t session;
	char filter[LEDGER_TOPIC_MAX];
	uint8_t qos, granted;
	uint64_t asked, granted_at, withdrawn, gone;
};

/* What a session saw of a message. */
struct seen {
	uint8_t deliveries, snapshots;
};

struct ledger {
	uint32_t messages_max, sessions_max;
	uint32_t messages, sessions, subscriptions; /* numbers in use: 1 to that */
	uint64_t clock, hash;
	bool loud, any_order;
	uint32_t printed;
	struct ledger_totals totals;
	struct entry *entry;
	struct book_session *session;
	struct seen *seen; /* session by session */
	struct subscription subscription[LEDGER_SUBSCRIPTIONS_MAX + 1];
	uint8_t payload[LEDGER_PAYLOAD_MAX];
};

bool ledger_matches(const char *filter, const char *topic);
void ledger_report(
	struct ledger *l, uint64_t *total, const char *what, uint32_t session, uint32_t message);
struct seen *ledger_seen(const struct ledger *l, uint32_t session, uint32_t message);
/* Of two retained values of a topic: may the older one be stored behind the newer one? */
bool ledger_may_stand_last(const struct entry *older, const struct entry *newer);
/* Acknowledged, and this session cannot have been meant not to get it. */
bool ledger_owes(const struct ledger *l, uint32_t session, uint32_t message);
