/* tcp_cookie.c - SYN cookies: handshakes that the peer remembers for us.
 *
 * When the table of half-open records is full, the SYN-ACK's number and
 * timestamp hold all that its ACK has to tell us again, and nothing is kept.
 * A cookie is good for one to two periods; each period has a key of its own,
 * made from the secret one. Window scale and SACK are offered only to peers
 * with timestamps, which bring them back.
 *
 *	ISS    31..19 tuple         18..3 tuple, peer's ISN, size   2..0 row of `sizes`
 *	TSval  31..6 of the clock   5 ECN (not agreed yet: 0)  4 SACK  3..0 window scale, 15: none
 *
 * The upper part alone tells a cookie's peer whose first segment is late from a stranger: no RST
 * for it. Spec: RFC 4987 3.6 and appendix A. Not here: who is asked before (tcp_input.c). */
#include "dataplane/tcp/tcp_half.h"

enum {
	SIZE_BITS = 3,
	TUPLE_SHIFT = 19,
	OPTION_BITS = 6,
	OPTION_SACK = 1 << 4,
	SCALE_MASK = 15,
	SCALE_NONE = 15,
};

/* A peer is sent no more than it asked for: the largest row up to that counts. */
static const uint16_t sizes[1 << SIZE_BITS] = {
	TCP_MSS_FLOOR, TCP_MSS_DEFAULT, 1220, 1360, 1400, 1440, 1460, 8960};

enum verdict { COOKIE_NONE, COOKIE_LATE, COOKIE_GOOD };

void tcp_cookie_init(struct tcp *t)
{
	t->cookie_period = UINT64_MAX;
}

static struct hash_key key_of(const struct tcp *t, uint64_t period)
{
	const struct hash_key low = {~t->conf.key.k0, ~t->conf.key.k1};
	const struct hash_key high = {t->conf.key.k1, t->conf.key.k0};
	const struct span text = span_of(&period, sizeof(period));

	return (struct hash_key){siphash(low, text), siphash(high, text)};
}

/* Of this period, or the one before it. */
static struct hash_key key_at(struct tcp *t, unsigned age)
{
	const uint64_t period = t->now_us / COOKIE_PERIOD_US;

	if (t->cookie_period != period) {
		t->cookie_period = period;
		t->cookie_keys[0] = key_of(t, period);
		t->cookie_keys[1] = key_of(t, period - 1);
	}
	return t->cookie_keys[age];
}

static uint32_t cookie_of(
	struct hash_key key, const struct tcp_tuple *tuple, uint32_t irs, uint32_t size_row)
{
	const struct {
		struct tcp_tuple tuple;
		uint32_t irs, size_row;
	} all = {*tuple, irs, size_row};
	const uint32_t upper = (uint32_t)siphash(key, span_of(tuple, sizeof(*tuple)));
	const uint32_t lower = (uint32_t)siphash(key, span_of(&all, sizeof(all)));
	const uint32_t middle = lower << SIZE_BITS & ((1u << TUPLE_SHIFT) - 1);

	static_assert(sizeof(all) == sizeof(struct tcp_tuple) + 8, "hashed as bytes: no padding");
	return upper << TUPLE_SHIFT | middle | size_row;
}

static uint32_t row_of(uint16_t mss)
{
	const uint16_t wanted = mss == 0 ? (uint16_t)TCP_MSS_DEFAULT : mss;
	uint32_t row = 0;

	while (row + 1 < ARRAY_SIZE(sizes) && sizes[row + 1] <= wanted)
		row++;
	return row;
}

/* The clock's latest value, not after now, that ends in these bits. */
static uint32_t stamp(const struct tcp *t, const struct segment *s)
{
	const struct tcp_options *o = &s->h.options;
	const uint32_t bits = (o->sack_permitted ? (uint32_t)OPTION_SACK : 0) |
			      (o->has_wscale ? o->wscale : (uint32_t)SCALE_NONE);
	const uint32_t now = (uint32_t)(t->now_us / 1000) + tcp_ts_offset(t, &s->tuple);
	const uint32_t value = (now & ~((1u << OPTION_BITS) - 1)) | bits;

	return seq_gt(value, now) ? value - (1u << OPTION_BITS) : value;
}

