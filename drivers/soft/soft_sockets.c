/* soft_sockets.c - finds the sockets that a PMD opened and keeps to itself.
 *
 * They are among the process's descriptors, of a known domain, and were not
 * there before the PMD was started. */
#include "drivers/soft/soft_internal.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

enum { DESCRIPTORS_LOOKED_AT = 4096 };

/* A packet socket tells what it is bound to; an XDP socket does not. */
static bool is_ours(const struct soft *s, int domain, int fd)
{
	struct sockaddr_ll bound = {0};
	socklen_t size = sizeof(bound);

	return domain != AF_PACKET ||
	       (getsockname(fd, (struct sockaddr *)&bound, &size) == 0 &&
		       bound.sll_ifindex == (int)if_nametoindex(s->interface));
}

/* Of this process, in the order of their descriptors. */
static unsigned list(const struct soft *s, int domain, int *out, unsigned out_max)
{
	unsigned n = 0;

	for (int fd = 0; fd < DESCRIPTORS_LOOKED_AT && n < out_max; fd++) {
		int its = 0;
		socklen_t size = sizeof(its);
		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &its, &size) == 0 && its == domain &&
			is_ours(s, domain, fd))
			out[n++] = fd;
	}
	return n;
}

void soft_sockets_before(struct soft *s, int domain)
{
	s->sockets_before = list(s, domain, s->sockets, SOFT_SOCKETS_MAX);
}

static bool was_there(const struct soft *s, int fd)
{
	for (unsigned i = 0; i < s->sockets_before; i++)
		if (s->sockets[i] == fd)
			return true;
	return false;
}

/* The PMD opened its sockets one after another, so the n-th new one is queue n's. */
void soft_sockets_attach(struct soft *s, int domain)
{
	int now[SOFT_SOCKETS_MAX];
	const unsigned n = list(s, domain, now, SOFT_SOCKETS_MAX);
	uint16_t q = 0;

	for (uint16_t i = 0; i < s->queues; i++)
		s->queue[i].wake_fd = -1;
	for (unsigned i = 0; i < n && q < s->queues; i++)
		if (!was_there(s, now[i]))
			s->queue[q++].wake_fd = now[i];
}
