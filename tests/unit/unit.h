/* unit.h - what every x_test.c needs: CUnit behind a table of named tests.
 *
 * A test program is a table and one line of main:
 *
 *	static const struct unit_test tests[] = {{"opens_empty", opens_empty}, ...};
 *	int main(int argc, char **argv) { return UNIT_MAIN("ring", tests, argc, argv); }
 *
 * `x_test --list` prints the names, `x_test NAME...` runs those, `x_test` runs
 * all. One line a test: "ok NAME" or "not ok NAME: FILE:LINE CONDITION"; the
 * exit code is the number of failed tests, at most 100. Assertions are CUnit's
 * CU_ASSERT and friends. Not here: fuzzing, packet scripts, conversations. */
#pragma once
#include "dataplane/base/poison.h"

#include <CUnit/CUnit.h>
#include <stddef.h>

/* Under the sanitizers everything takes ten times as long, and the plain run has judged it: there
 * a few of many do. */
#ifdef POISON_ON
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

struct unit_test {
	const char *name; /* lower case, words joined by _ */
	void (*run)(void);
};

int unit_main(
	const char *suite, const struct unit_test *tests, size_t count, int argc, char **argv);

#define UNIT_MAIN(suite, tests, argc, argv)                                                        \
	unit_main((suite), (tests), sizeof(tests) / sizeof((tests)[0]), (argc), (argv))

/* A number for a test's random walks: $SIGNALBOX_SEED, or a fresh one. Printed once. */
unsigned long long unit_seed(void);
