/* device.c - connections of a device, one after the other, and what it asks the box for. */
#include "tests/sim/device_internal.h"

#include "dataplane/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

bool device_write(struct device *d, const struct writer *w)
{
	ASSERT(!w->bad);
	return client_write(d->client, writer_span(w));
}

bool device_acknowledge(struct device *d, enum mqtt_type type, uint16_t packet_id)
{
	uint8_t packet[16];
	struct writer w = writer_of(packet, sizeof(packet));
	struct mqtt_ack ack = {.packet_id = packet_id};

	mqtt_props_init(&ack.props);
	mqtt_encode_ack(&w, type, d->conf.version, &ack);
	return device_write(d, &w);
}

/* Does the session outlive this connection? In 3.1.1 one that starts clean does not. */
static bool durable(const struct device *d)
{
	return !d->conf.clean && (d->conf.version == MQTT_V5 || !d->clean);
}

static bool send_filter(struct device *d, struct want_filter *f, enum mqtt_type type)
{
	uint8_t packet[128];
	struct writer w = writer_of(packet, sizeof(packet));
	const struct mqtt_filter one = {.filter = span_str(f->filter), .qos = f->qos};
	struct mqtt_props none;

	mqtt_props_init(&none);
	f->packet_id = device_next_id(d);
	mqtt_encode_subscribe(&w, type, d->conf.version, f->packet_id, &none, &one, 1);
	return device_write(d, &w);
}

static bool ask(struct device *d, struct want_filter *f)
{
	if (client_room(d->client) < 256)
		return false;
	if (f->state == WANT_ASK) {
		if (f->book == LEDGER_NONE)
			f->book = ledger_subscribe(d->ledger, d->session, f->filter, f->qos);
		if (f->book == LEDGER_NONE || !send_filter(d, f, MQTT_SUBSCRIBE))
			return false;
		f->state = WANT_ASKED;
		return true;
	}
	ledger_unsubscribe(d->ledger, f->book);
	f->state = WANT_LEAVING;
	return send_filter(d, f, MQTT_UNSUBSCRIBE);
}

static bool send_wants(struct device *d)
{
	bool any = false;

	for (size_t i = 0; i < DEVICE_SUBSCRIPTIONS_MAX; i++) {
		struct want_filter *f = &d->want[i];
		if (f->state == WANT_ASK || f->state == WANT_LEAVE)
			any |= ask(d, f);
	}
	return any;
}

static void on_filter_answer(struct device *d, const struct mqtt_frame *f)
{
	struct mqtt_suback ack;

	ASSERT(mqtt_decode_suback(f, d->conf.version, &ack) == ERR_NONE);
	for (size_t i = 0; i < DEVICE_SUBSCRIPTIONS_MAX; i++) {
		struct want_filter *w = &d->want[i];
		const bool asked = w->state == WANT_ASKED && f->type == MQTT_SUBACK;
		const bool left = w->state == WANT_LEAVING && f->type == MQTT_UNSUBACK;
		if ((!asked && !left) || w->packet_id != ack.packet_id)
			continue;
		const uint8_t reason = ack.reasons.size > 0 ? ack.reasons.at[0] : 0;
		if (reason >= 0x80) { /* not now: again */
			w->state = asked ? WANT_ASK : WANT_LEAVE;
		} else if (asked) {
			ledger_subscribed(d->ledger, w->book, reason);
			w->state = WANT_GRANTED;
		} else {
			ledger_unsubscribed(d->ledger, w->book);
			*w = (struct want_filter){0};
		}
		return;
	}
	ledger_broken_protocol(d->ledger, d->conf.number, "answers a filter nobody asked for");
}

