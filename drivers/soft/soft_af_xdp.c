/* soft_af_xdp.c - what is special about DPDK's net_af_xdp: XDP sockets on a netdev.
 *
 * Found by reading and trying 22.11: a frame comes in at the queue that the
 * device chose, so there must be exactly as many queues as workers, or the kernel keeps some
 * frames; several queues of a device that does not call them combined (veth) are refused, and the
 * close of a port of several frees what it must not: so each queue is a port. The receive pool is
 * the memory that the kernel writes to; the PMD takes it for `count` buffers without a gap and
 * silently loses whatever lies beyond. Frames leave it by the length of the first segment only:
 * chains are copied. In zero-copy mode an empty poll can wait a second in the PMD, and veth has no
 * such mode: always the copying one.
 *
 * The XDP program is libxdp's own, loaded alone: its dispatcher would leave pins in bpffs that
 * nobody removes. The program stays on the device when the process ends, does no harm there (it
 * hands on what no socket takes), and is taken over by the next one. */
#include "drivers/soft/soft_internal.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_xdp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DESCRIPTORS = 1024,    /* of each direction of each queue: a power of two */
	KERNEL_BUFFERS = 2048, /* that the PMD always leaves with the kernel */
	BUFFERS_MIN = KERNEL_BUFFERS + DESCRIPTORS + 512,
	RELEASE_MS = 20,    /* so soon the kernel has let go of a closed socket's queue */
	XDP_HEADROOM = 256, /* that the kernel leaves before a frame, within the buffer */
};

static enum err refuse(const struct soft *s, char *why, size_t why_size, const char *what)
{
	snprintf(why, why_size, "af_xdp on %s: %s", s->interface, what);
	return ERR_NIC_CONFIG;
}

/* Buffers are one piece of memory without gaps: what the PMD tells the kernel of it is right. */
static bool without_gaps(const struct rte_mempool *mp)
{
	const struct rte_mempool_memhdr *chunk = STAILQ_FIRST(&mp->mem_list);
	const size_t each = mp->header_size + mp->elt_size + mp->trailer_size;

	return mp->nb_mem_chunks == 1 && chunk->len < (size_t)mp->populated_size * each + each;
}

static enum err pools_check(const struct soft *s, char *why, size_t why_size)
{
	for (uint16_t q = 0; q < s->queues; q++) {
		if (s->queue[q].pool->size < BUFFERS_MIN) {
			snprintf(why, why_size,
				"af_xdp on %s: the kernel holds %d receive buffers of each worker; "
				"raise buffers.rx of the configuration to %d or more",
				s->interface, KERNEL_BUFFERS + DESCRIPTORS, BUFFERS_MIN);
			return ERR_NIC_CONFIG;
		}
		if (!without_gaps(s->queue[q].pool))
			return refuse(s, why, why_size, "the receive buffers are in pieces");
	}
	return ERR_NONE;
}

/* Queues that the device receives at; 1 when it cannot tell. */
static uint32_t device_queues(const struct soft *s)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq request = {.ifr_data = (char *)&channels};

	soft_request_name(s, &request);
	if (ioctl(s->control_fd, SIOCETHTOOL, &request) != 0)
		return 1;
	const uint32_t n = channels.rx_count + channels.combined_count;
	return n == 0 ? 1 : n;
}

static enum err queues_check(const struct soft *s, char *why, size_t why_size)
{
	const uint32_t n = device_queues(s);

	if (n == s->queues)
		return ERR_NONE;
	snprintf(why, why_size,
		"af_xdp on %s: the device has %u receive queues and there are %u workers: give it "
		"as "
		"many by `ethtool -L %s` (combined %u, or for a veth rx %u tx %u)",
		s->interface, n, s->queues, s->interface, s->queues, s->queues, s->queues);
	return ERR_NIC_CONFIG;
}

static enum err socket_check(const struct soft *s, char *why, size_t why_size)
{
	const int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		close(fd);
		return ERR_NONE;
	}
	if (errno == EAFNOSUPPORT)
		return refuse(s, why, why_size,
			"this kernel has no XDP sockets (CONFIG_XDP_SOCKETS): use af_packet");
	if (errno == EPERM)
		return refuse(s, why, why_size, "no right to XDP sockets: run as root");
	return refuse(s, why, why_size, strerror(errno));
}

static enum err xdp_prepare(struct soft *s, char *args, size_t size, char *why, size_t why_size)
{
	enum err e = soft_interface_check(s, why, why_size);

	if (e == ERR_NONE)
		e = socket_check(s, why, why_size);
	if (e == ERR_NONE)
		e = pools_check(s, why, why_size);
	if (e == ERR_NONE)
		e = queues_check(s, why, why_size);
	snprintf(args, size, "iface=%s,queue_count=1,force_copy=1,busy_budget=0", s->interface);
	return e;
}

static void xdp_before(struct soft *s)
{
	setenv("LIBXDP_SKIP_DISPATCHER", "1", 0);
	soft_sockets_before(s, AF_XDP);
}

static void xdp_attach(struct soft *s)
{
	soft_sockets_attach(s, AF_XDP);
}

/* The PMD leaves its sockets open, and with them the queues taken and our memory locked. */
static void xdp_detach(struct soft *s)
{
	soft_sockets_attach(s, AF_XDP);
	for (uint16_t q = 0; q < s->queues; q++)
		if (s->queue[q].wake_fd >= 0)
			close(s->queue[q].wake_fd);
	(void)poll(NULL, 0, RELEASE_MS);
}

/* The kernel counts from the socket's beginning. */
static uint64_t xdp_dropped(struct soft *s, uint16_t queue)
{
	struct soft_queue *q = &s->queue[queue];
	struct xdp_statistics stats = {0};
	socklen_t size = sizeof(stats);

	if (getsockopt(q->wake_fd, SOL_XDP, XDP_STATISTICS, &stats, &size) != 0)
		return 0;
	const uint64_t total = stats.rx_dropped + stats.rx_ring_full;
	const uint64_t fresh = total - q->dropped_before;
	q->dropped_before = total;
	return fresh;
}

const struct soft_kind soft_af_xdp = {
	.name = "af_xdp",
	.vdev = "net_af_xdp",
	.log_name = "pmd.net.af_xdp", /* of what is checked before, or tried again */
	.name_good = soft_name_good,
	.name_rule = SOFT_NAME_RULE,
	.queues_max = SOFT_QUEUES_MAX,
	.rx_bytes_max = SOFT_ROOM_BYTES - XDP_HEADROOM,
	.rx_descriptors = DESCRIPTORS,
	.port_argument = "start_queue",
	.prepare = xdp_prepare,
	.before = xdp_before,
	.attach = xdp_attach,
	.dropped = xdp_dropped,
	.detach = xdp_detach,
	.keeps_buffers = true,
};
