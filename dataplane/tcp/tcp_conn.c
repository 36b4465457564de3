/* tcp_conn.c - the life of a connection's record: taken, established, finished, given back.
 *
 * A record goes back when the peer is done with (STATE_CLOSED), the application
 * has released it, and no list holds it any more. tcp_set_state is the only
 * writer of the state. Spec: the diagram of RFC 9293 3.3.2. */
#include "dataplane/tcp/tcp_half.h"

static_assert(sizeof(struct send_node) <= 32, "a piece of a send queue costs half a cache line");

void tcp_conns_init(struct tcp *t)
{
	for (uint32_t i = 0; i < t->conf.connections_max; i++) {
		t->conns[i] = (struct conn){.state = STATE_FREE};
		t->conns[i].ready_next =
			i + 1 < t->conf.connections_max ? i + 1 : (uint32_t)TCP_NONE;
	}
	t->idle = (struct conn_list){0, t->conf.connections_max - 1};
	poison(t->colds, t->conf.connections_max * sizeof(t->colds[0]));
}

/* A record for a tuple that is not in the table yet; NULL when all are taken. The longest idle one
 * is reused first, so that stale ids are caught for long. */
struct conn *tcp_conn_get(struct tcp *t, const struct tcp_tuple *tuple)
{
	const uint32_t index = t->idle.head;

	if (index == TCP_NONE) {
		counter_err(t->conf.counters, ERR_TCP_TABLE_FULL);
		return NULL;
	}
	struct conn *c = &t->conns[index];
	t->idle.head = c->ready_next;
	if (t->idle.head == TCP_NONE)
		t->idle.tail = TCP_NONE;
	*c = (struct conn){.tuple = *tuple,
		.generation = c->generation,
		.state = STATE_CLOSED,
		.flags = CONN_IN_TABLE,
		.send_head = TCP_NONE,
		.send_tail = TCP_NONE,
		.cursor_node = TCP_NONE,
		.rto_us = RTO_INITIAL_US};
	unpoison(&t->colds[index], sizeof(t->colds[index]));
	t->colds[index] = (struct conn_cold){
		.flight = TCP_NONE, .rexmit_node = TCP_NONE, .listener = TCP_LISTENERS};
	tcp_trace(t, c, TCP_WHAT_OPENED, c->generation);
	tcp_table_insert(&t->table, tuple, index);
	t->conns_used++;
	counter_set(t->conf.counters, COUNTER_TCP_CONNECTIONS, t->conns_used);
	return c;
}

struct conn *tcp_conn_find(const struct tcp *t, struct tcp_id id)
{
	if (id.index >= t->conf.connections_max)
		return NULL;
	struct conn *c = &t->conns[id.index];
	if (c->state == STATE_FREE || c->generation != id.generation)
		return NULL;
	return (c->flags & CONN_RELEASED) != 0 ? NULL : c;
}

bool tcp_conn_same(const void *owner, uint32_t index, const struct tcp_tuple *tuple)
{
	const struct tcp *t = owner;

	if (index >= t->conf.connections_max + t->conf.time_wait_max)
		return tcp_half_same(
			t, index - t->conf.connections_max - t->conf.time_wait_max, tuple);
	if (index >= t->conf.connections_max)
		return tcp_timewait_same(t, index - t->conf.connections_max, tuple);
	return memcmp(&t->conns[index].tuple, tuple, sizeof(*tuple)) == 0;
}

