/* stream_sim.c - two TCP stacks and random streams between them, many seeds of it.
 *
 * Fresh seeds every time: 200, or 10,000 where SIGNALBOX_LONG is set. The base is printed;
 * SIGNALBOX_SEED gives it again. One of them alone, with what it counted: SIGNALBOX_SEED=n
 * stream_sim streams_of_one_seed. */
#include "dataplane/base/attr.h"
#include "tests/sim/stream_play.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	FRESH = SANITIZED ? 60 : 200,
	FRESH_LONG = SANITIZED ? 500 : 10000,
	REPLAY_EVERY = 20,
	REPORTS_MAX = 10,
};

struct sum {
	uint64_t plays, bad, differing;
	struct stream_verdict of;
};

static void add(struct sum *sum, const struct stream_verdict *v)
{
	sum->plays++;
	sum->bad += !v->good;
	sum->of.bytes += v->bytes;
	sum->of.connections += v->connections;
	sum->of.in_order += v->in_order;
	sum->of.late_resets += v->late_resets;
	sum->of.never_opened += v->never_opened;
	sum->of.forsaken += v->forsaken;
	sum->of.ports_again += v->ports_again;
	sum->of.virtual_us += v->virtual_us;
	sum->of.frames += v->frames;
	sum->of.retransmits += v->retransmits;
	sum->of.timeouts += v->timeouts;
	sum->of.zero_windows += v->zero_windows;
	sum->of.checksums += v->checksums;
}

static void print(const struct sum *sum)
{
	const struct stream_verdict *v = &sum->of;

	printf("# %lu seeds, %lu bad, %lu s of virtual time, %lu frames: %lu connections (%lu in "
	       "order, %lu reset late, %lu never opened, %lu forsaken, %lu from a port again), %lu "
	       "bytes, %lu "
	       "retransmits, %lu timeouts, %lu probes, %lu bad checksums\n",
		sum->plays, sum->bad, v->virtual_us / 1000000, v->frames, v->connections,
		v->in_order, v->late_resets, v->never_opened, v->forsaken, v->ports_again, v->bytes,
		v->retransmits, v->timeouts, v->zero_windows, v->checksums);
}

static void play_seed(struct sum *sum, uint64_t seed, bool lwip, bool twice)
{
	const struct stream_conf conf = {.seed = seed, .lwip = lwip};
	struct stream_verdict v, again;

	stream_play(&conf, &v);
	add(sum, &v);
	if (!v.good && sum->bad <= REPORTS_MAX)
		printf("# seed %lu: %s; again: SIGNALBOX_SEED=%lu stream_sim %s_of_one_seed\n",
			seed, v.why, seed, lwip ? "lwip" : "streams");
	if (!twice)
		return;
	stream_play(&conf, &again);
	if (again.trace != v.trace) {
		sum->differing++;
		printf("# seed %lu: a replay differs\n", seed);
	}
}

static void play_fresh(struct sum *sum, bool lwip)
{
	const uint64_t base = unit_seed();
	const uint32_t count = getenv("SIGNALBOX_LONG") != NULL ? FRESH_LONG : FRESH;

	for (uint32_t i = 0; i < count; i++)
		play_seed(sum, base + i, lwip, i % REPLAY_EVERY == 0);
	print(sum);
	CU_ASSERT_EQUAL(sum->bad, 0);
	CU_ASSERT_EQUAL(sum->differing, 0);
	/* A reset instead of a FIN takes many losses in a row. */
	CU_ASSERT(sum->of.late_resets * 1000 <= sum->of.connections);
	/* What these are for has come up. */
	CU_ASSERT(sum->of.zero_windows > 0 && sum->of.checksums > 0);
}

static void streams_of_fresh_seeds(void)
{
	struct sum sum = {0};

	play_fresh(&sum, false);
	CU_ASSERT(sum.of.ports_again > 0);
}

static void lwip_of_fresh_seeds(void)
{
	struct sum sum = {0};

	play_fresh(&sum, true);
	CU_ASSERT(sum.of.never_opened * 1000 <= sum.of.connections);
}

static void play_one(bool lwip)
{
	struct sum sum = {0};

	play_seed(&sum, unit_seed(), lwip, true);
	print(&sum);
	CU_ASSERT_EQUAL(sum.bad + sum.differing, 0);
}

static void streams_of_one_seed(void)
{
	play_one(false);
}

static void lwip_of_one_seed(void)
{
	play_one(true);
}

static const struct unit_test tests[] = {
	{"streams_of_fresh_seeds", streams_of_fresh_seeds},
	{"streams_of_one_seed", streams_of_one_seed},
	{"lwip_of_fresh_seeds", lwip_of_fresh_seeds},
	{"lwip_of_one_seed", lwip_of_one_seed},
};

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	return UNIT_MAIN("stream", tests, argc, argv);
}
