/* net_fuzz.c - arbitrary frames, split anywhere, between time steps and sends, into a port.
 *
 * An input is a list of steps; each begins with a byte (see the enum). Segments lie on memory of
 * exactly their size. After each input: every invariant of the port holds, every frame it sent is
 * well-formed, what it gave to TCP is what an independent reading of the frame finds, and no buffer
 * is missing. Seeds: tests/corpus/make_net.py. */
#include "dataplane/base/reader.h"
#include "dataplane/net/net_internal.h"
#include "tests/unit/eal.h"
#include "tests/unit/net_rig.h"

#include <rte_mempool.h>
#include <stdlib.h>

/* Low three bits of a step's first byte. */
enum step {
	STEP_FRAME = 0, /* two cuts (u16 each), size (u16), bytes */
	STEP_MENDED,    /* the same, with IPv4's and ICMP's checksums put right */
	STEP_TIME,      /* u32: microseconds times 256 */
	STEP_SEND,      /* u32 address, u16 size */
	STEP_FLUSH,     /* u8: how many frames the NIC takes */
	STEP_STARVE,    /* all buffers are gone; the next one brings them back */
	STEP_KINDS,
};

enum { STEPS_MAX = 100, POOL = 64, FRAME_MAX = 3000 };

static struct rte_mempool *pool; /* small: the port must live with none left */
static struct rte_mempool *wires;

struct world {
	struct net *net;
	struct counters counters;
	struct net_conf conf;
	uint64_t now_us;
	uint16_t nic_takes;
	struct rte_mbuf *starved[POOL];
	unsigned starved_count;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	pool = unit_pool(POOL);
	wires = unit_pool(8192);
	return 0;
}

static void check_sent_ipv4(struct span packet)
{
	struct reader r = reader_of(packet);

	ASSERT(packet.size >= 20);
	ASSERT(net_checksum_finish(net_checksum_add(0, packet.at, 20)) == 0);
	ASSERT(read_u16(&r) == 0x4500);
	ASSERT(read_u16(&r) == packet.size);
	ASSERT(read_u32(&r) == 0x00004000);
	ASSERT(read_u8(&r) == 64);
	const uint8_t protocol = read_u8(&r);
	if (protocol != IPV4_PROTO_ICMP)
		return;
	ASSERT(packet.size >= 28);
	const uint8_t type = packet.at[20];
	ASSERT(type == ICMP_ECHO_REPLY || type == ICMP_UNREACHABLE || type == ICMP_PARAMETER ||
		type == ICMP_TIME_EXCEEDED);
	ASSERT(type == ICMP_ECHO_REPLY || packet.size <= 576);
	ASSERT(net_checksum_finish(net_checksum_add(0, packet.at + 20, packet.size - 20)) == 0);
}

static void check_sent(const struct world *w, const struct rte_mbuf *m)
{
	uint8_t copy[FRAME_MAX];

	ASSERT(m->pkt_len >= 14 && m->pkt_len <= w->conf.mtu + 14u);
	const uint8_t *at = rte_pktmbuf_read(m, 0, m->pkt_len, copy);
	ASSERT(memcmp(at + 6, rig_mac, 6) == 0);
	ASSERT(memcmp(at, rig_mac, 6) != 0);
	const uint16_t type = (uint16_t)(at[12] << 8 | at[13]);
	if (type == ETH_TYPE_IPV4) {
		check_sent_ipv4(span_of(at + 14, m->pkt_len - 14));
		return;
	}
	ASSERT(type == ETH_TYPE_ARP);
	ASSERT(m->pkt_len == 42 && memcmp(at + 22, rig_mac, 6) == 0);
}

static uint16_t on_transmit(void *owner, struct rte_mbuf **frames, uint16_t n)
{
	const struct world *w = owner;
	const uint16_t taken = RTE_MIN(n, w->nic_takes);

	for (uint16_t i = 0; i < taken; i++) {
		check_sent(w, frames[i]);
		rte_pktmbuf_free(frames[i]);
	}
	return taken;
}

/* Reads the frame again, in another way, and compares with what TCP would get. */
static void check_given(struct span frame, const struct net_packet *given)
{
	uint8_t copy[FRAME_MAX];
	struct reader r = reader_of(frame);

	read_bytes(&r, 12);
	ASSERT(read_u16(&r) == ETH_TYPE_IPV4);
	const size_t header = (size_t)(read_u8(&r) & 0x0f) * 4;
	const uint8_t tos = read_u8(&r);
	const size_t total = read_u16(&r);
	read_u16(&r);
	ASSERT((read_u16(&r) & 0x3fff) == 0);
	const uint8_t ttl = read_u8(&r);
	ASSERT(read_u8(&r) == NET_PROTO_TCP);
	read_u16(&r);
	ASSERT(read_u32(&r) == rte_be_to_cpu_32(given->src));
	ASSERT(read_u32(&r) == RIG_ADDRESS && rte_be_to_cpu_32(given->dst) == RIG_ADDRESS);
	ASSERT(given->tos == tos && given->ttl == ttl);
	ASSERT(!r.bad && header >= 20 && total >= header && 14 + total <= frame.size);

	const struct span payload = {frame.at + 14 + header, total - header};
	const struct rte_mbuf *m = given->mbuf;
	ASSERT(m->pkt_len == payload.size);
	ASSERT(m->data_len >= RTE_MIN(m->pkt_len, 60u));
	ASSERT(payload.size == 0 ||
		memcmp(rte_pktmbuf_read(m, 0, m->pkt_len, copy), payload.at, payload.size) == 0);
}

