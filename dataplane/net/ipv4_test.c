/* ipv4_test.c - IPv4 in and out: one row a malformed packet and the counter it bumps.
 *
 * Each row runs whole, cut at each header's end, and byte by byte: how a driver splits a frame
 * must not change what is decided. */
#include "dataplane/base/assert.h"
#include "dataplane/net/net_internal.h"
#include "tests/unit/net_rig.h"
#include "tests/unit/unit.h"

#include <stdio.h>

#define PAYLOAD "twenty bytes and more"

static struct rig_frame good(void)
{
	struct rig_frame f;

	frame_eth(&f, rig_mac, rig_peer_mac, 0x0800);
	frame_ipv4(&f, RIG_PEER, RIG_ADDRESS, 6, span_str(""), span_str(PAYLOAD));
	return f;
}

/* Gives the frame in one of several splits. */
enum { SPLITS = 5 };
static bool give(struct rig *r, struct span bytes, int split, struct net_packet *out)
{
	static const uint16_t at_headers[] = {14, 34};
	static const uint16_t across[] = {0, 7, 7, 20, 31};
	static const uint16_t late[] = {40};
	uint16_t every[200];
	struct rte_mbuf *m = NULL;

	for (uint16_t i = 0; i < 200; i++)
		every[i] = (uint16_t)(i + 1);
	if (split == 0)
		m = rig_chain(r->wires, bytes, NULL, 0);
	else if (split == 1)
		m = rig_chain(r->wires, bytes, at_headers, 2);
	else if (split == 2)
		m = rig_chain(r->wires, bytes, across, 5);
	else if (split == 3)
		m = rig_chain(r->wires, bytes, late, 1);
	else
		m = rig_chain(r->wires, bytes, every, bytes.size);
	return net_rx(r->net, &m, out, 0);
}

/* True if the frame was given out; else one error must have been counted, the expected one. */
static void check(const char *name, struct span bytes, enum err expected)
{
	for (int split = 0; split < SPLITS; split++) {
		struct rig *r = rig_open(0);
		struct net_packet out = {0};
		const bool given = give(r, bytes, split, &out);
		const bool right = expected == ERR_NONE ? given && rig_errs(r) == 0
							: !given && rig_err(r, expected) == 1 &&
								  rig_errs(r) == 1;
		if (!right)
			fprintf(stderr, "row \"%s\", split %d\n", name, split);
		CU_ASSERT_TRUE(right);
		if (given)
			rte_pktmbuf_free(out.mbuf);
		rig_flush(r);
		/* Only ARP's question, where the sender is to be told. */
		CU_ASSERT_EQUAL(r->sent_count, counter_get(&r->counters, COUNTER_ICMP_ERRORS_SENT));
		rig_close(r);
	}
}

