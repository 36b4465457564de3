/* facts.h - what only the control plane knows, asked over its local socket once a second.
 *
 * Never waits for the answer: it is taken when it comes. Without an answer the
 * facts grow old and are not shown; everything else goes on. The socket is
 * opened again after the control plane was restarted, if we may. */
#pragma once
#include "controlplane/ipc/ipc.h"

enum { FACTS_OLD_MS = 5000, FACTS_CONNECT_MS = 20 };

struct facts {
	const char *path; /* NULL: nobody to ask */
	int fd;           /* -1: not connected */
	uint32_t token;   /* of the last request */
	bool waiting;     /* for its answer */
	bool known;
	uint64_t known_us; /* when `value` came */
	struct ipc_facts value;
};

/* Tries to connect at once, while we still have our rights. */
void facts_init(struct facts *f, const char *path);
void facts_fini(struct facts *f);
/* Once a second: asks. An answer that did not come since the last time is given up. */
void facts_tick(struct facts *f);
/* The socket is readable: takes the answer. */
void facts_read(struct facts *f, uint64_t now_us);
/* NULL: unknown, or too old to be shown. */
const struct ipc_facts *facts_fresh(const struct facts *f, uint64_t now_us);
