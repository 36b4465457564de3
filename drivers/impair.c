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
#include <string.h>

enum { RX = 0, TX = 1, BURST = 32 };

/* One queue pair. Lines of its own: its worker is not slowed down by others. */
struct lane {
	_Alignas(64) struct driver *inner;
	uint16_t queue;
	struct rte_mempool *copies;
	struct counters *counters;
	struct impair_settings settings;
	struct rng rng[2];
	struct path path[2];
	struct path_frame *rings; /* of both paths */
	uint64_t now_us;
};

struct impair {
	struct driver driver; /* first: the driver is the impair */
	struct driver *inner;
	struct lane *lanes;
};

static struct impair *of(struct driver *d)
{
	return (struct impair *)d;
}

static struct lane *lane_of(const struct driver *d, uint16_t queue)
{
	ASSERT(queue < d->facts.queues);
	return &((const struct impair *)d)->lanes[queue];
}

static void drop(struct lane *l, struct rte_mbuf *m)
{
	counter_err(l->counters, ERR_IMPAIR_DROPPED);
	rte_pktmbuf_free(m);
}

static struct rte_mbuf *copy_of(struct lane *l, const struct rte_mbuf *m)
{
	return rte_pktmbuf_copy(m, l->copies, 0, UINT32_MAX);
}

static void flip(struct rte_mbuf *m, uint32_t bit)
{
	uint32_t at = bit / 8;

	for (; at >= m->data_len; m = m->next)
		at -= m->data_len;
	*rte_pktmbuf_mtod_offset(m, uint8_t *, at) ^= (uint8_t)(1u << bit % 8);
}

static void put(
	struct lane *l, unsigned way, struct rte_mbuf *m, uint8_t overtakers, uint32_t delay_us)
{
	if (path_room(&l->path[way]) == 0) {
		drop(l, m);
		return;
	}
	path_put(&l->path[way], m, overtakers, l->now_us, l->now_us + delay_us);
}

/* Takes the frame. */
static void meet_fate(struct lane *l, unsigned way, struct rte_mbuf *m)
{
	const struct fate f = fate_of(&l->settings, &l->rng[way], m->pkt_len);

	if (f.lost) {
		drop(l, m);
		return;
	}
	if (f.delay_us > 0 || f.overtakers > 0 || f.corrupt_bit != FATE_INTACT) {
		struct rte_mbuf *copy = copy_of(l, m);
		if (copy == NULL) {
			drop(l, m);
			return;
		}
		rte_pktmbuf_free(m);
		m = copy;
	}
	if (f.corrupt_bit != FATE_INTACT)
		flip(m, f.corrupt_bit);
	struct rte_mbuf *twin = f.duplicate ? copy_of(l, m) : NULL; /* none left: no twin */
	put(l, way, m, f.overtakers, f.delay_us);
	if (twin != NULL)
		put(l, way, twin, 0, f.copy_delay_us);
}

static bool is_idle(const struct lane *l, unsigned way)
{
	return fate_is_none(&l->settings) && path_next_us(&l->path[way]) == UINT64_MAX;
}

/* Sends what is due. False: the inner driver has no room, and something due is left. */
static bool send_due(struct lane *l)
{
	struct path *p = &l->path[TX];
	struct rte_mbuf *m;

	while ((m = path_peek(p, l->now_us)) != NULL) {
		if (driver_tx(l->inner, l->queue, &m, 1) == 0)
			return false;
		path_pop(p);
	}
	return true;
}

static uint16_t impair_tx(struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n)
{
	struct lane *l = lane_of(d, queue);

	if (is_idle(l, TX))
		return driver_tx(l->inner, queue, frames, n);
	uint16_t taken = 0;
	while (taken < n && send_due(l)) /* a full ring stays back-pressure */
		meet_fate(l, TX, frames[taken++]);
	send_due(l);
	return taken;
}

