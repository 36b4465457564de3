/* run_internal.h - what is known of one measurement, for run.c and run_report.c. */
#pragma once
#include "tests/bench/run.h"

#include <inttypes.h>

/* What was used until a moment. */
struct run_look {
	uint64_t at_ns;
	struct usage_process process[RUN_WATCHED_MAX];
	struct usage_process self;
	struct usage_process softirqs; /* the kernel's thread of the broker's core */
	struct usage_core core;        /* the broker's */
	bool missing;                  /* a process was not there */
};

struct run {
	const struct run_conf *conf;
	FILE *out;
	struct load *load;
	struct end *end;
	struct usage_gaps noise;
	struct run_look before, after;
	struct load_counts counts;
	uint64_t span_ns, ready_ns;
	uint64_t stalls; /* times when nothing came for a second */
};

void run_report(const struct run *r);
