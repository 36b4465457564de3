/* soft_af_packet.c - what is special about DPDK's net_af_packet: packet sockets on a netdev.
 *
 * The PMD keeps its sockets to itself: no interrupt, no statistics, a send that
 * waits in poll(-1) when its ring is full and the socket's send buffer is half
 * used. So the sockets are found among the process's descriptors: they are
 * bound to our interface and were not there before. With them the worker is
 * woken by poll(), the kernel's drops are counted, and a send buffer larger than
 * the ring makes poll() say "writable" at once: the PMD then leaves the loop,
 * and a full ring is back-pressure. Rings: one page order below what the kernel
 * gets in one piece easily; a frame and its header in 2 KiB. */
#include "drivers/soft/soft_internal.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	FRAME_BYTES = 2048,
	FRAMES = 2048, /* in each direction of each queue */
	BLOCK_BYTES = 32768,
	/* What the kernel charges for a frame: the pages it points to, and its own head. */
	FRAME_CHARGE_BYTES = 8192,
	SEND_BUFFER_BYTES = 2 * FRAMES * FRAME_CHARGE_BYTES,
	/* The kernel puts a received frame 66 bytes into its slot and cuts what is longer. */
	RX_CUT_BYTES = FRAME_BYTES - 66,
};

#ifndef PACKET_IGNORE_OUTGOING
enum { PACKET_IGNORE_OUTGOING = 23 };
#endif

static enum err packet_prepare(struct soft *s, char *args, size_t size, char *why, size_t why_size)
{
	const enum err e = soft_interface_check(s, why, why_size);

	if (e != ERR_NONE)
		return e;
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		snprintf(why, why_size, "no packet socket: %s; run as root or with CAP_NET_RAW",
			strerror(errno));
		return ERR_NIC_CONFIG;
	}
	close(fd);
	snprintf(args, size, "iface=%s,qpairs=%u,framesz=%d,framecnt=%d,blocksz=%d", s->interface,
		s->queues, FRAME_BYTES, FRAMES, BLOCK_BYTES);
	return ERR_NONE;
}

static void packet_before(struct soft *s)
{
	soft_sockets_before(s, AF_PACKET);
}

static void socket_tune(int fd)
{
	const int bytes = SEND_BUFFER_BYTES;
	const int on = 1;

	/* Without CAP_NET_ADMIN the system's limit stands; best effort then. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	/* Frames that the kernel itself sends from the device did not come from the wire. */
	(void)setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
}

static void packet_attach(struct soft *s)
{
	soft_sockets_attach(s, AF_PACKET);
	for (uint16_t q = 0; q < s->queues; q++)
		if (s->queue[q].wake_fd >= 0)
			socket_tune(s->queue[q].wake_fd);
}

static uint64_t packet_dropped(struct soft *s, uint16_t queue)
{
	struct tpacket_stats stats = {0};
	socklen_t size = sizeof(stats);

	if (getsockopt(s->queue[queue].wake_fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) != 0)
		return 0;
	return stats.tp_drops; /* reading resets it */
}

const struct soft_kind soft_af_packet = {
	.name = "af_packet",
	.vdev = "net_af_packet",
	.name_good = soft_name_good,
	.name_rule = SOFT_NAME_RULE,
	.queues_max = SOFT_QUEUES_MAX,
	.rx_bytes_max = RX_CUT_BYTES - 1,
	.rx_descriptors = 1, /* its rings are sized by its arguments */
	.prepare = packet_prepare,
	.before = packet_before,
	.attach = packet_attach,
	.dropped = packet_dropped,
};
