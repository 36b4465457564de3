/* sessions_test.c - what survives, rule by rule: connections, queues, deliveries, work. */
#include "tests/unit/sessions_rig.h"
#include "tests/unit/unit.h"

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
static const struct rig_who bert = {.worker = 1, .index = 2, .client = "bert", .expiry_s = 100};

static struct sessions_ready join(const struct rig_who *who)
{
	rig_connect(&rig, who);
	const struct sessions_ready ready = rig_ready(&rig);
	CU_ASSERT(ready.token == who->index);
	return ready;
}

/* The connection of a session ends, as its worker says. */
static void leave(uint32_t worker, uint64_t session, uint64_t epoch, uint8_t flags)
{
	const struct shm_work ended = {.session = session, .epoch = epoch, .flags = flags};

	rig_work(&rig, worker, SHM_COMMAND_ENDED, ended, NULL);
	rig_run(&rig);
}

static void settle(uint32_t worker, uint64_t session, uint64_t entry)
{
	const struct shm_work settled = {.session = session, .entry = entry};

	rig_work(&rig, worker, SHM_COMMAND_SETTLED, settled, NULL);
}

static void publish(uint64_t to, uint8_t qos, const char *payload)
{
	const struct rig_store_work m = {
		.worker = 1, .targets = {to}, .qos = qos, .topic = "t", .payload = payload};

	CU_ASSERT(rig_publish(&rig, &m) == SESSIONS_TAKEN);
}

/* anna is connected as session 1, and nothing is left to be heard. */
static void with_anna(const struct rig_who *who)
{
	rig_init(&rig);
	join(who);
	rig_said(&rig);
}

static void a_message_waits_for_its_client(void)
{
	rig_init(&rig);
	struct sessions_ready ready = join(&anna);
	CU_ASSERT(ready.err == ERR_NONE && ready.session == 1 && ready.durable && !ready.present);
	SAID("0:place1@0.1 1:place1@0.1");
	leave(0, 1, rig.epoch, 0);
	SAID("0:place1@none 0:done1 1:place1@none");
	publish(1, 1, "x");
	rig_hear(&rig, 1);
	SAID(""); /* not before it is down */
	rig_run(&rig);
	SAID("1:done1");
	ready = join(&anna);
	CU_ASSERT(ready.session == 1 && ready.present && ready.durable);
	SAID("0:place1@0.1 1:place1@0.1 0:deliver@1#1q1:t=x");
	settle(0, 1, 1);
	rig_run(&rig);
	SAID("0:done2");
	CU_ASSERT(rig_store_rows(&rig.store, 'Q') == 0);
	CU_ASSERT(rig_store_rows(&rig.store, 'B') == 0);
	rig_fini(&rig);
}

static void nothing_is_kept_of_a_clean_client(void)
{
	const struct rig_who clean = {.index = 3, .client = "c", .clean = true};

	rig_init(&rig);
	const struct sessions_ready ready = join(&clean);
	CU_ASSERT(ready.session == 0 && !ready.durable && !ready.present);
	SAID("");
	CU_ASSERT(rig_store_rows(&rig.store, 'S') == 0);
	rig_fini(&rig);
}

static void a_clean_start_ends_the_old_session(void)
{
	struct rig_who clean = anna;

	with_anna(&anna);
	publish(1, 1, "x");
	leave(0, 1, rig.epoch, 0);
	rig_said(&rig);
	clean.clean = true;
	const struct sessions_ready ready = join(&clean);
	CU_ASSERT(ready.session == 2 && !ready.present && ready.durable);
	SAID("0:gone1 0:place2@0.1 1:gone1 1:place2@0.1");
	/* All that hung on it is swept. */
	CU_ASSERT(rig_store_rows(&rig.store, 'S') == 1 && rig_store_rows(&rig.store, 'G') == 0);
	CU_ASSERT(rig_store_rows(&rig.store, 'Q') == 0 && rig_store_rows(&rig.store, 'B') == 0);
	rig_fini(&rig);
}

