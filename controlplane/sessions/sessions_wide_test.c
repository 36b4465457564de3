/* sessions_wide_test.c - what concerns all workers, and what time brings: replicas, loading,
 * retained values, wills. */
#include "dataplane/shm/owner.h"
#include "tests/unit/sessions_rig.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static struct rig rig;

static void said(const char *expected, int line)
{
	const char *s = rig_said(&rig);

	if (strcmp(s, expected) != 0) {
		printf("# line %d: \"%s\"\n#     not \"%s\"\n", line, s, expected);
		CU_ASSERT(false);
	}
}

#define SAID(text) said(text, __LINE__)

static const struct rig_who anna = {.index = 1, .client = "anna", .expiry_s = 100};

static void with(const struct rig_who *who)
{
	rig_init(&rig);
	rig_connect(&rig, who);
	(void)rig_ready(&rig);
	rig_said(&rig);
}

static void join(const struct rig_who *who)
{
	rig_connect(&rig, who);
	CU_ASSERT(rig_ready(&rig).err == ERR_NONE);
}

static void leave(uint64_t session, uint64_t epoch, uint8_t flags)
{
	const struct shm_work ended = {.session = session, .epoch = epoch, .flags = flags};

	rig_work(&rig, 0, SHM_COMMAND_ENDED, ended, NULL);
	rig_run(&rig);
}

static void filter(enum shm_command type, const char *text, uint64_t sequence)
{
	const struct shm_work w = {
		.sequence = sequence, .session = 1, .qos = 1, .identifier = 5, .flags = 1};

	rig_work(&rig, 0, type, w, text);
}

static uint32_t token_of(uint32_t worker)
{
	struct sessions_effect e;

	CU_ASSERT_FATAL(sessions_next(rig.s, worker, &e, rig.now));
	sessions_took(rig.s, worker);
	CU_ASSERT(e.type == SHM_EVENT_QUEUE_SUBSCRIBE || e.type == SHM_EVENT_QUEUE_UNSUBSCRIBE);
	return e.replica.token;
}

static void answer(uint32_t worker, uint32_t token, enum err e)
{
	const struct shm_applied a = {.token = token, .err = (uint32_t)e};

	sessions_applied(rig.s, worker, &a);
}

static void a_subscription_is_done_when_all_have_it(void)
{
	with(&anna);
	rig.silent = true;
	filter(SHM_COMMAND_SUBSCRIBE, "a/+", 0);
	const uint32_t token = token_of(0);
	CU_ASSERT(token_of(1) == token);
	answer(0, token, ERR_NONE);
	answer(0, token, ERR_NONE); /* once counts */
	rig_run(&rig);
	SAID("");
	answer(1, token, ERR_NONE);
	rig_run(&rig);
	SAID("0:done1");
	CU_ASSERT(rig_store_rows(&rig.store, 'F') == 1);
	rig_fini(&rig);
}

static void a_subscription_waits_for_the_disk_too(void)
{
	with(&anna);
	filter(SHM_COMMAND_SUBSCRIBE, "a", 0);
	rig_hear(&rig, 0);
	rig_hear(&rig, 1);
	rig_hear(&rig, 0);
	SAID("0:sub1=a 1:sub1=a");
	rig_run(&rig);
	SAID("0:done1");
	rig_fini(&rig);
}

static void without_room_it_is_taken_back_everywhere(void)
{
	with(&anna);
	rig.silent = true;
	filter(SHM_COMMAND_SUBSCRIBE, "a", 0);
	const uint32_t token = token_of(0);
	CU_ASSERT(token_of(1) == token);
	answer(0, token, ERR_NONE);
	answer(1, token, ERR_FILTER_TABLE_FULL);
	rig_run(&rig);
	SAID("0:unsub1=a 0:refused1=FILTER_TABLE_FULL 0:done1 1:unsub1=a");
	CU_ASSERT(rig_store_rows(&rig.store, 'F') == 0);
	rig_restart(&rig, 0, false);
	filter(SHM_COMMAND_SUBSCRIBE, "a", 1);
	rig_run(&rig);
	SAID("0:refused1=FILTER_TABLE_FULL 0:done1");
	rig_fini(&rig);
}

