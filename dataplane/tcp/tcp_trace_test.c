/* tcp_trace_test.c - what is written into the ring is read back, of one connection, with its times.
 */
#include "dataplane/tcp/tcp_trace.h"

#include "tests/unit/unit.h"

#include <string.h>

enum { S = 1000000, ROOM = 64 };

static uint64_t records[TCP_TRACE_RECORDS];
static struct tcp_happened out[ROOM];

static struct tcp_trace trace_at(uint64_t now_us)
{
	memset(records, 0xff, sizeof(records)); /* what was never written must not be read */
	return (struct tcp_trace){.records = records, .last_us = now_us};
}

static uint32_t read_all(
	const struct tcp_trace *t, uint32_t index, uint32_t generation, bool newest)
{
	struct tcp_trace_walk walk = tcp_trace_walk_begin(t, index, generation, newest);
	const uint32_t n = tcp_trace_walk_on(t, &walk, 2 * TCP_TRACE_RECORDS, out, ROOM);

	CU_ASSERT(walk.over || n == ROOM);
	return n;
}

static void of_one_connection(void)
{
	struct tcp_trace t = trace_at(5 * S);

	tcp_trace_add(&t, 7, TCP_WHAT_OPENED, 3, 5 * S);
	tcp_trace_add(&t, 8, TCP_WHAT_OPENED, 1, 5 * S + 1);
	tcp_trace_add(&t, 7, TCP_WHAT_SEGMENT_IN, 1460, 5 * S + 10);
	tcp_trace_add(&t, 8, TCP_WHAT_SEGMENT_IN, 1, 5 * S + 10);
	tcp_trace_add(&t, 7, TCP_WHAT_SEGMENT_OUT, 65535, 5 * S + 4000000);
	CU_ASSERT_EQUAL_FATAL(read_all(&t, 7, 3, true), 3);
	CU_ASSERT_EQUAL(out[0].what, TCP_WHAT_SEGMENT_OUT);
	CU_ASSERT_EQUAL(out[0].argument, 65535);
	CU_ASSERT_EQUAL(out[0].at_us, 5 * S + 4000000);
	CU_ASSERT_EQUAL(out[1].what, TCP_WHAT_SEGMENT_IN);
	CU_ASSERT_EQUAL(out[1].argument, 1460);
	CU_ASSERT_EQUAL(out[1].at_us, 5 * S + 10);
	CU_ASSERT_EQUAL(out[2].what, TCP_WHAT_OPENED);
	CU_ASSERT_EQUAL(out[2].at_us, 5 * S);
	CU_ASSERT_EQUAL(read_all(&t, 9, 0, true), 0);
}

/* Over gaps of every size, and when a clock has not been told yet. */
static void times_are_kept(void)
{
	static const uint64_t gaps[] = {0, 1, TRACE_DELTA_MAX - 1, TRACE_DELTA_MAX,
		TRACE_DELTA_MAX + 1, 3600ull * S, 90ull * 24 * 3600 * S};
	uint64_t at[ARRAY_SIZE(gaps)], now_us = 9 * S;
	struct tcp_trace t = trace_at(now_us);

	for (size_t i = 0; i < ARRAY_SIZE(gaps); i++) {
		now_us += gaps[i];
		at[i] = now_us;
		tcp_trace_add(&t, 1, TCP_WHAT_STATE, 4, now_us);
	}
	tcp_trace_add(&t, 1, TCP_WHAT_STATE, 5, now_us - 3);
	CU_ASSERT_EQUAL_FATAL(read_all(&t, 1, 0, true), ARRAY_SIZE(gaps) + 1);
	CU_ASSERT_EQUAL(out[0].at_us, now_us);
	for (size_t i = 0; i < ARRAY_SIZE(gaps); i++)
		CU_ASSERT_EQUAL(out[ARRAY_SIZE(gaps) - i].at_us, at[i]);
}

