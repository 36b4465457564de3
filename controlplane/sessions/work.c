/* work.c - work of a worker, in order, and its answers. See internal.h.
 *
 * What changes nothing needs no batch: the mark that covers it goes with the
 * next one. What is refused has one, with a row that says so: else a repetition
 * below the mark would be taken for done. The row goes when its worker must
 * have heard. */
#include "controlplane/sessions/internal.h"
#include "dataplane/base/assert.h"

static struct schema_key refused_key(uint32_t worker, uint64_t sequence)
{
	return (struct schema_key){.kind = 'X', .small = (uint16_t)worker, .number = sequence};
}

/* Into every batch that work makes. */
void work_mark(struct sessions *s, uint32_t worker)
{
	const struct schema_key k = {.kind = 'W', .small = (uint16_t)worker};
	const struct schema_mark mark = {s->dp_generation, s->peers[worker].mark};
	struct span key;
	struct writer w = batch_put(&s->batch, &k, SCHEMA_RECORD_MAX - SCHEMA_TEXT_MAX, &key);

	schema_encode_mark(&w, key, &mark);
	batch_end(&s->batch, &w);
}

bool work_remember_refused(struct peer *peer, uint64_t sequence)
{
	if (peer->refused_first > 0 && peer->refused_first * 2 >= peer->refused_room) {
		memmove(peer->refused, peer->refused + peer->refused_first,
			(peer->refused_end - peer->refused_first) * sizeof(*peer->refused));
		peer->refused_end -= peer->refused_first;
		peer->refused_first = 0;
	}
	if (!memory_grow((void **)&peer->refused, &peer->refused_room, peer->refused_end + 1,
		    sizeof(*peer->refused)))
		return false;
	peer->refused[peer->refused_end++] = sequence;
	return true;
}

/* Into the open batch: the row, and the end of those that have been heard of. */
void work_refuse(struct sessions *s, uint32_t worker, uint64_t sequence, enum err e)
{
	struct peer *peer = &s->peers[worker];
	const struct schema_key k = refused_key(worker, sequence);
	struct span key;

	while (peer->refused_first < peer->refused_end &&
		peer->refused[peer->refused_first] <= peer->heard) {
		const struct schema_key old =
			refused_key(worker, peer->refused[peer->refused_first++]);
		batch_delete(&s->batch, &old);
	}
	struct writer w = batch_put(&s->batch, &k, SCHEMA_HEAD + sizeof(uint64_t), &key);
	schema_encode_number(&w, key, (uint64_t)e);
	batch_end(&s->batch, &w);
	if (!work_remember_refused(peer, sequence))
		s->batch.bad = true;
}

/* A ring has so many slots: what was told before them has been seen. */
static void note_told(struct peer *peer, uint64_t sequence)
{
	uint64_t *slot = &peer->told_refused[peer->told_refused_count++ % SHM_RING_SLOTS];

	if (*slot > peer->heard)
		peer->heard = *slot;
	*slot = sequence;
}

void work_forget_refused(struct peer *peer)
{
	memset(peer->told_refused, 0, sizeof(peer->told_refused));
	peer->refused_first = peer->refused_end = 0;
	peer->told_refused_count = 0;
	peer->heard = 0;
}

static bool push_open(struct peer *peer, const struct open_work *w)
{
	if (peer->open_first > 0 && peer->open_first * 2 >= peer->open_room) {
		memmove(peer->open, peer->open + peer->open_first,
			(peer->open_end - peer->open_first) * sizeof(*peer->open));
		peer->open_end -= peer->open_first;
		peer->open_first = 0;
	}
	if (!memory_grow((void **)&peer->open, &peer->open_room, peer->open_end + 1,
		    sizeof(*peer->open)))
		return false;
	peer->open[peer->open_end++] = *w;
	return true;
}

/* Below the mark: done, unless it was refused. */
static enum err repeated(struct sessions *s, uint32_t worker, uint64_t sequence)
{
	const struct schema_key k = refused_key(worker, sequence);
	struct span key, value;
	uint64_t err = 0;

	sessions_count(s, COUNTER_WORK_REPEATED, 1);
	if (sessions_read(s, &k, &key, &value) != STORAGE_FOUND)
		return ERR_NONE;
	const enum err e = schema_decode_number(value, key, &err);
	if (e != ERR_NONE)
		sessions_die(s, e);
	return err < ERR_COUNT ? (enum err)err : ERR_WORK_UNKNOWN;
}

static void release(struct sessions *s, uint32_t worker, const struct shm_work *w)
{
	const struct schema_key k = {.kind = 'P', .id = w->session, .small = w->packet_id};

	if (w->session == 0 || !sessions_there(s, &k)) {
		counter_err(s->counters, ERR_WORK_UNKNOWN);
		return;
	}
	batch_delete(sessions_batch(s), &k);
	work_mark(s, worker);
	sessions_submit(s);
}

static void ended(
	struct sessions *s, uint32_t worker, const struct shm_work *w, struct sessions_now now)
{
	struct stored *st = stored_get(s, w->session);

