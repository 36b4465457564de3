/* arp_test.c - neighbours: what is answered, learnt, asked, kept waiting, forgotten and bounded. */
#include "dataplane/net/net_internal.h"
#include "tests/unit/net_rig.h"
#include "tests/unit/unit.h"

#include <rte_mempool.h>
#include <stdio.h>

enum { SECOND_US = 1000 * 1000, MINUTE_US = 60 * SECOND_US };

static const uint8_t other_mac[6] = {0x02, 0, 0, 0, 0, 0x77};

static bool is_arp(
	const struct rig_frame *f, uint16_t operation, const uint8_t dst[6], uint32_t target)
{
	struct rig_frame expected;

	frame_eth(&expected, dst, rig_mac, 0x0806);
	frame_arp(&expected, operation, rig_mac, RIG_ADDRESS, target);
	memset(expected.at + 32, 0, 6);
	if (memcmp(dst, rig_broadcast, 6) != 0)
		memcpy(expected.at + 32, dst, 6);
	return span_equal(frame_span(f), frame_span(&expected));
}

/* How many frames of a type went out since the last call. */
static uint32_t sent_of_type(struct rig *r, uint16_t type)
{
	uint32_t count = 0;

	rig_flush(r);
	for (uint32_t i = 0; i < r->sent_count; i++)
		count += (r->sent[i].at[12] << 8 | r->sent[i].at[13]) == type;
	r->sent_count = 0;
	return count;
}

/* Sleeps as the port says until `until_us`. */
static void run(struct rig *r, uint64_t *now_us, uint64_t until_us)
{
	while (net_next_us(r->net) <= until_us) {
		*now_us = RTE_MAX(*now_us, net_next_us(r->net));
		net_poll_timers(r->net, *now_us);
	}
	*now_us = until_us;
	net_poll_timers(r->net, until_us);
}

static void announces_itself_once(void)
{
	struct rig *r = rig_open_raw(0, 0xffffff00, 0);
	uint64_t now_us = 0;

	rig_flush(r);
	CU_ASSERT_EQUAL_FATAL(r->sent_count, 1);
	CU_ASSERT_TRUE(is_arp(&r->sent[0], 1, rig_broadcast, RIG_ADDRESS));
	run(r, &now_us, 3600ull * SECOND_US);
	rig_flush(r);
	CU_ASSERT_EQUAL(r->sent_count, 1);
	CU_ASSERT_EQUAL(net_next_us(r->net), UINT64_MAX);
	rig_close(r);
}

static void answers_requests_for_us_only(void)
{
	static const struct {
		const char *name;
		uint16_t operation;
		uint32_t sender, target;
		bool answered, learnt;
	} rows[] = {
		{"request for us", 1, RIG_PEER, RIG_ADDRESS, true, true},
		{"reply to us", 2, RIG_PEER, RIG_ADDRESS, false, true},
		{"request for another", 1, RIG_PEER, 0x0a000009, false, false},
		{"announcement of another", 1, RIG_PEER, RIG_PEER, false, false},
		{"reply to another", 2, RIG_PEER, 0x0a000009, false, false},
		{"probe for us", 1, 0, RIG_ADDRESS, true, false},
		{"probe for another", 1, 0, RIG_PEER, false, false},
		{"from another subnet", 1, 0x0b000001, RIG_ADDRESS, true, false},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = rig_open(0);
		rig_arp(r, rows[i].operation, rig_peer_mac, rows[i].sender, rows[i].target, 0);
		rig_flush(r);
		CU_ASSERT_EQUAL_FATAL(r->sent_count, rows[i].answered);
		if (rows[i].answered)
			CU_ASSERT_TRUE(is_arp(&r->sent[0], 2, rig_peer_mac, rows[i].sender));
		CU_ASSERT_EQUAL(rig_errs(r), 0);
		CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_ARP_RX), 1);
		/* Learnt: a packet leaves at once; not learnt: a question does. */
		rig_clear(r);
		rig_tx(r, RIG_PEER, span_str("x"), 1);
		const uint32_t direct = sent_of_type(r, 0x0800);
		if (direct != rows[i].learnt)
			fprintf(stderr, "row \"%s\"\n", rows[i].name);
		CU_ASSERT_EQUAL(direct, rows[i].learnt);
		rig_close(r);
	}
}

