/* tcp.c - the stack as a whole: its memory, its events, and the calls of RFC 9293 3.9.
 *
 * Not here: segments (tcp_input.c), what is sent (tcp_output.c), a connection's life
 * (tcp_conn.c). */
#include "dataplane/tcp/tcp_half.h"
#include "dataplane/tcp/tcp_memory.h"

#include <stdlib.h>

enum { MTU_DEFAULT = 1500, IPV4_TCP_HEADERS = 40, FLIGHTS_SPARE = 64, AHEAD_MIN = 8 };

/* Carves one block into parts, or, with no base, only measures. */
struct layout {
	uint8_t *base;
	size_t at;
};

static void *carve(struct layout *l, size_t size)
{
	void *part = l->base == NULL ? NULL : l->base + l->at;

	l->at += (size + 63) & ~(size_t)63;
	return part;
}

static uint32_t flights_count(const struct tcp_conf *conf)
{
	return conf->connections_max / 8 + FLIGHTS_SPARE;
}

static uint32_t tuples_count(const struct tcp_conf *conf)
{
	return conf->connections_max + conf->time_wait_max + conf->half_open_max;
}

/* The parts in the order in which tcp_create takes them. */
static size_t lay_out(struct tcp *t, const struct tcp_conf *conf, uint8_t *base)
{
	struct layout l = {base, 0};
	void *conns = carve(&l, conf->connections_max * sizeof(struct conn));
	void *colds = carve(&l, conf->connections_max * sizeof(struct conn_cold));
	void *table = carve(&l, tcp_table_bytes(tuples_count(conf)));
	void *timers = carve(&l, wheel_nodes(conf->connections_max) * sizeof(struct wheel_node));
	void *nodes = carve(&l, pool_bytes(conf->send_nodes_max, sizeof(struct send_node)));
	void *flights = carve(&l, pool_bytes(flights_count(conf), sizeof(struct flight)));
	void *trace = carve(&l, TCP_TRACE_RECORDS * sizeof(uint64_t));
	void *timewaits = carve(&l, tcp_timewait_bytes(conf->time_wait_max));
	void *halves = carve(&l, tcp_half_bytes(conf->half_open_max));

	if (base == NULL)
		return l.at;
	t->conns = conns;
	t->colds = colds;
	t->trace = (struct tcp_trace){.records = trace, .last_us = t->now_us};
	tcp_table_init(&t->table, table, tuples_count(conf));
	wheel_init(&t->wheel, timers, conf->connections_max, t->now_us);
	pool_init(&t->nodes, nodes, conf->send_nodes_max, sizeof(struct send_node));
	pool_init(&t->flights, flights, flights_count(conf), sizeof(struct flight));
	tcp_timewait_init(t, timewaits);
	tcp_half_init(t, halves);
	return l.at;
}

size_t tcp_bytes(const struct tcp_conf *conf)
{
	return sizeof(struct tcp) + lay_out(NULL, conf, NULL);
}

size_t tcp_used(const struct tcp *t)
{
	const size_t conn = sizeof(struct conn) + sizeof(struct conn_cold) +
			    sizeof(struct wheel_node) + 2 * sizeof(struct tcp_table_entry);
	const size_t timewait = tcp_timewait_bytes(1) + 2 * sizeof(struct tcp_table_entry);
	const size_t half = t->halves.out * 2 * sizeof(struct tcp_table_entry);

	return t->conns_used * conn + t->timewait_used * timewait + half + pool_used(&t->halves) +
	       pool_used(&t->nodes) + pool_used(&t->flights);
}

/* Shares of the pools, so that neither data nor one connection can take all of them. */
static void set_reserves(struct tcp *t)
{
	const struct tcp_conf *conf = &t->conf;
	const uint32_t window_buffers = conf->receive_window_max / 1024;

	t->headers_reserve = RTE_MIN(conf->headers->size / 8, 256u);
	t->held_reserve = conf->held->size / 8;
	t->held_ahead_floor = conf->held->size / 2;
	t->ahead_max = (uint16_t)RTE_MIN(RTE_MAX(window_buffers, (uint32_t)AHEAD_MIN), 256u);
}

static void set_sizes(struct tcp *t)
{
	if (t->conf.mtu == 0)
		t->conf.mtu = MTU_DEFAULT;
	ASSERT(t->conf.mtu > IPV4_TCP_HEADERS + TCP_HEADER_MAX);
	t->mss = t->conf.mtu - IPV4_TCP_HEADERS; /* RFC 6691: options are not subtracted */
	while (t->conf.receive_window_max >> t->wscale > UINT16_MAX)
		t->wscale++;
	ASSERT(t->wscale <= TCP_WSCALE_MAX);
}

static void check_conf(const struct tcp_conf *conf)
{
	ASSERT(conf->net != NULL);
	ASSERT(conf->headers != NULL);
	ASSERT(conf->copies != NULL);
	ASSERT(conf->held != NULL);
	ASSERT(conf->counters != NULL);
	ASSERT(conf->connections_max > 0);
	ASSERT(conf->segs_max > 0);
	ASSERT(rte_pktmbuf_data_room_size(conf->headers) >=
		RTE_PKTMBUF_HEADROOM + TCP_HEADER_MAX + SEND_COPY_MAX);
}

struct tcp *tcp_create(const struct tcp_conf *conf, uint64_t now_us)
{
	check_conf(conf);
	struct tcp *t = calloc(1, sizeof(*t));
	uint8_t *memory = NULL;

