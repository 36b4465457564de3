/* works_test.c - work on real rings: its numbers, its texts, its answers, what a new control plane
 * hears. */
#include "dataplane/worker/works_rig.h"
#include "tests/unit/unit.h"

static uint64_t errors(const struct rig *r, enum err e)
{
	return counter_get(&r->counters, (enum counter)(COUNTER_NAMED + e));
}

/* A STORE for `targets` queues, whose answer has `packet_id`. */
static void store(struct rig *r, uint16_t packet_id, size_t payload, uint32_t targets)
{
	struct message *m = rig_message(r, "a/b", payload);
	const struct store_order o = {
		.order = {.kind = ORDER_CONNECTION, .packet_id = packet_id, .qos = 1}};

	works_targets_begin(&r->w);
	for (uint32_t i = 1; i <= targets; i++)
		works_target(&r->w, &(struct store_target){.session = i, .qos = 1});
	CU_ASSERT_FATAL(works_room(&r->w, m));
	works_store(&r->w, m, &o);
	message_put(&m);
}

/* The STORE that was heard is what store() made. */
static void check_store(const struct rig *r, uint64_t sequence, size_t payload, uint32_t targets)
{
	struct reader text = reader_of(span_of(r->text, r->text_size));
	struct store_target t;
	struct parcel p;
	uint32_t count;

	CU_ASSERT_EQUAL(r->slot.type, SHM_COMMAND_STORE);
	CU_ASSERT_EQUAL(r->slot.work.sequence, sequence);
	CU_ASSERT_EQUAL(r->slot.work.text_size, r->text_size);
	CU_ASSERT_FATAL(store_decode_count(&text, &count) == ERR_NONE && count == targets);
	for (uint32_t i = 1; i <= targets; i++) {
		CU_ASSERT_FATAL(store_decode_target(&text, &t) == ERR_NONE);
		CU_ASSERT_EQUAL(t.session, i);
	}
	CU_ASSERT_FATAL(parcel_decode(span_of(text.at, reader_left(&text)), &p) == ERR_NONE);
	CU_ASSERT(span_equal(p.topic, span_str("a/b")));
	CU_ASSERT(span_equal(p.content_type, span_str("text/plain")));
	CU_ASSERT_EQUAL_FATAL(p.payload.size, payload);
	for (size_t i = 0; i < payload; i++)
		CU_ASSERT_FATAL(p.payload.at[i] == (uint8_t)(i * 7 + i / 251));
}

static void is_numbered_and_answered_in_order(void)
{
	struct rig *r = rig_create();

	for (uint16_t i = 1; i <= 3; i++)
		store(r, i, 10u * i, i);
	works_flush(&r->w);
	for (uint16_t i = 1; i <= 3; i++) {
		CU_ASSERT_FATAL(rig_hear(r));
		check_store(r, i, 10u * i, i);
	}
	CU_ASSERT_FALSE(rig_hear(r));
	CU_ASSERT_EQUAL(r->note_count, 0);
	rig_done(r, 2);
	CU_ASSERT_EQUAL(r->note_count, 2);
	CU_ASSERT_EQUAL(rig_last(r, 1).a, 1);
	CU_ASSERT_EQUAL(rig_last(r, 0).a, 2);
	CU_ASSERT(works_open(&r->w));
	rig_done(r, 3);
	CU_ASSERT_EQUAL(rig_last(r, 0).a, 3);
	CU_ASSERT_FALSE(works_open(&r->w));
	CU_ASSERT_EQUAL(messages_alive(r->w.messages), 0);
	rig_destroy(&r);
}

static void refusals_reach_their_work(void)
{
	struct rig *r = rig_create();

	for (uint16_t i = 1; i <= 3; i++)
		store(r, i, 0, 0);
	works_flush(&r->w);
	rig_refused(r, 2, ERR_QUEUE_FULL);
	CU_ASSERT_EQUAL(r->note_count, 0);
	rig_done(r, 3);
	CU_ASSERT_EQUAL(rig_last(r, 2).b, ERR_NONE);
	CU_ASSERT_EQUAL(rig_last(r, 1).b, ERR_QUEUE_FULL);
	CU_ASSERT_EQUAL(rig_last(r, 0).b, ERR_NONE);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_WORK_REFUSED), 1);
	rig_destroy(&r);
}

