/* works_rig.c - see works_rig.h. */
#include "dataplane/worker/works_rig.h"

#include "dataplane/base/assert.h"
#include "dataplane/worker/route.h"
#include "tests/unit/eal.h"

#include <stdlib.h>

struct rig *rig_now;

static void note(enum rig_kind kind, uint64_t a, uint64_t b)
{
	ASSERT(rig_now->note_count < RIG_HEARD_MAX);
	rig_now->notes[rig_now->note_count++] = (struct rig_note){kind, a, b};
}

static void keep(struct message *m)
{
	if (!rig_now->keep)
		return;
	if (rig_now->kept != NULL)
		message_put(&rig_now->kept);
	rig_now->kept = message_ref(m);
}

void route_stored(struct worker *w, const struct order *order, struct message *m, enum err e)
{
	(void)w;
	ASSERT(m->refs > 0);
	note(RIG_STORED, order->packet_id, e);
}

enum published route_publish(struct worker *w, struct message **m, const struct publisher *from,
	const struct publish_order *o, bool *matched)
{
	(void)w;
	ASSERT(o->qos == (*m)->qos);
	if (rig_now->refuse)
		return PUBLISHED_NO_ROOM;
	note(RIG_PUBLISHED, from->will_of, 0);
	keep(*m);
	message_put(m);
	*matched = false;
	return PUBLISHED_DONE;
}

void route_snapshot(struct worker *w, struct connection *c, struct span filter,
	const struct subscription_options *options, bool was_new)
{
	(void)w;
	(void)c;
	(void)options;
	note(RIG_SNAPSHOT, was_new, filter.size);
}

void route_snapshot_stop(struct worker *w, struct connection *c, struct span filter)
{
	(void)w;
	(void)c;
	(void)filter;
}

void route_load_retained(struct worker *w, struct message **m)
{
	(void)w;
	note(RIG_RETAINED, (*m)->payload_size, (*m)->retain);
	message_put(m);
}

void mqtt_session_on_subscribed(struct mqtt_session *s, uint32_t token, enum err e, uint64_t now_us)
{
	(void)s;
	(void)now_us;
	note(RIG_SUBSCRIBED, token, e);
}

void mqtt_session_on_released(
	struct mqtt_session *s, uint16_t packet_id, enum err e, uint64_t now_us)
{
	(void)s;
	(void)now_us;
	note(RIG_RELEASED, packet_id, e);
}

void mqtt_session_on_received(struct mqtt_session *s, uint64_t entry, uint64_t now_us)
{
	(void)s;
	(void)now_us;
	note(RIG_RECEIVED, entry, 0);
}

void mqtt_session_on_received_id(struct mqtt_session *s, uint16_t packet_id)
{
	(void)s;
	note(RIG_RECEIVED_ID, packet_id, 0);
}

bool mqtt_session_deliver(
	struct mqtt_session *s, struct message *m, const struct delivery *d, uint64_t now_us)
{
	(void)s;
	(void)now_us;
	if (rig_now->refuse)
		return false;
	note(RIG_DELIVERED, d->entry, m->payload_size);
	rig_now->delivery = *d;
	keep(m);
	return true;
}

bool mqtt_session_resume(struct mqtt_session *s, uint64_t entry, uint64_t now_us)
{
	(void)s;
	(void)now_us;
	if (!rig_now->refuse)
		note(RIG_RESUMED, entry, 0);
	return !rig_now->refuse;
}

void connection_input(struct worker *w, struct connection *c)
{
	ASSERT(c->session_open);
	(void)w;
}

bool link_push(struct worker *w, enum shm_command type, const void *body, size_t size)
{
	return shm_tx_push(&w->link.commands, (uint8_t)type, body, size);
}

bool link_put(struct worker *w, const struct span *parts, size_t count, struct shm_text *out)
{
	return shm_arena_put(&w->link.arena, &w->link.commands, parts, count, out);
}

uint32_t worker_messages_max(const struct shm_config *c)
{
	return c->messages_max;
}

static void *region(enum shm_region kind)
{
	void *base = aligned_alloc(SHM_PAGE, shm_region_bytes(kind, 1));

	ASSERT(base != NULL);
	memset(base, 0, shm_region_bytes(kind, 1));
	shm_region_init(base, kind, 1);
	shm_region_start(base, 1);
	return base;
}

static void connect_rings(struct rig *r)
{
	struct shm_dp_worker *dp = shm_dp_worker(r->dp, 0);
	struct shm_cp_worker *cp = shm_cp_worker(r->cp, 0);
	struct worker_link *l = &r->w.link;

	shm_tx_init(&l->commands, dp->commands, &dp->command_producer, &cp->command_consumer, 1);
	shm_rx_init(&l->events, cp->events, &cp->event_producer, &dp->event_consumer);
	shm_arena_init(&l->arena, dp->arena, 0);
	l->peer = (const struct shm_header *)r->cp;
	shm_rx_init(&r->commands, dp->commands, &dp->command_producer, &cp->command_consumer);
	shm_tx_init(&r->events, cp->events, &cp->event_producer, &dp->event_consumer, 1);
	shm_arena_init(&r->arena, cp->arena, 0);
}

static void nobody(void *owner, const struct delivery *d, struct message *m)
{
	(void)owner;
	(void)d;
	(void)m;
}

