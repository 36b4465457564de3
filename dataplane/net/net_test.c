/* net_test.c - Ethernet: which frames get in, and the queue before the NIC. */
#include "tests/unit/net_rig.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static void only_frames_for_us_get_in(void)
{
	static const struct {
		const char *name;
		uint8_t dst[6], src[6];
		uint16_t type;
		enum err expected;
	} rows[] = {
		{"another station", {2, 0, 0, 0, 0, 9}, {2, 0, 0, 0, 0, 2}, 0x0806,
			ERR_ETH_NOT_FOR_US},
		{"a group", {1, 0, 0x5e, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, 0x0806, ERR_ETH_NOT_FOR_US},
		{"nearly broadcast", {255, 255, 255, 255, 255, 254}, {2, 0, 0, 0, 0, 2}, 0x0806,
			ERR_ETH_NOT_FOR_US},
		{"nobody", {0}, {2, 0, 0, 0, 0, 2}, 0x0806, ERR_ETH_NOT_FOR_US},
		{"from a group", {2, 0, 0, 0, 0, 1}, {3, 0, 0, 0, 0, 2}, 0x0806, ERR_ETH_SOURCE},
		{"from all", {2, 0, 0, 0, 0, 1}, {255, 255, 255, 255, 255, 255}, 0x0806,
			ERR_ETH_SOURCE},
		{"from us", {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 1}, 0x0806, ERR_ETH_SOURCE},
		{"our own broadcast back", {255, 255, 255, 255, 255, 255}, {2, 0, 0, 0, 0, 1},
			0x0806, ERR_ETH_SOURCE},
		{"VLAN tag", {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, 0x8100, ERR_ETH_UNKNOWN_TYPE},
		{"IPv6", {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, 0x86dd, ERR_ETH_UNKNOWN_TYPE},
		{"802.3 length", {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, 28, ERR_ETH_UNKNOWN_TYPE},
		{"RARP", {255, 255, 255, 255, 255, 255}, {2, 0, 0, 0, 0, 2}, 0x8035,
			ERR_ETH_UNKNOWN_TYPE},
		{"empty ARP", {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, 0x0806, ERR_ARP_MALFORMED},
		{"empty IPv4", {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, 0x0800, ERR_IPV4_HEADER},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++)
		for (uint16_t cut = 0; cut <= 14; cut++) {
			struct rig *r = rig_open(0);
			struct rig_frame f;
			struct net_packet out;
			frame_eth(&f, rows[i].dst, rows[i].src, rows[i].type);
			struct rte_mbuf *m = rig_chain(r->wires, frame_span(&f), &cut, 1);
			CU_ASSERT_FALSE(net_rx(r->net, &m, &out, 0));
			if (rig_err(r, rows[i].expected) != 1 || rig_errs(r) != 1)
				fprintf(stderr, "row \"%s\"\n", rows[i].name);
			CU_ASSERT_EQUAL(rig_err(r, rows[i].expected), 1);
			CU_ASSERT_EQUAL(rig_errs(r), 1);
			rig_close(r);
		}
}

static void runts_of_every_size_are_counted(void)
{
	struct rig *r = rig_open(0);
	static const uint8_t bytes[14];

	for (size_t size = 0; size < 14; size++)
		CU_ASSERT_FALSE(rig_rx(r, span_of(bytes, size), NULL, 0));
	CU_ASSERT_EQUAL(rig_err(r, ERR_ETH_RUNT), 14);
	CU_ASSERT_EQUAL(rig_errs(r), 14);
	rig_close(r);
}

static struct span numbered(uint32_t i)
{
	static uint8_t payload[4];

	payload[0] = (uint8_t)(i >> 24);
	payload[1] = (uint8_t)(i >> 16);
	payload[2] = (uint8_t)(i >> 8);
	payload[3] = (uint8_t)i;
	return span_of(payload, 4);
}

static void a_full_ring_is_back_pressure_and_keeps_order(void)
{
	struct rig *r = rig_open(0);
	uint32_t expected = 0;

	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, 0);
	for (uint32_t i = 0; i < 10; i++)
		rig_tx(r, RIG_PEER, numbered(i), 1);
	const uint16_t takes[] = {3, 0, 1, 6, 5};
	const uint32_t sent[] = {3, 3, 4, 10, 10};
	for (size_t i = 0; i < RTE_DIM(takes); i++) {
		r->nic_takes = takes[i];
		rig_flush(r);
		CU_ASSERT_EQUAL(r->sent_count, sent[i]);
	}
	CU_ASSERT_EQUAL_FATAL(r->sent_count, 10);
	for (; expected < 10; expected++)
		CU_ASSERT_TRUE(span_equal(
			span_skip(frame_span(&r->sent[expected]), 34), numbered(expected)));
	CU_ASSERT_EQUAL(rig_errs(r), 0);
	rig_close(r);
}

static void the_queue_is_bounded_and_keeps_room_for_arp(void)
{
	struct rig *r = rig_open(0);
	uint32_t room = net_tx_room(r->net);
	uint32_t i = 0;

	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, 0);
	CU_ASSERT_TRUE(room > NET_TX_QUEUE / 2 && room < NET_TX_QUEUE);
	for (; room > 0; i++) {
		CU_ASSERT_EQUAL(net_tx_room(r->net), room);
		rig_tx(r, RIG_PEER, numbered(i), 1);
		room--;
	}
	CU_ASSERT_EQUAL(rig_errs(r), 0);
	CU_ASSERT_EQUAL(net_tx_room(r->net), 0);
	rig_tx(r, RIG_PEER, numbered(i), 1); /* the newest is dropped */
	CU_ASSERT_EQUAL(rig_err(r, ERR_NIC_TX_DROPPED), 1);
	rig_arp(r, 1, rig_peer_mac, RIG_PEER, RIG_ADDRESS, 2);
	CU_ASSERT_EQUAL(net_tx_room(r->net), 0);
	CU_ASSERT_EQUAL(rig_errs(r), 1);
	for (int k = 0; k < NET_TX_QUEUE; k++) /* an ARP storm fills the reserve, no more */
		rig_arp(r, 1, rig_peer_mac, RIG_PEER, RIG_ADDRESS, 2);
	CU_ASSERT_TRUE(rig_err(r, ERR_NIC_TX_DROPPED) > 1);
	rig_flush(r);
	CU_ASSERT_EQUAL(r->sent_count, NET_TX_QUEUE);
	CU_ASSERT_EQUAL(r->sent[i].at[12] << 8 | r->sent[i].at[13], 0x0806);
	CU_ASSERT_TRUE(span_equal(span_skip(frame_span(&r->sent[i - 1]), 34), numbered(i - 1)));
	CU_ASSERT_EQUAL(net_tx_room(r->net), i);
	rig_close(r);
}

static void nothing_is_sent_before_flush(void)
{
	struct rig *r = rig_open(0);

	rig_arp(r, 1, rig_peer_mac, RIG_PEER, RIG_ADDRESS, 0);
	rig_tx(r, RIG_PEER, numbered(1), 1);
	net_poll_timers(r->net, 1000);
	CU_ASSERT_EQUAL(r->sent_count, 0);
	rig_flush(r);
	CU_ASSERT_EQUAL(r->sent_count, 2);
	rig_flush(r);
	CU_ASSERT_EQUAL(r->sent_count, 2);
	rig_close(r);
}

static void closing_frees_what_is_queued_and_what_waits(void)
{
	struct rig *r = rig_open(0);

	rig_arp(r, 1, rig_peer_mac, RIG_PEER, RIG_ADDRESS, 0);
	for (uint32_t i = 0; i < 6; i++) {
		rig_tx(r, RIG_PEER, numbered(i), 1);
		rig_tx(r, RIG_PEER + 1 + i % 2, numbered(i), 1);
	}
	rig_close(r);
	struct net *none = NULL;
	net_destroy(&none);
}

static const struct unit_test tests[] = {
	{"only_frames_for_us_get_in", only_frames_for_us_get_in},
	{"runts_of_every_size_are_counted", runts_of_every_size_are_counted},
	{"a_full_ring_is_back_pressure_and_keeps_order",
		a_full_ring_is_back_pressure_and_keeps_order},
	{"the_queue_is_bounded_and_keeps_room_for_arp",
		the_queue_is_bounded_and_keeps_room_for_arp},
	{"nothing_is_sent_before_flush", nothing_is_sent_before_flush},
	{"closing_frees_what_is_queued_and_what_waits",
		closing_frees_what_is_queued_and_what_waits},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("net", tests, argc, argv);
}
