/* replay_main.c - runs a fuzz target over files and folders named on the command line.
 *
 * Linked to every x_fuzz.c when libFuzzer is not: gcc builds and coverage runs replay the corpus.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static unsigned long replayed;

static void replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (f == NULL) {
		perror(path);
		exit(2);
	}
	static uint8_t bytes[1 << 20];
	size_t size = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	/* An exact copy on the heap, so that a sanitizer sees the first byte past the end. */
	uint8_t *copy = malloc(size ? size : 1);
	if (copy == NULL)
		exit(2);
	for (size_t i = 0; i < size; i++)
		copy[i] = bytes[i];
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	replayed++;
}

static void replay(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0) {
		perror(path);
		exit(2);
	}
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	DIR *dir = opendir(path);
	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
		char child[4096];
		if (e->d_name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
		replay(child);
	}
	if (dir != NULL)
		closedir(dir);
}

int main(int argc, char **argv)
{
	if (LLVMFuzzerInitialize != NULL)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("replayed %lu inputs\n", replayed);
	return replayed == 0;
}
