/* tcp_ahead.c - bytes beyond a gap, until the gap is filled; and what SACK tells of them.
 *
 * A list of `held` buffers in order of sequence number, packed, so that many
 * small segments in a row cost one buffer. Bounded for each connection, and by
 * what the pool has left. Where bytes come twice the first ones stay.
 * A buffer's first sequence number is in its hash.usr. Spec: RFC 2018, 2883. */
#include "dataplane/tcp/tcp_internal.h"

static uint32_t node_start(const struct rte_mbuf *m)
{
	return m->hash.usr;
}

static uint32_t node_end(const struct rte_mbuf *m)
{
	return m->hash.usr + m->data_len;
}

static struct rte_mbuf *node_get(struct tcp *t, struct conn *c, uint32_t seq)
{
	struct conn_cold *cold = conn_cold(t, c);
	struct rte_mbuf *m = NULL;

	if (cold->ahead_buffers < t->ahead_max &&
		rte_mempool_avail_count(t->conf.held) > t->held_ahead_floor)
		m = rte_pktmbuf_alloc(t->conf.held);
	if (m == NULL) {
		counter_err(t->conf.counters, ERR_TCP_OUT_OF_ORDER_FULL);
		return NULL;
	}
	m->hash.usr = seq;
	cold->ahead_buffers++;
	return m;
}

/* Links m behind prev; NULL: at the front. */
static void link_after(struct conn_cold *cold, struct rte_mbuf *prev, struct rte_mbuf *m)
{
	struct rte_mbuf **slot = prev == NULL ? &cold->ahead_head : &prev->next;

	m->next = *slot;
	*slot = m;
	if (m->next == NULL)
		cold->ahead_tail = m;
}

/* `size` bytes of a chain from `offset` on. */
static void copy_out(const struct rte_mbuf *m, uint32_t offset, uint8_t *to, uint32_t size)
{
	while (size > 0) {
		if (offset >= m->data_len) {
			offset -= m->data_len;
			m = m->next;
			continue;
		}
		const uint32_t part = RTE_MIN(size, m->data_len - offset);
		memcpy(to, rte_pktmbuf_mtod_offset(m, const uint8_t *, offset), part);
		to += part;
		size -= part;
		offset = 0;
		m = m->next;
	}
}

/* Stores the segment's bytes `range`, which nothing has yet, behind *prev; *prev becomes the buffer
 * that holds the last of them. Returns where it had to stop. */
static uint32_t store(struct tcp *t, struct conn *c, const struct segment *s,
	struct tcp_range range, struct rte_mbuf **prev)
{
	while (seq_lt(range.left, range.right)) {
		struct rte_mbuf *m = *prev;
		if (m == NULL || node_end(m) != range.left || rte_pktmbuf_tailroom(m) == 0) {
			m = node_get(t, c, range.left);
			if (m == NULL)
				break;
			link_after(conn_cold(t, c), *prev, m);
			*prev = m;
		}
		const uint16_t part = (uint16_t)RTE_MIN(
			range.right - range.left, (uint32_t)rte_pktmbuf_tailroom(m));
		copy_out(s->mbuf, s->offset + (range.left - s->seq),
			rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len), part);
		m->data_len += part;
		m->pkt_len = m->data_len;
		range.left += part;
	}
	return range.left;
}

/* Fills what is missing of the segment; true: something was. */
static bool fill_gaps(struct tcp *t, struct conn *c, const struct segment *s)
{
	struct conn_cold *cold = conn_cold(t, c);
	const uint32_t end = s->seq + s->size;
	uint32_t at = s->seq;
	struct rte_mbuf *prev = NULL;
	struct rte_mbuf *next = cold->ahead_head;
	bool missing = false;

	if (next != NULL && seq_ge(at, node_start(cold->ahead_tail)))
		next = cold->ahead_tail; /* most come in order */
	while (seq_lt(at, end)) {
		while (next != NULL && seq_le(node_end(next), at)) {
			prev = next;
			next = next->next;
		}
		if (next != NULL && seq_le(node_start(next), at)) {
			at = seq_min(node_end(next), end);
			continue;
		}
		const uint32_t gap_end = next == NULL ? end : seq_min(node_start(next), end);
		missing = true;
		at = store(t, c, s, (struct tcp_range){at, gap_end}, &prev);
		if (at != gap_end)
			break;
	}
	return missing;
}