/* A power cut behind the grant must not bring the old session back. */
static void a_clean_client_waits_for_the_end_of_the_old_session(void)
{
	const struct rig_who clean = {.index = 3, .client = anna.client, .clean = true},
			     other = {.index = 4, .client = "other", .clean = true};
	struct sessions_ready ready;

	with_anna(&anna);
	leave(0, 1, rig.epoch, 0);
	rig_run(&rig);
	CU_ASSERT(rig_connect(&rig, &clean) != 0 && rig_connect(&rig, &clean) != 0);
	rig_hear(&rig, 0);
	CU_ASSERT(!sessions_next_ready(rig.s, &ready));
	for (int i = 0; i < 2; i++) {
		ready = rig_ready(&rig);
		CU_ASSERT(ready.token == 3 && ready.session == 0 && !ready.present);
	}
	CU_ASSERT(rig_store_rows(&rig.store, 'S') == 0);
	/* Nothing ends: nothing to wait for. */
	CU_ASSERT(rig_connect(&rig, &other) != 0 && sessions_next_ready(rig.s, &ready));
	rig_fini(&rig);
}

static void a_session_expires_when_its_time_is_over(void)
{
	with_anna(&anna);
	leave(0, 1, rig.epoch, 0);
	rig_said(&rig);
	rig.now.wall_ms += 99999;
	rig_run(&rig);
	SAID("");
	rig.now.wall_ms += 1;
	rig_run(&rig);
	SAID("0:gone1 1:gone1");
	CU_ASSERT(counter_get(&rig.counters, COUNTER_SESSIONS_EXPIRED) == 1);
	CU_ASSERT(rig_store_rows(&rig.store, 'S') + rig_store_rows(&rig.store, 'D') == 0);
	const struct sessions_ready ready = join(&anna);
	CU_ASSERT(!ready.present && ready.session == 2);
	rig_fini(&rig);
}

/* The sweep may be late: then it is judged on the way in. */
static void an_expired_session_is_not_present(void)
{
	with_anna(&anna);
	leave(0, 1, rig.epoch, 0);
	rig.now.wall_ms += 100000;
	rig_connect(&rig, &anna);
	const struct sessions_ready ready = rig_ready(&rig);
	CU_ASSERT(!ready.present && ready.session == 2);
	rig_fini(&rig);
}

static void a_farewell_may_change_the_expiry(void)
{
	const struct shm_work never = {
		.session = 1, .flags = SHM_WORK_EXPIRY, .expiry_s = 0, .epoch = 101};

	with_anna(&anna);
	rig_work(&rig, 0, SHM_COMMAND_ENDED, never, NULL);
	rig_run(&rig);
	SAID("0:gone1 0:done1 1:gone1");
	CU_ASSERT(rig_store_rows(&rig.store, 'S') == 0);
	rig_fini(&rig);
}

static void sessions_are_limited(void)
{
	const struct rig_who third = {.index = 3, .client = "c", .expiry_s = 1};

	rig_init(&rig);
	rig.config.sessions_max = 2;
	join(&anna);
	join(&bert);
	CU_ASSERT(join(&third).err == ERR_REPLICAS_FULL);
	CU_ASSERT(join(&anna).err == ERR_NONE); /* who is there may come back */
	rig_fini(&rig);
}

static void a_window_is_kept_and_goes_on(void)
{
	struct rig_who narrow = anna;

	narrow.receive_max = 2;
	with_anna(&narrow);
	publish(1, 1, "a");
	publish(1, 2, "b");
	publish(1, 1, "c");
	publish(1, 1, "d");
	rig_run(&rig);
	SAID("0:deliver@1#1q1:t=a 0:deliver@1#2q2:t=b 1:done4");
	settle(0, 1, 2);
	rig_run(&rig);
	SAID("0:done1 0:deliver@1#3q1:t=c");
	settle(0, 1, 1);
	settle(0, 1, 3);
	rig_run(&rig);
	SAID("0:done3 0:deliver@1#4q1:t=d");
	rig_fini(&rig);
}

/* The disk stands still, the client does not: what it settles comes back with a crash, and what it
 * was sent meanwhile is known to have been. */
