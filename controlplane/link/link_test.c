/* link_test.c - rings in, rings out, with sessions that are played: what reaches them, what they
 * say and in which order it arrives, room that runs out, slots with lies in them, a store that
 * dies.
 *
 * The functions of sessions.h are here; the real ones are tested behind the same
 * link in controlplane_test.c. */
#include "controlplane/link/command.h"
#include "controlplane/link/controlplane.h"
#include "dataplane/base/rng.h"
#include "dataplane/shm/parcel.h"
#include "tests/unit/link_fake.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

enum {
	WORKERS = 2,
	CALLS = 64,
	EFFECTS = 4096,
	PACKET_MAX = 4 << 20,
	LONG = 3 * (1 << 20) + 12345, /* more than an arena */
	PATIENCE = 1000,              /* turns */
};

struct call {
	uint32_t worker;
	enum shm_command type;
	union {
		struct shm_work work;
		struct shm_applied applied;
		struct shm_declined declined;
		struct shm_position position;
		struct sessions_connect connect;
		uint64_t gone[2];
		uint64_t generation;
	};
	uint8_t *text;
	size_t text_size;
	bool loaded;
};

/* The sessions that are played. */
static struct sessions {
	struct call calls[CALLS];
	uint32_t count;
	struct sessions_effect effects[WORKERS][EFFECTS];
	uint32_t first[WORKERS], end[WORKERS];
	struct sessions_ready ready[CALLS];
	uint32_t ready_first, ready_end;
	bool later[WORKERS], connect_later, unknown, quiet;
	enum err dead;
} played;

static struct call *called(uint32_t worker, enum shm_command type)
{
	CU_ASSERT_FATAL(played.count < CALLS);
	struct call *c = &played.calls[played.count++];

	*c = (struct call){.worker = worker, .type = type};
	return c;
}

enum err sessions_create(
	const struct sessions_conf *conf, struct sessions_now now, struct sessions **out)
{
	(void)now;
	CU_ASSERT(conf->store != NULL && conf->workers == WORKERS && conf->counters != NULL);
	CU_ASSERT(conf->config->packet_size_max == PACKET_MAX);
	*out = played.dead == ERR_NONE ? &played : NULL;
	return played.dead;
}

void sessions_destroy(struct sessions **s)
{
	*s = NULL;
}

enum sessions_answer sessions_connect(
	struct sessions *s, const struct sessions_connect *c, struct sessions_now now)
{
	(void)now;
	if (s->connect_later)
		return SESSIONS_LATER;
	called(c->worker, SHM_COMMAND_CONNECT)->connect = *c;
	s->ready[s->ready_end++] = (struct sessions_ready){.token = c->token,
		.session = 1000 + s->ready_end,
		.present = true,
		.durable = true};
	return SESSIONS_TAKEN;
}

bool sessions_next_ready(struct sessions *s, struct sessions_ready *out)
{
	if (s->ready_first == s->ready_end)
		return false;
	*out = s->ready[s->ready_first++];
	return true;
}

void sessions_gone(struct sessions *s, uint64_t session, uint64_t epoch, struct sessions_now now)
{
	struct call *c = called(0, SHM_COMMAND_CLOSED);

	(void)s;
	(void)now;
	c->gone[0] = session;
	c->gone[1] = epoch;
}

bool sessions_position(struct sessions *s, uint32_t worker, uint64_t epoch,
	const struct shm_position *p, struct sessions_now now)
{
	(void)now;
	CU_ASSERT(epoch != 0);
	called(worker, SHM_COMMAND_POSITION)->position = *p;
	return !s->unknown;
}

void sessions_hello(struct sessions *s, uint32_t worker, uint64_t dp_generation, bool loaded,
	struct sessions_now now)
{
	(void)now;
	if (s->quiet)
		return;
	struct call *c = called(worker, SHM_COMMAND_HELLO);
	c->generation = dp_generation;
	c->loaded = loaded;
}

void sessions_resynced(struct sessions *s, uint32_t worker, struct sessions_now now)
{
	(void)s;
	(void)now;
	called(worker, SHM_COMMAND_RESYNCED);
}

bool sessions_loaded(const struct sessions *s)
{
	(void)s;
	return true;
}

enum sessions_answer sessions_work(struct sessions *s, uint32_t worker, enum shm_command type,
	const struct shm_work *work, struct span text, struct sessions_now now)
{
	(void)now;
	if (s->later[worker])
		return SESSIONS_LATER;
	struct call *c = called(worker, type);
	c->work = *work;
	c->text = malloc(text.size + 1);
	if (text.size != 0)
		memcpy(c->text, text.at, text.size);
	c->text_size = text.size;
	return SESSIONS_TAKEN;
}

void sessions_applied(struct sessions *s, uint32_t worker, const struct shm_applied *a)
{
	(void)s;
	called(worker, SHM_COMMAND_APPLIED)->applied = *a;
}

void sessions_declined(
	struct sessions *s, uint32_t worker, const struct shm_declined *d, struct sessions_now now)
{
	(void)s;
	(void)now;
	called(worker, SHM_COMMAND_DECLINED)->declined = *d;
}

enum err sessions_poll(struct sessions *s, struct sessions_now now, bool *worked)
{
	(void)now;
	*worked = false;
	return s->dead;
}

uint64_t sessions_next_us(const struct sessions *s, struct sessions_now now)
{
	(void)s;
	(void)now;
	return UINT64_MAX;
}

bool sessions_next(
	struct sessions *s, uint32_t worker, struct sessions_effect *out, struct sessions_now now)
{
	(void)now;
	if (s->first[worker] == s->end[worker])
		return false;
	*out = s->effects[worker][s->first[worker]];
	return true;
}

void sessions_took(struct sessions *s, uint32_t worker)
{
	CU_ASSERT(s->first[worker] < s->end[worker]);
	s->first[worker]++;
}

