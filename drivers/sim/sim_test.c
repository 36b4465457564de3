/* sim_test.c - the wire in memory: bytes, time, limits, faults, and the same again from a seed. */
#include "drivers/sim/sim.h"

#include "dataplane/base/hash.h"
#include "dataplane/base/rng.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include <rte_mempool.h>
#include <stdlib.h>

enum { BUFFERS = 600, RING = 100, BURST = 32 };

struct rig {
	struct sim_wire *w;
	struct driver *end[2];
	struct counters counters[2];
	struct sim_conf conf;
};

static struct rte_mempool *pools[3]; /* of the ends, and of the frames to send */

static struct rig *rig_open(const struct impair_settings *s, uint64_t bits_per_s)
{
	static struct rig r;

	for (int i = 0; i < 3 && pools[i] == NULL; i++)
		pools[i] = unit_pool(BUFFERS);
	r = (struct rig){.conf = {.bits_per_s = bits_per_s,
				 .frames_max = RING,
				 .mtu = 1500,
				 .pool = {pools[0], pools[1]},
				 .mac = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}}}};
	if (s != NULL)
		r.conf.impair = *s;
	r.conf.counters[0] = &r.counters[0];
	r.conf.counters[1] = &r.counters[1];
	r.w = sim_create(&r.conf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r.w);
	r.end[0] = sim_end(r.w, 0);
	r.end[1] = sim_end(r.w, 1);
	return &r;
}

static void rig_close(struct rig *r)
{
	r->end[0]->ops->close(r->end[0]);
	sim_destroy(&r->w);
	CU_ASSERT_PTR_NULL(r->w);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(rte_mempool_in_use_count(pools[i]), 0);
}

static uint64_t err(const struct rig *r, unsigned end, enum err e)
{
	return counter_get(&r->counters[end], (enum counter)(COUNTER_NAMED + (unsigned)e));
}

static uint8_t byte_of(uint32_t name, uint32_t i)
{
	return (uint8_t)(name * 31 + i * 7 + i / 256);
}

/* A frame whose bytes follow from its name, in so many segments. */
static struct rte_mbuf *frame(uint32_t name, uint32_t size, uint16_t segments)
{
	struct rte_mbuf *head = NULL;
	struct rte_mbuf *tail = NULL;
	uint32_t done = 0;

	for (uint16_t s = 0; s < segments; s++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pools[2]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		const uint32_t part = s + 1 < segments ? size / segments : size - done;
		uint8_t *at = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)part);
		for (uint32_t i = 0; i < part; i++)
			at[i] = byte_of(name, done + i);
		done += part;
		if (head == NULL)
			head = m;
		else
			tail->next = m;
		tail = m;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(head);
	head->nb_segs = segments;
	head->pkt_len = size;
	return head;
}

