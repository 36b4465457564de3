/* parts.h - what the parts of sessions.c do for each other. See internal.h. */
#pragma once
#include "controlplane/sessions/batch.h"
#include "controlplane/sessions/sessions.h"
#include "controlplane/sessions/stored.h"

struct fresh;
struct peer;

/* sessions.c */
void sessions_die(struct sessions *s, enum err e);
bool sessions_has_room(const struct sessions *s); /* for another batch */
struct batch *sessions_batch(struct sessions *s); /* empty */
void sessions_submit(struct sessions *s);
void sessions_count(struct sessions *s, enum counter id, uint64_t n);
/* FOUND: *value until the next read; ABSENT; FAILED: dead now. */
enum storage_found sessions_read(
	struct sessions *s, const struct schema_key *k, struct span *key, struct span *value);
bool sessions_there(struct sessions *s, const struct schema_key *k);
/* Keys from that one on, while they begin as its first part says. */
void sessions_scan(struct sessions *s, const struct schema_key *from,
	bool (*seen)(void *owner, struct span key, struct span value), void *owner);
/* All of that kind from `from` on. */
void sessions_scan_kind(struct sessions *s, uint8_t kind, struct span from,
	bool (*seen)(void *owner, struct span key, struct span value), void *owner);
bool sessions_resynced_all(const struct sessions *s);
uint64_t sessions_new_id(struct sessions *s);
uint64_t sessions_new_body(struct sessions *s);

/* connect.c */
void connect_committed(struct sessions *s);
bool connect_next_ids(struct sessions *s, uint32_t worker);
void connect_worker_gone(struct sessions *s, uint32_t worker);
void connect_fini(struct sessions *s);

/* work.c, store.c, entries.c */
void work_mark(struct sessions *s, uint32_t worker);
void work_refuse(struct sessions *s, uint32_t worker, uint64_t sequence, enum err e);
bool work_remember_refused(struct peer *peer, uint64_t sequence); /* false: no memory */
void work_forget_refused(struct peer *peer);
bool work_next_answer(struct sessions *s, uint32_t worker);
void work_settle_op(struct sessions *s, uint32_t worker, uint64_t sequence, enum err e);
enum err store_take(struct sessions *s, uint32_t worker, const struct shm_work *work,
	struct span text, struct sessions_now now);
bool entry_read(struct sessions *s, uint64_t session, uint64_t entry, struct schema_reference *out);
void entry_remember(struct sessions *s, uint64_t session, uint64_t entry, uint64_t token,
	const struct schema_reference *r);
const struct fresh *entry_fresh(const struct sessions *s, uint64_t session, uint64_t entry);
void entry_forget(struct sessions *s, uint64_t session, uint64_t entry);
/* The entry goes, and with the last one the body: into the batch. */
void entry_remove(struct sessions *s, struct batch *b, uint64_t session, uint64_t entry,
	const struct schema_reference *r);
void entry_counted_out(struct sessions *s, struct stored *st, const struct schema_reference *r);
void entry_settled(struct sessions *s, uint32_t worker, const struct shm_work *w);
void entry_received(struct sessions *s, uint32_t worker, const struct shm_work *w);
struct body *entry_body(struct sessions *s, const struct schema_reference *r); /* NULL: dead */

/* replicas.c */
enum err replica_take(struct sessions *s, uint32_t worker, enum shm_command type,
	const struct shm_work *work, struct span filter, bool repeated, uint32_t *op);
void replica_committed(struct sessions *s);
void replica_worker_gone(struct sessions *s);
void replica_gone(struct sessions *s, uint32_t worker, uint64_t session);
void replica_gone_all(struct sessions *s, uint64_t session);
void replica_place_all(struct sessions *s, const struct stored *st);
void replica_fini(struct sessions *s);

/* deliver.c */
void deliver_wake(struct sessions *s, struct stored *st);
void deliver_committed(struct sessions *s);
bool deliver_next(struct sessions *s, uint32_t worker, struct sessions_now now);
void deliver_start(struct sessions *s, struct stored *st, uint64_t delivered);
/* Whatever was sent is among so many first entries on the disk: in flight, or removed, which may
 * not have come to the disk. */
uint64_t deliver_distance_max(const struct sessions *s);
void deliver_forget(struct sessions *s, struct stored *st, uint64_t entry);
void deliver_poll(struct sessions *s, struct sessions_now now);
uint64_t deliver_next_us(const struct sessions *s);

/* load.c */
bool load_next(struct sessions *s, uint32_t worker, struct sessions_now now);

/* sweep.c */
bool sweep_poll(struct sessions *s, struct sessions_now now);
enum will_state { WILL_WAITS, WILL_OUT, WILL_RETRY };
/* A slot of `wills`: worker << WILL_WORKER_SHIFT | WILL_REFUSED, if it ever was | state. */
enum { WILL_STATE_MASK = 3, WILL_REFUSED = 4, WILL_WORKER_SHIFT = 3 };
void will_schedule(struct sessions *s, uint64_t will, uint32_t worker);
bool will_cancel(struct sessions *s, uint64_t will); /* false: it is on its way */
void will_stored(struct sessions *s, uint64_t will, struct batch *b);
void will_again(struct sessions *s, uint64_t will, uint64_t at_us);
/* Full queues refuse it. True: it comes again; else it must go without them. */
MUST_USE bool will_refused(struct sessions *s, uint64_t will, uint64_t at_us);
void wills_worker_gone(struct sessions *s);
