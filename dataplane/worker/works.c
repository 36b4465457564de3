/* works.c - work is numbered, kept until it is answered, and said again to a new control plane.
 *
 * Room: the ring has a slot for the end of each connection, one for each entry
 * that a client may have to settle (promised when the entry is taken), and as
 * many for new work, which is refused before it could take theirs. */
#include "dataplane/worker/works_internal.h"

#include "dataplane/base/assert.h"
#include "dataplane/worker/route.h"

#include <stdlib.h>

enum { ANSWERS_PER_TURN = 4096 };

static bool linked(const struct worker *w)
{
	return w->link.peer != NULL;
}

static uint32_t open_count(const struct works *s)
{
	return (uint32_t)(s->next - 1 - s->done);
}

/* Slots that nobody has and nobody is promised. */
static uint32_t slots_free(const struct works *s)
{
	const uint32_t taken = open_count(s) + s->promised;

	return taken < s->capacity ? s->capacity - taken : 0;
}

/* Ends of connections always find room. */
static bool slot_for_release(const struct worker *w)
{
	return slots_free(w->works) > w->conf.config.connections_max;
}

/* So do answers of publishers whose messages had found room. */
static bool slot_for_new(const struct worker *w)
{
	const struct shm_config *c = &w->conf.config;

	return slots_free(w->works) > c->connections_max + c->outbound_max / 8;
}

static struct work *add(struct worker *w, enum shm_command type, const struct shm_work *body)
{
	struct works *s = w->works;

	ASSERT(open_count(s) < s->capacity);
	struct work *k = work_at(s, s->next);
	*k = (struct work){.type = (uint8_t)type, .body = *body};
	k->body.sequence = s->next++;
	counter_set(w->counters, COUNTER_WORK_OPEN, open_count(s));
	return k;
}

bool works_room(const struct worker *w, const struct message *m)
{
	const struct works *s = w->works;

	(void)m; /* its bytes stay where they are */
	return linked(w) && slot_for_new(w) && !s->target_writer.bad &&
	       works_text_fits(s, writer_used(&s->target_writer));
}

static struct shm_work store_body(const struct message *m, const struct store_order *o)
{
	struct shm_work body = {.session = o->record ? o->session : 0,
		.packet_id = o->record ? o->order.packet_id : 0,
		.qos = m->qos};

	if (o->set_retained)
		body.flags |= SHM_WORK_RETAIN;
	if (o->record)
		body.flags |= SHM_WORK_RECORD;
	if (o->will_of != 0) {
		body.flags |= SHM_WORK_WILL;
		body.will = o->will_of;
	}
	return body;
}

void works_store(struct worker *w, struct message *m, const struct store_order *o)
{
	struct works *s = w->works;
	const struct shm_work body = store_body(m, o);
	struct work *k = add(w, SHM_COMMAND_STORE, &body);
	uint8_t count[4];
	struct writer head = writer_of(s->targets, sizeof(count));

	store_encode_count(&head, s->target_count);
	k->text = works_text_keep(s, writer_span(&s->target_writer));
	k->body.text_size = k->text.size + works_parcel_size(m);
	k->message = message_ref(m);
	k->order = o->order;
	works_targets_begin(w);
}

void works_targets_begin(struct worker *w)
{
	struct works *s = w->works;

	s->target_count = 0;
	s->target_writer = writer_of(s->targets, s->targets_size);
	store_encode_count(&s->target_writer, 0); /* the number comes when it is known */
}

void works_target(struct worker *w, const struct store_target *t)
{
	store_encode_target(&w->works->target_writer, t);
	w->works->target_count++;
}

uint32_t works_targets(const struct worker *w)
{
	return w->works->target_count;
}

/* Notes who asked, so that the answer finds the session if it is still there. */
static void ask(struct work *k, const struct connection *c, uint32_t token)
{
	k->asker =
		(struct work_asker){.connection = {c->id.index, c->id.generation}, .token = token};
}

static uint8_t filter_flags(const struct subscription_options *o)
{
	return (uint8_t)((o->no_local ? SHM_FILTER_NO_LOCAL : 0) |
			 (o->retain_as_published ? SHM_FILTER_RETAIN_AS_PUBLISHED : 0) |
			 o->retain_handling << SHM_FILTER_HANDLING_SHIFT);
}

