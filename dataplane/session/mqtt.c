/* mqtt.c - the MQTT session's table of edges, its one step, its input loop and its timer.
 *
 * What the edges do is in mqtt_connect.c, mqtt_publish.c, mqtt_inbound.c,
 * mqtt_outbound.c and mqtt_subscribe.c; which reason code answers which error
 * is in mqtt_answer.c, what others tell the session in mqtt_events.c.
 *
 * Spec: MQTT 5.0 and 3.1.1; section numbers are those of 5.0 unless said. */
#include "dataplane/session/mqtt_messages.h"

/* Fixed header, the longer protocol name, protocol level: then its sender's version is known. */
enum { CONNECT_LEVEL_END = MQTT_FIXED_HEADER_MAX + 2 + sizeof("MQIsdp") };

struct edge {
	mqtt_action *act; /* absent: we believed this could not happen */
	enum mqtt_state next;
};

static enum mqtt_event ignore(struct mqtt_session *s, struct mqtt_cause *c)
{
	(void)s;
	(void)c;
	return MQTT_ON_NOTHING;
}

static void disarm(struct mqtt_session *s)
{
	if (s->deadline_us != 0)
		s->ops->timer(s->owner, 0);
	s->deadline_us = 0;
}

/* Gives back all that the session holds, but for the will. */
static void let_go(struct mqtt_session *s)
{
	if (s->state == MQTT_LIVE)
		counter_sub(s->conf->counters, COUNTER_SESSIONS, 1);
	if (s->incoming != NULL)
		message_put(&s->incoming); /* what is not whole is nothing */
	s->incoming_node = POOL_NONE;
	s->incoming_dropped = false;
	s->payload_left = 0;
	s->parked_since_us = 0;
	s->window_full = s->blocked = s->declined = false;
	mqtt_drop_pending(s);
	mqtt_inbound_clear(s);
	mqtt_alias_clear(s);
	outbound_clear(&s->out);
	mqtt_farewell(s, &(struct mqtt_goodbye){.will_void = false});
	disarm(s);
}

enum mqtt_event mqtt_finish(struct mqtt_session *s, enum err why)
{
	let_go(s);
	s->ops->finish(s->owner, why);
	return s->will == NULL ? MQTT_ON_NOTHING : MQTT_ON_WILL;
}

/* Before CONNECT nothing is answered: the peer may not speak MQTT at all (3.1.0-1). */
static enum mqtt_event shun(struct mqtt_session *s, struct mqtt_cause *c)
{
	(void)c;
	return mqtt_finish(s, ERR_MQTT_NOT_CONNECTED);
}

static enum mqtt_event give_up(struct mqtt_session *s, struct mqtt_cause *c)
{
	(void)c;
	return mqtt_finish(s, ERR_MQTT_CONNECT_TIMEOUT);
}

/* Nothing more to say: the peer said goodbye, never spoke, or takes no more bytes. */
static enum mqtt_event part(struct mqtt_session *s, struct mqtt_cause *c)
{
	return mqtt_finish(s, c->err);
}

static enum mqtt_event refuse_busy(struct mqtt_session *s, struct mqtt_cause *c)
{
	c->err = ERR_MQTT_SERVER_BUSY;
	return mqtt_refuse(s, c);
}

/* 4.13: says why (5.0) and closes. */
static enum mqtt_event expel(struct mqtt_session *s, struct mqtt_cause *c)
{
	mqtt_send_disconnect(s, c->err);
	return mqtt_finish(s, c->err);
}

static enum mqtt_event expel_second_connect(struct mqtt_session *s, struct mqtt_cause *c)
{
	c->err = ERR_MQTT_SECOND_CONNECT; /* 3.1.0-2 */
	return expel(s, c);
}

static enum mqtt_event expel_foreign(struct mqtt_session *s, struct mqtt_cause *c)
{
	c->err = ERR_MQTT_FOREIGN;
	return expel(s, c);
}

static enum mqtt_event expel_silent(struct mqtt_session *s, struct mqtt_cause *c)
{
	c->err = ERR_MQTT_KEEPALIVE; /* 3.1.2-22 */
	return expel(s, c);
}

/* Something may have changed for what waits. */
static enum mqtt_event retry(struct mqtt_session *s, struct mqtt_cause *c)
{
	const enum mqtt_event next =
		mqtt_publish_waits(s) ? mqtt_retry_publish(s, c) : mqtt_retry_answer(s, c);

