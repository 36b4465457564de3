/* entries.c - entries of queues: references read and remembered, received, settled; their bodies.
 */
#include "controlplane/sessions/internal.h"
#include "dataplane/base/assert.h"

static struct fresh *fresh_slot(const struct sessions *s, uint64_t session, uint64_t entry)
{
	const uint64_t h = (session * 0x9e3779b97f4a7c15u) ^ entry;

	return &s->fresh[(h ^ h >> 32) & s->fresh_mask];
}

const struct fresh *entry_fresh(const struct sessions *s, uint64_t session, uint64_t entry)
{
	const struct fresh *f = fresh_slot(s, session, entry);

	return f->session == session && f->entry == entry ? f : NULL;
}

void entry_remember(struct sessions *s, uint64_t session, uint64_t entry, uint64_t token,
	const struct schema_reference *r)
{
	*fresh_slot(s, session, entry) =
		(struct fresh){.session = session, .entry = entry, .token = token, .reference = *r};
}

void entry_forget(struct sessions *s, uint64_t session, uint64_t entry)
{
	struct fresh *f = fresh_slot(s, session, entry);

	if (f->session == session && f->entry == entry)
		f->session = 0;
}

bool entry_read(struct sessions *s, uint64_t session, uint64_t entry, struct schema_reference *out)
{
	const struct fresh *f = entry_fresh(s, session, entry);
	const struct schema_key k = {.kind = 'Q', .id = session, .number = entry};
	struct span key, value;

	if (f != NULL) {
		*out = f->reference;
		return true;
	}
	if (sessions_read(s, &k, &key, &value) != STORAGE_FOUND)
		return false;
	const enum err e = schema_decode_reference(value, key, out);
	if (e != ERR_NONE)
		sessions_die(s, e);
	return e == ERR_NONE;
}

static bool count_one(void *owner, struct span key, struct span value)
{
	(void)key;
	(void)value;
	(*(uint64_t *)owner)++;
	return true;
}

/* How many entries refer to it, those of this batch included. */
static uint64_t references_of(struct sessions *s, uint64_t body)
{
	const struct table_slot *slot = table_find(&s->counts, body);
	const struct schema_key from = {.kind = 'R', .id = body};
	uint64_t count = 0;

	if (slot != NULL)
		return slot->number;
	sessions_scan(s, &from, count_one, &count);
	return count;
}

/* A body of before our start is counted once, in the store; a miscount downwards would lose it. */
static void unref_body(
	struct sessions *s, struct batch *b, uint64_t session, const struct schema_reference *r)
{
	const struct schema_key body = {.kind = 'B', .id = r->body},
				ref = {.kind = 'R', .id = r->body, .number = session};

	if (r->body == 0)
		return;
	if (!r->sole) {
		const uint64_t count = references_of(s, r->body);
		batch_delete(b, &ref);
		if (count > 1) {
			struct table_slot *slot =
				s->counts.count < COUNTS_MAX ||
						table_find(&s->counts, r->body) != NULL
					? table_put(&s->counts, r->body)
					: NULL;
			if (slot != NULL)
				slot->number = count - 1;
			return;
		}
		table_remove(&s->counts, r->body);
	}
	batch_delete(b, &body);
	bodies_remove(&s->bodies, r->body);
}

void entry_remove(struct sessions *s, struct batch *b, uint64_t session, uint64_t entry,
	const struct schema_reference *r)
{
	const struct schema_key k = {.kind = 'Q', .id = session, .number = entry};

	batch_delete(b, &k);
	unref_body(s, b, session, r);
	entry_forget(s, session, entry);
}

static void bytes_out(struct stored *st, const struct schema_reference *r)
{
	const uint64_t bytes = r->received ? 0 : schema_class_bytes(r->size_class);

	ASSERT(st->bytes >= bytes);
	st->bytes -= bytes;
}

void entry_counted_out(struct sessions *s, struct stored *st, const struct schema_reference *r)
{
	ASSERT(st->count > 0);
	st->count--;
	s->entries--;
	bytes_out(st, r);
	st->removed++;
	st->removed_token = s->submitted + 1;
}

/* The session and reference that the work speaks of; NULL: there is none, and that is counted. */
static struct stored *find(struct sessions *s, const struct shm_work *w, struct schema_reference *r)
{
	struct stored *st = stored_get(s, w->session);

	if (st != NULL && w->entry < st->next && entry_read(s, st->id, w->entry, r))
		return st;
	counter_err(s->counters, ERR_WORK_UNKNOWN);
	return NULL;
}

void entry_settled(struct sessions *s, uint32_t worker, const struct shm_work *w)
{
	struct schema_reference r;
	struct stored *st = find(s, w, &r);

	if (st == NULL)
		return;
	entry_remove(s, sessions_batch(s), st->id, w->entry, &r);
	entry_counted_out(s, st, &r);
	work_mark(s, worker);
	sessions_submit(s);
	deliver_forget(s, st, w->entry);
}

void entry_received(struct sessions *s, uint32_t worker, const struct shm_work *w)
{
	struct schema_reference r;
	struct stored *st = find(s, w, &r);
	struct span key;

	if (st == NULL || r.received)
		return;
	const struct schema_key k = {.kind = 'Q', .id = st->id, .number = w->entry};
	struct batch *b = sessions_batch(s);
	bytes_out(st, &r);
	unref_body(s, b, st->id, &r);
	r = (struct schema_reference){.qos = r.qos, .received = true};
	struct writer writer = batch_put(b, &k, SCHEMA_REFERENCE_MAX, &key);
	schema_encode_reference(&writer, key, &r);
	batch_end(b, &writer);
	const struct fresh *f = entry_fresh(s, st->id, w->entry);
	if (f != NULL)
		entry_remember(s, st->id, w->entry, f->token, &r);
	work_mark(s, worker);
	sessions_submit(s);
}

struct body *entry_body(struct sessions *s, const struct schema_reference *r)
{
	const struct schema_key k = {.kind = 'B', .id = r->body};
	struct body *b = bodies_find(&s->bodies, r->body);
	struct span key, value, content;

	if (b != NULL)
		return body_ref(b);
	const enum storage_found found = sessions_read(s, &k, &key, &value);
	enum err e =
		found == STORAGE_FOUND ? schema_open(value, key, &content) : ERR_STORAGE_CORRUPT;
	b = e == ERR_NONE ? body_create(content.size) : NULL;
	if (b == NULL) {
		sessions_die(s, e == ERR_NONE ? ERR_STORAGE_FULL : e);
		return NULL;
	}
	memcpy(b->bytes + SCHEMA_HEAD, content.at, content.size);
	return b;
}
