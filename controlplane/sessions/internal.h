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
 * order: `completed` >= token means that it is down. What the parts do for each
 * other: parts.h. */
#pragma once
#include "controlplane/sessions/parts.h"
#include "controlplane/sessions/peer.h"

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
	uint32_t idle_count, idle_max;
	uint64_t entries; /* of all in memory */
	uint64_t store_serial;
	struct table counts; /* body: references */
	struct table wills;  /* will: enum will_state, refused before, worker */
	uint32_t wills_out, wills_refused;
	uint64_t wills_retry_us;
	struct bodies bodies;
	struct fresh *fresh; /* fresh_mask + 1 of them */
	size_t fresh_mask;
	struct connectings connecting, ready;
	uint64_t ends; /* the batch with which a session ended last */
	uint32_t connects;
	struct replica_op *ops;
	uint32_t ops_count, op_token;
	size_t ops_bytes;
	uint64_t due_s; /* earliest deadline in the store; 0: look */
	bool sweep_connected, sweep_garbage;
	bool expects; /* CONNECTs that are asked again: whoever is not introduced may be theirs */
	uint64_t connected_from;
	struct peer peers[SHM_WORKERS_MAX];
};
