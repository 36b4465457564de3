/* works_internal.h - what the files of works share: the ring of open work, and its texts.
 *
 * Work is numbered without gaps and answered in order, so it lies in a ring by
 * its number, and its texts in a ring of bytes. Three numbers tell where we are:
 *
 *	done < written <= next;  all up to `done` is answered, all below
 *	`written` is said to the present control plane, `next` is not used yet */
#pragma once
#include "dataplane/worker/replica.h"
#include "dataplane/worker/worker_internal.h"
#include "dataplane/worker/works.h"
#include "dataplane/worker/works_text.h"

enum {
	WORKS_TARGETS_MAX = 256 << 10, /* of one STORE */
	WORKS_ANSWERS_MAX = 256,       /* APPLIED and DECLINED that found the ring full */
	WORKS_RING_KEPT = 64,          /* slots that only farewells may use */
	WORKS_SPANS_MAX = 96,          /* pieces of text of one slot */
};

/* Who waits for a work that is not a STORE. */
struct work_asker {
	struct shm_connection connection;
	uint32_t token;
	bool was_new;            /* SUBSCRIBE: of the replica here */
	uint64_t next_subscribe; /* of the same connection; 0: none */
};

struct work {
	struct shm_work body;
	struct message *message; /* STORE: ours until the answer */
	struct work_text text;
	union {
		struct order order; /* STORE */
		struct work_asker asker;
	};
	uint16_t refused; /* enum err; sticks: what lies below the mark may have been refused */
	uint8_t type;     /* enum shm_command */
};

/* An answer of ours that is not work: APPLIED or DECLINED. */
struct works_answer {
	uint8_t type;
	union {
		struct shm_applied applied;
		struct shm_declined declined;
	};
};

struct works {
	struct work *ring;
	uint32_t capacity;
	uint32_t promised;  /* room that entries at clients will need to be settled */
	uint64_t done;      /* the last that is answered */
	uint64_t written;   /* the next to be said */
	uint64_t next;      /* the next number */
	uint64_t said;      /* the highest that any control plane has heard */
	uint64_t through;   /* a DONE up to here has come */
	uint64_t resync_to; /* RESYNCED is due when `written` is here; 0: it is not due */
	uint32_t part_at;   /* bytes of `written`'s text that are said */
	bool held;          /* connections are introduced first */
	bool loaded;        /* everything durable is here */

	uint8_t *texts; /* ring of bytes */
	uint32_t texts_size, texts_head, texts_used;

	uint8_t *targets; /* scratch of one STORE */
	uint32_t targets_size;
	struct writer target_writer;
	uint32_t target_count;

	uint8_t *incoming; /* text of an event, parts joined */
	size_t incoming_size, incoming_have;
	bool incoming_bad; /* its parts make no sense: the event is dropped */

	struct works_answer answers[WORKS_ANSWERS_MAX];
	uint32_t answer_count;
	struct replicas replicas;
};

/* The one with that number; it must be open. */
static inline struct work *work_at(const struct works *s, uint64_t sequence)
{
	return &s->ring[sequence % s->capacity];
}

/* works_store.c */
/* Says `written` to the control plane, or a part of it (part_at > 0). False: no room now. */
MUST_USE bool works_write(struct worker *w);

/* works.c */
void works_on_done(struct worker *w, const struct shm_done *d);
void works_on_refused(struct worker *w, const struct shm_done *d);
/* Room to settle one more entry at that client. */
MUST_USE bool works_promise(struct worker *w, struct connection *c);
void works_unpromise(struct worker *w, struct connection *c);

/* works_event.c */
void works_flush_answers(struct worker *w);
