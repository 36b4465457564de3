/* internal.h - the state of sessions.c and its parts.
 *
 *	stored.c     sessions in memory: loaded, connected, ended, dropped
 *	connect.c    CONNECT until it is ready; gone, positions
 *	work.c       work in order, its answers; STORE in store.c, entries in entries.c
 *	replicas.c   SUBSCRIBE and UNSUBSCRIBE through all workers
 *	deliver.c    entries to the worker that has the connection
 *	load.c       greetings, and what a new dataplane is told
 *	sweep.c      deadlines, garbage, those who were connected when all ended
 *
 * Every batch is submitted where it is made, one by one, so the store's reads
 * see everything; a token is a number of a batch, and batches complete in
 * order: `completed` >= token means that it is down. */
#pragma once
#include "controlplane/sessions/batch.h"
#include "controlplane/sessions/memory.h"
#include "controlplane/sessions/outbox.h"
#include "controlplane/sessions/sessions.h"
#include "controlplane/sessions/stored.h"

enum {
	ENTRIES_STEP = 64,     /* entry numbers that a session reserves at once */
	IDS_STEP = 4096,       /* the same of sessions and bodies */
	IDLE_MAX = 65536,      /* sessions in memory that are not connected */
	FRESH_MAX = 1 << 15,   /* references in memory */
	COUNTS_MAX = 1 << 20,  /* shared bodies whose references are counted in memory */
	BATCHES_MAX = 1 << 14, /* under way */
	BATCH_BYTES_MAX = 64 << 20,
	CONNECTS_MAX = 1024, /* under way */
	OUTBOX_MAX = 8192,   /* effects for a worker, before commands wait */
	OPEN_MAX = 1 << 20,  /* work of a worker that is not answered */
	OPS_MAX = 4096,      /* replicas under way */
	OPS_BYTES_MAX = 32 << 20,
	WILLS_MAX = 256, /* sent to a worker and not stored */
	RETRY_US = 5000, /* what was declined */
	REFUSED_RETRY_US = 1000000,
	SWEEP_PIECE = 64,
	PACKET_IDS = 65535, /* outbound packet id: entry % PACKET_IDS + 1 */
};

#define NEVER UINT64_MAX

/* Work that is not answered. */
struct open_work {
	uint64_t sequence, token;
	uint32_t op;  /* replica under way; 0: none */
	uint16_t err; /* enum err: REFUSED */
};

/* A reference in memory: that entry's, as the store has it. */
struct fresh {
	uint64_t session, entry, token; /* of the batch that brought it */
	struct schema_reference reference;
};

struct connecting {
	struct connecting *next;
	struct sessions_ready ready;
	uint64_t batch; /* token to wait for */
	uint64_t epoch;
	uint32_t worker, packet_id; /* where its received ids go on */
	struct shm_connection connection;
};

struct connectings {
	struct connecting *first, **last;
};

/* SUBSCRIBE or UNSUBSCRIBE on its way through the workers. */
struct replica_op {
	struct replica_op *next;
	uint32_t token;
	uint32_t worker; /* whose work it is */
	uint64_t sequence;
	uint64_t session, batch; /* sent when that batch is down; 0: sent */
	struct body *filter;
	struct schema_options options, before;
	uint8_t waiting; /* bits of workers */
	bool subscribe, had_before;
	uint16_t err;
};

enum load_stage { LOAD_NOTHING, LOAD_FILTERS, LOAD_RETAINED, LOAD_END };

struct peer {
	struct outbox box;
	struct open_work *open; /* a queue: open_first .. open_end */
	size_t open_room, open_first, open_end;
	uint64_t seen;                    /* highest sequence since its greeting */
	uint64_t mark;                    /* highest ever taken of this generation */
	uint64_t through;                 /* all up to here is done */
	uint64_t told;                    /* and told */
	uint64_t refused[SHM_RING_SLOTS]; /* sequences that the store knows as refused */
	uint32_t refused_at;
	bool greeted, resynced, loaded;
	uint8_t stage;   /* enum load_stage */
	uint8_t *cursor; /* key at which loading goes on */
	size_t cursor_size, cursor_room;
	struct connectings ids; /* committed; their received ids are told */
	struct stored_list ready, uncommitted, declined;
	struct table connections; /* struct stored */
	struct sessions_effect out;
	bool has;
	struct body *lent;
	uint8_t identifiers[4 * SCHEMA_IDENTIFIERS_MAX];
};

struct sessions {
	struct storage *store;
	const struct shm_config *config;
	struct counters *counters;
	uint32_t workers;
	enum storage_sync sync;
	enum err dead;
	uint64_t dp_generation;
	uint64_t submitted, completed; /* tokens */
	size_t batch_bytes[BATCHES_MAX], bytes_pending;
	struct schema_meta meta; /* as it is; next_* below are used */
	uint64_t next_session, next_body;
	bool meta_dirty;
	struct batch batch;
	struct body *lent, *lent_retained; /* to the batch, until it is submitted */
	uint8_t *value;                    /* what was read last */
	size_t value_room;
	uint8_t *key;
	size_t key_room;
	struct table by_id;      /* struct stored */
	struct stored_list idle; /* not connected; oldest first */
	uint32_t idle_count;
	uint64_t entries; /* of all in memory */
	uint64_t store_serial;
	struct table counts; /* body: references */
	struct table wills;  /* will: enum will_state, worker */
	uint32_t wills_out;
	uint64_t wills_retry_us;
	struct bodies bodies;
	struct fresh *fresh;
	struct connectings connecting, ready;
	uint32_t connects;
	struct replica_op *ops;
	uint32_t ops_count, op_token;
	size_t ops_bytes;
	uint64_t due_s; /* earliest deadline in the store; 0: look */
	bool sweep_connected, sweep_garbage;
	uint64_t connected_from;
	struct peer peers[SHM_WORKERS_MAX];
};

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
void deliver_forget(struct sessions *s, struct stored *st, uint64_t entry);
void deliver_poll(struct sessions *s, struct sessions_now now);
uint64_t deliver_next_us(const struct sessions *s);

/* load.c */
bool load_next(struct sessions *s, uint32_t worker, struct sessions_now now);

/* sweep.c */
bool sweep_poll(struct sessions *s, struct sessions_now now);
enum will_state { WILL_WAITS, WILL_OUT, WILL_RETRY };
void will_schedule(struct sessions *s, uint64_t will, uint32_t worker);
bool will_cancel(struct sessions *s, uint64_t will); /* false: it is on its way */
void will_stored(struct sessions *s, uint64_t will, struct batch *b);
void will_again(struct sessions *s, uint64_t will, uint64_t at_us);
void wills_worker_gone(struct sessions *s);
