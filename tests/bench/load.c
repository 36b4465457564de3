/* load.c - messages: when they are sent, and what became of them. See load.h. */
#include "tests/bench/load_internal.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

uint32_t load_clients(const struct load_conf *conf)
{
	return conf->idle + conf->publishers * (1 + conf->subscribers_each);
}

struct load *load_create(const struct load_conf *conf)
{
	struct load *l = (struct load *)calloc(1, sizeof(*l));

	ASSERT(l != NULL && conf->payload_size >= LOAD_PAYLOAD_MIN);
	l->conf = *conf;
	l->count = load_clients(conf);
	l->clients = (struct client *)calloc(l->count, sizeof(*l->clients));
	l->opened_ns = (uint64_t *)calloc(l->count, sizeof(*l->opened_ns));
	l->due = (uint32_t *)calloc(l->count, sizeof(*l->due));
	l->scratch_size = 512 + WIRE_OVERHEAD_MAX + WIRE_TOPIC_MAX + conf->payload_size;
	l->scratch = (uint8_t *)malloc(l->scratch_size);
	l->payload = (uint8_t *)calloc(1, conf->payload_size);
	ASSERT(l->clients != NULL && l->opened_ns != NULL && l->due != NULL && l->scratch != NULL &&
		l->payload != NULL);
	return l;
}

void load_destroy(struct load **load)
{
	struct load *l = *load;

	*load = NULL;
	free(l->clients);
	free(l->opened_ns);
	free(l->due);
	free(l->scratch);
	free(l->payload);
	free(l);
}

void load_bind(struct load *l, struct end *end)
{
	l->end = end;
}

void load_clock(struct load *l, uint64_t (*now_ns)(void))
{
	l->now_ns = now_ns;
}

void load_may_publish(struct load *l, uint32_t publisher)
{
	struct client *c = &l->clients[publisher];

	if (c->due || !l->publishing || l->conf.rate > 0)
		return;
	c->due = true;
	l->due[l->due_count++] = publisher;
}

/* False: it could not be sent. */
static bool publish(struct load *l, uint32_t publisher, uint64_t due_ns)
{
	struct client *c = &l->clients[publisher];
	struct writer w = writer_of(l->scratch, l->scratch_size);
	char topic[WIRE_TOPIC_MAX];

	if (c->state != CLIENT_LIVE)
		return false;
	memcpy(l->payload, &due_ns, sizeof(due_ns));
	memcpy(l->payload + sizeof(due_ns), &c->number, sizeof(c->number));
	load_topic(l, publisher, topic, sizeof(topic));
	const uint16_t id = c->packet_id == UINT16_MAX ? 1 : (uint16_t)(c->packet_id + 1);
	l->conf.wire->publish(
		&w, topic, span_of(l->payload, l->conf.payload_size), l->conf.qos, id);
	if (!load_say(l, publisher, &w))
		return false;
	c->packet_id = id;
	c->number++;
	c->owed += l->conf.subscribers_each;
	l->owed += l->conf.subscribers_each;
	if (l->conf.qos > 0) {
		c->unacked++;
		l->unacked++;
	}
	l->counts.published++;
	return true;
}

static bool window_open(const struct load *l, const struct client *c)
{
	return c->unacked < l->conf.window &&
	       c->owed + l->conf.subscribers_each <= l->conf.window * l->conf.subscribers_each;
}

/* Those that cannot send now stay in the list. */
static void publish_closed(struct load *l, uint64_t now_ns)
{
	const uint32_t n = l->due_count;

	l->due_count = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct client *c = &l->clients[l->due[i]];
		bool sent = true;
		while (sent && window_open(l, c))
			sent = publish(l, l->due[i], now_ns);
		c->due = !sent && c->state == CLIENT_LIVE;
		if (c->due)
			l->due[l->due_count++] = l->due[i];
	}
}

static uint64_t due_ns(const struct load *l, uint64_t number)
{
	return l->start_ns + (uint64_t)((double)number * 1e9 / (double)l->conf.rate);
}

static void publish_open(struct load *l, uint64_t now_ns)
{
	while (due_ns(l, l->due_number) <= now_ns) {
		const uint32_t publisher = (uint32_t)(l->due_number % l->conf.publishers);
		if (!publish(l, publisher, due_ns(l, l->due_number)))
			return; /* later, and it will count as late */
		l->due_number++;
	}
}

