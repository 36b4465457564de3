/* reassembly_test.c - packets in pieces: in any order, twice, overlapping, too many, never whole.
 */
#include "dataplane/base/assert.h"
#include "dataplane/base/rng.h"
#include "dataplane/net/net_internal.h"
#include "tests/unit/net_rig.h"
#include "tests/unit/unit.h"

#include <rte_mempool.h>
#include <stdio.h>

enum { TCP = 6, UDP = 17, SECOND = 1000 * 1000, SIZE = 160 };

/* A piece of a packet whose payload is the same everywhere. */
struct part {
	uint16_t from, to;
	bool more;
	uint16_t id;
	uint32_t src; /* 0: the peer */
	uint8_t protocol;
	uint8_t tos;
	struct span options;
};

/* The same, where only the place matters. */
struct cut {
	uint16_t from, to;
	bool more;
};

static uint8_t payload[4000];

static struct rig *open_with_peer(uint64_t now_us)
{
	struct rig *r = rig_open(now_us);

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + i / 200);
	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, now_us);
	rig_clear(r);
	return r;
}

static bool give(struct rig *r, const struct part *p, struct net_packet *out, uint64_t now_us)
{
	struct rig_frame f;

	frame_eth(&f, rig_mac, rig_peer_mac, 0x0800);
	frame_ipv4(&f, p->src == 0 ? (uint32_t)RIG_PEER : p->src, RIG_ADDRESS, p->protocol,
		p->options, span_of(payload + p->from, (size_t)(p->to - p->from)));
	f.at[15] = p->tos;
	f.at[18] = (uint8_t)(p->id >> 8);
	f.at[19] = (uint8_t)p->id;
	const uint16_t field = (uint16_t)(p->from / 8 | (p->more ? 0x2000 : 0));
	f.at[20] = (uint8_t)(field >> 8);
	f.at[21] = (uint8_t)field;
	frame_resum(&f);
	frame_append(&f, span_str("PADDING"));
	return rig_rx(r, frame_span(&f), out, now_us);
}

/* The packet that came out is the first `size` bytes of the payload. */
static void check_whole(const struct net_packet *out, uint16_t size)
{
	uint8_t copy[sizeof(payload)];

	CU_ASSERT_EQUAL_FATAL(out->mbuf->pkt_len, size);
	CU_ASSERT(out->mbuf->data_len >= RTE_MIN(size, 60));
	const void *at = rte_pktmbuf_read(out->mbuf, 0, size, copy);
	CU_ASSERT_EQUAL(memcmp(at, payload, size), 0);
	CU_ASSERT_EQUAL(out->src, RTE_BE32(RIG_PEER));
	CU_ASSERT_EQUAL(out->dst, RTE_BE32(RIG_ADDRESS));
	rte_mbuf_sanity_check(out->mbuf, 1);
	rte_pktmbuf_free(out->mbuf);
}

static void pieces_in_any_order(void)
{
	static const struct part parts[] = {{0, 48, true, .protocol = TCP},
		{48, 120, true, .protocol = TCP}, {120, 151, false, .protocol = TCP}};
	static const uint8_t orders[6][3] = {
		{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	for (size_t i = 0; i < RTE_DIM(orders); i++) {
		struct rig *r = open_with_peer(0);
		struct net_packet out;
		CU_ASSERT_FALSE(give(r, &parts[orders[i][0]], &out, 1));
		CU_ASSERT_FALSE(give(r, &parts[orders[i][1]], &out, 2));
		net_check(r->net);
		CU_ASSERT_TRUE_FATAL(give(r, &parts[orders[i][2]], &out, 3));
		check_whole(&out, 151);
		CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_IPV4_REASSEMBLED), 1);
		CU_ASSERT_EQUAL(rig_errs(r), 0);
		CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pool), 0);
		rig_close(r);
	}
}

