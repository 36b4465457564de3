/* syn_flood_test.c - the stack under SYN floods: what it costs, whom it hurts, what can be forged.
 *
 * One peer, many ports; its frames are made by hand (wire_rig.h). */
#include "dataplane/base/rng.h"
#include "dataplane/tcp/tcp_half.h"
#include "dataplane/tcp/tcp_memory.h"
#include "tests/unit/unit.h"
#include "tests/wire/wire_rig.h"

enum { S = 1000000, ISN = 5000, FLOOD = 20000 };

static struct rig *open_rig(uint32_t half_open, uint32_t backlog)
{
	struct rig_conf conf = rig_conf_default();

	conf.half_open = half_open;
	struct rig *r = rig_open(&conf);
	CU_ASSERT_EQUAL(tcp_listen(r->tcp, 0, RIG_PORT, backlog), ERR_NONE);
	return r;
}

static uint64_t errors(const struct rig *r, enum err e)
{
	return counter_get(&r->counters, (enum counter)(COUNTER_NAMED + (unsigned)e));
}

static struct tcp_header header(uint16_t port, uint8_t flags, uint32_t seq, uint32_t ack)
{
	return (struct tcp_header){.src_port = port,
		.dst_port = RIG_PORT,
		.seq = seq,
		.ack = ack,
		.flags = flags,
		.window = 1000};
}

static void give(struct rig *r, const struct tcp_header *h)
{
	const struct rig_inject in = {.h = *h};

	rig_inject(r, &in);
}

/* What comes in answer; the flags of the header are 0 when nothing does. */
static struct tcp_header ask(struct rig *r, const struct tcp_header *h)
{
	struct tcp_header answer = {0};

	give(r, h);
	rig_turn(r);
	const struct rig_segment *s = rig_next(r);
	if (s != NULL)
		answer = s->h;
	while (s != NULL)
		s = rig_next(r);
	return answer;
}

static struct tcp_header ask_syn(struct rig *r, uint16_t port, uint32_t seq)
{
	const struct tcp_header syn = header(port, TCP_SYN, seq, 0);
	const struct tcp_header answer = ask(r, &syn);

	CU_ASSERT_EQUAL(answer.flags, TCP_SYN | TCP_ACK);
	CU_ASSERT_EQUAL(answer.ack, seq + 1);
	return answer;
}

/* The last segment of the handshake: is there a connection now? */
static bool completes(struct rig *r, uint16_t port, uint32_t seq, uint32_t ack)
{
	const struct tcp_header h = header(port, TCP_ACK, seq, ack);
	const uint32_t before = r->tcp->conns_used;

	(void)ask(r, &h);
	return r->tcp->conns_used == before + 1;
}

static void reset(struct rig *r, uint16_t port)
{
	const struct tcp_header h = header(port, TCP_RST, ISN + 1, 0);

	(void)ask(r, &h);
	for (uint32_t i = 0; i < r->event_count; i++)
		if (r->events[i].kind == TCP_EVENT_CLOSED)
			tcp_release(r->tcp, r->events[i].id);
	r->event_count = 0;
	rig_turn(r);
	CU_ASSERT_EQUAL(r->tcp->conns_used, 0);
}

static uint16_t flood_port(unsigned i)
{
	return (uint16_t)(2000 + i % 60000);
}

/* The table fills, and from then on nothing more is taken, whatever comes. */
static void memory_is_bounded(void)
{
	struct rig *r = open_rig(16, 8);

	for (unsigned i = 0; i < 16; i++)
		(void)ask_syn(r, flood_port(i), i);
	const size_t full = tcp_used(r->tcp);
	CU_ASSERT(full <= 16 * 96);
	for (unsigned i = 16; i < FLOOD; i++)
		(void)ask_syn(r, flood_port(i), i);
	CU_ASSERT_EQUAL(tcp_used(r->tcp), full);
	CU_ASSERT_EQUAL(r->tcp->conns_used, 0);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_TCP_COOKIES_SENT), FLOOD - 16);
	CU_ASSERT_EQUAL(errors(r, ERR_TCP_HALF_OPEN_FULL), FLOOD - 16);
	const struct tcp_header good = ask_syn(r, 1000, ISN);
	CU_ASSERT(completes(r, 1000, ISN + 1, good.seq + 1));
	CU_ASSERT_EQUAL(rig_close(r), 0);
}

