/* connect.c - from CONNECT to ready, and from gone to disconnected. See internal.h.
 *
 * What a client id owns is known and down before it is ready; the packet ids
 * that are remembered for it have been taken by then. Who is ready is granted
 * by the registry, so its entries go out from then on and not earlier. */
#include "controlplane/sessions/internal.h"
#include "dataplane/base/assert.h"

#include <stdlib.h>

enum { MS = 1000, WILL_DELAY_BYTES = 4, IDS_PER_EVENT = 19, IDS_END = 65536 };

static void put_last(struct connectings *list, struct connecting *c)
{
	c->next = NULL;
	if (list->first == NULL)
		list->last = &list->first;
	*list->last = c;
	list->last = &c->next;
}

static struct connecting *take_first(struct connectings *list)
{
	struct connecting *c = list->first;

	if (c != NULL)
		list->first = c->next;
	if (list->first == NULL)
		list->last = &list->first;
	return c;
}

static void free_all(struct connectings *list)
{
	struct connecting *c;

	while ((c = take_first(list)) != NULL)
		free(c);
}

void connect_fini(struct sessions *s)
{
	free_all(&s->connecting);
	free_all(&s->ready);
	for (uint32_t w = 0; w < s->workers; w++)
		free_all(&s->peers[w].ids);
}

static struct connecting *connecting_create(struct sessions *s, const struct sessions_connect *c)
{
	struct connecting *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->ready.token = c->token;
	n->worker = c->worker;
	n->connection = c->connection;
	n->epoch = c->epoch;
	s->connects++;
	return n;
}

static bool will_is_good(struct span will)
{
	struct parcel p;

	if (will.size == 0)
		return true;
	if (will.size < WILL_DELAY_BYTES)
		return false;
	return parcel_decode(span_skip(will, WILL_DELAY_BYTES), &p) == ERR_NONE && p.topic.size > 0;
}

/* The will that waited is void: the client is back before it was due. */
static void cancel_will(
	struct sessions *s, struct batch *b, struct stored *st, struct sessions_now now)
{
	const uint64_t due_s = st->record.will_due_s, will = st->record.will;
	const struct schema_key parcel = {.kind = 'L', .id = will}, due = {.kind = 'D',
									    .due = SCHEMA_DUE_WILL,
									    .id = will,
									    .number = due_s};

	if (will != 0 && due_s > now.wall_ms / MS && will_cancel(s, will)) {
		batch_delete(b, &parcel);
		batch_delete(b, &due);
	}
	st->record.will = st->record.will_due_s = 0;
	st->record.will_delay_s = 0;
}

static void set_will(struct sessions *s, struct batch *b, struct stored *st, struct span will)
{
	struct reader r = reader_of(will);

	if (will.size == 0)
		return;
	st->record.will = sessions_new_id(s);
	st->record.will_delay_s = read_u32(&r);
	const struct span parcel = span_skip(will, WILL_DELAY_BYTES);
	const struct schema_key k = {.kind = 'L', .id = st->record.will};
	struct span key;
	struct writer w = batch_put(b, &k, SCHEMA_HEAD + parcel.size, &key);
	uint8_t head[SCHEMA_HEAD];
	schema_seal(head, key, parcel);
	write_bytes(&w, span_of(head, sizeof(head)));
	write_bytes(&w, parcel);
	batch_end(b, &w);
}

static uint32_t expiry_of(const struct sessions *s, const struct sessions_connect *c)
{
	const uint32_t most = s->config->session_expiry_max_s;

	return c->session_expiry_s < most ? c->session_expiry_s : most;
}

static void set_connection(
	struct sessions *s, struct stored *st, const struct sessions_connect *c, bool present)
{
	st->record.connected = true;
	st->record.epoch = c->epoch;
	st->record.expiry_s = expiry_of(s, c);
	st->record.connect = (struct schema_connect){.dataplane = s->meta.dataplane,
		.worker = c->worker,
		.index = c->connection.index,
		.generation = c->connection.generation,
		.present = present};
	stored_set_online(s, st, c->worker, c->connection, c->receive_max);
}

/* A control plane before us has taken this very CONNECT, and its worker has not heard. NULL: none
 * has. */
static struct stored *taken_before(struct sessions *s, const struct sessions_connect *c)
{
	struct stored *st = c->again ? stored_get(s, stored_id_of(s, c->client_id)) : NULL;

	if (st == NULL || !st->record.connected || st->online)
		return NULL;
	const struct schema_connect *k = &st->record.connect;
	const bool same = k->dataplane == s->meta.dataplane && k->worker == c->worker &&
			  k->index == c->connection.index &&
			  k->generation == c->connection.generation;
	return same ? st : NULL;
}

