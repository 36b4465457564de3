/* played.c - see played.h. */
#include "tests/link/played.h"

#include <stdlib.h>

struct sessions played;
struct storage_facts played_store_facts;

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

void sessions_destroy(struct sessions **out)
{
	*out = NULL;
}

enum sessions_answer sessions_connect(
	struct sessions *s, const struct sessions_connect *c, struct sessions_now now)
{
	(void)now;
	if (s->connect_later)
		return SESSIONS_LATER;
	called(c->worker, SHM_COMMAND_CONNECT)->connect = *c;
	s->ready[s->ready_end] = (struct sessions_ready){.token = c->token,
		.session = 1001 + s->ready_end,
		.present = true,
		.durable = true};
	s->ready_end++;
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

void sessions_expect(struct sessions *s, bool more)
{
	s->expects = more;
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
static void tell(const struct storage *s, struct storage_facts *out)
{
	(void)s;
	*out = played_store_facts;
}

static const struct storage_ops store_ops = {.facts = tell};
static struct storage store = {&store_ops};

static void *region_new(enum shm_region kind)
{
	void *base = aligned_alloc(SHM_PAGE, shm_region_bytes(kind, WORKERS));

	memset(base, 0, shm_region_bytes(kind, WORKERS));
	shm_region_init(base, kind, WORKERS);
	return base;
}

struct controlplane_conf played_conf(struct world *w)
{
	return (struct controlplane_conf){.cp = w->cp,
		.cp_counters = w->counters,
		.dp = w->dp,
		.workers = WORKERS,
		.config = &w->config,
		.store = &store};
}

void played_start_control(struct world *w)
{
	const struct controlplane_conf conf = played_conf(w);

	controlplane_destroy(&w->control);
	CU_ASSERT_FATAL(controlplane_create(&conf, w->now, &w->control) == ERR_NONE);
}

void played_turn(struct world *w)
{
	bool worked = true;

	for (int i = 0; worked && i < PATIENCE; i++)
		CU_ASSERT(controlplane_turn(w->control, w->now, &worked) == ERR_NONE);
	CU_ASSERT(!worked);
}

void played_forget(void)
{
	for (uint32_t i = 0; i < played.count; i++)
		free(played.calls[i].text);
	played.count = 0;
}

void played_start_workers(struct world *w)
{
	shm_region_start(w->dp, 6);
	for (uint32_t i = 0; i < WORKERS; i++) {
		link_fake_start(&w->workers[i], w->dp, w->cp, i);
		CU_ASSERT(link_fake_hello(&w->workers[i], true));
	}
}

void played_init(struct world *w)
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
	played_start_control(w);
	played_start_workers(w);
	played_turn(w);
	CU_ASSERT(played.count == WORKERS && played.calls[0].type == SHM_COMMAND_HELLO);
	CU_ASSERT(played.calls[0].loaded && played.calls[0].generation == 1);
	played_forget();
}

void played_fini(struct world *w)
{
	played_forget();
	controlplane_destroy(&w->control);
	for (uint32_t i = 0; i < WORKERS; i++)
		link_fake_stop(&w->workers[i]);
	free(w->dp);
	free(w->cp);
	free(w->counters);
}

uint64_t played_errors(const struct world *w, enum err e)
{
	return counter_get(
		shm_counters_const(w->counters, 0), (enum counter)(COUNTER_NAMED + (unsigned)e));
}

struct span played_text(size_t size)
{
	static uint8_t text[2 * LONG];

	CU_ASSERT_FATAL(size <= sizeof(text));
	for (size_t i = 0; i < size; i++)
		text[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
	return (struct span){text, size};
}

bool played_store(struct world *w, uint32_t worker, struct shm_work *work, struct span text)
{
	for (int i = 0; i < PATIENCE; i++) {
		if (link_fake_work(&w->workers[worker], SHM_COMMAND_STORE, work, text))
			return true;
		played_turn(w);
	}
	return false;
}

bool played_has(const struct call *c, struct span text)
{
	return span_equal((struct span){c->text, c->text_size}, text);
}

bool played_connect(struct world *w, uint32_t worker, uint32_t index, const char *id)
{
	struct shm_connect c = {.connection = {index, 1}, .receive_max = 10};
	const struct span none = {NULL, 0};

	return link_fake_connect(&w->workers[worker], &c, span_str(id), none, none, none);
}

void played_effect(
	uint32_t worker, uint8_t type, uint8_t size, uint64_t number, struct span a, struct span b)
{
	struct sessions_effect *e = &played.effects[worker][played.end[worker]++];

	CU_ASSERT_FATAL(played.end[worker] <= EFFECTS);
	*e = (struct sessions_effect){.type = type, .size = size, .text = {a, b}};
	e->done.sequence = number;
	if (type == SHM_EVENT_DELIVER)
		e->deliver = (struct shm_deliver){.entry = number};
}

void played_done(uint32_t worker, uint64_t number)
{
	const struct span none = {NULL, 0};

	played_effect(worker, SHM_EVENT_DONE, sizeof(struct shm_done), number, none, none);
}

void played_deliver(uint32_t worker, uint64_t number, struct span a, struct span b)
{
	played_effect(worker, SHM_EVENT_DELIVER, sizeof(struct shm_deliver), number, a, b);
}

struct link_event played_event(struct world *w, uint32_t worker)
{
	struct link_event e = link_fake_next(&w->workers[worker]);

	for (int i = 0; e.slot.type == 0 && i < PATIENCE; i++) {
		played_turn(w);
		e = link_fake_next(&w->workers[worker]);
	}
	return e;
}
