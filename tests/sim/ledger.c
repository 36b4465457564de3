/* ledger.c - the book: what clients report, and what can be judged at once. */
#include "tests/sim/ledger_internal.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"

#include <stdio.h>
#include <stdlib.h>

enum report {
	SENT = 1,
	ACKNOWLEDGED,
	REFUSED,
	FATE,
	BEGAN,
	ENDED,
	ASKED,
	GRANTED,
	LEFT,
	GONE,
	CAME
};

struct ledger *ledger_create(uint32_t messages_max, uint32_t sessions_max)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->messages_max = messages_max;
	l->sessions_max = sessions_max;
	l->entry = calloc(messages_max + 1, sizeof(*l->entry));
	l->session = calloc(sessions_max + 1, sizeof(*l->session));
	l->seen = calloc((size_t)(sessions_max + 1) * (messages_max + 1), sizeof(*l->seen));
	if (l->entry == NULL || l->session == NULL || l->seen == NULL)
		ledger_destroy(&l);
	return l;
}

void ledger_destroy(struct ledger **l)
{
	free((*l)->entry);
	free((*l)->session);
	free((*l)->seen);
	free(*l);
	*l = NULL;
}

void ledger_loud(struct ledger *l, bool loud)
{
	l->loud = loud;
}

void ledger_order(struct ledger *l, bool matters)
{
	l->any_order = !matters;
}

static uint64_t note(struct ledger *l, enum report what, uint64_t a, uint64_t b)
{
	l->clock++;
	l->hash ^= (uint64_t)what << 56 ^ a << 24 ^ b;
	l->hash = rng_mix(&l->hash);
	return l->clock;
}

void ledger_report(
	struct ledger *l, uint64_t *total, const char *what, uint32_t session, uint32_t message)
{
	++*total;
	if (!l->loud || l->printed++ >= LEDGER_PRINTED_MAX)
		return;
	const struct entry *e = &l->entry[message <= l->messages ? message : 0];
	printf("# ledger: %s: message %u (publisher %u, %s, qos %u%s%s), session %u of client %u\n",
		what, message, e->said.publisher, e->topic, e->said.qos,
		e->said.retain ? ", retained" : "", e->said.will ? ", will" : "", session,
		session <= l->sessions ? l->session[session].client : 0);
}

struct seen *ledger_seen(const struct ledger *l, uint32_t session, uint32_t message)
{
	return &l->seen[(size_t)session * (l->messages_max + 1) + message];
}

static void copy_name(char *to, const char *from)
{
	ASSERT(strlen(from) < LEDGER_TOPIC_MAX);
	snprintf(to, LEDGER_TOPIC_MAX, "%s", from);
}

/* A level at a time; no $-topics are used here. */
bool ledger_matches(const char *filter, const char *topic)
{
	for (;;) {
		if (strcmp(filter, "#") == 0)
			return true;
		const size_t f = strcspn(filter, "/"), t = strcspn(topic, "/");
		const bool plus = f == 1 && filter[0] == '+';
		if (!plus && (f != t || memcmp(filter, topic, f) != 0))
			return false;
		if (filter[f] == 0)
			return topic[t] == 0;
		if (topic[t] == 0)
			return strcmp(filter + f, "/#") == 0;
		filter += f + 1;
		topic += t + 1;
	}
}

uint32_t ledger_attempt(struct ledger *l, const struct ledger_message *m)
{
	if (l->messages == l->messages_max)
		return LEDGER_NONE;
	struct entry *e = &l->entry[++l->messages];

	ASSERT(m->size == 0 || (m->size >= LEDGER_PAYLOAD_MIN && m->size <= LEDGER_PAYLOAD_MAX));
	*e = (struct entry){.said = *m, .fate = m->will ? LEDGER_WILL_OPEN : LEDGER_WILL_DUE};
	copy_name(e->topic, m->topic);
	e->said.topic = e->topic;
	e->attempted = note(l, SENT, l->messages, m->publisher);
	l->totals.attempt += !m->will;
	return l->messages;
}

static void put_u64(uint8_t *to, uint64_t v)
{
	memcpy(to, &v, sizeof(v));
}

static uint64_t get_u64(const uint8_t *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof(v));
	return v;
}

static void fill(uint8_t *to, uint32_t number, uint32_t size)
{
	uint64_t state = (uint64_t)size << 32 | number;

	put_u64(to, state);
	for (uint32_t at = 8; at < size; at += 8) {
		const uint64_t word = rng_mix(&state);
		memcpy(to + at, &word, size - at < 8 ? size - at : 8);
	}
}