/* The run of bytes without a gap that holds `seq`; empty if nothing does. */
static struct tcp_range find_run(const struct conn_cold *cold, uint32_t seq)
{
	struct tcp_range run = {seq, seq};

	for (const struct rte_mbuf *m = cold->ahead_head; m != NULL; m = m->next) {
		if (seq_gt(node_start(m), seq) && node_start(m) != run.right)
			break;
		if (m == cold->ahead_head || node_start(m) != run.right)
			run.left = node_start(m);
		run.right = node_end(m);
	}
	return run;
}

/* RFC 2018 4: the block that holds the newest segment is told first, then those told before. */
static void report(struct conn_cold *cold, struct tcp_range run)
{
	struct tcp_range told[TCP_SACK_BLOCKS];
	uint8_t count = 0;

	told[count++] = run;
	for (unsigned i = 0; i < cold->sack_count && count < TCP_SACK_BLOCKS; i++) {
		const struct tcp_range r = cold->sack[i];
		if (seq_lt(r.right, run.left) || seq_gt(r.left, run.right))
			told[count++] = r;
	}
	memcpy(cold->sack, told, count * sizeof(told[0]));
	cold->sack_count = count;
}

void tcp_ahead_insert(struct tcp *t, struct conn *c, const struct segment *s)
{
	struct conn_cold *cold = conn_cold(t, c);

	ASSERT(seq_gt(s->seq, c->rcv_nxt));
	if (!fill_gaps(t, c, s) && (c->flags & CONN_SACK) != 0) {
		c->flags |= CONN_DSACK; /* RFC 2883 4: all of it was here already */
		cold->dsack = (struct tcp_range){s->seq, s->seq + s->size};
	}
	const struct tcp_range run = find_run(cold, s->seq);
	if (seq_le(run.left, s->seq) && seq_gt(run.right, s->seq))
		report(cold, run);
}

/* Forgets reports that RCV.NXT has overtaken. */
static void prune_reports(struct conn *c, struct conn_cold *cold)
{
	uint8_t count = 0;

	for (unsigned i = 0; i < cold->sack_count; i++)
		if (seq_gt(cold->sack[i].left, c->rcv_nxt))
			cold->sack[count++] = cold->sack[i];
	cold->sack_count = count;
}

/* RCV.NXT moved: what it reaches goes to the receive queue. */
void tcp_ahead_merge(struct tcp *t, struct conn *c)
{
	struct conn_cold *cold = conn_cold(t, c);

	while (cold->ahead_head != NULL && seq_le(node_start(cold->ahead_head), c->rcv_nxt)) {
		struct rte_mbuf *m = cold->ahead_head;
		const uint32_t old = c->rcv_nxt - node_start(m);
		cold->ahead_head = m->next;
		if (cold->ahead_head == NULL)
			cold->ahead_tail = NULL;
		cold->ahead_buffers--;
		if (old >= m->data_len) {
			rte_pktmbuf_free_seg(m);
			continue;
		}
		rte_pktmbuf_adj(m, (uint16_t)old);
		c->rcv_nxt += m->data_len;
		c->recv_bytes += m->data_len;
		tcp_recv_append(t, c, m);
	}
	prune_reports(c, cold);
}

void tcp_ahead_free(struct tcp *t, struct conn *c)
{
	struct conn_cold *cold = conn_cold(t, c);

	for (struct rte_mbuf *m = cold->ahead_head, *next; m != NULL; m = next) {
		next = m->next;
		rte_pktmbuf_free_seg(m);
	}
	cold->ahead_head = cold->ahead_tail = NULL;
	cold->ahead_buffers = 0;
	cold->sack_count = 0;
}

void tcp_ahead_check(const struct tcp *t, const struct conn *c)
{
	const struct conn_cold *cold = conn_cold(t, c);
	const struct rte_mbuf *last = NULL;
	uint32_t buffers = 0;

	for (const struct rte_mbuf *m = cold->ahead_head; m != NULL; m = m->next) {
		ASSERT(m->data_len > 0);
		ASSERT(seq_gt(node_start(m), c->rcv_nxt));
		ASSERT(last == NULL || seq_ge(node_start(m), node_end(last)));
		last = m;
		buffers++;
	}
	ASSERT(last == cold->ahead_tail);
	ASSERT(buffers == cold->ahead_buffers);
	ASSERT(buffers <= t->ahead_max);
	for (unsigned i = 0; i < cold->sack_count; i++)
		ASSERT(seq_gt(cold->sack[i].left, c->rcv_nxt));
}
