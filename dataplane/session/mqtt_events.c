/* mqtt_events.c - how an MQTT session begins and ends, and what others tell it in between: each
 * call is one event of the table (mqtt.c).
 *
 * Not here: what the peer says (mqtt_session_input), time (mqtt_session_on_timer). */
#include "dataplane/session/mqtt_messages.h"

void mqtt_session_open(struct mqtt_session *s, const struct session_ops *ops, void *owner,
	const struct mqtt_session_conf *conf, uint64_t now_us)
{
	ASSERT(conf->limits.control_size_max <= MESSAGE_HEAD_LARGE);
	ASSERT(conf->scratch_size >= MESSAGE_HEAD_LARGE + MQTT_SCRATCH_SLACK);
	ASSERT(conf->receive_max != 0);
	const struct mqtt_list none = {POOL_NONE, POOL_NONE, 0};
	*s = (struct mqtt_session){.ops = ops,
		.conf = conf,
		.owner = owner,
		.heard_us = now_us,
		.owed = none,
		.held = none,
		.done = none,
		.incoming_node = POOL_NONE,
		.aliases = POOL_NONE,
		.pending_block = POOL_NONE};
	outbound_open(&s->out, conf->memory->outbounds, ++conf->memory->serial);
	mqtt_arm(s, now_us);
	mqtt_session_check(s);
}

/* One event that is not input, then the timer. */
static void happen(struct mqtt_session *s, enum mqtt_event e, struct mqtt_cause *c)
{
	mqtt_step(s, e, c);
	mqtt_arm(s, c->now_us);
}

void mqtt_session_on_received_id(struct mqtt_session *s, uint16_t packet_id)
{
	if (s->state == MQTT_ASKED && !mqtt_inbound_hold(s, packet_id))
		s->ids_lost = true; /* a message could be taken twice: better not to begin */
}

void mqtt_session_on_grant(
	struct mqtt_session *s, const struct session_grant *grant, uint64_t now_us)
{
	struct mqtt_cause c = {.now_us = now_us, .grant = grant};

	switch (s->ids_lost ? SESSION_REFUSED_BUSY : grant->verdict) {
	case SESSION_GRANTED:
		happen(s, MQTT_ON_GRANT, &c);
		return;
	case SESSION_REFUSED_CLIENT_ID:
		c.err = ERR_MQTT_CLIENT_ID;
		break;
	case SESSION_REFUSED_CREDENTIALS:
		c.err = ERR_MQTT_CREDENTIALS;
		break;
	case SESSION_REFUSED_NOT_AUTHORISED:
		c.err = ERR_MQTT_NOT_AUTHORISED;
		break;
	case SESSION_REFUSED_BUSY:
	default: /* the other process is not trusted to know our numbers */
		c.err = ERR_MQTT_SERVER_BUSY;
	}
	happen(s, MQTT_ON_REFUSAL, &c);
}

void mqtt_session_on_subscribed(struct mqtt_session *s, uint32_t token, enum err e, uint64_t now_us)
{
	struct mqtt_cause c = {.now_us = now_us, .token = token, .err = e};

	happen(s, MQTT_ON_ANSWER, &c);
}

void mqtt_session_on_published(
	struct mqtt_session *s, uint16_t packet_id, enum err e, uint64_t now_us)
{
	struct mqtt_cause c = {.now_us = now_us, .packet_id = packet_id, .err = e};

	happen(s, MQTT_ON_PUBLISHED, &c);
}

void mqtt_session_on_released(
	struct mqtt_session *s, uint16_t packet_id, enum err e, uint64_t now_us)
{
	struct mqtt_cause c = {.now_us = now_us, .packet_id = packet_id, .err = e};

	happen(s, MQTT_ON_RELEASED, &c);
}

void mqtt_session_on_received(struct mqtt_session *s, uint64_t entry, uint64_t now_us)
{
	struct mqtt_cause c = {.now_us = now_us, .entry = entry};

	happen(s, MQTT_ON_RECEIVED, &c);
}

void mqtt_session_on_writable(struct mqtt_session *s, uint64_t now_us)
{
	struct mqtt_cause c = {.now_us = now_us};

	happen(s, MQTT_ON_ROOM, &c);
}

void mqtt_session_on_revoke(struct mqtt_session *s, enum err why, uint64_t now_us)
{
	struct mqtt_cause c = {.now_us = now_us, .err = why};

	happen(s, MQTT_ON_REVOKE, &c);
}

bool mqtt_session_deliver(
	struct mqtt_session *s, struct message *m, const struct delivery *d, uint64_t now_us)
{
	struct mqtt_cause c = {.now_us = now_us, .message = m, .delivery = d};

	happen(s, MQTT_ON_DELIVER, &c);
	return !c.declined;
}

bool mqtt_session_resume(struct mqtt_session *s, uint64_t entry, uint64_t now_us)
{
	struct mqtt_cause c = {.now_us = now_us, .entry = entry};

	happen(s, MQTT_ON_RESUME, &c);
	return !c.declined;
}

void mqtt_session_close(struct mqtt_session *s, uint64_t now_us)
{
	struct mqtt_cause c = {.now_us = now_us};

	mqtt_step(s, MQTT_ON_GONE, &c);
}
