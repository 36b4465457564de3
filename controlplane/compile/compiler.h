/* compiler.h - who compiles a set of patterns: submitted, and asked for until it is done.
 *
 * A set at a time. The control plane's is a process of its own with limits
 * (process.h), so that an expression may explode there; tests play one. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/err.h"
#include "dataplane/base/span.h"

enum compiler_state {
	COMPILER_RUNS,
	COMPILER_DONE,    /* `database` is the answer */
	COMPILER_REFUSED, /* `culprit` cannot be compiled, the others may be */
	COMPILER_FAILED,  /* too much time or memory, or it died */
};

struct compiler_answer {
	struct span database; /* until the next start */
	uint32_t culprit;     /* which of the filters */
};

struct compiler;

struct compiler_ops {
	/* False: it cannot be started now. Nothing of `filters` is needed afterwards. */
	bool (*start)(struct compiler *c, const struct span *filters, uint32_t count);
	enum compiler_state (*poll)(struct compiler *c, struct compiler_answer *out);
};

struct compiler {
	const struct compiler_ops *ops;
};
