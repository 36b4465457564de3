/* ipc.h - what the control plane is asked over its local socket, and what it answers.
 *
 * A UNIX socket (SOCK_SEQPACKET, mode 0600): one message is one packet. Each
 * starts with struct ipc_header and says its size and version; both sides check
 * these, and every length. Fields are in the machine's order: it stays there.
 *
 *	request                                reply
 *	GET_FACTS                              FACTS: struct ipc_facts
 *	SET_IMPAIR text (impair.h)             DONE, or REFUSED with a text for people
 *	LIST_SESSIONS struct ipc_list          SESSIONS: struct ipc_page and its sessions
 *	RESET_NIC                              DONE: the dataplane will open it again
 *	INSPECT struct ipc_inspect             WAIT: the worker is looking, ask the same again; or
 *	                                       INSPECTED: struct shm_answer_head and its records
 *
 * Anything else is REFUSED. Pure: sockets are in client.h and server.h. */
#pragma once
#include "controlplane/ipc/facts.h"
#include "controlplane/ipc/sessions.h"
#include "dataplane/shm/inspect.h"

#define IPC_MAGIC 0x69626773u /* "sgbi" */

enum {
	IPC_VERSION = 4,
	IPC_MESSAGE_MAX = 16384,
};

enum ipc_type {
	IPC_GET_FACTS = 1,
	IPC_SET_IMPAIR,
	IPC_LIST_SESSIONS,
	IPC_RESET_NIC,
	IPC_INSPECT,
	IPC_FACTS = 129,
	IPC_DONE,
	IPC_REFUSED,
	IPC_SESSIONS,
	IPC_WAIT,
	IPC_INSPECTED,
};

struct ipc_header {
	uint32_t magic;
	uint16_t version, type;
	uint32_t size;  /* of the whole message */
	uint32_t token; /* comes back in the reply */
};

struct ipc_inspect {
	uint32_t worker;
	uint32_t reserved;
	struct shm_ask ask;
};

struct ipc_request {
	enum ipc_type type;
	uint32_t token;
	union {
		char text[IPC_TEXT_MAX]; /* SET_IMPAIR */
		struct ipc_list list;    /* LIST_SESSIONS */
		struct ipc_inspect inspect;
	};
};

struct ipc_reply {
	enum ipc_type type;
	uint32_t token;
	union {
		struct ipc_facts facts;
		char text[IPC_TEXT_MAX]; /* REFUSED */
		struct {
			struct ipc_page page;
			struct ipc_session sessions[IPC_SESSIONS_MAX];
		};
		struct {
			struct shm_answer_head inspected;
			uint8_t records[SHM_ANSWER_BYTES];
		};
	};
};

/* ERR_IPC: malformed. Everything in *out is a checked copy. */
MUST_USE enum err ipc_decode_request(struct span message, struct ipc_request *out);
MUST_USE enum err ipc_decode_reply(struct span message, struct ipc_reply *out);
/* Bytes written; `out` has IPC_MESSAGE_MAX. */
size_t ipc_encode_request(const struct ipc_request *request, uint8_t *out);
size_t ipc_encode_reply(const struct ipc_reply *reply, uint8_t *out);