static void headers_that_lie_are_counted(void)
{
	static const struct {
		const char *name;
		struct {
			uint8_t at, value;
		} patch[4];  /* at 0: none */
		uint8_t cut; /* frame shortened to this; 0: not */
		bool keep_sum;
		enum err expected;
	} rows[] = {
		{"as it should be", {{0}}, 0, false, ERR_NONE},
		{"version 6", {{14, 0x65}}, 0, false, ERR_IPV4_HEADER},
		{"version 0", {{14, 0x05}}, 0, false, ERR_IPV4_HEADER},
		{"header of 0 words", {{14, 0x40}}, 0, false, ERR_IPV4_HEADER},
		{"header of 4 words", {{14, 0x44}}, 0, false, ERR_IPV4_HEADER},
		{"header longer than the frame", {{14, 0x4f}}, 0, false, ERR_IPV4_LENGTH},
		{"header longer than the packet", {{14, 0x4a}, {17, 39}}, 0, false,
			ERR_IPV4_LENGTH},
		{"header one byte longer than the frame", {{14, 0x46}}, 37, false, ERR_IPV4_LENGTH},
		{"total length 0", {{17, 0}}, 0, false, ERR_IPV4_LENGTH},
		{"total length 19", {{17, 19}}, 0, false, ERR_IPV4_LENGTH},
		{"total length 20: empty", {{17, 20}}, 0, false, ERR_NONE},
		{"total length one too many", {{17, 42}}, 0, false, ERR_IPV4_LENGTH},
		{"total length 65535", {{16, 0xff}, {17, 0xff}}, 0, false, ERR_IPV4_LENGTH},
		{"frame cut in the payload", {{0}}, 40, false, ERR_IPV4_LENGTH},
		{"frame cut after the header", {{0}}, 34, false, ERR_IPV4_LENGTH},
		{"frame cut in the header", {{0}}, 33, false, ERR_IPV4_HEADER},
		{"nothing after Ethernet", {{0}}, 14, false, ERR_IPV4_HEADER},
		{"Ethernet runt", {{0}}, 13, false, ERR_ETH_RUNT},
		{"checksum wrong", {{25, 0x01}}, 0, true, ERR_IPV4_CHECKSUM},
		{"checksum 0", {{24, 0}, {25, 0}}, 0, true, ERR_IPV4_CHECKSUM},
		{"TTL changed on the way", {{22, 63}}, 0, true, ERR_IPV4_CHECKSUM},
		{"TTL 0 is for routers", {{22, 0}}, 0, false, ERR_NONE},
		{"first fragment", {{20, 0x20}}, 0, false, ERR_FRAGMENT_MALFORMED},
		{"first fragment, DF set", {{20, 0x60}}, 0, false, ERR_FRAGMENT_MALFORMED},
		{"later fragment", {{20, 0x20}, {21, 3}}, 0, false, ERR_FRAGMENT_MALFORMED},
		{"last fragment", {{20, 0x00}, {21, 1}}, 0, false, ERR_FRAGMENT_TINY},
		{"fragment at the far end", {{20, 0x1f}, {21, 0xff}}, 0, false,
			ERR_FRAGMENT_MALFORMED},
		{"reserved flag", {{20, 0xc0}}, 0, false, ERR_NONE},
		{"neither DF nor fragment", {{20, 0x00}}, 0, false, ERR_NONE},
		{"to a neighbour", {{33, 2}}, 0, false, ERR_IPV4_NOT_FOR_US},
		{"to the subnet's broadcast", {{33, 255}}, 0, false, ERR_IPV4_NOT_FOR_US},
		{"to all", {{30, 255}, {31, 255}, {32, 255}, {33, 255}}, 0, false,
			ERR_IPV4_NOT_FOR_US},
		{"to a group", {{30, 224}}, 0, false, ERR_IPV4_NOT_FOR_US},
		{"to loopback", {{30, 127}}, 0, false, ERR_IPV4_NOT_FOR_US},
		{"UDP", {{23, 17}}, 0, false, ERR_IPV4_PROTOCOL},
		{"protocol 0", {{23, 0}}, 0, false, ERR_IPV4_PROTOCOL},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig_frame f = good();
		for (int k = 0; k < 4 && rows[i].patch[k].at != 0; k++)
			f.at[rows[i].patch[k].at] = rows[i].patch[k].value;
		if (!rows[i].keep_sum)
			frame_resum(&f);
		if (rows[i].cut != 0)
			f.size = rows[i].cut;
		check(rows[i].name, frame_span(&f), rows[i].expected);
	}
}