/* A store that does nothing but tell. */
static struct storage_facts told;

static void tell(const struct storage *s, struct storage_facts *out)
{
	(void)s;
	*out = told;
}

static const struct storage_ops store_ops = {.facts = tell};
static struct storage store = {&store_ops};

struct world {
	void *dp, *cp, *counters;
	struct shm_config config;
	struct controlplane *control;
	struct link_fake workers[WORKERS];
	struct sessions_now now;
};

static void *region_new(enum shm_region kind)
{
	void *base = aligned_alloc(SHM_PAGE, shm_region_bytes(kind, WORKERS));

	memset(base, 0, shm_region_bytes(kind, WORKERS));
	shm_region_init(base, kind, WORKERS);
	return base;
}

static void start_control(struct world *w)
{
	const struct controlplane_conf conf = {.cp = w->cp,
		.cp_counters = w->counters,
		.dp = w->dp,
		.workers = WORKERS,
		.config = &w->config,
		.store = &store};

	controlplane_destroy(&w->control);
	CU_ASSERT_FATAL(controlplane_create(&conf, w->now, &w->control) == ERR_NONE);
}

static void turn(struct world *w)
{
	bool worked = true;

	for (int i = 0; worked && i < PATIENCE; i++)
		CU_ASSERT(controlplane_turn(w->control, w->now, &worked) == ERR_NONE);
	CU_ASSERT(!worked);
}

static void forget_calls(void)
{
	for (uint32_t i = 0; i < played.count; i++)
		free(played.calls[i].text);
	played.count = 0;
}

static void start_workers(struct world *w)
{
	shm_region_start(w->dp, 6);
	for (uint32_t i = 0; i < WORKERS; i++) {
		link_fake_start(&w->workers[i], w->dp, w->cp, i);
		CU_ASSERT(link_fake_hello(&w->workers[i], true));
	}
}

/* Both planes, greeted. */
static void world_init(struct world *w)
{
	memset(&played, 0, sizeof(played));
	*w = (struct world){.now = {1000000, 1700000000000},
		.config = {.connections_max = 100,
			.sessions_max = 100,
			.packet_size_max = PACKET_MAX,
			.takeover_timeout_us = 2000000}};
	w->dp = region_new(SHM_DP);
	w->cp = region_new(SHM_CP);
	w->counters = region_new(SHM_CP_COUNTERS);
	start_control(w);
	start_workers(w);
	turn(w);
	CU_ASSERT(played.count == WORKERS && played.calls[0].type == SHM_COMMAND_HELLO);
	CU_ASSERT(played.calls[0].loaded && played.calls[0].generation == 1);
	forget_calls();
}

static void world_fini(struct world *w)
{
	forget_calls();
	controlplane_destroy(&w->control);
	for (uint32_t i = 0; i < WORKERS; i++)
		link_fake_stop(&w->workers[i]);
	free(w->dp);
	free(w->cp);
	free(w->counters);
}

static uint64_t count_err(const struct world *w, enum err e)
{
	return counter_get(
		shm_counters_const(w->counters, 0), (enum counter)(COUNTER_NAMED + (unsigned)e));
}

/* Bytes that tell where they are. */
static struct span long_text(size_t size)
{
	static uint8_t text[2 * LONG];

	CU_ASSERT_FATAL(size <= sizeof(text));
	for (size_t i = 0; i < size; i++)
		text[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
	return (struct span){text, size};
}

/* In parts, with turns between for room. */
static bool send_store(struct world *w, uint32_t worker, struct shm_work *work, struct span text)
{
	for (int i = 0; i < PATIENCE; i++) {
		if (link_fake_work(&w->workers[worker], SHM_COMMAND_STORE, work, text))
			return true;
		turn(w);
	}
	return false;
}

static bool call_has(const struct call *c, struct span text)
{
	return span_equal((struct span){c->text, c->text_size}, text);
}

static bool connect(struct world *w, uint32_t worker, uint32_t index, const char *id)
{
	struct shm_connect c = {.connection = {index, 1}, .receive_max = 10};
	const struct span none = {NULL, 0};

	return link_fake_connect(&w->workers[worker], &c, span_str(id), none, none, none);
}

/* Everything that a slot can say in bytes: what is unused is nonsense, and must not arrive. */
static const struct shm_work noise = {.session = 7,
	.entry = 0x0909090909090909,
	.text_size = 5,
	.packet_id = 5,
	.reserved = {1, 2, 3}};

static void work_arrives_as_it_was_meant(void)
{
	static const struct {
		enum shm_command type;
		struct shm_work set;
		const char *text;
		struct shm_work expected;
	} rows[] = {
		{SHM_COMMAND_SUBSCRIBE, {.identifier = 5, .flags = 1 | 2 | 2 << 2, .qos = 2}, "a/#",
			{.session = 7, .identifier = 5, .flags = 1 | 2 | 2 << 2, .qos = 2}},
		{SHM_COMMAND_UNSUBSCRIBE, {.flags = 255, .qos = 9}, "+/b", {.session = 7}},
		{SHM_COMMAND_RELEASE, {.flags = 255}, "", {.session = 7, .packet_id = 5}},
		{SHM_COMMAND_RECEIVED, {.qos = 255}, "",
			{.session = 7, .entry = 0x0909090909090909}},
		{SHM_COMMAND_SETTLED, {.qos = 255}, "",
			{.session = 7, .entry = 0x0909090909090909}},
		{SHM_COMMAND_ENDED, {.flags = SHM_WORK_EXPIRY | SHM_WORK_NO_WILL}, "",
			{.session = 7,
				.epoch = 0x0909090909090909,
				.expiry_s = 5,
				.flags = SHM_WORK_EXPIRY | SHM_WORK_NO_WILL}},
		{SHM_COMMAND_ENDED, {.flags = 0}, "", {.session = 7, .epoch = 0x0909090909090909}},
		{SHM_COMMAND_STORE, {.qos = 1}, "x", {.text_size = 1, .qos = 1}},
		{SHM_COMMAND_STORE, {.qos = 2, .flags = SHM_WORK_RECORD}, "x",
			{.session = 7,
				.text_size = 1,
				.packet_id = 5,
				.qos = 2,
				.flags = SHM_WORK_RECORD}},
		{SHM_COMMAND_STORE, {.flags = SHM_WORK_RETAIN | SHM_WORK_WILL}, "x",
			{.will = 0x0909090909090909,
				.text_size = 1,
				.flags = SHM_WORK_RETAIN | SHM_WORK_WILL}},
	};
	struct world w;

	world_init(&w);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct shm_work work = noise;
		work.flags = rows[i].set.flags;
		work.qos = rows[i].set.qos;
		CU_ASSERT(
			link_fake_work(&w.workers[1], rows[i].type, &work, span_str(rows[i].text)));
		turn(&w);
		CU_ASSERT_FATAL(played.count == 1);
		const struct call *c = &played.calls[0];
		struct shm_work expected = rows[i].expected;
		expected.sequence = i + 1;
		CU_ASSERT(c->worker == 1 && c->type == rows[i].type);
		CU_ASSERT(memcmp(&c->work, &expected, sizeof(expected)) == 0);
		CU_ASSERT(call_has(c, span_str(rows[i].text)));
		forget_calls();
	}
	CU_ASSERT(count_err(&w, ERR_SLOT_BAD) == 0);
	world_fini(&w);
}

