/* tcp_info_test.c - what is told of a connection, and of one that is not there. */
#include "dataplane/tcp/tcp_info.h"

#include "dataplane/tcp/tcp_rig.h"
#include "tests/unit/unit.h"

enum { S = 1000000 };

static struct tcp_id open_one(struct tcp_rig *r, uint16_t port)
{
	struct tcp_id id;

	CU_ASSERT_EQUAL(
		tcp_connect(r->tcp, rte_cpu_to_be_32(0x0a000002), port, 40000, 7, &id, 1 * S),
		ERR_NONE);
	return id;
}

static void close_one(struct tcp_rig *r, struct tcp_id id)
{
	struct tcp_event e;

	tcp_abort(r->tcp, id);
	while (tcp_next_event(r->tcp, &e))
		tcp_release(r->tcp, e.id);
	tcp_flush(r->tcp, 1 * S);
}

static void a_connection_that_opens(void)
{
	struct tcp_rig *r = tcp_rig_open(8);
	const struct tcp_id id = open_one(r, 1883);
	static const uint8_t peer[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 2};
	struct tcp_facts f;

	CU_ASSERT_FATAL(tcp_info(r->tcp, id, &f));
	CU_ASSERT_EQUAL(f.index, id.index);
	CU_ASSERT_EQUAL(f.generation, id.generation);
	CU_ASSERT_STRING_EQUAL(tcp_state_name(f.state), "SYN-SENT");
	CU_ASSERT_EQUAL(memcmp(f.peer, peer, sizeof(peer)), 0);
	CU_ASSERT_EQUAL(f.peer_port, 1883);
	CU_ASSERT_EQUAL(f.local_port, 40000);
	CU_ASSERT_EQUAL(f.rto_us, RTO_INITIAL_US);
	CU_ASSERT_EQUAL(f.bytes_in, 0);
	CU_ASSERT_EQUAL(f.bytes_out, 0);
	close_one(r, id);
	tcp_rig_close(r);
}

/* Numbers as the records hold them, of an established one. */
static void numbers_are_the_records(void)
{
	struct tcp_rig *r = tcp_rig_open(8);
	const struct tcp_id id = open_one(r, 1883);
	struct conn *c = tcp_conn_find(r->tcp, id);
	struct conn_cold *cold = conn_cold(r->tcp, c);
	struct tcp_facts f;

	tcp_flush(r->tcp, 1 * S);
	c->snd_una = c->snd_nxt = cold->iss + 1;
	tcp_conn_established(r->tcp, c, 1 * S);
	cold->irs = 0xfffffff0u;
	c->rcv_nxt = cold->irs + 1 + 1000; /* over the end of the numbers */
	c->flags |= CONN_SACK | CONN_TIMESTAMPS;
	c->srtt_us = 250;
	cold->retransmits = 3;
	c->snd_una += 50;
	c->snd_nxt = c->snd_max = c->send_seq = c->snd_una;
	CU_ASSERT_FATAL(tcp_info(r->tcp, id, &f));
	CU_ASSERT_STRING_EQUAL(tcp_state_name(f.state), "ESTABLISHED");
	CU_ASSERT_EQUAL(f.bytes_in, 1000);
	CU_ASSERT_EQUAL(f.bytes_out, 50);
	CU_ASSERT_EQUAL(f.srtt_us, 250);
	CU_ASSERT_EQUAL(f.retransmits, 3);
	CU_ASSERT_EQUAL(f.unacked, 0);
	CU_ASSERT_EQUAL(f.cwnd, c->cwnd);
	CU_ASSERT_EQUAL(f.flags & (TCP_FACTS_SACK | TCP_FACTS_TIMESTAMPS | TCP_FACTS_WSCALE),
		TCP_FACTS_SACK | TCP_FACTS_TIMESTAMPS);
	close_one(r, id);
	tcp_rig_close(r);
}

static void retransmissions_are_counted(void)
{
	struct tcp_rig *r = tcp_rig_open(8);
	const struct tcp_id id = open_one(r, 1883);
	struct tcp_facts f;

	tcp_flush(r->tcp, 1 * S);
	tcp_poll_timers(r->tcp, 3 * S, 64); /* the SYN goes again */
	CU_ASSERT_FATAL(tcp_info(r->tcp, id, &f));
	CU_ASSERT_EQUAL(f.retransmits, 1);
	CU_ASSERT_EQUAL(f.backoff, 1);
	CU_ASSERT_EQUAL(f.rto_us, 2 * RTO_INITIAL_US);
	close_one(r, id);
	tcp_rig_close(r);
}

static void nobody_there(void)
{
	struct tcp_rig *r = tcp_rig_open(8);
	const struct tcp_id id = open_one(r, 1883);
	const struct tcp_id stale = {id.index, id.generation + 1}, far = {64, 0},
			    farthest = {UINT32_MAX, 0};
	struct tcp_facts f;

	CU_ASSERT_FALSE(tcp_info(r->tcp, stale, &f));
	CU_ASSERT_FALSE(tcp_info(r->tcp, far, &f));
	CU_ASSERT_FALSE(tcp_info(r->tcp, farthest, &f));
	close_one(r, id);
	CU_ASSERT_FALSE(tcp_info(r->tcp, id, &f));
	tcp_rig_close(r);
}

static void a_walk_finds_all(void)
{
	struct tcp_rig *r = tcp_rig_open(8);
	const struct tcp_id a = open_one(r, 1), b = open_one(r, 2), c = open_one(r, 3);
	struct tcp_facts f;
	uint32_t found = 0;

	close_one(r, b);
	CU_ASSERT_EQUAL(tcp_info_places(r->tcp), 64);
	for (uint32_t i = 0; i < tcp_info_places(r->tcp); i++) {
		if (!tcp_info_at(r->tcp, i, &f))
			continue;
		CU_ASSERT(i == a.index || i == c.index);
		CU_ASSERT_EQUAL(f.index, i);
		found++;
	}
	CU_ASSERT_EQUAL(found, 2);
	close_one(r, a);
	close_one(r, c);
	tcp_rig_close(r);
}

static const struct unit_test tests[] = {
	{"a_connection_that_opens", a_connection_that_opens},
	{"numbers_are_the_records", numbers_are_the_records},
	{"retransmissions_are_counted", retransmissions_are_counted},
	{"nobody_there", nobody_there},
	{"a_walk_finds_all", a_walk_finds_all},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_info", tests, argc, argv);
}
