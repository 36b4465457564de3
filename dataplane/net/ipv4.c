/* ipv4.c - IPv4 headers: checked and cut off on the way in, put in front on the way out.
 *
 * Everything is decided from the header and the frame's size before a byte behind it is looked at;
 * Ethernet's padding is cut off before. We never send fragments; those that come in are put
 * together by reassembly.c.
 * Spec: RFC 791, 1122 3.2.1, 6864. Not here: routes beyond one gateway. */
#include "dataplane/net/net_internal.h"

enum {
	IPV4_SIZE_MIN = sizeof(struct ipv4_header),
	FRAGMENT_DF = 0x4000,
	FRAGMENT_MASK = IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK,
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_LSRR = 131,
	OPTION_SSRR = 137,
	TTL = 64, /* RFC 1700's recommendation */
};

bool ipv4_is_on_link(const struct net *n, rte_be32_t address)
{
	return ((address ^ n->conf.address) & n->conf.netmask) == 0;
}

/* RFC 1122 3.2.1.3: these may never be a source; our own address neither, from outside. */
bool ipv4_may_be_source(const struct net *n, rte_be32_t address)
{
	const uint32_t a = rte_be_to_cpu_32(address);
	const uint32_t host_bits = ~rte_be_to_cpu_32(n->conf.netmask);

	if (a >> 24 == 0 || a >> 24 == 127 || a >> 28 >= 14) /* this net, loopback, D and E */
		return false;
	if (address == n->conf.address)
		return false;
	/* The subnet's two broadcasts; RFC 3021: a /31 has none, nor has a /32. */
	if (host_bits > 1 && ipv4_is_on_link(n, address))
		return (a & host_bits) != 0 && (a & host_bits) != host_bits;
	return true;
}

/* RFC 1122 3.2.1.8: options we do not know are skipped, source routes refused. */
static enum err check_options(struct span options, struct icmp_refusal *why)
{
	const uint8_t *first = options.at - IPV4_SIZE_MIN;

	*why = (struct icmp_refusal){.type = ICMP_PARAMETER};
	while (options.size > 0 && options.at[0] != OPTION_END) {
		const uint8_t kind = options.at[0];
		if (kind == OPTION_NOP) {
			options = span_skip(options, 1);
			continue;
		}
		why->pointer = (uint8_t)(options.at - first);
		if (kind == OPTION_LSRR || kind == OPTION_SSRR) {
			*why = (struct icmp_refusal){ICMP_UNREACHABLE, ICMP_CODE_SOURCE_ROUTE, 0};
			return ERR_IPV4_OPTIONS;
		}
		if (options.size < 2 || options.at[1] < 2 || options.at[1] > options.size)
			return ERR_IPV4_OPTIONS;
		options = span_skip(options, options.at[1]);
	}
	return ERR_NONE;
}

/* Makes the whole header contiguous and says how long it claims to be. */
static enum err pull_header(struct net *n, struct rte_mbuf **packet, uint16_t *header_size)
{
	if ((*packet)->pkt_len < IPV4_SIZE_MIN)
		return ERR_IPV4_HEADER;
	enum err e = net_pull(n, packet, IPV4_SIZE_MIN);
	if (e != ERR_NONE)
		return e;
	const uint8_t first = *rte_pktmbuf_mtod(*packet, const uint8_t *);
	*header_size = (uint16_t)((first & 0x0f) * 4);
	if (first >> 4 != 4 || *header_size < IPV4_SIZE_MIN)
		return ERR_IPV4_HEADER;
	if ((*packet)->pkt_len < *header_size)
		return ERR_IPV4_LENGTH;
	return net_pull(n, packet, *header_size);
}

/* The rules that need only the header, options aside. It has header_size bytes. */
static enum err check_header(const struct net *n, const struct ipv4_header *header,
	uint16_t header_size, uint32_t frame_size)
{
	const uint16_t total = rte_be_to_cpu_16(header->total_size);

	if (total < header_size || total > frame_size)
		return ERR_IPV4_LENGTH;
	if (net_checksum_finish(net_checksum_add(0, header, header_size)) != 0)
		return ERR_IPV4_CHECKSUM;
	if (header->dst != n->conf.address)
		return ERR_IPV4_NOT_FOR_US;
	if (!ipv4_may_be_source(n, header->src))
		return ERR_IPV4_SOURCE;
	if (header->protocol != IPV4_PROTO_ICMP &&
		!prefixes_allow(&n->conf.allow, &n->conf.deny, header->src))
		return ERR_IPV4_FILTERED;
	return ERR_NONE;
}

/* The packet is whole and ours, but for its options. Refuses it with a word to its sender. */
static enum err judge_options(
	struct net *n, const struct rte_mbuf *packet, uint16_t header_size, uint64_t now_us)
{
	const uint8_t *header = rte_pktmbuf_mtod(packet, const uint8_t *);
	const struct span all = span_of(header, header_size);
	struct icmp_refusal why;

	const enum err e = check_options(span_skip(all, IPV4_SIZE_MIN), &why);
	if (e != ERR_NONE)
		icmp_refuse(n, packet, why, now_us);
	return e;
}

/* RFC 1122 3.2.2.1: nothing here speaks it, or, of UDP, nothing listens there. */
static void refuse_protocol(
	struct net *n, struct rte_mbuf **packet, uint8_t protocol, uint64_t now_us)
{
	const uint8_t code = protocol == IPV4_PROTO_UDP ? ICMP_CODE_PORT : ICMP_CODE_PROTOCOL;

