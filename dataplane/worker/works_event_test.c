/* works_event_test.c - what the control plane says: entries, replicas, wills, stored values, and
 * nonsense. */
#include "dataplane/base/rng.h"
#include "dataplane/worker/works_rig.h"
#include "tests/unit/unit.h"

enum { QUEUE = 7, NOISE = 30000 };

static uint64_t errors(const struct rig *r, enum err e)
{
	return counter_get(&r->counters, (enum counter)(COUNTER_NAMED + e));
}

/* A parcel, with what goes before it. */
static struct span parcel(
	uint8_t *to, size_t size, const uint32_t *identifiers, uint8_t count, size_t payload)
{
	struct writer w = writer_of(to, size);
	const struct parcel p = {
		.topic = span_str("t/1"), .payload_size = (uint32_t)payload, .qos = 1};

	for (uint8_t i = 0; i < count; i++)
		write_u32(&w, identifiers[i]);
	parcel_encode_head(&w, &p);
	for (size_t i = 0; i < payload; i++)
		write_u8(&w, (uint8_t)i);
	CU_ASSERT_FATAL(!w.bad);
	return writer_span(&w);
}

static void deliver(struct rig *r, const struct connection *c, uint64_t entry, uint8_t flags)
{
	static const uint32_t identifiers[2] = {11, 12};
	uint8_t bytes[256];
	const bool release = (flags & SHM_DELIVER_RELEASE) != 0;
	const struct span all = parcel(bytes, sizeof(bytes), identifiers, 2, 20);
	const struct span text = span_of(all.at, release ? 0 : all.size);
	const struct shm_deliver d = {.connection = {c->id.index, c->id.generation},
		.entry = entry,
		.text = rig_text(r, text),
		.text_size = (uint32_t)text.size,
		.qos = 1,
		.flags = flags,
		.identifier_count = release ? 0 : 2};

	rig_say(r, SHM_EVENT_DELIVER, &d, sizeof(d));
}

static void entries_reach_their_session(void)
{
	struct rig *r = rig_create();
	struct connection *c = rig_connect(r, 2, QUEUE);

	r->keep = true;
	deliver(r, c, 5, 0);
	CU_ASSERT_EQUAL(rig_last(r, 0).kind, RIG_DELIVERED);
	CU_ASSERT_EQUAL(rig_last(r, 0).a, 5);
	CU_ASSERT_EQUAL(rig_last(r, 0).b, 20);
	CU_ASSERT(span_equal(r->kept->topic, span_str("t/1")));
	CU_ASSERT_EQUAL(rte_pktmbuf_mtod(r->kept->payload, const uint8_t *)[19], 19);
	CU_ASSERT_EQUAL(r->delivery.identifier_count, 2);
	CU_ASSERT_EQUAL(r->delivery.identifiers[1], 12);
	deliver(r, c, 6, SHM_DELIVER_RELEASE);
	CU_ASSERT_EQUAL(rig_last(r, 0).kind, RIG_RESUMED);
	CU_ASSERT_EQUAL(c->delivered, 6);
	CU_ASSERT_EQUAL(c->owed, 2);
	deliver(r, c, 6, SHM_DELIVER_RELEASE); /* it was here already */
	CU_ASSERT_EQUAL(r->note_count, 2);
	CU_ASSERT_EQUAL(errors(r, ERR_SLOT_BAD), 1);
	works_settled(&r->w, c, 5);
	works_received(&r->w, c, 6);
	CU_ASSERT_EQUAL(c->owed, 0);
	works_flush(&r->w);
	rig_done(r, 2);
	CU_ASSERT_EQUAL(rig_last(r, 0).kind, RIG_RECEIVED);
	CU_ASSERT_EQUAL(c->owed, 1); /* until it is settled */
	rig_destroy(&r);
}

static uint64_t hear_declined(struct rig *r)
{
	works_flush(&r->w);
	if (!rig_hear(r))
		return 0;
	CU_ASSERT_EQUAL(r->slot.type, SHM_COMMAND_DECLINED);
	return r->slot.declined.entry;
}

