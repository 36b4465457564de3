/* net.c - a port's frames: Ethernet in and out, and the queue before the NIC.
 *
 * Not here: what is inside a frame (arp.c, ipv4.c, icmp.c). Spec: RFC 894. */
#include "dataplane/net/net_internal.h"

#include <stdlib.h>

static const uint8_t broadcast_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

struct net *net_create(const struct net_conf *conf, uint64_t now_us)
{
	ASSERT(conf->pool != NULL);
	ASSERT(conf->counters != NULL);
	ASSERT(conf->transmit != NULL);
	struct net *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->conf = *conf;
	arp_init(&n->arp, now_us);
	icmp_init(n, now_us);
	reassembly_init(n);
	arp_announce(n);
	return n;
}

void net_destroy(struct net **n)
{
	if (*n == NULL)
		return;
	arp_fini(*n);
	reassembly_fini(*n);
	rte_pktmbuf_free_bulk((*n)->queue, (*n)->queued);
	free(*n);
	*n = NULL;
}

void net_check(const struct net *n)
{
	ASSERT(n->queued <= NET_TX_QUEUE);
	for (uint32_t i = 0; i < n->queued; i++)
		ASSERT(n->queue[i] != NULL && rte_mbuf_refcnt_read(n->queue[i]) == 1);
	ASSERT(n->icmp_echoes.saved_us <= n->icmp_echoes.full_us);
	ASSERT(n->icmp_errors.saved_us <= n->icmp_errors.full_us);
	arp_check(n);
	reassembly_check(n);
}

void net_put(struct net *n, struct rte_mbuf **packet, enum err why)
{
	counter_err(n->conf.counters, why);
	rte_pktmbuf_free(*packet);
	*packet = NULL;
}

/* Makes the first `size` bytes of a packet, which has as many, contiguous. A chain that begins
 * with short segments gets a new first one: received bytes are never moved in place. */
enum err net_pull(struct net *n, struct rte_mbuf **packet, uint16_t size)
{
	struct rte_mbuf *m = *packet;

	ASSERT(m->pkt_len >= size);
	if (m->data_len >= size)
		return ERR_NONE;
	struct rte_mbuf *head = rte_pktmbuf_alloc(n->conf.pool);
	if (head == NULL)
		return ERR_NO_BUFFERS;
	ASSERT(rte_pktmbuf_tailroom(head) >= size);