static bool is_fragment(struct span frame)
{
	return frame.size >= 34 && ((frame.at[20] << 8 | frame.at[21]) & 0x3fff) != 0;
}

/* Of a packet put together little can be said by one who has not kept its pieces. */
static void check_whole(const struct net_packet *given)
{
	const struct rte_mbuf *m = given->mbuf;

	ASSERT(rte_be_to_cpu_32(given->dst) == RIG_ADDRESS);
	ASSERT(m->pkt_len >= 48 && m->pkt_len <= 65515);
	ASSERT(m->data_len >= RTE_MIN(m->pkt_len, 60u));
	rte_mbuf_sanity_check(m, 1);
}

static void put_sum(uint8_t *at, uint16_t sum)
{
	memcpy(at, &sum, sizeof(sum));
}

/* So that the fuzzer need not guess sums to get past them. */
static void mend(uint8_t *frame, size_t size)
{
	if (size < 34)
		return;
	const size_t header = (size_t)(frame[14] & 0x0f) * 4;
	const size_t total = (size_t)(frame[16] << 8 | frame[17]);
	if (14 + header > size || header < 20)
		return;
	put_sum(frame + 24, 0);
	put_sum(frame + 24, net_checksum_finish(net_checksum_add(0, frame + 14, header)));
	if (frame[23] != IPV4_PROTO_ICMP || total < header + 8 || 14 + total > size)
		return;
	uint8_t *icmp = frame + 14 + header;
	put_sum(icmp + 2, 0);
	put_sum(icmp + 2, net_checksum_finish(net_checksum_add(0, icmp, total - header)));
}

static void step_frame(struct world *w, struct reader *r, bool mended)
{
	uint8_t frame[FRAME_MAX];
	uint16_t cuts[2];

	cuts[0] = read_u16(r);
	cuts[1] = read_u16(r);
	if (cuts[1] < cuts[0])
		cuts[1] = cuts[0];
	const size_t wanted = read_u16(r);
	const size_t size = RTE_MIN(RTE_MIN(wanted, reader_left(r)), sizeof(frame));
	const struct span bytes = read_bytes(r, size);
	if (bytes.size > 0)
		memcpy(frame, bytes.at, bytes.size);
	if (mended)
		mend(frame, bytes.size);

	const struct span sent = span_of(frame, bytes.size);
	struct rte_mbuf *m = rig_chain(wires, sent, cuts, 2);
	struct net_packet out;
	if (!net_rx(w->net, &m, &out, w->now_us))
		return;
	if (is_fragment(sent))
		check_whole(&out);
	else
		check_given(sent, &out);
	rte_pktmbuf_free(out.mbuf);
}

static void step_send(struct world *w, struct reader *r)
{
	const rte_be32_t dst = rte_cpu_to_be_32(read_u32(r));
	const uint16_t size = read_u16(r) % 1600;
	struct rte_mbuf *m = rte_pktmbuf_alloc(wires);

	ASSERT(m != NULL);
	memset(rte_pktmbuf_append(m, size), 0x55, size);
	net_ipv4_tx(w->net, &m, w->conf.address, dst, NET_PROTO_TCP, w->now_us);
	ASSERT(m == NULL);
}

static void feed(struct world *w)
{
	rte_pktmbuf_free_bulk(w->starved, w->starved_count);
	w->starved_count = 0;
}

static void step_starve(struct world *w)
{
	if (w->starved_count > 0) {
		feed(w);
		return;
	}
	const unsigned count = rte_mempool_avail_count(pool);
	if (count > 0 && rte_pktmbuf_alloc_bulk(pool, w->starved, count) == 0)
		w->starved_count = count;
}

static void step(struct world *w, struct reader *r)
{
	const uint8_t kind = read_u8(r);

	switch ((enum step)(kind % STEP_KINDS)) {
	case STEP_FRAME:
	case STEP_MENDED:
		step_frame(w, r, kind % STEP_KINDS == STEP_MENDED);
		break;
	case STEP_TIME:
		w->now_us += (uint64_t)read_u32(r) << 8;
		net_poll_timers(w->net, w->now_us);
		break;
	case STEP_SEND:
		step_send(w, r);
		break;
	case STEP_FLUSH:
		w->nic_takes = read_u8(r);
		net_flush(w->net);
		break;
	case STEP_STARVE:
		step_starve(w);
		break;
	case STEP_KINDS:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct reader r = reader_of(span_of(data, size));

	w = (struct world){.nic_takes = UINT16_MAX};
	w.conf = (struct net_conf){
		.mtu = 1500,
		.address = RTE_BE32(RIG_ADDRESS),
		.netmask = RTE_BE32(0xff000000),
		.gateway = RTE_BE32(RIG_GATEWAY),
		.pool = pool,
		.counters = &w.counters,
		.transmit = on_transmit,
		.owner = &w,
	};
	memcpy(w.conf.mac, rig_mac, 6);
	w.net = net_create(&w.conf, 0);
	ASSERT(w.net != NULL);
	for (int i = 0; i < STEPS_MAX && reader_left(&r) > 0; i++)
		step(&w, &r);
	net_check(w.net);
	w.nic_takes = UINT16_MAX;
	net_flush(w.net);
	net_destroy(&w.net);
	feed(&w);
	ASSERT(rte_mempool_in_use_count(pool) == 0);
	ASSERT(rte_mempool_in_use_count(wires) == 0);
	return 0;
}
