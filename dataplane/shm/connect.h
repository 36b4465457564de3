/* connect.h - slot bodies about connections: asked for, granted, gone, and there again.
 *
 * A connection is (index, generation) as the worker numbers it; the control
 * plane never trusts more than that. Text lies in the sender's arena: {offset,
 * size} are checked against it and copied once. Which body belongs to which
 * type: slots.h. */
#pragma once
#include "dataplane/base/assert.h"

#include <stdint.h>

struct shm_text {
	uint32_t offset; /* in the arena, monotonic modulo SHM_ARENA_BYTES; never wraps inside */
	uint32_t size;
};

struct shm_connection {
	uint32_t index;
	uint32_t generation;
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
	/* LIVE: what was granted before. Who has no client id: what one is made of. */
	uint64_t epoch;
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

static_assert(sizeof(struct shm_connect) == 48, "a body is at most 48 bytes");
static_assert(sizeof(struct shm_grant) == 48, "a body is at most 48 bytes");