static void an_unsubscription_is_stored_before_it_is_told(void)
{
	with(&anna);
	filter(SHM_COMMAND_SUBSCRIBE, "a", 0);
	rig_run(&rig);
	rig_said(&rig);
	filter(SHM_COMMAND_UNSUBSCRIBE, "a", 0);
	rig_hear(&rig, 0);
	rig_hear(&rig, 1);
	SAID("");
	rig_run(&rig);
	SAID("0:unsub1=a 1:unsub1=a 0:done2");
	filter(SHM_COMMAND_UNSUBSCRIBE, "a", 0);
	rig_run(&rig);
	SAID("0:refused3=NOT_SUBSCRIBED 0:done3");
	rig_fini(&rig);
}

static void workers_hear_of_a_filter_in_order(void)
{
	with(&anna);
	filter(SHM_COMMAND_SUBSCRIBE, "a", 0);
	rig_run(&rig);
	rig_said(&rig);
	filter(SHM_COMMAND_UNSUBSCRIBE, "a", 0);
	filter(SHM_COMMAND_SUBSCRIBE, "a", 0);
	rig_run(&rig);
	SAID("0:unsub1=a 0:sub1=a 1:unsub1=a 1:sub1=a 0:done3");
	CU_ASSERT(rig_store_rows(&rig.store, 'F') == 1);
	rig_fini(&rig);
}

/* Asked for twice, and the first time there was no room. */
static void the_last_word_on_a_filter_stands(void)
{
	with(&anna);
	rig.silent = true;
	filter(SHM_COMMAND_SUBSCRIBE, "a", 0);
	filter(SHM_COMMAND_SUBSCRIBE, "a", 0);
	const uint32_t first = token_of(0), second = token_of(0);
	CU_ASSERT(token_of(1) == first && token_of(1) == second);
	answer(0, first, ERR_FILTER_TABLE_FULL);
	answer(1, first, ERR_NONE);
	answer(0, second, ERR_NONE);
	answer(1, second, ERR_NONE);
	rig_run(&rig);
	SAID("0:refused1=FILTER_TABLE_FULL 0:done2");
	CU_ASSERT(rig_store_rows(&rig.store, 'F') == 1);
	rig_fini(&rig);
	/* And when there is none for either: nothing is left. */
	with(&anna);
	rig.silent = true;
	filter(SHM_COMMAND_SUBSCRIBE, "a", 0);
	filter(SHM_COMMAND_SUBSCRIBE, "a", 0);
	for (uint32_t w = 0; w < RIG_WORKERS; w++) {
		answer(w, token_of(w), ERR_FILTER_TABLE_FULL);
		answer(w, token_of(w), ERR_FILTER_TABLE_FULL);
	}
	rig_run(&rig);
	SAID("0:unsub1=a 0:refused1=FILTER_TABLE_FULL 0:refused2=FILTER_TABLE_FULL 0:done2 "
	     "1:unsub1=a");
	CU_ASSERT(rig_store_rows(&rig.store, 'F') == 0);
	rig_fini(&rig);
}

static void repeated_filters_are_told_again(void)
{
	with(&anna);
	rig.silent = true;
	filter(SHM_COMMAND_SUBSCRIBE, "a", 0);
	filter(SHM_COMMAND_SUBSCRIBE, "b", 0);
	filter(SHM_COMMAND_UNSUBSCRIBE, "b", 0);
	rig_run(&rig);
	rig_restart(&rig, 0, false);
	rig_said(&rig);
	rig.silent = false;
	filter(SHM_COMMAND_SUBSCRIBE, "a", 1);
	filter(SHM_COMMAND_SUBSCRIBE, "b", 2); /* it is no more */
	filter(SHM_COMMAND_UNSUBSCRIBE, "b", 3);
	rig_run(&rig);
	SAID("0:sub1=a 0:unsub1=b 1:sub1=a 1:unsub1=b 0:done3");
	rig_fini(&rig);
}

static void retain(const char *topic, const char *payload, uint32_t expiry_s)
{
	const struct rig_store_work m = {
		.topic = topic, .payload = payload, .flags = SHM_WORK_RETAIN, .expiry_s = expiry_s};

	rig_publish(&rig, &m);
}

