/* tcp_path.c - how large a packet may be on its way to a peer: path MTU discovery.
 *
 * A router that says "too big" makes the connection's segments smaller at once; what is under way
 * is sent again, which is no sign of congestion (RFC 1191 6.4). Routers that say nothing are
 * noticed by timeouts of full segments (RFC 2923 2.1, after RFC 4821 7.7). What was learnt serves
 * later connections to the same peer, in a table of bounded size, and is forgotten after ten
 * minutes (RFC 1191 6.3), by connections that are open too. Not here: which errors are believed
 * (tcp_icmp.c). */
#include "dataplane/tcp/tcp_internal.h"

enum {
	HEADERS = 40,  /* IPv4 and TCP, without options: RFC 6691 */
	MTU_MIN = 552, /* smaller ones are not believed: a lie would cost too much */
	SECOND_US = 1000000,
	AGE_US = 600 * SECOND_US,
	PATH_WAYS = 4,
	PATH_SETS = TCP_PATHS / PATH_WAYS,
};

/* RFC 1191 7.1: what paths are like, for routers that do not name the next hop's MTU. */
static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, MTU_MIN};

/* Nearly every tunnel carries the first; then what is always believed. */
static const uint16_t black_hole_steps[] = {1280, MTU_MIN};

static uint16_t largest_below(const uint16_t *table, size_t count, uint32_t size)
{
	for (size_t i = 0; i < count; i++)
		if (table[i] < size)
			return table[i];
	return MTU_MIN;
}

static struct tcp_path *set_of(struct tcp *t, rte_be32_t peer)
{
	const uint64_t hash = siphash(t->conf.key, span_of(&peer, sizeof(peer)));

	return &t->paths[hash % PATH_SETS * PATH_WAYS];
}

static const struct tcp_path *look_up(struct tcp *t, rte_be32_t peer, uint64_t now_us)
{
	const struct tcp_path *set = set_of(t, peer);

	for (unsigned i = 0; i < PATH_WAYS; i++)
		if (set[i].peer == peer && set[i].until_us > now_us)
			return &set[i];
	return NULL;
}

/* In a full set the one that ends first gives way. */
static void remember(struct tcp *t, rte_be32_t peer, uint16_t mtu, uint64_t now_us)
{
	struct tcp_path *set = set_of(t, peer);
	struct tcp_path *to = &set[0];

	for (unsigned i = 0; i < PATH_WAYS; i++) {
		if (set[i].peer == peer) {
			to = &set[i];
			break;
		}
		if (set[i].until_us < to->until_us)
			to = &set[i];
	}
	*to = (struct tcp_path){.until_us = now_us + AGE_US, .peer = peer, .mtu = mtu};
}

static uint16_t mss_of(const struct conn *c, uint32_t mtu)
{
	return (uint16_t)RTE_MIN((uint32_t)c->mss_max, mtu - HEADERS);
}

/* What is known of the path, if anything is, else all that both ends take. */
static void set_mss(struct tcp *t, struct conn *c, uint64_t now_us)
{
	const struct tcp_path *path = look_up(t, c->tuple.peer, now_us);

	c->mss = path == NULL ? c->mss_max : mss_of(c, path->mtu);
	conn_cold(t, c)->path_s = path == NULL ? 0 : (uint32_t)(path->until_us / SECOND_US);
}

void tcp_path_start(struct tcp *t, struct conn *c, uint64_t now_us)
{
	c->mss_max = c->mss;
	set_mss(t, c, now_us);
}

void tcp_path_age(struct tcp *t, struct conn *c)
{
	if (t->now_us / SECOND_US >= conn_cold(t, c)->path_s)
		set_mss(t, c, t->now_us);
}

static void shrink(struct tcp *t, struct conn *c, uint16_t mtu)
{
	ASSERT(mtu >= MTU_MIN);
	c->mss = mss_of(c, mtu);
	conn_cold(t, c)->path_s = (uint32_t)((t->now_us + AGE_US) / SECOND_US);
	remember(t, c->tuple.peer, mtu, t->now_us);
	counter_add(t->conf.counters, COUNTER_TCP_PATH_SHRUNK, 1);
}

void tcp_path_too_big(struct tcp *t, struct conn *c, const struct net_error *e)
{
	const uint32_t said =
		e->mtu != 0 ? e->mtu : largest_below(plateaus, RTE_DIM(plateaus), e->size);
	const uint32_t mtu = RTE_MAX(said, (uint32_t)MTU_MIN);

	/* A packet that it names would have fitted: a lie, or a router that is broken. */
	if (said >= e->size) {
		counter_err(t->conf.counters, ERR_TCP_ICMP_MTU);
		return;
	}
	if (mtu >= c->mss + (uint32_t)HEADERS)
		return; /* one for each segment that was under way: the first one was enough */
	shrink(t, c, (uint16_t)mtu);
	if ((c->flags & CONN_RECOVERY) != 0)
		c->cwnd = RTE_MIN(c->cwnd, c->ssthresh); /* what RFC 6582 lent */
	tcp_loss_restart(t, c);
	tcp_output_add(t, c);
}

void tcp_path_timeout(struct tcp *t, struct conn *c)
{
	const struct conn_cold *cold = conn_cold(t, c);
	const uint32_t flight = c->snd_max - c->snd_una;
	const uint32_t lost = RTE_MIN(flight, (uint32_t)c->mss) + HEADERS; /* at the most */
	const uint16_t mtu = largest_below(black_hole_steps, RTE_DIM(black_hole_steps), lost);

	/* Every second timeout in a row (`recover` is where the last one was), and only if what was
	 * lost would not have fitted. */
	if (cold->backoff % 2 == 0 || seq_ge(c->snd_una, cold->recover) || mtu >= lost)
		return;
	shrink(t, c, mtu);
	counter_add(t->conf.counters, COUNTER_TCP_BLACK_HOLES, 1);
}