	return next == MQTT_ON_NOTHING ? mqtt_flush(s, c) : next;
}

static enum mqtt_event vanish(struct mqtt_session *s, struct mqtt_cause *c)
{
	(void)c;
	let_go(s);
	mqtt_drop_will(s); /* of a CONNECT that was not granted */
	return MQTT_ON_NOTHING;
}

/* Through CLOSING, where nothing is delivered: the will may match the client's own filters. */
static enum mqtt_event lose(struct mqtt_session *s, struct mqtt_cause *c)
{
	(void)c;
	let_go(s);
	return MQTT_ON_GONE;
}

static enum mqtt_event take_pingreq(struct mqtt_session *s, struct mqtt_cause *c)
{
	struct writer w = mqtt_scratch(s);

	mqtt_encode_empty(&w, MQTT_PINGRESP);
	return mqtt_reply(s, c, &w);
}

/* Read a row to know a state, a column to know an event. ASKED means that a CONNECT waits for its
 * CONNACK, be it that the control plane is asked or that the answer is already known to be no. */
static const struct edge edges[MQTT_STATES][MQTT_EVENTS] =
	{
		[MQTT_OPENING] =
			{
				[MQTT_ON_CONNECT] = {mqtt_ask, MQTT_ASKED},
				[MQTT_ON_PUBLISH] = {shun, MQTT_CLOSING},
				[MQTT_ON_SUBSCRIBE] = {shun, MQTT_CLOSING},
				[MQTT_ON_UNSUBSCRIBE] = {shun, MQTT_CLOSING},
				[MQTT_ON_ACK] = {shun, MQTT_CLOSING},
				[MQTT_ON_PINGREQ] = {shun, MQTT_CLOSING},
				[MQTT_ON_DISCONNECT] = {shun, MQTT_CLOSING},
				[MQTT_ON_FOREIGN] = {shun, MQTT_CLOSING},
				[MQTT_ON_MALFORMED] = {mqtt_misread_connect, MQTT_ASKED},
				[MQTT_ON_TIMEOUT] = {give_up, MQTT_CLOSING},
				[MQTT_ON_ANSWER] = {ignore, MQTT_OPENING},
				[MQTT_ON_DELIVER] = {ignore, MQTT_OPENING},
				[MQTT_ON_RESUME] = {ignore, MQTT_OPENING},
				[MQTT_ON_PUBLISHED] = {ignore, MQTT_OPENING},
				[MQTT_ON_RELEASED] = {ignore, MQTT_OPENING},
				[MQTT_ON_RECEIVED] = {ignore, MQTT_OPENING},
				[MQTT_ON_ROOM] = {ignore, MQTT_OPENING},
				[MQTT_ON_REVOKE] = {part, MQTT_CLOSING},
				[MQTT_ON_GONE] = {vanish, MQTT_CLOSED},
			},
		[MQTT_ASKED] =
			{
				[MQTT_ON_GRANT] = {mqtt_welcome, MQTT_LIVE},
				[MQTT_ON_REFUSAL] = {mqtt_refuse, MQTT_CLOSING},
				[MQTT_ON_TIMEOUT] = {refuse_busy, MQTT_CLOSING},
				[MQTT_ON_ANSWER] = {ignore, MQTT_ASKED},
				[MQTT_ON_DELIVER] = {ignore, MQTT_ASKED},
				[MQTT_ON_RESUME] = {ignore, MQTT_ASKED},
				[MQTT_ON_PUBLISHED] = {ignore, MQTT_ASKED},
				[MQTT_ON_RELEASED] = {ignore, MQTT_ASKED},
				[MQTT_ON_RECEIVED] = {ignore, MQTT_ASKED},
				[MQTT_ON_ROOM] = {ignore, MQTT_ASKED},
				[MQTT_ON_REVOKE] = {mqtt_refuse, MQTT_CLOSING},
				[MQTT_ON_GONE] = {vanish, MQTT_CLOSED},
			},
		[MQTT_LIVE] =
			{
				[MQTT_ON_CONNECT] = {expel_second_connect, MQTT_CLOSING},
				[MQTT_ON_PUBLISH] = {mqtt_take_publish, MQTT_LIVE},
				[MQTT_ON_SUBSCRIBE] = {mqtt_take_subscribe, MQTT_LIVE},
				[MQTT_ON_UNSUBSCRIBE] = {mqtt_take_unsubscribe, MQTT_LIVE},
				[MQTT_ON_ACK] = {mqtt_take_ack, MQTT_LIVE},
				[MQTT_ON_PINGREQ] = {take_pingreq, MQTT_LIVE},
				[MQTT_ON_DISCONNECT] = {mqtt_take_disconnect, MQTT_LIVE},
				[MQTT_ON_FOREIGN] = {expel_foreign, MQTT_CLOSING},
				[MQTT_ON_MALFORMED] = {expel, MQTT_CLOSING},
				[MQTT_ON_PAYLOAD] = {mqtt_take_payload, MQTT_LIVE},
				[MQTT_ON_GRANT] = {mqtt_renew, MQTT_LIVE},
				[MQTT_ON_REFUSAL] = {expel, MQTT_CLOSING},
				[MQTT_ON_ANSWER] = {mqtt_take_answer, MQTT_LIVE},
				[MQTT_ON_TIMEOUT] = {expel_silent, MQTT_CLOSING},
				[MQTT_ON_RETRY] = {retry, MQTT_LIVE},
				[MQTT_ON_REVOKE] = {expel, MQTT_CLOSING},
				[MQTT_ON_DELIVER] = {mqtt_take_delivery, MQTT_LIVE},
				[MQTT_ON_RESUME] = {mqtt_take_resumption, MQTT_LIVE},
				[MQTT_ON_PUBLISHED] = {mqtt_take_published, MQTT_LIVE},
				[MQTT_ON_RELEASED] = {mqtt_take_released, MQTT_LIVE},
				[MQTT_ON_RECEIVED] = {mqtt_take_received, MQTT_LIVE},
				[MQTT_ON_ROOM] = {retry, MQTT_LIVE},
				[MQTT_ON_GONE] = {lose, MQTT_CLOSING},
				[MQTT_ON_VIOLATION] = {expel, MQTT_CLOSING},
				[MQTT_ON_STUCK] = {part, MQTT_CLOSING},
				[MQTT_ON_GOODBYE] = {part, MQTT_CLOSING},
			},
		[MQTT_CLOSING] =
			{
				/* what was on its way when we finished; a will still here is due */
				[MQTT_ON_GRANT] = {ignore, MQTT_CLOSING},
				[MQTT_ON_REFUSAL] = {ignore, MQTT_CLOSING},
				[MQTT_ON_REVOKE] = {ignore, MQTT_CLOSING},
				[MQTT_ON_ANSWER] = {ignore, MQTT_CLOSING},
				[MQTT_ON_DELIVER] = {ignore, MQTT_CLOSING},
				[MQTT_ON_RESUME] = {ignore, MQTT_CLOSING},
				[MQTT_ON_PUBLISHED] = {ignore, MQTT_CLOSING},
				[MQTT_ON_RELEASED] = {ignore, MQTT_CLOSING},
				[MQTT_ON_RECEIVED] = {ignore, MQTT_CLOSING},
				[MQTT_ON_ROOM] = {ignore, MQTT_CLOSING},
				[MQTT_ON_WILL] = {mqtt_publish_will, MQTT_CLOSING},
				[MQTT_ON_GONE] = {mqtt_publish_will, MQTT_CLOSED},
			},
		/* MQTT_CLOSED has no row: nothing may reach a closed session. */
};