static void sources_that_cannot_be(void)
{
	static const struct {
		const char *name;
		uint32_t source;
		enum err expected;
	} rows[] = {
		{"nobody", 0, ERR_IPV4_SOURCE},
		{"this network", 0x00000102, ERR_IPV4_SOURCE},
		{"loopback", 0x7f000001, ERR_IPV4_SOURCE},
		{"loopback's end", 0x7fffffff, ERR_IPV4_SOURCE},
		{"our own", RIG_ADDRESS, ERR_IPV4_SOURCE},
		{"all", 0xffffffff, ERR_IPV4_SOURCE},
		{"our subnet's broadcast", 0x0a0000ff, ERR_IPV4_SOURCE},
		{"our subnet's old broadcast", 0x0a000000, ERR_IPV4_SOURCE},
		{"the first group", 0xe0000000, ERR_IPV4_SOURCE},
		{"the last group", 0xefffffff, ERR_IPV4_SOURCE},
		{"class E", 0xf0000001, ERR_IPV4_SOURCE},
		{"just below the groups", 0xdfffffff, ERR_NONE},
		{"another subnet's .255", 0x0a0001ff, ERR_NONE},
		{"another subnet's .0", 0x0a000100, ERR_NONE},
		{"the gateway", RIG_GATEWAY, ERR_NONE},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig_frame f;
		frame_eth(&f, rig_mac, rig_peer_mac, 0x0800);
		frame_ipv4(&f, rows[i].source, RIG_ADDRESS, 6, span_str(""), span_str(PAYLOAD));
		check(rows[i].name, frame_span(&f), rows[i].expected);
	}
}

/* net.allow and net.deny: for all but ICMP, whose errors any router may send. */
static void sources_are_filtered(void)
{
	static const struct prefix peer = {RTE_BE32(RIG_PEER), 32};
	static const struct {
		const char *name;
		bool allow, deny;
		uint32_t source;
		uint8_t protocol;
		bool filtered;
	} rows[] = {
		{"denied", false, true, RIG_PEER, 6, true},
		{"another is denied", false, true, 0x0a000003, 6, false},
		{"allowed", true, false, RIG_PEER, 6, false},
		{"not among the allowed", true, false, 0x0a000003, 6, true},
		{"UDP", false, true, RIG_PEER, 17, true},
		{"ICMP", false, true, RIG_PEER, 1, false},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = rig_open(0);
		struct rig_frame f;
		r->net->conf.allow = (struct prefixes){rows[i].allow, {peer}};
		r->net->conf.deny = (struct prefixes){rows[i].deny, {peer}};
		frame_eth(&f, rig_mac, rig_peer_mac, 0x0800);
		frame_ipv4(&f, rows[i].source, RIG_ADDRESS, rows[i].protocol, span_str(""),
			span_str(PAYLOAD));
		const bool given = rig_rx(r, frame_span(&f), NULL, 0);
		const bool right = rig_err(r, ERR_IPV4_FILTERED) == rows[i].filtered &&
				   given == (rows[i].protocol == 6 && !rows[i].filtered);
		if (!right)
			fprintf(stderr, "row \"%s\"\n", rows[i].name);
		CU_ASSERT_TRUE(right);
		if (rows[i].filtered) { /* without a word */
			rig_flush(r);
			CU_ASSERT_EQUAL(r->sent_count, 0);
		}
		rig_close(r);
	}
}

/* RFC 3021: both addresses of a /31 are hosts; a /32 has no broadcast either. */
static void small_subnets_have_no_broadcast(void)
{
	static const struct {
		uint32_t netmask, source;
		bool given;
	} rows[] = {
		{0xfffffffe, 0x0a000000, true},
		{0xffffffff, 0x0a000000, true},
		{0xffffffff, 0x0a000003, true},
		{0xfffffffc, 0x0a000000, false},
		{0xfffffffc, 0x0a000003, false},
		{0xfffffffc, 0x0a000002, true},
		{0x00000000, 0x0affffff, true},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = rig_open_raw(0, rows[i].netmask, RIG_GATEWAY);
		struct rig_frame f;
		frame_eth(&f, rig_mac, rig_peer_mac, 0x0800);
		frame_ipv4(&f, rows[i].source, RIG_ADDRESS, 6, span_str(""), span_str(PAYLOAD));
		CU_ASSERT_EQUAL(rig_rx(r, frame_span(&f), NULL, 0), rows[i].given);
		rig_close(r);
	}
}

