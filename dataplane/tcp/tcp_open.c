/* tcp_open.c - how connections begin: OPEN calls, and segments in LISTEN and SYN-SENT.
 *
 * Spec: RFC 9293 3.10.1, 3.10.7.2, 3.10.7.3; RFC 6528 (ISN), 6056 (ports), 7323 and 2018
 * (options). Not here: what a listener's SYN leaves behind (tcp_half.c). */
#include "dataplane/tcp/tcp_half.h"

enum { PORT_FIRST = 32768, PORT_COUNT = 60999 - 32768 + 1, ISN_CLOCK_US = 4 };

/* RFC 6528 3: ISN = M + F(tuple, secret), M ticking every four microseconds. */
static uint32_t choose_isn(const struct tcp *t, const struct tcp_tuple *tuple, uint64_t now_us)
{
	const struct hash_key key = {~t->conf.key.k0, t->conf.key.k1};

	return (uint32_t)(now_us / ISN_CLOCK_US) +
	       (uint32_t)siphash(key, span_of(tuple, sizeof(*tuple)));
}

/* RFC 7323 5.4: a random offset for each connection; by tuple, so that TIME-WAIT's peer sees
 * timestamps go forward. */
uint32_t tcp_ts_offset(const struct tcp *t, const struct tcp_tuple *tuple)
{
	const struct hash_key key = {t->conf.key.k0, ~t->conf.key.k1};

	return (uint32_t)siphash(key, span_of(tuple, sizeof(*tuple)));
}

static void start_sequence(struct tcp *t, struct conn *c, uint32_t iss, uint64_t now_us)
{
	struct conn_cold *cold = conn_cold(t, c);

	cold->iss = iss;
	cold->recover = iss;
	c->snd_una = c->snd_nxt = c->snd_max = iss;
	c->send_seq = c->cursor_seq = iss + 1;
	c->ts_offset = tcp_ts_offset(t, &c->tuple);
	c->mss = (uint16_t)RTE_MIN((uint32_t)TCP_MSS_DEFAULT, t->mss);
	c->rcv_wscale = t->wscale;
	c->heard_us = c->progress_us = now_us;
}

struct listener *tcp_listener_find(struct tcp *t, const struct tcp_tuple *tuple)
{
	for (uint32_t i = 0; i < t->listener_count; i++) {
		struct listener *l = &t->listeners[i];
		if (l->port == tuple->local_port && (l->address == 0 || l->address == tuple->local))
			return l;
	}
	return NULL;
}

/* RFC 9293 3.10.1, passive OPEN. */
enum err tcp_listen(struct tcp *t, rte_be32_t address, uint16_t port, uint32_t backlog)
{
	for (uint32_t i = 0; i < t->listener_count; i++)
		if (t->listeners[i].port == port && t->listeners[i].address == address)
			return ERR_TCP_PORT_TAKEN;
	if (t->listener_count == TCP_LISTENERS)
		return ERR_TCP_TABLE_FULL;
	t->listeners[t->listener_count++] =
		(struct listener){.address = address, .port = port, .backlog = backlog};
	return ERR_NONE;
}

static bool tuple_is_free(struct tcp *t, const struct tcp_tuple *tuple)
{
	return tcp_listener_find(t, tuple) == NULL &&
	       tcp_table_find(&t->table, tuple) == TABLE_EMPTY;
}

/* RFC 6056 3.3.1: begin at a random port, take the next free one. */
static bool choose_port(struct tcp *t, struct tcp_tuple *tuple)
{
	const uint32_t start = rng_below(&t->rng, PORT_COUNT);

	for (uint32_t i = 0; i < PORT_COUNT; i++) {
		tuple->local_port = (uint16_t)(PORT_FIRST + (start + i) % PORT_COUNT);
		if (tuple_is_free(t, tuple))
			return true;
	}
	return false;
}

