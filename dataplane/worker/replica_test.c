/* replica_test.c - the table of durable sessions, against a plain list. */
#include "dataplane/worker/replica.h"

#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

enum { COUNT = 64, SESSIONS = 200, STEPS = 20000 };

static void finds_what_it_holds(void)
{
	struct replicas r;

	CU_ASSERT_FATAL(replicas_create(&r, 2));
	CU_ASSERT_EQUAL(replicas_find(&r, 7), POOL_NONE);
	const uint32_t seven = replicas_add(&r, 7);
	CU_ASSERT_NOT_EQUAL_FATAL(seven, POOL_NONE);
	CU_ASSERT_EQUAL(replicas_add(&r, 7), seven);
	CU_ASSERT_EQUAL(replicas_find(&r, 7), seven);
	CU_ASSERT_EQUAL(replicas_at(&r, seven)->session, 7);
	CU_ASSERT_EQUAL(replicas_at(&r, seven)->worker, REPLICA_NOWHERE);
	replicas_fini(&r);
}

static void full_is_an_answer(void)
{
	struct replicas r;

	CU_ASSERT_FATAL(replicas_create(&r, 2));
	CU_ASSERT_NOT_EQUAL(replicas_add(&r, 1), POOL_NONE);
	const uint32_t two = replicas_add(&r, 2);
	CU_ASSERT_EQUAL(replicas_add(&r, 3), POOL_NONE);
	CU_ASSERT_EQUAL(replicas_find(&r, 3), POOL_NONE);
	replicas_drop(&r, two);
	CU_ASSERT_EQUAL(replicas_find(&r, 2), POOL_NONE);
	CU_ASSERT_NOT_EQUAL(replicas_add(&r, 3), POOL_NONE);
	CU_ASSERT_EQUAL(replicas_count(&r), 2);
	replicas_check(&r);
	replicas_fini(&r);
}

/* Ids far apart and near, so that runs of the table grow, wrap and lose members in the middle. */
static uint64_t some_session(struct rng *rng)
{
	const uint64_t n = 1 + rng_below(rng, SESSIONS);

	return n % 3 == 0 ? n << 40 : n;
}

static void agrees_with_a_list(void)
{
	struct rng rng = rng_from(unit_seed());
	uint64_t at[COUNT] = {0}; /* session by index; 0: free */
	struct replicas r;

	CU_ASSERT_FATAL(replicas_create(&r, COUNT));
	for (int step = 0; step < STEPS; step++) {
		const uint64_t session = some_session(&rng);
		uint32_t known = POOL_NONE, count = 0;
		for (uint32_t i = 0; i < COUNT; i++) {
			known = at[i] == session ? i : known;
			count += at[i] != 0;
			CU_ASSERT_FATAL((replicas_try(&r, i) != NULL) == (at[i] != 0));
		}
		CU_ASSERT_EQUAL_FATAL(replicas_find(&r, session), known);
		CU_ASSERT_EQUAL_FATAL(replicas_count(&r), count);
		if (known != POOL_NONE && rng_below(&rng, 2) == 0) {
			replicas_drop(&r, known);
			at[known] = 0;
			continue;
		}
		const uint32_t added = replicas_add(&r, session);
		CU_ASSERT_FATAL((added == POOL_NONE) == (known == POOL_NONE && count == COUNT));
		if (added == POOL_NONE)
			continue;
		CU_ASSERT_FATAL(known == POOL_NONE ? at[added] == 0 : added == known);
		at[added] = session;
		if (step % 100 == 0)
			replicas_check(&r);
	}
	replicas_fini(&r);
}

static const struct unit_test tests[] = {
	{"finds_what_it_holds", finds_what_it_holds},
	{"full_is_an_answer", full_is_an_answer},
	{"agrees_with_a_list", agrees_with_a_list},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("replica", tests, argc, argv);
}
