/* effects.c - the effects that sessions ask for, carried out (session.h). */
#include "dataplane/base/assert.h"
#include "dataplane/base/effect.h"
#include "dataplane/worker/attempts.h"
#include "dataplane/worker/route.h"
#include "dataplane/worker/worker_internal.h"

static struct connection *connection_of(void *owner)
{
	return (struct connection *)owner;
}

static bool send_bytes(void *owner, struct span bytes)
{
	struct connection *c = connection_of(owner);

	if (!c->open)
		return false;
	const bool queued = tcp_send(c->worker->tcp, c->id, bytes);
	effect_point(EFFECT_REPLY, 0);
	return queued;
}

/* A message lends its payload to TCP: the lender lies in the message itself. */
struct lender {
	struct tcp_lent lent;
	struct message *message;
};

static_assert(sizeof(struct lender) <= sizeof(((struct message *)0)->carrier),
	"the lender no longer fits the message");

static struct lender *lender_of(struct tcp_lent *l)
{
	return (struct lender *)(void *)l; /* its first member */
}

static void lender_ref(struct tcp_lent *l)
{
	message_ref(lender_of(l)->message);
}

static void lender_put(struct tcp_lent *l)
{
	struct message *m = lender_of(l)->message;

	message_put(&m);
}

static struct tcp_lent *message_lent(struct message *m)
{
	struct lender *l = (struct lender *)(void *)m->carrier;

	*l = (struct lender){{m->payload, lender_ref, lender_put}, m};
	return &l->lent;
}

/* Small payloads are cheaper to copy than to lend: one buffer, one segment. */
static bool send_small(struct connection *c, struct span header, const struct message *m)
{
	uint8_t frame[WORKER_COPY_FRAME];
	struct writer w = writer_of(frame, sizeof(frame));

	write_bytes(&w, header);
	for (const struct rte_mbuf *s = m->payload; s != NULL; s = s->next)
		write_bytes(&w, span_of(rte_pktmbuf_mtod(s, const void *), s->data_len));
	ASSERT(!w.bad);
	return tcp_send(c->worker->tcp, c->id, writer_span(&w));
}

static bool send_message(void *owner, struct span header, struct message *m)
{
	struct connection *c = connection_of(owner);

	if (!c->open)
		return false;
	if (m->payload_size <= WORKER_COPY_MAX &&
		header.size + m->payload_size <= WORKER_COPY_FRAME)
		return send_small(c, header, m);
	return tcp_send_framed(c->worker->tcp, c->id, header, message_lent(m), m->payload_size);
}

static void finish(void *owner, enum err why)
{
	struct connection *c = connection_of(owner);
	struct worker *w = c->worker;

	if (c->finishing || !c->session_open)
		return;
	if (why != ERR_NONE)
		counter_err(w->counters, why);
	c->finishing = true;
	w->dirty[w->dirty_count++] = c->id.index;
}

static void set_timer(void *owner, uint64_t deadline_us)
{
	struct connection *c = connection_of(owner);

	if (deadline_us == 0)
		wheel_cancel(&c->worker->wheel, c->id.index);
	else
		wheel_arm(&c->worker->wheel, c->id.index, deadline_us);
}

static bool request(void *owner, const struct session_request *r)
{
	struct connection *c = connection_of(owner);

	return link_request(c->worker, c, r);
}

static struct message *begin(
	void *owner, struct span topic, const struct message_props *props, uint32_t payload_size)
{
	struct connection *c = connection_of(owner);
	struct worker *w = c->worker;
	struct message *m = message_begin(w->messages, topic, props, payload_size);

	if (m != NULL)
		m->born_us = w->now_us;
	return m;
}

static enum published publish(
	void *owner, struct message **m, const struct publish_order *o, bool *matched)
{
	struct connection *c = connection_of(owner);
	const struct publisher from = {.connection = c, .session = c->kept, .durable = c->durable};

	return route_publish(c->worker, m, &from, o, matched);
}

void connection_subscribe(struct worker *w, struct connection *c, uint32_t token,
	struct span filter, const struct subscription_options *options)
{
	if (!c->durable)
		route_subscribe(w, c, token, filter, options);
	else if (!works_subscribe(w, c, token, filter, options))
		connection_answer(w, c, token, ERR_WORK_FULL);
}

/* Judged before the control plane keeps it; what is large, by Hyperscan, too. */
static void subscribe(
	void *owner, uint32_t token, struct span filter, const struct subscription_options *options)
{
	struct connection *c = connection_of(owner);
	struct worker *w = c->worker;
	const struct attempts_ask ask = {c, token, filter, options};
	uint32_t steps;

	const enum err e = fabric_filter_judge(w->fabric, filter, &steps);
	if (e != ERR_NONE)
		connection_answer(w, c, token, e);
	else if (!attempts_begin(w, &ask, steps))
		connection_subscribe(w, c, token, filter, options);
}

static void unsubscribe(void *owner, uint32_t token, struct span filter)
{
	struct connection *c = connection_of(owner);
	struct worker *w = c->worker;

	if (!c->durable)
		route_unsubscribe(w, c, token, filter);
	else if (!works_unsubscribe(w, c, token, filter))
		connection_answer(w, c, token, ERR_WORK_FULL);
}

/* What a transient session has received it remembers itself. */
static bool release(void *owner, uint16_t packet_id)
{
	struct connection *c = connection_of(owner);

	if (!c->durable)
		return true;
	if (!works_release(c->worker, c, packet_id))
		finish(c, ERR_WORK_FULL); /* it says so again when it is back */
	return false;
}

static void settle(void *owner, uint64_t entry)
{
	struct connection *c = connection_of(owner);

	works_settled(c->worker, c, entry);
}

static void receive(void *owner, uint64_t entry)
{
	struct connection *c = connection_of(owner);

	works_received(c->worker, c, entry);
}

/* Entries of a queue that were declined come again by themselves. */
static void room(void *owner)
{
	struct connection *c = connection_of(owner);

	route_room(c->worker, c);
}

static void farewell(void *owner, bool will_void, bool expiry_changed, uint32_t expiry_s)
{
	struct connection *c = connection_of(owner);

	c->farewell_void = will_void;
	c->farewell_expiry = expiry_changed;
	c->farewell_expiry_s = expiry_s;
}

const struct session_ops worker_session_ops = {
	.send = send_bytes,
	.send_message = send_message,
	.finish = finish,
	.timer = set_timer,
	.request = request,
	.release = release,
	.settle = settle,
	.receive = receive,
	.room = room,
	.farewell = farewell,
	.verbs = {begin, publish, subscribe, unsubscribe},
};
