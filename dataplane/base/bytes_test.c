/* bytes_test.c - span.h, reader.h and writer.h: fields at, before and past the end. */
#include "dataplane/base/reader.h"
#include "dataplane/base/writer.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

static void spans_compare_by_content(void)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} rows[] = {
		{"", "", true},
		{"a", "a", true},
		{"a", "b", false},
		{"ab", "a", false},
		{"", "a", false},
		{"signal", "signal", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(
			span_equal(span_str(rows[i].a), span_str(rows[i].b)), rows[i].equal);
	CU_ASSERT_TRUE(span_equal(span_of(NULL, 0), span_str("")));
}

static void span_skip_goes_to_the_end(void)
{
	const struct span s = span_str("abc");

	CU_ASSERT_TRUE(span_equal(span_skip(s, 0), s));
	CU_ASSERT_TRUE(span_equal(span_skip(s, 2), span_str("c")));
	CU_ASSERT_EQUAL(span_skip(s, 3).size, 0);
	CU_ASSERT_EQUAL(span_skip(span_of(NULL, 0), 0).size, 0);
}

static void reads_in_network_order(void)
{
	static const uint8_t bytes[] = {0x01, 0x02, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 'x', 'y'};
	struct reader r = reader_of(span_of(bytes, sizeof(bytes)));

	CU_ASSERT_EQUAL(read_u8(&r), 0x01);
	CU_ASSERT_EQUAL(read_u16(&r), 0x0203);
	CU_ASSERT_EQUAL(read_u32(&r), 0xf4f5f6f7);
	CU_ASSERT_EQUAL(reader_left(&r), 2);
	CU_ASSERT_TRUE(span_equal(read_bytes(&r, 2), span_str("xy")));
	CU_ASSERT_EQUAL(reader_left(&r), 0);
	CU_ASSERT_FALSE(r.bad);
	CU_ASSERT_EQUAL(read_bytes(&r, 0).size, 0);
	CU_ASSERT_FALSE(r.bad);
}

/* Every length from 0 to 7 on an exact heap copy: a sanitizer sees any byte too many. */
static void an_overrun_sticks(void)
{
	for (size_t size = 0; size < 7; size++) {
		uint8_t *bytes = malloc(size + (size == 0));
		memset(bytes, 0xff, size);
		struct reader r = reader_of(span_of(size == 0 ? NULL : bytes, size));
		read_u8(&r);
		read_u16(&r);
		const uint32_t v = read_u32(&r);
		CU_ASSERT_TRUE(r.bad);
		CU_ASSERT_EQUAL(v, 0);
		CU_ASSERT_EQUAL(read_bytes(&r, 0).size, 0);
		CU_ASSERT_EQUAL(read_u8(&r), 0);
		CU_ASSERT_TRUE(r.bad);
		free(bytes);
	}
	struct reader huge = reader_of(span_str("abc"));
	CU_ASSERT_EQUAL(read_bytes(&huge, SIZE_MAX).size, 0);
	CU_ASSERT_TRUE(huge.bad);
}

static void writes_in_network_order(void)
{
	static const uint8_t expected[] = {0x01, 0x02, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 'x', 'y'};
	uint8_t bytes[sizeof(expected)];
	struct writer w = writer_of(bytes, sizeof(bytes));

	write_u8(&w, 0x01);
	write_u16(&w, 0x0203);
	write_u32(&w, 0xf4f5f6f7);
	write_bytes(&w, span_str("xy"));
	write_bytes(&w, span_of(NULL, 0));
	CU_ASSERT_FALSE(w.bad);
	CU_ASSERT_EQUAL(writer_used(&w), sizeof(expected));
	CU_ASSERT_TRUE(span_equal(writer_span(&w), span_of(expected, sizeof(expected))));
}

static void a_write_too_many_sticks(void)
{
	for (size_t size = 0; size < 7; size++) {
		uint8_t *bytes = malloc(size + (size == 0));
		struct writer w = writer_of(bytes, size);
		write_u32(&w, 1);
		write_u16(&w, 2);
		write_u8(&w, 3);
		CU_ASSERT_TRUE(w.bad);
		const size_t used = writer_used(&w);
		CU_ASSERT_TRUE(used <= size);
		write_u8(&w, 4); /* would fit in some rows, but comes after the gap */
		CU_ASSERT_EQUAL(writer_used(&w), used);
		free(bytes);
	}
}

static void an_empty_writer_may_be_null(void)
{
	struct writer w = writer_of(NULL, 0);

	write_bytes(&w, span_of(NULL, 0));
	CU_ASSERT_FALSE(w.bad);
	CU_ASSERT_EQUAL(writer_used(&w), 0);
	write_u8(&w, 1);
	CU_ASSERT_TRUE(w.bad);
}

static const struct unit_test tests[] = {
	{"spans_compare_by_content", spans_compare_by_content},
	{"span_skip_goes_to_the_end", span_skip_goes_to_the_end},
	{"reads_in_network_order", reads_in_network_order},
	{"an_overrun_sticks", an_overrun_sticks},
	{"writes_in_network_order", writes_in_network_order},
	{"a_write_too_many_sticks", a_write_too_many_sticks},
	{"an_empty_writer_may_be_null", an_empty_writer_may_be_null},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("bytes", tests, argc, argv);
}
