/* attempts_test.c - a SUBSCRIBE that waits for its trial, between a played link and played
 * sessions. */
#include "dataplane/worker/attempts.h"

#include "dataplane/base/assert.h"
#include "dataplane/worker/route_internal.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include <rte_mempool.h>
#include <stdio.h>

enum { LARGE = ATTEMPTS_STEPS, CONNECTIONS = 2 };

static struct worker w;
static struct counters counters;
static struct rte_mempool *segments;
static struct shm_header peer;
static struct connection connections[CONNECTIONS];
static bool room;           /* in the ring */
static uint32_t asked;      /* TRYs said */
static uint32_t last;       /* token of the last */
static char subscribed[64]; /* filter of the last that went on */
static uint32_t subscribes, refusals;
static enum err refused;

bool link_has_spare_room(const struct worker *worker)
{
	CU_ASSERT_PTR_EQUAL(worker, &w);
	return room;
}

bool link_put(struct worker *worker, const struct span *parts, size_t count, struct shm_text *out)
{
	(void)worker, (void)out;
	CU_ASSERT_EQUAL(count, 1);
	CU_ASSERT_TRUE(parts->size > 0);
	return true;
}

bool link_push(struct worker *worker, enum shm_command type, const void *body, size_t size)
{
	(void)worker;
	CU_ASSERT_EQUAL(type, SHM_COMMAND_TRY);
	CU_ASSERT_EQUAL(size, sizeof(struct shm_trial));
	last = ((const struct shm_trial *)body)->token;
	asked++;
	return true;
}

struct connection *route_connection(struct worker *worker, uint32_t index, uint32_t generation)
{
	(void)worker;
	struct connection *c = &connections[index];
	return c->session_open && c->id.generation == generation ? c : NULL;
}

void connection_subscribe(struct worker *worker, struct connection *c, uint32_t token,
	struct span filter, const struct subscription_options *options)
{
	(void)worker, (void)c;
	CU_ASSERT_EQUAL(token, 77);
	CU_ASSERT_EQUAL(options->qos_max, 1);
	snprintf(subscribed, sizeof(subscribed), "%.*s", (int)filter.size, (const char *)filter.at);
	subscribes++;
}

void connection_answer(struct worker *worker, struct connection *c, uint32_t token, enum err e)
{
	(void)worker, (void)c, (void)token;
	refused = e;
	refusals++;
}

static void on_deliver(void *owner, const struct delivery *d, struct message *m)
{
	(void)owner, (void)d, (void)m;
}

static void start(void)
{
	segments = unit_pool(1);
	const struct messages_conf messages = {
		.count = 2000, .segments = segments, .counters = &counters};
	const struct fabric_conf fabric = {.connections_max = CONNECTIONS,
		.subscriptions_max = 8,
		.specials_max = 8,
		.match = {.filters_max = 8,
			.filter_bytes_max = 65536,
			.patterns_max = 8,
			.pattern_size_max = 64},
		.counters = &counters,
		.deliver = on_deliver};

	memset(&counters, 0, sizeof(counters));
	w = (struct worker){.counters = &counters};
	w.messages = messages_create(&messages);
	w.fabric = fabric_create(&fabric);
	CU_ASSERT_TRUE_FATAL(w.messages != NULL && w.fabric != NULL && attempts_create(&w));
	w.link.peer = &peer;
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		connections[i] = (struct connection){.id = {i, 5}, .session_open = true};
	room = true;
	asked = subscribes = refusals = 0;
}

static void finish(void)
{
	attempts_fini(&w);
	CU_ASSERT_EQUAL(messages_alive(w.messages), 0);
	fabric_destroy(&w.fabric);
	messages_destroy(&w.messages);
	rte_mempool_free(segments);
}

static bool begin(uint32_t connection, const char *filter, uint32_t steps)
{
	static const struct subscription_options options = {.qos_max = 1};
	const struct attempts_ask ask = {&connections[connection], 77, span_str(filter), &options};

	return attempts_begin(&w, &ask, steps);
}

static void answer(uint32_t token, enum err e)
{
	const struct shm_trial t = {.token = token, .err = e};

	attempts_on_tried(&w, &t);
}

