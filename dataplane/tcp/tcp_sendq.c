/* tcp_sendq.c - the send queue: bytes that the peer has not acknowledged yet.
 *
 * A list of nodes from a pool: copied bytes, packed into `copies` buffers that
 * several nodes may share, or stretches of lent chains. Nothing is ever
 * rearranged, so a retransmission finds the same bytes. Two cursors remember
 * where the last look ended: one for new data, one for retransmissions.
 * Not here: segments (tcp_emit.c puts them together from what is found here). */
#include "dataplane/tcp/tcp_internal.h"

static struct send_node *node_at(const struct tcp *t, uint32_t index)
{
	return pool_at(&t->nodes, index);
}

static uint32_t pool_left(const struct pool *p)
{
	return p->count - p->out;
}

/* A node at the end of the queue; the caller has made sure that there is one. */
static struct send_node *node_add(struct tcp *t, struct conn *c)
{
	const uint32_t index = pool_get(&t->nodes);

	ASSERT(index != POOL_NONE);
	*node_at(t, index) = (struct send_node){.next = TCP_NONE};
	if (c->send_tail == TCP_NONE)
		c->send_head = index;
	else
		node_at(t, c->send_tail)->next = index;
	c->send_tail = index;
	return node_at(t, index);
}

/* Has the connection room for so much? One large piece may overdraw an empty queue. */
static bool has_room(const struct tcp *t, const struct conn *c, size_t size)
{
	if (c->send_bytes == 0)
		return size <= UINT32_MAX / 4; /* far from wrapping sequence numbers */
	return size <= t->conf.send_queue_max && c->send_bytes <= t->conf.send_queue_max - size;
}

/* May the application add bytes at all? */
static bool is_open(const struct conn *c)
{
	return c->state != STATE_CLOSED && (c->flags & CONN_FIN_QUEUED) == 0;
}

static void starve(struct tcp *t, struct conn *c, enum err why)
{
	counter_err(t->conf.counters, why);
	if ((c->flags & CONN_ON_STARVED) != 0)
		return;
	c->flags |= CONN_ON_STARVED;
	conn_cold(t, c)->starved_next = t->starved;
	t->starved = conn_index(t, c);
}

/* Tells those that found no nodes or buffers, once an eighth of both is free again. */
void tcp_wake_starved(struct tcp *t)
{
	if (t->starved == TCP_NONE || !t->freed)
		return;
	if (pool_left(&t->nodes) <= t->nodes.count / 8 ||
		rte_mempool_avail_count(t->conf.copies) <= t->conf.copies->size / 8)
		return;
	t->freed = false;
	while (t->starved != TCP_NONE) {
		struct conn *c = &t->conns[t->starved];
		t->starved = conn_cold(t, c)->starved_next;
		c->flags &= ~(uint32_t)CONN_ON_STARVED;
		if (is_open(c))
			tcp_event_add(t, c, TCP_EVENT_WRITABLE);
		tcp_conn_try_free(t, c);
	}
}

static bool admit(struct tcp *t, struct conn *c, size_t size)
{
	if (!is_open(c))
		return false;
	if (has_room(t, c, size))
		return true;
	c->flags |= CONN_WANT_WRITE;
	counter_err(t->conf.counters, ERR_SEND_QUEUE_FULL);
	return false;
}

static void added(struct tcp *t, struct conn *c, size_t size)
{
	c->send_bytes += (uint32_t)size;
	if (c->send_bytes >= t->conf.send_queue_max)
		c->flags |= CONN_WANT_WRITE;
	tcp_output_add(t, c);
}

/* Segments for a NIC without chains are put together in such buffers: if what waits to be sent had
 * all of them, none could leave. */
static size_t copies_reserve(const struct tcp *t)
{
	return t->conf.segs_max > 1 ? 0 : RTE_MAX(t->conf.copies->size / 8, 1u);
}

/* Do buffers and nodes suffice to copy so many bytes? */
static bool can_copy(const struct tcp *t, const struct conn *c, size_t size)
{
	const size_t open = c->send_open == NULL ? 0 : rte_pktmbuf_tailroom(c->send_open);
	const size_t room = rte_pktmbuf_data_room_size(t->conf.copies) - RTE_PKTMBUF_HEADROOM;
	const size_t buffers = size <= open ? 0 : (size - open + room - 1) / room;

	return rte_mempool_avail_count(t->conf.copies) >= buffers + copies_reserve(t) &&
	       pool_left(&t->nodes) >= buffers + 1;
}