static void a_new_dataplane_is_told_everything(void)
{
	char expected[256];

	with(&anna);
	filter(SHM_COMMAND_SUBSCRIBE, "a", 0);
	filter(SHM_COMMAND_SUBSCRIBE, "b/#", 0);
	retain("x", "1", 0);
	retain("y", "2", 0);
	retain("y", "", 0);
	retain("z", "3", 2);
	rig_run(&rig);
	leave(1, rig.epoch, 0);
	rig_restart(&rig, 100, true);
	rig.now.wall_ms += 2000; /* z is over */
	CU_ASSERT(!sessions_loaded(rig.s));
	rig_said(&rig);
	rig_run(&rig);
	const bool zero = topic_owner(span_str("x"), RIG_WORKERS) == 0;
	snprintf(expected, sizeof(expected),
		"0:sub1=a 0:sub1=b/# %s0:loaded 1:sub1=a 1:sub1=b/# %s1:loaded",
		zero ? "0:retained:x=1 " : "", zero ? "" : "1:retained:x=1 ");
	SAID(expected);
	CU_ASSERT(sessions_loaded(rig.s));
	rig_fini(&rig);
}

static void many_filters_are_loaded_in_pieces(void)
{
	const char *text;
	unsigned count = 0;

	with(&anna);
	for (int i = 0; i < 200; i++) {
		char name[16];
		snprintf(name, sizeof(name), "f%d", i);
		filter(SHM_COMMAND_SUBSCRIBE, name, 0);
		rig_run(&rig);
		rig_said(&rig);
	}
	rig_restart(&rig, 0, true);
	rig_run(&rig);
	text = rig_said(&rig);
	for (const char *at = text; (at = strstr(at, "sub1=")) != NULL; at++)
		count++;
	CU_ASSERT(count == 400);
	rig_fini(&rig);
}

/* Those that hang on a session that has ended and is not swept yet. */
static void the_dead_are_not_loaded(void)
{
	with(&anna);
	filter(SHM_COMMAND_SUBSCRIBE, "a", 0);
	rig_run(&rig);
	const struct shm_work over = {
		.session = 1, .epoch = rig.epoch, .flags = SHM_WORK_EXPIRY, .expiry_s = 0};
	rig_work(&rig, 0, SHM_COMMAND_ENDED, over, NULL);
	rig_restart(&rig, 100, true);
	CU_ASSERT(rig_store_rows(&rig.store, 'F') == 1);
	rig_said(&rig);
	rig_run(&rig);
	SAID("0:loaded 1:loaded");
	CU_ASSERT(rig_store_rows(&rig.store, 'F') == 0);
	rig_fini(&rig);
}

static void store_will(uint64_t will, uint8_t expect)
{
	const struct rig_store_work m = {
		.topic = "w", .payload = "gone", .will = will, .flags = SHM_WORK_WILL};

	rig_publish(&rig, &m);
	rig_run(&rig);
	CU_ASSERT(rig_store_rows(&rig.store, 'L') == expect);
}

static const struct rig_who willing = {
	.index = 1, .client = "anna", .expiry_s = 100, .will = "w=gone", .will_delay_s = 10};

static void a_will_is_published_after_its_delay(void)
{
	with(&willing);
	leave(1, rig.epoch, 0);
	SAID("0:place1@none 0:done1 1:place1@none");
	rig.now.wall_ms += 9999;
	rig_run(&rig);
	SAID("");
	rig.now.wall_ms += 1;
	rig_run(&rig);
	SAID("0:publish2:w=gone");
	rig.now.wall_ms += 1000;
	rig_run(&rig);
	SAID(""); /* once */
	store_will(2, 0);
	SAID("0:done2");
	rig_run(&rig);
	CU_ASSERT(rig_store_rows(&rig.store, 'D') == 1); /* the session's */
	store_will(2, 0);
	CU_ASSERT(counter_get(&rig.counters, COUNTER_PUBLISH_DUPLICATES) == 1);
	rig_fini(&rig);
}

