/* process.c - the allocator's wrappers and the book of who has what. */
#include "tests/sim/process.h"

#include "dataplane/base/assert.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 1 << 16 }; /* a power of two, at most half used */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **at, size_t alignment, size_t size);
void __real_free(void *at);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **at, size_t alignment, size_t size);
void __wrap_free(void *at);

/* An open table of all blocks that belong to somebody. */
static struct block {
	void *at; /* NULL: empty */
	enum process owner;
} blocks[BLOCKS];
static size_t counts[PROCESSES];
static enum process current;

static size_t place(const void *at)
{
	return ((uintptr_t)at >> 4) * 0x9e3779b97f4a7c15u >> 48 & (BLOCKS - 1);
}

static struct block *find(const void *at)
{
	size_t i = place(at);

	while (blocks[i].at != NULL && blocks[i].at != at)
		i = (i + 1) & (BLOCKS - 1);
	return &blocks[i];
}

static void *note(void *at)
{
	if (at == NULL || current == PROCESS_NOBODY)
		return at;
	ASSERT(counts[PROCESS_DATAPLANE] + counts[PROCESS_CONTROLPLANE] < BLOCKS / 2);
	*find(at) = (struct block){at, current};
	counts[current]++;
	return at;
}

/* Takes it out and closes the gap, so that searches still end where they must. */
static void forget(const void *at)
{
	struct block *b = find(at);

	if (b->at == NULL)
		return;
	counts[b->owner]--;
	size_t gap = (size_t)(b - blocks);
	blocks[gap].at = NULL;
	for (size_t i = (gap + 1) & (BLOCKS - 1); blocks[i].at != NULL;
		i = (i + 1) & (BLOCKS - 1)) {
		const size_t home = place(blocks[i].at);
		if (((i - home) & (BLOCKS - 1)) < ((i - gap) & (BLOCKS - 1)))
			continue;
		blocks[gap] = blocks[i];
		blocks[i].at = NULL;
		gap = i;
	}
}

void *__wrap_malloc(size_t size)
{
	return note(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return note(__real_calloc(count, size));
}

void *__wrap_realloc(void *at, size_t size)
{
	if (at != NULL)
		forget(at);
	return note(__real_realloc(at, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return note(__real_aligned_alloc(alignment, size));
}

int __wrap_posix_memalign(void **at, size_t alignment, size_t size)
{
	const int failed = __real_posix_memalign(at, alignment, size);

	if (failed == 0)
		note(*at);
	return failed;
}

void __wrap_free(void *at)
{
	if (at != NULL)
		forget(at);
	__real_free(at);
}

enum process process_enter(enum process p)
{
	const enum process before = current;

	current = p;
	return before;
}

void process_leave(enum process before)
{
	current = before;
}

enum process process_current(void)
{
	return current;
}

void process_kill(enum process p)
{
	ASSERT(current != p);
	for (size_t i = 0; i < BLOCKS && counts[p] > 0;) {
		if (blocks[i].at == NULL || blocks[i].owner != p) {
			i++;
			continue;
		}
		void *at = blocks[i].at;
		forget(at); /* another may move here: look again */
		__real_free(at);
	}
	/* What moved around the end of the table. */
	if (counts[p] > 0)
		process_kill(p);
}

size_t process_blocks(enum process p)
{
	return counts[p];
}
