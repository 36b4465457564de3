/* sessions.c - the machine's frame: start, batches and their completions, effects. See sessions.h.
 */
#include "controlplane/sessions/internal.h"
#include "dataplane/base/assert.h"

#include <stdlib.h>

enum {
	COMPLETIONS = 64,
	VALUE_ROOM = 64 << 10,
	WALL_LOOK_US = 1000000,
	LOOK_US = 100, /* where nothing else wakes us */
	MS = 1000,
};

void sessions_die(struct sessions *s, enum err e)
{
	if (s->dead == ERR_NONE)
		s->dead = e;
}

void sessions_count(struct sessions *s, enum counter id, uint64_t n)
{
	counter_add(s->counters, id, n);
}

/* The rest is for what cannot wait: ends of connections, answers of replicas. */
bool sessions_has_room(const struct sessions *s)
{
	return s->submitted - s->completed < BATCHES_MAX / 2 && s->bytes_pending < BATCH_BYTES_MAX;
}

struct batch *sessions_batch(struct sessions *s)
{
	batch_begin(&s->batch);
	return &s->batch;
}

static void put_meta(struct sessions *s)
{
	const struct schema_key k = {.kind = 'M'};
	struct span key;
	struct writer w = batch_put(&s->batch, &k, SCHEMA_RECORD_MAX - SCHEMA_TEXT_MAX, &key);

	schema_encode_meta(&w, key, &s->meta);
	batch_end(&s->batch, &w);
	s->meta_dirty = false;
}

/* Everything that is submitted completes, in order; so a number says how far. */
void sessions_submit(struct sessions *s)
{
	if (s->dead != ERR_NONE)
		return;
	if (s->meta_dirty)
		put_meta(s);
	if (batch_empty(&s->batch) && !s->batch.bad)
		return;
	const uint64_t token = ++s->submitted;
	const enum err e = batch_submit(&s->batch, s->store, s->sync, token);
	if (e != ERR_NONE) {
		sessions_die(s, e);
		return;
	}
	size_t *bytes = &s->batch_bytes[token % BATCHES_MAX];
	*bytes = batch_bytes(&s->batch);
	s->bytes_pending += *bytes;
}

static bool encode_key(struct sessions *s, const struct schema_key *k, struct span *key)
{
	if (!memory_grow((void **)&s->key, &s->key_room, SCHEMA_HEAD + 32 + k->text.size, 1)) {
		sessions_die(s, ERR_STORAGE_FULL);
		return false;
	}
	struct writer w = writer_of(s->key, s->key_room);
	schema_key_encode(&w, k);
	ASSERT(!w.bad);
	*key = writer_span(&w);
	return true;
}

/* Damage is another thing than a disk that does not answer: nothing but a person mends it. */
static enum err why_failed(const struct sessions *s)
{
	struct storage_facts facts;

	s->store->ops->facts(s->store, &facts);
	return facts.err != ERR_NONE ? facts.err : ERR_STORAGE_IO;
}

enum storage_found sessions_read(
	struct sessions *s, const struct schema_key *k, struct span *key, struct span *value)
{
	size_t size = 0;

	if (s->dead != ERR_NONE || !encode_key(s, k, key))
		return STORAGE_FAILED;
	enum storage_found found =
		s->store->ops->get(s->store, *key, s->value, s->value_room, &size);
	if (found == STORAGE_FOUND && size > s->value_room) {
		if (!memory_grow((void **)&s->value, &s->value_room, size, 1)) {
			sessions_die(s, ERR_STORAGE_FULL);
			return STORAGE_FAILED;
		}
		found = s->store->ops->get(s->store, *key, s->value, s->value_room, &size);
	}
	if (found == STORAGE_FAILED)
		sessions_die(s, why_failed(s));
	*value = span_of(s->value, found == STORAGE_FOUND ? size : 0);
	return found;
}

bool sessions_there(struct sessions *s, const struct schema_key *k)
{
	struct span key, value;

	return sessions_read(s, k, &key, &value) == STORAGE_FOUND;
}

static void scan(struct sessions *s, struct span from, struct span to,
	bool (*seen)(void *owner, struct span key, struct span value), void *owner)
{
	if (s->dead != ERR_NONE)
		return;
	const enum err e = s->store->ops->scan(s->store, from, to, seen, owner);
	if (e != ERR_NONE)
		sessions_die(s, e);
}

void sessions_scan(struct sessions *s, const struct schema_key *from,
	bool (*seen)(void *owner, struct span key, struct span value), void *owner)
{
	uint8_t first[32], last[32];
	struct writer a = writer_of(first, sizeof(first)), b = writer_of(last, sizeof(last));
	struct schema_key end = *from;

	end.id++;
	end.small++;
	schema_key_encode(&a, from);
	schema_key_encode_prefix(&b, &end);
	ASSERT(!a.bad);
	ASSERT(!b.bad);
	scan(s, writer_span(&a), writer_span(&b), seen, owner);
}

