/* icmp_error.c - tells a sender that its packet cannot be taken, within a rate.
 *
 * Only about a whole packet, or the first fragment of one, that a single host has sent to our
 * address alone; never about ICMP, so that two hosts cannot keep each other busy. Quoted is as much
 * as fits into the 576 bytes that everybody takes, so that an answer is never much larger than what
 * drew it. Spec: RFC 792, 1122 3.2.2, 1812 4.3.2.3. */
#include "dataplane/net/net_internal.h"

enum {
	MESSAGE_MAX = 576 - sizeof(struct ipv4_header),
	QUOTE_MAX = MESSAGE_MAX - sizeof(struct icmp_header),
};

static struct rte_mbuf *compose(
	struct net *n, const struct rte_mbuf *packet, struct icmp_refusal what)
{
	const struct ipv4_header *ip = rte_pktmbuf_mtod(packet, const struct ipv4_header *);
	const uint16_t total = rte_be_to_cpu_16(ip->total_size); /* Ethernet may have padded */
	const uint16_t size = RTE_MIN(total, (uint16_t)QUOTE_MAX);
	struct rte_mbuf *m = rte_pktmbuf_alloc(n->conf.pool);

	if (m == NULL)
		return NULL;
	uint8_t *to = (uint8_t *)rte_pktmbuf_append(m, sizeof(struct icmp_header) + size);
	ASSERT(to != NULL);
	struct icmp_header *h = (struct icmp_header *)to;
	/* RFC 792: the pointer is the first byte of the second word. */
	*h = (struct icmp_header){
		what.type, what.code, 0, rte_cpu_to_be_32((uint32_t)what.pointer << 24)};
	const void *quote = rte_pktmbuf_read(packet, 0, size, h + 1);
	if (quote != h + 1)
		memcpy(h + 1, quote, size);
	h->checksum = net_checksum_finish(net_checksum_mbuf(0, m, 0, m->pkt_len));
	return m;
}

/* `packet` begins at a header that is checked: from a host, to us. */
void icmp_refuse(
	struct net *n, const struct rte_mbuf *packet, struct icmp_refusal what, uint64_t now_us)
{
	const struct ipv4_header *ip = rte_pktmbuf_mtod(packet, const struct ipv4_header *);
	const rte_be32_t from = ip->dst;
	const rte_be32_t to = ip->src;

	if (ip->protocol == IPV4_PROTO_ICMP || (ip->fragment & RTE_BE16(IPV4_OFFSET_MASK)) != 0)
		return;
	if (net_tx_room(n) < NET_TX_QUEUE / 2 || !icmp_take_token(&n->icmp_errors, now_us)) {
		counter_err(n->conf.counters, ERR_ICMP_RATE);
		return;
	}
	struct rte_mbuf *m = compose(n, packet, what);
	if (m == NULL) {
		counter_err(n->conf.counters, ERR_NO_BUFFERS);
		return;
	}
	counter_add(n->conf.counters, COUNTER_ICMP_ERRORS_SENT, 1);
	net_ipv4_tx(n, &m, from, to, IPV4_PROTO_ICMP, now_us);
}
