/* soft_io.c - frames in and out of a software NIC, and waiting for them.
 *
 * Runs on the worker that owns the queue. The PMDs underneath lose frames
 * quietly when they find no buffer or a frame too long, and stop for good at
 * one that they will not send; so what they would stumble over is taken out
 * here and counted. */
#include "dataplane/base/assert.h"
#include "drivers/soft/soft_internal.h"

#include <errno.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
	STARVED_US = 1000,     /* longest wait while there is no receive buffer */
	FULL_BURSTS_LOOK = 64, /* full bursts between two looks at what the kernel dropped */
};

static const uint64_t wait_us_max = UINT64_C(3600) * 1000 * 1000; /* keeps the sum in range */

struct rte_mbuf *soft_linearise(struct rte_mempool *pool, const struct rte_mbuf *frame)
{
	struct rte_mbuf *copy = rte_pktmbuf_alloc(pool);

	if (copy == NULL)
		return NULL;
	char *at = rte_pktmbuf_append(copy, (uint16_t)frame->pkt_len);
	if (frame->pkt_len > UINT16_MAX || at == NULL) {
		rte_pktmbuf_free(copy);
		return NULL;
	}
	/* What the NIC shall still do to it. */
	copy->ol_flags = frame->ol_flags & (RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4);
	copy->tx_offload = frame->tx_offload;
	for (const struct rte_mbuf *m = frame; m != NULL; m = m->next) {
		memcpy(at, rte_pktmbuf_mtod(m, const char *), m->data_len);
		at += m->data_len;
	}
	return copy;
}

static void kernel_drops(struct soft *s, uint16_t queue)
{
	struct soft_queue *q = &s->queue[queue];

	q->full_bursts = 0;
	if (s->kind->dropped == NULL)
		return;
	counter_add(q->counters, (enum counter)(COUNTER_NAMED + ERR_NIC_RX_DROPPED),
		s->kind->dropped(s, queue));
}

static void readdress(const struct soft *s, struct rte_mbuf *frame)
{
	uint8_t *to = rte_pktmbuf_mtod(frame, uint8_t *);

	if (memcmp(to, soft_mac_prefix, SOFT_MAC_PREFIX) == 0)
		memcpy(to, s->driver.facts.mac, sizeof(s->driver.facts.mac));
}

/* Keeps the frames that are whole; returns how many. */
static uint16_t sift(struct soft *s, struct soft_queue *q, struct rte_mbuf **frames, uint16_t n)
{
	uint64_t bytes = 0;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = frames[i];
		if (m->pkt_len >= SOFT_ETHER_BYTES && m->pkt_len <= s->kind->rx_bytes_max) {
			bytes += m->pkt_len;
			frames[kept++] = m;
			if (s->kind->readdress)
				readdress(s, m);
			continue;
		}
		counter_err(q->counters,
			m->pkt_len < SOFT_ETHER_BYTES ? ERR_ETH_RUNT : ERR_NIC_RX_DROPPED);
		rte_pktmbuf_free(m);
	}
	counter_add(q->counters, COUNTER_NIC_RX_PACKETS, kept);
	counter_add(q->counters, COUNTER_NIC_RX_BYTES, bytes);
	return kept;
}

static uint16_t soft_rx(struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n)
{
	struct soft *s = (struct soft *)d;
	struct soft_queue *q = &s->queue[queue];
	const unsigned buffers = rte_mempool_avail_count(q->pool);

	if (s->ports == 0)
		return 0;
	/* A frame without a buffer would be lost; left alone it waits in the kernel's queue. */
	if (buffers < n) {
		n = (uint16_t)buffers;
		if (n == 0) {
			counter_err(q->counters, ERR_NO_BUFFERS);
			return 0;
		}
	}
	const uint16_t got = rte_eth_rx_burst(q->port, q->number, frames, n);
	if (got == 0)
		return 0;
	if (got == n && ++q->full_bursts >= FULL_BURSTS_LOOK)
		kernel_drops(s, queue);
	return sift(s, q, frames, got);
}

static bool frame_sendable(const struct soft *s, const struct rte_mbuf *m)
{
	return m->pkt_len >= SOFT_ETHER_BYTES && m->pkt_len <= s->tx_bytes_max;
}

/* Hands a run of frames to the PMD; returns how many it took. */
static uint16_t send_run(struct soft *s, uint16_t queue, struct rte_mbuf **frames, uint16_t n)
{
	const struct soft_queue *q = &s->queue[queue];
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++) {
		bytes += frames[i]->pkt_len; /* those that are sent are gone then */
		if (frames[i]->pool == q->pool)
			frames[i]->port = RTE_MBUF_PORT_INVALID; /* the PMD's: soft_reclaim.c */
	}
	const uint16_t sent = rte_eth_tx_burst(q->port, q->number, frames, n);
	for (uint16_t i = sent; i < n; i++)
		bytes -= frames[i]->pkt_len;
	counter_add(q->counters, COUNTER_NIC_TX_PACKETS, sent);
	counter_add(q->counters, COUNTER_NIC_TX_BYTES, bytes);
	return sent;
}