static bool send(struct rig *r, unsigned from, uint32_t name, uint32_t size)
{
	struct rte_mbuf *m = frame(name, size, 1);

	if (driver_tx(r->end[from], 0, &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

/* Receives one frame; true if it is that frame, whole. */
static bool get(struct rig *r, unsigned at, uint32_t name, uint32_t size)
{
	struct rte_mbuf *m = NULL;
	static uint8_t bytes[10000];

	if (driver_rx(r->end[at], 0, &m, 1) == 0)
		return false;
	bool same = m->pkt_len == size;
	const uint8_t *b = rte_pktmbuf_read(m, 0, m->pkt_len, bytes);
	for (uint32_t i = 0; same && i < size; i++)
		same = b[i] == byte_of(name, i);
	rte_mbuf_sanity_check(m, 1);
	rte_pktmbuf_free(m);
	return same;
}

static uint32_t count_received(struct rig *r, unsigned at)
{
	struct rte_mbuf *frames[BURST];
	uint32_t count = 0;

	for (uint16_t n; (n = driver_rx(r->end[at], 0, frames, BURST)) > 0; count += n)
		rte_pktmbuf_free_bulk(frames, n);
	return count;
}

static void bytes_arrive_at_the_other_end(void)
{
	struct rig *r = rig_open(NULL, 0);
	static const uint32_t sizes[] = {1, 14, 60, 1513, 1514};

	for (uint32_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned from = 0; from < 2; from++) {
			CU_ASSERT_TRUE(send(r, from, i, sizes[i]));
			CU_ASSERT_FALSE(get(r, from, i, sizes[i])); /* no echo */
			CU_ASSERT_TRUE(get(r, 1 - from, i, sizes[i]));
			CU_ASSERT_FALSE(get(r, 1 - from, i, sizes[i]));
		}
	CU_ASSERT_EQUAL(r->end[1]->facts.mac[5], 2);
	CU_ASSERT_EQUAL(r->end[1]->facts.mtu, 1500);
	CU_ASSERT_EQUAL(r->end[1]->facts.segs_max, 8);
	CU_ASSERT_TRUE(r->end[1]->ops->link_up(r->end[1]));
	rig_close(r);
}

static void ends_count_what_passes(void)
{
	struct rig *r = rig_open(NULL, 0);

	CU_ASSERT_TRUE(send(r, 0, 1, 60));
	CU_ASSERT_TRUE(send(r, 0, 2, 61));
	CU_ASSERT_EQUAL(count_received(r, 1), 2);
	for (unsigned end = 0; end < 2; end++) {
		const struct counters *c = &r->counters[end];
		CU_ASSERT_EQUAL(counter_get(c, COUNTER_NIC_TX_PACKETS), end == 0 ? 2 : 0);
		CU_ASSERT_EQUAL(counter_get(c, COUNTER_NIC_TX_BYTES), end == 0 ? 121 : 0);
		CU_ASSERT_EQUAL(counter_get(c, COUNTER_NIC_RX_PACKETS), end == 1 ? 2 : 0);
		CU_ASSERT_EQUAL(counter_get(c, COUNTER_NIC_RX_BYTES), end == 1 ? 121 : 0);
		CU_ASSERT_EQUAL(counter_get(c, COUNTER_NIC_TX_BACKPRESSURE), 0);
	}
	rig_close(r);
}

static void a_frame_takes_its_delay(void)
{
	const struct impair_settings s = {.delay_us = 250};
	struct rig *r = rig_open(&s, 0);

	CU_ASSERT_EQUAL(sim_next_us(r->w), UINT64_MAX);
	sim_now(r->w, 1000);
	CU_ASSERT_TRUE(send(r, 0, 1, 60));
	sim_now(r->w, 1100);
	CU_ASSERT_TRUE(send(r, 1, 2, 60));
	CU_ASSERT_EQUAL(sim_next_us(r->w), 1250);
	sim_now(r->w, 1249);
	CU_ASSERT_FALSE(get(r, 1, 1, 60));
	sim_now(r->w, 1250);
	CU_ASSERT_FALSE(get(r, 0, 2, 60));
	CU_ASSERT_TRUE(get(r, 1, 1, 60));
	CU_ASSERT_EQUAL(sim_next_us(r->w), 1350);
	sim_now(r->w, 1350);
	CU_ASSERT_TRUE(get(r, 0, 2, 60));
	CU_ASSERT_EQUAL(sim_next_us(r->w), UINT64_MAX);
	rig_close(r);
}

/* 1250 bytes at 10 Mbit/s take a millisecond each, one after the other, each way its own line. */
static void the_line_serialises(void)
{
	struct rig *r = rig_open(NULL, 10 * 1000 * 1000);

	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_TRUE(send(r, 0, i, 1250));
	CU_ASSERT_TRUE(send(r, 1, 9, 1250));
	for (uint32_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(sim_next_us(r->w), (i + 1) * 1000);
		sim_now(r->w, (i + 1) * 1000);
		if (i == 0)
			CU_ASSERT_TRUE(get(r, 0, 9, 1250));
		CU_ASSERT_TRUE(get(r, 1, i, 1250));
		CU_ASSERT_FALSE(get(r, 1, i + 1, 1250));
	}
	sim_now(r->w, 50000); /* an idle line starts at once */
	CU_ASSERT_TRUE(send(r, 0, 5, 1250));
	CU_ASSERT_EQUAL(sim_next_us(r->w), 51000);
	rig_close(r);
}

/* Fractions of a microsecond are not lost: 60-byte frames at 10 Gbit/s take 48 ns. */
static void the_rate_is_exact_over_many_frames(void)
{
	struct rig *r = rig_open(NULL, 10ull * 1000 * 1000 * 1000);

	for (uint32_t i = 0; i < RING; i++)
		CU_ASSERT_TRUE(send(r, 0, i, 60));
	sim_now(r->w, 4);
	CU_ASSERT_EQUAL(count_received(r, 1), 4000 / 48);
	sim_now(r->w, 5);
	CU_ASSERT_EQUAL(count_received(r, 1), RING - 4000 / 48);
	rig_close(r);
}

static void what_a_nic_refuses_is_counted(void)
{
	static const struct {
		uint32_t size;
		uint16_t segments;
		bool passes;
	} rows[] = {
		{1514, 1, true},
		{1514, 8, true},
		{100, 8, true},
		{100, 9, false},
		{1515, 1, false},
		{1515, 8, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *r = rig_open(NULL, 0);
		struct rte_mbuf *m = frame(3, rows[i].size, rows[i].segments);
		CU_ASSERT_EQUAL(driver_tx(r->end[0], 0, &m, 1), 1); /* taken in any case */
		CU_ASSERT_EQUAL(get(r, 1, 3, rows[i].size), rows[i].passes);
		CU_ASSERT_EQUAL(err(r, 0, ERR_NIC_TX_DROPPED), !rows[i].passes);
		rig_close(r);
	}
}

static void a_full_ring_takes_no_more(void)
{
	const struct impair_settings s = {.delay_us = 10};
	struct rig *r = rig_open(&s, 0);
	struct rte_mbuf *m[RING + 5];

	for (int i = 0; i < RING + 5; i++)
		m[i] = frame((uint32_t)i, 60, 1);
	CU_ASSERT_EQUAL(driver_tx(r->end[0], 0, m, RING + 5), RING);
	CU_ASSERT_EQUAL(driver_tx(r->end[0], 0, m + RING, 5), 0);
	CU_ASSERT_TRUE(send(r, 1, 1, 60)); /* the other way is free */
	sim_now(r->w, 10);
	CU_ASSERT_TRUE(get(r, 1, 0, 60));
	CU_ASSERT_EQUAL(driver_tx(r->end[0], 0, m + RING, 5), 1);
	rte_pktmbuf_free_bulk(m + RING + 1, 4);
	CU_ASSERT_EQUAL(err(r, 0, ERR_NIC_TX_DROPPED), 0);
	CU_ASSERT_EQUAL(counter_get(&r->counters[0], COUNTER_NIC_TX_BACKPRESSURE), 3);
	CU_ASSERT_EQUAL(counter_get(&r->counters[0], COUNTER_NIC_TX_PACKETS), RING + 1);
	rig_close(r);
}

static void a_receiver_without_buffers_loses_frames(void)
{
	struct rig *r = rig_open(NULL, 0);
	struct rte_mbuf *all[BUFFERS];

	CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(pools[1], all, BUFFERS), 0);
	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT_TRUE(send(r, 0, i, 60));
	CU_ASSERT_EQUAL(count_received(r, 1), 0);
	CU_ASSERT_EQUAL(err(r, 1, ERR_NIC_RX_DROPPED), 5);
	rte_pktmbuf_free_bulk(all, BUFFERS);
	CU_ASSERT_EQUAL(count_received(r, 1), 0);
	rig_close(r);
}

static void large_frames_arrive_in_chains(void)
{
	struct rig *r = rig_open(NULL, 0);

	sim_destroy(&r->w);
	r->conf.mtu = 9000;
	r->w = sim_create(&r->conf);
	r->end[0] = sim_end(r->w, 0);
	r->end[1] = sim_end(r->w, 1);
	struct rte_mbuf *m = frame(4, 9014, 8);
	CU_ASSERT_EQUAL(driver_tx(r->end[0], 0, &m, 1), 1);
	CU_ASSERT_TRUE(get(r, 1, 4, 9014));
	struct rte_mbuf *all[BUFFERS]; /* buffers for a part of it only: none leaks */
	CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(pools[1], all, BUFFERS - 3), 0);
	m = frame(4, 9014, 8);
	CU_ASSERT_EQUAL(driver_tx(r->end[0], 0, &m, 1), 1);
	CU_ASSERT_FALSE(get(r, 1, 4, 9014));
	CU_ASSERT_EQUAL(err(r, 1, ERR_NIC_RX_DROPPED), 1);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pools[1]), 3);
	rte_pktmbuf_free_bulk(all, BUFFERS - 3);
	rig_close(r);
}

