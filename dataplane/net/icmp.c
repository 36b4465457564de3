/* icmp.c - answers echo requests, within a rate; checks and counts everything else.
 *
 * A reply is a copy of what the IPv4 header delimited, never more, so it cannot carry bytes of
 * other packets. An error is only worth what it quotes: the beginning of a TCP segment of ours,
 * which is taken apart here and believed, or not, by TCP.
 * Spec: RFC 792, 1122 3.2.2, 1191 4, 5927, 6633. */
#include "dataplane/base/reader.h"
#include "dataplane/net/net_internal.h"

enum {
	ICMP_QUOTE_MAX = 60 + 8,
	ICMP_QUOTE_MIN = 20 + 8, /* RFC 792: the header and 64 bits of what was refused */
	ICMP_TCP_MIN = 20,
};

static struct icmp_bucket bucket_of(uint64_t token_us, uint64_t burst, uint64_t now_us)
{
	return (struct icmp_bucket){.token_us = token_us,
		.full_us = burst * token_us,
		.saved_us = burst * token_us,
		.filled_us = now_us};
}

void icmp_init(struct net *n, uint64_t now_us)
{
	n->icmp_echoes = bucket_of(ICMP_ECHO_TOKEN_US, ICMP_ECHO_BURST, now_us);
	n->icmp_errors = bucket_of(ICMP_ERROR_TOKEN_US, ICMP_ERROR_BURST, now_us);
}

bool icmp_take_token(struct icmp_bucket *b, uint64_t now_us)
{
	if (now_us > b->filled_us) {
		const uint64_t passed = RTE_MIN(now_us - b->filled_us, b->full_us);
		b->saved_us = RTE_MIN(b->saved_us + passed, b->full_us);
		b->filled_us = now_us;
	}
	if (b->saved_us < b->token_us)
		return false;
	b->saved_us -= b->token_us;
	return true;
}

static enum err reply(struct net *n, const struct rte_mbuf *request, rte_be32_t to, uint64_t now_us)
{
	if (request->pkt_len + sizeof(struct ipv4_header) > n->conf.mtu)
		return ERR_IPV4_TOO_BIG;
	/* Echo is the least of what waits for the NIC: it never takes the last half of the queue.
	 */
	if (net_tx_room(n) < NET_TX_QUEUE / 2 || !icmp_take_token(&n->icmp_echoes, now_us))
		return ERR_ICMP_RATE;
	struct rte_mbuf *m = rte_pktmbuf_copy(request, n->conf.pool, 0, request->pkt_len);
	if (m == NULL)
		return ERR_NO_BUFFERS;
	struct icmp_header *h = rte_pktmbuf_mtod(m, struct icmp_header *);
	h->type = ICMP_ECHO_REPLY;
	h->checksum = 0;
	h->checksum = net_checksum_finish(net_checksum_mbuf(0, m, 0, m->pkt_len));
	counter_add(n->conf.counters, COUNTER_ICMP_ECHO, 1);
	net_ipv4_tx(n, &m, n->conf.address, to, IPV4_PROTO_ICMP, now_us);
	return ERR_NONE;
}

/* The quoted packet: the beginning of one that we could have sent? Its header checksum is not
 * looked at, for routers and translators leave it as it was before they changed the header. */
static enum err read_quote(const struct net *n, struct span quote, struct net_error *out)
{
	const struct ipv4_header *ip = (const struct ipv4_header *)quote.at;
	const size_t header = (size_t)(ip->version_ihl & 0x0f) * 4;
	struct reader r = reader_of(span_skip(quote, RTE_MIN(header, quote.size)));

	if (ip->version_ihl >> 4 != 4 || header < sizeof(*ip) || ip->src != n->conf.address)
		return ERR_ICMP_QUOTE;
	if ((ip->fragment & RTE_BE16(IPV4_OFFSET_MASK)) != 0) /* it has no ports */
		return ERR_ICMP_QUOTE;
	out->src = ip->src;
	out->dst = ip->dst;
	out->size = rte_be_to_cpu_16(ip->total_size);
	out->src_port = read_u16(&r);
	out->dst_port = read_u16(&r);
	out->seq = read_u32(&r);
	return r.bad || out->size < header + ICMP_TCP_MIN ? ERR_ICMP_QUOTE : ERR_NONE;
}

