/* mqtt_fake.c - see mqtt_fake.h. It also is the message store of the programs it is linked to. */
#include "tests/unit/mqtt_fake.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct fake_message {
	struct message message;
	struct fake *world;
	uint8_t *head;
	uint8_t *payload; /* allocated to the byte, so that a sanitizer sees every overrun */
};

static struct fake *world_of(void *owner)
{
	struct fake *f = (struct fake *)owner;

	ASSERT(f->session.owner == owner);
	return f;
}

static void say(struct fake *f, const char *format, ...) PRINTF(2, 3);
static void say(struct fake *f, const char *format, ...)
{
	va_list args;

	if (f->line_count == FAKE_LINES_MAX) {
		f->lines_lost++;
		return;
	}
	va_start(args, format);
	vsnprintf(f->lines[f->line_count++], FAKE_LINE_SIZE, format, args);
	va_end(args);
}

static void hex(char *to, size_t size, struct span bytes)
{
	for (size_t i = 0; i < bytes.size && 2 * i + 3 <= size; i++)
		snprintf(to + 2 * i, 3, "%02x", bytes.at[i]);
}

static struct span payload_of(const struct message *m)
{
	return span_of(((const struct fake_message *)m)->payload, m->payload_size);
}

/* Messages */

static uint8_t *copy_of(struct span *bytes, uint8_t *to)
{
	if (bytes->size != 0)
		memcpy(to, bytes->at, bytes->size);
	*bytes = span_of(to, bytes->size);
	return to + bytes->size;
}

static struct message *begin(
	struct fake *f, struct span topic, const struct message_props *props, uint32_t payload_size)
{
	struct message_props p = *props;
	const size_t size = topic.size + p.content_type.size + p.reply_to.size +
			    p.correlation.size + p.user.size;
	struct fake_message *m = (struct fake_message *)calloc(1, sizeof(*m));
	uint8_t *at = (uint8_t *)malloc(size + 1);

	ASSERT(m != NULL && at != NULL);
	m->world = f;
	m->head = at;
	at = copy_of(&topic, at);
	at = copy_of(&p.content_type, at);
	at = copy_of(&p.reply_to, at);
	at = copy_of(&p.correlation, at);
	copy_of(&p.user, at);
	m->payload = (uint8_t *)malloc(payload_size + 1u);
	ASSERT(m->payload != NULL);
	m->message.topic = topic;
	m->message.props = p;
	m->message.refs = 1;
	m->message.payload_size = payload_size;
	f->messages_alive++;
	return &m->message;
}

bool message_append(struct message *m, struct span chunk)
{
	struct fake_message *fm = (struct fake_message *)m;

	ASSERT(chunk.size <= m->payload_size - m->payload_have);
	if (fm->world->append_failures > 0) {
		fm->world->append_failures--;
		return false;
	}
	memcpy(fm->payload + m->payload_have, chunk.at, chunk.size);
	m->payload_have += (uint32_t)chunk.size;
	return true;
}

struct message *message_ref(struct message *m)
{
	m->refs++;
	return m;
}

void message_put(struct message **m)
{
	struct fake_message *fm = (struct fake_message *)*m;

	ASSERT(fm->message.refs > 0);
	*m = NULL;
	if (--fm->message.refs > 0)
		return;
	fm->world->messages_alive--;
	free(fm->payload);
	free(fm->head);
	free(fm);
}

struct message *fake_message(
	struct fake *f, struct span topic, const struct message_props *props, struct span payload)
{
	struct message *m = begin(f, topic, props, (uint32_t)payload.size);

	m->born_us = f->now_us;
	if (payload.size != 0) {
		const uint32_t failures = f->append_failures;
		f->append_failures = 0;
		ASSERT(message_append(m, payload));
		f->append_failures = failures;
	}
	return m;
}

/* Effects */

static bool fake_send_bytes(struct fake *f, struct span header, struct span payload)
{
	char line[FAKE_LINE_SIZE] = "";

	ASSERT(f->finished == 0); /* nothing after finish */
	if (header.size + payload.size > f->send_room)
		return false;
	f->send_room -= header.size + payload.size;
	hex(line, sizeof(line), header);
	const size_t used = strlen(line);
	hex(line + used, sizeof(line) - used, payload);
	say(f, "out %s", line);
	return true;
}

static bool fake_send(void *owner, struct span bytes)
{
	return fake_send_bytes(world_of(owner), bytes, (struct span){0});
}

static bool fake_send_message(void *owner, struct span header, struct message *m)
{
	return fake_send_bytes(world_of(owner), header, payload_of(m));
}

static void fake_finish(void *owner, enum err why)
{
	struct fake *f = world_of(owner);

	f->finished++;
	ASSERT(f->finished == 1);
	ASSERT(f->deadline_us == 0);
	say(f, "finish %s", err_name(why));
}

static void fake_timer(void *owner, uint64_t deadline_us)
{
	struct fake *f = world_of(owner);

	f->deadline_us = deadline_us;
	f->timer_calls++;
}

