/* impair_test.c - the impairing driver around a driver made of two arrays. */
#include "dataplane/base/hash.h"
#include "drivers/impair.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include <rte_mempool.h>
#include <stdlib.h>

enum { BUFFERS = 2000, HELD = 64, LINE = 1024 };

/* The inner driver: what "arrives" is put in `in`, what is sent is found in `out`. */
struct fake {
	struct driver driver;
	struct rte_mbuf *in[LINE], *out[LINE];
	uint32_t in_head, in_count, out_count;
	uint32_t room;  /* frames that tx still takes */
	uint16_t queue; /* on which frames arrive, and whose calls are expected */
	uint64_t waited_us;
	bool closed;
};

struct rig {
	struct fake inner;
	struct counters counters, more_counters; /* of queues 0 and 1 */
	struct rte_mempool *pool, *copies;
	struct driver *d;
};

static uint16_t fake_rx(struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n)
{
	struct fake *f = (struct fake *)d;
	uint16_t given = 0;

	if (queue != f->queue)
		return 0;
	while (given < n && f->in_head < f->in_count)
		frames[given++] = f->in[f->in_head++];
	return given;
}

static uint16_t fake_tx(struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n)
{
	struct fake *f = (struct fake *)d;
	uint16_t taken = 0;

	CU_ASSERT_EQUAL(queue, f->queue);
	while (taken < n && f->room > 0 && f->out_count < LINE) {
		f->out[f->out_count++] = frames[taken++];
		f->room--;
	}
	return taken;
}

static void fake_wait(struct driver *d, uint16_t queue, int bell, uint64_t timeout_us)
{
	(void)queue;
	(void)bell;
	((struct fake *)d)->waited_us = timeout_us;
}

static bool fake_link_up(struct driver *d)
{
	return ((struct fake *)d)->room > 0;
}

static void fake_close(struct driver *d)
{
	struct fake *f = (struct fake *)d;

	rte_pktmbuf_free_bulk(f->in + f->in_head, f->in_count - f->in_head);
	rte_pktmbuf_free_bulk(f->out, f->out_count);
	f->closed = true;
}

static const struct driver_ops fake_ops = {.rx = fake_rx,
	.tx = fake_tx,
	.wait = fake_wait,
	.link_up = fake_link_up,
	.close = fake_close};

static struct rig *rig_open_queues(const struct impair_settings *s, uint16_t queues)
{
	static struct rig r;
	static struct rte_mempool *pool, *copies;

	if (pool == NULL) {
		pool = unit_pool(BUFFERS);
		copies = unit_pool(HELD * 4);
	}
	r = (struct rig){.pool = pool, .copies = copies};
	r.inner.driver = (struct driver){&fake_ops,
		{.mtu = 1500, .queues = queues, .segs_max = 4, .wakes = true, .name = "fake"},
		&r.counters};
	r.inner.room = UINT32_MAX;
	struct counters *const counters[] = {&r.counters, &r.more_counters};
	struct rte_mempool *const each[] = {copies, copies};
	r.d = impair_create(&r.inner.driver, each, counters, HELD);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r.d);
	for (uint16_t q = 0; q < queues; q++)
		impair_set(r.d, q, s);
	return &r;
}

static struct rig *rig_open(const struct impair_settings *s)
{
	return rig_open_queues(s, 1);
}

static void rig_close(struct rig *r)
{
	r->d->ops->close(r->d);
	CU_ASSERT_TRUE(r->inner.closed);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pool), 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->copies), 0);
}

/* A frame of `size` bytes that are all `name`. */
static struct rte_mbuf *frame(struct rig *r, uint8_t name, uint16_t size)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	memset(rte_pktmbuf_append(m, size), name, size);
	return m;
}

static void send(struct rig *r, uint8_t name, uint64_t now_us)
{
	struct rte_mbuf *m = frame(r, name, 60);

	impair_now(r->d, 0, now_us);
	CU_ASSERT_EQUAL_FATAL(driver_tx(r->d, 0, &m, 1), 1);
}

static void arrive(struct rig *r, uint8_t name)
{
	r->inner.in[r->inner.in_count++] = frame(r, name, 60);
}

/* The names of what has been sent, or received, since the last call. */
static const char *names(struct rte_mbuf **frames, uint32_t count)
{
	static char out[LINE + 1];

	for (uint32_t i = 0; i < count; i++)
		out[i] = *rte_pktmbuf_mtod(frames[i], char *);
	out[count] = '\0';
	rte_pktmbuf_free_bulk(frames, count);
	return out;
}

