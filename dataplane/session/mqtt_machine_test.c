/* mqtt_machine_test.c - the MQTT session's table, timer, codes and counters.
 *
 * What is said in which situation is tested by conversations: mqtt_session_test.c. */
#include "dataplane/base/rng.h"
#include "tests/unit/mqtt_fake.h"
#include "tests/unit/unit.h"

#include <stdio.h>

enum { WALK_STEPS = 100000, OUT_MAX = FAKE_LINE_SIZE };

static struct fake world;

/* Packets as they come out of the codec; the machine decodes their bodies itself. */
static const struct {
	enum mqtt_event event;
	struct mqtt_frame frame;
} packets[] = {
#define FRAME_OF(e, t, flags, p, text)                                                             \
	{                                                                                          \
		MQTT_ON_##e,                                                                       \
		{                                                                                  \
			MQTT_##t, flags, {(const uint8_t *)(text), sizeof(text) - 1}, p            \
		}                                                                                  \
	}
#define FRAME(e, t, p, text) FRAME_OF(e, t, 0, p, text)
	FRAME(CONNECT, CONNECT, 0, "\0\4MQTT\5\6\0\11\0\0\1c\0\0\1w\0\1x"),
	FRAME(CONNECT, CONNECT, 0, "\0\4MQTT\4\2\0\11\0\1c"),
	FRAME(CONNECT, CONNECT, 0, "\0\4MQTT\6"),
	FRAME(PUBLISH, PUBLISH, 3, "\0\1a\0"),
	FRAME(PUBLISH, PUBLISH, 0, "\0\1a\0"),
	FRAME(PUBLISH, PUBLISH, 0, "\0\1"),
	FRAME_OF(PUBLISH, PUBLISH, 2, 3, "\0\1a\0\1\0"),
	FRAME_OF(PUBLISH, PUBLISH, 2, 0, "\0\1a\0\2\0"),
	FRAME_OF(PUBLISH, PUBLISH, 4, 3, "\0\1a\0\1\0"),
	FRAME_OF(PUBLISH, PUBLISH, 4, 0, "\0\1a\0\2\0"),
	FRAME_OF(PUBLISH, PUBLISH, 4, 0, "\0\1a\0\3\3\x23\0\1"),
	FRAME(PUBLISH, PUBLISH, 0, "\0\0\3\x23\0\1"),
	FRAME(SUBSCRIBE, SUBSCRIBE, 0, "\0\1\0\0\1a\0\0\1b\0"),
	FRAME(SUBSCRIBE, SUBSCRIBE, 0, "\0\1\0\0\2a#\0"),
	FRAME(SUBSCRIBE, SUBSCRIBE, 0,
		"\0\1\0\0\1a\1\0\1a\1\0\1a\1\0\1a\1\0\1a\1\0\1a\1\0\1a\1\0\1a\1\0\1a\1"
		"\0\1a\1\0\1a\1\0\1a\1\0\1a\1\0\1a\1\0\1a\1\0\1a\1\0\1a\1"),
	FRAME(UNSUBSCRIBE, UNSUBSCRIBE, 0, "\0\1\0\0\1a"),
	FRAME(ACK, PUBREL, 0, "\0\1"),
	FRAME(ACK, PUBREL, 0, "\0\2"),
	FRAME(ACK, PUBACK, 0, "\0\1"),
	FRAME(ACK, PUBACK, 0, "\0\2"),
	FRAME(ACK, PUBREC, 0, "\0\1"),
	FRAME(ACK, PUBREC, 0, "\0\2\x97"),
	FRAME(ACK, PUBCOMP, 0, "\0\1"),
	FRAME(ACK, PUBCOMP, 0, "\0\2"),
	FRAME(PINGREQ, PINGREQ, 0, ""),
	FRAME(DISCONNECT, DISCONNECT, 0, ""),
	FRAME(DISCONNECT, DISCONNECT, 0, "\4"),
	FRAME(FOREIGN, SUBACK, 0, "\0\1\0\0"),
	FRAME(MALFORMED, PUBLISH, 0, ""),
#undef FRAME
#undef FRAME_OF
};