/* RFC 9293 3.10.1, active OPEN. */
enum err tcp_connect(struct tcp *t, rte_be32_t address, uint16_t port, uint16_t local_port,
	uint64_t user, struct tcp_id *id, uint64_t now_us)
{
	struct tcp_tuple tuple = {address, t->conf.address, port, local_port};

	t->now_us = now_us;
	if (t->conf.address == 0 || address == 0 || port == 0)
		return ERR_IPV4_NO_ROUTE;
	if (local_port == 0 ? !choose_port(t, &tuple)
			    : tcp_table_find(&t->table, &tuple) != TABLE_EMPTY)
		return ERR_TCP_PORT_TAKEN;
	struct conn *c = tcp_conn_get(t, &tuple);
	if (c == NULL)
		return ERR_TCP_TABLE_FULL;
	c->flags |= CONN_KNOWN;
	c->user = user;
	tcp_set_state(t, c, STATE_SYN_SENT);
	start_sequence(t, c, choose_isn(t, &tuple, now_us), now_us);
	c->flags |= CONN_SEND_SYN;
	tcp_output_add(t, c);
	*id = (struct tcp_id){conn_index(t, c), c->generation};
	return ERR_NONE;
}

/* The options and the window of the peer's SYN, against what we offer. */
void tcp_negotiate(struct tcp *t, struct conn *c, const struct segment *s)
{
	const struct tcp_options *o = &s->h.options;
	struct conn_cold *cold = conn_cold(t, c);

	cold->irs = s->seq;
	c->rcv_nxt = s->seq + 1;
	/* What a SYN of ours says, or said. */
	c->rcv_adv = c->rcv_nxt + RTE_MIN(t->conf.receive_window_max, (uint32_t)UINT16_MAX);
	c->last_ack_sent = c->rcv_nxt;
	/* RFC 9293 MUST-15, RFC 6691; the floor keeps room for options and a byte. */
	const uint32_t mss = o->mss == 0 ? (uint32_t)TCP_MSS_DEFAULT : o->mss;
	c->mss = (uint16_t)RTE_MAX(RTE_MIN(mss, t->mss), (uint32_t)TCP_MSS_FLOOR);
	tcp_path_start(t, c, s->now_us);
	if (o->has_wscale) {
		c->flags |= CONN_WSCALE;
		c->snd_wscale = o->wscale;
	} else {
		c->rcv_wscale = 0; /* RFC 7323 2.2: both or neither */
	}
	if (o->has_timestamps) {
		c->flags |= CONN_TIMESTAMPS;
		c->ts_recent = o->tsval;
		cold->ts_recent_us = s->now_us;
	}
	if (o->sack_permitted)
		c->flags |= CONN_SACK;
	c->snd_wnd = s->h.window; /* RFC 7323 2.2: never scaled in a SYN */
	cold->snd_wnd_max = c->snd_wnd;
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->h.ack;
}

bool tcp_may_accept(struct tcp *t, const struct listener *l)
{
	if (l->waiting >= l->backlog)
		counter_err(t->conf.counters, ERR_TCP_BACKLOG_FULL);
	else if (t->idle.head == TCP_NONE)
		counter_err(t->conf.counters, ERR_TCP_TABLE_FULL);
	else
		return true;
	return false;
}

struct conn *tcp_accept(
	struct tcp *t, const struct listener *l, const struct segment *syn, uint32_t iss)
{
	struct conn *c = tcp_conn_get(t, &syn->tuple);

	ASSERT(c != NULL);
	c->flags |= CONN_PASSIVE;
	conn_cold(t, c)->listener = (uint16_t)(l - t->listeners);
	tcp_set_state(t, c, STATE_SYN_RECEIVED);
	start_sequence(t, c, iss, syn->now_us);
	tcp_negotiate(t, c, syn);
	c->snd_nxt = c->snd_max = iss + 1;
	return c;
}