/* Cut anywhere, shuffled, some twice, two packets at once that differ by one thing. */
static void random_cuts(void)
{
	struct rng rng = rng_from(unit_seed());

	for (int round = 0; round < 300; round++) {
		struct rig *r = open_with_peer(0);
		struct part parts[REASSEMBLY_PIECES];
		struct net_packet out;
		unsigned count = 0;
		uint16_t at = 0;
		const unsigned most = 2 + rng_below(&rng, REASSEMBLY_PIECES - 1);
		while (count < most) {
			const uint16_t size = (uint16_t)(48 + 8 * rng_below(&rng, 20));
			parts[count] = (struct part){
				at, (uint16_t)(at + size), count + 1 < most, 7, .protocol = TCP};
			count++;
			at = (uint16_t)(at + size);
		}
		for (unsigned i = count - 1; i > 0; i--) {
			const unsigned k = rng_below(&rng, i + 1);
			const struct part p = parts[i];
			parts[i] = parts[k];
			parts[k] = p;
		}
		for (unsigned i = 0; i + 1 < count; i++) {
			struct part other = parts[i];
			CU_ASSERT_FALSE(give(r, &parts[i], &out, i));
			if (rng_below(&rng, 3) == 0)
				CU_ASSERT_FALSE(give(r, &parts[rng_below(&rng, i + 1)], &out, i));
			other.id = 8;
			CU_ASSERT_FALSE(give(r, &other, &out, i));
		}
		net_check(r->net);
		CU_ASSERT_TRUE_FATAL(give(r, &parts[count - 1], &out, 99));
		check_whole(&out, at);
		CU_ASSERT_EQUAL(rig_errs(r), rig_err(r, ERR_FRAGMENT_TWICE));
		rig_close(r);
	}
}

/* Whose source, name or protocol differs is another packet. */
static void pieces_of_different_packets_do_not_mix(void)
{
	static const struct part others[] = {{48, 80, false, 1, .protocol = TCP},
		{48, 80, false, .src = 0x0a000003, .protocol = TCP},
		{48, 80, false, .protocol = UDP}};
	const struct part first = {0, 48, true, .protocol = TCP};
	struct rig *r = open_with_peer(0);

	CU_ASSERT_FALSE(give(r, &first, NULL, 1));
	for (size_t i = 0; i < RTE_DIM(others); i++)
		CU_ASSERT_FALSE(give(r, &others[i], NULL, 1));
	CU_ASSERT_EQUAL(rig_errs(r), 0);
	rig_close(r);
}

static bool give_cut(struct rig *r, const struct cut *c, uint64_t now_us)
{
	const struct part p = {c->from, c->to, c->more, .protocol = UDP};

	return give(r, &p, NULL, now_us);
}

/* RFC 5722: the whole packet is lost, and what comes of it afterwards; for its time. */
static void games_cost_the_whole_packet(void)
{
	static const struct {
		const char *name;
		struct cut cuts[2];
		enum err err;
	} rows[] = {
		{"over the end of another", {{0, 96, true}, {88, SIZE, false}},
			ERR_FRAGMENT_OVERLAP},
		{"over the start of another", {{80, SIZE, false}, {0, 88, true}},
			ERR_FRAGMENT_OVERLAP},
		{"inside another", {{48, SIZE, true}, {56, 104, true}}, ERR_FRAGMENT_OVERLAP},
		{"around another", {{56, 104, true}, {48, SIZE, true}}, ERR_FRAGMENT_OVERLAP},
		{"same start, longer", {{48, 96, true}, {48, 104, true}}, ERR_FRAGMENT_OVERLAP},
		{"same start, shorter", {{48, 104, true}, {48, 96, true}}, ERR_FRAGMENT_OVERLAP},
		{"two ends", {{48, 96, false}, {96, 120, false}}, ERR_FRAGMENT_OVERLAP},
		{"beyond the end", {{48, 96, false}, {96, SIZE, true}}, ERR_FRAGMENT_OVERLAP},
		{"an end before others", {{96, SIZE, true}, {48, 96, false}}, ERR_FRAGMENT_OVERLAP},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = open_with_peer(0);
		static const struct cut rest[] = {{0, 48, true}, {48, SIZE, false}};
		for (unsigned k = 0; k < 2; k++) {
			CU_ASSERT_FALSE(give_cut(r, &rows[i].cuts[k], 1));
		}
		if (rig_err(r, rows[i].err) != 1 || rig_errs(r) != 1)
			fprintf(stderr, "row \"%s\"\n", rows[i].name);
		CU_ASSERT_EQUAL(rig_err(r, rows[i].err), 1);
		CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pool), 0);
		for (unsigned k = 0; k < 2; k++) {
			CU_ASSERT_FALSE(give_cut(r, &rest[k], 2));
		}
		CU_ASSERT_EQUAL(rig_err(r, ERR_FRAGMENT_OVERLAP), 3);
		CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_IPV4_REASSEMBLED), 0);
		net_poll_timers(r->net, 1 + REASSEMBLY_US);
		CU_ASSERT_EQUAL(rig_err(r, ERR_FRAGMENT_TIMEOUT), 0);
		for (unsigned k = 0; k < 2; k++) {
			CU_ASSERT_FALSE(give_cut(r, &rest[k], 2 + REASSEMBLY_US));
		}
		CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_IPV4_REASSEMBLED), 1);
		rig_close(r);
	}
}

