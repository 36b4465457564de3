/* inspect.c - see inspect.h. */
#include "dataplane/shm/inspect.h"

#include "dataplane/shm/atomic.h"

#include <string.h>

enum { ASK_WORDS = sizeof(struct shm_ask) / sizeof(uint64_t), ADDRESS_BITS = 128 };

static_assert(SHM_CONNECTIONS_MAX * sizeof(struct shm_connection_facts) <= SHM_ANSWER_BYTES,
	"the most connections fit an answer");
static_assert(SHM_EVENTS_MAX * sizeof(struct tcp_happened) <= SHM_ANSWER_BYTES,
	"the most events fit an answer");

static const struct {
	uint32_t bytes, most;
} kinds[SHM_ASK_KINDS] = {
	[SHM_ASK_CONNECTIONS] = {sizeof(struct shm_connection_facts), SHM_CONNECTIONS_MAX},
	[SHM_ASK_CONNECTION] = {sizeof(struct shm_connection_facts), 1},
	[SHM_ASK_EVENTS] = {sizeof(struct tcp_happened), SHM_EVENTS_MAX},
};

size_t shm_record_bytes(uint32_t kind)
{
	return kind < SHM_ASK_KINDS ? kinds[kind].bytes : 0;
}

uint32_t shm_records_max(uint32_t kind)
{
	return kind < SHM_ASK_KINDS ? kinds[kind].most : 0;
}

bool shm_ask_check(const struct shm_ask *ask)
{
	return ask->limit >= 1 && ask->limit <= shm_records_max(ask->kind) &&
	       ask->peer_bits <= ADDRESS_BITS;
}

uint64_t shm_ask_write(struct shm_question *q, const struct shm_ask *ask)
{
	uint64_t from[ASK_WORDS], *to = (uint64_t *)&q->ask;
	/* Odd already when a writer died half-way: go on from there. */
	const uint64_t odd = q->sequence | 1;

	memcpy(from, ask, sizeof(from));
	shm_store(&q->sequence, odd);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (size_t i = 0; i < ASK_WORDS; i++)
		__atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
	shm_store(&q->sequence, odd + 1);
	return odd + 1;
}

bool shm_ask_read(const struct shm_question *q, struct shm_ask *out, uint64_t *sequence)
{
	const uint64_t *from = (const uint64_t *)&q->ask;
	uint64_t to[ASK_WORDS];
	const uint64_t before = shm_load(&q->sequence);

	if ((before & 1) != 0)
		return false;
	for (size_t i = 0; i < ASK_WORDS; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&q->sequence, __ATOMIC_RELAXED) != before)
		return false;
	memcpy(out, to, sizeof(*out));
	*sequence = before;
	return true;
}

bool shm_answer_read(const struct shm_answer *a, uint64_t sequence, const struct shm_ask *ask,
	struct shm_answer_head *head, uint8_t *to, enum err *e)
{
	if (shm_load(&a->sequence) != sequence)
		return false;
	memcpy(head, &a->head, sizeof(*head));
	*e = ERR_SLOT_BAD;
	if (head->kind != ask->kind || head->count > ask->limit)
		return true;
	/* A place that lies behind the one asked for would have the asker go in circles. */
	if (head->next <= ask->index && ask->kind == SHM_ASK_CONNECTIONS)
		return true;
	memcpy(to, a->records, head->count * shm_record_bytes(ask->kind));
	*e = ERR_NONE;
	return true;
}
