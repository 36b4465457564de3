/* pipeline_test.c - patterns all the way: inserted, told, compiled in a process, taken in, scanned;
 * and what can go wrong on it. 200 patterns, 5,000 where SIGNALBOX_LONG is set. */
#include "controlplane/compile/trials.h"
#include "tests/patterns/rig.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FEW = 200, MANY = 5000, TOPICS = 2000 };

static struct rig rig;
static uint32_t hits;

static uint32_t how_many(void)
{
	return getenv("SIGNALBOX_LONG") != NULL ? MANY : FEW;
}

static void start(const struct rig_conf *conf)
{
	CU_ASSERT_TRUE_FATAL(rig_start(&rig, conf));
}

static void usual(void)
{
	static const struct rig_conf conf = {.patterns_max = 2 * MANY,
		.cpu_s = 300,
		.memory_bytes = 4ull << 30,
		.database_bytes = 16 << 20};

	start(&conf);
}

static void insert_many(uint32_t from, uint32_t to)
{
	uint8_t text[128];

	for (uint32_t i = from; i < to; i++)
		CU_ASSERT_EQUAL_FATAL(
			rig_insert(&rig, rig_filter(i, text, sizeof(text))), ERR_NONE);
}

static void on_hit(void *owner, uint32_t id)
{
	(void)owner, (void)id;
	hits++;
}

/* Topics made for patterns, each of which must be found, by both workers; and as the slow way says.
 */
static void ask(uint32_t patterns, struct rng *rng)
{
	uint8_t text[128], filter[128];

	for (uint32_t n = 0; n < TOPICS; n++) {
		const uint32_t i = rng_below(rng, patterns);
		struct match *m = rig.match[n % RIG_WORKERS];
		const struct span topic = rig_topic(i, text, sizeof(text));
		const uint32_t id = match_find(m, rig_filter(i, filter, sizeof(filter)));
		hits = 0;
		const uint32_t got = match_topic(m, topic, on_hit, NULL);
		CU_ASSERT_EQUAL(got, hits);
		CU_ASSERT_TRUE(got >= 1);
		CU_ASSERT_TRUE(match_one(m, id, topic));
	}
}

static uint64_t worker_counter(uint32_t w, enum counter id)
{
	return counter_get(&rig.worker[w], id);
}

static void patterns_end_up_with_hyperscan(void)
{
	struct rng rng = rng_from(unit_seed());
	const uint32_t count = how_many();

	usual();
	insert_many(0, count);
	ask(count, &rng); /* before anything is compiled */
	CU_ASSERT_TRUE(worker_counter(0, COUNTER_MATCH_INTERPRETED) > 0);
	CU_ASSERT_EQUAL(worker_counter(0, COUNTER_MATCH_SCANS), 0);
	CU_ASSERT_TRUE(rig_settle(&rig));
	for (uint32_t w = 0; w < RIG_WORKERS; w++) {
		CU_ASSERT_EQUAL(worker_counter(w, COUNTER_PATTERNS), count);
		CU_ASSERT_EQUAL(worker_counter(w, COUNTER_PATTERNS_COMPILED), count);
	}
	const uint64_t before = worker_counter(0, COUNTER_MATCH_INTERPRETED);
	ask(count, &rng);
	CU_ASSERT_EQUAL(worker_counter(0, COUNTER_MATCH_INTERPRETED), before);
	CU_ASSERT_TRUE(worker_counter(0, COUNTER_MATCH_SCANS) >= TOPICS / RIG_WORKERS);
	printf("# %u patterns: %lu sets, %lu scans for %u topics, the last set took %lu ms\n",
		count, counter_get(&rig.control, COUNTER_PATTERN_COMPILES),
		worker_counter(0, COUNTER_MATCH_SCANS), (uint32_t)(TOPICS / RIG_WORKERS),
		counter_get(&rig.control, COUNTER_PATTERN_COMPILE_US) / 1000);
	rig_stop(&rig);
}

/* The first half is there, the second comes and goes while sets are compiled and taken in. */
static void nothing_is_missed_meanwhile(void)
{
	struct rng rng = rng_from(unit_seed());
	uint8_t text[128];

	usual();
	insert_many(0, 100);
	for (uint32_t n = 0; n < 3000; n++) {
		const uint32_t i = 100 + rng_below(&rng, 100);
		if (rng_chance(&rng, 20000))
			CU_ASSERT_EQUAL(
				rig_insert(&rig, rig_filter(i, text, sizeof(text))), ERR_NONE);
		if (rng_chance(&rng, 10000))
			rig_remove(&rig, rig_filter(i, text, sizeof(text)));
		if (n == 1500)
			rig_restart_control(&rig);
		(void)rig_step(&rig);
		const struct span topic = rig_topic(n % 100, text, sizeof(text));
		CU_ASSERT_TRUE(match_topic(rig.match[n % RIG_WORKERS], topic, on_hit, NULL) >= 1);
		if (n % 16 == 0)
			poll(NULL, 0, 1);
	}
	CU_ASSERT_TRUE(rig_settle(&rig));
	CU_ASSERT_EQUAL(
		worker_counter(1, COUNTER_PATTERNS_COMPILED), worker_counter(1, COUNTER_PATTERNS));
	rig_stop(&rig);
}

