/* icmp_test.c - echo is answered byte for byte and within a rate; the rest is checked and counted.
 */
#include "dataplane/base/assert.h"
#include "tests/unit/net_rig.h"
#include "tests/unit/unit.h"

#include <stdio.h>

enum { TYPE = 34, CODE = 35, SUM = 36 }; /* offsets in a frame without options */

static void resum(struct rig_frame *f, uint16_t end)
{
	uint32_t sum = 0;

	f->at[SUM] = f->at[SUM + 1] = 0;
	for (uint16_t i = TYPE; i < end; i++)
		sum += (i & 1) == 0 ? (uint32_t)f->at[i] << 8 : f->at[i];
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	f->at[SUM] = (uint8_t)(~sum >> 8);
	f->at[SUM + 1] = (uint8_t)~sum;
}

/* What an error quotes: the beginning of a segment of ours, from port 80 to 1000, number
 * 0x01020304; 1500 bytes in all. */
static const uint8_t quote[28] = {0x45, 0, 0x05, 0xdc, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10,
	0, 0, 2, 0, 80, 0x03, 0xe8, 1, 2, 3, 4};

/* A message of `size` bytes in all, at least the header's 8. */
static struct rig_frame message(uint8_t type, uint8_t code, uint16_t size)
{
	struct rig_frame f;
	uint8_t bytes[2000];

	ASSERT(size <= sizeof(bytes));
	for (uint16_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 13 + 5);
	bytes[0] = type;
	bytes[1] = code;
	if (type == 3 || type == 4 || type == 5 || type == 11 || type == 12)
		memcpy(bytes + 8, quote, sizeof(quote));
	frame_eth(&f, rig_mac, rig_peer_mac, 0x0800);
	frame_ipv4(&f, RIG_PEER, RIG_ADDRESS, 1, span_str(""), span_of(bytes, size));
	if (size >= 4)
		resum(&f, f.size);
	return f;
}

static struct rig *open_with_peer(uint64_t now_us)
{
	struct rig *r = rig_open(now_us);

	rig_arp(r, 2, rig_peer_mac, RIG_PEER, RIG_ADDRESS, now_us);
	rig_clear(r);
	return r;
}

static void check_reply(const struct rig *r, const struct rig_frame *request, uint16_t end)
{
	CU_ASSERT_EQUAL_FATAL(r->sent_count, 1);
	const struct rig_frame *reply = &r->sent[0];
	struct rig_frame expected = *request;

	expected.size = end;
	expected.at[TYPE] = 0;
	resum(&expected, end);
	CU_ASSERT_EQUAL(reply->size, end);
	CU_ASSERT_EQUAL(memcmp(reply->at, rig_peer_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(reply->at + 26, request->at + 30, 4), 0); /* from us */
	CU_ASSERT_EQUAL(memcmp(reply->at + 30, request->at + 26, 4), 0); /* to the asker */
	CU_ASSERT_EQUAL(reply->at[16] << 8 | reply->at[17], end - 14);
	CU_ASSERT_EQUAL(memcmp(reply->at + TYPE, expected.at + TYPE, end - (size_t)TYPE), 0);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_ICMP_ECHO), 1);
	CU_ASSERT_EQUAL(rig_errs(r), 0);
}

/* CVE-2020-17443: the reply is exactly as long as the request said, and padding never comes back.
 */
static void echo_comes_back_byte_for_byte(void)
{
	static const uint16_t sizes[] = {8, 9, 16, 64, 65, 1479, 1480};

	for (size_t i = 0; i < RTE_DIM(sizes); i++)
		for (uint16_t cut = 1; cut < 60; cut += 3) {
			struct rig *r = open_with_peer(0);
			struct rig_frame f = message(8, 0, sizes[i]);
			const uint16_t end = f.size;
			struct net_packet out;
			const uint16_t cuts[] = {cut, (uint16_t)(cut + 4), (uint16_t)(cut + 9)};
			frame_append(&f, span_str("SECRET OF ANOTHER"));
			struct rte_mbuf *m = rig_chain(r->wires, frame_span(&f), cuts, 3);
			CU_ASSERT_FALSE(net_rx(r->net, &m, &out, 1));
			rig_flush(r);
			check_reply(r, &f, end);
			rig_close(r);
		}
}