/* Who has not seen the SYN-ACK does not get in. */
static void guesses_fail(void)
{
	struct rig *r = open_rig(0, 8);
	struct rng rng = rng_from(unit_seed());
	const struct tcp_header good = ask_syn(r, 1000, ISN);

	for (unsigned i = 0; i < FLOOD; i++) {
		const uint32_t guess = (uint32_t)rng_next(&rng);
		CU_ASSERT(guess == good.seq + 1 || !completes(r, 1000, ISN + 1, guess));
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		CU_ASSERT_FALSE(completes(r, 1000, ISN + 1, good.seq + 1 + (1u << bit)));
		CU_ASSERT_FALSE(completes(r, 1000, ISN + 1 + (1u << bit), good.seq + 1));
	}
	CU_ASSERT_FALSE(completes(r, 1001, ISN + 1, good.seq + 1));
	CU_ASSERT(completes(r, 1000, ISN + 1, good.seq + 1));
	CU_ASSERT_EQUAL(rig_close(r), 0);
}

/* RFC 6528's wish holds for cookies: all but the row of sizes is a coin, for each tuple and SYN. */
static void cookies_are_unrelated(void)
{
	struct rig *r = open_rig(0, 8);
	uint32_t ones[32] = {0};
	uint32_t ones_by_isn[32] = {0};

	for (unsigned i = 0; i < 2000; i++) {
		const uint32_t one = ask_syn(r, flood_port(2 * i), ISN).seq;
		const uint32_t other = ask_syn(r, flood_port(2 * i + 1), ISN).seq;
		const uint32_t by_isn = ask_syn(r, flood_port(2 * i), ISN + 1).seq;
		for (unsigned b = 0; b < 32; b++) {
			ones[b] += (one ^ other) >> b & 1;
			ones_by_isn[b] += (one ^ by_isn) >> b & 1;
		}
	}
	for (unsigned b = 3; b < 32; b++)
		CU_ASSERT(ones[b] > 850 && ones[b] < 1150); /* 1000 +- 22 */
	for (unsigned b = 3; b < 19; b++)
		CU_ASSERT(ones_by_isn[b] > 850 && ones_by_isn[b] < 1150);
	CU_ASSERT_EQUAL(rig_close(r), 0);
}

/* A key lasts a period; a cookie is good for one whole period, and never for more than two. */
static void keys_rotate(void)
{
	for (unsigned start = 0; start < 64; start += 7) {
		struct rig *r = open_rig(0, 8);
		rig_advance(r, start * (uint64_t)S);
		const uint32_t first = ask_syn(r, 1000, ISN).seq;
		rig_advance(r, 63 * (uint64_t)S);
		CU_ASSERT(completes(r, 1000, ISN + 1, first + 1));
		reset(r, 1000);
		rig_advance(r, 65 * (uint64_t)S);
		CU_ASSERT_NOT_EQUAL(ask_syn(r, 1000, ISN).seq, first);
		CU_ASSERT_FALSE(completes(r, 1000, ISN + 1, first + 1));
		CU_ASSERT_EQUAL(rig_close(r), 0);
	}
}

static struct conn *conn_of_port(struct rig *r, uint16_t port)
{
	const struct tcp_tuple tuple = {
		rte_cpu_to_be_32(RIG_PEER), rte_cpu_to_be_32(RIG_LOCAL), port, RIG_PORT};
	const uint32_t index = tcp_table_find(&r->tcp->table, &tuple);

	CU_ASSERT_FATAL(index < r->tcp->conf.connections_max);
	return &r->tcp->conns[index];
}

/* RFC 4987 appendix A: each scale, or none, with and without SACK, at any time: all come back, in
 * a timestamp that is not of the future and not much of the past. */
static void options_come_back(void)
{
	struct rig *r = open_rig(0, 8);
	struct tcp_header syn = header(1000, TCP_SYN, ISN, 0);
	const uint32_t offset =
		tcp_ts_offset(r->tcp, &(struct tcp_tuple){rte_cpu_to_be_32(RIG_PEER),
					      rte_cpu_to_be_32(RIG_LOCAL), 1000, RIG_PORT});

	for (unsigned i = 0; i < 2 * 16; i++) {
		rig_advance(r, 37 * 1000);
		syn.options = (struct tcp_options){.mss = 1460,
			.has_timestamps = true,
			.tsval = 100,
			.has_wscale = i / 2 < 15,
			.wscale = i / 2 < 15 ? (uint8_t)(i / 2) : 0,
			.sack_permitted = i % 2 != 0};
		const struct tcp_header got = ask(r, &syn);
		const uint32_t now = (uint32_t)(r->now_us / 1000) + offset;
		CU_ASSERT(now - got.options.tsval < 64);
		struct tcp_header ack = header(1000, TCP_ACK, ISN + 1, got.seq + 1);
		ack.options.has_timestamps = true;
		ack.options.tsval = 101;
		ack.options.tsecr = got.options.tsval;
		(void)ask(r, &ack);
		const struct conn *c = conn_of_port(r, 1000);
		CU_ASSERT_EQUAL((c->flags & CONN_WSCALE) != 0, syn.options.has_wscale);
		CU_ASSERT_EQUAL(c->snd_wscale, syn.options.wscale);
		CU_ASSERT_EQUAL((c->flags & CONN_SACK) != 0, syn.options.sack_permitted);
		CU_ASSERT_EQUAL(c->mss, 1460);
		CU_ASSERT_EQUAL(c->ts_recent, 101);
		reset(r, 1000);
	}
	CU_ASSERT_EQUAL(rig_close(r), 0);
}

