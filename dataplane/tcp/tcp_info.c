/* tcp_info.c - see tcp_info.h. */
#include "dataplane/tcp/tcp_info.h"

#include "dataplane/tcp/tcp_internal.h"

static_assert((int)STATE_COUNT == (int)TCP_STATES, "the same states");
static_assert(STATE_ESTABLISHED == 4 && STATE_TIME_WAIT == 10, "in the same order");

/* RFC 4291 2.5.5.2 */
static void put_address(uint8_t to[16], rte_be32_t address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	memcpy(to, mapped, sizeof(mapped));
	memcpy(to + sizeof(mapped), &address, sizeof(address));
}

static uint32_t flags_of(const struct conn *c)
{
	static const struct {
		uint32_t ours, told;
	} rows[] = {{CONN_TIMESTAMPS, TCP_FACTS_TIMESTAMPS}, {CONN_SACK, TCP_FACTS_SACK},
		{CONN_WSCALE, TCP_FACTS_WSCALE}, {CONN_PASSIVE, TCP_FACTS_PASSIVE},
		{CONN_RECOVERY, TCP_FACTS_RECOVERY}, {CONN_PERSIST, TCP_FACTS_PERSIST},
		{CONN_CWND_LIMITED, TCP_FACTS_CWND_LIMITED},
		{CONN_FIN_QUEUED, TCP_FACTS_FIN_QUEUED},
		{CONN_FIN_RECEIVED, TCP_FACTS_FIN_RECEIVED}};
	uint32_t told = 0;

	for (size_t i = 0; i < RTE_DIM(rows); i++)
		if ((c->flags & rows[i].ours) != 0)
			told |= rows[i].told;
	return told;
}

/* Of the stream: neither SYN nor FIN. */
static uint32_t bytes_in(const struct conn *c, const struct conn_cold *cold)
{
	return c->rcv_nxt - cold->irs - 1 - ((c->flags & CONN_FIN_RECEIVED) != 0);
}

static uint32_t bytes_out(const struct conn *c, const struct conn_cold *cold)
{
	return c->snd_una - cold->iss - 1 - conn_fin_acked(c);
}

static void describe(const struct tcp *t, const struct conn *c, struct tcp_facts *out)
{
	const struct conn_cold *cold = conn_cold(t, c);
	const bool open = conn_is_synchronized(c);

	*out = (struct tcp_facts){.index = conn_index(t, c),
		.generation = c->generation,
		.peer_port = c->tuple.peer_port,
		.local_port = c->tuple.local_port,
		.mss = c->mss,
		.state = c->state,
		.congestion = cold->congestion,
		.snd_wscale = c->snd_wscale,
		.rcv_wscale = c->rcv_wscale,
		.backoff = cold->backoff,
		.dupacks = c->dupacks,
		.flags = flags_of(c),
		.srtt_us = c->srtt_us,
		.rttvar_us = c->rttvar_us,
		.rto_us = tcp_rto_us(t, c),
		.cwnd = c->cwnd,
		.ssthresh = c->ssthresh,
		.in_flight = open ? tcp_in_flight(t, c) : 0,
		.unacked = c->snd_max - c->snd_una,
		.snd_wnd = c->snd_wnd,
		.rcv_wnd = conn_rcv_wnd(c),
		.send_queued = c->send_bytes,
		.recv_queued = c->recv_bytes,
		.ahead_buffers = cold->ahead_buffers,
		.retransmits = cold->retransmits,
		.bytes_in = open ? bytes_in(c, cold) : 0,
		.bytes_out = open ? bytes_out(c, cold) : 0,
		.silent_us = c->heard_us == 0 ? 0 : t->now_us - c->heard_us};
	put_address(out->peer, c->tuple.peer);
	put_address(out->local, c->tuple.local);
}

bool tcp_info(const struct tcp *t, struct tcp_id id, struct tcp_facts *out)
{
	const struct conn *c = tcp_conn_find(t, id);

	if (c == NULL)
		return false;
	describe(t, c, out);
	return true;
}

bool tcp_info_at(const struct tcp *t, uint32_t index, struct tcp_facts *out)
{
	ASSERT(index < t->conf.connections_max);
	const struct conn *c = &t->conns[index];

	if (c->state == STATE_FREE || (c->flags & CONN_RELEASED) != 0)
		return false;
	describe(t, c, out);
	return true;
}

uint32_t tcp_info_places(const struct tcp *t)
{
	return t->conf.connections_max;
}

/* A record that is free has the next one's generation already. */
struct tcp_trace_walk tcp_events_begin(const struct tcp *t, struct tcp_id id)
{
	bool newest = false;

	if (id.index < t->conf.connections_max) {
		const struct conn *c = &t->conns[id.index];
		newest = c->generation - (c->state == STATE_FREE) == id.generation;
	}
	return tcp_trace_walk_begin(&t->trace, id.index, id.generation, newest);
}

uint32_t tcp_events_walk(const struct tcp *t, struct tcp_trace_walk *walk, uint32_t budget,
	struct tcp_happened *out, uint32_t room)
{
	return tcp_trace_walk_on(&t->trace, walk, budget, out, room);
}
