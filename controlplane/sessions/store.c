/* store.c - STORE: one message, all its queues, and what belongs to it, in one batch.
 *
 * Everything is read and judged before anything is written: it is taken whole,
 * or refused whole, or was here already. */
#include "controlplane/sessions/internal.h"
#include "dataplane/base/assert.h"

enum { BORN_AT = 8 /* of born_ms in a parcel */ };

struct order {
	const struct shm_work *work;
	uint32_t worker;
	uint32_t named;    /* by the text */
	uint32_t targets;  /* of them there are, once each */
	struct span rest;  /* the targets, as bytes */
	struct span bytes; /* the parcel */
	struct parcel parcel;
	uint64_t now_ms;
	bool leave_full; /* full queues are left out, not a reason to refuse */
};

static enum err decode(struct span text, struct order *o)
{
	struct reader r = reader_of(text);
	struct store_target t;
	enum err e = store_decode_count(&r, &o->named);

	o->rest = span_of(r.at, reader_left(&r));
	for (uint32_t i = 0; e == ERR_NONE && i < o->named; i++)
		e = store_decode_target(&r, &t);
	if (e != ERR_NONE)
		return e;
	o->bytes = span_of(r.at, reader_left(&r));
	e = parcel_decode(o->bytes, &o->parcel);
	if (e == ERR_NONE && o->parcel.topic.size == 0)
		return ERR_SLOT_BAD;
	return e;
}

/* Sent before, and taken then: by its packet id, or as the will that is no more. */
static bool is_duplicate(struct sessions *s, const struct order *o)
{
	const struct shm_work *w = o->work;
	const struct schema_key id = {.kind = 'P', .id = w->session, .small = w->packet_id},
				will = {.kind = 'L', .id = w->will};

	if ((w->flags & SHM_WORK_WILL) != 0 && !sessions_there(s, &will))
		return true;
	return (w->flags & SHM_WORK_RECORD) != 0 && w->session != 0 && sessions_there(s, &id);
}

/* Full queues refuse; the unknown are told to be gone. */
static enum err judge_targets(struct sessions *s, struct order *o)
{
	struct reader r = reader_of(o->rest);
	const uint64_t size = schema_class_bytes(schema_size_class(o->bytes.size + SCHEMA_HEAD));
	struct store_target t;
	bool full = false;

	s->store_serial++;
	for (uint32_t i = 0; i < o->named; i++) {
		if (store_decode_target(&r, &t) != ERR_NONE)
			break;
		struct stored *st = stored_get(s, t.session);
		if (s->dead != ERR_NONE)
			return ERR_NONE;
		if (st == NULL || !st->record.durable) {
			replica_gone(s, o->worker, t.session);
			continue;
		}
		if (st->named_in == s->store_serial)
			continue;
		const bool has_room = st->count < s->config->queue_messages_max &&
				      st->bytes + size <= s->config->queue_bytes_max;
		full |= !has_room;
		if (!has_room && o->leave_full)
			continue;
		st->named_in = s->store_serial;
		o->targets++;
	}
	if (full)
		sessions_count(s, COUNTER_QUEUE_REFUSALS, 1);
	return full && !o->leave_full ? ERR_QUEUE_FULL : ERR_NONE;
}

/* Nobody hears that a will is refused, so it comes again; but not any number of them. */
static enum err judge(struct sessions *s, struct order *o, struct sessions_now now)
{
	const bool is_will = (o->work->flags & SHM_WORK_WILL) != 0;
	const enum err e = judge_targets(s, o);

	if (e == ERR_NONE || !is_will || will_refused(s, o->work->will, now.us + REFUSED_RETRY_US))
		return e;
	sessions_count(s, COUNTER_WILLS_CUT, 1);
	o->leave_full = true;
	o->targets = 0;
	return judge_targets(s, o);
}

/* A copy of the parcel, with the time at which it was born. */
static struct body *body_for(const struct order *o)
{
	struct body *b = body_create(o->bytes.size);

	if (b == NULL)
		return NULL;
	uint8_t *parcel = b->bytes + SCHEMA_HEAD;
	memcpy(parcel, o->bytes.at, o->bytes.size);
	if (o->parcel.born_ms == 0) {
		struct writer w = writer_of(parcel + BORN_AT, sizeof(uint64_t));
		write_u64(&w, o->now_ms);
	}
	return b;
}

static struct schema_reference reference_of(
	const struct store_target *t, uint64_t body, const struct order *o)
{
	struct schema_reference r = {.body = body,
		.qos = t->qos,
		.retain = t->retain,
		.sole = o->targets == 1,
		.size_class = schema_size_class(o->bytes.size + SCHEMA_HEAD),
		.identifier_count = t->identifier_count};

	for (uint32_t i = 0; i < t->identifier_count; i++)
		r.identifiers[i] = t->identifiers[i];
	return r;
}

