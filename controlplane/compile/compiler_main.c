/* compiler_main.c - signalbox-compiler: reads a set of filters, writes a Hyperscan database, ends.
 *
 * Started by the control plane for each set (process.c), under limits that may
 * end it at any moment. Exit code 0: an answer was written; another: none. */
#include "controlplane/compile/set.h"
#include "controlplane/compile/wire.h"
#include "dataplane/match/tier.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_INPUT = 2, EXIT_LIMITS = 3, EXIT_OUTPUT = 4 };

static struct span read_input(void)
{
	struct stat st;

	if (fstat(STDIN_FILENO, &st) != 0 || st.st_size <= 0)
		exit(EXIT_INPUT);
	void *all = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0);
	if (all == MAP_FAILED)
		exit(EXIT_INPUT);
	return span_of(all, (size_t)st.st_size);
}

static void take(struct span *in, void *to, size_t size)
{
	if (in->size < size)
		exit(EXIT_INPUT);
	memcpy(to, in->at, size);
	*in = span_skip(*in, size);
}

static uint32_t read_filters(struct span in, struct span *filters, bool *each)
{
	struct wire_head head;

	take(&in, &head, sizeof(head));
	*each = head.each != 0;
	if (head.magic != WIRE_MAGIC || head.count == 0 || head.count > TIER_PATTERNS_MAX)
		exit(EXIT_INPUT);
	for (uint32_t i = 0; i < head.count; i++) {
		uint32_t size;
		take(&in, &size, sizeof(size));
		if (size > in.size)
			exit(EXIT_INPUT);
		filters[i] = span_of(in.at, size);
		in = span_skip(in, size);
	}
	return head.count;
}

static void write_all(const void *bytes, size_t size)
{
	while (size > 0) {
		const ssize_t n = write(STDOUT_FILENO, bytes, size);
		if (n <= 0)
			exit(EXIT_OUTPUT);
		bytes = (const uint8_t *)bytes + n;
		size -= (size_t)n;
	}
}

/* A database of its own that is beyond what a set may be will not do either. */
static void try_each(const struct span *filters, uint32_t count)
{
	struct rlimit most;

	if (getrlimit(RLIMIT_FSIZE, &most) != 0)
		exit(EXIT_LIMITS);
	for (uint32_t i = 0; i < count; i++) {
		struct span database = {NULL, 0};
		uint32_t culprit;
		const enum err e = set_compile(&filters[i], 1, &database, &culprit);
		const uint8_t verdict = e != ERR_NONE || database.size > most.rlim_cur;
		free((void *)(uintptr_t)database.at);
		write_all(&verdict, sizeof(verdict));
	}
}

static int compile_all(const struct span *filters, uint32_t count)
{
	struct span database = {NULL, 0};
	uint32_t culprit;

	const enum err e = set_compile(filters, count, &database, &culprit);
	if (e != ERR_NONE && culprit == SET_NOBODY)
		return EXIT_LIMITS;
	const struct wire_answer answer = {
		.magic = WIRE_MAGIC, .culprit = culprit, .size = database.size};
	write_all(&answer, sizeof(answer));
	if (database.size > 0)
		write_all(database.at, database.size);
	return EXIT_SUCCESS;
}

int main(void)
{
	static struct span filters[TIER_PATTERNS_MAX];
	bool each;

	/* It was started by a descriptor, whose number would be its name. */
	prctl(PR_SET_NAME, "signalbox-compi");
	const uint32_t count = read_filters(read_input(), filters, &each);
	if (!each)
		return compile_all(filters, count);
	try_each(filters, count);
	return EXIT_SUCCESS;
}
