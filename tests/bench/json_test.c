/* json_test.c - documents as text. */
#include "tests/bench/json.h"

#include "tests/unit/unit.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static char *text;
static size_t size;

static struct json fresh(void)
{
	free(text);
	text = NULL;
	return (struct json){.to = open_memstream(&text, &size)};
}

static bool says(struct json *j, const char *wanted)
{
	fclose(j->to);
	return strcmp(text, wanted) == 0;
}

static void nests(void)
{
	struct json j = fresh();

	json_open(&j, NULL, '{');
	json_count(&j, "n", UINT64_MAX);
	json_open(&j, "list", '[');
	json_count(&j, NULL, 1);
	json_open(&j, NULL, '{');
	json_close(&j, '}');
	json_close(&j, ']');
	json_real(&j, "r", 1.0 / 3);
	json_close(&j, '}');
	CU_ASSERT(says(&j, "{\"n\": 18446744073709551615, \"list\": [1, {}], \"r\": 0.333}"));
}

static void escapes(void)
{
	struct json j = fresh();

	json_open(&j, NULL, '{');
	json_text(&j, "a\"b", "\\ \n\x01 \xc3\xa9");
	json_close(&j, '}');
	CU_ASSERT(says(&j, "{\"a\\\"b\": \"\\\\ \\u000a\\u0001 \xc3\xa9\"}"));
}

static void has_no_infinity(void)
{
	struct json j = fresh();

	json_open(&j, NULL, '[');
	json_real(&j, NULL, INFINITY);
	json_real(&j, NULL, NAN);
	json_real(&j, NULL, -1);
	json_close(&j, ']');
	CU_ASSERT(says(&j, "[null, null, -1.000]"));
}

static const struct unit_test tests[] = {
	{"nests", nests},
	{"escapes", escapes},
	{"has_no_infinity", has_no_infinity},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("json", tests, argc, argv);
}