static void echo_with_options_is_answered_without(void)
{
	struct rig *r = open_with_peer(0);
	struct rig_frame f;
	static const uint8_t route[8] = {7, 7, 4, 0, 0, 0, 0, 0};
	const struct rig_frame plain = message(8, 0, 32);

	frame_eth(&f, rig_mac, rig_peer_mac, 0x0800);
	frame_ipv4(&f, RIG_PEER, RIG_ADDRESS, 1, span_of(route, 8),
		span_skip(frame_span(&plain), TYPE));
	CU_ASSERT_FALSE(rig_rx(r, frame_span(&f), NULL, 1));
	rig_flush(r);
	check_reply(r, &plain, plain.size);
	rig_close(r);
}

static void messages_are_judged(void)
{
	static const struct {
		const char *name;
		uint8_t type, code;
		uint16_t size;
		bool bad_sum;
		enum err err;
		enum counter counter; /* when there is no error */
	} rows[] = {
		{"empty", 8, 0, 0, false, ERR_ICMP_MALFORMED, 0},
		{"half a header", 8, 0, 4, false, ERR_ICMP_MALFORMED, 0},
		{"7 bytes", 8, 0, 7, false, ERR_ICMP_MALFORMED, 0},
		{"echo, wrong sum", 8, 0, 40, true, ERR_ICMP_MALFORMED, 0},
		{"echo with a code", 8, 1, 40, false, ERR_ICMP_MALFORMED, 0},
		{"echo beyond our MTU", 8, 0, 1481, false, ERR_IPV4_TOO_BIG, 0},
		{"port unreachable", 3, 3, 36, false, ERR_NONE, COUNTER_ICMP_ERRORS},
		{"frag needed", 3, 4, 36, false, ERR_NONE, COUNTER_ICMP_ERRORS},
		{"source quench", 4, 0, 36, false, ERR_ICMP_SOURCE_QUENCH, 0},
		{"redirect", 5, 1, 36, false, ERR_ICMP_REDIRECT, 0},
		{"time exceeded", 11, 0, 36, false, ERR_NONE, COUNTER_ICMP_ERRORS},
		{"parameter problem", 12, 0, 36, false, ERR_NONE, COUNTER_ICMP_ERRORS},
		{"quote one short", 3, 3, 35, false, ERR_ICMP_MALFORMED, 0},
		{"quote missing", 11, 0, 8, false, ERR_ICMP_MALFORMED, 0},
		{"error, wrong sum", 3, 3, 36, true, ERR_ICMP_MALFORMED, 0},
		{"echo reply", 0, 0, 40, false, ERR_NONE, COUNTER_ICMP_IGNORED},
		{"timestamp request", 13, 0, 20, false, ERR_NONE, COUNTER_ICMP_IGNORED},
		{"address mask request", 17, 0, 12, false, ERR_NONE, COUNTER_ICMP_IGNORED},
		{"unknown type", 255, 255, 8, false, ERR_NONE, COUNTER_ICMP_IGNORED},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = open_with_peer(0);
		struct rig_frame f = message(rows[i].type, rows[i].code, rows[i].size);
		if (rows[i].bad_sum)
			f.at[SUM] ^= 0x10;
		CU_ASSERT_FALSE(rig_rx(r, frame_span(&f), NULL, 1));
		rig_flush(r);
		const bool right = rows[i].err == ERR_NONE
					   ? rig_errs(r) == 0 &&
						     counter_get(&r->counters, rows[i].counter) == 1
					   : rig_errs(r) == 1 && rig_err(r, rows[i].err) == 1;
		if (!right)
			fprintf(stderr, "row \"%s\"\n", rows[i].name);
		CU_ASSERT_TRUE(right);
		CU_ASSERT_EQUAL(r->sent_count, 0);
		rig_close(r);
	}
}