static void options_are_skipped_or_refused(void)
{
	static const struct {
		const char *name;
		uint8_t options[12];
		uint8_t size;
		enum err expected;
	} rows[] = {
		{"end", {0, 0, 0, 0}, 4, ERR_NONE},
		{"no-operations", {1, 1, 1, 1}, 4, ERR_NONE},
		{"end hides what follows", {0, 131, 0, 0}, 4, ERR_NONE},
		{"timestamp", {68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12, ERR_NONE},
		{"record route", {7, 7, 4, 0, 0, 0, 0, 0}, 8, ERR_NONE},
		{"unknown", {0x9e, 4, 1, 2}, 4, ERR_NONE},
		{"exactly to the end", {1, 1, 7, 2}, 4, ERR_NONE},
		{"length 0", {7, 0, 0, 0}, 4, ERR_IPV4_OPTIONS},
		{"length 1", {7, 1, 0, 0}, 4, ERR_IPV4_OPTIONS},
		{"one beyond the end", {7, 5, 4, 0}, 4, ERR_IPV4_OPTIONS},
		{"length 255", {7, 255, 4, 0}, 4, ERR_IPV4_OPTIONS},
		{"no room for a length", {1, 1, 1, 7}, 4, ERR_IPV4_OPTIONS},
		{"loose source route", {131, 7, 4, 10, 0, 0, 3, 0}, 8, ERR_IPV4_OPTIONS},
		{"strict source route", {137, 7, 4, 10, 0, 0, 3, 0}, 8, ERR_IPV4_OPTIONS},
		{"source route, length 0", {131, 0, 0, 0}, 4, ERR_IPV4_OPTIONS},
		{"source route after others", {1, 7, 3, 4, 137, 3, 4, 0}, 8, ERR_IPV4_OPTIONS},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig_frame f;
		frame_eth(&f, rig_mac, rig_peer_mac, 0x0800);
		frame_ipv4(&f, RIG_PEER, RIG_ADDRESS, 6, span_of(rows[i].options, rows[i].size),
			span_str(PAYLOAD));
		check(rows[i].name, frame_span(&f), rows[i].expected);
	}
}

static void every_prefix_is_refused(void)
{
	const struct rig_frame f = good();

	for (uint16_t size = 0; size < f.size; size++)
		check("prefix", span_of(f.at, size),
			size < 14   ? ERR_ETH_RUNT
			: size < 34 ? ERR_IPV4_HEADER
				    : ERR_IPV4_LENGTH);
}

/* DPDK's e55ea3d5d9: what Ethernet padded must not reach a checksum or TCP. */
static void padding_is_cut_off(void)
{
	static const uint8_t options[8] = {1, 1, 1, 1, 1, 1, 1, 0};

	for (size_t option_size = 0; option_size <= 8; option_size += 4)
		for (size_t size = 0; size <= 26; size++)
			for (int split = 0; split < SPLITS; split++) {
				struct rig *r = rig_open(0);
				struct rig_frame f;
				struct net_packet out;
				const struct span payload =
					span_of("abcdefghijklmnopqrstuvwxyz", size);
				frame_eth(&f, rig_mac, rig_peer_mac, 0x0800);
				frame_ipv4(&f, RIG_PEER, RIG_ADDRESS, 6,
					span_of(options, option_size), payload);
				frame_append(&f, span_str("PADDINGPADDINGPADDING"));
				CU_ASSERT_TRUE_FATAL(give(r, frame_span(&f), split, &out));
				CU_ASSERT_EQUAL(out.mbuf->pkt_len, size);
				CU_ASSERT_EQUAL(
					out.mbuf->data_len, size); /* contiguous: below 60 */
				CU_ASSERT_TRUE(span_equal(
					span_of(rte_pktmbuf_mtod(out.mbuf, uint8_t *), size),
					payload));
				CU_ASSERT_EQUAL(out.src, rte_cpu_to_be_32(RIG_PEER));
				CU_ASSERT_EQUAL(out.dst, rte_cpu_to_be_32(RIG_ADDRESS));
				CU_ASSERT_EQUAL(out.ttl, 64);
				CU_ASSERT_EQUAL(out.tos, 0);
				rte_mbuf_sanity_check(out.mbuf, 1);
				rte_pktmbuf_free(out.mbuf);
				rig_close(r);
			}
}

/* A long packet keeps its bytes in order through pulling and trimming; 60 of them contiguous. */
static void chains_keep_their_bytes(void)
{
	struct rig_frame f;
	uint8_t payload[1480];

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + i / 256);
	frame_eth(&f, rig_mac, rig_peer_mac, 0x0800);
	frame_ipv4(&f, RIG_PEER, RIG_ADDRESS, 6, span_str(""), span_of(payload, sizeof(payload)));
	for (uint16_t cut = 1; cut < 200; cut++) {
		struct rig *r = rig_open(0);
		const uint16_t cuts[] = {cut, (uint16_t)(cut + 1), (uint16_t)(cut * 7)};
		struct rte_mbuf *m = rig_chain(r->wires, frame_span(&f), cuts, 3);
		struct net_packet out;
		CU_ASSERT_TRUE_FATAL(net_rx(r->net, &m, &out, 0));
		uint8_t copy[1480];
		CU_ASSERT_EQUAL_FATAL(out.mbuf->pkt_len, sizeof(payload));
		CU_ASSERT_TRUE(out.mbuf->data_len >= 60);
		const void *at = rte_pktmbuf_read(out.mbuf, 0, sizeof(copy), copy);
		CU_ASSERT_EQUAL(memcmp(at, payload, sizeof(payload)), 0);
		rte_mbuf_sanity_check(out.mbuf, 1);
		rte_pktmbuf_free(out.mbuf);
		rig_close(r);
	}
}

