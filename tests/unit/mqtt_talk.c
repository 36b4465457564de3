/* mqtt_talk.c - see mqtt_talk.h. */
#include "tests/unit/mqtt_talk.h"

#include "tests/unit/unit.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { BYTES_MAX = 1 << 20, LINE_MAX_SIZE = 4096 };

enum cut { CUT_NONE, CUT_BYTES, CUT_HALF, CUTS };

struct talk {
	struct fake *world;
	const char *name;
	unsigned line; /* for messages; counts from 1 */
	enum cut cut;
	uint8_t unread[BYTES_MAX]; /* what the session has not taken yet */
	size_t unread_size;
	unsigned declined; /* deliveries, and not yet expected */
	bool failed;
};

static void fail(struct talk *t, const char *what, const char *wanted, const char *got)
{
	fprintf(stderr, "%s, line %u, cut %d: %s: wanted \"%s\", got \"%s\"\n", t->name, t->line,
		t->cut, what, wanted, got);
	t->failed = true;
}

/* Bytes in notation */

static const char *assemble(struct writer *w, const char *at, char end);

static void write_varint(struct writer *w, size_t value)
{
	for (; value > 0x7f; value >>= 7)
		write_u8(w, (uint8_t)(value | 0x80));
	write_u8(w, (uint8_t)value);
}

static const char *assemble_sized(struct writer *w, const char *at)
{
	static uint8_t inner_bytes[4][BYTES_MAX];
	static unsigned depth;
	ASSERT(depth < 4);
	struct writer inner = writer_of(inner_bytes[depth++], BYTES_MAX);

	at = assemble(&inner, at, '}');
	write_varint(w, writer_used(&inner));
	write_bytes(w, writer_span(&inner));
	depth--;
	return at;
}

static const char *assemble_repeated(struct writer *w, const char *at)
{
	char *rest;
	const unsigned long n = strtoul(at, &rest, 10);
	const char *body = strchr(rest, '(');

	ASSERT(body != NULL);
	at = rest;
	for (unsigned long i = 0; i < n; i++)
		at = assemble(w, body + 1, ')');
	return at;
}

static unsigned digit(char c)
{
	ASSERT(isxdigit((unsigned char)c));
	return isdigit((unsigned char)c) ? (unsigned)(c - '0') : (unsigned)(tolower(c) - 'a' + 10);
}

static const char *assemble_text(struct writer *w, const char *at, char end, bool sized)
{
	const size_t size = strcspn(at, end == '>' ? ">" : "'");

	if (sized)
		write_u16(w, (uint16_t)size);
	write_bytes(w, span_of(at, size));
	ASSERT(at[size] == end);
	return at + size + 1;
}

/* "3*(" starts a repetition, two hex digits a byte. */
static bool repeats(const char *at)
{
	const size_t digits = strspn(at, "0123456789");

	return digits > 0 && at[digits] == '*';
}

static const char *assemble(struct writer *w, const char *at, char end)
{
	while (*at != end) {
		ASSERT(*at != 0);
		if (isspace((unsigned char)*at)) {
			at++;
		} else if (*at == '{') {
			at = assemble_sized(w, at + 1);
		} else if (*at == '<') {
			at = assemble_text(w, at + 1, '>', true);
		} else if (*at == '\'') {
			at = assemble_text(w, at + 1, '\'', false);
		} else if (repeats(at)) {
			at = assemble_repeated(w, at);
		} else {
			write_u8(w, (uint8_t)(digit(at[0]) << 4 | digit(at[1])));
			at += 2;
		}
	}
	ASSERT(!w->bad);
	return end == 0 ? at : at + 1;
}

/* Steps */

/* Offers what is unread up to `size`, as the worker does: an exact copy, so that a sanitizer sees
 * every overrun. Returns what was taken. */
