/* trials.h - may that expression be subscribed to? Asked of Hyperscan before SUBACK leaves.
 *
 * What is large might be refused later, among thousands, when nobody could be
 * told any more; so it is compiled alone first, by a compiler of its own that
 * takes them in batches. One that is refused, or on which the compiler dies, gets
 * ERR_EXPRESSION_REFUSED; the others of its batch go on. Where nothing can be
 * tried, all are accepted, and the interpreter will do. */
#pragma once
#include "controlplane/compile/compiler.h"
#include "dataplane/base/counters.h"

enum { TRIALS_MAX = 4096, TRIALS_BATCH = 64 };

struct trial {
	uint32_t worker, token; /* the worker's own */
	enum err err;           /* the answer */
};

struct trials;

/* compiler: tries each (process.h); NULL: none. Lent. NULL: no memory. */
MUST_USE struct trials *trials_create(struct compiler *compiler, struct counters *counters);
void trials_destroy(struct trials **t);
void trials_forget(struct trials *t, uint32_t worker); /* it is another by now */
/* False: too many; not now. */
MUST_USE bool trials_add(struct trials *t, uint32_t worker, uint32_t token, struct span filter);
bool trials_poll(struct trials *t);       /* true: it worked */
bool trials_wait(const struct trials *t); /* the compiler runs: poll again soon */
/* The next answer for that worker; the same one until trials_took. */
MUST_USE bool trials_next(const struct trials *t, uint32_t worker, struct trial *out);
void trials_took(struct trials *t, const struct trial *taken);
