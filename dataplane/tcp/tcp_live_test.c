/* tcp_live_test.c - what a stack leaves to its successor, and what that does with it.
 *
 * The peers' side of it is in tests/wire (orphan_test.c), the whole in tests/talk (life.py). */
#include "dataplane/tcp/tcp_half.h"
#include "dataplane/tcp/tcp_rig.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

enum { S = 1000000, ENTRIES = 64, PORT = 80 };

static struct tcp_live_table *table;

/* A stack with that table; conf as the rig's. */
static struct tcp_rig *restart(struct tcp_rig *r, uint32_t generation, uint64_t now_us)
{
	struct tcp_conf conf = r->tcp->conf;

	tcp_destroy(&r->tcp);
	conf.live = (struct tcp_live_conf){table, ENTRIES, generation};
	conf.seed = generation;
	r->tcp = tcp_create(&conf, now_us);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->tcp);
	CU_ASSERT_EQUAL(tcp_listen(r->tcp, 0, PORT, 64), ERR_NONE);
	return r;
}

static struct tcp_rig *open_rig(void)
{
	free(table);
	table = calloc(1, sizeof(*table) + ENTRIES * sizeof(table->entries[0]));
	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	return restart(tcp_rig_open(8), 1, 0);
}

static struct segment segment_of(struct tcp_rig *r, uint16_t peer_port, uint8_t flags)
{
	return (struct segment){.h = {.src_port = peer_port,
					.dst_port = PORT,
					.seq = 1,
					.ack = 1,
					.flags = flags,
					.window = 1000},
		.tuple = {rte_cpu_to_be_32(0x0a000002), r->tcp->conf.address, peer_port, PORT},
		.seq = 1,
		.now_us = r->tcp->now_us};
}

static struct conn *establish(struct tcp_rig *r, uint16_t peer_port)
{
	struct segment syn = segment_of(r, peer_port, TCP_SYN);
	struct segment ack = segment_of(r, peer_port, TCP_ACK);

	syn.seq = syn.h.seq = 0;
	struct conn *c = tcp_accept(r->tcp, &r->tcp->listeners[0], &syn, 0);
	tcp_input_conn(r->tcp, c, &ack);
	CU_ASSERT_EQUAL(c->state, STATE_ESTABLISHED);
	return c;
}

static uint64_t probes(const struct tcp_rig *r)
{
	return counter_get(&r->counters, COUNTER_TCP_ORPHANS_PROBED);
}

/* Lets time pass until the stack has nothing more to do for orphans. */
static void walk(struct tcp_rig *r)
{
	uint64_t now;

	while ((now = tcp_live_next_us(r->tcp)) != UINT64_MAX) {
		const uint64_t before = probes(r);
		tcp_poll_timers(r->tcp, now, 100);
		CU_ASSERT(probes(r) - before <= 16);
		CU_ASSERT_FATAL(tcp_live_next_us(r->tcp) >= now + 1000);
		tcp_check(r->tcp);
	}
}

static uint32_t entries_taken(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ENTRIES; i++)
		n += table->entries[i].generation != 0;
	return n;
}

static void entries_come_and_go(void)
{
	struct tcp_rig *r = open_rig();
	struct conn *c = establish(r, 1000);

	tcp_check(r->tcp);
	CU_ASSERT_EQUAL(entries_taken(), 1);
	CU_ASSERT_EQUAL(table->entries[conn_index(r->tcp, c)].tuple.peer_port, 1000);
	tcp_conn_abort(r->tcp, c, ERR_TCP_ABORTED);
	CU_ASSERT_EQUAL(entries_taken(), 0);
	tcp_check(r->tcp);
	tcp_rig_close(r);
}

/* Neither who begins, nor who connects: nobody of them would miss us. */
static void half_open_is_not_live(void)
{
	struct tcp_rig *r = open_rig();
	const struct segment syn = segment_of(r, 1000, TCP_SYN);
	struct tcp_id id;

	tcp_half_begin(r->tcp, &r->tcp->listeners[0], &syn, 0);
	CU_ASSERT_EQUAL(
		tcp_connect(r->tcp, rte_cpu_to_be_32(0x0a000002), 80, 0, 0, &id, 0), ERR_NONE);
	CU_ASSERT_EQUAL(entries_taken(), 0);
	tcp_check(r->tcp);
	tcp_rig_close(r);
}

