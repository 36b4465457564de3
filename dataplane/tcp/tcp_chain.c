/* tcp_chain.c - the buffers of one outgoing segment.
 *
 * First a header buffer of our own; small pieces are copied behind the header,
 * larger ones attached as indirect mbufs, so that one payload serves many
 * connections. A chain is never longer than the NIC takes: then the segment is
 * shorter. The last free headers are left to segments without data. */
#include "dataplane/tcp/tcp_internal.h"

static struct rte_mbuf *header_get(struct tcp *t, bool data)
{
	if (data && rte_mempool_avail_count(t->conf.headers) <= t->headers_reserve)
		return NULL;
	return rte_pktmbuf_alloc(t->conf.headers);
}

bool tcp_chain_begin(struct tcp *t, struct chain *chain, bool data)
{
	/* A NIC without chains needs a first buffer that takes all. */
	const bool alone = data && t->conf.segs_max == 1;

	chain->head = alone ? rte_pktmbuf_alloc(t->conf.copies) : header_get(t, data);
	chain->last = chain->head;
	chain->segs = 1;
	if (chain->head == NULL)
		counter_err(t->conf.counters, ERR_NO_BUFFERS);
	return chain->head != NULL;
}

static bool link_segment(struct chain *chain, struct rte_mbuf *m)
{
	chain->last->next = m;
	chain->last = m;
	chain->segs++;
	chain->head->nb_segs = chain->segs;
	return true;
}

/* Room behind the last buffer's bytes, if they are ours to write. */
static uint32_t tail_room(const struct chain *chain)
{
	return RTE_MBUF_DIRECT(chain->last) ? rte_pktmbuf_tailroom(chain->last) : 0;
}

static uint32_t copy_tail(struct chain *chain, struct span bytes)
{
	const uint32_t n = (uint32_t)RTE_MIN(bytes.size, (size_t)tail_room(chain));

	memcpy(rte_pktmbuf_mtod_offset(chain->last, uint8_t *, chain->last->data_len), bytes.at, n);
	chain->last->data_len += (uint16_t)n;
	chain->head->pkt_len += n;
	return n;
}

/* All of a piece into one buffer if possible; what fits if the chain is at its longest. */
static uint32_t add_copy(struct tcp *t, struct chain *chain, struct span bytes)
{
	if (tail_room(chain) < bytes.size && chain->segs < t->conf.segs_max) {
		struct rte_mbuf *m = bytes.size <= SEND_COPY_MAX
					     ? header_get(t, true)
					     : rte_pktmbuf_alloc(t->conf.copies);
		if (m == NULL)
			return 0;
		link_segment(chain, m);
	}
	return copy_tail(chain, bytes);
}

/* An mbuf's count of references has 16 bits. */
static bool can_share(const struct rte_mbuf *m)
{
	if (RTE_MBUF_HAS_EXTBUF(m))
		return rte_mbuf_ext_refcnt_read(m->shinfo) < SEND_REFS_MAX;
	if (RTE_MBUF_CLONED(m))
		m = rte_mbuf_from_indirect((struct rte_mbuf *)(uintptr_t)m);
	return rte_mbuf_refcnt_read(m) < SEND_REFS_MAX;
}

static uint32_t add_shared(
	struct tcp *t, struct chain *chain, const struct rte_mbuf *m, struct tcp_range part)
{
	struct rte_mbuf *view = header_get(t, true);

	if (view == NULL)
		return 0;
	rte_pktmbuf_attach(view, (struct rte_mbuf *)(uintptr_t)m);
	view->data_off = (uint16_t)(m->data_off + part.left);
	view->data_len = (uint16_t)(part.right - part.left);
	view->pkt_len = view->data_len;
	view->next = NULL;
	view->nb_segs = 1;
	link_segment(chain, view);
	chain->head->pkt_len += view->data_len;
	return view->data_len;
}

uint32_t tcp_chain_add(
	struct tcp *t, struct chain *chain, const struct rte_mbuf *m, struct tcp_range part)
{
	const uint32_t size = part.right - part.left;
	const struct span bytes =
		span_of(rte_pktmbuf_mtod_offset(m, const uint8_t *, part.left), size);

	ASSERT(part.right <= m->data_len);
	if (size <= SEND_COPY_MAX || chain->segs >= t->conf.segs_max || !can_share(m))
		return add_copy(t, chain, bytes);
	return add_shared(t, chain, m, part);
}
