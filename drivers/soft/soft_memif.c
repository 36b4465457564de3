/* soft_memif.c - what is special about DPDK's net_memif: a NIC in memory shared with a process.
 *
 * Two kinds: `memif` is the box's end, which listens at a socket and has link
 * once a peer came; `memif_peer` is the other end, which connects, in another
 * process (the bridge, a generator). The peer makes the memory. Whoever may
 * open the socket is trusted as the box is: the PMD believes the descriptors.
 *
 * Found by reading and trying 22.11: frames are copied, a chain into one
 * buffer, and must fit it (a longer one leaves flags behind that spoil a later
 * one); both ends poll, so nothing wakes us; a peer that was lost does not
 * connect again by itself, it must be closed and opened; a socket of a process
 * that was killed stays, and cannot be bound again. */
#include "drivers/soft/soft_internal.h"

#include <errno.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	RING_LOG2 = 10,        /* frames of each direction of each queue */
	BUFFER_BYTES = 2048,   /* the longest frame, and some */
	RX_BYTES_MAX = 1518,   /* 1500 of IP, an Ethernet header, a VLAN tag */
	SOCKET_PATH_MAX = 107, /* sun_path, and its NUL */
	GREETING_MS = 200,
};

static bool path_good(const char *path)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/";
	const size_t size = strlen(path);

	return path[0] == '/' && size <= SOCKET_PATH_MAX && path[size - 1] != '/' &&
	       strspn(path, allowed) == size;
}

static enum err prepare(struct soft *s, const char *role, char *args, size_t size)
{
	s->mtu = SOFT_MTU_MAX;
	snprintf(args, size, "role=%s,socket=%s,socket-abstract=no,bsize=%d,rsize=%d", role,
		s->interface, BUFFER_BYTES, RING_LOG2);
	return ERR_NONE;
}

/* True: somebody listens there; else errno says why not. */
static bool listened_to(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	memcpy(at.sun_path, path, strlen(path));
	struct pollfd greeting = {.fd = fd, .events = POLLIN};
	const int rc = connect(fd, (const struct sockaddr *)&at, sizeof(at));
	const int error = errno;
	/* It says hello first, and complains in its log if we do not listen. */
	if (rc == 0)
		(void)poll(&greeting, 1, GREETING_MS);
	close(fd);
	errno = error;
	return rc == 0;
}

static enum err memif_prepare(struct soft *s, char *args, size_t size, char *why, size_t why_size)
{
	struct stat there;

	if (listened_to(s->interface)) {
		snprintf(why, why_size, "another process listens at memif socket %s", s->interface);
		return ERR_NIC_CONFIG;
	}
	/* What a killed process left. Anything else that is there stays, and is complained of. */
	if (errno == ECONNREFUSED && lstat(s->interface, &there) == 0 && S_ISSOCK(there.st_mode))
		(void)unlink(s->interface);
	if (lstat(s->interface, &there) == 0) {
		snprintf(
			why, why_size, "%s is there, and no memif socket: remove it", s->interface);
		return ERR_NIC_CONFIG;
	}
	return prepare(s, "server", args, size);
}

static enum err peer_prepare(struct soft *s, char *args, size_t size, char *why, size_t why_size)
{
	if (listened_to(s->interface))
		return prepare(s, "client", args, size);
	snprintf(why, why_size, "nobody listens at memif socket %s: %s", s->interface,
		strerror(errno));
	return ERR_NIC_CONFIG;
}

/* The socket is for our user alone. */
static void memif_before(struct soft *s)
{
	s->creation_mask = umask(0077);
}

static void memif_after(struct soft *s)
{
	umask(s->creation_mask);
}

static bool memif_link_up(const struct soft *s)
{
	struct rte_eth_link link = {0};

	return rte_eth_link_get_nowait(s->queue[0].port, &link) == 0 &&
	       link.link_status == RTE_ETH_LINK_UP;
}

const struct soft_kind soft_memif = {
	.name = "memif",
	.vdev = "net_memif",
	.name_good = path_good,
	.name_rule = "the path of its socket: letters, digits, / _ . or -, at most 107",
	.queues_max = SOFT_QUEUES_MAX,
	.rx_bytes_max = RX_BYTES_MAX,
	.rx_descriptors = 1, /* its rings are sized by its arguments */
	.prepare = memif_prepare,
	.before = memif_before,
	.after = memif_after,
	.link_up = memif_link_up,
};

const struct soft_kind soft_memif_peer = {
	.name = "memif_peer",
	.vdev = "net_memif",
	.log_name = "pmd.net.memif",
	.name_good = path_good,
	.name_rule = "the path of its socket: letters, digits, / _ . or -, at most 107",
	.queues_max = SOFT_QUEUES_MAX,
	.rx_bytes_max = RX_BYTES_MAX,
	.rx_descriptors = 1,
	.prepare = peer_prepare,
	.link_up = memif_link_up,
};
