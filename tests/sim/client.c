/* client.c - MQTT clients of the simulation, on a TCP stack of their own. */
#include "dataplane/base/assert.h"
#include "tests/sim/world_internal.h"

#include <stdio.h>
#include <string.h>

static const struct mqtt_limits limits = {MQTT_REMAINING_MAX, CLIENT_SCRATCH};

struct client *client_new(struct world *w, const char *id, const struct client_events *events)
{
	ASSERT(w->client_count < WORLD_CLIENTS_MAX);
	struct client *c = &w->clients[w->client_count++];

	*c = (struct client){.world = w,
		.events = *events,
		.greeting = {.version = MQTT_V4, .clean_start = true}};
	snprintf(c->id, sizeof(c->id), "%s", id);
	return c;
}

void client_greet(struct client *c, const struct client_greeting *g)
{
	c->greeting = *g;
}

void client_connect(struct client *c)
{
	struct world *w = c->world;

	ASSERT(c->state == CLIENT_IDLE);
	const enum err e = tcp_connect(w->tcp, w->config.address, (uint16_t)w->config.mqtt_port, 0,
		(uint64_t)(c - w->clients), &c->tcp, w->now_us);
	ASSERT(e == ERR_NONE);
	c->state = CLIENT_CONNECTING;
	c->payload_left = 0;
}

bool client_write(struct client *c, struct span bytes)
{
	if (c->state == CLIENT_IDLE || c->state == CLIENT_CONNECTING)
		return false;
	return tcp_send_room(c->world->tcp, c->tcp) >= bytes.size &&
	       tcp_send(c->world->tcp, c->tcp, bytes);
}

static void say_props(const struct client_greeting *g, struct mqtt_connect *hello)
{
	mqtt_props_init(&hello->props);
	mqtt_props_init(&hello->will_props);
	if (g->version != MQTT_V5)
		return;
	if (g->session_expiry_s > 0)
		hello->props.has |= 1ull << MQTT_PROPERTY_SESSION_EXPIRY;
	if (g->receive_max > 0)
		hello->props.has |= 1ull << MQTT_PROPERTY_RECEIVE_MAX;
	if (g->will_topic != NULL && g->will_delay_s > 0)
		hello->will_props.has |= 1ull << MQTT_PROPERTY_WILL_DELAY;
	if (g->packet_size_max > 0)
		hello->props.has |= 1ull << MQTT_PROPERTY_PACKET_SIZE_MAX;
	hello->props.packet_size_max = g->packet_size_max;
	hello->props.session_expiry_s = g->session_expiry_s;
	hello->props.receive_max = g->receive_max;
	hello->will_props.will_delay_s = g->will_delay_s;
}

static void greet(struct client *c)
{
	uint8_t packet[8192];
	struct writer w = writer_of(packet, sizeof(packet));
	const struct client_greeting *g = &c->greeting;
	struct mqtt_connect hello = {.version = g->version,
		.clean_start = g->clean_start,
		.keepalive_s = 0, /* they do not ping */
		.client_id = span_str(c->id),
		.has_will = g->will_topic != NULL};

	if (hello.has_will) {
		hello.will_topic = span_str(g->will_topic);
		hello.will_payload = g->will_payload;
		hello.will_qos = g->will_qos;
		hello.will_retain = g->will_retain;
	}
	say_props(g, &hello);
	mqtt_encode_connect(&w, &hello);
	ASSERT(!w.bad);
	c->state = CLIENT_GREETING;
	ASSERT(client_write(c, writer_span(&w)));
}

void client_subscribe(struct client *c, const char *filter)
{
	client_subscribe_qos(c, filter, 0);
}

void client_subscribe_qos(struct client *c, const char *filter, uint8_t qos)
{
	uint8_t packet[512];
	struct writer w = writer_of(packet, sizeof(packet));
	struct mqtt_props none;
	const struct mqtt_filter f = {.filter = span_str(filter), .qos = qos};

	mqtt_props_init(&none);
	mqtt_encode_subscribe(
		&w, MQTT_SUBSCRIBE, c->greeting.version, ++c->packet_id, &none, &f, 1);
	ASSERT(!w.bad);
	ASSERT(client_write(c, writer_span(&w)));
}

bool client_publish_header(struct client *c, const char *topic, uint32_t payload_size)
{
	uint8_t packet[512];
	struct writer w = writer_of(packet, sizeof(packet));
	struct mqtt_publish p = {.topic = span_str(topic)};

	mqtt_props_init(&p.props);
	mqtt_encode_publish(&w, c->greeting.version, &p, payload_size);
	ASSERT(!w.bad);
	return client_write(c, writer_span(&w));
}