static void nonsense_is_counted_and_ignored(void)
{
	struct rig *r = rig_create();

	store(r, 1, 0, 0);
	rig_done(r, 1); /* nobody has heard it yet */
	rig_refused(r, 1, ERR_QUEUE_FULL);
	CU_ASSERT_EQUAL(errors(r, ERR_SLOT_BAD), 2);
	works_flush(&r->w);
	rig_done(r, 2);
	rig_done(r, UINT64_MAX);
	rig_refused(r, 1, ERR_NONE);
	rig_refused(r, 1, ERR_COUNT);
	rig_refused(r, 2, ERR_QUEUE_FULL);
	CU_ASSERT_EQUAL(errors(r, ERR_SLOT_BAD), 7);
	CU_ASSERT_EQUAL(r->note_count, 0);
	rig_done(r, 1);
	rig_done(r, 1);
	rig_done(r, 0);
	rig_refused(r, 1, ERR_QUEUE_FULL); /* it is answered */
	CU_ASSERT_EQUAL(r->note_count, 1);
	CU_ASSERT_EQUAL(rig_last(r, 0).b, ERR_NONE);
	rig_destroy(&r);
}

/* Larger than the arena: it goes in parts, as room comes, and what comes later waits. */
static void long_texts_go_in_parts(void)
{
	struct rig *r = rig_create();
	const size_t payload = 3u * SHM_ARENA_BYTES + 12345;
	uint8_t type = 0;
	uint32_t parts = 0;

	store(r, 1, payload, 5);
	store(r, 2, 20, 1);
	r->text_size = 0;
	for (int i = 0; i < 1000 && type != SHM_COMMAND_STORE; i++) {
		works_flush(&r->w);
		type = rig_hear_slot(r);
		parts += type == SHM_COMMAND_PART;
	}
	check_store(r, 1, payload, 5);
	CU_ASSERT(parts > payload / SHM_PART_BYTES - 1);
	works_flush(&r->w);
	CU_ASSERT_FATAL(rig_hear(r));
	check_store(r, 2, 20, 1);
	rig_done(r, 2);
	CU_ASSERT_EQUAL(r->note_count, 2);
	rig_destroy(&r);
}

static void a_full_arena_is_waited_for(void)
{
	struct rig *r = rig_create();
	uint64_t heard = 0;

	for (uint16_t i = 1; i <= 40; i++)
		store(r, i, 100000, 2);
	for (int turn = 0; turn < 100 && heard < 40; turn++) {
		works_flush(&r->w);
		for (int n = 0; n < 3 && rig_hear(r); n++)
			check_store(r, ++heard, 100000, 2);
	}
	CU_ASSERT_EQUAL(heard, 40);
	rig_done(r, 40);
	CU_ASSERT_EQUAL(r->note_count, 40);
	rig_destroy(&r);
}

/* The ring keeps slots for farewells. */
static void a_full_ring_is_waited_for(void)
{
	struct rig *r = rig_create();
	struct connection *c = rig_connect(r, 0, 7);
	uint64_t heard = 0;

	while (shm_tx_room(&r->w.link.commands) > WORKS_RING_KEPT + 2)
		CU_ASSERT_FATAL(link_push(&r->w, SHM_COMMAND_CLOSED, NULL, 0));
	for (uint16_t i = 1; i <= 10; i++)
		CU_ASSERT(works_release(&r->w, c, i));
	works_flush(&r->w);
	CU_ASSERT_EQUAL(shm_tx_room(&r->w.link.commands), WORKS_RING_KEPT);
	while (rig_hear(r)) {
		works_flush(&r->w);
		if (r->slot.type == SHM_COMMAND_RELEASE) {
			CU_ASSERT_EQUAL(r->slot.work.packet_id, ++heard);
			CU_ASSERT_EQUAL(r->slot.work.session, 7);
		}
	}
	CU_ASSERT_EQUAL(heard, 10);
	rig_done(r, 10);
	CU_ASSERT_EQUAL(rig_last(r, 0).kind, RIG_RELEASED);
	CU_ASSERT_EQUAL(rig_last(r, 0).a, 10);
	rig_destroy(&r);
}