/* What the table cannot say: payload comes when it was announced, packets when none is awaited. */
static bool may_happen(const struct mqtt_session *s, enum mqtt_event e)
{
	if (!mqtt_has_edge((enum mqtt_state)s->state, e))
		return false;
	if (e == MQTT_ON_PAYLOAD)
		return s->payload_left > 0;
	if (e < MQTT_ON_PAYLOAD)
		return s->payload_left == 0 && s->pending_count == 0 && !mqtt_publish_waits(s);
	return e != MQTT_ON_WILL; /* only mqtt_finish names it */
}

static void fill_cause(struct rng *rng, enum mqtt_event e, struct mqtt_cause *c)
{
	static const struct session_grant grants[] = {
		{.epoch = 7}, {.epoch = 8, .kept = true}, {.durable = true, .kept = true}};
	static const struct delivery deliveries[] = {{.retain = true}, {.qos = 1}, {.qos = 2},
		{.qos = 2, .entry = 1}, {.qos = 1, .entry = 2}, {.qos = 2, .retained = true},
		{.entry = 3}, {.qos = 2, .entry = 65536}};
	static const uint8_t payload[3];

	*c = (struct mqtt_cause){.now_us = world.now_us,
		.err = 1 + (enum err)rng_below(rng, ERR_COUNT - 1),
		.grant = &grants[rng_below(rng, ARRAY_SIZE(grants))],
		.delivery = &deliveries[rng_below(rng, ARRAY_SIZE(deliveries))],
		.packet_id = (uint16_t)rng_below(rng, 4),
		.entry = 1 + rng_below(rng, 3),
		.in = {payload, 1 + rng_below(rng, 3)}};
	if ((e == MQTT_ON_PUBLISHED || e == MQTT_ON_RELEASED) && !rng_chance(rng, 100000))
		c->err = ERR_NONE;
	if (world.token_count > 0)
		c->token = world.tokens[rng_below(rng, world.token_count)];
	if (e == MQTT_ON_PAYLOAD && c->in.size > world.session.payload_left)
		c->in.size = world.session.payload_left;
	if (e == MQTT_ON_MALFORMED)
		c->in.size = 0;
	for (size_t i = rng_below(rng, ARRAY_SIZE(packets)), n = 0; n < ARRAY_SIZE(packets); n++)
		if (packets[(i + n) % ARRAY_SIZE(packets)].event == e)
			c->frame = &packets[(i + n) % ARRAY_SIZE(packets)].frame;
}

static void step_at_random(struct rng *rng)
{
	const enum mqtt_event e = (enum mqtt_event)rng_below(rng, MQTT_EVENTS);
	struct mqtt_cause c;

	if (!may_happen(&world.session, e))
		return;
	world.begin_failures = rng_chance(rng, 100000);
	world.append_failures = rng_chance(rng, 100000);
	world.send_room = rng_chance(rng, 950000) ? SIZE_MAX : 0;
	world.request_refused = rng_chance(rng, 100000);
	world.self_subscribed = rng_chance(rng, 500000);
	world.self_qos = (uint8_t)rng_below(rng, 3);
	world.nobody = rng_chance(rng, 500000);
	world.publish_failures = rng_chance(rng, 100000);
	world.retained_full = rng_chance(rng, 100000);
	world.publish_later = rng_chance(rng, 500000);
	world.release_later = rng_chance(rng, 500000);
	world.now_us += rng_below(rng, 200000);
	world.token_count %= FAKE_TOKENS_MAX / 2;
	fill_cause(rng, e, &c);
	if (e == MQTT_ON_DELIVER) {
		c.message = fake_message(
			&world, span_str("t"), &(struct message_props){0}, span_str("payload"));
		c.message->qos = (uint8_t)rng_below(rng, 3);
	}
	if (world.session.state == MQTT_ASKED && rng_chance(rng, 200000))
		mqtt_session_on_received_id(&world.session, (uint16_t)rng_below(rng, 4));
	mqtt_step(&world.session, e, &c);
	if (e == MQTT_ON_DELIVER)
		message_put(&c.message);
	if (world.session.state != MQTT_CLOSED)
		fake_check(&world);
	fake_skip_lines(&world);
}

