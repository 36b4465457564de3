/* compile_test.c - the machine that plans tiers, with a compiler that is played. */
#include "controlplane/compile/compile.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/reader.h"
#include "dataplane/base/rng.h"
#include "dataplane/shm/tiers.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { WORKERS = 2, PATTERNS = 12000, TEXT = 24 };

/* Compiles anything but bombs: "bomb..." fails the set, "bad..." is refused by name. */
static struct {
	struct compiler compiler;
	bool runs, broken;
	uint32_t count, starts;
	char text[4096][TEXT];
} played;

static uint8_t *region;
static struct compile *compile;
static struct counters counters;
static uint64_t now_us;
static char has[PATTERNS][TEXT]; /* what the dataplane has, by number */

static bool start(struct compiler *c, const struct span *filters, uint32_t count)
{
	(void)c;
	CU_ASSERT_FALSE(played.runs);
	CU_ASSERT_TRUE_FATAL(count > 0 && count <= ARRAY_SIZE(played.text));
	if (played.broken)
		return false;
	played.runs = true;
	played.starts++;
	played.count = count;
	for (uint32_t i = 0; i < count; i++)
		snprintf(played.text[i], TEXT, "%.*s", (int)filters[i].size,
			(const char *)filters[i].at);
	return true;
}

static enum compiler_state poll_played(struct compiler *c, struct compiler_answer *out)
{
	(void)c;
	played.runs = false;
	for (uint32_t i = 0; i < played.count; i++) {
		if (strncmp(played.text[i], "bomb", 4) == 0)
			return COMPILER_FAILED;
		out->culprit = i;
		if (strncmp(played.text[i], "bad", 3) == 0)
			return COMPILER_REFUSED;
	}
	out->database = span_str("database");
	return COMPILER_DONE;
}

static void open_compile(void)
{
	static const struct compiler_ops ops = {start, poll_played};
	const struct compile_conf conf = {.tiers = region,
		.workers = WORKERS,
		.patterns_max = PATTERNS,
		.text_bytes_max = 1 << 20,
		.compiler = &played.compiler,
		.counters = &counters,
		.key = {1, 2}};

	played.compiler.ops = &ops;
	compile = compile_create(&conf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(compile);
}

static void begin(void)
{
	region = mmap(NULL, shm_region_bytes(SHM_TIERS, 1), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(region, MAP_FAILED);
	memset(&counters, 0, sizeof(counters));
	memset(&played, 0, sizeof(played));
	memset(has, 0, sizeof(has));
	now_us = 1000000;
	open_compile();
	compile_forget(compile, 0, now_us);
}

static void end(void)
{
	compile_destroy(&compile);
	munmap(region, shm_region_bytes(SHM_TIERS, 1));
}

static void tell(uint32_t worker, uint32_t number, bool added, struct span text)
{
	const struct compile_news news = {worker, number, added, text};

	compile_news(compile, &news, now_us);
}

static void add(uint32_t number, const char *text)
{
	snprintf(has[number], TEXT, "%s", text);
	tell(0, number, true, span_str(text));
}

static void drop(uint32_t number)
{
	has[number][0] = '\0';
	tell(0, number, false, span_of(NULL, 0));
}

/* Lets it do all that it has to, whatever time that takes. */
static void settle(void)
{
	for (uint32_t i = 0; i < 2000; i++) {
		while (compile_poll(compile, now_us))
			;
		const uint64_t next = compile_next_us(compile, now_us);
		if (next == UINT64_MAX)
			break;
		CU_ASSERT_TRUE(played.runs || next > now_us);
		now_us = next > now_us ? next : now_us + 1;
	}
	compile_check(compile);
	CU_ASSERT_EQUAL(compile_next_us(compile, now_us), UINT64_MAX);
}

static uint32_t texts_of(uint32_t seat, struct span *texts)
{
	static uint8_t copy[1 << 20];
	const uint64_t number = shm_tiers_page(region)->number[seat];
	struct shm_tier t;
	uint32_t count = 0;

	*texts = span_of(NULL, 0);
	if (number == 0)
		return 0;
	const size_t size = shm_tier_size(region, seat, number);
	CU_ASSERT_TRUE_FATAL(size > 0 && size <= sizeof(copy));
	CU_ASSERT_EQUAL_FATAL(shm_tier_read(region, seat, number, copy, size, &t), ERR_NONE);
	CU_ASSERT_EQUAL(t.database.size, t.texts.size > 0 ? 8 : 0);
	*texts = t.texts;
	for (struct reader r = reader_of(t.texts); reader_left(&r) > 0; count++)
		(void)read_bytes(&r, read_u16(&r));
	return count;
}

static bool is_in(uint32_t seat, const char *text)
{
	struct span texts;

	(void)texts_of(seat, &texts);
	for (struct reader r = reader_of(texts); reader_left(&r) > 0;)
		if (span_equal(read_bytes(&r, read_u16(&r)), span_str(text)))
			return true;
	return false;
}

static uint32_t seats_of(const char *text)
{
	uint32_t seats = 0;

	for (uint32_t seat = 0; seat < SHM_TIER_SEATS; seat++)
		seats += is_in(seat, text);
	return seats;
}

static uint32_t count_of(uint32_t seat)
{
	struct span texts;

	return texts_of(seat, &texts);
}

static void news_become_a_fresh_tier(void)
{
	begin();
	CU_ASSERT_EQUAL(compile_next_us(compile, now_us), UINT64_MAX);
	add(7, "one");
	add(3, "two");
	CU_ASSERT_EQUAL(compile_next_us(compile, now_us), now_us + COMPILE_QUIET_US);
	CU_ASSERT_FALSE(compile_poll(compile, now_us));
	now_us += COMPILE_QUIET_US;
	CU_ASSERT_TRUE(compile_poll(compile, now_us));
	CU_ASSERT_TRUE(played.runs);
	CU_ASSERT_TRUE(compile_poll(compile, now_us + 5));
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_PATTERN_COMPILE_US), 5);
	CU_ASSERT_EQUAL(count_of(0), 2);
	CU_ASSERT_TRUE(is_in(0, "one") && is_in(0, "two"));
	settle();
	CU_ASSERT_EQUAL(played.starts, 1);
	end();
}

