/* mqtt_outbound.c - messages towards the client, and its acknowledgements.
 *
 * QoS 0 is sent at once or dropped. Everything else goes through the engine
 * (fabric/outbound.h) and is sent when window and send queue allow. Nothing is
 * sent twice over one connection (5.0 4.4). What fails for good is settled, so
 * that a queue does not wait for it.
 *
 * Spec: MQTT 5.0 3.3 to 3.7, 4.3, 4.4, 4.6, 4.9; 3.1.1 likewise. */
#include "dataplane/session/mqtt_messages.h"

static_assert((int)FABRIC_IDENTIFIERS_MAX == (int)MQTT_SUB_IDS_MAX, "a delivery's fit a packet");

/* One message as it goes out. */
struct outgoing {
	struct message *message;
	const struct delivery *delivery;
	uint8_t qos;
	uint16_t packet_id;
};

/* False: its time is over (3.3.2-5). */
static bool still_valid(const struct message *m, uint64_t now_us, uint32_t *left_s)
{
	const uint64_t waited_s = now_us <= m->born_us ? 0 : (now_us - m->born_us) / 1000000;

	*left_s = waited_s < m->props.expiry_s ? m->props.expiry_s - (uint32_t)waited_s : 0;
	return m->props.expiry_s == 0 || *left_s > 0;
}

static void fill_span(
	struct mqtt_props *p, enum mqtt_property id, struct span *to, struct span from)
{
	if (from.size == 0)
		return;
	mqtt_set(p, id);
	*to = from;
}

/* 3.3.2.3: everything that the publisher said, unaltered, and the filters' identifiers. */
static void fill_props(struct mqtt_props *p, const struct message *m, const struct delivery *d,
	uint32_t expiry_left_s)
{
	if (m->props.payload_is_utf8 != 0)
		mqtt_set(p, MQTT_PROPERTY_PAYLOAD_FORMAT);
	p->payload_format = m->props.payload_is_utf8;
	if (m->props.expiry_s != 0)
		mqtt_set(p, MQTT_PROPERTY_MESSAGE_EXPIRY);
	p->message_expiry_s = expiry_left_s; /* 3.3.2-6 */
	fill_span(p, MQTT_PROPERTY_CONTENT_TYPE, &p->content_type, m->props.content_type);
	fill_span(p, MQTT_PROPERTY_RESPONSE_TOPIC, &p->response_topic, m->props.reply_to);
	fill_span(p, MQTT_PROPERTY_CORRELATION, &p->correlation, m->props.correlation);
	fill_span(p, MQTT_PROPERTY_USER, &p->user, m->props.user);
	if (d->identifier_count != 0)
		mqtt_set(p, MQTT_PROPERTY_SUBSCRIPTION_ID);
	p->subscription_id_count = d->identifier_count;
	memcpy(p->subscription_ids, d->identifiers, sizeof(d->identifiers));
}

static void count_delivery(const struct mqtt_session *s, const struct outgoing *o)
{
	struct counters *counters = s->conf->counters;

	counter_add(counters, COUNTER_DELIVERIES, 1);
	counter_add(counters, COUNTER_DELIVERY_BYTES, o->message->payload_size);
	if (o->delivery->entry != 0)
		counter_add(counters, COUNTER_QUEUE_DELIVERIES, 1);
	if (o->qos != 0 && o->delivery->dup)
		counter_add(counters, COUNTER_REDELIVERIES, 1);
}

static enum err send_publish(struct mqtt_session *s, const struct outgoing *o, uint64_t now_us)
{
	const struct message *m = o->message;
	const struct delivery *d = o->delivery;
	struct writer w = mqtt_scratch(s);
	struct mqtt_publish p = {.topic = m->topic,
		.qos = o->qos,
		.packet_id = o->packet_id,
		.dup = o->qos != 0 && d->dup,        /* 3.3.1-2 */
		.retain = d->retain || d->retained}; /* 3.3.1-8 */
	uint32_t left_s;

	if (!still_valid(m, now_us, &left_s))
		return ERR_MESSAGE_EXPIRED;
	if (mqtt_is_v5(s))
		fill_props(&p.props, m, d, left_s);
	mqtt_encode_publish(&w, mqtt_wire(s), &p, m->payload_size);
	if (w.bad)
		return ERR_FRAME_TOO_BIG;
	const uint64_t size = (uint64_t)writer_used(&w) + m->payload_size;
	if (s->peer_packet_max != 0 && size > s->peer_packet_max)
		return ERR_MQTT_PEER_PACKET_MAX; /* 3.1.2-24, 3.1.2-25 */
	if (!s->ops->send_message(s->owner, writer_span(&w), o->message))
		return ERR_SEND_QUEUE_FULL;
	count_delivery(s, o);
	return ERR_NONE;
}

