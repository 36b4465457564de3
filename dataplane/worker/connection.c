/* connection.c - moves bytes and events between TCP connections and their sessions.
 *
 * A connection begins with TCP's ACCEPTED and ends with its CLOSED. The session
 * in it ends earlier when it says so or is taken over: it is closed at once and
 * its end told to the control plane, while TCP still delivers what was queued. */
#include "dataplane/base/assert.h"
#include "dataplane/worker/route.h"
#include "dataplane/worker/worker_internal.h"

struct span connection_client_id(const struct worker *w, const struct connection *c)
{
	if (c->client_id_long != POOL_NONE)
		return span_of(pool_at(&w->names, c->client_id_long), c->client_id_size + 1u);
	return span_of(c->client_id, c->client_id_size);
}

static void mark_dirty(struct worker *w, struct connection *c)
{
	if (c->finishing)
		return;
	c->finishing = true;
	w->dirty[w->dirty_count++] = c->id.index;
}

static void push_again(struct worker *w, struct connection *c)
{
	const uint32_t count = w->conf.config.connections_max;

	if (c->queued)
		return;
	c->queued = true;
	w->again[(w->again_head + w->again_count++) % count] = c->id.index;
}

void connection_answer(struct worker *w, struct connection *c, uint32_t token, enum err e)
{
	if (w->calling == c) {
		ASSERT(w->answer_count < WORKER_ANSWERS);
		w->answers[w->answer_count++] = (struct answer){token, e};
		return;
	}
	mqtt_session_on_subscribed(&c->session, token, e, w->now_us);
	connection_input(w, c); /* it may have waited for this */
}

/* Hands the answers that came meanwhile to the session that asked. True: there were some. */
static bool drain_answers(struct worker *w, struct connection *c)
{
	const uint32_t n = w->answer_count;

	w->calling = NULL;
	if (n == 0)
		return false;
	for (uint32_t i = 0; i < n && c->session_open; i++)
		mqtt_session_on_subscribed(
			&c->session, w->answers[i].token, w->answers[i].err, w->now_us);
	ASSERT(w->answer_count == n); /* an answer is not a new question */
	w->answer_count = 0;
	return true;
}

enum offered {
	OFFERED_MORE,   /* it may be shown more */
	OFFERED_PARKED, /* it cannot go on now, or is over */
	OFFERED_HUNGRY, /* it needs bytes that are not here */
};

/* Shows the session `in`, and consumes what it used. */
static enum offered show(
	struct worker *w, struct connection *c, struct span in, struct session_used *u)
{
	ASSERT(w->calling == NULL);
	w->calling = c;
	*u = mqtt_session_input(&c->session, in, w->now_us);
	ASSERT(u->used <= in.size);
	tcp_recv_consume(w->tcp, c->id, u->used);
	const bool answered = drain_answers(w, c);
	if (c->finishing || (u->parked && !answered))
		return OFFERED_PARKED;
	return OFFERED_MORE;
}

/* A frame straddles buffers: shows it in one piece, once so much of it is here. The need grows as
 * the session learns the frame's length. */
static enum offered gather(struct worker *w, struct connection *c, size_t need, size_t *left)
{
	while (need <= tcp_recv_available(w->tcp, c->id)) {
		struct session_used u;
		ASSERT(need <= WORKER_SCRATCH_BYTES);
		const size_t copied = tcp_recv_copy(w->tcp, c->id, w->scratch, need);
		const enum offered o = show(w, c, span_of(w->scratch, copied), &u);
		*left -= u.used < *left ? u.used : *left;
		if (o != OFFERED_MORE || u.used > 0)
			return o;
		ASSERT(u.need > copied);
		need = u.need;
	}
	return OFFERED_HUNGRY;
}

/* One offer of unread bytes; *left is this turn's budget. */
static enum offered offer(struct worker *w, struct connection *c, struct span in, size_t *left)
{
	struct session_used u;
	const enum offered o = show(w, c, in, &u);

	*left -= u.used < *left ? u.used : *left;
	if (o != OFFERED_MORE || u.used == in.size || u.parked)
		return o;
	return gather(w, c, u.need, left);
}

static void discard(struct worker *w, struct connection *c)
{
	tcp_recv_consume(w->tcp, c->id, tcp_recv_available(w->tcp, c->id));
}

void connection_input(struct worker *w, struct connection *c)
{
	size_t left = WORKER_INPUT_BYTES;
	enum offered o = OFFERED_MORE;

	while (c->open && c->session_open && !c->finishing && left > 0 && o == OFFERED_MORE) {
		const struct span in = tcp_recv_peek(w->tcp, c->id);
		o = in.size == 0 ? OFFERED_HUNGRY : offer(w, c, in, &left);
	}
	if (!c->open)
		return;
	if (c->closing)
		discard(w, c);
	else if (left == 0)
		push_again(w, c);
	else if (o == OFFERED_HUNGRY && tcp_recv_ended(w->tcp, c->id))
		mark_dirty(w, c); /* what the session still needs will never come */
}