	if (st == NULL || !st->record.connected || st->record.epoch != w->epoch)
		return; /* told before, by the registry or a restart; or a newer one has it */
	struct batch *b = sessions_batch(s);
	if ((w->flags & SHM_WORK_NO_WILL) != 0 && st->record.will != 0) {
		const struct schema_key k = {.kind = 'L', .id = st->record.will};
		batch_delete(b, &k);
		st->record.will = 0;
	}
	if ((w->flags & SHM_WORK_EXPIRY) != 0)
		st->record.expiry_s = w->expiry_s < s->config->session_expiry_max_s
					      ? w->expiry_s
					      : s->config->session_expiry_max_s;
	const bool over = stored_disconnect_into(s, b, st, now);
	work_mark(s, worker);
	sessions_submit(s);
	if (over)
		stored_freed(s, st);
}

static enum err apply(struct sessions *s, uint32_t worker, enum shm_command type,
	const struct shm_work *w, struct span text, struct sessions_now now)
{
	switch ((unsigned)type) {
	case SHM_COMMAND_STORE:
		return store_take(s, worker, w, text, now);
	case SHM_COMMAND_RELEASE:
		release(s, worker, w);
		return ERR_NONE;
	case SHM_COMMAND_RECEIVED:
		entry_received(s, worker, w);
		return ERR_NONE;
	case SHM_COMMAND_SETTLED:
		entry_settled(s, worker, w);
		return ERR_NONE;
	case SHM_COMMAND_ENDED:
		ended(s, worker, w, now);
		return ERR_NONE;
	default:
		return ERR_SLOT_BAD;
	}
}

static bool is_subscription(enum shm_command type)
{
	return type == SHM_COMMAND_SUBSCRIBE || type == SHM_COMMAND_UNSUBSCRIBE;
}

/* Replicas are told once more when it is repeated: the events may have been lost with us. */
static void take(struct sessions *s, uint32_t worker, enum shm_command type,
	const struct shm_work *w, struct span text, struct sessions_now now)
{
	struct peer *peer = &s->peers[worker];
	struct open_work *open = &peer->open[peer->open_end - 1];
	const bool again = w->sequence <= peer->mark;
	enum err e = again ? repeated(s, worker, w->sequence) : ERR_NONE;
	const bool was_refused = e != ERR_NONE;
	uint32_t op = 0;

	if (!again)
		peer->mark = w->sequence;
	if (e == ERR_NONE && is_subscription(type))
		e = replica_take(s, worker, type, w, text, again, &op);
	else if (!again)
		e = apply(s, worker, type, w, text, now);
	if (e != ERR_NONE && !was_refused) {
		sessions_batch(s);
		work_refuse(s, worker, w->sequence, e);
		work_mark(s, worker);
		sessions_submit(s);
		counter_err(s->counters, e);
	}
	open->err = (uint16_t)e;
	open->op = op;
	open->token = s->submitted;
}

enum sessions_answer sessions_work(struct sessions *s, uint32_t worker, enum shm_command type,
	const struct shm_work *work, struct span text, struct sessions_now now)
{
	ASSERT(worker < s->workers);
	struct peer *peer = &s->peers[worker];
	const struct open_work open = {.sequence = work->sequence};

	if (s->dead != ERR_NONE || !sessions_has_room(s) ||
		peer->open_end - peer->open_first >= OPEN_MAX)
		return SESSIONS_LATER;
	if (!peer->greeted || work->sequence <= peer->seen || work->sequence == UINT64_MAX) {
		counter_err(s->counters, ERR_SLOT_BAD);
		return SESSIONS_TAKEN;
	}
	if (!push_open(peer, &open))
		return SESSIONS_LATER;
	peer->seen = work->sequence;
	take(s, worker, type, work, text, now);
	return SESSIONS_TAKEN;
}

static void answer(struct peer *peer, uint8_t type, uint64_t sequence, enum err e)
{
	peer->out = (struct sessions_effect){.type = type,
		.size = sizeof(struct shm_done),
		.done = {.sequence = sequence, .err = (uint32_t)e}};
}

/* REFUSED of each as its turn comes, then one DONE for all. */
bool work_next_answer(struct sessions *s, uint32_t worker)
{
	struct peer *peer = &s->peers[worker];

	while (peer->open_first < peer->open_end) {
		const struct open_work *w = &peer->open[peer->open_first];
		if (w->op != 0 || w->token > s->completed)
			break;
		peer->open_first++;
		peer->through = w->sequence;
		if (w->err != ERR_NONE) {
			note_told(peer, w->sequence);
			answer(peer, SHM_EVENT_REFUSED, w->sequence, (enum err)w->err);
			return true;
		}
	}
	if (peer->through == peer->told)
		return false;
	peer->told = peer->through;
	answer(peer, SHM_EVENT_DONE, peer->through, ERR_NONE);
	return true;
}

/* Its replicas have answered. An error's batch has been submitted just now. */
void work_settle_op(struct sessions *s, uint32_t worker, uint64_t sequence, enum err e)
{
	struct peer *peer = &s->peers[worker];
	size_t low = peer->open_first, high = peer->open_end;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (peer->open[middle].sequence < sequence)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == peer->open_end || peer->open[low].sequence != sequence)
		return; /* of before its new greeting */
	peer->open[low].op = 0;
	peer->open[low].err = (uint16_t)e;
	if (e != ERR_NONE)
		peer->open[low].token = s->submitted;
}