bool mqtt_has_edge(enum mqtt_state state, enum mqtt_event e)
{
	ASSERT(state < MQTT_STATES);
	ASSERT(e < MQTT_EVENTS);
	return edges[state][e].act != NULL;
}

void mqtt_step(struct mqtt_session *s, enum mqtt_event e, struct mqtt_cause *c)
{
	while (e != MQTT_ON_NOTHING) {
		mqtt_session_check(s);
		ASSERT(e < MQTT_EVENTS);
		const struct edge *edge = &edges[s->state][e];
		ASSERT(edge->act != NULL);
		e = edge->act(s, c);
		s->state = (uint8_t)edge->next;
		mqtt_session_check(s);
	}
}

/* What a session without a conversation holds nothing of. */
static void check_idle(const struct mqtt_session *s)
{
	ASSERT(s->incoming == NULL);
	ASSERT(s->payload_left == 0);
	ASSERT(s->pending_count == 0);
	ASSERT(s->parked_since_us == 0);
	ASSERT(s->aliases == POOL_NONE);
	ASSERT(s->owed.count == 0);
	ASSERT(s->done.count == 0);
	ASSERT(s->counted == 0);
	ASSERT(s->held.count == 0 || s->state == MQTT_ASKED);
	ASSERT(s->out.waiting.count + s->out.flight.count + s->out.due.count == 0);
	ASSERT(!s->window_full && !s->blocked && !s->declined);
	ASSERT(!s->kept);
}

