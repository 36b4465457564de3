/* sweep.c - what time brings: wills and expiries; and what is cleaned up behind others.
 *
 * Nothing of it before all workers have said again what was open: a session
 * may be connected still, a will may be on its way. Each turn does a bounded
 * piece. Deadlines are wall time: if the clock jumps they come early or late,
 * and once, since what they are for goes in the same batch. */
#include "controlplane/sessions/internal.h"
#include "dataplane/base/assert.h"

enum { MS = 1000, WILLS_KNOWN_MAX = 1 << 20, GARBAGE_PIECE = 8 };

static enum will_state state_of(const struct table_slot *slot)
{
	return slot == NULL ? WILL_WAITS : (enum will_state)(slot->number & WILL_STATE_MASK);
}

static void set_state(struct sessions *s, struct table_slot *slot, enum will_state state)
{
	s->wills_out += state == WILL_OUT;
	s->wills_out -= state_of(slot) == WILL_OUT;
	slot->number = (slot->number & ~(uint64_t)WILL_STATE_MASK) | (uint64_t)state;
}

static void forget_will(struct sessions *s, struct table_slot *slot)
{
	if (slot == NULL)
		return;
	set_state(s, slot, WILL_WAITS);
	s->wills_refused -= (slot->number & WILL_REFUSED) != 0;
	table_remove(&s->wills, slot->key);
}

void will_stored(struct sessions *s, uint64_t will, struct batch *b)
{
	const struct schema_key parcel = {.kind = 'L', .id = will};
	struct table_slot *slot = table_find(&s->wills, will);

	batch_delete(b, &parcel);
	s->due_s = 0; /* its deadline is found, and goes */
	forget_will(s, slot);
}

void will_schedule(struct sessions *s, uint64_t will, uint32_t worker)
{
	struct table_slot *slot = table_find(&s->wills, will);

	if (state_of(slot) != WILL_WAITS)
		return; /* on its way: the clock went back */
	if (s->wills.count >= WILLS_KNOWN_MAX)
		return; /* any worker will do */
	slot = table_put(&s->wills, will);
	if (slot != NULL)
		slot->number = (slot->number & WILL_REFUSED) |
			       (uint64_t)worker << WILL_WORKER_SHIFT | WILL_WAITS;
}

bool will_cancel(struct sessions *s, uint64_t will)
{
	struct table_slot *slot = table_find(&s->wills, will);

	if (state_of(slot) != WILL_WAITS)
		return false;
	forget_will(s, slot);
	return true;
}

void will_again(struct sessions *s, uint64_t will, uint64_t at_us)
{
	struct table_slot *slot = table_find(&s->wills, will);

	if (state_of(slot) != WILL_OUT) {
		counter_err(s->counters, ERR_WORK_UNKNOWN);
		return;
	}
	set_state(s, slot, WILL_RETRY);
	if (at_us < s->wills_retry_us)
		s->wills_retry_us = at_us;
}

bool will_refused(struct sessions *s, uint64_t will, uint64_t at_us)
{
	struct table_slot *slot = table_find(&s->wills, will);
	const bool before = slot != NULL && (slot->number & WILL_REFUSED) != 0;

	if (state_of(slot) != WILL_OUT)
		return true; /* of before our start: it waits already */
	if (!before && s->wills_refused >= WILLS_REFUSED_MAX)
		return false;
	s->wills_refused += !before;
	slot->number |= WILL_REFUSED;
	will_again(s, will, at_us);
	return true;
}

static void all_wait(struct sessions *s, bool out, bool retry)
{
	for (uint32_t i = 0; s->wills.slots != NULL && i <= s->wills.mask; i++) {
		struct table_slot *slot = &s->wills.slots[i];
		if (slot->key == 0)
			continue;
		if ((out && state_of(slot) == WILL_OUT) || (retry && state_of(slot) == WILL_RETRY))
			set_state(s, slot, WILL_WAITS);
	}
	s->due_s = 0;
}

/* Whoever had them is dead. What it stored has been taken, or is lost with it. */
void wills_worker_gone(struct sessions *s)
{
	all_wait(s, true, true);
}

