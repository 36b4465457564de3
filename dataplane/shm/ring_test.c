/* ring_test.c - rings and arenas: order, wrap-around, restarts, corruption, two threads. */
#include "dataplane/shm/ring.h"

#include "dataplane/base/rng.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

/* One direction: a worker's commands. */
struct world {
	struct shm_dp_worker *dp;
	struct shm_cp_worker *cp;
	struct shm_tx tx;
	struct shm_rx rx;
	struct shm_arena arena;
};

static void start_tx(struct world *w, uint32_t generation)
{
	shm_tx_init(&w->tx, w->dp->commands, &w->dp->command_producer, &w->cp->command_consumer,
		generation);
	shm_arena_init(&w->arena, w->dp->arena, w->tx.next);
}

static void start_rx(struct world *w)
{
	shm_rx_init(&w->rx, (const uint8_t(*)[SHM_SLOT_BYTES])w->dp->commands,
		&w->dp->command_producer, &w->cp->command_consumer);
}

static void world_init(struct world *w, uint64_t index)
{
	w->dp = aligned_alloc(SHM_PAGE, sizeof(*w->dp));
	w->cp = aligned_alloc(SHM_PAGE, sizeof(*w->cp));
	memset(w->dp, 0, sizeof(*w->dp));
	memset(w->cp, 0, sizeof(*w->cp));
	w->dp->command_producer.value = index;
	w->cp->command_consumer.value = index;
	start_tx(w, 7);
	start_rx(w);
}

static void world_fini(struct world *w)
{
	free(w->dp);
	free(w->cp);
}

static bool push(struct world *w, uint32_t number)
{
	const struct shm_closed body = {.connection = {number, ~number}, .epoch = number};
	return shm_tx_push(&w->tx, SHM_COMMAND_CLOSED, &body, sizeof(body));
}

/* Pops and gives back one; CU fails unless it is `number`. */
static void expect(struct world *w, uint32_t number)
{
	struct shm_slot slot;

	CU_ASSERT_FATAL(shm_rx_pop(&w->rx, &slot) == SHM_POPPED);
	CU_ASSERT(slot.type == SHM_COMMAND_CLOSED);
	CU_ASSERT(slot.closed.connection.index == number);
	CU_ASSERT(slot.closed.connection.generation == ~number);
	shm_rx_done(&w->rx);
}

static enum shm_pop pop(struct world *w)
{
	struct shm_slot slot;
	return shm_rx_pop(&w->rx, &slot);
}

static void a_slot_arrives_as_it_was_sent(void)
{
	struct world w;
	struct shm_slot slot;
	uint8_t body[48];

	world_init(&w, 0);
	memset(body, 0xab, sizeof(body));
	memset(w.dp->commands, 0xee, sizeof(w.dp->commands));
	w.tx.receiver = 9;
	CU_ASSERT(pop(&w) == SHM_EMPTY && !shm_rx_pending(&w.rx));
	CU_ASSERT(shm_tx_push(&w.tx, 3, body, 5) && shm_rx_pending(&w.rx));
	CU_ASSERT(shm_tx_push(&w.tx, 4, body, sizeof(body)));
	CU_ASSERT(shm_tx_push(&w.tx, 5, NULL, 0));
	CU_ASSERT(shm_rx_pop(&w.rx, &slot) == SHM_POPPED);
	CU_ASSERT(slot.type == 3 && slot.sender == 7 && slot.receiver == 9 && slot.sequence == 0);
	CU_ASSERT(slot.bytes[4] == 0xab && slot.bytes[5] == 0 && slot.bytes[47] == 0);
	CU_ASSERT(slot.reserved[0] == 0);
	/* Not given back yet: a consumer that dies here sees it again. */
	start_rx(&w);
	CU_ASSERT(shm_rx_pop(&w.rx, &slot) == SHM_POPPED && slot.type == 3);
	shm_rx_done(&w.rx);
	CU_ASSERT(shm_rx_pop(&w.rx, &slot) == SHM_POPPED && slot.type == 4);
	CU_ASSERT(memcmp(slot.bytes, body, sizeof(body)) == 0);
	shm_rx_done(&w.rx);
	CU_ASSERT(shm_rx_pop(&w.rx, &slot) == SHM_POPPED && slot.type == 5);
	shm_rx_done(&w.rx);
	CU_ASSERT(pop(&w) == SHM_EMPTY);
	world_fini(&w);
}