/* Bit s of row r: r may become s. */
static const uint16_t edges[STATE_COUNT] = {
	[STATE_CLOSED] = 1 << STATE_SYN_SENT | 1 << STATE_SYN_RECEIVED | 1 << STATE_FREE,
	[STATE_SYN_SENT] = 1 << STATE_SYN_RECEIVED | 1 << STATE_ESTABLISHED | 1 << STATE_CLOSED,
	[STATE_SYN_RECEIVED] = 1 << STATE_ESTABLISHED | 1 << STATE_CLOSED,
	[STATE_ESTABLISHED] = 1 << STATE_FIN_WAIT_1 | 1 << STATE_CLOSE_WAIT | 1 << STATE_CLOSED,
	[STATE_FIN_WAIT_1] = 1 << STATE_FIN_WAIT_2 | 1 << STATE_CLOSING | 1 << STATE_CLOSED,
	[STATE_FIN_WAIT_2] = 1 << STATE_TIME_WAIT | 1 << STATE_CLOSED,
	[STATE_CLOSE_WAIT] = 1 << STATE_LAST_ACK | 1 << STATE_CLOSED,
	[STATE_CLOSING] = 1 << STATE_TIME_WAIT | 1 << STATE_CLOSED,
	[STATE_LAST_ACK] = 1 << STATE_CLOSED,
	[STATE_TIME_WAIT] = 1 << STATE_CLOSED,
};

void tcp_set_state(struct tcp *t, struct conn *c, enum tcp_state state)
{
	ASSERT(c->state < STATE_COUNT);
	ASSERT((edges[c->state] & 1u << state) != 0);
	c->state = (uint8_t)state;
	tcp_trace(t, c, TCP_WHAT_STATE, state);
}

void tcp_event_add(struct tcp *t, struct conn *c, enum tcp_event_kind kind)
{
	const uint32_t index = conn_index(t, c);

	c->events |= (uint8_t)(1u << kind);
	if ((c->flags & CONN_ON_READY) != 0)
		return;
	c->flags |= CONN_ON_READY;
	c->ready_next = TCP_NONE;
	if (t->ready.tail == TCP_NONE)
		t->ready.head = index;
	else
		t->conns[t->ready.tail].ready_next = index;
	t->ready.tail = index;
}

void tcp_output_add(struct tcp *t, struct conn *c)
{
	const uint32_t index = conn_index(t, c);

	if ((c->flags & CONN_ON_OUTPUT) != 0)
		return;
	c->flags |= CONN_ON_OUTPUT;
	c->output_next = TCP_NONE;
	if (t->output.tail == TCP_NONE)
		t->output.head = index;
	else
		t->conns[t->output.tail].output_next = index;
	t->output.tail = index;
}

/* SYN-RECEIVED or SYN-SENT became ESTABLISHED. */
void tcp_conn_established(struct tcp *t, struct conn *c, uint64_t now_us)
{
	struct conn_cold *cold = conn_cold(t, c);

	tcp_set_state(t, c, STATE_ESTABLISHED);
	tcp_live_add(t, c);
	if ((c->flags & CONN_FIN_QUEUED) != 0)
		tcp_set_state(t, c, STATE_FIN_WAIT_1);
	if ((c->flags & CONN_PASSIVE) != 0) {
		t->listeners[cold->listener].waiting++;
		counter_add(t->conf.counters, COUNTER_TCP_ACCEPTED, 1);
		tcp_event_add(t, c, TCP_EVENT_ACCEPTED);
	} else {
		tcp_event_add(t, c, TCP_EVENT_CONNECTED);
	}
	/* RFC 6298 5.7: after a lost SYN, begin with three seconds. */
	if ((c->flags & CONN_SYN_AGAIN) != 0 && c->srtt_us == 0)
		c->rto_us = RTO_AFTER_SYN_US;
	cold->backoff = 0;
	cold->recover = cold->iss;
	c->retransmit_us = 0;
	c->heard_us = c->progress_us = now_us;
	tcp_congestion_start(t, c);
	tcp_output_add(t, c);
}

/* The application has been told ACCEPTED. */
void tcp_conn_accepted(struct tcp *t, struct conn *c)
{
	struct listener *l = &t->listeners[conn_cold(t, c)->listener];

	ASSERT((c->flags & CONN_PASSIVE) != 0);
	ASSERT(l->waiting > 0);
	l->waiting--;
	c->flags |= CONN_KNOWN;
}