static const char *sent(struct rig *r, uint64_t now_us)
{
	impair_now(r->d, 0, now_us);
	const uint32_t count = r->inner.out_count;
	r->inner.out_count = 0;
	return names(r->inner.out, count);
}

static const char *received(struct rig *r, uint64_t now_us)
{
	struct rte_mbuf *frames[256];
	uint32_t count = 0;

	impair_now(r->d, 0, now_us);
	for (uint16_t n; (n = driver_rx(r->d, 0, frames + count, 32)) > 0;)
		count += n;
	return names(frames, count);
}

static uint64_t dropped(const struct rig *r)
{
	return counter_get(&r->counters, (enum counter)(COUNTER_NAMED + ERR_IMPAIR_DROPPED));
}

static void off_passes_the_very_buffers(void)
{
	const struct impair_settings off = {.seed = 3};
	struct rig *r = rig_open(&off);
	struct rte_mbuf *m[3] = {frame(r, 'a', 60), frame(r, 'b', 60), frame(r, 'c', 60)};
	struct rte_mbuf *got[8];

	r->inner.room = 2;
	CU_ASSERT_EQUAL(driver_tx(r->d, 0, m, 3), 2);
	CU_ASSERT_PTR_EQUAL(r->inner.out[0], m[0]);
	CU_ASSERT_PTR_EQUAL(r->inner.out[1], m[1]);
	r->inner.in[r->inner.in_count++] = m[2];
	CU_ASSERT_EQUAL_FATAL(driver_rx(r->d, 0, got, 8), 1);
	CU_ASSERT_PTR_EQUAL(got[0], m[2]);
	rte_pktmbuf_free(got[0]);
	CU_ASSERT_EQUAL(impair_next_us(r->d, 0), UINT64_MAX);
	CU_ASSERT_STRING_EQUAL(r->d->facts.name, "fake");
	CU_ASSERT_EQUAL(r->d->facts.segs_max, 4);
	rig_close(r);
}

static void loss_is_counted(void)
{
	const struct impair_settings s = {.loss_ppm = 1000000};
	struct rig *r = rig_open(&s);

	send(r, 'a', 0);
	arrive(r, 'b');
	arrive(r, 'c');
	CU_ASSERT_STRING_EQUAL(sent(r, 0), "");
	CU_ASSERT_STRING_EQUAL(received(r, 0), "");
	CU_ASSERT_EQUAL(dropped(r), 3);
	rig_close(r);
}

static void delay_holds_both_directions(void)
{
	const struct impair_settings s = {.delay_us = 1000};
	struct rig *r = rig_open(&s);

	send(r, 'a', 100);
	send(r, 'b', 300);
	arrive(r, 'x');
	CU_ASSERT_STRING_EQUAL(received(r, 500), "");
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pool), 0); /* only copies are held */
	CU_ASSERT_EQUAL(impair_next_us(r->d, 0), 1100);
	r->d->ops->wait(r->d, 0, -1, 5000);
	CU_ASSERT_EQUAL(r->inner.waited_us, 600);
	r->d->ops->wait(r->d, 0, -1, 50);
	CU_ASSERT_EQUAL(r->inner.waited_us, 50);
	CU_ASSERT_STRING_EQUAL(sent(r, 1099), "");
	CU_ASSERT_STRING_EQUAL(sent(r, 1100), "a");
	CU_ASSERT_STRING_EQUAL(received(r, 1499), "");
	CU_ASSERT_STRING_EQUAL(received(r, 1500), "x");
	CU_ASSERT_STRING_EQUAL(sent(r, 1500), "b");
	CU_ASSERT_EQUAL(impair_next_us(r->d, 0), UINT64_MAX);
	CU_ASSERT_TRUE(r->d->ops->link_up(r->d));
	r->inner.waited_us = 0;
	send(r, 'c', 2000);
	r->inner.room = 0;
	CU_ASSERT_STRING_EQUAL(sent(r, 3000), "");
	r->d->ops->wait(r->d, 0, -1, 5000); /* something is due: no waiting */
	CU_ASSERT_EQUAL(r->inner.waited_us, 0);
	CU_ASSERT_FALSE(r->d->ops->link_up(r->d));
	rig_close(r);
}

