/* sim.c - the wire in memory. Frames under way lie in the wire's own memory, as bytes: a receiver's
 * pool is touched when it polls, as a NIC would, and not by what is still on its way. A receiver
 * that does not poll holds up the wire, and the sender's ring fills. */
#include "drivers/sim/sim.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/hash.h"
#include "dataplane/base/pool.h"
#include "drivers/fate.h"
#include "drivers/path.h"

#include <stdlib.h>

enum {
	ETH_HEADER = 14,
	FLOW_AT = 26, /* IPv4 addresses and ports, where there are no options */
	FLOW_END = 38,
	STRAY_PPM = 1000000 / 64, /* frames that come in at another queue than their flow */
};

struct sim_frame {
	uint32_t size;
	uint32_t index;         /* in its pool */
	struct sim_frame *next; /* in its queue */
	uint8_t bytes[];
};

/* Frames that have arrived, oldest first. */
struct sim_queue {
	struct sim_frame *first, **last;
	struct rte_mempool *pool;
	struct counters *counters;
};

/* An end, and the way from it to the other end. */
struct sim_side {
	struct driver driver; /* first: the driver is the side */
	struct sim_wire *wire;
	struct sim_queue queue[SIM_QUEUES_MAX];
	struct path path;
	struct pool frames;
	struct path_frame *ring; /* of path */
	void *memory;            /* of frames */
	struct rng rng;
	uint64_t line_free_us;   /* when the last frame has left this end */
	uint64_t line_free_part; /* and the fraction of a microsecond, in bits times 10^6 */
};

struct sim_wire {
	struct sim_side side[2];
	struct impair_settings impair;
	uint64_t bits_per_s;
	uint64_t now_us;
	uint32_t frame_max;  /* bytes */
	uint32_t frames_max; /* under way from one end */
	struct rng queue_rng;
	struct hash_key queue_key;
	void (*seen)(void *owner, unsigned from, struct span frame);
	void *owner;
};

static struct sim_side *side_of(struct driver *d)
{
	return (struct sim_side *)d;
}

static struct sim_side *other(struct sim_side *s)
{
	return &s->wire->side[s == &s->wire->side[0]];
}

static struct sim_frame *frame_get(struct sim_side *s)
{
	const uint32_t index = pool_get(&s->frames);

	ASSERT(index != POOL_NONE); /* there are as many as the path has places, and one more */
	struct sim_frame *f = pool_at(&s->frames, index);
	f->index = index;
	return f;
}

static void frame_put(struct sim_side *s, struct sim_frame *f)
{
	pool_put(&s->frames, f->index);
}

/* What has arrived and was not fetched holds its place, too. */
static uint32_t room(const struct sim_side *s)
{
	return s->frames.out < s->wire->frames_max ? s->wire->frames_max - s->frames.out : 0;
}

/* When the frame's last bit has left: frames queue for the line. Exact over any number of frames.
 */
static uint64_t serialise(struct sim_side *s, uint32_t size)
{
	const struct sim_wire *w = s->wire;

	if (w->bits_per_s == 0)
		return w->now_us;
	if (s->line_free_us < w->now_us) {
		s->line_free_us = w->now_us;
		s->line_free_part = 0;
	}
	s->line_free_part += (uint64_t)size * 8 * 1000000;
	s->line_free_us += s->line_free_part / w->bits_per_s;
	s->line_free_part %= w->bits_per_s;
	return s->line_free_us + (s->line_free_part != 0);
}

/* It has no checksum of its own: on a real wire only the frame's, which we do not have, protects
 * it. */
static bool is_arp(const struct sim_frame *f)
{
	enum { TYPE_AT = 12 };

	return f->size > TYPE_AT + 1 && f->bytes[TYPE_AT] == 0x08 && f->bytes[TYPE_AT + 1] == 0x06;
}

static void meet_fate(struct sim_side *s, struct sim_frame *f, struct counters *c)
{
	struct sim_wire *w = s->wire;
	const struct fate fate = fate_of(&w->impair, &s->rng, f->size);
	const uint64_t left_us = serialise(s, f->size);

	if (fate.lost) {
		counter_err(c, ERR_IMPAIR_DROPPED);
		frame_put(s, f);
		return;
	}
	if (fate.corrupt_bit != FATE_INTACT && !is_arp(f))
		f->bytes[fate.corrupt_bit / 8] ^= (uint8_t)(1u << fate.corrupt_bit % 8);
	path_put(&s->path, f, fate.overtakers, w->now_us, left_us + fate.delay_us);
	if (!fate.duplicate || room(s) == 0)
		return;
	struct sim_frame *twin = frame_get(s);
	twin->size = f->size;
	memcpy(twin->bytes, f->bytes, f->size);
	path_put(&s->path, twin, 0, w->now_us, left_us + fate.copy_delay_us);
}

