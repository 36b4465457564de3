/* sessions_rig.c - sessions, workers' ears, and their words. See sessions_rig.h. */
#include "tests/unit/sessions_rig.h"

#include "dataplane/base/assert.h"
#include "tests/unit/unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT = 4096, BIG = 1 << 20, PORTION = 1 << 20 };

static void PRINTF(2, 3) say(struct rig *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	const int n = vsnprintf(r->said + r->said_size, RIG_SAID - r->said_size, format, args);
	va_end(args);
	r->said_size += (size_t)n;
	ASSERT(r->said_size < RIG_SAID);
}

const char *rig_said(struct rig *r)
{
	static char out[RIG_SAID];

	memcpy(out, r->said, r->said_size + 1);
	r->said_size = 0;
	r->said[0] = '\0';
	return out;
}

static void say_parcel(struct rig *r, struct span text)
{
	struct parcel p;

	if (parcel_decode(text, &p) != ERR_NONE)
		say(r, "?");
	else
		say(r, "%.*s=%.*s", (int)p.topic.size, (const char *)p.topic.at,
			(int)p.payload.size, (const char *)p.payload.at);
}

static void say_deliver(struct rig *r, const struct sessions_effect *e)
{
	const struct shm_deliver *d = &e->deliver;

	say(r, "deliver@%u#%u", d->connection.index, (unsigned)d->entry);
	if ((d->flags & SHM_DELIVER_RELEASE) != 0) {
		say(r, ":release");
		return;
	}
	say(r, "q%u%s%s", d->qos, (d->flags & SHM_DELIVER_DUP) != 0 ? "dup" : "",
		(d->flags & SHM_DELIVER_RETAIN) != 0 ? "retain" : "");
	if (d->expiry_left_s != 0)
		say(r, "x%u", d->expiry_left_s);
	for (uint32_t i = 0; i < d->identifier_count; i++) {
		struct reader in = reader_of(span_skip(e->text[0], 4 * (size_t)i));
		say(r, "i%u", read_u32(&in));
	}
	say(r, ":");
	say_parcel(r, e->text[1]);
	CU_ASSERT(d->text_size == e->text[0].size + e->text[1].size);
}

static void say_effect(struct rig *r, uint32_t worker, const struct sessions_effect *e)
{
	const char *space = r->said_size == 0 ? "" : " ";

	say(r, "%s%u:", space, worker);
	switch ((unsigned)e->type) {
	case SHM_EVENT_DONE:
		say(r, "done%u", (unsigned)e->done.sequence);
		break;
	case SHM_EVENT_REFUSED:
		say(r, "refused%u=%s", (unsigned)e->done.sequence, err_name((enum err)e->done.err));
		break;
	case SHM_EVENT_RECEIVED_ID:
		say(r, "ids@%u", e->received.connection.index);
		for (uint32_t i = 0; i < e->received.count; i++)
			say(r, ",%u", e->received.packet_ids[i]);
		break;
	case SHM_EVENT_QUEUE_SUBSCRIBE:
	case SHM_EVENT_QUEUE_UNSUBSCRIBE:
		say(r, "%s%u=%.*s", e->type == SHM_EVENT_QUEUE_SUBSCRIBE ? "sub" : "unsub",
			(unsigned)e->replica.session, (int)e->text[0].size,
			(const char *)e->text[0].at);
		break;
	case SHM_EVENT_QUEUE_GONE:
		say(r, "gone%u", (unsigned)e->replica.session);
		break;
	case SHM_EVENT_QUEUE_PLACE:
		if (e->place.worker == UINT32_MAX)
			say(r, "place%u@none", (unsigned)e->place.session);
		else
			say(r, "place%u@%u.%u", (unsigned)e->place.session, e->place.worker,
				e->place.connection.index);
		break;
	case SHM_EVENT_DELIVER:
		say_deliver(r, e);
		break;
	case SHM_EVENT_PUBLISH:
		say(r, "publish%u:", (unsigned)e->publish.session);
		say_parcel(r, e->text[0]);
		break;
	case SHM_EVENT_RETAINED:
		say(r, "retained:");
		say_parcel(r, e->text[0]);
		break;
	case SHM_EVENT_LOADED:
		say(r, "loaded");
		break;
	default:
		say(r, "?%u", e->type);
	}
}

void rig_hear(struct rig *r, uint32_t worker)
{
	struct sessions_effect e;

	while (sessions_next(r->s, worker, &e, r->now)) {
		if (r->heard != NULL)
			r->heard(r->owner, worker, &e);
		else
			say_effect(r, worker, &e);
		const uint8_t type = e.type;
		const uint32_t token = e.replica.token;
		sessions_took(r->s, worker);
		const bool replica =
			type == SHM_EVENT_QUEUE_SUBSCRIBE || type == SHM_EVENT_QUEUE_UNSUBSCRIBE;
		if (replica && token != 0 && !r->silent) {
			const struct shm_applied applied = {.token = token};
			sessions_applied(r->s, worker, &applied);
		}
	}
}

void rig_run(struct rig *r)
{
	bool worked = true;

	for (int i = 0; i < 2000 && worked; i++) {
		r->store.allowed = PORTION;
		CU_ASSERT(sessions_poll(r->s, r->now, &worked) == ERR_NONE);
		const size_t before = r->said_size;
		for (uint32_t w = 0; w < RIG_WORKERS; w++)
			rig_hear(r, w);
		worked |= r->said_size != before || r->store.log_count > 0;
		sessions_check(r->s);
	}
	CU_ASSERT(!worked);
	r->store.allowed = 0;
}