static void a_copy_does_not_change_with_the_slot(void)
{
	struct world w;
	struct shm_slot slot;

	world_init(&w, 0);
	CU_ASSERT(push(&w, 1));
	CU_ASSERT(shm_rx_pop(&w.rx, &slot) == SHM_POPPED);
	memset(w.dp->commands, 0xff, sizeof(w.dp->commands));
	CU_ASSERT(slot.closed.connection.index == 1);
	world_fini(&w);
}

static void full_is_an_answer_and_wraps(void)
{
	/* Near the ends of 32 and 64 bits, indices wrap too. */
	static const uint64_t starts[] = {0, 1000, UINT32_MAX - 500, UINT64_MAX - 500};

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		struct world w;
		uint32_t in = 0, out = 0;

		world_init(&w, starts[i]);
		CU_ASSERT(shm_tx_room(&w.tx) == SHM_RING_SLOTS);
		for (int round = 0; round < 5; round++) {
			while (push(&w, in))
				in++;
			CU_ASSERT(in - out == SHM_RING_SLOTS);
			CU_ASSERT(shm_tx_room(&w.tx) == 0);
			for (int n = 0; n < 700; n++)
				expect(&w, out++);
			CU_ASSERT(shm_tx_room(&w.tx) == 700);
		}
		while (out < in)
			expect(&w, out++);
		CU_ASSERT(pop(&w) == SHM_EMPTY);
		world_fini(&w);
	}
}

static void either_side_restarts_where_it_stopped(void)
{
	struct world w;
	uint32_t in = 0, out = 0;
	struct rng rng = rng_from(unit_seed());

	world_init(&w, 0);
	for (int step = 0; step < 20000; step++) {
		const uint32_t dice = rng_below(&rng, 100);
		if (dice < 50)
			in += push(&w, in);
		else if (dice < 90 && out < in)
			expect(&w, out++);
		else if (dice < 95)
			start_tx(&w, 8);
		else
			start_rx(&w);
	}
	while (out < in)
		expect(&w, out++);
	CU_ASSERT(pop(&w) == SHM_EMPTY);
	world_fini(&w);
}

static void a_half_written_slot_is_not_seen(void)
{
	struct world w;

	world_init(&w, 0);
	/* The producer dies after the slot and before the index. */
	CU_ASSERT(push(&w, 5));
	w.dp->command_producer.value = 0;
	CU_ASSERT(pop(&w) == SHM_EMPTY);
	start_tx(&w, 8);
	CU_ASSERT(push(&w, 6));
	expect(&w, 6);
	CU_ASSERT(pop(&w) == SHM_EMPTY);
	world_fini(&w);
}

static void a_nonsense_producer_is_skipped_to_its_end(void)
{
	static const uint64_t jumps[] = {
		SHM_RING_SLOTS + 1, UINT32_MAX, UINT64_MAX / 2, UINT64_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
		struct world w;
		world_init(&w, 100);
		w.dp->command_producer.value = 100 + jumps[i];
		CU_ASSERT(pop(&w) == SHM_CORRUPT);
		CU_ASSERT(pop(&w) == SHM_EMPTY);
		CU_ASSERT(w.cp->command_consumer.value == 100 + jumps[i]);
		/* The next generation of the producer works at once. */
		start_tx(&w, 8);
		CU_ASSERT(push(&w, 1));
		expect(&w, 1);
		world_fini(&w);
	}
}

