/* replicas.c - what all workers know of durable sessions: filters, places, ends.
 *
 *	SUBSCRIBE     stored, then told to all workers; done when all have it and it is down
 *	UNSUBSCRIBE   stored; when that is down, told to all; done when all have it
 *
 * A filter that a worker has no room for is taken back everywhere, and the work
 * refused. Whoever dies between leaves a filter that was not promised, or one
 * whose work comes again and is told again. */
#include "controlplane/sessions/internal.h"
#include "dataplane/base/assert.h"

#include <stdlib.h>

enum { QOS_MAX = 2, HUNG = 4 /* times OUTBOX_MAX: nobody takes them any more */ };

static void tell(struct sessions *s, uint32_t worker, uint8_t type, const void *body, size_t size,
	struct body *text)
{
	struct outbox *box = &s->peers[worker].box;

	if (box->count < HUNG * OUTBOX_MAX)
		outbox_put(box, type, body, size, text);
}

static void tell_all(
	struct sessions *s, uint8_t type, const void *body, size_t size, struct body *text)
{
	for (uint32_t w = 0; w < s->workers; w++)
		tell(s, w, type, body, size, text);
}

void replica_gone(struct sessions *s, uint32_t worker, uint64_t session)
{
	const struct shm_replica gone = {.session = session};

	/* If there is no room, the next STORE that names it is reason enough to say so again. */
	if (s->peers[worker].box.count < OUTBOX_MAX)
		tell(s, worker, SHM_EVENT_QUEUE_GONE, &gone, sizeof(gone), NULL);
}

void replica_gone_all(struct sessions *s, uint64_t session)
{
	const struct shm_replica gone = {.session = session};

	tell_all(s, SHM_EVENT_QUEUE_GONE, &gone, sizeof(gone), NULL);
}

void replica_place_all(struct sessions *s, const struct stored *st)
{
	const struct shm_place place = {.session = st->id,
		.connection = st->online ? st->connection : (struct shm_connection){0, 0},
		.worker = st->online ? st->worker : UINT32_MAX};

	if (st->record.durable)
		tell_all(s, SHM_EVENT_QUEUE_PLACE, &place, sizeof(place), NULL);
}

static struct replica_op *op_create(struct sessions *s, uint64_t session, struct span filter)
{
	struct replica_op *op = calloc(1, sizeof(*op));

	if (op == NULL)
		return NULL;
	op->filter = body_create(filter.size);
	if (op->filter == NULL) {
		free(op);
		return NULL;
	}
	memcpy(op->filter->bytes + SCHEMA_HEAD, filter.at, filter.size);
	op->session = session;
	op->token = ++s->op_token != 0 ? s->op_token : ++s->op_token;
	op->waiting = (uint8_t)((1u << s->workers) - 1);
	struct replica_op **last = &s->ops;
	while (*last != NULL)
		last = &(*last)->next;
	*last = op;
	s->ops_count++;
	s->ops_bytes += filter.size;
	return op;
}

static void op_free(struct sessions *s, struct replica_op *op)
{
	struct replica_op **at = &s->ops;

	while (*at != op)
		at = &(*at)->next;
	*at = op->next;
	s->ops_count--;
	s->ops_bytes -= body_content(op->filter).size;
	body_put(&op->filter);
	free(op);
}

void replica_fini(struct sessions *s)
{
	while (s->ops != NULL)
		op_free(s, s->ops);
}

void replica_worker_gone(struct sessions *s)
{
	replica_fini(s);
}

static void send(struct sessions *s, struct replica_op *op)
{
	const struct shm_replica r = {.session = op->session,
		.token = op->token,
		.identifier = op->options.identifier,
		.qos = op->options.qos,
		.flags = op->options.flags};

	op->batch = 0;
	tell_all(s, op->subscribe ? SHM_EVENT_QUEUE_SUBSCRIBE : SHM_EVENT_QUEUE_UNSUBSCRIBE, &r,
		sizeof(r), op->filter);
}

static bool is_same(const struct replica_op *a, const struct replica_op *b)
{
	return a->session == b->session &&
	       span_equal(body_content(a->filter), body_content(b->filter));
}

/* An older one of the same filter that is not told yet: workers must hear of both in order. */
static bool must_follow(const struct sessions *s, const struct replica_op *op)
{
	for (const struct replica_op *o = s->ops; o != op; o = o->next)
		if (o->batch != 0 && is_same(o, op))
			return true;
	return false;
}

static struct schema_key filter_key(uint64_t session, struct span filter)
{
	return (struct schema_key){.kind = 'F', .id = session, .text = filter};
}

static bool read_options(struct sessions *s, const struct schema_key *k, struct schema_options *out)
{
	struct span key, value;

	if (sessions_read(s, k, &key, &value) != STORAGE_FOUND)
		return false;
	const enum err e = schema_decode_options(value, key, out);
	if (e != ERR_NONE)
		sessions_die(s, e);
	return e == ERR_NONE;
}

static void put_options(
	struct batch *b, const struct schema_key *k, const struct schema_options *options)
{
	struct span key;
	struct writer w = batch_put(b, k, SCHEMA_RECORD_MAX - SCHEMA_TEXT_MAX, &key);

	schema_encode_options(&w, key, options);
	batch_end(b, &w);
}

/* What is to be done about a filter that is there or not, for the first time or again. */
enum todo { TODO_NOTHING, TODO_TELL, TODO_STORE };

