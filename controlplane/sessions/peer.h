/* peer.h - what sessions.c keeps for each worker, and what is under way for it; its limits. */
#pragma once
#include "controlplane/sessions/memory.h"
#include "controlplane/sessions/outbox.h"
#include "controlplane/sessions/sessions.h"
#include "controlplane/sessions/stored.h"

enum {
	ENTRIES_STEP = 64,     /* entry numbers that a session reserves at once */
	IDS_STEP = 4096,       /* the same of sessions and bodies */
	IDLE_MAX = 65536,      /* sessions in memory that are not connected */
	FRESH_MIN = 64,        /* a power of two */
	FRESH_MAX = 1 << 15,   /* references in memory */
	COUNTS_MAX = 1 << 20,  /* shared bodies whose references are counted in memory */
	BATCHES_MAX = 1 << 14, /* under way */
	BATCH_BYTES_MAX = 64 << 20,
	CONNECTS_MAX = 1024, /* under way */
	OUTBOX_MAX = 8192,   /* effects for a worker, before commands wait */
	OPEN_MAX = 1 << 20,  /* work of a worker that is not answered */
	OPS_MAX = 4096,      /* replicas under way */
	OPS_BYTES_MAX = 32 << 20,
	WILLS_MAX = 256,          /* sent to a worker and not stored */
	WILLS_REFUSED_MAX = 1024, /* by full queues, to be tried again */
	RETRY_US = 5000,          /* what was declined */
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
	uint64_t seen;    /* highest sequence since its greeting */
	uint64_t mark;    /* highest ever taken of this generation */
	uint64_t through; /* all up to here is done */
	uint64_t told;    /* and told */
	/* Sequences that the store knows as refused, refused_first .. refused_end, and the latest
	 * that the worker was told. Those up to `heard` it has heard: a ring of others came behind.
	 */
	uint64_t *refused;
	size_t refused_room, refused_first, refused_end;
	uint64_t told_refused[SHM_RING_SLOTS], heard;
	uint32_t told_refused_count;
	bool greeted, resynced, loaded;
	uint64_t counted; /* token: then its dataplane is counted */
	uint8_t stage;    /* enum load_stage */
	uint8_t *cursor;  /* key at which loading goes on */
	size_t cursor_size, cursor_room;
	struct connectings ids; /* committed; their received ids are told */
	struct stored_list ready, uncommitted, declined;
	struct table connections; /* struct stored */
	struct sessions_effect out;
	bool has;
	struct body *lent;
	uint8_t identifiers[4 * SCHEMA_IDENTIFIERS_MAX];
};
