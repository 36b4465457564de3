/* report_test.c - the documents, compared with what they must be. */
#include "mgmt/api/memory.h"
#include "mgmt/api/metrics.h"
#include "mgmt/api/report.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { S = 1000000, NOW_US = 100 * S };

static struct history h;
static struct snapshot snapshot;
static const struct report_input in = {&h, &snapshot, "1.2.3", NULL};

/* Two samples one second apart, of a box with one worker; the second is 2033-05-18. */
static void two_samples(void)
{
	memset(&snapshot, 0, sizeof(snapshot));
	struct sample *s = &snapshot.sum;
	history_init(&h);
	s->workers = 1;
	s->now_us = NOW_US - S;
	s->wall_ms = 1999999999000;
	s->worker[0].heartbeat_us = NOW_US - S;
	for (unsigned p = SHM_PROCESS_DATAPLANE; p <= SHM_PROCESS_CONTROLPLANE; p++)
		s->process[p] = (struct process_view){.known = true,
			.attached = true,
			.ready = true,
			.heartbeat_us = NOW_US - S,
			.pid = 40 + p,
			.state = SHM_PROCESS_RUNS,
			.generation = 1,
			.started_us = NOW_US - 60 * S};
	s->value[COUNTER_SESSIONS] = 5;
	history_add(&h, s);

	s->now_us = NOW_US;
	s->wall_ms += 1000;
	s->worker[0] = (struct worker_view){.heartbeat_us = NOW_US - 3000, .busy_us = S / 4};
	s->process[SHM_PROCESS_CONTROLPLANE].heartbeat_us = NOW_US;
	s->value[COUNTER_PUBLISHES] = 1500;
	s->value[COUNTER_NAMED + ERR_TRUNCATED] = 2;
	snapshot.worker_value[0][COUNTER_PUBLISHES] = 1500;
	s->id = history_add(&h, s);
}

/* `got` is given back. Every member of `expected` must be in it, and be the same. */
static void expect_members(json_t *got, const char *expected)
{
	json_t *wanted = json_loads(expected, 0, NULL);
	const char *key;
	json_t *value;

	CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
	json_object_foreach(wanted, key, value)
	{
		const bool same = json_equal(json_object_get(got, key), value);
		if (!same) {
			char *text = json_dumps(json_object_get(got, key), JSON_ENCODE_ANY);
			printf("# %s is %s\n", key, text == NULL ? "absent" : text);
			free(text);
		}
		CU_ASSERT(same);
	}
	json_decref(wanted);
	json_decref(got);
}

static void expect_whole(json_t *got, const char *expected)
{
	json_t *wanted = json_loads(expected, 0, NULL);

	CU_ASSERT_EQUAL(json_object_size(got), json_object_size(wanted));
	json_decref(wanted);
	expect_members(got, expected);
}

static void health_says_why(void)
{
	struct health health;

	two_samples();
	health_judge(&snapshot.sum, &health);
	expect_whole(report_health(&health), "{\"status\": \"ok\", \"reasons\": []}");
	snapshot.sum.worker[0].heartbeat_us = 0;
	health_judge(&snapshot.sum, &health);
	expect_whole(report_health(&health),
		"{\"status\": \"down\", \"reasons\": [{\"code\": \"WORKER_NOT_STARTED\","
		"\"text\": \"worker 0 has never run\"}]}");
}

static void overview_has_it_all(void)
{
	two_samples();
	json_t *got = report_overview(&in);
	CU_ASSERT_EQUAL(json_object_size(got), 10);
	CU_ASSERT(json_is_null(json_object_get(got, "facts")));
	expect_members(json_deep_copy(json_object_get(got, "counters")),
		"{\"PUBLISHES\": {\"value\": 1500, \"rate\": 1500.0},"
		"\"DELIVERIES\": {\"value\": 0, \"rate\": 0.0}}");
	expect_members(json_deep_copy(json_object_get(got, "gauges")), "{\"SESSIONS\": 5}");
	CU_ASSERT_PTR_NULL(json_object_get(json_object_get(got, "counters"), "SESSIONS"));
	expect_members(got,
		"{\"version\": \"1.2.3\", \"time\": \"2033-05-18T03:33:20Z\", \"uptime_s\": 60,"
		"\"workers\": [{\"worker\": 0, \"heartbeat_age_ms\": 3, \"busy_percent\": 25.0}],"
		"\"drops\": [{\"code\": \"ERR_TRUNCATED\","
		"\"text\": \"a field runs past the end of its frame\", \"fault\": \"peer\","
		"\"count\": 2, \"rate\": 2.0}]}");
}

