/* outlet_test.c - what workers hear: texts in parts, room that runs out, order, and a store that
 * dies. The sessions behind are played. */
#include "dataplane/base/rng.h"
#include "tests/link/played.h"

#include <stdlib.h>

static void effects_arrive_with_their_text(void)
{
	const struct span none = {NULL, 0};
	struct world w;

	played_init(&w);
	played_deliver(1, 1, span_str("head"), span_str("body"));
	played_deliver(1, 2, none, none);
	played_done(1, 3);
	played_effect(
		1, SHM_EVENT_QUEUE_SUBSCRIBE, sizeof(struct shm_replica), 4, span_str("a/#"), none);
	played_effect(1, SHM_EVENT_PUBLISH, sizeof(struct shm_publish), 5, span_str("p"), none);
	played_effect(1, SHM_EVENT_RETAINED, sizeof(struct shm_retained), 0, none, span_str("r"));
	played_effect(1, SHM_EVENT_LOADED, 0, 0, none, none);
	played_turn(&w);
	struct link_event e = link_fake_next(&w.workers[1]);
	CU_ASSERT(e.slot.type == SHM_EVENT_DELIVER && e.slot.deliver.entry == 1);
	CU_ASSERT(span_equal(e.text, span_str("headbody")) && e.slot.deliver.text_size == 8);
	e = link_fake_next(&w.workers[1]);
	CU_ASSERT(e.slot.deliver.entry == 2 && e.text.size == 0 && e.slot.deliver.text_size == 0);
	e = link_fake_next(&w.workers[1]);
	CU_ASSERT(e.slot.type == SHM_EVENT_DONE && e.slot.done.sequence == 3);
	e = link_fake_next(&w.workers[1]);
	CU_ASSERT(e.slot.type == SHM_EVENT_QUEUE_SUBSCRIBE && e.slot.replica.session == 4);
	CU_ASSERT(span_equal(e.text, span_str("a/#")));
	e = link_fake_next(&w.workers[1]);
	CU_ASSERT(e.slot.publish.session == 5 && e.slot.publish.text_size == 1);
	e = link_fake_next(&w.workers[1]);
	CU_ASSERT(e.slot.retained.text_size == 1 && span_equal(e.text, span_str("r")));
	CU_ASSERT(link_fake_next(&w.workers[1]).slot.type == SHM_EVENT_LOADED);
	CU_ASSERT(link_fake_next(&w.workers[1]).slot.type == 0);
	CU_ASSERT(link_fake_next(&w.workers[0]).slot.type == 0);
	played_fini(&w);
}

static void long_effects_go_in_parts(void)
{
	const size_t sizes[] = {
		SHM_PART_BYTES, SHM_PART_BYTES + 1, 3 * SHM_PART_BYTES, LONG, SHM_ARENA_BYTES};
	const struct span none = {NULL, 0};
	struct world w;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		played_init(&w);
		const struct span text = played_text(sizes[i]);
		const size_t cut = sizes[i] / 3;
		played_deliver(0, 1, (struct span){text.at, cut}, span_skip(text, cut));
		played_done(0, 2);
		played_deliver(0, 3, text, none);
		played_turn(&w);
		struct link_event e = played_event(&w, 0);
		CU_ASSERT(e.slot.type == SHM_EVENT_DELIVER && span_equal(e.text, text));
		CU_ASSERT(e.slot.deliver.text_size == text.size);
		CU_ASSERT(e.parts == (sizes[i] - 1) / SHM_PART_BYTES);
		e = played_event(&w, 0);
		CU_ASSERT(e.slot.type == SHM_EVENT_DONE && e.slot.done.sequence == 2);
		e = played_event(&w, 0);
		CU_ASSERT(e.slot.deliver.entry == 3 && span_equal(e.text, text));
		played_fini(&w);
	}
}

/* More than the ring holds, of all sizes, taken at random moments: all arrive, in order, whole. */
static void nothing_is_lost_when_room_runs_out(void)
{
	struct rng rng = rng_from(unit_seed());
	const struct span all = played_text(LONG), none = {NULL, 0};
	struct world w;
	uint32_t got = 0, sent = 0;

	played_init(&w);
	while (sent < 3000) {
		const uint32_t dice = rng_below(&rng, 100);
		const size_t size = dice < 70   ? rng_below(&rng, 300)
				    : dice < 99 ? rng_below(&rng, 100000)
						: rng_below(&rng, LONG);
		const size_t at = rng_below(&rng, (uint32_t)(LONG - size));
		played_deliver(0, sent++, (struct span){all.at + at, size}, none);
	}
	for (int i = 0; got < sent && i < 100 * PATIENCE; i++) {
		bool worked;
		CU_ASSERT(controlplane_turn(w.control, w.now, &worked) == ERR_NONE);
		for (uint32_t k = rng_below(&rng, 8); k > 0; k--) {
			const struct link_event e = link_fake_next(&w.workers[0]);
			if (e.slot.type == 0)
				break;
			CU_ASSERT_FATAL(e.slot.deliver.entry == got);
			CU_ASSERT(span_equal(e.text, played.effects[0][got].text[0]));
			got++;
		}
	}
	CU_ASSERT(got == sent);
	CU_ASSERT(played_errors(&w, ERR_RING_FULL) + played_errors(&w, ERR_ARENA_FULL) > 0);
	played_fini(&w);
}

