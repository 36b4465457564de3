/* load.c - greetings of workers, and what a new dataplane is told: filters and retained values.
 *
 * A piece at a time, made when all before it has been taken; where it goes on
 * is a key, so nothing is held while a worker is slow. Nobody is granted
 * before all are loaded, so nothing that is told changes meanwhile. */
#include "controlplane/sessions/internal.h"
#include "dataplane/base/assert.h"
#include "dataplane/shm/owner.h"

enum { PIECE = 64, PIECE_BYTES = 256 << 10, MS = 1000 };

static bool remember_refused(void *owner, struct span key, struct span value)
{
	struct schema_key k;

	(void)value;
	return schema_key_decode(key, &k) == ERR_NONE &&
	       work_remember_refused((struct peer *)owner, k.number);
}

static void forget_mark(struct sessions *s, uint32_t worker)
{
	const struct schema_key refused = {.kind = 'X', .small = (uint16_t)worker};
	struct peer *peer = &s->peers[worker];

	work_forget_refused(peer);
	peer->mark = 0;
	batch_delete_all(sessions_batch(s), &refused);
	work_mark(s, worker);
	sessions_submit(s);
}

/* What was taken of this generation before us; of another one it means nothing any more. */
static void read_mark(struct sessions *s, uint32_t worker)
{
	const struct schema_key k = {.kind = 'W', .small = (uint16_t)worker},
				refused = {.kind = 'X', .small = (uint16_t)worker};
	struct peer *peer = &s->peers[worker];
	struct schema_mark mark = {0};
	struct span key, value;

	work_forget_refused(peer);
	peer->mark = 0;
	if (sessions_read(s, &k, &key, &value) != STORAGE_FOUND)
		return;
	const enum err e = schema_decode_mark(value, key, &mark);
	if (e != ERR_NONE) {
		sessions_die(s, e);
		return;
	}
	if (mark.dp_generation == s->dp_generation) {
		peer->mark = mark.sequence;
		sessions_scan(s, &refused, remember_refused, peer);
		return;
	}
	forget_mark(s, worker);
}

static void forget_work(struct peer *peer)
{
	peer->open_first = peer->open_end = 0;
	peer->seen = peer->through = peer->told = 0;
}

static void reset_peer(struct sessions *s, uint32_t worker)
{
	struct peer *peer = &s->peers[worker];

	forget_work(peer);
	outbox_clear(&peer->box);
	body_put(&peer->lent);
	peer->has = false;
	peer->greeted = peer->resynced = peer->loaded = false;
	peer->stage = LOAD_NOTHING;
	connect_worker_gone(s, worker);
	read_mark(s, worker);
}

/* In memory; the sweep writes it down, once it is known who is introduced again. */
static void set_all_offline(struct sessions *s, uint32_t worker)
{
	struct table *t = &s->peers[worker].connections;

	for (uint32_t i = 0; t->slots != NULL && i <= t->mask;) {
		if (t->slots[i].key == 0)
			i++;
		else
			stored_set_offline(s, (struct stored *)t->slots[i].pointer);
	}
	s->sweep_connected = true;
	s->connected_from = 0;
}

static void new_dataplane(struct sessions *s, uint64_t generation)
{
	s->dp_generation = generation;
	for (uint32_t w = 0; w < s->workers; w++) {
		set_all_offline(s, w);
		reset_peer(s, w);
	}
	replica_worker_gone(s);
	wills_worker_gone(s);
}

/* Its connections have nothing to do with those of before. It is not called loaded before that is
 * down, nor before its mark is: to whoever comes after us it would look like the one before. */
static void count_dataplane(struct sessions *s, struct peer *peer)
{
	s->meta.dataplane++;
	s->meta_dirty = true;
	sessions_batch(s);
	sessions_submit(s);
	peer->counted = s->submitted;
}

void sessions_hello(struct sessions *s, uint32_t worker, uint64_t dp_generation, bool loaded,
	struct sessions_now now)
{
	struct peer *peer = &s->peers[worker];

	(void)now;
	ASSERT(worker < s->workers);
	if (s->dead != ERR_NONE)
		return;
	if (dp_generation != s->dp_generation)
		new_dataplane(s, dp_generation);
	else if (peer->greeted)
		set_all_offline(s, worker);
	forget_work(peer);
	/* Who is not loaded has done no work yet: a mark of its generation is that of another life
	 * of the box, in which generations were counted from 1, too. */
	if (!loaded && peer->mark != 0)
		forget_mark(s, worker);
	if (!loaded)
		count_dataplane(s, peer);
	peer->greeted = true;
	/* Who is not loaded serves nobody, so there is nothing to be said again. */
	peer->resynced = !loaded;
	peer->loaded = loaded;
	peer->stage = loaded ? LOAD_NOTHING : LOAD_FILTERS;
	peer->cursor_size = 0;
}

void sessions_resynced(struct sessions *s, uint32_t worker, struct sessions_now now)
{
	(void)now;
	ASSERT(worker < s->workers);
	if (s->peers[worker].greeted)
		s->peers[worker].resynced = true;
}

