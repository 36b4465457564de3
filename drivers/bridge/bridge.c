/* bridge.c - see bridge.h. */
#include "drivers/bridge/bridge.h"

#include "dataplane/base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
	BURST = 32,
	SEGS_MAX = 8, /* of a frame from the memif: it fills one buffer, or a few */
};

struct bridge_queue {
	int tap;                         /* descriptor of this queue of it */
	struct rte_mbuf *waiting[BURST]; /* from the tap, for the memif */
	uint16_t first, count;           /* of them that still wait */
};

struct bridge {
	struct driver *memif; /* NULL: there is none */
	struct rte_mempool *pool;
	struct counters *counters;
	int epoll; /* readable when the tap is */
	uint16_t queues;
	struct bridge_queue queue[BRIDGE_QUEUES_MAX];
};

static int open_queue(const char *tap)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE};

	const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", tap);
	if (ioctl(fd, TUNSETIFF, &request) == 0)
		return fd;
	const int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static bool open_tap(struct bridge *b, const char *tap)
{
	b->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (b->epoll < 0)
		return false;
	for (uint16_t i = 0; i < b->queues; i++) {
		struct epoll_event event = {.events = EPOLLIN};
		b->queue[i].tap = open_queue(tap);
		if (b->queue[i].tap < 0 ||
			epoll_ctl(b->epoll, EPOLL_CTL_ADD, b->queue[i].tap, &event) != 0)
			return false;
	}
	return true;
}

struct bridge *bridge_create(const char *tap, uint16_t queues, struct rte_mempool *pool,
	struct counters *counters, char *why, size_t why_size)
{
	ASSERT(queues >= 1 && queues <= BRIDGE_QUEUES_MAX);
	struct bridge *b = calloc(1, sizeof(*b));

	if (b == NULL) {
		snprintf(why, why_size, "no memory");
		return NULL;
	}
	b->pool = pool;
	b->counters = counters;
	b->queues = queues;
	b->epoll = -1;
	for (uint16_t i = 0; i < queues; i++)
		b->queue[i].tap = -1;
	if (open_tap(b, tap))
		return b;
	snprintf(why, why_size,
		"tap %s cannot be attached to: %s; it is made by `ip tuntap add dev %s mode tap "
		"multi_queue`",
		tap, strerror(errno), tap);
	bridge_destroy(&b);
	return NULL;
}

static void drop(struct bridge *b, struct rte_mbuf **frames, uint16_t n)
{
	counter_add(b->counters, (enum counter)(COUNTER_NAMED + ERR_NIC_TX_DROPPED), n);
	rte_pktmbuf_free_bulk(frames, n);
}

void bridge_connect(struct bridge *b, struct driver *memif)
{
	b->memif = memif;
	for (uint16_t i = 0; i < b->queues && memif == NULL; i++) {
		struct bridge_queue *q = &b->queue[i];
		drop(b, q->waiting + q->first, q->count);
		q->count = 0;
	}
}

void bridge_destroy(struct bridge **bridge)
{
	struct bridge *b = *bridge;

	*bridge = NULL;
	bridge_connect(b, NULL);
	for (uint16_t i = 0; i < b->queues; i++)
		if (b->queue[i].tap >= 0)
			close(b->queue[i].tap);
	if (b->epoll >= 0)
		close(b->epoll);
	free(b);
}

/* One frame of the kernel's; NULL: there is none, or no buffer for it. */
static struct rte_mbuf *read_frame(struct bridge *b, int tap)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(b->pool);

	if (m == NULL) {
		counter_err(b->counters, ERR_NO_BUFFERS);
		return NULL;
	}
	const ssize_t n = read(tap, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m));
	if (n > 0) {
		m->data_len = (uint16_t)n;
		m->pkt_len = (uint32_t)n;
		return m;
	}
	rte_pktmbuf_free(m);
	return NULL;
}

static void fill(struct bridge *b, struct bridge_queue *q)
{
	q->first = 0;
	while (q->count < BURST) {
		q->waiting[q->count] = read_frame(b, q->tap);
		if (q->waiting[q->count] == NULL)
			return;
		q->count++;
	}
}

/* What the memif does not take keeps its place, and the kernel's queue behind it fills. */
static bool to_memif(struct bridge *b, uint16_t queue)
{
	struct bridge_queue *q = &b->queue[queue];

	if (q->count == 0)
		fill(b, q);
	if (q->count == 0)
		return false;
	if (b->memif == NULL) {
		drop(b, q->waiting, q->count);
		q->count = 0;
		return true;
	}
	const uint16_t sent = driver_tx(b->memif, queue, q->waiting + q->first, q->count);
	q->first = (uint16_t)(q->first + sent);
	q->count = (uint16_t)(q->count - sent);
	return sent > 0;
}

/* The kernel takes a frame or refuses it (the tap is down); it is never full. */
static void write_frame(struct bridge *b, int tap, struct rte_mbuf *frame)
{
	struct iovec parts[SEGS_MAX];
	int n = 0;

	if (frame->nb_segs > SEGS_MAX) {
		counter_err(b->counters, ERR_NIC_TX_DROPPED);
		return;
	}
	for (struct rte_mbuf *m = frame; m != NULL; m = m->next)
		parts[n++] = (struct iovec){rte_pktmbuf_mtod(m, void *), m->data_len};
	if (writev(tap, parts, n) != (ssize_t)frame->pkt_len)
		counter_err(b->counters, ERR_NIC_TX_DROPPED);
}

static bool to_tap(struct bridge *b, uint16_t queue)
{
	struct rte_mbuf *frames[BURST];

	if (b->memif == NULL)
		return false;
	const uint16_t n = driver_rx(b->memif, queue, frames, BURST);
	for (uint16_t i = 0; i < n; i++)
		write_frame(b, b->queue[queue].tap, frames[i]);
	rte_pktmbuf_free_bulk(frames, n);
	return n > 0;
}

bool bridge_poll(struct bridge *b)
{
	bool busy = false;

	for (uint16_t i = 0; i < b->queues; i++) {
		busy |= to_memif(b, i);
		busy |= to_tap(b, i);
	}
	return busy;
}

void bridge_wait(struct bridge *b, uint64_t timeout_us)
{
	const struct timespec time = {
		(time_t)(timeout_us / 1000000), (long)(timeout_us % 1000000) * 1000};
	struct epoll_event event;

	(void)epoll_pwait2(b->epoll, &event, 1, &time, NULL);
}
