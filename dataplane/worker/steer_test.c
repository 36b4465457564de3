/* steer_test.c - whose is a frame: one owner a flow, whatever else the frame says; and the way to
 * others by ring. */
#include "dataplane/base/rng.h"
#include "dataplane/worker/worker_internal.h"
#include "tests/unit/eal.h"
#include "tests/unit/net_rig.h"
#include "tests/unit/unit.h"

#include <rte_mempool.h>

enum { CLIENT = 0x0a000002, BOX = 0x0a000001, FLOWS = 4000, BUFFERS = PEER_SLOTS + 256 };

static const struct hash_key key = {0x1234, 0x5678};
static const uint8_t client_mac[6] = {0x02, 0, 0, 0, 0, 2};

static struct rte_mempool *pool(void)
{
	static struct rte_mempool *p;

	if (p == NULL)
		p = unit_pool(BUFFERS);
	return p;
}

struct segment {
	uint32_t src;
	uint16_t port;
	size_t options;    /* bytes of IPv4 options */
	size_t payload;    /* bytes behind the ports */
	uint16_t fragment; /* the header's field */
	uint8_t protocol;
	uint8_t flags; /* any byte of TCP's header that is not a port */
};

static struct rig_frame frame_of(const struct segment *s)
{
	static const uint8_t zeros[64];
	uint8_t l4[64] = {(uint8_t)(s->port >> 8), (uint8_t)s->port, 0x07, 0x5b, s->flags};
	struct rig_frame f;

	frame_eth(&f, rig_mac, client_mac, 0x0800);
	frame_ipv4(&f, s->src, BOX, s->protocol, span_of(zeros, s->options),
		span_of(l4, 4 + s->payload));
	f.at[20] = (uint8_t)(s->fragment >> 8);
	f.at[21] = (uint8_t)s->fragment;
	frame_resum(&f);
	return f;
}

static uint32_t owner_cut(
	uint32_t workers, const struct rig_frame *f, const uint16_t *cuts, size_t count)
{
	const struct steer s = steer_of(workers, key);
	struct rte_mbuf *m = rig_chain(pool(), frame_span(f), cuts, count);
	const uint32_t owner = steer_owner(&s, m);

	rte_pktmbuf_free(m);
	return owner;
}

static uint32_t owner(uint32_t workers, const struct segment *s)
{
	const struct rig_frame f = frame_of(s);

	return owner_cut(workers, &f, NULL, 0);
}

/* Whatever a frame of a flow carries, and however it is cut, it has one owner. */
static void a_flow_has_one_owner(void)
{
	static const uint16_t cuts[] = {1, 13, 14, 20, 33, 34, 36};
	struct rng rng = rng_from(unit_seed());

	for (uint32_t workers = 1; workers <= 8; workers++) {
		for (int i = 0; i < 200; i++) {
			struct segment s = {.src = CLIENT + (uint32_t)rng_below(&rng, 200),
				.port = (uint16_t)rng_next(&rng),
				.protocol = NET_PROTO_TCP};
			const uint32_t first = owner(workers, &s);
			CU_ASSERT(first < workers);
			s.options = 4 * rng_below(&rng, 11);
			s.payload = rng_below(&rng, 60);
			s.flags = (uint8_t)rng_next(&rng);
			s.fragment = rng_below(&rng, 2) == 0 ? 0 : 0x4000; /* DF */
			CU_ASSERT_EQUAL(owner(workers, &s), first);
			const struct rig_frame f = frame_of(&s);
			CU_ASSERT_EQUAL(owner_cut(workers, &f, cuts, RTE_DIM(cuts)), first);
		}
	}
}

/* Each worker gets its share, within a fifth: four standard deviations and more. */
static void flows_are_spread(void)
{
	for (uint32_t workers = 2; workers <= 8; workers++) {
		uint32_t count[8] = {0};
		struct segment s = {.src = CLIENT, .protocol = NET_PROTO_TCP};
		for (uint32_t i = 0; i < FLOWS; i++) {
			s.port = (uint16_t)(32768 + i);
			count[owner(workers, &s)]++;
		}
		for (uint32_t i = 0; i < workers; i++) {
			CU_ASSERT(count[i] > FLOWS / workers * 4 / 5);
			CU_ASSERT(count[i] < FLOWS / workers * 6 / 5);
		}
	}
}

static void the_key_decides(void)
{
	const struct hash_key keys[] = {key, {key.k0, key.k1 + 1}, {key.k0 + 1, key.k1}};
	uint32_t moved[RTE_DIM(keys)] = {0};

	for (uint32_t i = 0; i < 500; i++) {
		const struct segment t = {
			.src = CLIENT, .port = (uint16_t)i, .protocol = NET_PROTO_TCP};
		const struct rig_frame f = frame_of(&t);
		struct rte_mbuf *m = rig_chain(pool(), frame_span(&f), NULL, 0);
		for (size_t k = 0; k < RTE_DIM(keys); k++) {
			const struct steer s = steer_of(2, keys[k]);
			moved[k] += steer_owner(&s, m) != owner(2, &t);
		}
		rte_pktmbuf_free(m);
	}
	CU_ASSERT_EQUAL(moved[0], 0);
	CU_ASSERT(moved[1] > 150 && moved[1] < 350);
	CU_ASSERT(moved[2] > 150 && moved[2] < 350);
}