/* News without an end do not put it off for ever. */
static void news_are_not_waited_for_too_long(void)
{
	char text[TEXT];

	begin();
	for (uint32_t i = 0; !played.runs; i++) {
		CU_ASSERT_TRUE_FATAL(i < 60);
		snprintf(text, sizeof(text), "text %u", i);
		add(i, text);
		now_us += 10000;
		(void)compile_poll(compile, now_us);
	}
	settle();
	end();
}

static void many_move_into_large_tiers(void)
{
	char text[TEXT];
	uint32_t placed = 0;

	begin();
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "text %u", i);
		add(i, text);
	}
	settle();
	CU_ASSERT_EQUAL(count_of(0), 100);
	for (uint32_t i = 100; i < 10000; i++) {
		snprintf(text, sizeof(text), "text %u", i);
		add(i, text);
	}
	settle();
	for (uint32_t seat = 0; seat < SHM_TIER_SEATS; seat++) {
		CU_ASSERT_TRUE(count_of(seat) <= COMPILE_LARGE_MAX);
		placed += count_of(seat);
	}
	CU_ASSERT_TRUE(count_of(0) <= COMPILE_FRESH_MAX);
	CU_ASSERT_EQUAL(placed, 10000);
	CU_ASSERT_TRUE(played.starts < 8);
	CU_ASSERT_EQUAL(seats_of("text 0"), 1);
	CU_ASSERT_EQUAL(seats_of("text 9999"), 1);
	end();
}

static void tiers_of_the_dead_are_cleared(void)
{
	char text[TEXT];

	begin();
	for (uint32_t i = 0; i < 250; i++) {
		snprintf(text, sizeof(text), "text %u", i);
		add(i, text);
	}
	settle();
	CU_ASSERT_EQUAL(count_of(0), 250);
	for (uint32_t i = 0; i < 200; i++)
		drop(i);
	settle();
	CU_ASSERT_EQUAL(count_of(0), 50);
	for (uint32_t i = 200; i < 250; i++)
		drop(i);
	settle();
	CU_ASSERT_EQUAL(count_of(0), 0);
	CU_ASSERT_TRUE(shm_tiers_page(region)->number[0] > 2);
	end();
}

/* It comes back while its tier still has it: nothing is to be done. */
static void what_comes_back_is_compiled_already(void)
{
	begin();
	add(1, "one");
	add(2, "two");
	settle();
	drop(1);
	add(5, "one");
	settle();
	CU_ASSERT_EQUAL(played.starts, 1);
	end();
}

static void one_that_is_refused_does_not_stop_the_rest(void)
{
	begin();
	add(1, "one");
	add(2, "bad one");
	add(3, "three");
	settle();
	CU_ASSERT_EQUAL(count_of(0), 2);
	CU_ASSERT_FALSE(is_in(0, "bad one"));
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_PATTERNS_REFUSED), 1);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_PATTERN_COMPILES_FAILED), 1);
	drop(2);
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_PATTERNS_REFUSED), 0);
	end();
}

static void bombs_are_found_by_halves(void)
{
	char text[TEXT];

	begin();
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "%s %u", i % 400 == 7 ? "bomb" : "text", i);
		add(i, text);
	}
	settle();
	CU_ASSERT_EQUAL(counter_get(&counters, COUNTER_PATTERNS_REFUSED), 3);
	CU_ASSERT_TRUE(played.starts < 80);
	for (uint32_t i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(seats_of(has[i]), strncmp(has[i], "bomb", 4) == 0 ? 0 : 1);
	end();
}

static void a_compiler_that_does_not_start_is_tried_again(void)
{
	begin();
	add(1, "one");
	played.broken = true;
	now_us += COMPILE_QUIET_US;
	CU_ASSERT_FALSE(compile_poll(compile, now_us));
	CU_ASSERT_EQUAL(compile_next_us(compile, now_us), now_us + COMPILE_RETRY_US);
	CU_ASSERT_FALSE(compile_poll(compile, now_us + 1));
	played.broken = false;
	settle();
	CU_ASSERT_EQUAL(count_of(0), 1);
	end();
}

