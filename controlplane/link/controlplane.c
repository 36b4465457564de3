/* controlplane.c - turns: commands to the registry, its effects to workers. See controlplane.h. */
#include "controlplane/link/controlplane.h"

#include "controlplane/link/command.h"
#include "controlplane/registry/prepare.h"
#include "dataplane/base/assert.h"

#include <stdlib.h>

struct peer {
	struct shm_rx commands;
	struct shm_tx events;
	const uint8_t *arena;
	bool full;    /* the event ring was, at the last try */
	bool blocked; /* the registry takes no command until answers are taken */
};

struct controlplane {
	struct registry *registry;
	struct counters *counters;
	struct shm_header *header, *counters_header; /* ours */
	const struct shm_header *dp;                 /* hostile */
	struct shm_config_page *page;
	struct shm_config config;
	uint64_t generation, dp_generation; /* ours; the dataplane's that we talk to */
	uint64_t beat_us, started_us;
	uint32_t workers;
	struct peer peers[SHM_WORKERS_MAX];
	struct command command; /* the one at work: too large for a stack */
};

static void peer_init(struct controlplane *cp, const struct controlplane_conf *conf, uint32_t w)
{
	const struct shm_dp_worker *dp = shm_dp_worker_const(conf->dp, w);
	struct shm_cp_worker *own = shm_cp_worker(conf->cp, w);
	struct peer *peer = &cp->peers[w];

	shm_rx_init(&peer->commands, dp->commands, &dp->command_producer, &own->command_consumer);
	shm_tx_init(&peer->events, own->events, &own->event_producer, &dp->event_consumer,
		(uint32_t)cp->generation);
	peer->events.receiver = (uint32_t)cp->dp_generation;
	peer->arena = dp->arena;
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

struct controlplane *controlplane_create(const struct controlplane_conf *conf, uint64_t now_us)
{
	ASSERT(conf->workers >= 1 && conf->workers <= SHM_WORKERS_MAX);
	struct controlplane *cp = calloc(1, sizeof(*cp));

	if (cp == NULL)
		return NULL;
	cp->header = (struct shm_header *)conf->cp;
	cp->counters_header = (struct shm_header *)conf->cp_counters;
	cp->dp = (const struct shm_header *)conf->dp;
	cp->counters = shm_counters(conf->cp_counters, 0);
	cp->page = shm_config_page(conf->cp);
	cp->workers = conf->workers;
	cp->config = *conf->config;
	cp->config.workers = conf->workers;
	keep_impairment(cp);
	cp->started_us = now_us;
	cp->generation = shm_load(&cp->header->generation) + 1;
	cp->registry = registry_for(cp, conf);
	if (cp->registry == NULL) {
		controlplane_destroy(&cp);
		return NULL;
	}
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
	return cp;
}

void controlplane_destroy(struct controlplane **cp)
{
	if (*cp != NULL)
		registry_destroy(&(*cp)->registry);
	free(*cp);
	*cp = NULL;
}

void controlplane_retire(struct controlplane *cp)
{
	shm_region_ready(cp->header, false);
	shm_region_ready(cp->counters_header, false);
}

/* A new generation of the dataplane: whatever was connected is not any more. */
static bool notice_dataplane(struct controlplane *cp)
{
	const uint64_t generation = shm_load(&cp->dp->generation);

	if (generation == cp->dp_generation)
		return false;
	cp->dp_generation = generation;
	for (uint32_t w = 0; w < cp->workers; w++) {
		cp->peers[w].events.receiver = (uint32_t)generation;
		registry_worker_gone(cp->registry, w);
	}
	counter_add(cp->counters, COUNTER_CP_RESYNCS, 1);
	return true;
}

/* False: the registry cannot take it now; the slot stays. */
static bool perform(
	struct controlplane *cp, uint32_t worker, const struct shm_slot *slot, uint64_t now_us)
{
	const enum err e = command_decode(slot, cp->peers[worker].arena, worker, &cp->command);

	/* A dataplane that started meanwhile may have written over the text. */
	notice_dataplane(cp);
	if (slot->sender != (uint32_t)cp->dp_generation)
		return true;
	if (e != ERR_NONE) {
		counter_err(cp->counters, e);
		return true;
	}
	switch (cp->command.type) {
	case SHM_COMMAND_HELLO:
		registry_worker_gone(cp->registry, worker);
		return true;
	case SHM_COMMAND_CONNECT:
		return registry_connect(cp->registry, &cp->command.connect, now_us);
	case SHM_COMMAND_CLOSED:
		registry_closed(cp->registry, worker, cp->command.closed);
		return true;
	case SHM_COMMAND_POSITION:
	case SHM_COMMAND_RESYNCED:
	case SHM_COMMAND_DECLINED:
	case SHM_COMMAND_APPLIED:
	case SHM_COMMAND_PART:
	case SHM_COMMAND_STORE:
	case SHM_COMMAND_SUBSCRIBE:
	case SHM_COMMAND_UNSUBSCRIBE:
	case SHM_COMMAND_RELEASE:
	case SHM_COMMAND_RECEIVED:
	case SHM_COMMAND_SETTLED:
	case SHM_COMMAND_ENDED:
	case SHM_COMMANDS:
		break;
	}
	return true;
}

static bool take_commands(struct controlplane *cp, uint32_t worker, uint64_t now_us)
{
	struct peer *peer = &cp->peers[worker];
	struct shm_slot slot;
	uint32_t taken = 0;

	peer->blocked = false;
	for (uint32_t i = 0; i < CONTROLPLANE_BURST; i++) {
		const enum shm_pop got = shm_rx_pop(&peer->commands, &slot);
		if (got == SHM_EMPTY)
			break;
		taken++;
		if (got == SHM_CORRUPT) {
			counter_err(cp->counters, ERR_RING_CORRUPT);
			continue;
		}
		if (!perform(cp, worker, &slot, now_us)) {
			peer->blocked = true;
			taken--;
			break;
		}
		shm_rx_done(&peer->commands);
		counter_add(cp->counters, COUNTER_RING_RX, 1);
	}
	return taken > 0;
}

static void push(struct controlplane *cp, struct peer *peer, const struct registry_effect *e)
{
	bool pushed;

	if (e->kind == REGISTRY_GRANT)
		pushed = shm_tx_push(&peer->events, SHM_EVENT_GRANT, &e->grant, sizeof(e->grant));
	else
		pushed =
			shm_tx_push(&peer->events, SHM_EVENT_REVOKE, &e->revoke, sizeof(e->revoke));
	counter_add(cp->counters, COUNTER_RING_TX, pushed);
	/* There was room; only a consumer's index that jumps can take it away again. The worker
	 * that does so has lost an answer and is to be restarted. */
	if (!pushed)
		counter_err(cp->counters, ERR_RING_CORRUPT);
}

static bool push_events(struct controlplane *cp, uint32_t worker)
{
	struct peer *peer = &cp->peers[worker];
	struct registry_effect e;
	bool worked = false;

	while (registry_due(cp->registry, worker)) {
		if (shm_tx_room(&peer->events) == 0) {
			if (!peer->full)
				counter_err(cp->counters, ERR_RING_FULL);
			peer->full = true;
			return worked;
		}
		if (!registry_next(cp->registry, worker, &e))
			break;
		push(cp, peer, &e);
		worked = true;
	}
	peer->full = false;
	return worked;
}

/* Nothing is kept for anybody yet: whoever may have a client id is ready at once. */
static void prepare(struct controlplane *cp)
{
	struct sessions_connect c;

	while (registry_next_connect(cp->registry, &c)) {
		registry_asked(cp->registry);
		registry_ready(cp->registry, &(struct sessions_ready){.token = c.token});
	}
}

bool controlplane_turn(struct controlplane *cp, uint64_t now_us)
{
	bool worked = notice_dataplane(cp);

	if (now_us - cp->beat_us >= CONTROLPLANE_BEAT_US)
		beat(cp, now_us);
	for (uint32_t w = 0; w < cp->workers; w++)
		worked |= take_commands(cp, w, now_us);
	registry_poll(cp->registry, now_us);
	prepare(cp);
	for (uint32_t w = 0; w < cp->workers; w++)
		worked |= push_events(cp, w);
	return worked;
}

uint64_t controlplane_next_us(const struct controlplane *cp, uint64_t now_us)
{
	uint64_t next = cp->beat_us + CONTROLPLANE_BEAT_US;
	const uint64_t waits = registry_next_us(cp->registry);

	next = waits < next ? waits : next;
	for (uint32_t w = 0; w < cp->workers; w++)
		if ((cp->peers[w].full || cp->peers[w].blocked) &&
			now_us + CONTROLPLANE_RETRY_US < next)
			next = now_us + CONTROLPLANE_RETRY_US;
	return next;
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
		.config = cp->config};
}

const struct registry *controlplane_registry(const struct controlplane *cp)
{
	return cp->registry;
}
