/* impair.c - the impairing driver: two paths around another driver.
 *
 * While all settings are zero and nothing is held, frames go straight through. Otherwise every
 * frame gets its fate (fate.h) and goes through the path of its direction (path.h). A frame that
 * must wait is copied first, so that delay ties up neither the NIC's buffers nor the stack's; so is
 * one that gets corrupted, since the stack's segments may be shared. */
#include "drivers/impair.h"

#include "dataplane/base/assert.h"
#include "drivers/fate.h"
#include "drivers/path.h"

#include <stdlib.h>

enum { RX = 0, TX = 1, BURST = 32 };

struct impair {
	struct driver driver; /* first: the driver is the impair */
	struct driver *inner;
	struct rte_mempool *copies;
	struct impair_settings settings;
	struct rng rng[2];
	struct path path[2];
	struct path_frame *rings; /* of both paths */
	uint64_t now_us;
};

static struct impair *of(struct driver *d)
{
	return (struct impair *)d;
}

static void drop(struct impair *im, struct rte_mbuf *m)
{
	counter_err(im->driver.counters, ERR_IMPAIR_DROPPED);
	rte_pktmbuf_free(m);
}

static struct rte_mbuf *copy_of(struct impair *im, const struct rte_mbuf *m)
{
	return rte_pktmbuf_copy(m, im->copies, 0, UINT32_MAX);
}

static void flip(struct rte_mbuf *m, uint32_t bit)
{
	uint32_t at = bit / 8;

	for (; at >= m->data_len; m = m->next)
		at -= m->data_len;
	*rte_pktmbuf_mtod_offset(m, uint8_t *, at) ^= (uint8_t)(1u << bit % 8);
}

static void put(
	struct impair *im, unsigned way, struct rte_mbuf *m, uint8_t overtakers, uint32_t delay_us)
{
	if (path_room(&im->path[way]) == 0) {
		drop(im, m);
		return;
	}
	path_put(&im->path[way], m, overtakers, im->now_us, im->now_us + delay_us);
}

/* Takes the frame. */
static void meet_fate(struct impair *im, unsigned way, struct rte_mbuf *m)
{
	const struct fate f = fate_of(&im->settings, &im->rng[way], m->pkt_len);

	if (f.lost) {
		drop(im, m);
		return;
	}
	if (f.delay_us > 0 || f.overtakers > 0 || f.corrupt_bit != FATE_INTACT) {
		struct rte_mbuf *copy = copy_of(im, m);
		if (copy == NULL) {
			drop(im, m);
			return;
		}
		rte_pktmbuf_free(m);
		m = copy;
	}
	if (f.corrupt_bit != FATE_INTACT)
		flip(m, f.corrupt_bit);
	struct rte_mbuf *twin = f.duplicate ? copy_of(im, m) : NULL; /* none left: no twin */
	put(im, way, m, f.overtakers, f.delay_us);
	if (twin != NULL)
		put(im, way, twin, 0, f.copy_delay_us);
}

static bool is_idle(const struct impair *im, unsigned way)
{
	return fate_is_none(&im->settings) && path_next_us(&im->path[way]) == UINT64_MAX;
}

/* Sends what is due. False: the inner driver has no room, and something due is left. */
static bool send_due(struct impair *im)
{
	struct path *p = &im->path[TX];
	struct rte_mbuf *m;

	while ((m = path_peek(p, im->now_us)) != NULL) {
		if (driver_tx(im->inner, 0, &m, 1) == 0)
			return false;
		path_pop(p);
	}
	return true;
}

static uint16_t impair_tx(struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n)
{
	struct impair *im = of(d);

	if (is_idle(im, TX))
		return driver_tx(im->inner, queue, frames, n);
	uint16_t taken = 0;
	while (taken < n && send_due(im)) /* a full ring stays back-pressure */
		meet_fate(im, TX, frames[taken++]);
	send_due(im);
	return taken;
}

static uint16_t impair_rx(struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n)
{
	struct impair *im = of(d);
	struct path *p = &im->path[RX];
	struct rte_mbuf *burst[BURST];
	struct rte_mbuf *m;
	uint16_t given = 0;

	if (is_idle(im, RX))
		return driver_rx(im->inner, queue, frames, n);
	/* No more than the caller takes, or what is due would pile up until it is dropped. */
	const uint16_t got = driver_rx(im->inner, queue, burst, RTE_MIN(n, (uint16_t)BURST));
	for (uint16_t i = 0; i < got; i++)
		meet_fate(im, RX, burst[i]);
	while (given < n && (m = path_peek(p, im->now_us)) != NULL) {
		frames[given++] = m;
		path_pop(p);
	}
	return given;
}

static void impair_wait(struct driver *d, uint16_t queue, uint64_t timeout_us)
{
	struct impair *im = of(d);
	const uint64_t next_us = impair_next_us(d);

	if (next_us <= im->now_us)
		return;
	im->inner->ops->wait(im->inner, queue, RTE_MIN(timeout_us, next_us - im->now_us));
}

static bool impair_link_up(struct driver *d)
{
	return of(d)->inner->ops->link_up(of(d)->inner);
}

static void impair_close(struct driver *d)
{
	struct impair *im = of(d);

	for (unsigned way = RX; way <= TX; way++) {
		struct rte_mbuf *m;
		while ((m = path_peek(&im->path[way], UINT64_MAX)) != NULL) {
			rte_pktmbuf_free(m);
			path_pop(&im->path[way]);
		}
	}
	im->inner->ops->close(im->inner);
	free(im->rings);
	free(im);
}

static const struct driver_ops impair_ops = {
	.rx = impair_rx,
	.tx = impair_tx,
	.wait = impair_wait,
	.link_up = impair_link_up,
	.close = impair_close,
};

struct driver *impair_create(struct driver *inner, struct rte_mempool *copies, uint32_t held_max)
{
	struct impair *im = calloc(1, sizeof(*im));
	struct path_frame *rings = calloc(2 * (size_t)held_max, sizeof(*rings));

	ASSERT(inner->facts.queues == 1);
	ASSERT(held_max > 0);
	if (im == NULL || rings == NULL) {
		free(im);
		free(rings);
		return NULL;
	}
	im->driver = (struct driver){&impair_ops, inner->facts, inner->counters};
	im->inner = inner;
	im->copies = copies;
	im->rings = rings;
	path_init(&im->path[RX], rings, held_max);
	path_init(&im->path[TX], rings + held_max, held_max);
	return &im->driver;
}

void impair_set(struct driver *d, const struct impair_settings *s)
{
	struct impair *im = of(d);

	im->settings = *s;
	im->rng[RX] = fate_rng(s, RX);
	im->rng[TX] = fate_rng(s, TX);
}

void impair_now(struct driver *d, uint64_t now_us)
{
	struct impair *im = of(d);

	if (now_us > im->now_us)
		im->now_us = now_us;
	send_due(im);
}

uint64_t impair_next_us(const struct driver *d)
{
	const struct impair *im = (const struct impair *)d;

	return RTE_MIN(path_next_us(&im->path[RX]), path_next_us(&im->path[TX]));
}