static void duplicates_are_copies(void)
{
	const struct impair_settings s = {.duplicate_ppm = 1000000};
	struct rig *r = rig_open(&s);

	send(r, 'a', 0);
	CU_ASSERT_EQUAL_FATAL(r->inner.out_count, 2);
	CU_ASSERT_PTR_NOT_EQUAL(r->inner.out[0], r->inner.out[1]);
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(r->inner.out[0]), 1);
	CU_ASSERT_EQUAL(r->inner.out[1]->pkt_len, 60);
	CU_ASSERT_STRING_EQUAL(sent(r, 0), "aa");
	arrive(r, 'x');
	arrive(r, 'y');
	CU_ASSERT_STRING_EQUAL(received(r, 0), "xxyy");
	rig_close(r);
}

/* One bit, and not in a segment that others share. */
static void corruption_flips_one_bit_of_a_copy(void)
{
	const struct impair_settings s = {.corrupt_ppm = 1000000, .seed = 11};
	struct rig *r = rig_open(&s);
	struct rte_mbuf *shared = frame(r, 0, 50);
	uint32_t places[60] = {0};

	for (int round = 0; round < 300; round++) {
		struct rte_mbuf *m = frame(r, 0, 10);
		rte_mbuf_refcnt_update(shared, 1);
		m->next = shared;
		m->nb_segs = 2;
		m->pkt_len = 60;
		CU_ASSERT_EQUAL(driver_tx(r->d, 0, &m, 1), 1);
		CU_ASSERT_EQUAL_FATAL(r->inner.out_count, 1);
		uint8_t bytes[60];
		const uint8_t *at = rte_pktmbuf_read(r->inner.out[0], 0, 60, bytes);
		int flipped = 0;
		for (int i = 0; i < 60; i++) {
			flipped += __builtin_popcount(at[i]);
			places[i] += at[i] != 0;
		}
		CU_ASSERT_EQUAL(flipped, 1);
		rte_pktmbuf_free(r->inner.out[0]);
		r->inner.out_count = 0;
	}
	int reached = 0;
	for (int i = 0; i < 60; i++)
		reached += places[i] > 0;
	CU_ASSERT_TRUE(reached > 50);
	for (int i = 0; i < 50; i++)
		CU_ASSERT_EQUAL(rte_pktmbuf_mtod(shared, uint8_t *)[i], 0);
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(shared), 1);
	rte_pktmbuf_free(shared);
	rig_close(r);
}

static void reordering_lets_later_frames_pass(void)
{
	const struct impair_settings s = {.reorder_ppm = 300000, .seed = 2};
	struct rig *r = rig_open(&s);
	int inversions = 0;
	int moved = 0;

	for (int i = 0; i < 50; i++)
		send(r, (uint8_t)('0' + i), 0);
	const char *order = sent(r, 100000);
	CU_ASSERT_EQUAL(strlen(order), 50);
	for (int i = 0; i < 50; i++) {
		CU_ASSERT_PTR_NOT_NULL(memchr(order, '0' + i, 50)); /* each once */
		moved += order[i] != '0' + i;
		inversions += i > 0 && order[i] < order[i - 1];
	}
	CU_ASSERT_TRUE(moved > 10);
	CU_ASSERT_TRUE(inversions > 5);
	rig_close(r);
}

static void holding_is_bounded(void)
{
	const struct impair_settings s = {.delay_us = 1000};
	struct rig *r = rig_open(&s);

	for (int i = 0; i < HELD + 10; i++)
		send(r, 'a', 0);
	CU_ASSERT_EQUAL(dropped(r), 10);
	CU_ASSERT_EQUAL(strlen(sent(r, 1000)), HELD);
	for (int i = 0; i < HELD + 3; i++)
		arrive(r, 'x');
	for (int i = 0; i < 3; i++) /* 32 frames a call */
		CU_ASSERT_EQUAL(strlen(received(r, 1000)), 0);
	CU_ASSERT_EQUAL(strlen(received(r, 2000)), HELD);
	CU_ASSERT_EQUAL(dropped(r), 13);
	rig_close(r);
}