bool sessions_loaded(const struct sessions *s)
{
	for (uint32_t w = 0; w < s->workers; w++)
		if (!s->peers[w].loaded)
			return false;
	return true;
}

struct row {
	struct schema_key key; /* without its text, which is the body's, or not needed */
	struct body *text;
	struct schema_options options;
};

struct piece {
	struct sessions *s;
	struct peer *peer;
	uint32_t worker, count, seen;
	size_t bytes;
	bool more;
	enum err err;
	struct row rows[PIECE];
};

/* The next key in order is this one and a byte 0. */
static bool set_cursor(struct peer *peer, struct span key)
{
	if (!memory_grow((void **)&peer->cursor, &peer->cursor_room, key.size + 1, 1))
		return false;
	memcpy(peer->cursor, key.at, key.size);
	peer->cursor[key.size] = 0;
	peer->cursor_size = key.size + 1;
	return true;
}

static bool add_row(struct piece *p, const struct schema_key *k, struct span text)
{
	struct row *row = &p->rows[p->count];

	*row = (struct row){.key = *k, .text = body_create(text.size)};
	if (row->text == NULL) {
		p->err = ERR_STORAGE_FULL;
		return false;
	}
	memcpy(row->text->bytes + SCHEMA_HEAD, text.at, text.size);
	p->bytes += text.size;
	p->count++;
	return true;
}

static enum err see(struct piece *p, struct span key, struct span value)
{
	struct schema_options options = {0};
	struct schema_key k;
	struct span content = {0};
	enum err e = schema_key_decode(key, &k);

	if (e == ERR_NONE && k.kind == 'F')
		e = schema_decode_options(value, key, &options);
	else if (e == ERR_NONE)
		e = schema_open(value, key, &content);
	if (e != ERR_NONE)
		return e;
	if (k.kind == 'T' && topic_owner(k.text, p->s->workers) != p->worker)
		return ERR_NONE;
	if (!add_row(p, &k, k.kind == 'F' ? k.text : content))
		return p->err;
	p->rows[p->count - 1].options = options;
	return ERR_NONE;
}

static bool take_row(void *owner, struct span key, struct span value)
{
	struct piece *p = (struct piece *)owner;

	if (p->seen == PIECE || p->bytes >= PIECE_BYTES) {
		p->more = true;
		return false;
	}
	p->err = see(p, key, value);
	if (p->err == ERR_NONE && !set_cursor(p->peer, key))
		p->err = ERR_STORAGE_FULL;
	p->seen++;
	return p->err == ERR_NONE;
}

static void put_filter(struct piece *p, const struct row *row)
{
	const struct shm_replica r = {.session = row->key.id,
		.identifier = row->options.identifier,
		.qos = row->options.qos,
		.flags = row->options.flags};
	const struct schema_key session = {.kind = 'S', .id = row->key.id};

	/* What hangs on a session that is no more waits for the sweep. */
	if (sessions_there(p->s, &session))
		outbox_put(&p->peer->box, SHM_EVENT_QUEUE_SUBSCRIBE, &r, sizeof(r), row->text);
}

static void put_retained(struct piece *p, const struct row *row, struct sessions_now now)
{
	struct parcel parcel;

	if (parcel_decode(body_content(row->text), &parcel) != ERR_NONE) {
		sessions_die(p->s, ERR_STORAGE_CORRUPT);
		return;
	}
	struct shm_retained r = {
		.text_size = (uint32_t)body_content(row->text).size, .qos = parcel.qos};
	if (parcel.expiry_s != 0) {
		const uint64_t end = parcel.born_ms + (uint64_t)parcel.expiry_s * MS;
		if (end <= now.wall_ms)
			return;
		const uint64_t left = (end - now.wall_ms + MS - 1) / MS;
		r.expiry_left_s = left > parcel.expiry_s ? parcel.expiry_s : (uint32_t)left;
	}
	outbox_put(&p->peer->box, SHM_EVENT_RETAINED, &r, sizeof(r), row->text);
}

bool load_next(struct sessions *s, uint32_t worker, struct sessions_now now)
{
	struct peer *peer = &s->peers[worker];
	struct piece p = {.s = s, .peer = peer, .worker = worker};

	if (peer->stage == LOAD_NOTHING)
		return false;
	if (peer->stage == LOAD_END && s->completed < peer->counted)
		return false;
	if (peer->stage == LOAD_END) {
		outbox_put(&peer->box, SHM_EVENT_LOADED, NULL, 0, NULL);
		peer->stage = LOAD_NOTHING;
		return true;
	}
	const bool filters = peer->stage == LOAD_FILTERS;
	sessions_scan_kind(
		s, filters ? 'F' : 'T', span_of(peer->cursor, peer->cursor_size), take_row, &p);
	for (uint32_t i = 0; i < p.count; i++) {
		if (p.err == ERR_NONE && filters)
			put_filter(&p, &p.rows[i]);
		else if (p.err == ERR_NONE)
			put_retained(&p, &p.rows[i], now);
		body_put(&p.rows[i].text);
	}
	if (p.err != ERR_NONE)
		sessions_die(s, p.err);
	if (!p.more) {
		peer->stage++;
		peer->cursor_size = 0;
	}
	return true;
}
