/* memory.c - the document of /api/v1/monitor/memory. See memory.h. */
#include "mgmt/api/memory.h"

#include "mgmt/api/json.h"

/* `used` is COUNTER_NAMED where nobody tells: all counts as used. */
static const struct {
	const char *process, *name, *text;
	enum counter taken, used;
} parts[] = {
	{"dataplane", "tcp", "TCP connections", COUNTER_MEMORY_TCP, COUNTER_MEMORY_TCP_USED},
	{"dataplane", "sessions", "sessions of connected clients", COUNTER_MEMORY_SESSIONS,
		COUNTER_MEMORY_SESSIONS_USED},
	{"dataplane", "subscriptions", "subscriptions and filters", COUNTER_MEMORY_SUBSCRIPTIONS,
		COUNTER_MEMORY_SUBSCRIPTIONS_USED},
	{"dataplane", "patterns", "compiled patterns: databases, tables, scratch",
		COUNTER_MEMORY_PATTERNS, COUNTER_NAMED},
	{"dataplane", "messages", "topics and properties of messages under way",
		COUNTER_MEMORY_MESSAGES, COUNTER_MEMORY_MESSAGES_USED},
	{"dataplane", "retained", "retained values", COUNTER_MEMORY_RETAINED,
		COUNTER_MEMORY_RETAINED_USED},
	{"dataplane", "buffers", "packets, and payloads of messages", COUNTER_MEMORY_BUFFERS,
		COUNTER_MEMORY_BUFFERS_USED},
	{"dataplane", "work", "work and messages on their way to other planes and workers",
		COUNTER_MEMORY_WORK, COUNTER_NAMED},
	{"controlplane", "heap", "the heap, with the registry and the store in it",
		COUNTER_MEMORY_HEAP, COUNTER_MEMORY_HEAP_USED},
	{"controlplane", "registry", "of that heap: connections and client ids",
		COUNTER_MEMORY_REGISTRY, COUNTER_MEMORY_REGISTRY_USED},
};

static json_t *part(const struct snapshot *s, size_t i)
{
	const uint64_t taken = s->sum.value[parts[i].taken];
	const uint64_t used = parts[i].used == COUNTER_NAMED ? taken : s->sum.value[parts[i].used];

	return json_pack("{s:s, s:s, s:s, s:o, s:o}", "process", parts[i].process, "name",
		parts[i].name, "text", parts[i].text, "bytes", json_count(taken), "used_bytes",
		json_count(used));
}

static json_t *all_parts(const struct memory_input *in)
{
	json_t *out = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		json_array_append_new(out, part(in->snapshot, i));
	json_array_append_new(
		out, json_pack("{s:s, s:s, s:s, s:o, s:o}", "process", "mgmt", "name", "heap",
			     "text", "the heap", "bytes", json_count(in->heap), "used_bytes",
			     json_count(in->heap_used)));
	return out;
}

/* Held by the launcher, mapped by whom it concerns. */
static json_t *regions(const struct snapshot *s)
{
	static const enum shm_region kinds[] = {SHM_DP, SHM_CP, SHM_DP_COUNTERS, SHM_CP_COUNTERS,
		SHM_LAUNCHER, SHM_TIERS, SHM_LIVE};
	json_t *out = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		json_array_append_new(
			out, json_pack("{s:s, s:o}", "name", shm_region_name(kinds[i]), "bytes",
				     json_count(shm_region_bytes(kinds[i], s->sum.workers))));
	return out;
}

static json_t *resident(const struct memory_input *in)
{
	static const char *const names[SHM_PROCESSES] = {[SHM_PROCESS_DATAPLANE] = "dataplane",
		[SHM_PROCESS_CONTROLPLANE] = "controlplane",
		[SHM_PROCESS_MGMT] = "mgmt"};
	json_t *out = json_object();

	for (unsigned i = 0; i < SHM_PROCESSES; i++)
		json_object_set_new(out, names[i],
			in->resident[i] < 0 ? json_null() : json_integer(in->resident[i]));
	return out;
}

json_t *report_memory(const struct memory_input *in)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "parts", all_parts(in), "regions",
		regions(in->snapshot), "resident_bytes", resident(in), "connections",
		json_count(in->snapshot->sum.value[COUNTER_TCP_CONNECTIONS]));
}