/* What was under way behind a declined entry must not overtake it. */
static void declined_entries_keep_their_order(void)
{
	struct rig *r = rig_create();
	struct connection *c = rig_connect(r, 2, QUEUE);

	deliver(r, c, 5, 0);
	r->refuse = true;
	deliver(r, c, 6, 0);
	CU_ASSERT_EQUAL(hear_declined(r), 6);
	r->refuse = false;
	deliver(r, c, 7, 0);
	deliver(r, c, 8, 0);
	CU_ASSERT_EQUAL(hear_declined(r), 7);
	CU_ASSERT_EQUAL(hear_declined(r), 8);
	CU_ASSERT_EQUAL(r->note_count, 1);
	CU_ASSERT_EQUAL(c->owed, 1);
	/* Again, and again there is no room for the first. */
	r->refuse = true;
	deliver(r, c, 6, 0);
	r->refuse = false;
	deliver(r, c, 7, 0);
	deliver(r, c, 8, 0);
	for (uint64_t entry = 6; entry <= 8; entry++)
		CU_ASSERT_EQUAL(hear_declined(r), entry);
	/* 6 has expired meanwhile: the first that comes again is 7. */
	deliver(r, c, 7, 0);
	deliver(r, c, 9, 0); /* 8 was declined as well */
	CU_ASSERT_EQUAL(hear_declined(r), 9);
	deliver(r, c, 8, 0);
	deliver(r, c, 9, 0);
	deliver(r, c, 10, 0);
	CU_ASSERT_EQUAL(r->note_count, 5);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(rig_last(r, i).a, 10 - i);
	CU_ASSERT_FALSE(rig_hear(r));
	rig_destroy(&r);
}

static void entries_without_a_client_are_dropped(void)
{
	struct rig *r = rig_create();
	struct connection gone = *rig_connect(r, 2, QUEUE);

	rig_connect(r, 2, QUEUE + 1);
	deliver(r, &gone, 1, 0);
	rig_connect(r, 3, 0);
	deliver(r, &r->w.connections[3], 1, 0);
	CU_ASSERT_EQUAL(r->note_count, 0);
	CU_ASSERT_EQUAL(hear_declined(r), 0);
	rig_destroy(&r);
}

/* Larger than a slot's text. */
static void parts_are_joined(void)
{
	struct rig *r = rig_create();
	struct connection *c = rig_connect(r, 0, QUEUE);
	static uint8_t bytes[300000];
	const struct span text = parcel(bytes, sizeof(bytes), NULL, 0, 290000);
	const struct shm_part part = {rig_text(r, span_of(text.at, 200000))};
	const struct shm_deliver d = {.connection = {c->id.index, c->id.generation},
		.entry = 1,
		.text = rig_text(r, span_skip(text, 200000)),
		.text_size = (uint32_t)text.size,
		.qos = 1};

	rig_say(r, SHM_EVENT_PART, &part, sizeof(part));
	rig_say(r, SHM_EVENT_DELIVER, &d, sizeof(d));
	CU_ASSERT_EQUAL(rig_last(r, 0).b, 290000);
	rig_say(r, SHM_EVENT_DELIVER, &d, sizeof(d)); /* without its part */
	CU_ASSERT_EQUAL(errors(r, ERR_SLOT_BAD), 1);
	rig_destroy(&r);
}

static void replicate(struct rig *r, enum shm_event type, const char *filter, uint32_t token)
{
	const struct shm_replica s = {
		.session = QUEUE, .text = rig_text(r, span_str(filter)), .token = token, .qos = 1};

	rig_say(r, type, &s, sizeof(s));
}

static uint32_t matches(struct rig *r)
{
	struct message *m = rig_message(r, "a/b", 0);
	const uint32_t n = fabric_publish(r->w.fabric, m, FABRIC_QUEUES);

	message_put(&m);
	return n;
}

