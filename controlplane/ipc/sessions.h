/* sessions.h - who is connected, as the control plane tells it page by page. See ipc.h. */
#pragma once
#include <stdint.h>

enum {
	IPC_SESSIONS_MAX = 64,     /* in one page */
	IPC_CLIENT_ID_SHOWN = 128, /* longer ones are cut */
};

struct ipc_list {
	uint32_t cursor; /* 0: from the start; then what the last page said */
	uint32_t limit;  /* 1 to IPC_SESSIONS_MAX */
};

struct ipc_page {
	uint32_t count;
	uint32_t cursor; /* for the next page; 0: that was the last */
};

struct ipc_session {
	uint64_t epoch, age_us; /* since its CONNECT */
	uint32_t worker, connection, address;
	uint16_t port, keepalive_s;
	uint8_t protocol, version, revoking, reserved;
	uint32_t client_id_size; /* in full */
	uint8_t client_id[IPC_CLIENT_ID_SHOWN];
};
