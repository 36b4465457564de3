/* works_event.c - what the control plane says that is not a grant: answers to work, replicas,
 * entries of queues, wills, stored values.
 *
 * Text is copied once into memory of ours and judged there. What finds no room
 * is declined, and comes again. */
#include "dataplane/base/assert.h"
#include "dataplane/worker/route.h"
#include "dataplane/worker/works_internal.h"

/* Messages from queues leave a part of the pool to those who publish now. */
enum { MESSAGES_SHARE_NUMERATOR = 3, MESSAGES_SHARE_DENOMINATOR = 4 };

static void bad_slot(struct worker *w)
{
	counter_err(w->counters, ERR_SLOT_BAD);
}

static bool push_answer(struct worker *w, const struct works_answer *a)
{
	if (shm_tx_room(&w->link.commands) <= WORKS_RING_KEPT)
		return false;
	if (a->type == SHM_COMMAND_APPLIED)
		return link_push(w, SHM_COMMAND_APPLIED, &a->applied, sizeof(a->applied));
	return link_push(w, SHM_COMMAND_DECLINED, &a->declined, sizeof(a->declined));
}

/* There is room: works_takes_events said so, and an event has one answer at the most. */
static void answer(struct worker *w, const struct works_answer *a)
{
	struct works *s = w->works;

	if (s->answer_count == 0 && push_answer(w, a))
		return;
	ASSERT(s->answer_count < WORKS_ANSWERS_MAX);
	s->answers[s->answer_count++] = *a;
}

void works_flush_answers(struct worker *w)
{
	struct works *s = w->works;
	uint32_t sent = 0;

	while (sent < s->answer_count && push_answer(w, &s->answers[sent]))
		sent++;
	s->answer_count -= sent;
	memmove(s->answers, s->answers + sent, s->answer_count * sizeof(*s->answers));
}

bool works_takes_events(const struct worker *w)
{
	return w->works->answer_count < WORKS_ANSWERS_MAX;
}

static const uint8_t *arena_of(const struct worker *w)
{
	return shm_cp_worker_const(w->conf.link.cp_region, w->conf.worker)->arena;
}

/* Adds a piece of text to what has come. */
static void take_piece(struct worker *w, struct shm_text text)
{
	struct works *s = w->works;

	if (shm_arena_copy(arena_of(w), text, s->incoming + s->incoming_have,
		    s->incoming_size - s->incoming_have))
		s->incoming_have += text.size;
	else
		s->incoming_bad = true;
}

/* The whole text of an event, which must be of `size`. False: nonsense, counted. */
static bool take_text(struct worker *w, struct shm_text text, uint32_t size, struct span *out)
{
	struct works *s = w->works;

	take_piece(w, text);
	*out = span_of(s->incoming, s->incoming_have);
	const bool good = !s->incoming_bad && s->incoming_have == size;
	s->incoming_have = 0;
	s->incoming_bad = false;
	if (!good)
		bad_slot(w);
	return good;
}

static struct connection *connection_of(struct worker *w, struct shm_connection id)
{
	if (id.index >= w->conf.config.connections_max)
		return NULL;
	struct connection *c = &w->connections[id.index];
	return c->session_open && !c->finishing && c->id.generation == id.generation ? c : NULL;
}

/* A message of ours from a parcel, whole. NULL: no room. */
static struct message *message_of(struct worker *w, const struct parcel *p, uint32_t expiry_s)
{
	const struct message_props props = {.content_type = p->content_type,
		.reply_to = p->reply_to,
		.correlation = p->correlation,
		.user = p->user,
		.expiry_s = expiry_s,
		.payload_is_utf8 = p->payload_is_utf8,
		.priority = p->priority};
	const uint64_t most =
		(uint64_t)worker_messages_max(&w->conf.config) * MESSAGES_SHARE_NUMERATOR;

	if (messages_alive(w->messages) * (uint64_t)MESSAGES_SHARE_DENOMINATOR > most)
		return NULL;
	struct message *m = message_begin(w->messages, p->topic, &props, p->payload_size);
	if (m == NULL)
		return NULL;
	m->born_us = w->now_us;
	m->qos = p->qos;
	m->retain = p->retain;
	if (!message_append(m, p->payload))
		message_put(&m);
	return m;
}