static void nothing_left_nothing_done(void)
{
	struct tcp_rig *r = open_rig();

	CU_ASSERT_EQUAL(tcp_live_next_us(r->tcp), UINT64_MAX);
	restart(r, 2, 0);
	walk(r);
	CU_ASSERT_EQUAL(probes(r), 0);
	tcp_rig_close(r);
}

/* Each orphan has its rounds, at a limited rate, and then none is left. */
static void orphans_are_probed(void)
{
	struct tcp_rig *r = open_rig();

	for (uint16_t i = 0; i < 40; i++)
		(void)establish(r, (uint16_t)(1000 + i));
	restart(r, 2, 5 * S);
	CU_ASSERT_EQUAL(entries_taken(), 40);
	CU_ASSERT_EQUAL(tcp_live_next_us(r->tcp), 5 * S);
	tcp_poll_timers(r->tcp, 5 * S, 100);
	CU_ASSERT_EQUAL(probes(r), 16);
	tcp_poll_timers(r->tcp, 5 * S + 999, 100);
	CU_ASSERT_EQUAL(probes(r), 16);
	walk(r);
	CU_ASSERT_EQUAL(probes(r), 5 * 40);
	CU_ASSERT(r->tcp->now_us < 5 * S + 15 * S + 10000);
	CU_ASSERT_EQUAL(entries_taken(), 0);
	tcp_rig_close(r);
}

/* A process that dies before it is through leaves the rest, and its own, to the next. */
static void two_crashes(void)
{
	struct tcp_rig *r = open_rig();

	for (uint16_t i = 0; i < 40; i++)
		(void)establish(r, (uint16_t)(1000 + i));
	restart(r, 2, S);
	tcp_poll_timers(r->tcp, S, 100);
	(void)establish(r, 2000);
	restart(r, 3, 2 * S);
	const uint64_t before = probes(r);
	walk(r);
	CU_ASSERT_EQUAL(probes(r) - before, 5 * 40);
	tcp_rig_close(r);
}

/* A connection that needs an orphan's place: the orphan has its turn first. */
static void displaced_orphan(void)
{
	struct tcp_rig *r = open_rig();

	(void)establish(r, 1000);
	restart(r, 2, S);
	const struct conn *c = establish(r, 2000);
	CU_ASSERT_EQUAL(conn_index(r->tcp, c), 0);
	CU_ASSERT_EQUAL(probes(r), 1);
	CU_ASSERT_EQUAL(table->entries[0].tuple.peer_port, 2000);
	walk(r);
	CU_ASSERT_EQUAL(probes(r), 1);
	CU_ASSERT_EQUAL(entries_taken(), 1);
	tcp_rig_close(r);
}

/* The peer is back already, with the same ports: it is left in peace. */
static void same_ports_again(void)
{
	struct tcp_rig *r = open_rig();

	(void)establish(r, 1000);
	(void)establish(r, 1001);
	restart(r, 2, S);
	(void)establish(r, 1001);
	walk(r);
	/* 1000 gave its place up for 1001. */
	CU_ASSERT_EQUAL(probes(r), 1);
	tcp_rig_close(r);
}

/* Whatever lies in the table harms nobody. */
static void garbage(void)
{
	struct tcp_rig *r = open_rig();

	table->used = UINT32_MAX;
	for (uint32_t i = 0; i < ENTRIES; i++)
		table->entries[i] = (struct tcp_live){{i, i % 2 == 0 ? r->tcp->conf.address : i,
							      (uint16_t)(i % 3), (uint16_t)(i % 5)},
			i + 2};
	table->entries[0].tuple.peer = UINT32_MAX;
	restart(r, 1000, S);
	walk(r);
	CU_ASSERT_EQUAL(entries_taken(), 0);
	tcp_rig_close(r);
}

static const struct unit_test tests[] = {{"entries_come_and_go", entries_come_and_go},
	{"half_open_is_not_live", half_open_is_not_live},
	{"nothing_left_nothing_done", nothing_left_nothing_done},
	{"orphans_are_probed", orphans_are_probed}, {"two_crashes", two_crashes},
	{"displaced_orphan", displaced_orphan}, {"same_ports_again", same_ports_again},
	{"garbage", garbage}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_live", tests, argc, argv);
}
