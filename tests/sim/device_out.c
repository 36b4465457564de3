/* device_out.c - what a device publishes, until it is answered. */
#include "tests/sim/device_internal.h"

#include "dataplane/base/assert.h"

#include <stdio.h>

static bool id_in_use(const struct device *d, uint16_t id)
{
	for (uint32_t i = 0; i < d->out_count; i++)
		if (d->out[i].packet_id == id)
			return true;
	for (size_t i = 0; i < DEVICE_SUBSCRIPTIONS_MAX; i++)
		if (d->want[i].packet_id == id)
			return true;
	return false;
}

uint16_t device_next_id(struct device *d)
{
	do
		d->packet_id++;
	while (d->packet_id == 0 || id_in_use(d, d->packet_id));
	return d->packet_id;
}

bool device_publish(struct device *d, const char *topic, uint32_t size, uint8_t qos, bool retain)
{
	const struct ledger_message m = {.publisher = d->conf.number,
		.topic = topic,
		.size = size,
		.qos = qos,
		.retain = retain};

	if (d->out_count == DEVICE_OUTBOX_MAX)
		return false;
	const uint32_t number = ledger_attempt(d->ledger, &m);
	if (number == LEDGER_NONE)
		return false;
	struct out *o = &d->out[d->out_count++];
	*o = (struct out){.message = number, .qos = qos, .retain = retain};
	snprintf(o->topic, sizeof(o->topic), "%s", topic);
	return true;
}

static void forget(struct device *d, uint32_t at)
{
	d->out_count--;
	memmove(&d->out[at], &d->out[at + 1], (d->out_count - at) * sizeof(*d->out));
}

/* A session that is gone takes with it what was under way. */
void device_lost_outbox(struct device *d)
{
	for (uint32_t i = d->out_count; i > 0; i--)
		if (d->out[i - 1].stage != OUT_WAITING)
			forget(d, i - 1);
}

static bool say(struct device *d, struct out *o)
{
	struct writer w = writer_of(d->packet, sizeof(d->packet));
	const struct span payload = ledger_payload(d->ledger, o->message);
	struct mqtt_publish p = {.dup = o->stage == OUT_SENT,
		.retain = o->retain,
		.qos = o->qos,
		.packet_id = o->packet_id,
		.topic = span_str(o->topic)};

	if (client_room(d->client) < payload.size + 256)
		return false;
	mqtt_props_init(&p.props);
	mqtt_encode_publish(&w, d->conf.version, &p, (uint32_t)payload.size);
	write_bytes(&w, payload);
	return device_write(d, &w);
}

uint32_t device_under_way(const struct device *d)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->out_count; i++)
		n += d->out[i].stage != OUT_WAITING;
	return n;
}

static uint32_t window(const struct device *d)
{
	return d->conf.window < d->server_window ? d->conf.window : d->server_window;
}

static bool send_waiting(struct device *d, struct out *o)
{
	if (device_under_way(d) >= window(d))
		return false;
	o->packet_id = device_next_id(d);
	if (!say(d, o)) {
		o->packet_id = 0;
		return false;
	}
	o->stage = OUT_SENT;
	return true;
}

static bool send_one(struct device *d, uint32_t at)
{
	struct out *o = &d->out[at];
	bool sent = false;

	switch ((enum out_stage)o->stage) {
	case OUT_WAITING:
		sent = send_waiting(d, o);
		break;
	case OUT_SENT:
		sent = say(d, o);
		break;
	case OUT_RELEASED:
		o->repeated = o->said != 0;
		sent = device_acknowledge(d, MQTT_PUBREL, o->packet_id);
		break;
	}
	if (sent)
		o->said = d->connection;
	return sent;
}

bool device_send(struct device *d)
{
	bool any = false;

	for (uint32_t i = 0; i < d->out_count;) {
		struct out *o = &d->out[i];
		const bool late = o->stage == OUT_RELEASED && d->now_us < o->after_us;
		if (o->said == d->connection || late) {
			i++;
		} else if (o->stage == OUT_WAITING && o->qos == 0) {
			if (!say(d, o))
				break;
			forget(d, i);
			any = true;
		} else if (send_one(d, i)) {
			any = true;
			i++;
		} else {
			break; /* in order, or not at all */
		}
	}
	return any;
}

uint64_t device_release_us(const struct device *d)
{
	uint64_t t = UINT64_MAX;

	for (uint32_t i = 0; i < d->out_count; i++) {
		const struct out *o = &d->out[i];
		if (o->stage == OUT_RELEASED && o->said != d->connection && o->after_us < t)
			t = o->after_us;
	}
	return t;
}

static struct out *find(struct device *d, uint16_t packet_id, uint32_t *at)
{
	for (uint32_t i = 0; i < d->out_count; i++)
		if (d->out[i].packet_id == packet_id && d->out[i].stage != OUT_WAITING) {
			*at = i;
			return &d->out[i];
		}
	return NULL;
}

/* Is it the answer to what we said on this connection? */
static bool fits(const struct device *d, enum mqtt_type type, const struct out *o)
{
	if (o->said != d->connection)
		return false;
	if (type == MQTT_PUBACK)
		return o->qos == 1;
	if (type == MQTT_PUBREC)
		return o->qos == 2;
	return type == MQTT_PUBCOMP && o->qos == 2 && o->stage == OUT_RELEASED;
}

static void on_good(struct device *d, enum mqtt_type type, struct out *o, uint32_t at)
{
	if (type != MQTT_PUBCOMP)
		ledger_acknowledged(d->ledger, d->conf.number, o->message);
	if (type != MQTT_PUBREC) {
		forget(d, at);
		return;
	}
	o->stage = OUT_RELEASED;
	o->said = 0; /* PUBREL goes out with the next turn */
	o->repeated = false;
	o->after_us = d->now_us;
	if (d->conf.ack_delay_us > 0)
		o->after_us += rng_below(&d->rng, d->conf.ack_delay_us);
}

void device_on_answer(struct device *d, enum mqtt_type type, const struct mqtt_ack *a)
{
	uint32_t at = 0;
	struct out *o = find(d, a->packet_id, &at);

	if (o == NULL || !fits(d, type, o)) {
		ledger_broken_protocol(d->ledger, d->conf.number,
			type == MQTT_PUBACK   ? "PUBACK for nothing"
			: type == MQTT_PUBREC ? "PUBREC for nothing"
					      : "PUBCOMP for nothing");
		return;
	}
	if (a->reason < 0x80) {
		on_good(d, type, o, at);
		return;
	}
	if (type != MQTT_PUBCOMP)
		ledger_refused(d->ledger, o->message);
	else if (!o->repeated) /* 0x92 to a second PUBREL: the first had been heard */
		ledger_broken_protocol(d->ledger, d->conf.number, "a release that is not known");
	forget(d, at);
}