struct trace {
	uint32_t frames[2];
	uint32_t bytes;
	uint8_t first;
};

static void on_frame(void *owner, unsigned from, struct span bytes)
{
	struct trace *t = owner;

	t->frames[from]++;
	t->bytes += (uint32_t)bytes.size;
	t->first = bytes.at[0];
}

static void the_tap_sees_frames_before_their_fate(void)
{
	const struct impair_settings s = {.loss_ppm = 1000000};
	struct rig *r = rig_open(&s, 0);
	struct trace t = {0};

	sim_tap(r->w, on_frame, &t);
	CU_ASSERT_TRUE(send(r, 0, 1, 60));
	CU_ASSERT_TRUE(send(r, 1, 2, 61));
	struct rte_mbuf *m = frame(3, 62, 3);
	CU_ASSERT_EQUAL(driver_tx(r->end[1], 0, &m, 1), 1);
	CU_ASSERT_EQUAL(t.frames[0], 1);
	CU_ASSERT_EQUAL(t.frames[1], 2);
	CU_ASSERT_EQUAL(t.bytes, 60 + 61 + 62);
	CU_ASSERT_EQUAL(t.first, byte_of(3, 0));
	CU_ASSERT_EQUAL(count_received(r, 0) + count_received(r, 1), 0);
	CU_ASSERT_EQUAL(err(r, 0, ERR_IMPAIR_DROPPED), 1);
	CU_ASSERT_EQUAL(err(r, 1, ERR_IMPAIR_DROPPED), 2);
	rig_close(r);
}

