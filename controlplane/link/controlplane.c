/* controlplane.c - a start, turns, and what is told about them. See controlplane.h. */
#include "controlplane/link/inside.h"
#include "controlplane/registry/prepare.h"
#include "dataplane/base/assert.h"

#include <stdlib.h>

static void peer_init(struct controlplane *cp, const struct controlplane_conf *conf, uint32_t w)
{
	const struct shm_dp_worker *dp = shm_dp_worker_const(conf->dp, w);
	struct shm_cp_worker *own = shm_cp_worker(conf->cp, w);
	struct peer *peer = &cp->peers[w];

	shm_rx_init(&peer->commands, dp->commands, &dp->command_producer, &own->command_consumer);
	shm_tx_init(&peer->events, own->events, &own->event_producer, &dp->event_consumer,
		(uint32_t)cp->generation);
	peer->events.receiver = (uint32_t)cp->dp_generation;
	shm_arena_init(&peer->text, own->arena, peer->events.next);
	peer->arena = dp->arena;
	peer->question = &own->question;
	peer->answer = &dp->answer;
}

static struct registry *registry_for(
	const struct controlplane *cp, const struct controlplane_conf *conf)
{
	const struct registry_conf rc = {.workers = conf->workers,
		.sessions_max = conf->config->connections_max,
		.takeover_timeout_us = conf->config->takeover_timeout_us,
		/* Each generation of ours has 2^32 epochs: all above those before. */
		.epoch_base = cp->generation << 32,
		.key = conf->key,
		.counters = cp->counters};
	return registry_create(&rc);
}

static void beat(struct controlplane *cp, uint64_t now_us)
{
	cp->beat_us = now_us;
	shm_region_beat(cp->header, now_us);
	shm_region_beat(cp->counters_header, now_us);
	shm_store(&cp->counters->heartbeat_us, now_us);
}

/* An impairment that was set while the box runs outlives us: our restart changes no traffic. */
static void keep_impairment(struct controlplane *cp)
{
	struct shm_config before;
	uint64_t sequence;

	if (shm_config_read(cp->page, &before, &sequence))
		cp->config.impair = before.impair;
}

static enum err create_machines(
	struct controlplane *cp, const struct controlplane_conf *conf, struct sessions_now now)
{
	const struct sessions_conf sc = {.store = conf->store,
		.workers = conf->workers,
		.config = &cp->config,
		.counters = cp->counters};

	cp->command = malloc(sizeof(*cp->command));
	cp->registry = registry_for(cp, conf);
	if (cp->command == NULL || cp->registry == NULL)
		return ERR_NO_SESSIONS;
	return sessions_create(&sc, now, &cp->sessions);
}

static void adopt(struct controlplane *cp, const struct controlplane_conf *conf)
{
	cp->header = (struct shm_header *)conf->cp;
	cp->counters_header = (struct shm_header *)conf->cp_counters;
	cp->dp = (const struct shm_header *)conf->dp;
	cp->counters = shm_counters(conf->cp_counters, 0);
	cp->page = shm_config_page(conf->cp);
	cp->workers = conf->workers;
	cp->config = *conf->config;
	cp->config.workers = conf->workers;
	cp->store = conf->store;
	cp->compile = conf->compile;
	cp->trials = conf->trials;
	keep_impairment(cp);
	cp->generation = shm_load(&cp->header->generation) + 1;
}

/* From here on it is seen. */
static void go_public(
	struct controlplane *cp, const struct controlplane_conf *conf, uint64_t now_us)
{
	/* Before the configuration is out, nobody shall take us for started. */
	shm_config_write(cp->page, &cp->config);
	cp->dp_generation = shm_load(&cp->dp->generation);
	for (uint32_t w = 0; w < cp->workers; w++)
		peer_init(cp, conf, w);
	shm_region_start(cp->counters_header, conf->pid);
	const uint64_t generation = shm_region_start(cp->header, conf->pid);
	ASSERT(generation == cp->generation);
	beat(cp, now_us);
	shm_region_ready(cp->counters_header, true);
	shm_region_ready(cp->header, true);
}

