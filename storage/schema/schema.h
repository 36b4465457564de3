/* schema.h - what keys and values mean: bytes to views and back.
 *
 *	kind  key behind the kind's byte        value
 *	M                                       what is counted: struct schema_meta
 *	W     worker u16                        high-water mark of its work
 *	X     worker u16, sequence              work that was refused: the error
 *	I     client id                         session id
 *	S     session                           struct schema_session
 *	C     session                           it is connected
 *	G     session                           it is no more: sweep what hangs on it
 *	F     session, filter                   subscription options
 *	Q     session, entry                    reference of at most 32 bytes
 *	P     session, packet id u16            received at QoS 2, not released
 *	B     body                              a parcel
 *	R     body, session                     an entry of that session refers to the body
 *	L     will                              a parcel
 *	D     due (s), what u8, id              a session expires, a will is due
 *	T     topic                             a parcel: the retained value
 *
 * Pure. Numbers in network order, u64 unless said; so keys of one session or
 * body lie together, in order. A value begins with its version and a checksum
 * over key and value; a reference has a bit and the same. Decoders trust no
 * byte. Views point into the input. Not here: who writes what when (sessions/). */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/err.h"
#include "dataplane/base/reader.h"
#include "dataplane/base/writer.h"

enum {
	SCHEMA_VERSION = 2, /* since a session names its last CONNECT, and M counts dataplanes */
	SCHEMA_HEAD = 5,    /* bytes of a value before its content */
	SCHEMA_TEXT_MAX = 65535,
	SCHEMA_KEY_MAX = 1 + 8 + SCHEMA_TEXT_MAX,
	SCHEMA_REFERENCE_MAX = 32,
	SCHEMA_IDENTIFIERS_MAX = 5,
	SCHEMA_RECORD_MAX = 128 + SCHEMA_TEXT_MAX, /* of any value but a parcel */
};

#define SCHEMA_BODY_ID_MAX ((1ull << 48) - 1)

enum schema_due { SCHEMA_DUE_EXPIRY = 1, SCHEMA_DUE_WILL = 2 };

struct schema_key {
	uint8_t kind;     /* 'M' ... */
	uint8_t due;      /* D: enum schema_due */
	uint16_t small;   /* worker, packet id */
	uint64_t id;      /* session, body, will; D: of either */
	uint64_t number;  /* entry, sequence, R: session, D: seconds */
	struct span text; /* client id, filter, topic */
};

/* What is not of the kind is left out. A key without its last part is where a scan begins. */
void schema_key_encode(struct writer *w, const struct schema_key *k);
void schema_key_encode_prefix(struct writer *w, const struct schema_key *k); /* kind, first part */
MUST_USE enum err schema_key_decode(struct span in, struct schema_key *out);

struct schema_meta {
	uint64_t next_session, next_body; /* none at or above was ever used */
	uint64_t sessions;                /* durable ones */
	uint64_t dataplane;               /* counts those that we have loaded, or begun to */
};

struct schema_mark {
	uint64_t dp_generation, sequence;
};

/* The CONNECT that a session's last connection came with: known again when it is asked again. */
struct schema_connect {
	uint64_t dataplane; /* schema_meta's */
	uint32_t worker, index, generation;
	bool present; /* what it was answered */
};

struct schema_session {
	struct span client_id;
	uint32_t expiry_s; /* UINT32_MAX: never */
	uint32_t will_delay_s;
	uint64_t disconnected_ms; /* wall; of no meaning while connected */
	uint64_t epoch;           /* of the last connection */
	uint64_t will;            /* 0: none */
	uint64_t will_due_s;      /* wall; 0: not yet running, 1: at once */
	uint64_t entries;         /* no entry at or above was ever used */
	uint64_t sent;            /* highest entry that may have been sent before */
	struct schema_connect connect;
	bool durable, connected;
};

struct schema_reference {
	uint64_t body; /* 0: received, nothing left to send */
	uint8_t qos;   /* 1 or 2 */
	uint8_t size_class;
	bool retain, received;
	bool sole; /* no other entry refers to the body, and no R says so */
	uint8_t identifier_count;
	uint32_t identifiers[SCHEMA_IDENTIFIERS_MAX];
};

#include "storage/schema/values.h"