static void without_buffers_short_segments_are_refused(void)
{
	struct rig *r = rig_open(0);
	const struct rig_frame f = good();
	struct rte_mbuf *all[RIG_BUFFERS];
	struct net_packet out;

	CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(r->pool, all, RIG_BUFFERS), 0);
	for (int split = 1; split < SPLITS; split++)
		CU_ASSERT_FALSE(give(r, frame_span(&f), split, &out));
	CU_ASSERT_EQUAL(rig_err(r, ERR_NO_BUFFERS), SPLITS - 1);
	CU_ASSERT_TRUE(give(r, frame_span(&f), 0, &out)); /* in one piece it needs none */
	rte_pktmbuf_free(out.mbuf);
	rte_pktmbuf_free_bulk(all, RIG_BUFFERS);
	rig_close(r);
}

/* RFC 1122 3.3.6. */
static void link_broadcast_does_not_carry_unicast(void)
{
	struct rig_frame f = good();

	memcpy(f.at, rig_broadcast, 6);
	check("broadcast", frame_span(&f), ERR_IPV4_NOT_FOR_US);
}

static void sends_the_header_of_rfc_6864(void)
{
	static const uint8_t expected[] = {0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00,
		0x45, 0, 0, 24, 0, 0, 0x40, 0, 64, 6, 0x26, 0xde, 10, 0, 0, 1, 10, 0, 0, 2, 'd',
		'a', 't', 'a'};
	struct rig *r = rig_open(0);

	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, 0);
	rig_tx(r, RIG_PEER, span_str("data"), 1);
	rig_flush(r);
	CU_ASSERT_EQUAL_FATAL(r->sent_count, 1);
	CU_ASSERT_TRUE(span_equal(frame_span(&r->sent[0]), span_of(expected, sizeof(expected))));
	CU_ASSERT_EQUAL(rig_errs(r), 0);
	rig_close(r);
}

