/* peer.c - the rings between workers, and how a sleeping one is woken. See peer.h.
 *
 * A ring's indices count slots since the start and never wrap. Each side has a
 * cache line of its own, with a copy of the other's index that is refreshed
 * only when it says "full" or "empty": in steady state the sides touch each
 * other's line once in many slots. */
#include "dataplane/worker/peer.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/effect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LINE = 64 };

struct peer_end {
	_Alignas(LINE) uint64_t at; /* slots pushed, or popped; read by the other side */
	uint64_t other;             /* what the other's was when last looked at */
	bool pushed;                /* producer: since the last peers_ring */
};

struct peer_ring {
	struct peer_end producer, consumer;
	struct peer_slot slots[PEER_SLOTS];
};

struct peer_bell {
	_Alignas(LINE) uint32_t sleeping;
	int fd;
};

struct peers {
	uint32_t workers;
	struct peer_bell *bells;
	struct peer_ring *rings; /* [from][to]; those to oneself stay untouched */
};

static_assert(sizeof(struct peer_slot) == LINE, "a slot is one cache line");
static_assert((PEER_SLOTS & (PEER_SLOTS - 1)) == 0, "slots are found by a mask");
static_assert(PEER_SLOTS_KEPT < PEER_SLOTS, "requests need room, too");

/* A worker that is alone has nobody to talk to. */
static size_t ring_count(uint32_t workers)
{
	return workers > 1 ? (size_t)workers * workers : 0;
}

size_t peers_bytes(uint32_t workers)
{
	return sizeof(struct peers) + workers * sizeof(struct peer_bell) +
	       ring_count(workers) * sizeof(struct peer_ring);
}

static bool open_bells(struct peers *p)
{
	bool good = true;

	for (uint32_t i = 0; i < p->workers; i++) {
		p->bells[i].sleeping = 0;
		p->bells[i].fd = p->workers > 1 ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
		good &= p->workers == 1 || p->bells[i].fd >= 0;
	}
	return good;
}

static bool create_rings(struct peers *p)
{
	const size_t n = ring_count(p->workers);

	if (n == 0)
		return true;
	p->rings = aligned_alloc(LINE, n * sizeof(*p->rings));
	if (p->rings == NULL)
		return false;
	memset(p->rings, 0, n * sizeof(*p->rings)); /* touched now, not under load */
	return true;
}

struct peers *peers_create(uint32_t workers)
{
	ASSERT(workers >= 1);
	struct peers *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->bells = aligned_alloc(LINE, workers * sizeof(*p->bells));
	if (p->bells == NULL) {
		free(p);
		return NULL;
	}
	p->workers = workers;
	if (!open_bells(p) || !create_rings(p))
		peers_destroy(&p);
	return p;
}

void peers_destroy(struct peers **peers)
{
	struct peers *p = *peers;

	*peers = NULL;
	for (uint32_t i = 0; i < p->workers; i++) {
		if (p->rings != NULL)
			ASSERT(!peer_pending(p, i));
		if (p->bells[i].fd >= 0)
			close(p->bells[i].fd);
	}
	free(p->rings);
	free(p->bells);
	free(p);
}

uint32_t peers_workers(const struct peers *p)
{
	return p->workers;
}

static struct peer_ring *ring_of(const struct peers *p, uint32_t from, uint32_t to)
{
	ASSERT(from < p->workers && to < p->workers && from != to);
	return &p->rings[(size_t)from * p->workers + to];
}

/* Slots free for the producer, who asks anew only when fewer than `want` are known of. */
static uint32_t free_slots(struct peer_ring *r, uint32_t want)
{
	struct peer_end *e = &r->producer;

	if (PEER_SLOTS - (e->at - e->other) < want)
		e->other = __atomic_load_n(&r->consumer.at, __ATOMIC_ACQUIRE);
	return (uint32_t)(PEER_SLOTS - (e->at - e->other));
}

bool peer_push(struct peers *p, uint32_t from, uint32_t to, const struct peer_slot *slot)
{
	struct peer_ring *r = ring_of(p, from, to);
	const uint32_t kept = slot->kind < PEER_RESERVED ? PEER_SLOTS_KEPT : 0;

	ASSERT(slot->kind > 0 && slot->kind < PEER_KINDS);
	if (free_slots(r, kept + 1) <= kept)
		return false;
	struct peer_slot *at = &r->slots[r->producer.at & (PEER_SLOTS - 1)];
	*at = *slot;
	at->from = (uint16_t)from;
	r->producer.pushed = true;
	__atomic_store_n(&r->producer.at, r->producer.at + 1, __ATOMIC_RELEASE);
	effect_point(EFFECT_PEER_SLOT, slot->kind);
	return true;
}

uint32_t peer_room(const struct peers *p, uint32_t from, uint32_t to)
{
	const uint32_t n = free_slots(ring_of(p, from, to), PEER_SLOTS);

	return n > PEER_SLOTS_KEPT ? n - PEER_SLOTS_KEPT : 0;
}

bool peer_pop(struct peers *p, uint32_t from, uint32_t to, struct peer_slot *out)
{
	struct peer_ring *r = ring_of(p, from, to);
	struct peer_end *e = &r->consumer;

	if (e->at == e->other)
		e->other = __atomic_load_n(&r->producer.at, __ATOMIC_ACQUIRE);
	if (e->at == e->other)
		return false;
	*out = r->slots[e->at & (PEER_SLOTS - 1)];
	__atomic_store_n(&e->at, e->at + 1, __ATOMIC_RELEASE);
	return true;
}

bool peer_pending(const struct peers *p, uint32_t to)
{
	for (uint32_t from = 0; from < p->workers; from++) {
		if (from == to)
			continue;
		const struct peer_ring *r = ring_of(p, from, to);
		if (__atomic_load_n(&r->producer.at, __ATOMIC_ACQUIRE) != r->consumer.at)
			return true;
	}
	return false;
}

void peer_sleep(struct peers *p, uint32_t worker)
{
	__atomic_store_n(&p->bells[worker].sleeping, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void peer_wake(struct peers *p, uint32_t worker)
{
	struct peer_bell *b = &p->bells[worker];
	uint64_t rung;

	__atomic_store_n(&b->sleeping, 0, __ATOMIC_SEQ_CST);
	if (b->fd >= 0 && read(b->fd, &rung, sizeof(rung)) < 0)
		return; /* nobody rang */
}

/* A full fence between the push and the look, as the sleeper has one between its word and its look
 * at the rings: at least one sees the other. */
void peer_ring(struct peers *p, uint32_t to)
{
	struct peer_bell *b = &p->bells[to];
	const uint64_t one = 1;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&b->sleeping, __ATOMIC_RELAXED) == 0 || b->fd < 0)
		return;
	if (write(b->fd, &one, sizeof(one)) < 0)
		return; /* the count is at its limit: it wakes anyway */
}

void peers_ring(struct peers *p, uint32_t from)
{
	for (uint32_t to = 0; to < p->workers; to++) {
		if (to == from)
			continue;
		struct peer_end *e = &ring_of(p, from, to)->producer;
		if (!e->pushed)
			continue;
		e->pushed = false;
		peer_ring(p, to);
	}
}

int peer_fd(const struct peers *p, uint32_t worker)
{
	return p->bells[worker].fd;
}