static void check_incoming(const struct mqtt_session *s)
{
	ASSERT(s->incoming == NULL || !s->incoming_dropped);
	ASSERT(!s->incoming_dropped || s->payload_left > 0);
	ASSERT(s->payload_left == 0 || s->incoming != NULL || s->incoming_dropped);
	ASSERT(s->incoming_node == POOL_NONE || s->owed.count > 0);
	ASSERT(s->incoming_node == POOL_NONE || s->incoming != NULL || s->payload_left > 0);
}

void mqtt_session_check(const struct mqtt_session *s)
{
	const bool live = s->state == MQTT_LIVE;

	ASSERT(s->state < MQTT_STATES);
	ASSERT(s->ops != NULL);
	ASSERT(s->conf != NULL);
	ASSERT(s->will == NULL || (s->state != MQTT_OPENING && s->state != MQTT_CLOSED));
	ASSERT(s->will == NULL || !s->kept);
	ASSERT(s->state < MQTT_CLOSING || s->deadline_us == 0);
	ASSERT(!live || (s->version >= MQTT_V3 && s->version <= MQTT_V5));
	ASSERT(s->pending_left <= s->pending_count);
	ASSERT(s->pending_left <= MQTT_FILTERS_ANSWERED_MAX);
	ASSERT(s->out.receive_max != 0);
	ASSERT(s->out.sent <= s->out.receive_max);
	ASSERT(s->out.sent <= s->out.flight.count + s->out.due.count);
	ASSERT(s->counted <= s->owed.count + s->held.count + s->done.count);
	ASSERT(!mqtt_is_v5(s) || s->counted <= s->conf->receive_max);
	check_incoming(s);
	if (!live)
		check_idle(s);
}

bool mqtt_park(struct mqtt_session *s, struct mqtt_cause *c)
{
	if (s->parked_since_us == 0)
		s->parked_since_us = c->now_us == 0 ? 1 : c->now_us;
	c->parked = c->now_us < s->parked_since_us + s->conf->park_timeout_us;
	return c->parked;
}

/* The silence while we did not read is ours, not the peer's. */
void mqtt_unpark(struct mqtt_session *s, uint64_t now_us)
{
	if (s->parked_since_us != 0)
		s->heard_us = now_us;
	s->parked_since_us = 0;
}

/* When the time is over that this state allows; 0: never. */
static uint64_t due_us(const struct mqtt_session *s)
{
	if (s->state == MQTT_OPENING)
		return s->heard_us + s->conf->connect_timeout_us;
	if (s->state == MQTT_ASKED)
		return s->heard_us + s->conf->grant_timeout_us;
	if (s->state != MQTT_LIVE || s->keepalive_s == 0)
		return 0;
	if (s->parked_since_us != 0 || s->pending_count != 0 || s->window_full)
		return 0; /* we do not read: silence says nothing */
	return s->heard_us + (uint64_t)s->keepalive_s * 1500000; /* 3.1.2-22: one and a half */
}

/* How often it is tried again what waits for room; 0: nothing does. */
static uint64_t retry_us(const struct mqtt_session *s)
{
	if (s->parked_since_us != 0)
		return MQTT_PARK_RETRY_US;
	return s->blocked || s->declined || s->window_full ? MQTT_ROOM_RETRY_US : 0;
}

/* The timer is only ever moved forward; one that fires too soon is set again then. So a packet
 * costs no timer operation. */
void mqtt_arm(struct mqtt_session *s, uint64_t now_us)
{
	const uint64_t retry = retry_us(s);
	uint64_t want_us = due_us(s);

	if (retry != 0 && (want_us == 0 || now_us + retry < want_us))
		want_us = now_us + retry;
	if (want_us == 0 || (s->deadline_us != 0 && s->deadline_us <= want_us))
		return;
	s->deadline_us = want_us;
	s->ops->timer(s->owner, want_us);
}

/* Answers from others, and room, must come first. */
static bool waiting(const struct mqtt_session *s)
{
	return s->state == MQTT_ASKED || s->pending_count != 0 || mqtt_publish_waits(s);
}

