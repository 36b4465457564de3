/* prefix_test.c - which prefix holds an address, and what two lists make of it. */
#include "dataplane/base/prefix.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <stdio.h>

static struct prefixes list_of(const struct prefix *from, uint32_t count)
{
	struct prefixes p = {.count = count};

	for (uint32_t i = 0; i < count; i++)
		p.list[i] = (struct prefix){htonl(from[i].address), from[i].bits};
	return p;
}

static void the_longest_prefix_counts(void)
{
	static const struct prefix from[] = {
		{0x0a000000, 8}, {0x0a010000, 16}, {0x0a010203, 32}, {0xc0000200, 24}, {0, 0}};
	static const struct {
		uint32_t address;
		int bits, bits_without_last;
	} rows[] = {
		{0x0a000000, 8, 8},
		{0x0affffff, 8, 8},
		{0x0b000000, 0, PREFIX_NONE},
		{0x09ffffff, 0, PREFIX_NONE},
		{0x0a01ffff, 16, 16},
		{0x0a010203, 32, 32},
		{0x0a010202, 16, 16},
		{0xc00002ff, 24, 24},
		{0xc0000300, 0, PREFIX_NONE},
		{0xffffffff, 0, PREFIX_NONE},
	};
	const struct prefixes all = list_of(from, 5);
	const struct prefixes some = list_of(from, 4);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(prefixes_match(&all, htonl(rows[i].address)), rows[i].bits);
		CU_ASSERT_EQUAL(
			prefixes_match(&some, htonl(rows[i].address)), rows[i].bits_without_last);
	}
}

static void two_lists_decide(void)
{
	static const struct prefix ten[] = {{0x0a000000, 8}};
	static const struct prefix one[] = {{0x0a010000, 16}};
	const struct prefixes none = {0};
	const struct prefixes wide = list_of(ten, 1);
	const struct prefixes narrow = list_of(one, 1);
	static const struct {
		const char *name;
		int allow, deny; /* 0: none, 1: wide, 2: narrow */
		uint32_t address;
		bool allowed;
	} rows[] = {
		{"nothing said", 0, 0, 0x01020304, true},
		{"allowed by name", 1, 0, 0x0a000001, true},
		{"not among the allowed", 1, 0, 0x01020304, false},
		{"denied", 0, 1, 0x0a000001, false},
		{"not among the denied", 0, 1, 0x01020304, true},
		{"an exception from the allowed", 1, 2, 0x0a010001, false},
		{"beside the exception", 1, 2, 0x0a020001, true},
		{"an exception from the denied", 2, 1, 0x0a010001, true},
		{"beside that", 2, 1, 0x0a020001, false},
		{"both say the same", 1, 1, 0x0a000001, false},
		{"neither, and some are allowed", 2, 1, 0x01020304, false},
	};
	const struct prefixes *lists[] = {&none, &wide, &narrow};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const bool is = prefixes_allow(
			lists[rows[i].allow], lists[rows[i].deny], htonl(rows[i].address));
		if (is != rows[i].allowed)
			fprintf(stderr, "row \"%s\"\n", rows[i].name);
		CU_ASSERT_EQUAL(is, rows[i].allowed);
	}
}

/* From shared memory anything may come: it is read within bounds. */
static void nonsense_is_read_within_bounds(void)
{
	struct prefixes p = {.count = UINT32_MAX};

	for (int i = 0; i < PREFIXES_MAX; i++)
		p.list[i] = (struct prefix){htonl(0x0a000001), UINT32_MAX - (uint32_t)i};
	CU_ASSERT_EQUAL(prefixes_match(&p, htonl(0x0a000001)), 32);
	CU_ASSERT_EQUAL(prefixes_match(&p, htonl(0x0a000002)), PREFIX_NONE);
}

static const struct unit_test tests[] = {
	{"the_longest_prefix_counts", the_longest_prefix_counts},
	{"two_lists_decide", two_lists_decide},
	{"nonsense_is_read_within_bounds", nonsense_is_read_within_bounds},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("prefix", tests, argc, argv);
}
