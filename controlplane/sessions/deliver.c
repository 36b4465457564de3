/* deliver.c - entries of connected sessions to their workers, in order, a window at most.
 *
 * A session is in one list of its worker: ready (something may be sent),
 * uncommitted (its next entry is not down yet), declined (the worker had no
 * room), or in none. The outbound packet id follows from the entry's number,
 * so the entries at a client never span more than 65,535 numbers. */
#include "controlplane/sessions/internal.h"
#include "dataplane/base/assert.h"

#include <stdlib.h>

enum { MS = 1000, ROWS = 16, LOOKS_MAX = 64, REMOVED_WINDOWS = 4 };

void deliver_wake(struct sessions *s, struct stored *st)
{
	if (st->online && st->granted && st->record.durable && st->list == NULL)
		stored_move(&s->peers[st->worker].ready, st);
}

/* Whatever waited for a batch may go on. */
void deliver_committed(struct sessions *s)
{
	for (uint32_t w = 0; w < s->workers; w++) {
		struct stored *st;
		while ((st = s->peers[w].uncommitted.first) != NULL)
			stored_move(&s->peers[w].ready, st);
	}
}

static struct sent *add_sent(struct sessions *s, struct stored *st, uint64_t entry)
{
	if (st->sent_first > 0 && st->sent_first * 2 >= st->sent_room) {
		memmove(st->sent, st->sent + st->sent_first,
			(st->sent_end - st->sent_first) * sizeof(*st->sent));
		st->sent_end -= st->sent_first;
		st->sent_first = 0;
	}
	if (!memory_grow((void **)&st->sent, &st->sent_room, st->sent_end + 1, sizeof(*st->sent))) {
		sessions_die(s, ERR_STORAGE_FULL);
		return NULL;
	}
	ASSERT(st->sent_first == st->sent_end || st->sent[st->sent_end - 1].entry < entry);
	st->sent[st->sent_end] = (struct sent){.entry = entry};
	return &st->sent[st->sent_end++];
}

static struct sent *find_sent(const struct stored *st, uint64_t entry)
{
	size_t low = st->sent_first, high = st->sent_end;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (st->sent[middle].entry < entry)
			low = middle + 1;
		else
			high = middle;
	}
	return low < st->sent_end && st->sent[low].entry == entry ? &st->sent[low] : NULL;
}

void deliver_forget(struct sessions *s, struct stored *st, uint64_t entry)
{
	struct sent *sent = find_sent(st, entry);

	if (sent == NULL)
		return;
	st->sent_again -= sent->again;
	const size_t at = (size_t)(sent - st->sent);
	if (at - st->sent_first < st->sent_end - at) {
		memmove(&st->sent[st->sent_first + 1], &st->sent[st->sent_first],
			(at - st->sent_first) * sizeof(*sent));
		st->sent_first++;
	} else {
		memmove(sent, sent + 1, (st->sent_end - at - 1) * sizeof(*sent));
		st->sent_end--;
	}
	deliver_wake(s, st);
}

struct at_worker {
	struct sessions *s;
	struct stored *st;
	uint64_t last;
};

static bool note_sent(void *owner, struct span key, struct span value)
{
	struct at_worker *a = (struct at_worker *)owner;
	struct schema_key k;

	(void)value;
	if (schema_key_decode(key, &k) != ERR_NONE || k.number > a->last)
		return false;
	struct sent *sent = add_sent(a->s, a->st, k.number);
	if (sent == NULL)
		return false;
	sent->dup = true;
	return a->st->sent_end - a->st->sent_first < PACKET_IDS;
}

/* delivered: what came to the connection before we were started; 0: it is new. */
void deliver_start(struct sessions *s, struct stored *st, uint64_t delivered)
{
	struct at_worker a = {s, st, delivered < st->next ? delivered : st->next - 1};
	const struct schema_key from = {.kind = 'Q', .id = st->id};

	st->sent_first = st->sent_end = st->sent_again = 0;
	st->cursor = 1;
	if (a.last > 0) {
		sessions_scan(s, &from, note_sent, &a);
		st->cursor = a.last + 1;
		if (st->sent_end - st->sent_first == PACKET_IDS)
			st->cursor = st->sent[st->sent_end - 1].entry + 1;
		if (a.last > st->record.sent)
			st->record.sent = a.last;
	}
	deliver_wake(s, st);
}

/* Entries below this are down. Exact when all is; else it follows batch by batch. */
static uint64_t committed(const struct sessions *s, struct stored *st)
{
	if (st->last_token <= s->completed) {
		st->down = st->next;
	} else if (st->fence_token <= s->completed) {
		st->down = st->fence;
		st->fence = st->next;
		st->fence_token = st->last_token;
	}
	return st->down;
}

struct rows {
	uint64_t entry[ROWS];
	struct schema_reference reference[ROWS];
	uint32_t count;
	enum err err;
};

