/* session.h - what a protocol session asks of the world, and nothing else.
 *
 * A session is a state machine: bytes, answers and time in; effects out. It
 * performs no effect itself: it calls this table, which the worker (or a
 * recording test) provides. `owner` is the worker's handle of the connection.
 * A session knows no TCP, no clock, no other session.
 *
 * Calls may come only from inside the session's own functions, and none of
 * them calls back into the session. Not here: the protocols (mqtt.h). */
#pragma once
#include "dataplane/fabric/verbs.h"

/* A client asks to be let in; crosses to the control plane and comes back as a grant. */
struct session_request {
	struct span client_id; /* empty: assign one */
	struct span username, password;
	bool has_username, has_password;
	bool clean_start;
	uint32_t session_expiry_s;
	uint16_t keepalive_s;
	uint16_t receive_max;       /* unacknowledged messages that the client takes; never 0 */
	const struct message *will; /* NULL: none; borrowed for the call */
	uint32_t will_delay_s;
	uint8_t protocol; /* enum session_protocol */
	uint8_t version;  /* the protocol's own number */
};

enum session_protocol { SESSION_MQTT = 1 };

enum session_verdict {
	SESSION_GRANTED,
	SESSION_REFUSED_CLIENT_ID,
	SESSION_REFUSED_CREDENTIALS,
	SESSION_REFUSED_NOT_AUTHORISED,
	SESSION_REFUSED_BUSY, /* no answer in time, or a limit is reached */
};

struct session_grant {
	enum session_verdict verdict;
	bool session_present;
	bool durable; /* what it subscribes to is a queue that survives this connection */
	bool kept;    /* the control plane keeps something of it: durable, or a will */
	struct span assigned_client_id; /* empty unless one was asked for */
	uint64_t epoch;                 /* of the session; older ones are fenced */
};

struct session_ops {
	/* Towards the peer. Bytes are copied. The queue is bounded: false means that nothing was
	 * taken; the session counts a drop or finishes. */
	bool (*send)(void *owner, struct span bytes);
	/* Header bytes copied, payload lent by reference: all or nothing. */
	bool (*send_message)(void *owner, struct span header, struct message *m);
	/* Sends what is queued, then closes. No more input is delivered. Counted under `why`. */
	void (*finish)(void *owner, enum err why);
	/* The session's one timer; 0 disarms. on_timer may come late, never early. */
	void (*timer)(void *owner, uint64_t deadline_us);
	/* Answered by on_grant, on this or a later turn. False: cannot be asked now (busy). */
	bool (*request)(void *owner, const struct session_request *r);
	/* QoS 2 of the publisher: forgets a received packet id (PUBREL). True: that is so now;
	 * false: on_released answers. */
	bool (*release)(void *owner, uint16_t packet_id);
	/* Entries of a durable session's queue (struct delivery). The client will never need it
	 * again (PUBACK, PUBCOMP, a refusal). */
	void (*settle)(void *owner, uint64_t entry);
	/* The client has it and must not get it again (PUBREC): on_received answers. */
	void (*receive)(void *owner, uint64_t entry);
	/* Deliveries that were declined (deliver answered false) may fit now. */
	void (*room)(void *owner);
	/* How the session ended, before `finish` or with the last call, once: the will is void; the
	 * expiry is a new one. Only for kept sessions. */
	void (*farewell)(void *owner, bool will_void, bool expiry_changed, uint32_t expiry_s);
	struct verbs verbs;
};

/* What input did with the bytes it was shown. */
struct session_used {
	size_t used; /* bytes consumed */
	size_t need; /* > 0: call again when so many contiguous bytes are there */
	bool parked; /* cannot go on now (waiting for an answer or for room): stop reading until
		      * any on_X or the timer, then offer the same bytes again */
};
