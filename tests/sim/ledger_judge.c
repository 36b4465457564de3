/* ledger_judge.c - what can be judged only when everything has drained. */
#include "tests/sim/ledger_internal.h"

#include <stdio.h>

static bool promised(const struct entry *e)
{
	return e->said.qos > 0 && e->said.size > 0 && e->acknowledged != 0 && !e->refused &&
	       (!e->said.will || e->fate == LEDGER_WILL_DUE);
}

bool ledger_owes(const struct ledger *l, uint32_t session, uint32_t message)
{
	const struct entry *e = &l->entry[message];
	const struct book_session *b = &l->session[session];

	if (!promised(e) || !b->durable || b->ended)
		return false;
	for (uint32_t i = 1; i <= l->subscriptions; i++) {
		const struct subscription *s = &l->subscription[i];
		if (s->session == session && s->withdrawn == 0 && s->granted_at != 0 &&
			s->granted > 0 && s->granted_at < e->attempted &&
			ledger_matches(s->filter, e->topic))
			return true;
	}
	return false;
}

uint64_t ledger_owed(const struct ledger *l)
{
	uint64_t n = 0;

	for (uint32_t s = 1; s <= l->sessions; s++)
		for (uint32_t m = 1; m <= l->messages; m++)
			n += ledger_seen(l, s, m)->deliveries == 0 && ledger_owes(l, s, m);
	return n;
}

static void judge_message(struct ledger *l, uint32_t message)
{
	const struct entry *e = &l->entry[message];
	bool came = false, lost = false;

	for (uint32_t s = 1; s <= l->sessions; s++) {
		const bool here = ledger_seen(l, s, message)->deliveries > 0;
		came |= here;
		if (!here && ledger_owes(l, s, message)) {
			lost = true;
			ledger_report(l, e->said.will ? &l->totals.wills : &l->totals.lost,
				e->said.will ? "will not published" : "lost", s, message);
		}
	}
	if (e->said.will && e->fate == LEDGER_WILL_VOID && came)
		ledger_report(l, &l->totals.wills, "will published though void", 0, message);
	if (e->said.will)
		return;
	l->totals.ok += e->acknowledged != 0 && !lost;
	l->totals.recovered += e->acknowledged == 0 && came;
}

static bool later_attempt(const struct ledger *l, uint32_t message)
{
	for (uint32_t i = message + 1; i <= l->messages; i++)
		if (l->entry[i].said.retain &&
			strcmp(l->entry[i].topic, l->entry[message].topic) == 0)
			return true;
	return false;
}

/* What was not acknowledged when the newer one was said is said once more: at QoS 1 that is another
 * message, at QoS 2 the box knows it already. */
bool ledger_may_stand_last(const struct entry *older, const struct entry *newer)
{
	return older->said.qos == 1 && newer->said.qos == 2 &&
	       (older->acknowledged == 0 || older->acknowledged > newer->attempted);
}

/* An older one stands there instead, or the removal that it was. */
static bool stands_behind(const struct ledger *l, uint32_t session, uint32_t message)
{
	const struct entry *m = &l->entry[message];

	for (uint32_t i = 1; i < message; i++) {
		const struct entry *e = &l->entry[i];
		if (e->said.retain && !e->said.will && strcmp(e->topic, m->topic) == 0 &&
			ledger_may_stand_last(e, m) &&
			(e->said.size == 0 || ledger_seen(l, session, i)->snapshots > 0))
			return true;
	}
	return false;
}

/* The last value that was attempted for its topic, and acknowledged: it must be there. */
static void judge_observer(struct ledger *l, uint32_t session)
{
	for (uint32_t m = 1; m <= l->messages; m++) {
		const struct entry *e = &l->entry[m];
		if (!e->said.retain || e->said.will || e->acknowledged == 0 || later_attempt(l, m))
			continue;
		if (e->said.size > 0 && ledger_seen(l, session, m)->snapshots == 0 &&
			!stands_behind(l, session, m))
			ledger_report(
				l, &l->totals.retained, "retained value is missing", session, m);
	}
}

bool ledger_judge(struct ledger *l, struct ledger_totals *out)
{
	for (uint32_t m = 1; m <= l->messages; m++)
		judge_message(l, m);
	for (uint32_t s = 1; s <= l->sessions; s++)
		if (l->session[s].observes)
			judge_observer(l, s);
	*out = l->totals;
	const struct ledger_totals *t = &l->totals;
	return t->lost + t->unexpected + t->duplicated + t->corrupted + t->order + t->phantom +
		       t->retained + t->wills + t->sessions + t->protocol ==
	       0;
}

void ledger_print(const struct ledger *l)
{
	const struct ledger_totals *t = &l->totals;

	printf("# attempt %lu acknowledged %lu ok %lu recovered %lu lost %lu unexpected %lu "
	       "duplicated %lu; corrupted %lu order %lu phantom %lu retained %lu wills %lu "
	       "sessions %lu protocol %lu; repeated at QoS 1: %lu\n",
		t->attempt, t->acknowledged, t->ok, t->recovered, t->lost, t->unexpected,
		t->duplicated, t->corrupted, t->order, t->phantom, t->retained, t->wills,
		t->sessions, t->protocol, t->repeated);
}