static void a_full_ring_resumes(void)
{
	struct world w;

	played_init(&w);
	for (uint32_t i = 0; i < 3 * SHM_RING_SLOTS; i++)
		played_done(0, i);
	played_done(1, 77);
	played_turn(&w);
	CU_ASSERT(played_errors(&w, ERR_RING_FULL) == 1);
	CU_ASSERT(controlplane_next_us(w.control, w.now) == w.now.us + CONTROLPLANE_RETRY_US);
	CU_ASSERT(link_fake_next(&w.workers[1]).slot.done.sequence == 77);
	for (uint32_t i = 0; i < 3 * SHM_RING_SLOTS; i++)
		CU_ASSERT_FATAL(played_event(&w, 0).slot.done.sequence == i);
	played_turn(&w);
	CU_ASSERT(controlplane_next_us(w.control, w.now) > w.now.us + CONTROLPLANE_RETRY_US);
	played_fini(&w);
}

/* A GRANT comes before what the sessions say next, and never between a text's parts. */
static void grants_come_between_effects(void)
{
	const struct span none = {NULL, 0};
	struct world w;

	played_init(&w);
	played_deliver(0, 1, played_text(LONG), none);
	played_done(0, 2);
	played_turn(&w); /* the first has begun */
	CU_ASSERT(played_connect(&w, 0, 1, "a"));
	played_turn(&w);
	struct link_event e = played_event(&w, 0);
	CU_ASSERT(e.slot.type == SHM_EVENT_DELIVER && span_equal(e.text, played_text(LONG)));
	e = played_event(&w, 0);
	CU_ASSERT(e.slot.type == SHM_EVENT_GRANT);
	e = played_event(&w, 0);
	CU_ASSERT(e.slot.type == SHM_EVENT_DONE);
	played_fini(&w);
}

static void what_has_begun_is_finished(void)
{
	uint8_t *text = malloc(LONG);
	const struct span none = {NULL, 0};
	struct world w;

	played_init(&w);
	memcpy(text, played_text(LONG).at, LONG);
	played_deliver(0, 1, (struct span){text, LONG}, none);
	played_turn(&w);
	memset(text, 0, LONG);
	free(text); /* the sessions have other things to do */
	const struct link_event e = played_event(&w, 0);
	CU_ASSERT(e.slot.type == SHM_EVENT_DELIVER && span_equal(e.text, played_text(LONG)));
	played_fini(&w);
}

static void what_has_begun_is_not_for_the_next_dataplane(void)
{
	const struct span none = {NULL, 0};
	struct world w;

	played_init(&w);
	played_deliver(0, 1, played_text(LONG), none);
	played_turn(&w);
	played_start_workers(&w);
	played_turn(&w);
	played_done(0, 2);
	played_turn(&w);
	struct link_event e = played_event(&w, 0);
	/* The parts in the ring are for the dead; this one would skip them. */
	CU_ASSERT(e.slot.type == SHM_EVENT_DONE && e.slot.receiver == 2);
	played_fini(&w);
}

/* It is another one, though it has not said a word yet. */
static void a_silent_dataplane_is_not_told_the_rest(void)
{
	const struct span none = {NULL, 0};
	struct world w;

	played_init(&w);
	played_deliver(0, 1, played_text(LONG), none);
	played_turn(&w);
	shm_region_start(w.dp, 7);
	played_turn(&w);
	link_fake_start(&w.workers[0], w.dp, w.cp, 0);
	CU_ASSERT(link_fake_hello(&w.workers[0], true));
	played_turn(&w);
	played_done(0, 2);
	const struct link_event e = played_event(&w, 0);
	CU_ASSERT(e.slot.type == SHM_EVENT_DONE && e.slot.receiver == 2);
	played_fini(&w);
}

