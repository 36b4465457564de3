/* icmp.c - answers echo requests, within a rate; checks and counts everything else.
 *
 * A reply is a copy of what the IPv4 header delimited, never more, so it cannot carry bytes of
 * other packets. Errors (unreachable, frag-needed) are checked and counted, not acted on.
 * Spec: RFC 792, 1122 3.2.2. */
#include "dataplane/net/net_internal.h"

enum {
	ICMP_ECHO_REPLY = 0,
	ICMP_UNREACHABLE = 3,
	ICMP_SOURCE_QUENCH = 4,
	ICMP_REDIRECT = 5,
	ICMP_ECHO = 8,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER = 12,
	ICMP_QUOTE_MIN = 20 + 8, /* RFC 792: the header and 64 bits of what was refused */
};

void icmp_init(struct net *n, uint64_t now_us)
{
	n->icmp_tokens_us = (uint64_t)ICMP_BURST * ICMP_TOKEN_US;
	n->icmp_filled_us = now_us;
}

static bool take_token(struct net *n, uint64_t now_us)
{
	const uint64_t full = (uint64_t)ICMP_BURST * ICMP_TOKEN_US;

	if (now_us > n->icmp_filled_us) {
		const uint64_t passed = RTE_MIN(now_us - n->icmp_filled_us, full);
		n->icmp_tokens_us = RTE_MIN(n->icmp_tokens_us + passed, full);
		n->icmp_filled_us = now_us;
	}
	if (n->icmp_tokens_us < ICMP_TOKEN_US)
		return false;
	n->icmp_tokens_us -= ICMP_TOKEN_US;
	return true;
}

static enum err reply(struct net *n, const struct rte_mbuf *request, rte_be32_t to, uint64_t now_us)
{
	if (request->pkt_len + sizeof(struct ipv4_header) > n->conf.mtu)
		return ERR_IPV4_TOO_BIG;
	/* Echo is the least of what waits for the NIC: it never takes the last half of the queue.
	 */
	if (net_tx_room(n) < NET_TX_QUEUE / 2 || !take_token(n, now_us))
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

static bool is_error(uint8_t type)
{
	return type == ICMP_UNREACHABLE || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
	       type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER;
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
	if (!is_error(h->type)) {
		counter_add(n->conf.counters, COUNTER_ICMP_IGNORED, 1);
		return ERR_NONE;
	}
	if (size < sizeof(*h) + ICMP_QUOTE_MIN)
		return ERR_ICMP_MALFORMED;
	counter_add(n->conf.counters, COUNTER_ICMP_ERRORS, 1);
	return ERR_NONE;
}

void icmp_rx(struct net *n, struct rte_mbuf **packet, rte_be32_t src, uint64_t now_us)
{
	const enum err e = receive(n, packet, src, now_us);

	if (e != ERR_NONE)
		counter_err(n->conf.counters, e);
	rte_pktmbuf_free(*packet);
	*packet = NULL;
}
