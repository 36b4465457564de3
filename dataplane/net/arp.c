/* arp.c - neighbours: who has which MAC address, and the packets that wait to know.
 *
 * A set-associative table: an address has ARP_WAYS places, chosen by its low bits, so that the
 * hosts of one subnet spread evenly and a lookup is bounded whatever peers do. The entry longest
 * unused gives way; one in use, or asked for, does not. At most half of a set may be asked for, so
 * that a scan of absent hosts cannot push out those present.
 *
 * Spec: RFC 826, 1122 2.3.2, 5227 2.3 and 2.4. Not here: probing before use (addresses are
 * configured), proxy ARP. */
#include "dataplane/net/net_internal.h"

enum { NONE = NET_NEIGHBOURS, ARP_REQUEST = 1, ARP_REPLY = 2, HARDWARE_ETHERNET = 1 };

static const uint8_t everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t nobody[6];

void arp_init(struct arp *a, uint64_t now_us)
{
	static_assert(ARP_SETS * ARP_WAYS == NET_NEIGHBOURS, "whole sets");
	static_assert((ARP_SETS & (ARP_SETS - 1)) == 0, "a set is chosen by a mask");
	wheel_init(&a->wheel, a->nodes, NET_NEIGHBOURS, now_us);
}

static uint32_t set_of(rte_be32_t address)
{
	return (rte_be_to_cpu_32(address) & (ARP_SETS - 1)) * ARP_WAYS;
}

static uint32_t find(const struct arp *a, rte_be32_t address)
{
	const uint32_t set = set_of(address);

	ASSERT(address != 0);
	for (uint32_t i = set; i < set + ARP_WAYS; i++)
		if (a->address[i] == address)
			return i;
	return NONE;
}

static void drop_waiting(struct net *n, uint32_t index)
{
	struct neighbour *e = &n->arp.neighbour[index];

	for (unsigned i = 0; i < e->waiting_count; i++)
		net_put(n, &e->waiting[i], ERR_ARP_UNRESOLVED);
	n->arp.waiting_all -= e->waiting_count;
	e->waiting_count = 0;
}

static void forget(struct net *n, uint32_t index)
{
	drop_waiting(n, index);
	wheel_cancel(&n->arp.wheel, index);
	n->arp.address[index] = 0;
	n->arp.neighbour[index] = (struct neighbour){.state = NEIGHBOUR_FREE};
}

void arp_fini(struct net *n)
{
	for (uint32_t i = 0; i < NET_NEIGHBOURS; i++)
		if (n->arp.address[i] != 0)
			forget(n, i);
	ASSERT(n->arp.waiting_all == 0);
}

static void check_neighbour(const struct arp *a, uint32_t i)
{
	const struct neighbour *e = &a->neighbour[i];

	ASSERT(e->state != NEIGHBOUR_FREE);
	ASSERT(wheel_is_armed(&a->wheel, i));
	ASSERT(e->waiting_count <= ARP_WAITING);
	ASSERT(e->waiting_count == 0 || e->state == NEIGHBOUR_ASKED);
	ASSERT(e->tries <= ARP_TRIES);
	ASSERT(i / ARP_WAYS == set_of(a->address[i]) / ARP_WAYS);
	ASSERT(find(a, a->address[i]) == i); /* once only */
}

void arp_check(const struct net *n)
{
	const struct arp *a = &n->arp;
	uint32_t waiting = 0;
	uint32_t used = 0;

	for (uint32_t i = 0; i < NET_NEIGHBOURS; i++) {
		if (a->address[i] == 0) {
			ASSERT(a->neighbour[i].state == NEIGHBOUR_FREE);
			continue;
		}
		check_neighbour(a, i);
		waiting += a->neighbour[i].waiting_count;
		used++;
	}
	ASSERT(used == a->wheel.armed); /* so nothing free is armed */
	ASSERT(waiting == a->waiting_all);
	ASSERT(waiting <= ARP_WAITING_ALL);
}

static bool longer_unused(const struct neighbour *a, const struct neighbour *b)
{
	if (a->used_us != b->used_us)
		return a->used_us < b->used_us;
	return a->confirmed_us < b->confirmed_us;
}

/* A place for a new neighbour, if need be an old one's; NONE when all are in use. */
static uint32_t take(struct net *n, rte_be32_t address, bool asking, uint64_t now_us)
{
	struct arp *a = &n->arp;
	const uint32_t set = set_of(address);
	uint32_t place = NONE;
	uint32_t oldest = NONE;
	uint32_t asked = 0;

	for (uint32_t i = set; i < set + ARP_WAYS; i++) {
		const struct neighbour *e = &a->neighbour[i];
		if (e->state == NEIGHBOUR_FREE)
			place = i;
		else if (e->state == NEIGHBOUR_ASKED)
			asked++;
		else if (oldest == NONE || longer_unused(e, &a->neighbour[oldest]))
			oldest = i;
	}
	if (place == NONE && oldest != NONE) {
		const uint64_t used_us = a->neighbour[oldest].used_us;
		if (used_us == 0 || used_us + ARP_BUSY_US <= now_us)
			place = oldest;
	}
	if (place == NONE || (asking && asked >= ARP_WAYS / 2)) {
		counter_err(n->conf.counters, ERR_ARP_TABLE_FULL);
		return NONE;
	}
	if (a->address[place] != 0)
		forget(n, place);
	a->address[place] = address;
	return place;
}

