/* service.c - see service.h. */
#include "dataplane/worker/service.h"

#include "dataplane/base/assert.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static_assert((int)TIER_SEATS == (int)SHM_TIER_SEATS, "the same seats on both sides");

enum {
	LOOK_MS = 50, /* at the latest, for what workers give back */
	NICE_MOST = 19,
};

/* A version that could not be made: again only when there is another. */
struct seat {
	uint64_t number; /* of the version last looked at */
	struct tier *made[SHM_WORKERS_MAX];
	bool waits[SHM_WORKERS_MAX]; /* made, and its letter still to be put in */
};

struct service {
	struct service_conf conf;
	struct seat seat[TIER_SEATS];
	pthread_t thread;
	uint32_t stopping;
};

struct service *service_create(const struct service_conf *conf)
{
	struct service *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->conf = *conf;
	return s;
}

static void note_bad(struct service *s)
{
	__atomic_add_fetch(&s->conf.boxes[0].bad, 1, __ATOMIC_RELAXED);
}

/* Made for all workers or for none. */
static bool create_tiers(struct service *s, struct seat *seat, struct tier_base *base)
{
	for (uint32_t w = 0; w < s->conf.workers; w++) {
		seat->made[w] = tier_create(base);
		if (seat->made[w] != NULL)
			continue;
		while (w-- > 0)
			tier_destroy(&seat->made[w]);
		return false;
	}
	return true;
}

static enum err make(struct service *s, struct seat *seat, const struct shm_tier *tier)
{
	struct tier_base *base;

	if (tier->texts.size == 0) { /* clears the seat */
		memset(seat->made, 0, sizeof(seat->made));
		return ERR_NONE;
	}
	enum err e = tier_base_create(tier->texts, tier->database, &base);
	if (e != ERR_NONE)
		return e;
	if (!create_tiers(s, seat, base))
		e = ERR_TIER_MEMORY;
	tier_base_put(&base);
	return e;
}

/* Copied, judged, made. */
static enum err create_version(struct service *s, uint32_t at, uint64_t number)
{
	const size_t size = shm_tier_size(s->conf.tiers, at, number);
	struct shm_tier tier;

	if (size == 0)
		return ERR_TIER_BAD;
	uint8_t *copy = aligned_alloc(64, (size + 63) & ~(size_t)63);
	if (copy == NULL)
		return ERR_TIER_MEMORY;
	enum err e = shm_tier_read(s->conf.tiers, at, number, copy, size, &tier);
	if (e == ERR_NONE)
		e = make(s, &s->seat[at], &tier);
	free(copy);
	return e;
}

static bool is_waiting(const struct service *s, const struct seat *seat)
{
	for (uint32_t w = 0; w < s->conf.workers; w++)
		if (seat->waits[w])
			return true;
	return false;
}

/* One version at a time: what was made for a seat reaches its workers before the next is made. */
static bool look_at(struct service *s, uint32_t at)
{
	struct seat *seat = &s->seat[at];
	const uint64_t number = shm_load(&shm_tiers_page(s->conf.tiers)->number[at]);

	if (number == seat->number || is_waiting(s, seat))
		return false;
	seat->number = number;
	if (number == 0)
		return false;
	if (create_version(s, at, number) != ERR_NONE) {
		/* Written over while it was read: then there is another number by now. */
		if (shm_load(&shm_tiers_page(s->conf.tiers)->number[at]) == number)
			note_bad(s);
		return true;
	}
	for (uint32_t w = 0; w < s->conf.workers; w++)
		seat->waits[w] = true;
	return true;
}

static bool deliver(struct service *s, uint32_t at)
{
	struct seat *seat = &s->seat[at];
	bool moved = false;

	for (uint32_t w = 0; w < s->conf.workers; w++) {
		struct letter *letter = &s->conf.boxes[w].in[at];
		if (!seat->waits[w] || letter_full(letter))
			continue;
		letter_put(letter, seat->made[w]);
		seat->made[w] = NULL;
		seat->waits[w] = false;
		moved = true;
	}
	return moved;
}

static bool collect(struct service *s)
{
	bool moved = false;

	for (uint32_t w = 0; w < s->conf.workers; w++) {
		struct letter *letter = &s->conf.boxes[w].out;
		if (!letter_full(letter))
			continue;
		struct tier *left = letter_take(letter);
		tier_destroy(&left);
		moved = true;
	}
	return moved;
}

bool service_poll(struct service *s)
{
	bool moved = collect(s);

	for (uint32_t at = 0; at < TIER_SEATS; at++) {
		moved |= look_at(s, at);
		moved |= deliver(s, at);
	}
	return moved;
}

static void wait_change(struct service *s, uint32_t changes)
{
	const struct timespec most = {0, LOOK_MS * 1000000l};

	syscall(SYS_futex, &shm_tiers_page(s->conf.tiers)->changes, FUTEX_WAIT, changes, &most,
		NULL, 0);
}

static void *run(void *service)
{
	struct service *s = service;

	/* Of this thread alone, as Linux has it. */
	(void)!setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE_MOST);
	while (__atomic_load_n(&s->stopping, __ATOMIC_ACQUIRE) == 0) {
		const uint32_t changes = shm_load32(&shm_tiers_page(s->conf.tiers)->changes);
		if (!service_poll(s))
			wait_change(s, changes);
	}
	return NULL;
}

bool service_start(struct service *s)
{
	return pthread_create(&s->thread, NULL, run, s) == 0;
}

void service_stop(struct service *s)
{
	__atomic_store_n(&s->stopping, 1, __ATOMIC_RELEASE);
	pthread_join(s->thread, NULL);
}

void service_destroy(struct service **service)
{
	struct service *s = *service;

	*service = NULL;
	if (s == NULL)
		return;
	(void)collect(s);
	for (uint32_t at = 0; at < TIER_SEATS; at++)
		for (uint32_t w = 0; w < s->conf.workers; w++)
			tier_destroy(&s->seat[at].made[w]);
	free(s);
}