/* RFC 792, 1191 4: what TCP learns, and that only its own segments are worth telling. */
static void quotes_are_taken_apart(void)
{
	static const struct {
		const char *name;
		uint8_t type, code;
		uint8_t at, value; /* a byte of the quote that is another */
		enum err err;
		uint32_t told;
		enum net_error_kind kind;
	} rows[] = {
		{"port", 3, 3, 0, 0x45, ERR_NONE, 1, NET_ERROR_UNREACHABLE},
		{"net", 3, 0, 0, 0x45, ERR_NONE, 1, NET_ERROR_UNREACHABLE},
		{"too big", 3, 4, 0, 0x45, ERR_NONE, 1, NET_ERROR_TOO_BIG},
		{"time", 11, 0, 0, 0x45, ERR_NONE, 1, NET_ERROR_UNREACHABLE},
		{"parameter", 12, 0, 0, 0x45, ERR_NONE, 1, NET_ERROR_UNREACHABLE},
		{"code 4 of another type", 11, 4, 0, 0x45, ERR_NONE, 1, NET_ERROR_UNREACHABLE},
		{"quench", 4, 0, 0, 0x45, ERR_ICMP_SOURCE_QUENCH, 0, 0},
		{"redirect", 5, 0, 0, 0x45, ERR_ICMP_REDIRECT, 0, 0},
		{"version 6", 3, 3, 0, 0x65, ERR_ICMP_QUOTE, 0, 0},
		{"header of 16", 3, 3, 0, 0x44, ERR_ICMP_QUOTE, 0, 0},
		{"header of 24, and 4 bytes", 3, 3, 0, 0x46, ERR_ICMP_QUOTE, 0, 0},
		{"header of 60", 3, 3, 0, 0x4f, ERR_ICMP_QUOTE, 0, 0},
		{"of 220 bytes", 3, 3, 2, 0, ERR_NONE, 1, NET_ERROR_UNREACHABLE},
		{"fragment", 3, 3, 7, 1, ERR_ICMP_QUOTE, 0, 0},
		{"first fragment", 3, 3, 6, 0x20, ERR_NONE, 1, NET_ERROR_UNREACHABLE},
		{"not from us", 3, 3, 15, 9, ERR_ICMP_QUOTE, 0, 0},
		{"no TCP", 3, 3, 9, 17, ERR_NONE, 0, 0},
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct rig *r = open_with_peer(0);
		struct rig_frame f = message(rows[i].type, rows[i].code, 36);
		static const uint16_t cuts[] = {40, 50, 63};
		struct net_packet out;
		f.at[TYPE + 6] = 0x02;
		f.at[TYPE + 7] = 0x40;
		f.at[TYPE + 8 + rows[i].at] = rows[i].value;
		resum(&f, f.size);
		struct rte_mbuf *m = rig_chain(r->wires, frame_span(&f), cuts, 3);
		CU_ASSERT_FALSE(net_rx(r->net, &m, &out, 1));
		const bool right = r->error_count == rows[i].told &&
				   rig_errs(r) == (rows[i].err != ERR_NONE) &&
				   (rows[i].err == ERR_NONE || rig_err(r, rows[i].err) == 1);
		if (!right)
			fprintf(stderr, "row \"%s\"\n", rows[i].name);
		CU_ASSERT_TRUE(right);
		if (r->error_count > 0) {
			CU_ASSERT_EQUAL(r->error.kind, rows[i].kind);
			CU_ASSERT_EQUAL(
				r->error.mtu, rows[i].kind == NET_ERROR_TOO_BIG ? 0x240 : 0);
			CU_ASSERT_EQUAL(r->error.size, rows[i].at == 2 ? 0xdc : 1500);
			CU_ASSERT_EQUAL(r->error.src, RTE_BE32(RIG_ADDRESS));
			CU_ASSERT_EQUAL(r->error.dst, RTE_BE32(RIG_PEER));
			CU_ASSERT_EQUAL(r->error.src_port, 80);
			CU_ASSERT_EQUAL(r->error.dst_port, 1000);
			CU_ASSERT_EQUAL(r->error.seq, 0x01020304);
		}
		rig_close(r);
	}
}

