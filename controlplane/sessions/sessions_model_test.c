/* sessions_model_test.c - a random walk with crashes against what clients may believe.
 *
 * Clients publish to each other's sessions, acknowledge late, come and go and
 * have wills; workers keep their work until it is answered and say it again;
 * batches complete late; the control plane dies, or both planes do, and of what
 * was under way a prefix survives. In the end, when all have come back and
 * nothing moves: what was acknowledged has arrived, at QoS 2 once; what was
 * refused has not; what was repeated had DUP; the order per worker was kept;
 * each will came once; nothing is left in the store. */
#include "tests/unit/sessions_rig.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLIENTS = 4, MESSAGES = 4000, WORKS = 4096, TODO = 256, STEPS = 2500, RUNS = 24 };

struct message {
	uint64_t targets[CLIENTS];
	uint32_t worker;
	uint8_t qos;
	bool acked, refused, out_of_order;
	uint8_t applied[CLIENTS];
};

struct open {
	enum shm_command type;
	struct shm_work work;
	uint32_t message, client, life; /* whose, and of which of its connections */
	bool refused;
};

struct todo {
	uint64_t entry;
	bool received; /* say PUBREC; else PUBACK or PUBCOMP */
};

enum state { OFF, CONNECTING, ON };

struct client {
	enum state state;
	uint32_t worker, index, life; /* life: counts connections */
	uint64_t session, epoch, delivered, declined;
	uint16_t window;
	struct todo todo[TODO];
	uint32_t todo_count;
	uint16_t received[TODO]; /* packet ids */
	uint32_t received_count;
	/* One QoS 2 publish at a time. */
	uint32_t publishing; /* message; 0: none */
	bool sent, published, id_known;
	uint32_t will; /* message; 0: none */
};

static struct rig rig;
static struct rng rng;
static struct message messages[MESSAGES];
static uint32_t messages_count;
static struct client clients[CLIENTS];
static struct open works[RIG_WORKERS][WORKS];
static uint32_t works_count[RIG_WORKERS];
static uint32_t last_in_order[CLIENTS][RIG_WORKERS];
static const char *const names[CLIENTS] = {"watcher", "b", "c", "d"};
static int problems;

static void require(bool ok, const char *what, uint32_t number)
{
	if (ok)
		return;
	if (problems++ < 5)
		printf("# %s: %u\n", what, number);
	CU_ASSERT(false);
}

static bool one_in(uint32_t n)
{
	return rng_below(&rng, n) == 0;
}

static uint32_t new_message(uint8_t qos, uint32_t worker)
{
	const uint32_t m = ++messages_count;

	CU_ASSERT_FATAL(m < MESSAGES);
	messages[m] = (struct message){.qos = qos, .worker = worker};
	return m;
}

/* Says it to the control plane, and keeps it until it is answered. */
static void tell(uint32_t worker, const struct open *o)
{
	char payload[16];
	const struct message *m = &messages[o->message];
	struct rig_store_work s = {.worker = worker,
		.qos = m->qos,
		.topic = "t",
		.payload = payload,
		.session = o->work.session,
		.will = o->work.will,
		.packet_id = o->work.packet_id,
		.flags = o->work.flags,
		.sequence = o->work.sequence};

	snprintf(payload, sizeof(payload), "%u", o->message);
	memcpy(s.targets, m->targets, sizeof(m->targets));
	const enum sessions_answer a = o->type == SHM_COMMAND_STORE
					       ? rig_publish(&rig, &s)
					       : rig_work(&rig, worker, o->type, o->work, NULL);
	CU_ASSERT(a == SESSIONS_TAKEN);
}

static void work(uint32_t worker, struct open o)
{
	CU_ASSERT_FATAL(works_count[worker] < WORKS);
	o.work.sequence = ++rig.sequence[worker];
	works[worker][works_count[worker]++] = o;
	tell(worker, &o);
}

