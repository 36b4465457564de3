/* path_test.c - order and time of frames on one direction of a wire. */
#include "dataplane/base/attr.h"
#include "dataplane/base/rng.h"
#include "drivers/path.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES_MAX = 16 };

static struct path_frame ring[FRAMES_MAX];
static uint8_t names[256]; /* frames: addresses of these */

static void put(struct path *p, int name, uint8_t overtakers, uint64_t now_us, uint64_t due_us)
{
	path_put(p, &names[name], overtakers, now_us, due_us);
}

/* Takes out what is due, as a string of names. */
static const char *taken(struct path *p, uint64_t now_us)
{
	static char out[256];
	size_t n = 0;

	for (const uint8_t *f; (f = path_peek(p, now_us)) != NULL; path_pop(p))
		out[n++] = (char)(f - names);
	out[n] = '\0';
	return out;
}

static void frames_come_out_when_due(void)
{
	struct path p;

	path_init(&p, ring, FRAMES_MAX);
	CU_ASSERT_EQUAL(path_next_us(&p), UINT64_MAX);
	put(&p, 'a', 0, 0, 10);
	put(&p, 'b', 0, 5, 15);
	CU_ASSERT_EQUAL(path_next_us(&p), 10);
	CU_ASSERT_STRING_EQUAL(taken(&p, 9), "");
	CU_ASSERT_STRING_EQUAL(taken(&p, 10), "a");
	CU_ASSERT_EQUAL(path_next_us(&p), 15);
	CU_ASSERT_STRING_EQUAL(taken(&p, 1000), "b");
	CU_ASSERT_EQUAL(path_next_us(&p), UINT64_MAX);
}

static void jitter_never_reorders(void)
{
	struct path p;

	path_init(&p, ring, FRAMES_MAX);
	put(&p, 'a', 0, 0, 100);
	put(&p, 'b', 0, 1, 50);
	put(&p, 'c', 0, 2, 101);
	CU_ASSERT_STRING_EQUAL(taken(&p, 99), "");
	CU_ASSERT_STRING_EQUAL(taken(&p, 100), "ab");
	put(&p, 'd', 0, 100, 100);
	CU_ASSERT_STRING_EQUAL(taken(&p, 101), "cd");
	put(&p, 'e', 0, 200, 900);
	CU_ASSERT_STRING_EQUAL(taken(&p, 900), "e");
	put(&p, 'f', 0, 300, 400); /* an empty wire keeps no memory of old delays */
	CU_ASSERT_STRING_EQUAL(taken(&p, 400), "f");
}

static void held_frames_are_overtaken_as_told(void)
{
	static const struct {
		uint8_t overtakers[8]; /* of frames a, b, c, ... sent at once */
		const char *order;
	} rows[] = {
		{{0, 0, 0, 0, 0, 0, 0, 0}, "abcdefgh"}, {{1, 0, 0, 0, 0, 0, 0, 0}, "bacdefgh"},
		{{2, 0, 0, 0, 0, 0, 0, 0}, "bcadefgh"}, {{3, 0, 0, 0, 0, 0, 0, 0}, "bcdaefgh"},
		{{0, 1, 0, 1, 0, 1, 0, 0}, "acbedgfh"},
		{{1, 1, 0, 0, 0, 0, 0, 0}, "cabdefgh"}, /* held ones overtake nobody */
		{{2, 1, 0, 0, 0, 0, 0, 0}, "cbdaefgh"},
		{{0, 0, 0, 0, 0, 0, 3, 0}, "abcdefh"}, /* g still waits */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct path p;
		path_init(&p, ring, FRAMES_MAX);
		for (int k = 0; k < 8; k++)
			put(&p, 'a' + k, rows[i].overtakers[k], 5, 20);
		CU_ASSERT_STRING_EQUAL(taken(&p, 19), "");
		CU_ASSERT_STRING_EQUAL(taken(&p, 20), rows[i].order);
	}
}

