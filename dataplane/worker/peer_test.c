/* peer_test.c - the rings between workers: order, room, the kept slots, and waking across threads.
 */
#include "dataplane/worker/peer.h"

#include "tests/unit/unit.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>

enum { MANY = 300 * 1000, TURN = 37, REQUESTS = PEER_SLOTS - PEER_SLOTS_KEPT };

static bool push(struct peers *p, uint32_t from, uint32_t to, uint8_t kind, uint64_t b)
{
	const struct peer_slot s = {.kind = kind, .b = b, .from = 999};

	return peer_push(p, from, to, &s);
}

static void drain(struct peers *p, uint32_t to)
{
	struct peer_slot s;

	for (uint32_t from = 0; from < peers_workers(p); from++)
		while (from != to && peer_pop(p, from, to, &s))
			CU_ASSERT_EQUAL(s.from, from);
}

static void slots_come_in_order(void)
{
	struct peers *p = peers_create(3);
	struct peer_slot s;

	for (uint64_t i = 0; i < 3 * PEER_SLOTS; i += 2) { /* over the end of the ring */
		CU_ASSERT(push(p, 2, 0, PEER_MESSAGE, i));
		CU_ASSERT(push(p, 2, 0, PEER_RELEASE, i + 1));
		for (uint64_t k = i; k < i + 2; k++) {
			CU_ASSERT(peer_pop(p, 2, 0, &s));
			CU_ASSERT_EQUAL(s.b, k);
			CU_ASSERT_EQUAL(s.from, 2);
		}
		CU_ASSERT(!peer_pop(p, 2, 0, &s));
	}
	peers_destroy(&p);
}

static void pairs_do_not_meet(void)
{
	struct peers *p = peers_create(3);
	struct peer_slot s;

	for (uint32_t from = 0; from < 3; from++)
		for (uint32_t to = 0; to < 3; to++)
			if (from != to)
				CU_ASSERT(push(p, from, to, PEER_FRAME, from * 10 + to));
	for (uint32_t to = 0; to < 3; to++) {
		CU_ASSERT(peer_pending(p, to));
		for (uint32_t from = 0; from < 3; from++) {
			if (from == to)
				continue;
			CU_ASSERT(peer_pop(p, from, to, &s) && s.b == from * 10 + to);
			CU_ASSERT(!peer_pop(p, from, to, &s));
		}
		CU_ASSERT(!peer_pending(p, to));
	}
	peers_destroy(&p);
}

static void answers_have_room_that_requests_have_not(void)
{
	struct peers *p = peers_create(2);
	struct peer_slot s;

	for (uint32_t i = 0; i < REQUESTS; i++) {
		CU_ASSERT_EQUAL(peer_room(p, 0, 1), REQUESTS - i);
		CU_ASSERT(push(p, 0, 1, PEER_MESSAGE, i));
	}
	CU_ASSERT_EQUAL(peer_room(p, 0, 1), 0);
	CU_ASSERT(!push(p, 0, 1, PEER_VALUE, 0));
	for (uint32_t i = 0; i < PEER_SLOTS_KEPT; i++)
		CU_ASSERT(push(p, 0, 1, PEER_RELEASE, i));
	CU_ASSERT(!push(p, 0, 1, PEER_SNAPSHOT_END, 0));
	for (uint32_t i = 0; i < PEER_SLOTS_KEPT; i++) {
		CU_ASSERT(!push(p, 0, 1, PEER_MESSAGE, 0));
		CU_ASSERT(peer_pop(p, 0, 1, &s));
	}
	CU_ASSERT_EQUAL(peer_room(p, 0, 1), 0);
	CU_ASSERT(peer_pop(p, 0, 1, &s) && s.b == PEER_SLOTS_KEPT);
	CU_ASSERT_EQUAL(peer_room(p, 0, 1), 1);
	CU_ASSERT(push(p, 0, 1, PEER_MESSAGE, 0));
	CU_ASSERT(!push(p, 0, 1, PEER_MESSAGE, 0));
	drain(p, 1);
	peers_destroy(&p);
}

static bool is_rung(const struct peers *p, uint32_t worker)
{
	struct pollfd f = {.fd = peer_fd(p, worker), .events = POLLIN};

	return poll(&f, 1, 0) == 1;
}

static void only_a_sleeper_is_rung(void)
{
	struct peers *p = peers_create(3);

	CU_ASSERT(push(p, 0, 1, PEER_FRAME, 1));
	peers_ring(p, 0);
	CU_ASSERT(!is_rung(p, 1)); /* awake */
	drain(p, 1);
	peer_sleep(p, 1);
	peer_sleep(p, 2);
	CU_ASSERT(!peer_pending(p, 1));
	peers_ring(p, 0); /* nothing pushed since */
	CU_ASSERT(!is_rung(p, 1));
	CU_ASSERT(push(p, 0, 1, PEER_FRAME, 1));
	peers_ring(p, 0);
	CU_ASSERT(is_rung(p, 1));
	CU_ASSERT(!is_rung(p, 2)); /* nothing for it */
	peer_wake(p, 1);
	CU_ASSERT(!is_rung(p, 1));
	peer_ring(p, 1);
	CU_ASSERT(!is_rung(p, 1));
	drain(p, 1);
	peers_destroy(&p);
}

