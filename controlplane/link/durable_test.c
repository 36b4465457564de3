/* durable_test.c - both ends of the link with the real sessions and a store in memory: nothing is
 * answered before it is on the disk, and what was answered outlives either plane, both, and the
 * power. */
#include "controlplane/link/controlplane.h"
#include "dataplane/shm/parcel.h"
#include "storage/memory/memory.h"
#include "tests/link/link_fake.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

enum { WORKERS = 2, SYNC_US = 1000, TURNS = 200, LONG = (2 << 20) + 77 };

struct world {
	struct memory_disk *disk;
	struct storage *store;
	void *dp, *cp, *counters;
	struct shm_config config;
	struct controlplane *control;
	struct link_fake workers[WORKERS];
	uint64_t now_us;
	enum err died; /* what the last turn said */
};

static struct sessions_now now_of(const struct world *w)
{
	return (struct sessions_now){w->now_us, 1700000000000 + w->now_us / 1000};
}

static void *region_new(enum shm_region kind)
{
	void *base = aligned_alloc(SHM_PAGE, shm_region_bytes(kind, WORKERS));

	memset(base, 0, shm_region_bytes(kind, WORKERS));
	shm_region_init(base, kind, WORKERS);
	return base;
}

/* As the launcher does it when it starts. */
static void regions_create(struct world *w)
{
	w->dp = region_new(SHM_DP);
	w->cp = region_new(SHM_CP);
	w->counters = region_new(SHM_CP_COUNTERS);
}

static void regions_destroy(struct world *w)
{
	free(w->dp);
	free(w->cp);
	free(w->counters);
}

static void start_control(struct world *w)
{
	w->store = storage_memory_open(w->disk, w->now_us);
	CU_ASSERT_FATAL(w->store != NULL);
	const struct controlplane_conf conf = {.cp = w->cp,
		.cp_counters = w->counters,
		.dp = w->dp,
		.workers = WORKERS,
		.config = &w->config,
		.store = w->store};
	CU_ASSERT_FATAL(controlplane_create(&conf, now_of(w), &w->control) == ERR_NONE);
}

static void kill_control(struct world *w)
{
	controlplane_destroy(&w->control);
	storage_memory_kill(&w->store);
}

/* One moment: whatever can be done without waiting. */
static void turn(struct world *w)
{
	bool worked = true;

	w->died = ERR_NONE;
	for (int i = 0; worked && w->died == ERR_NONE && i < TURNS; i++) {
		storage_memory_now(w->store, w->now_us);
		w->died = controlplane_turn(w->control, now_of(w), &worked);
		if (w->died == ERR_NONE)
			sessions_check(controlplane_sessions(w->control));
	}
}

/* Time goes on. */
static void pass(struct world *w, uint64_t us)
{
	w->now_us += us;
	turn(w);
}

static void start_workers(struct world *w, bool loaded)
{
	shm_region_start(w->dp, 6);
	for (uint32_t i = 0; i < WORKERS; i++) {
		link_fake_start(&w->workers[i], w->dp, w->cp, i);
		CU_ASSERT(link_fake_hello(&w->workers[i], loaded));
	}
}

/* The same workers, to a new control plane. */
static void greet(struct world *w, uint32_t worker)
{
	CU_ASSERT(link_fake_hello(&w->workers[worker], true));
}

static void resynced(struct world *w)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		CU_ASSERT(link_fake_say(&w->workers[i], SHM_COMMAND_RESYNCED, NULL, 0));
}

/* The next event that is of that type; others are dropped. Type 0: it did not come. */
static struct link_event hear(struct world *w, uint32_t worker, enum shm_event type)
{
	for (int i = 0; i < TURNS; i++) {
		const struct link_event e = link_fake_next(&w->workers[worker]);
		if (e.slot.type == type && e.slot.receiver == w->workers[worker].commands.sender &&
			e.slot.sender == (uint32_t)((struct shm_header *)w->cp)->generation)
			return e;
		if (e.slot.type == 0)
			turn(w);
	}
	return (struct link_event){.parts = 0};
}

/* Up to that number, and not further. */
static bool is_done(struct world *w, uint32_t worker, uint64_t sequence)
{
	struct link_event e;

	do
		e = hear(w, worker, SHM_EVENT_DONE);
	while (e.slot.type != 0 && e.slot.done.sequence < sequence);
	return e.slot.done.sequence == sequence;
}

/* That the dataplane is another one is on the disk by then. */
static void loaded(struct world *w)
{
	turn(w);
	pass(w, 2 * SYNC_US);
	for (uint32_t i = 0; i < WORKERS; i++)
		CU_ASSERT(hear(w, i, SHM_EVENT_LOADED).slot.type != 0);
	turn(w);
}