static void say_will(char *to, size_t size, const struct session_request *r)
{
	const struct message *m = r->will;

	if (m == NULL)
		return;
	ASSERT(message_whole(m));
	const size_t n = (size_t)snprintf(to, size, " will=%.*s q%u%s", (int)m->topic.size,
		(const char *)m->topic.at, m->qos, m->retain ? " retain" : "");
	if (r->will_delay_s != 0 && n < size)
		snprintf(to + n, size - n, " delay=%u", r->will_delay_s);
}

static bool fake_request(void *owner, const struct session_request *r)
{
	struct fake *f = world_of(owner);

	char more[256] = "";

	if (r->receive_max != UINT16_MAX)
		snprintf(more, sizeof(more), " rmax=%u", r->receive_max);
	say_will(more + strlen(more), sizeof(more) - strlen(more), r);
	say(f, "request id=%.*s%s%.*s%s%.*s v%u %s expiry=%u keepalive=%u%s",
		(int)r->client_id.size, (const char *)r->client_id.at,
		r->has_username ? " user=" : "", (int)r->username.size,
		(const char *)r->username.at, r->has_password ? " pass=" : "",
		(int)r->password.size, (const char *)r->password.at, r->version,
		r->clean_start ? "clean" : "resume", r->session_expiry_s, r->keepalive_s, more);
	return !f->request_refused;
}

static struct message *fake_begin(
	void *owner, struct span topic, const struct message_props *props, uint32_t payload_size)
{
	struct fake *f = world_of(owner);

	if (f->begin_failures > 0) {
		f->begin_failures--;
		return NULL;
	}
	return begin(f, topic, props, payload_size);
}

static void say_message(struct fake *f, const struct message *m, const struct publish_order *o)
{
	const struct message_props *p = &m->props;
	const struct span payload = payload_of(m);
	char line[FAKE_LINE_SIZE];
	size_t n = 0;

	n += (size_t)snprintf(line, sizeof(line), "publish %.*s =%.*s", (int)m->topic.size,
		(const char *)m->topic.at, payload.size < 64 ? (int)payload.size : 64,
		(const char *)payload.at);
	if (payload.size > 64)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "... %zu", payload.size);
	n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s", m->retain ? " retain" : "",
		p->payload_is_utf8 ? " utf8" : "");
	if (m->qos != 0)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " q%u", m->qos);
	if (o->qos != 0) {
		ASSERT(o->qos == m->qos && o->packet_id != 0);
		n += (size_t)snprintf(line + n, sizeof(line) - n, " id=%u", o->packet_id);
	}
	if (p->expiry_s != 0)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " expiry=%u", p->expiry_s);
	if (m->born_us > f->now_us || f->now_us - m->born_us >= 60000000)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " born at another time");
	const struct {
		const char *name;
		struct span value;
	} spans[] = {{"type", p->content_type}, {"reply", p->reply_to}, {"corr", p->correlation},
		{"user", p->user}};
	for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
		if (spans[i].value.size == 0)
			continue;
		n += (size_t)snprintf(line + n, sizeof(line) - n, " %s=", spans[i].name);
		if (i == 3) { /* pairs contain zeros */
			hex(line + n, sizeof(line) - n, spans[i].value);
			n = strlen(line);
			continue;
		}
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%.*s", (int)spans[i].value.size,
			(const char *)spans[i].value.at);
	}
	say(f, "%s", line);
}

static enum published fake_publish(
	void *owner, struct message **m, const struct publish_order *o, bool *matched)
{
	struct fake *f = world_of(owner);
	const struct delivery self = {.qos = f->self_qos};

	ASSERT((*m)->payload_have == (*m)->payload_size);
	if (f->publish_failures > 0) {
		f->publish_failures--;
		return PUBLISHED_NO_ROOM;
	}
	if ((*m)->retain && f->retained_full)
		return PUBLISHED_REFUSED;
	say_message(f, *m, o);
	*matched = !f->nobody;
	if (f->self_subscribed)
		ASSERT(mqtt_session_deliver(&f->session, *m, &self, f->now_us));
	message_put(m);
	return f->publish_later ? PUBLISHED_LATER : PUBLISHED_DONE;
}

static bool fake_release(void *owner, uint16_t packet_id)
{
	struct fake *f = world_of(owner);

	say(f, "release %u", packet_id);
	return !f->release_later;
}

static void fake_settle(void *owner, uint64_t entry)
{
	ASSERT(entry != 0);
	say(world_of(owner), "settle %llu", (unsigned long long)entry);
}

static void fake_receive(void *owner, uint64_t entry)
{
	ASSERT(entry != 0);
	say(world_of(owner), "receive %llu", (unsigned long long)entry);
}

static void fake_room(void *owner)
{
	say(world_of(owner), "takes more");
}

static void fake_farewell(void *owner, bool will_void, bool expiry_changed, uint32_t expiry_s)
{
	struct fake *f = world_of(owner);
	char expiry[24] = "";

	ASSERT(!f->farewell_said);
	ASSERT(f->finished == 0);
	f->farewell_said = true;
	if (expiry_changed)
		snprintf(expiry, sizeof(expiry), " expiry=%u", expiry_s);
	say(f, "farewell%s%s", will_void ? " void" : "", expiry);
}