enum err controlplane_create(
	const struct controlplane_conf *conf, struct sessions_now now, struct controlplane **out)
{
	ASSERT(conf->workers >= 1 && conf->workers <= SHM_WORKERS_MAX);
	struct controlplane *cp = calloc(1, sizeof(*cp));

	*out = NULL;
	if (cp == NULL)
		return ERR_NO_SESSIONS;
	adopt(cp, conf);
	cp->started_us = now.us;
	const enum err e = create_machines(cp, conf, now);
	if (e != ERR_NONE) {
		controlplane_destroy(&cp);
		return e;
	}
	go_public(cp, conf, now.us);
	*out = cp;
	return ERR_NONE;
}

static void destroy(struct controlplane *cp)
{
	for (uint32_t w = 0; w < SHM_WORKERS_MAX; w++) {
		parts_fini(&cp->peers[w].parts);
		carrier_fini(&cp->peers[w].carrier);
	}
	sessions_destroy(&cp->sessions);
	registry_destroy(&cp->registry);
	free(cp->command);
}

void controlplane_destroy(struct controlplane **cp)
{
	if (*cp != NULL)
		destroy(*cp);
	free(*cp);
	*cp = NULL;
}

void controlplane_retire(struct controlplane *cp)
{
	shm_region_ready(cp->header, false);
	shm_region_ready(cp->counters_header, false);
}

/* Between the registry and the sessions, in the order of prepare.h. */
static bool prepare(struct controlplane *cp, struct sessions_now now)
{
	struct sessions_connect c;
	struct sessions_ready ready;
	uint64_t session, epoch;
	bool worked = false;

	while (registry_next_gone(cp->registry, &session, &epoch)) {
		sessions_gone(cp->sessions, session, epoch, now);
		worked = true;
	}
	cp->waits = false;
	while (!cp->waits && registry_next_connect(cp->registry, &c)) {
		cp->waits = sessions_connect(cp->sessions, &c, now) == SESSIONS_LATER;
		if (!cp->waits)
			registry_asked(cp->registry);
		worked |= !cp->waits;
	}
	sessions_expect(cp->sessions, registry_expects(cp->registry));
	while (sessions_next_ready(cp->sessions, &ready)) {
		registry_ready(cp->registry, &ready);
		worked = true;
	}
	return worked;
}

static void count_store(struct controlplane *cp)
{
	struct storage_facts f;

	cp->store->ops->facts(cp->store, &f);
	counter_set(cp->counters, COUNTER_STORE_BATCHES, f.batches);
	counter_set(cp->counters, COUNTER_STORE_SYNCS, f.syncs);
	counter_set(cp->counters, COUNTER_ACKNOWLEDGED_BUT_UNSYNCED, f.unsynced);
	counter_set(cp->counters, COUNTER_STORE_BYTES, f.disk_bytes);
	counter_set(cp->counters, COUNTER_STORE_SYNC_US, f.sync_us_last);
}

enum err controlplane_turn(struct controlplane *cp, struct sessions_now now, bool *worked)
{
	bool polled = false;

