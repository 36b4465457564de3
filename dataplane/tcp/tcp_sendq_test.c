/* tcp_sendq_test.c - the send queue: what goes in comes out, again and again, from any place. */
#include "dataplane/base/rng.h"
#include "dataplane/tcp/tcp_rig.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

enum { STREAM = 20000, LENT = 5000 };

static uint8_t stream[STREAM];
static int refs;

static void on_ref(struct tcp_lent *l)
{
	(void)l;
	refs++;
}

static void on_put(struct tcp_lent *l)
{
	(void)l;
	refs--;
}

/* A connection that will never be answered: its queue is ours to look at. */
static struct conn *conn_open(struct tcp_rig *r, struct tcp_id *id)
{
	CU_ASSERT_EQUAL(
		tcp_connect(r->tcp, rte_cpu_to_be_32(0x0a000002), 80, 0, 0, id, 0), ERR_NONE);
	struct conn *c = tcp_conn_find(r->tcp, *id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

/* Are the bytes [from, from + size) of the queue those of the stream? */
static bool gathers(struct tcp_rig *r, struct conn *c, uint32_t from, uint32_t size)
{
	struct chain chain;
	uint8_t bytes[STREAM];

	if (!tcp_chain_begin(r->tcp, &chain, true))
		return false;
	const uint32_t start = conn_cold(r->tcp, c)->iss + 1 + from;
	const uint32_t got =
		tcp_sendq_gather(r->tcp, c, &chain, (struct tcp_range){start, start + size});
	const void *at = rte_pktmbuf_read(chain.head, 0, got, bytes);
	const bool same = got > 0 && at != NULL && memcmp(at, stream + from, got) == 0;
	CU_ASSERT(chain.head->nb_segs <= 8);
	CU_ASSERT(got == size || chain.head->nb_segs == 8);
	rte_pktmbuf_free(chain.head);
	return same;
}

static struct tcp_lent make_lent(struct rte_mempool *pool)
{
	struct tcp_lent l = {.ref = on_ref, .put = on_put};
	struct rte_mbuf **end = &l.head;

	for (uint32_t at = 0; at < LENT; at += 500, end = &(*end)->next) {
		*end = rte_pktmbuf_alloc(pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(*end);
		memcpy(rte_pktmbuf_append(*end, 500), stream + at, 500);
	}
	return l;
}

static void fill_stream(void)
{
	for (uint32_t i = 0; i < STREAM; i++)
		stream[i] = (uint8_t)(i * 7 + (i >> 8));
}

/* Random pieces, copied and lent, then looked at from random places while the front goes. */
static void same_bytes_always(void)
{
	static struct rte_mempool *pool;
	struct rng rng = rng_from(unit_seed());

	fill_stream();
	pool = pool == NULL ? unit_pool(32) : pool;
	for (unsigned round = 0; round < 20; round++) {
		struct tcp_rig *r = tcp_rig_open(256);
		struct tcp_lent lent = make_lent(pool);
		struct tcp_id id;
		struct conn *c = conn_open(r, &id);
		uint32_t size = 0;
		while (size < LENT - 800) {
			const uint32_t part = 1 + rng_below(&rng, 800);
			const bool ok = rng_chance(&rng, 500000)
						? tcp_send(r->tcp, id, span_of(stream + size, part))
						: tcp_send_lent(r->tcp, id, &lent, size, part);
			CU_ASSERT(ok);
			size += part;
		}
		tcp_sendq_check(r->tcp, c);
		for (uint32_t acked = 0; acked < size; acked += 1 + rng_below(&rng, 400)) {
			tcp_sendq_acked(r->tcp, c, conn_cold(r->tcp, c)->iss + 1 + acked);
			for (int i = 0; i < 5; i++) {
				const uint32_t from = acked + rng_below(&rng, size - acked);
				const uint32_t most = RTE_MIN(size - from, 1460u);
				c->snd_nxt = c->snd_una + (i & 1) * STREAM; /* both cursors */
				CU_ASSERT(gathers(r, c, from, 1 + rng_below(&rng, most)));
			}
			c->snd_nxt = c->snd_max;
			tcp_sendq_check(r->tcp, c);
		}
		tcp_rig_close(r);
		CU_ASSERT_EQUAL(refs, 0);
		rte_pktmbuf_free(lent.head);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
}

static void small_sends_share_buffers(void)
{
	struct tcp_rig *r = tcp_rig_open(256);
	struct tcp_id id;
	struct conn *c = conn_open(r, &id);

	fill_stream();
	for (uint32_t i = 0; i < 1000; i++)
		CU_ASSERT(tcp_send(r->tcp, id, span_of(stream + i, 1)));
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->copies), 1);
	CU_ASSERT_EQUAL(r->tcp->nodes.out, 1);
	CU_ASSERT(gathers(r, c, 0, 1000));
	tcp_rig_close(r);
}

/* Lent pieces between copied ones: the copies still share one buffer. */
static void mixed_sends_share_buffers(void)
{
	struct tcp_rig *r = tcp_rig_open(256);
	struct tcp_lent lent = make_lent(r->held);
	struct tcp_id id;
	struct conn *c = conn_open(r, &id);

	for (uint32_t i = 0; i < 10; i++) {
		CU_ASSERT(tcp_send(r->tcp, id, span_of(stream + 220 * i, 20)));
		CU_ASSERT(tcp_send_lent(r->tcp, id, &lent, 220 * i + 20, 200));
	}
	CU_ASSERT_EQUAL(refs, 10);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->copies), 1);
	CU_ASSERT_EQUAL(r->tcp->nodes.out, 20);
	CU_ASSERT(gathers(r, c, 0, 1400));
	/* What is small is copied at once. */
	CU_ASSERT(tcp_send_lent(r->tcp, id, &lent, 2200, SEND_LEND_MIN));
	CU_ASSERT_EQUAL(refs, 10);
	tcp_sendq_acked(r->tcp, c, c->send_seq + 220 * 10 + SEND_LEND_MIN);
	CU_ASSERT_EQUAL(refs, 0);
	CU_ASSERT_EQUAL(r->tcp->nodes.out, 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->copies), 0);
	rte_pktmbuf_free(lent.head);
	tcp_rig_close(r);
}

