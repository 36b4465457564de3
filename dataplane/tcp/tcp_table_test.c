/* tcp_table_test.c - the flow table against a plain array, through insertions and removals. */
#include "dataplane/tcp/tcp_table.h"

#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

enum { COUNT = 300, STEPS = 20000 };

struct records {
	struct tcp_tuple tuple[COUNT];
	bool in[COUNT];
};

static bool same(const void *owner, uint32_t index, const struct tcp_tuple *tuple)
{
	const struct records *r = owner;

	CU_ASSERT(r->in[index]);
	return memcmp(&r->tuple[index], tuple, sizeof(*tuple)) == 0;
}

static struct tcp_table open_table(const struct records *r)
{
	struct tcp_table t = {.key = {1, 2}, .same = same, .owner = r};

	tcp_table_init(&t, malloc(tcp_table_bytes(COUNT)), COUNT);
	return t;
}

static void random_walk(void)
{
	static struct records r;
	struct rng rng = rng_from(unit_seed());
	struct tcp_table t = open_table(&r);
	uint32_t used = 0;

	for (uint32_t i = 0; i < COUNT; i++)
		r.tuple[i] = (struct tcp_tuple){(uint32_t)rng_next(&rng), i % 7, (uint16_t)i, 80};
	for (unsigned step = 0; step < STEPS; step++) {
		const uint32_t i = rng_below(&rng, COUNT);
		if (r.in[i]) {
			tcp_table_remove(&t, &r.tuple[i], i);
			used--;
		} else {
			tcp_table_insert(&t, &r.tuple[i], i);
			used++;
		}
		r.in[i] = !r.in[i];
		CU_ASSERT_EQUAL(t.used, used);
		const uint32_t k = rng_below(&rng, COUNT);
		CU_ASSERT_EQUAL(
			tcp_table_find(&t, &r.tuple[k]), r.in[k] ? k : (uint32_t)TABLE_EMPTY);
	}
	for (uint32_t i = 0; i < COUNT; i++)
		CU_ASSERT_EQUAL(
			tcp_table_find(&t, &r.tuple[i]), r.in[i] ? i : (uint32_t)TABLE_EMPTY);
	free(t.entries);
}

/* Full to its limit it still answers for what is not there. */
static void full(void)
{
	static struct records r;
	struct tcp_table t = open_table(&r);
	const struct tcp_tuple other = {9, 9, 9, 9};

	for (uint32_t i = 0; i < COUNT; i++) {
		r.tuple[i] = (struct tcp_tuple){i, 1, 2, 3};
		r.in[i] = true;
		tcp_table_insert(&t, &r.tuple[i], i);
	}
	CU_ASSERT_EQUAL(t.used, t.limit);
	CU_ASSERT_EQUAL(tcp_table_find(&t, &other), TABLE_EMPTY);
	CU_ASSERT_EQUAL(tcp_table_find(&t, &r.tuple[COUNT - 1]), COUNT - 1);
	free(t.entries);
}

/* Another key, other places: peers that do not know it cannot aim. */
static void key_matters(void)
{
	static struct records r;
	struct tcp_table a = open_table(&r);
	struct tcp_table b = a;
	unsigned alike = 0;

	b.key.k0 = 3;
	for (uint32_t i = 0; i < 1000; i++) {
		const struct tcp_tuple tuple = {i, 1, 2, 3};
		alike += (tcp_table_hash(&a, &tuple) & a.mask) ==
			 (tcp_table_hash(&b, &tuple) & b.mask);
	}
	CU_ASSERT(alike < 20);
	free(a.entries);
}

static const struct unit_test tests[] = {
	{"random_walk", random_walk}, {"full", full}, {"key_matters", key_matters}};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tcp_table", tests, argc, argv);
}