void rig_open(struct rig *r)
{
	const struct sessions_conf conf = {.store = &r->store.base,
		.workers = RIG_WORKERS,
		.config = &r->config,
		.counters = &r->counters};

	CU_ASSERT_FATAL(sessions_create(&conf, r->now, &r->s) == ERR_NONE);
}

void rig_greet(struct rig *r, bool loaded)
{
	for (uint32_t w = 0; w < RIG_WORKERS; w++)
		sessions_hello(r->s, w, r->dp_generation, loaded, r->now);
}

void rig_restart(struct rig *r, size_t kept, bool both)
{
	sessions_destroy(&r->s);
	CU_ASSERT(r->s == NULL);
	rig_store_crash(&r->store, kept);
	rig_open(r);
	if (both) {
		r->dp_generation++;
		memset(r->sequence, 0, sizeof(r->sequence));
	}
	rig_greet(r, !both);
}

void rig_init(struct rig *r)
{
	*r = (struct rig){.dp_generation = 7, .epoch = 100};
	r->now = (struct sessions_now){.us = 1000, .wall_ms = 1000000};
	r->config = (struct shm_config){.sessions_max = 100,
		.queue_messages_max = 1000,
		.queue_bytes_max = 1 << 20,
		.inflight_max = 20,
		.session_expiry_max_s = UINT32_MAX,
		.durability = "synced"};
	rig_store_init(&r->store);
	rig_open(r);
	rig_greet(r, false);
	rig_run(r);
	(void)rig_said(r);
}

void rig_fini(struct rig *r)
{
	sessions_destroy(&r->s);
	rig_store_fini(&r->store);
}

static struct span write_parcel(uint8_t *to, const char *topic, const char *payload, uint8_t qos,
	uint32_t expiry_s, bool retain)
{
	struct writer w = writer_of(to, BIG);
	const struct parcel p = {.topic = span_str(topic),
		.payload_size = (uint32_t)strlen(payload),
		.qos = qos,
		.expiry_s = expiry_s,
		.retain = retain};

	parcel_encode_head(&w, &p);
	write_bytes(&w, span_str(payload));
	CU_ASSERT(!w.bad);
	return writer_span(&w);
}

static struct span write_will(uint8_t *to, const struct rig_who *who)
{
	struct writer w = writer_of(to, TEXT);
	static uint8_t parcel[BIG];
	char topic[64];

	if (who->will == NULL)
		return (struct span){NULL, 0};
	const char *equals = strchr(who->will, '=');
	snprintf(topic, sizeof(topic), "%.*s", (int)(equals - who->will), who->will);
	write_u32(&w, who->will_delay_s);
	write_bytes(&w, write_parcel(parcel, topic, equals + 1, 1, 0, false));
	return writer_span(&w);
}

uint64_t rig_connect(struct rig *r, const struct rig_who *who)
{
	uint8_t will[TEXT];
	const struct sessions_connect c = {.token = who->index,
		.worker = who->worker,
		.connection = {who->index, 1},
		.epoch = ++r->epoch,
		.client_id = span_str(who->client),
		.will = write_will(will, who),
		.session_expiry_s = who->expiry_s,
		.receive_max = who->receive_max == 0 ? 100 : who->receive_max,
		.clean = who->clean,
		.again = who->again};

	return sessions_connect(r->s, &c, r->now) == SESSIONS_TAKEN ? r->epoch : 0;
}

struct sessions_ready rig_ready(struct rig *r)
{
	struct sessions_ready ready = {.token = UINT64_MAX};

	rig_run(r);
	CU_ASSERT(sessions_next_ready(r->s, &ready));
	rig_run(r);
	return ready;
}

enum sessions_answer rig_work(struct rig *r, uint32_t worker, enum shm_command type,
	struct shm_work work, const char *text)
{
	if (work.sequence == 0)
		work.sequence = ++r->sequence[worker];
	return sessions_work(r->s, worker, type, &work,
		text == NULL ? span_of(NULL, 0) : span_str(text), r->now);
}

enum sessions_answer rig_publish(struct rig *r, const struct rig_store_work *w)
{
	static uint8_t text[2 * BIG], parcel[BIG];
	struct writer out = writer_of(text, sizeof(text));
	struct shm_work work = {.sequence = w->sequence,
		.session = w->session,
		.will = w->will,
		.packet_id = w->packet_id,
		.flags = w->flags,
		.qos = w->qos};
	uint32_t count = 0;

	while (count < 8 && w->targets[count] != 0)
		count++;
	store_encode_count(&out, count);
	for (uint32_t i = 0; i < count; i++) {
		const struct store_target t = {.session = w->targets[i], .qos = w->qos};
		store_encode_target(&out, &t);
	}
	write_bytes(&out, write_parcel(parcel, w->topic, w->payload, w->qos, w->expiry_s,
				  (w->flags & SHM_WORK_RETAIN) != 0));
	if (work.sequence == 0)
		work.sequence = ++r->sequence[w->worker];
	return sessions_work(r->s, w->worker, SHM_COMMAND_STORE, &work, writer_span(&out), r->now);
}