/* RFC 1858, 3128, and what cannot be. */
static void pieces_no_router_makes(void)
{
	static const uint8_t options[40] = {1};
	static const struct {
		const char *name;
		struct part part;
		enum err err;
	} rows[] = {
		{"not a multiple of eight", {0, 49, true, .protocol = UDP}, ERR_FRAGMENT_MALFORMED},
		{"empty", {48, 48, true, .protocol = UDP}, ERR_FRAGMENT_MALFORMED},
		{"empty end", {48, 48, false, .protocol = UDP}, ERR_FRAGMENT_MALFORMED},
		{"40 bytes", {0, 40, true, .protocol = UDP}, ERR_FRAGMENT_TINY},
		{"40 bytes behind", {80, 120, true, .protocol = UDP}, ERR_FRAGMENT_TINY},
		{"48 bytes", {0, 48, true, .protocol = UDP}, ERR_NONE},
		{"8 bytes and a long header",
			{0, 8, true, .protocol = UDP, .options = {options, 40}}, ERR_NONE},
		{"an end of one byte", {48, 49, false, .protocol = UDP}, ERR_NONE},
		{"TCP's header at 8", {8, 80, false, .protocol = TCP}, ERR_FRAGMENT_TINY},
		{"TCP's header at 16", {16, 80, false, .protocol = TCP}, ERR_FRAGMENT_TINY},
		{"TCP at 24", {24, 80, false, .protocol = TCP}, ERR_NONE},
		{"TCP's first 16 bytes", {0, 16, true, .protocol = TCP, .options = {options, 40}},
			ERR_FRAGMENT_TINY},
		{"TCP's first 24 bytes", {0, 24, true, .protocol = TCP, .options = {options, 40}},
			ERR_NONE},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = open_with_peer(0);
		CU_ASSERT_FALSE(give(r, &rows[i].part, NULL, 1));
		const bool right = rows[i].err == ERR_NONE
					   ? rig_errs(r) == 0
					   : rig_errs(r) == 1 && rig_err(r, rows[i].err) == 1;
		if (!right)
			fprintf(stderr, "row \"%s\"\n", rows[i].name);
		CU_ASSERT_TRUE(right);
		CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pool), rows[i].err == ERR_NONE);
		rig_close(r);
	}
}

/* RFC 1122 3.3.2: time exceeded, if the first piece is here. */
static void what_is_never_whole_expires(void)
{
	for (uint16_t from = 0; from <= 48; from += 48) {
		const struct part p = {from, (uint16_t)(from + 48), true, .protocol = UDP};
		struct rig *r = open_with_peer(0);
		CU_ASSERT_FALSE(give(r, &p, NULL, SECOND));
		CU_ASSERT_EQUAL(net_next_us(r->net), SECOND + REASSEMBLY_US);
		net_poll_timers(r->net, SECOND + REASSEMBLY_US - 1);
		CU_ASSERT_EQUAL(rig_err(r, ERR_FRAGMENT_TIMEOUT), 0);
		CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pool), 1);
		net_poll_timers(r->net, SECOND + REASSEMBLY_US);
		rig_flush(r);
		CU_ASSERT_EQUAL(rig_err(r, ERR_FRAGMENT_TIMEOUT), 1);
		CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pool), 0);
		CU_ASSERT_EQUAL(r->sent_count, from == 0);
		if (from == 0) {
			CU_ASSERT_EQUAL(r->sent[0].at[34], 11);
			CU_ASSERT_EQUAL(r->sent[0].at[35], 1);
			CU_ASSERT_EQUAL(r->sent[0].size, 42 + 20 + 48);
		}
		CU_ASSERT(net_next_us(r->net) > SECOND + REASSEMBLY_US);
		rig_close(r);
	}
}

