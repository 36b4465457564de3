/* ring_fuzz_life.c - the scripts that one control plane has seen, in a file that outlives us.
 *
 * The file is "life", where libFuzzer's -artifact_prefix= says. What a script breaks may depend on
 * those before it: `RING_FUZZ_LIFE=1 ring_fuzz FILE` plays them all again. Each is {u32 size + 1}
 * and its bytes; 0 ends them. */
#include "controlplane/link/ring_fuzz.h"
#include "dataplane/base/writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LIFE_BYTES = 1 << 19, HEAD = 4 };

static uint8_t *life; /* NULL: none is kept */
static size_t used;

static const char *prefix_of(int argc, char **argv)
{
	static const char option[] = "-artifact_prefix=";

	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], option, sizeof(option) - 1) == 0)
			return argv[i] + sizeof(option) - 1;
	return NULL;
}

void fuzz_life_open(int argc, char **argv)
{
	const char *prefix = prefix_of(argc, argv);
	char path[4096];

	if (prefix == NULL)
		return;
	snprintf(path, sizeof(path), "%slife", prefix);
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	if (ftruncate(fd, LIFE_BYTES) == 0) {
		void *at = mmap(NULL, LIFE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		life = at == MAP_FAILED ? NULL : (uint8_t *)at;
	}
	close(fd);
}

static void put_u32(size_t at, uint32_t value)
{
	struct writer w = writer_of(life + at, HEAD);

	write_u32(&w, value);
}

void fuzz_life_begin(void)
{
	used = 0;
	if (life != NULL)
		put_u32(0, 0);
}

void fuzz_life_add(struct span script)
{
	/* One that does not fit is libFuzzer's to keep; whoever is after it is not repeatable. */
	if (life == NULL || script.size > LIFE_BYTES - 2 * HEAD - used)
		return;
	if (script.size > 0)
		memcpy(life + used + HEAD, script.at, script.size);
	put_u32(used + HEAD + script.size, 0);
	put_u32(used, (uint32_t)script.size + 1);
	used += HEAD + script.size;
}

bool fuzz_life_next(struct reader *kept, struct span *script)
{
	const uint32_t size = read_u32(kept);

	*script = read_bytes(kept, size - 1);
	return size > 0 && !kept->bad;
}
