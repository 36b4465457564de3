/* stored.h - a session in memory, as its record in the store says, and what is under way for it. */
#pragma once
#include "controlplane/sessions/batch.h"
#include "controlplane/sessions/sessions.h"

enum sent_state { SENT, SENT_AGAIN /* declined */ };

/* An entry at the worker, not settled. */
struct sent {
	uint64_t entry;
	bool again, dup;
};

struct stored_list {
	struct stored *first, *last;
};

struct stored {
	uint64_t id;
	struct schema_session record; /* owns its client id */
	uint64_t next;                /* entry to be given next */
	uint64_t count, bytes;        /* entries, and their bodies' sizes */
	/* Entries below `down` are; those below `fence` when fence_token is, all when last_token
	 * is.
	 */
	uint64_t down, fence, fence_token, last_token;
	/* Of the entries removed `removed_fence` are gone from the disk when fence's token is down,
	 * all when removed_token is. */
	uint64_t removed_fence_token, removed_token;
	uint32_t removed_fence, removed;
	uint64_t named_in; /* serial of the last STORE that named it */
	struct stored *prev, *next_in_list;
	struct stored_list *list;
	/* Its connection. */
	bool online, granted;
	uint16_t receive_max;
	uint32_t worker;
	struct shm_connection connection;
	uint64_t cursor; /* entry to look at next */
	uint64_t again_us;
	struct sent *sent; /* by entry: sent_first .. sent_end */
	size_t sent_room, sent_first, sent_end, sent_again;
};

/* In memory or loaded; NULL: there is none, or the store is dead. */
struct stored *stored_get(struct sessions *s, uint64_t id);
struct stored *stored_find(const struct sessions *s, uint64_t id); /* only in memory */
/* 0: none. */
uint64_t stored_id_of(struct sessions *s, struct span client_id);
MUST_USE struct stored *stored_create(struct sessions *s, uint64_t id, struct span client_id);
void stored_write(struct batch *b, const struct stored *st);
/* Online and offline, in memory alone. */
void stored_set_online(struct sessions *s, struct stored *st, uint32_t worker,
	struct shm_connection connection, uint16_t receive_max);
void stored_set_offline(struct sessions *s, struct stored *st);
/* Whose connection it is; NULL: nobody's. */
struct stored *stored_at(
	const struct sessions *s, uint32_t worker, struct shm_connection connection);
/* Its connection has ended, in a batch of its own: expiry and will run, or it ends. st may be no
 * more then. */
void stored_disconnect(struct sessions *s, struct stored *st, struct sessions_now now);
void stored_end(struct sessions *s, struct stored *st);
/* The same into a batch that is open and not submitted. True: it has ended, and must be freed after
 * that. */
bool stored_disconnect_into(
	struct sessions *s, struct batch *b, struct stored *st, struct sessions_now now);
void stored_freed(struct sessions *s, struct stored *st);
bool stored_expired(const struct stored *st, struct sessions_now now);
void stored_trim(struct sessions *s); /* drops the idle beyond the bound */
void stored_fini(struct sessions *s);

void stored_move(struct stored_list *to, struct stored *st); /* NULL: into none */
