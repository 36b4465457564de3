/* reassembly.c - puts IPv4 packets together that came in fragments.
 *
 * Fragments are copied, since received buffers end with the turn, and kept in order until the last
 * hole is filled. All of it is bounded: packets, pieces of each, buffers, time, and what one source
 * may have of it. Whoever plays games loses the whole packet, and with it all that follows under
 * its name, until its time is up (RFC 5722 4, though that is for IPv6): nobody can slip bytes into
 * a packet by overlapping. Pieces that no router makes are refused (RFC 1858, 3128). Spec: RFC
 * 791 3.2, 815, 1122 3.3.2, 3168 5.3. Not here: who gets the whole packet (ipv4.c). */
#include "dataplane/net/net_internal.h"

enum {
	HEADER_MIN = sizeof(struct ipv4_header),
	PACKET_MAX = 65535,
	WHOLE_MIN = 68, /* RFC 791 3.2: so much passes everywhere in one piece */
	TCP_HEADER_LEAST = 20,
	ECN_CE = 3,
};

/* A fragment as its header describes it. */
struct fragment {
	const struct ipv4_header *h;
	uint16_t header_size;
	uint32_t from, to; /* its bytes of the packet's payload */
	bool more;
};

static struct fragment describe(const struct rte_mbuf *packet, uint16_t header_size)
{
	const struct ipv4_header *h = rte_pktmbuf_mtod(packet, const struct ipv4_header *);
	const uint16_t field = rte_be_to_cpu_16(h->fragment);
	struct fragment f = {.h = h, .header_size = header_size};

	f.from = (field & IPV4_OFFSET_MASK) * 8u;
	f.to = f.from + rte_be_to_cpu_16(h->total_size) - header_size;
	f.more = (field & IPV4_MORE_FRAGMENTS) != 0;
	return f;
}

/* What can be said of a fragment without knowing the others. */
static enum err check(const struct fragment *f)
{
	const uint32_t size = f->to - f->from;

	if (size == 0 || (f->more && size % 8 != 0) || f->to + HEADER_MIN > PACKET_MAX)
		return ERR_FRAGMENT_MALFORMED;
	/* A router fills its pieces, to the last eight bytes that do not fit. */
	if (f->more && f->header_size + size + 7 < WHOLE_MIN)
		return ERR_FRAGMENT_TINY;
	/* RFC 1858 3.2, 3128: TCP's header is never split, so that filters see all of it. */
	const bool splits = f->from == 0 ? size < TCP_HEADER_LEAST : f->from < TCP_HEADER_LEAST;
	return f->h->protocol == NET_PROTO_TCP && splits ? ERR_FRAGMENT_TINY : ERR_NONE;
}

static void free_pieces(struct reassembly *r, struct datagram *d)
{
	for (unsigned i = 0; i < d->count; i++) {
		r->buffers -= d->pieces[i].m->nb_segs;
		rte_pktmbuf_free(d->pieces[i].m);
	}
	d->count = 0;
}

static void forget(struct reassembly *r, struct datagram *d)
{
	free_pieces(r, d);
	*d = (struct datagram){.state = DATAGRAM_FREE};
}

/* All that it has is let go, and what comes yet is not taken either. */
static enum err condemn(struct reassembly *r, struct datagram *d, enum err why)
{
	free_pieces(r, d);
	d->state = DATAGRAM_CONDEMNED;
	return why;
}

static struct datagram *find(struct reassembly *r, const struct ipv4_header *h)
{
	for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS; i++) {
		struct datagram *d = &r->datagrams[i];
		if (d->state != DATAGRAM_FREE && d->src == h->src && d->dst == h->dst &&
			d->id == h->id && d->protocol == h->protocol)
			return d;
	}
	return NULL;
}

/* A place for a new packet: a free one; of a source that has its share, its oldest; else the oldest
 * of all. Whose place is taken is counted. */
static struct datagram *take(struct net *n, const struct ipv4_header *h)
{
	struct reassembly *r = &n->reassembly;
	struct datagram *place = NULL;
	struct datagram *oldest = NULL;
	struct datagram *own = NULL;
	unsigned own_count = 0;

