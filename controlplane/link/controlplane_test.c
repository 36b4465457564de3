/* controlplane_test.c - the control plane between rings: its own workers, virtual time, restarts of
 * either side, hostile slots, and a seeded walk in which both planes die at any moment. */
#include "controlplane/link/controlplane.h"

#include "controlplane/link/command.h"
#include "dataplane/base/rng.h"
#include "storage/memory/memory.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

enum { WORKERS = 2, SESSIONS = 2000, GRANT_US = 5000000, TAKEOVER_US = 2000000 };

struct worker {
	struct shm_tx tx;
	struct shm_rx rx;
	struct shm_arena arena;
};

struct world {
	void *dp, *cp, *cp_counters;
	struct shm_config config;
	struct memory_disk *disk;
	struct storage *store;
	struct controlplane *control;
	struct worker workers[WORKERS];
	uint64_t now;
};

static void *region_new(enum shm_region kind)
{
	void *base = aligned_alloc(SHM_PAGE, shm_region_bytes(kind, WORKERS));

	memset(base, 0, shm_region_bytes(kind, WORKERS));
	shm_region_init(base, kind, WORKERS);
	return base;
}

static struct sessions_now now_of(const struct world *w)
{
	return (struct sessions_now){.us = w->now, .wall_ms = 1700000000000 + w->now / 1000};
}

/* The one before is killed: what it had not on the disk is in the disk's cache. */
static void start_control(struct world *w)
{
	controlplane_destroy(&w->control);
	if (w->store != NULL)
		storage_memory_kill(&w->store);
	w->store = storage_memory_open(w->disk, w->now);
	CU_ASSERT_FATAL(w->store != NULL);
	const struct controlplane_conf conf = {.cp = w->cp,
		.cp_counters = w->cp_counters,
		.dp = w->dp,
		.workers = WORKERS,
		.pid = 5,
		.key = {3, 4},
		.config = &w->config,
		.store = w->store};
	CU_ASSERT_FATAL(controlplane_create(&conf, now_of(w), &w->control) == ERR_NONE);
}

static bool send_hello(struct world *w, uint32_t worker)
{
	const struct shm_hello hello = {.loaded = 1};

	return shm_tx_push(&w->workers[worker].tx, SHM_COMMAND_HELLO, &hello, sizeof(hello));
}

static bool send_resynced(struct world *w, uint32_t worker)
{
	return shm_tx_push(&w->workers[worker].tx, SHM_COMMAND_RESYNCED, NULL, 0);
}

static void start_workers(struct world *w)
{
	const uint64_t generation = shm_region_start(w->dp, 6);

	for (uint32_t i = 0; i < WORKERS; i++) {
		struct shm_dp_worker *dp = shm_dp_worker(w->dp, i);
		const struct shm_cp_worker *cp = shm_cp_worker_const(w->cp, i);
		struct worker *k = &w->workers[i];
		shm_tx_init(&k->tx, dp->commands, &dp->command_producer, &cp->command_consumer,
			(uint32_t)generation);
		shm_rx_init(&k->rx, cp->events, &cp->event_producer, &dp->event_consumer);
		shm_arena_init(&k->arena, dp->arena, k->tx.next);
		/* A full ring says no for now; the walk says it later. */
		if (!send_hello(w, i) || !send_resynced(w, i))
			continue;
	}
}

/* To a control plane that is new. */
static void greet(struct world *w)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		CU_ASSERT(send_hello(w, i));
}

static void world_init(struct world *w)
{
	*w = (struct world){.now = 1000000,
		.config = {.connections_max = SESSIONS,
			.sessions_max = SESSIONS,
			.packet_size_max = 1 << 20,
			.queue_messages_max = 1000,
			.queue_bytes_max = 1 << 24,
			.inflight_max = 100,
			.receive_max = 100,
			.session_expiry_max_s = UINT32_MAX,
			.retained_max = 100,
			.retained_bytes_max = 1 << 20,
			.durability = "synced",
			.grant_timeout_us = GRANT_US,
			.takeover_timeout_us = TAKEOVER_US,
			.mtu = 1500}};
	w->disk = memory_disk_create(&(struct memory_disk_conf){.sync_us = 0});
	w->dp = region_new(SHM_DP);
	w->cp = region_new(SHM_CP);
	w->cp_counters = region_new(SHM_CP_COUNTERS);
	start_control(w);
	start_workers(w);
}