/* Each walk ends closed, exactly once, with no timer and no message left: fake_close checks. */
static void random_walk_through_the_table(void)
{
	struct rng rng = rng_from(unit_seed());
	uint32_t walks = 0, finished = 0;

	fake_open(&world);
	for (uint32_t i = 0; i < WALK_STEPS; i++) {
		step_at_random(&rng);
		if (world.session.state != MQTT_CLOSED)
			continue;
		walks++;
		finished += world.finished;
		fake_close(&world);
		fake_open(&world);
	}
	fake_close(&world);
	CU_ASSERT_TRUE(walks > 100);
	CU_ASSERT_TRUE(finished > 100);
}

static void every_state_answers_what_a_peer_can_do(void)
{
	for (int e = MQTT_ON_CONNECT; e <= MQTT_ON_MALFORMED; e++) {
		CU_ASSERT_TRUE(mqtt_has_edge(MQTT_OPENING, (enum mqtt_event)e));
		CU_ASSERT_TRUE(mqtt_has_edge(MQTT_LIVE, (enum mqtt_event)e));
	}
	CU_ASSERT_TRUE(mqtt_has_edge(MQTT_LIVE, MQTT_ON_PAYLOAD));
	for (int state = MQTT_OPENING; state <= MQTT_LIVE; state++)
		CU_ASSERT_TRUE(mqtt_has_edge((enum mqtt_state)state, MQTT_ON_TIMEOUT));
	for (int state = MQTT_OPENING; state < MQTT_CLOSED; state++) {
		CU_ASSERT_TRUE(mqtt_has_edge((enum mqtt_state)state, MQTT_ON_GONE));
		CU_ASSERT_TRUE(mqtt_has_edge((enum mqtt_state)state, MQTT_ON_REVOKE));
	}
}

static void nothing_reaches_a_closed_session(void)
{
	for (int e = 0; e < MQTT_EVENTS; e++)
		CU_ASSERT_FALSE(mqtt_has_edge(MQTT_CLOSED, (enum mqtt_event)e));
}

/* A 5.0 client that wants reasons in words, with these bytes of input behind its CONNECT. */
static void open_v5(bool granted)
{
	static const uint8_t connect[] = "\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1c";
	const struct session_grant grant = {.verdict = SESSION_GRANTED};

	fake_open(&world);
	const struct session_used u = mqtt_session_input(
		&world.session, span_of(connect, sizeof(connect) - 1), world.now_us);
	CU_ASSERT_EQUAL_FATAL(u.used, sizeof(connect) - 1);
	CU_ASSERT_TRUE(u.parked);
	if (granted)
		mqtt_session_on_grant(&world.session, &grant, world.now_us);
	fake_skip_lines(&world);
}

static size_t bytes_of_line(const char *line, uint8_t *out)
{
	const char *hex = line + strlen("out ");
	size_t n = 0;

	for (; hex[2 * n] != 0; n++) {
		unsigned byte;
		CU_ASSERT_EQUAL_FATAL(sscanf(hex + 2 * n, "%2x", &byte), 1);
		out[n] = (uint8_t)byte;
	}
	return n;
}

/* The packet that was sent last; the codec refuses reason codes that do not belong there. */
static enum mqtt_type sent(struct mqtt_frame *frame, uint8_t *bytes)
{
	const char *line = fake_next_line(&world);

	CU_ASSERT_PTR_NOT_NULL_FATAL(line);
	const size_t size = bytes_of_line(line, bytes);
	const struct decoded d =
		mqtt_decode(span_of(bytes, size), MQTT_V5, &world.conf.limits, frame);
	CU_ASSERT_EQUAL_FATAL(d.verdict, DECODE_DONE);
	CU_ASSERT_EQUAL(d.used, size);
	return frame->type;
}

static enum err sent_publish(struct mqtt_frame *frame, uint8_t *bytes, struct mqtt_publish *p)
{
	const size_t size = bytes_of_line(fake_next_line(&world), bytes);
	const struct decoded d =
		mqtt_decode(span_of(bytes, size), MQTT_V5, &world.conf.limits, frame);

	CU_ASSERT_EQUAL_FATAL(d.verdict, DECODE_DONE);
	return mqtt_decode_publish(frame, MQTT_V5, p);
}

