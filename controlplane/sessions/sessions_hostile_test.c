/* sessions_hostile_test.c - a dataplane that says anything: nothing breaks, nothing grows without
 * bound, and whoever comes after it finds a store that can be read. */
#include "dataplane/base/rng.h"
#include "tests/unit/sessions_rig.h"
#include "tests/unit/unit.h"

enum { RUNS = 12, STEPS = 3000, TEXT = 96, WORDS = 9 };

static struct rig rig;
static struct rng rng;
static uint64_t positions;

/* Mostly small, so that some of them mean something; at times the largest. */
static uint64_t number(void)
{
	const uint32_t dice = rng_below(&rng, 20);

	return dice == 0   ? UINT64_MAX - rng_below(&rng, 3)
	       : dice == 1 ? rng_next(&rng)
			   : rng_below(&rng, 9);
}

static struct shm_connection connection(void)
{
	return (struct shm_connection){
		(uint32_t)number(), rng_below(&rng, 9) == 0 ? UINT32_MAX : 1};
}

/* A STORE's text that is whole, or has a byte changed, or is cut. */
static struct span text(uint8_t to[2 * TEXT])
{
	struct writer w = writer_of(to, 2 * TEXT);
	const struct parcel p = {.topic = span_str("t"),
		.payload_size = 1,
		.qos = (uint8_t)rng_below(&rng, 3),
		.expiry_s = (uint32_t)number(),
		.born_ms = number()};
	const uint32_t count = rng_below(&rng, 4);

	store_encode_count(&w, count);
	for (uint32_t i = 0; i < count; i++) {
		const struct store_target t = {.session = number(),
			.qos = (uint8_t)(1 + rng_below(&rng, 2)),
			.identifier_count = (uint8_t)rng_below(&rng, 3)};
		store_encode_target(&w, &t);
	}
	parcel_encode_head(&w, &p);
	write_u8(&w, 'x');
	struct span s = writer_span(&w);
	if (rng_below(&rng, 6) == 0)
		to[rng_below(&rng, (uint32_t)s.size)] ^= (uint8_t)rng_next(&rng);
	if (rng_below(&rng, 6) == 0)
		s.size = rng_below(&rng, (uint32_t)s.size + 1);
	return s;
}

static void work(void)
{
	static const uint8_t types[WORDS] = {SHM_COMMAND_STORE, SHM_COMMAND_STORE,
		SHM_COMMAND_SUBSCRIBE, SHM_COMMAND_UNSUBSCRIBE, SHM_COMMAND_RELEASE,
		SHM_COMMAND_RECEIVED, SHM_COMMAND_SETTLED, SHM_COMMAND_ENDED, 200};
	uint8_t bytes[2 * TEXT];
	const uint32_t worker = rng_below(&rng, RIG_WORKERS);
	const enum shm_command type = (enum shm_command)types[rng_below(&rng, WORDS)];
	struct shm_work w = {.session = number(),
		.entry = rng_below(&rng, 2) == 0 ? number() : rig.epoch,
		.identifier = (uint32_t)number(),
		.packet_id = (uint16_t)rng_below(&rng, 4),
		.flags = (uint8_t)rng_next(&rng),
		.qos = (uint8_t)rng_below(&rng, 4)};
	struct span in = text(bytes);

	if (type != SHM_COMMAND_STORE)
		in.size = in.size > 0 ? rng_below(&rng, 3) : 0;
	w.sequence = ++rig.sequence[worker];
	if (rng_below(&rng, 20) == 0)
		w.sequence = rng_below(&rng, 50) == 0 ? number() : rng_below(&rng, 9);
	if (sessions_work(rig.s, worker, type, &w, in, rig.now) == SESSIONS_LATER)
		rig.sequence[worker]--;
}