/* A segment has a header of its own: what claims to be smaller was never sent. */
static void a_quote_too_small_for_tcp(void)
{
	struct rig *r = open_with_peer(0);
	struct rig_frame f = message(3, 3, 36);

	f.at[TYPE + 10] = 0;
	f.at[TYPE + 11] = 39;
	resum(&f, f.size);
	CU_ASSERT_FALSE(rig_rx(r, frame_span(&f), NULL, 1));
	CU_ASSERT_EQUAL(rig_err(r, ERR_ICMP_QUOTE), 1);
	CU_ASSERT_EQUAL(r->error_count, 0);
	rig_close(r);
}

/* A token bucket: 1000 at once, then 10,000 a second, whatever happened before. */
static void replies_keep_to_a_rate(void)
{
	static const struct {
		uint64_t at_us;
		uint32_t asked, answered;
	} rows[] = {
		{0, 1500, 1000},        /* the burst */
		{99, 5, 0},             /* not a token yet */
		{100, 5, 1},            /* one in 100 us */
		{50100, 2000, 500},     /* 50 ms of them */
		{10000000, 1500, 1000}, /* a long rest saves no more than a burst */
		{10000000, 5, 0},
		{9000000, 5, 0}, /* time that goes back gives nothing */
		{UINT64_MAX / 2, 1001, 1000},
	};
	struct rig *r = open_with_peer(0);
	const struct rig_frame f = message(8, 0, 16);

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		rig_clear(r);
		for (uint32_t k = 0; k < rows[i].asked; k++) {
			CU_ASSERT_FALSE(rig_rx(r, frame_span(&f), NULL, rows[i].at_us));
			rig_flush(r);
		}
		CU_ASSERT_EQUAL(r->sent_count, rows[i].answered);
		CU_ASSERT_EQUAL(rig_err(r, ERR_ICMP_RATE), rows[i].asked - rows[i].answered);
	}
	rig_close(r);
}

static void without_buffers_there_is_no_reply(void)
{
	struct rig *r = open_with_peer(0);
	struct rte_mbuf *all[RIG_BUFFERS];
	const struct rig_frame f = message(8, 0, 16);

	CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_alloc_bulk(r->pool, all, RIG_BUFFERS), 0);
	CU_ASSERT_FALSE(rig_rx(r, frame_span(&f), NULL, 1));
	CU_ASSERT_EQUAL(rig_err(r, ERR_NO_BUFFERS), 1);
	CU_ASSERT_EQUAL(counter_get(&r->counters, COUNTER_ICMP_ECHO), 0);
	rte_pktmbuf_free_bulk(all, RIG_BUFFERS);
	rig_close(r);
}

static void a_flood_of_replies_cannot_use_up_the_queue(void)
{
	struct rig *r = open_with_peer(0);
	const struct rig_frame f = message(8, 0, 16);

	r->nic_takes = 0;
	for (int i = 0; i < 2000; i++) {
		CU_ASSERT_FALSE(rig_rx(r, frame_span(&f), NULL, (uint64_t)i * 100));
		rig_flush(r);
	}
	CU_ASSERT_TRUE(net_tx_room(r->net) >= NET_TX_QUEUE / 2 - 1);
	CU_ASSERT_TRUE(rig_err(r, ERR_ICMP_RATE) > 1000);
	CU_ASSERT_EQUAL(rig_err(r, ERR_NIC_TX_DROPPED), 0);
	rig_close(r);
}

static const struct unit_test tests[] = {
	{"echo_comes_back_byte_for_byte", echo_comes_back_byte_for_byte},
	{"echo_with_options_is_answered_without", echo_with_options_is_answered_without},
	{"messages_are_judged", messages_are_judged},
	{"quotes_are_taken_apart", quotes_are_taken_apart},
	{"a_quote_too_small_for_tcp", a_quote_too_small_for_tcp},
	{"replies_keep_to_a_rate", replies_keep_to_a_rate},
	{"without_buffers_there_is_no_reply", without_buffers_there_is_no_reply},
	{"a_flood_of_replies_cannot_use_up_the_queue", a_flood_of_replies_cannot_use_up_the_queue},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("icmp", tests, argc, argv);
}
