/* tcp_ack_test.c - RFC 6298's numbers. */
#include "dataplane/tcp/tcp_internal.h"
#include "tests/unit/unit.h"

enum { MS = 1000 };

static void first_sample(void)
{
	static const struct {
		uint64_t rtt_us;
		uint32_t srtt_us, rttvar_us, rto_us;
	} rows[] = {
		{0, 1, 0, 200 * MS}, /* a clock that did not move */
		{1, 1, 0, 200 * MS},
		{10 * MS, 10 * MS, 5 * MS, 200 * MS},
		{100 * MS, 100 * MS, 50 * MS, 300 * MS},
		{1000 * MS, 1000 * MS, 500 * MS, 3000 * MS},
		{3600ull * 1000 * MS, 60000 * MS, 30000 * MS, 60000 * MS},
		{UINT64_MAX, 60000 * MS, 30000 * MS, 60000 * MS},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct conn c = {.rto_us = RTO_INITIAL_US};
		tcp_rtt_sample(&c, rows[i].rtt_us);
		CU_ASSERT_EQUAL(c.srtt_us, rows[i].srtt_us);
		CU_ASSERT_EQUAL(c.rttvar_us, rows[i].rttvar_us);
		CU_ASSERT_EQUAL(c.rto_us, rows[i].rto_us);
	}
}

/* RFC 6298 2.3, by hand: SRTT 100, RTTVAR 50, then a sample of 200. */
static void second_sample(void)
{
	struct conn c = {.rto_us = RTO_INITIAL_US};

	tcp_rtt_sample(&c, 100 * MS);
	tcp_rtt_sample(&c, 200 * MS);
	CU_ASSERT_EQUAL(c.rttvar_us, 62500);
	CU_ASSERT_EQUAL(c.srtt_us, 112500);
	CU_ASSERT_EQUAL(c.rto_us, 362500);
	tcp_rtt_sample(&c, 12500);
	CU_ASSERT_EQUAL(c.rttvar_us, 71875);
	CU_ASSERT_EQUAL(c.srtt_us, 100000);
}

static void steady_path_settles(void)
{
	struct conn c = {.rto_us = RTO_INITIAL_US};

	for (int i = 0; i < 200; i++)
		tcp_rtt_sample(&c, 500 * MS);
	CU_ASSERT_EQUAL(c.srtt_us, 500 * MS);
	CU_ASSERT(c.rto_us >= 501 * MS && c.rto_us < 502 * MS); /* G, not 0 */
}

static void back_off_is_bounded(void)
{
	static struct conn conns[1];
	static struct conn_cold colds[1];
	const struct tcp t = {.conns = conns, .colds = colds};

	conns[0].rto_us = 200 * MS;
	for (unsigned i = 0; i < 256; i++) {
		colds[0].backoff = (uint8_t)i;
		const uint32_t want = i < 9 ? (200u * MS) << i : 60000u * MS;
		CU_ASSERT_EQUAL(tcp_rto_us(&t, &conns[0]), want);
	}
}

static const struct unit_test tests[] = {{"first_sample", first_sample},
	{"second_sample", second_sample}, {"steady_path_settles", steady_path_settles},
	{"back_off_is_bounded", back_off_is_bounded}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_ack", tests, argc, argv);
}