static void client_work(uint32_t c, enum shm_command type, struct shm_work w)
{
	w.session = clients[c].session;
	work(clients[c].worker,
		(struct open){.type = type, .work = w, .client = c, .life = clients[c].life});
}

static void choose_targets(struct message *m)
{
	uint32_t n = 0;

	for (uint32_t c = 0; c < CLIENTS; c++)
		if (clients[c].session != 0 && one_in(2))
			m->targets[n++] = clients[c].session;
}

static void publish(void)
{
	const uint32_t worker = rng_below(&rng, RIG_WORKERS);
	const uint32_t m = new_message((uint8_t)(1 + rng_below(&rng, 2)), worker);

	choose_targets(&messages[m]);
	work(worker, (struct open){.type = SHM_COMMAND_STORE, .message = m, .client = CLIENTS});
}

static void publish_recorded(uint32_t c)
{
	struct client *k = &clients[c];
	struct shm_work w = {.packet_id = (uint16_t)(c + 1), .flags = SHM_WORK_RECORD};

	if (k->state != ON || k->sent)
		return;
	if (k->publishing == 0) {
		k->publishing = new_message(2, k->worker);
		messages[k->publishing].out_of_order = true;
		choose_targets(&messages[k->publishing]);
		k->published = false;
	}
	k->sent = true;
	if (k->published || k->id_known) {
		k->published = true;
		client_work(c, SHM_COMMAND_RELEASE, (struct shm_work){.packet_id = w.packet_id});
		return;
	}
	w.session = k->session;
	work(k->worker, (struct open){.type = SHM_COMMAND_STORE,
				.work = w,
				.message = k->publishing,
				.client = c,
				.life = k->life});
}

static void connect_client(uint32_t c)
{
	struct client *k = &clients[c];
	static char will[32];

	if (k->state != OFF)
		return;
	k->state = CONNECTING;
	k->worker = rng_below(&rng, RIG_WORKERS);
	k->index = ++k->life * CLIENTS + c;
	k->delivered = k->declined = 0;
	k->todo_count = 0;
	k->window = (uint16_t)(1 + rng_below(&rng, 5));
	k->id_known = k->sent = false;
	k->will = c > 0 && one_in(2) ? new_message(2, k->worker) : 0;
	messages[k->will].out_of_order = true;
	messages[k->will].targets[0] = clients[0].session;
	snprintf(will, sizeof(will), "t=%u", k->will);
	const struct rig_who who = {.worker = k->worker,
		.index = k->index,
		.client = names[c],
		.expiry_s = 1000000,
		.receive_max = k->window,
		.will = k->will == 0 ? NULL : will};
	k->epoch = rig.epoch + 1;
	if (rig_connect(&rig, &who) == 0)
		k->state = OFF;
}

static void granted(void)
{
	struct sessions_ready ready;

	while (sessions_next_ready(rig.s, &ready)) {
		struct client *k = &clients[ready.token % CLIENTS];
		if (k->state != CONNECTING || ready.token != k->index)
			continue; /* it has left */
		require(ready.err == ERR_NONE && ready.durable, "not granted", k->index);
		require(ready.present == (k->session != 0), "present", k->index);
		require(k->session == 0 || ready.session == k->session, "session", k->index);
		k->session = ready.session;
		k->state = ON;
	}
}

/* Its will comes, once, whether or not somebody hears of this. */
static void disconnected(uint32_t c, bool farewell)
{
	struct client *k = &clients[c];

	if (k->state == ON && k->will != 0 && !farewell)
		messages[k->will].acked = true;
	k->state = OFF;
	k->todo_count = 0;
}

static void disconnect(uint32_t c)
{
	struct client *k = &clients[c];
	const bool farewell = one_in(3);

	if (k->state != ON)
		return;
	if (farewell || one_in(2))
		client_work(c, SHM_COMMAND_ENDED,
			(struct shm_work){
				.epoch = k->epoch, .flags = farewell ? SHM_WORK_NO_WILL : 0});
	else
		sessions_gone(rig.s, k->session, k->epoch, rig.now);
	disconnected(c, farewell);
}

