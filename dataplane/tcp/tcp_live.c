/* tcp_live.c - the connections of a process that died: their peers are told.
 *
 * A peer that sends nothing would believe for hours in a connection that
 * nobody serves. We do not know its numbers, so a RST of ours would be ignored
 * (RFC 5961 3.2); but an ACK with numbers out of its window makes it answer
 * with its own (RFC 9293 3.10.7.4, first), and to those CLOSED has the right
 * RST (3.10.7.1). A timestamp option goes with it: a peer that has agreed on
 * them may ignore segments without (RFC 7323 3.2). ACK or answer may be lost,
 * and the neighbour be not known yet, so there are some rounds, at a limited
 * rate, beside all other work. An entry whose place is needed has its turn at once. */
#include "dataplane/tcp/tcp_live.h"

#include "dataplane/tcp/tcp_half.h"

enum {
	ROUNDS = 5,
	ROUND_US = 1000000, /* the first takes as long at the least, each further one twice that */
	STEP_US = 1000,
	STEP_VISITS = 512, /* of entries */
	STEP_PROBES = 16,
};

void tcp_live_init(struct tcp *t)
{
	const struct tcp_live_table *table = t->conf.live.table;

	t->live = (struct live_walk){.next_us = UINT64_MAX};
	if (table == NULL)
		return;
	ASSERT(t->conf.live.generation != 0);
	t->live.used = RTE_MIN(table->used, t->conf.live.max);
	if (t->live.used > 0)
		t->live.next_us = t->live.round_us = t->now_us;
}

static struct tcp_live *entry_of(const struct tcp *t, uint32_t index)
{
	if (t->conf.live.table == NULL || index >= t->conf.live.max)
		return NULL;
	return &t->conf.live.table->entries[index];
}

static bool is_orphan(const struct tcp *t, const struct tcp_live *e)
{
	return e->generation != 0 && e->generation != t->conf.live.generation;
}

/* A crash may come between any two stores: an entry that says whose it is is whole. */
static void set_generation(struct tcp_live *e, uint32_t generation)
{
	__atomic_store_n(&e->generation, generation, __ATOMIC_RELEASE);
}

static void probe(struct tcp *t, const struct tcp_tuple *tuple)
{
	const uint64_t numbers = rng_next(&t->rng), stamps = rng_next(&t->rng);
	const struct reply r = {.tuple = *tuple,
		.h = {.src_port = tuple->local_port,
			.dst_port = tuple->peer_port,
			.seq = (uint32_t)numbers,
			.ack = (uint32_t)(numbers >> 32),
			.flags = TCP_ACK,
			.options = {.has_timestamps = true,
				.tsval = (uint32_t)stamps,
				.tsecr = (uint32_t)(stamps >> 32)}}};

	/* The same four numbers may be in use again, and our address may be another now. */
	if (tuple->local != t->conf.address || tuple->peer_port == 0 || tuple->local_port == 0 ||
		tcp_table_find(&t->table, tuple) != TABLE_EMPTY)
		return;
	if (tcp_emit_reply(t, &r))
		counter_add(t->conf.counters, COUNTER_TCP_ORPHANS_PROBED, 1);
}

void tcp_live_add(struct tcp *t, const struct conn *c)
{
	const uint32_t index = conn_index(t, c);
	struct tcp_live *e = entry_of(t, index);

	if (e == NULL)
		return;
	if (is_orphan(t, e))
		probe(t, &e->tuple);
	set_generation(e, 0);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	e->tuple = c->tuple;
	set_generation(e, t->conf.live.generation);
	if (index >= t->conf.live.table->used)
		t->conf.live.table->used = index + 1;
}

void tcp_live_remove(struct tcp *t, const struct conn *c)
{
	struct tcp_live *e = entry_of(t, conn_index(t, c));

	if (e != NULL && e->generation == t->conf.live.generation)
		set_generation(e, 0);
}

/* Returns whether it was one. */
static bool visit(struct tcp *t, struct tcp_live *e)
{
	if (!is_orphan(t, e))
		return false;
	probe(t, &e->tuple);
	t->live.found++;
	if (t->live.round + 1 == ROUNDS)
		set_generation(e, 0);
	return true;
}

static void end_round(struct tcp *t)
{
	struct live_walk *w = &t->live;

	if (w->found == 0 || ++w->round == ROUNDS) {
		w->next_us = UINT64_MAX;
		return;
	}
	const uint64_t earliest = w->round_us + ((uint64_t)ROUND_US << (w->round - 1));
	w->next_us = w->round_us = RTE_MAX(earliest, t->now_us + STEP_US);
	w->at = w->found = 0;
}

uint32_t tcp_live_poll(struct tcp *t, uint64_t now_us)
{
	struct live_walk *w = &t->live;
	uint32_t probes = 0;

	if (now_us < w->next_us)
		return 0;
	w->next_us = now_us + STEP_US;
	for (uint32_t i = 0; i < STEP_VISITS && w->at < w->used && probes < STEP_PROBES; i++)
		probes += visit(t, &t->conf.live.table->entries[w->at++]);
	if (w->at == w->used)
		end_round(t);
	return probes;
}

uint64_t tcp_live_next_us(const struct tcp *t)
{
	return t->live.next_us;
}

/* All that is established is there, and of ours nothing else. */
void tcp_live_check(const struct tcp *t)
{
	for (uint32_t i = 0; t->conf.live.table != NULL && i < t->conf.connections_max; i++) {
		const struct conn *c = &t->conns[i];
		const struct tcp_live *e = entry_of(t, i);
		if (e == NULL)
			return;
		const bool open = conn_is_synchronized(c);
		ASSERT(open == (e->generation == t->conf.live.generation));
		ASSERT(!open || memcmp(&e->tuple, &c->tuple, sizeof(e->tuple)) == 0);
		ASSERT(!open || i < t->conf.live.table->used);
	}
}
