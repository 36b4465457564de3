/* message_test.c - the message store: heads, chains, limits, and that all comes back. */
#include "dataplane/fabric/message.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/pool.h"
#include "dataplane/base/rng.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include <rte_mempool.h>

enum { SEGMENTS = 64, SEGMENT = 2048 /* of unit_pool */ };

static struct counters counters;
static struct rte_mempool *segments;
static struct messages *store;
static uint8_t bytes[200 << 10];
static const struct message_props no_props;

/* As CU_ASSERT_PTR_NOT_NULL_FATAL, and the static analyzer understands it. */
static void must(const void *p)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	ASSERT(p != NULL);
}

static void start(uint32_t count, uint32_t large_count, uint32_t reserve)
{
	segments = unit_pool(SEGMENTS);
	const struct messages_conf conf = {.count = count,
		.large_count = large_count,
		.segments = segments,
		.segments_reserve = reserve,
		.counters = &counters};
	memset(&counters, 0, sizeof(counters));
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 + i / 256);
	store = messages_create(&conf);
	must(store);
}

static void finish(void)
{
	CU_ASSERT_EQUAL(messages_alive(store), 0);
	CU_ASSERT_EQUAL(messages_used(store), 0);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(segments), SEGMENTS);
	messages_destroy(&store);
	CU_ASSERT_PTR_NULL(store);
	rte_mempool_free(segments);
}

static uint64_t refused(enum err e)
{
	return counter_get(&counters, (enum counter)(COUNTER_NAMED + (unsigned)e));
}

static struct message *begin(uint32_t payload_size)
{
	return message_begin(store, span_str("a/b"), &no_props, payload_size);
}

/* The chain is what DPDK takes for a packet, and holds the bytes in order. */
static bool holds(const struct message *m, struct span expected)
{
	uint32_t count = 0;

	if (expected.size == 0)
		return m->payload == NULL;
	if (rte_mbuf_check(m->payload, 1, &(const char *){NULL}) != 0)
		return false;
	if (m->payload->pkt_len != expected.size)
		return false;
	for (const struct rte_mbuf *s = m->payload; s != NULL; s = s->next, count++) {
		/* All but the last are full: that is what makes the limit exact. */
		if (s->next != NULL && s->data_len != SEGMENT)
			return false;
		if (memcmp(rte_pktmbuf_mtod(s, const uint8_t *), expected.at, s->data_len) != 0)
			return false;
		expected = span_skip(expected, s->data_len);
	}
	return expected.size == 0 && count == m->payload->nb_segs;
}

static void heads_are_copied(void)
{
	char topic[] = "a/b", type[] = "text/plain", reply[] = "r/1", id[] = "77",
	     user[] = "\0\1k\0\1v";
	const struct message_props props = {.content_type = span_str(type),
		.reply_to = span_str(reply),
		.correlation = span_str(id),
		.user = span_of(user, 6),
		.expiry_s = 9,
		.payload_is_utf8 = 1,
		.priority = 4};

	start(1, 0, 0);
	struct message *m = message_begin(store, span_str(topic), &props, 0);
	must(m);
	memset(topic, 'x', sizeof(topic));
	memset(type, 'x', sizeof(type));
	memset(reply, 'x', sizeof(reply));
	memset(id, 'x', sizeof(id));
	memset(user, 'x', sizeof(user));
	CU_ASSERT_TRUE(span_equal(m->topic, span_str("a/b")));
	CU_ASSERT_TRUE(span_equal(m->props.content_type, span_str("text/plain")));
	CU_ASSERT_TRUE(span_equal(m->props.reply_to, span_str("r/1")));
	CU_ASSERT_TRUE(span_equal(m->props.correlation, span_str("77")));
	CU_ASSERT_TRUE(span_equal(m->props.user, span_of("\0\1k\0\1v", 6)));
	CU_ASSERT_EQUAL(m->props.expiry_s, 9);
	CU_ASSERT_EQUAL(m->props.payload_is_utf8, 1);
	CU_ASSERT_EQUAL(m->props.priority, 4);
	CU_ASSERT_EQUAL(m->publisher, POOL_NONE);
	CU_ASSERT_EQUAL(m->refs, 1);
	CU_ASSERT_FALSE(m->retain);
	CU_ASSERT_TRUE(message_whole(m));
	message_put(&m);
	CU_ASSERT_PTR_NULL(m);
	finish();
}