/* Appends bytes to the open buffer, and to the last node if it ends there. At most what fits. */
static size_t copy_some(struct tcp *t, struct conn *c, struct span bytes)
{
	struct rte_mbuf *m = c->send_open;

	if (m == NULL || rte_pktmbuf_tailroom(m) == 0) {
		rte_pktmbuf_free(m); /* the nodes have counts of their own */
		m = c->send_open = rte_pktmbuf_alloc(t->conf.copies);
		ASSERT(m != NULL);
	}
	const uint16_t at = m->data_len;
	const uint16_t part = (uint16_t)RTE_MIN(bytes.size, (size_t)rte_pktmbuf_tailroom(m));
	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, at), bytes.at, part);
	m->data_len += part;
	m->pkt_len = m->data_len;

	struct send_node *n = c->send_tail == TCP_NONE ? NULL : node_at(t, c->send_tail);
	if (n != NULL && n->lent == NULL && n->buffer == m && n->offset + n->size == at) {
		n->size += part;
		return part;
	}
	n = node_add(t, c);
	n->buffer = m;
	rte_mbuf_refcnt_update(m, 1);
	n->offset = at;
	n->size = part;
	return part;
}

static void copy_in(struct tcp *t, struct conn *c, struct span bytes)
{
	while (bytes.size > 0)
		bytes = span_skip(bytes, copy_some(t, c, bytes));
}

size_t tcp_send_room(const struct tcp *t, struct tcp_id id)
{
	const struct conn *c = tcp_conn_find(t, id);

	if (c == NULL || !is_open(c) || c->send_bytes >= t->conf.send_queue_max)
		return 0;
	return t->conf.send_queue_max - c->send_bytes;
}

/* RFC 9293 3.10.2, SEND call. */
bool tcp_send(struct tcp *t, struct tcp_id id, struct span bytes)
{
	struct conn *c = tcp_conn_find(t, id);

	if (c == NULL || !admit(t, c, bytes.size))
		return false;
	if (bytes.size == 0)
		return true;
	if (!can_copy(t, c, bytes.size)) {
		starve(t, c, ERR_NO_BUFFERS);
		return false;
	}
	copy_in(t, c, bytes);
	added(t, c, bytes.size);
	return true;
}

/* The segment of a node's chain that holds chain offset `at`; where it begins is buffer_at. */
static const struct rte_mbuf *find_segment(struct send_node *n, uint32_t at)
{
	if (n->buffer == NULL || at < n->buffer_at) {
		n->buffer = n->lent->head;
		n->buffer_at = 0;
	}
	while (at - n->buffer_at >= n->buffer->data_len) {
		n->buffer_at += n->buffer->data_len;
		n->buffer = n->buffer->next;
		ASSERT(n->buffer != NULL); /* lent more than there is */
	}
	return n->buffer;
}

/* A small piece is cheaper to copy than to remember. */
static void copy_lent(struct tcp *t, struct conn *c, struct tcp_range at, struct tcp_lent *lent)
{
	struct send_node look = {.lent = lent};

	while (at.left < at.right) {
		const struct rte_mbuf *m = find_segment(&look, at.left);
		const uint32_t skip = at.left - look.buffer_at;
		const uint32_t part = RTE_MIN(at.right - at.left, m->data_len - skip);
		copy_in(t, c, span_of(rte_pktmbuf_mtod_offset(m, const uint8_t *, skip), part));
		at.left += part;
	}
}

static void lend(struct tcp *t, struct conn *c, struct tcp_lent *lent, struct tcp_range at)
{
	struct send_node *n = node_add(t, c);

	n->lent = lent;
	n->offset = at.left;
	n->size = at.right - at.left;
	lent->ref(lent);
}

bool tcp_send_lent(
	struct tcp *t, struct tcp_id id, struct tcp_lent *lent, uint32_t offset, uint32_t size)
{
	struct conn *c = tcp_conn_find(t, id);

	if (c == NULL || !admit(t, c, size))
		return false;
	if (size == 0)
		return true;
	if (size <= SEND_LEND_MIN && can_copy(t, c, size)) {
		copy_lent(t, c, (struct tcp_range){offset, offset + size}, lent);
	} else if (pool_left(&t->nodes) == 0) {
		starve(t, c, ERR_NO_BUFFERS);
		return false;
	} else {
		lend(t, c, lent, (struct tcp_range){offset, offset + size});
	}
	added(t, c, size);
	return true;
}

bool tcp_send_framed(
	struct tcp *t, struct tcp_id id, struct span header, struct tcp_lent *lent, uint32_t size)
{
	struct conn *c = tcp_conn_find(t, id);

	if (c == NULL || !admit(t, c, header.size + size))
		return false;
	/* One node more than the header's copy takes at the most. */
	if (!can_copy(t, c, header.size) ||
		pool_left(&t->nodes) < 3 + header.size / RTE_MBUF_DEFAULT_DATAROOM) {
		starve(t, c, ERR_NO_BUFFERS);
		return false;
	}
	copy_in(t, c, header);
	if (size > 0)
		lend(t, c, lent, (struct tcp_range){0, size});
	added(t, c, header.size + size);
	return true;
}

static void node_free(struct tcp *t, uint32_t index)
{
	struct send_node *n = node_at(t, index);

	if (n->lent != NULL)
		n->lent->put(n->lent);
	else
		rte_pktmbuf_free(n->buffer);
	pool_put(&t->nodes, index);
	t->freed = true;
}