static void deliveries_keep_in_sight_of_the_disk(void)
{
	const uint64_t in_flight = 2, removed = 8, sent = in_flight + removed - 1;
	uint64_t entry = 0, again;

	with_anna(&anna);
	rig.config.inflight_max = (uint16_t)in_flight;
	for (int i = 0; i < 20; i++)
		publish(1, 1, "x");
	rig_run(&rig);
	while (strstr(rig_said(&rig), "deliver") != NULL) {
		settle(0, 1, ++entry);
		rig_hear(&rig, 0);
	}
	CU_ASSERT_EQUAL(entry, removed);
	rig_restart(&rig, 0, true);
	rig_run(&rig);
	rig_said(&rig);
	join(&anna);
	for (again = 1; strstr(rig_said(&rig), "dup") != NULL; again++) {
		settle(0, 1, again);
		rig_run(&rig);
	}
	CU_ASSERT_EQUAL(again, sent); /* the last of them was heard with the one before */
	rig_fini(&rig);
}

static void what_was_sent_before_comes_again_with_dup(void)
{
	with_anna(&anna);
	publish(1, 1, "a");
	publish(1, 2, "b");
	rig_run(&rig);
	rig_said(&rig);
	leave(0, 1, rig.epoch, 0);
	publish(1, 1, "c");
	rig_run(&rig);
	rig_said(&rig);
	join(&anna);
	SAID("0:place1@0.1 1:place1@0.1 0:deliver@1#1q1dup:t=a 0:deliver@1#2q2dup:t=b "
	     "0:deliver@1#3q1:t=c");
	rig_fini(&rig);
}

static void what_was_received_is_released(void)
{
	const struct shm_work received = {.session = 1, .entry = 1};

	with_anna(&anna);
	publish(1, 2, "a");
	rig_run(&rig);
	rig_work(&rig, 0, SHM_COMMAND_RECEIVED, received, NULL);
	rig_work(&rig, 0, SHM_COMMAND_RECEIVED, received, NULL); /* again: the same */
	rig_run(&rig);
	SAID("0:deliver@1#1q2:t=a 1:done1 0:done2");
	CU_ASSERT(rig_store_rows(&rig.store, 'B') == 0);
	leave(0, 1, rig.epoch, 0);
	rig_said(&rig);
	join(&anna);
	SAID("0:place1@0.1 1:place1@0.1 0:deliver@1#1:release");
	settle(0, 1, 1);
	rig_run(&rig);
	CU_ASSERT(rig_store_rows(&rig.store, 'Q') == 0);
	rig_fini(&rig);
}

static void what_is_declined_comes_again_in_order(void)
{
	const struct shm_declined first = {.entry = 1, .connection = {1, 1}},
				  second = {.entry = 2, .connection = {1, 1}};

	with_anna(&anna);
	publish(1, 1, "a");
	publish(1, 1, "b");
	rig_run(&rig);
	rig_said(&rig);
	sessions_declined(rig.s, 0, &first, rig.now);
	sessions_declined(rig.s, 0, &second, rig.now);
	publish(1, 1, "c");
	rig_run(&rig);
	SAID("1:done3");
	CU_ASSERT(sessions_next_us(rig.s, rig.now) == rig.now.us + 5000);
	rig.now.us += 5000;
	rig_run(&rig);
	SAID("0:deliver@1#1q1:t=a 0:deliver@1#2q1:t=b 0:deliver@1#3q1:t=c");
	sessions_declined(
		rig.s, 0, &(struct shm_declined){.entry = 9, .connection = {1, 1}}, rig.now);
	sessions_declined(
		rig.s, 0, &(struct shm_declined){.entry = 1, .connection = {9, 1}}, rig.now);
	rig_fini(&rig);
}