void sessions_scan_kind(struct sessions *s, uint8_t kind, struct span from,
	bool (*seen)(void *owner, struct span key, struct span value), void *owner)
{
	const uint8_t first[1] = {kind}, last[1] = {(uint8_t)(kind + 1)};

	scan(s, from.size > 0 ? from : span_of(first, 1), span_of(last, 1), seen, owner);
}

bool sessions_resynced_all(const struct sessions *s)
{
	for (uint32_t w = 0; w < s->workers; w++)
		if (!s->peers[w].resynced)
			return false;
	return true;
}

/* The store knows a number above all that are used, and learns a higher one now and then. */
static uint64_t next_id(struct sessions *s, uint64_t *next, uint64_t *reserved)
{
	if (*next >= *reserved) {
		*reserved = *next + IDS_STEP;
		s->meta_dirty = true;
	}
	return (*next)++;
}

uint64_t sessions_new_id(struct sessions *s)
{
	return next_id(s, &s->next_session, &s->meta.next_session);
}

uint64_t sessions_new_body(struct sessions *s)
{
	if (s->next_body == SCHEMA_BODY_ID_MAX)
		sessions_die(s, ERR_STORAGE_FULL);
	return next_id(s, &s->next_body, &s->meta.next_body);
}

static void read_meta(struct sessions *s)
{
	const struct schema_key k = {.kind = 'M'};
	struct span key, value;

	s->meta = (struct schema_meta){.next_session = 1, .next_body = 1};
	if (sessions_read(s, &k, &key, &value) == STORAGE_FOUND) {
		const enum err e = schema_decode_meta(value, key, &s->meta);
		if (e != ERR_NONE)
			sessions_die(s, e);
	}
	s->next_session = s->meta.next_session;
	s->next_body = s->meta.next_body;
}

static enum storage_sync sync_of(const struct shm_config *config)
{
	if (strcmp(config->durability, "memory") == 0)
		return STORAGE_MEMORY;
	return strcmp(config->durability, "journal") == 0 ? STORAGE_JOURNAL : STORAGE_SYNCED;
}

/* A power of two: room for all that can be in queues, within bounds. */
static size_t fresh_count(const struct shm_config *config)
{
	const uint64_t all = (uint64_t)config->sessions_max * config->queue_messages_max;
	size_t count = FRESH_MIN;

	while (count < all && count < FRESH_MAX)
		count *= 2;
	return count;
}

enum err sessions_create(
	const struct sessions_conf *conf, struct sessions_now now, struct sessions **out)
{
	ASSERT(conf->workers >= 1 && conf->workers <= SHM_WORKERS_MAX);
	struct sessions *s = calloc(1, sizeof(*s));

	(void)now;
	*out = s;
	if (s == NULL)
		return ERR_STORAGE_FULL;
	s->store = conf->store;
	s->config = conf->config;
	s->counters = conf->counters;
	s->workers = conf->workers;
	s->sync = sync_of(conf->config);
	s->wills_retry_us = NEVER;
	s->idle_max = IDLE_MAX;
	s->sweep_connected = s->sweep_garbage = true;
	s->fresh_mask = fresh_count(conf->config) - 1;
	s->fresh = calloc(s->fresh_mask + 1, sizeof(*s->fresh));
	if (s->fresh == NULL || !memory_grow((void **)&s->value, &s->value_room, VALUE_ROOM, 1))
		s->dead = ERR_STORAGE_FULL;
	read_meta(s);
	const enum err e = s->dead;
	if (e != ERR_NONE)
		sessions_destroy(out);
	return e;
}

static void peer_fini(struct peer *peer)
{
	outbox_fini(&peer->box);
	body_put(&peer->lent);
	free(peer->open);
	free(peer->refused);
	free(peer->cursor);
	table_fini(&peer->connections);
}

void sessions_destroy(struct sessions **out)
{
	struct sessions *s = *out;

	*out = NULL;
	if (s == NULL)
		return;
	connect_fini(s);
	replica_fini(s);
	stored_fini(s);
	for (uint32_t w = 0; w < s->workers; w++)
		peer_fini(&s->peers[w]);
	batch_fini(&s->batch);
	bodies_fini(&s->bodies);
	table_fini(&s->counts);
	table_fini(&s->wills);
	free(s->fresh);
	free(s->value);
	free(s->key);
	free(s);
}

static bool take_completions(struct sessions *s)
{
	struct storage_completion done[COMPLETIONS];
	const uint32_t count = s->store->ops->poll(s->store, done, COMPLETIONS);

	for (uint32_t i = 0; i < count; i++) {
		if (done[i].err != ERR_NONE) {
			sessions_die(s, done[i].err);
			return true;
		}
		if (done[i].token != s->completed + 1)
			continue; /* of somebody before us, on the same store */
		s->completed++;
		s->bytes_pending -= s->batch_bytes[s->completed % BATCHES_MAX];
		s->batch_bytes[s->completed % BATCHES_MAX] = 0;
	}
	return count > 0;
}

