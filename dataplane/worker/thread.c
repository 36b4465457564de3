/* thread.c - see thread.h. */
#include "dataplane/worker/thread.h"

#include "dataplane/worker/idle.h"
#include "dataplane/worker/peer.h"
#include "drivers/impair.h"

#include <poll.h>
#include <time.h>

enum {
	GOODBYE_US = 200 * 1000, /* for clients to hear that we stop */
	LOOK_EVERY = 64,         /* busy turns between looks at the configuration */
	WAIT_MAX_US = 10000,     /* so soon a stop is noticed */
	GOODBYE_WAIT_US = 200,
	ANSWER_US = 50,
	REST_US = 500, /* while the main thread has the NIC */
};

uint64_t thread_clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

void thread_impair(struct thread *t, const struct shm_config *c)
{
	const struct impair_settings s = {.loss_ppm = c->impair.loss_ppm,
		.reorder_ppm = c->impair.reorder_ppm,
		.duplicate_ppm = c->impair.duplicate_ppm,
		.corrupt_ppm = c->impair.corrupt_ppm,
		.delay_us = c->impair.delay_us,
		.jitter_us = c->impair.jitter_us,
		.seed = c->impair.seed};

	impair_set(t->conf.driver, t->conf.worker, &s);
}

/* Impairment may change while we run; everything else needs a restart. */
static void refresh_config(struct thread *t)
{
	struct shm_config c;
	uint64_t sequence;

	if (shm_load(&t->page->sequence) == t->config_sequence ||
		!shm_config_read(t->page, &c, &sequence))
		return;
	t->config_sequence = sequence;
	thread_impair(t, &c);
}

static bool turn(struct thread *t, uint64_t now_us)
{
	impair_now(t->conf.driver, t->conf.worker, now_us);
	const bool busy = worker_turn(t->worker, now_us);

	for (size_t i = 0; i < ARRAY_SIZE(t->beat); i++)
		if (t->beat[i] != NULL)
			shm_region_beat(t->beat[i], now_us);
	return busy;
}

static uint64_t next_us(const struct thread *t)
{
	const uint64_t a = worker_next_us(t->worker);
	const uint64_t b = impair_next_us(t->conf.driver, t->conf.worker);

	return a < b ? a : b;
}

/* For a frame, or another worker's word: whoever pushes after peer_sleep rings. */
static void wait(struct thread *t, uint64_t us)
{
	struct peers *p = t->conf.peers;
	const uint32_t me = t->conf.worker;

	counter_add(t->conf.counters, COUNTER_WORKER_SLEEPS, 1);
	peer_sleep(p, me);
	if (!peer_pending(p, me))
		t->nic->ops->wait(t->nic, t->conf.worker, peer_fd(p, me), us);
	peer_wake(p, me);
}

static bool is_stopping(const struct thread *t)
{
	return __atomic_load_n(&t->team->stopping, __ATOMIC_ACQUIRE) != 0;
}

/* Once all know what is durable, clients are granted: the box serves. */
static void note_loaded(struct thread *t)
{
	struct thread_team *team = t->team;

	if (t->loaded || !worker_loaded(t->worker))
		return;
	t->loaded = true;
	if (__atomic_sub_fetch(&team->loading, 1, __ATOMIC_ACQ_REL) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(team->ready); i++)
			shm_region_ready(team->ready[i], true);
}

static void pause_us(long us)
{
	const struct timespec t = {0, us * 1000};

	(void)ppoll(NULL, 0, &t, NULL);
}

static void rest_if_asked(struct thread_team *team)
{
	if (__atomic_load_n(&team->resting, __ATOMIC_ACQUIRE) == 0)
		return;
	__atomic_add_fetch(&team->at_rest, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&team->resting, __ATOMIC_ACQUIRE) != 0)
		pause_us(REST_US);
	__atomic_sub_fetch(&team->at_rest, 1, __ATOMIC_ACQ_REL);
}

void threads_rest(struct thread_team *team, uint32_t workers)
{
	__atomic_store_n(&team->resting, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&team->at_rest, __ATOMIC_ACQUIRE) < workers)
		pause_us(REST_US);
}

/* Not before all have left could another rest begin: they would be counted twice. */
void threads_go_on(struct thread_team *team)
{
	__atomic_store_n(&team->resting, 0, __ATOMIC_RELEASE);
	while (__atomic_load_n(&team->at_rest, __ATOMIC_ACQUIRE) > 0)
		pause_us(REST_US);
}

static void serve(struct thread *t)
{
	const struct idle_conf conf = {.spin_us = t->conf.config.idle_spin_us,
		.wait_max_us = WAIT_MAX_US,
		.sleep_max_us = t->conf.config.idle_sleep_us,
		.answer_us = ANSWER_US,
		.wakes = t->nic->facts.wakes};
	struct idle idle = {0};
	unsigned turns = 0;

	while (!is_stopping(t)) {
		rest_if_asked(t->team);
		const uint64_t start = thread_clock_us();
		const bool busy = turn(t, start);
		const uint64_t now = thread_clock_us();
		note_loaded(t);
		if (busy)
			counter_add(t->conf.counters, COUNTER_WORKER_BUSY_US, now - start);
		if (!busy || turns++ % LOOK_EVERY == 0)
			refresh_config(t);
		const uint64_t us =
			idle_wait_us(&idle, &conf, busy, worker_waits(t->worker), now, next_us(t));
		if (us > 0)
			wait(t, us);
	}
}

/* Goes on until the others' clients have left, too: their frames may come in here. */
static void say_goodbye(struct thread *t)
{
	const uint64_t patience = thread_clock_us() + GOODBYE_US;
	bool left = false;

	worker_shutdown(t->worker, thread_clock_us());
	while (thread_clock_us() < patience) {
		if (!turn(t, thread_clock_us()))
			wait(t, GOODBYE_WAIT_US);
		if (!left && worker_connections(t->worker) == 0) {
			left = true;
			__atomic_sub_fetch(&t->team->leaving, 1, __ATOMIC_RELAXED);
		}
		if (__atomic_load_n(&t->team->leaving, __ATOMIC_RELAXED) == 0)
			return;
	}
}

int thread_run(void *thread)
{
	struct thread *t = (struct thread *)thread;

	serve(t);
	say_goodbye(t);
	return 0;
}

void threads_stop(struct thread_team *team, uint32_t workers)
{
	team->leaving = workers;
	__atomic_store_n(&team->stopping, 1, __ATOMIC_RELEASE);
}