	*worked = false;
	if (cp->dead != ERR_NONE)
		return cp->dead;
	*worked = intake_notice(cp, now);
	if (now.us - cp->beat_us >= CONTROLPLANE_BEAT_US) {
		beat(cp, now.us);
		count_store(cp);
	}
	cp->dead = sessions_poll(cp->sessions, now, &polled);
	if (cp->dead != ERR_NONE) {
		counter_err(cp->counters, cp->dead);
		return cp->dead;
	}
	*worked |= polled;
	for (uint32_t w = 0; w < cp->workers; w++)
		*worked |= intake_take(cp, w, now);
	registry_poll(cp->registry, now.us);
	if (cp->compile != NULL)
		*worked |= compile_poll(cp->compile, now.us);
	if (cp->trials != NULL)
		*worked |= trials_poll(cp->trials);
	*worked |= prepare(cp, now);
	for (uint32_t w = 0; w < cp->workers; w++)
		*worked |= outlet_push(cp, w, now);
	return ERR_NONE;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t controlplane_next_us(const struct controlplane *cp, struct sessions_now now)
{
	const uint64_t beat_us = cp->beat_us + CONTROLPLANE_BEAT_US;
	uint64_t due_us =
		earlier(registry_next_us(cp->registry), sessions_next_us(cp->sessions, now));
	bool waits = cp->waits;

	for (uint32_t w = 0; w < cp->workers; w++)
		waits |= cp->peers[w].full || cp->peers[w].blocked;
	if (cp->compile != NULL)
		due_us = earlier(due_us, compile_next_us(cp->compile, now.us));
	if (cp->trials != NULL && trials_wait(cp->trials))
		due_us = earlier(due_us, now.us + CONTROLPLANE_RETRY_US);
	return earlier(
		earlier(beat_us, due_us), waits ? now.us + CONTROLPLANE_RETRY_US : UINT64_MAX);
}

bool controlplane_pending(const struct controlplane *cp)
{
	for (uint32_t w = 0; w < cp->workers; w++) {
		const struct peer *peer = &cp->peers[w];
		if (!peer->blocked && shm_rx_pending(&peer->commands))
			return true;
	}
	return shm_load(&cp->dp->generation) != cp->dp_generation;
}

void controlplane_impair(struct controlplane *cp, const struct shm_impair *impair)
{
	cp->config.impair = *impair;
	shm_config_write(cp->page, &cp->config);
}

void controlplane_reset_nic(struct controlplane *cp)
{
	cp->config.nic_resets++;
	shm_config_write(cp->page, &cp->config);
}

enum inspect_state controlplane_inspect(struct controlplane *cp, const struct ipc_inspect *asked,
	uint64_t now_us, struct shm_answer_head *head, uint8_t *records)
{
	if (asked->worker >= cp->workers)
		return INSPECT_SENSELESS;
	struct peer *peer = &cp->peers[asked->worker];
	return inspect_ask(
		&peer->inspect, peer->question, peer->answer, &asked->ask, now_us, head, records);
}

static struct ipc_store store_facts(const struct controlplane *cp)
{
	struct storage_facts f;

	cp->store->ops->facts(cp->store, &f);
	return (struct ipc_store){.batches = f.batches,
		.syncs = f.syncs,
		.unsynced = f.unsynced,
		.sync_us_last = f.sync_us_last,
		.sync_us_max = f.sync_us_max,
		.disk_bytes = f.disk_bytes,
		.sessions = counter_get(cp->counters, COUNTER_STORED_SESSIONS),
		.err = (uint32_t)f.err};
}

void controlplane_facts(const struct controlplane *cp, uint64_t now_us, struct ipc_facts *out)
{
	const uint64_t dp_beat = shm_load(&cp->dp->heartbeat_us);

	*out = (struct ipc_facts){.generation = cp->generation,
		.uptime_us = now_us - cp->started_us,
		.dp_generation = cp->dp_generation,
		.dp_beat_age_us = dp_beat == 0       ? UINT64_MAX
				  : dp_beat > now_us ? 0
						     : now_us - dp_beat,
		.config_sequence = cp->page->sequence,
		.workers = cp->workers,
		.dp_pid = shm_load32(&cp->dp->pid),
		.dp_ready = shm_load32(&cp->dp->ready) != 0,
		.sessions = registry_count(cp->registry),
		.sessions_max = cp->config.connections_max,
		.store = store_facts(cp),
		.config = cp->config};
}

const struct registry *controlplane_registry(const struct controlplane *cp)
{
	return cp->registry;
}

const struct sessions *controlplane_sessions(const struct controlplane *cp)
{
	return cp->sessions;
}