static void other_words_arrive(void)
{
	const struct shm_applied applied = {.token = 4, .err = ERR_REPLICAS_FULL};
	const struct shm_declined entry = {.entry = 5}, will = {.session = 6};
	struct world w;

	world_init(&w);
	struct link_fake *f = &w.workers[0];
	CU_ASSERT(link_fake_say(f, SHM_COMMAND_APPLIED, &applied, sizeof(applied)));
	CU_ASSERT(link_fake_say(f, SHM_COMMAND_DECLINED, &entry, sizeof(entry)));
	CU_ASSERT(link_fake_say(f, SHM_COMMAND_DECLINED, &will, sizeof(will)));
	CU_ASSERT(link_fake_say(f, SHM_COMMAND_RESYNCED, NULL, 0));
	turn(&w);
	CU_ASSERT_FATAL(played.count == 4);
	CU_ASSERT(memcmp(&played.calls[0].applied, &applied, sizeof(applied)) == 0);
	CU_ASSERT(played.calls[1].declined.entry == 5 && played.calls[2].declined.session == 6);
	CU_ASSERT(played.calls[3].type == SHM_COMMAND_RESYNCED);
	world_fini(&w);
}

static void a_long_store_is_joined(void)
{
	const size_t sizes[] = {SHM_PART_BYTES, SHM_PART_BYTES + 1, 2 * SHM_PART_BYTES, LONG};
	struct world w;

	world_init(&w);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct shm_work work = {.qos = 1};
		CU_ASSERT(send_store(&w, 0, &work, long_text(sizes[i])));
		turn(&w);
		CU_ASSERT_FATAL(played.count == 1);
		CU_ASSERT(call_has(&played.calls[0], long_text(sizes[i])));
		forget_calls();
	}
	world_fini(&w);
}

/* Parts are one worker's, and anything may be said between them. */
static void parts_do_not_mix(void)
{
	const struct shm_applied applied = {.token = 1};
	struct shm_work work = {.qos = 1}, small = {.session = 1, .entry = 1};
	struct world w;

	world_init(&w);
	const struct span text = long_text(SHM_PART_BYTES + 7);
	struct link_fake *f = &w.workers[0];
	const struct span half = {text.at, SHM_PART_BYTES};
	struct shm_part part;
	CU_ASSERT(shm_arena_put(&f->arena, &f->commands, &half, 1, &part.text));
	CU_ASSERT(link_fake_say(f, SHM_COMMAND_PART, &part, sizeof(part)));
	CU_ASSERT(link_fake_say(f, SHM_COMMAND_APPLIED, &applied, sizeof(applied)));
	CU_ASSERT(connect(&w, 0, 1, "a"));
	CU_ASSERT(link_fake_work(f, SHM_COMMAND_SETTLED, &small, span_str("")));
	CU_ASSERT(link_fake_work(&w.workers[1], SHM_COMMAND_STORE, &work, span_str("other")));
	turn(&w);
	forget_calls();
	f->sent = SHM_PART_BYTES;
	CU_ASSERT(link_fake_work(f, SHM_COMMAND_STORE, &work, text));
	turn(&w);
	CU_ASSERT_FATAL(played.count == 1);
	CU_ASSERT(call_has(&played.calls[0], text));
	world_fini(&w);
}

/* It is work all the same: without its text it is refused, and no number is missing. */
static void a_store_that_does_not_add_up_has_no_text(void)
{
	static const int32_t lies[] = {-1, 1, 1000, -(int32_t)SHM_PART_BYTES, INT32_MAX};
	struct shm_work work = {.qos = 1};
	struct world w;

	world_init(&w);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		const uint64_t slot = w.workers[0].commands.next + 1;
		CU_ASSERT(send_store(&w, 0, &work, long_text(SHM_PART_BYTES + 100)));
		struct shm_slot *last = (struct shm_slot *)(void *)shm_dp_worker(w.dp, 0)
						->commands[slot % SHM_RING_SLOTS];
		last->work.text_size += (uint32_t)lies[i];
		turn(&w);
		const bool shorter = last->work.text_size < 100;
		CU_ASSERT(count_err(&w, ERR_SLOT_BAD) == i + 1);
		CU_ASSERT(played.count == !shorter && (shorter || played.calls[0].text_size == 0));
		forget_calls();
	}
	CU_ASSERT(send_store(&w, 0, &work, span_str("good")));
	turn(&w);
	CU_ASSERT(played.count == 1 && call_has(&played.calls[0], span_str("good")));
	world_fini(&w);
}