static void an_old_message_is_not_delivered(void)
{
	const struct rig_store_work m = {.worker = 1,
		.targets = {1},
		.qos = 1,
		.topic = "t",
		.payload = "old",
		.expiry_s = 10};

	with_anna(&anna);
	leave(0, 1, rig.epoch, 0);
	rig_publish(&rig, &m);
	rig_run(&rig);
	rig.now.wall_ms += 5500;
	rig_publish(&rig, &m);
	rig_run(&rig);
	rig.now.wall_ms += 4500;
	rig_said(&rig);
	join(&anna);
	SAID("0:place1@0.1 1:place1@0.1 0:deliver@1#2q1x6:t=old");
	CU_ASSERT(rig_store_rows(&rig.store, 'Q') == 1);
	rig_fini(&rig);
}

/* Its packet id may be in use at the client: it is sent to its end. */
static void what_was_sent_does_not_expire(void)
{
	const struct rig_store_work m = {.worker = 1,
		.targets = {1},
		.qos = 2,
		.topic = "t",
		.payload = "old",
		.expiry_s = 10};

	with_anna(&anna);
	rig_publish(&rig, &m);
	rig_run(&rig);
	leave(0, 1, rig.epoch, 0);
	rig.now.wall_ms += 20000;
	rig_said(&rig);
	join(&anna);
	SAID("0:place1@0.1 1:place1@0.1 0:deliver@1#1q2dupx1:t=old");
	rig_fini(&rig);
}

static void a_limit_of_nothing_keeps_nothing(void)
{
	rig_init(&rig);
	rig.config.session_expiry_max_s = 0;
	CU_ASSERT(join(&anna).session == 0);
	rig_fini(&rig);
}

static void one_body_for_all_its_queues(void)
{
	const struct rig_store_work m = {
		.worker = 1, .targets = {1, 2, 1}, .qos = 1, .topic = "t", .payload = "x"};

	with_anna(&anna);
	join(&bert);
	rig_said(&rig);
	rig_publish(&rig, &m);
	rig_run(&rig);
	SAID("0:deliver@1#1q1:t=x 1:done1 1:deliver@2#1q1:t=x");
	CU_ASSERT(rig_store_rows(&rig.store, 'B') == 1 && rig_store_rows(&rig.store, 'R') == 2);
	settle(0, 1, 1);
	rig_run(&rig);
	CU_ASSERT(rig_store_rows(&rig.store, 'B') == 1 && rig_store_rows(&rig.store, 'R') == 1);
	rig_restart(&rig, 0, true); /* the count was in memory */
	rig_run(&rig);
	settle(1, 2, 1);
	rig_run(&rig);
	CU_ASSERT(rig_store_rows(&rig.store, 'B') == 0 && rig_store_rows(&rig.store, 'R') == 0);
	rig_fini(&rig);
}

static void a_full_queue_refuses_the_whole_message(void)
{
	const struct rig_store_work m = {
		.worker = 1, .targets = {1, 2}, .qos = 1, .topic = "t", .payload = "x"};

	with_anna(&anna);
	join(&bert);
	rig.config.queue_messages_max = 1;
	publish(2, 1, "y");
	rig_run(&rig);
	rig_said(&rig);
	rig_publish(&rig, &m);
	rig_run(&rig);
	SAID("1:refused2=QUEUE_FULL 1:done2");
	CU_ASSERT(rig_store_rows(&rig.store, 'Q') == 1);
	CU_ASSERT(counter_get(&rig.counters, COUNTER_QUEUE_REFUSALS) == 1);
	/* Said again to one who is new, it is refused again, though it lies below the mark. */
	publish(1, 1, "z");
	rig_run(&rig);
	rig_restart(&rig, 0, false);
	rig_said(&rig);
	struct rig_store_work again = m;
	again.sequence = 2;
	rig_publish(&rig, &again);
	again.sequence = 3;
	rig_publish(&rig, &again);
	rig_run(&rig);
	SAID("1:refused2=QUEUE_FULL 1:done3");
	CU_ASSERT(counter_get(&rig.counters, COUNTER_WORK_REPEATED) == 2);
	rig_fini(&rig);
}