static size_t offer(struct talk *t, size_t size, bool *parked)
{
	uint8_t *copy = (uint8_t *)malloc(size == 0 ? 1 : size);

	ASSERT(copy != NULL);
	memcpy(copy, t->unread, size);
	const struct session_used u =
		mqtt_session_input(&t->world->session, (struct span){copy, size}, t->world->now_us);
	free(copy);
	ASSERT(u.used <= size);
	ASSERT(u.need == 0 || u.need > size - u.used);
	ASSERT(u.used == size || u.need > 0 || u.parked);
	t->unread_size -= u.used;
	memmove(t->unread, t->unread + u.used, t->unread_size);
	*parked = u.parked;
	return u.used;
}

static void feed(struct talk *t)
{
	size_t shown = t->cut == CUT_BYTES ? 1 : t->unread_size;
	bool parked = false;

	if (t->cut == CUT_HALF)
		shown = (t->unread_size + 1) / 2;
	while (t->unread_size > 0 && !parked) {
		if (shown > t->unread_size)
			shown = t->unread_size;
		const bool all = shown == t->unread_size;
		if (offer(t, shown, &parked) > 0)
			shown = t->cut == CUT_BYTES ? 1 : t->unread_size;
		else if (all)
			return;
		else
			shown = t->cut == CUT_BYTES ? shown + 1 : t->unread_size;
	}
}

static enum err err_by_name(const char *name)
{
	for (int e = 0; e < ERR_COUNT; e++)
		if (strcmp(err_name((enum err)e), name) == 0)
			return (enum err)e;
	fprintf(stderr, "no such error: %s\n", name);
	abort();
}

/* The value of a word `key=value` of the line; false: not there. */
static bool word_value(const char *line, const char *key, struct span *value)
{
	const char *at = strstr(line, key);

	if (at == NULL)
		return false;
	at += strlen(key);
	*value = span_of(at, strcspn(at, " "));
	return true;
}

static uint32_t word_number(const char *line, const char *key)
{
	struct span value;

	return word_value(line, key, &value) ? (uint32_t)strtoul((const char *)value.at, NULL, 10)
					     : 0;
}

static void step_grant(struct talk *t, const char *rest)
{
	struct session_grant g = {.verdict = SESSION_GRANTED, .epoch = 1};

	word_value(rest, "id=", &g.assigned_client_id);
	g.session_present = strstr(rest, "present") != NULL;
	g.durable = strstr(rest, "durable") != NULL;
	g.kept = g.durable || strstr(rest, "kept") != NULL;
	mqtt_session_on_grant(&t->world->session, &g, t->world->now_us);
	feed(t);
}

static void step_refuse(struct talk *t, const char *rest)
{
	static const char *const names[] = {
		"granted", "client_id", "credentials", "not_authorised", "busy", "nonsense"};
	struct session_grant g = {.epoch = 1};

	for (unsigned i = 1; i < ARRAY_SIZE(names); i++)
		if (strcmp(rest, names[i]) == 0)
			g.verdict = (enum session_verdict)i;
	ASSERT(g.verdict != SESSION_GRANTED);
	mqtt_session_on_grant(&t->world->session, &g, t->world->now_us);
}

static void step_answer(struct talk *t, const char *rest)
{
	char *name;
	const unsigned long n = strtoul(rest, &name, 10);

	ASSERT(n < t->world->token_count);
	const enum err e = *name == 0 ? ERR_NONE : err_by_name(name + 1);
	mqtt_session_on_subscribed(&t->world->session, t->world->tokens[n], e, t->world->now_us);
	feed(t);
}

static uint16_t number_and_err(const char *line, enum err *e)
{
	char *name;
	const unsigned long n = strtoul(line, &name, 10);

	*e = *name == 0 ? ERR_NONE : err_by_name(name + 1);
	return (uint16_t)n;
}

/* Whether a delivery was taken must be expected like an effect, when it was not. */
static void note_answer(struct talk *t, bool taken)
{
	if (!taken)
		t->declined++;
}