void load_step(struct load *l, uint64_t now_ns)
{
	load_open_some(l, now_ns);
	if (!l->publishing || l->conf.publishers == 0)
		return;
	if (l->conf.rate > 0)
		publish_open(l, now_ns);
	else
		publish_closed(l, now_ns);
}

uint64_t load_next_ns(const struct load *l)
{
	return l->publishing && l->conf.rate > 0 ? due_ns(l, l->due_number) : UINT64_MAX;
}

void load_go(struct load *l, bool on)
{
	l->publishing = on && !l->conf.connects;
	l->start_ns = l->progress_ns = l->now_ns();
	l->due_number = 0;
	for (uint32_t i = 0; i < l->conf.publishers; i++)
		load_may_publish(l, i);
}

void load_measure(struct load *l, bool on)
{
	l->measuring = on;
	if (!on)
		return;
	const struct load_counts before = l->counts;
	l->counts = (struct load_counts){.lost = before.lost,
		.duplicated = before.duplicated,
		.refused = before.refused,
		.closed = before.closed,
		.broken = before.broken};
	histogram_clear(&l->delays);
}

bool load_ready(const struct load *l)
{
	return l->live == l->count;
}

bool load_quiet(const struct load *l)
{
	return l->owed == 0 && l->unacked == 0;
}

static void no_longer_owed(struct load *l, uint32_t publisher, uint64_t n)
{
	struct client *c = &l->clients[publisher];

	if (n > c->owed)
		n = c->owed;
	c->owed -= (uint32_t)n;
	l->owed -= n;
}

bool load_give_up(struct load *l, uint64_t now_ns, uint64_t patience_ns)
{
	if (load_quiet(l) || now_ns - l->progress_ns < patience_ns)
		return false;
	for (uint32_t i = l->conf.publishers; i < l->count - l->conf.idle; i++) {
		const uint64_t sent = l->clients[load_publisher_of(l, i)].number;
		l->counts.lost += sent - l->clients[i].number;
		l->clients[i].number = sent;
	}
	for (uint32_t i = 0; i < l->conf.publishers; i++) {
		l->clients[i].owed = l->clients[i].unacked = 0;
		load_may_publish(l, i);
	}
	l->owed = l->unacked = 0;
	l->progress_ns = now_ns;
	return true;
}

static void on_message(struct load *l, uint32_t subscriber, struct span payload)
{
	struct client *c = &l->clients[subscriber];
	const uint32_t publisher = load_publisher_of(l, subscriber);
	uint64_t sent_ns, number;

	if (payload.size < LOAD_PAYLOAD_MIN || publisher == subscriber) {
		l->counts.broken++;
		return;
	}
	memcpy(&sent_ns, payload.at, sizeof(sent_ns));
	memcpy(&number, payload.at + sizeof(sent_ns), sizeof(number));
	if (number < c->number) {
		l->counts.duplicated++;
		return;
	}
	l->counts.lost += number - c->number;
	no_longer_owed(l, publisher, number - c->number + 1);
	c->number = number + 1;
	load_may_publish(l, publisher);
	l->counts.delivered++;
	if (l->measuring)
		histogram_add(&l->delays, l->seen_ns > sent_ns ? l->seen_ns - sent_ns : 0);
}

static void on_acknowledged(struct load *l, uint32_t publisher)
{
	l->counts.acknowledged++;
	if (l->clients[publisher].unacked == 0)
		return; /* given up before */
	l->clients[publisher].unacked--;
	l->unacked--;
	load_may_publish(l, publisher);
}

void load_hear(struct load *l, uint32_t client, const struct wire_event *e)
{
	struct writer w = writer_of(l->scratch, l->scratch_size);

	l->progress_ns = l->seen_ns;
	if (e->kind == WIRE_MESSAGE)
		on_message(l, client, e->payload);
	else if (e->kind == WIRE_PUBACK || e->kind == WIRE_PUBCOMP)
		on_acknowledged(l, client);
	if ((e->kind == WIRE_MESSAGE && e->qos > 0) || e->kind == WIRE_PUBREC ||
		e->kind == WIRE_PUBREL || e->kind == WIRE_PING) {
		l->conf.wire->ack(&w, e);
		/* An end has room for all acknowledgements of a broker's window. */
		if (!load_say(l, client, &w))
			l->counts.broken++;
	}
}

const struct load_counts *load_counts(const struct load *l)
{
	return &l->counts;
}

const struct histogram *load_delays(const struct load *l)
{
	return &l->delays;
}
