/* match_fuzz.c - filters and topics as peers send them, against the oracle.
 *
 * The input is lines: "+filter" inserts, "-filter" removes, "=topic" matches,
 * "%" takes bits from the hashes (only while the matcher is empty). */
#include "dataplane/match/internal.h"
#include "dataplane/match/naive.h"

#include "dataplane/base/assert.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILTERS = 48 };

static uint32_t hits[FILTERS];
static bool in_force[FILTERS];

static void on_hit(void *owner, uint32_t id)
{
	(void)owner;
	ASSERT(id < FILTERS);
	hits[id]++;
}

static void insert(struct match *m, struct span filter)
{
	uint32_t id, steps;
	const enum err e = match_insert(m, filter, &id);

	if (form_is_special(filter))
		ASSERT(e == ERR_NONE || e == ERR_FILTER_TABLE_FULL ||
			e == match_judge(m, filter, &steps));
	else
		ASSERT((e == ERR_MQTT_FILTER || e == ERR_TOPIC_TOO_DEEP) ==
			!naive_filter_ok(filter));
	if (e == ERR_NONE) {
		ASSERT(span_equal(match_text(m, id), filter));
		ASSERT(match_find(m, filter) == id);
		in_force[id] = true;
	}
}

static void remove_filter(struct match *m, struct span filter)
{
	const uint32_t id = match_find(m, filter);

	if (id == MATCH_NONE)
		return;
	match_remove(m, id);
	in_force[id] = false;
	ASSERT(match_find(m, filter) == MATCH_NONE);
}

/* What stands behind "$filter/" is filter_fuzz.c's to judge: here, that it is found. */
static bool matches(struct match *m, uint32_t id, struct span topic)
{
	const struct span filter = match_text(m, id);

	return form_is_special(filter) ? match_one(m, id, topic) : naive_matches(filter, topic);
}

static void compare(struct match *m, struct span topic)
{
	const bool good = naive_topic_ok(topic);

	ASSERT((match_topic_check(topic) == ERR_NONE) == good);
	memset(hits, 0, sizeof(hits));
	(void)match_topic(m, topic, on_hit, NULL); /* must stand a bad one, too */
	for (uint32_t id = 0; good && id < FILTERS; id++) {
		const uint32_t expected = in_force[id] && matches(m, id, topic);
		ASSERT(!in_force[id] || match_one(m, id, topic) == (hits[id] == 1));
		ASSERT(hits[id] == expected);
	}
}

static void obey(struct match *m, struct span line)
{
	if (line.size == 0)
		return;
	const struct span rest = span_skip(line, 1);
	if (line.at[0] == '+')
		insert(m, rest);
	else if (line.at[0] == '-')
		remove_filter(m, rest);
	else if (line.at[0] == '=')
		compare(m, rest);
	else if (line.at[0] == '%' && m->store.where.out == 0)
		m->hash_mask = 0xc0000000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct counters counters;
	const struct match_conf conf = {.filters_max = FILTERS,
		.filter_bytes_max = 2048,
		.patterns_max = FILTERS / 2,
		.pattern_size_max = 64,
		.key = {3, 4},
		.counters = &counters};
	struct match *m = match_create(&conf);
	struct span in = span_of(data, size);

	if (m == NULL)
		return 0;
	memset(in_force, 0, sizeof(in_force));
	while (in.size > 0) {
		const uint8_t *end = memchr(in.at, '\n', in.size);
		const size_t line = end == NULL ? in.size : (size_t)(end - in.at);
		obey(m, span_of(in.at, line));
		in = span_skip(in, end == NULL ? in.size : line + 1);
	}
	match_check(m);
	match_destroy(&m);
	return 0;
}