static bool has_last_word(const char *line, const char *word)
{
	const size_t size = strlen(line), word_size = strlen(word);

	return size >= word_size && strcmp(line + size - word_size, word) == 0;
}

/* The message's own QoS, where it differs from the subscription's. */
static uint8_t publisher_qos(const char *line, uint8_t otherwise)
{
	struct span value;

	return word_value(line, " from=", &value) ? (uint8_t)word_number(line, " from=")
						  : otherwise;
}

static void step_deliver(struct talk *t, const char *rest)
{
	struct fake *f = t->world;
	struct message_props props = {0};
	struct delivery d = {
		.retain = strstr(rest, " retain ") != NULL || has_last_word(rest, " retain"),
		.retained = strstr(rest, " retained") != NULL,
		.dup = strstr(rest, " dup") != NULL,
		.entry = word_number(rest, " entry="),
		.qos = (uint8_t)word_number(rest, " qos=")};
	struct span topic = span_of(rest, strcspn(rest, " ")), payload = {0};
	static uint8_t user[64];
	struct writer w = writer_of(user, sizeof(user));

	word_value(rest, " =", &payload);
	word_value(rest, " type=", &props.content_type);
	word_value(rest, " reply=", &props.reply_to);
	word_value(rest, " corr=", &props.correlation);
	if (strstr(rest, " user ") != NULL) {
		assemble(&w, strstr(rest, " user ") + 6, 0);
		props.user = writer_span(&w);
	}
	props.expiry_s = word_number(rest, " expiry=");
	props.payload_is_utf8 = strstr(rest, " utf8") != NULL;
	d.identifiers[0] = word_number(rest, " id=");
	d.identifier_count = d.identifiers[0] != 0;
	struct message *m = fake_message(f, topic, &props, payload);
	m->born_us -= 1000000ull * word_number(rest, " age=");
	m->qos = publisher_qos(rest, d.qos);
	note_answer(t, mqtt_session_deliver(&f->session, m, &d, f->now_us));
	message_put(&m);
}

static void step_resume(struct talk *t, const char *rest)
{
	struct fake *f = t->world;

	note_answer(t, mqtt_session_resume(&f->session, strtoull(rest, NULL, 10), f->now_us));
}

static void step_published(struct talk *t, const char *rest)
{
	enum err e;
	const uint16_t id = number_and_err(rest, &e);

	mqtt_session_on_published(&t->world->session, id, e, t->world->now_us);
	feed(t);
}

static void step_released(struct talk *t, const char *rest)
{
	enum err e;
	const uint16_t id = number_and_err(rest, &e);

	mqtt_session_on_released(&t->world->session, id, e, t->world->now_us);
	feed(t);
}

static void step_received(struct talk *t, const char *rest)
{
	mqtt_session_on_received(&t->world->session, strtoull(rest, NULL, 10), t->world->now_us);
}

static void step_received_id(struct talk *t, const char *rest)
{
	mqtt_session_on_received_id(&t->world->session, (uint16_t)strtoul(rest, NULL, 10));
}

static void step_writable(struct talk *t, const char *rest)
{
	(void)rest;
	mqtt_session_on_writable(&t->world->session, t->world->now_us);
	feed(t);
}

static void step_wait(struct talk *t, const char *rest)
{
	uint64_t left_us = 1000 * strtoull(rest, NULL, 10);
	struct fake *f = t->world;

	/* The worker offers parked input again whenever the timer has fired. */
	while (left_us > 0) {
		const uint64_t ahead =
			f->deadline_us > f->now_us ? f->deadline_us - f->now_us : left_us;
		const uint64_t piece = ahead < left_us ? ahead : left_us;
		fake_wait(f, piece);
		left_us -= piece;
		feed(t);
	}
}

static void step_room(struct talk *t, const char *rest)
{
	t->world->send_room = strcmp(rest, "all") == 0 ? SIZE_MAX : strtoull(rest, NULL, 10);
}