static void a_will_is_void_after_a_farewell(void)
{
	with(&willing);
	leave(1, rig.epoch, SHM_WORK_NO_WILL);
	rig.now.wall_ms += 20000;
	rig_said(&rig);
	rig_run(&rig);
	SAID("");
	CU_ASSERT(rig_store_rows(&rig.store, 'L') == 0);
	rig_fini(&rig);
}

static void a_client_that_is_back_in_time_has_no_will(void)
{
	with(&willing);
	leave(1, rig.epoch, 0);
	rig.now.wall_ms += 9999;
	join(&anna);
	rig_said(&rig);
	rig.now.wall_ms += 20000;
	rig_run(&rig);
	SAID("");
	CU_ASSERT(rig_store_rows(&rig.store, 'L') + rig_store_rows(&rig.store, 'D') == 0);
	rig_fini(&rig);
}

static void a_will_that_is_due_is_due_whoever_comes(void)
{
	struct rig_who at_once = willing;

	at_once.will_delay_s = 0;
	with(&at_once);
	sessions_gone(rig.s, 1, rig.epoch, rig.now);
	join(&willing);
	SAID("0:place1@none 0:place1@0.1 0:publish2:w=gone 1:place1@none 1:place1@0.1");
	store_will(2, 1); /* the new one's is there */
	rig_fini(&rig);
}

static void a_clock_that_goes_back_makes_no_will_void(void)
{
	struct rig_who at_once = willing;

	at_once.will_delay_s = 0;
	with(&at_once);
	sessions_gone(rig.s, 1, rig.epoch, rig.now);
	rig.now.wall_ms -= 7000;
	join(&willing);
	SAID("0:place1@none 0:place1@0.1 0:publish2:w=gone 1:place1@none 1:place1@0.1");
	store_will(2, 1);
	rig_fini(&rig);
}

static void a_session_that_ends_takes_its_will_along(void)
{
	struct rig_who clean = anna;

	with(&willing);
	leave(1, rig.epoch, 0);
	rig_said(&rig);
	clean.clean = true;
	join(&clean);
	SAID("0:gone1 0:place3@0.1 0:publish2:w=gone 1:gone1 1:place3@0.1");
	rig_fini(&rig);
}

static void a_clean_client_may_have_a_will(void)
{
	const struct rig_who clean = {
		.index = 4, .client = "c", .clean = true, .will = "w=gone", .will_delay_s = 10};

	rig_init(&rig);
	rig_connect(&rig, &clean);
	const struct sessions_ready ready = rig_ready(&rig);
	CU_ASSERT(ready.session == 1 && !ready.durable && !ready.present);
	CU_ASSERT(counter_get(&rig.counters, COUNTER_STORED_SESSIONS) == 0);
	leave(1, rig.epoch, 0);
	SAID("0:publish2:w=gone 0:done1"); /* its session ends with it, so it does not wait */
	store_will(2, 0);
	CU_ASSERT(rig_store_rows(&rig.store, 'S') + rig_store_rows(&rig.store, 'I') == 0);
	rig_fini(&rig);
}

static void a_declined_will_comes_again(void)
{
	const struct shm_declined d = {.session = 2};

	with(&willing);
	leave(1, rig.epoch, 0);
	rig.now.wall_ms += 10000;
	rig_run(&rig);
	rig_said(&rig);
	sessions_declined(rig.s, 0, &d, rig.now);
	sessions_declined(rig.s, 0, &d, rig.now);
	rig_run(&rig);
	SAID("");
	CU_ASSERT(sessions_next_us(rig.s, rig.now) == rig.now.us + 5000);
	rig.now.us += 5000;
	rig_run(&rig);
	SAID("0:publish2:w=gone");
	rig_fini(&rig);
}

static void a_will_survives_both_planes(void)
{
	with(&willing);
	rig_restart(&rig, 0, true); /* it was connected */
	rig_said(&rig);
	rig_run(&rig);
	SAID("0:loaded 1:loaded 0:place1@none 1:place1@none");
	rig_restart(&rig, 0, true);
	rig_run(&rig);
	rig.now.wall_ms += 10000;
	rig_said(&rig);
	rig_run(&rig);
	SAID("0:publish2:w=gone");
	/* The dataplane dies with it: the next one gets it. */
	rig_restart(&rig, 0, true);
	rig_run(&rig);
	SAID("0:loaded 1:loaded 0:publish2:w=gone");
	store_will(2, 0);
	rig_restart(&rig, 0, true);
	rig_said(&rig);
	rig_run(&rig);
	SAID("0:loaded 1:loaded");
	rig_fini(&rig);
}