static void a_queue_of_bytes_is_full(void)
{
	with_anna(&anna);
	rig.config.queue_bytes_max = 100;
	publish(1, 1, "x");
	publish(1, 1, "y");
	rig_run(&rig);
	SAID("0:deliver@1#1q1:t=x 0:deliver@1#2q1:t=y 1:done2");
	publish(1, 1, "z");
	rig_run(&rig);
	SAID("1:refused3=QUEUE_FULL 1:done3");
	settle(0, 1, 1);
	publish(1, 1, "z");
	rig_run(&rig);
	SAID("0:done1 0:deliver@1#3q1:t=z 1:done4");
	rig_fini(&rig);
}

static void the_unknown_are_told_to_be_gone(void)
{
	with_anna(&anna);
	publish(77, 1, "x");
	settle(0, 1, 5);
	settle(0, 78, 5);
	rig_run(&rig);
	SAID("0:done2 1:gone77 1:done1");
	CU_ASSERT(rig_store_rows(&rig.store, 'B') == 0);
	CU_ASSERT(
		counter_get(&rig.counters, (enum counter)(COUNTER_NAMED + ERR_WORK_UNKNOWN)) == 2);
	rig_fini(&rig);
}

/* From anna, for bert: its packet id is to be remembered. */
static const struct rig_store_work recorded = {.targets = {2},
	.qos = 2,
	.topic = "t",
	.payload = "x",
	.session = 1,
	.packet_id = 9,
	.flags = SHM_WORK_RECORD};

static void a_packet_id_is_remembered_until_released(void)
{
	const struct shm_work release = {.session = 1, .packet_id = 9};

	with_anna(&anna);
	join(&bert);
	rig_said(&rig);
	rig_publish(&rig, &recorded);
	rig_publish(&rig, &recorded);
	rig_run(&rig);
	SAID("0:done2 1:deliver@2#1q2:t=x");
	CU_ASSERT(counter_get(&rig.counters, COUNTER_PUBLISH_DUPLICATES) == 1);
	leave(0, 1, 101, 0);
	rig_said(&rig);
	rig_connect(&rig, &anna);
	struct sessions_ready ready;
	rig_run(&rig);
	SAID("0:place1@0.1 0:ids@1,9 1:place1@0.1");
	CU_ASSERT(sessions_next_ready(rig.s, &ready) && ready.present);
	rig_work(&rig, 0, SHM_COMMAND_RELEASE, release, NULL);
	rig_publish(&rig, &recorded);
	rig_run(&rig);
	SAID("0:done5 1:deliver@2#2q2:t=x");
	rig_fini(&rig);
}

/* The dataplane dies while a CONNECT is on its way to the disk: in its next life the connection's
 * number is that of another client. */
static void packet_ids_are_not_for_the_next_life(void)
{
	struct rig_store_work m = recorded;

	m.targets[0] = 1;
	with_anna(&anna);
	CU_ASSERT(rig_publish(&rig, &m) == SESSIONS_TAKEN);
	rig_run(&rig);
	leave(0, 1, rig.epoch, 0);
	CU_ASSERT(rig_connect(&rig, &anna) != 0);
	rig.dp_generation++;
	rig_greet(&rig, false);
	rig_said(&rig);
	rig_run(&rig);
	CU_ASSERT(strstr(rig_said(&rig), "ids") == NULL);
	rig_fini(&rig);
}

static void many_packet_ids_come_in_portions_before_ready(void)
{
	struct sessions_ready ready;
	struct sessions_effect e;
	uint32_t count = 0;

	with_anna(&anna);
	for (uint16_t i = 1; i <= 50; i++) {
		const struct rig_store_work m = {.topic = "t",
			.payload = "x",
			.qos = 2,
			.session = 1,
			.packet_id = (uint16_t)(i * 1311),
			.flags = SHM_WORK_RECORD};
		rig_publish(&rig, &m);
	}
	leave(0, 1, 101, 0);
	rig_connect(&rig, &anna);
	rig.store.allowed = 100;
	bool worked;
	while (sessions_poll(rig.s, rig.now, &worked) == ERR_NONE && worked)
		CU_ASSERT(!sessions_next_ready(rig.s, &ready));
	while (sessions_next(rig.s, 0, &e, rig.now)) {
		if (e.type == SHM_EVENT_RECEIVED_ID)
			count += e.received.count;
		CU_ASSERT(!sessions_next_ready(rig.s, &ready));
		sessions_took(rig.s, 0);
	}
	CU_ASSERT(count == 50);
	CU_ASSERT(sessions_next_ready(rig.s, &ready));
	rig_fini(&rig);
}