/* A set that is too much is not the end of it: parts of it are compiled, the rest is interpreted.
 */
static void what_the_limits_refuse_is_interpreted(void)
{
	static const struct rig_conf conf = {.patterns_max = 100,
		.cpu_s = 20,
		.memory_bytes = 1ull << 30,
		.database_bytes = 64 << 10};
	struct rng rng = rng_from(unit_seed());
	/* More states than fit such a database, alone. */
	const struct span bomb = span_str("$filter/regex/(a|b)[ab]{200}(c|d)[cd]{200}.{300}x");

	start(&conf);
	insert_many(0, 40);
	CU_ASSERT_EQUAL(rig_insert(&rig, bomb), ERR_NONE);
	CU_ASSERT_TRUE(rig_settle(&rig));
	ask(40, &rng);
	CU_ASSERT_TRUE(counter_get(&rig.control, COUNTER_PATTERN_COMPILES_FAILED) > 0);
	CU_ASSERT_TRUE(worker_counter(0, COUNTER_PATTERNS_COMPILED) >= 20);
	printf("# %lu of 41 compiled, %lu refused, %lu sets failed\n",
		worker_counter(0, COUNTER_PATTERNS_COMPILED),
		counter_get(&rig.control, COUNTER_PATTERNS_REFUSED),
		counter_get(&rig.control, COUNTER_PATTERN_COMPILES_FAILED));
	CU_ASSERT_EQUAL(counter_get(&rig.control, COUNTER_PATTERNS_REFUSED) +
				worker_counter(0, COUNTER_PATTERNS_COMPILED),
		41);
	rig_stop(&rig);
}

/* The processor time of a set is short: what the kernel ends is tried in halves, until all is done.
 * How many that takes depends on the machine, so not in every run. */
static void sets_that_take_too_long_are_halved(void)
{
	static const struct rig_conf conf = {.patterns_max = 1200,
		.cpu_s = 1,
		.memory_bytes = 4ull << 30,
		.database_bytes = 16 << 20};
	struct rng rng = rng_from(unit_seed());

	if (getenv("SIGNALBOX_LONG") == NULL)
		return;
	start(&conf);
	insert_many(0, 1200);
	CU_ASSERT_TRUE(rig_settle(&rig));
	ask(1200, &rng);
	CU_ASSERT_TRUE(counter_get(&rig.control, COUNTER_PATTERN_COMPILES_FAILED) > 0);
	CU_ASSERT_EQUAL(counter_get(&rig.control, COUNTER_PATTERNS_REFUSED), 0);
	CU_ASSERT_EQUAL(worker_counter(0, COUNTER_PATTERNS_COMPILED), 1200);
	rig_stop(&rig);
}

/* It may not write a byte: the compiler dies, and all is interpreted. */
static void a_compiler_that_dies_harms_nobody(void)
{
	static const struct rig_conf conf = {
		.patterns_max = 8, .cpu_s = 20, .memory_bytes = 4ull << 30, .database_bytes = 0};
	struct rng rng = rng_from(unit_seed());

	start(&conf);
	insert_many(0, 4);
	CU_ASSERT_TRUE(rig_settle(&rig));
	ask(4, &rng);
	CU_ASSERT_EQUAL(worker_counter(0, COUNTER_PATTERNS_COMPILED), 0);
	CU_ASSERT_EQUAL(counter_get(&rig.control, COUNTER_PATTERNS_REFUSED), 4);
	rig_stop(&rig);
}

/* Bytes of the region change: versions are refused, counted, and the old tier goes on. */
static void hostile_bytes_are_refused(void)
{
	struct rng rng = rng_from(unit_seed());
	uint32_t bad = 0;

	usual();
	insert_many(0, 20);
	CU_ASSERT_TRUE(rig_settle(&rig));
	struct shm_tiers_page *page = (struct shm_tiers_page *)(rig.region + SHM_PAGE);
	uint8_t *version = rig.region + (size_t)2 * SHM_PAGE;
	const size_t size = shm_tier_size(rig.region, 0, 1);
	CU_ASSERT_TRUE(size > 1000);
	for (uint32_t n = 0; n < 200; n++) {
		/* The same bytes under the next number, but for one bit; or just any. */
		const uint64_t number = page->number[0] + 1;
		uint8_t *to = version + (number % 2) * SHM_TIER_BYTES;
		memmove(to, version + (size_t)SHM_TIER_BYTES, size);
		((struct shm_tier_head *)(void *)to)->number = number;
		to[rng_below(&rng, (uint32_t)size)] ^= (uint8_t)(1 << rng_below(&rng, 8));
		if (n % 10 == 0)
			memset(to, (int)rng_below(&rng, 256), 4096);
		page->number[0] = number;
		(void)service_poll(rig.service);
		while (letters_take_in(&rig.letters[0], rig.match[0]))
			;
		bad += __atomic_exchange_n(&rig.letters[0].bad, 0, __ATOMIC_RELAXED);
	}
	CU_ASSERT_EQUAL(bad, 200);
	ask(20, &rng);
	CU_ASSERT_EQUAL(worker_counter(0, COUNTER_PATTERNS_COMPILED), 20);
	rig_stop(&rig);
}

