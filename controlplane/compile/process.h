/* process.h - the compiler as a process of its own: signalbox-compiler, started for each set.
 *
 * It gets a set by standard input and gives a database by standard output,
 * both memory, and nothing else of ours: no descriptor, no shared memory. The kernel ends it
 * when it has had its processor time, refuses memory and output beyond the limits,
 * and kills it when the control plane dies. Its niceness is the largest. */
#pragma once
#include "controlplane/compile/compiler.h"

struct process_conf {
	int program;             /* descriptor of signalbox-compiler, for execveat; lent */
	uint32_t cpu_s;          /* processor time */
	uint64_t memory_bytes;   /* address space */
	uint64_t database_bytes; /* of the answer */
	bool each; /* a verdict for each alone, in `database`: a byte, 0 is good; FAILED: so far */
};

MUST_USE struct compiler *process_create(const struct process_conf *conf); /* NULL: no memory */
void process_destroy(struct compiler **c);                                 /* kills what runs */
/* signalbox-compiler beside our own program: before privileges are dropped. -1: there is none. */
int process_find(void);