static void every_error_has_a_disconnect_code(void)
{
	for (int e = 1; e < ERR_COUNT; e++) {
		uint8_t bytes[OUT_MAX];
		struct mqtt_frame frame;
		struct mqtt_reason p;
		open_v5(true);
		mqtt_session_on_revoke(&world.session, (enum err)e, world.now_us);
		CU_ASSERT_EQUAL_FATAL(sent(&frame, bytes), MQTT_DISCONNECT);
		CU_ASSERT_EQUAL(mqtt_decode_reason(&frame, MQTT_V5, &p), ERR_NONE);
		CU_ASSERT_TRUE(p.reason >= 0x80);
		CU_ASSERT_TRUE(span_equal(p.props.reason_string, span_str(err_text((enum err)e))));
		fake_close(&world);
	}
}

static void every_error_has_a_connack_code(void)
{
	for (int e = 1; e < ERR_COUNT; e++) {
		uint8_t bytes[OUT_MAX];
		struct mqtt_frame frame;
		struct mqtt_connack p;
		open_v5(false);
		mqtt_session_on_revoke(&world.session, (enum err)e, world.now_us);
		CU_ASSERT_EQUAL_FATAL(sent(&frame, bytes), MQTT_CONNACK);
		CU_ASSERT_EQUAL(mqtt_decode_connack(&frame, MQTT_V5, &p), ERR_NONE);
		CU_ASSERT_TRUE(p.reason >= 0x80);
		fake_close(&world);
	}
}

/* What a publish that is refused hears. */
static void every_error_has_a_publish_code(void)
{
	static const uint8_t publish[] = "\x32\6\0\1a\0\1\0";

	for (int e = 0; e < ERR_COUNT; e++) {
		uint8_t bytes[OUT_MAX];
		struct mqtt_frame frame;
		struct mqtt_ack p;
		open_v5(true);
		world.publish_later = true;
		const struct session_used u = mqtt_session_input(
			&world.session, span_of(publish, sizeof(publish) - 1), world.now_us);
		CU_ASSERT_EQUAL(u.used, sizeof(publish) - 1);
		fake_skip_lines(&world);
		mqtt_session_on_published(&world.session, 1, (enum err)e, world.now_us);
		CU_ASSERT_EQUAL_FATAL(sent(&frame, bytes), MQTT_PUBACK);
		CU_ASSERT_EQUAL(mqtt_decode_ack(&frame, MQTT_V5, &p), ERR_NONE);
		CU_ASSERT_EQUAL(p.reason == 0, e == ERR_NONE);
		CU_ASSERT_TRUE(p.reason == 0 || p.reason >= 0x80);
		fake_close(&world);
	}
}

/* 65,535 publishes later each id has been used, and never two at once. */
static void packet_ids_go_round(void)
{
	const struct delivery d = {.qos = 1};

	open_v5(true);
	struct message *m =
		fake_message(&world, span_str("t"), &(struct message_props){0}, span_str("x"));
	m->qos = 1;
	for (uint32_t i = 0; i < 65537; i++) {
		uint8_t bytes[OUT_MAX], ack[] = {0x40, 2, 0, 0};
		struct mqtt_frame frame;
		struct mqtt_publish p;
		CU_ASSERT_TRUE_FATAL(mqtt_session_deliver(&world.session, m, &d, world.now_us));
		CU_ASSERT_EQUAL_FATAL(sent_publish(&frame, bytes, &p), ERR_NONE);
		CU_ASSERT_EQUAL(p.packet_id, i % 65535 + 1);
		ack[2] = (uint8_t)(p.packet_id >> 8);
		ack[3] = (uint8_t)p.packet_id;
		const struct session_used u =
			mqtt_session_input(&world.session, span_of(ack, sizeof(ack)), world.now_us);
		CU_ASSERT_EQUAL(u.used, sizeof(ack));
		fake_skip_lines(&world);
	}
	message_put(&m);
	fake_close(&world);
}

