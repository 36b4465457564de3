/* tcp_timewait.c - TIME-WAIT, in small records of its own.
 *
 * Both ends are closed; for 2 MSL the four-tuple is kept, so that a lost last
 * ACK can be repeated and stray segments do no harm. All wait equally long, so
 * a list in order of expiry is timer enough. When there are too many the
 * oldest gives way. Spec: RFC 9293 3.10.7.4 (TIME-WAIT), RFC 1337 (RST is ignored),
 * RFC 6191 (a new SYN may come early), RFC 7323 5. */
#include "dataplane/tcp/tcp_half.h"

enum { ANSWER_INTERVAL_MS = 500, ISS_GAP = 65536 };

struct timewait {
	struct tcp_tuple tuple;
	uint32_t snd_nxt, rcv_nxt, rcv_wnd;
	uint32_t ts_recent, ts_offset;
	uint32_t next, prev;  /* by expiry; `next` of the idle ones too */
	uint32_t answered_ms; /* when an empty segment was last answered */
	uint64_t expires_us;
	uint16_t window; /* as in the header */
	bool timestamps, in_use;
};

static_assert(sizeof(struct timewait) <= 64, "one cache line");

size_t tcp_timewait_bytes(uint32_t count)
{
	return count * sizeof(struct timewait);
}

void tcp_timewait_init(struct tcp *t, void *memory)
{
	const uint32_t count = t->conf.time_wait_max;

	t->timewaits = memory;
	for (uint32_t i = 0; i < count; i++)
		t->timewaits[i] =
			(struct timewait){.next = i + 1 < count ? i + 1 : (uint32_t)TCP_NONE};
	t->timewait_idle = count == 0 ? (uint32_t)TCP_NONE : 0;
	t->timewait_oldest = t->timewait_newest = TCP_NONE;
}

bool tcp_timewait_same(const struct tcp *t, uint32_t index, const struct tcp_tuple *tuple)
{
	return memcmp(&t->timewaits[index].tuple, tuple, sizeof(*tuple)) == 0;
}

static void queue_add(struct tcp *t, uint32_t index)
{
	struct timewait *w = &t->timewaits[index];

	w->expires_us = t->now_us + t->conf.time_wait_us;
	w->next = TCP_NONE;
	w->prev = t->timewait_newest;
	if (t->timewait_newest == TCP_NONE)
		t->timewait_oldest = index;
	else
		t->timewaits[t->timewait_newest].next = index;
	t->timewait_newest = index;
}

static void queue_remove(struct tcp *t, uint32_t index)
{
	const struct timewait *w = &t->timewaits[index];

	if (w->prev == TCP_NONE)
		t->timewait_oldest = w->next;
	else
		t->timewaits[w->prev].next = w->next;
	if (w->next == TCP_NONE)
		t->timewait_newest = w->prev;
	else
		t->timewaits[w->next].prev = w->prev;
}

static void count(struct tcp *t)
{
	counter_set(t->conf.counters, COUNTER_TCP_TIME_WAITS, t->timewait_used);
}

static void drop(struct tcp *t, uint32_t index)
{
	struct timewait *w = &t->timewaits[index];

	ASSERT(w->in_use);
	queue_remove(t, index);
	tcp_table_remove(&t->table, &w->tuple, t->conf.connections_max + index);
	w->in_use = false;
	w->next = t->timewait_idle;
	t->timewait_idle = index;
	t->timewait_used--;
	count(t);
}

static void send_ack(struct tcp *t, const struct timewait *w)
{
	struct reply r = {.tuple = w->tuple,
		.h = {.src_port = w->tuple.local_port,
			.dst_port = w->tuple.peer_port,
			.seq = w->snd_nxt,
			.ack = w->rcv_nxt,
			.flags = TCP_ACK,
			.window = w->window}};

	if (w->timestamps) {
		r.h.options.has_timestamps = true;
		r.h.options.tsval = (uint32_t)(t->now_us / 1000) + w->ts_offset;
		r.h.options.tsecr = w->ts_recent;
	}
	tcp_emit_reply(t, &r);
}

/* The connection becomes a record; its own record is finished. */
void tcp_timewait_enter(struct tcp *t, struct conn *c, bool ack)
{
	const struct timewait saved = {.tuple = c->tuple,
		.snd_nxt = c->snd_max,
		.rcv_nxt = c->rcv_nxt,
		.rcv_wnd = conn_rcv_wnd(c),
		.ts_recent = c->ts_recent,
		.ts_offset = c->ts_offset,
		.window = (uint16_t)RTE_MIN(conn_rcv_wnd(c) >> c->rcv_wscale, (uint32_t)UINT16_MAX),
		.timestamps = (c->flags & CONN_TIMESTAMPS) != 0,
		.in_use = true};

	tcp_conn_finish(t, c, ERR_NONE);
	if (ack)
		send_ack(t, &saved);
	if (t->conf.time_wait_max == 0)
		return;
	if (t->timewait_idle == TCP_NONE) {
		counter_err(t->conf.counters, ERR_TCP_TIME_WAIT_FULL);
		drop(t, t->timewait_oldest);
	}
	const uint32_t index = t->timewait_idle;
	t->timewait_idle = t->timewaits[index].next;
	t->timewaits[index] = saved;
	tcp_table_insert(&t->table, &saved.tuple, t->conf.connections_max + index);
	queue_add(t, index);
	t->timewait_used++;
	count(t);
}

