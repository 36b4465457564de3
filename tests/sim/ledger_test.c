/* ledger_test.c - the checker must find what is planted, and nothing else. */
#include "dataplane/base/assert.h"
#include "tests/sim/ledger_internal.h"
#include "tests/unit/unit.h"

enum { SENDER = 1, READER = 2 };

/* One publisher, one durable reader of "t/#" at QoS 2. */
struct fixture {
	struct ledger *l;
	uint32_t session, subscription;
};

static struct fixture begin(void)
{
	struct fixture f = {.l = ledger_create(100, 8)};

	ASSERT(f.l != NULL);
	f.session = ledger_session(f.l, READER, true);
	f.subscription = ledger_subscribe(f.l, f.session, "t/#", 2);
	ledger_subscribed(f.l, f.subscription, 2);
	return f;
}

static uint32_t send(struct fixture *f, const char *topic, uint8_t qos, bool retain)
{
	const struct ledger_message m = {
		.publisher = SENDER, .topic = topic, .size = 40, .qos = qos, .retain = retain};

	return ledger_attempt(f->l, &m);
}

static uint32_t send_acknowledged(struct fixture *f, uint8_t qos)
{
	const uint32_t m = send(f, "t/a", qos, false);

	ledger_acknowledged(f->l, SENDER, m);
	return m;
}

static void come(struct fixture *f, uint32_t message, uint8_t qos, bool dup, bool retain)
{
	const struct ledger_received r = {.topic = span_str(f->l->entry[message].topic),
		.payload = ledger_payload(f->l, message),
		.qos = qos,
		.dup = dup,
		.retain = retain};

	CU_ASSERT_EQUAL(ledger_received(f->l, f->session, &r), message);
}

static struct ledger_totals end(struct fixture *f, bool clean)
{
	struct ledger_totals t;

	CU_ASSERT_EQUAL(ledger_judge(f->l, &t), clean);
	ledger_destroy(&f->l);
	return t;
}

static void a_clean_run_is_clean(void)
{
	struct fixture f = begin();

	for (uint8_t qos = 0; qos <= 2; qos++)
		for (int i = 0; i < 3; i++)
			come(&f, send_acknowledged(&f, qos), qos, false, false);
	CU_ASSERT_EQUAL(ledger_owed(f.l), 0);
	const struct ledger_totals t = end(&f, true);
	CU_ASSERT_EQUAL(t.attempt, 9);
	CU_ASSERT_EQUAL(t.acknowledged, 9);
	CU_ASSERT_EQUAL(t.ok, 9);
}

static void lost_is_found(void)
{
	struct fixture f = begin();

	send_acknowledged(&f, 1);
	come(&f, send_acknowledged(&f, 2), 2, false, false);
	send_acknowledged(&f, 0); /* promises nothing */
	send(&f, "t/a", 1, false);
	CU_ASSERT_EQUAL(ledger_owed(f.l), 1);
	CU_ASSERT_EQUAL(end(&f, false).lost, 1);
}

static void nobody_is_owed_what_was_not_agreed(void)
{
	struct fixture f = begin();
	const uint32_t late = ledger_session(f.l, 3, true), gone = ledger_session(f.l, 4, true);
	const uint32_t other = ledger_session(f.l, 5, true), left = ledger_session(f.l, 6, true);
	const uint32_t clean = ledger_session(f.l, 7, false);

	ledger_subscribed(f.l, ledger_subscribe(f.l, gone, "t/a", 1), 1);
	ledger_subscribed(f.l, ledger_subscribe(f.l, other, "u/+", 1), 1);
	ledger_subscribed(f.l, ledger_subscribe(f.l, clean, "t/a", 1), 1);
	const uint32_t s = ledger_subscribe(f.l, left, "t/a", 1);
	ledger_subscribed(f.l, s, 1);
	const uint32_t asks = ledger_subscribe(f.l, late, "t/a", 1);
	const uint32_t m = send_acknowledged(&f, 1);
	ledger_subscribed(f.l, asks, 1);
	ledger_session_ended(f.l, gone);
	ledger_unsubscribe(f.l, s);
	come(&f, m, 1, false, false);
	end(&f, true);
}

static void recovered_is_counted(void)
{
	struct fixture f = begin();

	come(&f, send(&f, "t/a", 1, false), 1, false, false);
	CU_ASSERT_EQUAL(end(&f, true).recovered, 1);
}

static void duplicates_are_found(void)
{
	struct fixture f = begin();
	const uint32_t once = send_acknowledged(&f, 1), twice = send_acknowledged(&f, 2);

	come(&f, once, 1, false, false);
	come(&f, once, 1, true, false);
	come(&f, twice, 2, false, false);
	come(&f, twice, 2, true, false);
	const struct ledger_totals t = end(&f, false);
	CU_ASSERT_EQUAL(t.duplicated, 1);
	CU_ASSERT_EQUAL(t.repeated, 1);
}