/* `to`: the target's MAC address in a reply or unicast poll; NULL asks everyone. */
static void transmit(struct net *n, uint16_t operation, const uint8_t *to, rte_be32_t target)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(n->conf.pool);

	if (m == NULL) {
		counter_err(n->conf.counters, ERR_NO_BUFFERS);
		return;
	}
	struct arp_packet *p = (struct arp_packet *)rte_pktmbuf_append(m, sizeof(*p));
	ASSERT(p != NULL);
	*p = (struct arp_packet){
		.hardware = RTE_BE16(HARDWARE_ETHERNET),
		.protocol = RTE_BE16(ETH_TYPE_IPV4),
		.hardware_size = 6,
		.protocol_size = 4,
		.operation = rte_cpu_to_be_16(operation),
		.sender = n->conf.address,
		.target = target,
	};
	memcpy(p->sender_mac, n->conf.mac, 6);
	memcpy(p->target_mac, to == NULL ? nobody : to, 6);
	counter_add(n->conf.counters, COUNTER_ARP_TX, 1);
	net_eth_tx(n, &m, to == NULL ? everyone : to, ETH_TYPE_ARP);
}

/* RFC 5227 2.3: a request for our own address, from it. */
void arp_announce(struct net *n)
{
	transmit(n, ARP_REQUEST, NULL, n->conf.address);
}

static void release_waiting(struct net *n, uint32_t index)
{
	struct neighbour *e = &n->arp.neighbour[index];

	for (unsigned i = 0; i < e->waiting_count; i++)
		net_eth_tx(n, &e->waiting[i], e->mac, ETH_TYPE_IPV4);
	n->arp.waiting_all -= e->waiting_count;
	e->waiting_count = 0;
}

/* RFC 826, "Packet Reception": an existing entry is updated by any packet, a new one is made only
 * by a packet that asks or answers us. */
static void learn(struct net *n, const struct arp_packet *p, uint64_t now_us)
{
	const rte_be32_t sender = p->sender;
	uint32_t index = find(&n->arp, sender);

	if (index == NONE) {
		if (p->target != n->conf.address)
			return;
		if (!ipv4_is_on_link(n, sender) && sender != n->conf.gateway)
			return; /* never a next hop */
		index = take(n, sender, false, now_us);
		if (index == NONE)
			return;
	}
	struct neighbour *e = &n->arp.neighbour[index];
	const bool known = e->state == NEIGHBOUR_KNOWN || e->state == NEIGHBOUR_POLLED;
	if (known && memcmp(e->mac, p->sender_mac, 6) != 0)
		counter_add(n->conf.counters, COUNTER_ARP_CHANGED, 1);
	memcpy(e->mac, p->sender_mac, 6);
	e->state = NEIGHBOUR_KNOWN;
	e->tries = 0;
	e->confirmed_us = now_us;
	wheel_arm(&n->arp.wheel, index, now_us + ARP_AGE_US);
	release_waiting(n, index);
}

/* RFC 5227 2.4 (c): someone else uses our address; say that it is ours, but not in a loop. */
static void defend(struct net *n, uint64_t now_us)
{
	counter_err(n->conf.counters, ERR_ARP_CONFLICT);
	if (now_us < n->arp.defend_us)
		return;
	n->arp.defend_us = now_us + ARP_DEFEND_US;
	arp_announce(n);
}

static bool is_well_formed(const struct arp_packet *p)
{
	if (p->hardware != RTE_BE16(HARDWARE_ETHERNET) || p->protocol != RTE_BE16(ETH_TYPE_IPV4))
		return false;
	if (p->hardware_size != 6 || p->protocol_size != 4)
		return false;
	if (p->operation != RTE_BE16(ARP_REQUEST) && p->operation != RTE_BE16(ARP_REPLY))
		return false;
	return (p->sender_mac[0] & 1) == 0 && memcmp(p->sender_mac, nobody, 6) != 0;
}

/* Makes the packet contiguous and looks whether it may teach or ask anything. */
static enum err check(struct net *n, struct rte_mbuf **packet, const struct arp_packet **out)
{
	if ((*packet)->pkt_len < sizeof(struct arp_packet))
		return ERR_ARP_MALFORMED;
	const enum err e = net_pull(n, packet, sizeof(struct arp_packet));
	if (e != ERR_NONE)
		return e;
	const struct arp_packet *p = rte_pktmbuf_mtod(*packet, const struct arp_packet *);
	if (!is_well_formed(p))
		return ERR_ARP_MALFORMED;
	if (memcmp(p->sender_mac, n->conf.mac, 6) == 0)
		return ERR_ARP_MALFORMED; /* our address in a frame that is not ours */
	*out = p;
	return ERR_NONE;
}