static bool collect(void *owner, struct span key, struct span value)
{
	struct rows *rows = (struct rows *)owner;
	struct schema_key k;

	rows->err = schema_key_decode(key, &k);
	if (rows->err == ERR_NONE)
		rows->err = schema_decode_reference(value, key, &rows->reference[rows->count]);
	if (rows->err != ERR_NONE)
		return false;
	rows->entry[rows->count++] = k.number;
	return rows->count < ROWS;
}

/* The first entry from the cursor on; ROWS - 1 behind it are remembered. */
static bool next_entry(struct sessions *s, struct stored *st, uint64_t known_committed,
	uint64_t *entry, struct schema_reference *r)
{
	const struct fresh *f = entry_fresh(s, st->id, st->cursor);
	const struct schema_key from = {.kind = 'Q', .id = st->id, .number = st->cursor};
	struct rows rows = {.count = 0};

	if (f != NULL) {
		*entry = st->cursor;
		*r = f->reference;
		return true;
	}
	sessions_scan(s, &from, collect, &rows);
	if (rows.err != ERR_NONE)
		sessions_die(s, rows.err);
	if (rows.count == 0 || s->dead != ERR_NONE)
		return false;
	for (uint32_t i = 1; i < rows.count && rows.entry[i] < known_committed; i++)
		if (entry_fresh(s, st->id, rows.entry[i]) == NULL)
			entry_remember(s, st->id, rows.entry[i], 0, &rows.reference[i]);
	*entry = rows.entry[0];
	*r = rows.reference[0];
	return true;
}

static bool is_down(
	const struct sessions *s, const struct stored *st, uint64_t entry, uint64_t known_committed)
{
	const struct fresh *f = entry_fresh(s, st->id, entry);

	return entry < known_committed || (f != NULL && f->token <= s->completed);
}

/* What is left of its time, rounded up; 0: none. UINT32_MAX: it has no end. */
static uint32_t left_s(const struct parcel *p, uint64_t wall_ms)
{
	const uint64_t end = p->born_ms + (uint64_t)p->expiry_s * MS;

	if (p->expiry_s == 0)
		return UINT32_MAX;
	if (end <= wall_ms)
		return 0;
	const uint64_t left = (end - wall_ms + MS - 1) / MS;
	/* The clock went back: it has its whole time. */
	return left > p->expiry_s ? p->expiry_s : (uint32_t)left;
}

static void write_identifiers(struct peer *peer, const struct schema_reference *r)
{
	struct writer w = writer_of(peer->identifiers, sizeof(peer->identifiers));

	for (uint32_t i = 0; i < r->identifier_count; i++)
		write_u32(&w, r->identifiers[i]);
	peer->out.text[0] = writer_span(&w);
}

enum made { MADE, MADE_EXPIRED, MADE_NOT };

/* The event for it, in the worker's `out`. */
static enum made make(struct sessions *s, const struct stored *st, uint64_t entry,
	const struct schema_reference *r, bool dup, struct sessions_now now)
{
	struct peer *peer = &s->peers[st->worker];
	struct parcel p;

	peer->out = (struct sessions_effect){.type = SHM_EVENT_DELIVER,
		.size = sizeof(struct shm_deliver),
		.deliver = {.connection = st->connection, .entry = entry, .qos = r->qos}};
	if (r->received) {
		peer->out.deliver.flags = SHM_DELIVER_RELEASE;
		return MADE;
	}
	struct body *b = entry_body(s, r);
	if (b == NULL)
		return MADE_NOT;
	if (parcel_decode(body_content(b), &p) != ERR_NONE) {
		body_put(&b);
		sessions_die(s, ERR_STORAGE_CORRUPT);
		return MADE_NOT;
	}
	const uint32_t left = left_s(&p, now.wall_ms);
	if (left == 0 && !dup) {
		body_put(&b);
		return MADE_EXPIRED;
	}
	write_identifiers(peer, r);
	peer->lent = b;
	peer->out.text[1] = body_content(b);
	peer->out.deliver.text_size = (uint32_t)(peer->out.text[0].size + peer->out.text[1].size);
	peer->out.deliver.identifier_count = r->identifier_count;
	peer->out.deliver.expiry_left_s = left == UINT32_MAX ? 0 : left > 0 ? left : 1;
	peer->out.deliver.flags =
		(uint8_t)((dup ? SHM_DELIVER_DUP : 0) | (r->retain ? SHM_DELIVER_RETAIN : 0));
	return MADE;
}

static void settle_expired(
	struct sessions *s, struct stored *st, uint64_t entry, const struct schema_reference *r)
{
	entry_remove(s, sessions_batch(s), st->id, entry, r);
	entry_counted_out(s, st, r);
	sessions_submit(s);
	counter_err(s->counters, ERR_MESSAGE_EXPIRED);
}

static bool window_is_full(const struct sessions *s, const struct stored *st, uint64_t entry)
{
	const uint32_t window = st->receive_max < s->config->inflight_max ? st->receive_max
									  : s->config->inflight_max;
	const size_t count = st->sent_end - st->sent_first;

	return count >= window ||
	       (count > 0 && entry - st->sent[st->sent_first].entry >= PACKET_IDS);
}

