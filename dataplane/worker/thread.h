/* thread.h - the thread of one worker: its turns, its waits, its goodbye.
 *
 * Everything that only this worker's queue needs is done here, too: what has
 * become due in the impairing driver, and new settings of it. Not here: making
 * and starting workers (main.c), what a turn does (worker.c). */
#pragma once
#include "dataplane/shm/config.h"
#include "dataplane/worker/worker.h"

/* What the threads of a box tell each other. */
struct thread_team {
	uint32_t loading;            /* workers that do not know yet what is durable */
	struct shm_header *ready[2]; /* regions that say when the box serves */
	uint32_t stopping;           /* 1: all say goodbye */
	uint32_t leaving;            /* workers whose clients have not all gone yet */
	uint32_t resting;            /* 1: all wait between two turns until it is 0 */
	uint32_t at_rest;            /* workers that do */
};

struct thread {
	struct thread_team *team;
	struct box_conf conf; /* its driver is the impairing one */
	struct worker *worker;
	struct driver *nic; /* below that */
	const struct shm_config_page *page;
	uint64_t config_sequence;
	bool loaded;   /* told to the team */
	void *beat[2]; /* regions whose heartbeat is this thread's: of worker 0; else NULL */
};

uint64_t thread_clock_us(void);
void thread_impair(struct thread *t, const struct shm_config *c);
/* Turns until the team stops and all clients are gone, or have been waited for long enough. The
 * argument is a struct thread; the answer is 0: it is an EAL launch function. */
int thread_run(void *thread);
/* Returns when no worker is in a turn, nor waits for its NIC: the main thread has the NIC for
 * itself until threads_go_on, which is to be soon. */
void threads_rest(struct thread_team *team, uint32_t workers);
void threads_go_on(struct thread_team *team);
void threads_stop(struct thread_team *team, uint32_t workers);