struct due {
	const struct sessions *s;
	uint64_t now_s, next_s;
	uint32_t count;
	struct schema_key keys[SWEEP_PIECE];
	enum err err;
};

static bool collect_due(void *owner, struct span key, struct span value)
{
	struct due *d = (struct due *)owner;
	struct schema_key *k = &d->keys[d->count];

	(void)value;
	d->err = schema_key_decode(key, k);
	if (d->err != ERR_NONE)
		return false;
	if (k->number > d->now_s) {
		d->next_s = k->number;
		return false;
	}
	if (k->due == SCHEMA_DUE_WILL && state_of(table_find(&d->s->wills, k->id)) != WILL_WAITS)
		return true;
	if (d->count + 1 == SWEEP_PIECE) {
		d->next_s = 0;
		return false;
	}
	d->count++;
	return true;
}

static void drop_due(struct sessions *s, const struct schema_key *k)
{
	batch_delete(sessions_batch(s), k);
	sessions_submit(s);
}

/* The will goes to the worker that its client was on last, if that is known. */
static void publish_will(struct sessions *s, const struct schema_key *due)
{
	const struct schema_key k = {.kind = 'L', .id = due->id};
	struct span key, value, content;
	struct parcel p;

	if (sessions_read(s, &k, &key, &value) != STORAGE_FOUND) {
		if (s->dead == ERR_NONE)
			drop_due(s, due);
		return;
	}
	enum err e = schema_open(value, key, &content);
	if (e == ERR_NONE && parcel_decode(content, &p) != ERR_NONE)
		e = ERR_STORAGE_CORRUPT;
	struct body *b = e == ERR_NONE ? body_create(content.size) : NULL;
	struct table_slot *slot = b == NULL ? NULL : table_put(&s->wills, due->id);
	if (slot == NULL) {
		body_put(&b);
		sessions_die(s, e == ERR_NONE ? ERR_STORAGE_FULL : e);
		return;
	}
	memcpy(b->bytes + SCHEMA_HEAD, content.at, content.size);
	const struct shm_publish publish = {.session = due->id,
		.text_size = (uint32_t)content.size,
		.qos = p.qos,
		.retain = p.retain};
	const uint32_t worker = (uint32_t)(slot->number >> WILL_WORKER_SHIFT) % s->workers;
	outbox_put(&s->peers[worker].box, SHM_EVENT_PUBLISH, &publish, sizeof(publish), b);
	body_put(&b);
	set_state(s, slot, WILL_OUT);
	sessions_count(s, COUNTER_WILLS_DUE, 1);
}

static void expire(struct sessions *s, const struct schema_key *due, struct sessions_now now)
{
	struct stored *st = stored_get(s, due->id);

	if (s->dead != ERR_NONE)
		return;
	if (st == NULL || !stored_expired(st, now)) {
		drop_due(s, due);
		return;
	}
	stored_end(s, st);
	sessions_count(s, COUNTER_SESSIONS_EXPIRED, 1);
}

static bool fire_deadlines(struct sessions *s, struct sessions_now now)
{
	struct due d = {.s = s, .now_s = now.wall_ms / MS, .next_s = NEVER};

	if (now.us >= s->wills_retry_us) {
		s->wills_retry_us = NEVER;
		all_wait(s, false, true);
	}
	if (s->due_s > d.now_s || s->wills_out >= WILLS_MAX)
		return false;
	sessions_scan_kind(s, 'D', (struct span){NULL, 0}, collect_due, &d);
	if (d.err != ERR_NONE)
		sessions_die(s, d.err);
	s->due_s = d.next_s;
	for (uint32_t i = 0; i < d.count && s->dead == ERR_NONE; i++) {
		if (d.keys[i].due == SCHEMA_DUE_EXPIRY)
			expire(s, &d.keys[i], now);
		else if (s->wills_out < WILLS_MAX)
			publish_will(s, &d.keys[i]);
		else
			s->due_s = 0;
	}
	return d.count > 0;
}

struct ids {
	uint64_t ids[SWEEP_PIECE];
	uint32_t count, max;
	enum err err;
};

static bool collect_id(void *owner, struct span key, struct span value)
{
	struct ids *ids = (struct ids *)owner;
	struct schema_key k;

	(void)value;
	ids->err = schema_key_decode(key, &k);
	if (ids->err != ERR_NONE)
		return false;
	ids->ids[ids->count++] = k.id;
	return ids->count < ids->max;
}