/* A private header in front of a payload that others hold too. */
static void sends_chains_without_touching_the_shared_part(void)
{
	struct rig *r = rig_open(0);
	struct rte_mbuf *shared = rig_chain(r->wires, span_str("payload"), NULL, 0);

	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, 0);
	for (int i = 0; i < 3; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(r->wires);
		memcpy(rte_pktmbuf_append(m, 4), "head", 4);
		rte_mbuf_refcnt_update(shared, 1);
		m->next = shared;
		m->nb_segs = 2;
		m->pkt_len = 4 + shared->pkt_len;
		net_ipv4_tx(r->net, &m, r->conf.address, rte_cpu_to_be_32(RIG_PEER), 6, 1);
	}
	rig_flush(r);
	CU_ASSERT_EQUAL_FATAL(r->sent_count, 3);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_TRUE(span_equal(
			span_skip(frame_span(&r->sent[i]), 34), span_str("headpayload")));
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(shared), 1);
	CU_ASSERT_EQUAL(shared->data_len, 7);
	rte_pktmbuf_free(shared);
	rig_close(r);
}

static void what_cannot_be_sent_is_counted(void)
{
	static const uint8_t big[1481];
	static const struct {
		uint32_t gateway, dst;
		uint16_t size;
		enum err expected;
	} rows[] = {
		{RIG_GATEWAY, RIG_PEER, 1480, ERR_NONE},
		{RIG_GATEWAY, RIG_PEER, 1481, ERR_IPV4_TOO_BIG},
		{0, 0x08080808, 10, ERR_IPV4_NO_ROUTE},
		{RIG_GATEWAY, 0x08080808, 10, ERR_NONE},
		{RIG_GATEWAY, RIG_ADDRESS, 10, ERR_IPV4_NO_ROUTE},
		{RIG_GATEWAY, 0, 10, ERR_IPV4_NO_ROUTE},
		{RIG_GATEWAY, 0xffffffff, 10, ERR_IPV4_NO_ROUTE},
		{RIG_GATEWAY, 0x0a0000ff, 10, ERR_IPV4_NO_ROUTE},
		{RIG_GATEWAY, 0xe0000001, 10, ERR_IPV4_NO_ROUTE},
		{RIG_GATEWAY, 0x7f000001, 10, ERR_IPV4_NO_ROUTE},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = rig_open_raw(0, 0xffffff00, rows[i].gateway);
		rig_tx(r, rows[i].dst, span_of(big, rows[i].size), 0);
		CU_ASSERT_EQUAL(rig_errs(r), rows[i].expected != ERR_NONE);
		if (rows[i].expected != ERR_NONE)
			CU_ASSERT_EQUAL(rig_err(r, rows[i].expected), 1);
		rig_close(r);
	}
}

static const struct unit_test tests[] = {
	{"headers_that_lie_are_counted", headers_that_lie_are_counted},
	{"sources_that_cannot_be", sources_that_cannot_be},
	{"sources_are_filtered", sources_are_filtered},
	{"small_subnets_have_no_broadcast", small_subnets_have_no_broadcast},
	{"options_are_skipped_or_refused", options_are_skipped_or_refused},
	{"every_prefix_is_refused", every_prefix_is_refused},
	{"padding_is_cut_off", padding_is_cut_off},
	{"chains_keep_their_bytes", chains_keep_their_bytes},
	{"without_buffers_short_segments_are_refused", without_buffers_short_segments_are_refused},
	{"link_broadcast_does_not_carry_unicast", link_broadcast_does_not_carry_unicast},
	{"sends_the_header_of_rfc_6864", sends_the_header_of_rfc_6864},
	{"sends_chains_without_touching_the_shared_part",
		sends_chains_without_touching_the_shared_part},
	{"what_cannot_be_sent_is_counted", what_cannot_be_sent_is_counted},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("ipv4", tests, argc, argv);
}
