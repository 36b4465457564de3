/* admission.h - what the registry asks of sessions before it grants, and what it hears.
 *
 * The registry says who may hold a client id, sessions say what that client id
 * owns; neither includes the other. The control plane carries these between them:
 * controlplane/registry/prepare.h, sessions.h. */
#pragma once
#include "dataplane/base/err.h"
#include "dataplane/base/span.h"
#include "dataplane/shm/slots.h"

/* A CONNECT that the registry lets in. */
struct sessions_connect {
	uint64_t token; /* comes back when it may be granted */
	uint32_t worker;
	struct shm_connection connection;
	uint64_t epoch;
	struct span client_id;
	struct span will; /* {u32 delay_s} and a parcel; empty: none */
	uint32_t session_expiry_s;
	uint16_t receive_max;
	bool clean;
	bool again; /* one before us may have taken it: it is answered the same */
};

/* What the GRANT says of it, once that is committed. */
struct sessions_ready {
	uint64_t token;
	uint64_t session; /* 0: nothing is kept */
	enum err err;     /* ERR_NONE, or why it cannot be granted */
	bool present, durable;
};