/* A new life of the session: what hung on the old one is void. */
static void begin_session(struct device *d)
{
	if (d->session != LEDGER_NONE)
		ledger_session_ended(d->ledger, d->session);
	d->session = ledger_session(d->ledger, d->conf.number, durable(d));
	ASSERT(d->session != LEDGER_NONE);
	d->in_count = 0;
	device_lost_outbox(d);
	for (size_t i = 0; i < DEVICE_SUBSCRIPTIONS_MAX; i++) {
		struct want_filter *f = &d->want[i];
		if (f->state == WANT_LEAVE || f->state == WANT_LEAVING)
			*f = (struct want_filter){0};
		if (f->state != WANT_NOTHING)
			f->state = WANT_ASK;
		f->book = LEDGER_NONE;
	}
}

static void continue_session(struct device *d)
{
	for (size_t i = 0; i < DEVICE_SUBSCRIPTIONS_MAX; i++) {
		struct want_filter *f = &d->want[i];
		if (f->state == WANT_ASKED)
			f->state = WANT_ASK;
		if (f->state == WANT_LEAVING)
			f->state = WANT_LEAVE;
	}
}

static bool may_have_expired(const struct device *d)
{
	if (d->conf.version != MQTT_V5)
		return false;
	return d->confused ||
	       d->now_us - d->gone_us + DEVICE_EXPIRY_MARGIN_US >= d->conf.expiry_s * 1000000ull;
}

static void judge_present(struct device *d, bool present)
{
	const bool clean = d->clean;

	if (present && (clean || d->kept == KEPT_NOTHING))
		ledger_broken_session(d->ledger, d->conf.number, "present, and was never kept");
	if (!present && !clean && d->kept == KEPT_SURE && !may_have_expired(d))
		ledger_broken_session(d->ledger, d->conf.number, "session lost");
	device_will_returned(d, clean);
	if (clean)
		d->purge = false;
	d->kept = durable(d) ? KEPT_SURE : KEPT_NOTHING;
	/* A CONNECT that was never answered may have made the one that is present. */
	if (present && d->session != LEDGER_NONE && !d->over)
		continue_session(d);
	else
		begin_session(d);
	d->over = false;
}

static void on_connack(struct device *d, const struct mqtt_frame *f)
{
	struct mqtt_connack ack;

	ASSERT(mqtt_decode_connack(f, d->conf.version, &ack) == ERR_NONE);
	if (ack.reason != 0)
		return;
	d->server_window = ack.props.receive_max;
	d->granted = true;
	d->confused = false;
	d->granted_us = d->now_us;
	d->patient_us = UINT64_MAX;
	judge_present(d, ack.session_present);
}

static void on_ack(struct device *d, const struct mqtt_frame *f)
{
	struct mqtt_ack ack;

	ASSERT(mqtt_decode_ack(f, d->conf.version, &ack) == ERR_NONE);
	if (f->type == MQTT_PUBREL)
		device_on_release(d, ack.packet_id);
	else
		device_on_answer(d, f->type, &ack);
}

static void on_packet(void *owner, struct client *c, const struct mqtt_frame *f)
{
	struct device *d = (struct device *)owner;

	(void)c;
	if (f->type == MQTT_CONNACK) {
		on_connack(d, f);
	} else if (f->type == MQTT_PUBLISH) {
		struct mqtt_publish p;
		ASSERT(mqtt_decode_publish(f, d->conf.version, &p) == ERR_NONE);
		device_on_head(d, &p);
	} else if (f->type >= MQTT_PUBACK && f->type <= MQTT_PUBCOMP) {
		on_ack(d, f);
	} else if (f->type == MQTT_SUBACK || f->type == MQTT_UNSUBACK) {
		on_filter_answer(d, f);
	} else if (f->type != MQTT_DISCONNECT) {
		ledger_broken_protocol(d->ledger, d->conf.number, "a packet that is not the box's");
	}
}

static void on_message(
	void *owner, struct client *c, struct span topic, struct span piece, bool whole)
{
	(void)c;
	device_on_piece((struct device *)owner, topic, piece, whole);
}

/* Who was thrown out soon after it came may have asked for too much: it shall not publish at once
 * when it is back, or it would never come to acknowledge. */
