/* unit.c - runs a table of tests under CUnit and prints one line for each. */
#include "tests/unit/unit.h"

#include <CUnit/TestRun.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int failed;

static void on_test_complete(
	const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failure)
{
	(void)suite;
	if (failure == NULL) {
		printf("ok %s\n", test->pName);
	} else {
		printf("not ok %s: %s:%u %s\n", test->pName, failure->strFileName,
			failure->uiLineNumber, failure->strCondition);
		failed++;
	}
	fflush(stdout);
}

static bool chosen(const char *name, int argc, char **argv)
{
	if (argc < 2)
		return true;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return false;
}

int unit_main(const char *suite, const struct unit_test *tests, size_t count, int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (size_t i = 0; i < count; i++)
			puts(tests[i].name);
		return 0;
	}
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 101;
	CU_pSuite s = CU_add_suite(suite, NULL, NULL);
	size_t added = 0;
	for (size_t i = 0; s != NULL && i < count; i++)
		if (chosen(tests[i].name, argc, argv))
			added += CU_add_test(s, tests[i].name, tests[i].run) != NULL;
	if (added == 0) {
		fprintf(stderr, "%s: no such test; try --list\n", argv[0]);
		return 102;
	}
	CU_set_test_complete_handler(on_test_complete);
	CU_run_all_tests();
	CU_cleanup_registry();
	return failed > 100 ? 100 : failed;
}

unsigned long long unit_seed(void)
{
	static unsigned long long seed;
	const char *given = getenv("SIGNALBOX_SEED");

	if (seed != 0)
		return seed;
	if (given != NULL) {
		seed = strtoull(given, NULL, 0);
	} else {
		struct timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
		seed = (unsigned long long)now.tv_sec * 1000003u ^ (unsigned long long)now.tv_nsec;
	}
	if (seed == 0)
		seed = 1;
	printf("# SIGNALBOX_SEED=%llu\n", seed);
	return seed;
}
