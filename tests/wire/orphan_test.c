/* orphan_test.c - a stack that dies with open connections, its successor, and their peers.
 *
 * Both ends of RFC 9293 3.10.7: what a successor says draws a peer's own numbers, and the RST
 * that follows has them. */
#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"
#include "tests/wire/wire_rig.h"

#include <stdlib.h>

enum { S = 1000000, ENTRIES = 32, ISN = 5000 };

static struct tcp_live_table *table;

static void start_stack(struct rig *r, uint32_t generation)
{
	struct tcp_conf conf = r->tcp->conf;

	tcp_destroy(&r->tcp);
	conf.live = (struct tcp_live_conf){table, ENTRIES, generation};
	conf.seed = unit_seed() + generation;
	conf.key.k0 += generation;
	r->tcp = tcp_create(&conf, r->now_us);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->tcp);
	CU_ASSERT_EQUAL(tcp_listen(r->tcp, 0, RIG_PORT, 16), ERR_NONE);
}

static struct rig *open_rig(void)
{
	const struct rig_conf conf = rig_conf_default();
	struct rig *r = rig_open(&conf);

	free(table);
	table = calloc(1, sizeof(*table) + ENTRIES * sizeof(table->entries[0]));
	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	start_stack(r, 1);
	return r;
}

static struct rig_inject segment(uint16_t port, uint8_t flags, uint32_t seq, uint32_t ack)
{
	return (struct rig_inject){.h = {.src_port = port,
					   .dst_port = RIG_PORT,
					   .seq = seq,
					   .ack = ack,
					   .flags = flags,
					   .window = 1000}};
}

/* The next segment that the box sent; flags of 0: none. */
static struct tcp_header next(struct rig *r)
{
	const struct rig_segment *s = rig_next(r);
	struct tcp_header h = {0};

	if (s != NULL)
		h = s->h;
	return h;
}

/* Returns the box's ISN. */
static uint32_t establish(struct rig *r, uint16_t port, bool stamped)
{
	struct rig_inject in = segment(port, TCP_SYN, ISN, 0);

	in.h.options.has_timestamps = stamped;
	in.h.options.tsval = 100;
	rig_inject(r, &in);
	rig_turn(r);
	const struct tcp_header answer = next(r);
	CU_ASSERT_EQUAL(answer.flags, TCP_SYN | TCP_ACK);
	in = segment(port, TCP_ACK, ISN + 1, answer.seq + 1);
	in.h.options = (struct tcp_options){
		.has_timestamps = stamped, .tsval = 101, .tsecr = answer.options.tsval};
	rig_inject(r, &in);
	rig_turn(r);
	r->event_count = 0;
	return answer.seq;
}

/* After the crash: a bare ACK with a timestamp, to the right ports; the peer answers it with its
 * numbers, and gets a RST that has them. */
static void peers_are_reset(void)
{
	struct rig *r = open_rig();
	uint32_t isn[3], told = 0;
	struct tcp_header h;

	for (uint16_t i = 0; i < 3; i++)
		isn[i] = establish(r, (uint16_t)(1000 + i), i == 1);
	start_stack(r, 2);
	rig_advance(r, 10000);
	while ((h = next(r)).flags != 0) {
		CU_ASSERT_EQUAL(h.flags, TCP_ACK);
		CU_ASSERT(h.options.has_timestamps);
		CU_ASSERT_FATAL(h.dst_port >= 1000 && h.dst_port < 1003);
		told |= 1u << (h.dst_port - 1000);
	}
	CU_ASSERT_EQUAL(told, 7);
	for (uint16_t i = 0; i < 3; i++) {
		const struct rig_inject in =
			segment((uint16_t)(1000 + i), TCP_ACK, ISN + 1, isn[i] + 1);
		rig_inject(r, &in);
		rig_turn(r);
		h = next(r);
		CU_ASSERT_EQUAL(h.flags, TCP_RST);
		CU_ASSERT_EQUAL(h.seq, isn[i] + 1);
		CU_ASSERT_EQUAL(h.dst_port, 1000 + i);
	}
	rig_advance(r, 20 * (uint64_t)S); /* the further rounds */
	while (next(r).flags != 0) {
	}
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_TCP_ORPHANS_PROBED), 15);
	CU_ASSERT_EQUAL(tcp_live_next_us(r->tcp), UINT64_MAX);
	CU_ASSERT_EQUAL(rig_close(r), 0);
}

/* The other end, as our own stack is one: whatever the numbers and the stamps, with timestamps
 * agreed or not, the answer tells RCV.NXT exactly. */
static void any_numbers_draw_an_answer(void)
{
	struct rng rng = rng_from(unit_seed());

	for (unsigned i = 0; i < 200; i++) {
		struct rig *r = open_rig();
		const uint32_t isn = establish(r, 1000, i % 2 != 0);
		struct rig_inject in =
			segment(1000, TCP_ACK, (uint32_t)rng_next(&rng), (uint32_t)rng_next(&rng));
		/* One in 65,536 lies in the window: that is what further rounds are for. */
		in.h.seq |= (in.h.seq - ISN) < 70000 ? 0x80000000u : 0;
		in.h.window = 0;
		in.h.options.has_timestamps = true;
		in.h.options.tsval = (uint32_t)rng_next(&rng);
		rig_inject(r, &in);
		rig_turn(r);
		const struct tcp_header h = next(r);
		CU_ASSERT_EQUAL(h.flags, TCP_ACK);
		CU_ASSERT_EQUAL(h.ack, ISN + 1);
		CU_ASSERT_EQUAL(h.seq, isn + 1);
		CU_ASSERT_EQUAL(r->tcp->conns_used, 1);
		CU_ASSERT_EQUAL(rig_close(r), 0);
	}
}

static const struct unit_test tests[] = {{"peers_are_reset", peers_are_reset},
	{"any_numbers_draw_an_answer", any_numbers_draw_an_answer}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("orphan", tests, argc, argv);
}