	icmp_refuse(n, *packet, (struct icmp_refusal){ICMP_UNREACHABLE, code, 0}, now_us);
	net_put(n, packet, ERR_IPV4_PROTOCOL);
}

/* Gives TCP's packet out. Its header, as long as one can be, is contiguous. */
static bool give_tcp(struct net *n, struct rte_mbuf **packet, struct net_packet *out)
{
	const uint16_t head = (uint16_t)RTE_MIN((*packet)->pkt_len, (uint32_t)L4_HEADER_MAX);
	const enum err e = net_pull(n, packet, head);

	if (e != ERR_NONE) {
		net_put(n, packet, e);
		return false;
	}
	out->mbuf = *packet;
	*packet = NULL;
	return true;
}

/* A packet made of fragments may belong to another worker, as a frame that came in whole would.
 * Its Ethernet source is nobody. */
static bool give_away(struct net *n, struct rte_mbuf **packet)
{
	if (n->conf.on_whole == NULL)
		return false;
	struct eth_header *eth = (struct eth_header *)rte_pktmbuf_prepend(*packet, sizeof(*eth));
	ASSERT(eth != NULL); /* it lies in a buffer of ours */
	memcpy(eth->dst, n->conf.mac, sizeof(eth->dst));
	memcpy(eth->src, n->conf.mac, sizeof(eth->src));
	eth->src[5] ^= 1;
	eth->type = RTE_BE16(ETH_TYPE_IPV4);
	if (n->conf.on_whole(n->conf.owner, packet))
		return true;
	rte_pktmbuf_adj(*packet, sizeof(*eth));
	return false;
}

/* To whom a whole packet goes, by its protocol. It begins at its header. */
static bool dispatch(
	struct net *n, struct rte_mbuf **packet, struct net_packet *out, uint64_t now_us)
{
	const struct ipv4_header *header = rte_pktmbuf_mtod(*packet, const struct ipv4_header *);
	const uint16_t header_size = (uint16_t)((header->version_ihl & 0x0f) * 4);
	const uint8_t protocol = header->protocol;

	*out = (struct net_packet){
		.src = header->src, .dst = header->dst, .ttl = header->ttl, .tos = header->tos};
	if (protocol != NET_PROTO_TCP && protocol != IPV4_PROTO_ICMP) {
		refuse_protocol(n, packet, protocol, now_us);
		return false;
	}
	rte_pktmbuf_adj(*packet, header_size);
	if (protocol == NET_PROTO_TCP)
		return give_tcp(n, packet, out);
	icmp_rx(n, packet, out->src, now_us);
	return false;
}

bool ipv4_rx(struct net *n, struct rte_mbuf **packet, bool broadcast, struct net_packet *out,
	uint64_t now_us)
{
	uint16_t header_size = 0;
	enum err e = pull_header(n, packet, &header_size);
	const struct ipv4_header *header = rte_pktmbuf_mtod(*packet, const struct ipv4_header *);

	if (e == ERR_NONE)
		e = check_header(n, header, header_size, (*packet)->pkt_len);
	/* RFC 1122 3.3.6: sent to all stations, though meant for one. */
	if (e == ERR_NONE && broadcast)
		e = ERR_IPV4_NOT_FOR_US;
	if (e == ERR_NONE)
		e = judge_options(n, *packet, header_size, now_us);
	if (e != ERR_NONE) {
		net_put(n, packet, e);
		return false;
	}
	net_trim(*packet, rte_be_to_cpu_16(header->total_size));
	if ((header->fragment & RTE_BE16(FRAGMENT_MASK)) != 0 &&
		(!reassembly_rx(n, packet, header_size, now_us) || give_away(n, packet)))
		return false;
	return dispatch(n, packet, out, now_us);
}

/* Where a packet goes next; 0: nowhere. */
static rte_be32_t next_hop(const struct net *n, rte_be32_t dst)
{
	if (!ipv4_may_be_source(n, dst)) /* we send to hosts only, and not to ourselves */
		return 0;
	return ipv4_is_on_link(n, dst) ? dst : n->conf.gateway;
}

void net_ipv4_tx(struct net *n, struct rte_mbuf **packet, rte_be32_t src, rte_be32_t dst,
	uint8_t protocol, uint64_t now_us)
{
	struct rte_mbuf *m = *packet;
	const rte_be32_t hop = next_hop(n, dst);

	*packet = NULL;
	ASSERT(rte_pktmbuf_headroom(m) >= NET_HEADROOM);
	ASSERT(RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1); /* it is written to */
	if (m->pkt_len + IPV4_SIZE_MIN > n->conf.mtu) {
		net_put(n, &m, ERR_IPV4_TOO_BIG);
		return;
	}
	if (hop == 0) {
		net_put(n, &m, ERR_IPV4_NO_ROUTE);
		return;
	}
	struct ipv4_header *h = (struct ipv4_header *)rte_pktmbuf_prepend(m, sizeof(*h));
	*h = (struct ipv4_header){
		.version_ihl = 0x45,
		.total_size = rte_cpu_to_be_16((uint16_t)m->pkt_len),
		.id = 0, /* RFC 6864 4.1: an atomic datagram's identification means nothing */
		.fragment = RTE_BE16(FRAGMENT_DF),
		.ttl = TTL,
		.protocol = protocol,
		.src = src,
		.dst = dst,
	};
	h->checksum = net_checksum_finish(net_checksum_add(0, h, sizeof(*h)));
	arp_send(n, &m, hop, now_us);
}
