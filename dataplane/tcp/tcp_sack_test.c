/* tcp_sack_test.c - sequence numbers, and the scoreboard against a map of every byte. */
#include "dataplane/tcp/tcp_sack.h"

#include "dataplane/base/rng.h"
#include "dataplane/tcp/tcp_seq.h"
#include "tests/unit/unit.h"

enum { SPAN = 4000, MSS = 100 };

static void sequence_rows(void)
{
	static const struct {
		uint32_t a, b;
		bool less;
	} rows[] = {{0, 1, true}, {1, 0, false}, {5, 5, false}, {0xffffffff, 0, true},
		{0, 0xffffffff, false}, {0x7fffffff, 0x80000000, true}, {0, 0x7fffffff, true},
		{0, 0x80000001, false}, {0xfffffff0, 0x10, true}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CU_ASSERT_EQUAL(seq_lt(rows[i].a, rows[i].b), rows[i].less);
		CU_ASSERT_EQUAL(seq_gt(rows[i].b, rows[i].a), rows[i].less);
		CU_ASSERT_EQUAL(
			seq_le(rows[i].a, rows[i].b), rows[i].less || rows[i].a == rows[i].b);
		CU_ASSERT_EQUAL(
			seq_max(rows[i].a, rows[i].b), rows[i].less ? rows[i].b : rows[i].a);
	}
	CU_ASSERT(seq_in(0, 0xffffffff, 2));
	CU_ASSERT(!seq_in(1, 0xffffffff, 2));
	CU_ASSERT(!seq_in(5, 5, 0));
}

/* The model: one flag a byte. */
struct model {
	uint32_t base; /* sequence number of flag 0 */
	bool told[SPAN];
	uint32_t una, high_rxt; /* as indices */
	uint32_t lost;          /* by time; una: nothing */
};

static void compare(const struct board *b, const struct model *m)
{
	const struct board_flight f = {
		m->base + m->una, m->base + SPAN, m->base + m->high_rxt, MSS, m->base + m->lost};
	uint32_t told = 0;
	uint32_t ranges = 0;
	uint32_t above = 0;
	uint32_t lost = m->una;
	uint32_t top = m->una;
	uint32_t pipe = 0;

	board_check(b, &f);
	/* IsLost (), from the top: bytes and ranges above each byte. */
	for (uint32_t i = SPAN; i-- > m->una;) {
		if (!m->told[i])
			continue;
		above++;
		top = top > i ? top : i + 1;
		const bool begins = i == m->una || !m->told[i - 1];
		ranges += begins;
		if (begins && lost == m->una && (ranges >= 3 || above > 2 * MSS))
			lost = i;
	}
	/* RFC 8985: what time tells, below the highest report. */
	const uint32_t late = m->lost < top ? m->lost : top;
	lost = late > lost ? late : lost;
	for (uint32_t i = m->una; i < SPAN; i++) {
		told += m->told[i];
		if (!m->told[i])
			pipe += (i >= lost) + (i < m->high_rxt);
	}
	CU_ASSERT_EQUAL(board_bytes(b, m->base + SPAN), told);
	CU_ASSERT_EQUAL(board_lost_edge(b, &f), m->base + lost);
	CU_ASSERT_EQUAL(board_pipe(b, &f), pipe);
}

static void compare_holes(const struct board *b, const struct model *m, struct rng *r)
{
	const uint32_t from = m->una + rng_below(r, SPAN - m->una);
	const uint32_t to = from + rng_below(r, SPAN - from + 1);
	uint32_t left = from;
	struct tcp_range hole;

	while (left < to && m->told[left])
		left++;
	uint32_t right = left;
	while (right < to && !m->told[right])
		right++;
	const bool found = board_hole(b, (struct tcp_range){m->base + from, m->base + to}, &hole);
	CU_ASSERT_EQUAL(found, left < right);
	if (found) {
		CU_ASSERT_EQUAL(hole.left, m->base + left);
		CU_ASSERT_EQUAL(hole.right, m->base + right);
	}
}

/* One random report, or a step of SND.UNA; few enough ranges that none is forgotten. */
static void step(struct board *b, struct model *m, struct rng *r)
{
	if (rng_chance(r, 50000)) {
		m->una += rng_below(r, (SPAN - m->una) / 4 + 1);
		while (m->una < SPAN && m->told[m->una])
			m->una++;
		m->high_rxt = m->high_rxt < m->una ? m->una : m->high_rxt;
		m->lost = m->lost < m->una ? m->una : m->lost;
		board_advance(b, m->base + m->una);
		return;
	}
	if (m->una + 2 >= SPAN || b->count >= BOARD_RANGES - 1)
		return;
	const uint32_t left = m->una + 1 + rng_below(r, SPAN - m->una - 2);
	const uint32_t most = SPAN - left < 300 ? SPAN - left : 300;
	const uint32_t size = 1 + rng_below(r, most);
	uint32_t news = 0;
	for (uint32_t i = left; i < left + size; i++) {
		news += !m->told[i];
		m->told[i] = true;
	}
	CU_ASSERT_EQUAL(
		board_add(b, (struct tcp_range){m->base + left, m->base + left + size}), news);
	m->high_rxt = m->una + rng_below(r, SPAN - m->una);
	m->lost = rng_chance(r, 500000) ? m->una : m->una + rng_below(r, SPAN - m->una);
}

static void against_a_map(void)
{
	struct rng r = rng_from(unit_seed());

	for (unsigned round = 0; round < 60; round++) {
		struct model m = {.base = (uint32_t)rng_next(&r)};
		struct board b;
		if (round % 3 == 0)
			m.base = 0u - rng_below(&r, SPAN); /* wraps within */
		board_init(&b);
		for (unsigned i = 0; i < 60; i++) {
			step(&b, &m, &r);
			compare(&b, &m);
			compare_holes(&b, &m, &r);
		}
	}
}

/* More ranges than fit: forgotten, and nothing else happens. */
static void full_board_forgets(void)
{
	struct board b;

	board_init(&b);
	for (uint32_t i = 0; i < BOARD_RANGES; i++)
		CU_ASSERT_EQUAL(board_add(&b, (struct tcp_range){10 * i + 1, 10 * i + 5}), 4);
	CU_ASSERT_EQUAL(board_add(&b, (struct tcp_range){5000, 5001}), 0);
	CU_ASSERT_EQUAL(b.count, BOARD_RANGES);
	/* One that joins two still counts. */
	CU_ASSERT_EQUAL(board_add(&b, (struct tcp_range){3, 13}), 6);
	CU_ASSERT_EQUAL(b.count, BOARD_RANGES - 1);
	CU_ASSERT_EQUAL(board_add(&b, (struct tcp_range){5000, 5001}), 1);
	CU_ASSERT_EQUAL(board_top(&b, 0), 5001);
}

static const struct unit_test tests[] = {{"sequence_rows", sequence_rows},
	{"against_a_map", against_a_map}, {"full_board_forgets", full_board_forgets}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_sack", tests, argc, argv);
}