static void world_init(struct world *w, const char *durability)
{
	*w = (struct world){.now_us = 1000000,
		.disk = memory_disk_create(&(struct memory_disk_conf){
			.sync_us = SYNC_US, .sync_interval_us = 100 * SYNC_US}),
		.config = {.connections_max = 100,
			.sessions_max = 100,
			.packet_size_max = 4 << 20,
			.queue_messages_max = 1000,
			.queue_bytes_max = 1 << 28,
			.inflight_max = 10,
			.receive_max = 10,
			.session_expiry_max_s = UINT32_MAX,
			.retained_max = 100,
			.retained_bytes_max = 1 << 20,
			.takeover_timeout_us = 2000000}};
	snprintf(w->config.durability, sizeof(w->config.durability), "%s", durability);
	regions_create(w);
	start_control(w);
	start_workers(w, false);
	loaded(w);
}

static void world_fini(struct world *w)
{
	kill_control(w);
	memory_disk_destroy(&w->disk);
	for (uint32_t i = 0; i < WORKERS; i++)
		link_fake_stop(&w->workers[i]);
	regions_destroy(w);
}

static void say_connect(struct world *w, uint32_t worker, uint32_t index, const char *id)
{
	const struct span none = {NULL, 0};
	struct shm_connect c = {
		.connection = {index, 1}, .receive_max = 10, .session_expiry_s = 3600};

	CU_ASSERT(link_fake_connect(&w->workers[worker], &c, span_str(id), none, none, none));
}

static struct shm_grant connect(struct world *w, uint32_t worker, uint32_t index, const char *id)
{
	say_connect(w, worker, index, id);
	for (int i = 0; i < 4; i++)
		pass(w, SYNC_US);
	const struct link_event e = hear(w, worker, SHM_EVENT_GRANT);
	CU_ASSERT_FATAL(e.slot.type == SHM_EVENT_GRANT && e.slot.grant.verdict == SHM_GRANTED);
	CU_ASSERT(e.slot.grant.connection.index == index);
	return e.slot.grant;
}

static void apply(struct world *w, uint32_t worker, enum shm_event type)
{
	const struct link_event e = hear(w, worker, type);
	const struct shm_applied a = {.token = e.slot.replica.token};

	CU_ASSERT(e.slot.type != 0 && a.token != 0);
	CU_ASSERT(link_fake_say(&w->workers[worker], SHM_COMMAND_APPLIED, &a, sizeof(a)));
}

static void subscribe(struct world *w, uint32_t worker, uint64_t session, const char *filter)
{
	struct shm_work work = {.session = session, .qos = 2};
	struct link_fake *f = &w->workers[worker];

	CU_ASSERT(link_fake_work(f, SHM_COMMAND_SUBSCRIBE, &work, span_str(filter)));
	turn(w);
	for (uint32_t i = 0; i < WORKERS; i++)
		apply(w, i, SHM_EVENT_QUEUE_SUBSCRIBE);
	turn(w);
	pass(w, 2 * SYNC_US);
	CU_ASSERT(is_done(w, worker, f->sequence));
}

static struct span store_text(uint64_t session, struct span payload, uint8_t **to)
{
	const struct parcel p = {
		.topic = span_str("a/b"), .payload_size = (uint32_t)payload.size, .qos = 1};
	const struct store_target t = {.session = session, .qos = 1};
	const size_t room = payload.size + 256;

	*to = malloc(room);
	struct writer writer = writer_of(*to, room);
	store_encode_count(&writer, 1);
	store_encode_target(&writer, &t);
	parcel_encode_head(&writer, &p);
	write_bytes(&writer, payload);
	CU_ASSERT_FATAL(!writer.bad);
	return writer_span(&writer);
}

static void say_store(struct world *w, uint32_t worker, uint64_t session, struct span payload)
{
	struct shm_work work = {.qos = 1};
	uint8_t *bytes;
	const struct span text = store_text(session, payload, &bytes);
	bool said = false;

	for (int i = 0; !said && i < TURNS; i++) {
		said = link_fake_work(&w->workers[worker], SHM_COMMAND_STORE, &work, text);
		if (!said)
			turn(w);
	}
	CU_ASSERT(said);
	free(bytes);
}

/* The payload of a DELIVER. */
static void check_delivered(const struct link_event *e, struct span payload)
{
	struct parcel p;

	CU_ASSERT_FATAL(e->slot.type == SHM_EVENT_DELIVER);
	CU_ASSERT_FATAL(parcel_decode(e->text, &p) == ERR_NONE);
	CU_ASSERT(span_equal(p.payload, payload) && span_equal(p.topic, span_str("a/b")));
	CU_ASSERT(p.born_ms > 1700000000000);
}