static void processes_tell_their_story(void)
{
	two_samples();
	struct process_view *p = &snapshot.sum.process[SHM_PROCESS_DATAPLANE];
	p->restarts = 2;
	p->last_code = 11;
	p->last_fatal = true;
	p->generation = 3;
	p->heartbeat_us = NOW_US - S;
	snapshot.sum.process[SHM_PROCESS_CONTROLPLANE].pid = 0;
	snapshot.sum.process[SHM_PROCESS_CONTROLPLANE].state = 99;
	json_t *got = report_overview(&in);
	expect_members(json_deep_copy(json_object_get(got, "processes")),
		"{\"dataplane\": {\"state\": \"runs\", \"pid\": 40, \"restarts\": 2,"
		"\"last_end\": {\"by\": \"signal\", \"code\": 11}, \"uptime_s\": 60,"
		"\"generation\": 3, \"ready\": true, \"heartbeat_age_ms\": 1000},"
		"\"controlplane\": {\"state\": \"unknown\", \"pid\": 0, \"restarts\": 0,"
		"\"last_end\": null, \"generation\": 1, \"ready\": true,"
		"\"heartbeat_age_ms\": 0}, \"mgmt\": {}}");
	json_decref(got);
}

static void facts_of_the_controlplane(void)
{
	static struct ipc_facts facts;
	const struct report_input with_facts = {&h, &snapshot, "1.2.3", &facts};

	two_samples();
	facts.sessions = 3;
	facts.sessions_max = 1000;
	facts.config.address = htonl(0x0a090002);
	facts.config.mtu = 1500;
	facts.config.mqtt_port = 1883;
	facts.config.connections_max = 500;
	memset(facts.config.nic, 'i', sizeof(facts.config.nic)); /* no NUL */
	memcpy(facts.config.interface, "/run/sb/memif", 14);
	memcpy(facts.impair, "loss=1%", 8);
	memcpy(facts.config.durability, "journal!", 8); /* no NUL */
	facts.store = (struct ipc_store){.batches = 7,
		.syncs = 6,
		.unsynced = 5,
		.sync_us_last = 400,
		.sync_us_max = 3000,
		.disk_bytes = UINT32_MAX,
		.sessions = 2};
	json_t *got = report_overview(&with_facts);
	expect_whole(json_deep_copy(json_object_get(got, "facts")),
		"{\"sessions\": 3, \"sessions_max\": 1000, \"connections_max\": 500,"
		"\"nic\": \"iiiiiiiiiiiiiiii\", \"interface\": \"/run/sb/memif\", \"address\": "
		"\"10.9.0.2\","
		"\"mtu\": 1500, \"mqtt_port\": 1883, \"impair\": \"loss=1%\","
		"\"store\": {\"durability\": \"journal!\", \"sessions\": 2, \"batches\": 7,"
		"\"syncs\": 6, \"unsynced\": 5, \"sync_us_last\": 400,"
		"\"sync_us_max\": 3000, \"disk_bytes\": 4294967295}}");
	json_decref(got);
}