static void an_index_moved_over_unwritten_slots_is_corrupt(void)
{
	struct world w;

	world_init(&w, 0);
	CU_ASSERT(push(&w, 1));
	w.dp->command_producer.value = 3;
	expect(&w, 1);
	CU_ASSERT(pop(&w) == SHM_CORRUPT);
	CU_ASSERT(pop(&w) == SHM_EMPTY);
	world_fini(&w);
}

static void a_nonsense_consumer_stops_the_producer_until_it_restarts(void)
{
	static const uint64_t ahead[] = {
		1, SHM_RING_SLOTS, UINT64_MAX - SHM_RING_SLOTS, UINT64_MAX / 2};

	for (size_t i = 0; i < ARRAY_SIZE(ahead); i++) {
		struct world w;
		struct shm_text text;
		const struct span part = span_str("x");

		world_init(&w, 0);
		w.cp->command_consumer.value += ahead[i];
		CU_ASSERT(shm_tx_room(&w.tx) == 0);
		CU_ASSERT(!push(&w, 1));
		CU_ASSERT(!shm_arena_put(&w.arena, &w.tx, &part, 1, &text));
		/* The consumer starts again, finds nonsense, and goes to the end. */
		start_rx(&w);
		CU_ASSERT(pop(&w) == SHM_CORRUPT);
		CU_ASSERT(push(&w, 2));
		expect(&w, 2);
		world_fini(&w);
	}
}

enum { HAMMERED = 200000 };

static void *hammer(void *arg)
{
	struct world *w = arg;

	for (uint32_t i = 0; i < HAMMERED;) {
		if (i % 50021 == 0)
			start_tx(w, 7); /* dies and comes back */
		if (push(w, i))
			i++;
		else
			sched_yield();
	}
	return NULL;
}

static void two_threads_lose_and_double_nothing(void)
{
	struct world w;
	pthread_t producer;
	uint32_t bad = 0;

	world_init(&w, UINT32_MAX - 1000);
	CU_ASSERT_FATAL(pthread_create(&producer, NULL, hammer, &w) == 0);
	for (uint32_t i = 0; i < HAMMERED && bad == 0;) {
		struct shm_slot slot;
		if (i % 40009 == 0)
			start_rx(&w);
		const enum shm_pop got = shm_rx_pop(&w.rx, &slot);
		bad += got == SHM_CORRUPT;
		if (got != SHM_POPPED) {
			sched_yield();
			continue;
		}
		bad += slot.closed.connection.index != i || slot.closed.epoch != i ||
		       slot.closed.connection.generation != ~i;
		i++;
		shm_rx_done(&w.rx);
	}
	CU_ASSERT(bad == 0);
	if (bad != 0)
		exit(1); /* the producer would wait for ever */
	pthread_join(producer, NULL);
	CU_ASSERT(pop(&w) == SHM_EMPTY);
	world_fini(&w);
}

static bool stop;

/* Writes what is plausible, now and then what is not, for ever. */
static void *scribble(void *arg)
{
	struct world *w = arg;
	struct rng rng = rng_from(unit_seed());

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		const uint32_t slot = rng_below(&rng, SHM_RING_SLOTS);
		uint64_t *words = (uint64_t *)(void *)w->dp->commands[slot];
		const uint64_t wild = rng_chance(&rng, 200000) ? rng_next(&rng) : 0;
		__atomic_store_n(&words[rng_below(&rng, 7)], rng_next(&rng), __ATOMIC_RELAXED);
		__atomic_store_n(&words[7], slot + wild, __ATOMIC_RELAXED);
		shm_store(&w->dp->command_producer.value, rng_below(&rng, SHM_RING_SLOTS) + wild);
	}
	return NULL;
}