static void without_copies_what_must_wait_is_dropped(void)
{
	const struct impair_settings s = {.delay_us = 1000};
	const struct impair_settings twice = {.duplicate_ppm = 1000000};
	struct rig *r = rig_open(&s);
	struct rte_mbuf *all[HELD * 4];

	CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(r->copies, all, HELD * 4), 0);
	send(r, 'a', 0);
	CU_ASSERT_EQUAL(dropped(r), 1);
	impair_set(r->d, 0, &twice);
	send(r, 'b', 0); /* no copy: no duplicate, but no loss either */
	CU_ASSERT_STRING_EQUAL(sent(r, 1000), "b");
	CU_ASSERT_EQUAL(dropped(r), 1);
	rte_pktmbuf_free_bulk(all, HELD * 4);
	rig_close(r);
}

/* A full ring of the inner driver is back-pressure here too. */
static void back_pressure_is_passed_on(void)
{
	const struct impair_settings s = {.jitter_us = 1, .seed = 4};
	struct rig *r = rig_open(&s);
	struct rte_mbuf *m[10];

	r->inner.room = 4;
	for (int i = 0; i < 10; i++)
		m[i] = frame(r, (uint8_t)('0' + i), 60);
	impair_now(r->d, 0, 0);
	const uint16_t taken = driver_tx(r->d, 0, m, 10);
	CU_ASSERT_TRUE(taken >= 5);
	impair_now(r->d, 0, 10);
	CU_ASSERT_EQUAL(driver_tx(r->d, 0, m + taken, (uint16_t)(10 - taken)), 0);
	CU_ASSERT_STRING_EQUAL(sent(r, 10), "0123");
	CU_ASSERT_EQUAL(dropped(r), 0);
	r->inner.room = 100;
	CU_ASSERT_EQUAL(driver_tx(r->d, 0, m + taken, (uint16_t)(10 - taken)), 10 - taken);
	CU_ASSERT_STRING_EQUAL(sent(r, 20), "456789");
	rig_close(r);
}

static void back_pressure_does_not_fill_the_queue(void)
{
	const struct impair_settings s = {.loss_ppm = 1};
	struct rig *r = rig_open(&s);

	r->inner.room = 4;
	for (int i = 0; i < 5; i++)
		send(r, 'a', 0);
	struct rte_mbuf *m = frame(r, 'b', 60);
	for (int i = 0; i < 2 * HELD; i++)
		CU_ASSERT_EQUAL(driver_tx(r->d, 0, &m, 1), 0);
	rte_pktmbuf_free(m);
	CU_ASSERT_EQUAL(dropped(r), 0);
	r->inner.room = 100;
	CU_ASSERT_STRING_EQUAL(sent(r, 0), "aaaaa");
	rig_close(r);
}

static void switching_off_lets_the_held_ones_go_first(void)
{
	const struct impair_settings s = {.delay_us = 1000};
	const struct impair_settings off = {0};
	struct rig *r = rig_open(&s);

	send(r, 'a', 0);
	arrive(r, 'x');
	CU_ASSERT_STRING_EQUAL(received(r, 0), "");
	impair_set(r->d, 0, &off);
	send(r, 'b', 10);
	arrive(r, 'y');
	CU_ASSERT_STRING_EQUAL(sent(r, 999), "");
	CU_ASSERT_STRING_EQUAL(received(r, 999), "");
	CU_ASSERT_STRING_EQUAL(sent(r, 1000), "ab");
	CU_ASSERT_STRING_EQUAL(received(r, 1000), "xy");
	rig_close(r);
}

static uint64_t replay(uint64_t seed)
{
	const struct impair_settings s = {100000, 200000, 100000, 100000, 300, 500, seed};
	const struct hash_key key = {1, 2};
	struct rig *r = rig_open(&s);
	uint64_t hash = 0;

	for (int step = 0; step < 400; step++) {
		impair_now(r->d, 0, (uint64_t)step * 50);
		struct rte_mbuf *m = frame(r, (uint8_t)step, 20);
		CU_ASSERT_EQUAL(driver_tx(r->d, 0, &m, 1), 1);
		arrive(r, (uint8_t)(step * 3));
		struct rte_mbuf *got[32];
		const uint16_t n = driver_rx(r->d, 0, got, 32);
		for (uint16_t i = 0; i < n; i++) {
			hash ^= siphash(key, span_of(rte_pktmbuf_mtod(got[i], void *), 60));
			hash = hash * 31 + (uint64_t)step;
		}
		rte_pktmbuf_free_bulk(got, n);
		for (uint32_t i = 0; i < r->inner.out_count; i++)
			hash = hash * 33 ^
			       siphash(key, span_of(rte_pktmbuf_mtod(r->inner.out[i], void *), 20));
		rte_pktmbuf_free_bulk(r->inner.out, r->inner.out_count);
		r->inner.out_count = 0;
	}
	rig_close(r);
	return hash;
}