static struct stored *found(
	struct sessions *s, const struct sessions_connect *c, struct sessions_now now)
{
	const uint64_t id = stored_id_of(s, c->client_id);
	struct stored *st = stored_get(s, id);

	/* Whoever had it has not been heard to end: it has, or nobody would be let in. */
	if (st != NULL && st->record.connected) {
		stored_disconnect(s, st, now);
		st = stored_get(s, id);
	}
	if (st == NULL)
		return NULL;
	if (!c->clean && !stored_expired(st, now))
		return st;
	stored_end(s, st);
	return NULL;
}

static struct stored *start_new(
	struct sessions *s, const struct sessions_connect *c, struct batch *b)
{
	const uint64_t id = sessions_new_id(s);
	struct stored *st = stored_create(s, id, c->client_id);

	if (st == NULL)
		return NULL;
	const struct schema_key client = {.kind = 'I', .text = c->client_id};
	struct span key;
	struct writer w = batch_put(b, &client, SCHEMA_HEAD + sizeof(id), &key);
	schema_encode_number(&w, key, id);
	batch_end(b, &w);
	st->record.durable = expiry_of(s, c) > 0;
	s->meta.sessions += st->record.durable;
	s->meta_dirty |= st->record.durable;
	st->down = st->fence = st->next;
	return st;
}

static void resume(struct sessions *s, struct stored *st, struct batch *b, struct sessions_now now)
{
	const struct schema_key due = {.kind = 'D',
		.due = SCHEMA_DUE_EXPIRY,
		.id = st->id,
		.number = (st->record.disconnected_ms + MS - 1) / MS + st->record.expiry_s};

	cancel_will(s, b, st, now);
	if (st->record.expiry_s != UINT32_MAX)
		batch_delete(b, &due);
}

/* It is down with the batch that is submitted here. */
static void write_connected(struct sessions *s, const struct sessions_connect *c,
	struct connecting *n, struct stored *st, bool present)
{
	struct batch *b = &s->batch;
	const struct schema_key connected = {.kind = 'C', .id = st->id};

	set_connection(s, st, c, present);
	batch_put_nothing(b, &connected);
	stored_write(b, st);
	sessions_submit(s);
	n->batch = s->submitted;
	n->ready.session = st->id;
	n->ready.present = present;
	n->ready.durable = st->record.durable;
	deliver_start(s, st, 0);
}

/* Nothing is written for it; but what ended before it, perhaps its own old session, must not be
 * there again after its grant. */
static void take_transient(const struct sessions *s, struct connecting *n)
{
	n->batch = s->ends > s->completed ? s->ends : 0;
}

static void take(struct sessions *s, const struct sessions_connect *c, struct connecting *n,
	struct sessions_now now)
{
	struct stored *st = taken_before(s, c);

	if (st != NULL) {
		sessions_batch(s);
		write_connected(s, c, n, st, st->record.connect.present);
		return;
	}
	st = found(s, c, now);
	const bool present = st != NULL;
	if (!present && expiry_of(s, c) == 0 && c->will.size == 0) {
		take_transient(s, n);
		return;
	}
	if (!present && expiry_of(s, c) > 0 && s->meta.sessions >= s->config->sessions_max) {
		n->ready.err = ERR_REPLICAS_FULL;
		return;
	}
	struct batch *b = sessions_batch(s);
	if (present)
		resume(s, st, b, now);
	else
		st = start_new(s, c, b);
	if (st == NULL)
		return;
	set_will(s, b, st, c->will);
	write_connected(s, c, n, st, present);
}

static bool must_wait(const struct sessions *s)
{
	if (s->dead != ERR_NONE || !sessions_loaded(s) || !sessions_resynced_all(s))
		return true;
	for (uint32_t w = 0; w < s->workers; w++)
		if (s->peers[w].box.count > OUTBOX_MAX)
			return true;
	return s->connects >= CONNECTS_MAX || !sessions_has_room(s);
}

enum sessions_answer sessions_connect(
	struct sessions *s, const struct sessions_connect *c, struct sessions_now now)
{
	ASSERT(c->worker < s->workers);
	ASSERT(c->client_id.size > 0 && c->client_id.size <= SCHEMA_TEXT_MAX);
	if (must_wait(s))
		return SESSIONS_LATER;
	struct connecting *n = connecting_create(s, c);
	if (n == NULL)
		return SESSIONS_LATER;
	if (will_is_good(c->will))
		take(s, c, n, now);
	else
		n->ready.err = ERR_SLOT_BAD;
	put_last(n->batch == 0 ? &s->ready : &s->connecting, n);
	stored_trim(s);
	return SESSIONS_TAKEN;
}

