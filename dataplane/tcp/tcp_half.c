/* tcp_half.c - SYN-RECEIVED of a listener, in small records of its own.
 *
 * A SYN costs one of these, and no connection: that is taken by the ACK which
 * completes the handshake. Records that have sent equally many SYN-ACKs wait
 * equally long, so a list for each number, in order, is timer enough. The ACK
 * goes on as a segment of the new connection, with whatever text and FIN it
 * has. If the listener's queue is full by then, or no connection is free, the
 * record stays, and the next SYN-ACK asks for that ACK again. When all records are
 * taken none gives way: newcomers get cookies (tcp_cookie.c).
 * Spec: RFC 9293 3.10.7.4 (SYN-RECEIVED), RFC 4987 3.3, RFC 6298 5, RFC 5961 (challenges).
 * Not here: SYN-RECEIVED of a simultaneous open, which is a connection's (tcp_input.c). */
#include "dataplane/tcp/tcp_half.h"

enum { CHALLENGES_MIN = 4, CHALLENGES_SPREAD = 8 };

struct half {
	struct tcp_tuple tuple;
	uint32_t iss, irs;
	uint32_t ts_recent;
	uint32_t sent_us;    /* when the first SYN-ACK left, modulo 2^32 */
	uint32_t next, prev; /* in its list */
	uint64_t due_us;
	uint16_t mss, window; /* as the SYN told them */
	uint8_t wscale;
	uint8_t listener;
	uint8_t sent;            /* SYN-ACKs by the timer's count, which names the list */
	uint8_t challenges_left; /* of a number nobody knows, for all its life */
	bool has_wscale, has_timestamps, sack_permitted;
	bool again; /* more than one SYN-ACK left: Karn */
};

static_assert(sizeof(struct half) <= 64, "one cache line");

size_t tcp_half_bytes(uint32_t count)
{
	return pool_bytes(count, sizeof(struct half));
}

void tcp_half_init(struct tcp *t, void *memory)
{
	pool_init(&t->halves, memory, t->conf.half_open_max, sizeof(struct half));
	for (unsigned i = 0; i < HALF_LISTS; i++)
		t->half_lists[i] = (struct conn_list){TCP_NONE, TCP_NONE};
}

static struct half *half_at(const struct tcp *t, uint32_t index)
{
	return pool_at(&t->halves, index);
}

bool tcp_half_same(const struct tcp *t, uint32_t index, const struct tcp_tuple *tuple)
{
	return memcmp(&half_at(t, index)->tuple, tuple, sizeof(*tuple)) == 0;
}

static uint32_t table_index(const struct tcp *t, uint32_t index)
{
	return t->conf.connections_max + t->conf.time_wait_max + index;
}

/* Before a first SYN-ACK found room: soon again. RFC 6298 5.5: then doubled each time. */
static uint64_t wait_us(uint8_t sent)
{
	return sent == 0 ? RETRY_FLUSH_US : (uint64_t)RTO_INITIAL_US << (sent - 1);
}

static void list_add(struct tcp *t, uint32_t index)
{
	struct half *h = half_at(t, index);
	struct conn_list *list = &t->half_lists[h->sent];

	h->due_us = t->now_us + wait_us(h->sent);
	h->next = TCP_NONE;
	h->prev = list->tail;
	if (list->tail == TCP_NONE)
		list->head = index;
	else
		half_at(t, list->tail)->next = index;
	list->tail = index;
}

static void list_remove(struct tcp *t, uint32_t index)
{
	const struct half *h = half_at(t, index);
	struct conn_list *list = &t->half_lists[h->sent];

	if (h->prev == TCP_NONE)
		list->head = h->next;
	else
		half_at(t, h->prev)->next = h->next;
	if (h->next == TCP_NONE)
		list->tail = h->prev;
	else
		half_at(t, h->next)->prev = h->prev;
}

static void count(struct tcp *t)
{
	counter_set(t->conf.counters, COUNTER_TCP_HALF_OPEN, t->halves.out);
}

static void drop(struct tcp *t, uint32_t index, enum err why)
{
	const struct half *h = half_at(t, index);

	if (why != ERR_NONE)
		counter_err(t->conf.counters, why);
	list_remove(t, index);
	tcp_table_remove(&t->table, &h->tuple, table_index(t, index));
	pool_put(&t->halves, index);
	count(t);
}

uint16_t tcp_window_of_syn(const struct tcp *t)
{
	return (uint16_t)RTE_MIN(t->conf.receive_window_max, (uint32_t)UINT16_MAX);
}