static void order_is_judged_by_topic_and_qos(void)
{
	struct fixture f = begin();
	const uint32_t a = send_acknowledged(&f, 1), b = send_acknowledged(&f, 1);
	const uint32_t c = send_acknowledged(&f, 2);

	come(&f, c, 2, false, false);
	come(&f, b, 1, false, false);
	CU_ASSERT_EQUAL(ledger_totals(f.l)->order, 0);
	come(&f, a, 1, false, false);
	come(&f, b, 1, true, false);
	CU_ASSERT_EQUAL(end(&f, false).order, 1);
}

static void unexpected_is_found(void)
{
	struct fixture f = begin();
	const uint32_t m = send_acknowledged(&f, 1), elsewhere = send(&f, "u/a", 1, false);
	uint8_t bytes[64];
	struct ledger_received r = {.topic = span_str("t/a"), .qos = 1};

	come(&f, m, 1, false, false);
	come(&f, elsewhere, 1, false, false); /* not subscribed */
	come(&f, m, 2, true, false);          /* at a QoS that is not min(1, 2) */
	CU_ASSERT_EQUAL(ledger_totals(f.l)->unexpected, 2);
	memset(bytes, 0xff, sizeof(bytes));
	r.payload = span_of(bytes, sizeof(bytes));
	ledger_received(f.l, f.session, &r); /* never sent */
	r.payload = span_of(bytes, 0);
	ledger_received(f.l, f.session, &r); /* empty, never sent */
	CU_ASSERT_EQUAL(ledger_totals(f.l)->unexpected, 4);
	const struct span good = ledger_payload(f.l, m);
	memcpy(bytes, good.at, good.size);
	bytes[good.size - 1] ^= 1;
	r.payload = span_of(bytes, good.size);
	ledger_received(f.l, f.session, &r);
	r.payload = good;
	r.topic = span_str("t/b");
	ledger_received(f.l, f.session, &r);
	CU_ASSERT_EQUAL(end(&f, false).corrupted, 2);
}

static void after_unsuback_nothing_new_comes(void)
{
	struct fixture f = begin();
	const uint32_t before = send_acknowledged(&f, 1);

	ledger_unsubscribe(f.l, f.subscription);
	ledger_unsubscribed(f.l, f.subscription);
	come(&f, before, 1, false, false); /* it was queued */
	CU_ASSERT_EQUAL(ledger_totals(f.l)->unexpected, 0);
	come(&f, send_acknowledged(&f, 1), 1, false, false);
	CU_ASSERT_EQUAL(end(&f, false).unexpected, 1);
}

static void phantom_acknowledgements_are_found(void)
{
	struct fixture f = begin();

	ledger_acknowledged(f.l, SENDER, 1);
	ledger_acknowledged(f.l, READER, send(&f, "t/a", 1, false));
	ledger_acknowledged(f.l, SENDER, LEDGER_NONE);
	CU_ASSERT_EQUAL(end(&f, false).phantom, 3);
}

static void retained_values_never_go_back(void)
{
	struct fixture f = begin();
	const uint32_t old = send(&f, "r/a", 1, true), new = send(&f, "r/a", 1, true);

	ledger_acknowledged(f.l, SENDER, old);
	ledger_subscribed(f.l, ledger_subscribe(f.l, f.session, "r/+", 1), 1);
	come(&f, old, 1, false, true); /* the newer one is not acknowledged */
	ledger_acknowledged(f.l, SENDER, new);
	come(&f, old, 1, false, true); /* was not when this one subscribed */
	CU_ASSERT_EQUAL(ledger_totals(f.l)->retained, 0);
	ledger_subscribed(f.l, ledger_subscribe(f.l, f.session, "r/a", 1), 1);
	come(&f, old, 1, false, true);
	CU_ASSERT_EQUAL(ledger_totals(f.l)->retained, 1);
	come(&f, new, 1, false, true);
	come(&f, send_acknowledged(&f, 1), 1, false, true); /* was not retained */
	CU_ASSERT_EQUAL(end(&f, false).retained, 2);
}

static void missing_retained_values_are_found(void)
{
	struct fixture f = begin();
	struct ledger_message removal = {
		.publisher = SENDER, .topic = "r/b", .qos = 1, .retain = true};

	for (int i = 0; i < 2; i++)
		ledger_acknowledged(f.l, SENDER, send(&f, i == 0 ? "r/a" : "r/b", 1, true));
	ledger_acknowledged(f.l, SENDER, ledger_attempt(f.l, &removal));
	ledger_subscribed(f.l, ledger_subscribe(f.l, f.session, "r/#", 1), 1);
	ledger_observes(f.l, f.session);
	CU_ASSERT_EQUAL(end(&f, false).retained, 1); /* r/a; r/b was removed */
}

