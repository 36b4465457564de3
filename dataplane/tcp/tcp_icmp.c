/* tcp_icmp.c - what an ICMP error does to the connection whose segment it quotes.
 *
 * Anybody can send one, so it counts only if the sequence number that it quotes is under way (RFC
 * 5927 4.1), and then no more than it must: an open connection outlives it (RFC 1122 4.2.3.9, RFC
 * 5461 2), whatever its code; only an attempt to connect ends.
 * Not here: the message's form (dataplane/net/icmp.c), the path's MTU (tcp_path.c). */
#include "dataplane/tcp/tcp_icmp.h"

#include "dataplane/tcp/tcp_internal.h"

/* NULL: of nobody, or of a connection that waits out its time. */
static struct conn *find(struct tcp *t, const struct net_error *e)
{
	const struct tcp_tuple tuple = {e->dst, e->src, e->dst_port, e->src_port};
	const uint32_t index = tcp_table_find(&t->table, &tuple);

	return index < t->conf.connections_max ? &t->conns[index] : NULL;
}

static bool is_under_way(const struct conn *c, uint32_t seq)
{
	return seq_ge(seq, c->snd_una) && seq_lt(seq, c->snd_max);
}

void tcp_icmp(struct tcp *t, const struct net_error *e, uint64_t now_us)
{
	struct conn *c = find(t, e);

	t->now_us = now_us;
	if (c == NULL) {
		counter_err(t->conf.counters, ERR_TCP_ICMP_STRANGER);
		return;
	}
	if (!is_under_way(c, e->seq)) {
		counter_err(t->conf.counters, ERR_TCP_ICMP_SEQUENCE);
		return;
	}
	if (c->state == STATE_SYN_SENT && e->kind == NET_ERROR_UNREACHABLE)
		tcp_conn_finish(t, c, ERR_TCP_UNREACHABLE); /* RFC 5461 4.1 */
	else if (e->kind == NET_ERROR_TOO_BIG && conn_is_synchronized(c))
		tcp_path_too_big(t, c, e);
	else
		counter_add(t->conf.counters, COUNTER_TCP_SOFT_ERRORS, 1);
}