static enum err receive(struct net *n, struct rte_mbuf **packet, uint64_t now_us)
{
	const struct arp_packet *p = NULL;
	const enum err e = check(n, packet, &p);

	if (e != ERR_NONE)
		return e;
	if (p->sender == n->conf.address) {
		defend(n, now_us);
		return ERR_NONE;
	}
	/* RFC 5227 1.2: a probe comes from 0 and teaches nothing. */
	if (ipv4_may_be_source(n, p->sender))
		learn(n, p, now_us);
	else if (p->sender != 0)
		return ERR_ARP_MALFORMED;
	if (p->operation == RTE_BE16(ARP_REQUEST) && p->target == n->conf.address)
		transmit(n, ARP_REPLY, p->sender_mac, p->sender);
	return ERR_NONE;
}

void arp_rx(struct net *n, struct rte_mbuf **packet, uint64_t now_us)
{
	counter_add(n->conf.counters, COUNTER_ARP_RX, 1);
	const enum err e = receive(n, packet, now_us);

	if (e != ERR_NONE)
		counter_err(n->conf.counters, e);
	rte_pktmbuf_free(*packet);
	*packet = NULL;
}

void arp_overhear(struct net *n, struct rte_mbuf **packet, uint64_t now_us)
{
	const struct arp_packet *p = NULL;

	if (check(n, packet, &p) == ERR_NONE && ipv4_may_be_source(n, p->sender))
		learn(n, p, now_us);
	rte_pktmbuf_free(*packet);
	*packet = NULL;
}

static void ask(struct net *n, uint32_t index, uint64_t now_us)
{
	struct neighbour *e = &n->arp.neighbour[index];

	e->tries++;
	transmit(n, ARP_REQUEST, e->state == NEIGHBOUR_POLLED ? e->mac : NULL,
		n->arp.address[index]);
	wheel_arm(&n->arp.wheel, index, now_us + ARP_RETRY_US);
}

/* RFC 1122 2.3.2.2: at least the latest packet is kept, so the oldest gives way. */
static void wait_for(struct net *n, struct rte_mbuf **packet, uint32_t index)
{
	struct neighbour *e = &n->arp.neighbour[index];

	if (e->waiting_count == ARP_WAITING) {
		net_put(n, &e->waiting[0], ERR_ARP_UNRESOLVED);
		memmove(e->waiting, e->waiting + 1, (ARP_WAITING - 1) * sizeof(void *));
		e->waiting_count--;
		n->arp.waiting_all--;
	}
	if (n->arp.waiting_all == ARP_WAITING_ALL) {
		net_put(n, packet, ERR_ARP_UNRESOLVED);
		return;
	}
	e->waiting[e->waiting_count++] = *packet;
	n->arp.waiting_all++;
	*packet = NULL;
}

void arp_send(struct net *n, struct rte_mbuf **packet, rte_be32_t next_hop, uint64_t now_us)
{
	uint32_t index = find(&n->arp, next_hop);

	if (index == NONE) {
		index = take(n, next_hop, true, now_us);
		if (index == NONE) {
			net_put(n, packet, ERR_ARP_UNRESOLVED);
			return;
		}
		n->arp.neighbour[index].state = NEIGHBOUR_ASKED;
		ask(n, index, now_us);
	}
	struct neighbour *e = &n->arp.neighbour[index];
	e->used_us = now_us;
	if (e->state == NEIGHBOUR_ASKED)
		wait_for(n, packet, index);
	else
		net_eth_tx(n, packet, e->mac, ETH_TYPE_IPV4);
}

static void on_timer(void *owner, uint32_t index, uint64_t now_us)
{
	struct net *n = owner;
	struct neighbour *e = &n->arp.neighbour[index];
	const bool wanted = e->used_us > e->confirmed_us;

	ASSERT(e->state != NEIGHBOUR_FREE);
	if (e->state == NEIGHBOUR_KNOWN && wanted)
		e->state = NEIGHBOUR_POLLED; /* RFC 1122 2.3.2.1 (2): used meanwhile, as before */
	else if (e->state == NEIGHBOUR_KNOWN || e->tries >= ARP_TRIES) {
		forget(n, index);
		return;
	}
	ask(n, index, now_us);
}

void net_poll_timers(struct net *n, uint64_t now_us)
{
	reassembly_poll(n, now_us);
	wheel_poll(&n->arp.wheel, now_us, ARP_POLL_BUDGET, on_timer, n);
}

uint64_t net_next_us(const struct net *n)
{
	return RTE_MIN(wheel_next_us(&n->arp.wheel), n->reassembly.next_us);
}
