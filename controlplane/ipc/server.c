/* server.c - see server.h. */
#include "controlplane/ipc/server.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16 };

bool ipc_server_open(struct ipc_server *s, const char *path, uid_t owner)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	*s = (struct ipc_server){.listener = -1};
	for (int i = 0; i < IPC_CLIENTS_MAX; i++)
		s->clients[i].fd = -1;
	if (strlen(path) >= sizeof(at.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(at.sun_path, path, strlen(path));
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->listener < 0)
		return false;
	unlink(path); /* of one that was killed */
	/* The mode is right from the first moment: nobody slips in between bind and chmod. */
	const mode_t mask = umask(0177);
	const int bound = bind(s->listener, (const struct sockaddr *)&at, sizeof(at));
	umask(mask);
	if (bound == 0 && (owner == (uid_t)-1 || chown(path, owner, (gid_t)-1) == 0) &&
		listen(s->listener, BACKLOG) == 0)
		return true;
	const int why = errno;
	ipc_server_close(s);
	errno = why;
	return false;
}

static void drop(struct ipc_server *s, int i)
{
	close(s->clients[i].fd);
	s->clients[i].fd = -1;
}

void ipc_server_close(struct ipc_server *s)
{
	for (int i = 0; i < IPC_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0)
			drop(s, i);
	if (s->listener >= 0)
		close(s->listener);
	s->listener = -1;
}

void ipc_server_fds(const struct ipc_server *s, struct pollfd *fds)
{
	fds[0] = (struct pollfd){.fd = s->listener, .events = POLLIN};
	for (int i = 0; i < IPC_CLIENTS_MAX; i++)
		fds[i + 1] = (struct pollfd){.fd = s->clients[i].fd, .events = POLLIN};
}

/* A free place, made if need be. */
static int place(struct ipc_server *s)
{
	int oldest = 0;

	for (int i = 0; i < IPC_CLIENTS_MAX; i++) {
		if (s->clients[i].fd < 0)
			return i;
		if (s->clients[i].heard < s->clients[oldest].heard)
			oldest = i;
	}
	drop(s, oldest);
	return oldest;
}

static bool accept_one(struct ipc_server *s)
{
	const int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return false;
	const int i = place(s);
	s->clients[i].fd = fd;
	s->clients[i].heard = ++s->requests;
	return true;
}

static bool serve_one(struct ipc_server *s, int i, ipc_answerer *answer, void *owner)
{
	/* One byte more than the most: longer packets are cut to a size that is refused. */
	uint8_t request[IPC_MESSAGE_MAX + 1], reply[IPC_MESSAGE_MAX];
	const int fd = s->clients[i].fd;
	const ssize_t got = recv(fd, request, sizeof(request), 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0) {
		drop(s, i);
		return true;
	}
	s->clients[i].heard = ++s->requests;
	const size_t size = answer(owner, span_of(request, (size_t)got), reply);
	if (send(fd, reply, size, MSG_NOSIGNAL) != (ssize_t)size)
		drop(s, i);
	return true;
}

bool ipc_server_poll(struct ipc_server *s, ipc_answerer *answer, void *owner)
{
	bool worked = accept_one(s);

	for (int i = 0; i < IPC_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0)
			worked |= serve_one(s, i, answer, owner);
	return worked;
}