static struct ids ids_from(struct sessions *s, uint8_t kind, uint64_t from, uint32_t max)
{
	const struct schema_key k = {.kind = kind, .id = from};
	uint8_t bytes[16];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct ids ids = {.max = max};

	schema_key_encode(&w, &k);
	sessions_scan_kind(s, kind, writer_span(&w), collect_id, &ids);
	if (ids.err != ERR_NONE)
		sessions_die(s, ids.err);
	return ids;
}

/* Stored as connected, and introduced by nobody: it has disconnected now. */
static bool sweep_connected(struct sessions *s, struct sessions_now now)
{
	const struct ids ids = ids_from(s, 'C', s->connected_from, SWEEP_PIECE);

	for (uint32_t i = 0; i < ids.count && s->dead == ERR_NONE; i++) {
		struct stored *st = stored_get(s, ids.ids[i]);
		const struct schema_key k = {.kind = 'C', .id = ids.ids[i]};
		s->connected_from = ids.ids[i] + 1;
		if (s->dead != ERR_NONE)
			break;
		if (st == NULL || !st->record.connected)
			drop_due(s, &k);
		else if (!st->online)
			stored_disconnect(s, st, now);
	}
	s->sweep_connected = ids.count == SWEEP_PIECE;
	return ids.count > 0;
}

struct entries {
	uint64_t entry[SWEEP_PIECE];
	struct schema_reference reference[SWEEP_PIECE];
	uint32_t count;
	enum err err;
};

static bool collect_entry(void *owner, struct span key, struct span value)
{
	struct entries *e = (struct entries *)owner;
	struct schema_key k;

	e->err = schema_key_decode(key, &k);
	if (e->err == ERR_NONE)
		e->err = schema_decode_reference(value, key, &e->reference[e->count]);
	if (e->err != ERR_NONE)
		return false;
	e->entry[e->count++] = k.number;
	return e->count < SWEEP_PIECE;
}

/* One session's entries, a piece of them; behind the last everything else of it. */
static bool sweep_garbage(struct sessions *s)
{
	const struct ids ids = ids_from(s, 'G', 0, 1);
	struct entries e = {.count = 0};

	s->sweep_garbage = ids.count > 0 && s->dead == ERR_NONE;
	if (!s->sweep_garbage)
		return false;
	const struct schema_key entries = {.kind = 'Q', .id = ids.ids[0]},
				filters = {.kind = 'F', .id = ids.ids[0]},
				packets = {.kind = 'P', .id = ids.ids[0]},
				garbage = {.kind = 'G', .id = ids.ids[0]};
	sessions_scan(s, &entries, collect_entry, &e);
	if (e.err != ERR_NONE)
		sessions_die(s, e.err);
	struct batch *b = sessions_batch(s);
	for (uint32_t i = 0; i < e.count && s->dead == ERR_NONE; i++)
		entry_remove(s, b, ids.ids[0], e.entry[i], &e.reference[i]);
	if (e.count < SWEEP_PIECE) {
		batch_delete_all(b, &filters);
		batch_delete_all(b, &packets);
		batch_delete(b, &garbage);
	}
	sessions_submit(s);
	return true;
}

static bool boxes_are_full(const struct sessions *s)
{
	for (uint32_t w = 0; w < s->workers; w++)
		if (s->peers[w].box.count > OUTBOX_MAX)
			return true;
	return false;
}

bool sweep_poll(struct sessions *s, struct sessions_now now)
{
	bool worked = false;

	if (!sessions_loaded(s) || !sessions_resynced_all(s) || boxes_are_full(s))
		return false;
	if (sessions_has_room(s))
		worked |= fire_deadlines(s, now);
	if (s->sweep_connected && !s->expects && s->dead == ERR_NONE && sessions_has_room(s))
		worked |= sweep_connected(s, now);
	for (int i = 0; i < GARBAGE_PIECE && s->sweep_garbage; i++) {
		if (s->dead != ERR_NONE || !sessions_has_room(s))
			break;
		worked |= sweep_garbage(s);
	}
	return worked;
}