static void work_is_applied_once(void)
{
	const struct rig_store_work again = {
		.worker = 1, .targets = {1}, .qos = 1, .topic = "t", .payload = "x", .sequence = 1};

	with_anna(&anna);
	publish(1, 1, "x");
	publish(1, 1, "y");
	rig.store.allowed = 0;
	rig_restart(&rig, 1, false); /* the first of them is down */
	rig_said(&rig);
	rig_publish(&rig, &again);
	rig_hear(&rig, 1);
	SAID("1:done1"); /* at once: it is down already */
	rig.sequence[1] = 1;
	publish(1, 1, "y");
	rig_hear(&rig, 1);
	SAID("");
	rig_run(&rig);
	SAID("1:done2");
	CU_ASSERT(rig_store_rows(&rig.store, 'Q') == 2);
	/* Of another dataplane the same number is new. */
	rig_restart(&rig, 0, true);
	rig_publish(&rig, &again);
	rig_run(&rig);
	CU_ASSERT(rig_store_rows(&rig.store, 'Q') == 3);
	rig_fini(&rig);
}

static void hostile_work_changes_nothing(void)
{
	struct shm_work w = {.session = 1};
	const struct shm_position p = {.session = 1, .connection = {3, 1}, .delivered = UINT64_MAX};

	with_anna(&anna);
	const size_t rows = rig.store.view.count;
	CU_ASSERT(rig_work(&rig, 0, SHM_COMMAND_STORE, w,
			  "rubbish, and long enough for a target") == SESSIONS_TAKEN);
	rig_work(&rig, 0, SHM_COMMAND_STORE, w, NULL);
	rig_work(&rig, 0, SHM_COMMAND_SUBSCRIBE, w, NULL);
	rig_work(&rig, 0, SHM_COMMAND_UNSUBSCRIBE, w, "never/was");
	rig_work(&rig, 0, (enum shm_command)99, w, NULL);
	w.sequence = 3; /* seen */
	rig_work(&rig, 0, SHM_COMMAND_SETTLED, w, NULL);
	w.sequence = UINT64_MAX;
	rig_work(&rig, 0, SHM_COMMAND_SETTLED, w, NULL);
	sessions_applied(rig.s, 1, &(struct shm_applied){.token = 12345});
	CU_ASSERT(!sessions_position(rig.s, 1, 500, &p, rig.now));
	sessions_gone(rig.s, 1, 9999, rig.now);
	rig_run(&rig);
	SAID("0:refused1=SLOT_BAD 0:refused2=SLOT_BAD 0:refused3=MQTT_FILTER "
	     "0:refused4=NOT_SUBSCRIBED 0:refused5=SLOT_BAD 0:done5");
	CU_ASSERT(rig.store.view.count == rows + 6); /* a mark, and that they were refused */
	rig_fini(&rig);
}

static void a_live_connection_goes_on_after_our_restart(void)
{
	struct shm_position p = {
		.session = 1, .connection = {1, 1}, .delivered = 1, .receive_max = 3};

	with_anna(&anna);
	for (int i = 0; i < 6; i++)
		publish(1, 1, "x");
	rig_run(&rig);
	rig_restart(&rig, 0, false);
	rig_said(&rig);
	CU_ASSERT(sessions_position(rig.s, 0, 101, &p, rig.now));
	CU_ASSERT(!sessions_position(rig.s, 0, 100, &p, rig.now)); /* fenced */
	sessions_resynced(rig.s, 0, rig.now);
	sessions_resynced(rig.s, 1, rig.now);
	rig_run(&rig);
	/* One is at the client, two more fit. */
	SAID("0:place1@0.1 0:deliver@1#2q1:t=x 0:deliver@1#3q1:t=x 1:place1@0.1");
	settle(0, 1, 1);
	rig_run(&rig);
	SAID("0:done1 0:deliver@1#4q1:t=x");
	rig_fini(&rig);
}

