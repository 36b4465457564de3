/* played.h - the control plane's link with sessions that are played: what reaches them is written
 * down, what they say is what a test puts here. For tests of link/.
 *
 * The functions of sessions.h are in played.c; the real ones are tested behind the
 * same link in controlplane_test.c. */
#pragma once
#include "controlplane/link/controlplane.h"
#include "tests/link/link_fake.h"
#include "tests/unit/unit.h"

enum {
	WORKERS = 2,
	CALLS = 64,
	EFFECTS = 4096,
	PACKET_MAX = 4 << 20,
	LONG = 3 * (1 << 20) + 12345, /* more than an arena */
	PATIENCE = 1000,              /* turns */
};

struct call {
	uint32_t worker;
	enum shm_command type;
	union {
		struct shm_work work;
		struct shm_applied applied;
		struct shm_declined declined;
		struct shm_position position;
		struct sessions_connect connect;
		uint64_t gone[2];
		uint64_t generation;
	};
	uint8_t *text;
	size_t text_size;
	bool loaded;
};

/* They themselves. */
struct sessions {
	struct call calls[CALLS];
	uint32_t count;
	struct sessions_effect effects[WORKERS][EFFECTS];
	uint32_t first[WORKERS], end[WORKERS];
	struct sessions_ready ready[CALLS];
	uint32_t ready_first, ready_end;
	bool later[WORKERS], connect_later, unknown, quiet, expects;
	enum err dead;
};

extern struct sessions played;
extern struct storage_facts played_store_facts; /* of a store that does nothing but tell */

struct world {
	void *dp, *cp, *counters;
	struct shm_config config;
	struct controlplane *control;
	struct link_fake workers[WORKERS];
	struct sessions_now now;
};

/* Both planes, greeted; nothing written down yet. */
void played_init(struct world *w);
void played_fini(struct world *w);
void played_start_control(struct world *w);
void played_start_workers(struct world *w);
void played_turn(struct world *w); /* until there is nothing to do */
struct controlplane_conf played_conf(struct world *w);
void played_forget(void); /* the calls so far */
uint64_t played_errors(const struct world *w, enum err e);

/* Bytes that tell where they are. */
struct span played_text(size_t size);
/* In parts, with turns between for room. */
bool played_store(struct world *w, uint32_t worker, struct shm_work *work, struct span text);
bool played_connect(struct world *w, uint32_t worker, uint32_t index, const char *id);
bool played_has(const struct call *c, struct span text);

void played_done(uint32_t worker, uint64_t number);
void played_deliver(uint32_t worker, uint64_t number, struct span a, struct span b);
void played_effect(
	uint32_t worker, uint8_t type, uint8_t size, uint64_t number, struct span a, struct span b);
/* The next event, with turns as long as only parts come. */
struct link_event played_event(struct world *w, uint32_t worker);