static void remember_todo(struct client *k, uint64_t entry, bool received)
{
	CU_ASSERT_FATAL(k->todo_count < TODO);
	k->todo[k->todo_count++] = (struct todo){entry, received};
}

static void acknowledge(uint32_t c)
{
	struct client *k = &clients[c];

	if (k->state != ON || k->todo_count == 0)
		return;
	const uint32_t i = rng_below(&rng, k->todo_count);
	const struct todo t = k->todo[i];
	memmove(&k->todo[i], &k->todo[i + 1], (--k->todo_count - i) * sizeof(t));
	client_work(c, t.received ? SHM_COMMAND_RECEIVED : SHM_COMMAND_SETTLED,
		(struct shm_work){.entry = t.entry});
}

static void apply(uint32_t c, uint32_t number, bool dup)
{
	struct message *m = &messages[number];

	require(number > 0 && number <= messages_count, "unexpected", number);
	require(!m->refused, "refused, and delivered", number);
	if (m->applied[c] > 0) {
		require(m->qos == 1, "applied twice", number);
		require(dup, "repeated without DUP", number);
	} else if (!m->out_of_order) {
		require(number > last_in_order[c][m->worker], "out of order", number);
		last_in_order[c][m->worker] = number;
	}
	m->applied[c]++;
}

static bool take_id(struct client *k, uint16_t id)
{
	for (uint32_t i = 0; i < k->received_count; i++) {
		if (k->received[i] != id)
			continue;
		k->received[i] = k->received[--k->received_count];
		return true;
	}
	return false;
}

static void deliver(uint32_t worker, const struct sessions_effect *e)
{
	const struct shm_deliver *d = &e->deliver;
	const uint32_t c = d->connection.index % CLIENTS;
	struct client *k = &clients[c];
	const uint16_t id = (uint16_t)(d->entry % 65535 + 1);
	struct parcel p;

	if (k->state != ON || k->index != d->connection.index || k->worker != worker)
		return;
	/* No room: nor for those behind it. */
	if ((k->declined != 0 && d->entry != k->declined) || one_in(10)) {
		const struct shm_declined no = {.entry = d->entry, .connection = d->connection};
		k->declined = k->declined == 0 ? d->entry : k->declined;
		sessions_declined(rig.s, worker, &no, rig.now);
		return;
	}
	k->declined = 0;
	require(d->entry > k->delivered, "entries go backwards", (uint32_t)d->entry);
	k->delivered = d->entry;
	if ((d->flags & SHM_DELIVER_RELEASE) != 0) {
		(void)take_id(k, id);
		remember_todo(k, d->entry, false);
		return;
	}
	CU_ASSERT_FATAL(parcel_decode(e->text[1], &p) == ERR_NONE);
	char number[16];
	snprintf(number, sizeof(number), "%.*s", (int)p.payload.size, (const char *)p.payload.at);
	const bool known = d->qos == 2 && take_id(k, id);
	if (!known)
		apply(c, (uint32_t)strtoul(number, NULL, 10), (d->flags & SHM_DELIVER_DUP) != 0);
	if (d->qos == 2)
		k->received[k->received_count++] = id;
	remember_todo(k, d->entry, d->qos == 2);
	require(k->todo_count <= 2u * k->window + 5, "window", k->todo_count);
}

static void answered(uint32_t worker, const struct open *o)
{
	struct client *k = o->client < CLIENTS ? &clients[o->client] : NULL;
	const bool hears = k != NULL && k->state == ON && k->life == o->life;

	if (o->type == SHM_COMMAND_STORE) {
		messages[o->message].acked |= !o->refused;
		/* Who left before it heard of it says it again. */
		messages[o->message].refused |= o->refused && (k == NULL || hears);
		if ((o->work.flags & SHM_WORK_WILL) != 0)
			messages[o->message].refused = false; /* it comes again */
	}
	if (!hears)
		return;
	if (o->type == SHM_COMMAND_RECEIVED) {
		(void)take_id(k, (uint16_t)(o->work.entry % 65535 + 1));
		remember_todo(k, o->work.entry, false);
	}
	if (o->type == SHM_COMMAND_STORE) {
		k->published = !o->refused;
		k->publishing = o->refused ? 0 : k->publishing;
		k->sent = false;
	}
	if (o->type == SHM_COMMAND_RELEASE) {
		k->publishing = 0;
		k->sent = k->published = k->id_known = false;
	}
	(void)worker;
}