/* A peer is never sent more than it asked for, and not much less. */
static void sizes_are_kept(void)
{
	struct rig *r = open_rig(0, 8);
	struct tcp_header syn = header(1000, TCP_SYN, ISN, 0);

	for (uint32_t mss = 1; mss <= UINT16_MAX; mss += mss < 1500 ? 13 : 1111) {
		syn.options.mss = (uint16_t)mss;
		const struct tcp_header got = ask(r, &syn);
		CU_ASSERT(completes(r, 1000, ISN + 1, got.seq + 1));
		const uint32_t used = conn_of_port(r, 1000)->mss;
		CU_ASSERT(used <= RTE_MAX(mss, (uint32_t)TCP_MSS_FLOOR));
		CU_ASSERT(mss < 1220 || used >= RTE_MIN(mss, 1460u) * 9 / 10);
		reset(r, 1000);
	}
	CU_ASSERT_EQUAL(rig_close(r), 0);
}

/* The SYN got a cookie, and again, when there was room, a record: the peer has taken the cookie. */
static void cookie_and_then_a_record(void)
{
	struct rig *r = open_rig(1, 8);
	const struct tcp_header other = header(1001, TCP_RST, ISN + 1, 0);

	(void)ask_syn(r, 1001, ISN);
	const uint32_t cookie = ask_syn(r, 1000, ISN).seq;
	(void)ask(r, &other);
	const uint32_t record = ask_syn(r, 1000, ISN).seq;
	CU_ASSERT_NOT_EQUAL(record, cookie);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_TCP_HALF_OPEN), 1);
	CU_ASSERT(completes(r, 1000, ISN + 1, cookie + 1));
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_TCP_HALF_OPEN), 0);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_TCP_RESETS_SENT), 0);
	CU_ASSERT_EQUAL(conn_cold(r->tcp, conn_of_port(r, 1000))->iss, cookie);
	CU_ASSERT_EQUAL(rig_close(r), 0);
}

/* The accept queue is full at the cookie's ACK: no RST, and its data brings the cookie again. */
static void queue_full_at_the_ack(void)
{
	struct rig *r = open_rig(0, 1);
	const uint32_t one = ask_syn(r, 1000, ISN).seq;
	const uint32_t two = ask_syn(r, 1001, ISN).seq;
	const struct tcp_header first = header(1000, TCP_ACK, ISN + 1, one + 1);
	const struct tcp_header second = header(1001, TCP_ACK, ISN + 1, two + 1);

	r->hold = true;
	give(r, &first);
	give(r, &second);
	r->hold = false;
	rig_turn(r);
	CU_ASSERT_EQUAL(r->tcp->conns_used, 1);
	CU_ASSERT_EQUAL(errors(r, ERR_TCP_HANDSHAKE_WAITS), 1);
	CU_ASSERT_EQUAL(errors(r, ERR_TCP_BACKLOG_FULL), 1);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_TCP_RESETS_SENT), 0);
	CU_ASSERT(completes(r, 1001, ISN + 1, two + 1));
	CU_ASSERT_EQUAL(rig_close(r), 0);
}

static const struct unit_test tests[] = {{"memory_is_bounded", memory_is_bounded},
	{"guesses_fail", guesses_fail}, {"cookies_are_unrelated", cookies_are_unrelated},
	{"keys_rotate", keys_rotate}, {"options_come_back", options_come_back},
	{"sizes_are_kept", sizes_are_kept}, {"cookie_and_then_a_record", cookie_and_then_a_record},
	{"queue_full_at_the_ack", queue_full_at_the_ack}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("syn_flood", tests, argc, argv);
}