static void many_packets_are_bounded(void)
{
	struct rig *r = open_with_peer(0);
	struct part p = {0, 48, true, .protocol = TCP};
	const struct part rest = {48, 80, false, .protocol = TCP};
	struct net_packet out;

	/* One source has its share: its oldest give way, and nobody else's. */
	CU_ASSERT_FALSE(give(r, &p, NULL, 1));
	for (p.id = 1; p.id < 200; p.id++) {
		p.src = 0x0a000003;
		CU_ASSERT_FALSE(give(r, &p, NULL, p.id));
	}
	CU_ASSERT_EQUAL(rig_err(r, ERR_FRAGMENT_FULL), 199 - REASSEMBLY_OF_SOURCE);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pool), REASSEMBLY_OF_SOURCE + 1);
	net_check(r->net);
	CU_ASSERT_TRUE_FATAL(give(r, &rest, &out, 300));
	check_whole(&out, 80);

	/* Many sources: the oldest packet gives way. */
	for (p.src = 0x0a000010; p.src < 0x0a000010 + 100; p.src++) {
		CU_ASSERT_FALSE(give(r, &p, NULL, 400));
		net_check(r->net);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pool), REASSEMBLY_DATAGRAMS);
	rig_close(r);
}

static void buffers_are_bounded(void)
{
	struct rig *r = open_with_peer(0);

	for (uint16_t id = 0; id < 16; id++)
		for (uint32_t i = 0; i < REASSEMBLY_PIECES; i++) {
			const struct part p = {(uint16_t)(i * 48), (uint16_t)(i * 48 + 48), true,
				.id = id, .protocol = TCP};
			CU_ASSERT_FALSE(give(r, &p, NULL, 1));
		}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pool), REASSEMBLY_BUFFERS);
	CU_ASSERT_EQUAL(rig_err(r, ERR_FRAGMENT_FULL), 16 * REASSEMBLY_PIECES - REASSEMBLY_BUFFERS);
	net_check(r->net);
	rig_close(r);
}

static void a_packet_in_too_many_pieces(void)
{
	struct rig *r = open_with_peer(0);

	for (uint32_t i = 0; i <= REASSEMBLY_PIECES; i++) {
		const struct part p = {
			(uint16_t)(i * 48), (uint16_t)(i * 48 + 48), true, .protocol = TCP};
		CU_ASSERT_FALSE(give(r, &p, NULL, 1));
	}
	CU_ASSERT_EQUAL(rig_err(r, ERR_FRAGMENT_FULL), 1);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pool), 0);
	rig_close(r);
}

static void without_buffers_nothing_is_kept(void)
{
	struct rig *r = open_with_peer(0);
	struct rte_mbuf *all[RIG_BUFFERS];
	const struct part p = {0, 48, true, .protocol = TCP};
	const struct part rest = {48, 80, false, .protocol = TCP};
	struct net_packet out;

	CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(r->pool, all, RIG_BUFFERS), 0);
	CU_ASSERT_FALSE(give(r, &p, NULL, 1));
	CU_ASSERT_EQUAL(rig_err(r, ERR_NO_BUFFERS), 1);
	rte_pktmbuf_free_bulk(all, RIG_BUFFERS);
	CU_ASSERT_FALSE(give(r, &p, NULL, 1));
	CU_ASSERT_TRUE_FATAL(give(r, &rest, &out, 1));
	check_whole(&out, 80);
	rig_close(r);
}