static void transmit(struct sim_side *s, struct rte_mbuf *m, struct counters *c)
{
	struct sim_wire *w = s->wire;

	if (m->nb_segs > SIM_SEGS_MAX || m->pkt_len > w->frame_max) {
		counter_err(c, ERR_NIC_TX_DROPPED);
		rte_pktmbuf_free(m);
		return;
	}
	counter_add(c, COUNTER_NIC_TX_PACKETS, 1);
	counter_add(c, COUNTER_NIC_TX_BYTES, m->pkt_len);
	struct sim_frame *f = frame_get(s);
	f->size = m->pkt_len;
	const void *at = rte_pktmbuf_read(m, 0, f->size, f->bytes);
	ASSERT(at != NULL || f->size == 0); /* the sender's chain is as long as it says */
	if (at != f->bytes && f->size > 0)
		memcpy(f->bytes, at, f->size);
	rte_pktmbuf_free(m);
	if (w->seen != NULL)
		w->seen(w->owner, s == &w->side[1], span_of(f->bytes, f->size));
	meet_fate(s, f, c);
}

static uint16_t sim_tx(struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n)
{
	struct sim_side *s = side_of(d);
	struct counters *c = s->queue[queue].counters;
	uint16_t taken = 0;

	ASSERT(queue < d->facts.queues);
	while (taken < n && room(s) > 0)
		transmit(s, frames[taken++], c);
	if (taken < n)
		counter_add(c, COUNTER_NIC_TX_BACKPRESSURE, 1);
	return taken;
}

/* The bytes in buffers of the receiver; NULL when it has too few. */
static struct rte_mbuf *receive(struct rte_mempool *pool, struct span bytes)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(pool);
	struct rte_mbuf *tail = head;

	while (tail != NULL) {
		const uint16_t room = rte_pktmbuf_tailroom(tail);
		const uint16_t part = (uint16_t)RTE_MIN(bytes.size, room);
		if (part > 0)
			memcpy(rte_pktmbuf_mtod(tail, void *), bytes.at, part);
		tail->data_len = part;
		head->pkt_len += part;
		bytes = span_skip(bytes, part);
		if (bytes.size == 0)
			return head;
		tail->next = rte_pktmbuf_alloc(pool);
		tail = tail->next;
		head->nb_segs += tail != NULL;
	}
	rte_pktmbuf_free(head);
	return NULL;
}

static uint32_t queue_of(struct sim_side *to, const struct sim_frame *f)
{
	struct sim_wire *w = to->wire;
	const uint32_t queues = to->driver.facts.queues;

	if (queues == 1)
		return 0;
	if (f->size < FLOW_END || rng_chance(&w->queue_rng, STRAY_PPM))
		return rng_below(&w->queue_rng, queues);
	const struct span flow = span_of(f->bytes + FLOW_AT, FLOW_END - FLOW_AT);
	return (uint32_t)(siphash(w->queue_key, flow) % queues);
}

/* What is due goes to its queue. */
static void arrive(struct sim_side *to, struct path *path)
{
	struct sim_frame *f;

	while ((f = path_peek(path, to->wire->now_us)) != NULL) {
		struct sim_queue *q = &to->queue[queue_of(to, f)];
		path_pop(path);
		f->next = NULL;
		*q->last = f;
		q->last = &f->next;
	}
}

static struct sim_frame *fetch(struct sim_queue *q)
{
	struct sim_frame *f = q->first;

	if (f == NULL)
		return NULL;
	q->first = f->next;
	if (q->first == NULL)
		q->last = &q->first;
	return f;
}

static uint16_t sim_rx(struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n)
{
	struct sim_side *s = side_of(d);
	struct sim_side *from = other(s);
	struct sim_queue *q = &s->queue[queue];
	struct sim_frame *f;
	uint16_t given = 0;

	ASSERT(queue < d->facts.queues);
	arrive(s, &from->path);
	while (given < n && (f = fetch(q)) != NULL) {
		struct rte_mbuf *m = receive(q->pool, span_of(f->bytes, f->size));
		frame_put(from, f);
		if (m == NULL) {
			counter_err(q->counters, ERR_NIC_RX_DROPPED);
			continue;
		}
		counter_add(q->counters, COUNTER_NIC_RX_PACKETS, 1);
		counter_add(q->counters, COUNTER_NIC_RX_BYTES, m->pkt_len);
		frames[given++] = m;
	}
	return given;
}