static void who_is_not_introduced_has_disconnected(void)
{
	with_anna(&anna);
	publish(1, 1, "x");
	rig_run(&rig);
	rig_restart(&rig, 0, false);
	rig_said(&rig);
	rig_run(&rig);
	SAID("");
	sessions_resynced(rig.s, 0, rig.now);
	sessions_resynced(rig.s, 1, rig.now);
	rig_run(&rig);
	SAID("0:place1@none 1:place1@none");
	CU_ASSERT(rig_store_rows(&rig.store, 'C') == 0 && rig_store_rows(&rig.store, 'D') == 1);
	join(&anna); /* nobody knows whether it was sent */
	SAID("0:place1@0.1 1:place1@0.1 0:deliver@1#1q1dup:t=x");
	rig_fini(&rig);
}

static void nobody_is_granted_before_all_is_said_again(void)
{
	const struct sessions_connect c = {
		.client_id = span_str("x"), .receive_max = 1, .session_expiry_s = 1};

	rig_init(&rig);
	rig_restart(&rig, 0, false);
	sessions_resynced(rig.s, 0, rig.now);
	CU_ASSERT(sessions_connect(rig.s, &c, rig.now) == SESSIONS_LATER);
	sessions_resynced(rig.s, 1, rig.now);
	CU_ASSERT(sessions_connect(rig.s, &c, rig.now) == SESSIONS_TAKEN);
	rig_fini(&rig);
}

static void a_takeover_starts_again_at_the_oldest(void)
{
	struct rig_who again = anna;

	with_anna(&anna);
	publish(1, 1, "a");
	publish(1, 1, "b");
	rig_run(&rig);
	settle(0, 1, 1);
	rig_run(&rig);
	rig_said(&rig);
	again.worker = 1;
	again.index = 5;
	sessions_gone(rig.s, 1, 101, rig.now);
	join(&again);
	SAID("0:place1@none 0:place1@1.5 1:place1@none 1:place1@1.5 1:deliver@5#2q1dup:t=b");
	leave(0, 1, 101, 0); /* the old one's: it has no meaning any more */
	SAID("0:done2");
	publish(1, 1, "c");
	rig_run(&rig);
	SAID("1:done3 1:deliver@5#3q1:t=c");
	rig_fini(&rig);
}

static void a_dead_store_acknowledges_nothing(void)
{
	bool worked;

	with_anna(&anna);
	publish(1, 1, "a");
	rig.store.fail = ERR_STORAGE_FULL;
	publish(1, 1, "b");
	rig.store.allowed = 100;
	CU_ASSERT(sessions_poll(rig.s, rig.now, &worked) == ERR_STORAGE_FULL);
	rig_hear(&rig, 0);
	rig_hear(&rig, 1);
	SAID("");
	rig_fini(&rig);
}

/* Whoever starts us must know whether another start may help. */
static void a_failed_read_says_why(void)
{
	static const enum err why[] = {ERR_STORAGE_IO, ERR_STORAGE_CORRUPT, ERR_STORAGE_FULL};

	for (size_t i = 0; i < ARRAY_SIZE(why); i++) {
		bool worked;
		with_anna(&anna);
		rig_said(&rig);
		rig.store.fail_read = why[i];
		rig_connect(&rig, &bert);
		CU_ASSERT(sessions_poll(rig.s, rig.now, &worked) == why[i]);
		rig_hear(&rig, 0);
		rig_hear(&rig, 1);
		SAID("");
		rig.store.fail_read = ERR_NONE;
		rig_fini(&rig);
	}
}