	uint8_t *to = rte_pktmbuf_mtod(head, uint8_t *);
	uint16_t segments = m->nb_segs;
	const uint32_t packet_size = m->pkt_len;
	uint16_t left = size;
	while (m != NULL && m->data_len <= left) {
		struct rte_mbuf *next = m->next;
		memcpy(to, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
		to += m->data_len;
		left -= m->data_len;
		rte_pktmbuf_free_seg(m);
		m = next;
		segments--;
	}
	if (left > 0) {
		ASSERT(m != NULL);
		memcpy(to, rte_pktmbuf_mtod(m, const uint8_t *), left);
		m->data_off += left;
		m->data_len -= left;
	}
	head->data_len = size;
	head->pkt_len = packet_size;
	head->next = m;
	head->nb_segs = segments + 1;
	*packet = head;
	return ERR_NONE;
}

/* Cuts a packet to its first `size` bytes; it has at least as many. */
void net_trim(struct rte_mbuf *packet, uint32_t size)
{
	ASSERT(packet->pkt_len >= size);
	if (packet->pkt_len == size)
		return;
	struct rte_mbuf *m = packet;
	uint16_t segments = 1;
	uint32_t left = size;
	for (; m->data_len < left; m = m->next) {
		left -= m->data_len;
		segments++;
	}
	rte_pktmbuf_free(m->next);
	m->next = NULL;
	m->data_len = (uint16_t)left;
	packet->pkt_len = size;
	packet->nb_segs = segments;
}

/* RFC 1122 2.4 leaves promiscuous input to us: only our own address and broadcast get in. A group
 * address cannot send, and what we sent ourselves comes back only by mistake. */
static enum err check_addresses(const struct net *n, const struct eth_header *eth, bool *broadcast)
{
	*broadcast = memcmp(eth->dst, broadcast_mac, 6) == 0;
	if (!*broadcast && memcmp(eth->dst, n->conf.mac, 6) != 0)
		return ERR_ETH_NOT_FOR_US;
	if ((eth->src[0] & 1) != 0 || memcmp(eth->src, n->conf.mac, 6) == 0)
		return ERR_ETH_SOURCE;
	return ERR_NONE;
}

bool net_rx(struct net *n, struct rte_mbuf **frame, struct net_packet *out, uint64_t now_us)
{
	struct rte_mbuf *m = *frame;
	bool broadcast = false;

	*frame = NULL;
	enum err e = m->pkt_len < sizeof(struct eth_header)
			     ? ERR_ETH_RUNT
			     : net_pull(n, &m, sizeof(struct eth_header));
	if (e != ERR_NONE) {
		net_put(n, &m, e);
		return false;
	}
	const struct eth_header *eth = rte_pktmbuf_mtod(m, const struct eth_header *);
	const rte_be16_t type = eth->type;
	e = check_addresses(n, eth, &broadcast);
	if (e != ERR_NONE) {
		net_put(n, &m, e);
		return false;
	}
	rte_pktmbuf_adj(m, sizeof(struct eth_header));
	if (type == RTE_BE16(ETH_TYPE_IPV4))
		return ipv4_rx(n, &m, broadcast, out, now_us);
	if (type == RTE_BE16(ETH_TYPE_ARP))
		arp_rx(n, &m, now_us);
	else
		net_put(n, &m, ERR_ETH_UNKNOWN_TYPE);
	return false;
}

void net_learn(struct net *n, struct rte_mbuf **frame, uint64_t now_us)
{
	struct rte_mbuf *m = *frame;
	bool broadcast = false;

	*frame = NULL;
	if (m->pkt_len >= sizeof(struct eth_header) &&
		net_pull(n, &m, sizeof(struct eth_header)) == ERR_NONE) {
		const struct eth_header *eth = rte_pktmbuf_mtod(m, const struct eth_header *);
		const bool arp = eth->type == RTE_BE16(ETH_TYPE_ARP);
		if (arp && check_addresses(n, eth, &broadcast) == ERR_NONE) {
			rte_pktmbuf_adj(m, sizeof(struct eth_header));
			arp_overhear(n, &m, now_us);
			return;
		}
	}
	rte_pktmbuf_free(m);
}

uint32_t net_tx_room(const struct net *n)
{
	const uint32_t most = NET_TX_QUEUE - NET_TX_RESERVE;

	return n->queued < most ? most - n->queued : 0;
}

/* Puts the Ethernet header in front and queues the frame; data leaves the reserve to ARP. */
void net_eth_tx(struct net *n, struct rte_mbuf **packet, const uint8_t dst[6], uint16_t type)
{
	struct rte_mbuf *m = *packet;
	const uint32_t most = type == ETH_TYPE_ARP ? NET_TX_QUEUE : NET_TX_QUEUE - NET_TX_RESERVE;

	if (n->queued >= most) {
		net_put(n, packet, ERR_NIC_TX_DROPPED);
		return;
	}
	struct eth_header *eth = (struct eth_header *)rte_pktmbuf_prepend(m, sizeof(*eth));
	ASSERT(eth != NULL);
	memcpy(eth->dst, dst, 6);
	memcpy(eth->src, n->conf.mac, 6);
	eth->type = rte_cpu_to_be_16(type);
	n->queue[n->queued++] = m;
	*packet = NULL;
}

/* A full ring is back-pressure, not loss: what the NIC leaves goes first next time. The driver
 * counts what it takes and that it was full. */
void net_flush(struct net *n)
{
	if (n->queued == 0)
		return;
	const uint16_t taken = n->conf.transmit(n->conf.owner, n->queue, (uint16_t)n->queued);

	ASSERT(taken <= n->queued);
	n->queued -= taken;
	if (taken > 0)
		memmove(n->queue, n->queue + taken, n->queued * sizeof(void *));
}