static void done(uint32_t worker, uint64_t through)
{
	struct open *w = works[worker];
	uint32_t n = 0;

	while (n < works_count[worker] && w[n].work.sequence <= through)
		n++;
	require(n > 0, "nothing was done", (uint32_t)through);
	static struct open copy[WORKS];
	memcpy(copy, w, n * sizeof(*w));
	memmove(w, w + n, (works_count[worker] - n) * sizeof(*w));
	works_count[worker] -= n;
	for (uint32_t i = 0; i < n; i++)
		answered(worker, &copy[i]);
}

static void ids(const struct shm_received *r)
{
	struct client *k = &clients[r->connection.index % CLIENTS];

	for (uint32_t i = 0; i < r->count; i++)
		k->id_known |= k->index == r->connection.index &&
			       r->packet_ids[i] == r->connection.index % CLIENTS + 1;
}

static void publish_will(uint32_t worker, const struct sessions_effect *e)
{
	struct parcel p;
	char number[16];

	CU_ASSERT_FATAL(parcel_decode(e->text[0], &p) == ERR_NONE);
	snprintf(number, sizeof(number), "%.*s", (int)p.payload.size, (const char *)p.payload.at);
	if (one_in(4)) {
		const struct shm_declined no = {.session = e->publish.session};
		sessions_declined(rig.s, worker, &no, rig.now);
		return;
	}
	work(worker, (struct open){.type = SHM_COMMAND_STORE,
			     .message = (uint32_t)strtoul(number, NULL, 10),
			     .work = {.will = e->publish.session, .flags = SHM_WORK_WILL},
			     .client = CLIENTS});
}

static void heard(void *owner, uint32_t worker, const struct sessions_effect *e)
{
	(void)owner;
	switch ((unsigned)e->type) {
	case SHM_EVENT_DONE:
		done(worker, e->done.sequence);
		break;
	case SHM_EVENT_REFUSED:
		for (uint32_t i = 0; i < works_count[worker]; i++)
			works[worker][i].refused |=
				works[worker][i].work.sequence == e->done.sequence;
		break;
	case SHM_EVENT_DELIVER:
		deliver(worker, e);
		break;
	case SHM_EVENT_RECEIVED_ID:
		ids(&e->received);
		break;
	case SHM_EVENT_PUBLISH:
		publish_will(worker, e);
		break;
	default:
		break;
	}
}

/* Workers say who is connected, and all that is open, to the new control plane. */
static void say_again(uint32_t worker)
{
	for (uint32_t c = 0; c < CLIENTS; c++) {
		const struct client *k = &clients[c];
		const struct shm_position p = {.connection = {k->index, 1},
			.session = k->session,
			.delivered = k->delivered,
			.receive_max = k->window,
			.durable = 1};
		if (k->state == ON && k->worker == worker)
			require(sessions_position(rig.s, worker, k->epoch, &p, rig.now),
				"not known any more", c);
	}
	for (uint32_t i = 0; i < works_count[worker]; i++) {
		works[worker][i].refused = false;
		tell(worker, &works[worker][i]);
	}
	sessions_resynced(rig.s, worker, rig.now);
}

static void restart(bool both)
{
	const size_t kept = rng_below(&rng, (uint32_t)rig.store.log_count + 1);

	for (uint32_t c = 0; c < CLIENTS; c++) {
		struct client *k = &clients[c];
		if (k->state == CONNECTING || both)
			disconnected(c, false);
		if (both)
			k->sent = false;
	}
	if (both)
		memset(works_count, 0, sizeof(works_count));
	rig_restart(&rig, kept, both);
	for (uint32_t w = 0; w < RIG_WORKERS && !both; w++)
		say_again(w);
}