static bool has_ids(struct sessions *s, const struct connecting *c);

/* Nobody else has it since, and its worker is no other life's, in which the connection's number is
 * somebody else's. */
static bool is_current(const struct connecting *c, const struct stored *st)
{
	return st != NULL && st->online && st->record.epoch == c->epoch;
}

/* All whose batch is down; they complete in order, as they came. */
void connect_committed(struct sessions *s)
{
	struct connecting *c;

	while ((c = s->connecting.first) != NULL && c->batch <= s->completed) {
		take_first(&s->connecting);
		const struct stored *st = stored_find(s, c->ready.session);
		const bool current = is_current(c, st);
		if (current && c->ready.durable)
			replica_place_all(s, st);
		const bool hears = current && c->ready.present && has_ids(s, c);
		put_last(hears ? &s->peers[c->worker].ids : &s->ready, c);
	}
}

struct ids {
	uint16_t count, ids[IDS_PER_EVENT];
	uint64_t session;
};

static bool collect(void *owner, struct span key, struct span value)
{
	struct ids *ids = (struct ids *)owner;
	struct schema_key k;

	(void)value;
	if (schema_key_decode(key, &k) != ERR_NONE)
		return false;
	ids->ids[ids->count++] = k.small;
	return ids->count < IDS_PER_EVENT;
}

static struct ids ids_from(struct sessions *s, const struct connecting *c)
{
	const struct schema_key from = {
		.kind = 'P', .id = c->ready.session, .small = (uint16_t)c->packet_id};
	struct ids ids = {0};

	if (c->packet_id < IDS_END)
		sessions_scan(s, &from, collect, &ids);
	return ids;
}

static bool has_ids(struct sessions *s, const struct connecting *c)
{
	return ids_from(s, c).count > 0;
}

bool connect_next_ids(struct sessions *s, uint32_t worker)
{
	struct peer *peer = &s->peers[worker];
	struct connecting *c = peer->ids.first;

	if (c == NULL)
		return false;
	const struct ids ids = ids_from(s, c);
	if (ids.count == 0) {
		put_last(&s->ready, take_first(&peer->ids));
		return connect_next_ids(s, worker);
	}
	c->packet_id = ids.ids[ids.count - 1] + 1u;
	peer->out = (struct sessions_effect){.type = SHM_EVENT_RECEIVED_ID,
		.size = sizeof(struct shm_received),
		.received = {.connection = c->connection, .count = ids.count}};
	memcpy(peer->out.received.packet_ids, ids.ids, sizeof(ids.ids));
	return true;
}

/* Nobody is there to hear of ids. */
void connect_worker_gone(struct sessions *s, uint32_t worker)
{
	struct connecting *c;

	while ((c = take_first(&s->peers[worker].ids)) != NULL)
		put_last(&s->ready, c);
}

bool sessions_next_ready(struct sessions *s, struct sessions_ready *out)
{
	struct connecting *c = s->dead == ERR_NONE ? take_first(&s->ready) : NULL;

	if (c == NULL)
		return false;
	*out = c->ready;
	struct stored *st = stored_find(s, c->ready.session);
	if (is_current(c, st)) {
		st->granted = true;
		deliver_wake(s, st);
	}
	s->connects--;
	free(c);
	return true;
}

void sessions_expect(struct sessions *s, bool more)
{
	s->expects = more;
}

void sessions_gone(struct sessions *s, uint64_t session, uint64_t epoch, struct sessions_now now)
{
	struct stored *st = s->dead == ERR_NONE ? stored_find(s, session) : NULL;

	if (st == NULL || !st->online || st->record.epoch != epoch)
		return;
	if (sessions_has_room(s)) {
		stored_disconnect(s, st, now);
		return;
	}
	/* The sweep writes it down, as after a restart. */
	stored_set_offline(s, st);
	s->sweep_connected = true;
	s->connected_from = 0;
}

bool sessions_position(struct sessions *s, uint32_t worker, uint64_t epoch,
	const struct shm_position *p, struct sessions_now now)
{
	struct stored *st = s->dead == ERR_NONE ? stored_get(s, p->session) : NULL;

	(void)now;
	ASSERT(worker < s->workers);
	if (st == NULL || !st->record.connected || st->record.epoch > epoch)
		return false;
	if (st->online)
		return st->worker == worker && st->connection.index == p->connection.index &&
		       st->connection.generation == p->connection.generation;
	st->record.epoch = epoch;
	stored_set_online(s, st, worker, p->connection, p->receive_max);
	st->granted = true;
	deliver_start(s, st, p->delivered);
	replica_place_all(s, st);
	return true;
}