	if (t == NULL || posix_memalign((void **)&memory, 64, lay_out(NULL, conf, NULL)) != 0) {
		free(t);
		return NULL;
	}
	t->conf = *conf;
	t->now_us = now_us;
	t->rng = rng_from(conf->seed);
	t->memory = memory;
	t->table.key = conf->key;
	t->table.same = tcp_conn_same;
	t->table.owner = t;
	lay_out(t, conf, memory);
	t->idle = t->ready = t->output = (struct conn_list){TCP_NONE, TCP_NONE};
	t->starved = TCP_NONE;
	set_sizes(t);
	set_reserves(t);
	tcp_conns_init(t);
	tcp_cookie_init(t);
	tcp_live_init(t);
	return t;
}

void tcp_destroy(struct tcp **t)
{
	if (*t == NULL)
		return;
	for (uint32_t i = 0; i < (*t)->conf.connections_max; i++) {
		struct conn *c = &(*t)->conns[i];
		if (c->state == STATE_FREE)
			continue;
		tcp_sendq_free(*t, c);
		tcp_recv_free(*t, c);
		tcp_ahead_free(*t, c);
	}
	free((*t)->memory);
	free(*t);
	*t = NULL;
}

void tcp_set_user(struct tcp *t, struct tcp_id id, uint64_t user)
{
	struct conn *c = tcp_conn_find(t, id);

	if (c != NULL)
		c->user = user;
}

static void describe(const struct tcp *t, const struct conn *c, struct tcp_event *out)
{
	out->why = out->kind == TCP_EVENT_CLOSED ? conn_cold(t, c)->why : ERR_NONE;
	out->id = (struct tcp_id){conn_index(t, c), c->generation};
	out->user = c->user;
	out->peer_address = c->tuple.peer;
	out->local_address = c->tuple.local;
	out->peer_port = c->tuple.peer_port;
	out->local_port = c->tuple.local_port;
}

/* A connection's events leave in the order of their kinds: ACCEPTED first, CLOSED last. */
bool tcp_next_event(struct tcp *t, struct tcp_event *out)
{
	while (t->ready.head != TCP_NONE) {
		struct conn *c = &t->conns[t->ready.head];
		ASSERT((c->flags & CONN_ON_READY) != 0);
		if (c->events != 0) {
			out->kind = (enum tcp_event_kind)__builtin_ctz(c->events);
			c->events &= (uint8_t) ~(1u << out->kind);
			if (out->kind == TCP_EVENT_ACCEPTED)
				tcp_conn_accepted(t, c);
			describe(t, c, out);
			return true;
		}
		t->ready.head = c->ready_next;
		if (t->ready.head == TCP_NONE)
			t->ready.tail = TCP_NONE;
		c->flags &= ~(uint32_t)CONN_ON_READY;
		tcp_conn_try_free(t, c);
	}
	return false;
}

/* RFC 9293 3.10.4, CLOSE call. */
void tcp_close(struct tcp *t, struct tcp_id id)
{
	struct conn *c = tcp_conn_find(t, id);

	if (c == NULL || (c->flags & CONN_FIN_QUEUED) != 0 || c->state == STATE_CLOSED)
		return;
	if (c->state == STATE_SYN_SENT) {
		tcp_conn_finish(t, c, ERR_NONE);
		return;
	}
	c->flags |= CONN_FIN_QUEUED;
	if (c->state == STATE_ESTABLISHED)
		tcp_set_state(t, c, STATE_FIN_WAIT_1);
	else if (c->state == STATE_CLOSE_WAIT)
		tcp_set_state(t, c, STATE_LAST_ACK);
	tcp_output_add(t, c);
}

/* RFC 9293 3.10.5, ABORT call. */
void tcp_abort(struct tcp *t, struct tcp_id id)
{
	struct conn *c = tcp_conn_find(t, id);

	if (c == NULL)
		return;
	if (c->state == STATE_CLOSED) {
		if ((c->flags & CONN_DRAINING) != 0)
			tcp_conn_drained(t, c);
		return;
	}
	const bool tell = c->state != STATE_SYN_SENT && c->state != STATE_CLOSING &&
			  c->state != STATE_LAST_ACK;
	if (tell)
		tcp_conn_abort(t, c, ERR_TCP_ABORTED);
	else
		tcp_conn_finish(t, c, ERR_TCP_ABORTED);
}

void tcp_release(struct tcp *t, struct tcp_id id)
{
	struct conn *c = tcp_conn_find(t, id);

	if (c == NULL)
		return;
	ASSERT(c->state == STATE_CLOSED);
	ASSERT((c->flags & CONN_DRAINING) == 0);
	c->flags |= CONN_RELEASED;
	c->events = 0;
	tcp_conn_try_free(t, c);
}

/* RFC 6298 5.5 and others: what waits for time. Events that wait make it now. */
uint64_t tcp_next_us(const struct tcp *t)
{
	uint64_t next = wheel_next_us(&t->wheel);

	if (t->ready.head != TCP_NONE)
		return 0;
	next = RTE_MIN(next, tcp_timewait_next_us(t));
	next = RTE_MIN(next, tcp_half_next_us(t));
	next = RTE_MIN(next, tcp_live_next_us(t));
	if (t->blocked_us != 0)
		next = RTE_MIN(next, t->blocked_us + RETRY_FLUSH_US);
	else if (t->output.head != TCP_NONE)
		return 0;
	return next;
}