/* A connection's unanswered SUBSCRIBEs form a list, so that a replica finds its own. */
static void join_subscribes(struct works *s, struct connection *c, uint64_t sequence)
{
	uint64_t last = c->subscribing;

	if (last == 0) {
		c->subscribing = sequence;
		return;
	}
	while (work_at(s, last)->asker.next_subscribe != 0)
		last = work_at(s, last)->asker.next_subscribe;
	work_at(s, last)->asker.next_subscribe = sequence;
}

bool works_subscribe(struct worker *w, struct connection *c, uint32_t token, struct span filter,
	const struct subscription_options *options)
{
	struct works *s = w->works;
	const struct shm_work body = {.session = c->kept,
		.identifier = options->identifier,
		.flags = filter_flags(options),
		.qos = options->qos_max};

	if (!linked(w) || !slot_for_new(w) || !works_text_fits(s, filter.size))
		return false;
	struct work *k = add(w, SHM_COMMAND_SUBSCRIBE, &body);
	k->text = works_text_keep(s, filter);
	ask(k, c, token);
	join_subscribes(s, c, k->body.sequence);
	return true;
}

bool works_unsubscribe(struct worker *w, struct connection *c, uint32_t token, struct span filter)
{
	struct works *s = w->works;
	const struct shm_work body = {.session = c->kept};

	if (!linked(w) || !slot_for_new(w) || !works_text_fits(s, filter.size))
		return false;
	struct work *k = add(w, SHM_COMMAND_UNSUBSCRIBE, &body);
	k->text = works_text_keep(s, filter);
	ask(k, c, token);
	return true;
}

bool works_release(struct worker *w, struct connection *c, uint16_t packet_id)
{
	const struct shm_work body = {.session = c->kept, .packet_id = packet_id};

	if (!linked(w) || !slot_for_release(w))
		return false;
	ask(add(w, SHM_COMMAND_RELEASE, &body), c, packet_id);
	return true;
}

bool works_promise(struct worker *w, struct connection *c)
{
	struct works *s = w->works;

	if (s->promised >= w->conf.config.outbound_max || !slot_for_release(w))
		return false;
	s->promised++;
	c->owed++;
	return true;
}

void works_unpromise(struct worker *w, struct connection *c)
{
	if (c->owed == 0)
		return;
	ASSERT(w->works->promised > 0);
	c->owed--;
	w->works->promised--;
}

static void entry_work(
	struct worker *w, struct connection *c, enum shm_command type, uint64_t entry)
{
	const struct shm_work body = {.session = c->kept, .entry = entry};

	works_unpromise(w, c);
	if (!linked(w) || open_count(w->works) == w->works->capacity) {
		counter_err(w->counters, ERR_WORK_FULL); /* it comes again with the client */
		return;
	}
	ask(add(w, type, &body), c, 0);
}

void works_received(struct worker *w, struct connection *c, uint64_t entry)
{
	entry_work(w, c, SHM_COMMAND_RECEIVED, entry);
}

void works_settled(struct worker *w, struct connection *c, uint64_t entry)
{
	entry_work(w, c, SHM_COMMAND_SETTLED, entry);
}

uint64_t works_ended(struct worker *w, struct connection *c, bool will_void, bool expiry_changed,
	uint32_t expiry_s)
{
	struct works *s = w->works;
	const struct shm_work body = {.session = c->kept,
		.epoch = c->epoch,
		.expiry_s = expiry_changed ? expiry_s : 0,
		.flags = (uint8_t)((will_void ? SHM_WORK_NO_WILL : 0) |
				   (expiry_changed ? SHM_WORK_EXPIRY : 0))};

	while (c->owed > 0)
		works_unpromise(w, c);
	if (!linked(w) || open_count(s) == s->capacity) {
		counter_err(w->counters, ERR_WORK_FULL); /* CLOSED says that it is gone */
		return 0;
	}
	struct work *k = add(w, SHM_COMMAND_ENDED, &body);
	ask(k, c, 0);
	return k->body.sequence;
}

bool works_said(const struct worker *w, uint64_t sequence)
{
	return sequence < w->works->written;
}