static void answer_filter(const char *packet, size_t size, enum err e, enum mqtt_type type)
{
	uint8_t bytes[OUT_MAX];
	struct mqtt_frame frame;
	struct mqtt_suback p;

	open_v5(true);
	const struct session_used u =
		mqtt_session_input(&world.session, span_of(packet, size), world.now_us);
	CU_ASSERT_EQUAL(u.used, size);
	fake_skip_lines(&world);
	mqtt_session_on_subscribed(&world.session, world.tokens[0], e, world.now_us);
	CU_ASSERT_EQUAL_FATAL(sent(&frame, bytes), type);
	CU_ASSERT_EQUAL(mqtt_decode_suback(&frame, MQTT_V5, &p), ERR_NONE);
	CU_ASSERT_EQUAL(p.reasons.size, 1);
	CU_ASSERT_EQUAL(p.reasons.at[0] == 0, e == ERR_NONE);
	fake_close(&world);
}

static void every_error_has_a_filter_code(void)
{
	static const char subscribe[] = "\x82\7\0\1\0\0\1a\0", unsubscribe[] = "\xa2\6\0\1\0\0\1a";

	for (int e = 0; e < ERR_COUNT; e++) {
		answer_filter(subscribe, sizeof(subscribe) - 1, (enum err)e, MQTT_SUBACK);
		answer_filter(unsubscribe, sizeof(unsubscribe) - 1, (enum err)e, MQTT_UNSUBACK);
	}
}

/* A packet costs no timer operation: the deadline moves when it fires. */
static void timer_is_left_alone_by_packets(void)
{
	static const uint8_t ping[] = {0xc0, 0};

	open_v5(true);
	fake_wait(&world, 10000000);
	const uint32_t before = world.timer_calls;
	for (int i = 0; i < 1000; i++) {
		fake_wait(&world, 1000);
		const struct session_used u = mqtt_session_input(
			&world.session, span_of(ping, sizeof(ping)), world.now_us);
		CU_ASSERT_EQUAL(u.used, sizeof(ping));
		fake_skip_lines(&world);
	}
	CU_ASSERT_EQUAL(world.timer_calls, before);
	fake_wait(&world, 90000000 - 1);
	CU_ASSERT_EQUAL(world.session.state, MQTT_LIVE);
	fake_wait(&world, 1);
	CU_ASSERT_EQUAL(world.session.state, MQTT_CLOSING);
	CU_ASSERT_TRUE(world.timer_calls <= before + 4);
	fake_close(&world);
}

static void timer_that_fires_early_changes_nothing(void)
{
	open_v5(true);
	mqtt_session_on_timer(&world.session, world.now_us);
	CU_ASSERT_EQUAL(world.session.state, MQTT_LIVE);
	CU_ASSERT_EQUAL(world.deadline_us, world.now_us + 90000000);
	fake_close(&world);
	fake_open(&world);
	mqtt_session_on_timer(&world.session, world.now_us);
	CU_ASSERT_EQUAL(world.session.state, MQTT_OPENING);
	CU_ASSERT_NOT_EQUAL(world.deadline_us, 0);
	fake_close(&world);
}

static void timer_after_the_end_changes_nothing(void)
{
	open_v5(true);
	mqtt_session_on_revoke(&world.session, ERR_SHUTDOWN, world.now_us);
	CU_ASSERT_EQUAL(world.deadline_us, 0);
	mqtt_session_on_timer(&world.session, world.now_us + 1000000000);
	CU_ASSERT_EQUAL(world.deadline_us, 0);
	CU_ASSERT_EQUAL(world.finished, 1);
	fake_close(&world);
}

static void input_says_how_much_it_needs(void)
{
	static const uint8_t packet[] = "\x82\7\0\1\0\0\1a\0";

	open_v5(true);
	for (size_t size = 1; size < sizeof(packet) - 1; size++) {
		const struct session_used u =
			mqtt_session_input(&world.session, span_of(packet, size), world.now_us);
		CU_ASSERT_EQUAL(u.used, 0);
		CU_ASSERT_FALSE(u.parked);
		CU_ASSERT_EQUAL(u.need, size == 1 ? 2 : sizeof(packet) - 1);
	}
	const struct session_used none =
		mqtt_session_input(&world.session, span_of(NULL, 0), world.now_us);
	CU_ASSERT_EQUAL(none.used, 0);
	CU_ASSERT_EQUAL(none.need, 0);
	fake_close(&world);
}

