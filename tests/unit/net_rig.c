/* net_rig.c - see net_rig.h. */
#include "tests/unit/net_rig.h"

#include "dataplane/base/assert.h"
#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

#include <rte_mempool.h>
#include <stdlib.h>

const uint8_t rig_mac[6] = {0x02, 0, 0, 0, 0, 1};
const uint8_t rig_peer_mac[6] = {0x02, 0, 0, 0, 0, 2};
const uint8_t rig_broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static uint16_t on_transmit(void *owner, struct rte_mbuf **frames, uint16_t n)
{
	struct rig *r = owner;
	const uint16_t taken = RTE_MIN(n, r->nic_takes);

	for (uint16_t i = 0; i < taken; i++) {
		ASSERT(frames[i]->pkt_len <= RIG_FRAME);
		if (r->sent_count < RIG_SENT) {
			struct rig_frame *f = &r->sent[r->sent_count++];
			f->size = (uint16_t)frames[i]->pkt_len;
			const void *at = rte_pktmbuf_read(frames[i], 0, f->size, f->at);
			if (at != f->at)
				memcpy(f->at, at, f->size);
		}
		rte_pktmbuf_free(frames[i]);
	}
	return taken;
}

static void on_error(void *owner, const struct net_error *e, uint64_t now_us)
{
	struct rig *r = owner;

	(void)now_us;
	r->error = *e;
	r->error_count++;
}

struct rig *rig_open_raw(uint64_t now_us, uint32_t netmask, uint32_t gateway)
{
	static struct rig r;

	if (r.pool == NULL) {
		r.pool = unit_pool(RIG_BUFFERS);
		r.wires = unit_pool(2 * RIG_BUFFERS);
	}
	r.nic_takes = UINT16_MAX;
	rig_clear(&r);
	r.conf = (struct net_conf){
		.mtu = 1500,
		.address = rte_cpu_to_be_32(RIG_ADDRESS),
		.netmask = rte_cpu_to_be_32(netmask),
		.gateway = rte_cpu_to_be_32(gateway),
		.pool = r.pool,
		.counters = &r.counters,
		.transmit = on_transmit,
		.on_error = on_error,
		.owner = &r,
	};
	memcpy(r.conf.mac, rig_mac, 6);
	r.net = net_create(&r.conf, now_us);
	ASSERT(r.net != NULL);
	return &r;
}

struct rig *rig_open(uint64_t now_us)
{
	struct rig *r = rig_open_raw(now_us, 0xffffff00, RIG_GATEWAY);

	rig_flush(r);
	rig_clear(r);
	return r;
}

void rig_close(struct rig *r)
{
	net_check(r->net);
	net_destroy(&r->net);
	CU_ASSERT_PTR_NULL(r->net);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pool), 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->wires), 0);
}

void rig_clear(struct rig *r)
{
	r->sent_count = 0;
	r->error_count = 0;
	r->counters = (struct counters){0};
}

static void free_exact(void *memory, void *shared)
{
	free(memory);
	free(shared);
}

/* A segment of exactly these bytes. */
static struct rte_mbuf *exact(struct rte_mempool *pool, const uint8_t *at, uint16_t size)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t *memory = malloc(size == 0 ? 1 : size);
	struct rte_mbuf_ext_shared_info *shared = malloc(sizeof(*shared));

	ASSERT(m != NULL && memory != NULL && shared != NULL);
	if (size > 0)
		memcpy(memory, at, size);
	*shared = (struct rte_mbuf_ext_shared_info){.free_cb = free_exact, .fcb_opaque = shared};
	rte_mbuf_ext_refcnt_set(shared, 1);
	rte_pktmbuf_attach_extbuf(m, memory, RTE_BAD_IOVA, size, shared);
	m->data_len = size;
	m->pkt_len = size;
	return m;
}

/* A segment more at the end of a chain, whose last segment is `tail`. */
static void append(struct rte_mbuf *head, struct rte_mbuf **tail, struct rte_mbuf *m)
{
	(*tail)->next = m;
	*tail = m;
	head->nb_segs++;
	head->pkt_len += m->data_len;
}

struct rte_mbuf *rig_chain(
	struct rte_mempool *pool, struct span bytes, const uint16_t *cuts, size_t cuts_count)
{
	const uint16_t size = (uint16_t)bytes.size;
	uint16_t start = cuts_count > 0 ? RTE_MIN(cuts[0], size) : size;
	struct rte_mbuf *head = exact(pool, bytes.at, start);
	struct rte_mbuf *tail = head;

	for (size_t i = 1; i <= cuts_count; i++) {
		const uint16_t end = i < cuts_count ? RTE_MIN(cuts[i], size) : size;
		append(head, &tail, exact(pool, bytes.at + start, (uint16_t)(end - start)));
		start = end;
	}
	return head;
}

