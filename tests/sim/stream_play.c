/* stream_play.c - see stream_play.h. */
#include "tests/sim/stream_play.h"

#include "dataplane/base/assert.h"
#include "drivers/sim/sim.h"
#include "tests/sim/stream_plan.h"
#include "tests/unit/eal.h"

#include <rte_mempool.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	MS = 1000,
	S = 1000000,
	RX_BUFFERS = 512,
	PIECE = 4096,
	PORTS = 12, /* that one side opens from, so that they come again */
	PORT_FIRST = 40000,
	PORT_FRESH = 50000,
	PORT_REST_US = 2 * S, /* longer than a segment is under way: no old one is taken for new */
	FORSAKEN_S = 120,
	STUCK_S = 7200,      /* of virtual time: who is not done then never will be */
	TURNS_MAX = 2000000, /* a hundred times what a play takes */
	QUIET_S = 400,       /* after the last end; longer than TIME-WAIT */
};

struct play {
	struct plan plan;
	struct rng rng;
	struct sim_wire *wire;
	struct rte_mempool *rx[2];
	struct counters counters[2];
	struct end *end[2];
	uint8_t pattern[STREAM_PATTERN];
	uint64_t now_us, turns;
	bool lwip, down;
	struct stream_verdict *verdict;
};

static struct play play;

__attribute__((format(printf, 2, 3))) static void complain(struct play *p, const char *format, ...)
{
	va_list args;

	if (!p->verdict->good)
		return; /* the first thing that was wrong tells most */
	p->verdict->good = false;
	va_start(args, format);
	vsnprintf(p->verdict->why, STREAM_WHY, format, args);
	va_end(args);
}

/* FNV over words: frame, its time, its sender. */
static void on_frame(void *owner, unsigned from, struct span frame)
{
	struct play *p = owner;
	uint64_t h = p->verdict->trace ^ (p->now_us << 1 | from);

	for (size_t i = 0; i < frame.size; i += sizeof(uint64_t)) {
		uint64_t word = 0;
		memcpy(&word, frame.at + i, RTE_MIN(frame.size - i, sizeof(word)));
		h = (h ^ word) * 0x100000001b3u;
		h ^= h >> 32;
	}
	p->verdict->trace = h;
	p->verdict->frames++;
}

static bool port_in_use(const struct play *p, unsigned opener, uint16_t port)
{
	for (uint32_t i = 0; i < p->plan.count; i++) {
		const struct link *l = &p->plan.links[i];
		const struct half *h = &l->half[opener];
		if (!l->started || l->opener != opener || l->port != port)
			continue;
		if (!h->closed || p->now_us < h->closed_us + PORT_REST_US)
			return true;
	}
	return false;
}

static bool port_known(const struct play *p, unsigned opener, uint16_t port)
{
	for (uint32_t i = 0; i < p->plan.count; i++)
		if (p->plan.links[i].opener == opener && p->plan.links[i].port == port)
			return true;
	return false;
}

/* From a port that was used before if one may be, else from a fresh one. lwIP resets who comes
 * again in its TIME-WAIT, so with lwIP all are fresh. */
static void start(struct play *p, uint32_t index)
{
	struct link *l = &p->plan.links[index];
	const uint32_t first = rng_below(&p->rng, PORTS);
	struct end *e = p->end[l->opener];

	l->started = true;
	p->verdict->connections++;
	for (uint32_t i = 0; i < PORTS && !p->lwip; i++) {
		const uint16_t port = (uint16_t)(PORT_FIRST + (first + i) % PORTS);
		if (port_in_use(p, l->opener, port))
			continue;
		const bool again = port_known(p, l->opener, port);
		if (!e->ops->connect(e, port, index, p->now_us))
			continue; /* its own TIME-WAIT holds it */
		l->port = port;
		p->verdict->ports_again += again;
		return;
	}
	l->port = (uint16_t)(PORT_FRESH + index);
	if (!e->ops->connect(e, l->port, index, p->now_us))
		complain(p, "link %u: a fresh port is refused", index);
}

/* The newest link that was opened from there: older ones had their rest. */
static struct link *link_from(struct play *p, unsigned opener, uint16_t port)
{
	struct link *found = NULL;

	for (uint32_t i = 0; i < p->plan.count; i++) {
		struct link *l = &p->plan.links[i];
		if (!l->started || l->opener != opener || l->port != port)
			continue;
		if (found == NULL || l->start_us > found->start_us)
			found = l;
	}
	return found;
}

static void opened(struct play *p, struct half *h, uint64_t conn)
{
	h->open = true;
	h->conn = conn;
	h->opened_us = p->now_us;
}

