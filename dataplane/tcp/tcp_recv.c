/* tcp_recv.c - bytes in order: the receive queue and the calls that read it.
 *
 * During a turn the queue may hold receive buffers as they came. tcp_recv_settle,
 * before anything of the connection is sent, copies what was not read into `held`
 * buffers; what finds no room there is given up: RCV.NXT goes back before it was
 * ever acknowledged, and the peer sends it again.
 * Not here: bytes beyond a gap (tcp_ahead.c), the window (tcp_window.c). */
#include "dataplane/tcp/tcp_internal.h"

enum { HELD_ALWAYS = 4 }; /* buffers a connection may hold even when few are left */

static bool is_held(const struct tcp *t, const struct rte_mbuf *m)
{
	return m->pool == t->conf.held;
}

/* Puts a segment, which is no chain, at the end of the queue. */
void tcp_recv_append(struct tcp *t, struct conn *c, struct rte_mbuf *m)
{
	m->next = NULL;
	m->nb_segs = 1;
	m->pkt_len = m->data_len;
	if (c->recv_tail == NULL)
		c->recv_head = m;
	else
		c->recv_tail->next = m;
	c->recv_tail = m;
	if (is_held(t, m))
		conn_cold(t, c)->held_buffers++;
	else
		c->flags |= CONN_TURN_BUFFERS;
}

static void free_buffer(struct tcp *t, struct conn *c, struct rte_mbuf *m)
{
	if (is_held(t, m))
		conn_cold(t, c)->held_buffers--;
	rte_pktmbuf_free_seg(m);
}

/* Takes the segment's buffers, cut to its payload. */
static void append_chain(struct tcp *t, struct conn *c, struct segment *s)
{
	struct rte_mbuf *m = s->mbuf;
	uint32_t offset = s->offset;
	uint32_t left = s->size;

	s->mbuf = NULL;
	while (m != NULL) {
		struct rte_mbuf *next = m->next;
		if (offset >= m->data_len || left == 0) {
			offset -= RTE_MIN(offset, m->data_len);
			rte_pktmbuf_free_seg(m);
		} else {
			m->data_off += (uint16_t)offset;
			m->data_len = (uint16_t)RTE_MIN(m->data_len - offset, left);
			offset = 0;
			left -= m->data_len;
			tcp_recv_append(t, c, m);
		}
		m = next;
	}
	ASSERT(left == 0);
}

/* RFC 9293 3.10.7.4, seventh: text that begins at RCV.NXT, or beyond a gap. */
void tcp_recv_accept(struct tcp *t, struct conn *c, struct segment *s, struct tcp_effects *fx)
{
	ASSERT(seq_ge(s->seq, c->rcv_nxt));
	if (s->seq != c->rcv_nxt) {
		counter_add(t->conf.counters, COUNTER_TCP_OUT_OF_ORDER, 1);
		tcp_ahead_insert(t, c, s);
		fx->ack = true; /* RFC 5681 4.2: at once */
		return;
	}
	const uint32_t before = c->rcv_nxt;
	append_chain(t, c, s);
	c->recv_bytes += s->size;
	c->rcv_nxt += s->size;
	if (conn_cold(t, c)->ahead_head != NULL) {
		tcp_ahead_merge(t, c);
		fx->ack = true; /* RFC 5681 4.2: it fills a gap, or part of one */
	}
	counter_add(t->conf.counters, COUNTER_TCP_RX_BYTES, c->rcv_nxt - before);
	fx->wake = fx->output = true;
	if (c->unacked_segments < UINT8_MAX)
		c->unacked_segments++;
	if (c->unacked_segments >= 2) /* RFC 9293 MUST-59 */
		fx->ack = true;
	else
		fx->ack_later = true;
}

/* A buffer to keep bytes in; the last ones are for connections that hold few. */
static struct rte_mbuf *held_get(struct tcp *t, struct conn *c)
{
	const struct conn_cold *cold = conn_cold(t, c);

	if (cold->held_buffers >= HELD_ALWAYS &&
		rte_mempool_avail_count(t->conf.held) <= t->held_reserve)
		return NULL;
	struct rte_mbuf *m = rte_pktmbuf_alloc(t->conf.held);
	if (m == NULL && cold->ahead_head != NULL) {
		tcp_ahead_free(t, c); /* what is in order is worth more */
		m = rte_pktmbuf_alloc(t->conf.held);
	}
	return m;
}

/* Copies as much of m as finds room into held buffers; says how much. */
static uint32_t copy_to_held(struct tcp *t, struct conn *c, const struct rte_mbuf *m)
{
	uint32_t done = 0;

	while (done < m->data_len) {
		struct rte_mbuf *tail = c->recv_tail;
		if (tail == NULL || rte_pktmbuf_tailroom(tail) == 0) {
			tail = held_get(t, c);
			if (tail == NULL)
				break;
			tcp_recv_append(t, c, tail);
		}
		const uint16_t part =
			(uint16_t)RTE_MIN(m->data_len - done, rte_pktmbuf_tailroom(tail));
		memcpy(rte_pktmbuf_mtod_offset(tail, uint8_t *, tail->data_len),
			rte_pktmbuf_mtod_offset(m, const uint8_t *, done), part);
		tail->data_len += part;
		tail->pkt_len = tail->data_len;
		done += part;
	}
	return done;
}