static void end_grant(struct device *d)
{
	d->gone_us = d->now_us;
	if (d->now_us - d->granted_us > DEVICE_SOON_US)
		d->hold_us = 0;
	else if (d->hold_us < DEVICE_HOLD_MAX_US)
		d->hold_us = 2 * d->hold_us + DEVICE_RETRY_US;
}

/* 3.1.1 refuses by ending the connection: perhaps it was that, and our DISCONNECT came later. */
static bool may_be_refused(const struct device *d)
{
	bool asked = device_under_way(d) > 0;

	for (size_t i = 0; i < ARRAY_SIZE(d->want); i++)
		asked |= d->want[i].state == WANT_LEAVING;
	return asked && d->conf.version != MQTT_V5;
}

static void on_closed(void *owner, struct client *c)
{
	struct device *d = (struct device *)owner;
	const bool orderly = d->leaving && client_why(c) == ERR_NONE && !may_be_refused(d);

	device_will_gone(d, orderly);
	if (!d->granted && !d->conf.clean && (d->kept == KEPT_NOTHING || d->clean))
		d->kept = KEPT_MAYBE; /* or what a clean start should have ended */
	d->over |= d->granted && !durable(d);
	if (d->granted)
		end_grant(d);
	d->granted = d->leaving = d->receiving = false;
	d->due_count = d->unacknowledged = 0;
	d->patient_us = UINT64_MAX;
	d->retry_us = d->now_us + DEVICE_RETRY_US / 2 + rng_below(&d->rng, DEVICE_RETRY_US);
}

struct device *device_create(struct world *w, struct ledger *l, const struct device_conf *conf)
{
	struct device *d = calloc(1, sizeof(*d));
	const struct client_events events = {
		.packet = on_packet, .message = on_message, .closed = on_closed, .owner = d};

	ASSERT(d != NULL);
	d->conf = *conf;
	d->world = w;
	d->ledger = l;
	d->rng = rng_from(conf->seed);
	d->client = client_new(w, conf->id, &events);
	d->now_us = world_now_us(w);
	d->patient_us = UINT64_MAX;
	return d;
}

void device_destroy(struct device **d)
{
	free(*d);
	*d = NULL;
}

static void connect_now(struct device *d)
{
	struct client_greeting g = {.version = d->conf.version,
		.clean_start = d->conf.clean || d->purge,
		.session_expiry_s = d->conf.clean ? 0 : d->conf.expiry_s,
		.receive_max = d->conf.receive_max};

	d->clean = g.clean_start;
	d->over |= g.clean_start;
	if (d->session != LEDGER_NONE && g.clean_start)
		ledger_session_ended(d->ledger, d->session); /* from when it is sent */
	device_will_said(d, &g);
	d->connection++;
	client_greet(d->client, &g);
	client_connect(d->client);
	d->patient_us = d->now_us + DEVICE_PATIENCE_US;
}

static bool send_due(struct device *d)
{
	uint32_t n = 0;

	while (n < d->due_count && d->due[n].at_us <= d->now_us) {
		const struct due *a = &d->due[n];
		if (client_room(d->client) < 64 ||
			!device_acknowledge(d, (enum mqtt_type)a->type, a->packet_id))
			break;
		if (a->type == MQTT_PUBACK)
			d->unacknowledged--;
		n++;
	}
	d->due_count -= n;
	memmove(d->due, d->due + n, d->due_count * sizeof(*d->due));
	return n > 0;
}

bool device_turn(struct device *d, uint64_t now_us)
{
	d->now_us = now_us;
	if (client_gone(d->client)) {
		if (!d->stay || now_us < d->retry_us)
			return false;
		connect_now(d);
		return true;
	}
	if (now_us >= d->patient_us) {
		client_abort(d->client);
		d->patient_us = UINT64_MAX;
		return true;
	}
	if (!device_live(d))
		return false;
	bool any = send_due(d);
	any |= send_wants(d);
	if (now_us >= d->granted_us + d->hold_us)
		any |= device_send(d);
	return any;
}

