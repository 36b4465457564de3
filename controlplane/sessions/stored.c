/* stored.c - sessions in memory and their records. See stored.h. */
#include "controlplane/sessions/stored.h"

#include "controlplane/sessions/internal.h"
#include "dataplane/base/assert.h"

#include <stdlib.h>

/* In 1970: whatever a clock does, a will without delay is due, and its client comes too late. */
enum { MS = 1000, DUE_AT_ONCE = 1 };

static struct schema_key key_of(uint8_t kind, uint64_t id)
{
	return (struct schema_key){.kind = kind, .id = id};
}

void stored_move(struct stored_list *to, struct stored *st)
{
	if (st->list != NULL) {
		if (st->prev == NULL)
			st->list->first = st->next_in_list;
		else
			st->prev->next_in_list = st->next_in_list;
		if (st->next_in_list == NULL)
			st->list->last = st->prev;
		else
			st->next_in_list->prev = st->prev;
	}
	st->prev = st->next_in_list = NULL;
	st->list = to;
	if (to == NULL)
		return;
	st->prev = to->last;
	if (to->last == NULL)
		to->first = st;
	else
		to->last->next_in_list = st;
	to->last = st;
}

struct stored *stored_find(const struct sessions *s, uint64_t id)
{
	const struct table_slot *slot = table_find(&s->by_id, id);

	return slot == NULL ? NULL : (struct stored *)slot->pointer;
}

/* Out of memory here is a reason to be started again: nothing is half done. */
struct stored *stored_create(struct sessions *s, uint64_t id, struct span client_id)
{
	struct stored *st = calloc(1, sizeof(*st));
	uint8_t *copy = malloc(client_id.size);
	struct table_slot *slot = st == NULL || copy == NULL ? NULL : table_put(&s->by_id, id);

	if (slot == NULL) {
		free(st);
		free(copy);
		sessions_die(s, ERR_STORAGE_FULL);
		return NULL;
	}
	memcpy(copy, client_id.at, client_id.size);
	st->id = id;
	st->record.client_id = span_of(copy, client_id.size);
	st->next = 1;
	slot->pointer = st;
	stored_move(&s->idle, st);
	s->idle_count++;
	return st;
}

void stored_freed(struct sessions *s, struct stored *st)
{
	stored_set_offline(s, st);
	s->idle_count--;
	s->entries -= st->count;
	stored_move(NULL, st);
	table_remove(&s->by_id, st->id);
	free((void *)(uintptr_t)st->record.client_id.at);
	free(st->sent);
	free(st);
}

struct counting {
	struct stored *st;
	enum err err;
};

static bool count_entry(void *owner, struct span key, struct span value)
{
	struct counting *c = (struct counting *)owner;
	struct schema_key k;
	struct schema_reference r;

	c->err = schema_key_decode(key, &k);
	if (c->err == ERR_NONE)
		c->err = schema_decode_reference(value, key, &r);
	if (c->err != ERR_NONE)
		return false;
	c->st->count++;
	c->st->bytes += r.received ? 0 : schema_class_bytes(r.size_class);
	if (k.number >= c->st->next)
		c->st->next = k.number + 1;
	return true;
}

static struct stored *load(struct sessions *s, uint64_t id)
{
	const struct schema_key k = key_of('S', id), entries = key_of('Q', id);
	struct schema_session record;
	struct span key, value;

	if (sessions_read(s, &k, &key, &value) != STORAGE_FOUND)
		return NULL;
	const enum err e = schema_decode_session(value, key, &record);
	if (e != ERR_NONE) {
		sessions_die(s, e);
		return NULL;
	}
	struct stored *st = stored_create(s, id, record.client_id);
	if (st == NULL)
		return NULL;
	record.client_id = st->record.client_id;
	st->record = record;
	st->next = record.entries > 0 ? record.entries : 1;
	struct counting c = {.st = st};
	sessions_scan(s, &entries, count_entry, &c);
	if (c.err != ERR_NONE)
		sessions_die(s, c.err);
	s->entries += st->count;
	st->down = st->fence = st->next;
	stored_trim(s);
	return s->dead == ERR_NONE ? st : NULL;
}

struct stored *stored_get(struct sessions *s, uint64_t id)
{
	struct stored *st = stored_find(s, id);