static uint64_t count(enum counter id)
{
	return counter_get(&world.counters, id);
}

static void counts_what_happens(void)
{
	static const uint8_t publish[] = "\x30\7\0\1a\0xyz";
	const struct delivery d = {.retain = false};

	open_v5(true);
	CU_ASSERT_EQUAL(count(COUNTER_CONNECTS), 1);
	CU_ASSERT_EQUAL(count(COUNTER_SESSIONS), 1);
	world.begin_failures = 2;
	world.nobody = true;
	for (int i = 0; i < 3; i++) {
		const struct session_used u = mqtt_session_input(
			&world.session, span_of(publish, sizeof(publish) - 1), world.now_us);
		CU_ASSERT_EQUAL(u.parked, i < 2);
		CU_ASSERT_EQUAL(u.used, i < 2 ? 0 : sizeof(publish) - 1);
	}
	CU_ASSERT_EQUAL(count(COUNTER_PUBLISH_PARKED), 1);
	CU_ASSERT_EQUAL(count(COUNTER_PUBLISHES), 1);
	CU_ASSERT_EQUAL(count(COUNTER_PUBLISH_BYTES), 3);
	CU_ASSERT_EQUAL(count(COUNTER_MESSAGES_UNMATCHED), 1);
	struct message *m =
		fake_message(&world, span_str("t"), &(struct message_props){0}, span_str("1234"));
	CU_ASSERT_TRUE(mqtt_session_deliver(&world.session, m, &d, world.now_us));
	message_put(&m);
	CU_ASSERT_EQUAL(count(COUNTER_DELIVERIES), 1);
	CU_ASSERT_EQUAL(count(COUNTER_DELIVERY_BYTES), 4);
	mqtt_session_close(&world.session, world.now_us);
	CU_ASSERT_EQUAL(count(COUNTER_SESSIONS), 0);
	fake_close(&world);
}

/* The head of a message may be as large as the fabric allows; what does not fit is dropped. */
static void delivers_the_largest_head(void)
{
	static uint8_t pairs[MESSAGE_HEAD_LARGE - 1]; /* empty pairs grow most on the wire */
	const struct delivery d = {.retain = false};
	const struct message_props props = {.user = {pairs, sizeof(pairs) & ~3ul}};

	open_v5(true);
	struct message *m = fake_message(&world, span_str("t"), &props, span_str("x"));
	CU_ASSERT_TRUE(mqtt_session_deliver(&world.session, m, &d, world.now_us));
	CU_ASSERT_EQUAL(fake_errors(&world, ERR_FRAME_TOO_BIG), 1);
	m->props.user.size = 400;
	CU_ASSERT_TRUE(mqtt_session_deliver(&world.session, m, &d, world.now_us));
	CU_ASSERT_EQUAL(count(COUNTER_DELIVERIES), 1);
	message_put(&m);
	fake_close(&world);
}

static const struct unit_test tests[] = {
	{"random_walk_through_the_table", random_walk_through_the_table},
	{"every_state_answers_what_a_peer_can_do", every_state_answers_what_a_peer_can_do},
	{"nothing_reaches_a_closed_session", nothing_reaches_a_closed_session},
	{"every_error_has_a_disconnect_code", every_error_has_a_disconnect_code},
	{"every_error_has_a_connack_code", every_error_has_a_connack_code},
	{"every_error_has_a_filter_code", every_error_has_a_filter_code},
	{"every_error_has_a_publish_code", every_error_has_a_publish_code},
	{"packet_ids_go_round", packet_ids_go_round},
	{"timer_is_left_alone_by_packets", timer_is_left_alone_by_packets},
	{"timer_that_fires_early_changes_nothing", timer_that_fires_early_changes_nothing},
	{"timer_after_the_end_changes_nothing", timer_after_the_end_changes_nothing},
	{"input_says_how_much_it_needs", input_says_how_much_it_needs},
	{"counts_what_happens", counts_what_happens},
	{"delivers_the_largest_head", delivers_the_largest_head},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("mqtt_machine", tests, argc, argv);
}
