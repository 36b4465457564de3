/* client.h - asks the control plane, and waits a bounded time for the answer. */
#pragma once
#include "controlplane/ipc/ipc.h"

/* A connected socket, or -1 with errno. */
int ipc_connect(const char *path, int timeout_ms);
/* False: no answer in time, the socket broke, or the answer makes no sense; errno says more. */
MUST_USE bool ipc_ask(int fd, const struct ipc_request *request, struct ipc_reply *reply);
