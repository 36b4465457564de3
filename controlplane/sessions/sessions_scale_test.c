/* sessions_scale_test.c - many and large: pieces, bounds and what grows. */
#include "controlplane/sessions/internal.h"
#include "tests/unit/sessions_rig.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

enum { MANY = 300, LARGE = 300000, KEYS = 500 };

static struct rig rig;

/* Session i + 1 is client i's, at connection i. */
static void connect_many(uint32_t count, const char *will)
{
	for (uint32_t i = 0; i < count; i++) {
		char name[16];
		struct sessions_ready ready;
		snprintf(name, sizeof(name), "c%u", i);
		const struct rig_who who = {.index = i,
			.client = name,
			.expiry_s = will == NULL ? 50 : 0,
			.will = will};
		CU_ASSERT(rig_connect(&rig, &who) != 0);
		rig_run(&rig);
		(void)rig_said(&rig);
		CU_ASSERT(sessions_next_ready(rig.s, &ready) && ready.session != 0);
	}
}

static void publish(uint64_t to, const char *payload)
{
	const struct rig_store_work m = {
		.worker = 1, .targets = {to}, .qos = 1, .topic = "t", .payload = payload};

	CU_ASSERT(rig_publish(&rig, &m) == SESSIONS_TAKEN);
}

static unsigned times(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

static void many_are_swept_and_expire_in_pieces(void)
{
	rig_init(&rig);
	rig.config.sessions_max = MANY;
	connect_many(MANY, NULL);
	CU_ASSERT(rig_store_rows(&rig.store, 'C') == MANY);
	rig_restart(&rig, 0, true);
	rig_run(&rig);
	CU_ASSERT(rig_store_rows(&rig.store, 'C') == 0);
	CU_ASSERT(rig_store_rows(&rig.store, 'D') == MANY);
	CU_ASSERT(times(rig_said(&rig), "@none") == 2 * MANY);
	rig.now.wall_ms += 50000;
	rig_run(&rig);
	CU_ASSERT(times(rig_said(&rig), "gone") == 2 * MANY);
	CU_ASSERT(rig_store_rows(&rig.store, 'S') + rig_store_rows(&rig.store, 'I') == 0);
	CU_ASSERT(rig_store_rows(&rig.store, 'D') + rig_store_rows(&rig.store, 'G') == 0);
	CU_ASSERT(counter_get(&rig.counters, COUNTER_STORED_SESSIONS) == 0);
	rig_fini(&rig);
}

/* No more of them are on their way than the workers are trusted with. */
static void many_wills_go_a_portion_at_a_time(void)
{
	rig_init(&rig);
	connect_many(MANY, "w=x");
	rig_restart(&rig, 0, true);
	rig_run(&rig);
	CU_ASSERT(times(rig_said(&rig), "publish") == WILLS_MAX);
	uint32_t stored = 0;
	for (uint64_t id = 1; id < 2 * MANY + 2; id++) {
		const struct rig_store_work m = {
			.topic = "w", .payload = "x", .will = id, .flags = SHM_WORK_WILL};
		const size_t before = rig_store_rows(&rig.store, 'L');
		rig_publish(&rig, &m);
		stored += rig_store_rows(&rig.store, 'L') < before;
	}
	CU_ASSERT(stored == MANY);
	rig_run(&rig);
	CU_ASSERT(rig_store_rows(&rig.store, 'D') == 0);
	rig_fini(&rig);
}

/* Wills that were heard, and are said again as their STOREs, for the first session's queue. */
struct echo {
	uint64_t will[WILLS_MAX];
	uint32_t count;
};

static void hear_will(void *owner, uint32_t worker, const struct sessions_effect *e)
{
	struct echo *echo = (struct echo *)owner;

	(void)worker;
	if (e->type == SHM_EVENT_PUBLISH && echo->count < WILLS_MAX)
		echo->will[echo->count++] = e->publish.session;
}

/* All that come in one second; how many there were. */
static uint32_t echo_wills(struct echo *echo)
{
	uint32_t sum = 0;

	do {
		rig_run(&rig);
		(void)rig_said(&rig);
		sum += echo->count;
		while (echo->count > 0) {
			const struct rig_store_work m = {.targets = {1},
				.qos = 1,
				.topic = "w",
				.payload = "x",
				.will = echo->will[--echo->count],
				.flags = SHM_WORK_WILL};
			CU_ASSERT(rig_publish(&rig, &m) == SESSIONS_TAKEN);
		}
		rig_run(&rig);
		(void)rig_said(&rig);
	} while (echo->count > 0);
	return sum;
}

/* A full queue and clients who die on it again and again: what comes again is bounded, the rest
 * goes without that queue, and nothing that was taken is lost. */
static void wills_for_a_full_queue_are_bounded(void)
{
	enum { BEYOND = 5 };
	struct echo echo = {.count = 0};

	rig_init(&rig);
	rig.config.sessions_max = 1;
	const struct rig_who reader = {.index = 9999, .client = "reader", .expiry_s = 1000};
	CU_ASSERT(rig_connect(&rig, &reader) != 0 && rig_ready(&rig).session == 1);
	publish(1, "taken");
	rig.config.queue_messages_max = 1;
	connect_many(WILLS_REFUSED_MAX + BEYOND, "w=x");
	rig.heard = hear_will;
	rig.owner = &echo;
	rig_restart(&rig, 0, true);
	CU_ASSERT_EQUAL(echo_wills(&echo), WILLS_REFUSED_MAX + BEYOND);
	CU_ASSERT_EQUAL(rig_store_rows(&rig.store, 'L'), WILLS_REFUSED_MAX);
	CU_ASSERT_EQUAL(rig_store_rows(&rig.store, 'D'), WILLS_REFUSED_MAX + 1); /* its expiry */
	CU_ASSERT_EQUAL(counter_get(&rig.counters, COUNTER_WILLS_CUT), BEYOND);
	CU_ASSERT_EQUAL(echo_wills(&echo), 0);
	rig.now.us += REFUSED_RETRY_US;
	CU_ASSERT_EQUAL(echo_wills(&echo), WILLS_REFUSED_MAX);
	CU_ASSERT_EQUAL(counter_get(&rig.counters, COUNTER_WILLS_CUT), BEYOND);
	CU_ASSERT_EQUAL(rig_store_rows(&rig.store, 'Q'), 1);
	/* Room: they are all there. */
	rig.config.queue_messages_max = 2 * WILLS_REFUSED_MAX;
	rig.now.us += REFUSED_RETRY_US;
	CU_ASSERT_EQUAL(echo_wills(&echo), WILLS_REFUSED_MAX);
	CU_ASSERT_EQUAL(rig_store_rows(&rig.store, 'Q'), 1 + WILLS_REFUSED_MAX);
	CU_ASSERT_EQUAL(rig_store_rows(&rig.store, 'L') + rig_store_rows(&rig.store, 'D'), 1);
	rig_fini(&rig);
}

static void a_long_queue_is_swept_in_pieces(void)
{
	rig_init(&rig);
	connect_many(1, NULL);
	for (int i = 0; i < MANY; i++)
		publish(1, "x");
	rig_run(&rig);
	CU_ASSERT(rig_store_rows(&rig.store, 'Q') == MANY);
	rig_restart(&rig, 0, true);
	rig_run(&rig);
	rig.now.wall_ms += 50000;
	rig_run(&rig);
	for (const char *kind = "SQBRGFP"; *kind != '\0'; kind++)
		CU_ASSERT(rig_store_rows(&rig.store, (uint8_t)*kind) == 0);
	rig_fini(&rig);
}

static void a_large_message_comes_from_the_store(void)
{
	char *payload = malloc(LARGE + 1);
	struct sessions_effect e;

	CU_ASSERT_FATAL(payload != NULL);
	memset(payload, 'x', LARGE);
	payload[LARGE] = '\0';
	rig_init(&rig);
	connect_many(1, NULL);
	publish(1, payload);
	rig_restart(&rig, 1, true);
	rig_run(&rig);
	(void)rig_said(&rig);
	const struct rig_who who = {.index = 7, .client = "c0", .expiry_s = 50};
	rig_connect(&rig, &who);
	rig_run(&rig);
	(void)rig_said(&rig);
	struct sessions_ready ready;
	CU_ASSERT(sessions_next_ready(rig.s, &ready) && ready.present);
	CU_ASSERT_FATAL(sessions_next(rig.s, 0, &e, rig.now));
	struct parcel p;
	CU_ASSERT(e.type == SHM_EVENT_DELIVER && e.deliver.text_size > LARGE);
	CU_ASSERT(parcel_decode(e.text[1], &p) == ERR_NONE && p.payload.size == LARGE);
	CU_ASSERT(memcmp(p.payload.at, payload, LARGE) == 0);
	CU_ASSERT(p.born_ms == rig.now.wall_ms);
	sessions_took(rig.s, 0);
	rig_fini(&rig);
	free(payload);
}

/* Those whom nobody needs leave the memory, and nothing else. */
static void few_sessions_are_in_memory(void)
{
	rig_init(&rig);
	connect_many(20, NULL);
	rig_restart(&rig, 0, true);
	rig.s->idle_max = 3;
	rig_run(&rig);
	for (uint64_t id = 1; id <= 20; id++) {
		publish(id, "x");
		publish(id, "y");
		rig_run(&rig);
		CU_ASSERT(rig.s->idle_count <= 4);
	}
	(void)rig_said(&rig);
	for (uint32_t i = 0; i < 20; i++) {
		char name[16];
		snprintf(name, sizeof(name), "c%u", i);
		const struct rig_who who = {.index = i, .client = name, .expiry_s = 50};
		rig_connect(&rig, &who);
		CU_ASSERT(rig_ready(&rig).session == i + 1);
	}
	const char *said = rig_said(&rig);
	CU_ASSERT(times(said, "q1:t=x") == 20 && times(said, "q1:t=y") == 20);
	rig_fini(&rig);
}

/* A window never spans more numbers than there are packet ids. */
static void packet_ids_do_not_meet(void)
{
	rig_init(&rig);
	connect_many(1, NULL);
	publish(1, "old");
	rig_run(&rig);
	struct stored *st = stored_find(rig.s, 1);
	CU_ASSERT_FATAL(st != NULL);
	st->next = st->cursor = st->record.entries = 1 + PACKET_IDS; /* 65,534 were settled */
	publish(1, "new");
	rig_run(&rig);
	CU_ASSERT(times(rig_said(&rig), "t=new") == 0);
	const struct shm_work settled = {.session = 1, .entry = 1};
	rig_work(&rig, 0, SHM_COMMAND_SETTLED, settled, NULL);
	rig_run(&rig);
	CU_ASSERT(times(rig_said(&rig), "#65536q1:t=new") == 1);
	rig_fini(&rig);
}

/* However many there are that its worker has not heard of. */
static void a_refusal_is_known_until_it_was_heard(void)
{
	const struct rig_store_work first = {
		.worker = 1, .targets = {1}, .qos = 1, .topic = "t", .payload = "x", .sequence = 1};

	rig_init(&rig);
	connect_many(1, NULL);
	rig.config.queue_messages_max = 0;
	for (int i = 0; i < 2 * SHM_RING_SLOTS; i++)
		publish(1, "x");
	CU_ASSERT(rig_store_rows(&rig.store, 'X') == 2 * SHM_RING_SLOTS);
	rig_restart(&rig, 10000, false);
	rig_publish(&rig, &first);
	rig_run(&rig);
	CU_ASSERT_STRING_EQUAL(rig_said(&rig), "1:refused1=QUEUE_FULL 1:done1");
	/* They do not stay for ever. */
	for (int i = 0; i < 5 * SHM_RING_SLOTS; i++) {
		publish(1, "x");
		rig_run(&rig);
		(void)rig_said(&rig);
	}
	CU_ASSERT(rig_store_rows(&rig.store, 'X') <= 2 * SHM_RING_SLOTS);
	rig_fini(&rig);
}

static void what_was_declined_may_expire(void)
{
	const struct rig_store_work m = {
		.worker = 1, .targets = {1}, .qos = 1, .topic = "t", .payload = "x", .expiry_s = 1};
	const struct shm_declined d = {.entry = 1, .connection = {0, 1}};

	rig_init(&rig);
	connect_many(1, NULL);
	rig_publish(&rig, &m);
	rig_run(&rig);
	sessions_declined(rig.s, 0, &d, rig.now);
	publish(1, "y");
	rig.now.wall_ms += 1000;
	rig.now.us += 5000;
	(void)rig_said(&rig);
	rig_run(&rig);
	CU_ASSERT_STRING_EQUAL(rig_said(&rig), "0:deliver@0#2q1:t=y 1:done2");
	CU_ASSERT(rig_store_rows(&rig.store, 'Q') == 1);
	rig_fini(&rig);
}

static void a_batch_that_fails_is_the_end(void)
{
	bool worked;

	rig_init(&rig);
	connect_many(1, NULL);
	publish(1, "x");
	rig.store.fail_later = ERR_STORAGE_IO;
	rig.store.allowed = 1;
	CU_ASSERT(sessions_poll(rig.s, rig.now, &worked) == ERR_STORAGE_IO);
	CU_ASSERT(sessions_poll(rig.s, rig.now, &worked) == ERR_STORAGE_IO);
	rig_hear(&rig, 0);
	rig_hear(&rig, 1);
	CU_ASSERT_STRING_EQUAL(rig_said(&rig), "");
	rig_fini(&rig);
}

static void a_table_is_what_an_array_would_be(void)
{
	struct table t = {0};
	struct rng rng = rng_from(unit_seed());
	uint64_t expected[KEYS + 1] = {0};
	uint32_t count = 0;

	for (int i = 0; i < 100000; i++) {
		const uint64_t key = 1 + rng_below(&rng, KEYS);
		struct table_slot *slot = table_find(&t, key << 20);
		CU_ASSERT((slot != NULL) == (expected[key] != 0));
		CU_ASSERT(slot == NULL || slot->number == expected[key]);
		if (rng_below(&rng, 2) == 0) {
			count -= expected[key] != 0;
			expected[key] = 0;
			table_remove(&t, key << 20);
		} else {
			slot = table_put(&t, key << 20);
			CU_ASSERT_FATAL(slot != NULL);
			count += expected[key] == 0;
			expected[key] = slot->number = 1 + rng_below(&rng, 1000);
		}
		CU_ASSERT(t.count == count);
	}
	table_fini(&t);
}

static void the_oldest_bodies_leave_the_cache(void)
{
	static struct bodies c;
	const size_t size = 1 << 20;

	for (uint64_t id = 1; id <= 100; id++) {
		struct body *b = body_create(size);
		CU_ASSERT_FATAL(b != NULL);
		bodies_add(&c, id * 2, b); /* some ids are not here */
		body_put(&b);
		CU_ASSERT(c.bytes <= BODIES_BYTES_MAX);
	}
	CU_ASSERT(bodies_find(&c, 200) != NULL && bodies_find(&c, 199) == NULL);
	CU_ASSERT(bodies_find(&c, 2) == NULL);
	bodies_remove(&c, 200);
	CU_ASSERT(bodies_find(&c, 200) == NULL);
	struct body *far = body_create(1), *huge = body_create(BODIES_BYTES_MAX);
	CU_ASSERT_FATAL(far != NULL && huge != NULL);
	bodies_add(&c, 1000000, far);
	bodies_add(&c, 1000001, huge);
	CU_ASSERT(bodies_find(&c, 1000000) == far && bodies_find(&c, 1000001) == NULL);
	CU_ASSERT(c.bytes == far->size);
	bodies_fini(&c);
	CU_ASSERT(far->refs == 1);
	body_put(&far);
	body_put(&huge);
}

static const struct unit_test tests[] = {
	{"many_are_swept_and_expire_in_pieces", many_are_swept_and_expire_in_pieces},
	{"many_wills_go_a_portion_at_a_time", many_wills_go_a_portion_at_a_time},
	{"wills_for_a_full_queue_are_bounded", wills_for_a_full_queue_are_bounded},
	{"a_long_queue_is_swept_in_pieces", a_long_queue_is_swept_in_pieces},
	{"a_large_message_comes_from_the_store", a_large_message_comes_from_the_store},
	{"few_sessions_are_in_memory", few_sessions_are_in_memory},
	{"packet_ids_do_not_meet", packet_ids_do_not_meet},
	{"a_refusal_is_known_until_it_was_heard", a_refusal_is_known_until_it_was_heard},
	{"what_was_declined_may_expire", what_was_declined_may_expire},
	{"a_batch_that_fails_is_the_end", a_batch_that_fails_is_the_end},
	{"a_table_is_what_an_array_would_be", a_table_is_what_an_array_would_be},
	{"the_oldest_bodies_leave_the_cache", the_oldest_bodies_leave_the_cache},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("sessions_scale", tests, argc, argv);
}