static void replicas_come_and_go(void)
{
	struct rig *r = rig_create();
	struct shm_connection at;
	uint32_t worker;

	replicate(r, SHM_EVENT_QUEUE_SUBSCRIBE, "a/+", 42);
	works_flush(&r->w);
	CU_ASSERT_FATAL(rig_hear(r));
	CU_ASSERT_EQUAL(r->slot.type, SHM_COMMAND_APPLIED);
	CU_ASSERT_EQUAL(r->slot.applied.token, 42);
	CU_ASSERT_EQUAL(r->slot.applied.err, ERR_NONE);
	CU_ASSERT_EQUAL(matches(r), 1);
	const uint32_t queue = works_replica(&r->w, QUEUE);
	CU_ASSERT_EQUAL_FATAL(works_replica_session(&r->w, queue), QUEUE);
	CU_ASSERT_FALSE(works_replica_place(&r->w, queue, &worker, &at));
	const struct shm_place p = {.session = QUEUE, .worker = 1, .connection = {3, 4}};
	rig_say(r, SHM_EVENT_QUEUE_PLACE, &p, sizeof(p));
	CU_ASSERT(works_replica_place(&r->w, queue, &worker, &at));
	CU_ASSERT(worker == 1 && at.index == 3 && at.generation == 4);
	replicate(r, SHM_EVENT_QUEUE_SUBSCRIBE, "a/b", 0);
	replicate(r, SHM_EVENT_QUEUE_UNSUBSCRIBE, "a/+", 0);
	replicate(r, SHM_EVENT_QUEUE_UNSUBSCRIBE, "never/there", 0);
	CU_ASSERT_EQUAL(matches(r), 1);
	replicate(r, SHM_EVENT_QUEUE_GONE, "", 0);
	CU_ASSERT_EQUAL(matches(r), 0);
	CU_ASSERT_EQUAL(works_replica(&r->w, QUEUE), POOL_NONE);
	CU_ASSERT_FALSE(rig_hear(r)); /* token 0 */
	rig_destroy(&r);
}

static void a_bad_filter_is_answered(void)
{
	struct rig *r = rig_create();

	replicate(r, SHM_EVENT_QUEUE_SUBSCRIBE, "a/#/b", 43);
	works_flush(&r->w);
	CU_ASSERT_FATAL(rig_hear(r));
	CU_ASSERT_EQUAL(r->slot.applied.token, 43);
	CU_ASSERT_NOT_EQUAL(r->slot.applied.err, ERR_NONE);
	rig_destroy(&r);
}

static void place_here(struct rig *r, const struct connection *c)
{
	const struct shm_place p = {
		.session = QUEUE, .connection = {c->id.index, c->id.generation}};

	rig_say(r, SHM_EVENT_QUEUE_PLACE, &p, sizeof(p));
}

/* Retained values go to a subscriber by whether its subscription was new. */
static void a_subscriber_hears_whether_it_is_new(void)
{
	struct rig *r = rig_create();
	struct connection *c = rig_connect(r, 1, QUEUE);
	const struct subscription_options o = {.qos_max = 1, .retain_handling = 1};

	place_here(r, c);
	replicate(r, SHM_EVENT_QUEUE_SUBSCRIBE, "old", 0);
	CU_ASSERT(works_subscribe(&r->w, c, 100, span_str("old"), &o));
	CU_ASSERT(works_subscribe(&r->w, c, 101, span_str("new"), &o));
	CU_ASSERT(works_subscribe(&r->w, c, 102, span_str("refused"), &o));
	works_flush(&r->w);
	CU_ASSERT_FATAL(rig_hear(r));
	CU_ASSERT_EQUAL(r->slot.type, SHM_COMMAND_SUBSCRIBE);
	CU_ASSERT(span_equal(span_of(r->text, r->text_size), span_str("old")));
	CU_ASSERT_EQUAL(r->slot.work.flags >> SHM_FILTER_HANDLING_SHIFT, 1);
	replicate(r, SHM_EVENT_QUEUE_SUBSCRIBE, "old", 1);
	replicate(r, SHM_EVENT_QUEUE_SUBSCRIBE, "new", 2);
	rig_refused(r, 3, ERR_FILTER_TABLE_FULL);
	rig_done(r, 3);
	const struct rig_note expected[] = {{RIG_SUBSCRIBED, 100, ERR_NONE}, {RIG_SNAPSHOT, 0, 3},
		{RIG_SUBSCRIBED, 101, ERR_NONE}, {RIG_SNAPSHOT, 1, 3},
		{RIG_SUBSCRIBED, 102, ERR_FILTER_TABLE_FULL}};
	CU_ASSERT_EQUAL_FATAL(r->note_count, ARRAY_SIZE(expected));
	for (uint32_t i = 0; i < ARRAY_SIZE(expected); i++) {
		CU_ASSERT_EQUAL(r->notes[i].kind, expected[i].kind);
		CU_ASSERT_EQUAL(r->notes[i].a, expected[i].a);
		CU_ASSERT_EQUAL(r->notes[i].b, expected[i].b);
	}
	CU_ASSERT_EQUAL(c->subscribing, 0);
	rig_destroy(&r);
}