static void parts_are_bounded(void)
{
	struct shm_work work = {.qos = 1};
	struct world w;

	world_init(&w);
	CU_ASSERT(send_store(&w, 0, &work, long_text(2 * LONG)));
	turn(&w);
	CU_ASSERT(played.count == 1 && played.calls[0].text_size == 0);
	CU_ASSERT(count_err(&w, ERR_SLOT_BAD) == 1);
	forget_calls();
	CU_ASSERT(send_store(&w, 0, &work, long_text(PACKET_MAX)));
	turn(&w);
	CU_ASSERT(played.count == 1 && call_has(&played.calls[0], long_text(PACKET_MAX)));
	world_fini(&w);
}

static void parts_of_the_dead_are_forgotten(void)
{
	struct shm_work work = {.qos = 1};
	struct world w;

	for (int again = 0; again < 2; again++) {
		world_init(&w);
		struct link_fake *f = &w.workers[0];
		/* Its last slot finds no room: only parts are there. */
		while (link_fake_work(f, SHM_COMMAND_STORE, &work, long_text(LONG)))
			;
		turn(&w);
		if (again == 0)
			start_workers(&w);
		else
			CU_ASSERT(link_fake_hello(f, true));
		f->sent = 0;
		CU_ASSERT(link_fake_work(f, SHM_COMMAND_STORE, &work, span_str("new")));
		turn(&w);
		CU_ASSERT_FATAL(played.count >= 2);
		CU_ASSERT(played.calls[1].type == SHM_COMMAND_STORE);
		CU_ASSERT(call_has(&played.calls[1], span_str("new")));
		world_fini(&w);
	}
}

static void what_must_wait_holds_up_only_its_worker(void)
{
	struct shm_work work = {.qos = 1}, other = {.qos = 1};
	struct world w;

	world_init(&w);
	played.later[0] = true;
	const struct span text = long_text(SHM_PART_BYTES + 1);
	CU_ASSERT(send_store(&w, 0, &work, text));
	CU_ASSERT(connect(&w, 0, 1, "behind"));
	CU_ASSERT(send_store(&w, 1, &other, span_str("free")));
	turn(&w);
	CU_ASSERT(played.count == 1 && played.calls[0].worker == 1);
	CU_ASSERT(!controlplane_pending(w.control)); /* or it would be asked without end */
	CU_ASSERT(controlplane_next_us(w.control, w.now) == w.now.us + CONTROLPLANE_RETRY_US);
	forget_calls();
	played.later[0] = false;
	turn(&w);
	CU_ASSERT_FATAL(played.count == 2);
	CU_ASSERT(call_has(&played.calls[0], text));
	CU_ASSERT(played.calls[1].type == SHM_COMMAND_CONNECT);
	CU_ASSERT(controlplane_next_us(w.control, w.now) > w.now.us + CONTROLPLANE_RETRY_US);
	world_fini(&w);
}