static bool send(struct tcp *t, const struct half *h, uint8_t flags)
{
	struct reply r = {.tuple = h->tuple,
		.h = {.src_port = h->tuple.local_port,
			.dst_port = h->tuple.peer_port,
			.seq = h->iss + ((flags & TCP_SYN) == 0),
			.ack = h->irs + 1,
			.flags = flags,
			.window = tcp_window_of_syn(t)}};

	if (h->has_timestamps) {
		r.h.options.has_timestamps = true;
		r.h.options.tsval = (uint32_t)(t->now_us / 1000) + tcp_ts_offset(t, &h->tuple);
		r.h.options.tsecr = h->ts_recent;
	}
	if ((flags & TCP_SYN) != 0) {
		r.h.options.mss = t->mss;
		r.h.options.has_wscale = h->has_wscale;
		r.h.options.wscale = t->wscale;
		r.h.options.sack_permitted = h->sack_permitted;
	} else { /* of an agreed scale: rounded down, the edge stays within what the SYN-ACK told */
		r.h.window >>= h->has_wscale ? t->wscale : 0;
	}
	return tcp_emit_reply(t, &r);
}

/* The next SYN-ACK of the timer, and its wait. */
static void send_syn_ack(struct tcp *t, uint32_t index)
{
	struct half *h = half_at(t, index);
	const bool left = send(t, h, TCP_SYN | TCP_ACK);

	list_remove(t, index);
	if (left && h->sent == 0)
		h->sent_us = (uint32_t)t->now_us;
	/* A repetition that found no room counts as lost on the way. */
	h->sent += left || h->sent > 0;
	list_add(t, index);
}

bool tcp_half_is_full(const struct tcp *t)
{
	return t->halves.out == t->halves.count;
}

void tcp_half_begin(struct tcp *t, const struct listener *l, const struct segment *s, uint32_t iss)
{
	const struct tcp_options *o = &s->h.options;

	const uint32_t index = pool_get(&t->halves);

	ASSERT(index != POOL_NONE);
	*half_at(t, index) = (struct half){.tuple = s->tuple,
		.iss = iss,
		.irs = s->seq,
		.ts_recent = o->tsval,
		.mss = o->mss,
		.window = s->h.window,
		.wscale = o->wscale,
		.listener = (uint8_t)(l - t->listeners),
		.challenges_left =
			(uint8_t)(CHALLENGES_MIN + rng_below(&t->rng, CHALLENGES_SPREAD)),
		.has_wscale = o->has_wscale,
		.has_timestamps = o->has_timestamps,
		.sack_permitted = o->sack_permitted};
	tcp_table_insert(&t->table, &s->tuple, table_index(t, index));
	list_add(t, index);
	send_syn_ack(t, index);
	count(t);
}

static void challenge(struct tcp *t, struct half *h)
{
	if (h->challenges_left == 0)
		return;
	h->challenges_left--;
	send(t, h, TCP_ACK);
}