static void world_fini(struct world *w)
{
	controlplane_destroy(&w->control);
	w->store->ops->close(&w->store);
	memory_disk_destroy(&w->disk);
	free(w->dp);
	free(w->cp);
	free(w->cp_counters);
}

static bool turn_once(struct world *w)
{
	bool worked;

	storage_memory_now(w->store, w->now);
	CU_ASSERT_FATAL(controlplane_turn(w->control, now_of(w), &worked) == ERR_NONE);
	registry_check(controlplane_registry(w->control));
	sessions_check(controlplane_sessions(w->control));
	return worked;
}

static void turn(struct world *w)
{
	while (turn_once(w))
		;
}

static bool send_connect(struct world *w, uint32_t worker, uint32_t index, const char *id,
	uint8_t flags, uint64_t epoch)
{
	struct worker *k = &w->workers[worker];
	const struct span parts[] = {span_str(id), span_str("user"), span_str("secret")};
	struct shm_connect c = {.connection = {index, 1},
		.client_id_size = (uint16_t)strlen(id),
		.username_size = 4,
		.password_size = 6,
		.flags = SHM_CONNECT_USERNAME | SHM_CONNECT_PASSWORD | flags,
		.protocol = 1,
		.version = 5,
		.keepalive_s = 60,
		.receive_max = 10,
		.epoch = epoch};

	return shm_arena_put(&k->arena, &k->tx, parts, ARRAY_SIZE(parts), &c.text) &&
	       shm_tx_push(&k->tx, SHM_COMMAND_CONNECT, &c, sizeof(c));
}

static bool send_closed(struct world *w, uint32_t worker, uint32_t index, uint64_t epoch)
{
	const struct shm_closed c = {.connection = {index, 1}, .epoch = epoch};
	return shm_tx_push(&w->workers[worker].tx, SHM_COMMAND_CLOSED, &c, sizeof(c));
}

/* The next event of a worker; type 0: none. */
static struct shm_slot next_event(struct world *w, uint32_t worker)
{
	struct shm_slot slot;

	memset(&slot, 0, sizeof(slot));
	if (shm_rx_pop(&w->workers[worker].rx, &slot) == SHM_POPPED)
		shm_rx_done(&w->workers[worker].rx);
	return slot;
}

static uint64_t count(const struct world *w, enum counter id)
{
	return counter_get(shm_counters_const(w->cp_counters, 0), id);
}

static uint64_t count_err(const struct world *w, enum err e)
{
	return count(w, (enum counter)(COUNTER_NAMED + (unsigned)e));
}

/* Expects a grant for (worker, index) and returns its epoch. */
static uint64_t granted(struct world *w, uint32_t worker, uint32_t index)
{
	const struct shm_slot slot = next_event(w, worker);

	CU_ASSERT(slot.type == SHM_EVENT_GRANT);
	CU_ASSERT(slot.grant.verdict == SHM_GRANTED && slot.grant.session_present == 0);
	CU_ASSERT(slot.grant.connection.index == index && slot.grant.connection.generation == 1);
	return slot.grant.epoch;
}

static void a_start_is_visible(void)
{
	struct world w;
	struct shm_config config;
	uint64_t sequence;

	world_init(&w);
	const struct shm_header *h = w.cp;
	CU_ASSERT(h->generation == 1 && h->ready == 1 && h->pid == 5);
	CU_ASSERT(h->heartbeat_us == w.now);
	CU_ASSERT(shm_config_read(shm_config_page_const(w.cp), &config, &sequence));
	CU_ASSERT(config.mtu == 1500 && config.workers == WORKERS);
	w.now += CONTROLPLANE_BEAT_US;
	CU_ASSERT(controlplane_next_us(w.control, now_of(&w)) <= w.now);
	turn(&w);
	CU_ASSERT(h->heartbeat_us == w.now);
	CU_ASSERT(shm_counters_const(w.cp_counters, 0)->heartbeat_us == w.now);
	start_control(&w);
	CU_ASSERT(h->generation == 2);
	controlplane_retire(w.control);
	CU_ASSERT(h->ready == 0);
	world_fini(&w);
}