static void malformed_packets_are_counted(void)
{
	static const struct {
		const char *name;
		uint8_t at, value;
		uint8_t cut;
	} rows[] = {
		{"hardware type", 15, 6, 0},
		{"hardware type, high byte", 14, 1, 0},
		{"protocol type", 16, 0x86, 0},
		{"hardware address of 8 bytes", 18, 8, 0},
		{"hardware address of 0 bytes", 18, 0, 0},
		{"protocol address of 16 bytes", 19, 16, 0},
		{"operation 0", 21, 0, 0},
		{"reverse request", 21, 3, 0},
		{"operation 257", 20, 1, 0},
		{"sender is a group", 22, 0x03, 0},
		{"sender is everyone", 22, 0xff, 0},
		{"sender has our MAC address", 27, 1, 0},
		{"one byte short", 0, 2, 41},
		{"nothing", 0, 2, 14},
		{"sender in a group's address", 28, 0xe0, 0},
		{"sender in loopback", 28, 0x7f, 0},
		{"sender is the subnet's broadcast", 31, 0xff, 0},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = rig_open(0);
		struct rig_frame f;
		frame_eth(&f, rig_mac, rig_peer_mac, 0x0806);
		frame_arp(&f, 1, rig_peer_mac, RIG_PEER, RIG_ADDRESS);
		f.at[rows[i].at] = rows[i].value;
		if (rows[i].cut != 0)
			f.size = rows[i].cut;
		CU_ASSERT_FALSE(rig_rx(r, frame_span(&f), NULL, 0));
		if (rig_err(r, ERR_ARP_MALFORMED) != 1)
			fprintf(stderr, "row \"%s\"\n", rows[i].name);
		CU_ASSERT_EQUAL(rig_err(r, ERR_ARP_MALFORMED), 1);
		CU_ASSERT_EQUAL(rig_errs(r), 1);
		CU_ASSERT_EQUAL(sent_of_type(r, 0x0806), 0);
		rig_close(r);
	}
}

/* CVE-2020-17443's cousin: a reply is as long as an ARP packet, whatever came behind the request.
 */
static void replies_carry_nothing_else(void)
{
	struct rig *r = rig_open(0);
	struct rig_frame f;

	for (uint16_t cut = 1; cut < 42; cut++) {
		frame_eth(&f, rig_mac, rig_peer_mac, 0x0806);
		frame_arp(&f, 1, rig_peer_mac, RIG_PEER, RIG_ADDRESS);
		frame_append(&f, span_str("eighteen of padding"));
		struct rte_mbuf *m = rig_chain(r->wires, frame_span(&f), &cut, 1);
		struct net_packet out;
		CU_ASSERT_FALSE(net_rx(r->net, &m, &out, 0));
	}
	rig_flush(r);
	CU_ASSERT_EQUAL(r->sent_count, 41);
	for (uint32_t i = 0; i < r->sent_count; i++)
		CU_ASSERT_TRUE(is_arp(&r->sent[i], 2, rig_peer_mac, RIG_PEER));
	rig_close(r);
}

static void an_entry_follows_any_arp_of_its_owner(void)
{
	struct rig *r = rig_open(0);

	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, 0);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_ARP_CHANGED), 0);
	rig_arp(r, 1, other_mac, RIG_PEER, RIG_PEER, 1); /* announces a new card */
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_ARP_CHANGED), 1);
	rig_tx(r, RIG_PEER, span_str("x"), 2);
	rig_flush(r);
	CU_ASSERT_EQUAL_FATAL(r->sent_count, 1);
	CU_ASSERT_EQUAL(memcmp(r->sent[0].at, other_mac, 6), 0);
	rig_close(r);
}

static void packets_wait_for_the_answer_in_order(void)
{
	struct rig *r = rig_open(0);
	static const char *const texts[] = {"a", "b", "c", "d", "e", "f"};

	for (int i = 0; i < 6; i++)
		rig_tx(r, RIG_PEER, span_str(texts[i]), (uint64_t)i);
	CU_ASSERT_EQUAL(rig_err(r, ERR_ARP_UNRESOLVED), 2); /* the two oldest gave way */
	rig_flush(r);
	CU_ASSERT_EQUAL_FATAL(r->sent_count, 1); /* one question for all */
	CU_ASSERT_TRUE(is_arp(&r->sent[0], 1, rig_broadcast, RIG_PEER));
	r->sent_count = 0;
	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, 500);
	rig_flush(r);
	CU_ASSERT_EQUAL_FATAL(r->sent_count, 4);
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(memcmp(r->sent[i].at, rig_peer_mac, 6), 0);
		CU_ASSERT_EQUAL(r->sent[i].at[34], texts[i + 2][0]);
	}
	rig_close(r);
}