static void large_ones_wait_for_their_answer(void)
{
	start();
	CU_ASSERT_FALSE(begin(0, "$filter/regex/small", LARGE - 1));
	CU_ASSERT_TRUE(begin(0, "$filter/regex/one", LARGE));
	const uint32_t one = last;
	CU_ASSERT_TRUE(begin(1, "$filter/regex/two", LARGE));
	CU_ASSERT_EQUAL(asked, 2);
	CU_ASSERT_EQUAL(subscribes + refusals, 0);
	answer(one, ERR_NONE);
	CU_ASSERT_EQUAL(subscribes, 1);
	CU_ASSERT_STRING_EQUAL(subscribed, "$filter/regex/one");
	answer(last, ERR_EXPRESSION_REFUSED);
	CU_ASSERT_EQUAL(refusals, 1);
	CU_ASSERT_EQUAL(refused, ERR_EXPRESSION_REFUSED);
	answer(last, ERR_NONE); /* twice */
	answer(one, ERR_NONE);
	answer(UINT32_MAX, ERR_NONE);
	CU_ASSERT_EQUAL(subscribes, 1);
	finish();
}

static void nothing_is_tried_without_need_or_link(void)
{
	static const struct subscription_options options = {.qos_max = 1};
	bool was_new;

	start();
	w.link.peer = NULL;
	CU_ASSERT_FALSE(begin(0, "$filter/regex/one", LARGE));
	w.link.peer = &peer;
	const enum err e =
		fabric_subscribe(w.fabric, 0, span_str("$filter/regex/known"), &options, &was_new);
	CU_ASSERT_EQUAL(e, ERR_NONE);
	CU_ASSERT_FALSE(begin(1, "$filter/regex/known", LARGE));
	for (uint32_t i = 0; i < ATTEMPTS_AT_ONCE; i++)
		CU_ASSERT_TRUE(begin(0, "$filter/regex/many", LARGE));
	CU_ASSERT_FALSE(begin(0, "$filter/regex/many", LARGE));
	finish();
}

static void what_finds_no_room_is_asked_later(void)
{
	start();
	room = false;
	CU_ASSERT_TRUE(begin(0, "$filter/regex/one", LARGE));
	CU_ASSERT_FALSE(attempts_poll(&w));
	CU_ASSERT_EQUAL(asked, 0);
	room = true;
	CU_ASSERT_TRUE(attempts_poll(&w));
	CU_ASSERT_FALSE(attempts_poll(&w));
	CU_ASSERT_EQUAL(asked, 1);
	answer(last, ERR_NONE);
	CU_ASSERT_EQUAL(subscribes, 1);
	finish();
}

static void a_new_control_plane_is_asked_again(void)
{
	start();
	CU_ASSERT_TRUE(begin(0, "$filter/regex/one", LARGE));
	const uint32_t before = last;
	attempts_renew(&w);
	CU_ASSERT_TRUE(attempts_poll(&w));
	CU_ASSERT_EQUAL(asked, 2);
	CU_ASSERT_EQUAL(last, before);
	answer(last, ERR_NONE);
	CU_ASSERT_EQUAL(subscribes, 1);
	finish();
}

static void who_has_gone_hears_nothing(void)
{
	start();
	CU_ASSERT_TRUE(begin(0, "$filter/regex/one", LARGE));
	connections[0].id.generation++;
	answer(last, ERR_NONE);
	CU_ASSERT_TRUE(begin(1, "$filter/regex/one", LARGE));
	connections[1].session_open = false;
	answer(last, ERR_EXPRESSION_REFUSED);
	CU_ASSERT_EQUAL(subscribes + refusals, 0);
	CU_ASSERT_TRUE(begin(0, "$filter/regex/left", LARGE)); /* fini gives it back */
	finish();
}

static const struct unit_test tests[] = {
	{"large_ones_wait_for_their_answer", large_ones_wait_for_their_answer},
	{"nothing_is_tried_without_need_or_link", nothing_is_tried_without_need_or_link},
	{"what_finds_no_room_is_asked_later", what_finds_no_room_is_asked_later},
	{"a_new_control_plane_is_asked_again", a_new_control_plane_is_asked_again},
	{"who_has_gone_hears_nothing", who_has_gone_hears_nothing},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("attempts", tests, argc, argv);
}
