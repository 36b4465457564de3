/* tcp_check.c - the invariants of a stack, for tests and fuzzing: it walks everything. */
#include "dataplane/tcp/tcp_half.h"

static void check_list(const struct tcp *t, const struct conn_list *list, uint32_t flag)
{
	uint32_t last = TCP_NONE;

	for (uint32_t i = list->head; i != TCP_NONE;) {
		const struct conn *c = &t->conns[i];
		ASSERT(c->state != STATE_FREE);
		ASSERT((c->flags & flag) != 0);
		last = i;
		i = flag == CONN_ON_READY ? c->ready_next : c->output_next;
	}
	ASSERT(last == list->tail);
}

/* RFC 9438: an epoch is one of congestion avoidance, and W_max was a window once. */
static void check_flight(const struct tcp *t, const struct conn *c)
{
	const struct flight *f = tcp_flight_of(t, c);

	ASSERT(c->cwnd <= CUBIC_CWND_MAX);
	ASSERT(conn_cold(t, c)->w_max <= CUBIC_CWND_MAX);
	ASSERT(conn_cold(t, c)->congestion < TCP_CONGESTIONS);
	if (f == NULL)
		return;
	ASSERT(tcp_flight_wanted(c));
	ASSERT((c->flags & CONN_RECOVERY_SACK) == 0 || f->prr.flight > 0);
	ASSERT(f->tail.timer <= TAIL_REORDER);
	ASSERT(f->tail.timer == TAIL_NONE || f->tail.rto_us >= c->retransmit_us);
	ASSERT(f->tail.timer == TAIL_NONE || (c->flags & CONN_RECOVERY) == 0);
	ASSERT(!f->has_hystart || f->hystart.rounds <= 5);
	ASSERT(f->cubic.epoch_us <= t->now_us);
	ASSERT(f->cubic.epoch_us == 0 || conn_cold(t, c)->congestion == TCP_CONGESTION_CUBIC);
}

/* RFC 9293 3.3.1's relations, and what the flags promise. */
static void check_sending(const struct tcp *t, const struct conn *c)
{
	const uint32_t end = conn_send_end(c) + ((c->flags & CONN_FIN_QUEUED) != 0);

	ASSERT(seq_le(c->snd_una, c->snd_nxt));
	ASSERT(seq_le(c->snd_nxt, c->snd_max));
	tcp_sendq_check(t, c);
	if (!conn_is_synchronized(c))
		return;
	ASSERT(seq_le(c->snd_max, end));
	ASSERT(c->cwnd > 0);
	ASSERT(c->mss >= TCP_MSS_FLOOR && c->mss <= c->mss_max);
	ASSERT(c->send_seq == c->snd_una || conn_fin_acked(c));
	ASSERT(c->snd_una == c->snd_max || c->retransmit_us != 0 ||
		(c->flags & CONN_ON_OUTPUT) != 0);
	ASSERT((c->flags & CONN_RECOVERY_SACK) == 0 ||
		((c->flags & CONN_RECOVERY) != 0 && tcp_board_of(t, c) != NULL));
	ASSERT((c->flags & CONN_RECOVERY) == 0 || c->snd_nxt == c->snd_max);
	check_flight(t, c);
	if (tcp_board_of(t, c) == NULL)
		return;
	const struct board_flight f = tcp_board_flight(t, c);
	board_check(tcp_board_of(t, c), &f);
}

static void check_receiving(const struct tcp *t, const struct conn *c)
{
	const struct conn_cold *cold = conn_cold(t, c);
	uint32_t bytes = 0;
	uint32_t held = 0;
	bool turn = false;

	for (const struct rte_mbuf *m = c->recv_head; m != NULL; m = m->next) {
		ASSERT(m->data_len > 0);
		bytes += m->data_len;
		held += m->pool == t->conf.held;
		turn |= m->pool != t->conf.held;
		ASSERT(m->next != NULL || m == c->recv_tail);
	}
	ASSERT(bytes == c->recv_bytes);
	ASSERT(held == cold->held_buffers);
	ASSERT(!turn || (c->flags & CONN_TURN_BUFFERS) != 0);
	ASSERT(!turn || (c->flags & CONN_ON_OUTPUT) != 0);
	if (!conn_is_synchronized(c))
		return;
	ASSERT(seq_le(c->last_ack_sent, c->rcv_nxt));
	tcp_ahead_check(t, c);
}

static void check_conn(const struct tcp *t, const struct conn *c)
{
	const uint32_t index = conn_index(t, c);
	const bool in_table = c->state != STATE_CLOSED;

	ASSERT(c->state < STATE_COUNT);
	ASSERT(c->state != STATE_TIME_WAIT);
	ASSERT(c->state != STATE_SYN_RECEIVED || (c->flags & CONN_PASSIVE) == 0);
	ASSERT(in_table == ((c->flags & CONN_IN_TABLE) != 0));
	ASSERT(!in_table || tcp_table_find(&t->table, &c->tuple) == index);
	ASSERT(c->events == 0 || (c->flags & CONN_ON_READY) != 0);
	check_receiving(t, c);
	check_sending(t, c);
	if (!in_table)
		return;
	/* Whoever waits for time has a timer that fires in time. */
	const bool waits = c->retransmit_us != 0 || c->ack_us != 0;
	ASSERT(!waits || wheel_is_armed(&t->wheel, index) || (c->flags & CONN_ON_OUTPUT) != 0);
}

void tcp_check(const struct tcp *t)
{
	uint32_t used = 0;
	uint32_t waiting = 0;

	check_list(t, &t->ready, CONN_ON_READY);
	check_list(t, &t->output, CONN_ON_OUTPUT);
	for (uint32_t i = 0; i < t->conf.connections_max; i++) {
		const struct conn *c = &t->conns[i];
		if (c->state == STATE_FREE)
			continue;
		check_conn(t, c);
		used++;
		waiting += (c->events & 1 << TCP_EVENT_ACCEPTED) != 0;
	}
	ASSERT(used == t->conns_used);
	for (uint32_t i = 0; i < t->listener_count; i++)
		waiting -= t->listeners[i].waiting;
	ASSERT(waiting == 0);
	tcp_timewait_check(t);
	tcp_half_check(t);
	tcp_live_check(t);
}
