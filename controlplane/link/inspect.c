/* inspect.c - see inspect.h. */
#include "controlplane/link/inspect.h"

#include <string.h>

static bool is_same(const struct shm_ask *a, const struct shm_ask *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

enum inspect_state inspect_ask(struct inspect_slot *slot, struct shm_question *question,
	const struct shm_answer *answer, const struct shm_ask *ask, uint64_t now_us,
	struct shm_answer_head *head, uint8_t *records)
{
	const bool fresh = slot->waits && now_us - slot->asked_us < INSPECT_PATIENCE_US;
	enum err e;

	if (!shm_ask_check(ask))
		return INSPECT_SENSELESS;
	if (fresh && !is_same(&slot->ask, ask))
		return INSPECT_BUSY;
	if (!fresh) {
		*slot = (struct inspect_slot){.ask = *ask, .asked_us = now_us, .waits = true};
		slot->sequence = shm_ask_write(question, ask);
		return INSPECT_WAITS;
	}
	if (!shm_answer_read(answer, slot->sequence, ask, head, records, &e))
		return INSPECT_WAITS;
	slot->waits = false;
	return e == ERR_NONE ? INSPECT_ANSWERED : INSPECT_SENSELESS;
}