static struct delivery delivery_of(const struct connection *c, const struct shm_deliver *d)
{
	return (struct delivery){.index = c->id.index,
		.kind = SUBSCRIBER_CONNECTION,
		.qos = d->qos,
		.retain = (d->flags & SHM_DELIVER_RETAIN) != 0,
		.entry = d->entry,
		.dup = (d->flags & SHM_DELIVER_DUP) != 0};
}

static void read_identifiers(struct reader *r, uint32_t count, struct delivery *to)
{
	for (uint32_t i = 0; i < count; i++)
		to->identifiers[i] = read_u32(r);
	to->identifier_count = (uint8_t)count;
}

/* False: no room now. */
static bool deliver_message(struct worker *w, struct connection *c, const struct shm_deliver *d,
	const struct parcel *p, const struct delivery *to)
{
	struct message *m = message_of(w, p, d->expiry_left_s);

	if (m == NULL)
		return false;
	const bool taken = mqtt_session_deliver(&c->session, m, to, w->now_us);
	message_put(&m);
	return taken;
}

static bool is_release(const struct shm_deliver *d)
{
	return (d->flags & SHM_DELIVER_RELEASE) != 0;
}

/* Is it what it should be? */
static bool judge_deliver(
	const struct shm_deliver *d, struct reader *text, struct delivery *to, struct parcel *p)
{
	if (d->entry == 0 || d->qos > 2 || d->identifier_count > FABRIC_IDENTIFIERS_MAX)
		return false;
	read_identifiers(text, d->identifier_count, to);
	if (is_release(d))
		return !text->bad;
	return !text->bad && parcel_decode(span_of(text->at, reader_left(text)), p) == ERR_NONE;
}

static bool deliver(struct worker *w, struct connection *c, const struct shm_deliver *d,
	const struct parcel *p, const struct delivery *to)
{
	if (!works_promise(w, c))
		return false;
	const bool taken = is_release(d) ? mqtt_session_resume(&c->session, d->entry, w->now_us)
					 : deliver_message(w, c, d, p, to);
	if (!taken)
		works_unpromise(w, c);
	return taken;
}

/* Behind an entry that was declined all are declined, until they come again; the first that is
 * not new then comes behind all that can come before it, though some may have expired. And what is
 * quite new waits until the highest of them has come. */
static bool overtakes(struct connection *c, uint64_t entry)
{
	if (c->declined_now != 0 && entry > c->declined_now)
		return true;
	c->declined_now = 0;
	return c->declined_top != 0 && entry > c->declined_top;
}

static void decline(struct worker *w, struct connection *c, const struct shm_deliver *d)
{
	c->declined_now = d->entry;
	if (d->entry > c->declined_top)
		c->declined_top = d->entry;
	answer(w, &(struct works_answer){.type = SHM_COMMAND_DECLINED,
			  .declined = {.entry = d->entry, .connection = d->connection}});
}

static void take_entry(struct worker *w, struct connection *c, const struct shm_deliver *d,
	const struct parcel *p, const struct delivery *to)
{
	if (overtakes(c, d->entry) || !deliver(w, c, d, p, to)) {
		decline(w, c, d);
		return;
	}
	c->delivered = d->entry;
	if (d->entry >= c->declined_top)
		c->declined_top = 0;
	counter_add(w->counters, COUNTER_QUEUE_DELIVERIES, 1);
}

static void on_deliver(struct worker *w, const struct shm_deliver *d)
{
	struct span text;
	struct parcel p;

	if (!take_text(w, d->text, d->text_size, &text))
		return;
	struct connection *c = connection_of(w, d->connection);
	if (c == NULL || !c->durable)
		return; /* gone: it hears of that */
	struct reader r = reader_of(text);
	struct delivery to = delivery_of(c, d);
	if (!judge_deliver(d, &r, &to, &p) || d->entry <= c->delivered)
		bad_slot(w);
	else
		take_entry(w, c, d, &p, &to);
}

void works_decline_will(struct worker *w, uint64_t will)
{
	answer(w, &(struct works_answer){
			  .type = SHM_COMMAND_DECLINED, .declined = {.session = will}});
}