bool rig_rx(struct rig *r, struct span bytes, struct net_packet *out, uint64_t now_us)
{
	struct rte_mbuf *m = rig_chain(r->wires, bytes, NULL, 0);
	struct net_packet ignored;
	const bool given = net_rx(r->net, &m, out == NULL ? &ignored : out, now_us);

	CU_ASSERT_PTR_NULL(m);
	if (given && out == NULL)
		rte_pktmbuf_free(ignored.mbuf);
	return given;
}

void rig_tx(struct rig *r, uint32_t dst, struct span payload, uint64_t now_us)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->wires);

	ASSERT(m != NULL);
	char *to = rte_pktmbuf_append(m, (uint16_t)payload.size);
	ASSERT(to != NULL);
	memcpy(to, payload.at, payload.size);
	net_ipv4_tx(r->net, &m, r->conf.address, rte_cpu_to_be_32(dst), NET_PROTO_TCP, now_us);
	CU_ASSERT_PTR_NULL(m);
}

void rig_flush(struct rig *r)
{
	net_flush(r->net);
}

uint64_t rig_err(const struct rig *r, enum err e)
{
	return counter_get(&r->counters, (enum counter)(COUNTER_NAMED + (unsigned)e));
}

uint64_t rig_errs(const struct rig *r)
{
	uint64_t sum = 0;

	for (unsigned e = 0; e < ERR_COUNT; e++)
		sum += rig_err(r, (enum err)e);
	return sum;
}

struct span frame_span(const struct rig_frame *f)
{
	return span_of(f->at, f->size);
}

void frame_append(struct rig_frame *f, struct span bytes)
{
	ASSERT(f->size + bytes.size <= RIG_FRAME);
	if (bytes.size > 0)
		memcpy(f->at + f->size, bytes.at, bytes.size);
	f->size = (uint16_t)(f->size + bytes.size);
}

static void append_u16(struct rig_frame *f, uint16_t v)
{
	frame_append(f, span_of((uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2));
}

static void append_u32(struct rig_frame *f, uint32_t v)
{
	append_u16(f, (uint16_t)(v >> 16));
	append_u16(f, (uint16_t)v);
}

void frame_eth(struct rig_frame *f, const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
	f->size = 0;
	frame_append(f, span_of(dst, 6));
	frame_append(f, span_of(src, 6));
	append_u16(f, type);
}

void frame_ipv4(struct rig_frame *f, uint32_t src, uint32_t dst, uint8_t protocol,
	struct span options, struct span payload)
{
	ASSERT(options.size % 4 == 0);
	append_u16(f, (uint16_t)((0x45 + options.size / 4) << 8));
	append_u16(f, (uint16_t)(20 + options.size + payload.size));
	append_u16(f, 0x1234);
	append_u16(f, 0x4000);
	append_u16(f, (uint16_t)(64 << 8 | protocol));
	append_u16(f, 0);
	append_u32(f, src);
	append_u32(f, dst);
	frame_append(f, options);
	frame_append(f, payload);
	frame_resum(f);
}

/* By the book and apart from checksum.c: big-endian words, one by one. */
void frame_resum(struct rig_frame *f)
{
	const size_t end = 14 + (size_t)(f->at[14] & 0x0f) * 4;
	uint32_t sum = 0;

	f->at[24] = f->at[25] = 0;
	for (size_t i = 14; i + 1 < end && i + 1 < f->size; i += 2)
		sum += (uint32_t)f->at[i] << 8 | f->at[i + 1];
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	f->at[24] = (uint8_t)(~sum >> 8);
	f->at[25] = (uint8_t)~sum;
}

void frame_arp(struct rig_frame *f, uint16_t operation, const uint8_t sender_mac[6],
	uint32_t sender, uint32_t target)
{
	append_u16(f, 1);
	append_u16(f, 0x0800);
	append_u16(f, 0x0604);
	append_u16(f, operation);
	frame_append(f, span_of(sender_mac, 6));
	append_u32(f, sender);
	frame_append(f, span_of(operation == 2 ? rig_mac : (const uint8_t[6]){0}, 6));
	append_u32(f, target);
}

void rig_arp(struct rig *r, uint16_t operation, const uint8_t mac[6], uint32_t sender,
	uint32_t target, uint64_t now_us)
{
	struct rig_frame f;

	frame_eth(&f, operation == 2 ? rig_mac : rig_broadcast, mac, 0x0806);
	frame_arp(&f, operation, mac, sender, target);
	CU_ASSERT_FALSE(rig_rx(r, frame_span(&f), NULL, now_us));
}
