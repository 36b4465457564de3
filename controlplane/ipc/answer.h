/* answer.h - one request in, one reply out: what the control plane does when it is asked. */
#pragma once
#include "controlplane/ipc/ipc.h"
#include "controlplane/link/controlplane.h"

/* Bytes of the reply in `out`, which has IPC_MESSAGE_MAX. Always answers, if only with REFUSED. */
size_t ipc_answer(struct controlplane *cp, uint64_t now_us, struct span request, uint8_t *out);