static void step_in(struct talk *t, const char *rest)
{
	struct writer w = writer_of(t->unread + t->unread_size, BYTES_MAX - t->unread_size);

	assemble(&w, rest, 0);
	t->unread_size += writer_used(&w);
	feed(t);
}

static void step_close(struct talk *t, const char *rest)
{
	(void)rest;
	mqtt_session_close(&t->world->session, t->world->now_us);
	t->unread_size = 0;
}

static void step_revoke(struct talk *t, const char *rest)
{
	mqtt_session_on_revoke(&t->world->session, err_by_name(rest), t->world->now_us);
}

static void step_skip(struct talk *t, const char *rest)
{
	(void)rest;
	fake_skip_lines(t->world);
}

static void step_nobegin(struct talk *t, const char *rest)
{
	t->world->begin_failures = (uint32_t)strtoul(rest, NULL, 10);
}

static void step_noappend(struct talk *t, const char *rest)
{
	t->world->append_failures = (uint32_t)strtoul(rest, NULL, 10);
}

static void step_norequest(struct talk *t, const char *rest)
{
	(void)rest;
	t->world->request_refused = true;
}

static void step_self(struct talk *t, const char *rest)
{
	t->world->self_subscribed = true;
	t->world->self_qos = (uint8_t)strtoul(rest, NULL, 10);
}

static void step_nobody(struct talk *t, const char *rest)
{
	(void)rest;
	t->world->nobody = true;
}

static void step_full(struct talk *t, const char *rest)
{
	(void)rest;
	t->world->retained_full = true;
}

static void step_later(struct talk *t, const char *rest)
{
	t->world->publish_later = strcmp(rest, "off") != 0;
	t->world->release_later = t->world->publish_later;
}

static void step_nopublish(struct talk *t, const char *rest)
{
	t->world->publish_failures = (uint32_t)strtoul(rest, NULL, 10);
}

static void set_number(const char *line, const char *key, uint32_t *to)
{
	struct span value;

	if (word_value(line, key, &value))
		*to = (uint32_t)strtoul((const char *)value.at, NULL, 10);
}

static void step_pools(struct talk *t, const char *rest)
{
	struct mqtt_memory_conf c = t->world->pools;
	uint32_t inflight = c.outbound.inflight_max;

	set_number(rest, "nodes=", &c.outbound.nodes_max);
	set_number(rest, "queued=", &c.outbound.queued_max);
	set_number(rest, "inflight=", &inflight);
	set_number(rest, "inbound=", &c.inbound_max);
	set_number(rest, "chunks=", &c.alias_chunks_max);
	set_number(rest, "filters=", &c.filter_blocks_max);
	c.outbound.inflight_max = (uint16_t)inflight;
	fake_resize(t->world, &c);
}

static void step_limits(struct talk *t, const char *rest)
{
	struct mqtt_session_conf *c = &t->world->conf;
	uint32_t receive_max = c->receive_max, aliases = c->topic_alias_max, retained = 1;

	set_number(rest, "receive=", &receive_max);
	set_number(rest, "aliases=", &aliases);
	set_number(rest, "expiry=", &c->session_expiry_max_s);
	set_number(rest, "retained=", &retained);
	c->retains_nothing = retained == 0;
	c->receive_max = (uint16_t)receive_max;
	c->topic_alias_max = (uint16_t)aliases;
}

static void step_declined(struct talk *t, const char *rest)
{
	(void)rest;
	if (t->declined == 0)
		fail(t, "answer to a delivery", "declined", "taken");
	t->declined = 0;
}

static void step_keepalive_max(struct talk *t, const char *rest)
{
	t->world->conf.keepalive_max_s = (uint16_t)strtoul(rest, NULL, 10);
}

static void step_state(struct talk *t, const char *rest)
{
	static const char *const names[MQTT_STATES] = {
		"OPENING", "ASKED", "LIVE", "CLOSING", "CLOSED"};

	if (strcmp(names[t->world->session.state], rest) != 0)
		fail(t, "state", rest, names[t->world->session.state]);
}