/* How many removed entries a crash may bring back. */
static uint64_t removals_under_way(const struct sessions *s, struct stored *st)
{
	if (st->removed_token <= s->completed) {
		st->removed = st->removed_fence = 0;
	} else if (st->removed_fence_token <= s->completed) {
		st->removed_fence = st->removed;
		st->removed_fence_token = st->removed_token;
		st->removed = 0;
	}
	return st->removed_fence + st->removed;
}

static uint64_t removals_max(const struct sessions *s)
{
	return (uint64_t)s->config->inflight_max * REMOVED_WINDOWS;
}

uint64_t deliver_distance_max(const struct sessions *s)
{
	return s->config->inflight_max + removals_max(s) - 1;
}

enum step { STEP_MADE, STEP_NOTHING, STEP_WAIT, STEP_MORE };

/* The first of those that were declined. */
static enum step send_again(struct sessions *s, struct stored *st, struct sessions_now now)
{
	struct schema_reference r;
	size_t i = st->sent_first;

	while (!st->sent[i].again)
		i++;
	struct sent *sent = &st->sent[i];
	const uint64_t entry = sent->entry;
	if (!entry_read(s, st->id, entry, &r)) {
		deliver_forget(s, st, entry);
		return STEP_MORE;
	}
	const enum made made = make(s, st, entry, &r, sent->dup, now);
	if (made == MADE_EXPIRED) {
		settle_expired(s, st, entry, &r);
		deliver_forget(s, st, entry);
		return STEP_MORE;
	}
	sent->again = false;
	st->sent_again--;
	return made == MADE ? STEP_MADE : STEP_NOTHING;
}

static enum step step(struct sessions *s, struct stored *st, struct sessions_now now)
{
	struct schema_reference r;
	uint64_t entry;

	if (st->sent_again > 0)
		return send_again(s, st, now);
	if (window_is_full(s, st, st->cursor) || st->cursor >= st->next)
		return STEP_NOTHING;
	const uint64_t known = committed(s, st);
	if (!next_entry(s, st, known, &entry, &r)) {
		st->cursor = s->dead == ERR_NONE ? st->next : st->cursor;
		return STEP_NOTHING;
	}
	st->cursor = entry;
	if (window_is_full(s, st, entry))
		return STEP_NOTHING;
	if (!is_down(s, st, entry, known) || removals_under_way(s, st) >= removals_max(s))
		return STEP_WAIT;
	const bool dup = entry <= st->record.sent;
	const enum made made = make(s, st, entry, &r, dup, now);
	if (made == MADE_NOT)
		return STEP_NOTHING;
	st->cursor = entry + 1;
	if (made == MADE_EXPIRED) {
		settle_expired(s, st, entry, &r);
		return STEP_MORE;
	}
	struct sent *sent = add_sent(s, st, entry);
	if (sent != NULL)
		sent->dup = dup;
	if (!dup)
		st->record.sent = entry;
	return STEP_MADE;
}

bool deliver_next(struct sessions *s, uint32_t worker, struct sessions_now now)
{
	struct peer *peer = &s->peers[worker];
	struct stored *st;

	for (int looks = 0; looks < LOOKS_MAX && (st = peer->ready.first) != NULL; looks++) {
		switch (step(s, st, now)) {
		case STEP_MADE:
			stored_move(&peer->ready, st); /* the others' turn */
			return true;
		case STEP_WAIT:
			stored_move(&peer->uncommitted, st);
			break;
		case STEP_NOTHING:
			stored_move(NULL, st);
			break;
		case STEP_MORE:
			break;
		}
		if (s->dead != ERR_NONE)
			return false;
	}
	return false;
}

void sessions_declined(
	struct sessions *s, uint32_t worker, const struct shm_declined *d, struct sessions_now now)
{
	ASSERT(worker < s->workers);
	if (s->dead != ERR_NONE)
		return;
	if (d->session != 0) {
		will_again(s, d->session, now.us + RETRY_US);
		return;
	}
	struct stored *st = stored_at(s, worker, d->connection);
	struct sent *sent = st == NULL ? NULL : find_sent(st, d->entry);
	if (sent == NULL || sent->again) {
		counter_err(s->counters, ERR_WORK_UNKNOWN);
		return;
	}
	sent->again = true;
	st->sent_again++;
	st->again_us = now.us + RETRY_US;
	stored_move(&s->peers[worker].declined, st);
}

void deliver_poll(struct sessions *s, struct sessions_now now)
{
	for (uint32_t w = 0; w < s->workers; w++) {
		struct stored *st;
		/* In order of time, as all wait equally long. */
		while ((st = s->peers[w].declined.first) != NULL && st->again_us <= now.us)
			stored_move(&s->peers[w].ready, st);
	}
}

uint64_t deliver_next_us(const struct sessions *s)
{
	uint64_t next = NEVER;

	for (uint32_t w = 0; w < s->workers; w++) {
		const struct stored *st = s->peers[w].declined.first;
		if (st != NULL && st->again_us < next)
			next = st->again_us;
	}
	return next;
}