/* RFC 9293 3.10.7.2, third: a SYN for a listener. A new ISS is above iss_min if that is not 0. */
static void accept_syn(struct tcp *t, struct listener *l, const struct segment *s, uint32_t iss_min)
{
	if (!tcp_may_accept(t, l))
		return;
	if (tcp_half_is_full(t)) {
		counter_err(t->conf.counters, ERR_TCP_HALF_OPEN_FULL);
		tcp_cookie_send(t, s);
		return;
	}
	uint32_t iss = choose_isn(t, &s->tuple, s->now_us);
	if (iss_min != 0 && seq_le(iss, iss_min))
		iss = iss_min;
	tcp_half_begin(t, l, s, iss);
}

/* RFC 9293 3.10.7.2. Text and FIN of a SYN are not taken: the peer sends them again. */
void tcp_input_listen(struct tcp *t, struct listener *l, const struct segment *s, uint32_t iss_min)
{
	/* first: RST is ignored */
	if ((s->h.flags & (TCP_RST | TCP_ACK)) != 0)
		counter_err(t->conf.counters, ERR_TCP_NO_PORT);
	if ((s->h.flags & TCP_RST) != 0)
		return;
	/* second: any ACK is bad here */
	if ((s->h.flags & TCP_ACK) != 0) {
		if (t->cookie_sent_us != 0 && t->now_us - t->cookie_sent_us < 2 * COOKIE_PERIOD_US)
			counter_err(t->conf.counters, ERR_TCP_COOKIE);
		tcp_reset_stranger(t, s);
		return;
	}
	/* third: SYN. With FIN nobody means it (RFC 5961 has no use for it either). */
	if ((s->h.flags & (TCP_SYN | TCP_FIN)) == TCP_SYN)
		accept_syn(t, l, s, iss_min);
	else
		counter_err(t->conf.counters, ERR_TCP_FLAGS);
	/* fourth: anything else is dropped */
}

/* RFC 9293 3.10.7.3, fourth: SYN is set, and the ACK, if there is one, is good. */
static void syn_sent_syn(
	struct tcp *t, struct conn *c, const struct segment *s, struct tcp_effects *fx)
{
	struct conn_cold *cold = conn_cold(t, c);

	tcp_negotiate(t, c, s);
	if ((s->h.flags & TCP_ACK) == 0) { /* simultaneous open */
		tcp_set_state(t, c, STATE_SYN_RECEIVED);
		c->flags |= CONN_SEND_SYN;
		fx->output = true;
		return;
	}
	if ((c->flags & CONN_SYN_AGAIN) == 0) /* Karn */
		tcp_rtt_sample(c, s->now_us - cold->rtt_start_us);
	c->snd_una = s->h.ack;
	tcp_conn_established(t, c, s->now_us);
	fx->ack = fx->output = true;
}

void tcp_input_syn_sent(struct tcp *t, struct conn *c, struct segment *s, struct tcp_effects *fx)
{
	const uint8_t flags = s->h.flags;
	const bool ack_good = (flags & TCP_ACK) != 0 && seq_gt(s->h.ack, c->snd_una) &&
			      seq_le(s->h.ack, c->snd_max);

	/* first: ACK */
	if ((flags & TCP_ACK) != 0 && !ack_good) {
		counter_err(t->conf.counters, ERR_TCP_ACK_UNACCEPTABLE);
		fx->reset = (flags & TCP_RST) == 0;
		return;
	}
	/* second: RST, which must answer our SYN */
	if ((flags & TCP_RST) != 0) {
		if (!ack_good)
			counter_err(t->conf.counters, ERR_TCP_ACK_UNACCEPTABLE);
		fx->finish = ack_good;
		fx->why = ERR_TCP_RESET;
		return;
	}
	/* fourth: SYN. RFC 1122 4.2.2.20 (d) would queue text and FIN: the peer repeats them. */
	if ((flags & TCP_SYN) != 0)
		syn_sent_syn(t, c, s, fx);
	else
		counter_err(t->conf.counters, ERR_TCP_FLAGS);
	/* fifth: neither SYN nor RST: dropped */
}
