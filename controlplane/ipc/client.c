/* client.c - see client.h. */
#include "controlplane/ipc/client.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int ipc_connect(const char *path, int timeout_ms)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const struct timeval patience = {timeout_ms / 1000, timeout_ms % 1000 * 1000};

	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, path, strlen(path));
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
		connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
		const int why = errno;
		close(fd);
		errno = why;
		return -1;
	}
	return fd;
}

bool ipc_ask(int fd, const struct ipc_request *request, struct ipc_reply *reply)
{
	uint8_t message[IPC_MESSAGE_MAX];
	const size_t size = ipc_encode_request(request, message);

	if (send(fd, message, size, MSG_NOSIGNAL) != (ssize_t)size)
		return false;
	const ssize_t got = recv(fd, message, sizeof(message), 0);
	if (got <= 0) {
		errno = got == 0 ? ECONNRESET : errno;
		return false;
	}
	if (ipc_decode_reply(span_of(message, (size_t)got), reply) != ERR_NONE ||
		reply->token != request->token) {
		errno = EBADMSG;
		return false;
	}
	return true;
}