static void what_is_no_segment_stays(void)
{
	const struct segment tcp = {.src = CLIENT, .port = 1, .protocol = NET_PROTO_TCP};
	struct segment s = tcp;

	CU_ASSERT(owner(8, &s) < 8);
	s.protocol = 1;
	CU_ASSERT_EQUAL(owner(8, &s), STEER_HERE);
	struct rig_frame f = frame_of(&tcp);
	for (f.size = 0; f.size < 38; f.size++)
		CU_ASSERT_EQUAL(owner_cut(8, &f, NULL, 0), STEER_HERE);
	CU_ASSERT(owner_cut(8, &f, NULL, 0) < 8);
	f.at[14] = 0x44; /* a header too short */
	CU_ASSERT_EQUAL(owner_cut(8, &f, NULL, 0), STEER_HERE);
	f.at[14] = 0x65; /* version 6 */
	CU_ASSERT_EQUAL(owner_cut(8, &f, NULL, 0), STEER_HERE);
	f.at[14] = 0x45;
	f.at[12] = 0x86; /* no type we know */
	CU_ASSERT_EQUAL(owner_cut(8, &f, NULL, 0), STEER_HERE);
}

/* By what they have in common: not by ports, which the first one alone has. */
static void fragments_of_a_packet_have_one_owner(void)
{
	uint32_t count[8] = {0};

	for (uint32_t i = 0; i < 400; i++) {
		struct segment s = {.src = CLIENT,
			.port = (uint16_t)i,
			.payload = 20,
			.fragment = 0x2000,
			.protocol = i % 2 == 0 ? NET_PROTO_TCP : 17};
		struct rig_frame f = frame_of(&s);
		f.at[18] = (uint8_t)(i >> 8);
		f.at[19] = (uint8_t)i;
		const uint32_t first = owner_cut(8, &f, NULL, 0);
		CU_ASSERT_FATAL(first < 8);
		count[first]++;
		f.at[20] = 0; /* the last one, 8 bytes behind */
		f.at[21] = 1;
		f.at[34] ^= 0x55;
		CU_ASSERT_EQUAL(owner_cut(8, &f, NULL, 0), first);
	}
	for (uint32_t i = 0; i < 8; i++)
		CU_ASSERT(count[i] > 20);
}

/* An ICMP error goes where the connection is whose segment it quotes. */
static void an_error_goes_to_whom_it_is_about(void)
{
	static const uint16_t cuts[] = {30, 40, 55, 63};

	for (uint32_t i = 0; i < 200; i++) {
		const struct segment from_peer = {
			.src = CLIENT, .port = (uint16_t)i, .protocol = NET_PROTO_TCP};
		uint8_t icmp[36] = {3, (uint8_t)i, 0, 0, 0, 0, 0, 0, 0x45, 0, 0, 40, 0, 0, 0x40, 0,
			64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x07, 0x5b, 0, (uint8_t)i};
		struct rig_frame f;

		frame_eth(&f, rig_mac, client_mac, 0x0800);
		frame_ipv4(&f, 0x0a000009, BOX, 1, span_of(icmp, 0), span_of(icmp, 36));
		CU_ASSERT_EQUAL(owner_cut(8, &f, cuts, 4), owner(8, &from_peer));
		f.at[34] = 8; /* echo, whatever it carries */
		CU_ASSERT_EQUAL(owner_cut(8, &f, NULL, 0), STEER_HERE);
		f.at[34] = 3;
		f.at[34 + 8 + 9] = 17; /* it quotes UDP */
		CU_ASSERT_EQUAL(owner_cut(8, &f, NULL, 0), STEER_HERE);
	}
}

/* Not whole workers: what steering needs of them. */
struct three {
	struct peers *peers;
	struct worker worker[3];
	struct counters counters[3];
};

static struct three *three_open(uint32_t workers)
{
	static struct three t;

	t = (struct three){.peers = peers_create(workers)};
	for (uint32_t i = 0; i < workers; i++) {
		struct worker *w = &t.worker[i];
		w->conf = (struct box_conf){.worker = (uint16_t)i, .key = key, .peers = t.peers};
		w->conf.pools.control = pool();
		w->counters = &t.counters[i];
		steer_init(w);
	}
	return &t;
}

static void three_close(struct three *t)
{
	peers_clear(t->peers);
	peers_destroy(&t->peers);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool()), 0);
}

