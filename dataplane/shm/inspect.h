/* inspect.h - what an operator asks a worker about connections, and what it answers.
 *
 * One question at a time and worker: the control plane writes it into CP under a
 * sequence number (odd while it writes), the worker looks between two turns' work, a bounded
 * number of places a turn, and writes the answer beside its rings in DP, the question's number
 * last. Nothing is copied while nobody asks. A worker that died leaves a question unanswered:
 * whoever asked gives up. The answer is hostile as all of DP is: shm_answer_read copies it
 * once and checks. Not here: how the question comes to the control plane (controlplane/ipc). */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/err.h"
#include "dataplane/base/tcp_facts.h"

enum shm_ask_kind {
	SHM_ASK_CONNECTIONS = 1, /* struct shm_connection_facts: those that match */
	SHM_ASK_CONNECTION,      /* the same: that one; none: there is no such */
	SHM_ASK_EVENTS,          /* struct tcp_happened: of that one, the newest first */
	SHM_ASK_KINDS
};

enum {
	SHM_ANSWER_BYTES = 16384 - 64,
	SHM_CONNECTIONS_MAX = 64, /* in one answer */
	SHM_EVENTS_MAX = 1000,    /* the same */
	SHM_CLIENT_ID_SHOWN = 64, /* longer ones are cut */
	SHM_ASK_END = UINT32_MAX, /* there is nothing beyond this answer */
};

/* What does not count is 0. */
struct shm_ask {
	uint32_t kind;                  /* enum shm_ask_kind */
	uint32_t index;                 /* CONNECTIONS: the first place to look at */
	uint32_t generation;            /* not CONNECTIONS */
	uint32_t limit;                 /* records, from 1 */
	uint32_t states;                /* CONNECTIONS: bits 1 << enum tcp_state */
	uint16_t peer_port, local_port; /* the same */
	uint8_t peer[16];               /* the same: IPv6, or IPv4 mapped ... */
	uint8_t peer_bits;              /* ... of which the first so many count, at most 128 */
	uint8_t reserved[7];
};

struct shm_question {
	uint64_t sequence; /* odd: being written */
	struct shm_ask ask;
	uint64_t reserved;
};

struct shm_connection_facts {
	struct tcp_facts tcp;
	uint32_t client_id_size; /* in full; 0: no session yet */
	uint8_t version;         /* of MQTT */
	uint8_t reserved[3];
	uint8_t client_id[SHM_CLIENT_ID_SHOWN];
};

struct shm_answer_head {
	uint32_t kind;  /* of the question */
	uint32_t count; /* records */
	uint32_t next;  /* CONNECTIONS: where to go on, or SHM_ASK_END */
	uint32_t reserved;
	uint64_t now_us; /* the worker's clock */
};

struct shm_answer {
	uint64_t sequence; /* of the question that it answers; written last */
	struct shm_answer_head head;
	uint8_t reserved[64 - sizeof(uint64_t) - sizeof(struct shm_answer_head)];
	uint8_t records[SHM_ANSWER_BYTES];
};

/* Bytes of a record in answer to that kind; 0: no such kind. */
size_t shm_record_bytes(uint32_t kind);
/* Most records that an answer of that kind may have. */
uint32_t shm_records_max(uint32_t kind);
/* A question that makes sense. */
MUST_USE bool shm_ask_check(const struct shm_ask *ask);

/* Control plane: the number of the question, never 0. */
uint64_t shm_ask_write(struct shm_question *q, const struct shm_ask *ask);
/* Worker: false while it is being written. */
MUST_USE bool shm_ask_read(const struct shm_question *q, struct shm_ask *out, uint64_t *sequence);
/* Control plane: false, not answered yet. `to` has SHM_ANSWER_BYTES. *e: ERR_SLOT_BAD, or none. */
MUST_USE bool shm_answer_read(const struct shm_answer *a, uint64_t sequence,
	const struct shm_ask *ask, struct shm_answer_head *head, uint8_t *to, enum err *e);

static_assert(sizeof(struct shm_ask) == 48, "no holes");
static_assert(sizeof(struct shm_question) == 64, "a question is a cache line");
static_assert(sizeof(struct shm_answer) == 16384, "an answer is four pages");