uint64_t device_next_us(const struct device *d)
{
	if (client_gone(d->client))
		return d->stay ? d->retry_us : UINT64_MAX;
	uint64_t t = d->patient_us;
	if (device_live(d) && d->due_count > 0 && d->due[0].at_us < t)
		t = d->due[0].at_us;
	if (d->out_count > 0 && d->now_us < d->granted_us + d->hold_us &&
		d->granted_us + d->hold_us < t)
		t = d->granted_us + d->hold_us;
	const uint64_t release = device_live(d) ? device_release_us(d) : UINT64_MAX;
	return release < t ? release : t;
}

void device_stay(struct device *d, bool connected, uint64_t now_us)
{
	d->stay = connected;
	if (d->retry_us < now_us)
		d->retry_us = now_us;
}

void device_drop(struct device *d)
{
	client_abort(d->client);
}

void device_goodbye(struct device *d)
{
	uint8_t packet[8];
	struct writer w = writer_of(packet, sizeof(packet));
	struct mqtt_reason r = {.reason = 0};

	if (!device_live(d))
		return;
	mqtt_props_init(&r.props);
	mqtt_encode_reason(&w, MQTT_DISCONNECT, d->conf.version, &r);
	d->leaving = device_write(d, &w);
	d->patient_us = d->now_us + DEVICE_PATIENCE_US;
	if (d->leaving)
		client_close(d->client);
}

void device_purge(struct device *d)
{
	d->purge = !d->conf.clean;
}

bool device_subscribe(struct device *d, const char *filter, uint8_t qos)
{
	struct want_filter *room = NULL;

	for (size_t i = 0; i < DEVICE_SUBSCRIPTIONS_MAX; i++) {
		struct want_filter *f = &d->want[i];
		if (f->state != WANT_NOTHING && strcmp(f->filter, filter) == 0)
			return false;
		if (f->state == WANT_NOTHING && room == NULL)
			room = f;
	}
	if (room == NULL)
		return false;
	*room = (struct want_filter){.state = WANT_ASK, .qos = qos};
	snprintf(room->filter, sizeof(room->filter), "%s", filter);
	return true;
}

bool device_unsubscribe(struct device *d, const char *filter)
{
	for (size_t i = 0; i < DEVICE_SUBSCRIPTIONS_MAX; i++) {
		struct want_filter *f = &d->want[i];
		if (f->state == WANT_GRANTED && strcmp(f->filter, filter) == 0) {
			f->state = WANT_LEAVE;
			return true;
		}
	}
	return false;
}

void device_confused(struct device *d)
{
	d->confused |= !d->granted;
}

bool device_live(const struct device *d)
{
	return d->granted && client_live(d->client);
}

bool device_settled(const struct device *d)
{
	if (!device_live(d) || d->out_count > 0 || d->due_count > 0 || d->in_count > 0)
		return false;
	for (size_t i = 0; i < DEVICE_SUBSCRIPTIONS_MAX; i++)
		if (d->want[i].state != WANT_NOTHING && d->want[i].state != WANT_GRANTED)
			return false;
	return true;
}

uint32_t device_session(const struct device *d)
{
	return d->session;
}

void device_print(const struct device *d)
{
	printf("# %s: %s, %u to send, %u received and held, %u to acknowledge, filters", d->conf.id,
		device_live(d) ? "live" : "away", d->out_count, d->in_count, d->due_count);
	for (size_t i = 0; i < DEVICE_SUBSCRIPTIONS_MAX; i++)
		printf(" %u", d->want[i].state);
	printf("\n");
	for (uint32_t i = 0; i < d->out_count; i++)
		printf("#   message %u, packet %u, qos %u, stage %u\n", d->out[i].message,
			d->out[i].packet_id, d->out[i].qos, d->out[i].stage);
}