bool client_publish(struct client *c, const char *topic, struct span payload)
{
	if (!client_live(c) || tcp_send_room(c->world->tcp, c->tcp) < payload.size + 512)
		return false;
	return client_publish_header(c, topic, (uint32_t)payload.size) && client_write(c, payload);
}

bool client_live(const struct client *c)
{
	return c->state == CLIENT_LIVE;
}

bool client_gone(const struct client *c)
{
	return c->state == CLIENT_IDLE;
}

size_t client_room(const struct client *c)
{
	const bool connected = c->state == CLIENT_GREETING || c->state == CLIENT_LIVE;

	return connected ? tcp_send_room(c->world->tcp, c->tcp) : 0;
}

enum err client_why(const struct client *c)
{
	return c->why;
}

void client_close(struct client *c)
{
	if (c->state == CLIENT_IDLE)
		return;
	tcp_close(c->world->tcp, c->tcp);
	c->state = CLIENT_CLOSING;
}

void client_abort(struct client *c)
{
	if (c->state != CLIENT_IDLE)
		tcp_abort(c->world->tcp, c->tcp);
}

static void on_connack(struct client *c, const struct mqtt_frame *f)
{
	struct mqtt_connack ack;

	ASSERT(mqtt_decode_connack(f, c->greeting.version, &ack) == ERR_NONE);
	if (ack.reason != 0)
		return;
	c->state = CLIENT_LIVE;
	if (c->events.connected != NULL)
		c->events.connected(c->events.owner, c);
}

static void on_publish(struct client *c, const struct mqtt_frame *f)
{
	struct mqtt_publish p;

	ASSERT(mqtt_decode_publish(f, c->greeting.version, &p) == ERR_NONE);
	ASSERT(p.topic.size < sizeof(c->topic));
	memcpy(c->topic, p.topic.at, p.topic.size);
	c->topic_size = p.topic.size;
	c->payload_left = f->payload_size;
	if (f->payload_size == 0 && c->events.message != NULL)
		c->events.message(c->events.owner, c, p.topic, (struct span){NULL, 0}, true);
}

static void on_frame(struct client *c, const struct mqtt_frame *f)
{
	if (c->events.packet != NULL)
		c->events.packet(c->events.owner, c, f);
	if (f->type == MQTT_CONNACK)
		on_connack(c, f);
	else if (f->type == MQTT_PUBLISH)
		on_publish(c, f);
	else if (f->type == MQTT_SUBACK && c->events.subscribed != NULL)
		c->events.subscribed(c->events.owner, c);
}

static void consume(struct client *c, size_t n)
{
	tcp_recv_consume(c->world->tcp, c->tcp, n);
}

static void payload(struct client *c, struct span in)
{
	const size_t n = in.size < c->payload_left ? in.size : c->payload_left;

	c->payload_left -= (uint32_t)n;
	if (c->events.message != NULL)
		c->events.message(c->events.owner, c, span_of(c->topic, c->topic_size),
			span_of(in.at, n), c->payload_left == 0);
	consume(c, n);
}

static void read_all(struct client *c)
{
	struct world *w = c->world;

	while (c->state != CLIENT_IDLE) {
		const struct span in = tcp_recv_peek(w->tcp, c->tcp);
		if (in.size == 0)
			return;
		if (c->payload_left > 0) {
			payload(c, in);
			continue;
		}
		const size_t n = tcp_recv_copy(w->tcp, c->tcp, w->scratch, CLIENT_SCRATCH);
		struct mqtt_frame f;
		const struct decoded d =
			mqtt_decode(span_of(w->scratch, n), c->greeting.version, &limits, &f);
		ASSERT(d.verdict != DECODE_BAD); /* the box speaks MQTT */
		if (d.verdict == DECODE_MORE)
			return;
		on_frame(c, &f);
		consume(c, d.used);
	}
}

void client_on_event(struct world *w, const struct tcp_event *e)
{
	struct client *c = &w->clients[e->user];

	switch (e->kind) {
	case TCP_EVENT_CONNECTED:
		greet(c);
		break;
	case TCP_EVENT_READABLE:
		read_all(c);
		if (c->state != CLIENT_IDLE && tcp_at_end(w->tcp, c->tcp))
			client_close(c);
		break;
	case TCP_EVENT_CLOSED:
		tcp_release(w->tcp, e->id);
		c->why = e->why;
		c->state = CLIENT_IDLE;
		if (c->events.closed != NULL)
			c->events.closed(c->events.owner, c);
		break;
	case TCP_EVENT_ACCEPTED:
	case TCP_EVENT_WRITABLE:
		break;
	}
}