static void a_dead_store_ends_everything(void)
{
	struct world w;
	bool worked;

	played_init(&w);
	CU_ASSERT(played_connect(&w, 0, 1, "a"));
	played_done(0, 1);
	played.dead = ERR_STORAGE_IO;
	CU_ASSERT(controlplane_turn(w.control, w.now, &worked) == ERR_STORAGE_IO && !worked);
	played.dead = ERR_NONE; /* it does not come back */
	CU_ASSERT(controlplane_turn(w.control, w.now, &worked) == ERR_STORAGE_IO && !worked);
	CU_ASSERT(played.count == 0 && link_fake_next(&w.workers[0]).slot.type == 0);
	CU_ASSERT(played_errors(&w, ERR_STORAGE_IO) == 1);
	/* The next one finds what was not taken. */
	played_start_control(&w);
	played_turn(&w);
	CU_ASSERT(played.count == 1 && played.calls[0].type == SHM_COMMAND_CONNECT);
	played_fini(&w);
}

static void a_store_that_cannot_be_used_starts_nothing(void)
{
	struct world w;
	struct controlplane *none = NULL;

	played_init(&w);
	const struct controlplane_conf conf = played_conf(&w);
	played.dead = ERR_STORAGE_VERSION;
	const uint64_t before = ((struct shm_header *)w.cp)->generation;
	CU_ASSERT(controlplane_create(&conf, w.now, &none) == ERR_STORAGE_VERSION && none == NULL);
	CU_ASSERT(((struct shm_header *)w.cp)->generation == before);
	played.dead = ERR_NONE;
	played_fini(&w);
}

static void the_store_is_counted(void)
{
	struct ipc_facts facts;
	struct world w;

	played_init(&w);
	played_store_facts = (struct storage_facts){.batches = 10,
		.syncs = 4,
		.unsynced = 3,
		.sync_us_last = 500,
		.sync_us_max = 900,
		.disk_bytes = 4096};
	w.now.us += CONTROLPLANE_BEAT_US;
	played_turn(&w);
	const struct counters *c = shm_counters_const(w.counters, 0);
	CU_ASSERT(counter_get(c, COUNTER_STORE_BATCHES) == 10);
	CU_ASSERT(counter_get(c, COUNTER_STORE_SYNCS) == 4);
	CU_ASSERT(counter_get(c, COUNTER_ACKNOWLEDGED_BUT_UNSYNCED) == 3);
	CU_ASSERT(counter_get(c, COUNTER_STORE_SYNC_US) == 500);
	CU_ASSERT(counter_get(c, COUNTER_STORE_BYTES) == 4096);
	controlplane_facts(w.control, w.now.us, &facts);
	CU_ASSERT(facts.store.batches == 10 && facts.store.syncs == 4 && facts.store.unsynced == 3);
	CU_ASSERT(facts.store.sync_us_last == 500 && facts.store.sync_us_max == 900);
	CU_ASSERT(facts.store.disk_bytes == 4096 && facts.store.err == ERR_NONE);
	played_fini(&w);
}

/* What the sessions have before a greeting is for the dataplane before: its DONE, its wills. */
static void what_waits_is_not_for_the_next_dataplane(void)
{
	const struct span none = {NULL, 0};
	struct world w;

	played_init(&w);
	shm_region_start(w.dp, 7);
	for (uint32_t i = 0; i < WORKERS; i++)
		link_fake_start(&w.workers[i], w.dp, w.cp, i);
	played_done(0, 5);
	played_effect(0, SHM_EVENT_PUBLISH, sizeof(struct shm_publish), 5, span_str("p"), none);
	played_turn(&w);
	CU_ASSERT(link_fake_next(&w.workers[0]).slot.type == 0);
	CU_ASSERT(link_fake_hello(&w.workers[0], true));
	played_turn(&w);
	CU_ASSERT(played_event(&w, 0).slot.type == SHM_EVENT_DONE);
	played_fini(&w);
}

static const struct unit_test tests[] = {
	{"effects_arrive_with_their_text", effects_arrive_with_their_text},
	{"long_effects_go_in_parts", long_effects_go_in_parts},
	{"nothing_is_lost_when_room_runs_out", nothing_is_lost_when_room_runs_out},
	{"a_full_ring_resumes", a_full_ring_resumes},
	{"grants_come_between_effects", grants_come_between_effects},
	{"what_has_begun_is_finished", what_has_begun_is_finished},
	{"what_has_begun_is_not_for_the_next_dataplane",
		what_has_begun_is_not_for_the_next_dataplane},
	{"what_waits_is_not_for_the_next_dataplane", what_waits_is_not_for_the_next_dataplane},
	{"a_silent_dataplane_is_not_told_the_rest", a_silent_dataplane_is_not_told_the_rest},
	{"a_dead_store_ends_everything", a_dead_store_ends_everything},
	{"a_store_that_cannot_be_used_starts_nothing", a_store_that_cannot_be_used_starts_nothing},
	{"the_store_is_counted", the_store_is_counted},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("outlet", tests, argc, argv);
}