struct head_row {
	size_t topic, reply_to;
	bool fits, large;
};

static const struct head_row head_rows[] = {
	{0, 0, true, false},
	{1, 0, true, false},
	{MESSAGE_HEAD_SMALL, 0, true, false},
	{MESSAGE_HEAD_SMALL - 1, 1, true, false},
	{MESSAGE_HEAD_SMALL, 1, true, true},
	{0, MESSAGE_HEAD_SMALL + 1, true, true},
	{65535, 65535, true, true},
	{65535, MESSAGE_HEAD_LARGE - 65535, true, true},
	{65535, MESSAGE_HEAD_LARGE - 65534, false, true},
};

static void heads_are_small_or_large_or_refused(void)
{
	start(2, 1, 0);
	for (size_t i = 0; i < ARRAY_SIZE(head_rows); i++) {
		const struct head_row *row = &head_rows[i];
		const struct span topic = span_of(bytes, row->topic);
		const struct message_props props = {.reply_to = span_of(bytes + 1, row->reply_to)};
		CU_ASSERT_EQUAL(message_fits(store, topic, &props, 0), row->fits);
		struct message *m = message_begin(store, topic, &props, 0);
		CU_ASSERT_EQUAL(m != NULL, row->fits);
		if (m == NULL)
			continue;
		CU_ASSERT_EQUAL(m->large_head, row->large);
		CU_ASSERT_TRUE(span_equal(m->topic, topic));
		CU_ASSERT_TRUE(span_equal(m->props.reply_to, props.reply_to));
		message_put(&m);
	}
	CU_ASSERT_EQUAL(refused(ERR_NO_MESSAGES), 1);
	finish();
}

static void heads_run_out(void)
{
	struct message *m[3];

	start(2, 1, 0);
	m[0] = message_begin(store, span_of(bytes, 600), &no_props, 0);
	CU_ASSERT_PTR_NOT_NULL(m[0]);
	/* No second large one; and what was taken for it came back. */
	CU_ASSERT_PTR_NULL(message_begin(store, span_of(bytes, 600), &no_props, 0));
	CU_ASSERT_EQUAL(messages_alive(store), 1);
	CU_ASSERT_TRUE(message_fits(store, span_of(bytes, 600), &no_props, 0));
	m[1] = begin(0);
	CU_ASSERT_PTR_NOT_NULL(m[1]);
	CU_ASSERT_PTR_NULL(begin(0));
	CU_ASSERT_EQUAL(refused(ERR_NO_MESSAGES), 2);
	message_put(&m[0]);
	m[2] = message_begin(store, span_of(bytes, 600), &no_props, 0);
	CU_ASSERT_PTR_NOT_NULL(m[2]);
	message_put(&m[1]);
	message_put(&m[2]);
	finish();
	start(1, 0, 0);
	CU_ASSERT_FALSE(message_fits(store, span_of(bytes, 600), &no_props, 0));
	finish();
}

static const uint32_t payload_sizes[] = {
	0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 7 * SEGMENT + 5, SEGMENTS *SEGMENT};

static void payloads_arrive_in_any_pieces(void)
{
	static const uint32_t pieces[] = {
		1, 7, 1000, SEGMENT, SEGMENT + 1, 3 * SEGMENT - 1, 1 << 30};

	start(1, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(payload_sizes); i++) {
		for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
			const uint32_t size = payload_sizes[i];
			struct message *m = begin(size);
			must(m);
			for (uint32_t at = 0; at < size;) {
				const uint32_t n = pieces[p] < size - at ? pieces[p] : size - at;
				CU_ASSERT_FALSE(message_whole(m));
				CU_ASSERT_TRUE(message_append(m, span_of(bytes + at, n)));
				at += n;
				CU_ASSERT_TRUE(holds(m, span_of(bytes, at)));
			}
			CU_ASSERT_TRUE(message_append(m, span_of(NULL, 0)));
			CU_ASSERT_TRUE(message_whole(m));
			message_put(&m);
		}
	}
	finish();
}