static void asks_three_times_then_gives_up(void)
{
	struct rig *r = rig_open(0);
	uint64_t now_us = 0;
	static const struct {
		uint64_t until_us;
		uint32_t asked, dropped;
	} rows[] = {
		{0, 1, 0},
		{SECOND_US - 1, 0, 0},
		{SECOND_US, 1, 0},
		{2 * SECOND_US - 1, 0, 0},
		{2 * SECOND_US, 1, 0},
		{3 * SECOND_US - 1, 0, 0},
		{3 * SECOND_US, 0, 2},
		{60ull * SECOND_US, 0, 0},
	};

	rig_tx(r, RIG_PEER, span_str("a"), 0);
	rig_tx(r, RIG_PEER, span_str("b"), 0);
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		r->counters = (struct counters){0};
		run(r, &now_us, rows[i].until_us);
		CU_ASSERT_EQUAL(sent_of_type(r, 0x0806), rows[i].asked);
		CU_ASSERT_EQUAL(rig_err(r, ERR_ARP_UNRESOLVED), rows[i].dropped);
	}
	CU_ASSERT_EQUAL(net_next_us(r->net), UINT64_MAX);
	rig_tx(r, RIG_PEER, span_str("c"), now_us); /* and asks anew for the next packet */
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0806), 1);
	rig_close(r);
}

static void waiting_is_bounded_in_all(void)
{
	struct rig *r = rig_open_raw(0, 0xff000000, 0);

	rig_flush(r);
	rig_clear(r);
	for (uint32_t host = 16; host < 116; host++)
		for (int i = 0; i < 4; i++)
			rig_tx(r, 0x0a000000 + host, span_str("x"), 0);
	CU_ASSERT_EQUAL(rig_err(r, ERR_ARP_UNRESOLVED), 400 - 256);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->wires), 256);
	rig_close(r);
}

static void used_entries_are_polled_and_unused_ones_forgotten(void)
{
	struct rig *r = rig_open(0);
	uint64_t now_us = 0;

	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, 0);
	rig_arp(r, 2, other_mac, RIG_PEER + 1, RIG_ADDRESS, 0);
	rig_tx(r, RIG_PEER, span_str("x"), SECOND_US);
	rig_flush(r);
	r->sent_count = 0;
	run(r, &now_us, MINUTE_US - 1);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0806), 0);
	run(r, &now_us, MINUTE_US);
	rig_flush(r);
	CU_ASSERT_EQUAL_FATAL(r->sent_count, 1); /* the one in use, by unicast */
	CU_ASSERT_TRUE(is_arp(&r->sent[0], 1, rig_peer_mac, RIG_PEER));
	r->sent_count = 0;
	rig_tx(r, RIG_PEER, span_str("x"), now_us); /* meanwhile it is used */
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0800), 1);
	rig_tx(r, RIG_PEER + 1, span_str("x"), now_us); /* forgotten: asked again */
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0806), 1);
	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, now_us + 5000);
	run(r, &now_us, now_us + 10 * SECOND_US);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0806), 2); /* only the retries for the other */
	rig_close(r);
}

static void a_neighbour_that_left_is_forgotten(void)
{
	struct rig *r = rig_open(0);
	uint64_t now_us = 0;

	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, 0);
	rig_tx(r, RIG_PEER, span_str("x"), 1);
	run(r, &now_us, MINUTE_US + SECOND_US);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0806), 2);
	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, now_us); /* late, but there */
	const uint64_t heard_us = now_us;
	rig_tx(r, RIG_PEER, span_str("x"), heard_us + 1);
	sent_of_type(r, 0x0806);
	run(r, &now_us, heard_us + MINUTE_US + 3 * SECOND_US - 1);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0806), 3); /* three unicast polls */
	rig_tx(r, RIG_PEER, span_str("x"), now_us);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0800), 1);
	run(r, &now_us, heard_us + MINUTE_US + 3 * SECOND_US);
	CU_ASSERT_EQUAL(net_next_us(r->net), UINT64_MAX);
	rig_tx(r, RIG_PEER, span_str("x"), now_us);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0800), 0);
	rig_close(r);
}

