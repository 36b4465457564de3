/* counters_test.c - the tables of counters and errors: complete, unique, within their limits. */
#include "dataplane/base/counters.h"
#include "tests/unit/unit.h"

#include <string.h>

enum { NAME_MAX = 40, TEXT_MAX = 80 };

static bool is_name(const char *s)
{
	return s[0] >= 'A' && s[0] <= 'Z' && strlen(s) <= NAME_MAX &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(s);
}

/* Plain text that needs no escaping in JSON or in an exposition of metrics. */
static bool is_text(const char *s)
{
	if (strlen(s) == 0 || strlen(s) > TEXT_MAX)
		return false;
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~' || *s == '"' || *s == '\\')
			return false;
	return true;
}

static void every_counter_has_a_name_and_a_text(void)
{
	for (unsigned i = 0; i < COUNTER_TOTAL; i++) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(counter_name(i));
		CU_ASSERT_PTR_NOT_NULL_FATAL(counter_text(i));
		CU_ASSERT_TRUE(is_name(counter_name(i)));
		CU_ASSERT_TRUE(is_text(counter_text(i)));
	}
	CU_ASSERT_TRUE((int)COUNTER_TOTAL <= (int)COUNTERS_MAX);
}

static void names_are_unique(void)
{
	for (unsigned i = 0; i < COUNTER_TOTAL; i++)
		for (unsigned k = 0; k < i; k++) {
			CU_ASSERT_STRING_NOT_EQUAL(counter_name(i), counter_name(k));
			CU_ASSERT_STRING_NOT_EQUAL(counter_text(i), counter_text(k));
		}
}

static void errors_are_counters_too(void)
{
	for (unsigned e = 0; e < ERR_COUNT; e++) {
		const char *name = counter_name(COUNTER_NAMED + e);
		CU_ASSERT_NSTRING_EQUAL(name, "ERR_", 4);
		CU_ASSERT_STRING_EQUAL(name + 4, err_name((enum err)e));
		CU_ASSERT_STRING_EQUAL(counter_text(COUNTER_NAMED + e), err_text((enum err)e));
		CU_ASSERT_FALSE(counter_is_gauge(COUNTER_NAMED + e));
		CU_ASSERT_TRUE(err_fault((enum err)e) <= ERR_FAULT_us);
	}
	CU_ASSERT_EQUAL(ERR_NONE, 0);
	CU_ASSERT_EQUAL(err_fault(ERR_TRUNCATED), ERR_FAULT_peer);
	CU_ASSERT_EQUAL(err_fault(ERR_NO_BUFFERS), ERR_FAULT_us);
	CU_ASSERT_EQUAL(err_fault(ERR_NONE), ERR_FAULT_nobody);
}

static void counting_touches_one_word(void)
{
	static struct counters c;

	counter_add(&c, COUNTER_ARP_RX, 3);
	counter_add(&c, COUNTER_ARP_RX, 1);
	counter_err(&c, ERR_ETH_RUNT);
	counter_set(&c, COUNTER_SESSIONS, 10);
	counter_sub(&c, COUNTER_SESSIONS, 4);
	CU_ASSERT_TRUE(counter_is_gauge(COUNTER_SESSIONS));
	CU_ASSERT_FALSE(counter_is_gauge(COUNTER_ARP_RX));
	for (unsigned i = 0; i < COUNTERS_MAX; i++) {
		uint64_t expected = 0;
		if (i == COUNTER_ARP_RX)
			expected = 4;
		if (i == COUNTER_NAMED + ERR_ETH_RUNT)
			expected = 1;
		if (i == COUNTER_SESSIONS)
			expected = 6;
		CU_ASSERT_EQUAL(c.value[i], expected);
	}
	CU_ASSERT_EQUAL(counter_get(&c, COUNTER_ARP_RX), 4);
	CU_ASSERT_EQUAL(c.heartbeat_us, 0);
}

static const struct unit_test tests[] = {
	{"every_counter_has_a_name_and_a_text", every_counter_has_a_name_and_a_text},
	{"names_are_unique", names_are_unique},
	{"errors_are_counters_too", errors_are_counters_too},
	{"counting_touches_one_word", counting_touches_one_word},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("counters", tests, argc, argv);
}