/* A will is due: it is published here. */
static void on_publish(struct worker *w, const struct shm_publish *p)
{
	const struct publisher from = {.will_of = p->session};
	const struct publish_order order = {.qos = p->qos};
	struct span text;
	struct parcel parcel;
	bool matched;

	if (!take_text(w, p->text, p->text_size, &text))
		return;
	if (p->qos > 2 || parcel_decode(text, &parcel) != ERR_NONE) {
		bad_slot(w);
		return;
	}
	struct message *m = message_of(w, &parcel, parcel.expiry_s);
	if (m != NULL) {
		m->qos = p->qos;
		m->retain = p->retain != 0;
		if (route_publish(w, &m, &from, &order, &matched) != PUBLISHED_NO_ROOM) {
			counter_add(w->counters, COUNTER_WILLS_PUBLISHED, 1);
			return;
		}
		message_put(&m);
	}
	works_decline_will(w, p->session);
}

static void on_retained(struct worker *w, const struct shm_retained *r)
{
	struct span text;
	struct parcel parcel;

	if (!take_text(w, r->text, r->text_size, &text))
		return;
	if (r->qos > 2 || parcel_decode(text, &parcel) != ERR_NONE) {
		bad_slot(w);
		return;
	}
	struct message *m = message_of(w, &parcel, r->expiry_left_s);
	if (m == NULL)
		return; /* counted; it stays in the store */
	m->qos = r->qos;
	m->retain = true;
	route_load_retained(w, &m);
}

static struct subscription_options options_of(const struct shm_replica *r)
{
	return (struct subscription_options){.qos_max = r->qos > 2 ? 2 : r->qos,
		.no_local = (r->flags & SHM_FILTER_NO_LOCAL) != 0,
		.retain_as_published = (r->flags & SHM_FILTER_RETAIN_AS_PUBLISHED) != 0,
		.retain_handling = r->flags >> SHM_FILTER_HANDLING_SHIFT & 3,
		.identifier = r->identifier};
}

static void count_replicas(struct worker *w)
{
	counter_set(w->counters, COUNTER_REPLICAS, replicas_count(&w->works->replicas));
}

/* The SUBSCRIBE that made the replica new is told, for its retained values. */
static void tell_subscriber(struct worker *w, const struct replica *r, struct span filter)
{
	if (r->worker != w->conf.worker)
		return;
	struct connection *c = connection_of(w, r->at);
	for (uint64_t i = c == NULL ? 0 : c->subscribing; i != 0;) {
		struct work *k = work_at(w->works, i);
		if (span_equal(span_of(k->text.at, k->text.size), filter)) {
			k->asker.was_new = true;
			return;
		}
		i = k->asker.next_subscribe;
	}
}

static enum err replicate(struct worker *w, const struct shm_replica *r, struct span filter)
{
	struct replicas *t = &w->works->replicas;
	const struct subscription_options options = options_of(r);
	const uint32_t index = replicas_add(t, r->session);
	bool was_new;

	count_replicas(w);
	if (index == POOL_NONE)
		return ERR_REPLICAS_FULL;
	const enum err e = fabric_subscribe(
		w->fabric, fabric_queue(w->fabric, index), filter, &options, &was_new);
	if (e == ERR_NONE && was_new)
		tell_subscriber(w, replicas_at(t, index), filter);
	return e;
}

/* What is not there is gone as wished. */
static void unreplicate(struct worker *w, const struct shm_replica *r, struct span filter)
{
	const uint32_t index = works_replica(w, r->session);

	if (index == POOL_NONE)
		return;
	const enum err e = fabric_unsubscribe(w->fabric, fabric_queue(w->fabric, index), filter);
	if (e != ERR_NONE && e != ERR_NOT_SUBSCRIBED)
		counter_err(w->counters, e);
}

static void drop_replica(struct worker *w, uint32_t index)
{
	fabric_forget(w->fabric, fabric_queue(w->fabric, index));
	replicas_drop(&w->works->replicas, index);
	count_replicas(w);
}

static enum err apply(struct worker *w, uint8_t type, const struct shm_replica *r)
{
	const uint32_t index = works_replica(w, r->session);
	struct span filter;