static void a_new_control_plane_hears_it_again(void)
{
	struct rig *r = rig_create();

	for (uint16_t i = 1; i <= 5; i++)
		store(r, i, 100, 1);
	works_flush(&r->w);
	rig_done(r, 2);
	while (rig_hear(r))
		;
	works_rewind(&r->w);
	store(r, 6, 100, 1);
	works_flush(&r->w);
	CU_ASSERT_FALSE(rig_hear(r)); /* connections are introduced first */
	rig_done(r, 3);               /* the old one's last word */
	CU_ASSERT_EQUAL(r->note_count, 3);
	CU_ASSERT(works_resync(&r->w));
	store(r, 7, 100, 1);
	works_flush(&r->w);
	for (uint64_t i = 4; i <= 6; i++) {
		CU_ASSERT_FATAL(rig_hear(r));
		check_store(r, i, 100, 1);
	}
	CU_ASSERT_FATAL(rig_hear(r));
	CU_ASSERT_EQUAL(r->slot.type, SHM_COMMAND_RESYNCED);
	CU_ASSERT_FATAL(rig_hear(r));
	check_store(r, 7, 100, 1);
	rig_done(r, 7);
	CU_ASSERT_EQUAL(r->note_count, 7);
	rig_destroy(&r);
}

/* What was refused before the mark that covers it was said does not become an acknowledgement. */
static void a_refusal_sticks(void)
{
	struct rig *r = rig_create();

	store(r, 1, 0, 1);
	works_flush(&r->w);
	rig_refused(r, 1, ERR_QUEUE_FULL);
	works_rewind(&r->w);
	CU_ASSERT(works_resync(&r->w));
	rig_done(r, 1);
	CU_ASSERT_EQUAL(rig_last(r, 0).b, ERR_QUEUE_FULL);
	rig_destroy(&r);
}

/* The mark is said while a long STORE is half said again: its rest is said before it is answered,
 * or its parts would be taken for the next one's. */
static void a_half_said_store_is_said_whole(void)
{
	struct rig *r = rig_create();
	const size_t payload = 2u * SHM_ARENA_BYTES;

	store(r, 1, payload, 1);
	for (int i = 0; i < 100; i++) {
		works_flush(&r->w);
		(void)rig_hear_slot(r);
	}
	works_rewind(&r->w);
	CU_ASSERT_FALSE(works_resync(&r->w)); /* the arena does not hold it */
	store(r, 2, 50, 1);
	rig_done(r, 1);
	CU_ASSERT_EQUAL(r->note_count, 0);
	r->text_size = 0;
	for (int i = 0; i < 100 && rig_hear_slot(r) == SHM_COMMAND_PART; i++)
		works_flush(&r->w);
	check_store(r, 1, payload, 1);
	works_flush(&r->w);
	CU_ASSERT_EQUAL(r->note_count, 1);
	CU_ASSERT_FATAL(rig_hear(r));
	CU_ASSERT_EQUAL(r->slot.type, SHM_COMMAND_RESYNCED);
	CU_ASSERT_FATAL(rig_hear(r));
	check_store(r, 2, 50, 1);
	rig_done(r, 2);
	rig_destroy(&r);
}

static void new_work_leaves_room_for_ends(void)
{
	struct rig *r = rig_create();
	struct connection *c = rig_connect(r, 0, 7);
	struct message *m = rig_message(r, "a/b", 10);
	uint32_t n = 0, ended = 0;

	for (uint32_t i = 0; i < RIG_OUTBOUND; i++)
		CU_ASSERT(works_promise(&r->w, c));
	CU_ASSERT_FALSE(works_promise(&r->w, c));
	for (; works_room(&r->w, m); n++)
		works_store(&r->w, m, &(struct store_order){0});
	CU_ASSERT(n > RIG_OUTBOUND / 2);
	CU_ASSERT_FALSE(works_subscribe(
		&r->w, c, 1, span_str("a"), &(struct subscription_options){.qos_max = 1}));
	CU_ASSERT(works_release(&r->w, c, 1));
	for (uint32_t i = 0; i < RIG_OUTBOUND; i++)
		works_settled(&r->w, c, i + 1);
	for (uint32_t i = 0; i < RIG_CONNECTIONS; i++)
		ended += works_ended(&r->w, rig_connect(r, i, 9), false, false, 0) != 0;
	CU_ASSERT_EQUAL(ended, RIG_CONNECTIONS);
	CU_ASSERT_EQUAL(errors(r, ERR_WORK_FULL), 0);
	message_put(&m);
	rig_destroy(&r);
}

