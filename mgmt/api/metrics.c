/* metrics.c - Prometheus' text format. See metrics.h. */
#include "mgmt/api/metrics.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* The first overrun sticks: write straight on, ask once. */
struct text {
	char *at;
	size_t left;
	bool bad;
};

PRINTF(2, 3) static void say(struct text *t, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	const int n = vsnprintf(t->at, t->left, format, list);
	va_end(list);
	if (t->bad || n < 0 || (size_t)n >= t->left) {
		t->bad = true;
		return;
	}
	t->at += n;
	t->left -= (size_t)n;
}

/* TCP_ACCEPTED -> tcp_accepted */
static const char *lower(const char *name, char *to, size_t size)
{
	size_t i = 0;

	for (; name[i] != '\0' && i + 1 < size; i++)
		to[i] = (char)tolower((unsigned char)name[i]);
	to[i] = '\0';
	return to;
}

static void say_named(struct text *t, const struct sample *s, unsigned id)
{
	const bool gauge = counter_is_gauge(id);
	const char *tail = gauge ? "" : "_total";
	char name[64];

	lower(counter_name(id), name, sizeof(name));
	say(t, "# HELP signalbox_%s%s %s\n", name, tail, counter_text(id));
	say(t, "# TYPE signalbox_%s%s %s\n", name, tail, gauge ? "gauge" : "counter");
	say(t, "signalbox_%s%s %" PRIu64 "\n", name, tail, s->value[id]);
}

static void say_errors(struct text *t, const struct sample *s)
{
	static const char *const faults[] = {
		[ERR_FAULT_nobody] = "nobody",
		[ERR_FAULT_peer] = "peer",
		[ERR_FAULT_us] = "us",
	};

	say(t, "# HELP signalbox_errors_total what was dropped or refused, by reason\n");
	say(t, "# TYPE signalbox_errors_total counter\n");
	for (unsigned e = ERR_NONE + 1; e < ERR_COUNT; e++)
		say(t, "signalbox_errors_total{reason=\"%s\",fault=\"%s\"} %" PRIu64 "\n",
			err_name((enum err)e), faults[err_fault((enum err)e)],
			s->value[COUNTER_NAMED + e]);
}

static void say_workers(struct text *t, const struct sample *s)
{
	say(t, "# HELP signalbox_worker_heartbeat_age_seconds since the worker last moved\n");
	say(t, "# TYPE signalbox_worker_heartbeat_age_seconds gauge\n");
	for (uint32_t w = 0; w < s->workers; w++) {
		const int64_t ms = sample_age_ms(s, s->worker[w].heartbeat_us);
		if (ms < 0) /* never moved: no number says that */
			continue;
		say(t,
			"signalbox_worker_heartbeat_age_seconds{worker=\"%" PRIu32 "\"} %" PRId64
			".%03d\n",
			w, ms / 1000, (int)(ms % 1000));
	}
	say(t, "# HELP signalbox_worker_busy_seconds_total time spent on turns with work\n");
	say(t, "# TYPE signalbox_worker_busy_seconds_total counter\n");
	for (uint32_t w = 0; w < s->workers; w++)
		say(t,
			"signalbox_worker_busy_seconds_total{worker=\"%" PRIu32 "\"} %" PRIu64
			".%06d\n",
			w, s->worker[w].busy_us / 1000000, (int)(s->worker[w].busy_us % 1000000));
}

static void say_processes(struct text *t, const struct sample *s)
{
	static const char *const names[] = {
		[SHM_PROCESS_DATAPLANE] = "dataplane",
		[SHM_PROCESS_CONTROLPLANE] = "controlplane",
		[SHM_PROCESS_MGMT] = "mgmt",
	};

	say(t, "# HELP signalbox_process_restarts_total starts beyond the first\n");
	say(t, "# TYPE signalbox_process_restarts_total counter\n");
	for (unsigned p = 0; p < SHM_PROCESSES; p++)
		if (s->process[p].known)
			say(t, "signalbox_process_restarts_total{process=\"%s\"} %" PRIu32 "\n",
				names[p], s->process[p].restarts);
	say(t, "# HELP signalbox_process_generation starts, as the process itself counts them\n");
	say(t, "# TYPE signalbox_process_generation gauge\n");
	for (unsigned p = 0; p < SHM_PROCESSES; p++)
		if (s->process[p].attached)
			say(t, "signalbox_process_generation{process=\"%s\"} %" PRIu64 "\n",
				names[p], s->process[p].generation);
}

size_t metrics_write(const struct snapshot *s, const char *version, char *to, size_t size)
{
	struct text t = {to, size, false};

	say(&t, "# HELP signalbox_build_info the version that answers\n");
	say(&t, "# TYPE signalbox_build_info gauge\n");
	say(&t, "signalbox_build_info{version=\"%s\"} 1\n", version);
	say_processes(&t, &s->sum);
	say_workers(&t, &s->sum);
	for (unsigned id = 0; id < COUNTER_NAMED; id++)
		say_named(&t, &s->sum, id);
	say_errors(&t, &s->sum);
	return t.bad ? 0 : (size_t)(t.at - to);
}
