/* effects.c - the effects that sessions ask for, carried out (session.h). */
#include "dataplane/base/assert.h"
#include "dataplane/base/effect.h"
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
	struct message *m = message_begin(c->worker->messages, topic, props, payload_size);

	if (m != NULL) {
		m->publisher = c->id.index;
		m->born_us = c->worker->now_us;
	}
	return m;
}

static enum published publish(
	void *owner, struct message **m, const struct publish_order *o, bool *matched)
{
	(void)o;
	*matched = fabric_publish(connection_of(owner)->worker->fabric, *m) > 0;
	message_put(m);
	return PUBLISHED_DONE;
}

/* With one worker the fabric answers at once; the session hears of it when it has returned. */
static void answer(struct connection *c, uint32_t token, enum err e)
{
	struct worker *w = c->worker;

	ASSERT(w->answer_count < WORKER_ANSWERS);
	ASSERT(w->answer_count == 0 || w->answering == c);
	w->answering = c;
	w->answers[w->answer_count++] = (struct answer){token, e};
}

static void subscribe(
	void *owner, uint32_t token, struct span filter, const struct subscription_options *options)
{
	struct connection *c = connection_of(owner);
	bool was_new;

	answer(c, token,
		fabric_subscribe(c->worker->fabric, c->id.index, filter, options, &was_new));
}

static void unsubscribe(void *owner, uint32_t token, struct span filter)
{
	struct connection *c = connection_of(owner);

	answer(c, token, fabric_unsubscribe(c->worker->fabric, c->id.index, filter));
}

const struct session_ops worker_session_ops = {
	.send = send_bytes,
	.send_message = send_message,
	.finish = finish,
	.timer = set_timer,
	.request = request,
	.verbs = {begin, publish, subscribe, unsubscribe},
};