static void targets_need_room_for_their_text(void)
{
	struct rig *r = rig_create();
	struct message *m = rig_message(r, "a/b", 10);

	works_targets_begin(&r->w);
	for (uint32_t i = 1; i <= 60; i++) /* more than there are sessions */
		works_target(&r->w, &(struct store_target){.session = i, .qos = 1});
	CU_ASSERT_FALSE(works_room(&r->w, m));
	works_targets_begin(&r->w);
	CU_ASSERT(works_room(&r->w, m));
	message_put(&m);
	rig_destroy(&r);
}

/* Texts come and go like a queue, whatever their sizes. */
static void texts_wrap_around(void)
{
	struct rig *r = rig_create();
	uint64_t sequence = 0;

	for (uint32_t round = 0; round < 5000; round++) {
		store(r, 1, 1, round % 16);
		store(r, 2, 1, round % 7);
		works_flush(&r->w);
		CU_ASSERT_FATAL(rig_hear(r));
		check_store(r, ++sequence, 1, round % 16);
		CU_ASSERT_FATAL(rig_hear(r));
		check_store(r, ++sequence, 1, round % 7);
		rig_done(r, sequence - (round + 1) % 2); /* one stays for a while */
		r->note_count = 0;
	}
	rig_done(r, sequence);
	rig_destroy(&r);
}

static void who_is_gone_hears_nothing(void)
{
	struct rig *r = rig_create();
	struct connection *c = rig_connect(r, 0, 7);

	CU_ASSERT(works_release(&r->w, c, 1));
	works_flush(&r->w);
	CU_ASSERT_FATAL(rig_hear(r));
	rig_connect(r, 0, 8); /* another one at that index */
	rig_done(r, 1);
	CU_ASSERT_EQUAL(r->note_count, 0);
	rig_destroy(&r);
}

static void the_end_of_a_session_says_how(void)
{
	struct rig *r = rig_create();
	struct connection *c = rig_connect(r, 3, 7);

	c->epoch = 99;
	const uint64_t sequence = works_ended(&r->w, c, true, true, 60);
	CU_ASSERT_EQUAL(sequence, 1);
	CU_ASSERT_FALSE(works_said(&r->w, sequence));
	works_flush(&r->w);
	CU_ASSERT(works_said(&r->w, sequence));
	CU_ASSERT_FATAL(rig_hear(r));
	CU_ASSERT_EQUAL(r->slot.type, SHM_COMMAND_ENDED);
	CU_ASSERT_EQUAL(r->slot.work.session, 7);
	CU_ASSERT_EQUAL(r->slot.work.epoch, 99);
	CU_ASSERT_EQUAL(r->slot.work.expiry_s, 60);
	CU_ASSERT_EQUAL(r->slot.work.flags, SHM_WORK_NO_WILL | SHM_WORK_EXPIRY);
	rig_destroy(&r);
}

static const struct unit_test tests[] = {
	{"is_numbered_and_answered_in_order", is_numbered_and_answered_in_order},
	{"refusals_reach_their_work", refusals_reach_their_work},
	{"nonsense_is_counted_and_ignored", nonsense_is_counted_and_ignored},
	{"long_texts_go_in_parts", long_texts_go_in_parts},
	{"a_full_arena_is_waited_for", a_full_arena_is_waited_for},
	{"a_full_ring_is_waited_for", a_full_ring_is_waited_for},
	{"a_new_control_plane_hears_it_again", a_new_control_plane_hears_it_again},
	{"a_refusal_sticks", a_refusal_sticks},
	{"a_half_said_store_is_said_whole", a_half_said_store_is_said_whole},
	{"new_work_leaves_room_for_ends", new_work_leaves_room_for_ends},
	{"targets_need_room_for_their_text", targets_need_room_for_their_text},
	{"texts_wrap_around", texts_wrap_around},
	{"who_is_gone_hears_nothing", who_is_gone_hears_nothing},
	{"the_end_of_a_session_says_how", the_end_of_a_session_says_how},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("works", tests, argc, argv);
}
