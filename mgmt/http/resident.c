/* resident.c - see resident.h. */
#include "mgmt/http/resident.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

/* Negative: the process is gone, or /proc hides it from us. */
static int64_t resident_of(uint32_t pid)
{
	char path[32];
	int64_t pages = -1;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/statm", pid);
	FILE *f = pid == 0 ? NULL : fopen(path, "re");
	if (f == NULL)
		return -1;
	if (fscanf(f, "%*d %" SCNd64, &pages) != 1)
		pages = -1;
	fclose(f);
	return pages < 0 ? -1 : pages * sysconf(_SC_PAGESIZE);
}

void resident_read(const struct snapshot *s, struct memory_input *out)
{
	const struct mallinfo2 m = mallinfo2();

	out->snapshot = s;
	out->heap = m.arena + m.hblkhd;
	out->heap_used = m.uordblks + m.hblkhd;
	for (unsigned i = 0; i < SHM_PROCESSES; i++)
		out->resident[i] = resident_of(s->sum.process[i].pid);
}
