/* health.h - is the box alive, does it serve, and if not, why.
 *
 * Judged from one sample: a worker or the control plane whose heartbeat is
 * older than HEALTH_STALE_MS, or was never seen, is down. `ready` asks more:
 * that both planes say that they serve. */
#pragma once
#include "mgmt/api/sample.h"

enum {
	HEALTH_STALE_MS = 2000,
	HEALTH_REASONS_MAX = SHM_WORKERS_MAX + 4,
	HEALTH_TEXT_MAX = 96,
};

struct health_reason {
	const char *code; /* stable: "WORKER_STALLED" */
	char text[HEALTH_TEXT_MAX];
};

struct health {
	uint32_t count; /* 0: all is well */
	struct health_reason reason[HEALTH_REASONS_MAX];
};

void health_judge(const struct sample *s, struct health *out);
void health_judge_ready(const struct sample *s, struct health *out);