/* RFC 5227 2.4 (c): one announcement in ten seconds, and the thief is never learnt. */
static void our_address_is_defended(void)
{
	struct rig *r = rig_open(0);
	static const struct {
		uint64_t at_us;
		uint32_t announced;
	} rows[] = {{0, 1}, {1, 0}, {10 * SECOND_US - 1, 0}, {10 * SECOND_US, 1},
		{10 * SECOND_US + 1, 0}};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		rig_clear(r);
		rig_arp(r, 1, other_mac, RIG_ADDRESS, RIG_ADDRESS, rows[i].at_us);
		rig_flush(r);
		CU_ASSERT_EQUAL_FATAL(r->sent_count, rows[i].announced);
		if (rows[i].announced)
			CU_ASSERT_TRUE(is_arp(&r->sent[0], 1, rig_broadcast, RIG_ADDRESS));
		CU_ASSERT_EQUAL(rig_err(r, ERR_ARP_CONFLICT), 1);
		CU_ASSERT_EQUAL(rig_errs(r), 1);
	}
	CU_ASSERT_EQUAL(net_next_us(r->net), UINT64_MAX);
	rig_close(r);
}

static void the_gateway_takes_what_is_not_on_link(void)
{
	static const struct {
		uint32_t netmask, gateway, dst, asked;
	} rows[] = {
		{0xffffff00, RIG_GATEWAY, RIG_PEER, RIG_PEER},
		{0xffffff00, RIG_GATEWAY, 0x0a000102, RIG_GATEWAY},
		{0xffffff00, RIG_GATEWAY, 0x08080808, RIG_GATEWAY},
		{0xfffffffc, 0x0a000002, 0x0a000007, 0x0a000002},
		{0xffffffff, 0x0a000063, 0x0a000002, 0x0a000063}, /* gateway off the subnet */
		{0x00000000, RIG_GATEWAY, 0x08080808, 0x08080808},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = rig_open_raw(0, rows[i].netmask, rows[i].gateway);
		rig_flush(r);
		rig_clear(r);
		rig_tx(r, rows[i].dst, span_str("x"), 0);
		rig_flush(r);
		CU_ASSERT_EQUAL_FATAL(r->sent_count, 1);
		CU_ASSERT_TRUE(is_arp(&r->sent[0], 1, rig_broadcast, rows[i].asked));
		rig_arp(r, 2, other_mac, rows[i].asked, RIG_ADDRESS, 1);
		r->sent_count = 0;
		CU_ASSERT_EQUAL(sent_of_type(r, 0x0800), 1);
		rig_close(r);
	}
}

static void a_gateway_off_the_subnet_is_learnt_too(void)
{
	struct rig *r = rig_open_raw(0, 0xffffffff, RIG_GATEWAY);

	rig_arp(r, 1, other_mac, RIG_GATEWAY, RIG_ADDRESS, 0);
	rig_arp(r, 1, other_mac, RIG_PEER, RIG_ADDRESS, 0); /* no next hop: not learnt */
	rig_tx(r, 0x08080808, span_str("x"), 1);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0800), 1);
	CU_ASSERT_EQUAL(r->net->arp.wheel.armed, 1);
	rig_close(r);
}

static const uint8_t *mac_of(uint32_t host)
{
	static uint8_t mac[6] = {0x02, 0xff};

	mac[2] = (uint8_t)(host >> 24);
	mac[3] = (uint8_t)(host >> 16);
	mac[4] = (uint8_t)(host >> 8);
	mac[5] = (uint8_t)host;
	return mac;
}

