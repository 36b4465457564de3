/* ring_fuzz.c - the whole control plane behind a dataplane that has gone mad: indices, slots and
 * arena are the input, a store in memory is behind it.
 *
 * The input is a script of what a dataplane may do to its memory, of what befalls
 * the control plane, and of turns:
 *
 *	0 slot      64 bytes, where the next slot is due, with its right sequence and sender
 *	1 slot      64 bytes as they are
 *	2 arena     u16 where (times 16), u8 size, bytes
 *	3 producer  i16 added to it
 *	4 producer  u64, as it is
 *	5 turns     u8 how much later, squared, in milliseconds
 *	6 restart   u8: 0 of the process, else after a power cut with that seed
 *	7 command   a good one: ring_fuzz_words.c
 *	8 events    u8 taken, at most
 *	9 disk      u8 which fault, u8 when; stalled or not
 *	10 restart  of the dataplane
 *
 * To create a control plane costs more than many scripts: under libFuzzer some
 * inputs after another have the same one, each a dataplane of its own, and only
 * now and then one of them may restart it; ring_fuzz_life.c keeps them for who
 * wants to see a crash again. With $RING_FUZZ_FRESH, and in a replay, each has a
 * new one. With $RING_FUZZ_THREAD a thread changes slots, arena and index all the
 * while: then a run is not repeatable, and what is found is found by its assertion. */
#include "controlplane/link/ring_fuzz.h"

#include "dataplane/base/rng.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

/* Not what is fuzzed: its edges tell nothing. */
#ifdef __clang__
#define UNTRACED __attribute__((no_sanitize("coverage")))
#else
#define UNTRACED
#endif

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));

enum {
	ARENA_STEP = 16,
	TURNS = 16,
	MAD_SLOTS = 16,
	MAD_ARENA = 4096,
	MAD_PAUSE = 64, /* numbers drawn between two bytes: else we fight for their cache lines */
	WALL_MS = 1000,
	REUSES = 128, /* scripts of a life */
	RESTARTS = 2,
	RESTART_EVERY = 32 /* scripts of a life: then one more */
};

/* At exact size, so that a sanitizer sees the first byte past; taken once. */
static void *regions[SHM_REGIONS];
static struct fuzz_world world;
static uint32_t reuses = 1;
static bool threaded, replays_life;
static bool running; /* the thread works only while a script does */

static const struct shm_config config = {.connections_max = 8,
	.sessions_max = 16,
	.packet_size_max = 65536,
	.queue_messages_max = 32,
	.queue_bytes_max = 1 << 18,
	.inflight_max = 4,
	.receive_max = 4,
	.session_expiry_max_s = UINT32_MAX,
	.retained_max = 16,
	.retained_bytes_max = 1 << 18,
	.grant_timeout_us = 5000000,
	.takeover_timeout_us = 2000000,
	.durability = "synced"};

static void wipe(uint8_t *at, size_t size, size_t used)
{
	memset(at, 0, used < size ? used : size);
}

/* What a run may have written. */
static void regions_reset(struct fuzz_world *w)
{
	for (unsigned k = SHM_DP; k <= SHM_CP_COUNTERS; k++) {
		const size_t bytes = shm_region_bytes((enum shm_region)k, 1);
		if (regions[k] == NULL) {
			regions[k] = aligned_alloc(SHM_PAGE, bytes);
			ASSERT(regions[k] != NULL);
			memset(regions[k], 0, bytes);
		}
		wipe((uint8_t *)regions[k], bytes, 4 * SHM_PAGE);
		shm_region_init(regions[k], (enum shm_region)k, 1);
	}
	struct shm_dp_worker *dp = shm_dp_worker(regions[SHM_DP], 0);
	memset(dp, 0, offsetof(struct shm_dp_worker, arena));
	wipe(dp->arena, sizeof(dp->arena), w->arena_used);
	memset(shm_cp_worker(regions[SHM_CP], 0), 0, offsetof(struct shm_cp_worker, events));
}

static struct sessions_now now_of(const struct fuzz_world *w)
{
	return (struct sessions_now){.us = w->now_us, .wall_ms = WALL_MS + w->now_us / 1000};
}

/* False: the store is not what the control plane can work with. */
static bool start_control(struct fuzz_world *w)
{
	w->store = storage_memory_open(w->disk, w->now_us);
	ASSERT(w->store != NULL);
	const struct controlplane_conf conf = {.cp = regions[SHM_CP],
		.cp_counters = regions[SHM_CP_COUNTERS],
		.dp = regions[SHM_DP],
		.workers = 1,
		.key = {1, 2},
		.config = &config,
		.store = w->store};
	const enum err e = controlplane_create(&conf, now_of(w), &w->control);
	ASSERT(e == ERR_NONE || err_is_of_disk(e));
	w->control_generation = ((const struct shm_header *)regions[SHM_CP])->generation;
	return e == ERR_NONE;
}

static void stop_control(struct fuzz_world *w, uint8_t how)
{
	controlplane_destroy(&w->control);
	if (how == 0)
		storage_memory_kill(&w->store);
	else
		storage_memory_crash(&w->store, how);
}