/* A good slot of each kind, and what makes it bad. */
static void lies_in_slots_are_found_out(void)
{
	static const struct {
		enum shm_command type;
		size_t offset;
		uint32_t size;
		uint64_t value;
	} rows[] = {
#define AT(field) offsetof(struct shm_slot, field), sizeof(((struct shm_slot *)0)->field)
		{SHM_COMMAND_HELLO, AT(hello.loaded), 2},
		{SHM_COMMAND_HELLO, AT(hello.loaded), 255},
		{SHM_COMMAND_POSITION, AT(position.session), 0},
		{SHM_COMMAND_POSITION, AT(position.receive_max), 0},
		{SHM_COMMAND_POSITION, AT(position.durable), 2},
		{SHM_COMMAND_DECLINED, AT(declined.entry), 0},
		{SHM_COMMAND_DECLINED, AT(declined.session), 1},
		{SHM_COMMAND_APPLIED, AT(applied.token), 0},
		{SHM_COMMAND_APPLIED, AT(applied.err), ERR_COUNT},
		{SHM_COMMAND_APPLIED, AT(applied.err), UINT32_MAX},
		{SHM_COMMAND_PART, AT(part.text.size), SHM_PART_BYTES + 1},
		{SHM_COMMAND_PART, AT(part.text.size), UINT32_MAX},
		{SHM_COMMAND_PART, AT(part.text.offset), SHM_ARENA_BYTES},
		{SHM_COMMAND_PART, AT(part.text.offset), UINT32_MAX},
		{SHM_COMMAND_STORE, AT(work.sequence), 0},
		{SHM_COMMAND_STORE, AT(work.flags), 8},
		{SHM_COMMAND_STORE, AT(work.flags), 255},
		{SHM_COMMAND_STORE, AT(work.flags), SHM_WORK_NO_WILL},
		{SHM_COMMAND_STORE, AT(work.qos), 3},
		{SHM_COMMAND_STORE, AT(work.text.size), SHM_PART_BYTES + 1},
		{SHM_COMMAND_STORE, AT(work.text.size), UINT32_MAX},
		{SHM_COMMAND_STORE, AT(work.text.offset), UINT32_MAX},
		{SHM_COMMAND_STORE, AT(work.text_size), 0},
		{SHM_COMMAND_SUBSCRIBE, AT(work.session), 0},
		{SHM_COMMAND_SUBSCRIBE, AT(work.sequence), 0},
		{SHM_COMMAND_SUBSCRIBE, AT(work.flags), 3 << 2},
		{SHM_COMMAND_SUBSCRIBE, AT(work.flags), 16},
		{SHM_COMMAND_SUBSCRIBE, AT(work.qos), 3},
		{SHM_COMMAND_SUBSCRIBE, AT(work.identifier), 1 << 28},
		{SHM_COMMAND_SUBSCRIBE, AT(work.text.size), 0},
		{SHM_COMMAND_SUBSCRIBE, AT(work.text.size), 65536},
		{SHM_COMMAND_UNSUBSCRIBE, AT(work.session), 0},
		{SHM_COMMAND_UNSUBSCRIBE, AT(work.text.size), 0},
		{SHM_COMMAND_RELEASE, AT(work.session), 0},
		{SHM_COMMAND_RELEASE, AT(work.packet_id), 0},
		{SHM_COMMAND_RECEIVED, AT(work.session), 0},
		{SHM_COMMAND_RECEIVED, AT(work.entry), 0},
		{SHM_COMMAND_SETTLED, AT(work.session), 0},
		{SHM_COMMAND_SETTLED, AT(work.entry), 0},
		{SHM_COMMAND_ENDED, AT(work.session), 0},
		{SHM_COMMAND_ENDED, AT(work.epoch), 0},
		{SHM_COMMAND_ENDED, AT(work.flags), SHM_WORK_RETAIN},
		{SHM_COMMAND_ENDED, AT(work.flags), 255},
		{SHM_COMMAND_RESYNCED, AT(type), 0},
		{SHM_COMMAND_RESYNCED, AT(type), SHM_COMMANDS},
		{SHM_COMMAND_RESYNCED, AT(type), 255},
#undef AT
	};
	static struct command command;
	static uint8_t arena[SHM_ARENA_BYTES];

	memset(arena, 'a', sizeof(arena));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct shm_slot slot;
		memset(&slot, 0, sizeof(slot));
		slot.type = rows[i].type;
		if (rows[i].type == SHM_COMMAND_POSITION)
			slot.position = (struct shm_position){.session = 1, .receive_max = 1};
		else if (rows[i].type == SHM_COMMAND_DECLINED)
			slot.declined = (struct shm_declined){.entry = 1};
		else if (rows[i].type == SHM_COMMAND_APPLIED)
			slot.applied = (struct shm_applied){.token = 1};
		else if (rows[i].type == SHM_COMMAND_PART)
			slot.part.text = (struct shm_text){16, 16};
		else if (rows[i].type >= SHM_COMMAND_STORE)
			slot.work = (struct shm_work){.sequence = 1,
				.session = 1,
				.entry = 1,
				.packet_id = 1,
				.text = {16, 16},
				.text_size = 16};
		CU_ASSERT(command_decode(&slot, arena, 0, &command) == ERR_NONE);
		memcpy((uint8_t *)&slot + rows[i].offset, &rows[i].value, rows[i].size);
		CU_ASSERT(command_decode(&slot, arena, 0, &command) == ERR_SLOT_BAD);
	}
}

static void filters_and_names_are_text(void)
{
	static const struct {
		const char *bytes;
		size_t size;
		bool good;
	} rows[] = {{"a/+/#", 5, true}, {"\xc3\xa4", 2, true}, {"\xf0\x9f\x9a\x82", 4, true},
		{"\xef\xbf\xbf", 3, true}, {"a\0b", 3, false}, {"\xc3", 1, false},
		{"\xc0\x80", 2, false}, {"\xed\xa0\x80", 3, false}, {"\xe0\x80\x80", 3, false},
		{"\xf4\x90\x80\x80", 4, false}, {"\xf0\x80\x80\x80", 4, false}, {"\xff", 1, false},
		{"a\x80", 2, false}, {"\xe2\x82", 2, false}, {"\xe2\x28\xa1", 3, false},
		{"\xf1\x80\x80\x28", 4, false}, {"\xf5\x80\x80\x80", 4, false}};
	struct world w;

	world_init(&w);
	uint32_t bad = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct span text = span_of(rows[i].bytes, rows[i].size), none = {NULL, 0};
		struct shm_work work = {.session = 1};
		CU_ASSERT(link_fake_work(&w.workers[0], SHM_COMMAND_SUBSCRIBE, &work, text));
		for (int user = 0; user < 2; user++) {
			struct shm_connect c = {.connection = {1, 1},
				.receive_max = 1,
				.flags = user ? SHM_CONNECT_USERNAME : 0};
			CU_ASSERT(link_fake_connect(&w.workers[0], &c, user ? span_str("i") : text,
				user ? text : none, none, none));
		}
		played.connect_later = true;
		turn(&w);
		bad += rows[i].good ? 0 : 3;
		CU_ASSERT(count_err(&w, ERR_SLOT_BAD) == bad);
		CU_ASSERT(played.count == rows[i].good);
		forget_calls();
	}
	world_fini(&w);
}

static struct span encode_will(uint8_t to[256], const char *topic)
{
	struct writer writer = writer_of(to, 256);
	const struct parcel p = {.topic = span_str(topic), .payload_size = 3};

	write_u32(&writer, 30);
	parcel_encode_head(&writer, &p);
	write_bytes(&writer, span_str("bye"));
	return writer_span(&writer);
}

