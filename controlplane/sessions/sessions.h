/* sessions.h - what survives: durable sessions, their queues, wills, retained values.
 *
 * A pure machine: (state, command, completion, now) -> batches for the store and
 * effects for the workers. The rules are docs/durability.md. The registry says
 * who holds a client id; this says what that client id owns. Work of a worker
 * is taken in order and becomes batches in order; nothing is answered before
 * the store has completed it. Sessions are loaded when they are needed and
 * dropped from memory when nothing is under way for them; a start reads marks
 * and counters, not sessions.
 *
 * Effects are made when they are taken, so a full ring costs no memory and loses
 * nothing. Time: `now_us` is monotonic, `wall_ms` is the wall clock. Text in
 * commands is a private copy, judged here. Not here: rings (link/), who may
 * connect (registry/, accounts/), bytes on a disk (storage/). */
#pragma once
#include "controlplane/sessions/admission.h"
#include "dataplane/base/counters.h"
#include "dataplane/shm/config.h"
#include "dataplane/shm/parcel.h"
#include "storage/storage.h"

struct sessions_conf {
	struct storage *store; /* lent; open */
	uint32_t workers;
	const struct shm_config *config; /* limits, durability; lent */
	struct counters *counters;
};

struct sessions_now {
	uint64_t us;      /* monotonic */
	uint64_t wall_ms; /* since 1970; may jump */
};

enum sessions_answer {
	SESSIONS_TAKEN,
	SESSIONS_LATER, /* not now: keep the command, and those behind it; offer it again */
};

/* One effect for a worker: a slot, and the text that goes with it, in two spans. */
struct sessions_effect {
	uint8_t type; /* enum shm_event */
	uint8_t size; /* of the body */
	union {
		uint8_t bytes[48];
		struct shm_done done;
		struct shm_received received;
		struct shm_replica replica;
		struct shm_place place;
		struct shm_deliver deliver;
		struct shm_publish publish;
		struct shm_retained retained;
	};
	struct span text[2]; /* valid until sessions_took or the next turn */
};

struct sessions;

/* ERR_STORAGE_*, ERR_STORAGE_VERSION; *out is NULL then. */
MUST_USE enum err sessions_create(
	const struct sessions_conf *conf, struct sessions_now now, struct sessions **out);
void sessions_destroy(struct sessions **out); /* the store stays open */

/* From the registry. Nothing is asked twice for one token. */
MUST_USE enum sessions_answer sessions_connect(
	struct sessions *s, const struct sessions_connect *c, struct sessions_now now);
/* Connections of before our start are still to come, by sessions_connect. */
void sessions_expect(struct sessions *s, bool more);
/* Taken: its entries may go out from now on, so its GRANT must be sent before any effect. */
MUST_USE bool sessions_next_ready(struct sessions *s, struct sessions_ready *out);
/* The connection was granted, and is gone or fenced; ENDED may have come before, or never comes. */
void sessions_gone(struct sessions *s, uint64_t session, uint64_t epoch, struct sessions_now now);
/* A live connection that a worker introduces after our restart. False: no such session. */
MUST_USE bool sessions_position(struct sessions *s, uint32_t worker, uint64_t epoch,
	const struct shm_position *p, struct sessions_now now);

/* From a worker. HELLO: a new dataplane (all workers') or a new greeting of the same. */
void sessions_hello(struct sessions *s, uint32_t worker, uint64_t dp_generation, bool loaded,
	struct sessions_now now);
void sessions_resynced(struct sessions *s, uint32_t worker, struct sessions_now now);
bool sessions_loaded(const struct sessions *s); /* all workers are: connections may be granted */
/* `text`: whole, parts joined. */
MUST_USE enum sessions_answer sessions_work(struct sessions *s, uint32_t worker,
	enum shm_command type, const struct shm_work *work, struct span text,
	struct sessions_now now);
void sessions_applied(struct sessions *s, uint32_t worker, const struct shm_applied *a);
void sessions_declined(
	struct sessions *s, uint32_t worker, const struct shm_declined *d, struct sessions_now now);

/* Takes completions, fires deadlines, a bounded piece of sweeping and loading. True: it worked.
 * ERR_STORAGE_*: the store is dead; nothing more is acknowledged; close, end, be started again. */
MUST_USE enum err sessions_poll(struct sessions *s, struct sessions_now now, bool *worked);
uint64_t sessions_next_us(const struct sessions *s, struct sessions_now now); /* UINT64_MAX: none */

/* The next effect for that worker; the same one until sessions_took. */
MUST_USE bool sessions_next(
	struct sessions *s, uint32_t worker, struct sessions_effect *out, struct sessions_now now);
void sessions_took(struct sessions *s, uint32_t worker);
void sessions_check(const struct sessions *s); /* asserts its invariants; for tests */
