/* icmp_error_test.c - who is told that its packet cannot be taken, who is not, and what is quoted.
 */
#include "dataplane/base/assert.h"
#include "tests/unit/net_rig.h"
#include "tests/unit/unit.h"

#include <stdio.h>

enum { UDP = 17, IP = 14, TYPE = 34 };

static struct rig *open_with_peer(uint64_t now_us)
{
	struct rig *r = rig_open(now_us);

	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, now_us);
	rig_clear(r);
	return r;
}

static struct rig_frame packet(uint8_t protocol, struct span options, uint16_t size)
{
	struct rig_frame f;
	uint8_t payload[1480];

	ASSERT(size <= sizeof(payload));
	for (uint16_t i = 0; i < size; i++)
		payload[i] = (uint8_t)(i * 11 + 3);
	frame_eth(&f, rig_mac, rig_peer_mac, 0x0800);
	frame_ipv4(&f, RIG_PEER, RIG_ADDRESS, protocol, options, span_of(payload, size));
	return f;
}

static void give(struct rig *r, const struct rig_frame *f, uint64_t now_us)
{
	CU_ASSERT_FALSE(rig_rx(r, frame_span(f), NULL, now_us));
	rig_flush(r);
}

/* One error, about `refused` up to `end`, of which it quotes `quoted` bytes. */
static void check_error(const struct rig *r, const struct rig_frame *refused, const uint8_t head[3],
	uint16_t quoted)
{
	CU_ASSERT_EQUAL_FATAL(r->sent_count, 1);
	const struct rig_frame *e = &r->sent[0];

	CU_ASSERT_EQUAL(e->size, TYPE + 8 + quoted);
	CU_ASSERT(e->size <= IP + 576);
	CU_ASSERT_EQUAL(memcmp(e->at, rig_peer_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(e->at + 26, refused->at + 30, 4), 0); /* from us */
	CU_ASSERT_EQUAL(memcmp(e->at + 30, refused->at + 26, 4), 0); /* to the sender */
	CU_ASSERT_EQUAL(e->at[23], 1);
	CU_ASSERT_EQUAL(e->at[TYPE], head[0]);
	CU_ASSERT_EQUAL(e->at[TYPE + 1], head[1]);
	CU_ASSERT_EQUAL(e->at[TYPE + 4], head[2]);
	CU_ASSERT_EQUAL(memcmp(e->at + TYPE + 5, "\0\0\0", 3), 0);
	CU_ASSERT_EQUAL(memcmp(e->at + TYPE + 8, refused->at + IP, quoted), 0);
	CU_ASSERT_EQUAL(
		net_checksum_finish(net_checksum_add(0, e->at + TYPE, (size_t)e->size - TYPE)), 0);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_ICMP_ERRORS_SENT), 1);
}

static void what_nothing_here_takes_is_refused(void)
{
	static const struct {
		uint8_t protocol, code;
		uint16_t size, quoted;
	} rows[] = {
		{UDP, 3, 8, 28},
		{UDP, 3, 100, 120},
		{UDP, 3, 528, 548}, /* all of it fits into 576 bytes */
		{UDP, 3, 529, 548},
		{UDP, 3, 1480, 548},
		{132, 2, 12, 32}, /* SCTP */
		{2, 2, 8, 28},    /* IGMP */
		{0, 2, 0, 20},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = open_with_peer(0);
		struct rig_frame f = packet(rows[i].protocol, span_str(""), rows[i].size);
		frame_append(&f, span_str("PADDING")); /* is never quoted */
		give(r, &f, 1);
		check_error(r, &f, (const uint8_t[]){3, rows[i].code, 0}, rows[i].quoted);
		CU_ASSERT_EQUAL(rig_err(r, ERR_IPV4_PROTOCOL), 1);
		CU_ASSERT_EQUAL(rig_errs(r), 1);
		rig_close(r);
	}
}

