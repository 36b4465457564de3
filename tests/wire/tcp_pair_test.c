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

/* What the NIC is to fill in is right when it has, of every kind of segment. */
static void checksums_by_the_nic(void)
{
	struct pair_conf c = plain();
	struct pair_result r;

	c.checksum_by_nic = true;
	c.impair.loss_ppm = 10000;
	run(&c, 60ull * S, &r);
	CU_ASSERT(counter_get(&r.counters[0], COUNTER_TCP_RETRANSMITS) > 0);
	for (unsigned side = 0; side < 2; side++)
		CU_ASSERT_EQUAL(pair_err(&r, side, ERR_TCP_CHECKSUM), 0);
}

/* 5 % lost, reordered, duplicated, a bit flipped here and there: several seeds. */
static void impaired(void)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct pair_conf c = plain();
		struct pair_result r;
		c.impair = (struct impair_settings){.loss_ppm = 50000,
			.reorder_ppm = 30000,
			.duplicate_ppm = 10000,
			.corrupt_ppm = 1000,
			.delay_us = 5 * MS,
			.jitter_us = 1 * MS,
			.seed = seed};
		c.seed = seed;
		c.pause_us = 20 * MS;
		run(&c, 3600ull * S, &r);
		CU_ASSERT(
			pair_err(&r, 0, ERR_TCP_CHECKSUM) + pair_err(&r, 1, ERR_TCP_CHECKSUM) > 0);
	}
}

/* Windows below a segment, and a handful of segments. */
static void tiny_windows(void)
{
	static const uint32_t windows[] = {600, 1000, 1460, 4000};

	for (size_t i = 0; i < ARRAY_SIZE(windows); i++) {
		struct pair_conf c = plain();
		struct pair_result r;
		c.impair.loss_ppm = 20000;
		c.impair.reorder_ppm = 20000;
		c.impair.delay_us = 200;
		c.bytes = 200000;
		c.window = windows[i];
		c.send_queue = 5000;
		c.pause_us = 50 * MS;
		c.seed = 7 + i;
		run(&c, 36000ull * S, &r);
	}
}

/* Pools so small that everything runs out all the time: shed, and recover. */
static void tiny_pools(void)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct pair_conf c = plain();
		struct pair_result r;
		c.impair.loss_ppm = 20000;
		c.impair.reorder_ppm = 20000;
		c.bytes = 1 * MB;
		c.headers = 20;
		c.copies = 8;
		c.held = 10;
		c.nodes = 16;
		c.frames = 8;
		c.connections = 4;
		c.pause_us = 20 * MS;
		c.seed = c.impair.seed = seed;
		run(&c, 36000ull * S, &r);
		CU_ASSERT(counter_get(&r.counters[0], COUNTER_TCP_RECEIVE_SHED) > 0);
		CU_ASSERT(counter_get(&r.counters[0], COUNTER_NIC_TX_BACKPRESSURE) > 0);
	}
}

/* A NIC that takes no chains, one that takes two, and a small MTU. */
static void short_chains(void)
{
	static const struct {
		uint16_t segs, mtu;
	} rows[] = {{1, 1500}, {2, 1500}, {3, 576}, {8, 296}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pair_conf c = plain();
		struct pair_result r;
		c.impair.loss_ppm = 10000;
		c.bytes = 1 * MB;
		c.segs_max = rows[i].segs;
		c.mtu = rows[i].mtu;
		run(&c, 3600ull * S, &r);
	}
}

static void many_connections(void)
{
	struct pair_conf c = plain();
	struct pair_result r;

	c.impair.loss_ppm = 10000;
	c.bytes = 200000;
	c.connections = 40;
	c.pause_us = 5 * MS;
	run(&c, 3600ull * S, &r);
}

/* The wire is slower than the sender, its queue short: congestion control must find the rate. */
static void bottleneck(void)
{
	struct pair_conf c = plain();
	struct pair_result r;

	c.bits_per_s = 10000000;
	c.bytes = 2 * MB;
	c.frames = 40;
	run(&c, 60ull * S, &r);
	/* 2 MB and headers at 10 Mbit/s are 1.7 s. */
	CU_ASSERT(r.now_us < 4ull * S);
}

static const struct unit_test tests[] = {{"lossless", lossless},
	{"checksums_by_the_nic", checksums_by_the_nic}, {"impaired", impaired},
	{"tiny_windows", tiny_windows}, {"tiny_pools", tiny_pools}, {"short_chains", short_chains},
	{"many_connections", many_connections}, {"bottleneck", bottleneck}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_pair", tests, argc, argv);
}