static uint64_t counted(const struct fake *f, const char *name)
{
	for (unsigned id = 0; id < COUNTER_NAMED; id++)
		if (strcmp(counter_name(id), name) == 0)
			return counter_get(&f->counters, (enum counter)id);
	return fake_errors(f, err_by_name(name));
}

static void step_count(struct talk *t, const char *rest)
{
	char name[64], got[32];
	unsigned long wanted;

	if (sscanf(rest, "%63s %lu", name, &wanted) != 2)
		abort();
	const uint64_t count = counted(t->world, name);
	snprintf(got, sizeof(got), "%llu", (unsigned long long)count);
	if (count != wanted)
		fail(t, "count", rest, got);
}

static void expect(struct talk *t, const char *wanted)
{
	const char *got = fake_next_line(t->world);

	if (got == NULL || strcmp(got, wanted) != 0)
		fail(t, "effect", wanted, got == NULL ? "nothing" : got);
}

static void expect_out(struct talk *t, const char *rest)
{
	static uint8_t bytes[BYTES_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	char line[FAKE_LINE_SIZE] = "out ";

	assemble(&w, rest, 0);
	for (size_t i = 0; i < writer_used(&w) && 4 + 2 * i + 3 <= sizeof(line); i++)
		snprintf(line + 4 + 2 * i, 3, "%02x", bytes[i]);
	expect(t, line);
}

static void step(struct talk *t, const char *line)
{
	static const struct {
		const char *word;
		void (*act)(struct talk *t, const char *rest);
	} steps[] = {{"in", step_in}, {"out", expect_out}, {"grant", step_grant},
		{"refuse", step_refuse}, {"answer", step_answer}, {"deliver", step_deliver},
		{"revoke", step_revoke}, {"wait", step_wait}, {"close", step_close},
		{"room", step_room}, {"nobegin", step_nobegin}, {"noappend", step_noappend},
		{"norequest", step_norequest}, {"self", step_self}, {"skip", step_skip},
		{"keepalivemax", step_keepalive_max}, {"state", step_state}, {"count", step_count},
		{"resume", step_resume}, {"published", step_published}, {"released", step_released},
		{"received", step_received}, {"receivedid", step_received_id},
		{"writable", step_writable}, {"nobody", step_nobody}, {"later", step_later},
		{"nopublish", step_nopublish}, {"pools", step_pools}, {"limits", step_limits},
		{"full", step_full}, {"declined", step_declined}};
	const size_t size = strcspn(line, " ");

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (strlen(steps[i].word) == size && memcmp(steps[i].word, line, size) == 0) {
			steps[i].act(t, line[size] == 0 ? line + size : line + size + 1);
			return;
		}
	}
	expect(t, line);
}

static bool hold(const char *name, const char *script, enum cut cut)
{
	static struct fake world;
	static struct talk t;

	t = (struct talk){.world = &world, .name = name, .cut = cut};
	fake_open(&world);
	while (*script != 0 && !t.failed) {
		char line[LINE_MAX_SIZE];
		const size_t size = strcspn(script, "\n");
		ASSERT(size < sizeof(line));
		memcpy(line, script, size);
		line[size] = 0;
		script += size + (script[size] == '\n');
		t.line++;
		step(&t, line);
		if (world.session.state != MQTT_CLOSED)
			fake_check(&world);
	}
	if (t.declined != 0 && !t.failed)
		fail(&t, "at the end", "all deliveries taken", "declined");
	const char *more = fake_next_line(&world);
	if (more != NULL && !t.failed)
		fail(&t, "at the end", "nothing", more);
	fake_close(&world);
	return !t.failed;
}

void mqtt_talk(const char *name, const char *script)
{
	for (int cut = 0; cut < CUTS; cut++)
		CU_ASSERT_TRUE(hold(name, script, (enum cut)cut));
}