/* The control plane was killed, even in mid-compile: the next finds in the region what is done. */
static void a_restart_finds_what_is_compiled(void)
{
	begin();
	add(1, "one");
	add(2, "two");
	settle();
	add(3, "three");
	now_us += COMPILE_QUIET_US;
	CU_ASSERT_TRUE(compile_poll(compile, now_us));
	CU_ASSERT_TRUE(played.runs);
	compile_destroy(&compile);
	played.runs = false;
	open_compile();
	CU_ASSERT_FALSE(compile_poll(compile, now_us + 10000000));
	CU_ASSERT_EQUAL(compile_next_us(compile, now_us), UINT64_MAX);
	compile_forget(compile, 0, now_us);
	add(1, "one");
	add(2, "two");
	settle();
	CU_ASSERT_EQUAL(played.starts, 2);
	add(3, "three");
	settle();
	CU_ASSERT_EQUAL(played.starts, 3);
	CU_ASSERT_EQUAL(count_of(0), 3);
	end();
}

/* Each worker says what it has; a text lives while anybody has it. */
static void workers_have_numbers_of_their_own(void)
{
	begin();
	compile_forget(compile, 1, now_us);
	tell(0, 7, true, span_str("one"));
	tell(1, 7, true, span_str("two"));
	tell(1, 8, true, span_str("one"));
	settle();
	CU_ASSERT_EQUAL(count_of(0), 2);
	tell(0, 7, false, span_of(NULL, 0));
	settle();
	CU_ASSERT_EQUAL(count_of(0), 2);
	compile_forget(compile, 1, now_us);
	compile_check(compile);
	settle();
	CU_ASSERT_EQUAL(count_of(0), 0);
	end();
}

static void hostile_news_are_bounded(void)
{
	static char long_text[70000];

	begin();
	memset(long_text, 'x', sizeof(long_text));
	add(1, "one");
	tell(0, PATTERNS, true, span_str("x"));
	tell(0, UINT32_MAX, false, span_of(NULL, 0));
	CU_ASSERT_EQUAL(counter_get(&counters, (enum counter)(COUNTER_NAMED + ERR_SLOT_BAD)), 2);
	tell(0, 2, true, span_of(long_text, sizeof(long_text)));
	for (uint32_t i = 3; i < 60; i++) {
		long_text[0] = (char)i;
		tell(0, i, true, span_of(long_text, 65535));
	}
	for (uint32_t i = 2; i < 60; i++)
		tell(0, i, false, span_of(NULL, 0));
	/* Two numbers with one text: the later counts, the former's end says nothing of it. */
	add(8, "one");
	drop(1);
	settle();
	CU_ASSERT_EQUAL(count_of(0), 1);
	end();
}

static void random_news_end_up_compiled(void)
{
	struct rng rng = rng_from(unit_seed());
	char text[TEXT];

	begin();
	for (uint32_t round = 0; round < 400; round++) {
		for (uint32_t n = rng_below(&rng, 40); n > 0; n--) {
			const uint32_t i = rng_below(&rng, 900);
			snprintf(text, sizeof(text), "%s %u",
				rng_chance(&rng, 3000) ? "bad" : "text", 1000 * (round / 40) + i);
			if (rng_chance(&rng, 600000))
				add(i, text);
			else
				drop(i);
		}
		now_us += rng_below(&rng, 200000);
		(void)compile_poll(compile, now_us);
		compile_check(compile);
	}
	settle();
	for (uint32_t i = 0; i < 900; i++)
		if (has[i][0] != '\0')
			CU_ASSERT_EQUAL(seats_of(has[i]), has[i][0] == 'b' ? 0 : 1);
	end();
}

static const struct unit_test tests[] = {
	{"news_become_a_fresh_tier", news_become_a_fresh_tier},
	{"news_are_not_waited_for_too_long", news_are_not_waited_for_too_long},
	{"many_move_into_large_tiers", many_move_into_large_tiers},
	{"tiers_of_the_dead_are_cleared", tiers_of_the_dead_are_cleared},
	{"what_comes_back_is_compiled_already", what_comes_back_is_compiled_already},
	{"one_that_is_refused_does_not_stop_the_rest", one_that_is_refused_does_not_stop_the_rest},
	{"bombs_are_found_by_halves", bombs_are_found_by_halves},
	{"a_compiler_that_does_not_start_is_tried_again",
		a_compiler_that_does_not_start_is_tried_again},
	{"a_restart_finds_what_is_compiled", a_restart_finds_what_is_compiled},
	{"workers_have_numbers_of_their_own", workers_have_numbers_of_their_own},
	{"hostile_news_are_bounded", hostile_news_are_bounded},
	{"random_news_end_up_compiled", random_news_end_up_compiled},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("compile", tests, argc, argv);
}
