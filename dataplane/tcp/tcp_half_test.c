/* tcp_half_test.c - half-open records: their size, their limits, and that all of them end. */
#include "dataplane/tcp/tcp_half.h"
#include "dataplane/tcp/tcp_memory.h"
#include "dataplane/tcp/tcp_rig.h"
#include "tests/unit/unit.h"

enum { PORT = 80, ISS = 777, IRS = 5000, S = 1000000 };

static struct segment segment_of(struct tcp_rig *r, uint16_t peer_port, uint8_t flags, uint32_t seq)
{
	return (struct segment){.h = {.src_port = peer_port,
					.dst_port = PORT,
					.seq = seq,
					.ack = (flags & TCP_ACK) != 0 ? ISS + 1 : 0,
					.flags = flags,
					.window = 1000},
		.tuple = {rte_cpu_to_be_32(0x0a000002), r->tcp->conf.address, peer_port, PORT},
		.seq = seq,
		.now_us = r->tcp->now_us};
}

static void begin(struct tcp_rig *r, uint16_t peer_port)
{
	const struct segment s = segment_of(r, peer_port, TCP_SYN, IRS);

	tcp_half_begin(r->tcp, &r->tcp->listeners[0], &s, ISS);
	tcp_check(r->tcp);
}

static void give(struct tcp_rig *r, uint16_t peer_port, uint8_t flags, uint32_t seq)
{
	struct segment s = segment_of(r, peer_port, flags, seq);
	const uint32_t base = r->tcp->conf.connections_max + r->tcp->conf.time_wait_max;
	const uint32_t index = tcp_table_find(&r->tcp->table, &s.tuple);

	CU_ASSERT_FATAL(index != TABLE_EMPTY && index >= base);
	tcp_half_input(r->tcp, index - base, &s);
	tcp_check(r->tcp);
}

static uint64_t errors(const struct tcp_rig *r, enum err e)
{
	return counter_get(&r->counters, (enum counter)(COUNTER_NAMED + (unsigned)e));
}

static struct tcp_rig *open_rig(uint32_t backlog)
{
	struct tcp_rig *r = tcp_rig_open(8);

	CU_ASSERT_EQUAL(tcp_listen(r->tcp, 0, PORT, backlog), ERR_NONE);
	return r;
}

static uint64_t sent(const struct tcp_rig *r)
{
	return counter_get(&r->counters, COUNTER_TCP_TX_SEGMENTS);
}

/* What a flood takes: a record of a cache line and its place in the tables, and no connection. */
static void memory(void)
{
	struct tcp_rig *r = open_rig(8);

	begin(r, 1000);
	const size_t one = tcp_used(r->tcp);
	CU_ASSERT(one <= 64 + sizeof(uint32_t) + 2 * sizeof(struct tcp_table_entry));
	for (uint16_t i = 1; !tcp_half_is_full(r->tcp); i++)
		begin(r, (uint16_t)(1000 + i));
	CU_ASSERT_EQUAL(tcp_used(r->tcp), r->tcp->conf.half_open_max * one);
	CU_ASSERT_EQUAL(r->tcp->conns_used, 0);
	tcp_rig_close(r);
}

/* The listener's queue is full at the ACK: the record stays until there is room. */
static void queue_full_at_the_ack(void)
{
	struct tcp_rig *r = open_rig(1);
	struct tcp_event e;

	begin(r, 1000);
	begin(r, 1001);
	give(r, 1000, TCP_ACK, IRS + 1);
	give(r, 1001, TCP_ACK, IRS + 1);
	CU_ASSERT_EQUAL(errors(r, ERR_TCP_BACKLOG_FULL), 1);
	CU_ASSERT_EQUAL(errors(r, ERR_TCP_HANDSHAKE_WAITS), 1);
	CU_ASSERT_EQUAL(r->tcp->conns_used, 1);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_TCP_HALF_OPEN), 1);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_TCP_RESETS_SENT), 0);
	CU_ASSERT_FATAL(tcp_next_event(r->tcp, &e));
	CU_ASSERT_EQUAL(e.kind, TCP_EVENT_ACCEPTED);
	give(r, 1001, TCP_ACK, IRS + 1);
	CU_ASSERT_EQUAL(r->tcp->conns_used, 2);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_TCP_HALF_OPEN), 0);
	tcp_rig_close(r);
}

/* RFC 5961 7: each record answers a number of challenges that nobody knows, and no more. */
static void challenges_are_few(void)
{
	struct tcp_rig *r = open_rig(8);
	uint32_t seen = 0;

	for (uint16_t port = 1000; port < 1050; port++) {
		begin(r, port);
		const uint64_t before = sent(r);
		for (unsigned i = 0; i < 100; i++)
			give(r, port, TCP_RST, IRS + 2);
		CU_ASSERT(sent(r) - before >= 4);
		CU_ASSERT(sent(r) - before < 12);
		seen |= 1u << (sent(r) - before);
		give(r, port, TCP_RST, IRS + 1);
	}
	CU_ASSERT(__builtin_popcount(seen) >= 5);
	tcp_rig_close(r);
}

/* RFC 9293 3.8.3: six SYN-ACKs, doubling waits, and nothing is left after 63 seconds. */
static void all_records_end(void)
{
	struct tcp_rig *r = open_rig(8);

	for (uint64_t ms = 0; ms < 6; ms++) {
		r->tcp->now_us = ms * 1000;
		begin(r, (uint16_t)(1000 + ms));
	}
	for (uint64_t now = tcp_half_next_us(r->tcp); now != UINT64_MAX;
		now = tcp_half_next_us(r->tcp)) {
		CU_ASSERT_FATAL(now <= 63 * S + 5000);
		tcp_poll_timers(r->tcp, now, 100);
		tcp_check(r->tcp);
	}
	CU_ASSERT_EQUAL(sent(r), 36);
	CU_ASSERT_EQUAL(errors(r, ERR_TCP_TIMEOUT), 6);
	CU_ASSERT_EQUAL(r->tcp->now_us, 63 * S + 5000);
	CU_ASSERT_EQUAL(tcp_used(r->tcp), 0);
	tcp_rig_close(r);
}

/* The first SYN-ACK finds no buffer: it leaves a millisecond later, not with the retransmission. */
static void first_syn_ack_waits_for_a_buffer(void)
{
	struct tcp_rig *r = open_rig(8);
	struct rte_mbuf *taken[256];
	unsigned count = 0;

	while (count < 256 && (taken[count] = rte_pktmbuf_alloc(r->headers)) != NULL)
		count++;
	begin(r, 1000);
	CU_ASSERT_EQUAL(sent(r), 0);
	CU_ASSERT_EQUAL(tcp_half_next_us(r->tcp), 1000);
	tcp_poll_timers(r->tcp, 1000, 100);
	CU_ASSERT_EQUAL(sent(r), 0);
	rte_pktmbuf_free_bulk(taken, count);
	tcp_poll_timers(r->tcp, 2000, 100);
	CU_ASSERT_EQUAL(sent(r), 1);
	CU_ASSERT_EQUAL(tcp_half_next_us(r->tcp), S + 2000);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_TCP_RETRANSMITS), 0);
	tcp_rig_close(r);
}

static const struct unit_test tests[] = {{"memory", memory},
	{"queue_full_at_the_ack", queue_full_at_the_ack},
	{"challenges_are_few", challenges_are_few}, {"all_records_end", all_records_end},
	{"first_syn_ack_waits_for_a_buffer", first_syn_ack_waits_for_a_buffer}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_half", tests, argc, argv);
}