static void faults_happen_as_often_as_set(void)
{
	const struct impair_settings s = {
		.loss_ppm = 100000, .duplicate_ppm = 50000, .corrupt_ppm = 20000, .seed = 12};
	struct rig *r = rig_open(&s, 0);
	uint32_t got = 0;
	uint32_t damaged = 0;

	for (uint32_t i = 0; i < 10000; i++) {
		CU_ASSERT_TRUE(send(r, 0, i, 60));
		struct rte_mbuf *m;
		while (driver_rx(r->end[1], 0, &m, 1) == 1) {
			int bits = 0;
			for (uint32_t k = 0; k < 60; k++)
				bits += __builtin_popcount(
					rte_pktmbuf_mtod(m, uint8_t *)[k] ^ byte_of(i, k));
			CU_ASSERT_TRUE(bits <= 1);
			damaged += bits == 1;
			got++;
			rte_pktmbuf_free(m);
		}
	}
	const uint64_t lost = err(r, 0, ERR_IMPAIR_DROPPED);
	CU_ASSERT_TRUE(lost > 900 && lost < 1100);
	CU_ASSERT_TRUE(got > 10000 - lost + 380 && got < 10000 - lost + 520);
	CU_ASSERT_TRUE(damaged > 140 && damaged < 240);
	rig_close(r);
}

static void impairment_may_change_under_way(void)
{
	const struct impair_settings lossy = {.loss_ppm = 1000000};
	const struct impair_settings slow = {.delay_us = 1000};
	const struct impair_settings none = {0};
	struct rig *r = rig_open(&slow, 0);

	CU_ASSERT_TRUE(send(r, 0, 1, 60));
	sim_impair(r->w, &lossy);
	CU_ASSERT_TRUE(send(r, 0, 2, 60));
	sim_impair(r->w, &none);
	CU_ASSERT_TRUE(send(r, 0, 3, 60));
	CU_ASSERT_FALSE(get(r, 1, 3, 60)); /* behind the slow one */
	sim_now(r->w, 1000);
	CU_ASSERT_TRUE(get(r, 1, 1, 60));
	CU_ASSERT_TRUE(get(r, 1, 3, 60));
	rig_close(r);
}

/* Random traffic both ways; the hash covers every byte, its end and its time. */
static uint64_t run(uint64_t seed, uint64_t traffic_seed)
{
	const struct impair_settings s = {50000, 100000, 50000, 50000, 200, 300, seed};
	const struct hash_key key = {3, 4};
	struct rig *r = rig_open(&s, 100 * 1000 * 1000);
	struct rng rng = rng_from(traffic_seed);
	uint64_t hash = 0;
	uint64_t now_us = 0;

	for (uint32_t step = 0; step < 3000; step++) {
		if (rng_below(&rng, 3) > 0)
			send(r, rng_below(&rng, 2), step, 14 + rng_below(&rng, 1501));
		else if (sim_next_us(r->w) != UINT64_MAX)
			now_us = RTE_MAX(now_us, sim_next_us(r->w));
		sim_now(r->w, now_us);
		for (unsigned at = 0; at < 2; at++) {
			struct rte_mbuf *m;
			while (driver_rx(r->end[at], 0, &m, 1) == 1) {
				const struct span b =
					span_of(rte_pktmbuf_mtod(m, void *), m->pkt_len);
				hash = hash * 31 + (siphash(key, b) ^ at ^ now_us);
				rte_pktmbuf_free(m);
			}
		}
	}
	rig_close(r);
	return hash;
}