static void publish_will(struct rig *r)
{
	uint8_t bytes[256];
	const struct span text = parcel(bytes, sizeof(bytes), NULL, 0, 4);
	const struct shm_publish p = {.session = QUEUE,
		.text = rig_text(r, text),
		.text_size = (uint32_t)text.size,
		.qos = 2,
		.retain = 1};

	rig_say(r, SHM_EVENT_PUBLISH, &p, sizeof(p));
}

static void wills_are_published_or_declined(void)
{
	struct rig *r = rig_create();

	r->refuse = true;
	publish_will(r);
	works_flush(&r->w);
	CU_ASSERT_FATAL(rig_hear(r));
	CU_ASSERT_EQUAL(r->slot.type, SHM_COMMAND_DECLINED);
	CU_ASSERT_EQUAL(r->slot.declined.session, QUEUE);
	CU_ASSERT_EQUAL(r->slot.declined.entry, 0);
	r->refuse = false;
	r->keep = true;
	publish_will(r);
	CU_ASSERT_EQUAL(rig_last(r, 0).kind, RIG_PUBLISHED);
	CU_ASSERT_EQUAL(rig_last(r, 0).a, QUEUE);
	CU_ASSERT(r->kept->retain);
	CU_ASSERT_EQUAL(r->kept->publisher, POOL_NONE);
	CU_ASSERT_FALSE(rig_hear(r));
	rig_destroy(&r);
}

static void stored_values_are_loaded(void)
{
	struct rig *r = rig_create();
	uint8_t bytes[256];
	const struct span text = parcel(bytes, sizeof(bytes), NULL, 0, 9);
	const struct shm_retained s = {.text = rig_text(r, text), .text_size = (uint32_t)text.size};

	rig_say(r, SHM_EVENT_RETAINED, &s, sizeof(s));
	CU_ASSERT_EQUAL(rig_last(r, 0).kind, RIG_RETAINED);
	CU_ASSERT_EQUAL(rig_last(r, 0).a, 9);
	CU_ASSERT_FALSE(works_loaded(&r->w));
	rig_say(r, SHM_EVENT_LOADED, NULL, 0);
	CU_ASSERT(works_loaded(&r->w));
	replicate(r, SHM_EVENT_QUEUE_SUBSCRIBE, "a/b", 0);
	works_forget_replicas(&r->w);
	CU_ASSERT_EQUAL(matches(r), 0);
	rig_destroy(&r);
}

