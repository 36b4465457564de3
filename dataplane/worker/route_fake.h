/* route_fake.h - several workers' routes in one thread: short rings, recorded work, no sessions.
 *
 * Stands in for peer.c, works.c and connection.c around the real route_*.c,
 * fabric and messages. Rings hold few slots, so that they are full often. What
 * a connection gets, and what ends in queues, goes to the test's hooks. */
#pragma once
#include "dataplane/worker/route_internal.h"

enum { FAKE_WORKERS_MAX = 3, FAKE_CONNECTIONS = 16, FAKE_QUEUES = 8, FAKE_STORES = 64 };

/* One STORE that is under way. */
struct fake_store {
	struct message *message;
	struct store_order order;
	struct store_target targets[FAKE_QUEUES];
	uint32_t target_count;
};

struct fake_works {
	struct fake_store stores[FAKE_STORES];
	uint32_t head, count;
	uint32_t max; /* no room beyond */
	struct store_target targets[FAKE_QUEUES];
	uint32_t target_count;
	uint64_t declined; /* the will that was, last */
	bool deaf;         /* it cannot be told now */
};

struct fake_hooks {
	bool (*offer)(struct worker *w, struct connection *c, const struct delivery *d,
		struct message *m);
	void (*published)(struct worker *w, struct connection *c, uint16_t packet_id, enum err e);
	void (*answer)(struct worker *w, struct connection *c, uint32_t token, enum err e);
	void (*input)(struct worker *w, struct connection *c);
	void (*commit)(const struct fake_store *s);
};

extern struct fake_hooks fake_hooks;
extern struct worker fake_workers[FAKE_WORKERS_MAX];
extern struct fake_works fake_works[FAKE_WORKERS_MAX];
extern struct counters fake_counters[FAKE_WORKERS_MAX];
/* Where a durable session, 1 to FAKE_QUEUES, is connected. */
extern struct fake_place {
	bool connected;
	uint32_t worker;
	struct shm_connection at;
} fake_places[FAKE_QUEUES + 1];

void fake_start(uint32_t workers, uint32_t slots, uint32_t messages);
void fake_finish(void); /* asserts that everything came back */
struct connection *fake_open(uint32_t worker, uint32_t index, uint64_t session);
void fake_close(struct connection *c);
/* Takes up to so many slots from each other worker, then a turn of route. True: it did something.
 */
bool fake_turn(uint32_t worker, uint32_t slots);
/* The oldest STORE of a worker is durable, or refused. False: there is none. */
bool fake_complete(uint32_t worker, enum err e);
void fake_settle(void); /* turns and completes until nothing moves */
/* A queue's filter, at all workers. */
void fake_queue_subscribe(
	uint32_t session, const char *filter, const struct subscription_options *options);
void fake_queue_forget(uint32_t session);
