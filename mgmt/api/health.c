/* health.c - reasons, one after another. See health.h. */
#include "mgmt/api/health.h"

#include "dataplane/base/assert.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

PRINTF(3, 4) static void complain(struct health *out, const char *code, const char *format, ...)
{
	ASSERT(out->count < HEALTH_REASONS_MAX);
	struct health_reason *r = &out->reason[out->count++];
	va_list list;

	r->code = code;
	va_start(list, format);
	vsnprintf(r->text, sizeof(r->text), format, list);
	va_end(list);
}

static void judge_worker(const struct sample *s, uint32_t worker, struct health *out)
{
	const int64_t age_ms = sample_age_ms(s, s->worker[worker].heartbeat_us);

	if (age_ms < 0)
		complain(out, "WORKER_NOT_STARTED", "worker %" PRIu32 " has never run", worker);
	else if (age_ms > HEALTH_STALE_MS)
		complain(out, "WORKER_STALLED",
			"worker %" PRIu32 " has not moved for %" PRId64 " ms", worker, age_ms);
}

static void judge_controlplane(const struct sample *s, struct health *out)
{
	const struct process_view *p = &s->process[SHM_PROCESS_CONTROLPLANE];
	const int64_t age_ms = sample_age_ms(s, p->heartbeat_us);

	if (!p->attached)
		complain(out, "CONTROLPLANE_UNKNOWN",
			"the control plane's counters are not attached");
	else if (age_ms < 0)
		complain(out, "CONTROLPLANE_NOT_STARTED", "the control plane has never run");
	else if (age_ms > HEALTH_STALE_MS)
		complain(out, "CONTROLPLANE_STALLED",
			"the control plane has not moved for %" PRId64 " ms", age_ms);
}

void health_judge(const struct sample *s, struct health *out)
{
	out->count = 0;
	if (!s->process[SHM_PROCESS_DATAPLANE].attached)
		complain(out, "DATAPLANE_UNKNOWN", "the dataplane's counters are not attached");
	for (uint32_t w = 0; w < s->workers; w++)
		judge_worker(s, w, out);
	judge_controlplane(s, out);
}

void health_judge_ready(const struct sample *s, struct health *out)
{
	health_judge(s, out);
	if (!s->process[SHM_PROCESS_DATAPLANE].ready)
		complain(out, "DATAPLANE_NOT_READY", "the dataplane does not serve yet");
	if (!s->process[SHM_PROCESS_CONTROLPLANE].ready)
		complain(out, "CONTROLPLANE_NOT_READY", "the control plane does not serve yet");
}