static void what_cannot_be_read_is_not_served(void)
{
	struct sessions *s;
	const struct sessions_conf conf = {.store = &rig.store.base,
		.workers = RIG_WORKERS,
		.config = &rig.config,
		.counters = &rig.counters};

	with_anna(&anna);
	for (size_t i = 0; i < rig.store.view.count; i++)
		if (rig.store.view.at[i].key[0] == 'M')
			rig.store.view.at[i].value[0]++;
	CU_ASSERT(sessions_create(&conf, rig.now, &s) == ERR_STORAGE_VERSION && s == NULL);
	for (size_t i = 0; i < rig.store.view.count; i++)
		if (rig.store.view.at[i].key[0] == 'M')
			rig.store.view.at[i].value[0] -= 2;
	CU_ASSERT(sessions_create(&conf, rig.now, &s) == ERR_STORAGE_VERSION && s == NULL);
	for (size_t i = 0; i < rig.store.view.count; i++)
		if (rig.store.view.at[i].key[0] == 'M') {
			rig.store.view.at[i].value[0]++;
			rig.store.view.at[i].value[9] ^= 1;
		}
	CU_ASSERT(sessions_create(&conf, rig.now, &s) == ERR_STORAGE_CORRUPT && s == NULL);
	rig_fini(&rig);
}

static const struct unit_test tests[] = {
	{"a_message_waits_for_its_client", a_message_waits_for_its_client},
	{"nothing_is_kept_of_a_clean_client", nothing_is_kept_of_a_clean_client},
	{"a_clean_start_ends_the_old_session", a_clean_start_ends_the_old_session},
	{"a_clean_client_waits_for_the_end_of_the_old_session",
		a_clean_client_waits_for_the_end_of_the_old_session},
	{"a_session_expires_when_its_time_is_over", a_session_expires_when_its_time_is_over},
	{"an_expired_session_is_not_present", an_expired_session_is_not_present},
	{"a_farewell_may_change_the_expiry", a_farewell_may_change_the_expiry},
	{"sessions_are_limited", sessions_are_limited},
	{"a_window_is_kept_and_goes_on", a_window_is_kept_and_goes_on},
	{"deliveries_keep_in_sight_of_the_disk", deliveries_keep_in_sight_of_the_disk},
	{"what_was_sent_before_comes_again_with_dup", what_was_sent_before_comes_again_with_dup},
	{"what_was_received_is_released", what_was_received_is_released},
	{"what_is_declined_comes_again_in_order", what_is_declined_comes_again_in_order},
	{"an_old_message_is_not_delivered", an_old_message_is_not_delivered},
	{"what_was_sent_does_not_expire", what_was_sent_does_not_expire},
	{"a_limit_of_nothing_keeps_nothing", a_limit_of_nothing_keeps_nothing},
	{"one_body_for_all_its_queues", one_body_for_all_its_queues},
	{"a_full_queue_refuses_the_whole_message", a_full_queue_refuses_the_whole_message},
	{"a_queue_of_bytes_is_full", a_queue_of_bytes_is_full},
	{"the_unknown_are_told_to_be_gone", the_unknown_are_told_to_be_gone},
	{"a_packet_id_is_remembered_until_released", a_packet_id_is_remembered_until_released},
	{"packet_ids_are_not_for_the_next_life", packet_ids_are_not_for_the_next_life},
	{"many_packet_ids_come_in_portions_before_ready",
		many_packet_ids_come_in_portions_before_ready},
	{"work_is_applied_once", work_is_applied_once},
	{"hostile_work_changes_nothing", hostile_work_changes_nothing},
	{"a_live_connection_goes_on_after_our_restart",
		a_live_connection_goes_on_after_our_restart},
	{"who_is_not_introduced_has_disconnected", who_is_not_introduced_has_disconnected},
	{"nobody_is_granted_before_all_is_said_again", nobody_is_granted_before_all_is_said_again},
	{"a_takeover_starts_again_at_the_oldest", a_takeover_starts_again_at_the_oldest},
	{"a_dead_store_acknowledges_nothing", a_dead_store_acknowledges_nothing},
	{"a_failed_read_says_why", a_failed_read_says_why},
	{"what_cannot_be_read_is_not_served", what_cannot_be_read_is_not_served},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("sessions", tests, argc, argv);
}