/* A producer that writes anything at any time: the consumer answers and ends. */
static void a_hostile_producer_is_survived(void)
{
	struct world w;
	pthread_t enemy;
	uint32_t corrupt = 0, popped = 0;
	static uint8_t text[SHM_ARENA_BYTES];

	world_init(&w, 0);
	unit_seed();
	stop = false;
	CU_ASSERT_FATAL(pthread_create(&enemy, NULL, scribble, &w) == 0);
	for (uint32_t tries = 0; (corrupt < 1000 || popped < 1000) && tries < 20000000; tries++) {
		struct shm_slot slot;
		const enum shm_pop got = shm_rx_pop(&w.rx, &slot);
		corrupt += got == SHM_CORRUPT;
		popped += got == SHM_POPPED;
		if (got == SHM_EMPTY)
			sched_yield();
		if (got != SHM_POPPED)
			continue;
		if (shm_arena_copy(w.dp->arena, slot.connect.text, text, 1000))
			CU_ASSERT(slot.connect.text.size <= 1000);
		shm_rx_done(&w.rx);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(enemy, NULL);
	CU_ASSERT(corrupt >= 1000 && popped >= 1000);
	world_fini(&w);
}

static bool put(struct world *w, const char *a, size_t pad, struct shm_text *out)
{
	static uint8_t zeros[SHM_ARENA_BYTES + 1];
	const struct span parts[] = {span_str(a), {zeros, pad}, {NULL, 0}};
	return shm_arena_put(&w->arena, &w->tx, parts, ARRAY_SIZE(parts), out);
}

static void text_is_joined_and_copied(void)
{
	struct world w;
	struct shm_text text;
	uint8_t out[8];

	world_init(&w, 0);
	CU_ASSERT(put(&w, "sensor", 2, &text));
	CU_ASSERT(text.size == 8);
	CU_ASSERT(shm_arena_copy(w.dp->arena, text, out, sizeof(out)));
	CU_ASSERT(memcmp(out, "sensor\0\0", 8) == 0);
	CU_ASSERT(!shm_arena_copy(w.dp->arena, text, out, 7));
	CU_ASSERT(put(&w, "", 0, &text) && text.size == 0);
	CU_ASSERT(shm_arena_copy(w.dp->arena, text, NULL, 0));
	world_fini(&w);
}

static void nonsense_text_is_refused(void)
{
	static const struct shm_text rows[] = {
		{SHM_ARENA_BYTES + 1, 0},
		{SHM_ARENA_BYTES, 1},
		{SHM_ARENA_BYTES - 7, 8},
		{0, SHM_ARENA_BYTES + 1},
		{UINT32_MAX, 1},
		{1, UINT32_MAX},
		{UINT32_MAX, UINT32_MAX},
	};
	static uint8_t out[SHM_ARENA_BYTES + 8];
	struct world w;

	world_init(&w, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		CU_ASSERT(!shm_arena_copy(w.dp->arena, rows[i], out, sizeof(out)));
	const struct shm_text whole = {0, SHM_ARENA_BYTES}, last = {SHM_ARENA_BYTES - 1, 1};
	CU_ASSERT(shm_arena_copy(w.dp->arena, whole, out, sizeof(out)));
	CU_ASSERT(shm_arena_copy(w.dp->arena, last, out, sizeof(out)));
	world_fini(&w);
}

static void space_comes_back_when_the_consumer_has_passed(void)
{
	struct world w;
	struct shm_text text;

	world_init(&w, 0);
	CU_ASSERT(!put(&w, "", SHM_ARENA_BYTES + 1, &text));
	CU_ASSERT(put(&w, "", SHM_ARENA_BYTES, &text));
	CU_ASSERT(push(&w, 0));
	CU_ASSERT(!put(&w, "x", 0, &text));
	CU_ASSERT(push(&w, 1)); /* slots without text still go */
	expect(&w, 0);
	CU_ASSERT(put(&w, "x", 0, &text) && text.offset == 0);
	/* Put without push, twice: both belong to the slot that comes. */
	CU_ASSERT(put(&w, "y", 0, &text) && text.offset == 1);
	CU_ASSERT(push(&w, 2));
	expect(&w, 1);
	CU_ASSERT(!put(&w, "", SHM_ARENA_BYTES - 1, &text));
	expect(&w, 2);
	CU_ASSERT(put(&w, "", SHM_ARENA_BYTES, &text));
	world_fini(&w);
}

static void an_arena_filled_to_its_last_byte_goes_on_at_its_first(void)
{
	struct world w;
	struct shm_text text;

	world_init(&w, 0);
	for (uint32_t i = 0; i < 2; i++)
		CU_ASSERT(put(&w, "", SHM_ARENA_BYTES / 2, &text) && push(&w, i));
	CU_ASSERT(text.offset == SHM_ARENA_BYTES / 2);
	expect(&w, 0);
	CU_ASSERT(put(&w, "x", 0, &text) && text.offset == 0);
	world_fini(&w);
}

static void text_never_wraps_and_never_overlaps(void)
{
	static uint8_t mark[SHM_ARENA_BYTES];
	struct shm_text live[SHM_RING_SLOTS];
	struct world w;
	uint32_t in = 0, out = 0, full = 0;
	struct rng rng = rng_from(unit_seed());

	world_init(&w, 0);
	memset(mark, 0, sizeof(mark));
	for (int step = 0; step < 30000; step++) {
		if (rng_chance(&rng, 550000) && shm_tx_room(&w.tx) > 0) {
			struct shm_text text = {0, 0};
			const bool has = rng_chance(&rng, 700000);
			const size_t size =
				rng_below(&rng, rng_chance(&rng, 50000) ? 200000 : 3000);
			if (has && !put(&w, "", size, &text)) {
				full++;
				continue;
			}
			CU_ASSERT(text.size <= SHM_ARENA_BYTES - text.offset);
			bool overlaps = false;
			for (uint32_t i = 0; i < text.size; i++)
				overlaps |= mark[text.offset + i]++ != 0;
			CU_ASSERT(!overlaps);
			live[in % SHM_RING_SLOTS] = text;
			CU_ASSERT_FATAL(push(&w, in++));
		} else if (out < in) {
			const struct shm_text text = live[out % SHM_RING_SLOTS];
			for (uint32_t i = 0; i < text.size; i++)
				mark[text.offset + i]--;
			expect(&w, out++);
		}
	}
	CU_ASSERT(full > 0);
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"a_slot_arrives_as_it_was_sent", a_slot_arrives_as_it_was_sent},
	{"a_copy_does_not_change_with_the_slot", a_copy_does_not_change_with_the_slot},
	{"full_is_an_answer_and_wraps", full_is_an_answer_and_wraps},
	{"either_side_restarts_where_it_stopped", either_side_restarts_where_it_stopped},
	{"a_half_written_slot_is_not_seen", a_half_written_slot_is_not_seen},
	{"a_nonsense_producer_is_skipped_to_its_end", a_nonsense_producer_is_skipped_to_its_end},
	{"an_index_moved_over_unwritten_slots_is_corrupt",
		an_index_moved_over_unwritten_slots_is_corrupt},
	{"a_nonsense_consumer_stops_the_producer_until_it_restarts",
		a_nonsense_consumer_stops_the_producer_until_it_restarts},
	{"two_threads_lose_and_double_nothing", two_threads_lose_and_double_nothing},
	{"a_hostile_producer_is_survived", a_hostile_producer_is_survived},
	{"text_is_joined_and_copied", text_is_joined_and_copied},
	{"nonsense_text_is_refused", nonsense_text_is_refused},
	{"space_comes_back_when_the_consumer_has_passed",
		space_comes_back_when_the_consumer_has_passed},
	{"an_arena_filled_to_its_last_byte_goes_on_at_its_first",
		an_arena_filled_to_its_last_byte_goes_on_at_its_first},
	{"text_never_wraps_and_never_overlaps", text_never_wraps_and_never_overlaps},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("ring", tests, argc, argv);
}
