/* wire.c - runs packet scripts and the matrix of states and segments, one line a test.
 *
 * A script file (scripts/NAME.wire) holds cases, each begun by a line "test CASE"; the
 * test is called NAME_CASE. `wire_test --list` prints the names, `wire_test NAME...`
 * runs those, `wire_test` all; "ok NAME" or "not ok NAME: why" as tests/unit does.
 * `wire_test --table` prints the matrix; that it has no hole is the test matrix_is_whole. */
#include "tests/wire/wire_matrix.h"
#include "tests/wire/wire_script.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TESTS = 2048, NAME = 96 };

struct wire_test {
	char name[NAME];
	char *text; /* NULL: no script, but whether the matrix has holes */
};

static struct wire_test tests[TESTS];
static unsigned test_count;

static void add(const char *name, char *text)
{
	if (test_count == TESTS) {
		fprintf(stderr, "too many tests\n");
		exit(101);
	}
	snprintf(tests[test_count].name, NAME, "%s", name);
	tests[test_count++].text = text;
}

static char *read_all(const char *path)
{
	FILE *f = fopen(path, "rb");
	static char bytes[1 << 18];

	if (f == NULL) {
		perror(path);
		exit(101);
	}
	const size_t size = fread(bytes, 1, sizeof(bytes) - 1, f);
	fclose(f);
	bytes[size] = 0;
	return strdup(bytes);
}

/* Cuts a file into its cases. The text is kept until the program ends. */
static void load(const char *folder, const char *file)
{
	char path[1024];
	char name[NAME];
	char *text;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	text = read_all(path);
	for (char *at = strstr(text, "test "); at != NULL;) {
		char *start = at + strlen("test ");
		char *body = start + strcspn(start, "\n");
		char *next = strstr(body, "\ntest ");
		snprintf(name, sizeof(name), "%.*s_%.*s", (int)strcspn(file, "."), file,
			(int)(body - start), start);
		if (next != NULL)
			*next++ = 0;
		add(name, body);
		at = next;
	}
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_folder(const char *folder)
{
	struct dirent **entries;
	const int n = scandir(folder, &entries, NULL, by_name);

	if (n < 0) {
		perror(folder);
		exit(101);
	}
	for (int i = 0; i < n; i++) {
		const char *dot = strrchr(entries[i]->d_name, '.');
		if (dot != NULL && strcmp(dot, ".wire") == 0)
			load(folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

static bool chosen(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc < 2;
}

static bool matrix_is_whole(char why[SCRIPT_WHY])
{
	const unsigned holes = matrix_print(stdout);

	snprintf(why, SCRIPT_WHY, "%u cells are empty", holes);
	return holes == 0;
}

static bool run_test(const struct wire_test *t, char why[SCRIPT_WHY])
{
	return t->text == NULL ? matrix_is_whole(why) : script_run(t->text, why);
}

int main(int argc, char **argv)
{
	const char *folder = getenv("WIRE_SCRIPTS");
	char why[SCRIPT_WHY];
	int failed = 0;
	int run = 0;

	if (argc == 2 && strcmp(argv[1], "--table") == 0)
		return matrix_print(stdout) > 0;
	load_folder(folder == NULL ? WIRE_SCRIPTS : folder);
	matrix_make(add);
	add("matrix_is_whole", NULL);
	for (unsigned i = 0; i < test_count; i++) {
		if (argc == 2 && strcmp(argv[1], "--list") == 0) {
			puts(tests[i].name);
			run++;
			continue;
		}
		if (!chosen(tests[i].name, argc, argv))
			continue;
		run++;
		if (run_test(&tests[i], why)) {
			printf("ok %s\n", tests[i].name);
		} else {
			printf("not ok %s: %s\n", tests[i].name, why);
			failed++;
		}
		fflush(stdout);
	}
	if (run == 0) {
		fprintf(stderr, "%s: no such test; try --list\n", argv[0]);
		return 102;
	}
	return failed > 100 ? 100 : failed;
}
