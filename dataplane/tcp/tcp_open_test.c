/* tcp_open_test.c - numbers that nobody may guess: ISNs, ports; and ids that go stale. */
#include "dataplane/base/rng.h"
#include "dataplane/tcp/tcp_memory.h"
#include "dataplane/tcp/tcp_rig.h"
#include "tests/unit/unit.h"

enum { S = 1000000 };

static enum err connect_at(
	struct tcp_rig *r, uint32_t peer, uint16_t port, uint64_t now_us, struct tcp_id *id)
{
	return tcp_connect(r->tcp, rte_cpu_to_be_32(peer), 80, port, 0, id, now_us);
}

static uint32_t isn_at(struct tcp_rig *r, uint32_t peer, uint16_t port, uint64_t now_us)
{
	struct tcp_id id;
	struct tcp_event e;

	CU_ASSERT_EQUAL(connect_at(r, peer, port, now_us, &id), ERR_NONE);
	const uint32_t isn = conn_cold(r->tcp, tcp_conn_find(r->tcp, id))->iss;
	tcp_abort(r->tcp, id);
	while (tcp_next_event(r->tcp, &e))
		tcp_release(r->tcp, e.id);
	tcp_flush(r->tcp, now_us);
	return isn;
}

/* RFC 6528: for one tuple the clock moves it on, a quarter of a million a second. */
static void isn_of_a_tuple_moves_on(void)
{
	struct tcp_rig *r = tcp_rig_open(8);
	const uint32_t first = isn_at(r, 0x0a000002, 40000, 0);

	CU_ASSERT_EQUAL(isn_at(r, 0x0a000002, 40000, 4), first + 1);
	CU_ASSERT_EQUAL(isn_at(r, 0x0a000002, 40000, S), first + 250000);
	tcp_rig_close(r);
}

/* Across tuples there is no pattern: every bit of the difference is a coin. */
static void isns_of_tuples_are_unrelated(void)
{
	struct tcp_rig *r = tcp_rig_open(8);
	uint32_t ones[32] = {0};
	uint32_t last = isn_at(r, 0x0a000002, 39999, 0);

	for (unsigned i = 0; i < 2000; i++) {
		const uint32_t isn = isn_at(r, 0x0a000002, (uint16_t)(40000 + i), 0);
		for (unsigned b = 0; b < 32; b++)
			ones[b] += (isn - last) >> b & 1;
		last = isn;
	}
	for (unsigned b = 0; b < 32; b++)
		CU_ASSERT(ones[b] > 850 && ones[b] < 1150); /* 1000 +- 22 */
	tcp_rig_close(r);
}

/* RFC 6056: spread over the range, never twice to the same peer at once. */
static void ports_are_spread(void)
{
	struct tcp_rig *r = tcp_rig_open(8);
	static bool taken[65536];
	unsigned low = 0;

	memset(taken, 0, sizeof(taken));
	for (unsigned i = 0; i < 64; i++) {
		struct tcp_id id;
		CU_ASSERT_EQUAL(connect_at(r, 0x0a000002, 0, 0, &id), ERR_NONE);
		const uint16_t port = tcp_conn_find(r->tcp, id)->tuple.local_port;
		CU_ASSERT(port >= 32768 && port <= 60999);
		CU_ASSERT_FALSE(taken[port]);
		taken[port] = true;
		low += port < 32768 + 14116;
	}
	CU_ASSERT(low > 12 && low < 52);
	tcp_rig_close(r);
}

static void refusals(void)
{
	struct tcp_rig *r = tcp_rig_open(8);
	struct tcp_id id;

	CU_ASSERT_EQUAL(connect_at(r, 0x0a000002, 40000, 0, &id), ERR_NONE);
	CU_ASSERT_EQUAL(connect_at(r, 0x0a000002, 40000, 0, &id), ERR_TCP_PORT_TAKEN);
	CU_ASSERT_EQUAL(connect_at(r, 0, 40001, 0, &id), ERR_IPV4_NO_ROUTE);
	for (uint16_t i = 1; i < 64; i++)
		CU_ASSERT_EQUAL(connect_at(r, 0x0a000002, 40000 + i, 0, &id), ERR_NONE);
	CU_ASSERT_EQUAL(connect_at(r, 0x0a000002, 50000, 0, &id), ERR_TCP_TABLE_FULL);
	CU_ASSERT_EQUAL(tcp_listen(r->tcp, 0, 80, 1), ERR_NONE);
	CU_ASSERT_EQUAL(tcp_listen(r->tcp, 0, 80, 1), ERR_TCP_PORT_TAKEN);
	for (int i = 1; i < TCP_LISTENERS; i++)
		CU_ASSERT_EQUAL(tcp_listen(r->tcp, 0, (uint16_t)(80 + i), 1), ERR_NONE);
	CU_ASSERT_EQUAL(tcp_listen(r->tcp, 0, 1000, 1), ERR_TCP_TABLE_FULL);
	tcp_rig_close(r);
}