static void come(void)
{
	const char *const clients[] = {"a", "b", "c"};
	const struct rig_who who = {.worker = rng_below(&rng, RIG_WORKERS),
		.index = rng_below(&rng, 9),
		.client = clients[rng_below(&rng, 3)],
		.expiry_s = rng_below(&rng, 3),
		.clean = rng_below(&rng, 3) == 0,
		.will = rng_below(&rng, 2) == 0 ? "w=x" : NULL,
		.will_delay_s = rng_below(&rng, 3)};
	struct sessions_ready ready;

	(void)rig_connect(&rig, &who);
	while (sessions_next_ready(rig.s, &ready))
		CU_ASSERT(ready.err == ERR_NONE);
}

static void position(void)
{
	const struct shm_position p = {.connection = connection(),
		.session = rng_below(&rng, 40),
		.delivered = number(),
		.receive_max = (uint16_t)number()};
	const uint64_t epoch = rng_below(&rng, 4) == 0 ? number() : rig.epoch;

	if (sessions_position(rig.s, rng_below(&rng, RIG_WORKERS), epoch, &p, rig.now))
		positions++;
}

static void answer(void)
{
	const uint32_t worker = rng_below(&rng, RIG_WORKERS);
	const struct shm_applied a = {.token = (uint32_t)number(), .err = (uint32_t)number()};
	const struct shm_declined d = {.entry = number(),
		.session = rng_below(&rng, 2) == 0 ? number() : 0,
		.connection = connection()};

	sessions_applied(rig.s, worker, &a);
	sessions_declined(rig.s, worker, &d, rig.now);
}

static void complete(void)
{
	bool worked;

	rig.store.allowed = rng_below(&rng, 100);
	CU_ASSERT_FATAL(sessions_poll(rig.s, rig.now, &worked) == ERR_NONE);
	rig.now.us += rng_below(&rng, 3000);
	rig.now.wall_ms += rng_below(&rng, 500);
	if (rng_below(&rng, 50) == 0)
		rig.now.wall_ms = rng_next(&rng) >> rng_below(&rng, 60);
}

/* Whoever is introduced has a chance to be known. */
static void start_again(void)
{
	rig_restart(
		&rig, rng_below(&rng, (uint32_t)rig.store.log_count + 1), rng_below(&rng, 2) == 0);
	for (int i = 0; i < 40; i++)
		position();
}

static void greet(void)
{
	const uint32_t worker = rng_below(&rng, RIG_WORKERS);

	if (rng_below(&rng, 3) == 0)
		sessions_resynced(rig.s, worker, rig.now);
	else if (rng_below(&rng, 20) == 0)
		sessions_hello(rig.s, worker, rig.dp_generation + rng_below(&rng, 3),
			rng_below(&rng, 2) == 0, rig.now);
	else if (rng_below(&rng, 20) == 0)
		start_again();
}

static void step(void)
{
	const uint32_t dice = rng_below(&rng, 100);

	if (dice < 40)
		work();
	else if (dice < 50)
		come();
	else if (dice < 54)
		position();
	else if (dice < 60)
		answer();
	else if (dice < 63)
		sessions_gone(rig.s, number(), rng_below(&rng, 2) ? number() : rig.epoch, rig.now);
	else if (dice < 80)
		complete();
	else if (dice < 95)
		rig_hear(&rig, rng_below(&rng, RIG_WORKERS));
	else
		greet();
	sessions_check(rig.s);
}

static void anything_may_be_said(void)
{
	const unsigned long long seed = unit_seed();

	for (uint64_t run = 0; run < RUNS; run++) {
		rig_init(&rig);
		rig.silent = true;
		rng = rng_from(seed + run);
		for (int i = 0; i < STEPS; i++) {
			step();
			(void)rig_said(&rig);
		}
		/* An honest one comes. */
		rig.silent = false;
		rig_restart(&rig, 1 << 20, true);
		rig_run(&rig);
		CU_ASSERT(sessions_loaded(rig.s));
		rig_fini(&rig);
	}
	CU_ASSERT(positions > 0);
}

static const struct unit_test tests[] = {
	{"anything_may_be_said", anything_may_be_said},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("sessions_hostile", tests, argc, argv);
}