static void measure(struct sessions *s)
{
	struct storage_facts facts;

	s->store->ops->facts(s->store, &facts);
	counter_set(s->counters, COUNTER_STORE_BATCHES, facts.batches);
	counter_set(s->counters, COUNTER_STORE_SYNCS, facts.syncs);
	counter_set(s->counters, COUNTER_STORE_PENDING, s->submitted - s->completed);
	counter_set(s->counters, COUNTER_ACKNOWLEDGED_BUT_UNSYNCED, facts.unsynced);
	counter_set(s->counters, COUNTER_STORE_BYTES, facts.disk_bytes);
	counter_set(s->counters, COUNTER_STORED_SESSIONS, s->meta.sessions);
	counter_set(s->counters, COUNTER_STORED_ENTRIES, s->entries);
	if (facts.err != ERR_NONE)
		sessions_die(s, facts.err);
}

static bool outboxes_are_whole(const struct sessions *s)
{
	for (uint32_t w = 0; w < s->workers; w++)
		if (s->peers[w].box.bad)
			return false;
	return true;
}

enum err sessions_poll(struct sessions *s, struct sessions_now now, bool *worked)
{
	*worked = false;
	if (s->dead != ERR_NONE)
		return s->dead;
	if (take_completions(s)) {
		*worked = true;
		connect_committed(s);
		replica_committed(s);
		deliver_committed(s);
	}
	deliver_poll(s, now);
	*worked |= sweep_poll(s, now);
	stored_trim(s);
	measure(s);
	if (!outboxes_are_whole(s))
		sessions_die(s, ERR_STORAGE_FULL);
	return s->dead;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t deadline_us(const struct sessions *s, struct sessions_now now)
{
	const uint64_t due_ms = s->due_s > UINT64_MAX / MS ? UINT64_MAX : s->due_s * MS;

	if (s->due_s == NEVER)
		return NEVER;
	if (due_ms <= now.wall_ms)
		return s->wills_out >= WILLS_MAX ? NEVER : now.us + LOOK_US;
	/* Not for long: the wall clock may jump. */
	const uint64_t left_us =
		due_ms - now.wall_ms > MS ? WALL_LOOK_US : (due_ms - now.wall_ms) * MS;
	return now.us + left_us;
}

uint64_t sessions_next_us(const struct sessions *s, struct sessions_now now)
{
	uint64_t next = deliver_next_us(s);

	if (s->dead != ERR_NONE || s->ready.first != NULL)
		return now.us;
	if (s->submitted > s->completed && s->store->ops->event_fd(s->store) < 0)
		next = earlier(next, now.us + LOOK_US);
	if (!sessions_loaded(s) || !sessions_resynced_all(s))
		return next;
	if (s->sweep_connected || s->sweep_garbage)
		next = earlier(next, now.us + LOOK_US);
	return earlier(next, earlier(s->wills_retry_us, deadline_us(s, now)));
}

static bool next_boxed(struct peer *peer)
{
	struct boxed b;

	if (!outbox_take(&peer->box, &b))
		return false;
	peer->out = (struct sessions_effect){.type = b.type, .size = b.size};
	memcpy(peer->out.bytes, b.bytes, b.size);
	peer->lent = b.text;
	if (b.text != NULL)
		peer->out.text[0] = body_content(b.text);
	return true;
}

static bool next(struct sessions *s, uint32_t worker, struct sessions_now now)
{
	struct peer *peer = &s->peers[worker];

	if (next_boxed(peer) || work_next_answer(s, worker) || connect_next_ids(s, worker))
		return true;
	while (load_next(s, worker, now))
		if (next_boxed(peer))
			return true;
	return deliver_next(s, worker, now);
}

bool sessions_next(
	struct sessions *s, uint32_t worker, struct sessions_effect *out, struct sessions_now now)
{
	ASSERT(worker < s->workers);
	struct peer *peer = &s->peers[worker];

	if (s->dead != ERR_NONE)
		return false;
	/* Whoever did not say that it is there would not take it. */
	if (!peer->has && peer->greeted)
		peer->has = next(s, worker, now) && s->dead == ERR_NONE;
	if (peer->has)
		*out = peer->out;
	return peer->has;
}

void sessions_took(struct sessions *s, uint32_t worker)
{
	ASSERT(worker < s->workers);
	struct peer *peer = &s->peers[worker];

	ASSERT(peer->has);
	if (peer->out.type == SHM_EVENT_LOADED)
		peer->loaded = true;
	peer->has = false;
	body_put(&peer->lent);
}
