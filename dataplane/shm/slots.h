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
	SHM_COMMAND_HELLO = 1, /* the first of a generation: everything older is gone */
	SHM_COMMAND_CONNECT,   /* struct shm_connect; answered by GRANT with the same connection */
	SHM_COMMAND_CLOSED,    /* struct shm_closed: the connection is gone and drained */
};

enum shm_event {
	SHM_EVENT_GRANT = 1, /* struct shm_grant */
	SHM_EVENT_REVOKE,    /* struct shm_revoke: close it, then say CLOSED */
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
	struct shm_text text; /* client id, user name, password, joined */
	uint16_t client_id_size, username_size, password_size;
	uint8_t flags;    /* enum shm_connect_flags */
	uint8_t protocol; /* enum session_protocol */
	uint32_t session_expiry_s;
	uint32_t address; /* peer, network order */
	uint16_t port;
	uint16_t keepalive_s;
	uint8_t version;
	uint8_t reserved[3];
	uint64_t epoch; /* LIVE: what was granted before */
};

enum shm_connect_flags {
	SHM_CONNECT_CLEAN = 1,
	SHM_CONNECT_USERNAME = 2,
	SHM_CONNECT_PASSWORD = 4,
	SHM_CONNECT_AGAIN = 8, /* sent again after a restart of the control plane */
	SHM_CONNECT_LIVE = 16, /* AGAIN, and already granted `epoch` before: tell the registry */
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
	uint8_t verdict; /* enum shm_verdict */
	uint8_t session_present;
	uint8_t assigned_size; /* bytes of `assigned` */
	uint8_t assigned[24];  /* client id given by us */
	uint8_t reserved[5];
};

struct shm_revoke {
	struct shm_connection connection;
	uint64_t epoch;
	uint32_t err; /* ERR_MQTT_TAKEN_OVER, ERR_SHUTDOWN */
	uint32_t reserved;
};

struct shm_slot {
	union {
		uint8_t bytes[48];
		struct shm_connect connect;
		struct shm_closed closed;
		struct shm_grant grant;
		struct shm_revoke revoke;
	};
	uint32_t sender;   /* low 32 bits of the sender's generation */
	uint32_t receiver; /* of the receiver's, as the sender knew it */
	uint32_t sequence; /* low 32 bits of the ring index */
	uint8_t reserved[3];
	uint8_t type; /* written last */
};

static_assert(sizeof(struct shm_connect) == 48, "a body is at most 48 bytes");
static_assert(sizeof(struct shm_grant) <= 48, "a body is at most 48 bytes");
static_assert(sizeof(struct shm_slot) == SHM_SLOT_BYTES, "a slot is one cache line");