	if (st == NULL)
		return id == 0 || id == UINT64_MAX ? NULL : load(s, id);
	if (st->list == &s->idle)
		stored_move(&s->idle, st);
	return st;
}

/* What is under way for it would be forgotten otherwise: then it stays, and the next one goes. */
void stored_trim(struct sessions *s)
{
	struct stored *next = s->idle.first;

	for (int i = 0; i < SWEEP_PIECE && s->idle_count > s->idle_max; i++) {
		struct stored *st = next;
		if (st == NULL || st == s->idle.last)
			return;
		next = st->next_in_list;
		if (st->last_token <= s->completed && st->removed_token <= s->completed &&
			st->named_in != s->store_serial)
			stored_freed(s, st);
	}
}

void stored_fini(struct sessions *s)
{
	for (uint32_t i = 0; s->by_id.slots != NULL && i <= s->by_id.mask;) {
		if (s->by_id.slots[i].key == 0)
			i++;
		else
			stored_freed(s, (struct stored *)s->by_id.slots[i].pointer);
	}
	table_fini(&s->by_id);
}

uint64_t stored_id_of(struct sessions *s, struct span client_id)
{
	const struct schema_key k = {.kind = 'I', .text = client_id};
	struct span key, value;
	uint64_t id = 0;

	if (sessions_read(s, &k, &key, &value) != STORAGE_FOUND)
		return 0;
	const enum err e = schema_decode_number(value, key, &id);
	if (e != ERR_NONE)
		sessions_die(s, e);
	return id;
}

void stored_write(struct batch *b, const struct stored *st)
{
	const struct schema_key k = key_of('S', st->id);
	struct span key;
	struct writer w = batch_put(b, &k, SCHEMA_RECORD_MAX, &key);

	schema_encode_session(&w, key, &st->record);
	batch_end(b, &w);
}

/* Never 0, which a table does not take; the two last ones, which do not come, are the same. */
static uint64_t connection_key(struct shm_connection c)
{
	const uint64_t key = (uint64_t)c.index << 32 | c.generation;

	return key == UINT64_MAX ? key : key + 1;
}

struct stored *stored_at(
	const struct sessions *s, uint32_t worker, struct shm_connection connection)
{
	const struct table_slot *slot =
		table_find(&s->peers[worker].connections, connection_key(connection));

	return slot == NULL ? NULL : (struct stored *)slot->pointer;
}

static void reset_sent(struct stored *st)
{
	free(st->sent);
	st->sent = NULL;
	st->sent_room = st->sent_first = st->sent_end = st->sent_again = 0;
	st->granted = false;
}

void stored_set_online(struct sessions *s, struct stored *st, uint32_t worker,
	struct shm_connection connection, uint16_t receive_max)
{
	const uint64_t key = connection_key(connection);
	struct stored *other = stored_at(s, worker, connection);

	ASSERT(!st->online);
	/* A connection has one session; the sweep writes down that the other's has ended. */
	if (other != NULL) {
		stored_set_offline(s, other);
		s->sweep_connected = true;
		s->connected_from = 0;
	}
	struct table_slot *slot = table_put(&s->peers[worker].connections, key);
	st->online = true;
	st->worker = worker;
	st->connection = connection;
	st->receive_max = receive_max > 0 ? receive_max : 1;
	reset_sent(st);
	stored_move(NULL, st);
	s->idle_count--;
	if (slot == NULL)
		sessions_die(s, ERR_STORAGE_FULL);
	else
		slot->pointer = st;
}

void stored_set_offline(struct sessions *s, struct stored *st)
{
	if (!st->online)
		return;
	if (stored_at(s, st->worker, st->connection) == st)
		table_remove(&s->peers[st->worker].connections, connection_key(st->connection));
	st->online = false;
	reset_sent(st);
	stored_move(&s->idle, st);
	s->idle_count++;
}

static uint64_t expiry_due_s(const struct stored *st)
{
	return (st->record.disconnected_ms + MS - 1) / MS + st->record.expiry_s;
}

bool stored_expired(const struct stored *st, struct sessions_now now)
{
	if (st->record.connected || st->record.expiry_s == UINT32_MAX)
		return false;
	return now.wall_ms / MS >= expiry_due_s(st);
}