/* RFC 3168 5.3. */
static void congestion_of_a_piece_is_that_of_the_packet(void)
{
	static const struct {
		uint8_t first, second, whole;
	} rows[] = {{2, 3, 3}, {3, 2, 3}, {2, 2, 2}, {0, 0, 0}, {0, 3, 0}};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = open_with_peer(0);
		const struct part a = {0, 48, true, .protocol = TCP, .tos = rows[i].first};
		const struct part b = {48, 80, false, .protocol = TCP, .tos = rows[i].second};
		struct net_packet out;
		CU_ASSERT_FALSE(give(r, &a, NULL, 1));
		CU_ASSERT_TRUE_FATAL(give(r, &b, &out, 1));
		CU_ASSERT_EQUAL(out.tos, rows[i].whole);
		check_whole(&out, 80);
		rig_close(r);
	}
}

/* The whole goes on as any packet: here nothing takes it, and its sender hears so. */
static void a_whole_packet_is_judged_as_any(void)
{
	struct rig *r = open_with_peer(0);
	const struct part a = {0, 48, true, .protocol = UDP};
	const struct part b = {48, 80, false, .protocol = UDP};

	CU_ASSERT_FALSE(give(r, &b, NULL, 1));
	CU_ASSERT_FALSE(give(r, &a, NULL, 1));
	rig_flush(r);
	CU_ASSERT_EQUAL_FATAL(r->sent_count, 1);
	const uint8_t *quote = r->sent[0].at + 42;
	CU_ASSERT_EQUAL(r->sent[0].at[34], 3);
	CU_ASSERT_EQUAL(r->sent[0].size, 42 + 100);
	CU_ASSERT_EQUAL(quote[2] << 8 | quote[3], 100); /* its header is that of the whole */
	CU_ASSERT_EQUAL(quote[6] << 8 | quote[7], 0);
	CU_ASSERT_EQUAL(net_checksum_finish(net_checksum_add(0, quote, 20)), 0);
	CU_ASSERT_EQUAL(memcmp(quote + 20, payload, 80), 0);
	rig_close(r);
}

static struct rte_mbuf *whole;
static bool taken;

static bool on_whole(void *owner, struct rte_mbuf **frame)
{
	(void)owner;
	if (!taken)
		return false;
	whole = *frame;
	*frame = NULL;
	return true;
}

/* With several workers the whole is a frame, which its owner takes in as if it had come so. */
static void a_whole_packet_goes_to_its_owner(void)
{
	const struct part a = {0, 48, true, .protocol = TCP};
	const struct part b = {48, 80, false, .protocol = TCP};

	for (int i = 0; i < 2; i++) {
		struct rig *r = open_with_peer(0);
		struct net_packet out;
		taken = i == 1;
		r->net->conf.on_whole = on_whole;
		CU_ASSERT_FALSE(give(r, &a, NULL, 1));
		CU_ASSERT_EQUAL(give(r, &b, &out, 1), !taken);
		if (taken)
			CU_ASSERT_TRUE_FATAL(net_rx(r->net, &whole, &out, 2));
		check_whole(&out, 80);
		CU_ASSERT_EQUAL(rig_errs(r), 0);
		rig_close(r);
	}
}

static const struct unit_test tests[] = {
	{"pieces_in_any_order", pieces_in_any_order},
	{"random_cuts", random_cuts},
	{"pieces_of_different_packets_do_not_mix", pieces_of_different_packets_do_not_mix},
	{"games_cost_the_whole_packet", games_cost_the_whole_packet},
	{"pieces_no_router_makes", pieces_no_router_makes},
	{"what_is_never_whole_expires", what_is_never_whole_expires},
	{"many_packets_are_bounded", many_packets_are_bounded},
	{"buffers_are_bounded", buffers_are_bounded},
	{"a_packet_in_too_many_pieces", a_packet_in_too_many_pieces},
	{"without_buffers_nothing_is_kept", without_buffers_nothing_is_kept},
	{"congestion_of_a_piece_is_that_of_the_packet",
		congestion_of_a_piece_is_that_of_the_packet},
	{"a_whole_packet_is_judged_as_any", a_whole_packet_is_judged_as_any},
	{"a_whole_packet_goes_to_its_owner", a_whole_packet_goes_to_its_owner},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("reassembly", tests, argc, argv);
}