static void random_pieces_keep_their_order(void)
{
	struct rng rng = rng_from(unit_seed());

	start(1, 0, 0);
	for (int round = 0; round < 300; round++) {
		const uint32_t size = 1 + rng_below(&rng, 40 * SEGMENT);
		struct message *m = begin(size);
		must(m);
		for (uint32_t at = 0; at < size;) {
			uint32_t n = rng_below(&rng, rng_chance(&rng, 500000) ? 10 : 3 * SEGMENT);
			n = n < size - at ? n : size - at;
			CU_ASSERT_TRUE(message_append(m, span_of(bytes + at, n)));
			at += n;
		}
		CU_ASSERT_TRUE(holds(m, span_of(bytes, size)));
		message_put(&m);
	}
	finish();
}

/* When segments run out in the middle of a chunk, nothing of it is taken. */
static void a_chunk_is_taken_whole_or_not(void)
{
	struct rte_mbuf *others[SEGMENTS - 4];

	start(1, 0, 0);
	struct message *m = begin(8 * SEGMENT);
	must(m);
	CU_ASSERT_EQUAL(rte_pktmbuf_alloc_bulk(segments, others, ARRAY_SIZE(others)), 0);
	CU_ASSERT_TRUE(message_append(m, span_of(bytes, SEGMENT + 10)));
	CU_ASSERT_FALSE(message_append(m, span_of(bytes + SEGMENT + 10, 4 * SEGMENT)));
	CU_ASSERT_EQUAL(refused(ERR_NO_BUFFERS), 1);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(segments), 2);
	CU_ASSERT_TRUE(holds(m, span_of(bytes, SEGMENT + 10)));
	/* A smaller one fits: the tail's room and two segments, to the byte. */
	CU_ASSERT_FALSE(message_append(m, span_of(bytes + SEGMENT + 10, 3 * SEGMENT - 9)));
	CU_ASSERT_TRUE(message_append(m, span_of(bytes + SEGMENT + 10, 3 * SEGMENT - 10)));
	CU_ASSERT_TRUE(holds(m, span_of(bytes, 4 * SEGMENT)));
	rte_pktmbuf_free_bulk(others, ARRAY_SIZE(others));
	CU_ASSERT_TRUE(message_append(m, span_of(bytes + 4 * SEGMENT, 4 * SEGMENT)));
	CU_ASSERT_TRUE(message_whole(m));
	CU_ASSERT_TRUE(holds(m, span_of(bytes, 8 * SEGMENT)));
	message_put(&m);
	finish();
}

struct reserve_row {
	uint32_t reserve, taken, payload;
	bool begins, fits;
};

static const struct reserve_row reserve_rows[] = {
	{0, 0, SEGMENTS *SEGMENT, true, true}, {0, 0, SEGMENTS *SEGMENT + 1, false, false},
	{4, 0, 60 * SEGMENT, true, true}, {4, 0, 60 * SEGMENT + 1, false, false},
	{4, 59, SEGMENT, true, true}, {4, 60, 1, false, true},
	{4, 60, 0, true, true}, /* takes no segment */
	{4, 64, 0, true, true}, {0, 64, 1, false, true}, {65, 0, 1, false, false},
	{0, 0, UINT32_MAX, false, false},
	{0, 0, MESSAGE_PAYLOAD_MAX, false, false}, /* of this pool; see the next test */
};

static void the_reserve_is_kept(void)
{
	struct rte_mbuf *others[SEGMENTS];

	for (size_t i = 0; i < ARRAY_SIZE(reserve_rows); i++) {
		const struct reserve_row *row = &reserve_rows[i];
		start(1, 0, row->reserve);
		if (row->taken > 0)
			CU_ASSERT_EQUAL(rte_pktmbuf_alloc_bulk(segments, others, row->taken), 0);
		CU_ASSERT_EQUAL(
			message_fits(store, span_str("t"), &no_props, row->payload), row->fits);
		struct message *m = begin(row->payload);
		CU_ASSERT_EQUAL(m != NULL, row->begins);
		CU_ASSERT_EQUAL(refused(ERR_NO_MESSAGES), row->begins ? 0 : 1);
		if (m != NULL)
			message_put(&m);
		if (row->taken > 0)
			rte_pktmbuf_free_bulk(others, row->taken);
		finish();
	}
}