void connection_end_session(struct worker *w, struct connection *c)
{
	if (!c->session_open)
		return;
	c->session_open = false;
	wheel_cancel(&w->wheel, c->id.index);
	route_forget(w, c);
	mqtt_session_close(
		&c->session, w->now_us); /* publishes the will, if there is one to publish */
	link_closed(w, c, ERR_NONE);
	if (c->client_id_long != POOL_NONE)
		pool_put(&w->names, c->client_id_long);
	c->client_id_long = POOL_NONE;
	c->client_id_size = 0;
}

/* Sessions that asked to end: say goodbye on the wire, then forget them. */
void worker_settle(struct worker *w)
{
	for (uint32_t i = 0; i < w->dirty_count; i++) {
		struct connection *c = &w->connections[w->dirty[i]];
		ASSERT(c->finishing);
		connection_end_session(w, c);
		c->finishing = false;
		if (!c->open || c->closing)
			continue;
		c->closing = true;
		discard(w, c);
		tcp_close(w->tcp, c->id);
		wheel_arm(&w->wheel, c->id.index, w->now_us + WORKER_LINGER_US);
	}
	w->dirty_count = 0;
}

void worker_run_again(struct worker *w)
{
	const uint32_t count = w->conf.config.connections_max;

	for (uint32_t n = w->again_count; n > 0; n--) {
		struct connection *c = &w->connections[w->again[w->again_head]];
		w->again_head = (w->again_head + 1) % count;
		w->again_count--;
		c->queued = false;
		if (c->open)
			connection_input(w, c);
		w->busy = true;
	}
}

void connection_on_timer(void *owner, uint32_t index, uint64_t now_us)
{
	struct worker *w = (struct worker *)owner;
	struct connection *c = &w->connections[index];

	if (c->closing) { /* the peer did not answer our FIN in time */
		if (c->open)
			tcp_abort(w->tcp, c->id);
		return;
	}
	if (!c->session_open)
		return;
	w->calling = c;
	mqtt_session_on_timer(&c->session, now_us);
	drain_answers(w, c);
	connection_input(w, c); /* it may have been parked */
}

uint64_t connection_queue(const struct connection *c)
{
	return c->durable ? c->kept : 0;
}

bool connection_offer(
	struct worker *w, struct connection *c, const struct delivery *d, struct message *m)
{
	if (!c->session_open || c->finishing)
		return true; /* nobody wants it any more */
	return mqtt_session_deliver(&c->session, m, d, w->now_us);
}

void connection_published(struct worker *w, struct connection *c, uint16_t packet_id, enum err e)
{
	ASSERT(w->calling != c);
	if (!c->session_open || c->finishing)
		return;
	mqtt_session_on_published(&c->session, packet_id, e, w->now_us);
	connection_input(w, c); /* it may have waited for this */
}

static void on_accepted(struct worker *w, const struct tcp_event *e)
{
	struct connection *c = &w->connections[e->id.index];

	ASSERT(!c->open && !c->session_open);
	const bool queued = c->queued; /* a stale entry of `again` may still name this index */
	*c = (struct connection){.worker = w,
		.id = e->id,
		.peer_address = e->peer_address,
		.peer_port = e->peer_port,
		.open = true,
		.session_open = true,
		.queued = queued,
		.client_id_long = POOL_NONE};
	tcp_set_user(w->tcp, e->id, e->id.index);
	mqtt_session_open(&c->session, &worker_session_ops, c, &w->session_conf, w->now_us);
}

static void on_closed(struct worker *w, const struct tcp_event *e)
{
	struct connection *c = &w->connections[e->id.index];

	if (!c->open)
		return;
	c->open = false;
	connection_end_session(w, c);
	wheel_cancel(&w->wheel, e->id.index);
	if (e->why != ERR_NONE)
		counter_err(w->counters, e->why);
}

void connection_on_event(struct worker *w, const struct tcp_event *e)
{
	struct connection *c = &w->connections[e->id.index];

	switch (e->kind) {
	case TCP_EVENT_ACCEPTED:
		on_accepted(w, e);
		break;
	case TCP_EVENT_READABLE:
		if (c->open)
			connection_input(w, c);
		break;
	case TCP_EVENT_CLOSED:
		on_closed(w, e);
		tcp_release(w->tcp, e->id);
		break;
	case TCP_EVENT_WRITABLE:
		if (c->session_open && !c->finishing) {
			mqtt_session_on_writable(&c->session, w->now_us);
			connection_input(w, c);
		}
		break;
	case TCP_EVENT_CONNECTED: /* we do not connect yet */
		break;
	}
}