/* How many frames of a run the NIC can take: one that fills in checksums looks at each first. */
static uint16_t prepare_run(const struct soft_queue *q, struct rte_mbuf **frames, uint16_t n)
{
	return q->tx_checksum ? rte_eth_tx_prepare(q->port, q->number, frames, n) : n;
}

/* One frame with more segments than the PMD takes. False: it stays with the caller. */
static bool send_copy(struct soft *s, uint16_t queue, struct rte_mbuf *frame)
{
	struct soft_queue *q = &s->queue[queue];
	struct rte_mbuf *copy = soft_linearise(q->linear, frame);

	if (copy == NULL)
		return false;
	if (prepare_run(q, &copy, 1) == 0 || send_run(s, queue, &copy, 1) == 0) {
		rte_pktmbuf_free(copy);
		return false;
	}
	rte_pktmbuf_free(frame);
	return true;
}

/* As many frames from the start as can go to the PMD as they are, at most a burst. */
static uint16_t plain_run(
	const struct soft *s, uint16_t segs_max, struct rte_mbuf *const *frames, uint16_t n)
{
	uint16_t run = 0;

	while (run < n && run < SOFT_BURST && frame_sendable(s, frames[run]) &&
		frames[run]->nb_segs <= segs_max)
		run++;
	return run;
}

static void drop_tx(struct soft *s, uint16_t queue, struct rte_mbuf *frame)
{
	counter_err(s->queue[queue].counters, ERR_NIC_TX_DROPPED);
	rte_pktmbuf_free(frame);
}

static uint16_t soft_tx(struct driver *d, uint16_t queue, struct rte_mbuf **frames, uint16_t n)
{
	struct soft *s = (struct soft *)d;
	uint16_t done = 0;

	while (done < n && s->ports > 0) {
		const uint16_t run =
			plain_run(s, s->queue[queue].segs_max, frames + done, n - done);
		if (run > 0) {
			const uint16_t good = prepare_run(&s->queue[queue], frames + done, run);
			const uint16_t sent = send_run(s, queue, frames + done, good);
			done += sent;
			if (sent < good)
				break;
			if (good < run)
				drop_tx(s, queue, frames[done++]);
		} else if (!frame_sendable(s, frames[done])) {
			drop_tx(s, queue, frames[done++]);
		} else if (send_copy(s, queue, frames[done])) {
			done++;
		} else {
			break;
		}
	}
	if (done == n)
		return n;
	/* Full: the caller keeps them. Down: nothing will ever take them, and a queue of stale
	 * frames helps nobody. */
	if (soft_link_up(d)) {
		counter_add(s->queue[queue].counters, COUNTER_NIC_TX_BACKPRESSURE, 1);
		return done;
	}
	while (done < n)
		drop_tx(s, queue, frames[done++]);
	return n;
}

static struct timespec timespec_of(uint64_t us)
{
	return (struct timespec){(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
}

/* No frame can wake it; the bell still can. Early is allowed. */
static void rest(int bell, uint64_t us)
{
	const struct timespec time = timespec_of(us);
	struct pollfd poll_fd = {.fd = bell, .events = POLLIN};

	(void)ppoll(&poll_fd, 1, &time, NULL);
}

static void soft_wait(struct driver *d, uint16_t queue, int bell, uint64_t timeout_us)
{
	struct soft *s = (struct soft *)d;
	struct soft_queue *q = &s->queue[queue];
	struct pollfd fds[] = {
		{.fd = q->wake_fd, .events = POLLIN}, {.fd = bell, .events = POLLIN}};

	if (timeout_us > wait_us_max)
		timeout_us = wait_us_max;
	if (q->full_bursts > 0)
		kernel_drops(s, queue);
	/* Frames that nobody can take would wake us at once, again and again. */
	if (rte_mempool_avail_count(q->pool) == 0 && timeout_us > STARVED_US)
		timeout_us = STARVED_US;
	if (q->wake_fd < 0 || rte_mempool_avail_count(q->pool) == 0) {
		rest(bell, timeout_us);
		return;
	}
	const struct timespec time = timespec_of(timeout_us);
	if (ppoll(fds, ARRAY_SIZE(fds), &time, NULL) <= 0)
		return;
	if (fds[0].revents == 0 || (fds[0].revents & POLLIN) != 0)
		return;
	/* The device is down or gone: the error is level-triggered, so do not spin on it. */
	int error;
	socklen_t size = sizeof(error);
	(void)getsockopt(q->wake_fd, SOL_SOCKET, SO_ERROR, &error, &size);
	rest(bell, timeout_us > STARVED_US ? STARVED_US : timeout_us);
}

const struct driver_ops soft_ops = {
	.rx = soft_rx,
	.tx = soft_tx,
	.wait = soft_wait,
	.link_up = soft_link_up,
	.sound = soft_sound,
	.renew = soft_renew,
	.close = soft_close,
};