static void put_due(
	struct sessions *s, struct batch *b, enum schema_due what, uint64_t id, uint64_t due_s)
{
	const struct schema_key k = {.kind = 'D', .due = (uint8_t)what, .number = due_s, .id = id};

	batch_put_nothing(b, &k);
	if (due_s < s->due_s)
		s->due_s = due_s;
}

static void delete_due(struct batch *b, enum schema_due what, uint64_t id, uint64_t due_s)
{
	const struct schema_key k = {.kind = 'D', .due = (uint8_t)what, .number = due_s, .id = id};

	batch_delete(b, &k);
}

static void end_will(struct sessions *s, struct batch *b, struct stored *st, uint64_t due_s)
{
	if (st->record.will == 0)
		return;
	if (st->record.will_due_s != 0 && st->record.will_due_s <= due_s)
		return; /* due already */
	if (st->record.will_due_s != 0)
		delete_due(b, SCHEMA_DUE_WILL, st->record.will, st->record.will_due_s);
	st->record.will_due_s = due_s;
	put_due(s, b, SCHEMA_DUE_WILL, st->record.will, due_s);
	will_schedule(s, st->record.will, st->worker);
}

/* Its last traces, but for a will that is due, which stands alone from now on. */
static void end_into(struct sessions *s, struct batch *b, struct stored *st)
{
	const struct schema_key session = key_of('S', st->id), connected = key_of('C', st->id),
				garbage = key_of('G', st->id),
				client = {.kind = 'I', .text = st->record.client_id};

	s->ends = s->submitted + 1;
	end_will(s, b, st, DUE_AT_ONCE);
	if (!st->record.connected && st->record.expiry_s != UINT32_MAX)
		delete_due(b, SCHEMA_DUE_EXPIRY, st->id, expiry_due_s(st));
	batch_delete(b, &session);
	batch_delete(b, &connected);
	batch_delete(b, &client);
	if (!st->record.durable)
		return;
	batch_put_nothing(b, &garbage);
	s->sweep_garbage = true;
	s->meta.sessions -= s->meta.sessions > 0;
	s->meta_dirty = true;
	replica_gone_all(s, st->id);
}

void stored_end(struct sessions *s, struct stored *st)
{
	struct batch *b = sessions_batch(s);

	end_into(s, b, st);
	sessions_submit(s);
	stored_freed(s, st);
}

/* Nobody knows how far delivery had come: no further than this. */
struct window {
	uint64_t left, last;
};

static bool count_window(void *owner, struct span key, struct span value)
{
	struct window *w = (struct window *)owner;
	struct schema_key k;

	(void)value;
	if (schema_key_decode(key, &k) == ERR_NONE)
		w->last = k.number;
	return --w->left > 0;
}

static void guess_sent(struct sessions *s, struct stored *st)
{
	const struct schema_key from = key_of('Q', st->id);
	struct window w = {.left = deliver_distance_max(s)};

	sessions_scan(s, &from, count_window, &w);
	if (w.last > st->record.sent)
		st->record.sent = w.last;
}

bool stored_disconnect_into(
	struct sessions *s, struct batch *b, struct stored *st, struct sessions_now now)
{
	const struct schema_key connected = key_of('C', st->id);

	ASSERT(st->record.connected);
	if (!st->online)
		guess_sent(s, st);
	stored_set_offline(s, st);
	if (!st->record.durable || st->record.expiry_s == 0) {
		end_into(s, b, st);
		return true;
	}
	st->record.connected = false;
	st->record.disconnected_ms = now.wall_ms;
	const uint32_t delay = st->record.will_delay_s < st->record.expiry_s
				       ? st->record.will_delay_s
				       : st->record.expiry_s;
	end_will(s, b, st, delay == 0 ? DUE_AT_ONCE : now.wall_ms / MS + delay);
	if (st->record.expiry_s != UINT32_MAX)
		put_due(s, b, SCHEMA_DUE_EXPIRY, st->id, expiry_due_s(st));
	batch_delete(b, &connected);
	stored_write(b, st);
	replica_place_all(s, st);
	return false;
}

void stored_disconnect(struct sessions *s, struct stored *st, struct sessions_now now)
{
	struct batch *b = sessions_batch(s);
	const bool ended = stored_disconnect_into(s, b, st, now);

	sessions_submit(s);
	if (ended)
		stored_freed(s, st);
}
