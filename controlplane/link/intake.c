/* intake.c - commands of workers, to the registry and the sessions. See inside.h. */
#include "controlplane/link/inside.h"
#include "controlplane/registry/prepare.h"

/* What a parcel may have beyond the packet that it came in: its fixed part, a topic that was an
 * alias, and what the session makes of properties. */
enum { PARCEL_EXTRA = PARCEL_FIXED + 2 * 65535, COUNT_BYTES = 4 };

size_t intake_store_max(const struct controlplane *cp)
{
	return (size_t)cp->config.packet_size_max + PARCEL_EXTRA + COUNT_BYTES +
	       (size_t)cp->config.sessions_max * STORE_TARGET_MAX;
}

static void forget(struct peer *peer)
{
	parts_drop(&peer->parts);
	carrier_drop(&peer->carrier);
}

bool intake_notice(struct controlplane *cp, struct sessions_now now)
{
	const uint64_t generation = shm_load(&cp->dp->generation);

	(void)now;
	if (generation == cp->dp_generation)
		return false;
	cp->dp_generation = generation;
	for (uint32_t w = 0; w < cp->workers; w++) {
		cp->peers[w].events.receiver = (uint32_t)generation;
		cp->peers[w].greeted = false;
		forget(&cp->peers[w]);
		registry_worker_gone(cp->registry, w);
	}
	counter_add(cp->counters, COUNTER_CP_RESYNCS, 1);
	return true;
}

static void greet(struct controlplane *cp, uint32_t worker, struct sessions_now now)
{
	forget(&cp->peers[worker]);
	registry_worker_gone(cp->registry, worker);
	cp->peers[worker].greeted = true;
	if (cp->compile != NULL)
		compile_forget(cp->compile, worker, now.us);
	if (cp->trials != NULL)
		trials_forget(cp->trials, worker);
	sessions_hello(
		cp->sessions, worker, cp->dp_generation, cp->command->hello.loaded != 0, now);
}

/* A live connection and its session: both must agree that it may have it. */
static void place(struct controlplane *cp, uint32_t worker, struct sessions_now now)
{
	const struct shm_position *p = &cp->command->position;
	const uint64_t epoch = registry_position(cp->registry, worker, p->connection, p->session);

	if (epoch != 0 && !sessions_position(cp->sessions, worker, epoch, p, now))
		registry_turn_out(cp->registry, worker, p->connection, ERR_MQTT_SERVER_BUSY);
}

/* Work that makes no sense: as a STORE without a text it is refused, so that the DONE of what comes
 * later does not stand for it. */
static bool refuse(
	struct controlplane *cp, uint32_t worker, uint64_t sequence, struct sessions_now now)
{
	const struct shm_work nothing = {.sequence = sequence};
	const struct span none = {NULL, 0};

	if (sessions_work(cp->sessions, worker, SHM_COMMAND_STORE, &nothing, none, now) ==
		SESSIONS_LATER)
		return false;
	counter_err(cp->counters, ERR_SLOT_BAD);
	parts_drop(&cp->peers[worker].parts);
	return true;
}

static bool work(struct controlplane *cp, uint32_t worker, struct sessions_now now)
{
	const struct command *c = cp->command;
	struct parts *parts = &cp->peers[worker].parts;
	const size_t most = intake_store_max(cp);
	const bool stores = c->type == SHM_COMMAND_STORE;
	struct span text = c->text;

	if (stores && parts_join(parts, c->text, c->work.text_size, most, &text) != ERR_NONE)
		return refuse(cp, worker, c->work.sequence, now);
	if (sessions_work(cp->sessions, worker, c->type, &c->work, text, now) == SESSIONS_LATER)
		return false;
	if (stores)
		parts_drop(parts);
	return true;
}

static void note_pattern(struct controlplane *cp, uint32_t worker, struct sessions_now now)
{
	const struct shm_pattern *p = &cp->command->pattern;
	const struct compile_news news = {worker, p->pattern, p->added != 0, cp->command->text};

	if (cp->compile != NULL)
		compile_news(cp->compile, &news, now.us);
}

/* False: it cannot be taken now; the slot stays. */
static bool perform(struct controlplane *cp, uint32_t worker, struct sessions_now now)
{
	const struct command *c = cp->command;

	switch (c->type) {
	case SHM_COMMAND_HELLO:
		greet(cp, worker, now);
		return true;
	case SHM_COMMAND_CONNECT:
		return registry_connect(cp->registry, &c->connect, now.us);
	case SHM_COMMAND_CLOSED:
		registry_closed(cp->registry, worker, c->closed.connection);
		return true;
	case SHM_COMMAND_POSITION:
		place(cp, worker, now);
		return true;
	case SHM_COMMAND_RESYNCED:
		sessions_resynced(cp->sessions, worker, now);
		return true;
	case SHM_COMMAND_DECLINED:
		sessions_declined(cp->sessions, worker, &c->declined, now);
		return true;
	case SHM_COMMAND_APPLIED:
		sessions_applied(cp->sessions, worker, &c->applied);
		return true;
	case SHM_COMMAND_PART:
		parts_add(&cp->peers[worker].parts, c->text, intake_store_max(cp));
		return true;
	case SHM_COMMAND_STORE:
	case SHM_COMMAND_SUBSCRIBE:
	case SHM_COMMAND_UNSUBSCRIBE:
	case SHM_COMMAND_RELEASE:
	case SHM_COMMAND_RECEIVED:
	case SHM_COMMAND_SETTLED:
	case SHM_COMMAND_ENDED:
		return work(cp, worker, now);
	case SHM_COMMAND_PATTERN:
		note_pattern(cp, worker, now);
		return true;
	case SHM_COMMAND_TRY:
		return cp->trials == NULL ||
		       trials_add(cp->trials, worker, c->trial.token, c->text);
	case SHM_COMMANDS:
		break;
	}
	return true;
}

/* The same, of a slot with lies in it. */
static bool reject(struct controlplane *cp, uint32_t worker, const struct shm_slot *slot,
	struct sessions_now now)
{
	const bool is_work = slot->type >= SHM_COMMAND_STORE && slot->type <= SHM_COMMAND_ENDED;

	if (is_work && slot->work.sequence != 0)
		return refuse(cp, worker, slot->work.sequence, now);
	counter_err(cp->counters, ERR_SLOT_BAD);
	return true;
}

/* The same for a slot as it lies in the ring. */
static bool perform_slot(struct controlplane *cp, uint32_t worker, const struct shm_slot *slot,
	struct sessions_now now)
{
	const enum err e = command_decode(slot, cp->peers[worker].arena, worker, cp->command);

	/* A dataplane that started meanwhile may have written over the text. */
	intake_notice(cp, now);
	if (slot->sender != (uint32_t)cp->dp_generation)
		return true;
	/* What was said to one before us is said again: taken twice, the second greeting would end
	 * those whom the first has introduced. */
	if (slot->receiver != 0 && slot->receiver != (uint32_t)cp->generation)
		return true;
	return e == ERR_NONE ? perform(cp, worker, now) : reject(cp, worker, slot, now);
}

bool intake_take(struct controlplane *cp, uint32_t worker, struct sessions_now now)
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
		if (!perform_slot(cp, worker, &slot, now)) {
			peer->blocked = true;
			taken--;
			break;
		}
		shm_rx_done(&peer->commands);
		counter_add(cp->counters, COUNTER_RING_RX, 1);
	}
	return taken > 0;
}