/* ARP-01: a hundred thousand strangers; the one neighbour we talk to stays. */
static void a_flood_of_strangers_does_not_push_out_who_is_in_use(void)
{
	struct rig *r = rig_open_raw(0, 0xff000000, 0);
	uint64_t now_us = 0;

	rig_flush(r);
	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, 0);
	rig_clear(r);
	for (uint32_t i = 0; i < 100000; i++) {
		const uint32_t host = 0x0a010000 + i;
		now_us += 100;
		rig_arp(r, 1, mac_of(host), host, RIG_ADDRESS, now_us);
		if (i % 5000 == 0)
			rig_tx(r, RIG_PEER, span_str("x"), now_us);
		rig_flush(r);
		net_poll_timers(r->net, now_us);
		r->sent_count = 0;
	}
	CU_ASSERT_EQUAL(rig_errs(r), 0);
	rig_tx(r, RIG_PEER, span_str("x"), now_us);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0800), 1);
	rig_tx(r, 0x0a010000 + 99999, span_str("x"), now_us); /* the latest is known */
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0800), 1);
	rig_tx(r, 0x0a010000, span_str("x"), now_us); /* the first is not */
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0800), 0);
	rig_close(r);
}

/* A set has 8 places; the hosts 10.0.x.128 share one. */
static void a_full_set_refuses_and_recovers(void)
{
	struct rig *r = rig_open_raw(0, 0xff000000, 0);
	uint64_t now_us = 0;

	rig_flush(r);
	for (uint32_t i = 0; i < 8; i++) {
		rig_arp(r, 2, mac_of(i), 0x0a000080 + i * 256, RIG_ADDRESS, 0);
		rig_tx(r, 0x0a000080 + i * 256, span_str("x"), 1);
	}
	rig_flush(r);
	rig_clear(r);
	rig_arp(r, 1, mac_of(8), 0x0a000080 + 8 * 256, RIG_ADDRESS, 2); /* all are in use */
	CU_ASSERT_EQUAL(rig_err(r, ERR_ARP_TABLE_FULL), 1);
	rig_tx(r, 0x0a000080 + 8 * 256, span_str("x"), 2);
	CU_ASSERT_EQUAL(rig_err(r, ERR_ARP_TABLE_FULL), 2);
	CU_ASSERT_EQUAL(rig_err(r, ERR_ARP_UNRESOLVED), 1);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0806), 1); /* the request was answered all the same */
	/* A second later the one longest unused gives way. */
	for (uint32_t i = 0; i < 8; i++)
		if (i != 5)
			rig_tx(r, 0x0a000080 + i * 256, span_str("x"), 10);
	run(r, &now_us, SECOND_US + 1);
	rig_arp(r, 1, mac_of(8), 0x0a000080 + 8 * 256, RIG_ADDRESS, now_us);
	sent_of_type(r, 0x0800);
	for (uint32_t i = 9; i > 0; i--) /* the newcomer first: then it is in use too */
		rig_tx(r, 0x0a000080 + (i - 1) * 256, span_str("x"), now_us);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0800), 8);
	CU_ASSERT_EQUAL(rig_err(r, ERR_ARP_UNRESOLVED), 2);
	rig_close(r);
}

/* A scan of hosts that do not exist takes half of a set at most. */
static void questions_leave_room_for_answers(void)
{
	struct rig *r = rig_open_raw(0, 0xff000000, 0);

	rig_flush(r);
	rig_clear(r);
	for (uint32_t i = 0; i < 20; i++)
		rig_tx(r, 0x0a000080 + i * 256, span_str("x"), 0);
	CU_ASSERT_EQUAL(rig_err(r, ERR_ARP_TABLE_FULL), 16);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0806), 4);
	for (uint32_t i = 30; i < 50; i++)
		rig_arp(r, 1, mac_of(i), 0x0a000080 + i * 256, RIG_ADDRESS, 0);
	CU_ASSERT_EQUAL(rig_err(r, ERR_ARP_TABLE_FULL), 16);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0806), 20);
	rig_tx(r, 0x0a000080 + 49 * 256, span_str("x"), 0);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0800), 1);
	rig_close(r);
}

/* F-Stack 1076: an empty pool delays ARP, it does not stop it. */
static void asks_again_when_buffers_are_back(void)
{
	struct rig *r = rig_open(0);
	struct rte_mbuf *all[RIG_BUFFERS];
	uint64_t now_us = 0;

	CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(r->pool, all, RIG_BUFFERS), 0);
	rig_tx(r, RIG_PEER, span_str("x"), 0);
	rig_arp(r, 1, other_mac, RIG_PEER + 1, RIG_ADDRESS, 0);
	CU_ASSERT_EQUAL(rig_err(r, ERR_NO_BUFFERS), 2);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0806), 0);
	rte_pktmbuf_free_bulk(all, RIG_BUFFERS);
	run(r, &now_us, SECOND_US);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0806), 1);
	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, now_us);
	CU_ASSERT_EQUAL(sent_of_type(r, 0x0800), 1);
	rig_close(r);
}

