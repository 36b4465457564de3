/* impair_parse_test.c - the text of --impair: what is understood, and how it is refused. */
#include "drivers/impair.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

static void good_texts_are_understood(void)
{
	static const struct {
		const char *text;
		struct impair_settings expected;
	} rows[] = {
		{"off", {.seed = 1}},
		{"loss=5%", {.loss_ppm = 50000, .seed = 1}},
		{"loss=0%", {.seed = 1}},
		{"loss=100%", {.loss_ppm = 1000000, .seed = 1}},
		{"corrupt=0.1%", {.corrupt_ppm = 1000, .seed = 1}},
		{"corrupt=0.0001%", {.corrupt_ppm = 1, .seed = 1}},
		{"loss=99.9999%", {.loss_ppm = 999999, .seed = 1}},
		{"delay=20ms", {.delay_us = 20000, .seed = 1}},
		{"delay=1s", {.delay_us = 1000000, .seed = 1}},
		{"delay=60s", {.delay_us = 60000000, .seed = 1}},
		{"jitter=1us", {.jitter_us = 1, .seed = 1}},
		{"seed=18446744073709551615", {.seed = UINT64_MAX}},
		{"seed=0", {.seed = 0}},
		{"loss=5%,delay=20ms,reorder=1%,duplicate=1.5%,corrupt=0.1%,jitter=1ms,seed=7",
			{50000, 10000, 15000, 1000, 20000, 1000, 7}},
		{"seed=7,reorder=3%", {.reorder_ppm = 30000, .seed = 7}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct impair_settings s;
		char why[200] = "untouched";
		const enum err e = impair_parse(rows[i].text, &s, why, sizeof(why));
		if (e != ERR_NONE)
			fprintf(stderr, "%s: %s\n", rows[i].text, why);
		CU_ASSERT_EQUAL_FATAL(e, ERR_NONE);
		CU_ASSERT_STRING_EQUAL(why, "");
		CU_ASSERT_EQUAL(s.loss_ppm, rows[i].expected.loss_ppm);
		CU_ASSERT_EQUAL(s.reorder_ppm, rows[i].expected.reorder_ppm);
		CU_ASSERT_EQUAL(s.duplicate_ppm, rows[i].expected.duplicate_ppm);
		CU_ASSERT_EQUAL(s.corrupt_ppm, rows[i].expected.corrupt_ppm);
		CU_ASSERT_EQUAL(s.delay_us, rows[i].expected.delay_us);
		CU_ASSERT_EQUAL(s.jitter_us, rows[i].expected.jitter_us);
		CU_ASSERT_EQUAL(s.seed, rows[i].expected.seed);
	}
}

static void bad_texts_are_refused_with_a_reason(void)
{
	static const struct {
		const char *text, *in_why;
	} rows[] = {
		{"", "\"\" is none of loss"},
		{"lost=5%", "\"lost\" is none of loss"},
		{"Loss=5%", "\"Loss\" is none of"},
		{"loss=5%,", "\"\" is none of"},
		{",loss=5%", "\"\" is none of"},
		{"loss=5% ,delay=1ms", "loss=5% : a percentage"},
		{"loss=5%, delay=1ms", "\" delay\" is none of"},
		{"loss", "loss=: a percentage"},
		{"loss=", "loss=: a percentage"},
		{"loss=%", "loss=%: a percentage"},
		{"loss=5", "loss=5: a percentage"},
		{"loss=5ppm", "loss=5ppm: a percentage"},
		{"loss=-5%", "loss=-5%: a percentage"},
		{"loss=101%", "from 0% to 100%"},
		{"loss=100.0001%", "from 0% to 100%"},
		{"loss=0.00001%", "four decimals"},
		{"loss=5.%", "loss=5.%: a percentage"},
		{"loss=.5%", "loss=.5%: a percentage"},
		{"loss=5%%", "loss=5%%: a percentage"},
		{"loss=99999999999999999999%", "a percentage"},
		{"delay=20", "delay=20: a time"},
		{"delay=ms", "delay=ms: a time"},
		{"delay=1.5ms", "a time of at most 60s"},
		{"delay=61s", "at most 60s"},
		{"delay=60001ms", "at most 60s"},
		{"delay=99999999999999999999us", "at most 60s"},
		{"jitter=1m", "jitter=1m: a time"},
		{"seed=", "seed=: a whole number"},
		{"seed=x", "seed=x: a whole number"},
		{"seed=18446744073709551616", "a whole number below 2^64"},
		{"seed=1=2", "seed=1=2: a whole number"},
		{"loss=1%,loss=2%", "loss is given twice"},
		{"loss=1%,off", "\"off\" stands alone"},
		{"off,loss=1%", "\"off\" stands alone"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct impair_settings s = {.seed = 77};
		char why[200] = "";
		const enum err e = impair_parse(rows[i].text, &s, why, sizeof(why));
		CU_ASSERT_EQUAL(e, ERR_NIC_CONFIG);
		if (strstr(why, rows[i].in_why) == NULL)
			fprintf(stderr, "\"%s\": %s\n", rows[i].text, why);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, rows[i].in_why));
		CU_ASSERT_EQUAL(s.seed, 77); /* untouched */
	}
}

static void a_short_why_is_cut_not_overrun(void)
{
	struct impair_settings s;
	char why[8] = "";

	CU_ASSERT_EQUAL(impair_parse("nonsense", &s, why, sizeof(why)), ERR_NIC_CONFIG);
	CU_ASSERT_EQUAL(strlen(why), sizeof(why) - 1);
	CU_ASSERT_EQUAL(impair_parse("nonsense", &s, NULL, 0), ERR_NIC_CONFIG);
	CU_ASSERT_EQUAL(impair_parse("off", &s, NULL, 0), ERR_NONE);
}

static const struct unit_test tests[] = {
	{"good_texts_are_understood", good_texts_are_understood},
	{"bad_texts_are_refused_with_a_reason", bad_texts_are_refused_with_a_reason},
	{"a_short_why_is_cut_not_overrun", a_short_why_is_cut_not_overrun},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("impair_parse", tests, argc, argv);
}
