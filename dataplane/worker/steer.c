/* steer.c - see steer.h. */
#include "dataplane/worker/steer.h"

#include "dataplane/base/assert.h"
#include "dataplane/net/headers.h"
#include "dataplane/worker/peer.h"
#include "dataplane/worker/worker_internal.h"

enum {
	ARP_FRAME = sizeof(struct eth_header) + sizeof(struct arp_packet),
	HEADER_WORDS_MIN = 5,
	PORTS_BYTES = 4, /* both TCP ports */
};

/* Addresses and ports of a TCP segment, as they lie on the wire. */
struct flow {
	rte_be32_t src, dst;
	uint32_t ports;
};

struct steer steer_of(uint32_t workers, struct hash_key key)
{
	/* Another key than the tables', or each worker would see only a part of their places. */
	return (struct steer){workers, {key.k0 ^ 0x7374656572696e67u, key.k1}};
}

void steer_init(struct worker *w)
{
	const struct peers *p = w->conf.peers;

	w->steer = steer_of(p == NULL ? 1 : peers_workers(p), w->conf.key);
}

/* A header of IPv4 in a frame: what it carries lies at `end`. */
struct packet_header {
	struct ipv4_header h;
	uint32_t end;
};

/* False: none. */
static bool read_header(const struct rte_mbuf *frame, uint32_t at, struct packet_header *out)
{
	struct ipv4_header room;

	const struct ipv4_header *h = rte_pktmbuf_read(frame, at, sizeof(*h), &room);
	if (h == NULL || h->version_ihl >> 4 != 4)
		return false;
	const uint32_t words = h->version_ihl & 0x0f;
	if (words < HEADER_WORDS_MIN)
		return false;
	*out = (struct packet_header){*h, at + words * 4};
	return true;
}

static bool is_fragment(const struct packet_header *p)
{
	return (p->h.fragment & RTE_BE16(IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK)) != 0;
}

/* False: not a whole TCP segment, as far as its headers say. */
static bool read_flow(const struct rte_mbuf *frame, const struct packet_header *p, struct flow *out)
{
	uint32_t room;

	if (p->h.protocol != NET_PROTO_TCP || is_fragment(p))
		return false;
	*out = (struct flow){.src = p->h.src, .dst = p->h.dst};
	const void *ports = rte_pktmbuf_read(frame, p->end, PORTS_BYTES, &room);
	if (ports == NULL)
		return false;
	memcpy(&out->ports, ports, PORTS_BYTES);
	return true;
}

/* An ICMP error belongs to the owner of the segment that it quotes, which went the other way. */
static bool read_quoted_flow(
	const struct rte_mbuf *frame, const struct packet_header *p, struct flow *out)
{
	struct icmp_header room;
	struct packet_header quoted;
	struct flow sent;

	const struct icmp_header *icmp = rte_pktmbuf_read(frame, p->end, sizeof(*icmp), &room);
	if (icmp == NULL || !net_icmp_is_error(icmp->type))
		return false;
	if (!read_header(frame, p->end + (uint32_t)sizeof(*icmp), &quoted) ||
		!read_flow(frame, &quoted, &sent))
		return false;
	*out = (struct flow){
		.src = sent.dst, .dst = sent.src, .ports = sent.ports << 16 | sent.ports >> 16};
	return true;
}

/* False: no connection's, and no fragment. */
static bool find_flow(const struct rte_mbuf *frame, struct flow *out)
{
	struct packet_header p;

	if (!read_header(frame, sizeof(struct eth_header), &p))
		return false;
	if (is_fragment(&p)) { /* what all fragments of a packet have in common */
		*out = (struct flow){.src = p.h.src,
			.dst = p.h.dst,
			.ports = (uint32_t)p.h.id << 16 | p.h.protocol};
		return true;
	}
	if (p.h.protocol == IPV4_PROTO_ICMP)
		return read_quoted_flow(frame, &p, out);
	return read_flow(frame, &p, out);
}

uint32_t steer_owner(const struct steer *s, const struct rte_mbuf *frame)
{
	struct eth_header room;
	struct flow flow;

	const struct eth_header *eth = rte_pktmbuf_read(frame, 0, sizeof(*eth), &room);
	if (eth == NULL)
		return STEER_HERE;
	if (eth->type == RTE_BE16(ETH_TYPE_ARP))
		return STEER_EVERYBODY;
	if (eth->type != RTE_BE16(ETH_TYPE_IPV4) || !find_flow(frame, &flow))
		return STEER_HERE;
	const uint32_t hash = (uint32_t)siphash(s->key, span_of(&flow, sizeof(flow)));
	return (uint32_t)((uint64_t)hash * s->workers >> 32);
}

/* Takes the frame. A full ring loses it, as a full ring of the NIC would. */
static void hand(struct worker *w, uint32_t to, enum peer_kind kind, struct rte_mbuf *frame)
{
	const struct peer_slot slot = {.kind = kind, .p = frame};

	if (peer_push(w->conf.peers, w->conf.worker, to, &slot)) {
		counter_add(w->counters, COUNTER_PEER_TX, 1);
		return;
	}
	counter_err(w->counters, ERR_NIC_RX_DROPPED);
	rte_pktmbuf_free(frame);
}

/* Copies, since each worker peels its own. Whoever gets none asks for itself. */
static void tell_all(struct worker *w, struct rte_mbuf *frame)
{
	for (uint32_t to = 0; to < w->steer.workers; to++) {
		if (to == w->conf.worker)
			continue;
		struct rte_mbuf *copy =
			rte_pktmbuf_copy(frame, w->conf.pools.control, 0, ARP_FRAME);
		if (copy == NULL) {
			counter_err(w->counters, ERR_NO_BUFFERS);
			return;
		}
		hand(w, to, PEER_NEIGHBOUR, copy);
	}
}

uint16_t steer_in(struct worker *w, struct rte_mbuf **frames, uint16_t n)
{
	uint16_t mine = 0;

	if (w->steer.workers == 1)
		return n;
	for (uint16_t i = 0; i < n; i++) {
		const uint32_t owner = steer_owner(&w->steer, frames[i]);
		if (owner == STEER_EVERYBODY)
			tell_all(w, frames[i]);
		if (owner >= w->steer.workers || owner == w->conf.worker) {
			frames[mine++] = frames[i];
			continue;
		}
		counter_add(w->counters, COUNTER_FRAMES_STEERED, 1);
		hand(w, owner, PEER_FRAME, frames[i]);
	}
	return mine;
}

bool steer_whole(struct worker *w, struct rte_mbuf **frame)
{
	const uint32_t owner = steer_owner(&w->steer, *frame);

	if (w->steer.workers == 1 || owner >= w->steer.workers || owner == w->conf.worker)
		return false;
	counter_add(w->counters, COUNTER_FRAMES_STEERED, 1);
	hand(w, owner, PEER_FRAME, *frame);
	*frame = NULL;
	return true;
}

void steer_on_frame(struct worker *w, const struct peer_slot *slot)
{
	worker_receive(w, (struct rte_mbuf *)slot->p);
}

void steer_on_neighbour(struct worker *w, const struct peer_slot *slot)
{
	struct rte_mbuf *frame = (struct rte_mbuf *)slot->p;

	net_learn(w->net, &frame, w->now_us);
}