static void on_accepted(struct play *p, unsigned side, const struct end_event *event)
{
	struct link *l = link_from(p, !side, event->peer_port);

	if (l == NULL || l->half[side].open) {
		complain(p, "side %u: accepts what nobody opened, from port %u", side,
			event->peer_port);
		return;
	}
	p->end[side]->ops->set_user(p->end[side], event->conn, (uint64_t)(l - p->plan.links));
	opened(p, &l->half[side], event->conn);
}

static void on_closed(struct play *p, unsigned side, const struct end_event *event)
{
	struct half *h = &p->plan.links[event->user].half[side];

	if (h->closed)
		complain(p, "side %u: link %lu ends twice", side, (unsigned long)event->user);
	h->closed = true;
	h->closed_us = p->now_us;
	h->in_order = event->in_order;
	h->ended |= event->in_order; /* the FIN was in this turn's frames */
	p->end[side]->ops->release(p->end[side], event->conn);
}

static void on_event(struct play *p, unsigned side, const struct end_event *event)
{
	if (event->kind == END_ACCEPTED)
		on_accepted(p, side, event);
	else if (event->kind == END_CONNECTED)
		opened(p, &p->plan.links[event->user].half[side], event->conn);
	else
		on_closed(p, side, event);
}

static void judge_bytes(struct play *p, struct link *l, unsigned side, const uint8_t *at, size_t n)
{
	struct half *h = &l->half[side];
	uint64_t from = (l->offset[!side] + h->received) % STREAM_PATTERN;

	h->received += n;
	p->verdict->bytes += n;
	while (n > 0) {
		const size_t part = RTE_MIN(n, STREAM_PATTERN - from);
		if (memcmp(at, p->pattern + from, part) != 0)
			complain(p, "side %u: link %u: wrong bytes before %lu", side,
				(unsigned)(l - p->plan.links), (unsigned long)h->received);
		at += part;
		n -= part;
		from = 0;
	}
	if (h->received > l->half[!side].sent)
		complain(p, "side %u: link %u: bytes that nobody sent", side,
			(unsigned)(l - p->plan.links));
}

/* Whether it goes away now. */
static bool rests(struct play *p, struct half *h)
{
	if (h->stall_us > 0 && h->received >= h->stall_at) {
		h->read_us = p->now_us + h->stall_us;
		h->stall_us = 0;
		return true;
	}
	if (h->pause_us > 0 && rng_chance(&p->rng, 100000)) {
		h->read_us = p->now_us + rng_below(&p->rng, h->pause_us);
		return true;
	}
	return false;
}

static void read_some(struct play *p, struct link *l, unsigned side)
{
	struct half *h = &l->half[side];
	struct end *e = p->end[side];
	uint8_t bytes[PIECE];

	while (p->now_us >= h->read_us) {
		const size_t n = e->ops->recv(e, h->conn, bytes, 1 + rng_below(&p->rng, PIECE));
		if (n == 0)
			break;
		judge_bytes(p, l, side, bytes, n);
		if (rests(p, h))
			break;
	}
	h->ended |= e->ops->at_end(e, h->conn);
}

static void write_some(struct play *p, struct link *l, unsigned side)
{
	struct half *h = &l->half[side];
	struct end *e = p->end[side];

	while (h->sent < h->bytes && p->now_us >= h->write_us) {
		const uint32_t at = (uint32_t)((l->offset[side] + h->sent) % STREAM_PATTERN);
		uint64_t n = 1 + rng_below(&p->rng, rng_chance(&p->rng, 500000) ? 200 : PIECE);
		n = RTE_MIN(RTE_MIN(n, h->bytes - h->sent), (uint64_t)STREAM_PATTERN - at);
		n = e->ops->send(e, h->conn, at, n);
		if (n == 0)
			return;
		h->sent += n;
		if (h->pause_us > 0 && rng_chance(&p->rng, 100000))
			h->write_us = p->now_us + rng_below(&p->rng, h->pause_us);
	}
	if (h->sent == h->bytes && !h->finished && (!h->waits || h->ended)) {
		h->finished = true;
		e->ops->half_close(e, h->conn);
	}
}

/* lwIP has no timer in FIN-WAIT-2, nor keepalive: after a reset that was lost it would wait for
 * ever. */
static bool forsaken(const struct play *p, const struct link *l, unsigned side)
{
	const struct half *peer = &l->half[!side];

	return p->lwip && side == 1 && l->half[1].finished && peer->aborted &&
	       p->now_us >= peer->closed_us + (uint64_t)FORSAKEN_S * S;
}

