/* stream_plan.c - see stream_plan.h. */
#include "tests/sim/stream_plan.h"

#include <string.h>

enum {
	MS = 1000,
	S = 1000000,
	LINKS_MIN = 4,
	LINKS_SPREAD = 61,
	STALL_S_MAX = 25, /* below the minute for which bytes wait after both FINs */
};

#define PICK(rng, of) ((of)[rng_below((rng), sizeof(of) / sizeof((of)[0]))])

static void draw_wire(struct plan *p, struct rng *rng)
{
	static const uint64_t rates[] = {2000000, 10000000, 100000000, 1000000000};
	static const uint32_t queues[] = {20, 100, 400};
	const uint32_t delay_us = rng_below(rng, rng_chance(rng, 500000) ? 2 * MS : 50 * MS);

	p->impair = (struct impair_settings){.loss_ppm = rng_below(rng, 100001),
		.reorder_ppm = rng_below(rng, 50000),
		.duplicate_ppm = rng_below(rng, 30000),
		.corrupt_ppm = rng_below(rng, 5000),
		.delay_us = delay_us,
		.jitter_us = rng_below(rng, delay_us + 1),
		.seed = rng_next(rng)};
	p->bits_per_s = PICK(rng, rates);
	p->frames_max = PICK(rng, queues);
	for (unsigned i = 0; i < STREAM_FLAPS; i++) {
		const uint64_t down_us = rng_below(rng, 20 * S);
		if (rng_chance(rng, 300000))
			p->flap[i] =
				(struct flap){down_us, down_us + 100 * MS + rng_below(rng, 5 * S)};
	}
}

static void draw_ends(struct plan *p, const struct stream_conf *conf, struct rng *rng)
{
	static const uint32_t windows[] = {600, 1460, 4096, 20000, 65535, 256 << 10};
	static const uint32_t queues[] = {3000, 20000, 256 << 10};
	static const uint16_t mtus[] = {296, 576, 1500, 1500};
	static const uint16_t segs[] = {1, 2, 8};
	const uint16_t mtu = PICK(rng, mtus);

	for (unsigned i = 0; i < 2; i++) {
		p->end[i].side = i;
		p->end[i].mtu = mtu;
		p->end[i].segs_max = PICK(rng, segs);
		p->end[i].window = PICK(rng, windows);
		p->end[i].send_queue = PICK(rng, queues);
		/* Where buffers are short, what comes in is not kept while the reader is away;
		 * lwIP gives up after twelve tries, of which that can take all. */
		p->end[i].tight = rng_chance(rng, 150000) && !conf->lwip;
		p->end[i].seed = conf->seed;
	}
}

/* Most streams of a broker's clients are short, and some are none. */
static uint64_t draw_bytes(struct rng *rng)
{
	const uint32_t kind = rng_below(rng, 20);

	if (kind < 4)
		return 0;
	if (kind < 11)
		return 1 + rng_below(rng, 300);
	return kind < 17 ? rng_below(rng, 20000) : rng_below(rng, 200000);
}

static void draw_half(struct half *h, struct rng *rng)
{
	h->bytes = draw_bytes(rng);
	if (rng_chance(rng, 80000))
		h->abort_us = 1 + rng_below(rng, rng_chance(rng, 500000) ? 100 * MS : 3 * S);
	h->stall_at = rng_below(rng, 20000);
	if (rng_chance(rng, 200000))
		h->stall_us = rng_below(rng, STALL_S_MAX * S);
	if (rng_chance(rng, 500000))
		h->pause_us = 1 + rng_below(rng, 50 * MS);
}

static void draw_link(struct link *l, struct rng *rng)
{
	l->opener = rng_below(rng, 2);
	l->start_us = rng_below(rng, 20 * S);
	for (unsigned side = 0; side < 2; side++) {
		l->offset[side] = rng_below(rng, STREAM_PATTERN);
		draw_half(&l->half[side], rng);
	}
	if (rng_chance(rng, 500000)) /* not both, or each would wait for the other */
		l->half[rng_below(rng, 2)].waits = true;
}

void plan_draw(struct plan *p, const struct stream_conf *conf, struct rng *rng)
{
	memset(p, 0, sizeof(*p));
	draw_wire(p, rng);
	draw_ends(p, conf, rng);
	p->count = LINKS_MIN + rng_below(rng, LINKS_SPREAD);
	for (uint32_t i = 0; i < p->count; i++)
		draw_link(&p->links[i], rng);
}
