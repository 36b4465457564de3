/* device_in.c - what comes to a device, and how it answers. */
#include "tests/sim/device_internal.h"

#include "dataplane/base/assert.h"

static void broken(struct device *d, const char *what)
{
	ledger_broken_protocol(d->ledger, d->conf.number, what);
}

/* Acknowledgements keep the order of what they acknowledge (4.6). */
void device_acknowledge_later(struct device *d, enum mqtt_type type, uint16_t packet_id)
{
	uint64_t at = d->now_us;

	if (d->conf.ack_delay_us > 0)
		at += rng_below(&d->rng, d->conf.ack_delay_us);
	if (d->due_count > 0 && d->due[d->due_count - 1].at_us > at)
		at = d->due[d->due_count - 1].at_us;
	if (d->due_count == ARRAY_SIZE(d->due)) {
		broken(d, "far too much at once");
		return;
	}
	d->due[d->due_count++] = (struct due){at, packet_id, (uint8_t)type};
}

static struct in *find(struct device *d, uint16_t packet_id)
{
	for (uint32_t i = 0; i < d->in_count; i++)
		if (d->in[i].packet_id == packet_id)
			return &d->in[i];
	return NULL;
}

void device_on_head(struct device *d, const struct mqtt_publish *p)
{
	d->head = *p; /* its topic comes again with the pieces */
	d->receiving = true;
	d->payload_size = 0;
	if (p->qos == 0)
		return;
	d->unacknowledged++;
	if (d->conf.receive_max > 0 && d->unacknowledged > d->conf.receive_max)
		broken(d, "more under way than the receive maximum");
}

static uint32_t deliver(struct device *d, struct span topic)
{
	const struct ledger_received r = {.topic = topic,
		.payload = span_of(d->payload, d->payload_size),
		.qos = d->head.qos,
		.dup = d->head.dup,
		.retain = d->head.retain};

	return ledger_received(d->ledger, d->session, &r);
}

/* It is here already: the same message, said again after a new connection, with DUP. */
static void on_known(struct device *d, struct in *in)
{
	if (ledger_number(span_of(d->payload, d->payload_size)) != in->message)
		broken(d, "packet id in use for another message");
	if (!d->head.dup)
		broken(d, "said again without DUP");
	if (in->connection == d->connection)
		broken(d, "said twice on one connection");
	in->connection = d->connection;
}

static void on_exactly_once(struct device *d, struct span topic)
{
	struct in *in = find(d, d->head.packet_id);

	if (in != NULL) {
		on_known(d, in);
	} else if (d->in_count == DEVICE_INBOX_MAX) {
		broken(d, "more at QoS 2 than can be");
		return;
	} else {
		d->in[d->in_count++] =
			(struct in){d->head.packet_id, deliver(d, topic), d->connection};
	}
	device_acknowledge_later(d, MQTT_PUBREC, d->head.packet_id);
}

static void on_whole(struct device *d, struct span topic)
{
	d->receiving = false;
	if (!d->granted) {
		broken(d, "a message before CONNACK");
		return;
	}
	if (d->head.qos == 2) {
		on_exactly_once(d, topic);
		return;
	}
	deliver(d, topic);
	if (d->head.qos == 1)
		device_acknowledge_later(d, MQTT_PUBACK, d->head.packet_id);
}

void device_on_piece(struct device *d, struct span topic, struct span piece, bool whole)
{
	if (!d->receiving)
		return;
	if (d->payload_size + piece.size > sizeof(d->payload)) {
		broken(d, "a message larger than any that was sent");
		d->receiving = false;
		return;
	}
	if (piece.size > 0)
		memcpy(d->payload + d->payload_size, piece.at, piece.size);
	d->payload_size += piece.size;
	if (whole)
		on_whole(d, topic);
}

/* Unknown ones are answered, too: our last PUBCOMP may not have arrived. */
void device_on_release(struct device *d, uint16_t packet_id)
{
	struct in *in = find(d, packet_id);

	if (in != NULL) {
		if (in->connection == d->connection)
			d->unacknowledged--;
		*in = d->in[--d->in_count];
	}
	device_acknowledge_later(d, MQTT_PUBCOMP, packet_id);
}