static void note_token(struct fake *f, uint32_t token)
{
	if (f->token_count < FAKE_TOKENS_MAX)
		f->tokens[f->token_count++] = token;
}

static void fake_subscribe(
	void *owner, uint32_t token, struct span filter, const struct subscription_options *o)
{
	struct fake *f = world_of(owner);
	char id[24] = "", handling[8] = "", qos[8] = "";

	note_token(f, token);
	if (o->identifier != 0)
		snprintf(id, sizeof(id), " id=%u", o->identifier);
	if (o->retain_handling != 0)
		snprintf(handling, sizeof(handling), " rh=%u", o->retain_handling);
	if (o->qos_max != 0)
		snprintf(qos, sizeof(qos), " q%u", o->qos_max);
	say(f, "subscribe %.*s%s%s%s%s%s", (int)filter.size, (const char *)filter.at, qos,
		o->no_local ? " nl" : "", o->retain_as_published ? " rap" : "", handling, id);
}

static void fake_unsubscribe(void *owner, uint32_t token, struct span filter)
{
	struct fake *f = world_of(owner);

	note_token(f, token);
	say(f, "unsubscribe %.*s", (int)filter.size, (const char *)filter.at);
}

/* Life */

static void open_session(struct fake *f)
{
	f->conf.memory = mqtt_memory_create(&f->pools);
	ASSERT(f->conf.memory != NULL);
	mqtt_session_open(&f->session, &f->ops, f, &f->conf, f->now_us);
}

void fake_open(struct fake *f)
{
	memset(f, 0, offsetof(struct fake, lines));
	f->now_us = 3600000000;
	f->send_room = SIZE_MAX;
	f->ops = (struct session_ops){.send = fake_send,
		.send_message = fake_send_message,
		.finish = fake_finish,
		.timer = fake_timer,
		.request = fake_request,
		.release = fake_release,
		.settle = fake_settle,
		.receive = fake_receive,
		.room = fake_room,
		.farewell = fake_farewell,
		.verbs = {.message_begin = fake_begin,
			.publish = fake_publish,
			.subscribe = fake_subscribe,
			.unsubscribe = fake_unsubscribe}};
	f->conf = (struct mqtt_session_conf){
		.limits = {.packet_size_max = 65536, .control_size_max = 16384},
		.connect_timeout_us = 5000000,
		.grant_timeout_us = 2000000,
		.park_timeout_us = 100000,
		.session_expiry_max_s = UINT32_MAX,
		.receive_max = 10,
		.topic_alias_max = 4,
		.counters = &f->counters,
		.scratch = f->scratch,
		.scratch_size = sizeof(f->scratch),
	};
	f->pools = (struct mqtt_memory_conf){.outbound = {.nodes_max = 64,
						     .queued_max = 4,
						     .inflight_max = 3,
						     .counters = &f->counters},
		.inbound_max = 256,
		.alias_chunks_max = 64,
		.filter_blocks_max = 2};
	open_session(f);
}

void fake_resize(struct fake *f, const struct mqtt_memory_conf *pools)
{
	ASSERT(f->session.state == MQTT_OPENING);
	mqtt_memory_destroy(&f->conf.memory);
	f->pools = *pools;
	open_session(f);
}

void fake_check(const struct fake *f)
{
	mqtt_session_check(&f->session);
	mqtt_inbound_check(&f->session);
	outbound_check(&f->session.out);
}

const char *fake_next_line(struct fake *f)
{
	return f->line_next < f->line_count ? f->lines[f->line_next++] : NULL;
}

void fake_skip_lines(struct fake *f)
{
	f->line_next = f->line_count = 0;
}

void fake_wait(struct fake *f, uint64_t us)
{
	const uint64_t until = f->now_us + us;

	while (f->deadline_us != 0 && f->deadline_us <= until) {
		if (f->deadline_us > f->now_us)
			f->now_us = f->deadline_us;
		f->deadline_us = 0;
		mqtt_session_on_timer(&f->session, f->now_us);
		/* A session that sets its timer to now or before would never let time pass. */
		ASSERT(f->deadline_us == 0 || f->deadline_us > f->now_us);
	}
	f->now_us = until;
}

uint64_t fake_errors(const struct fake *f, enum err e)
{
	return counter_get(&f->counters, (enum counter)(COUNTER_NAMED + (unsigned)e));
}

void fake_close(struct fake *f)
{
	if (f->session.state != MQTT_CLOSED)
		mqtt_session_close(&f->session, f->now_us);
	ASSERT(f->session.state == MQTT_CLOSED);
	ASSERT(f->deadline_us == 0);
	mqtt_memory_destroy(&f->conf.memory); /* asserts that nothing is in use */
	ASSERT(counter_get(&f->counters, COUNTER_INFLIGHT) == 0);
	ASSERT(counter_get(&f->counters, COUNTER_QUEUED) == 0);
	ASSERT(f->messages_alive == 0);
	ASSERT(counter_get(&f->counters, COUNTER_SESSIONS) == 0);
}