static void a_connect_is_answered_to_the_worker_that_asked(void)
{
	struct world w;

	world_init(&w);
	CU_ASSERT(send_connect(&w, 1, 42, "sensor", 0, 0));
	CU_ASSERT(controlplane_pending(w.control));
	turn(&w);
	CU_ASSERT(!controlplane_pending(w.control));
	CU_ASSERT(next_event(&w, 0).type == 0);
	struct shm_slot slot = next_event(&w, 1);
	CU_ASSERT(slot.type == SHM_EVENT_GRANT && slot.sender == 1 && slot.receiver == 1);
	CU_ASSERT(slot.grant.connection.index == 42 && slot.grant.epoch > (1ull << 32));
	CU_ASSERT(slot.grant.assigned_size == 0);
	struct registry_session s;
	uint32_t cursor = 0;
	CU_ASSERT_FATAL(registry_list(controlplane_registry(w.control), &cursor, &s));
	CU_ASSERT(span_equal(s.client_id, span_str("sensor")) && s.keepalive_s == 60);
	world_fini(&w);
}

static void a_takeover_crosses_workers(void)
{
	struct world w;

	world_init(&w);
	CU_ASSERT(send_connect(&w, 0, 1, "a", 0, 0));
	turn(&w);
	const uint64_t first = granted(&w, 0, 1);
	CU_ASSERT(send_connect(&w, 1, 1, "a", 0, 0));
	turn(&w);
	const struct shm_slot slot = next_event(&w, 0);
	CU_ASSERT(slot.type == SHM_EVENT_REVOKE && slot.revoke.epoch == first);
	CU_ASSERT(slot.revoke.err == ERR_MQTT_TAKEN_OVER);
	CU_ASSERT(next_event(&w, 1).type == 0);
	CU_ASSERT(send_closed(&w, 0, 1, first));
	turn(&w);
	CU_ASSERT(granted(&w, 1, 1) > first);
	world_fini(&w);
}

static void a_slow_close_delays_only_so_long(void)
{
	struct world w;

	world_init(&w);
	CU_ASSERT(send_connect(&w, 0, 1, "a", 0, 0) && send_connect(&w, 1, 1, "a", 0, 0));
	turn(&w);
	for (uint64_t end = w.now + TAKEOVER_US; w.now < end;) {
		CU_ASSERT(next_event(&w, 1).type == 0);
		const uint64_t next = controlplane_next_us(w.control, now_of(&w));
		CU_ASSERT(next > w.now && next <= end);
		w.now = next;
		turn(&w);
	}
	granted(&w, 1, 1);
	world_fini(&w);
}

static void a_new_dataplane_has_no_connections(void)
{
	struct world w;

	world_init(&w);
	CU_ASSERT(send_connect(&w, 0, 1, "a", 0, 0));
	turn(&w);
	CU_ASSERT(registry_count(controlplane_registry(w.control)) == 1);
	/* Slots of the dead are not believed; events for it go out with its generation. */
	CU_ASSERT(send_connect(&w, 0, 2, "b", 0, 0));
	start_workers(&w);
	CU_ASSERT(send_connect(&w, 0, 1, "a", 0, 0));
	turn(&w);
	CU_ASSERT(registry_count(controlplane_registry(w.control)) == 1);
	CU_ASSERT(next_event(&w, 0).receiver == 1);
	const struct shm_slot slot = next_event(&w, 0);
	CU_ASSERT(slot.type == SHM_EVENT_GRANT && slot.receiver == 2);
	CU_ASSERT(slot.grant.connection.index == 1);
	CU_ASSERT(next_event(&w, 0).type == 0);
	world_fini(&w);
}

/* A CONNECT of the dead, in a ring that is read late, takes nothing over. */
static void the_dead_take_nothing_over(void)
{
	struct world w;

	world_init(&w);
	CU_ASSERT(send_connect(&w, 1, 1, "a", 0, 0));
	start_workers(&w);
	CU_ASSERT(send_connect(&w, 0, 1, "a", 0, 0));
	turn(&w);
	granted(&w, 0, 1);
	CU_ASSERT(next_event(&w, 0).type == 0);
	CU_ASSERT(next_event(&w, 1).type == 0);
	world_fini(&w);
}