/* RFC 6191 2: is this SYN surely of a new connection? */
static bool is_newer(const struct timewait *w, const struct segment *s)
{
	if ((s->h.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN)
		return false;
	if (!w->timestamps && s->h.options.has_timestamps)
		return true;
	if (w->timestamps && s->h.options.has_timestamps && s->h.options.tsval != w->ts_recent)
		return seq_gt(s->h.options.tsval, w->ts_recent);
	return seq_gt(s->h.seq, w->rcv_nxt);
}

static bool may_answer_empty(struct tcp *t, struct timewait *w)
{
	const uint32_t now_ms = (uint32_t)(t->now_us / 1000);

	if (w->answered_ms != 0 && now_ms - w->answered_ms < ANSWER_INTERVAL_MS)
		return false;
	w->answered_ms = now_ms == 0 ? 1 : now_ms;
	return true;
}

void tcp_timewait_input(struct tcp *t, uint32_t index, const struct segment *s)
{
	struct timewait *w = &t->timewaits[index];
	struct listener *l = tcp_listener_find(t, &s->tuple);

	ASSERT(w->in_use);
	const bool reset = (s->h.flags & TCP_RST) != 0; /* ignored: RFC 1337 3, fix F1 */
	const bool renews = !reset && l != NULL && is_newer(w, s);
	if (!renews && (reset || s->seq != w->rcv_nxt || s->size > 0))
		counter_err(t->conf.counters, ERR_TCP_TIME_WAIT);
	if (reset)
		return;
	if (renews) {
		if (tcp_half_is_full(t)) { /* a cookie cannot be above a number: later */
			counter_err(t->conf.counters, ERR_TCP_HALF_OPEN_FULL);
			return;
		}
		const uint32_t iss_min = w->snd_nxt + ISS_GAP;
		drop(t, index);
		tcp_input_listen(t, l, s, iss_min == 0 ? 1 : iss_min);
		return;
	}
	/* RFC 9293 3.10.7.4, fifth: without an ACK it counts for nothing */
	if ((s->h.flags & (TCP_ACK | TCP_SYN)) == 0 && seq_in(s->seq, w->rcv_nxt, w->rcv_wnd))
		return;
	const bool empty = s->size == 0 && (s->h.flags & (TCP_SYN | TCP_FIN)) == 0;
	if (empty) { /* the last ACK of the peer; if it is none, we disagree, but not for ever */
		if (s->seq != w->rcv_nxt && may_answer_empty(t, w))
			send_ack(t, w);
		return;
	}
	/* RFC 9293 3.10.7.4, eighth: the peer's FIN again; so our ACK was lost */
	const uint32_t end = s->seq + s->size + ((s->h.flags & TCP_FIN) != 0);
	if ((s->h.flags & (TCP_FIN | TCP_SYN)) == TCP_FIN && end == w->rcv_nxt) {
		queue_remove(t, index);
		queue_add(t, index);
	}
	send_ack(t, w);
}

uint32_t tcp_timewait_poll(struct tcp *t, uint64_t now_us, uint32_t budget)
{
	uint32_t done = 0;

	while (done < budget && t->timewait_oldest != TCP_NONE &&
		t->timewaits[t->timewait_oldest].expires_us <= now_us) {
		drop(t, t->timewait_oldest);
		done++;
	}
	return done;
}

uint64_t tcp_timewait_next_us(const struct tcp *t)
{
	return t->timewait_oldest == TCP_NONE ? UINT64_MAX
					      : t->timewaits[t->timewait_oldest].expires_us;
}

void tcp_timewait_check(const struct tcp *t)
{
	uint32_t used = 0;
	uint64_t last_us = 0;

	for (uint32_t i = t->timewait_oldest; i != TCP_NONE; i = t->timewaits[i].next) {
		const struct timewait *w = &t->timewaits[i];
		ASSERT(w->in_use);
		ASSERT(w->expires_us >= last_us);
		ASSERT(tcp_table_find(&t->table, &w->tuple) == t->conf.connections_max + i);
		last_us = w->expires_us;
		used++;
	}
	ASSERT(used == t->timewait_used);
}