static void drop_head(struct tcp *t, struct conn *c)
{
	const uint32_t index = c->send_head;
	struct conn_cold *cold = conn_cold(t, c);

	c->send_head = node_at(t, index)->next;
	if (c->send_head == TCP_NONE)
		c->send_tail = TCP_NONE;
	if (c->cursor_node == index)
		c->cursor_node = TCP_NONE;
	if (cold->rexmit_node == index)
		cold->rexmit_node = TCP_NONE;
	node_free(t, index);
}

/* Takes n bytes off the head node, which has more. */
static void trim_head(struct tcp *t, struct conn *c, uint32_t n)
{
	struct send_node *node = node_at(t, c->send_head);
	struct conn_cold *cold = conn_cold(t, c);

	node->offset += n;
	node->size -= n;
	if (c->cursor_node == c->send_head)
		c->cursor_seq += n;
	if (cold->rexmit_node == c->send_head)
		cold->rexmit_seq += n;
}

static void close_buffer(struct conn *c)
{
	rte_pktmbuf_free(c->send_open);
	c->send_open = NULL;
}

/* Forgets what lies below `upto`. */
void tcp_sendq_acked(struct tcp *t, struct conn *c, uint32_t upto)
{
	uint32_t n = seq_gt(upto, c->send_seq) ? RTE_MIN(upto - c->send_seq, c->send_bytes) : 0;

	c->send_seq += n;
	c->send_bytes -= n;
	while (n > 0) {
		const uint32_t size = node_at(t, c->send_head)->size;
		if (n < size) {
			trim_head(t, c, n);
			break;
		}
		n -= size;
		drop_head(t, c);
	}
	if (c->send_bytes == 0)
		close_buffer(c);
	if ((c->flags & CONN_WANT_WRITE) != 0 && is_open(c) &&
		c->send_bytes <= t->conf.send_queue_max / 2) {
		c->flags &= ~(uint32_t)CONN_WANT_WRITE;
		tcp_event_add(t, c, TCP_EVENT_WRITABLE);
	}
}

void tcp_sendq_free(struct tcp *t, struct conn *c)
{
	while (c->send_head != TCP_NONE)
		drop_head(t, c);
	c->send_seq += c->send_bytes;
	c->send_bytes = 0;
	close_buffer(c);
}

/* Puts one node's bytes [at, at + size) into the chain; returns how many found room. */
static uint32_t gather_node(
	struct tcp *t, struct chain *chain, struct send_node *n, struct tcp_range at)
{
	const uint32_t from = at.left;

	while (at.left < at.right) {
		const bool lent = n->lent != NULL;
		const struct rte_mbuf *m = lent ? find_segment(n, n->offset + at.left) : n->buffer;
		const uint32_t offset = n->offset + at.left - (lent ? n->buffer_at : 0);
		const uint32_t part = RTE_MIN(at.right - at.left, m->data_len - offset);
		const uint32_t done =
			tcp_chain_add(t, chain, m, (struct tcp_range){offset, offset + part});
		at.left += done;
		if (done < part)
			break;
	}
	return at.left - from;
}

/* Appends the bytes with these sequence numbers to the chain; returns how many found room. */
uint32_t tcp_sendq_gather(
	struct tcp *t, struct conn *c, struct chain *chain, struct tcp_range range)
{
	struct conn_cold *cold = conn_cold(t, c);
	const bool fresh = seq_ge(range.left, c->snd_nxt);
	uint32_t *node = fresh ? &c->cursor_node : &cold->rexmit_node;
	uint32_t *start = fresh ? &c->cursor_seq : &cold->rexmit_seq;
	uint32_t at = range.left;

	ASSERT(seq_ge(at, c->send_seq) && seq_le(range.right, conn_send_end(c)));
	if (*node == TCP_NONE || seq_lt(at, *start)) {
		*node = c->send_head;
		*start = c->send_seq;
	}
	while (seq_lt(at, range.right)) {
		struct send_node *n = node_at(t, *node);
		const uint32_t skip = at - *start;
		if (skip >= n->size) {
			*start += n->size;
			*node = n->next;
			continue;
		}
		const uint32_t part = RTE_MIN(n->size - skip, range.right - at);
		const uint32_t done =
			gather_node(t, chain, n, (struct tcp_range){skip, skip + part});
		at += done;
		if (done < part)
			break;
	}
	return at - range.left;
}

void tcp_sendq_check(const struct tcp *t, const struct conn *c)
{
	uint32_t bytes = 0;
	uint32_t last = TCP_NONE;

	for (uint32_t i = c->send_head; i != TCP_NONE; i = node_at(t, i)->next) {
		const struct send_node *n = node_at(t, i);
		ASSERT(n->size > 0);
		ASSERT(n->lent != NULL || n->buffer != NULL);
		ASSERT(i != c->cursor_node || c->cursor_seq == c->send_seq + bytes);
		ASSERT(i != conn_cold(t, c)->rexmit_node ||
			conn_cold(t, c)->rexmit_seq == c->send_seq + bytes);
		bytes += n->size;
		last = i;
	}
	ASSERT(bytes == c->send_bytes);
	ASSERT(last == c->send_tail);
	ASSERT(bytes > 0 || c->send_open == NULL);
}
