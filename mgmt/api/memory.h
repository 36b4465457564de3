/* memory.h - what the memory of all processes holds, as a document. Pure.
 *
 * What the dataplane and the control plane say of themselves (MEMORY_* of counters.def), the shared
 * regions, and what the kernel says each process has resident. */
#pragma once
#include "mgmt/api/report.h"

struct memory_input {
	const struct snapshot *snapshot;
	int64_t resident[SHM_PROCESSES]; /* bytes; negative: unknown */
	uint64_t heap, heap_used;        /* management's own */
};

json_t *report_memory(const struct memory_input *in);
