/* tcp_flight_test.c - who has a flight, and what happens when none is free. */
#include "dataplane/tcp/tcp_internal.h"
#include "dataplane/tcp/tcp_rig.h"
#include "tests/unit/unit.h"

enum { SEGMENT = 536, CWND = 100 * SEGMENT };

/* In congestion avoidance, with something in the network. */
static struct conn *conn_in_flight(struct tcp_rig *r)
{
	struct tcp_id id;
	const enum err e =
		tcp_connect(r->tcp, rte_cpu_to_be_32(0x0a000002), 80, 0, 0, &id, 1000000);

	CU_ASSERT_EQUAL_FATAL(e, ERR_NONE);
	struct conn *c = &r->tcp->conns[id.index];
	tcp_flush(r->tcp, 1000000);
	CU_ASSERT(tcp_flight_wanted(c));
	c->cwnd = CWND;
	c->ssthresh = CWND;
	c->mss = SEGMENT;
	c->srtt_us = 1;
	conn_cold(r->tcp, c)->w_max = 2 * CWND;
	return c;
}

/* Takes flights as others would; leaves so many. */
static void leave(struct tcp *t, uint32_t left)
{
	while (t->flights.count - t->flights.out > left)
		CU_ASSERT_NOT_EQUAL(pool_get(&t->flights), POOL_NONE);
}

static void taken_and_given_back(void)
{
	struct tcp_rig *r = tcp_rig_open(16);
	struct conn *c = conn_in_flight(r);

	CU_ASSERT_PTR_NULL(tcp_flight_of(r->tcp, c));
	struct flight *f = tcp_flight_get(r->tcp, c, false);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_PTR_EQUAL(tcp_flight_get(r->tcp, c, true), f);
	CU_ASSERT_PTR_NULL(tcp_board_of(r->tcp, c));
	CU_ASSERT_EQUAL(r->tcp->flights.out, 1);
	tcp_flight_put(r->tcp, c);
	tcp_flight_put(r->tcp, c);
	CU_ASSERT_EQUAL(r->tcp->flights.out, 0);
	c->snd_una = c->snd_max; /* nothing in the network, and nothing waits */
	CU_ASSERT_PTR_NULL(tcp_flight_get(r->tcp, c, true));
	tcp_rig_close(r);
}

static void half_is_for_losses(void)
{
	struct tcp_rig *r = tcp_rig_open(16);
	struct conn *c = conn_in_flight(r);

	leave(r->tcp, r->tcp->flights.count / 2);
	CU_ASSERT_PTR_NULL(tcp_flight_get(r->tcp, c, false));
	CU_ASSERT_PTR_NOT_NULL(tcp_flight_get(r->tcp, c, true));
	tcp_rig_close(r);
}

/* CUBIC's Reno-friendly 9/17 of a segment for a window; without a flight, Reno's whole one. */
static void grows_without(void)
{
	struct tcp_rig *r = tcp_rig_open(16);
	struct conn *c = conn_in_flight(r);

	tcp_congestion_acked(r->tcp, c, CWND);
	CU_ASSERT_EQUAL(c->cwnd, CWND + SEGMENT * 9 / 17);
	tcp_flight_put(r->tcp, c);
	leave(r->tcp, 0);
	c->cwnd = CWND;
	tcp_congestion_acked(r->tcp, c, CWND);
	CU_ASSERT_EQUAL(c->cwnd, CWND + SEGMENT);
	tcp_rig_close(r);
}

/* RFC 9438 4.6 needs none. */
static void loses_without(void)
{
	struct tcp_rig *r = tcp_rig_open(16);
	struct conn *c = conn_in_flight(r);

	leave(r->tcp, 0);
	tcp_congestion_loss(r->tcp, c, CWND);
	CU_ASSERT_EQUAL(c->cwnd, CWND * 7 / 10);
	CU_ASSERT_EQUAL(conn_cold(r->tcp, c)->w_max, CWND * 17 / 20); /* 4.7 */
	tcp_rig_close(r);
}

static const struct unit_test tests[] = {{"taken_and_given_back", taken_and_given_back},
	{"half_is_for_losses", half_is_for_losses}, {"grows_without", grows_without},
	{"loses_without", loses_without}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_flight", tests, argc, argv);
}