static void append(
	struct sessions *s, struct stored *st, const struct schema_reference *r, uint64_t token)
{
	const struct schema_key k = {.kind = 'Q', .id = st->id, .number = st->next},
				ref = {.kind = 'R', .id = r->body, .number = st->id};
	struct span key;
	struct writer w = batch_put(&s->batch, &k, SCHEMA_REFERENCE_MAX, &key);

	schema_encode_reference(&w, key, r);
	batch_end(&s->batch, &w);
	if (!r->sole)
		batch_put_nothing(&s->batch, &ref);
	entry_remember(s, st->id, st->next, token, r);
	st->next++;
	st->count++;
	st->bytes += schema_class_bytes(r->size_class);
	s->entries++;
	st->last_token = token;
	if (st->next > st->record.entries) {
		st->record.entries = st->next + ENTRIES_STEP;
		stored_write(&s->batch, st);
	}
	deliver_wake(s, st);
}

static void put_entries(struct sessions *s, const struct order *o, uint64_t body)
{
	struct reader r = reader_of(o->rest);
	struct store_target t;

	for (uint32_t i = 0; i < o->named; i++) {
		if (store_decode_target(&r, &t) != ERR_NONE)
			break;
		struct stored *st = stored_find(s, t.session);
		if (st == NULL || st->named_in != s->store_serial)
			continue;
		st->named_in = 0;
		const struct schema_reference reference = reference_of(&t, body, o);
		append(s, st, &reference, s->submitted + 1);
	}
}

static bool put_targets(struct sessions *s, const struct order *o)
{
	struct body *b = o->targets == 0 ? NULL : body_for(o);

	if (o->targets == 0)
		return true;
	if (b == NULL)
		return false;
	const uint64_t id = sessions_new_body(s);
	const struct schema_key k = {.kind = 'B', .id = id};
	batch_put_body(&s->batch, &k, b);
	bodies_add(&s->bodies, id, b);
	put_entries(s, o, id);
	if (o->targets > 1 && s->counts.count < COUNTS_MAX) {
		struct table_slot *slot = table_put(&s->counts, id);
		if (slot != NULL)
			slot->number = o->targets;
	}
	/* The batch lends it until it is submitted, the cache may not have kept it. */
	s->lent = b;
	return true;
}

static bool put_retained(struct sessions *s, const struct order *o)
{
	const struct schema_key k = {.kind = 'T', .text = o->parcel.topic};

	if ((o->work->flags & SHM_WORK_RETAIN) == 0)
		return true;
	if (o->parcel.payload_size == 0) {
		batch_delete(&s->batch, &k);
		return true;
	}
	s->lent_retained = body_for(o);
	if (s->lent_retained == NULL)
		return false;
	batch_put_body(&s->batch, &k, s->lent_retained);
	return true;
}

static void put_rest(struct sessions *s, const struct order *o)
{
	const struct shm_work *w = o->work;
	const struct schema_key id = {.kind = 'P', .id = w->session, .small = w->packet_id};

	if ((w->flags & SHM_WORK_WILL) != 0)
		will_stored(s, w->will, &s->batch);
	if ((w->flags & SHM_WORK_RECORD) == 0)
		return;
	const struct stored *st = stored_get(s, w->session);
	if (st != NULL && st->record.durable)
		batch_put_nothing(&s->batch, &id);
	else
		counter_err(s->counters, ERR_WORK_UNKNOWN);
}

enum err store_take(struct sessions *s, uint32_t worker, const struct shm_work *work,
	struct span text, struct sessions_now now)
{
	struct order o = {.work = work, .worker = worker, .now_ms = now.wall_ms};
	enum err e = decode(text, &o);

	if (e != ERR_NONE)
		return ERR_SLOT_BAD;
	if (is_duplicate(s, &o)) {
		sessions_count(s, COUNTER_PUBLISH_DUPLICATES, 1);
		return ERR_NONE;
	}
	e = judge(s, &o, now);
	if (s->dead != ERR_NONE)
		return ERR_NONE;
	if (e != ERR_NONE)
		return e;
	sessions_batch(s);
	put_rest(s, &o);
	if (!put_targets(s, &o) || !put_retained(s, &o))
		s->batch.bad = true;
	work_mark(s, worker);
	sessions_submit(s);
	body_put(&s->lent);
	body_put(&s->lent_retained);
	stored_trim(s);
	return ERR_NONE;
}
