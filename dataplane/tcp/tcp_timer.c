/* tcp_timer.c - what time does to a connection. One wheel timer each, lazily re-armed.
 *
 * Deadlines are fields of the connection; the wheel only has to fire at or
 * before the earliest, so most segments never touch it.
 * Spec: RFC 6298 5, RFC 9293 3.8.3 (giving up), 3.8.4 (keepalive), 3.8.6.1 (probes). */
#include "dataplane/tcp/tcp_half.h"

enum { TICK_US = 1000, BACKOFF_MAX = 16 };

/* RFC 9293 3.8.4: nothing heard, and nothing of ours under way that would tell. */
static uint64_t keepalive_deadline(const struct tcp *t, const struct conn *c)
{
	const struct conn_cold *cold = conn_cold(t, c);

	if (t->conf.keepalive_us == 0 || !conn_is_synchronized(c) || c->snd_una != c->snd_max)
		return UINT64_MAX;
	if (cold->keepalive_sent == 0)
		return c->heard_us + t->conf.keepalive_us;
	return cold->probe_us + t->conf.keepalive_interval_us;
}

/* RFC 9293 3.8.3, R2: when unacknowledged sequence numbers are given up. */
static uint64_t give_up_deadline(const struct tcp *t, const struct conn *c)
{
	const bool waits = c->snd_una != c->snd_max || (c->flags & CONN_PERSIST) != 0;

	if (t->conf.user_timeout_us == 0 || !waits)
		return UINT64_MAX;
	return c->progress_us + t->conf.user_timeout_us;
}

static uint64_t linger_deadline(const struct tcp *t, const struct conn *c)
{
	if ((c->flags & CONN_DRAINING) != 0)
		return conn_cold(t, c)->probe_us + FIN_WAIT_2_US;
	return c->state == STATE_FIN_WAIT_2 ? c->heard_us + FIN_WAIT_2_US : UINT64_MAX;
}

static uint64_t earliest(const struct tcp *t, const struct conn *c)
{
	uint64_t d = linger_deadline(t, c);

	if (c->state == STATE_CLOSED)
		return d;
	if (c->retransmit_us != 0)
		d = RTE_MIN(d, c->retransmit_us);
	if (c->ack_us != 0)
		d = RTE_MIN(d, c->ack_us);
	d = RTE_MIN(d, give_up_deadline(t, c));
	return RTE_MIN(d, keepalive_deadline(t, c));
}

/* Makes sure that the wheel fires in time; early is good enough. */
void tcp_timer_arm(struct tcp *t, struct conn *c)
{
	const uint64_t d = earliest(t, c);
	const uint32_t index = conn_index(t, c);

	if (d == UINT64_MAX)
		return;
	if (wheel_is_armed(&t->wheel, index) &&
		t->wheel.nodes[index].tick <= (d + TICK_US - 1) / TICK_US)
		return;
	wheel_arm(&t->wheel, index, d);
}

/* RFC 5961 7: a limit of our own for each connection and period, drawn anew each time, so that
 * nobody can count what others used of it (CVE-2016-5696). */
bool tcp_challenge_allowed(struct tcp *t, struct conn *c, uint64_t now_us)
{
	struct conn_cold *cold = conn_cold(t, c);
	const uint32_t now_ms = (uint32_t)(now_us / 1000) | 1; /* 0: never yet */

	if (cold->challenge_ms == 0 || now_ms - cold->challenge_ms >= CHALLENGE_PERIOD_MS) {
		cold->challenge_ms = now_ms;
		cold->challenge_left = (uint8_t)(8 + rng_below(&t->rng, 8));
	}
	if (cold->challenge_left == 0)
		return false;
	cold->challenge_left--;
	return true;
}

/* RFC 9293 3.8.3: SYNs are given up after a number of tries. False: they are. */
static bool syn_timeout(struct tcp *t, struct conn *c, uint64_t now_us)
{
	struct conn_cold *cold = conn_cold(t, c);
	const uint8_t most = c->state == STATE_SYN_SENT ? SYN_RETRIES_MAX : SYN_ACK_RETRIES_MAX;

	if (cold->backoff >= most) {
		tcp_conn_finish(t, c, ERR_TCP_TIMEOUT);
		return false;
	}
	counter_add(t->conf.counters, COUNTER_TCP_RTO, 1);
	counter_add(t->conf.counters, COUNTER_TCP_RETRANSMITS, 1);
	cold->retransmits++;
	tcp_trace(t, c, TCP_WHAT_TIMEOUT, cold->backoff);
	cold->backoff++;
	c->flags |= CONN_SEND_SYN | CONN_SYN_AGAIN;
	c->retransmit_us = now_us + tcp_rto_us(t, c);
	tcp_output_add(t, c);
	return true;
}