static void the_same_seed_does_the_same(void)
{
	CU_ASSERT_EQUAL(replay(7), replay(7));
	CU_ASSERT_NOT_EQUAL(replay(7), replay(8));
}

static uint32_t received_on(struct rig *r, uint16_t queue, uint64_t now_us)
{
	struct rte_mbuf *frames[64];

	impair_now(r->d, queue, now_us);
	const uint16_t n = driver_rx(r->d, queue, frames, 64);
	rte_pktmbuf_free_bulk(frames, n);
	return n;
}

/* What is held of one queue neither comes out of another, nor moves when its time does. */
static void queues_are_impaired_apart(void)
{
	const struct impair_settings slow = {.delay_us = 1000};
	const struct impair_settings lossy = {.loss_ppm = 1000000};
	struct rig *r = rig_open_queues(&slow, 2);

	r->inner.queue = 1;
	arrive(r, 'a');
	CU_ASSERT_EQUAL(received_on(r, 1, 100), 0);
	CU_ASSERT_EQUAL(impair_next_us(r->d, 0), UINT64_MAX);
	CU_ASSERT_EQUAL(impair_next_us(r->d, 1), 1100);
	CU_ASSERT_EQUAL(received_on(r, 0, 5000), 0);
	CU_ASSERT_EQUAL(received_on(r, 1, 1099), 0);
	CU_ASSERT_EQUAL(received_on(r, 1, 1100), 1);
	struct rte_mbuf *m = frame(r, 'b', 60);
	CU_ASSERT_EQUAL(driver_tx(r->d, 1, &m, 1), 1);
	impair_now(r->d, 0, 9000);
	CU_ASSERT_EQUAL(r->inner.out_count, 0);
	impair_now(r->d, 1, 9000); /* sent on its own queue: fake_tx looks */
	CU_ASSERT_EQUAL(r->inner.out_count, 1);
	impair_set(r->d, 1, &lossy);
	arrive(r, 'c');
	CU_ASSERT_EQUAL(received_on(r, 1, 9000), 0);
	CU_ASSERT_EQUAL(dropped(r), 0);
	const enum counter lost = (enum counter)(COUNTER_NAMED + ERR_IMPAIR_DROPPED);
	CU_ASSERT_EQUAL(counter_get(&r->more_counters, lost), 1);
	rig_close(r);
}

static uint64_t losses(uint16_t queue)
{
	const struct impair_settings s = {.loss_ppm = 500000, .seed = 5};
	struct rig *r = rig_open_queues(&s, 2);
	uint64_t pattern = 0;

	r->inner.queue = queue;
	for (int i = 0; i < 64; i++) {
		arrive(r, 'x');
		pattern = pattern << 1 | received_on(r, queue, 0);
	}
	rig_close(r);
	return pattern;
}

static void queues_do_not_lose_the_same_frames(void)
{
	CU_ASSERT_EQUAL(losses(0), losses(0));
	CU_ASSERT_EQUAL(losses(1), losses(1));
	CU_ASSERT_NOT_EQUAL(losses(0), losses(1));
}

static const struct unit_test tests[] = {
	{"off_passes_the_very_buffers", off_passes_the_very_buffers},
	{"loss_is_counted", loss_is_counted},
	{"delay_holds_both_directions", delay_holds_both_directions},
	{"duplicates_are_copies", duplicates_are_copies},
	{"corruption_flips_one_bit_of_a_copy", corruption_flips_one_bit_of_a_copy},
	{"reordering_lets_later_frames_pass", reordering_lets_later_frames_pass},
	{"holding_is_bounded", holding_is_bounded},
	{"without_copies_what_must_wait_is_dropped", without_copies_what_must_wait_is_dropped},
	{"back_pressure_is_passed_on", back_pressure_is_passed_on},
	{"back_pressure_does_not_fill_the_queue", back_pressure_does_not_fill_the_queue},
	{"switching_off_lets_the_held_ones_go_first", switching_off_lets_the_held_ones_go_first},
	{"the_same_seed_does_the_same", the_same_seed_does_the_same},
	{"queues_are_impaired_apart", queues_are_impaired_apart},
	{"queues_do_not_lose_the_same_frames", queues_do_not_lose_the_same_frames},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("impair", tests, argc, argv);
}