static void mend_disk(struct fuzz_world *w)
{
	memory_disk_fail(w->disk, MEMORY_FAULT_SYNC, 0, ERR_NONE);
	memory_disk_fail(w->disk, MEMORY_FAULT_SUBMIT, 0, ERR_NONE);
	memory_disk_stall(w->disk, false);
}

/* As the launcher does it, with a disk that works again. */
static void restart_control(struct fuzz_world *w, uint8_t how)
{
	stop_control(w, how);
	mend_disk(w);
	const bool started = start_control(w);
	ASSERT(started);
}

static void start_dataplane(struct fuzz_world *w)
{
	shm_region_start(regions[SHM_DP], 1);
	link_fake_start(&w->fake, regions[SHM_DP], regions[SHM_CP], 0);
	const bool said = link_fake_hello(&w->fake, false);
	(void)said; /* a full ring: then it says nothing */
}

static void world_init(struct fuzz_world *w)
{
	regions_reset(w);
	*w = (struct fuzz_world){.now_us = 1000,
		.restarts_left = RESTARTS,
		.disk = memory_disk_create(&(struct memory_disk_conf){.sync_us = 500})};
	ASSERT(w->disk != NULL);
	const bool started = start_control(w);
	ASSERT(started);
	start_dataplane(w);
	fuzz_life_begin();
}

static void world_fini(struct fuzz_world *w)
{
	stop_control(w, 0);
	memory_disk_destroy(&w->disk);
	link_fake_stop(&w->fake);
}

/* A new control plane, or the same with another dataplane. */
static void world_begin(struct fuzz_world *w)
{
	if (w->control == NULL) {
		world_init(w);
		return;
	}
	fuzz_hear(w, UINT32_MAX);
	mend_disk(w);
	start_dataplane(w);
	memset(w->grants, 0, sizeof(w->grants));
	memset(w->entries, 0, sizeof(w->entries));
	w->grant_count = w->entry_count = 0;
	if (w->uses % RESTART_EVERY == 0 && w->restarts_left < RESTARTS)
		w->restarts_left++;
}

static bool may_restart(struct fuzz_world *w)
{
	if (w->restarts_left == 0)
		return false;
	w->restarts_left--;
	return true;
}

static void set_producer(struct fuzz_world *w, uint64_t value)
{
	shm_store(w->fake.commands.producer, value);
	w->fake.commands.next = value;
}

static void write_slot(struct fuzz_world *w, struct reader *r, bool right)
{
	struct shm_tx *tx = &w->fake.commands;
	const struct span bytes = read_bytes(r, SHM_SLOT_BYTES);
	struct shm_slot slot;

	if (bytes.size != sizeof(slot))
		return;
	memcpy(&slot, bytes.at, sizeof(slot));
	if (right) {
		slot.sequence = (uint32_t)tx->next;
		slot.sender = tx->sender;
	}
	memcpy(tx->slots[tx->next % SHM_RING_SLOTS], &slot, sizeof(slot));
	set_producer(w, tx->next + 1);
}

static void write_arena(struct fuzz_world *w, struct reader *r)
{
	const size_t at = (size_t)read_u16(r) * ARENA_STEP;
	const struct span bytes = read_bytes(r, read_u8(r));

	if (bytes.size == 0 || bytes.size > SHM_ARENA_BYTES - at)
		return;
	memcpy(w->fake.arena.bytes + at, bytes.at, bytes.size);
	w->arena_used = at + bytes.size > w->arena_used ? at + bytes.size : w->arena_used;
}

static uint64_t corrupt_count(void)
{
	return counter_get(shm_counters_const(regions[SHM_CP_COUNTERS], 0),
		(enum counter)(COUNTER_NAMED + (unsigned)ERR_RING_CORRUPT));
}

static uint64_t consumer(void)
{
	return shm_load(&shm_cp_worker_const(regions[SHM_CP], 0)->command_consumer.value);
}

/* So many slots are to be taken before one that nobody wrote there; UINT64_MAX: all are right. */
static uint64_t right_slots(const struct fuzz_world *w)
{
	const uint64_t from = consumer(), waiting = w->fake.commands.next - from;

	for (uint64_t i = 0; i < waiting; i++) {
		const struct shm_slot *slot =
			(const struct shm_slot *)
				w->fake.commands.slots[(from + i) % SHM_RING_SLOTS];
		if (waiting > SHM_RING_SLOTS || slot->sequence != (uint32_t)(from + i))
			return i;
	}
	return UINT64_MAX;
}

/* One turn, in which no wrong slot may pass for a command. */
static enum err turn_once(struct fuzz_world *w, bool *worked)
{
	const uint64_t right = right_slots(w), from = consumer(), corrupt = corrupt_count();
	const enum err e = controlplane_turn(w->control, now_of(w), worked);

	if (!w->mad && consumer() - from > right)
		ASSERT(corrupt_count() > corrupt);
	return e;
}