static uint16_t impair_rx(struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n)
{
	struct lane *l = lane_of(d, queue);
	struct path *p = &l->path[RX];
	struct rte_mbuf *burst[BURST];
	struct rte_mbuf *m;
	uint16_t given = 0;

	if (is_idle(l, RX))
		return driver_rx(l->inner, queue, frames, n);
	/* No more than the caller takes, or what is due would pile up until it is dropped. */
	const uint16_t got = driver_rx(l->inner, queue, burst, RTE_MIN(n, (uint16_t)BURST));
	for (uint16_t i = 0; i < got; i++)
		meet_fate(l, RX, burst[i]);
	while (given < n && (m = path_peek(p, l->now_us)) != NULL) {
		frames[given++] = m;
		path_pop(p);
	}
	return given;
}

static void impair_wait(struct driver *d, uint16_t queue, int bell, uint64_t timeout_us)
{
	const struct lane *l = lane_of(d, queue);
	const uint64_t next_us = impair_next_us(d, queue);

	if (next_us <= l->now_us)
		return;
	l->inner->ops->wait(l->inner, queue, bell, RTE_MIN(timeout_us, next_us - l->now_us));
}

static bool impair_link_up(struct driver *d)
{
	return of(d)->inner->ops->link_up(of(d)->inner);
}

static void lane_empty(struct lane *l)
{
	for (unsigned way = RX; way <= TX; way++) {
		struct rte_mbuf *m;
		while ((m = path_peek(&l->path[way], UINT64_MAX)) != NULL) {
			rte_pktmbuf_free(m);
			path_pop(&l->path[way]);
		}
	}
}

static void lanes_free(struct impair *im)
{
	for (uint16_t q = 0; im->lanes != NULL && q < im->driver.facts.queues; q++)
		free(im->lanes[q].rings);
	free(im->lanes);
	free(im);
}

static void impair_close(struct driver *d)
{
	for (uint16_t q = 0; q < d->facts.queues; q++)
		lane_empty(lane_of(d, q));
	of(d)->inner->ops->close(of(d)->inner);
	lanes_free(of(d));
}

static const struct driver_ops impair_ops = {
	.rx = impair_rx,
	.tx = impair_tx,
	.wait = impair_wait,
	.link_up = impair_link_up,
	.close = impair_close,
};

static bool lane_create(struct lane *l, uint32_t held_max)
{
	l->rings = calloc(2 * (size_t)held_max, sizeof(*l->rings));
	if (l->rings == NULL)
		return false;
	path_init(&l->path[RX], l->rings, held_max);
	path_init(&l->path[TX], l->rings + held_max, held_max);
	return true;
}

struct driver *impair_create(struct driver *inner, struct rte_mempool *const *copies,
	struct counters *const *counters, uint32_t held_max)
{
	const uint16_t queues = inner->facts.queues;
	struct impair *im = calloc(1, sizeof(*im));

	ASSERT(held_max > 0 && queues > 0);
	if (im == NULL)
		return NULL;
	im->driver = (struct driver){&impair_ops, inner->facts, inner->counters};
	im->inner = inner;
	im->lanes = aligned_alloc(64, queues * sizeof(*im->lanes));
	if (im->lanes != NULL)
		memset(im->lanes, 0, queues * sizeof(*im->lanes));
	bool good = im->lanes != NULL;
	for (uint16_t q = 0; good && q < queues; q++) {
		im->lanes[q] = (struct lane){
			.inner = inner, .queue = q, .copies = copies[q], .counters = counters[q]};
		good = lane_create(&im->lanes[q], held_max);
	}
	if (good)
		return &im->driver;
	lanes_free(im);
	return NULL;
}

void impair_set(struct driver *d, uint16_t queue, const struct impair_settings *s)
{
	struct lane *l = lane_of(d, queue);
	struct impair_settings own = *s;

	own.seed += queue; /* queues do not lose the same frames */
	l->settings = own;
	l->rng[RX] = fate_rng(&own, RX);
	l->rng[TX] = fate_rng(&own, TX);
}

void impair_now(struct driver *d, uint16_t queue, uint64_t now_us)
{
	struct lane *l = lane_of(d, queue);

	if (now_us > l->now_us)
		l->now_us = now_us;
	send_due(l);
}

uint64_t impair_next_us(const struct driver *d, uint16_t queue)
{
	const struct lane *l = lane_of(d, queue);

	return RTE_MIN(path_next_us(&l->path[RX]), path_next_us(&l->path[TX]));
}