static void drive(struct play *p, struct link *l, unsigned side)
{
	struct half *h = &l->half[side];
	struct end *e = p->end[side];

	if (!h->open || h->closed || h->aborted)
		return;
	const bool left_alone = forsaken(p, l, side);
	p->verdict->forsaken += left_alone;
	if (left_alone || (h->abort_us > 0 && p->now_us >= h->opened_us + h->abort_us)) {
		h->aborted = true;
		e->ops->abort(e, h->conn);
		return;
	}
	read_some(p, l, side);
	write_some(p, l, side);
}

static void turn(struct play *p, unsigned side)
{
	struct end *e = p->end[side];
	struct end_event event;

	e->ops->begin(e, p->now_us);
	while (e->ops->next_event(e, &event))
		on_event(p, side, &event);
	for (uint32_t i = 0; i < p->plan.count; i++) {
		struct link *l = &p->plan.links[i];
		if (!l->started && l->opener == side && p->now_us >= l->start_us)
			start(p, i);
		drive(p, l, side);
	}
	e->ops->finish(e, p->now_us);
}

/* The link is down while every frame is lost. */
static void flap(struct play *p)
{
	struct impair_settings s = p->plan.impair;
	bool down = false;

	for (unsigned i = 0; i < STREAM_FLAPS; i++)
		down |= p->now_us >= p->plan.flap[i].down_us && p->now_us < p->plan.flap[i].up_us;
	if (down == p->down)
		return;
	p->down = down;
	if (down)
		s.loss_ppm = 1000000;
	s.seed ^= p->now_us; /* or the same would befall the frames again */
	sim_impair(p->wire, &s);
}

static void sooner(const struct play *p, uint64_t *next_us, uint64_t at_us)
{
	if (at_us > p->now_us && at_us < *next_us)
		*next_us = at_us;
}

static uint64_t next_us(const struct play *p)
{
	uint64_t next = sim_next_us(p->wire);

	for (unsigned side = 0; side < 2; side++)
		next = RTE_MIN(next, p->end[side]->ops->next_us(p->end[side]));
	for (unsigned i = 0; i < STREAM_FLAPS; i++) {
		sooner(p, &next, p->plan.flap[i].down_us);
		sooner(p, &next, p->plan.flap[i].up_us);
	}
	for (uint32_t i = 0; i < p->plan.count; i++) {
		const struct link *l = &p->plan.links[i];
		if (!l->started)
			sooner(p, &next, l->start_us);
		for (unsigned side = 0; side < 2; side++) {
			const struct half *h = &l->half[side];
			if (!h->open || h->closed)
				continue;
			sooner(p, &next, h->read_us);
			sooner(p, &next, h->write_us);
			if (h->abort_us > 0)
				sooner(p, &next, h->opened_us + h->abort_us);
		}
	}
	return next == UINT64_MAX ? next : RTE_MAX(next, p->now_us + 1);
}

/* False: nothing will happen any more. */
static bool step(struct play *p)
{
	sim_now(p->wire, p->now_us);
	flap(p);
	turn(p, 0);
	turn(p, 1);
	const uint64_t next = next_us(p);
	if (next != UINT64_MAX)
		p->now_us = next;
	return next != UINT64_MAX;
}

static void run(struct play *p, bool (*done)(const struct play *p), uint64_t limit_us)
{
	while (p->verdict->good && !done(p) && p->now_us < limit_us) {
		if (!step(p))
			return;
		if (++p->turns > TURNS_MAX)
			complain(p, "turn after turn, and nothing comes of it");
	}
}

static bool link_over(const struct link *l)
{
	const struct half *opener = &l->half[l->opener];
	const struct half *other = &l->half[!l->opener];

	return l->started && opener->closed && (!other->open || other->closed);
}

static bool over(const struct play *p)
{
	for (uint32_t i = 0; i < p->plan.count; i++)
		if (!link_over(&p->plan.links[i]))
			return false;
	return true;
}

static void judge_stuck(struct play *p)
{
	for (uint32_t i = 0; i < p->plan.count; i++) {
		const struct link *l = &p->plan.links[i];
		const struct half *h = l->half;
		if (link_over(l))
			continue;
		complain(p,
			"link %u is stuck: opened by %u; open %d %d, closed %d %d, sent %lu of %lu "
			"and %lu of %lu, received %lu and %lu",
			i, l->opener, h[0].open, h[1].open, h[0].closed, h[1].closed,
			(unsigned long)h[0].sent, (unsigned long)h[0].bytes,
			(unsigned long)h[1].sent, (unsigned long)h[1].bytes,
			(unsigned long)h[0].received, (unsigned long)h[1].received);
	}
}

static bool nothing_left(const struct play *p)
{
	for (unsigned side = 0; side < 2; side++) {
		const struct end_left left = p->end[side]->ops->left(p->end[side]);
		if (left.connections + left.timers + left.buffers + left.lent > 0)
			return false;
	}
	return sim_next_us(p->wire) == UINT64_MAX;
}