/* Single expressions, by the real compiler: what Hyperscan refuses, what it takes, and what takes
 * more than the limits. */
static void expressions_are_tried_alone(void)
{
	static const struct {
		const char *filter;
		enum err err;
	} rows[] = {
		{"$filter/regex/^a{100}b{100}$", ERR_NONE},
		{"$filter/regex/(a|b)[ab]{200}(c|d)[cd]{200}.{300}x", ERR_EXPRESSION_REFUSED},
		{"$filter/regex/(a|b|c){150}", ERR_NONE},
	};
	const char *program = getenv("COMPILER");
	struct process_conf conf = {
		.program = program == NULL ? -1 : open(program, O_PATH | O_CLOEXEC),
		.cpu_s = 60,
		.memory_bytes = 1ull << 30,
		.database_bytes = 1 << 20,
		.each = true};
	struct counters counters = {0};
	struct compiler *c = process_create(&conf);
	struct trials *t = trials_create(c, &counters);
	struct trial answer;

	CU_ASSERT_TRUE_FATAL(conf.program >= 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++)
		CU_ASSERT_TRUE(trials_add(t, 0, i, span_str(rows[i].filter)));
	while (trials_poll(t) || trials_wait(t))
		poll(NULL, 0, 1);
	for (uint32_t n = 0; n < ARRAY_SIZE(rows); n++) {
		CU_ASSERT_TRUE_FATAL(trials_next(t, 0, &answer));
		CU_ASSERT_EQUAL(answer.err, rows[answer.token].err);
		trials_took(t, &answer);
	}
	trials_destroy(&t);
	process_destroy(&c);
	/* And where the compiler dies at once, all are refused, one after the other. */
	conf.database_bytes = 0;
	c = process_create(&conf);
	t = trials_create(c, &counters);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_TRUE(trials_add(t, 0, i, span_str("$filter/regex/a")));
	while (trials_poll(t) || trials_wait(t))
		poll(NULL, 0, 1);
	for (uint32_t n = 0; n < 3; n++) {
		CU_ASSERT_TRUE_FATAL(trials_next(t, 0, &answer));
		CU_ASSERT_EQUAL(answer.err, ERR_EXPRESSION_REFUSED);
		trials_took(t, &answer);
	}
	trials_destroy(&t);
	process_destroy(&c);
	close(conf.program);
}

/* As the box has it: a thread that waits for versions. */
static void the_service_thread_wakes(void)
{
	uint8_t text[128];

	usual();
	CU_ASSERT_TRUE_FATAL(service_start(rig.service));
	insert_many(0, 10);
	const uint64_t end = rig_clock_us() + 60000000;
	while (worker_counter(0, COUNTER_PATTERNS_COMPILED) < 10 && rig_clock_us() < end) {
		(void)rig_tell(&rig, 0);
		(void)compile_poll(rig.compile, rig_clock_us());
		(void)letters_take_in(&rig.letters[0], rig.match[0]);
		poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL(worker_counter(0, COUNTER_PATTERNS_COMPILED), 10);
	CU_ASSERT_EQUAL(
		match_topic(rig.match[0], rig_topic(3, text, sizeof(text)), on_hit, NULL), 1);
	service_stop(rig.service);
	rig_stop(&rig);
}

static const struct unit_test tests[] = {
	{"patterns_end_up_with_hyperscan", patterns_end_up_with_hyperscan},
	{"nothing_is_missed_meanwhile", nothing_is_missed_meanwhile},
	{"what_the_limits_refuse_is_interpreted", what_the_limits_refuse_is_interpreted},
	{"sets_that_take_too_long_are_halved", sets_that_take_too_long_are_halved},
	{"a_compiler_that_dies_harms_nobody", a_compiler_that_dies_harms_nobody},
	{"hostile_bytes_are_refused", hostile_bytes_are_refused},
	{"expressions_are_tried_alone", expressions_are_tried_alone},
	{"the_service_thread_wakes", the_service_thread_wakes},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("pipeline", tests, argc, argv);
}
