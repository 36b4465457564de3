/* inspect_test.c - questions and answers in memory that a dead or hostile process has written. */
#include "dataplane/shm/inspect.h"

#include "dataplane/base/span.h"
#include "dataplane/shm/atomic.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct shm_question question;
static struct shm_answer answer;

static struct shm_ask ask_of(uint32_t index, uint32_t limit)
{
	return (struct shm_ask){.kind = SHM_ASK_CONNECTIONS, .index = index, .limit = limit};
}

static void a_question_comes_over(void)
{
	struct shm_ask ask = ask_of(5, 64), got;
	uint64_t sequence, again;

	memset(&question, 0, sizeof(question));
	ask.peer[3] = 7;
	const uint64_t said = shm_ask_write(&question, &ask);
	CU_ASSERT(said != 0);
	CU_ASSERT_FATAL(shm_ask_read(&question, &got, &sequence));
	CU_ASSERT_EQUAL(sequence, said);
	CU_ASSERT_EQUAL(memcmp(&got, &ask, sizeof(ask)), 0);
	CU_ASSERT(shm_ask_write(&question, &ask) > said);
	/* Its writer died half-way: nothing to read until the next. */
	question.sequence |= 1;
	CU_ASSERT_FALSE(shm_ask_read(&question, &got, &again));
	CU_ASSERT(shm_ask_write(&question, &ask) > said);
	CU_ASSERT(shm_ask_read(&question, &got, &again));
}

static void senseless_questions(void)
{
	struct shm_ask ask = ask_of(0, 1);

	CU_ASSERT(shm_ask_check(&ask));
	ask.limit = 0;
	CU_ASSERT_FALSE(shm_ask_check(&ask));
	ask.limit = SHM_CONNECTIONS_MAX + 1;
	CU_ASSERT_FALSE(shm_ask_check(&ask));
	ask = ask_of(0, 1);
	ask.peer_bits = 129;
	CU_ASSERT_FALSE(shm_ask_check(&ask));
	for (uint32_t kind = SHM_ASK_KINDS; kind != 1; kind = kind == 0 ? 1 : kind * 2) {
		ask = ask_of(0, 1);
		ask.kind = kind;
		CU_ASSERT_FALSE(shm_ask_check(&ask));
	}
	ask.kind = 0;
	CU_ASSERT_FALSE(shm_ask_check(&ask));
}

static void answers_are_judged(void)
{
	static const struct {
		uint32_t kind, count, next;
		enum err e;
	} rows[] = {
		{SHM_ASK_CONNECTIONS, 2, SHM_ASK_END, ERR_NONE},
		{SHM_ASK_CONNECTIONS, 0, SHM_ASK_END, ERR_NONE},
		{SHM_ASK_CONNECTIONS, 2, 11, ERR_NONE},
		{SHM_ASK_CONNECTIONS, 3, SHM_ASK_END, ERR_SLOT_BAD},
		{SHM_ASK_CONNECTIONS, UINT32_MAX, SHM_ASK_END, ERR_SLOT_BAD},
		{SHM_ASK_CONNECTIONS, 2, 10, ERR_SLOT_BAD}, /* in circles */
		{SHM_ASK_CONNECTIONS, 2, 0, ERR_SLOT_BAD},
		{SHM_ASK_CONNECTION, 1, SHM_ASK_END, ERR_SLOT_BAD},
		{0, 0, SHM_ASK_END, ERR_SLOT_BAD},
	};
	const struct shm_ask ask = ask_of(10, 2);
	static uint8_t to[SHM_ANSWER_BYTES];
	struct shm_answer_head head;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum err e = ERR_NONE;
		memset(to, 0, sizeof(to));
		memset(answer.records, 9, sizeof(answer.records));
		answer.head = (struct shm_answer_head){
			.kind = rows[i].kind, .count = rows[i].count, .next = rows[i].next};
		answer.sequence = 3;
		CU_ASSERT_FALSE(shm_answer_read(&answer, 4, &ask, &head, to, &e));
		answer.sequence = 4;
		CU_ASSERT_FATAL(shm_answer_read(&answer, 4, &ask, &head, to, &e));
		CU_ASSERT_EQUAL(e, rows[i].e);
		const size_t bytes = rows[i].e == ERR_NONE
					     ? rows[i].count * sizeof(struct shm_connection_facts)
					     : 0;
		CU_ASSERT(bytes == 0 || to[bytes - 1] == 9);
		CU_ASSERT_EQUAL(to[bytes], 0);
	}
}

static void states_have_names(void)
{
	for (unsigned s = 0; s < TCP_STATES; s++)
		CU_ASSERT_EQUAL(tcp_state_named(tcp_state_name(s)), s);
	CU_ASSERT_PTR_NULL(tcp_state_name(TCP_STATES));
	CU_ASSERT_EQUAL(tcp_state_named("established"), UINT32_MAX);
}

static const struct unit_test tests[] = {
	{"a_question_comes_over", a_question_comes_over},
	{"senseless_questions", senseless_questions},
	{"answers_are_judged", answers_are_judged},
	{"states_have_names", states_have_names},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("inspect", tests, argc, argv);
}
