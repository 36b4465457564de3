/* registry.h - which connection holds which client id.
 *
 * At most one connection is granted a client id at a time. A second one makes
 * the first be revoked and waits until that is closed and drained; when this
 * takes too long it is granted all the same, and the old one is fenced by its
 * lower epoch. Epochs only grow. Before a GRANT, sessions/ says what the
 * client id owns: prepare.h.
 *
 * A pure machine: (state, command, now) -> effects. Effects stay in the
 * registry until they are taken by registry_next, so a full ring costs no
 * memory and loses nothing; one CONNECT has one GRANT. Randomness is the key.
 * After a restart of ours workers say again who is live (AGAIN, LIVE).
 * Not here: rings and bytes (link/), users (accounts/). */
#pragma once
#include "dataplane/base/counters.h"
#include "dataplane/base/hash.h"
#include "dataplane/base/span.h"
#include "dataplane/shm/slots.h"

enum {
	REGISTRY_ID_BYTES = 19,         /* "sb-" and 16 hexadecimal digits */
	REGISTRY_REFUSALS_MAX = 256,    /* untaken, per worker */
	REGISTRY_ID_BYTES_MEAN = 256,   /* bytes of client ids that all may use together, each */
	REGISTRY_CLIENT_ID_MAX = 65535, /* MQTT 1.5.4 */
	REGISTRY_WILL_BYTES_MAX = 64 << 20, /* of all that are not granted yet */
};

struct registry_conf {
	uint32_t workers;
	uint32_t sessions_max;
	uint64_t takeover_timeout_us; /* how long a new connection waits for the old one's end */
	uint64_t epoch_base;          /* above all epochs of earlier generations of ours */
	struct hash_key key;          /* secret: tables, and client ids that we assign */
	struct counters *counters;
};

/* A CONNECT whose sizes are checked; spans are borrowed for the call. */
struct registry_connect {
	uint32_t worker;
	struct shm_connection connection;
	struct span client_id; /* empty: assign one */
	struct span username, password;
	struct span will; /* {u32 delay_s} and a parcel; empty: none */
	uint64_t epoch; /* LIVE: what was granted before; else what to make an id of; 0: nothing */
	uint32_t session_expiry_s;
	uint32_t address; /* peer, network order */
	uint16_t port, keepalive_s, receive_max;
	uint8_t flags; /* enum shm_connect_flags */
	uint8_t protocol, version;
};

enum registry_effect_kind { REGISTRY_GRANT, REGISTRY_REVOKE };

struct registry_effect {
	enum registry_effect_kind kind;
	union {
		struct shm_grant grant;
		struct shm_revoke revoke;
	};
};

/* For people: one granted or waiting connection. */
struct registry_session {
	struct span client_id; /* until the next call that changes the registry */
	struct shm_connection connection;
	uint64_t epoch, since_us; /* since_us: when it was asked for */
	uint32_t worker, address;
	uint16_t port, keepalive_s;
	uint8_t protocol, version;
	bool revoking; /* another connection waits for its end */
};

struct registry;

/* NULL: no memory. */
struct registry *registry_create(const struct registry_conf *conf);
void registry_destroy(struct registry **r);

/* False: nothing was done, since answers of this worker wait to be taken; offer it again. */
MUST_USE bool registry_connect(
	struct registry *r, const struct registry_connect *c, uint64_t now_us);
/* Unknown connections are ignored: that is what a fenced one's end looks like. */
void registry_closed(struct registry *r, uint32_t worker, struct shm_connection connection);
/* A new generation of a worker: all its connections are gone. */
void registry_worker_gone(struct registry *r, uint32_t worker);
/* Time passes: those who waited too long are granted. */
void registry_poll(struct registry *r, uint64_t now_us);
uint64_t registry_next_us(const struct registry *r); /* UINT64_MAX: nothing to wait for */

/* The next effect for that worker, which is taken. */
MUST_USE bool registry_next(struct registry *r, uint32_t worker, struct registry_effect *out);
bool registry_due(const struct registry *r, uint32_t worker);

uint32_t registry_count(const struct registry *r); /* sessions */
/* The first session at or after *cursor (0: from the start), which moves behind it. */
MUST_USE bool registry_list(
	const struct registry *r, uint32_t *cursor, struct registry_session *out);
void registry_check(const struct registry *r);
