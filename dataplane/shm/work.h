/* work.h - slot bodies about what is to last: work, what is done of it, subscriptions of queues.
 *
 * Numbers and order of work: docs/durability.md. The text of a STORE:
 * parcel.h. Which body belongs to which type: slots.h. */
#pragma once
#include "dataplane/shm/connect.h"

enum shm_work_flags {
	SHM_WORK_RETAIN = 1,   /* STORE: set the topic's retained value; empty payload: remove */
	SHM_WORK_RECORD = 2,   /* STORE: remember `packet_id` of `session` as received */
	SHM_WORK_WILL = 4,     /* STORE: it was the will of `will`: remove that */
	SHM_WORK_NO_WILL = 16, /* ENDED: the client said goodbye, its will is void */
	SHM_WORK_EXPIRY = 32,  /* ENDED: `expiry_s` replaces the session's */
};

/* One piece of work; what is not used is 0. Numbers and order: docs/durability.md. */
struct shm_work {
	uint64_t sequence; /* from 1, without gaps, in a generation of the dataplane */
	uint64_t session;  /* STORE: the publisher's, if `packet_id` is to be kept */
	union {
		uint64_t entry; /* RECEIVED, SETTLED: of the session's queue */
		uint64_t will;  /* STORE with WILL: session id */
		uint64_t epoch; /* ENDED */
	};
	struct shm_text text;
	union {
		uint32_t text_size;  /* STORE: of all parts and this text */
		uint32_t identifier; /* SUBSCRIBE; 0: none */
		uint32_t expiry_s;   /* ENDED */
	};
	uint16_t packet_id; /* STORE with RECORD, RELEASE */
	uint8_t flags;      /* enum shm_work_flags; SUBSCRIBE: enum shm_filter_flags */
	uint8_t qos;        /* SUBSCRIBE: the highest; STORE: the publisher's */
	uint8_t reserved[8];
};

enum shm_filter_flags {
	SHM_FILTER_NO_LOCAL = 1,
	SHM_FILTER_RETAIN_AS_PUBLISHED = 2,
	SHM_FILTER_HANDLING_SHIFT = 2, /* two bits: retain handling */
};

struct shm_part {
	struct shm_text text;
};

struct shm_done {
	uint64_t sequence;
	uint32_t err; /* REFUSED: enum err */
	uint32_t reserved;
};

/* What was remembered for RECORD and not released. */
struct shm_received {
	struct shm_connection connection;
	uint16_t count;
	uint16_t packet_ids[19];
};

struct shm_replica {
	uint64_t session;
	struct shm_text text; /* the filter */
	uint32_t token;       /* comes back in APPLIED; 0: no answer */
	uint32_t identifier;
	uint8_t qos, flags; /* enum shm_filter_flags */
	uint8_t reserved[6];
};

struct shm_applied {
	uint32_t token;
	uint32_t err; /* enum err: no room in a table */
};

/* A filter that wants compiling. Its number is the worker's own and is used again; without
 * `added` nobody has it now. */
struct shm_pattern {
	uint32_t pattern;
	uint8_t added;
	uint8_t reserved[3];
	struct shm_text text; /* the filter; empty if it has gone */
};

/* TRY and TRIED. */
struct shm_trial {
	uint32_t token;
	uint32_t err;         /* enum err: ERR_NONE, ERR_EXPRESSION_REFUSED */
	struct shm_text text; /* TRY: the filter */
};

static_assert(sizeof(struct shm_work) == 48, "a body is at most 48 bytes");
static_assert(sizeof(struct shm_received) == 48, "a body is at most 48 bytes");
static_assert(sizeof(struct shm_replica) == 32, "no holes");