struct span ledger_payload(struct ledger *l, uint32_t message)
{
	const uint32_t size = l->entry[message].said.size;

	if (size == 0)
		return span_of(NULL, 0);
	fill(l->payload, message, size);
	return span_of(l->payload, size);
}

uint32_t ledger_number(struct span payload)
{
	return payload.size < LEDGER_PAYLOAD_MIN ? LEDGER_NONE : (uint32_t)get_u64(payload.at);
}

void ledger_acknowledged(struct ledger *l, uint32_t publisher, uint32_t message)
{
	const uint64_t now = note(l, ACKNOWLEDGED, message, publisher);
	const bool known = message != LEDGER_NONE && message <= l->messages;

	if (!known || l->entry[message].said.publisher != publisher || l->entry[message].refused) {
		ledger_report(l, &l->totals.phantom, "phantom acknowledgement", 0, message);
		return;
	}
	if (l->entry[message].acknowledged == 0) {
		l->entry[message].acknowledged = now;
		l->totals.acknowledged++;
	}
}

void ledger_refused(struct ledger *l, uint32_t message)
{
	note(l, REFUSED, message, 0);
	l->entry[message].refused = true;
}

void ledger_will(struct ledger *l, uint32_t message, enum ledger_will fate)
{
	note(l, FATE, message, fate);
	ASSERT(l->entry[message].said.will);
	l->entry[message].fate = fate;
	if (fate == LEDGER_WILL_DUE)
		l->entry[message].acknowledged = l->clock;
}

uint32_t ledger_session(struct ledger *l, uint32_t client, bool durable)
{
	if (l->sessions == l->sessions_max)
		return LEDGER_NONE;
	l->session[++l->sessions] = (struct book_session){.client = client, .durable = durable};
	note(l, BEGAN, l->sessions, client);
	return l->sessions;
}

void ledger_session_ended(struct ledger *l, uint32_t session)
{
	note(l, ENDED, session, 0);
	l->session[session].ended = true;
}

void ledger_observes(struct ledger *l, uint32_t session)
{
	l->session[session].observes = true;
}

uint32_t ledger_subscribe(struct ledger *l, uint32_t session, const char *filter, uint8_t qos)
{
	if (l->subscriptions == LEDGER_SUBSCRIPTIONS_MAX)
		return LEDGER_NONE;
	struct subscription *s = &l->subscription[++l->subscriptions];

	*s = (struct subscription){.session = session, .qos = qos};
	copy_name(s->filter, filter);
	s->asked = note(l, ASKED, l->subscriptions, session);
	return l->subscriptions;
}

void ledger_subscribed(struct ledger *l, uint32_t subscription, uint8_t granted)
{
	struct subscription *s = &l->subscription[subscription];

	s->granted_at = note(l, GRANTED, subscription, granted);
	s->granted = granted;
	if (granted != s->qos)
		ledger_report(l, &l->totals.sessions, "granted another QoS", s->session, 0);
}

void ledger_unsubscribe(struct ledger *l, uint32_t subscription)
{
	l->subscription[subscription].withdrawn = note(l, LEFT, subscription, 0);
}

void ledger_unsubscribed(struct ledger *l, uint32_t subscription)
{
	l->subscription[subscription].gone = note(l, GONE, subscription, 0);
}

/* The subscription through which that session may get the message, at that QoS if one is given. */
static const struct subscription *reason(
	const struct ledger *l, uint32_t session, const struct entry *e, int qos)
{
	for (uint32_t i = l->subscriptions; i > 0; i--) {
		const struct subscription *s = &l->subscription[i];
		const uint8_t at = s->qos < e->said.qos ? s->qos : e->said.qos;
		if (s->session == session && ledger_matches(s->filter, e->topic) &&
			(s->gone == 0 || s->gone > e->attempted) && (qos < 0 || qos == at))
			return s;
	}
	return NULL;
}

static void judge_snapshot(
	struct ledger *l, uint32_t session, uint32_t message, const struct subscription *why)
{
	const struct entry *e = &l->entry[message];

