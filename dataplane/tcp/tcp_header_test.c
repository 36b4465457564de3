/* tcp_header_test.c - headers and options: both ways, and what hostile ones come to. */
#include "dataplane/tcp/tcp_header.h"

#include "tests/unit/unit.h"

#include <stdlib.h>

/* A header with these option bytes, on memory of exactly its size. */
static enum err decode(uint8_t flags, struct span options, struct tcp_header *out)
{
	const size_t size = TCP_HEADER_MIN + options.size;
	uint8_t *bytes = calloc(1, size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	bytes[1] = 1;
	bytes[3] = 2;
	bytes[12] = (uint8_t)(size / 4 << 4);
	bytes[13] = flags;
	if (options.size > 0)
		memcpy(bytes + TCP_HEADER_MIN, options.at, options.size);
	const enum err e = tcp_header_decode(span_of(bytes, size), out);
	free(bytes);
	return e;
}

static void option_rows(void)
{
	static const struct {
		const char *bytes;
		uint8_t size;
		uint8_t flags;
		enum err want;
	} rows[] = {
		{"\0\0\0\0", 4, TCP_ACK, ERR_NONE}, {"\1\1\1\1", 4, TCP_ACK, ERR_NONE},
		{"\0\2\0\0", 4, TCP_SYN, ERR_NONE}, /* after the end nothing counts */
		{"\2\4\5\xb4", 4, TCP_SYN, ERR_NONE}, {"\2\3\5\xb4", 4, TCP_SYN, ERR_TCP_OPTIONS},
		{"\2\5\5\xb4\1\1\1\1", 8, TCP_SYN, ERR_TCP_OPTIONS},
		{"\2\0\1\1", 4, TCP_SYN, ERR_TCP_OPTIONS},
		{"\2\1\1\1", 4, TCP_SYN, ERR_TCP_OPTIONS},
		{"\1\1\1\2", 4, TCP_SYN, ERR_TCP_OPTIONS}, /* no room for a length */
		{"\1\1\2\4", 4, TCP_SYN, ERR_TCP_OPTIONS}, /* no room for the body */
		{"\3\3\7\0", 4, TCP_SYN, ERR_NONE}, {"\3\4\7\7", 4, TCP_SYN, ERR_TCP_OPTIONS},
		{"\4\2\1\1", 4, TCP_SYN, ERR_NONE}, {"\4\3\1\1", 4, TCP_SYN, ERR_TCP_OPTIONS},
		{"\1\1\10\12\0\0\0\1\0\0\0\2", 12, TCP_ACK, ERR_NONE},
		{"\1\1\1\10\11\0\0\1\0\0\0\2", 12, TCP_ACK, ERR_TCP_OPTIONS},
		{"\1\1\5\12\0\0\0\1\0\0\0\2", 12, TCP_ACK, ERR_NONE},
		{"\1\1\5\11\0\0\0\1\0\0\0\2", 12, TCP_ACK, ERR_TCP_OPTIONS},
		{"\5\2\1\1", 4, TCP_ACK, ERR_TCP_OPTIONS}, {"\xfd\4\1\2", 4, TCP_ACK, ERR_NONE},
		{"\x13\x12\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1", 20, TCP_ACK, ERR_NONE}, /* MD5 */
		{"\x1d\x05\1\1", 4, TCP_ACK, ERR_TCP_OPTIONS}, /* TCP-AO, too long */
	};
	struct tcp_header h;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		CU_ASSERT_EQUAL(decode(rows[i].flags, span_of(rows[i].bytes, rows[i].size), &h),
			rows[i].want);
}

static void size_rows(void)
{
	uint8_t bytes[TCP_HEADER_MAX] = {[1] = 1, [3] = 2};
	struct tcp_header h;

	for (unsigned words = 0; words < 16; words++)
		for (unsigned size = 0; size <= TCP_HEADER_MAX; size++) {
			bytes[12] = (uint8_t)(words << 4);
			const bool good = words >= 5 && words * 4 <= size;
			CU_ASSERT_EQUAL(tcp_header_decode(span_of(bytes, size), &h),
				good ? ERR_NONE : ERR_TCP_HEADER);
		}
}

static void ports_of_zero(void)
{
	uint8_t bytes[TCP_HEADER_MIN] = {[3] = 2, [12] = 5 << 4};
	struct tcp_header h;

	CU_ASSERT_EQUAL(tcp_header_decode(span_of(bytes, 20), &h), ERR_TCP_HEADER);
	bytes[1] = 1;
	CU_ASSERT_EQUAL(tcp_header_decode(span_of(bytes, 20), &h), ERR_NONE);
	bytes[3] = 0;
	CU_ASSERT_EQUAL(tcp_header_decode(span_of(bytes, 20), &h), ERR_TCP_HEADER);
}

static void syn_options_elsewhere_are_ignored(void)
{
	struct tcp_header h;

	CU_ASSERT_EQUAL(decode(TCP_ACK, span_of("\2\4\5\xb4\3\3\7\1\4\2\1\1", 12), &h), ERR_NONE);
	CU_ASSERT_EQUAL(h.options.mss, 0);
	CU_ASSERT_FALSE(h.options.has_wscale);
	CU_ASSERT_FALSE(h.options.sack_permitted);
}

static void scale_above_14_is_14(void)
{
	struct tcp_header h;

	CU_ASSERT_EQUAL(decode(TCP_SYN, span_of("\3\3\xff\0", 4), &h), ERR_NONE);
	CU_ASSERT_EQUAL(h.options.wscale, 14);
}

/* Every set of options that fits comes back as it went. */
static void round_trip(void)
{
	for (unsigned set = 0; set < 1 << 7; set++) {
		const struct tcp_header in = {.src_port = 1883,
			.dst_port = 40000,
			.seq = 0xfffffffe,
			.ack = 0x80000001,
			.window = 0xfffe,
			.flags = TCP_SYN | TCP_ACK,
			.options = {.mss = (set & 1) != 0 ? 1460 : 0,
				.has_wscale = (set & 2) != 0,
				.wscale = (set & 2) != 0 ? 7 : 0,
				.has_timestamps = (set & 4) != 0,
				.tsval = (set & 4) != 0 ? 0xdeadbeef : 0,
				.tsecr = (set & 4) != 0 ? 0x01020304 : 0,
				.sack_permitted = (set & 8) != 0}};
		struct tcp_header want = in;
		struct tcp_header out;
		uint8_t bytes[TCP_HEADER_MAX];

		want.options.sack_count = (uint8_t)(set >> 4);
		if (want.options.sack_count > TCP_SACK_BLOCKS)
			continue;
		for (unsigned i = 0; i < want.options.sack_count; i++)
			want.options.sack[i] = (struct tcp_range){i * 100, i * 100 + 0xfffffff0};
		if (TCP_HEADER_MIN + tcp_options_size(&want.options) > TCP_HEADER_MAX)
			continue;
		const size_t size = tcp_header_encode(&want, bytes);
		CU_ASSERT_EQUAL(size % 4, 0);
		CU_ASSERT_EQUAL(size, TCP_HEADER_MIN + tcp_options_size(&want.options));
		CU_ASSERT_EQUAL(tcp_header_decode(span_of(bytes, size), &out), ERR_NONE);
		want.size = (uint8_t)size;
		/* Padding is equal: decoding starts from zeros, and so did `in`. */
		/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
		CU_ASSERT_EQUAL(memcmp(&want, &out, sizeof(out)), 0);
	}
}

static const struct unit_test tests[] = {{"option_rows", option_rows}, {"size_rows", size_rows},
	{"ports_of_zero", ports_of_zero},
	{"syn_options_elsewhere_are_ignored", syn_options_elsewhere_are_ignored},
	{"scale_above_14_is_14", scale_above_14_is_14}, {"round_trip", round_trip}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_header", tests, argc, argv);
}