void tcp_cookie_send(struct tcp *t, const struct segment *s)
{
	const struct tcp_options *o = &s->h.options;
	const uint32_t row = row_of(o->mss);
	struct reply r = {.tuple = s->tuple,
		.h = {.src_port = s->tuple.local_port,
			.dst_port = s->tuple.peer_port,
			.seq = cookie_of(key_at(t, 0), &s->tuple, s->seq, row),
			.ack = s->seq + 1,
			.flags = TCP_SYN | TCP_ACK,
			.window = tcp_window_of_syn(t),
			.options = {.mss = t->mss}}};

	if (o->has_timestamps) {
		r.h.options.has_timestamps = true;
		r.h.options.tsval = stamp(t, s);
		r.h.options.tsecr = o->tsval;
		r.h.options.has_wscale = o->has_wscale;
		r.h.options.wscale = t->wscale;
		r.h.options.sack_permitted = o->sack_permitted;
	}
	t->cookie_sent_us = t->now_us;
	if (tcp_emit_reply(t, &r))
		counter_add(t->conf.counters, COUNTER_TCP_COOKIES_SENT, 1);
}

/* Does the segment acknowledge a cookie, and is it the first behind the peer's SYN? */
static enum verdict judge(struct tcp *t, const struct segment *s)
{
	const uint32_t iss = s->h.ack - 1;
	const uint32_t row = iss & ((1u << SIZE_BITS) - 1);
	enum verdict verdict = COOKIE_NONE;

	if (t->cookie_sent_us == 0 || t->now_us - t->cookie_sent_us >= 2 * COOKIE_PERIOD_US)
		return COOKIE_NONE;
	for (unsigned age = 0; age < 2; age++) {
		const uint32_t cookie = cookie_of(key_at(t, age), &s->tuple, s->seq - 1, row);
		if (cookie == iss)
			return COOKIE_GOOD;
		if (cookie >> TUPLE_SHIFT == iss >> TUPLE_SHIFT)
			verdict = COOKIE_LATE;
	}
	return verdict;
}

static bool may_hold_cookie(const struct segment *s)
{
	return (s->h.flags & (TCP_SYN | TCP_RST | TCP_ACK)) == TCP_ACK;
}

bool tcp_cookie_is_good(struct tcp *t, const struct segment *s)
{
	return may_hold_cookie(s) && judge(t, s) == COOKIE_GOOD;
}

/* The peer's SYN, from what came back. */
static struct segment syn_of(const struct segment *s)
{
	const uint32_t bits = s->h.options.tsecr;
	struct segment syn = {
		.h = {.seq = s->seq - 1,
			.window = s->h.window,
			.flags = TCP_SYN,
			.options = {.mss = sizes[(s->h.ack - 1) & ((1u << SIZE_BITS) - 1)]}},
		.tuple = s->tuple,
		.seq = s->seq - 1,
		.now_us = s->now_us};

	if (s->h.options.has_timestamps) {
		struct tcp_options *o = &syn.h.options;
		o->has_timestamps = true;
		o->tsval = s->h.options.tsval;
		o->sack_permitted = (bits & OPTION_SACK) != 0;
		o->has_wscale = (bits & SCALE_MASK) != SCALE_NONE;
		o->wscale = o->has_wscale ? bits & SCALE_MASK : 0;
	}
	return syn;
}

bool tcp_cookie_input(struct tcp *t, struct listener *l, struct segment *s)
{
	if (!may_hold_cookie(s))
		return false;
	const enum verdict verdict = judge(t, s);
	if (verdict == COOKIE_NONE)
		return false;
	/* The first segment will come, again if it must: the handshake is done then. */
	if (verdict == COOKIE_LATE) {
		counter_err(t->conf.counters, ERR_TCP_COOKIE_LATE);
		return true;
	}
	if (!tcp_may_accept(t, l)) {
		counter_err(t->conf.counters, ERR_TCP_HANDSHAKE_WAITS);
		return true;
	}
	const struct segment syn = syn_of(s);
	struct conn *c = tcp_accept(t, l, &syn, s->h.ack - 1);
	counter_add(t->conf.counters, COUNTER_TCP_COOKIES_ACCEPTED, 1);
	tcp_input_conn(t, c, s);
	ASSERT(c->state != STATE_SYN_RECEIVED);
	return true;
}