/* The session that asked, if it is still the same. */
static struct connection *asker_of(struct worker *w, const struct work *k)
{
	const struct shm_connection id = k->asker.connection;
	struct connection *c = &w->connections[id.index];

	return c->session_open && c->id.generation == id.generation && !c->finishing ? c : NULL;
}

static struct subscription_options options_of(const struct shm_work *b)
{
	return (struct subscription_options){.qos_max = b->qos,
		.no_local = (b->flags & SHM_FILTER_NO_LOCAL) != 0,
		.retain_as_published = (b->flags & SHM_FILTER_RETAIN_AS_PUBLISHED) != 0,
		.retain_handling = b->flags >> SHM_FILTER_HANDLING_SHIFT & 3,
		.identifier = b->identifier};
}

static void answer_subscribe(struct worker *w, struct connection *c, const struct work *k)
{
	const struct subscription_options options = options_of(&k->body);
	const struct span filter = span_of(k->text.at, k->text.size);

	if (k->type == SHM_COMMAND_SUBSCRIBE) {
		ASSERT(c->subscribing == k->body.sequence);
		c->subscribing = k->asker.next_subscribe;
	}
	mqtt_session_on_subscribed(&c->session, k->asker.token, (enum err)k->refused, w->now_us);
	if (k->type == SHM_COMMAND_UNSUBSCRIBE && k->refused == ERR_NONE)
		route_snapshot_stop(w, c, filter);
	if (k->type == SHM_COMMAND_SUBSCRIBE && k->refused == ERR_NONE && !c->finishing)
		route_snapshot(w, c, filter, &options, k->asker.was_new);
	connection_input(w, c); /* it may have waited for this */
}

static void answer_received(struct worker *w, struct connection *c, const struct work *k)
{
	/* Its slot is free again, and will be wanted when the client is done with it. */
	w->works->promised++;
	c->owed++;
	mqtt_session_on_received(&c->session, k->body.entry, w->now_us);
	connection_input(w, c);
}

static void answer_asker(struct worker *w, const struct work *k)
{
	struct connection *c = asker_of(w, k);

	if (c == NULL)
		return;
	switch (k->type) {
	case SHM_COMMAND_SUBSCRIBE:
	case SHM_COMMAND_UNSUBSCRIBE:
		answer_subscribe(w, c, k);
		break;
	case SHM_COMMAND_RELEASE:
		mqtt_session_on_released(
			&c->session, k->body.packet_id, (enum err)k->refused, w->now_us);
		connection_input(w, c);
		break;
	case SHM_COMMAND_RECEIVED:
		answer_received(w, c, k);
		break;
	default: /* SETTLED, ENDED: nobody waits */
		break;
	}
}

/* The oldest open work is answered. What hears of it may make new work, in this slot. */
static void answer_next(struct worker *w)
{
	struct works *s = w->works;
	struct work k = *work_at(s, ++s->done);

	counter_add(
		w->counters, k.refused == ERR_NONE ? COUNTER_WORK_DONE : COUNTER_WORK_REFUSED, 1);
	if (k.type == SHM_COMMAND_STORE) {
		route_stored(w, &k.order, k.message, (enum err)k.refused);
		message_put(&k.message);
	} else {
		answer_asker(w, &k);
	}
	works_text_free(s, &k.text);
}

/* Answers what DONE covers. True: there was something. */
static bool answer_due(struct worker *w)
{
	struct works *s = w->works;
	uint32_t n = 0;

	for (; s->done < s->through && n < ANSWERS_PER_TURN; n++) {
		/* Half of it is said to a new control plane: the other half belongs to it. */
		if (s->done + 1 == s->written && s->part_at > 0)
			break;
		if (s->written == s->done + 1)
			s->written++;
		answer_next(w);
	}
	if (n > 0)
		counter_set(w->counters, COUNTER_WORK_OPEN, open_count(s));
	return n > 0;
}

void works_on_done(struct worker *w, const struct shm_done *d)
{
	struct works *s = w->works;

	if (d->sequence > s->said) { /* nobody has heard of that one */
		counter_err(w->counters, ERR_SLOT_BAD);
		return;
	}
	if (d->sequence > s->through)
		s->through = d->sequence;
	(void)answer_due(w);
}

