/* load_client.c - the way of a client from nothing to its subscription. See load.h. */
#include "tests/bench/load_internal.h"

#include "dataplane/base/assert.h"

#include <stdio.h>

bool load_is_publisher(const struct load *l, uint32_t client)
{
	return client < l->conf.publishers;
}

/* Its own number: a client of nobody. */
uint32_t load_publisher_of(const struct load *l, uint32_t client)
{
	if (load_is_publisher(l, client) || client >= l->count - l->conf.idle)
		return client;
	return (client - l->conf.publishers) / l->conf.subscribers_each;
}

void load_topic(const struct load *l, uint32_t client, char *to, size_t size)
{
	snprintf(to, size, "%s/%u", l->conf.name, load_publisher_of(l, client));
}

bool load_say(struct load *l, uint32_t client, const struct writer *w)
{
	ASSERT(!w->bad);
	return writer_used(w) == 0 || l->end->ops->send(l->end, client, writer_span(w));
}

static void become(struct load *l, uint32_t client, enum client_state state)
{
	struct client *c = &l->clients[client];
	const bool was_opening = c->state != CLIENT_CLOSED && c->state != CLIENT_LIVE;
	const bool is_opening = state != CLIENT_CLOSED && state != CLIENT_LIVE;

	l->live += (uint32_t)(state == CLIENT_LIVE) - (uint32_t)(c->state == CLIENT_LIVE);
	l->opening += (uint32_t)is_opening - (uint32_t)was_opening;
	c->state = (uint8_t)state;
}

void load_open_some(struct load *l, uint64_t now_ns)
{
	if (l->live + l->opening == l->count)
		return;
	for (uint32_t tried = 0; tried < l->count && l->opening < l->conf.opening_max; tried++) {
		const uint32_t client = l->next_to_open;
		l->next_to_open = (client + 1) % l->count;
		if (l->clients[client].state != CLIENT_CLOSED)
			continue;
		if (!l->end->ops->open(l->end, client))
			return;
		l->opened_ns[client] = now_ns;
		become(l, client, CLIENT_OPENING);
	}
}

static void greet(struct load *l, uint32_t client)
{
	struct writer w = writer_of(l->scratch, l->scratch_size);
	char id[WIRE_TOPIC_MAX];

	snprintf(id, sizeof(id), "%s-%u", l->conf.name, client);
	l->conf.wire->connect(&w, id);
	become(l, client, CLIENT_CONNECTING);
	if (!load_say(l, client, &w))
		l->counts.broken++;
}

static void subscribe(struct load *l, uint32_t client)
{
	struct writer w = writer_of(l->scratch, l->scratch_size);
	char topic[WIRE_TOPIC_MAX];

	load_topic(l, client, topic, sizeof(topic));
	l->conf.wire->subscribe(&w, topic, l->conf.qos);
	become(l, client, CLIENT_SUBSCRIBING);
	if (!load_say(l, client, &w))
		l->counts.broken++;
}

/* A client that only came to come: it goes, and comes again. */
static void say_goodbye(struct load *l, uint32_t client)
{
	struct writer w = writer_of(l->scratch, l->scratch_size);

	if (l->measuring)
		histogram_add(&l->delays, l->seen_ns - l->opened_ns[client]);
	become(l, client, CLIENT_LIVE);
	if (l->conf.wire->says_goodbye) {
		l->conf.wire->disconnect(&w);
		if (load_say(l, client, &w))
			return; /* until the server closes */
	}
	l->end->ops->close(l->end, client);
	become(l, client, CLIENT_CLOSED);
}

static void on_connected(struct load *l, uint32_t client)
{
	l->counts.connected++;
	if (l->conf.connects) {
		say_goodbye(l, client);
	} else if (load_is_publisher(l, client)) {
		become(l, client, CLIENT_LIVE);
		load_may_publish(l, client);
	} else {
		subscribe(l, client);
	}
}

static void on_answer(struct load *l, uint32_t client, enum wire_kind kind)
{
	const uint8_t state = l->clients[client].state;

	if (kind == WIRE_REFUSED) {
		l->counts.refused++;
		l->end->ops->close(l->end, client);
		become(l, client, CLIENT_CLOSED);
	} else if (state == CLIENT_CONNECTING) {
		on_connected(l, client);
	} else if (state == CLIENT_SUBSCRIBING) {
		become(l, client, CLIENT_LIVE);
	}
}

static void on_opened(void *owner, uint32_t client)
{
	struct load *l = (struct load *)owner;

	if (!l->conf.wire->speaks_first)
		greet(l, client);
}

static size_t on_bytes(void *owner, uint32_t client, struct span bytes)
{
	struct load *l = (struct load *)owner;
	struct wire_event e;
	size_t used = 0;

	l->seen_ns = l->now_ns();
	if (l->clients[client].state == CLIENT_OPENING)
		greet(l, client); /* the server has spoken */
	while (l->clients[client].state != CLIENT_CLOSED) {
		const struct decoded d = l->conf.wire->decode(span_skip(bytes, used), &e);
		if (d.verdict == DECODE_MORE)
			break;
		if (d.verdict == DECODE_BAD) {
			l->counts.broken++;
			return bytes.size;
		}
		used += d.used;
		if (e.kind == WIRE_ANSWER || e.kind == WIRE_REFUSED)
			on_answer(l, client, e.kind);
		else if (e.kind != WIRE_NOTHING)
			load_hear(l, client, &e);
	}
	return used;
}

static void on_closed(void *owner, uint32_t client)
{
	struct load *l = (struct load *)owner;

	if (!l->conf.connects || l->clients[client].state != CLIENT_LIVE)
		l->counts.closed++;
	become(l, client, CLIENT_CLOSED);
}

struct end_events load_events(struct load *l)
{
	return (struct end_events){
		.opened = on_opened, .bytes = on_bytes, .closed = on_closed, .owner = l};
}
