/* soft_tap.c - what is special about DPDK's net_tap: a kernel tap device as a NIC.
 *
 * Found by trying 22.11: it opens the device with IFF_MULTI_QUEUE, so a
 * persistent one must have that flag too; it gives the kernel end the MAC and
 * the MTU of the port; at close it takes the interface down; a killed process
 * leaves a persistent one up, with its addresses, without carrier; at start it puts two descriptors
 * of each queue into a message that has room for eight, on the stack, and does not count: four
 * queues are all that it survives.
 *
 * It arms SIGIO-style signals, one real-time signal a frame, so that an empty
 * poll costs no system call. We are woken by poll() instead, and the signals
 * would interrupt it, cost more than they save, and end the process when the
 * signal queue overflows (the kernel then sends a plain SIGIO). The PMD goes
 * without them when no real-time signal is free, so none is while it opens. */
#include "drivers/soft/soft_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char tun_path[] = "/dev/net/tun";

/* Attaches as the PMD will; a device made by this goes when the descriptor is closed. */
static enum err try_attach(const struct soft *s, int fd, char *why, size_t why_size)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_MULTI_QUEUE};

	soft_request_name(s, &request);
	if (ioctl(fd, TUNSETIFF, &request) == 0)
		return ERR_NONE;
	if (errno == EINVAL)
		snprintf(why, why_size,
			"%s exists but is no tap with the multi_queue flag: remove it, or make it "
			"by `ip tuntap add dev %s mode tap multi_queue`",
			s->interface, s->interface);
	else if (errno == EPERM)
		snprintf(why, why_size, "no right to use tap %s: run as root or with CAP_NET_ADMIN",
			s->interface);
	else
		snprintf(why, why_size, "tap %s cannot be attached to: %s", s->interface,
			strerror(errno));
	return ERR_NIC_CONFIG;
}

static enum err tap_prepare(struct soft *s, char *args, size_t size, char *why, size_t why_size)
{
	uint8_t mac[6];

	const int fd = open(tun_path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		snprintf(why, why_size,
			"%s cannot be opened: %s; as root, `modprobe tun` may bring it", tun_path,
			strerror(errno));
		return ERR_NIC_CONFIG;
	}
	const bool exists = soft_interface(s, mac);
	if (s->existed && !exists) {
		/* Somebody gave it addresses, and shall do so again. */
		snprintf(why, why_size, "tap %s is gone", s->interface);
		close(fd);
		return ERR_NIC_CONFIG;
	}
	s->existed = exists;
	if (!exists) {
		/* The kernel end of a new device: not the box's own MAC, and always the same. */
		soft_mac(s->box, s->interface, mac);
		mac[2] = 'K';
		s->mtu = SOFT_MTU_MAX;
	}
	const enum err e = try_attach(s, fd, why, why_size);
	close(fd);
	snprintf(args, size, "iface=%s,mac=%02x:%02x:%02x:%02x:%02x:%02x", s->interface, mac[0],
		mac[1], mac[2], mac[3], mac[4], mac[5]);
	return e;
}

/* Signals that nobody handles are ignored for a moment: the PMD takes them for in use. */
static void tap_before(struct soft *s)
{
	struct sigaction now;
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	for (int n = SIGRTMIN + 1; n < SIGRTMAX; n++) {
		if (sigaction(n, NULL, &now) != 0 || now.sa_handler != SIG_DFL)
			continue;
		sigaction(n, &ignore, NULL);
		s->signals_quiet |= UINT64_C(1) << (n - 1);
	}
}

static void tap_after(struct soft *s)
{
	const struct sigaction standard = {.sa_handler = SIG_DFL};

	for (int n = SIGRTMIN + 1; n < SIGRTMAX; n++)
		if ((s->signals_quiet & UINT64_C(1) << (n - 1)) != 0)
			sigaction(n, &standard, NULL);
	s->signals_quiet = 0;
}

static void tap_attach(struct soft *s)
{
	for (uint16_t q = 0; q < s->queues; q++)
		s->queue[q].wake_fd = rte_eth_dev_rx_intr_ctl_q_get_fd(s->queue[q].port, q);
	/* The PMD set the MTU of its port on the device; put back what a user had chosen. */
	if (s->existed && s->mtu < SOFT_MTU_MAX)
		rte_eth_dev_set_mtu(s->queue[0].port, s->mtu);
}

/* The PMD took the interface down; a device that was there before us stays as it was. */
static void tap_detach(struct soft *s)
{
	struct ifreq request = {0};

	if (!s->existed)
		return;
	soft_request_name(s, &request);
	if (ioctl(s->control_fd, SIOCGIFFLAGS, &request) == 0) {
		request.ifr_flags |= IFF_UP;
		ioctl(s->control_fd, SIOCSIFFLAGS, &request);
	}
}

const struct soft_kind soft_tap = {
	.name = "tap",
	.vdev = "net_tap",
	/* It complains of a missing multiq qdisc and of the signals: both without effect on us. */
	.log_name = "pmd.net.tap",
	.name_good = soft_name_good,
	.name_rule = SOFT_NAME_RULE,
	.queues_max = RTE_MP_MAX_FD_NUM / 2,
	.rx_bytes_max = SOFT_ROOM_BYTES,
	.rx_descriptors = 1, /* segments of one frame, which fits one buffer */
	.prepare = tap_prepare,
	.before = tap_before,
	.after = tap_after,
	.attach = tap_attach,
	.detach = tap_detach,
};