/* A chain of 65535 segments, the most that nb_segs can say. Tiny ones, to keep the test small. */
static void the_longest_chain_is_exact(void)
{
	enum { TINY = 16, CHAIN = UINT16_MAX };
	unit_eal_start();
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"tiny", CHAIN + 1, 0, 0, RTE_PKTMBUF_HEADROOM + TINY, (int)SOCKET_ID_ANY);
	const struct messages_conf conf = {.count = 1, .segments = pool, .counters = &counters};

	must(pool);
	store = messages_create(&conf);
	must(store);
	CU_ASSERT_PTR_NULL(begin(CHAIN * TINY + 1));
	struct message *m = begin(CHAIN * TINY);
	must(m);
	while (!message_whole(m)) {
		const uint32_t left = m->payload_size - m->payload_have;
		const uint32_t n = left < 100000 ? left : 100000;
		CU_ASSERT_TRUE_FATAL(message_append(m, span_of(bytes, n)));
	}
	CU_ASSERT_EQUAL(m->payload->nb_segs, CHAIN);
	CU_ASSERT_EQUAL(m->payload->pkt_len, CHAIN * TINY);
	CU_ASSERT_EQUAL(rte_mbuf_check(m->payload, 1, &(const char *){NULL}), 0);
	message_put(&m);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), CHAIN + 1);
	messages_destroy(&store);
	rte_mempool_free(pool);
}

static void the_last_reference_frees(void)
{
	start(1, 1, 0);
	struct message *m = begin(3 * SEGMENT);
	must(m);
	CU_ASSERT_TRUE(message_append(m, span_of(bytes, 3 * SEGMENT)));
	struct message *second = message_ref(m), *third = message_ref(m);
	message_put(&m);
	message_put(&third);
	CU_ASSERT_EQUAL(messages_alive(store), 1);
	CU_ASSERT_TRUE(holds(second, span_of(bytes, 3 * SEGMENT)));
	message_put(&second);
	CU_ASSERT_EQUAL(messages_alive(store), 0);
	finish();
}

/* A transport still sends from a segment when the message goes: the segment outlives it. */
static void lent_segments_come_back_later(void)
{
	start(1, 0, 0);
	struct rte_mempool *headers =
		rte_pktmbuf_pool_create("headers", 4, 0, 0, 0, (int)SOCKET_ID_ANY);
	must(headers);
	struct message *m = begin(3 * SEGMENT);
	must(m);
	CU_ASSERT_TRUE(message_append(m, span_of(bytes, 3 * SEGMENT)));
	struct rte_mbuf *lent = rte_pktmbuf_alloc(headers);
	rte_pktmbuf_attach(lent, m->payload->next);
	message_put(&m);
	CU_ASSERT_EQUAL(messages_alive(store), 0);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(segments), SEGMENTS - 1);
	CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod(lent, uint8_t *), bytes + SEGMENT, SEGMENT), 0);
	rte_pktmbuf_free(lent);
	/* And is as good as new. */
	m = begin(SEGMENTS * SEGMENT);
	must(m);
	CU_ASSERT_TRUE(message_append(m, span_of(bytes, SEGMENTS * SEGMENT)));
	CU_ASSERT_TRUE(holds(m, span_of(bytes, SEGMENTS * SEGMENT)));
	message_put(&m);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(headers), 4);
	rte_mempool_free(headers);
	finish();
}