static void a_connect_brings_its_will(void)
{
	uint8_t text[256];
	struct shm_connect c = {.connection = {3, 1},
		.receive_max = 10,
		.session_expiry_s = 60,
		.flags = SHM_CONNECT_WILL | SHM_CONNECT_CLEAN | SHM_CONNECT_PASSWORD};
	const struct span none = {NULL, 0};
	struct world w;

	world_init(&w);
	const struct span will = encode_will(text, "a/b");
	CU_ASSERT(
		link_fake_connect(&w.workers[1], &c, span_str("id"), none, span_str("pass"), will));
	turn(&w);
	CU_ASSERT_FATAL(played.count == 1);
	const struct sessions_connect *got = &played.calls[0].connect;
	CU_ASSERT(got->worker == 1 && got->connection.index == 3 && got->clean);
	CU_ASSERT(got->receive_max == 10 && got->session_expiry_s == 60);
	CU_ASSERT(got->will.size == will.size && got->client_id.size == 2);
	const struct link_event e = link_fake_next(&w.workers[1]);
	CU_ASSERT(e.slot.type == SHM_EVENT_GRANT && e.slot.grant.session == 1001);
	CU_ASSERT(e.slot.grant.session_present == 1 && e.slot.grant.durable == 1);
	CU_ASSERT(e.slot.grant.epoch == got->epoch);
	world_fini(&w);
}

static void wills_that_cannot_be_are_refused(void)
{
	static const char *const topics[] = {"", "a/#", "+", "\xff"};
	const struct span none = {NULL, 0};
	uint8_t text[256];
	struct world w;

	world_init(&w);
	struct shm_connect c = {.connection = {3, 1}, .receive_max = 10, .flags = SHM_CONNECT_WILL};
	struct span will = encode_will(text, "t");
	uint32_t bad = 0;
	for (size_t size = 0; size < will.size; size++)
		CU_ASSERT(link_fake_connect(&w.workers[0], &c, span_str("id"), none, none,
				  (struct span){text, size}) &&
			  ++bad);
	text[will.size] = 0;
	will.size++;
	CU_ASSERT(link_fake_connect(&w.workers[0], &c, span_str("id"), none, none, will) && ++bad);
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		CU_ASSERT(link_fake_connect(&w.workers[0], &c, span_str("id"), none, none,
				  encode_will(text, topics[i])) &&
			  ++bad);
	c.flags = 0; /* a text, though no flag says so */
	CU_ASSERT(link_fake_connect(
			  &w.workers[0], &c, span_str("id"), none, none, encode_will(text, "t")) &&
		  ++bad);
	turn(&w);
	CU_ASSERT(played.count == 0 && count_err(&w, ERR_SLOT_BAD) == bad);
	world_fini(&w);
}

static void who_is_not_ready_waits_and_others_do_not(void)
{
	struct world w;
	struct shm_work work = {.session = 1, .entry = 1};

	world_init(&w);
	played.connect_later = true;
	CU_ASSERT(connect(&w, 0, 1, "a"));
	CU_ASSERT(link_fake_work(&w.workers[0], SHM_COMMAND_SETTLED, &work, span_str("")));
	turn(&w);
	CU_ASSERT(played.count == 1 && played.calls[0].type == SHM_COMMAND_SETTLED);
	CU_ASSERT(controlplane_next_us(w.control, w.now) == w.now.us + CONTROLPLANE_RETRY_US);
	played.connect_later = false;
	turn(&w);
	CU_ASSERT(link_fake_next(&w.workers[0]).slot.type == SHM_EVENT_GRANT);
	world_fini(&w);
}

static void the_end_of_a_session_is_told(void)
{
	struct world w;

	world_init(&w);
	CU_ASSERT(connect(&w, 0, 1, "a"));
	turn(&w);
	const struct shm_grant grant = link_fake_next(&w.workers[0]).slot.grant;
	const struct shm_closed closed = {.connection = {1, 1}, .epoch = grant.epoch};
	forget_calls();
	CU_ASSERT(link_fake_say(&w.workers[0], SHM_COMMAND_CLOSED, &closed, sizeof(closed)));
	turn(&w);
	CU_ASSERT_FATAL(played.count == 1);
	CU_ASSERT(
		played.calls[0].gone[0] == grant.session && played.calls[0].gone[1] == grant.epoch);
	world_fini(&w);
}

/* The dataplane is another one: what it had is gone, before it says a word. */
static void a_dead_dataplane_ends_its_sessions(void)
{
	struct world w;

	world_init(&w);
	CU_ASSERT(connect(&w, 0, 1, "a"));
	turn(&w);
	forget_calls();
	shm_region_start(w.dp, 7);
	turn(&w);
	CU_ASSERT(played.count == 1 && played.calls[0].type == SHM_COMMAND_CLOSED);
	world_fini(&w);
}

static void a_live_session_is_placed_or_turned_out(void)
{
	struct world w;

	for (int known = 0; known < 2; known++) {
		world_init(&w);
		CU_ASSERT(connect(&w, 0, 1, "a"));
		turn(&w);
		const struct shm_grant grant = link_fake_next(&w.workers[0]).slot.grant;
		start_control(&w);
		forget_calls();
		CU_ASSERT(link_fake_hello(&w.workers[0], true));
		struct shm_connect c = {.connection = {1, 1},
			.receive_max = 10,
			.flags = SHM_CONNECT_AGAIN | SHM_CONNECT_LIVE,
			.epoch = grant.epoch};
		const struct shm_position p = {
			.connection = {1, 1}, .session = 5, .delivered = 9, .receive_max = 10};
		const struct span none = {NULL, 0};
		CU_ASSERT(link_fake_connect(&w.workers[0], &c, span_str("a"), none, none, none));
		CU_ASSERT(link_fake_say(&w.workers[0], SHM_COMMAND_POSITION, &p, sizeof(p)));
		played.unknown = known == 0;
		turn(&w);
		CU_ASSERT_FATAL(played.count >= 2);
		CU_ASSERT(played.calls[1].type == SHM_COMMAND_POSITION);
		CU_ASSERT(played.calls[1].position.delivered == 9);
		const struct link_event e = link_fake_next(&w.workers[0]);
		CU_ASSERT(e.slot.type == (known ? 0 : SHM_EVENT_REVOKE));
		world_fini(&w);
	}
}

