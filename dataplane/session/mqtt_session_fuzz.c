/* mqtt_session_fuzz.c - a client, a control plane, a fabric and a clock that do what they like.
 *
 * The input is a sequence of records: what happens next, and its details. What
 * the client sent and the session did not take is offered again after every
 * record, as the worker does. The world (tests/unit/mqtt_fake.h) asserts that
 * nothing is sent after finish, that each session ends once, and that no
 * message and no timer is left. */
#include "tests/unit/mqtt_fake.h"

#include <stdlib.h>

enum { UNREAD_MAX = 1 << 17 };

static struct fake world;
static uint8_t unread[UNREAD_MAX];
static size_t unread_size;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Shows the session at most `shown` bytes in an exact copy. Returns what it took. */
static size_t offer(size_t shown, bool *parked)
{
	uint8_t *copy = (uint8_t *)malloc(shown == 0 ? 1 : shown);

	ASSERT(copy != NULL);
	memcpy(copy, unread, shown);
	const struct session_used u =
		mqtt_session_input(&world.session, span_of(copy, shown), world.now_us);
	free(copy);
	ASSERT(u.used <= shown);
	ASSERT(u.need == 0 || u.need > shown - u.used);
	ASSERT(u.used == shown || u.need > 0 || u.parked);
	ASSERT(world.finished == 0 || u.used == shown);
	unread_size -= u.used;
	memmove(unread, unread + u.used, unread_size);
	*parked = u.parked;
	return u.used;
}

static void offer_all(void)
{
	bool parked = false;

	while (unread_size > 0 && !parked && offer(unread_size, &parked) > 0)
		;
}

static void client_sends(struct reader *r, bool in_halves)
{
	const size_t wanted = read_u8(r);
	const size_t left = reader_left(r);
	const struct span bytes = read_bytes(r, wanted < left ? wanted : left);
	bool parked;

	if (bytes.size > UNREAD_MAX - unread_size)
		return;
	memcpy(unread + unread_size, bytes.at, bytes.size);
	unread_size += bytes.size;
	if (in_halves)
		offer((unread_size + 1) / 2, &parked);
}

/* The control plane answers a request once, and may renew what it granted. */
static void control_plane_answers(struct reader *r)
{
	const uint8_t detail = read_u8(r);
	const struct session_grant grant = {
		.verdict = (enum session_verdict)(detail & 7),
		.session_present = (detail & 8) != 0,
		.durable = detail >> 4 & 1,
		.kept = (detail >> 4 & 3) != 0,
		.assigned_client_id = span_of("assigned-0001", detail >> 4),
		.epoch = detail,
	};

	if (detail >> 6 == 1)
		mqtt_session_on_received_id(&world.session, detail & 7);
	if (world.session.state != MQTT_OPENING && world.session.version != 0)
		mqtt_session_on_grant(&world.session, &grant, world.now_us);
}

static void fabric_answers(struct reader *r)
{
	const uint8_t which = read_u8(r), err = read_u8(r);

	if (world.session.state == MQTT_OPENING || world.session.state == MQTT_ASKED)
		return;
	const uint32_t token =
		world.token_count == 0
			? 0x10000u * which
			: world.tokens[world.token_count - 1 - which % world.token_count];
	mqtt_session_on_subscribed(
		&world.session, token, (enum err)(err % ERR_COUNT), world.now_us);
}

static void fabric_delivers(struct reader *r)
{
	const uint8_t detail = read_u8(r), how = read_u8(r);
	const struct message_props props = {
		.content_type = span_of("t/p", detail & 1 ? 3 : 0),
		.reply_to = span_of("reply", detail & 2 ? 5 : 0),
		.correlation = span_of("\0\1\2", detail & 2 ? 3 : 0),
		.user = span_of("\0\1k\0\1v\0\0\0\0", detail & 4 ? 10 : 0),
		.expiry_s = detail & 8 ? 1 : 0,
		.payload_is_utf8 = detail >> 4 & 1,
	};
	const struct delivery d = {.retain = detail >> 5 & 1,
		.identifier_count = detail >> 6,
		.identifiers = {1, 268435455, 7},
		.qos = (how & 3) % 3,
		.dup = how >> 2 & 1,
		.retained = how >> 3 & 1,
		.entry = how >> 4 == 15 ? UINT64_MAX : how >> 4};
	struct message *m =
		fake_message(&world, span_str("topic"), &props, span_of("payload", detail & 7));

	m->qos = how & 1 ? 2 : d.qos;
	world.now_us += detail & 1 ? 1000000 : 0;
	const bool taken = mqtt_session_deliver(&world.session, m, &d, world.now_us);
	ASSERT(taken || d.entry != 0 || d.retained);
	message_put(&m);
}

