/* report.c - the JSON documents. See report.h. */
#include "mgmt/api/report.h"
#include "mgmt/api/json.h"

#include <arpa/inet.h>
#include <string.h>
#include <time.h>

/* Three digits are enough for people, and keep documents short. */
static json_t *rounded(double v)
{
	if (v >= 1e12)
		return json_integer((json_int_t)v);
	return json_real((double)(int64_t)(v * 1000.0 + 0.5) / 1000.0);
}

static json_t *utc(int64_t wall_ms)
{
	const time_t seconds = (time_t)(wall_ms / 1000);
	struct tm parts;
	char text[32];

	gmtime_r(&seconds, &parts);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	return json_string(text);
}

static json_t *age(const struct sample *s, uint64_t heartbeat_us)
{
	const int64_t ms = sample_age_ms(s, heartbeat_us);

	return ms < 0 ? json_null() : json_integer(ms);
}

json_t *report_health(const struct health *health)
{
	json_t *reasons = json_array();

	for (uint32_t i = 0; i < health->count; i++) {
		const struct health_reason *r = &health->reason[i];
		json_array_append_new(
			reasons, json_pack("{s:s, s:s}", "code", r->code, "text", r->text));
	}
	return json_pack(
		"{s:s, s:o}", "status", health->count == 0 ? "ok" : "down", "reasons", reasons);
}