/* RFC 1122 3.2.2: an error is handed to whoever sent what it quotes. */
static enum err receive_error(
	struct net *n, const struct icmp_header *h, struct span quote, uint64_t now_us)
{
	const struct ipv4_header *ip = (const struct ipv4_header *)quote.at;
	const bool too_big = h->type == ICMP_UNREACHABLE && h->code == ICMP_CODE_TOO_BIG;
	struct net_error e = {.kind = too_big ? NET_ERROR_TOO_BIG : NET_ERROR_UNREACHABLE};

	if (h->type == ICMP_SOURCE_QUENCH)
		return ERR_ICMP_SOURCE_QUENCH; /* RFC 6633 3 */
	if (h->type == ICMP_REDIRECT)
		return ERR_ICMP_REDIRECT; /* anybody on the link could turn our traffic */
	counter_add(n->conf.counters, COUNTER_ICMP_ERRORS, 1);
	if (ip->protocol != NET_PROTO_TCP) /* an echo reply of ours: nobody waits for it */
		return ERR_NONE;
	const enum err bad = read_quote(n, quote, &e);
	if (bad != ERR_NONE)
		return bad;
	if (too_big) /* RFC 1191 4: the low half of the second word */
		e.mtu = (uint16_t)rte_be_to_cpu_32(h->rest);
	if (n->conf.on_error != NULL)
		n->conf.on_error(n->conf.owner, &e, now_us);
	return ERR_NONE;
}

/* Makes what may be read of a quote contiguous; there are ICMP_QUOTE_MIN bytes of it at least. */
static enum err pull_error(struct net *n, struct rte_mbuf **packet, uint64_t now_us)
{
	const uint32_t most = sizeof(struct icmp_header) + ICMP_QUOTE_MAX;
	const uint16_t size = (uint16_t)RTE_MIN((*packet)->pkt_len, most);
	const enum err e = net_pull(n, packet, size);

	if (e != ERR_NONE)
		return e;
	const struct icmp_header *h = rte_pktmbuf_mtod(*packet, const struct icmp_header *);
	return receive_error(n, h, span_of(h + 1, size - sizeof(*h)), now_us);
}

static enum err receive(struct net *n, struct rte_mbuf **packet, rte_be32_t src, uint64_t now_us)
{
	const uint32_t size = (*packet)->pkt_len;

	if (size < sizeof(struct icmp_header))
		return ERR_ICMP_MALFORMED;
	if (net_checksum_finish(net_checksum_mbuf(0, *packet, 0, size)) != 0)
		return ERR_ICMP_MALFORMED;
	const enum err e = net_pull(n, packet, sizeof(struct icmp_header));
	if (e != ERR_NONE)
		return e;
	const struct icmp_header *h = rte_pktmbuf_mtod(*packet, const struct icmp_header *);
	if (h->type == ICMP_ECHO)
		return h->code == 0 ? reply(n, *packet, src, now_us) : ERR_ICMP_MALFORMED;
	if (!net_icmp_is_error(h->type)) {
		counter_add(n->conf.counters, COUNTER_ICMP_IGNORED, 1);
		return ERR_NONE;
	}
	if (size < sizeof(*h) + ICMP_QUOTE_MIN)
		return ERR_ICMP_MALFORMED;
	return pull_error(n, packet, now_us);
}

void icmp_rx(struct net *n, struct rte_mbuf **packet, rte_be32_t src, uint64_t now_us)
{
	const enum err e = receive(n, packet, src, now_us);

	if (e != ERR_NONE)
		counter_err(n->conf.counters, e);
	rte_pktmbuf_free(*packet);
	*packet = NULL;
}
