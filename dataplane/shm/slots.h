/* slots.h - what the planes say to each other: fixed slots of 64 bytes.
 *
 * Commands go from a worker to the control plane, events back. A slot is one
 * body (connect.h, work.h, deliver.h), at most 48 bytes, naturally aligned, no
 * holes left undefined, and its type. Restarts: ring.h. */
#pragma once
#include "dataplane/base/assert.h"
#include "dataplane/shm/connect.h"
#include "dataplane/shm/deliver.h"
#include "dataplane/shm/region.h"
#include "dataplane/shm/work.h"

enum shm_command {
	SHM_COMMAND_HELLO = 1, /* struct shm_hello; the first of a generation: all older is gone */
	SHM_COMMAND_CONNECT,   /* struct shm_connect; answered by GRANT with the same connection */
	SHM_COMMAND_CLOSED,    /* struct shm_closed: the connection is gone and drained */
	SHM_COMMAND_POSITION,  /* struct shm_position; behind a CONNECT with LIVE */
	SHM_COMMAND_RESYNCED,  /* all is said again that was open: docs/durability.md */
	SHM_COMMAND_DECLINED,  /* struct shm_declined: no room for a DELIVER or PUBLISH now */
	SHM_COMMAND_APPLIED,   /* struct shm_applied: a replica has changed */
	/* Work: struct shm_work, but for PART. */
	SHM_COMMAND_PART,        /* struct shm_part: text before that of the next STORE */
	SHM_COMMAND_STORE,       /* text: targets and a parcel: parcel.h */
	SHM_COMMAND_SUBSCRIBE,   /* text: the filter */
	SHM_COMMAND_UNSUBSCRIBE, /* text: the filter */
	SHM_COMMAND_RELEASE,
	SHM_COMMAND_RECEIVED,
	SHM_COMMAND_SETTLED,
	SHM_COMMAND_ENDED,
	SHM_COMMAND_PATTERN, /* struct shm_pattern: one has come or gone */
	SHM_COMMAND_TRY,     /* struct shm_trial; answered by TRIED with the same token */
	SHM_COMMANDS
};

enum shm_event {
	SHM_EVENT_GRANT = 1,         /* struct shm_grant */
	SHM_EVENT_REVOKE,            /* struct shm_revoke: close it, then say CLOSED */
	SHM_EVENT_DONE,              /* struct shm_done: work up to that number */
	SHM_EVENT_REFUSED,           /* struct shm_done: that one; its DONE follows */
	SHM_EVENT_RECEIVED_ID,       /* struct shm_received; before the GRANT */
	SHM_EVENT_QUEUE_SUBSCRIBE,   /* struct shm_replica; answered by APPLIED if token != 0 */
	SHM_EVENT_QUEUE_UNSUBSCRIBE, /* the same */
	SHM_EVENT_QUEUE_GONE,        /* the same, without a filter: all of that session's */
	SHM_EVENT_QUEUE_PLACE,       /* struct shm_place: where a durable session is connected */
	SHM_EVENT_PART,              /* struct shm_part: text before that of the next event */
	SHM_EVENT_DELIVER,           /* struct shm_deliver; text: a parcel, and identifiers */
	SHM_EVENT_PUBLISH,           /* struct shm_publish; text: a parcel: a will is due */
	SHM_EVENT_RETAINED,          /* struct shm_retained; text: a parcel */
	SHM_EVENT_LOADED,            /* everything durable is here */
	SHM_EVENT_TRIED,             /* struct shm_trial: may it be subscribed to? */
	SHM_EVENTS
};

struct shm_slot {
	union {
		uint8_t bytes[48];
		struct shm_connect connect;
		struct shm_closed closed;
		struct shm_grant grant;
		struct shm_revoke revoke;
		struct shm_hello hello;
		struct shm_position position;
		struct shm_work work;
		struct shm_part part;
		struct shm_done done;
		struct shm_received received;
		struct shm_replica replica;
		struct shm_applied applied;
		struct shm_place place;
		struct shm_deliver deliver;
		struct shm_declined declined;
		struct shm_publish publish;
		struct shm_retained retained;
		struct shm_pattern pattern;
		struct shm_trial trial;
	};
	uint32_t sender;   /* low 32 bits of the sender's generation */
	uint32_t receiver; /* of the receiver's, as the sender knew it; 0: whoever it is */
	uint32_t sequence; /* low 32 bits of the ring index */
	uint8_t reserved[3];
	uint8_t type; /* written last */
};

static_assert(sizeof(struct shm_slot) == SHM_SLOT_BYTES, "a slot is one cache line");