static const char *state_name(uint32_t state)
{
	static const char *const names[] = {
		[SHM_PROCESS_OFF] = "off",
		[SHM_PROCESS_RUNS] = "runs",
		[SHM_PROCESS_WAITS] = "waits",
		[SHM_PROCESS_STOPS] = "stops",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

static json_t *last_end(const struct process_view *p)
{
	if (p->restarts == 0)
		return json_null();
	return json_pack("{s:s, s:o}", "by", p->last_fatal ? "signal" : "exit", "code",
		json_integer(p->last_code));
}

static json_t *process(const struct sample *s, const struct process_view *p)
{
	json_t *out = json_object();

	if (p->known) {
		json_object_set_new(out, "state", json_string(state_name(p->state)));
		json_object_set_new(out, "pid", json_integer(p->pid));
		json_object_set_new(out, "restarts", json_integer(p->restarts));
		json_object_set_new(out, "last_end", last_end(p));
		if (p->pid != 0 && p->started_us <= s->now_us)
			json_object_set_new(
				out, "uptime_s", json_count((s->now_us - p->started_us) / 1000000));
	}
	if (p->attached) {
		json_object_set_new(out, "generation", json_count(p->generation));
		json_object_set_new(out, "ready", json_boolean(p->ready));
		json_object_set_new(out, "heartbeat_age_ms", age(s, p->heartbeat_us));
	}
	return out;
}

static json_t *processes(const struct sample *s)
{
	json_t *out = json_object();

	json_object_set_new(out, "dataplane", process(s, &s->process[SHM_PROCESS_DATAPLANE]));
	json_object_set_new(out, "controlplane", process(s, &s->process[SHM_PROCESS_CONTROLPLANE]));
	json_object_set_new(out, "mgmt", process(s, &s->process[SHM_PROCESS_MGMT]));
	return out;
}

static json_t *workers(const struct history *h, const struct sample *s)
{
	json_t *out = json_array();

	for (uint32_t w = 0; w < s->workers; w++)
		json_array_append_new(
			out, json_pack("{s:i, s:o, s:o}", "worker", (int)w, "heartbeat_age_ms",
				     age(s, s->worker[w].heartbeat_us), "busy_percent",
				     rounded(history_busy_percent(h, w))));
	return out;
}

static const char *fault_name(enum err e)
{
	static const char *const names[] = {
		[ERR_FAULT_nobody] = "nobody",
		[ERR_FAULT_peer] = "peer",
		[ERR_FAULT_us] = "us",
	};

	return names[err_fault(e)];
}

/* Every reason for which something was dropped or refused at least once. */
static json_t *drops(const struct report_input *in)
{
	json_t *out = json_array();

	for (unsigned e = ERR_NONE + 1; e < ERR_COUNT; e++) {
		const unsigned id = COUNTER_NAMED + e;
		const uint64_t count = in->snapshot->sum.value[id];
		if (count == 0)
			continue;
		json_array_append_new(out,
			json_pack("{s:s, s:s, s:s, s:o, s:o}", "code", counter_name(id), "text",
				counter_text(id), "fault", fault_name((enum err)e), "count",
				json_count(count), "rate", rounded(history_rate(in->history, id))));
	}
	return out;
}

static json_t *named_counters(const struct report_input *in)
{
	json_t *out = json_object();

	for (unsigned id = 0; id < COUNTER_NAMED; id++)
		if (!counter_is_gauge(id))
			json_object_set_new(out, counter_name(id),
				json_pack("{s:o, s:o}", "value",
					json_count(in->snapshot->sum.value[id]), "rate",
					rounded(history_rate(in->history, id))));
	return out;
}

static json_t *gauges(const struct sample *s)
{
	json_t *out = json_object();

	for (unsigned id = 0; id < COUNTER_NAMED; id++)
		if (counter_is_gauge(id))
			json_object_set_new(out, counter_name(id), json_count(s->value[id]));
	return out;
}

static json_t *uptime(const struct sample *s)
{
	const struct process_view *p = &s->process[SHM_PROCESS_DATAPLANE];

	if (!p->known || p->pid == 0 || p->started_us > s->now_us)
		return json_null();
	return json_count((s->now_us - p->started_us) / 1000000);
}

/* Of a fixed size, perhaps without a NUL. */
static json_t *fixed(const char *text, size_t size)
{
	return json_stringn(text, strnlen(text, size));
}

static json_t *address(uint32_t network_order)
{
	char text[INET_ADDRSTRLEN] = "";

	inet_ntop(AF_INET, &network_order, text, sizeof(text));
	return json_string(text);
}

static json_t *store(const struct ipc_facts *f)
{
	const struct ipc_store *s = &f->store;
	json_t *out = json_object();

	json_object_set_new(
		out, "durability", fixed(f->config.durability, sizeof(f->config.durability)));
	json_object_set_new(out, "sessions", json_count(s->sessions));
	json_object_set_new(out, "batches", json_count(s->batches));
	json_object_set_new(out, "syncs", json_count(s->syncs));
	json_object_set_new(out, "unsynced", json_count(s->unsynced));
	json_object_set_new(out, "sync_us_last", json_count(s->sync_us_last));
	json_object_set_new(out, "sync_us_max", json_count(s->sync_us_max));
	json_object_set_new(out, "disk_bytes", json_count(s->disk_bytes));
	return out;
}

/* What only the control plane knows; null while it does not answer. */
static json_t *facts(const struct ipc_facts *f)
{
	if (f == NULL)
		return json_null();
	const struct shm_config *c = &f->config;
	json_t *out = json_object();

	json_object_set_new(out, "sessions", json_integer(f->sessions));
	json_object_set_new(out, "sessions_max", json_integer(f->sessions_max));
	json_object_set_new(out, "connections_max", json_integer(c->connections_max));
	json_object_set_new(out, "nic", fixed(c->nic, sizeof(c->nic)));
	json_object_set_new(out, "interface", fixed(c->interface, sizeof(c->interface)));
	json_object_set_new(out, "address", address(c->address));
	json_object_set_new(out, "mtu", json_integer(c->mtu));
	json_object_set_new(out, "mqtt_port", json_integer(c->mqtt_port));
	json_object_set_new(out, "impair", fixed(f->impair, sizeof(f->impair)));
	json_object_set_new(out, "store", store(f));
	return out;
}

json_t *report_overview(const struct report_input *in)
{
	const struct sample *s = &in->snapshot->sum;
	struct health health;
	json_t *out = json_object();

	health_judge(s, &health);
	json_object_set_new(out, "version", json_string(in->version));
	json_object_set_new(out, "time", utc(s->wall_ms));
	json_object_set_new(out, "uptime_s", uptime(s));
	json_object_set_new(out, "health", report_health(&health));
	json_object_set_new(out, "processes", processes(s));
	json_object_set_new(out, "facts", facts(in->facts));
	json_object_set_new(out, "workers", workers(in->history, s));
	json_object_set_new(out, "counters", named_counters(in));
	json_object_set_new(out, "gauges", gauges(s));
	json_object_set_new(out, "drops", drops(in));
	return out;
}

static json_t *by_worker(const struct snapshot *snapshot, unsigned id)
{
	json_t *out = json_array();

	for (uint32_t w = 0; w < snapshot->sum.workers; w++)
		json_array_append_new(out, json_count(snapshot->worker_value[w][id]));
	return out;
}

static const char *kind_name(unsigned id)
{
	if (id >= COUNTER_NAMED)
		return "error";
	return counter_is_gauge(id) ? "gauge" : "counter";
}

json_t *report_counters(const struct report_input *in)
{
	const struct snapshot *s = in->snapshot;
	json_t *list = json_array();

	for (unsigned id = 0; id < COUNTER_TOTAL; id++) {
		if (id == COUNTER_NAMED)
			continue; /* ERR_NONE counts nothing */
		json_t *row = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "name", counter_name(id),
			"kind", kind_name(id), "text", counter_text(id), "value",
			json_count(s->sum.value[id]), "workers", by_worker(s, id), "controlplane",
			json_count(s->controlplane_value[id]));
		if (id > COUNTER_NAMED)
			json_object_set_new(row, "fault",
				json_string(fault_name((enum err)(id - COUNTER_NAMED))));
		if (!counter_is_gauge(id))
			json_object_set_new(row, "rate", rounded(history_rate(in->history, id)));
		json_array_append_new(list, row);
	}
	return json_pack("{s:o, s:o}", "time", utc(s->sum.wall_ms), "counters", list);
}