static void frames_go_to_their_owner(void)
{
	struct three *t = three_open(3);
	struct peer_slot slot;

	for (uint16_t port = 0; port < 300; port++) {
		const struct segment s = {.src = CLIENT, .port = port, .protocol = NET_PROTO_TCP};
		const struct rig_frame f = frame_of(&s);
		const uint32_t to = owner(3, &s);
		struct rte_mbuf *frames[] = {rig_chain(pool(), frame_span(&f), NULL, 0)};
		struct rte_mbuf *m = frames[0];
		CU_ASSERT_EQUAL(steer_in(&t->worker[1], frames, 1), to == 1);
		if (to != 1) {
			CU_ASSERT_FATAL(peer_pop(t->peers, 1, to, &slot));
			CU_ASSERT(slot.kind == PEER_FRAME && slot.p == m);
		}
		rte_pktmbuf_free(m);
	}
	three_close(t);
}

static void what_stays_keeps_its_order(void)
{
	struct three *t = three_open(2);
	struct rte_mbuf *frames[64], *mine[64] = {0};
	uint16_t expected = 0;

	for (uint16_t i = 0; i < 64; i++) {
		const struct segment s = {.src = CLIENT, .port = i, .protocol = NET_PROTO_TCP};
		const struct rig_frame f = frame_of(&s);
		frames[i] = rig_chain(pool(), frame_span(&f), NULL, 0);
		if (owner(2, &s) == 0)
			mine[expected++] = frames[i];
	}
	CU_ASSERT_EQUAL_FATAL(steer_in(&t->worker[0], frames, 64), expected);
	CU_ASSERT_EQUAL(memcmp(frames, mine, expected * sizeof(frames[0])), 0);
	CU_ASSERT_EQUAL(counter_get(&t->counters[0], COUNTER_FRAMES_STEERED), 64 - expected);
	rte_pktmbuf_free_bulk(mine, expected);
	three_close(t);
}

static void arp_stays_and_is_told_to_all(void)
{
	struct three *t = three_open(3);
	struct rig_frame f;
	struct peer_slot slot;

	frame_eth(&f, rig_broadcast, client_mac, 0x0806);
	frame_arp(&f, 1, client_mac, CLIENT, BOX);
	struct rte_mbuf *frames[] = {rig_chain(pool(), frame_span(&f), NULL, 0)};
	struct rte_mbuf *m = frames[0];
	CU_ASSERT_EQUAL(steer_in(&t->worker[2], frames, 1), 1);
	CU_ASSERT_PTR_EQUAL(frames[0], m);
	for (uint32_t to = 0; to < 2; to++) {
		CU_ASSERT_FATAL(peer_pop(t->peers, 2, to, &slot));
		CU_ASSERT(slot.kind == PEER_NEIGHBOUR && slot.p != m);
		struct rte_mbuf *copy = slot.p;
		CU_ASSERT(span_equal(
			frame_span(&f), span_of(rte_pktmbuf_mtod(copy, void *), copy->data_len)));
		rte_pktmbuf_free(copy);
	}
	rte_pktmbuf_free(m);
	three_close(t);
}

static void a_full_ring_drops_and_counts(void)
{
	struct three *t = three_open(2);
	struct segment s = {.src = CLIENT, .protocol = NET_PROTO_TCP};

	while (owner(2, &s) != 1)
		s.port++;
	const struct rig_frame f = frame_of(&s);
	for (uint32_t i = 0; i < PEER_SLOTS; i++) {
		struct rte_mbuf *frames[] = {rig_chain(pool(), frame_span(&f), NULL, 0)};
		CU_ASSERT_EQUAL(steer_in(&t->worker[0], frames, 1), 0);
	}
	CU_ASSERT_EQUAL(
		counter_get(&t->counters[0], (enum counter)(COUNTER_NAMED + ERR_NIC_RX_DROPPED)),
		PEER_SLOTS_KEPT);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool()), PEER_SLOTS - PEER_SLOTS_KEPT);
	three_close(t);
}

static void alone_it_looks_at_nothing(void)
{
	struct worker w = {.conf = {.key = key}};
	struct rte_mbuf *frames[4] = {NULL};

	steer_init(&w);
	CU_ASSERT_EQUAL(steer_in(&w, frames, 4), 4);
	CU_ASSERT(!peers_poll(&w) && !peers_pending(&w));
	peers_flush(&w);
}

static const struct unit_test tests[] = {
	{"a_flow_has_one_owner", a_flow_has_one_owner},
	{"flows_are_spread", flows_are_spread},
	{"the_key_decides", the_key_decides},
	{"what_is_no_segment_stays", what_is_no_segment_stays},
	{"fragments_of_a_packet_have_one_owner", fragments_of_a_packet_have_one_owner},
	{"an_error_goes_to_whom_it_is_about", an_error_goes_to_whom_it_is_about},
	{"frames_go_to_their_owner", frames_go_to_their_owner},
	{"what_stays_keeps_its_order", what_stays_keeps_its_order},
	{"arp_stays_and_is_told_to_all", arp_stays_and_is_told_to_all},
	{"a_full_ring_drops_and_counts", a_full_ring_drops_and_counts},
	{"alone_it_looks_at_nothing", alone_it_looks_at_nothing},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("steer", tests, argc, argv);
}