static void turn(struct fuzz_world *w, uint8_t later)
{
	bool worked = true;

	w->now_us += (uint64_t)later * later * 1000;
	for (uint32_t i = 0; worked && i < TURNS; i++) {
		storage_memory_now(w->store, w->now_us);
		const enum err e = turn_once(w, &worked);
		if (e != ERR_NONE) {
			ASSERT(err_is_of_disk(e));
			restart_control(w, 0);
			return;
		}
		registry_check(controlplane_registry(w->control));
		sessions_check(controlplane_sessions(w->control));
		w->now_us += 500;
	}
	ASSERT(controlplane_next_us(w->control, now_of(w)) > 0);
}

static void fail_disk(struct fuzz_world *w, struct reader *r)
{
	static const enum err errors[] = {ERR_STORAGE_IO, ERR_STORAGE_FULL, ERR_STORAGE_CORRUPT};
	const uint8_t what = read_u8(r), when = read_u8(r);

	if (!may_restart(w))
		return;
	memory_disk_fail(w->disk, what % 2 == 0 ? MEMORY_FAULT_SYNC : MEMORY_FAULT_SUBMIT,
		when % 16, errors[what / 2 % ARRAY_SIZE(errors)]);
	memory_disk_stall(w->disk, what >= 128);
}

static void step(struct fuzz_world *w, struct reader *r)
{
	uint8_t how;

	switch (read_u8(r) % 11) {
	case 0:
		write_slot(w, r, true);
		return;
	case 1:
		write_slot(w, r, false);
		return;
	case 2:
		write_arena(w, r);
		return;
	case 3:
		set_producer(w, w->fake.commands.next + (uint64_t)(int64_t)(int16_t)read_u16(r));
		return;
	case 4:
		set_producer(w, read_u64(r));
		return;
	case 5:
		turn(w, read_u8(r));
		return;
	case 6:
		how = read_u8(r);
		if (may_restart(w))
			restart_control(w, how);
		return;
	case 7:
		fuzz_say(w, r);
		return;
	case 8:
		fuzz_hear(w, read_u8(r));
		return;
	case 9:
		fail_disk(w, r);
		return;
	default:
		start_dataplane(w);
	}
}

/* One word of what the dataplane writes. */
UNTRACED static void go_mad(struct rng *rng)
{
	struct shm_dp_worker *dp = shm_dp_worker(regions[SHM_DP], 0);
	const uint32_t dice = rng_below(rng, 1000);
	const uint64_t noise = rng_next(rng);
	uint8_t *at;

	if (dice == 0) {
		__atomic_fetch_add(&dp->command_producer.value, noise % 5 - 2, __ATOMIC_RELAXED);
		return;
	}
	if (dice < 400) {
		const uint64_t near = shm_load(&dp->command_producer.value) - noise % MAD_SLOTS;
		at = dp->commands[near % SHM_RING_SLOTS] + rng_below(rng, SHM_SLOT_BYTES);
	} else {
		at = dp->arena + noise % MAD_ARENA;
	}
	__atomic_store_n(at, (uint8_t)(rng_next(rng) >> 32), __ATOMIC_RELAXED);
}

UNTRACED static void *mad_thread(void *unused)
{
	struct rng rng = rng_from(1);

	(void)unused;
	for (;;) {
		if (!__atomic_load_n(&running, __ATOMIC_ACQUIRE)) {
			sched_yield();
			continue;
		}
		go_mad(&rng);
		for (int i = 0; i < MAD_PAUSE; i++)
			rng_next(&rng);
	}
	return NULL;
}

/* libFuzzer calls us, not tests/fuzz/replay_main.c. */
static bool fuzzing(void)
{
	return LLVMFuzzerMutate != NULL;
}

static void start_thread(void)
{
	pthread_t thread;
	const int failed = pthread_create(&thread, NULL, mad_thread, NULL);

	ASSERT(failed == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	threaded = getenv("RING_FUZZ_THREAD") != NULL;
	replays_life = getenv("RING_FUZZ_LIFE") != NULL;
	if (fuzzing() && getenv("RING_FUZZ_FRESH") == NULL) {
		reuses = REUSES;
		if (!replays_life)
			fuzz_life_open(*argc, *argv);
	}
	return 0;
}

static void play(struct fuzz_world *w, struct span script)
{
	static bool started;
	struct reader r = reader_of(script);

	world_begin(w);
	fuzz_life_add(script);
	if (threaded && !started)
		start_thread();
	started = true;
	w->mad = threaded;
	w->arena_used = w->mad ? MAD_ARENA + SHM_PAGE : w->arena_used;
	__atomic_store_n(&running, w->mad, __ATOMIC_RELEASE);
	while (!r.bad && reader_left(&r) > 0)
		step(w, &r);
	turn(w, 1);
	fuzz_hear(w, UINT32_MAX);
	turn(w, UINT8_MAX);
	__atomic_store_n(&running, false, __ATOMIC_RELEASE);
	if (++w->uses >= reuses)
		world_fini(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span script = {data, size};
	struct reader kept = reader_of(script);

	if (!replays_life) {
		play(&world, script);
		return 0;
	}
	while (fuzz_life_next(&kept, &script))
		play(&world, script);
	return 0;
}