static void a_held_frame_goes_when_nobody_comes(void)
{
	struct path p;

	path_init(&p, ring, FRAMES_MAX);
	put(&p, 'a', 3, 0, 0);
	CU_ASSERT_EQUAL(path_next_us(&p), PATH_HOLD_US);
	put(&p, 'b', 0, 10, 10);
	CU_ASSERT_STRING_EQUAL(taken(&p, PATH_HOLD_US - 1), "b");
	CU_ASSERT_STRING_EQUAL(taken(&p, PATH_HOLD_US), "a");
	put(&p, 'c', 1, 0, 50000); /* a long delay is time enough to be overtaken in */
	CU_ASSERT_EQUAL(path_next_us(&p), 50000);
	CU_ASSERT_STRING_EQUAL(taken(&p, 50000), "c");
	put(&p, 'd', 1, 60000, 60000);
	put(&p, 'e', 0, 60000 + PATH_HOLD_US, 60000 + PATH_HOLD_US); /* too late to overtake */
	CU_ASSERT_STRING_EQUAL(taken(&p, 80000), "de");
}

static void it_is_bounded(void)
{
	struct path p;

	path_init(&p, ring, FRAMES_MAX);
	for (int round = 0; round < 5; round++) {
		for (int k = 0; k < FRAMES_MAX; k++) {
			CU_ASSERT_EQUAL(path_room(&p), FRAMES_MAX - (uint32_t)k);
			put(&p, 'a' + k, k % 2 == 0 ? 3 : 0, 0, 0);
		}
		CU_ASSERT_EQUAL(path_room(&p), 0);
		CU_ASSERT_EQUAL(strlen(taken(&p, UINT64_MAX)), FRAMES_MAX);
	}
	for (int k = 0; k < PATH_BACK + 1; k++) /* one more than can be held back keeps its place */
		put(&p, 'a' + k, 3, 0, 0);
	CU_ASSERT_STRING_EQUAL(taken(&p, 0), "i");
}

/* Whatever happens: each frame comes out once, none before it is due, none is overtaken by more
 * than it was told, and path_next_us is never later than the next frame. */
static void random_walks_keep_the_promises(void)
{
	struct rng rng = rng_from(unit_seed());
	struct path p;
	uint64_t now_us = 0;
	uint64_t due_us[256] = {0};
	uint32_t serial[256] = {0};
	uint8_t overtakers[256] = {0};
	bool inside[256] = {false};
	uint32_t next = 0;

	path_init(&p, ring, FRAMES_MAX);
	for (int step = 0; step < 50000; step++) {
		now_us += rng_below(&rng, 4) == 0 ? rng_below(&rng, 4000) : 0;
		const uint8_t k = (uint8_t)next;
		if (rng_below(&rng, 2) == 0 && path_room(&p) > 0 && !inside[k]) {
			overtakers[k] = (uint8_t)rng_below(&rng, 4);
			due_us[k] = now_us + rng_below(&rng, 20000);
			serial[k] = next++;
			inside[k] = true;
			put(&p, k, overtakers[k], now_us, due_us[k]);
		}
		const uint64_t next_us = path_next_us(&p);
		const uint8_t *f = path_peek(&p, now_us);
		if (f == NULL)
			continue;
		const uint8_t got = (uint8_t)(f - names);
		path_pop(&p);
		CU_ASSERT_TRUE(next_us <= now_us);
		CU_ASSERT_TRUE(inside[got]);
		CU_ASSERT_TRUE(due_us[got] <= now_us);
		inside[got] = false;
		for (int i = 0; i < 256; i++) /* who was overtaken by this one had been told so */
			if (inside[i] && serial[i] < serial[got])
				CU_ASSERT_TRUE(overtakers[i] > 0);
	}
	CU_ASSERT_TRUE(next > 10000);
}

static const struct unit_test tests[] = {
	{"frames_come_out_when_due", frames_come_out_when_due},
	{"jitter_never_reorders", jitter_never_reorders},
	{"held_frames_are_overtaken_as_told", held_frames_are_overtaken_as_told},
	{"a_held_frame_goes_when_nobody_comes", a_held_frame_goes_when_nobody_comes},
	{"it_is_bounded", it_is_bounded},
	{"random_walks_keep_the_promises", random_walks_keep_the_promises},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("path", tests, argc, argv);
}