static void back_off(struct tcp *t, struct conn *c, uint64_t now_us)
{
	struct conn_cold *cold = conn_cold(t, c);

	if (cold->backoff < BACKOFF_MAX)
		cold->backoff++;
	c->retransmit_us = now_us + tcp_rto_us(t, c);
	tcp_output_add(t, c);
}

/* The retransmission timer, which is also that of SYNs and of probes. False: given up. */
static bool retransmit_timeout(struct tcp *t, struct conn *c, uint64_t now_us)
{
	if (!conn_is_synchronized(c))
		return syn_timeout(t, c, now_us);
	if (tcp_tail_fire(t, c, now_us))
		return true;
	if ((c->flags & CONN_PERSIST) != 0 || c->snd_wnd == 0) {
		tcp_loss_restart(t, c);
		c->flags |= CONN_PERSIST | CONN_PROBE;
		tcp_trace(t, c, TCP_WHAT_PERSIST, conn_cold(t, c)->backoff);
	} else {
		counter_add(t->conf.counters, COUNTER_TCP_RTO, 1);
		tcp_path_timeout(t, c);
		tcp_trace(t, c, TCP_WHAT_TIMEOUT, conn_cold(t, c)->backoff);
		tcp_loss_timeout(t, c);
	}
	back_off(t, c, now_us);
	return true;
}

/* A segment of old sequence numbers draws an ACK from a peer that is there. False: given up. */
static bool keepalive_timeout(struct tcp *t, struct conn *c, uint64_t now_us)
{
	struct conn_cold *cold = conn_cold(t, c);

	if (cold->keepalive_sent >= t->conf.keepalive_probes) {
		tcp_conn_abort(t, c, ERR_TCP_TIMEOUT);
		return false;
	}
	struct outgoing o = {.seq = c->snd_una - 1, .flags = TCP_ACK};
	cold->keepalive_sent++;
	cold->probe_us = now_us;
	counter_add(t->conf.counters, COUNTER_TCP_PROBES, 1);
	tcp_trace(t, c, TCP_WHAT_PROBE, cold->keepalive_sent);
	if (!tcp_emit(t, c, &o))
		counter_err(t->conf.counters, ERR_TCP_TX_BLOCKED);
	return true;
}

/* Does what is due; then waits for the rest. */
static void fire(void *owner, uint32_t index, uint64_t now_us)
{
	struct tcp *t = owner;
	struct conn *c = &t->conns[index];

	ASSERT(c->state != STATE_FREE);
	if (linger_deadline(t, c) <= now_us) {
		if (c->state == STATE_CLOSED)
			tcp_conn_drained(t, c);
		else
			tcp_conn_abort(t, c, ERR_TCP_TIMEOUT);
		return;
	}
	if (c->state == STATE_CLOSED) {
		tcp_timer_arm(t, c);
		return;
	}
	if (give_up_deadline(t, c) <= now_us) {
		tcp_conn_abort(t, c, ERR_TCP_TIMEOUT);
		return;
	}
	if (c->ack_us != 0 && c->ack_us <= now_us) {
		c->ack_us = 0;
		c->flags |= CONN_ACK_NOW;
		tcp_output_add(t, c);
	}
	if (c->retransmit_us != 0 && c->retransmit_us <= now_us &&
		!retransmit_timeout(t, c, now_us))
		return;
	if (keepalive_deadline(t, c) <= now_us && !keepalive_timeout(t, c, now_us))
		return;
	tcp_timer_arm(t, c);
}

uint32_t tcp_poll_timers(struct tcp *t, uint64_t now_us, uint32_t budget)
{
	t->now_us = now_us;
	uint32_t fired = wheel_poll(&t->wheel, now_us, budget, fire, t);
	fired += tcp_half_poll(t, now_us, budget - fired);
	tcp_live_poll(t, now_us);
	return fired + tcp_timewait_poll(t, now_us, budget - fired);
}