static void effect(
	uint32_t worker, uint8_t type, uint8_t size, uint64_t number, struct span a, struct span b)
{
	struct sessions_effect *e = &played.effects[worker][played.end[worker]++];

	CU_ASSERT_FATAL(played.end[worker] <= EFFECTS);
	*e = (struct sessions_effect){.type = type, .size = size, .text = {a, b}};
	e->done.sequence = number;
	if (type == SHM_EVENT_DELIVER)
		e->deliver = (struct shm_deliver){.entry = number};
}

static void effect_done(uint32_t worker, uint64_t number)
{
	const struct span none = {NULL, 0};

	effect(worker, SHM_EVENT_DONE, sizeof(struct shm_done), number, none, none);
}

static void effect_deliver(uint32_t worker, uint64_t number, struct span a, struct span b)
{
	effect(worker, SHM_EVENT_DELIVER, sizeof(struct shm_deliver), number, a, b);
}

static void effects_arrive_with_their_text(void)
{
	const struct span none = {NULL, 0};
	struct world w;

	world_init(&w);
	effect_deliver(1, 1, span_str("head"), span_str("body"));
	effect_deliver(1, 2, none, none);
	effect_done(1, 3);
	effect(1, SHM_EVENT_QUEUE_SUBSCRIBE, sizeof(struct shm_replica), 4, span_str("a/#"), none);
	effect(1, SHM_EVENT_PUBLISH, sizeof(struct shm_publish), 5, span_str("p"), none);
	effect(1, SHM_EVENT_RETAINED, sizeof(struct shm_retained), 0, none, span_str("r"));
	effect(1, SHM_EVENT_LOADED, 0, 0, none, none);
	turn(&w);
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
	world_fini(&w);
}

/* The next event, with turns as long as only parts come. */
static struct link_event wait_event(struct world *w, uint32_t worker)
{
	struct link_event e = link_fake_next(&w->workers[worker]);

	for (int i = 0; e.slot.type == 0 && i < PATIENCE; i++) {
		turn(w);
		e = link_fake_next(&w->workers[worker]);
	}
	return e;
}

static void long_effects_go_in_parts(void)
{
	const size_t sizes[] = {
		SHM_PART_BYTES, SHM_PART_BYTES + 1, 3 * SHM_PART_BYTES, LONG, SHM_ARENA_BYTES};
	const struct span none = {NULL, 0};
	struct world w;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		world_init(&w);
		const struct span text = long_text(sizes[i]);
		const size_t cut = sizes[i] / 3;
		effect_deliver(0, 1, (struct span){text.at, cut}, span_skip(text, cut));
		effect_done(0, 2);
		effect_deliver(0, 3, text, none);
		turn(&w);
		struct link_event e = wait_event(&w, 0);
		CU_ASSERT(e.slot.type == SHM_EVENT_DELIVER && span_equal(e.text, text));
		CU_ASSERT(e.slot.deliver.text_size == text.size);
		CU_ASSERT(e.parts == (sizes[i] - 1) / SHM_PART_BYTES);
		e = wait_event(&w, 0);
		CU_ASSERT(e.slot.type == SHM_EVENT_DONE && e.slot.done.sequence == 2);
		e = wait_event(&w, 0);
		CU_ASSERT(e.slot.deliver.entry == 3 && span_equal(e.text, text));
		world_fini(&w);
	}
}