	for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS; i++) {
		struct datagram *d = &r->datagrams[i];
		if (d->state == DATAGRAM_FREE) {
			place = d;
			continue;
		}
		if (oldest == NULL || d->until_us < oldest->until_us)
			oldest = d;
		if (d->src != h->src)
			continue;
		own_count++;
		if (own == NULL || d->until_us < own->until_us)
			own = d;
	}
	if (own_count < REASSEMBLY_OF_SOURCE && place != NULL)
		return place;
	counter_err(n->conf.counters, ERR_FRAGMENT_FULL);
	place = own_count >= REASSEMBLY_OF_SOURCE ? own : oldest;
	forget(r, place);
	return place;
}

/* Where it belongs among the pieces, or why not. */
static enum err find_place(
	struct reassembly *r, struct datagram *d, const struct fragment *f, unsigned *place)
{
	unsigned i = 0;

	while (i < d->count && d->pieces[i].from < f->from)
		i++;
	if (i < d->count && d->pieces[i].from == f->from && d->pieces[i].to == f->to)
		return ERR_FRAGMENT_TWICE; /* the network may do that */
	if ((i > 0 && d->pieces[i - 1].to > f->from) || (i < d->count && d->pieces[i].from < f->to))
		return condemn(r, d, ERR_FRAGMENT_OVERLAP);
	/* Nothing lies beyond the end, and there is one end. */
	const bool beyond = d->size != 0 && (f->to > d->size || !f->more);
	const bool before = !f->more && i < d->count;
	if (beyond || before)
		return condemn(r, d, ERR_FRAGMENT_OVERLAP);
	if (d->count == REASSEMBLY_PIECES)
		return condemn(r, d, ERR_FRAGMENT_FULL);
	*place = i;
	return ERR_NONE;
}

/* A copy of what is needed: the first piece keeps its header, which becomes the packet's. */
static enum err insert(
	struct net *n, struct datagram *d, const struct rte_mbuf *packet, const struct fragment *f)
{
	struct reassembly *r = &n->reassembly;
	const uint32_t skip = f->from == 0 ? 0 : f->header_size;
	unsigned i = 0;

	const enum err e = find_place(r, d, f, &i);
	if (e != ERR_NONE)
		return e;
	struct rte_mbuf *m = rte_pktmbuf_copy(packet, n->conf.pool, skip, packet->pkt_len - skip);
	if (m == NULL)
		return ERR_NO_BUFFERS;
	if (r->buffers + m->nb_segs > REASSEMBLY_BUFFERS) {
		rte_pktmbuf_free(m);
		return ERR_FRAGMENT_FULL;
	}
	r->buffers += m->nb_segs;
	memmove(&d->pieces[i + 1], &d->pieces[i], (d->count - i) * sizeof(d->pieces[0]));
	d->pieces[i] = (struct piece){m, f->from, f->to};
	d->count++;
	d->bytes += f->to - f->from;
	if (!f->more)
		d->size = f->to;
	d->congested |= (f->h->tos & ECN_CE) == ECN_CE;
	return ERR_NONE;
}

/* The first piece's header, as if the packet had come whole. */
static void mend_header(struct rte_mbuf *m, bool congested)
{
	struct ipv4_header *h = rte_pktmbuf_mtod(m, struct ipv4_header *);
	const uint16_t header_size = (uint16_t)((h->version_ihl & 0x0f) * 4);

	h->total_size = rte_cpu_to_be_16((uint16_t)m->pkt_len);
	h->fragment = 0;
	if (congested && (h->tos & ECN_CE) != 0) /* RFC 3168 5.3 */
		h->tos |= ECN_CE;
	h->checksum = 0;
	h->checksum = net_checksum_finish(net_checksum_add(0, h, header_size));
}

/* All holes are filled. NULL: with its header the packet is longer than one can be. */
static struct rte_mbuf *join(struct net *n, struct datagram *d)
{
	struct reassembly *r = &n->reassembly;
	struct rte_mbuf *whole = d->pieces[0].m;

	if (whole->pkt_len - d->pieces[0].to + d->size > PACKET_MAX) {
		counter_err(n->conf.counters, condemn(r, d, ERR_FRAGMENT_MALFORMED));
		return NULL;
	}
	r->buffers -= whole->nb_segs;
	for (unsigned i = 1; i < d->count; i++) {
		r->buffers -= d->pieces[i].m->nb_segs;
		const int e = rte_pktmbuf_chain(whole, d->pieces[i].m);
		ASSERT(e == 0); /* there are few of them */
	}
	d->count = 0;
	mend_header(whole, d->congested);
	forget(r, d);
	counter_add(n->conf.counters, COUNTER_IPV4_REASSEMBLED, 1);
	return whole;
}