	if (!take_text(w, r->text, r->text.size, &filter) || r->session == 0)
		return ERR_SLOT_BAD;
	if (type == SHM_EVENT_QUEUE_SUBSCRIBE)
		return replicate(w, r, filter);
	if (type == SHM_EVENT_QUEUE_UNSUBSCRIBE)
		unreplicate(w, r, filter);
	else if (index != POOL_NONE)
		drop_replica(w, index);
	return ERR_NONE;
}

static void on_replica(struct worker *w, uint8_t type, const struct shm_replica *r)
{
	const enum err e = apply(w, type, r);

	if (e != ERR_NONE)
		counter_err(w->counters, e);
	if (r->token != 0)
		answer(w, &(struct works_answer){
				  .type = SHM_COMMAND_APPLIED, .applied = {r->token, e}});
}

static void on_place(struct worker *w, const struct shm_place *p)
{
	struct replicas *t = &w->works->replicas;
	const bool nowhere = p->worker == UINT32_MAX;

	if (p->session == 0 || (!nowhere && p->worker >= SHM_WORKERS_MAX)) {
		bad_slot(w);
		return;
	}
	const uint32_t index = nowhere ? replicas_find(t, p->session) : replicas_add(t, p->session);
	count_replicas(w);
	if (index == POOL_NONE) {
		if (!nowhere)
			counter_err(w->counters, ERR_REPLICAS_FULL);
		return;
	}
	replicas_at(t, index)->worker = p->worker;
	replicas_at(t, index)->at = p->connection;
}

static void on_received_id(struct worker *w, const struct shm_received *r)
{
	struct connection *c = connection_of(w, r->connection);

	if (r->count > ARRAY_SIZE(r->packet_ids)) {
		bad_slot(w);
		return;
	}
	if (c == NULL || c->grant != GRANT_ASKED)
		return;
	for (uint32_t i = 0; i < r->count; i++)
		mqtt_session_on_received_id(&c->session, r->packet_ids[i]);
}

void works_on_event(struct worker *w, const struct shm_slot *slot)
{
	switch (slot->type) {
	case SHM_EVENT_DONE:
		works_on_done(w, &slot->done);
		break;
	case SHM_EVENT_REFUSED:
		works_on_refused(w, &slot->done);
		break;
	case SHM_EVENT_RECEIVED_ID:
		on_received_id(w, &slot->received);
		break;
	case SHM_EVENT_QUEUE_SUBSCRIBE:
	case SHM_EVENT_QUEUE_UNSUBSCRIBE:
	case SHM_EVENT_QUEUE_GONE:
		on_replica(w, slot->type, &slot->replica);
		break;
	case SHM_EVENT_QUEUE_PLACE:
		on_place(w, &slot->place);
		break;
	case SHM_EVENT_PART:
		take_piece(w, slot->part.text);
		break;
	case SHM_EVENT_DELIVER:
		on_deliver(w, &slot->deliver);
		break;
	case SHM_EVENT_PUBLISH:
		on_publish(w, &slot->publish);
		break;
	case SHM_EVENT_RETAINED:
		on_retained(w, &slot->retained);
		break;
	case SHM_EVENT_LOADED:
		w->works->loaded = true;
		break;
	default:
		bad_slot(w);
	}
}

void works_forget_replicas(struct worker *w)
{
	struct replicas *t = &w->works->replicas;

	for (uint32_t i = 0; replicas_count(t) > 0 && i < t->pool.count; i++)
		if (replicas_try(t, i) != NULL)
			drop_replica(w, i);
}

uint32_t works_replica(const struct worker *w, uint64_t session)
{
	return replicas_find(&w->works->replicas, session);
}

uint64_t works_replica_session(const struct worker *w, uint32_t queue)
{
	return replicas_at(&w->works->replicas, queue)->session;
}

bool works_replica_place(
	const struct worker *w, uint32_t queue, uint32_t *worker, struct shm_connection *at)
{
	const struct replica *r = replicas_at(&w->works->replicas, queue);

	*worker = r->worker;
	*at = r->at;
	return r->worker != REPLICA_NOWHERE;
}