/* More than the ring holds, of all sizes, taken at random moments: all arrive, in order, whole. */
static void nothing_is_lost_when_room_runs_out(void)
{
	struct rng rng = rng_from(unit_seed());
	const struct span all = long_text(LONG), none = {NULL, 0};
	struct world w;
	uint32_t got = 0, sent = 0;

	world_init(&w);
	while (sent < 3000) {
		const uint32_t dice = rng_below(&rng, 100);
		const size_t size = dice < 70   ? rng_below(&rng, 300)
				    : dice < 99 ? rng_below(&rng, 100000)
						: rng_below(&rng, LONG);
		const size_t at = rng_below(&rng, (uint32_t)(LONG - size));
		effect_deliver(0, sent++, (struct span){all.at + at, size}, none);
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
	CU_ASSERT(count_err(&w, ERR_RING_FULL) + count_err(&w, ERR_ARENA_FULL) > 0);
	world_fini(&w);
}

static void a_full_ring_resumes(void)
{
	struct world w;

	world_init(&w);
	for (uint32_t i = 0; i < 3 * SHM_RING_SLOTS; i++)
		effect_done(0, i);
	effect_done(1, 77);
	turn(&w);
	CU_ASSERT(count_err(&w, ERR_RING_FULL) == 1);
	CU_ASSERT(controlplane_next_us(w.control, w.now) == w.now.us + CONTROLPLANE_RETRY_US);
	CU_ASSERT(link_fake_next(&w.workers[1]).slot.done.sequence == 77);
	for (uint32_t i = 0; i < 3 * SHM_RING_SLOTS; i++)
		CU_ASSERT_FATAL(wait_event(&w, 0).slot.done.sequence == i);
	turn(&w);
	CU_ASSERT(controlplane_next_us(w.control, w.now) > w.now.us + CONTROLPLANE_RETRY_US);
	world_fini(&w);
}

/* A GRANT comes before what the sessions say next, and never between a text's parts. */
static void grants_come_between_effects(void)
{
	const struct span none = {NULL, 0};
	struct world w;

	world_init(&w);
	effect_deliver(0, 1, long_text(LONG), none);
	effect_done(0, 2);
	turn(&w); /* the first has begun */
	CU_ASSERT(connect(&w, 0, 1, "a"));
	turn(&w);
	struct link_event e = wait_event(&w, 0);
	CU_ASSERT(e.slot.type == SHM_EVENT_DELIVER && span_equal(e.text, long_text(LONG)));
	e = wait_event(&w, 0);
	CU_ASSERT(e.slot.type == SHM_EVENT_GRANT);
	e = wait_event(&w, 0);
	CU_ASSERT(e.slot.type == SHM_EVENT_DONE);
	world_fini(&w);
}

static void what_has_begun_is_finished(void)
{
	uint8_t *text = malloc(LONG);
	const struct span none = {NULL, 0};
	struct world w;

	world_init(&w);
	memcpy(text, long_text(LONG).at, LONG);
	effect_deliver(0, 1, (struct span){text, LONG}, none);
	turn(&w);
	memset(text, 0, LONG);
	free(text); /* the sessions have other things to do */
	const struct link_event e = wait_event(&w, 0);
	CU_ASSERT(e.slot.type == SHM_EVENT_DELIVER && span_equal(e.text, long_text(LONG)));
	world_fini(&w);
}

static void what_has_begun_is_not_for_the_next_dataplane(void)
{
	const struct span none = {NULL, 0};
	struct world w;

	world_init(&w);
	effect_deliver(0, 1, long_text(LONG), none);
	turn(&w);
	start_workers(&w);
	turn(&w);
	effect_done(0, 2);
	turn(&w);
	struct link_event e = wait_event(&w, 0);
	/* The parts in the ring are for the dead; this one would skip them. */
	CU_ASSERT(e.slot.type == SHM_EVENT_DONE && e.slot.receiver == 2);
	world_fini(&w);
}

static void a_dead_store_ends_everything(void)
{
	struct world w;
	bool worked;

	world_init(&w);
	CU_ASSERT(connect(&w, 0, 1, "a"));
	effect_done(0, 1);
	played.dead = ERR_STORAGE_IO;
	CU_ASSERT(controlplane_turn(w.control, w.now, &worked) == ERR_STORAGE_IO && !worked);
	played.dead = ERR_NONE; /* it does not come back */
	CU_ASSERT(controlplane_turn(w.control, w.now, &worked) == ERR_STORAGE_IO && !worked);
	CU_ASSERT(played.count == 0 && link_fake_next(&w.workers[0]).slot.type == 0);
	CU_ASSERT(count_err(&w, ERR_STORAGE_IO) == 1);
	/* The next one finds what was not taken. */
	start_control(&w);
	turn(&w);
	CU_ASSERT(played.count == 1 && played.calls[0].type == SHM_COMMAND_CONNECT);
	world_fini(&w);
}

static void a_store_that_cannot_be_used_starts_nothing(void)
{
	struct world w;
	struct controlplane *none = NULL;

	world_init(&w);
	const struct controlplane_conf conf = {.cp = w.cp,
		.cp_counters = w.counters,
		.dp = w.dp,
		.workers = WORKERS,
		.config = &w.config,
		.store = &store};
	played.dead = ERR_STORAGE_VERSION;
	const uint64_t before = ((struct shm_header *)w.cp)->generation;
	CU_ASSERT(controlplane_create(&conf, w.now, &none) == ERR_STORAGE_VERSION && none == NULL);
	CU_ASSERT(((struct shm_header *)w.cp)->generation == before);
	played.dead = ERR_NONE;
	world_fini(&w);
}

static void the_store_is_counted(void)
{
	struct ipc_facts facts;
	struct world w;

	world_init(&w);
	told = (struct storage_facts){.batches = 10,
		.syncs = 4,
		.unsynced = 3,
		.sync_us_last = 500,
		.sync_us_max = 900,
		.disk_bytes = 4096};
	w.now.us += CONTROLPLANE_BEAT_US;
	turn(&w);
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
	world_fini(&w);
}

static const struct unit_test tests[] = {
	{"work_arrives_as_it_was_meant", work_arrives_as_it_was_meant},
	{"other_words_arrive", other_words_arrive},
	{"a_long_store_is_joined", a_long_store_is_joined},
	{"parts_do_not_mix", parts_do_not_mix},
	{"a_store_that_does_not_add_up_has_no_text", a_store_that_does_not_add_up_has_no_text},
	{"parts_are_bounded", parts_are_bounded},
	{"parts_of_the_dead_are_forgotten", parts_of_the_dead_are_forgotten},
	{"what_must_wait_holds_up_only_its_worker", what_must_wait_holds_up_only_its_worker},
	{"lies_in_slots_are_found_out", lies_in_slots_are_found_out},
	{"filters_and_names_are_text", filters_and_names_are_text},
	{"a_connect_brings_its_will", a_connect_brings_its_will},
	{"wills_that_cannot_be_are_refused", wills_that_cannot_be_are_refused},
	{"who_is_not_ready_waits_and_others_do_not", who_is_not_ready_waits_and_others_do_not},
	{"the_end_of_a_session_is_told", the_end_of_a_session_is_told},
	{"a_dead_dataplane_ends_its_sessions", a_dead_dataplane_ends_its_sessions},
	{"a_live_session_is_placed_or_turned_out", a_live_session_is_placed_or_turned_out},
	{"effects_arrive_with_their_text", effects_arrive_with_their_text},
	{"long_effects_go_in_parts", long_effects_go_in_parts},
	{"nothing_is_lost_when_room_runs_out", nothing_is_lost_when_room_runs_out},
	{"a_full_ring_resumes", a_full_ring_resumes},
	{"grants_come_between_effects", grants_come_between_effects},
	{"what_has_begun_is_finished", what_has_begun_is_finished},
	{"what_has_begun_is_not_for_the_next_dataplane",
		what_has_begun_is_not_for_the_next_dataplane},
	{"a_dead_store_ends_everything", a_dead_store_ends_everything},
	{"a_store_that_cannot_be_used_starts_nothing", a_store_that_cannot_be_used_starts_nothing},
	{"the_store_is_counted", the_store_is_counted},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("link", tests, argc, argv);
}