static void settle(struct world *w, uint32_t worker, uint64_t session, uint64_t entry)
{
	struct shm_work work = {.session = session, .entry = entry};

	CU_ASSERT(link_fake_work(
		&w->workers[worker], SHM_COMMAND_SETTLED, &work, (struct span){NULL, 0}));
	turn(w);
	pass(w, 2 * SYNC_US);
}

static void a_session_is_granted_when_it_is_down(void)
{
	struct world w;

	world_init(&w, "synced");
	say_connect(&w, 0, 1, "a");
	turn(&w);
	CU_ASSERT(link_fake_next(&w.workers[0]).slot.type == 0);
	pass(&w, SYNC_US);
	CU_ASSERT(hear(&w, 0, SHM_EVENT_GRANT).slot.grant.connection.index == 1);
	world_fini(&w);
}

static void work_is_done_when_it_is_down(void)
{
	struct world w;

	world_init(&w, "synced");
	struct shm_grant g = connect(&w, 1, 1, "a");
	CU_ASSERT(g.session != 0 && g.durable == 1 && g.session_present == 0);
	subscribe(&w, 1, g.session, "a/#");
	say_store(&w, 0, g.session, span_str("hello"));
	turn(&w);
	CU_ASSERT(link_fake_next(&w.workers[0]).slot.type == 0);
	CU_ASSERT(link_fake_next(&w.workers[1]).slot.type == 0);
	pass(&w, SYNC_US);
	CU_ASSERT(is_done(&w, 0, 1));
	const struct link_event e = hear(&w, 1, SHM_EVENT_DELIVER);
	check_delivered(&e, span_str("hello"));
	settle(&w, 1, g.session, e.slot.deliver.entry);
	CU_ASSERT(is_done(&w, 1, 2));
	world_fini(&w);
}

static struct span long_payload(void)
{
	static uint8_t bytes[LONG];

	for (size_t i = 0; i < LONG; i++)
		bytes[i] = (uint8_t)(i * 13 + (i >> 9));
	return (struct span){bytes, LONG};
}

static void long_messages_cross_twice(void)
{
	struct world w;

	world_init(&w, "synced");
	const struct shm_grant g = connect(&w, 1, 1, "a");
	subscribe(&w, 1, g.session, "a/#");
	say_store(&w, 0, g.session, long_payload());
	turn(&w);
	pass(&w, 2 * SYNC_US);
	CU_ASSERT(is_done(&w, 0, 1));
	const struct link_event e = hear(&w, 1, SHM_EVENT_DELIVER);
	CU_ASSERT(e.parts > 0);
	check_delivered(&e, long_payload());
	world_fini(&w);
}

static void nonsense_is_refused_by_number(void)
{
	struct shm_work work = {.qos = 1};
	struct world w;

	world_init(&w, "synced");
	CU_ASSERT(link_fake_work(&w.workers[0], SHM_COMMAND_STORE, &work, span_str("nonsense")));
	CU_ASSERT(
		link_fake_work(&w.workers[0], SHM_COMMAND_SETTLED, &work, (struct span){NULL, 0}));
	turn(&w);
	pass(&w, 2 * SYNC_US);
	struct link_event e = hear(&w, 0, SHM_EVENT_REFUSED);
	CU_ASSERT(e.slot.done.sequence == 1 && e.slot.done.err == ERR_SLOT_BAD);
	e = hear(&w, 0, SHM_EVENT_REFUSED);
	CU_ASSERT(e.slot.done.sequence == 2 && e.slot.done.err == ERR_SLOT_BAD);
	CU_ASSERT(is_done(&w, 0, 2));
	world_fini(&w);
}

/* A CONNECT without a client id, and a will. */
static void say_nameless(struct world *w, uint8_t flags)
{
	static const char payload[] = "gone";
	const struct parcel p = {
		.topic = span_str("w"), .payload_size = sizeof(payload) - 1, .qos = 1};
	const struct span none = {NULL, 0};
	struct shm_connect c = {.connection = {1, 1},
		.receive_max = 10,
		.flags = SHM_CONNECT_WILL | flags,
		.epoch = 0xabcdef};
	uint8_t text[128];
	struct writer will = writer_of(text, sizeof(text));

	write_u32(&will, 0);
	parcel_encode_head(&will, &p);
	write_bytes(&will, span_str(payload));
	CU_ASSERT(link_fake_connect(&w->workers[0], &c, none, none, none, writer_span(&will)));
}