/* An mbuf that has too many owners is copied, not shared (its count has 16 bits). */
static void crowded_buffers_are_copied(void)
{
	struct tcp_rig *r = tcp_rig_open(256);
	struct tcp_lent lent = make_lent(r->held);
	struct tcp_id id;
	struct conn *c = conn_open(r, &id);

	CU_ASSERT(tcp_send_lent(r->tcp, id, &lent, 0, 400));
	CU_ASSERT(gathers(r, c, 0, 400));
	rte_mbuf_refcnt_set(lent.head, SEND_REFS_MAX);
	CU_ASSERT(gathers(r, c, 0, 400));
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(lent.head), SEND_REFS_MAX);
	rte_mbuf_refcnt_set(lent.head, 1);
	tcp_sendq_acked(r->tcp, c, c->send_seq + 400);
	rte_pktmbuf_free(lent.head);
	tcp_rig_close(r);
}

static void all_or_nothing(void)
{
	struct tcp_rig *r = tcp_rig_open(3);
	struct tcp_id id;
	struct conn *c = conn_open(r, &id);

	/* Three nodes of a buffer each is the most that fits. */
	CU_ASSERT_FALSE(tcp_send(r->tcp, id, span_of(stream, 4 * 2048)));
	CU_ASSERT_EQUAL(c->send_bytes, 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->copies), 0);
	CU_ASSERT(tcp_send(r->tcp, id, span_of(stream, 100)));
	CU_ASSERT_FALSE(tcp_send(r->tcp, id, span_of(stream, 3 * 2048)));
	CU_ASSERT_EQUAL(c->send_bytes, 100);
	CU_ASSERT_EQUAL(r->tcp->nodes.out, 1);
	tcp_rig_close(r);
}

static void room(void)
{
	struct tcp_rig *r = tcp_rig_open(64);
	struct tcp_id id;

	conn_open(r, &id);
	CU_ASSERT_EQUAL(tcp_send_room(r->tcp, id), 1 << 20);
	CU_ASSERT(tcp_send(r->tcp, id, span_of(stream, 1000)));
	CU_ASSERT_EQUAL(tcp_send_room(r->tcp, id), (1 << 20) - 1000);
	CU_ASSERT(tcp_send(r->tcp, id, (struct span){NULL, 0}));
	tcp_close(r->tcp, id);
	CU_ASSERT_EQUAL(tcp_send_room(r->tcp, id), 0);
	CU_ASSERT_FALSE(tcp_send(r->tcp, id, span_of(stream, 1)));
	tcp_rig_close(r);
}

static const struct unit_test tests[] = {{"same_bytes_always", same_bytes_always},
	{"small_sends_share_buffers", small_sends_share_buffers},
	{"mixed_sends_share_buffers", mixed_sends_share_buffers},
	{"crowded_buffers_are_copied", crowded_buffers_are_copied},
	{"all_or_nothing", all_or_nothing}, {"room", room}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_sendq", tests, argc, argv);
}