static enum err judge(struct sessions *s, const struct shm_work *work, struct span filter,
	bool subscribe, bool repeated, bool there, enum todo *todo)
{
	const struct stored *st = stored_get(s, work->session);

	*todo = TODO_NOTHING;
	if (repeated) {
		*todo = st != NULL && there == subscribe ? TODO_TELL : TODO_NOTHING;
		return ERR_NONE;
	}
	if (st == NULL || !st->record.durable)
		return ERR_WORK_UNKNOWN;
	if (filter.size == 0 || filter.size > SCHEMA_TEXT_MAX || work->qos > QOS_MAX)
		return ERR_MQTT_FILTER;
	if (!subscribe && !there)
		return ERR_NOT_SUBSCRIBED;
	if (s->ops_count >= OPS_MAX || s->ops_bytes >= OPS_BYTES_MAX)
		return ERR_WORK_FULL;
	*todo = TODO_STORE;
	return ERR_NONE;
}

static void store(struct sessions *s, uint32_t worker, const struct schema_key *k,
	const struct schema_options *options, bool subscribe)
{
	struct batch *b = sessions_batch(s);

	if (subscribe)
		put_options(b, k, options);
	else
		batch_delete(b, k);
	work_mark(s, worker);
	sessions_submit(s);
}

enum err replica_take(struct sessions *s, uint32_t worker, enum shm_command type,
	const struct shm_work *work, struct span filter, bool repeated, uint32_t *op)
{
	const bool subscribe = type == SHM_COMMAND_SUBSCRIBE;
	const bool sane = filter.size > 0 && filter.size <= SCHEMA_TEXT_MAX;
	const struct schema_key k = filter_key(work->session, filter);
	const struct schema_options wanted = {
		.identifier = work->identifier, .qos = work->qos, .flags = work->flags};
	struct schema_options before = {0};
	const bool there = sane && read_options(s, &k, &before);
	enum todo todo;

	const enum err e = judge(s, work, filter, subscribe, repeated, there, &todo);
	if (e != ERR_NONE || todo == TODO_NOTHING || s->dead != ERR_NONE)
		return e;
	struct replica_op *o = op_create(s, work->session, filter);
	if (o == NULL)
		return ERR_WORK_FULL;
	o->worker = worker;
	o->sequence = work->sequence;
	o->subscribe = subscribe;
	o->had_before = there && todo == TODO_STORE;
	o->before = before;
	o->options = todo == TODO_STORE ? wanted : before;
	if (todo == TODO_STORE)
		store(s, worker, &k, &wanted, subscribe);
	o->batch = s->submitted;
	if ((subscribe || o->batch <= s->completed) && !must_follow(s, o))
		send(s, o);
	*op = o->token;
	return ERR_NONE;
}

/* The oldest first. */
void replica_committed(struct sessions *s)
{
	for (struct replica_op *op = s->ops; op != NULL; op = op->next)
		if (op->batch != 0 && op->batch <= s->completed)
			send(s, op);
}

/* As it was before, in the store and in all replicas. */
static void restore(struct sessions *s, const struct replica_op *op)
{
	const struct schema_key k = filter_key(op->session, body_content(op->filter));
	struct shm_replica r = {.session = op->session};

	if (!op->had_before) {
		batch_delete(&s->batch, &k);
		tell_all(s, SHM_EVENT_QUEUE_UNSUBSCRIBE, &r, sizeof(r), op->filter);
		return;
	}
	put_options(&s->batch, &k, &op->before);
	r.identifier = op->before.identifier;
	r.qos = op->before.qos;
	r.flags = op->before.flags;
	tell_all(s, SHM_EVENT_QUEUE_SUBSCRIBE, &r, sizeof(r), op->filter);
}

/* Some worker has no room. If the same filter was asked for once more meanwhile, that one decides,
 * and what was before this one was before that. */
static void take_back(struct sessions *s, struct replica_op *op)
{
	struct replica_op *newer = op->next;

	while (newer != NULL && !is_same(newer, op))
		newer = newer->next;
	sessions_batch(s);
	if (newer == NULL) {
		restore(s, op);
	} else {
		newer->had_before = op->had_before;
		newer->before = op->before;
	}
	work_refuse(s, op->worker, op->sequence, (enum err)op->err);
	work_mark(s, op->worker);
	sessions_submit(s);
	counter_err(s->counters, (enum err)op->err);
}

void sessions_applied(struct sessions *s, uint32_t worker, const struct shm_applied *a)
{
	const uint8_t bit = (uint8_t)(1u << worker);
	struct replica_op *op = s->ops;

	ASSERT(worker < s->workers);
	if (s->dead != ERR_NONE)
		return;
	while (op != NULL && op->token != a->token)
		op = op->next;
	if (op == NULL || (op->waiting & bit) == 0 || op->batch != 0) {
		counter_err(s->counters, ERR_SLOT_BAD);
		return;
	}
	op->waiting &= (uint8_t)~bit;
	if (a->err != ERR_NONE && op->subscribe)
		op->err = a->err < ERR_COUNT ? (uint16_t)a->err : ERR_REPLICAS_FULL;
	if (op->waiting != 0)
		return;
	if (op->err != ERR_NONE)
		take_back(s, op);
	work_settle_op(s, op->worker, op->sequence, (enum err)op->err);
	op_free(s, op);
}