static void create_layers(struct rig *r)
{
	static struct rte_mempool *segments;
	struct worker *w = &r->w;
	const struct shm_config *c = &w->conf.config;

	if (segments == NULL)
		segments = unit_pool(8192);
	const struct messages_conf messages = {.count = c->messages_max,
		.large_count = 4,
		.segments = segments,
		.counters = &r->counters};
	const struct fabric_conf fabric = {.connections_max = RIG_CONNECTIONS,
		.queues_max = c->sessions_max,
		.subscriptions_max = 64,
		.match = {.filters_max = 64, .filter_bytes_max = 1 << 16},
		.counters = &r->counters,
		.deliver = nobody};
	w->messages = messages_create(&messages);
	w->fabric = fabric_create(&fabric);
	w->connections = calloc(RIG_CONNECTIONS, sizeof(*w->connections));
	ASSERT(w->messages != NULL && w->fabric != NULL && w->connections != NULL);
}

struct rig *rig_create(void)
{
	struct rig *r = calloc(1, sizeof(*r));

	ASSERT(r != NULL);
	rig_now = r;
	r->dp = region(SHM_DP);
	r->cp = region(SHM_CP);
	r->w.counters = &r->counters;
	r->w.conf.counters = &r->counters;
	r->w.conf.link = (struct box_link){.dp_region = r->dp, .cp_region = r->cp, .doorbell = -1};
	r->w.conf.config = (struct shm_config){.connections_max = RIG_CONNECTIONS,
		.outbound_max = RIG_OUTBOUND,
		.sessions_max = 16,
		.messages_max = 256,
		.packet_size_max = RIG_TEXT_MAX};
	connect_rings(r);
	create_layers(r);
	ASSERT(works_create(&r->w));
	return r;
}

void rig_destroy(struct rig **rig)
{
	struct rig *r = *rig;

	*rig = NULL;
	if (r->kept != NULL)
		message_put(&r->kept);
	works_fini(&r->w);
	fabric_destroy(&r->w.fabric);
	ASSERT(messages_alive(r->w.messages) == 0);
	messages_destroy(&r->w.messages);
	free(r->w.connections);
	free(r->dp);
	free(r->cp);
	free(r);
}

static struct shm_text text_of(const struct shm_slot *s)
{
	switch (s->type) {
	case SHM_COMMAND_PART:
		return s->part.text;
	case SHM_COMMAND_STORE:
	case SHM_COMMAND_SUBSCRIBE:
	case SHM_COMMAND_UNSUBSCRIBE:
		return s->work.text;
	default:
		return (struct shm_text){0};
	}
}

uint8_t rig_hear_slot(struct rig *r)
{
	if (shm_rx_pop(&r->commands, &r->slot) != SHM_POPPED)
		return 0;
	const struct shm_text text = text_of(&r->slot);
	ASSERT(text.size <= SHM_PART_BYTES);
	ASSERT(shm_arena_copy(shm_dp_worker(r->dp, 0)->arena, text, r->text + r->text_size,
		sizeof(r->text) - r->text_size));
	r->text_size += text.size;
	shm_rx_done(&r->commands);
	return r->slot.type;
}

bool rig_hear(struct rig *r)
{
	uint8_t type;

	r->text_size = 0;
	do
		type = rig_hear_slot(r);
	while (type == SHM_COMMAND_PART);
	return type != 0;
}

struct shm_text rig_text(struct rig *r, struct span text)
{
	struct shm_text out;

	ASSERT(shm_arena_put(&r->arena, &r->events, &text, 1, &out));
	return out;
}

void rig_say(struct rig *r, enum shm_event type, const void *body, size_t size)
{
	struct shm_slot slot;

	ASSERT(shm_tx_push(&r->events, (uint8_t)type, body, size));
	ASSERT(shm_rx_pop(&r->w.link.events, &slot) == SHM_POPPED);
	works_on_event(&r->w, &slot);
	shm_rx_done(&r->w.link.events);
}

void rig_done(struct rig *r, uint64_t sequence)
{
	const struct shm_done d = {.sequence = sequence};

	rig_say(r, SHM_EVENT_DONE, &d, sizeof(d));
}

void rig_refused(struct rig *r, uint64_t sequence, uint32_t err)
{
	const struct shm_done d = {.sequence = sequence, .err = err};

	rig_say(r, SHM_EVENT_REFUSED, &d, sizeof(d));
}

struct connection *rig_connect(struct rig *r, uint32_t index, uint64_t session)
{
	struct connection *c = &r->w.connections[index];

	*c = (struct connection){.worker = &r->w,
		.id = {.index = index, .generation = c->id.generation + 1},
		.open = true,
		.session_open = true,
		.grant = GRANT_LIVE,
		.kept = session,
		.durable = session != 0};
	return c;
}

struct message *rig_message(struct rig *r, const char *topic, size_t payload)
{
	const struct message_props props = {.content_type = span_str("text/plain")};
	struct message *m =
		message_begin(r->w.messages, span_str(topic), &props, (uint32_t)payload);
	uint8_t chunk[1000];

	ASSERT(m != NULL);
	for (size_t at = 0; at < payload; at += sizeof(chunk)) {
		const size_t n = payload - at < sizeof(chunk) ? payload - at : sizeof(chunk);
		for (size_t i = 0; i < n; i++)
			chunk[i] = (uint8_t)((at + i) * 7 + (at + i) / 251);
		ASSERT(message_append(m, span_of(chunk, n)));
	}
	m->qos = 1;
	return m;
}

struct rig_note rig_last(const struct rig *r, uint32_t i)
{
	return i < r->note_count ? r->notes[r->note_count - 1 - i] : (struct rig_note){0};
}
