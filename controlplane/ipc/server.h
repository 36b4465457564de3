/* server.h - the local socket: accepts, receives whole packets, sends replies. Never blocks.
 *
 * A few clients at a time; one that does not take its reply is dropped, and so
 * is the one that was silent longest when another comes. The socket's mode is
 * 0600: who may open it may ask. Not here: what is asked (answer.h). */
#pragma once
#include "controlplane/ipc/ipc.h"

#include <poll.h>
#include <sys/types.h>

enum { IPC_CLIENTS_MAX = 16, IPC_FDS_MAX = IPC_CLIENTS_MAX + 1 };

struct ipc_server {
	int listener;
	struct {
		int fd;         /* -1: none */
		uint64_t heard; /* order of last requests */
	} clients[IPC_CLIENTS_MAX];
	uint64_t requests;
};

/* Bytes of the reply, at most IPC_MESSAGE_MAX. */
typedef size_t ipc_answerer(void *owner, struct span request, uint8_t *reply);

/* Replaces what lies at `path`, and gives it to `owner` (-1: stays ours). False: errno. */
MUST_USE bool ipc_server_open(struct ipc_server *s, const char *path, uid_t owner);
void ipc_server_close(struct ipc_server *s);
/* What to wait for: IPC_FDS_MAX entries, unused ones have fd -1. */
void ipc_server_fds(const struct ipc_server *s, struct pollfd *fds);
/* Serves what is ready; each client one request. True: there was something. */
bool ipc_server_poll(struct ipc_server *s, ipc_answerer *answer, void *owner);