static void a_will_on_its_way_is_not_sent_twice(void)
{
	with(&willing);
	leave(1, rig.epoch, 0);
	rig.now.wall_ms += 10000;
	rig_run(&rig);
	const struct rig_store_work m = {
		.topic = "w", .payload = "gone", .will = 2, .flags = SHM_WORK_WILL};
	rig_restart(&rig, 0, false);
	rig_said(&rig);
	rig_run(&rig); /* not before all is said again */
	SAID("");
	rig_publish(&rig, &m);
	sessions_resynced(rig.s, 0, rig.now);
	sessions_resynced(rig.s, 1, rig.now);
	rig_run(&rig);
	SAID("0:done2");
	rig_fini(&rig);
}

static void the_clock_may_jump(void)
{
	with(&willing);
	leave(1, rig.epoch, 0);
	rig.now.wall_ms += 10000;
	rig_run(&rig);
	rig_said(&rig);
	rig.now.wall_ms -= 900000;
	rig_run(&rig);
	join(&willing);
	SAID("0:place1@0.1 1:place1@0.1");
	store_will(2, 1);
	rig.now.wall_ms = 0;
	leave(1, rig.epoch, 0);
	rig_said(&rig);
	rig.now.wall_ms = UINT64_MAX / 2;
	rig_run(&rig);
	SAID("0:publish3:w=gone 0:gone1 1:gone1");
	rig.now.wall_ms = 5;
	rig_run(&rig);
	SAID("");
	rig_fini(&rig);
}

static void resynced(void)
{
	sessions_resynced(rig.s, 0, rig.now);
	sessions_resynced(rig.s, 1, rig.now);
	rig_run(&rig);
}

/* We die before the worker has heard of its CONNECT, and it is asked again. */
static void a_connect_asked_again_is_the_same(void)
{
	struct rig_who again = willing;

	again.again = true;
	for (int sweeps = 0; sweeps < 2; sweeps++) {
		rig_init(&rig);
		rig_connect(&rig, &willing);
		rig_run(&rig);
		rig_restart(&rig, 0, false);
		rig_said(&rig);
		sessions_expect(rig.s, sweeps == 0);
		resynced();
		rig_connect(&rig, &again);
		const struct sessions_ready ready = rig_ready(&rig);
		CU_ASSERT(ready.present == (sweeps != 0)); /* it has disconnected meanwhile */
		CU_ASSERT(ready.session == 1 && ready.durable);
		CU_ASSERT(rig_store_rows(&rig.store, 'L') == 1);
		CU_ASSERT(rig_store_rows(&rig.store, 'D') == 0);
		rig.now.wall_ms += 20000;
		rig_run(&rig);
		rig_said(&rig);
		leave(1, rig.epoch, 0);
		rig.now.wall_ms += 10000;
		rig_run(&rig);
		CU_ASSERT(strstr(rig_said(&rig), "publish") != NULL);
		rig_fini(&rig);
	}
}

/* Who was there before is present all the same, and a clean start is not made twice. */
static void what_it_was_answered_is_kept(void)
{
	struct rig_who again = willing;

	with(&willing);
	leave(1, rig.epoch, 0);
	rig_connect(&rig, &willing);
	rig_run(&rig);
	rig_restart(&rig, 0, false);
	sessions_expect(rig.s, true);
	resynced();
	again.again = true;
	rig_connect(&rig, &again);
	CU_ASSERT(rig_ready(&rig).present);
	leave(1, rig.epoch, 0);
	again.again = false;
	again.clean = true;
	rig_connect(&rig, &again);
	rig_run(&rig);
	rig_restart(&rig, 0, false);
	sessions_expect(rig.s, true);
	resynced();
	again.again = true;
	rig_connect(&rig, &again);
	const struct sessions_ready ready = rig_ready(&rig);
	CU_ASSERT(!ready.present && rig_store_rows(&rig.store, 'S') == 1);
	CU_ASSERT(ready.session == 4097); /* the first number of the one before us */
	rig_fini(&rig);
}

