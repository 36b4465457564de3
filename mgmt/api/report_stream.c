/* report_stream.c - the JSON of what moves: the history, its events, and problems. */
#include "mgmt/api/json.h"
#include "mgmt/api/report.h"

#include <ctype.h>
#include <stdio.h>

/* What the console draws. Gauges as they were, counters as rates. */
static const enum counter drawn[] = {
	COUNTER_PUBLISHES,
	COUNTER_DELIVERIES,
	COUNTER_SESSIONS,
	COUNTER_TCP_CONNECTIONS,
	COUNTER_NIC_RX_BYTES,
	COUNTER_NIC_TX_BYTES,
	COUNTER_TCP_RETRANSMITS,
};

/* Sum of the rates of all errors: what is dropped or refused, for whatever reason. */
static double drop_rate(const struct sample *older, const struct sample *newer)
{
	double sum = 0;

	for (unsigned id = COUNTER_NAMED + 1; id < COUNTER_TOTAL; id++)
		sum += sample_rate(older, newer, id);
	return sum;
}

static json_t *point(double v)
{
	return json_integer((json_int_t)(v + 0.5));
}

static json_t *series(const struct history *h, enum counter id)
{
	json_t *out = json_array();
	const struct sample *before = NULL;

	for (uint64_t i = history_oldest_id(h); i != 0 && i <= h->newest; i++) {
		const struct sample *s = history_at(h, i);
		if (counter_is_gauge(id))
			json_array_append_new(out, json_count(s->value[id]));
		else
			json_array_append_new(out,
				before == NULL ? json_null() : point(sample_rate(before, s, id)));
		before = s;
	}
	return out;
}

static json_t *drop_series(const struct history *h)
{
	json_t *out = json_array();
	const struct sample *before = NULL;

	for (uint64_t i = history_oldest_id(h); i != 0 && i <= h->newest; i++) {
		const struct sample *s = history_at(h, i);
		json_array_append_new(
			out, before == NULL ? json_null() : point(drop_rate(before, s)));
		before = s;
	}
	return out;
}

json_t *report_history(const struct history *h)
{
	json_t *times = json_array(), *all = json_object();

	for (uint64_t i = history_oldest_id(h); i != 0 && i <= h->newest; i++)
		json_array_append_new(times, json_integer(history_at(h, i)->wall_ms));
	for (size_t i = 0; i < ARRAY_SIZE(drawn); i++)
		json_object_set_new(all, counter_name(drawn[i]), series(h, drawn[i]));
	json_object_set_new(all, "DROPS", drop_series(h));
	return json_pack("{s:i, s:o, s:o}", "step_ms", HISTORY_STEP_US / 1000, "times_ms", times,
		"series", all);
}

static json_t *values(const struct sample *before, const struct sample *s)
{
	json_t *out = json_object();

	for (unsigned id = 0; id < COUNTER_TOTAL; id++)
		if (id != COUNTER_NAMED && (before == NULL || before->value[id] != s->value[id]))
			json_object_set_new(out, counter_name(id), json_count(s->value[id]));
	return out;
}

static json_t *worker_rows(const struct sample *before, const struct sample *s)
{
	json_t *out = json_array();

	for (uint32_t w = 0; w < s->workers; w++) {
		const double busy = before == NULL ? 0 : sample_busy_percent(before, s, w);
		json_array_append_new(
			out, json_pack("{s:I, s:I}", "heartbeat_age_ms",
				     (json_int_t)sample_age_ms(s, s->worker[w].heartbeat_us),
				     "busy_percent", (json_int_t)(busy + 0.5)));
	}
	return out;
}

json_t *report_event(const struct history *h, uint64_t id, bool whole)
{
	const struct sample *s = history_at(h, id), *before = history_at(h, id - 1);
	struct health health;

	if (s == NULL)
		return NULL;
	health_judge(s, &health);
	return json_pack("{s:I, s:I, s:o, s:o, s:o}", "time_ms", (json_int_t)s->wall_ms, "now_us",
		(json_int_t)s->now_us, "health", report_health(&health), "workers",
		worker_rows(before, s), "values", values(whole ? NULL : before, s));
}

/* "NOT_FOUND" -> "urn:signalbox:problem:not-found" */
static json_t *problem_type(const char *code)
{
	char text[80];
	size_t at = (size_t)snprintf(text, sizeof(text), "urn:signalbox:problem:");

	for (; *code != '\0' && at < sizeof(text) - 1; code++)
		text[at++] = *code == '_' ? '-' : (char)tolower((unsigned char)*code);
	return json_stringn(text, at);
}

json_t *report_problem(const struct problem *problem, const char *instance)
{
	json_t *out = json_pack("{s:o, s:s, s:i, s:s, s:s}", "type", problem_type(problem->code),
		"title", problem->title, "status", (int)problem->status, "code", problem->code,
		"hint", problem->hint);

	/* What the peer sent need not be UTF-8: then it is not repeated. */
	json_object_set_new(out, "instance", json_string(instance));
	return out;
}