/* A repetition at QoS 1 may come to stand behind a newer one of QoS 2, and no other way round. */
static void a_repeated_value_may_stand_last(void)
{
	for (int i = 0; i < 4; i++) {
		struct fixture f = begin();
		const uint8_t older_qos = i == 1 ? 2 : 1, newer_qos = i == 2 ? 1 : 2;
		const uint32_t older = send(&f, "r/a", older_qos, true);
		if (i == 3)
			ledger_acknowledged(f.l, SENDER, older);
		const uint32_t newer = send(&f, "r/a", newer_qos, true);
		ledger_acknowledged(f.l, SENDER, older);
		ledger_acknowledged(f.l, SENDER, newer);
		f.session = ledger_session(f.l, READER, true);
		ledger_observes(f.l, f.session);
		ledger_subscribed(f.l, ledger_subscribe(f.l, f.session, "r/#", 2), 2);
		come(&f, older, older_qos, false, true);
		CU_ASSERT_EQUAL(end(&f, i == 0).retained, i == 0 ? 0 : 2);
	}
}

static void wills_are_judged_by_their_fate(void)
{
	static const enum ledger_will fates[] = {
		LEDGER_WILL_DUE, LEDGER_WILL_VOID, LEDGER_WILL_MAYBE, LEDGER_WILL_OPEN};

	for (size_t i = 0; i < 4; i++)
		for (int times = 0; times < 3; times++) {
			struct fixture f = begin();
			const struct ledger_message m = {.publisher = SENDER,
				.topic = "t/w",
				.size = 20,
				.qos = 1,
				.will = true};
			const uint32_t will = ledger_attempt(f.l, &m);
			ledger_will(f.l, will, fates[i]);
			for (int n = 0; n < times; n++)
				come(&f, will, 1, false, false);
			const bool missing = fates[i] == LEDGER_WILL_DUE && times == 0;
			const bool wrong = fates[i] == LEDGER_WILL_VOID && times > 0;
			const struct ledger_totals t = end(&f, !missing && !wrong && times < 2);
			CU_ASSERT_EQUAL(t.wills, missing || wrong);
			CU_ASSERT_EQUAL(t.duplicated, times == 2);
			CU_ASSERT_EQUAL(t.attempt, 0);
		}
}

static void what_was_granted_is_compared(void)
{
	struct fixture f = begin();

	ledger_subscribed(f.l, ledger_subscribe(f.l, f.session, "t/b", 2), 1);
	ledger_broken_session(f.l, READER, "planted");
	ledger_broken_protocol(f.l, READER, "planted");
	const struct ledger_totals t = end(&f, false);
	CU_ASSERT_EQUAL(t.sessions, 2);
	CU_ASSERT_EQUAL(t.protocol, 1);
}

static void full_tables_say_so(void)
{
	struct ledger *l = ledger_create(1, 1);
	const struct ledger_message m = {.publisher = SENDER, .topic = "t", .size = 16};

	CU_ASSERT_EQUAL(ledger_attempt(l, &m), 1);
	CU_ASSERT_EQUAL(ledger_attempt(l, &m), LEDGER_NONE);
	CU_ASSERT_EQUAL(ledger_session(l, 1, true), 1);
	CU_ASSERT_EQUAL(ledger_session(l, 1, true), LEDGER_NONE);
	ledger_destroy(&l);
}

static void filters_match_as_the_specification_says(void)
{
	static const struct {
		const char *filter, *topic;
		bool matches;
	} rows[] = {
		{"a/b", "a/b", true},
		{"a/b", "a/bc", false},
		{"a/+", "a/b", true},
		{"a/+", "a/b/c", false},
		{"a/#", "a/b/c", true},
		{"a/#", "a", true},
		{"#", "a", true},
		{"+", "a/b", false},
		{"+/b", "a/b", true},
		{"a", "a/b", false},
		{"a/b", "a", false},
		{"a/+", "a", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(ledger_matches(rows[i].filter, rows[i].topic), rows[i].matches);
}

static const struct unit_test tests[] = {
	{"a_clean_run_is_clean", a_clean_run_is_clean},
	{"lost_is_found", lost_is_found},
	{"nobody_is_owed_what_was_not_agreed", nobody_is_owed_what_was_not_agreed},
	{"recovered_is_counted", recovered_is_counted},
	{"duplicates_are_found", duplicates_are_found},
	{"order_is_judged_by_topic_and_qos", order_is_judged_by_topic_and_qos},
	{"unexpected_is_found", unexpected_is_found},
	{"after_unsuback_nothing_new_comes", after_unsuback_nothing_new_comes},
	{"phantom_acknowledgements_are_found", phantom_acknowledgements_are_found},
	{"retained_values_never_go_back", retained_values_never_go_back},
	{"missing_retained_values_are_found", missing_retained_values_are_found},
	{"a_repeated_value_may_stand_last", a_repeated_value_may_stand_last},
	{"wills_are_judged_by_their_fate", wills_are_judged_by_their_fate},
	{"what_was_granted_is_compared", what_was_granted_is_compared},
	{"full_tables_say_so", full_tables_say_so},
	{"filters_match_as_the_specification_says", filters_match_as_the_specification_says},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("ledger", tests, argc, argv);
}