/* A place that was used again: each generation has its own. */
static void generations_are_apart(void)
{
	struct tcp_trace t = trace_at(0);

	for (uint32_t g = 65534; g < 65538; g++) { /* the low bits wrap */
		tcp_trace_add(&t, 5, TCP_WHAT_OPENED, (uint16_t)g, g);
		tcp_trace_add(&t, 5, TCP_WHAT_SEGMENT_IN, (uint16_t)g, g);
	}
	for (uint32_t g = 65534; g < 65538; g++) {
		CU_ASSERT_EQUAL_FATAL(read_all(&t, 5, g, g == 65537), 2);
		CU_ASSERT_EQUAL(out[0].argument, g & 0xffff);
		CU_ASSERT_EQUAL(out[1].what, TCP_WHAT_OPENED);
	}
	CU_ASSERT_EQUAL(read_all(&t, 5, 65540, false), 0);
}

static void the_oldest_give_way(void)
{
	struct tcp_trace t = trace_at(0);

	tcp_trace_add(&t, 5, TCP_WHAT_OPENED, 0, 0);
	for (uint32_t i = 1; i < TCP_TRACE_RECORDS; i++)
		tcp_trace_add(&t, 6, TCP_WHAT_SEGMENT_IN, (uint16_t)i, i);
	CU_ASSERT_EQUAL(read_all(&t, 5, 0, true), 1);
	tcp_trace_add(&t, 6, TCP_WHAT_SEGMENT_IN, 0, TCP_TRACE_RECORDS);
	CU_ASSERT_EQUAL(read_all(&t, 5, 0, true), 0);
	CU_ASSERT_EQUAL(read_all(&t, 6, 0, true), ROOM);
	/* The newest is not found a second time where the oldest was. */
	tcp_trace_add(&t, 5, TCP_WHAT_SEGMENT_OUT, 0, TCP_TRACE_RECORDS);
	CU_ASSERT_EQUAL(read_all(&t, 5, 0, true), 1);
}

/* What lies before its opening is not looked at. */
static void a_walk_ends_at_the_opening(void)
{
	struct tcp_trace t = trace_at(0);

	for (uint16_t g = 0; g < 100; g++)
		tcp_trace_add(&t, 5, TCP_WHAT_OPENED, g, g);
	struct tcp_trace_walk walk = tcp_trace_walk_begin(&t, 5, 99, true);
	CU_ASSERT_EQUAL(tcp_trace_walk_on(&t, &walk, 1, out, ROOM), 1);
	CU_ASSERT(walk.over);
}

/* In small steps, while others write: nothing comes twice, nothing that was overwritten. */
static void a_walk_rests(void)
{
	struct tcp_trace t = trace_at(0);
	uint32_t found = 0, last = UINT32_MAX;

	for (uint32_t i = 0; i < TCP_TRACE_RECORDS; i++)
		tcp_trace_add(&t, i % 1024, TCP_WHAT_SEGMENT_IN, (uint16_t)(i / 1024), i);
	struct tcp_trace_walk walk = tcp_trace_walk_begin(&t, 7, 0, true);
	while (!walk.over) {
		const uint32_t n = tcp_trace_walk_on(&t, &walk, 1000, out, 1);
		if (n == 1) {
			CU_ASSERT(out[0].argument < last);
			CU_ASSERT_EQUAL(out[0].at_us, out[0].argument * 1024 + 7);
			last = out[0].argument;
		}
		found += n;
		for (uint32_t i = 0; i < 1000; i++) /* of others */
			tcp_trace_add(&t, 2000, TCP_WHAT_SEGMENT_OUT, 0, TCP_TRACE_RECORDS + i);
	}
	CU_ASSERT(found > 16 && found < 64);
}

static void rows_have_texts(void)
{
	for (unsigned what = 0; what < TCP_WHATS; what++) {
		CU_ASSERT(strlen(tcp_what_name(what)) > 0);
		CU_ASSERT(strlen(tcp_what_text(what)) > 0);
	}
	CU_ASSERT_PTR_NULL(tcp_what_name(TCP_WHATS));
	CU_ASSERT_PTR_NULL(tcp_what_text(255));
	CU_ASSERT_PTR_NULL(tcp_what_argument(TCP_WHATS));
}

static const struct unit_test tests[] = {
	{"of_one_connection", of_one_connection},
	{"times_are_kept", times_are_kept},
	{"generations_are_apart", generations_are_apart},
	{"the_oldest_give_way", the_oldest_give_way},
	{"a_walk_ends_at_the_opening", a_walk_ends_at_the_opening},
	{"a_walk_rests", a_walk_rests},
	{"rows_have_texts", rows_have_texts},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_trace", tests, argc, argv);
}