static enum err gather(struct net *n, const struct rte_mbuf *packet, uint16_t header_size,
	struct datagram **out, uint64_t now_us)
{
	const struct fragment f = describe(packet, header_size);
	const enum err bad = check(&f);

	if (bad != ERR_NONE)
		return bad;
	struct datagram *d = find(&n->reassembly, f.h);
	if (d == NULL) {
		d = take(n, f.h);
		*d = (struct datagram){.src = f.h->src,
			.dst = f.h->dst,
			.id = f.h->id,
			.protocol = f.h->protocol,
			.state = DATAGRAM_GATHERING,
			.until_us = now_us + REASSEMBLY_US};
		n->reassembly.next_us = RTE_MIN(n->reassembly.next_us, d->until_us);
	}
	*out = d;
	return d->state == DATAGRAM_CONDEMNED ? ERR_FRAGMENT_OVERLAP : insert(n, d, packet, &f);
}

bool reassembly_rx(struct net *n, struct rte_mbuf **packet, uint16_t header_size, uint64_t now_us)
{
	struct datagram *d = NULL;
	const enum err e = gather(n, *packet, header_size, &d, now_us);

	if (e != ERR_NONE) {
		net_put(n, packet, e);
		return false;
	}
	rte_pktmbuf_free(*packet);
	*packet = d->bytes == d->size ? join(n, d) : NULL;
	return *packet != NULL;
}

/* RFC 1122 3.3.2: whose first piece is here hears of it. */
static void expire(struct net *n, struct datagram *d, uint64_t now_us)
{
	if (d->state == DATAGRAM_GATHERING) {
		counter_err(n->conf.counters, ERR_FRAGMENT_TIMEOUT);
		if (d->count > 0 && d->pieces[0].from == 0)
			icmp_refuse(n, d->pieces[0].m,
				(struct icmp_refusal){ICMP_TIME_EXCEEDED, ICMP_CODE_REASSEMBLY, 0},
				now_us);
	}
	forget(&n->reassembly, d);
}

void reassembly_poll(struct net *n, uint64_t now_us)
{
	uint64_t next = UINT64_MAX;

	if (now_us < n->reassembly.next_us)
		return;
	for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS; i++) {
		struct datagram *d = &n->reassembly.datagrams[i];
		if (d->state != DATAGRAM_FREE && d->until_us <= now_us)
			expire(n, d, now_us);
		if (d->state != DATAGRAM_FREE)
			next = RTE_MIN(next, d->until_us);
	}
	n->reassembly.next_us = next;
}

void reassembly_init(struct net *n)
{
	n->reassembly.next_us = UINT64_MAX;
}

void reassembly_fini(struct net *n)
{
	for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS; i++)
		forget(&n->reassembly, &n->reassembly.datagrams[i]);
}

static void check_datagram(const struct net *n, const struct datagram *d, uint32_t *buffers)
{
	uint32_t bytes = 0;

	ASSERT(d->count <= REASSEMBLY_PIECES);
	ASSERT(d->state == DATAGRAM_GATHERING || d->count == 0);
	for (unsigned i = 0; i < d->count; i++) {
		const struct piece *p = &d->pieces[i];
		ASSERT(p->from < p->to);
		ASSERT(i == 0 || p[-1].to <= p->from);
		ASSERT(p->from == 0 || p->m->pkt_len == p->to - p->from);
		ASSERT(d->size == 0 || p->to <= d->size);
		bytes += p->to - p->from;
		*buffers += p->m->nb_segs;
	}
	ASSERT(d->state == DATAGRAM_FREE || d->until_us >= n->reassembly.next_us);
	if (d->state == DATAGRAM_GATHERING) {
		ASSERT(bytes == d->bytes);
		ASSERT(d->count == 0 || bytes != d->size);
	}
}

void reassembly_check(const struct net *n)
{
	uint32_t buffers = 0;

	for (unsigned i = 0; i < REASSEMBLY_DATAGRAMS; i++)
		check_datagram(n, &n->reassembly.datagrams[i], &buffers);
	ASSERT(buffers == n->reassembly.buffers);
	ASSERT(buffers <= REASSEMBLY_BUFFERS);
}