/* Answers to what was asked, and to what was not. */
static void others_answer(struct reader *r)
{
	const uint8_t detail = read_u8(r);
	const uint16_t id = detail & 15;
	const enum err e = detail & 16 ? (enum err)(read_u8(r) % ERR_COUNT) : ERR_NONE;

	switch (detail >> 5) {
	case 0:
	case 1:
		mqtt_session_on_published(&world.session, id, e, world.now_us);
		break;
	case 2:
		mqtt_session_on_released(&world.session, id, e, world.now_us);
		break;
	case 3:
		mqtt_session_on_received(&world.session, id, world.now_us);
		break;
	case 4:
		if (!mqtt_session_resume(&world.session, id, world.now_us))
			ASSERT(world.session.declined);
		break;
	case 5:
		mqtt_session_on_received_id(&world.session, id);
		break;
	default:
		mqtt_session_on_writable(&world.session, world.now_us);
	}
}

static void world_changes(struct reader *r)
{
	const uint8_t detail = read_u8(r);

	world.request_refused = detail & 1;
	world.self_subscribed = detail >> 1 & 1;
	world.conf.keepalive_max_s = detail >> 3;
	world.conf.retains_nothing = detail == 7;
}

static void fabric_changes(struct reader *r)
{
	const uint8_t detail = read_u8(r);

	world.publish_later = detail & 1;
	world.retained_full = detail >> 3 & 1;
	world.release_later = detail >> 1 & 1;
	world.nobody = detail >> 2 & 1;
	world.self_qos = (detail >> 3 & 3) % 3;
	world.publish_failures = detail >> 5;
}

static void time_passes(struct reader *r)
{
	const uint64_t ms = (uint64_t)read_u8(r) * read_u8(r);

	/* At most one firing: parked input must be offered between two. */
	if (world.deadline_us != 0 && world.deadline_us - world.now_us < 1000 * ms)
		fake_wait(&world, world.deadline_us - world.now_us);
	else
		fake_wait(&world, 1000 * ms);
}

static void happen(struct reader *r)
{
	const uint8_t op = read_u8(r);
	uint8_t detail;

	switch (op & 15) {
	case 6:
		others_answer(r);
		break;
	case 7:
		fabric_changes(r);
		break;
	case 8:
		control_plane_answers(r);
		break;
	case 9:
		fabric_answers(r);
		break;
	case 10:
		time_passes(r);
		break;
	case 11:
		fabric_delivers(r);
		break;
	case 12:
		detail = read_u8(r);
		mqtt_session_on_revoke(
			&world.session, (enum err)(1 + detail % (ERR_COUNT - 1)), world.now_us);
		break;
	case 13:
		detail = read_u8(r);
		world.send_room = detail == UINT8_MAX ? SIZE_MAX : detail;
		break;
	case 14:
		detail = read_u8(r);
		world.begin_failures = detail & 15;
		world.append_failures = detail >> 4;
		break;
	case 15:
		world_changes(r);
		break;
	default:
		client_sends(r, op & 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Small, so that every one of them runs out. */
	const struct mqtt_memory_conf pools = {.outbound = {.nodes_max = 8,
						       .queued_max = 3,
						       .inflight_max = 3,
						       .counters = &world.counters},
		.inbound_max = 12,
		.alias_chunks_max = 6,
		.filter_blocks_max = 1};
	struct reader r = reader_of(span_of(data, size));

	fake_open(&world);
	world.conf.limits = (struct mqtt_limits){.packet_size_max = 2048, .control_size_max = 1536};
	world.conf.receive_max = 4;
	world.conf.park_timeout_us = 5000;
	fake_resize(&world, &pools);
	unread_size = 0;
	while (reader_left(&r) > 0) {
		happen(&r);
		fake_check(&world);
		offer_all();
		fake_check(&world);
		fake_skip_lines(&world);
		world.token_count %= FAKE_TOKENS_MAX / 2;
	}
	fake_close(&world);
	return 0;
}