static void counters_by_name_and_worker(void)
{
	two_samples();
	json_t *got = report_counters(&in), *list = json_object_get(got, "counters");
	CU_ASSERT_EQUAL(json_array_size(list), COUNTER_TOTAL - 1);
	expect_whole(json_deep_copy(json_array_get(list, COUNTER_PUBLISHES)),
		"{\"name\": \"PUBLISHES\", \"kind\": \"counter\","
		"\"text\": \"messages published by clients\", \"value\": 1500,"
		"\"workers\": [1500], \"controlplane\": 0, \"rate\": 1500.0}");
	expect_whole(json_deep_copy(json_array_get(list, COUNTER_SESSIONS)),
		"{\"name\": \"SESSIONS\", \"kind\": \"gauge\", \"text\": \"sessions connected\","
		"\"value\": 5, \"workers\": [0], \"controlplane\": 0}");
	/* ERR_NONE is left out, so the errors are one place further up. */
	expect_members(json_deep_copy(json_array_get(list, COUNTER_NAMED + ERR_TRUNCATED - 1)),
		"{\"name\": \"ERR_TRUNCATED\", \"kind\": \"error\", \"fault\": \"peer\","
		"\"value\": 2, \"rate\": 2.0}");
	json_decref(got);
}

static void history_has_rates_and_gauges(void)
{
	two_samples();
	json_t *got = report_history(&h);
	expect_members(json_deep_copy(json_object_get(got, "series")),
		"{\"PUBLISHES\": [null, 1500], \"SESSIONS\": [5, 5], \"DROPS\": [null, 2]}");
	expect_members(got, "{\"step_ms\": 1000, \"times_ms\": [1999999999000, 2000000000000]}");
}

static void event_carries_changes(void)
{
	two_samples();
	expect_whole(report_event(&h, 2, false),
		"{\"time_ms\": 2000000000000, \"now_us\": 100000000,"
		"\"health\": {\"status\": \"ok\", \"reasons\": []},"
		"\"workers\": [{\"heartbeat_age_ms\": 3, \"busy_percent\": 25}],"
		"\"values\": {\"PUBLISHES\": 1500, \"ERR_TRUNCATED\": 2}}");
}

static void event_carries_all(void)
{
	two_samples();
	json_t *got = report_event(&h, 2, true), *values = json_object_get(got, "values");
	CU_ASSERT_EQUAL(json_object_size(values), COUNTER_TOTAL - 1);
	expect_members(
		json_incref(values), "{\"PUBLISHES\": 1500, \"SESSIONS\": 5, \"CONNECTS\": 0}");
	json_decref(got);
	/* The first sample has none before it: all of it is new. */
	got = report_event(&h, 1, false);
	CU_ASSERT_EQUAL(json_object_size(json_object_get(got, "values")), COUNTER_TOTAL - 1);
	json_decref(got);
	CU_ASSERT_PTR_NULL(report_event(&h, 3, false));
}

static void memory_by_part(void)
{
	const struct memory_input memory = {.snapshot = &snapshot,
		.resident = {[SHM_PROCESS_DATAPLANE] = 5000, [SHM_PROCESS_CONTROLPLANE] = -1},
		.heap = 70,
		.heap_used = 60};

	two_samples();
	snapshot.sum.value[COUNTER_TCP_CONNECTIONS] = 3;
	snapshot.sum.value[COUNTER_MEMORY_TCP] = 1000;
	snapshot.sum.value[COUNTER_MEMORY_TCP_USED] = 30;
	snapshot.sum.value[COUNTER_MEMORY_WORK] = 400;
	json_t *got = report_memory(&memory), *list = json_object_get(got, "parts");
	expect_whole(json_deep_copy(json_array_get(list, 0)),
		"{\"process\": \"dataplane\", \"name\": \"tcp\", \"text\": \"TCP connections\","
		"\"bytes\": 1000, \"used_bytes\": 30}");
	expect_members(json_deep_copy(json_array_get(list, 7)),
		"{\"name\": \"work\", \"bytes\": 400, \"used_bytes\": 400}");
	expect_members(json_deep_copy(json_array_get(list, json_array_size(list) - 1)),
		"{\"process\": \"mgmt\", \"name\": \"heap\", \"bytes\": 70, \"used_bytes\": 60}");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(got, "regions")), SHM_REGIONS);
	expect_members(got, "{\"connections\": 3, \"resident_bytes\": {\"dataplane\": 5000,"
			    "\"controlplane\": null, \"mgmt\": 0}}");
}