/* An id of a connection that is gone does nothing, whoever has its record now. */
static void stale_ids(void)
{
	struct tcp_rig *r = tcp_rig_open(8);
	struct tcp_id old, other;
	struct tcp_event e;

	CU_ASSERT_EQUAL(connect_at(r, 0x0a000002, 40000, 0, &old), ERR_NONE);
	tcp_abort(r->tcp, old);
	CU_ASSERT_FATAL(tcp_next_event(r->tcp, &e));
	CU_ASSERT_EQUAL(e.kind, TCP_EVENT_CLOSED);
	CU_ASSERT_EQUAL(e.why, ERR_TCP_ABORTED);
	tcp_release(r->tcp, old);
	CU_ASSERT_FALSE(tcp_next_event(r->tcp, &e));
	tcp_flush(r->tcp, 0);
	for (unsigned i = 0; i < 64; i++) /* all records, its own at last */
		CU_ASSERT_EQUAL(
			connect_at(r, 0x0a000002, (uint16_t)(40000 + i), 0, &other), ERR_NONE);
	CU_ASSERT_EQUAL(other.index, old.index);
	CU_ASSERT_NOT_EQUAL(other.generation, old.generation);
	CU_ASSERT_FALSE(tcp_send(r->tcp, old, span_str("x")));
	CU_ASSERT_EQUAL(tcp_send_room(r->tcp, old), 0);
	CU_ASSERT_EQUAL(tcp_recv_available(r->tcp, old), 0);
	CU_ASSERT_EQUAL(tcp_recv_peek(r->tcp, old).size, 0);
	CU_ASSERT_FALSE(tcp_at_end(r->tcp, old));
	tcp_close(r->tcp, old);
	tcp_abort(r->tcp, old);
	tcp_release(r->tcp, old);
	CU_ASSERT_EQUAL(tcp_conn_find(r->tcp, other)->state, STATE_SYN_SENT);
	tcp_rig_close(r);
}

/* What an idle connection costs, and that tcp_bytes says so. */
static void memory(void)
{
	struct tcp_rig *r = tcp_rig_open(8);
	struct tcp_conf c = r->tcp->conf;

	c.connections_max = 100000;
	const size_t many = tcp_bytes(&c);
	c.connections_max = 200000;
	const size_t per = (tcp_bytes(&c) - many) / 100000;
	printf("# %zu bytes a connection (hot %zu, cold %zu)\n", per, sizeof(struct conn),
		sizeof(struct conn_cold));
	CU_ASSERT(per <= 456); /* shares of pools that idle ones do not take are in it */
	tcp_rig_close(r);
}

/* What a connection takes is counted while it is there. */
static void memory_is_told(void)
{
	struct tcp_rig *r = tcp_rig_open(8);
	struct tcp_id id;
	struct tcp_event e;

	CU_ASSERT_EQUAL(tcp_used(r->tcp), 0);
	CU_ASSERT_EQUAL(connect_at(r, 0x0a000002, 40000, 0, &id), ERR_NONE);
	const size_t one = tcp_used(r->tcp);
	CU_ASSERT(one >= sizeof(struct conn) + sizeof(struct conn_cold));
	CU_ASSERT(one < 1024);
	CU_ASSERT_EQUAL(connect_at(r, 0x0a000002, 40001, 0, &id), ERR_NONE);
	CU_ASSERT_EQUAL(tcp_used(r->tcp), 2 * one);
	for (uint32_t i = 0; i < r->tcp->conf.connections_max; i++)
		if (r->tcp->conns[i].state != STATE_FREE)
			tcp_abort(r->tcp, (struct tcp_id){i, r->tcp->conns[i].generation});
	while (tcp_next_event(r->tcp, &e))
		tcp_release(r->tcp, e.id);
	tcp_flush(r->tcp, 0);
	CU_ASSERT_EQUAL(tcp_used(r->tcp), 0);
	tcp_rig_close(r);
}

static const struct unit_test tests[] = {{"memory_is_told", memory_is_told},
	{"isn_of_a_tuple_moves_on", isn_of_a_tuple_moves_on},
	{"isns_of_tuples_are_unrelated", isns_of_tuples_are_unrelated},
	{"ports_are_spread", ports_are_spread}, {"refusals", refusals}, {"stale_ids", stale_ids},
	{"memory", memory}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_open", tests, argc, argv);
}