/* RFC 792: where the wrong byte is; RFC 1122 3.2.1.8: a source route is another matter. */
static void bad_options_are_told(void)
{
	static const struct {
		uint8_t options[8];
		uint8_t head[3];
	} rows[] = {
		{{7, 0, 0, 0}, {12, 0, 20}},
		{{1, 1, 7, 9, 0, 0, 0, 0}, {12, 0, 22}},
		{{1, 1, 1, 1, 1, 1, 1, 7}, {12, 0, 27}},
		{{131, 7, 4, 10, 0, 0, 3, 0}, {3, 5, 0}},
		{{1, 137, 7, 4, 10, 0, 0, 3}, {3, 5, 0}},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = open_with_peer(0);
		struct rig_frame f = packet(6, span_of(rows[i].options, 8), 30);
		frame_append(&f, span_str("PADDING"));
		give(r, &f, 1);
		check_error(r, &f, rows[i].head, 58);
		CU_ASSERT_EQUAL(rig_err(r, ERR_IPV4_OPTIONS), 1);
		rig_close(r);
	}
}

/* RFC 1122 3.2.2. */
static void some_are_never_told(void)
{
	static const uint8_t bad[4] = {7, 0, 0, 0};
	struct rig_frame rows[6];

	rows[0] = packet(1, span_of(bad, 4), 36); /* about ICMP */
	rows[1] = packet(UDP, span_str(""), 20);
	memcpy(rows[1].at, rig_broadcast, 6); /* sent to all on the link */
	rows[2] = packet(UDP, span_str(""), 20);
	rows[2].at[33] = 255; /* to a broadcast address */
	frame_resum(&rows[2]);
	rows[3] = packet(UDP, span_str(""), 20);
	rows[3].at[26] = 224; /* from a group */
	frame_resum(&rows[3]);
	rows[4] = packet(UDP, span_str(""), 20);
	rows[4].at[21] = 5; /* a later fragment */
	frame_resum(&rows[4]);
	rows[5] = packet(UDP, span_str(""), 20);
	rows[5].at[25] ^= 1; /* who knows what it was */

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = open_with_peer(0);
		give(r, &rows[i], 1);
		CU_ASSERT_EQUAL(r->sent_count, 0);
		CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_ICMP_ERRORS_SENT), 0);
		rig_close(r);
	}
}

/* 50 at once, then 100 a second; echo has a budget of its own. */
static void errors_keep_to_a_rate(void)
{
	static const struct {
		uint64_t at_us;
		uint32_t asked, told;
	} rows[] = {
		{0, 200, 50}, {9999, 5, 0}, {10000, 5, 1}, {110000, 50, 10}, {60000000, 200, 50}};
	struct rig *r = open_with_peer(0);
	const struct rig_frame f = packet(UDP, span_str(""), 20);

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		rig_clear(r);
		for (uint32_t k = 0; k < rows[i].asked; k++)
			give(r, &f, rows[i].at_us);
		CU_ASSERT_EQUAL(r->sent_count, rows[i].told);
		CU_ASSERT_EQUAL(rig_err(r, ERR_ICMP_RATE), rows[i].asked - rows[i].told);
		CU_ASSERT_EQUAL(rig_err(r, ERR_IPV4_PROTOCOL), rows[i].asked);
	}
	rig_close(r);
}

static void without_buffers_nobody_is_told(void)
{
	struct rig *r = open_with_peer(0);
	struct rte_mbuf *all[RIG_BUFFERS];
	const struct rig_frame f = packet(UDP, span_str(""), 20);

	CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(r->pool, all, RIG_BUFFERS), 0);
	give(r, &f, 1);
	CU_ASSERT_EQUAL(rig_err(r, ERR_NO_BUFFERS), 1);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_ICMP_ERRORS_SENT), 0);
	rte_pktmbuf_free_bulk(all, RIG_BUFFERS);
	rig_close(r);
}

static const struct unit_test tests[] = {
	{"what_nothing_here_takes_is_refused", what_nothing_here_takes_is_refused},
	{"bad_options_are_told", bad_options_are_told},
	{"some_are_never_told", some_are_never_told},
	{"errors_keep_to_a_rate", errors_keep_to_a_rate},
	{"without_buffers_nobody_is_told", without_buffers_nobody_is_told},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("icmp_error", tests, argc, argv);
}