static void overhear(struct rig *r, const struct rig_frame *f, uint64_t now_us)
{
	struct rte_mbuf *m = rig_chain(r->wires, frame_span(f), NULL, 0);

	net_learn(r->net, &m, now_us);
	CU_ASSERT_PTR_NULL(m);
}

/* What another worker of the box received and answered: learnt, nothing said, nothing counted. */
static void what_others_received_is_learnt_in_silence(void)
{
	struct rig *r = rig_open(0);
	struct rig_frame f;

	frame_eth(&f, rig_mac, rig_peer_mac, 0x0806);
	frame_arp(&f, 1, rig_peer_mac, RIG_PEER, RIG_ADDRESS);
	overhear(r, &f, 0);
	rig_tx(r, RIG_PEER, span_str("x"), 1);
	rig_flush(r);
	CU_ASSERT_EQUAL_FATAL(r->sent_count, 1); /* no reply, no question */
	CU_ASSERT_EQUAL(memcmp(r->sent[0].at, rig_peer_mac, 6), 0);
	rig_clear(r);
	frame_eth(&f, rig_broadcast, other_mac, 0x0806);
	frame_arp(&f, 1, other_mac, RIG_ADDRESS, RIG_ADDRESS); /* whoever received it defends */
	overhear(r, &f, 1);
	frame_eth(&f, other_mac, other_mac, 0x0806); /* not for this port */
	frame_arp(&f, 2, other_mac, RIG_PEER, RIG_ADDRESS);
	overhear(r, &f, 1);
	frame_eth(&f, rig_mac, other_mac, 0x0800); /* not ARP */
	frame_arp(&f, 2, other_mac, RIG_PEER, RIG_ADDRESS);
	overhear(r, &f, 1);
	f.size = 9;
	overhear(r, &f, 1);
	rig_tx(r, RIG_PEER, span_str("x"), 2);
	rig_flush(r);
	CU_ASSERT_EQUAL_FATAL(r->sent_count, 1);
	CU_ASSERT_EQUAL(memcmp(r->sent[0].at, rig_peer_mac, 6), 0);
	CU_ASSERT_EQUAL(rig_errs(r), 0);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_ARP_RX), 0);
	rig_close(r);
}

static const struct unit_test tests[] = {
	{"announces_itself_once", announces_itself_once},
	{"answers_requests_for_us_only", answers_requests_for_us_only},
	{"malformed_packets_are_counted", malformed_packets_are_counted},
	{"replies_carry_nothing_else", replies_carry_nothing_else},
	{"an_entry_follows_any_arp_of_its_owner", an_entry_follows_any_arp_of_its_owner},
	{"packets_wait_for_the_answer_in_order", packets_wait_for_the_answer_in_order},
	{"asks_three_times_then_gives_up", asks_three_times_then_gives_up},
	{"waiting_is_bounded_in_all", waiting_is_bounded_in_all},
	{"used_entries_are_polled_and_unused_ones_forgotten",
		used_entries_are_polled_and_unused_ones_forgotten},
	{"a_neighbour_that_left_is_forgotten", a_neighbour_that_left_is_forgotten},
	{"our_address_is_defended", our_address_is_defended},
	{"the_gateway_takes_what_is_not_on_link", the_gateway_takes_what_is_not_on_link},
	{"a_gateway_off_the_subnet_is_learnt_too", a_gateway_off_the_subnet_is_learnt_too},
	{"a_flood_of_strangers_does_not_push_out_who_is_in_use",
		a_flood_of_strangers_does_not_push_out_who_is_in_use},
	{"a_full_set_refuses_and_recovers", a_full_set_refuses_and_recovers},
	{"questions_leave_room_for_answers", questions_leave_room_for_answers},
	{"what_others_received_is_learnt_in_silence", what_others_received_is_learnt_in_silence},
	{"asks_again_when_buffers_are_back", asks_again_when_buffers_are_back},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("arp", tests, argc, argv);
}