static void a_new_dataplane_is_noticed_without_a_word(void)
{
	struct world w;

	world_init(&w);
	CU_ASSERT(send_connect(&w, 0, 1, "a", 0, 0));
	turn(&w);
	shm_region_start(w.dp, 7); /* and says nothing yet */
	CU_ASSERT(controlplane_pending(w.control));
	turn(&w);
	CU_ASSERT(registry_count(controlplane_registry(w.control)) == 0);
	CU_ASSERT(count(&w, COUNTER_CP_RESYNCS) == 2);
	world_fini(&w);
}

static void a_new_control_plane_is_told_who_is_live(void)
{
	struct world w;

	world_init(&w);
	CU_ASSERT(send_connect(&w, 0, 1, "a", 0, 0));
	turn(&w);
	const uint64_t old = granted(&w, 0, 1);
	CU_ASSERT(send_connect(&w, 0, 2, "b", 0, 0)); /* dies before it looks */
	start_control(&w);
	greet(&w);
	CU_ASSERT(send_connect(&w, 0, 1, "a", SHM_CONNECT_AGAIN | SHM_CONNECT_LIVE, old));
	CU_ASSERT(send_connect(&w, 0, 2, "b", SHM_CONNECT_AGAIN, 0));
	CU_ASSERT(send_resynced(&w, 0) && send_resynced(&w, 1));
	turn(&w);
	const uint64_t b = granted(&w, 0, 2);
	CU_ASSERT(b > old && b >> 32 == 2);
	CU_ASSERT(next_event(&w, 0).type == 0); /* asked twice in one turn, answered once */
	CU_ASSERT(registry_count(controlplane_registry(w.control)) == 2);
	CU_ASSERT(send_connect(&w, 1, 9, "a", 0, 0));
	turn(&w);
	CU_ASSERT(next_event(&w, 0).revoke.epoch == old);
	world_fini(&w);
}

static void a_full_event_ring_loses_nothing(void)
{
	struct world w;
	uint32_t sent = 0, got = 0;

	world_init(&w);
	for (int round = 0; round < 10; round++) {
		char id[16];
		for (int i = 0; i < 1000; i++) {
			snprintf(id, sizeof(id), "c%u", sent);
			if (sent < SESSIONS + 500 && send_connect(&w, 0, sent, id, 0, 0))
				sent++;
		}
		turn(&w);
	}
	CU_ASSERT(sent == SESSIONS + 500);
	CU_ASSERT(count_err(&w, ERR_RING_FULL) >= 1);
	CU_ASSERT(controlplane_next_us(w.control, now_of(&w)) == w.now + CONTROLPLANE_RETRY_US);
	for (struct shm_slot slot; got < sent; got++) {
		slot = next_event(&w, 0);
		if (slot.type == 0) {
			turn(&w);
			slot = next_event(&w, 0);
		}
		CU_ASSERT_FATAL(slot.type == SHM_EVENT_GRANT);
		CU_ASSERT(slot.grant.connection.index == got);
		CU_ASSERT(slot.grant.verdict == (got < SESSIONS ? SHM_GRANTED : SHM_REFUSED_BUSY));
	}
	turn(&w);
	CU_ASSERT(next_event(&w, 0).type == 0);
	world_fini(&w);
}

static void a_full_ring_of_one_worker_does_not_hold_up_another(void)
{
	struct world w;

	world_init(&w);
	for (uint32_t i = 0; i < SHM_RING_SLOTS + 400; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%u", i);
		CU_ASSERT(send_connect(&w, 0, i, id, 0, 0));
		turn(&w);
	}
	CU_ASSERT(send_connect(&w, 1, 7, "other", 0, 0));
	turn(&w);
	granted(&w, 1, 7);
	world_fini(&w);
}