static void one_alone_costs_nothing(void)
{
	struct peers *p = peers_create(1);

	CU_ASSERT_EQUAL(peers_workers(p), 1);
	CU_ASSERT_EQUAL(peer_fd(p, 0), -1);
	CU_ASSERT(!peer_pending(p, 0));
	peers_ring(p, 0);
	peer_sleep(p, 0);
	peer_ring(p, 0);
	peer_wake(p, 0);
	peers_destroy(&p);
	CU_ASSERT(peers_bytes(1) < 1024);
	CU_ASSERT(peers_bytes(8) >= 8 * 7 * PEER_SLOTS * sizeof(struct peer_slot));
}

/* Two threads, each sends the other MANY numbers and answers each one it gets. A thread that has
 * nothing to do sleeps without a time-out, so a lost wake-up hangs the test. */
struct side {
	struct peers *p;
	uint32_t me, other;
	uint64_t sent, answered, got, got_answers;
	bool bad;
};

static bool take(struct side *s)
{
	struct peer_slot slot;
	uint32_t n = 0;

	while (n < TURN && peer_pop(s->p, s->other, s->me, &slot)) {
		n++;
		if (slot.kind == PEER_FRAME)
			s->bad |= slot.b != s->got++ || slot.c != ~slot.b;
		else
			s->bad |= slot.b != s->got_answers++ || slot.kind != PEER_RELEASE;
	}
	return n > 0;
}

static bool give(struct side *s)
{
	bool gave = false;

	while (s->answered < s->got && push(s->p, s->me, s->other, PEER_RELEASE, s->answered)) {
		s->answered++;
		gave = true;
	}
	for (uint32_t n = 0; n < TURN && s->sent < MANY; n++) {
		const struct peer_slot slot = {.kind = PEER_FRAME, .b = s->sent, .c = ~s->sent};
		if (!peer_push(s->p, s->me, s->other, &slot))
			break;
		s->sent++;
		gave = true;
	}
	return gave;
}

static void *run_side(void *arg)
{
	struct side *s = arg;

	while (s->answered < MANY || s->got_answers < MANY) {
		const bool took = take(s);
		const bool busy = give(s) || took;
		peers_ring(s->p, s->me);
		if (busy || s->sent < MANY || s->answered < s->got)
			continue;
		peer_sleep(s->p, s->me);
		struct pollfd f = {.fd = peer_fd(s->p, s->me), .events = POLLIN};
		if (!peer_pending(s->p, s->me) && poll(&f, 1, 20000) == 0)
			s->bad = true;
		peer_wake(s->p, s->me);
	}
	return NULL;
}

static void two_threads_lose_nothing(void)
{
	struct peers *p = peers_create(2);
	struct side a = {.p = p, .me = 0, .other = 1}, b = {.p = p, .me = 1, .other = 0};
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run_side, &b), 0);
	run_side(&a);
	pthread_join(thread, NULL);
	CU_ASSERT(!a.bad && !b.bad);
	CU_ASSERT_EQUAL(a.got, MANY);
	CU_ASSERT_EQUAL(b.got, MANY);
	peers_destroy(&p);
}

/* One number there and back, again and again: both sleep each time. */
static void *echo(void *arg)
{
	struct side *s = arg;
	struct peer_slot slot;

	while (s->got < MANY / 30) {
		while (!peer_pop(s->p, s->other, s->me, &slot)) {
			struct pollfd f = {.fd = peer_fd(s->p, s->me), .events = POLLIN};
			peer_sleep(s->p, s->me);
			if (!peer_pending(s->p, s->me) && poll(&f, 1, 20000) == 0)
				s->bad = true;
			peer_wake(s->p, s->me);
			if (s->bad)
				return NULL;
		}
		s->got++;
		if (!push(s->p, s->me, s->other, PEER_RELEASE, slot.b + 1))
			s->bad = true;
		peers_ring(s->p, s->me);
	}
	return NULL;
}

static void sleepers_are_always_woken(void)
{
	struct peers *p = peers_create(2);
	struct side a = {.p = p, .me = 0, .other = 1}, b = {.p = p, .me = 1, .other = 0};
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, echo, &b), 0);
	CU_ASSERT(push(p, 0, 1, PEER_RELEASE, 0));
	peers_ring(p, 0);
	echo(&a);
	pthread_join(thread, NULL);
	CU_ASSERT(!a.bad && !b.bad);
	drain(p, 0);
	drain(p, 1);
	peers_destroy(&p);
}

static const struct unit_test tests[] = {
	{"slots_come_in_order", slots_come_in_order},
	{"pairs_do_not_meet", pairs_do_not_meet},
	{"answers_have_room_that_requests_have_not", answers_have_room_that_requests_have_not},
	{"only_a_sleeper_is_rung", only_a_sleeper_is_rung},
	{"one_alone_costs_nothing", one_alone_costs_nothing},
	{"two_threads_lose_nothing", two_threads_lose_nothing},
	{"sleepers_are_always_woken", sleepers_are_always_woken},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("peer", tests, argc, argv);
}
