/* tree_test.c - the treap against a table of all keys that there can be. */
#include "storage/memory/tree.h"
#include "tests/unit/unit.h"

enum { KEYS = 200, STEPS = 20000 };

struct reference {
	bool there[KEYS];
	uint8_t value[KEYS];
};

struct seen {
	const struct reference *reference;
	int at;
	bool wrong;
};

/* Two bytes, so that order is not that of small numbers; from 0x60 on the first has its top bit. */
static struct span key_of(int i, uint8_t to[2])
{
	to[0] = (uint8_t)(i + 32);
	to[1] = (uint8_t)(7 * i);
	return span_of(to, 2);
}

static bool check_one(void *owner, struct span key, struct span value)
{
	struct seen *s = (struct seen *)owner;
	uint8_t bytes[2];

	while (s->at < KEYS && !s->reference->there[s->at])
		s->at++;
	s->wrong |= s->at == KEYS;
	if (s->wrong)
		return false;
	s->wrong |= !span_equal(key, key_of(s->at, bytes)) || value.size != 1;
	s->wrong |= value.at[0] != s->reference->value[s->at];
	s->at++;
	return true;
}

static bool same(const struct tree *t, const struct reference *r)
{
	struct seen s = {r, 0, false};
	uint64_t count = 0;

	for (int i = 0; i < KEYS; i++)
		count += r->there[i];
	tree_scan(t, span_of("", 0), span_of("\xff\xff", 2), check_one, &s);
	while (s.at < KEYS && !r->there[s.at])
		s.at++;
	return !s.wrong && s.at == KEYS && t->count == count && t->bytes == 3 * count;
}

static void change(struct tree *t, struct reference *r, struct rng *rng)
{
	uint8_t a[2], b[2];
	const int i = (int)rng_below(rng, KEYS), j = (int)rng_below(rng, KEYS);
	const uint8_t value = (uint8_t)rng_next(rng);

	switch (rng_below(rng, 8)) {
	case 0:
		tree_delete(t, key_of(i, a));
		r->there[i] = false;
		return;
	case 1:
		tree_delete_range(t, key_of(i, a), key_of(i + (j - i) / 8, b));
		for (int k = i; k < i + (j - i) / 8; k++)
			r->there[k] = false;
		return;
	default:
		CU_ASSERT_FATAL(tree_put(t, key_of(i, a), span_of(&value, 1)));
		r->there[i] = true;
		r->value[i] = value;
	}
}

static void does_what_a_table_does(void)
{
	struct rng rng = rng_from(unit_seed());
	struct reference r = {0};
	struct tree t, copy;
	struct span value;
	uint8_t bytes[2];

	tree_init(&t);
	for (int step = 0; step < STEPS; step++) {
		change(&t, &r, &rng);
		const int i = (int)rng_below(&rng, KEYS);
		CU_ASSERT_FATAL(tree_find(&t, key_of(i, bytes), &value) == r.there[i]);
		if (step % 100 == 0)
			CU_ASSERT_FATAL(same(&t, &r));
	}
	tree_init(&copy);
	CU_ASSERT(tree_copy(&copy, &t));
	tree_fini(&t);
	CU_ASSERT(same(&copy, &r));
	tree_fini(&copy);
	CU_ASSERT(copy.count == 0 && copy.bytes == 0);
}

static void orders_prefixes_before_what_they_begin(void)
{
	CU_ASSERT(span_compare(span_str("a"), span_str("ab")) < 0);
	CU_ASSERT(span_compare(span_str("b"), span_str("ab")) > 0);
	CU_ASSERT(span_compare(span_str("\x7f"), span_str("\x80")) < 0);
	CU_ASSERT(span_compare(span_str(""), span_of(NULL, 0)) == 0);
}

static const struct unit_test tests[] = {
	{"tree_does_what_a_table_does", does_what_a_table_does},
	{"tree_orders_prefixes_before_what_they_begin", orders_prefixes_before_what_they_begin},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("tree", tests, argc, argv);
}