/* Two stores, as of two workers, over one pool: the payload goes back with the last of both. */
static void another_store_shares_the_payload(void)
{
	const struct message_props props = {.correlation = span_str("77"), .expiry_s = 9};

	start(1, 0, 0);
	const struct messages_conf conf = {.count = 1, .segments = segments, .counters = &counters};
	struct messages *other = messages_create(&conf);
	must(other);
	for (int lender_first = 0; lender_first < 2; lender_first++) {
		struct message *m = message_begin(store, span_str("a"), &props, 3 * SEGMENT);
		must(m);
		CU_ASSERT_TRUE(message_append(m, span_of(bytes, 3 * SEGMENT)));
		m->qos = 2;
		m->retain = true;
		m->publisher = 4;
		m->origin = (struct message_origin){1, 2, 3, 4};
		message_lend(m);
		struct message *shared = message_share(other, m);
		must(shared);
		CU_ASSERT_TRUE(span_equal(shared->topic, span_str("a")));
		CU_ASSERT_TRUE(span_equal(shared->props.correlation, span_str("77")));
		CU_ASSERT_EQUAL(shared->props.expiry_s, 9);
		CU_ASSERT_EQUAL(shared->qos, 2);
		CU_ASSERT_TRUE(shared->retain);
		CU_ASSERT_EQUAL(shared->publisher, POOL_NONE);
		CU_ASSERT_EQUAL(shared->origin.session, 1);
		CU_ASSERT_EQUAL(shared->origin.index, 2);
		CU_ASSERT_EQUAL(shared->origin.generation, 3);
		CU_ASSERT_EQUAL(shared->origin.worker, 4);
		CU_ASSERT_TRUE(message_whole(shared));
		/* No room for a second: the reference stays ours. */
		message_lend(m);
		CU_ASSERT_PTR_NULL(message_share(other, m));
		rte_pktmbuf_free(m->payload);
		message_put(lender_first ? &m : &shared);
		CU_ASSERT_EQUAL(rte_mempool_avail_count(segments), SEGMENTS - 3);
		CU_ASSERT_TRUE(holds(lender_first ? shared : m, span_of(bytes, 3 * SEGMENT)));
		message_put(lender_first ? &shared : &m);
		CU_ASSERT_EQUAL(rte_mempool_avail_count(segments), SEGMENTS);
	}
	messages_destroy(&other);
	finish();
}

static void a_reserve_of_heads_is_for_shared_ones(void)
{
	const struct messages_conf conf = {.count = 2,
		.large_count = 1,
		.share_reserve = 1,
		.large_share_reserve = 1,
		.segments = NULL,
		.counters = &counters};

	start(2, 1, 0);
	struct messages_conf with = conf;
	with.segments = segments;
	struct messages *other = messages_create(&with);
	must(other);
	struct message *m = begin(0),
		       *large = message_begin(store, span_of(bytes, 600), &no_props, 0);
	must(m);
	must(large);
	CU_ASSERT_TRUE(message_may_lend_on(other, m));
	CU_ASSERT_FALSE(message_may_lend_on(other, large));
	CU_ASSERT_PTR_NULL(message_begin(other, span_of(bytes, 600), &no_props, 0));
	struct message *first = message_begin(other, span_str("t"), &no_props, 0);
	must(first);
	CU_ASSERT_PTR_NULL(message_begin(other, span_str("t"), &no_props, 0));
	CU_ASSERT_FALSE(message_may_lend_on(other, m));
	struct message *shared = message_share(other, large);
	must(shared);
	message_put(&shared);
	message_put(&first);
	message_put(&m);
	message_put(&large);
	messages_destroy(&other);
	finish();
}

/* A message given up half-way, as when its publisher vanishes. */
static void half_a_message_comes_back(void)
{
	start(1, 1, 0);
	struct message *m = message_begin(store, span_of(bytes, 5000), &no_props, 9 * SEGMENT);
	must(m);
	CU_ASSERT_TRUE(message_append(m, span_of(bytes, 5 * SEGMENT + 1)));
	message_put(&m);
	finish();
}

static const struct unit_test tests[] = {
	{"heads_are_copied", heads_are_copied},
	{"heads_are_small_or_large_or_refused", heads_are_small_or_large_or_refused},
	{"heads_run_out", heads_run_out},
	{"payloads_arrive_in_any_pieces", payloads_arrive_in_any_pieces},
	{"random_pieces_keep_their_order", random_pieces_keep_their_order},
	{"a_chunk_is_taken_whole_or_not", a_chunk_is_taken_whole_or_not},
	{"the_reserve_is_kept", the_reserve_is_kept},
	{"the_longest_chain_is_exact", the_longest_chain_is_exact},
	{"the_last_reference_frees", the_last_reference_frees},
	{"lent_segments_come_back_later", lent_segments_come_back_later},
	{"another_store_shares_the_payload", another_store_shares_the_payload},
	{"a_reserve_of_heads_is_for_shared_ones", a_reserve_of_heads_is_for_shared_ones},
	{"half_a_message_comes_back", half_a_message_comes_back},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("message", tests, argc, argv);
}
