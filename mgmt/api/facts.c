/* facts.c - see facts.h. */
#include "mgmt/api/facts.h"

#include "controlplane/ipc/client.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void hang_up(struct facts *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->waiting = false;
}

static void dial(struct facts *f)
{
	if (f->path != NULL && f->fd < 0)
		f->fd = ipc_connect(f->path, FACTS_CONNECT_MS);
}

void facts_init(struct facts *f, const char *path)
{
	*f = (struct facts){.path = path, .fd = -1};
	dial(f);
}

void facts_fini(struct facts *f)
{
	hang_up(f);
	f->known = false;
}

void facts_tick(struct facts *f)
{
	uint8_t message[IPC_MESSAGE_MAX];

	if (f->waiting)
		hang_up(f);
	dial(f);
	if (f->fd < 0)
		return;
	const struct ipc_request request = {.type = IPC_GET_FACTS, .token = ++f->token};
	const size_t size = ipc_encode_request(&request, message);
	if (send(f->fd, message, size, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)size) {
		hang_up(f);
		return;
	}
	f->waiting = true;
}

void facts_read(struct facts *f, uint64_t now_us)
{
	uint8_t message[IPC_MESSAGE_MAX];
	struct ipc_reply reply;

	if (f->fd < 0)
		return;
	const ssize_t got = recv(f->fd, message, sizeof(message), MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0 || ipc_decode_reply(span_of(message, (size_t)got), &reply) != ERR_NONE) {
		hang_up(f);
		return;
	}
	if (!f->waiting || reply.token != f->token)
		return; /* an answer to what we gave up */
	f->waiting = false;
	if (reply.type != IPC_FACTS)
		return;
	f->value = reply.facts;
	f->known = true;
	f->known_us = now_us;
}

const struct ipc_facts *facts_fresh(const struct facts *f, uint64_t now_us)
{
	if (!f->known || now_us - f->known_us > FACTS_OLD_MS * 1000ull)
		return NULL;
	return &f->value;
}
