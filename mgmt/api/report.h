/* report.h - what management says, as JSON. Pure: from samples to documents.
 *
 * Every function returns a new document that the caller gives back, or NULL
 * when memory is short. Shapes: docs/reference/rest.md. Numbers of one list
 * add up: "value" is the sum over the workers and the control plane. Rates are
 * per second over the last HISTORY_RATE_SAMPLES seconds. */
#pragma once
#include "mgmt/api/facts.h"
#include "mgmt/api/health.h"
#include "mgmt/api/history.h"

#include <jansson.h>

struct report_input {
	const struct history *history;   /* not empty */
	const struct snapshot *snapshot; /* the one that was added last */
	const char *version;
	const struct ipc_facts *facts; /* NULL: unknown */
};

json_t *report_health(const struct health *health);
json_t *report_overview(const struct report_input *in);
json_t *report_counters(const struct report_input *in);
/* The series that the console draws, for all seconds that the history has. */
json_t *report_history(const struct history *h);
/* One sample for the event stream: all values, or those that changed since the sample before. */
json_t *report_event(const struct history *h, uint64_t id, bool whole);

/* RFC 9457. The code is stable and for programs, the hint is for people. */
struct problem {
	unsigned status;
	const char *code;  /* "NOT_FOUND" */
	const char *title; /* the same for all problems of that code */
	const char *hint;  /* what to do about it */
};

json_t *report_problem(const struct problem *problem, const char *instance);