static void numbers_that_jansson_lacks(void)
{
	two_samples();
	snapshot.sum.value[COUNTER_SESSIONS] = UINT64_MAX;
	json_t *got = report_overview(&in);
	CU_ASSERT_EQUAL(
		json_integer_value(json_object_get(json_object_get(got, "gauges"), "SESSIONS")),
		INT64_MAX);
	json_decref(got);
}

static void problem_is_rfc_9457(void)
{
	const struct problem p = {404, "NOT_FOUND", "no such path", "look elsewhere"};

	expect_whole(report_problem(&p, "/x"),
		"{\"type\": \"urn:signalbox:problem:not-found\", \"title\": \"no such path\","
		"\"status\": 404, \"code\": \"NOT_FOUND\", \"hint\": \"look elsewhere\","
		"\"instance\": \"/x\"}");
	/* A path that is no UTF-8 is not repeated. */
	expect_whole(report_problem(&p, "/\xff"),
		"{\"type\": \"urn:signalbox:problem:not-found\", \"title\": \"no such path\","
		"\"status\": 404, \"code\": \"NOT_FOUND\", \"hint\": \"look elsewhere\"}");
}

static void expect_line(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT(at == text || at[-1] == '\n');
	CU_ASSERT_EQUAL(at[strlen(line)], '\n');
}

static void metrics_as_text(void)
{
	static char text[METRICS_BYTES_MAX];

	two_samples();
	const size_t size = metrics_write(&snapshot, "1.2.3", text, sizeof(text));
	CU_ASSERT(size > 0 && text[size - 1] == '\n' && text[size] == '\0');
	expect_line(text, "signalbox_build_info{version=\"1.2.3\"} 1");
	expect_line(text, "# TYPE signalbox_publishes_total counter");
	expect_line(text, "# HELP signalbox_publishes_total messages published by clients");
	expect_line(text, "signalbox_publishes_total 1500");
	expect_line(text, "# TYPE signalbox_sessions gauge");
	expect_line(text, "signalbox_sessions 5");
	expect_line(text, "signalbox_errors_total{reason=\"TRUNCATED\",fault=\"peer\"} 2");
	expect_line(text, "signalbox_worker_heartbeat_age_seconds{worker=\"0\"} 0.003");
	expect_line(text, "signalbox_worker_busy_seconds_total{worker=\"0\"} 0.250000");
	expect_line(text, "signalbox_process_restarts_total{process=\"dataplane\"} 0");
	expect_line(text, "signalbox_process_generation{process=\"controlplane\"} 1");
}

static void metrics_need_room(void)
{
	static char text[METRICS_BYTES_MAX];

	two_samples();
	const size_t size = metrics_write(&snapshot, "1.2.3", text, sizeof(text));
	char *exact = malloc(size + 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
	CU_ASSERT_EQUAL(metrics_write(&snapshot, "1.2.3", exact, size + 1), size);
	CU_ASSERT_EQUAL(metrics_write(&snapshot, "1.2.3", exact, size), 0);
	CU_ASSERT_EQUAL(metrics_write(&snapshot, "1.2.3", exact, 1), 0);
	free(exact);
}

static const struct unit_test tests[] = {
	{"health_says_why", health_says_why},
	{"overview_has_it_all", overview_has_it_all},
	{"processes_tell_their_story", processes_tell_their_story},
	{"facts_of_the_controlplane", facts_of_the_controlplane},
	{"counters_by_name_and_worker", counters_by_name_and_worker},
	{"history_has_rates_and_gauges", history_has_rates_and_gauges},
	{"event_carries_changes", event_carries_changes},
	{"event_carries_all", event_carries_all},
	{"memory_by_part", memory_by_part},
	{"numbers_that_jansson_lacks", numbers_that_jansson_lacks},
	{"problem_is_rfc_9457", problem_is_rfc_9457},
	{"metrics_as_text", metrics_as_text},
	{"metrics_need_room", metrics_need_room},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("report", tests, argc, argv);
}