static enum mqtt_event event_of(unsigned type)
{
	static const uint8_t events[16] = {
		[0] = MQTT_ON_MALFORMED,
		[MQTT_CONNECT] = MQTT_ON_CONNECT,
		[MQTT_CONNACK] = MQTT_ON_FOREIGN,
		[MQTT_PUBLISH] = MQTT_ON_PUBLISH,
		[MQTT_PUBACK] = MQTT_ON_ACK,
		[MQTT_PUBREC] = MQTT_ON_ACK,
		[MQTT_PUBREL] = MQTT_ON_ACK,
		[MQTT_PUBCOMP] = MQTT_ON_ACK,
		[MQTT_SUBSCRIBE] = MQTT_ON_SUBSCRIBE,
		[MQTT_SUBACK] = MQTT_ON_FOREIGN,
		[MQTT_UNSUBSCRIBE] = MQTT_ON_UNSUBSCRIBE,
		[MQTT_UNSUBACK] = MQTT_ON_FOREIGN,
		[MQTT_PINGREQ] = MQTT_ON_PINGREQ,
		[MQTT_PINGRESP] = MQTT_ON_FOREIGN,
		[MQTT_DISCONNECT] = MQTT_ON_DISCONNECT,
		[MQTT_AUTH] = MQTT_ON_FOREIGN, /* no method was agreed on: 4.12.0-6 */
	};

	return (enum mqtt_event)events[type & 0x0f];
}

static void take_frame(
	struct mqtt_session *s, struct span in, uint64_t now_us, struct session_used *out)
{
	struct mqtt_cause c = {.now_us = now_us, .in = in, .err = ERR_MQTT_NOT_CONNECTED};
	struct mqtt_frame frame;

	/* A stranger is known by its first byte: do not wait for the rest. */
	if (s->state == MQTT_OPENING && in.at[0] >> 4 != MQTT_CONNECT) {
		mqtt_step(s, event_of(in.at[0] >> 4), &c);
		return;
	}
	const struct decoded d = mqtt_decode(in, mqtt_wire(s), &s->conf->limits, &frame);
	if (d.verdict == DECODE_MORE) {
		ASSERT(d.need > in.size);
		out->need = d.need;
		return;
	}
	if (d.verdict == DECODE_BAD) {
		/* Who is it that we answer? The same whether it comes in one piece or in many. */
		if (s->state == MQTT_OPENING && in.size < CONNECT_LEVEL_END) {
			out->need = in.size + 1;
			return;
		}
		c.err = d.err;
		mqtt_step(s, MQTT_ON_MALFORMED, &c);
		return;
	}
	c.frame = &frame;
	mqtt_step(s, event_of(frame.type), &c);
	out->parked = c.parked;
	if (c.parked)
		return;
	out->used += d.used;
	s->heard_us = now_us;
}

static void take_chunk(
	struct mqtt_session *s, struct span in, uint64_t now_us, struct session_used *out)
{
	const size_t size = in.size < s->payload_left ? in.size : s->payload_left;
	struct mqtt_cause c = {.now_us = now_us, .in = {in.at, size}};

	mqtt_step(s, MQTT_ON_PAYLOAD, &c);
	out->used += c.used;
	out->parked = c.parked;
}

struct session_used mqtt_session_input(struct mqtt_session *s, struct span in, uint64_t now_us)
{
	struct session_used out = {0};

	mqtt_session_check(s);
	ASSERT(s->state != MQTT_CLOSED);
	while (out.used < in.size && out.need == 0 && !out.parked && s->state != MQTT_CLOSING) {
		const struct span left = span_skip(in, out.used);
		if (waiting(s))
			break;
		if (s->payload_left > 0)
			take_chunk(s, left, now_us, &out);
		else
			take_frame(s, left, now_us, &out);
	}
	if (s->state == MQTT_CLOSING) /* 3.1.4-6, 3.14.4: nothing is processed any more */
		out = (struct session_used){.used = in.size};
	else if (waiting(s))
		out.parked = true;
	s->parked = out.parked;
	mqtt_arm(s, now_us);
	mqtt_session_check(s);
	ASSERT(out.used <= in.size);
	return out;
}

void mqtt_session_on_timer(struct mqtt_session *s, uint64_t now_us)
{
	struct mqtt_cause c = {.now_us = now_us};
	const uint64_t due = due_us(s);

	mqtt_session_check(s);
	s->deadline_us = 0; /* it has fired */
	if (due != 0 && now_us >= due)
		mqtt_step(s, MQTT_ON_TIMEOUT, &c);
	else if (retry_us(s) != 0)
		mqtt_step(s, MQTT_ON_RETRY, &c);
	mqtt_arm(s, now_us);
}