static bool all_there(const struct link *l)
{
	for (unsigned side = 0; side < 2; side++)
		if (!l->half[side].ended || l->half[side].received != l->half[!side].bytes)
			return false;
	return true;
}

/* What nobody aborted has brought every byte, and both know that it is over. */
static void judge_link(struct play *p, uint32_t index)
{
	const struct link *l = &p->plan.links[index];
	const struct half *h = l->half;

	if (h[0].aborted || h[1].aborted)
		return;
	if (p->lwip && !h[!l->opener].open) {
		p->verdict->never_opened++;
		return;
	}
	if (!h[0].open || !h[1].open || !all_there(l))
		complain(p, "link %u: %lu of %lu and %lu of %lu bytes, ends seen: %d %d", index,
			(unsigned long)h[1].received, (unsigned long)h[0].bytes,
			(unsigned long)h[0].received, (unsigned long)h[1].bytes, h[0].ended,
			h[1].ended);
	else if (h[0].in_order && h[1].in_order)
		p->verdict->in_order++;
	else
		p->verdict->late_resets++;
}

static void judge_rest(struct play *p)
{
	for (unsigned side = 0; side < 2; side++) {
		const struct end_left left = p->end[side]->ops->left(p->end[side]);
		if (left.connections + left.timers + left.buffers + left.lent > 0)
			complain(p,
				"side %u: left over: %lu connections, %lu timers, %lu buffers, "
				"%lu lent",
				side, (unsigned long)left.connections, (unsigned long)left.timers,
				(unsigned long)left.buffers, (unsigned long)left.lent);
	}
}

static uint64_t counted(const struct play *p, enum counter c)
{
	return counter_get(&p->counters[0], c) + counter_get(&p->counters[1], c);
}

static void sum_up(struct play *p)
{
	struct stream_verdict *v = p->verdict;

	v->virtual_us = p->now_us;
	v->retransmits = counted(p, COUNTER_TCP_RETRANSMITS);
	v->timeouts = counted(p, COUNTER_TCP_RTO);
	v->zero_windows = counted(p, COUNTER_TCP_PROBES);
	v->checksums = counted(p, (enum counter)(COUNTER_NAMED + ERR_TCP_CHECKSUM));
}

static void open_wire(struct play *p)
{
	struct sim_conf sim = {.impair = p->plan.impair,
		.bits_per_s = p->plan.bits_per_s,
		.frames_max = p->plan.frames_max,
		.mtu = p->plan.end[0].mtu,
		.mac = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}}};

	for (unsigned side = 0; side < 2; side++) {
		if (p->rx[side] == NULL)
			p->rx[side] = unit_pool(RX_BUFFERS);
		sim.pool[side] = p->rx[side];
		sim.counters[side] = &p->counters[side];
	}
	p->wire = sim_create(&sim);
	ASSERT(p->wire != NULL);
	sim_tap(p->wire, on_frame, p);
}

static void open_play(struct play *p, const struct stream_conf *conf)
{
	p->rng = rng_from(conf->seed);
	p->now_us = p->turns = 0;
	p->lwip = conf->lwip;
	p->down = false;
	memset(p->counters, 0, sizeof(p->counters));
	for (uint32_t i = 0; i < STREAM_PATTERN; i++)
		p->pattern[i] = (uint8_t)rng_next(&p->rng);
	plan_draw(&p->plan, conf, &p->rng);
	open_wire(p);
	for (unsigned side = 0; side < 2; side++) {
		p->plan.end[side].pattern = p->pattern;
		p->plan.end[side].counters = &p->counters[side];
		p->plan.end[side].driver = sim_end(p->wire, side);
		p->end[side] = p->lwip && side == 1 ? end_lwip(&p->plan.end[side])
						    : end_ours(&p->plan.end[side]);
	}
}

static void close_play(struct play *p)
{
	for (unsigned side = 0; side < 2; side++) {
		p->end[side]->ops->close(p->end[side]);
		if (rte_mempool_in_use_count(p->rx[side]) > 0)
			complain(p, "side %u: %u received buffers are not back", side,
				rte_mempool_in_use_count(p->rx[side]));
	}
	sim_destroy(&p->wire);
}

void stream_play(const struct stream_conf *conf, struct stream_verdict *out)
{
	struct play *p = &play;

	*out = (struct stream_verdict){.good = true};
	p->verdict = out;
	open_play(p, conf);
	run(p, over, (uint64_t)STUCK_S * S);
	judge_stuck(p);
	run(p, nothing_left, p->now_us + (uint64_t)QUIET_S * S);
	for (uint32_t i = 0; i < p->plan.count; i++)
		judge_link(p, i);
	judge_rest(p);
	sum_up(p);
	close_play(p);
}
