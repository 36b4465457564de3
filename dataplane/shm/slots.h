/* slots.h - what the planes say to each other: fixed slots of 64 bytes.
 *
 * Commands go from a worker to the control plane, events back. A connection is
 * (index, generation) as the worker numbers it; the control plane never trusts
 * more than that. Text lies in the worker's arena: {offset, size} are checked
 * against it and copied once. Every struct is the slot's body: at most 48
 * bytes, naturally aligned, no holes left undefined. Restarts: ring.h. */
#pragma once
#include "dataplane/shm/region.h"

#include "dataplane/base/assert.h"

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
	SHM_COMMAND_STORE,       /* text: see store_text in work.h */
	SHM_COMMAND_SUBSCRIBE,   /* text: the filter */
	SHM_COMMAND_UNSUBSCRIBE, /* text: the filter */
	SHM_COMMAND_RELEASE,
	SHM_COMMAND_RECEIVED,
	SHM_COMMAND_SETTLED,
	SHM_COMMAND_ENDED,
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
	SHM_EVENTS
};

/* What a GRANT says; the same numbers as enum session_verdict, which the planes do not share. */
enum shm_verdict {
	SHM_GRANTED,
	SHM_REFUSED_CLIENT_ID,
	SHM_REFUSED_CREDENTIALS,
	SHM_REFUSED_NOT_AUTHORISED,
	SHM_REFUSED_BUSY,
	SHM_VERDICTS
};

struct shm_text {
	uint32_t offset; /* in the arena, monotonic modulo SHM_ARENA_BYTES; never wraps inside */
	uint32_t size;
};

struct shm_connection {
	uint32_t index;
	uint32_t generation;
};

struct shm_connect {
	struct shm_connection connection;
	struct shm_text text; /* client id, user name, password, will, joined */
	uint16_t client_id_size, username_size, password_size;
	uint8_t flags;    /* enum shm_connect_flags */
	uint8_t protocol; /* enum session_protocol */
	uint32_t session_expiry_s;
	uint32_t address; /* peer, network order */
	uint16_t port;
	uint16_t keepalive_s;
	uint8_t version;
	uint8_t reserved;
	uint16_t receive_max; /* unacknowledged messages that the client takes; never 0 */
	uint64_t epoch;       /* LIVE: what was granted before */
};

enum shm_connect_flags {
	SHM_CONNECT_CLEAN = 1,
	SHM_CONNECT_USERNAME = 2,
	SHM_CONNECT_PASSWORD = 4,
	SHM_CONNECT_AGAIN = 8, /* sent again after a restart of the control plane */
	SHM_CONNECT_LIVE = 16, /* AGAIN, and already granted `epoch` before: tell the registry */
	SHM_CONNECT_WILL =
		32, /* text goes on with the will: {u32 delay_s} and a parcel (parcel.h) */
};

struct shm_closed {
	struct shm_connection connection;
	uint64_t epoch;
	uint32_t err; /* enum err */
	uint32_t reserved;
};

struct shm_grant {
	struct shm_connection connection;
	uint64_t epoch;
	uint64_t session; /* id of what the control plane keeps for it; 0: nothing */
	uint8_t verdict;  /* enum shm_verdict */
	uint8_t session_present;
	uint8_t durable;       /* 1: its subscriptions are a queue's; 0: they end with it */
	uint8_t assigned_size; /* bytes of `assigned` */
	uint8_t assigned[20];  /* client id given by us */
};

struct shm_revoke {
	struct shm_connection connection;
	uint64_t epoch;
	uint32_t err; /* ERR_MQTT_TAKEN_OVER, ERR_SHUTDOWN */
	uint32_t reserved;
};

struct shm_hello {
	uint8_t loaded; /* 1: everything durable is here already; 0: send it */
	uint8_t reserved[7];
};

/* A live connection whose session the control plane keeps. */
struct shm_position {
	struct shm_connection connection;
	uint64_t session;
	uint64_t delivered; /* highest queue entry that came here and was not declined; 0: none */
	uint16_t receive_max;
	uint8_t durable;
	uint8_t reserved[5];
};

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

struct shm_place {
	uint64_t session;
	struct shm_connection connection;
	uint32_t worker; /* UINT32_MAX: nowhere */
	uint32_t reserved;
};

enum shm_deliver_flags {
	SHM_DELIVER_DUP = 1,
	SHM_DELIVER_RETAIN = 2,
	SHM_DELIVER_RELEASE = 4, /* no message: the client has said PUBREC, say PUBREL */
};

struct shm_deliver {
	struct shm_connection connection;
	uint64_t entry;
	struct shm_text text;   /* identifiers, u32 each, network order; a parcel. RELEASE: none */
	uint32_t text_size;     /* of all parts and this text */
	uint32_t expiry_left_s; /* 0: does not expire */
	uint8_t qos, flags;     /* enum shm_deliver_flags */
	uint8_t identifier_count;
	uint8_t reserved[5];
};

struct shm_declined {
	uint64_t entry;   /* DELIVER */
	uint64_t session; /* PUBLISH: of the will; else 0 */
	struct shm_connection connection;
};

struct shm_publish {
	uint64_t session; /* id of the will: goes into the STORE, or DECLINED */
	struct shm_text text;
	uint32_t text_size;
	uint8_t qos, retain;
	uint8_t reserved[2];
};

struct shm_retained {
	struct shm_text text;
	uint32_t text_size;
	uint32_t expiry_left_s;
	uint8_t qos;
	uint8_t reserved[7];
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
	};
	uint32_t sender;   /* low 32 bits of the sender's generation */
	uint32_t receiver; /* of the receiver's, as the sender knew it */
	uint32_t sequence; /* low 32 bits of the ring index */
	uint8_t reserved[3];
	uint8_t type; /* written last */
};

static_assert(sizeof(struct shm_connect) == 48, "a body is at most 48 bytes");
static_assert(sizeof(struct shm_grant) == 48, "a body is at most 48 bytes");
static_assert(sizeof(struct shm_work) == 48, "a body is at most 48 bytes");
static_assert(sizeof(struct shm_received) == 48, "a body is at most 48 bytes");
static_assert(sizeof(struct shm_deliver) == 40, "no holes");
static_assert(sizeof(struct shm_replica) == 32, "no holes");
static_assert(sizeof(struct shm_slot) == SHM_SLOT_BYTES, "a slot is one cache line");
