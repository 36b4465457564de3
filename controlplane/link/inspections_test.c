/* inspections_test.c - one question at a time, whatever those who ask and answer do. */
#include "controlplane/link/inspect.h"

#include "tests/unit/unit.h"

#include <string.h>

enum { S = 1000000 };

static struct shm_question question;
static struct shm_answer answer;
static struct inspect_slot slot;
static struct shm_answer_head head;
static uint8_t records[SHM_ANSWER_BYTES];

static enum inspect_state ask_for(uint32_t index, uint64_t now_us)
{
	const struct shm_ask ask = {.kind = SHM_ASK_CONNECTION, .index = index, .limit = 1};

	return inspect_ask(&slot, &question, &answer, &ask, now_us, &head, records);
}

static void worker_says(uint32_t count)
{
	answer.head = (struct shm_answer_head){
		.kind = SHM_ASK_CONNECTION, .count = count, .next = SHM_ASK_END};
	answer.sequence = question.sequence;
}

static void begin(void)
{
	memset(&question, 0, sizeof(question));
	memset(&answer, 0, sizeof(answer));
	memset(&slot, 0, sizeof(slot));
}

static void an_answer_is_given_once(void)
{
	begin();
	CU_ASSERT_EQUAL(ask_for(7, 1 * S), INSPECT_WAITS);
	const uint64_t first = question.sequence;
	CU_ASSERT_EQUAL(ask_for(7, 1 * S + 1), INSPECT_WAITS);
	CU_ASSERT_EQUAL(question.sequence, first); /* not asked again */
	worker_says(1);
	CU_ASSERT_EQUAL(ask_for(7, 1 * S + 2), INSPECT_ANSWERED);
	CU_ASSERT_EQUAL(head.count, 1);
	CU_ASSERT_EQUAL(ask_for(7, 1 * S + 3), INSPECT_WAITS); /* news are asked for */
	CU_ASSERT(question.sequence != first);
}

static void questions_do_not_cross(void)
{
	begin();
	CU_ASSERT_EQUAL(ask_for(7, 1 * S), INSPECT_WAITS);
	CU_ASSERT_EQUAL(ask_for(8, 1 * S), INSPECT_BUSY);
	worker_says(0);
	CU_ASSERT_EQUAL(ask_for(8, 1 * S), INSPECT_BUSY);
	CU_ASSERT_EQUAL(ask_for(7, 1 * S), INSPECT_ANSWERED);
	CU_ASSERT_EQUAL(ask_for(8, 1 * S), INSPECT_WAITS);
}

/* The worker died, or whoever asked never came back. */
static void patience_ends(void)
{
	begin();
	CU_ASSERT_EQUAL(ask_for(7, 1 * S), INSPECT_WAITS);
	const uint64_t old = question.sequence;
	CU_ASSERT_EQUAL(ask_for(8, 2 * S - 1), INSPECT_BUSY);
	CU_ASSERT_EQUAL(ask_for(8, 2 * S), INSPECT_WAITS);
	answer.sequence = old; /* at last, and too late */
	CU_ASSERT_EQUAL(ask_for(8, 2 * S), INSPECT_WAITS);
}

static void nonsense_is_refused(void)
{
	const struct shm_ask ask = {.kind = SHM_ASK_CONNECTION, .limit = 2};

	begin();
	CU_ASSERT_EQUAL(
		inspect_ask(&slot, &question, &answer, &ask, S, &head, records), INSPECT_SENSELESS);
	CU_ASSERT_EQUAL(question.sequence, 0);
	CU_ASSERT_EQUAL(ask_for(7, 1 * S), INSPECT_WAITS);
	worker_says(2);
	CU_ASSERT_EQUAL(ask_for(7, 1 * S), INSPECT_SENSELESS);
	CU_ASSERT_EQUAL(ask_for(8, 1 * S), INSPECT_WAITS); /* and is over */
}

static const struct unit_test tests[] = {
	{"an_answer_is_given_once", an_answer_is_given_once},
	{"questions_do_not_cross", questions_do_not_cross},
	{"patience_ends", patience_ends},
	{"nonsense_is_refused", nonsense_is_refused},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("inspections", tests, argc, argv);
}