/* Gives up the bytes of m from `done` on, and all behind it. */
static void give_up(struct tcp *t, struct conn *c, struct rte_mbuf *m, uint32_t done)
{
	uint32_t lost = 0;

	for (struct rte_mbuf *next; m != NULL; m = next) {
		next = m->next;
		lost += m->data_len - done;
		done = 0;
		if (is_held(t,
			    m)) /* counted when it was appended, before the queue was taken apart */
			conn_cold(t, c)->held_buffers--;
		rte_pktmbuf_free_seg(m);
	}
	c->recv_bytes -= lost;
	c->rcv_nxt -= lost;
	c->flags |= CONN_ACK_NOW;
	ASSERT((c->flags & CONN_FIN_RECEIVED) == 0);
	ASSERT(seq_le(c->last_ack_sent, c->rcv_nxt));
	counter_err(t->conf.counters, ERR_NO_BUFFERS);
	counter_add(t->conf.counters, COUNTER_TCP_RECEIVE_SHED, lost);
}

bool tcp_recv_settle(struct tcp *t, struct conn *c)
{
	struct rte_mbuf *m = c->recv_head;

	if ((c->flags & CONN_TURN_BUFFERS) == 0)
		return true;
	c->flags &= ~(uint32_t)CONN_TURN_BUFFERS;
	c->recv_head = c->recv_tail = NULL;
	for (struct rte_mbuf *next; m != NULL; m = next) {
		next = m->next;
		if (is_held(t, m)) {
			conn_cold(t, c)->held_buffers--;
			tcp_recv_append(t, c, m);
			continue;
		}
		const uint32_t done = copy_to_held(t, c, m);
		if (done < m->data_len) {
			give_up(t, c, m, done);
			return false;
		}
		rte_pktmbuf_free_seg(m);
	}
	return true;
}

void tcp_recv_free(struct tcp *t, struct conn *c)
{
	for (struct rte_mbuf *m = c->recv_head, *next; m != NULL; m = next) {
		next = m->next;
		free_buffer(t, c, m);
	}
	c->recv_head = c->recv_tail = NULL;
	c->recv_bytes = 0;
	c->flags &= ~(uint32_t)CONN_TURN_BUFFERS;
}

struct span tcp_recv_peek(const struct tcp *t, struct tcp_id id)
{
	const struct conn *c = tcp_conn_find(t, id);

	if (c == NULL || c->recv_head == NULL)
		return (struct span){NULL, 0};
	return span_of(rte_pktmbuf_mtod(c->recv_head, const uint8_t *), c->recv_head->data_len);
}

size_t tcp_recv_available(const struct tcp *t, struct tcp_id id)
{
	const struct conn *c = tcp_conn_find(t, id);

	return c == NULL ? 0 : c->recv_bytes;
}

size_t tcp_recv_copy(const struct tcp *t, struct tcp_id id, void *to, size_t size)
{
	const struct conn *c = tcp_conn_find(t, id);
	size_t done = 0;

	if (c == NULL)
		return 0;
	for (const struct rte_mbuf *m = c->recv_head; m != NULL && done < size; m = m->next) {
		const size_t part = RTE_MIN(size - done, (size_t)m->data_len);
		memcpy((uint8_t *)to + done, rte_pktmbuf_mtod(m, const uint8_t *), part);
		done += part;
	}
	return done;
}

void tcp_recv_consume(struct tcp *t, struct tcp_id id, size_t size)
{
	struct conn *c = tcp_conn_find(t, id);

	if (c == NULL)
		return;
	ASSERT(size <= c->recv_bytes);
	c->recv_bytes -= (uint32_t)size;
	while (size > 0) {
		struct rte_mbuf *m = c->recv_head;
		if (size < m->data_len) {
			rte_pktmbuf_adj(m, (uint16_t)size);
			break;
		}
		size -= m->data_len;
		c->recv_head = m->next;
		if (c->recv_head == NULL)
			c->recv_tail = NULL;
		free_buffer(t, c, m);
	}
	if ((c->flags & CONN_DRAINING) != 0 && c->recv_bytes == 0)
		tcp_conn_drained(t, c);
	c->flags |= CONN_READ;
	if (conn_is_synchronized(c) && tcp_window_grew(t, c))
		tcp_output_add(t, c);
}

bool tcp_recv_ended(const struct tcp *t, struct tcp_id id)
{
	const struct conn *c = tcp_conn_find(t, id);

	return c != NULL && (c->flags & CONN_FIN_RECEIVED) != 0;
}

bool tcp_at_end(const struct tcp *t, struct tcp_id id)
{
	return tcp_recv_ended(t, id) && tcp_recv_available(t, id) == 0;
}
