/* counters.c - the table behind counters.h. */
#include "dataplane/base/counters.h"

#include "dataplane/base/assert.h"

static_assert((int)COUNTER_TOTAL <= (int)COUNTERS_MAX, "the counters no longer fit their page");
static_assert(sizeof(struct counters) == 4096, "a block of counters is one page");

struct row {
	const char *name;
	const char *text;
	bool gauge;
};

static const struct row rows[COUNTER_TOTAL] = {
#define COUNTER(name, text) [COUNTER_##name] = {#name, text, false},
#define GAUGE(name, text)   [COUNTER_##name] = {#name, text, true},
#include "dataplane/base/counters.def"
#undef COUNTER
#undef GAUGE
	[COUNTER_NAMED] = {"ERR_NONE", "no error", false},
#define ERR(name, fault, text) [COUNTER_NAMED + ERR_##name] = {"ERR_" #name, text, false},
#include "dataplane/base/err.def"
#undef ERR
};

const char *counter_name(unsigned id)
{
	ASSERT(id < COUNTER_TOTAL);
	return rows[id].name;
}

const char *counter_text(unsigned id)
{
	ASSERT(id < COUNTER_TOTAL);
	return rows[id].text;
}

bool counter_is_gauge(unsigned id)
{
	ASSERT(id < COUNTER_TOTAL);
	return rows[id].gauge;
}