static void malformed_commands_are_counted_and_skipped(void)
{
	/* Changes to a CONNECT that is good: client id "id", user "user", password "secret". */
	static const struct {
		const char *name;
		size_t offset;
		uint32_t size, value;
	} rows[] = {
		{"type 0", offsetof(struct shm_slot, type), 1, 0},
		{"unknown type", offsetof(struct shm_slot, type), 1, 99},
		{"text beyond the arena", offsetof(struct shm_slot, connect.text.offset), 4,
			SHM_ARENA_BYTES - 11},
		{"text far beyond", offsetof(struct shm_slot, connect.text.offset), 4, UINT32_MAX},
		{"more text than sizes", offsetof(struct shm_slot, connect.text.size), 4, 13},
		{"less text than sizes", offsetof(struct shm_slot, connect.text.size), 4, 11},
		{"a larger client id", offsetof(struct shm_slot, connect.client_id_size), 2, 3},
		{"a huge client id", offsetof(struct shm_slot, connect.client_id_size), 2, 65535},
		{"unknown flag", offsetof(struct shm_slot, connect.flags), 1, 64 | 6},
		{"no will behind its flag", offsetof(struct shm_slot, connect.flags), 1, 32 | 6},
		{"no receive maximum", offsetof(struct shm_slot, connect.receive_max), 2, 0},
		{"user without its flag", offsetof(struct shm_slot, connect.flags), 1, 4},
		{"password without its flag", offsetof(struct shm_slot, connect.flags), 1, 2},
		{"live but not again", offsetof(struct shm_slot, connect.flags), 1, 16 | 6},
		{"an epoch though not live, and named", offsetof(struct shm_slot, connect.epoch), 4,
			1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct world w;
		world_init(&w);
		turn(&w);
		CU_ASSERT(send_connect(&w, 0, 1, "id", 0, 0));
		uint8_t *slot = shm_dp_worker(w.dp, 0)->commands[2];
		memcpy(slot + rows[i].offset, &rows[i].value, rows[i].size);
		turn(&w);
		CU_ASSERT(count_err(&w, ERR_SLOT_BAD) == 1);
		CU_ASSERT(registry_count(controlplane_registry(w.control)) == 0);
		CU_ASSERT(send_connect(&w, 0, 2, "id", 0, 0));
		turn(&w);
		granted(&w, 0, 2);
		world_fini(&w);
	}
}

static void a_nul_in_a_string_is_refused_in_a_password_not(void)
{
	/* Positions in "id" "user" "secret". */
	for (uint32_t at = 0; at < 12; at++) {
		struct world w;
		world_init(&w);
		CU_ASSERT(send_connect(&w, 0, 1, "id", 0, 0));
		shm_dp_worker(w.dp, 0)->arena[at] = 0;
		turn(&w);
		CU_ASSERT(count_err(&w, ERR_SLOT_BAD) == (at < 6));
		world_fini(&w);
	}
}

static void corrupt_indices_are_counted_and_skipped(void)
{
	struct world w;

	world_init(&w);
	turn(&w);
	shm_dp_worker(w.dp, 0)->command_producer.value += 5000;
	turn(&w);
	CU_ASSERT(count_err(&w, ERR_RING_CORRUPT) == 1);
	/* The other worker is not held up; a new generation of this one works again. */
	CU_ASSERT(send_connect(&w, 1, 1, "a", 0, 0));
	turn(&w);
	granted(&w, 1, 1);
	start_workers(&w);
	CU_ASSERT(send_connect(&w, 0, 1, "b", 0, 0));
	turn(&w);
	granted(&w, 0, 1);
	world_fini(&w);
}

static void an_impairment_is_published(void)
{
	struct world w;
	const struct shm_impair impair = {.loss_ppm = 50000, .seed = 7};
	struct shm_config config;
	uint64_t before, after;

	world_init(&w);
	CU_ASSERT(shm_config_read(shm_config_page_const(w.cp), &config, &before));
	controlplane_impair(w.control, &impair);
	CU_ASSERT(shm_config_read(shm_config_page_const(w.cp), &config, &after));
	CU_ASSERT(after > before && config.impair.loss_ppm == 50000 && config.mtu == 1500);
	w.config.mtu = 1400;
	start_control(&w); /* what was set stays; the rest is the new one's */
	CU_ASSERT(shm_config_read(shm_config_page_const(w.cp), &config, &before));
	CU_ASSERT(before > after && config.impair.loss_ppm == 50000 && config.mtu == 1400);
	world_fini(&w);
}

static void facts_are_told(void)
{
	struct world w;
	struct ipc_facts facts;

	world_init(&w);
	CU_ASSERT(send_connect(&w, 0, 1, "a", 0, 0));
	turn(&w);
	w.now += 7;
	controlplane_facts(w.control, w.now, &facts);
	CU_ASSERT(facts.generation == 1 && facts.dp_generation == 1 && facts.uptime_us == 7);
	CU_ASSERT(facts.sessions == 1 && facts.sessions_max == SESSIONS);
	CU_ASSERT(facts.dp_pid == 6 && facts.dp_ready == 0);
	CU_ASSERT(facts.dp_beat_age_us == UINT64_MAX);
	shm_region_beat(w.dp, w.now - 3);
	controlplane_facts(w.control, w.now, &facts);
	CU_ASSERT(facts.dp_beat_age_us == 3);
	shm_region_beat(w.dp, w.now + 3); /* hostile, or just after */
	controlplane_facts(w.control, w.now, &facts);
	CU_ASSERT(facts.dp_beat_age_us == 0);
	world_fini(&w);
}

/* The walk: clients come and go on both workers while either plane is killed. Workers do what the
 * real one does: on a new control plane they say again who is live and who waits. */
enum { CLIENTS = 12, CONNECTIONS = 30 };

struct peer {
	uint8_t state; /* 0 free, 1 asked, 2 live, 3 closed but not said yet */
	bool said;     /* of the control plane of that generation: all was said */
	uint32_t client;
	uint64_t epoch;
};

struct walk {
	struct world w;
	struct peer peers[WORKERS][CONNECTIONS];
	uint64_t known[WORKERS]; /* generation of the control plane that a worker knows */
	bool greeted[WORKERS], resynced[WORKERS];
	uint32_t used; /* connections so far: indices are never used twice here */
};

/* A new control plane knows nothing of ours. */
static void walk_notice(struct walk *k, uint32_t worker)
{
	const uint64_t generation = shm_load(&((struct shm_header *)k->w.cp)->generation);

	if (generation == k->known[worker])
		return;
	k->known[worker] = generation;
	k->greeted[worker] = k->resynced[worker] = false;
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		k->peers[worker][i].said = false;
}

static void walk_events(struct walk *k, uint32_t worker)
{
	struct shm_slot slot;

	walk_notice(k, worker);
	while ((slot = next_event(&k->w, worker)).type != 0) {
		if (slot.receiver != k->w.workers[worker].tx.sender)
			continue; /* for the dead */
		if (slot.sender != (uint32_t)k->known[worker])
			continue; /* from the dead */
		CU_ASSERT_FATAL(slot.grant.connection.index < CONNECTIONS);
		struct peer *p = &k->peers[worker][slot.grant.connection.index];
		if (slot.type == SHM_EVENT_GRANT && p->state == 1) {
			CU_ASSERT(slot.grant.verdict == SHM_GRANTED ||
				  slot.grant.verdict == SHM_REFUSED_BUSY);
			p->state = slot.grant.verdict == SHM_GRANTED ? 2 : 3;
			p->epoch = slot.grant.epoch;
		} else if (slot.type == SHM_EVENT_GRANT && p->state == 2) {
			/* Answered by the next generation, too. */
			p->state = slot.grant.verdict == SHM_GRANTED ? 2 : 3;
			p->epoch = slot.grant.epoch;
		} else if (slot.type == SHM_EVENT_REVOKE && p->state != 0) {
			p->state = 3;
		}
	}
}

static void walk_say(struct walk *k, uint32_t worker)
{
	bool all = true;

	walk_notice(k, worker);
	if (!k->greeted[worker])
		k->greeted[worker] = send_hello(&k->w, worker);
	if (!k->greeted[worker])
		return;
	for (uint32_t i = 0; i < CONNECTIONS; i++) {
		struct peer *p = &k->peers[worker][i];
		char id[8];
		snprintf(id, sizeof(id), "c%u", p->client);
		if (p->state == 3 && send_closed(&k->w, worker, i, p->epoch))
			*p = (struct peer){0};
		else if (p->state == 1 && !p->said)
			p->said = send_connect(&k->w, worker, i, id, SHM_CONNECT_AGAIN, 0);
		else if (p->state == 2 && !p->said)
			p->said = send_connect(&k->w, worker, i, id,
				SHM_CONNECT_AGAIN | SHM_CONNECT_LIVE, p->epoch);
		all &= p->state == 0 || p->said;
	}
	if (all && !k->resynced[worker])
		k->resynced[worker] =
			shm_tx_push(&k->w.workers[worker].tx, SHM_COMMAND_RESYNCED, NULL, 0);
}

static void walk_step(struct walk *k, struct rng *rng)
{
	const uint32_t worker = rng_below(rng, WORKERS), dice = rng_below(rng, 1000);
	struct peer *p = &k->peers[worker][rng_below(rng, CONNECTIONS)];

	k->w.now += rng_below(rng, 20000);
	if (dice < 300 && p->state == 0)
		*p = (struct peer){.state = 1, .client = rng_below(rng, CLIENTS)};
	else if (dice < 400 && p->state != 0)
		p->state = 3;
	else if (dice < 600)
		walk_events(k, worker);
	else if (dice < 800)
		walk_say(k, worker);
	else if (dice < 990)
		turn_once(&k->w);
	else if (dice < 995)
		start_control(&k->w);
	else if (dice < 998) {
		start_workers(&k->w);
		memset(k->peers, 0, sizeof(k->peers));
		memset(k->greeted, 0, sizeof(k->greeted));
		memset(k->resynced, 0, sizeof(k->resynced));
	}
}

/* Faults stop: all must be answered, and one connection a client be live. */
static void walk_settle(struct walk *k)
{
	uint32_t live[CLIENTS] = {0}, open = 0;

	for (int i = 0; i < 400; i++) {
		for (uint32_t worker = 0; worker < WORKERS; worker++) {
			walk_events(k, worker);
			walk_say(k, worker);
		}
		k->w.now += TAKEOVER_US / 100;
		turn(&k->w);
	}
	for (uint32_t worker = 0; worker < WORKERS; worker++) {
		for (uint32_t i = 0; i < CONNECTIONS; i++) {
			const struct peer *p = &k->peers[worker][i];
			CU_ASSERT(p->state == 0 || p->state == 2);
			live[p->client] += p->state == 2;
			open += p->state == 2;
		}
	}
	for (uint32_t c = 0; c < CLIENTS; c++)
		CU_ASSERT(live[c] <= 1);
	CU_ASSERT(registry_count(controlplane_registry(k->w.control)) == open);
}

static void both_planes_die_at_any_moment(void)
{
	const unsigned long long seed = unit_seed();

	for (unsigned run = 0; run < 20; run++) {
		struct walk k = {.used = 0};
		struct rng rng = rng_from(seed + run);
		world_init(&k.w);
		for (int round = 0; round < 5; round++) {
			for (int i = 0; i < 600; i++)
				walk_step(&k, &rng);
			walk_settle(&k);
		}
		world_fini(&k.w);
	}
}

static const struct unit_test tests[] = {
	{"a_start_is_visible", a_start_is_visible},
	{"a_connect_is_answered_to_the_worker_that_asked",
		a_connect_is_answered_to_the_worker_that_asked},
	{"a_takeover_crosses_workers", a_takeover_crosses_workers},
	{"a_slow_close_delays_only_so_long", a_slow_close_delays_only_so_long},
	{"a_new_dataplane_has_no_connections", a_new_dataplane_has_no_connections},
	{"the_dead_take_nothing_over", the_dead_take_nothing_over},
	{"a_new_dataplane_is_noticed_without_a_word", a_new_dataplane_is_noticed_without_a_word},
	{"a_new_control_plane_is_told_who_is_live", a_new_control_plane_is_told_who_is_live},
	{"a_full_event_ring_loses_nothing", a_full_event_ring_loses_nothing},
	{"a_full_ring_of_one_worker_does_not_hold_up_another",
		a_full_ring_of_one_worker_does_not_hold_up_another},
	{"malformed_commands_are_counted_and_skipped", malformed_commands_are_counted_and_skipped},
	{"a_nul_in_a_string_is_refused_in_a_password_not",
		a_nul_in_a_string_is_refused_in_a_password_not},
	{"corrupt_indices_are_counted_and_skipped", corrupt_indices_are_counted_and_skipped},
	{"an_impairment_is_published", an_impairment_is_published},
	{"facts_are_told", facts_are_told},
	{"both_planes_die_at_any_moment", both_planes_die_at_any_moment},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("controlplane", tests, argc, argv);
}