/* Its number may have been that of another connection, of another dataplane or worker. */
static void another_connection_is_not_the_same(void)
{
	for (int i = 0; i < 4; i++) {
		struct rig_who again = willing;
		rig_init(&rig);
		rig_connect(&rig, &willing);
		rig_run(&rig);
		rig_restart(&rig, 0, i == 0);
		sessions_expect(rig.s, true);
		rig_run(&rig);
		resynced();
		again.again = i != 3;
		again.index += i == 1;
		again.worker += i == 2;
		rig_connect(&rig, &again);
		CU_ASSERT(rig_ready(&rig).present);
		rig_fini(&rig);
	}
}

/* Else it would look like the one before to whoever comes after us. */
static void nobody_is_loaded_before_it_is_counted(void)
{
	with(&willing);
	rig_restart(&rig, 0, true);
	rig_hear(&rig, 0);
	CU_ASSERT(strstr(rig_said(&rig), "loaded") == NULL);
	rig_run(&rig);
	CU_ASSERT(strstr(rig_said(&rig), "loaded") != NULL);
	rig_fini(&rig);
}

static void a_bad_will_is_not_let_in(void)
{
	const struct sessions_connect c = {.client_id = span_str("x"),
		.receive_max = 1,
		.session_expiry_s = 1,
		.will = span_str("no parcel at all, and long enough for its head")};

	rig_init(&rig);
	CU_ASSERT(sessions_connect(rig.s, &c, rig.now) == SESSIONS_TAKEN);
	CU_ASSERT(rig_ready(&rig).err == ERR_SLOT_BAD);
	rig_fini(&rig);
}

static const struct unit_test tests[] = {
	{"a_subscription_is_done_when_all_have_it", a_subscription_is_done_when_all_have_it},
	{"a_subscription_waits_for_the_disk_too", a_subscription_waits_for_the_disk_too},
	{"without_room_it_is_taken_back_everywhere", without_room_it_is_taken_back_everywhere},
	{"an_unsubscription_is_stored_before_it_is_told",
		an_unsubscription_is_stored_before_it_is_told},
	{"workers_hear_of_a_filter_in_order", workers_hear_of_a_filter_in_order},
	{"the_last_word_on_a_filter_stands", the_last_word_on_a_filter_stands},
	{"repeated_filters_are_told_again", repeated_filters_are_told_again},
	{"a_new_dataplane_is_told_everything", a_new_dataplane_is_told_everything},
	{"many_filters_are_loaded_in_pieces", many_filters_are_loaded_in_pieces},
	{"the_dead_are_not_loaded", the_dead_are_not_loaded},
	{"a_will_is_published_after_its_delay", a_will_is_published_after_its_delay},
	{"a_will_is_void_after_a_farewell", a_will_is_void_after_a_farewell},
	{"a_client_that_is_back_in_time_has_no_will", a_client_that_is_back_in_time_has_no_will},
	{"a_will_that_is_due_is_due_whoever_comes", a_will_that_is_due_is_due_whoever_comes},
	{"a_clock_that_goes_back_makes_no_will_void", a_clock_that_goes_back_makes_no_will_void},
	{"a_session_that_ends_takes_its_will_along", a_session_that_ends_takes_its_will_along},
	{"a_clean_client_may_have_a_will", a_clean_client_may_have_a_will},
	{"a_declined_will_comes_again", a_declined_will_comes_again},
	{"a_will_survives_both_planes", a_will_survives_both_planes},
	{"a_will_on_its_way_is_not_sent_twice", a_will_on_its_way_is_not_sent_twice},
	{"the_clock_may_jump", the_clock_may_jump},
	{"a_connect_asked_again_is_the_same", a_connect_asked_again_is_the_same},
	{"what_it_was_answered_is_kept", what_it_was_answered_is_kept},
	{"another_connection_is_not_the_same", another_connection_is_not_the_same},
	{"nobody_is_loaded_before_it_is_counted", nobody_is_loaded_before_it_is_counted},
	{"a_bad_will_is_not_let_in", a_bad_will_is_not_let_in},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("sessions_wide", tests, argc, argv);
}