/* The first one has written it down and was not heard: the second must not take it for another
 * client's, whose will is due. */
static void a_name_that_was_given_is_given_again(void)
{
	static const char name[] = "sb-0000000000abcdef";
	struct world w;

	world_init(&w, "synced");
	say_nameless(&w, 0);
	for (int i = 0; i < 4; i++)
		pass(&w, SYNC_US);
	kill_control(&w);
	start_control(&w);
	for (uint32_t i = 0; i < WORKERS; i++)
		greet(&w, i);
	say_nameless(&w, SHM_CONNECT_AGAIN);
	resynced(&w);
	for (int i = 0; i < 4; i++)
		pass(&w, SYNC_US);
	const struct shm_grant g = hear(&w, 0, SHM_EVENT_GRANT).slot.grant;
	CU_ASSERT(g.verdict == SHM_GRANTED && g.session != 0 && g.session_present == 0);
	CU_ASSERT_FATAL(g.assigned_size == sizeof(name) - 1);
	CU_ASSERT(memcmp(g.assigned, name, g.assigned_size) == 0);
	pass(&w, 5000000);
	CU_ASSERT(hear(&w, 0, SHM_EVENT_PUBLISH).slot.type == 0);
	CU_ASSERT(hear(&w, 1, SHM_EVENT_PUBLISH).slot.type == 0);
	world_fini(&w);
}

/* The STORE is down, its DONE was not heard: said again, it is answered and not applied. */
static void a_new_control_plane_applies_nothing_twice(void)
{
	struct world w;

	world_init(&w, "synced");
	const struct shm_grant g = connect(&w, 1, 1, "a");
	subscribe(&w, 1, g.session, "a/#");
	say_store(&w, 0, g.session, span_str("once"));
	turn(&w);
	pass(&w, SYNC_US);
	kill_control(&w);
	start_control(&w);
	greet(&w, 0);
	greet(&w, 1);
	w.workers[0].sequence = 0;
	say_store(&w, 0, g.session, span_str("once"));
	say_store(&w, 0, g.session, span_str("twice"));
	say_connect(&w, 1, 2, "a");
	resynced(&w);
	turn(&w);
	pass(&w, 2 * SYNC_US);
	pass(&w, 2 * SYNC_US);
	CU_ASSERT(is_done(&w, 0, 2));
	struct link_event e = hear(&w, 1, SHM_EVENT_DELIVER);
	check_delivered(&e, span_str("once"));
	e = hear(&w, 1, SHM_EVENT_DELIVER);
	check_delivered(&e, span_str("twice"));
	CU_ASSERT(hear(&w, 1, SHM_EVENT_DELIVER).slot.type == 0);
	world_fini(&w);
}

static void a_new_dataplane_is_told_everything(void)
{
	struct world w;

	world_init(&w, "synced");
	struct shm_grant g = connect(&w, 1, 1, "a");
	subscribe(&w, 1, g.session, "a/#");
	say_store(&w, 0, g.session, span_str("kept"));
	turn(&w);
	pass(&w, 2 * SYNC_US);
	start_workers(&w, false);
	turn(&w);
	pass(&w, 2 * SYNC_US);
	for (uint32_t i = 0; i < WORKERS; i++) {
		const struct link_event e = hear(&w, i, SHM_EVENT_QUEUE_SUBSCRIBE);
		CU_ASSERT(e.slot.replica.session == g.session && e.slot.replica.token == 0);
		CU_ASSERT(span_equal(e.text, span_str("a/#")));
		CU_ASSERT(hear(&w, i, SHM_EVENT_LOADED).slot.type != 0);
	}
	turn(&w);
	const struct shm_grant again = connect(&w, 0, 9, "a");
	CU_ASSERT(again.session == g.session && again.session_present == 1);
	const struct link_event e = hear(&w, 0, SHM_EVENT_DELIVER);
	check_delivered(&e, span_str("kept"));
	world_fini(&w);
}

