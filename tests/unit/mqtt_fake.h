/* mqtt_fake.h - a world for MQTT sessions under test: it carries out every effect by writing it
 * down.
 *
 * Effects are lines of text, oldest first: "out 20020000", "request id=c ...",
 * "publish topic a =hello", "subscribe a/b", "settle 7", "finish MQTT_KEEPALIVE". Messages
 * are real structs of the fabric with a store of their own that counts who is
 * alive and fails on demand. One world at a time. Not here: scripts of
 * conversations (mqtt_talk.h). */
#pragma once
#include "dataplane/session/mqtt_messages.h"

enum {
	FAKE_LINES_MAX = 512,
	FAKE_LINE_SIZE = 1024, /* longer lines are cut */
	FAKE_SCRATCH_SIZE = MESSAGE_HEAD_LARGE + MQTT_SCRATCH_SLACK,
	FAKE_TOKENS_MAX = 1024,
};

struct fake {
	struct mqtt_session session;
	struct mqtt_session_conf conf;
	struct session_ops ops;
	struct counters counters;
	uint64_t now_us;
	uint64_t deadline_us; /* what the session's timer was set to; 0: not armed */
	uint32_t timer_calls;
	uint32_t line_count; /* written */
	uint32_t line_next;  /* not looked at yet */
	uint32_t lines_lost; /* did not fit */
	uint32_t tokens[FAKE_TOKENS_MAX];
	uint32_t token_count;
	uint32_t finished;       /* calls of finish */
	uint32_t messages_alive; /* not put yet */
	uint32_t begin_failures; /* so many of the next message_begin fail */
	uint32_t append_failures;
	uint32_t publish_failures; /* so many of the next publishes find no room */
	struct mqtt_memory_conf pools;
	size_t send_room;     /* bytes that the send queue takes */
	uint8_t self_qos;     /* of its own subscription */
	bool request_refused; /* ops->request answers false */
	bool self_subscribed; /* publish delivers to the session itself */
	bool nobody;          /* no publish matches a subscription */
	bool retained_full;   /* publish refuses what is to be retained */
	bool publish_later;   /* publish answers LATER */
	bool release_later;   /* release answers false */
	bool farewell_said;
	/* From here on nothing is cleared when the world is opened. */
	char lines[FAKE_LINES_MAX][FAKE_LINE_SIZE];
	uint8_t scratch[FAKE_SCRATCH_SIZE];
};

/* Clears the world and opens its session. */
void fake_open(struct fake *f);
/* Opens it anew with other pools; nothing may have happened yet. */
void fake_resize(struct fake *f, const struct mqtt_memory_conf *pools);
/* The session's lists are in order. */
void fake_check(const struct fake *f);
/* The next line that was not looked at; NULL: none. */
const char *fake_next_line(struct fake *f);
void fake_skip_lines(struct fake *f);
/* Lets time pass; the timer fires on the way, as often as it is due. */
void fake_wait(struct fake *f, uint64_t us);
/* A message as another publisher would have built it; give it back by message_put. */
struct message *fake_message(
	struct fake *f, struct span topic, const struct message_props *props, struct span payload);
uint64_t fake_errors(const struct fake *f, enum err e); /* how often it was counted */
/* Closes the session if it still is open and checks that nothing is left. */
void fake_close(struct fake *f);