/* Time moves by sim_now only: there is nothing to wait for. */
static void sim_wait(struct driver *d, uint16_t queue, int bell, uint64_t timeout_us)
{
	(void)d;
	(void)queue;
	(void)bell;
	(void)timeout_us;
}

static bool sim_link_up(struct driver *d)
{
	(void)d;
	return true;
}

static void sim_close(struct driver *d)
{
	(void)d; /* both ends go with the wire */
}

static const struct driver_ops sim_ops = {
	.rx = sim_rx,
	.tx = sim_tx,
	.wait = sim_wait,
	.link_up = sim_link_up,
	.close = sim_close,
};

static uint32_t frames_of(const struct sim_conf *conf)
{
	return conf->frames_max + 1; /* one is looked at while the path is full */
}

static size_t frame_bytes(const struct sim_conf *conf)
{
	return (sizeof(struct sim_frame) + ETH_HEADER + conf->mtu + 7) & ~(size_t)7;
}

static void queues_init(struct sim_side *s, const struct sim_conf *conf, unsigned end)
{
	s->queue[0] = (struct sim_queue){.pool = conf->pool[end], .counters = conf->counters[end]};
	for (unsigned q = 1; q < s->driver.facts.queues; q++)
		s->queue[q] = (struct sim_queue){
			.pool = conf->more_pools[q - 1], .counters = conf->more_counters[q - 1]};
	for (unsigned q = 0; q < s->driver.facts.queues; q++)
		s->queue[q].last = &s->queue[q].first;
}

static void side_init(struct sim_wire *w, const struct sim_conf *conf, unsigned end)
{
	struct sim_side *s = &w->side[end];

	s->driver = (struct driver){
		.ops = &sim_ops,
		.facts = {.mtu = conf->mtu, .queues = 1, .segs_max = SIM_SEGS_MAX, .name = "sim"},
		.counters = conf->counters[end],
	};
	memcpy(s->driver.facts.mac, conf->mac[end], 6);
	s->wire = w;
	if (end == 0 && conf->queues > 1)
		s->driver.facts.queues = conf->queues;
	queues_init(s, conf, end);
	path_init(&s->path, s->ring, conf->frames_max);
	pool_init(&s->frames, s->memory, frames_of(conf), frame_bytes(conf));
}

struct sim_wire *sim_create(const struct sim_conf *conf)
{
	struct sim_wire *w = calloc(1, sizeof(*w));

	ASSERT(conf->frames_max > 0 && conf->queues <= SIM_QUEUES_MAX);
	if (w == NULL)
		return NULL;
	w->frames_max = conf->frames_max;
	w->queue_rng = rng_from(~conf->impair.seed);
	w->queue_key = (struct hash_key){conf->impair.seed, 0x71756575};
	w->bits_per_s = conf->bits_per_s;
	w->frame_max = (uint32_t)conf->mtu + ETH_HEADER;
	for (unsigned end = 0; end < 2; end++) {
		struct sim_side *s = &w->side[end];
		s->memory = malloc(pool_bytes(frames_of(conf), frame_bytes(conf)));
		s->ring = calloc(conf->frames_max, sizeof(*s->ring));
		if (s->memory == NULL || s->ring == NULL) {
			sim_destroy(&w);
			return NULL;
		}
		side_init(w, conf, end);
	}
	sim_impair(w, &conf->impair);
	return w;
}

void sim_destroy(struct sim_wire **w)
{
	if (*w == NULL)
		return;
	for (unsigned end = 0; end < 2; end++) {
		free((*w)->side[end].memory);
		free((*w)->side[end].ring);
	}
	free(*w);
	*w = NULL;
}

struct driver *sim_end(struct sim_wire *w, unsigned end)
{
	ASSERT(end < 2);
	return &w->side[end].driver;
}

void sim_now(struct sim_wire *w, uint64_t now_us)
{
	ASSERT(now_us >= w->now_us);
	w->now_us = now_us;
}

uint64_t sim_next_us(const struct sim_wire *w)
{
	for (unsigned end = 0; end < 2; end++)
		for (unsigned q = 0; q < w->side[end].driver.facts.queues; q++)
			if (w->side[end].queue[q].first != NULL)
				return w->now_us;
	return RTE_MIN(path_next_us(&w->side[0].path), path_next_us(&w->side[1].path));
}

void sim_impair(struct sim_wire *w, const struct impair_settings *s)
{
	w->impair = *s;
	w->side[0].rng = fate_rng(s, 0);
	w->side[1].rng = fate_rng(s, 1);
}

void sim_tap(struct sim_wire *w, void (*seen)(void *owner, unsigned from, struct span frame),
	void *owner)
{
	w->seen = seen;
	w->owner = owner;
}