static void the_same_seed_is_the_same_run(void)
{
	CU_ASSERT_EQUAL(run(1, 1), run(1, 1));
	CU_ASSERT_NOT_EQUAL(run(1, 1), run(2, 1));
	CU_ASSERT_NOT_EQUAL(run(1, 1), run(1, 2));
}

/* Sends a frame of a flow; returns the queue that it came in at. */
static uint16_t queue_of_flow(struct rig *r, uint8_t flow)
{
	struct rte_mbuf *m = frame(1, 60, 1);
	uint16_t at = UINT16_MAX;

	memset(rte_pktmbuf_mtod_offset(m, void *, 26), flow, 12);
	CU_ASSERT_EQUAL(driver_tx(r->end[1], 0, &m, 1), 1);
	for (uint16_t q = 0; q < 3; q++) {
		if (driver_rx(r->end[0], q, &m, 1) == 0)
			continue;
		CU_ASSERT_EQUAL(at, UINT16_MAX); /* once only */
		CU_ASSERT_PTR_EQUAL(m->pool, pools[q == 0 ? 0 : 2]);
		at = q;
		rte_pktmbuf_free(m);
	}
	CU_ASSERT_EQUAL(sim_next_us(r->w), UINT64_MAX);
	return at;
}

/* Flows are spread, and keep to their queue but for a stray now and then. */
static void several_queues_share_the_frames(void)
{
	struct rig *r = rig_open(NULL, 0);
	static struct counters more[2];
	uint32_t flows_at[3] = {0}, strays = 0;

	sim_destroy(&r->w);
	r->conf.queues = 3;
	for (int i = 0; i < 2; i++) {
		more[i] = (struct counters){0};
		r->conf.more_pools[i] = pools[2];
		r->conf.more_counters[i] = &more[i];
	}
	r->w = sim_create(&r->conf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->w);
	r->end[0] = sim_end(r->w, 0);
	r->end[1] = sim_end(r->w, 1);
	CU_ASSERT_EQUAL(r->end[0]->facts.queues, 3);
	CU_ASSERT_EQUAL(r->end[1]->facts.queues, 1);
	for (unsigned flow = 0; flow < 100; flow++) {
		uint32_t at[3] = {0};
		for (int i = 0; i < 40; i++)
			at[queue_of_flow(r, (uint8_t)flow)]++;
		const int home = at[0] > at[1] ? (at[0] > at[2] ? 0 : 2) : at[1] > at[2] ? 1 : 2;
		flows_at[home]++;
		strays += 40 - at[home];
	}
	for (int q = 0; q < 3; q++) {
		const struct counters *c = q == 0 ? &r->counters[0] : &more[q - 1];
		CU_ASSERT(flows_at[q] > 15);
		CU_ASSERT(counter_get(c, COUNTER_NIC_RX_PACKETS) > 600);
	}
	CU_ASSERT(strays > 10 && strays < 100); /* 4000 frames / 64 * 2 / 3 */
	rig_close(r);
}

static const struct unit_test tests[] = {
	{"bytes_arrive_at_the_other_end", bytes_arrive_at_the_other_end},
	{"ends_count_what_passes", ends_count_what_passes},
	{"a_frame_takes_its_delay", a_frame_takes_its_delay},
	{"the_line_serialises", the_line_serialises},
	{"the_rate_is_exact_over_many_frames", the_rate_is_exact_over_many_frames},
	{"what_a_nic_refuses_is_counted", what_a_nic_refuses_is_counted},
	{"a_full_ring_takes_no_more", a_full_ring_takes_no_more},
	{"a_receiver_without_buffers_loses_frames", a_receiver_without_buffers_loses_frames},
	{"large_frames_arrive_in_chains", large_frames_arrive_in_chains},
	{"the_tap_sees_frames_before_their_fate", the_tap_sees_frames_before_their_fate},
	{"faults_happen_as_often_as_set", faults_happen_as_often_as_set},
	{"impairment_may_change_under_way", impairment_may_change_under_way},
	{"several_queues_share_the_frames", several_queues_share_the_frames},
	{"the_same_seed_is_the_same_run", the_same_seed_is_the_same_run},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("sim", tests, argc, argv);
}