/* The peer's SYN again, for our SYN-ACK was lost or is late: the same answer. */
static bool is_syn_again(const struct half *h, const struct segment *s)
{
	return (s->h.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && s->seq == h->irs;
}

static void answer_syn_again(struct tcp *t, struct half *h, const struct segment *s)
{
	/* RFC 7323 4.3: it does not lie beyond the last ACK sent */
	if (h->has_timestamps && s->h.options.has_timestamps &&
		seq_gt(s->h.options.tsval, h->ts_recent))
		h->ts_recent = s->h.options.tsval;
	h->again = true;
	send(t, h, TCP_SYN | TCP_ACK);
}

/* first: sequence number, and before it PAWS (RFC 7323 5.3); not for a RST. False: dropped. */
static bool check_sequence(struct tcp *t, struct half *h, const struct segment *s)
{
	const bool reset = (s->h.flags & TCP_RST) != 0;
	/* Timestamps that are agreed may lack in this one ACK: some peers leave them out. */
	const bool stamped = h->has_timestamps && s->h.options.has_timestamps;

	if (!reset && stamped && seq_lt(s->h.options.tsval, h->ts_recent)) {
		counter_err(t->conf.counters, ERR_TCP_PAWS);
		challenge(t, h);
		return false;
	}
	if (tcp_is_acceptable(s, h->irs + 1, tcp_window_of_syn(t)))
		return true;
	counter_err(t->conf.counters, ERR_TCP_UNACCEPTABLE);
	if (!reset)
		challenge(t, h);
	return false;
}

/* What the peer's SYN was, as far as it matters to a connection. */
static struct segment syn_of(const struct half *h, uint64_t now_us)
{
	return (struct segment){.h = {.seq = h->irs,
					.window = h->window,
					.flags = TCP_SYN,
					.options = {.mss = h->mss,
						.has_wscale = h->has_wscale,
						.wscale = h->wscale,
						.has_timestamps = h->has_timestamps,
						.tsval = h->ts_recent,
						.sack_permitted = h->sack_permitted}},
		.tuple = h->tuple,
		.seq = h->irs,
		.now_us = now_us};
}

/* The ACK of our SYN: the record becomes a connection, and the segment is its first. */
static void complete(struct tcp *t, uint32_t index, struct segment *s)
{
	const struct half h = *half_at(t, index);
	const struct segment syn = syn_of(&h, s->now_us);

	if (!tcp_may_accept(t, &t->listeners[h.listener])) {
		counter_err(t->conf.counters, ERR_TCP_HANDSHAKE_WAITS);
		return;
	}
	drop(t, index, ERR_NONE);
	struct conn *c = tcp_accept(t, &t->listeners[h.listener], &syn, h.iss);
	if (h.again)
		c->flags |= CONN_SYN_AGAIN;
	conn_cold(t, c)->rtt_start_us = s->now_us - ((uint32_t)s->now_us - h.sent_us);
	tcp_input_conn(t, c, s);
	ASSERT(c->state != STATE_SYN_RECEIVED);
}

/* Not our SYN-ACK, but perhaps that of a cookie from before there was room for the record, to the
 * same SYN: the peer has taken that one, and the record is of no use. */
static void ack_of_something(struct tcp *t, uint32_t index, struct segment *s)
{
	struct listener *l = &t->listeners[half_at(t, index)->listener];

	if (!tcp_cookie_is_good(t, s)) {
		counter_err(t->conf.counters, ERR_TCP_ACK_UNACCEPTABLE);
		tcp_reset_stranger(t, s);
		return;
	}
	drop(t, index, ERR_NONE);
	const bool taken = tcp_cookie_input(t, l, s);
	ASSERT(taken);
}

/* RFC 9293 3.10.7.4 for SYN-RECEIVED after a passive OPEN, in its order. */
void tcp_half_input(struct tcp *t, uint32_t index, struct segment *s)
{
	struct half *h = half_at(t, index);

	if (is_syn_again(h, s)) {
		answer_syn_again(t, h, s);
		return;
	}
	if (!check_sequence(t, h, s))
		return;
	/* second: RST (RFC 5961 3.2); exactly, back to LISTEN */
	if ((s->h.flags & TCP_RST) != 0) {
		if (s->seq == h->irs + 1) {
			drop(t, index, ERR_TCP_RESET);
			return;
		}
		counter_err(t->conf.counters, ERR_TCP_CHALLENGE);
		challenge(t, h);
		return;
	}
	/* fourth: SYN: back to LISTEN */
	if ((s->h.flags & TCP_SYN) != 0) {
		drop(t, index, ERR_TCP_FLAGS);
		return;
	}
	/* fifth: ACK */
	if ((s->h.flags & TCP_ACK) == 0) {
		counter_err(t->conf.counters, ERR_TCP_FLAGS);
	} else if (s->h.ack != h->iss + 1) {
		ack_of_something(t, index, s);
	} else {
		complete(t, index, s);
	}
}

/* RFC 9293 3.8.3: given up after a number of tries. */
static void timeout(struct tcp *t, uint32_t index)
{
	struct half *h = half_at(t, index);

	if (h->sent > SYN_ACK_RETRIES_MAX) {
		drop(t, index, ERR_TCP_TIMEOUT);
		return;
	}
	if (h->sent > 0) {
		h->again = true;
		counter_add(t->conf.counters, COUNTER_TCP_RTO, 1);
		counter_add(t->conf.counters, COUNTER_TCP_RETRANSMITS, 1);
	}
	send_syn_ack(t, index);
}

uint32_t tcp_half_poll(struct tcp *t, uint64_t now_us, uint32_t budget)
{
	uint32_t done = 0;

	for (unsigned i = 0; i < HALF_LISTS; i++) {
		const struct conn_list *list = &t->half_lists[i];
		while (done < budget && list->head != TCP_NONE &&
			half_at(t, list->head)->due_us <= now_us) {
			timeout(t, list->head);
			done++;
		}
	}
	return done;
}

uint64_t tcp_half_next_us(const struct tcp *t)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < HALF_LISTS; i++)
		if (t->half_lists[i].head != TCP_NONE)
			next = RTE_MIN(next, half_at(t, t->half_lists[i].head)->due_us);
	return next;
}

void tcp_half_check(const struct tcp *t)
{
	uint32_t used = 0;

	for (unsigned i = 0; i < HALF_LISTS; i++) {
		uint64_t last_us = 0;
		uint32_t last = TCP_NONE;
		for (uint32_t k = t->half_lists[i].head; k != TCP_NONE; k = half_at(t, k)->next) {
			const struct half *h = half_at(t, k);
			ASSERT(h->sent == i);
			ASSERT(h->prev == last);
			ASSERT(h->due_us >= last_us);
			ASSERT(h->listener < t->listener_count);
			ASSERT(tcp_table_find(&t->table, &h->tuple) == table_index(t, k));
			last = k;
			last_us = h->due_us;
			used++;
		}
		ASSERT(t->half_lists[i].tail == last);
	}
	ASSERT(used == t->halves.out);
}
