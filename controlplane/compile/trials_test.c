/* trials_test.c - batches, refusals, deaths, workers that change; the compiler is played. */
#include "controlplane/compile/trials.h"
#include "tests/unit/unit.h"

#include <stdio.h>

/* "bad" is refused; it dies on "bomb", having judged those before it. */
static struct {
	struct compiler compiler;
	bool broken, stopped;
	uint32_t starts, count;
	char text[TRIALS_BATCH][16];
	uint8_t verdict[TRIALS_BATCH];
} played;

static struct counters counters;
static struct trials *trials;

static bool start(struct compiler *c, const struct span *filters, uint32_t count)
{
	(void)c;
	CU_ASSERT_TRUE_FATAL(count > 0 && count <= TRIALS_BATCH);
	if (played.broken)
		return false;
	played.starts++;
	played.count = count;
	for (uint32_t i = 0; i < count; i++)
		snprintf(played.text[i], sizeof(played.text[i]), "%.*s", (int)filters[i].size,
			(const char *)filters[i].at);
	return true;
}

static enum compiler_state poll_played(struct compiler *c, struct compiler_answer *out)
{
	(void)c;
	if (played.stopped)
		return COMPILER_RUNS;
	for (uint32_t i = 0; i < played.count; i++) {
		out->database = span_of(played.verdict, i);
		if (strcmp(played.text[i], "bomb") == 0)
			return COMPILER_FAILED;
		played.verdict[i] = strcmp(played.text[i], "bad") == 0;
	}
	out->database = span_of(played.verdict, played.count);
	return COMPILER_DONE;
}

static void begin(bool compiler)
{
	static const struct compiler_ops ops = {start, poll_played};

	memset(&played, 0, sizeof(played));
	memset(&counters, 0, sizeof(counters));
	played.compiler.ops = &ops;
	trials = trials_create(compiler ? &played.compiler : NULL, &counters);
	CU_ASSERT_PTR_NOT_NULL_FATAL(trials);
}

static void add(uint32_t worker, uint32_t token, const char *text)
{
	CU_ASSERT_TRUE_FATAL(trials_add(trials, worker, token, span_str(text)));
}

/* ERR_COUNT: there is none. */
static enum err answer_of(uint32_t worker, uint32_t token)
{
	struct trial t = {.token = UINT32_MAX};

	for (uint32_t n = 0; n < TRIALS_MAX && trials_next(trials, worker, &t); n++) {
		trials_took(trials, &t);
		if (t.token == token)
			return t.err;
	}
	return ERR_COUNT;
}

static void settle(void)
{
	while (trials_poll(trials))
		;
}

static void each_gets_its_answer(void)
{
	begin(true);
	CU_ASSERT_FALSE(trials_poll(trials));
	add(0, 7, "good");
	add(1, 7, "bad");
	add(0, 8, "bad");
	CU_ASSERT_EQUAL(answer_of(0, 7), ERR_COUNT);
	settle();
	CU_ASSERT_EQUAL(played.starts, 1);
	CU_ASSERT_EQUAL(answer_of(0, 7), ERR_NONE);
	CU_ASSERT_EQUAL(answer_of(0, 8), ERR_EXPRESSION_REFUSED);
	CU_ASSERT_EQUAL(answer_of(1, 7), ERR_EXPRESSION_REFUSED);
	CU_ASSERT_EQUAL(answer_of(1, 7), ERR_COUNT);
	trials_destroy(&trials);
}

static void one_on_which_it_dies_is_refused_alone(void)
{
	begin(true);
	add(0, 1, "good");
	add(0, 2, "bomb");
	add(0, 3, "good");
	add(0, 4, "bomb");
	add(0, 5, "bad");
	settle();
	CU_ASSERT_EQUAL(played.starts, 3);
	CU_ASSERT_EQUAL(answer_of(0, 1), ERR_NONE);
	CU_ASSERT_EQUAL(answer_of(0, 2), ERR_EXPRESSION_REFUSED);
	CU_ASSERT_EQUAL(answer_of(0, 3), ERR_NONE);
	CU_ASSERT_EQUAL(answer_of(0, 4), ERR_EXPRESSION_REFUSED);
	CU_ASSERT_EQUAL(answer_of(0, 5), ERR_EXPRESSION_REFUSED);
	trials_destroy(&trials);
}

static void many_are_tried_in_batches(void)
{
	begin(true);
	for (uint32_t i = 0; i < TRIALS_MAX; i++)
		add(0, i, "good");
	CU_ASSERT_FALSE(trials_add(trials, 0, 1, span_str("good")));
	CU_ASSERT_TRUE(trials_poll(trials));
	CU_ASSERT_TRUE(trials_wait(trials));
	settle();
	CU_ASSERT_FALSE(trials_wait(trials));
	CU_ASSERT_EQUAL(played.starts, TRIALS_MAX / TRIALS_BATCH);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_PATTERN_TRIALS), TRIALS_MAX);
	for (uint32_t i = 0; i < TRIALS_MAX; i++)
		CU_ASSERT_EQUAL(answer_of(0, i), ERR_NONE);
	add(0, 1, "good");
	trials_destroy(&trials);
}

static void without_a_compiler_all_are_accepted(void)
{
	begin(false);
	add(0, 1, "bad");
	CU_ASSERT_EQUAL(answer_of(0, 1), ERR_NONE);
	trials_destroy(&trials);
	begin(true);
	played.broken = true;
	add(0, 1, "bad");
	settle();
	CU_ASSERT_EQUAL(answer_of(0, 1), ERR_NONE);
	trials_destroy(&trials);
}

/* Those of a worker that is another by now: waiting, running and answered ones. */
static void what_is_forgotten_is_not_answered(void)
{
	begin(true);
	add(0, 1, "good");
	settle();
	add(0, 2, "good");
	add(1, 2, "good");
	played.stopped = true;
	CU_ASSERT_TRUE(trials_poll(trials));
	add(0, 3, "good");
	trials_forget(trials, 0);
	played.stopped = false;
	settle();
	CU_ASSERT_EQUAL(played.starts, 2);
	CU_ASSERT_EQUAL(answer_of(0, 99), ERR_COUNT);
	CU_ASSERT_EQUAL(answer_of(1, 2), ERR_NONE);
	for (uint32_t i = 0; i < TRIALS_MAX; i++)
		add(0, i, "good"); /* nothing is left behind */
	trials_destroy(&trials);
}

static const struct unit_test tests[] = {
	{"each_gets_its_answer", each_gets_its_answer},
	{"one_on_which_it_dies_is_refused_alone", one_on_which_it_dies_is_refused_alone},
	{"many_are_tried_in_batches", many_are_tried_in_batches},
	{"without_a_compiler_all_are_accepted", without_a_compiler_all_are_accepted},
	{"what_is_forgotten_is_not_answered", what_is_forgotten_is_not_answered},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("trials", tests, argc, argv);
}