/* Leaves the tables: no segment and no timer finds it any more. */
static void detach(struct tcp *t, struct conn *c)
{
	tcp_live_remove(t, c);
	if ((c->flags & CONN_IN_TABLE) != 0)
		tcp_table_remove(&t->table, &c->tuple, conn_index(t, c));
	wheel_cancel(&t->wheel, conn_index(t, c));
	c->flags &= ~(uint32_t)(CONN_IN_TABLE | CONN_ACK_NOW | CONN_SEND_SYN | CONN_RETRANSMIT |
				CONN_RECOVERY | CONN_PERSIST | CONN_PROBE | CONN_WANT_WRITE);
	c->retransmit_us = c->ack_us = 0;
}

void tcp_conn_finish(struct tcp *t, struct conn *c, enum err why)
{
	struct conn_cold *cold = conn_cold(t, c);

	ASSERT(c->state != STATE_FREE && c->state != STATE_CLOSED);
	tcp_trace(t, c, TCP_WHAT_FINISHED, why);
	if (why != ERR_NONE)
		counter_err(t->conf.counters, why);
	if (conn_is_synchronized(c))
		counter_add(t->conf.counters, COUNTER_TCP_CLOSED, 1);
	detach(t, c);
	tcp_sendq_free(t, c);
	tcp_ahead_free(t, c);
	tcp_flight_put(t, c);
	cold->why = why;
	tcp_set_state(t, c, STATE_CLOSED);
	if (why != ERR_NONE || c->recv_bytes == 0 || (c->flags & CONN_KNOWN) == 0) {
		tcp_conn_drained(t, c);
		return;
	}
	/* Closed in order, but bytes wait to be read: CLOSED waits too, though not for ever. */
	c->flags |= CONN_DRAINING;
	cold->probe_us = t->now_us;
	tcp_timer_arm(t, c);
}

/* Nothing is left to read: the application hears CLOSED, unless it never heard of the
 * connection at all. */
void tcp_conn_drained(struct tcp *t, struct conn *c)
{
	ASSERT(c->state == STATE_CLOSED);
	tcp_recv_free(t, c);
	wheel_cancel(&t->wheel, conn_index(t, c));
	c->flags &= ~(uint32_t)CONN_DRAINING;
	if ((c->flags & CONN_KNOWN) != 0) {
		c->events = 0;
		tcp_event_add(t, c, TCP_EVENT_CLOSED);
		return;
	}
	if ((c->events & 1 << TCP_EVENT_ACCEPTED) != 0)
		tcp_conn_accepted(t, c);
	c->events = 0;
	c->flags |= CONN_RELEASED;
	tcp_conn_try_free(t, c);
}

/* The end with a RST, which leaves with the next flush; the record stays until then. */
void tcp_conn_abort(struct tcp *t, struct conn *c, enum err why)
{
	ASSERT(why != ERR_NONE);
	c->flags |= CONN_SEND_RST;
	tcp_output_add(t, c);
	tcp_conn_finish(t, c, why);
}

void tcp_conn_try_free(struct tcp *t, struct conn *c)
{
	const uint32_t listed = CONN_ON_READY | CONN_ON_OUTPUT | CONN_ON_STARVED;
	const uint32_t index = conn_index(t, c);

	if ((c->flags & CONN_RELEASED) == 0 || (c->flags & listed) != 0)
		return;
	ASSERT(c->recv_head == NULL);
	ASSERT(c->send_head == TCP_NONE);
	tcp_set_state(t, c, STATE_FREE);
	c->generation++;
	poison(&t->colds[index], sizeof(t->colds[index]));
	c->ready_next = TCP_NONE;
	if (t->idle.tail == TCP_NONE)
		t->idle.head = index;
	else
		t->conns[t->idle.tail].ready_next = index;
	t->idle.tail = index;
	t->conns_used--;
	counter_set(t->conf.counters, COUNTER_TCP_CONNECTIONS, t->conns_used);
}