static void received_ids_come_before_the_grant(void)
{
	struct rig *r = rig_create();
	struct connection *c = rig_connect(r, 1, QUEUE);
	const struct shm_received s = {
		.connection = {1, c->id.generation}, .count = 2, .packet_ids = {8, 9}};

	rig_say(r, SHM_EVENT_RECEIVED_ID, &s, sizeof(s)); /* too late */
	CU_ASSERT_EQUAL(r->note_count, 0);
	c->grant = GRANT_ASKED;
	rig_say(r, SHM_EVENT_RECEIVED_ID, &s, sizeof(s));
	CU_ASSERT_EQUAL(rig_last(r, 1).a, 8);
	CU_ASSERT_EQUAL(rig_last(r, 0).a, 9);
	rig_destroy(&r);
}

/* Answers that find the ring full hold up events, not the worker. */
static void answers_wait_for_room(void)
{
	struct rig *r = rig_create();
	uint32_t said = 0, heard = 0;

	while (shm_tx_room(&r->w.link.commands) > WORKS_RING_KEPT)
		CU_ASSERT_FATAL(link_push(&r->w, SHM_COMMAND_CLOSED, NULL, 0));
	while (works_takes_events(&r->w))
		replicate(r, SHM_EVENT_QUEUE_SUBSCRIBE, "a", ++said);
	CU_ASSERT_EQUAL(said, WORKS_ANSWERS_MAX);
	while (rig_hear(r)) {
		works_flush(&r->w);
		if (r->slot.type == SHM_COMMAND_APPLIED)
			CU_ASSERT_EQUAL(r->slot.applied.token, ++heard);
	}
	CU_ASSERT_EQUAL(heard, said);
	CU_ASSERT(works_takes_events(&r->w));
	rig_destroy(&r);
}

/* Bodies of noise, some of whose fields are likely ones. */
static void noise(struct rig *r, struct rng *rng)
{
	struct shm_slot s;
	uint8_t *bytes = s.bytes;

	for (size_t i = 0; i < sizeof(s.bytes); i++)
		bytes[i] = rng_chance(rng, 500000) ? 0 : (uint8_t)rng_next(rng);
	for (size_t i = 0; i < 4; i++) /* small numbers, and offsets into the arena */
		bytes[4 * rng_below(rng, 12) + rng_below(rng, 3)] = (uint8_t)rng_below(rng, 32);
	rig_say(r, (enum shm_event)(1 + rng_below(rng, SHM_EVENTS + 2)), bytes, sizeof(s.bytes));
}

static void noise_is_survived(void)
{
	struct rng rng = rng_from(unit_seed());
	struct rig *r = rig_create();

	for (size_t i = 0; i < 4096; i++)
		shm_cp_worker(r->cp, 0)->arena[i] = (uint8_t)rng_next(&rng);
	for (uint32_t i = 0; i < RIG_CONNECTIONS; i++)
		rig_connect(r, i, i + 1)->grant = i % 2 == 0 ? GRANT_LIVE : GRANT_ASKED;
	for (uint32_t i = 0; i < NOISE; i++) {
		r->note_count = 0;
		noise(r, &rng);
		works_flush(&r->w);
		while (rig_hear(r))
			;
		if (i % 64 == 0)
			replicas_check(&r->w.works->replicas);
	}
	CU_ASSERT(errors(r, ERR_SLOT_BAD) > NOISE / 10);
	rig_destroy(&r);
}

static const struct unit_test tests[] = {
	{"entries_reach_their_session", entries_reach_their_session},
	{"declined_entries_keep_their_order", declined_entries_keep_their_order},
	{"entries_without_a_client_are_dropped", entries_without_a_client_are_dropped},
	{"parts_are_joined", parts_are_joined},
	{"replicas_come_and_go", replicas_come_and_go},
	{"a_bad_filter_is_answered", a_bad_filter_is_answered},
	{"a_subscriber_hears_whether_it_is_new", a_subscriber_hears_whether_it_is_new},
	{"wills_are_published_or_declined", wills_are_published_or_declined},
	{"stored_values_are_loaded", stored_values_are_loaded},
	{"received_ids_come_before_the_grant", received_ids_come_before_the_grant},
	{"answers_wait_for_room", answers_wait_for_room},
	{"noise_is_survived", noise_is_survived},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("works_event", tests, argc, argv);
}
