/* compile.h - which patterns are compiled together, when, and where they go.
 *
 * Tiers as in a log-structured tree: what is new goes into a small fresh one,
 * which is compiled again and again in a fraction of a second; when that is
 * full it moves into a large one. A pattern that has gone stays in its tier as dead
 * weight until the tier is compiled for another reason, or half of it is
 * dead. What a compiler refuses is left to the interpreter of the workers, for good; a
 * set that takes too much is tried in halves, so that one pattern that explodes
 * does not keep the others from being compiled.
 *
 * A machine: news, answers of the compiler and the time in, sets for the
 * compiler and versions of tiers out (shm/tiers.h). Texts are the dataplane's and
 * hostile: only sizes and counts are judged here, the compiler reads them.
 * After a start it finds in the region what is compiled already. */
#pragma once
#include "controlplane/compile/compiler.h"
#include "dataplane/base/counters.h"
#include "dataplane/base/hash.h"

enum {
	COMPILE_FRESH_MAX = 256,    /* patterns of the fresh tier */
	COMPILE_LARGE_MAX = 4096,   /* of a large one */
	COMPILE_QUIET_US = 50000,   /* without news, before a set is made of them */
	COMPILE_WAIT_US = 500000,   /* at the latest */
	COMPILE_POLL_US = 5000,     /* while the compiler runs */
	COMPILE_RETRY_US = 1000000, /* when it could not be started */
};

struct compile_conf {
	void *tiers; /* the region */
	uint32_t workers;
	uint32_t patterns_max; /* of each */
	size_t text_bytes_max; /* of all patterns together */
	struct compiler *compiler;
	struct counters *counters;
	struct hash_key key; /* secret, random */
};

struct compile;

MUST_USE struct compile *compile_create(const struct compile_conf *conf); /* NULL: no memory */
void compile_destroy(struct compile **c);
/* A worker has no pattern: what it has it is about to say. */
void compile_forget(struct compile *c, uint32_t worker, uint64_t now_us);
struct compile_news {
	uint32_t worker, pattern; /* its number there */
	bool added;
	struct span filter;
};
void compile_news(struct compile *c, const struct compile_news *news, uint64_t now_us);
bool compile_poll(struct compile *c, uint64_t now_us); /* true: it worked */
uint64_t compile_next_us(const struct compile *c, uint64_t now_us);
void compile_check(const struct compile *c); /* asserts its invariants; for tests */