/* Everything dies, shared memory too: numbers start again, and must not be taken for old ones. */
static void all_die_and_the_power_goes(void)
{
	struct world w;

	world_init(&w, "synced");
	struct shm_grant g = connect(&w, 1, 1, "a");
	subscribe(&w, 1, g.session, "a/#");
	say_store(&w, 0, g.session, span_str("one"));
	say_store(&w, 0, g.session, span_str("two"));
	turn(&w);
	pass(&w, 2 * SYNC_US);
	CU_ASSERT(is_done(&w, 0, 2));
	say_store(&w, 0, g.session, span_str("lost, and not acknowledged"));
	turn(&w);
	controlplane_destroy(&w.control);
	storage_memory_crash(&w.store, 0);
	regions_destroy(&w);
	regions_create(&w);
	start_control(&w);
	start_workers(&w, false);
	loaded(&w);
	const struct shm_grant again = connect(&w, 0, 1, "a");
	CU_ASSERT(again.session == g.session && again.session_present == 1);
	struct link_event e = hear(&w, 0, SHM_EVENT_DELIVER);
	check_delivered(&e, span_str("one"));
	e = hear(&w, 0, SHM_EVENT_DELIVER);
	check_delivered(&e, span_str("two"));
	say_store(&w, 0, g.session, span_str("three"));
	turn(&w);
	pass(&w, 2 * SYNC_US);
	e = hear(&w, 0, SHM_EVENT_DELIVER);
	check_delivered(&e, span_str("three"));
	world_fini(&w);
}

static void a_disk_that_fails_ends_it(void)
{
	static const enum memory_fault faults[] = {MEMORY_FAULT_SYNC, MEMORY_FAULT_SUBMIT};

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct world w;
		world_init(&w, "synced");
		const struct shm_grant g = connect(&w, 1, 1, "a");
		subscribe(&w, 1, g.session, "a/#");
		memory_disk_fail(w.disk, faults[i], 1, ERR_STORAGE_IO);
		say_store(&w, 0, g.session, span_str("refused by fate"));
		turn(&w);
		if (w.died == ERR_NONE)
			pass(&w, 2 * SYNC_US);
		CU_ASSERT(w.died == ERR_STORAGE_IO);
		CU_ASSERT(link_fake_next(&w.workers[0]).slot.type == 0);
		CU_ASSERT(link_fake_next(&w.workers[1]).slot.type == 0);
		kill_control(&w);
		start_control(&w);
		greet(&w, 0);
		greet(&w, 1);
		w.workers[0].sequence = 0;
		say_store(&w, 0, g.session, span_str("refused by fate"));
		resynced(&w);
		turn(&w);
		pass(&w, 2 * SYNC_US);
		CU_ASSERT(is_done(&w, 0, 1));
		world_fini(&w);
	}
}

static uint64_t unsynced(struct world *w)
{
	pass(w, CONTROLPLANE_BEAT_US);
	return counter_get(shm_counters_const(w->counters, 0), COUNTER_ACKNOWLEDGED_BUT_UNSYNCED);
}

/* What a stalled disk makes of the classes. */
static void the_counter_tells_what_a_power_cut_would_take(void)
{
	static const struct {
		const char *durability;
		bool answered;
	} rows[] = {{"synced", false}, {"journal", true}, {"memory", true}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct world w;
		world_init(&w, rows[i].durability);
		const struct shm_grant g = connect(&w, 1, 1, "a");
		subscribe(&w, 1, g.session, "a/#");
		pass(&w, 300 * SYNC_US);
		pass(&w, 300 * SYNC_US);
		memory_disk_stall(w.disk, true);
		say_store(&w, 0, g.session, span_str("x"));
		turn(&w);
		CU_ASSERT((unsynced(&w) > 0) == rows[i].answered);
		CU_ASSERT((hear(&w, 0, SHM_EVENT_DONE).slot.type != 0) == rows[i].answered);
		memory_disk_stall(w.disk, false);
		pass(&w, 300 * SYNC_US);
		pass(&w, 300 * SYNC_US);
		if (strcmp(rows[i].durability, "memory") != 0)
			CU_ASSERT(unsynced(&w) == 0);
		world_fini(&w);
	}
}

static const struct unit_test tests[] = {
	{"a_session_is_granted_when_it_is_down", a_session_is_granted_when_it_is_down},
	{"work_is_done_when_it_is_down", work_is_done_when_it_is_down},
	{"long_messages_cross_twice", long_messages_cross_twice},
	{"nonsense_is_refused_by_number", nonsense_is_refused_by_number},
	{"a_name_that_was_given_is_given_again", a_name_that_was_given_is_given_again},
	{"a_new_control_plane_applies_nothing_twice", a_new_control_plane_applies_nothing_twice},
	{"a_new_dataplane_is_told_everything", a_new_dataplane_is_told_everything},
	{"all_die_and_the_power_goes", all_die_and_the_power_goes},
	{"a_disk_that_fails_ends_it", a_disk_that_fails_ends_it},
	{"the_counter_tells_what_a_power_cut_would_take",
		the_counter_tells_what_a_power_cut_would_take},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("durable", tests, argc, argv);
}