/* The client will not need it again, as its queue sees it. */
static void forget(struct mqtt_session *s, struct outbound_node *n)
{
	const uint64_t entry = n->delivery.entry;

	outbound_drop(&s->out, n);
	if (entry != 0)
		s->ops->settle(s->owner, entry);
}

static enum err send_node(struct mqtt_session *s, struct outbound_node *n, uint64_t now_us)
{
	const struct outgoing o = {n->message, &n->delivery, n->qos, n->packet_id};
	const enum err e = send_publish(s, &o, now_us);

	if (e == ERR_SEND_QUEUE_FULL)
		return e;
	if (e == ERR_NONE) {
		outbound_sent(&s->out, n);
		return ERR_NONE;
	}
	counter_err(s->conf->counters, e);
	forget(s, n); /* 3.1.2-25: as if it had been sent */
	return ERR_NONE;
}

static enum err send_pubrel(struct mqtt_session *s, struct outbound_node *n)
{
	const struct mqtt_ack p = {.packet_id = n->packet_id};
	struct writer w = mqtt_scratch(s);

	mqtt_encode_ack(&w, MQTT_PUBREL, mqtt_wire(s), &p);
	const enum err e = mqtt_send(s, &w);
	if (e == ERR_NONE)
		outbound_released(&s->out, n);
	return e;
}

/* PUBRELs in the order of PUBRECs (4.6.0-4), then messages in theirs. */
static enum err pump(struct mqtt_session *s, uint64_t now_us)
{
	struct outbound_node *n;
	enum err e = ERR_NONE;

	while (e == ERR_NONE && (n = outbound_due(&s->out)) != NULL)
		e = send_pubrel(s, n);
	while (e == ERR_NONE && (n = outbound_next(&s->out)) != NULL)
		e = send_node(s, n, now_us);
	s->blocked = e == ERR_SEND_QUEUE_FULL;
	return e;
}

/* Of what was declined. Entries do not depend on our window. */
static bool takes_more(const struct mqtt_session *s)
{
	return !s->blocked && s->out.waiting.count == 0 &&
	       (s->durable || outbound_window_open(&s->out));
}

enum mqtt_event mqtt_flush(struct mqtt_session *s, struct mqtt_cause *c)
{
	enum err e = mqtt_inbound_flush(s);

	if (e == ERR_NONE)
		e = pump(s, c->now_us);
	s->blocked = e == ERR_SEND_QUEUE_FULL;
	if (e == ERR_MQTT_PEER_PACKET_MAX) {
		c->err = e;
		return MQTT_ON_VIOLATION; /* the client waits for an answer that it cannot get */
	}
	if (s->declined && takes_more(s)) {
		s->declined = false;
		s->ops->room(s->owner);
	}
	return MQTT_ON_NOTHING;
}

static enum mqtt_event decline(struct mqtt_session *s, struct mqtt_cause *c)
{
	s->declined = true;
	c->declined = true;
	return MQTT_ON_NOTHING;
}

/* What waits comes first: otherwise small messages could keep out a large one for ever. */
static enum err send_at_once(struct mqtt_session *s, struct mqtt_cause *c)
{
	const struct outgoing o = {.message = c->message, .delivery = c->delivery};

	if (s->blocked && s->out.waiting.count > 0)
		return ERR_SEND_QUEUE_FULL;
	return send_publish(s, &o, c->now_us);
}

static enum mqtt_event deliver_once(struct mqtt_session *s, struct mqtt_cause *c)
{
	const uint64_t entry = c->delivery->entry;
	const enum err e = send_at_once(s, c);

	if (e == ERR_SEND_QUEUE_FULL && (c->delivery->retained || entry != 0))
		return decline(s, c);
	if (e != ERR_NONE)
		counter_err(s->conf->counters, e);
	if (entry != 0)
		s->ops->settle(s->owner, entry); /* nothing will acknowledge it */
	return MQTT_ON_NOTHING;
}

/* A snapshot comes as fast as the client takes it, and leaves the queue to what is news. */
static bool takes_retained(const struct mqtt_session *s)
{
	return !s->blocked && s->out.waiting.count == 0 && outbound_window_open(&s->out);
}

static enum mqtt_event deliver_acknowledged(
	struct mqtt_session *s, struct mqtt_cause *c, uint8_t qos)
{
	const struct delivery *d = c->delivery;
	const bool again = d->retained || d->entry != 0; /* it can be offered again */

