/* run.h - one measurement: a shape, carried out, and all that was seen, as JSON. */
#pragma once
#include "tests/bench/load.h"
#include "tests/bench/usage.h"

#include <stdio.h>

enum { RUN_WATCHED_MAX = 8, RUN_NAME_MAX = 24 };

enum run_shape {
	RUN_FAN_OUT,
	RUN_PIPELINED,
	RUN_ONE_IN_FLIGHT,
	RUN_CONNECTS,
	RUN_IDLE,
	RUN_SHAPES,
};

struct run_watched {
	char name[RUN_NAME_MAX];
	pid_t pid;
};

struct run_conf {
	enum run_shape shape;
	struct load_conf load;
	struct end_conf end;
	bool memif;
	uint64_t ready_ns, warm_up_ns, measure_ns, drain_ns, noise_ns;
	int core;        /* of the generator; -1: any */
	int broker_core; /* whose softirqs count, too; -1: none */
	struct run_watched watched[RUN_WATCHED_MAX];
	unsigned watched_count;
};

const char *run_shape_name(enum run_shape shape);
/* Numbers of clients, window and so on that the shape stands for. */
void run_shape_defaults(struct run_conf *conf);
/* A line for each phase, then the document. 0: done; 1: it could not be carried out. */
MUST_USE int run(const struct run_conf *conf, FILE *out);
