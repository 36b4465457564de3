/* inspect.c - see inspect.h. */
#include "dataplane/worker/inspect.h"

#include "dataplane/shm/region.h"
#include "dataplane/tcp/tcp_info.h"
#include "dataplane/worker/worker_internal.h"

void inspect_init(struct worker *w)
{
	struct inspect *in = &w->inspect;

	if (w->conf.link.dp_region == NULL || w->conf.link.cp_region == NULL)
		return;
	in->question = &shm_cp_worker_const(w->conf.link.cp_region, w->conf.worker)->question;
	in->answer = &shm_dp_worker(w->conf.link.dp_region, w->conf.worker)->answer;
	/* What our predecessor was asked, its asker has given up. */
	in->sequence = shm_load(&in->question->sequence);
}

static bool has_prefix(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
	const unsigned whole = bits / 8, rest = bits % 8;
	const uint8_t mask = (uint8_t)(0xff00u >> rest);

	return memcmp(address, prefix, whole) == 0 &&
	       (rest == 0 || ((address[whole] ^ prefix[whole]) & mask) == 0);
}

static bool matches(const struct shm_ask *ask, const struct tcp_facts *f)
{
	return (ask->states == 0 || (ask->states & 1u << f->state) != 0) &&
	       (ask->peer_port == 0 || ask->peer_port == f->peer_port) &&
	       (ask->local_port == 0 || ask->local_port == f->local_port) &&
	       has_prefix(f->peer, ask->peer, ask->peer_bits);
}

static void add(struct worker *w, const struct tcp_facts *tcp)
{
	struct inspect *in = &w->inspect;
	const struct connection *c = &w->connections[tcp->index];
	struct shm_connection_facts f = {.tcp = *tcp};

	if (c->open && c->id.generation == tcp->generation) {
		const struct span id = connection_client_id(w, c);
		f.client_id_size = (uint32_t)id.size;
		f.version = c->version;
		if (id.size > 0)
			memcpy(f.client_id, id.at, RTE_MIN(id.size, sizeof(f.client_id)));
	}
	ASSERT(in->count < SHM_CONNECTIONS_MAX);
	memcpy(in->answer->records + in->count++ * sizeof(f), &f, sizeof(f));
}

static void finish(struct worker *w, uint32_t next)
{
	struct inspect *in = &w->inspect;

	in->busy = false;
	in->answer->head = (struct shm_answer_head){
		.kind = in->ask.kind, .count = in->count, .next = next, .now_us = w->now_us};
	shm_store(&in->answer->sequence, in->sequence);
}

static void look_at_all(struct worker *w)
{
	struct inspect *in = &w->inspect;
	const uint32_t places = tcp_info_places(w->tcp);
	struct tcp_facts f;

	for (uint32_t n = 0; n < INSPECT_PLACES && in->next < places; n++, in->next++) {
		if (!tcp_info_at(w->tcp, in->next, &f) || !matches(&in->ask, &f))
			continue;
		if (in->count == in->ask.limit) { /* there is one more: the next page's first */
			finish(w, in->next);
			return;
		}
		add(w, &f);
	}
	if (in->next >= places)
		finish(w, SHM_ASK_END);
}

static void look_at_one(struct worker *w)
{
	const struct tcp_id id = {w->inspect.ask.index, w->inspect.ask.generation};
	struct tcp_facts f;

	if (tcp_info(w->tcp, id, &f))
		add(w, &f);
	finish(w, SHM_ASK_END);
}

static void look_at_events(struct worker *w)
{
	struct inspect *in = &w->inspect;
	struct tcp_happened found[64];

	for (uint32_t looked = 0; looked < INSPECT_RECORDS; looked += RTE_DIM(found)) {
		const uint32_t n = tcp_events_walk(w->tcp, &in->walk, RTE_DIM(found), found,
			RTE_MIN(in->ask.limit - in->count, (uint32_t)RTE_DIM(found)));
		memcpy(in->answer->records + in->count * sizeof(found[0]), found,
			n * sizeof(found[0]));
		in->count += n;
		if (in->walk.over || in->count == in->ask.limit) {
			finish(w, SHM_ASK_END);
			return;
		}
	}
}

/* A question that makes no sense stays without an answer: it is none of the control plane's. */
static void begin(struct worker *w)
{
	struct inspect *in = &w->inspect;

	in->busy = shm_ask_read(in->question, &in->ask, &in->sequence) && shm_ask_check(&in->ask);
	in->next = in->ask.index;
	in->count = 0;
	in->walk = tcp_events_begin(w->tcp, (struct tcp_id){in->ask.index, in->ask.generation});
}

bool inspect_poll(struct worker *w)
{
	struct inspect *in = &w->inspect;

	if (in->question == NULL)
		return false;
	if (shm_load(&in->question->sequence) != in->sequence)
		begin(w);
	if (!in->busy)
		return false;
	if (in->ask.kind == SHM_ASK_CONNECTIONS)
		look_at_all(w);
	else if (in->ask.kind == SHM_ASK_EVENTS)
		look_at_events(w);
	else
		look_at_one(w);
	return true;
}
