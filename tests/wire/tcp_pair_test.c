/* tcp_pair_test.c - two of our stacks, bytes both ways, over wires of all kinds.
 *
 * Whatever the wire does: every byte arrives once and in order, both ends close
 * in order, and every buffer is back in its pool. */
#include "tests/unit/unit.h"
#include "tests/wire/pair.h"

#include <stdio.h>

enum { MS = 1000, S = 1000000, MB = 1000000 };

static struct pair_conf plain(void)
{
	return (struct pair_conf){.impair = {.delay_us = 5 * MS, .seed = 1},
		.bits_per_s = 1000000000,
		.bytes = 10 * MB,
		.window = 256 << 10,
		.send_queue = 256 << 10,
		.headers = 1024,
		.copies = 512,
		.held = 512,
		.nodes = 2048,
		.frames = 400,
		.mtu = 1500,
		.segs_max = SIM_SEGS_MAX,
		.connections = 1,
		.seed = 1};
}

static void run(const struct pair_conf *conf, uint64_t limit_us, struct pair_result *r)
{
	pair_run(conf, limit_us, r);
	CU_ASSERT(r->finished);
	CU_ASSERT_EQUAL(r->wrong, 0);
	CU_ASSERT_EQUAL(r->received, 2 * conf->bytes * conf->connections);
	CU_ASSERT_EQUAL(r->buffers, 0);
	CU_ASSERT_EQUAL(r->lent, 0);
	CU_ASSERT_EQUAL(counter_get(&r->counters[0], COUNTER_TCP_CONNECTIONS), 0);
	printf("# %.1f s virtual, %llu bytes, segments %llu+%llu, again %llu+%llu, timeouts "
	       "%llu+%llu, recoveries %llu+%llu\n",
		(double)r->now_us / S, (unsigned long long)r->received,
		(unsigned long long)r->counters[0].value[COUNTER_TCP_TX_SEGMENTS],
		(unsigned long long)r->counters[1].value[COUNTER_TCP_TX_SEGMENTS],
		(unsigned long long)r->counters[0].value[COUNTER_TCP_RETRANSMITS],
		(unsigned long long)r->counters[1].value[COUNTER_TCP_RETRANSMITS],
		(unsigned long long)r->counters[0].value[COUNTER_TCP_RTO],
		(unsigned long long)r->counters[1].value[COUNTER_TCP_RTO],
		(unsigned long long)r->counters[0].value[COUNTER_TCP_FAST_RECOVERIES],
		(unsigned long long)r->counters[1].value[COUNTER_TCP_FAST_RECOVERIES]);
}

static void lossless(void)
{
	const struct pair_conf c = plain();
	struct pair_result r;

	run(&c, 60ull * S, &r);
	CU_ASSERT_EQUAL(counter_get(&r.counters[0], COUNTER_TCP_RETRANSMITS), 0);
	CU_ASSERT_EQUAL(counter_get(&r.counters[1], COUNTER_TCP_RETRANSMITS), 0);
	CU_ASSERT(r.lent_calls > 100);
	CU_ASSERT(r.now_us < 3ull * S); /* 256 KB a round trip of 10 ms, slow start apart */
}

static const struct unit_test tests[] = {{"lossless", lossless}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_pair", tests, argc, argv);
}