void works_on_refused(struct worker *w, const struct shm_done *d)
{
	struct works *s = w->works;

	if (d->sequence > s->said || d->err == ERR_NONE || d->err >= ERR_COUNT) {
		counter_err(w->counters, ERR_SLOT_BAD);
		return;
	}
	if (d->sequence > s->through)
		work_at(s, d->sequence)->refused = (uint16_t)d->err;
}

void works_rewind(struct worker *w)
{
	struct works *s = w->works;

	s->written = s->done + 1;
	s->part_at = 0;
	s->resync_to = 0;
	s->held = true;
	s->answer_count = 0; /* the questions are forgotten */
	s->incoming_have = 0;
	s->incoming_bad = false;
}

bool works_resync(struct worker *w)
{
	struct works *s = w->works;

	if (s->held)
		s->resync_to = s->next;
	s->held = false;
	works_flush(w);
	return s->resync_to == 0;
}

/* All that was open is said: it may judge who is missing. */
static void say_resynced(struct worker *w)
{
	struct works *s = w->works;

	if (s->resync_to != 0 && s->written >= s->resync_to &&
		link_push(w, SHM_COMMAND_RESYNCED, NULL, 0))
		s->resync_to = 0;
}

bool works_flush(struct worker *w)
{
	struct works *s = w->works;
	bool moved = answer_due(w);

	if (!linked(w) || s->held)
		return moved;
	works_flush_answers(w);
	say_resynced(w);
	while (s->written < s->next && works_write(w)) {
		moved = true;
		if (s->part_at > 0)
			continue;
		if (s->said < s->written)
			s->said = s->written;
		s->written++;
		say_resynced(w);
	}
	return moved;
}

bool works_open(const struct worker *w)
{
	const struct works *s = w->works;

	return s->next - 1 > s->done || s->answer_count > 0 || s->resync_to != 0;
}

bool works_loaded(const struct worker *w)
{
	return w->works->loaded;
}

static uint32_t targets_max(const struct shm_config *c)
{
	return c->sessions_max < WORKS_TARGETS_MAX ? c->sessions_max : WORKS_TARGETS_MAX;
}

static uint32_t capacity_of(const struct shm_config *c)
{
	return c->connections_max + 2 * c->outbound_max;
}

static uint32_t targets_bytes(const struct shm_config *c)
{
	return 4 + targets_max(c) * STORE_TARGET_MAX;
}

/* The largest text fits twice, others a few at a time. */
static uint32_t texts_bytes(const struct shm_config *c)
{
	return 2 * targets_bytes(c) + 32 * c->outbound_max + (256u << 10);
}

static size_t incoming_bytes(const struct shm_config *c)
{
	return (size_t)c->packet_size_max + MESSAGE_HEAD_LARGE + SHM_PAGE;
}

size_t works_bytes(const struct shm_config *c)
{
	return sizeof(struct works) + capacity_of(c) * sizeof(struct work) + targets_bytes(c) +
	       texts_bytes(c) + incoming_bytes(c) + replicas_bytes(c->sessions_max);
}

bool works_create(struct worker *w)
{
	const struct shm_config *c = &w->conf.config;
	struct works *s = calloc(1, sizeof(*s));

	w->works = s;
	if (s == NULL)
		return false;
	s->written = s->next = 1;
	s->capacity = capacity_of(c);
	s->texts_size = texts_bytes(c);
	s->targets_size = targets_bytes(c);
	s->incoming_size = incoming_bytes(c);
	s->ring = calloc(s->capacity, sizeof(*s->ring));
	s->texts = malloc(s->texts_size);
	s->targets = malloc(s->targets_size);
	s->incoming = malloc(s->incoming_size);
	if (s->ring == NULL || s->texts == NULL || s->targets == NULL || s->incoming == NULL ||
		!replicas_create(&s->replicas, c->sessions_max))
		return false;
	works_targets_begin(w);
	return true;
}

void works_fini(struct worker *w)
{
	struct works *s = w->works;

	w->works = NULL;
	if (s == NULL)
		return;
	while (s->ring != NULL && s->next - 1 > s->done) {
		struct work *k = work_at(s, ++s->done);
		if (k->message != NULL)
			message_put(&k->message);
	}
	replicas_fini(&s->replicas);
	free(s->ring);
	free(s->texts);
	free(s->targets);
	free(s->incoming);
	free(s);
}
