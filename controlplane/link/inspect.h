/* inspect.h - asks workers what an operator wants to know (shm/inspect.h), one question each.
 *
 * Never waits: whoever asks the same again is told that the worker is still
 * looking, or gets the answer, once. A question that nobody came back for, or
 * that a dead worker left, gives way after a second. */
#pragma once
#include "dataplane/shm/region.h"

enum inspect_state {
	INSPECT_WAITS,    /* ask the same again */
	INSPECT_ANSWERED, /* *head and the records are here */
	INSPECT_BUSY,     /* somebody else's question is under way */
	INSPECT_SENSELESS /* the question, or the worker's answer */
};

enum { INSPECT_PATIENCE_US = 1000 * 1000 };

struct inspect_slot {
	struct shm_ask ask;
	uint64_t sequence, asked_us;
	bool waits;
};

/* `records` has SHM_ANSWER_BYTES. */
enum inspect_state inspect_ask(struct inspect_slot *slot, struct shm_question *question,
	const struct shm_answer *answer, const struct shm_ask *ask, uint64_t now_us,
	struct shm_answer_head *head, uint8_t *records);