	if (!e->said.retain)
		ledger_report(l, &l->totals.retained, "flagged retained", session, message);
	for (uint32_t i = message + 1; i <= l->messages; i++) {
		const struct entry *newer = &l->entry[i];
		if (newer->said.retain && newer->acknowledged != 0 && !newer->said.will &&
			newer->acknowledged < why->asked && strcmp(newer->topic, e->topic) == 0 &&
			!ledger_may_stand_last(e, newer)) {
			ledger_report(l, &l->totals.retained, "retained value went back", session,
				message);
			break;
		}
	}
	ledger_seen(l, session, message)->snapshots = 1;
}

/* A later message of that publisher, topic and QoS was here before the first delivery of this. */
static bool overtaken(const struct ledger *l, uint32_t session, uint32_t message)
{
	const struct entry *e = &l->entry[message];

	for (uint32_t i = message + 1; i <= l->messages && !e->said.will; i++) {
		const struct entry *o = &l->entry[i];
		if (o->said.publisher == e->said.publisher && o->said.qos == e->said.qos &&
			!o->said.will && ledger_seen(l, session, i)->deliveries > 0 &&
			strcmp(o->topic, e->topic) == 0)
			return true;
	}
	return false;
}

/* Was it subscribed to when the message was said first? Else only a repetition may have met the
 * subscription, after what was said next. */
static bool in_time(const struct ledger *l, const struct subscription *why, uint32_t message)
{
	return why->granted_at != 0 && why->granted_at < l->entry[message].attempted;
}

static void judge_delivery(struct ledger *l, uint32_t session, uint32_t message,
	const struct ledger_received *r, const struct subscription *why)
{
	struct seen *seen = ledger_seen(l, session, message);
	const bool first = seen->deliveries == 0;

	if (seen->deliveries < UINT8_MAX)
		seen->deliveries++;
	if (first && !l->any_order && in_time(l, why, message) && overtaken(l, session, message))
		ledger_report(l, &l->totals.order, "out of order", session, message);
	if (first)
		return;
	/* A publisher repeats at QoS 1, and so does the box, which says so; a will it says once. */
	if ((r->qos == 1 && r->dup) ||
		(l->entry[message].said.qos == 1 && !l->entry[message].said.will))
		l->totals.repeated++;
	else
		ledger_report(l, &l->totals.duplicated, "duplicated", session, message);
}

static void judge_empty(struct ledger *l, uint32_t session, struct span topic)
{
	for (uint32_t i = 1; i <= l->messages; i++)
		if (l->entry[i].said.size == 0 && l->entry[i].said.retain &&
			span_equal(topic, span_str(l->entry[i].topic)))
			return;
	ledger_report(l, &l->totals.unexpected, "empty and never sent", session, 0);
}

uint32_t ledger_received(struct ledger *l, uint32_t session, const struct ledger_received *r)
{
	const uint32_t message = ledger_number(r->payload);

	note(l, CAME, session, (uint64_t)message << 8 | r->qos << 2 | r->dup << 1 | r->retain);
	if (r->payload.size == 0) {
		judge_empty(l, session, r->topic);
		return LEDGER_NONE;
	}
	if (message == LEDGER_NONE || message > l->messages) {
		ledger_report(l, &l->totals.unexpected, "never sent", session, message);
		return LEDGER_NONE;
	}
	const struct entry *e = &l->entry[message];
	if (!span_equal(r->payload, ledger_payload(l, message)) ||
		!span_equal(r->topic, span_str(e->topic))) {
		ledger_report(l, &l->totals.corrupted, "corrupted", session, message);
		return LEDGER_NONE;
	}
	const struct subscription *why = reason(l, session, e, r->qos);
	if (why == NULL) {
		const bool any = reason(l, session, e, -1) != NULL;
		ledger_report(l, &l->totals.unexpected, any ? "at another QoS" : "not subscribed",
			session, message);
		return message;
	}
	if (r->retain)
		judge_snapshot(l, session, message, why);
	else
		judge_delivery(l, session, message, r, why);
	return message;
}

void ledger_broken_protocol(struct ledger *l, uint32_t client, const char *what)
{
	l->totals.protocol++;
	if (l->loud && l->printed++ < LEDGER_PRINTED_MAX)
		printf("# ledger: protocol: client %u: %s\n", client, what);
}

void ledger_broken_session(struct ledger *l, uint32_t client, const char *what)
{
	l->totals.sessions++;
	if (l->loud && l->printed++ < LEDGER_PRINTED_MAX)
		printf("# ledger: session: client %u: %s\n", client, what);
}

const struct ledger_totals *ledger_totals(const struct ledger *l)
{
	return &l->totals;
}

uint64_t ledger_hash(const struct ledger *l)
{
	return l->hash;
}