static void complete(void)
{
	bool worked;

	rig.store.allowed = rng_below(&rng, 8);
	CU_ASSERT(sessions_poll(rig.s, rig.now, &worked) == ERR_NONE);
	rig.store.allowed = 0;
	granted();
}

static void step(void)
{
	const uint32_t c = rng_below(&rng, CLIENTS), dice = rng_below(&rng, 1000);

	if (dice < 120)
		publish();
	else if (dice < 180)
		publish_recorded(c);
	else if (dice < 240)
		connect_client(c);
	else if (dice < 265)
		disconnect(c);
	else if (dice < 500)
		acknowledge(c);
	else if (dice < 700)
		complete();
	else if (dice < 950)
		rig_hear(&rig, rng_below(&rng, RIG_WORKERS));
	else if (dice < 985)
		rig.now.us += 3000;
	else if (dice < 993)
		restart(false);
	else if (dice < 996)
		restart(true);
	else
		rig.now.wall_ms += 1000;
	sessions_check(rig.s);
}

/* No more faults: all come back, publish what they still have to, and acknowledge everything. */
static void calm_down(void)
{
	for (int i = 0; i < 4000; i++) {
		rig.store.allowed = 100;
		rig.now.us += 10000;
		bool worked;
		CU_ASSERT(sessions_poll(rig.s, rig.now, &worked) == ERR_NONE);
		granted();
		for (uint32_t w = 0; w < RIG_WORKERS; w++)
			rig_hear(&rig, w);
		for (uint32_t c = 0; c < CLIENTS; c++) {
			connect_client(c);
			if (clients[c].publishing != 0)
				publish_recorded(c);
			acknowledge(c);
		}
	}
	rig.store.allowed = 0;
}

static bool was_target(const struct message *m, uint64_t session)
{
	for (uint32_t i = 0; i < CLIENTS; i++)
		if (m->targets[i] == session)
			return true;
	return false;
}

static void judge(void)
{
	for (uint32_t n = 1; n <= messages_count; n++) {
		const struct message *m = &messages[n];
		for (uint32_t c = 0; c < CLIENTS; c++)
			if (m->acked && was_target(m, clients[c].session))
				require(m->applied[c] > 0, "lost", n);
	}
	for (const char *kind = "QBRG"; *kind != '\0'; kind++)
		require(rig_store_rows(&rig.store, (uint8_t)*kind) == 0, "left behind",
			(uint32_t)*kind);
	for (uint32_t w = 0; w < RIG_WORKERS; w++)
		require(works_count[w] == 0, "unanswered", works_count[w]);
}

static void walk(uint64_t seed)
{
	rig_init(&rig);
	rig.heard = heard;
	rig.config.queue_messages_max = 40;
	rng = rng_from(seed);
	memset(messages, 0, sizeof(messages));
	memset(clients, 0, sizeof(clients));
	memset(works_count, 0, sizeof(works_count));
	memset(last_in_order, 0, sizeof(last_in_order));
	messages_count = 0;
	problems = 0;
	/* The watcher is known before anybody's will is written. */
	for (uint32_t c = 0; c < CLIENTS; c++) {
		connect_client(c);
		rig_run(&rig);
		granted();
	}
	for (int i = 0; i < STEPS; i++)
		step();
	calm_down();
	judge();
	if (problems > 0)
		printf("# seed %llu\n", (unsigned long long)seed);
	rig_fini(&rig);
}

static void nothing_is_lost_whatever_dies(void)
{
	const unsigned long long seed = unit_seed();

	for (uint64_t run = 0; run < RUNS; run++)
		walk(seed + run);
}

static const struct unit_test tests[] = {
	{"nothing_is_lost_whatever_dies", nothing_is_lost_whatever_dies},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("sessions_model", tests, argc, argv);
}
