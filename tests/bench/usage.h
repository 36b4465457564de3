/* usage.h - what processes and cores have used, from /proc, and what the machine takes away.
 *
 * CPU times come in ticks of 10 ms, so measure for seconds. A process' time is all its threads'.
 * Where the kernel is built without CONFIG_IRQ_TIME_ACCOUNTING, a softirq counts to the process
 * that it interrupted or that ran it in a system call; with it, only to the core's `softirq`. */
#pragma once
#include "dataplane/base/attr.h"
#include "tests/bench/histogram.h"

#include <stdbool.h>
#include <sys/types.h>

enum { USAGE_CORES_MAX = 64 };

struct usage_process {
	uint64_t cpu_us;
	uint64_t cores; /* bits: where its threads were when last looked at */
	uint64_t rss_bytes;
};

struct usage_core {
	uint64_t busy_us;    /* all but idle, waiting for disks, and what the host took */
	uint64_t softirq_us; /* and irq */
	uint64_t nice_us;    /* of low priority: of busy_us */
	uint64_t stolen_us;  /* by the host of this virtual machine; not in busy_us */
};

/* False: there is none. */
MUST_USE bool usage_process(pid_t pid, struct usage_process *out);
MUST_USE bool usage_core(unsigned core, struct usage_core *out);
/* The kernel's thread that runs softirqs of a core when they are many; 0: none. */
MUST_USE pid_t usage_softirq_thread(unsigned core);

/* Lines as of /proc/PID/stat and /proc/stat, for the above and for tests. */
MUST_USE bool usage_parse_process(const char *line, struct usage_process *out, unsigned *core);
MUST_USE bool usage_parse_core(const char *line, unsigned *core, struct usage_core *out);

/* Reads the clock in an empty loop for so long: gaps above `gap_min_ns` are what others took. */
struct usage_gaps {
	struct histogram gaps; /* nanoseconds */
	double share;          /* of the time, in gaps */
};

void usage_measure_gaps(
	uint64_t (*now_ns)(void), uint64_t for_ns, uint64_t gap_min_ns, struct usage_gaps *out);