	if (d->retained && d->entry == 0 && !takes_retained(s))
		return decline(s, c);
	const enum err e = outbound_push(&s->out, c->message, d, qos);
	if (e != ERR_NONE && again)
		return decline(s, c);
	if (e != ERR_NONE)
		counter_err(s->conf->counters, e);
	else if (!s->blocked)
		c->err = pump(s, c->now_us);
	return MQTT_ON_NOTHING;
}

enum mqtt_event mqtt_take_delivery(struct mqtt_session *s, struct mqtt_cause *c)
{
	const uint8_t qos = c->message->qos < c->delivery->qos ? c->message->qos : c->delivery->qos;

	return qos == 0 ? deliver_once(s, c) : deliver_acknowledged(s, c, qos);
}

enum mqtt_event mqtt_take_resumption(struct mqtt_session *s, struct mqtt_cause *c)
{
	if (outbound_resume(&s->out, c->entry) != ERR_NONE)
		return decline(s, c);
	return mqtt_flush(s, c);
}

enum mqtt_event mqtt_take_received(struct mqtt_session *s, struct mqtt_cause *c)
{
	struct outbound_node *n = outbound_find_entry(&s->out, c->entry);

	if (n == NULL || n->state != OUTBOUND_RECEIVING)
		return MQTT_ON_NOTHING;
	outbound_releasing(&s->out, n);
	return mqtt_flush(s, c);
}

/* Acknowledgements of the client */

static enum mqtt_event count_unknown(struct mqtt_session *s)
{
	if (s->parked_since_us == 0)
		counter_err(s->conf->counters, ERR_MQTT_UNKNOWN_ID);
	return MQTT_ON_NOTHING;
}

enum mqtt_event mqtt_answer_unknown(
	struct mqtt_session *s, struct mqtt_cause *c, enum mqtt_type answer)
{
	const struct mqtt_ack p = {.packet_id = c->packet_id, .reason = 0x92};
	struct writer w = mqtt_scratch(s);

	count_unknown(s);
	mqtt_encode_ack(&w, answer, mqtt_wire(s), &p);
	return mqtt_reply(s, c, &w);
}

static enum mqtt_event end_of(
	struct mqtt_session *s, struct mqtt_cause *c, enum outbound_state state, uint8_t qos)
{
	struct outbound_node *n = outbound_find(&s->out, c->packet_id);

	if (n == NULL || n->state != state || n->qos != qos)
		return count_unknown(s);
	forget(s, n);
	return mqtt_flush(s, c);
}

/* An entry: PUBREL has to wait, so that it is not sent as a PUBLISH again. */
static enum mqtt_event received_by_client(
	struct mqtt_session *s, struct mqtt_cause *c, struct outbound_node *n)
{
	if (n->delivery.entry == 0) {
		outbound_releasing(&s->out, n);
		return mqtt_flush(s, c);
	}
	const uint64_t entry = n->delivery.entry;
	outbound_receiving(&s->out, n);
	s->ops->receive(s->owner, entry);
	return MQTT_ON_NOTHING;
}

static enum mqtt_event take_pubrec(struct mqtt_session *s, struct mqtt_cause *c, uint8_t reason)
{
	struct outbound_node *n = outbound_find(&s->out, c->packet_id);

	if (n == NULL || n->qos != 2)
		return mqtt_answer_unknown(s, c, MQTT_PUBREL); /* 3.6.2.1 */
	if (n->state != OUTBOUND_SENT)
		return count_unknown(s); /* said twice: the one PUBREL is under way */
	if (reason < 0x80)
		return received_by_client(s, c, n);
	forget(s, n); /* 4.3.3: no PUBREL */
	return mqtt_flush(s, c);
}

enum mqtt_event mqtt_take_ack(struct mqtt_session *s, struct mqtt_cause *c)
{
	struct mqtt_ack p;

	c->err = mqtt_decode_ack(c->frame, mqtt_wire(s), &p);
	if (c->err != ERR_NONE)
		return MQTT_ON_VIOLATION;
	c->packet_id = p.packet_id;
	if (c->frame->type == MQTT_PUBACK)
		return end_of(s, c, OUTBOUND_SENT, 1);
	if (c->frame->type == MQTT_PUBREC)
		return take_pubrec(s, c, p.reason);
	if (c->frame->type == MQTT_PUBREL)
		return mqtt_take_pubrel(s, c);
	return end_of(s, c, OUTBOUND_RELEASED, 2); /* PUBCOMP */
}
