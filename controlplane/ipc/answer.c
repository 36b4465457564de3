/* answer.c - see answer.h. */
#include "controlplane/ipc/answer.h"

#include "controlplane/config/impair.h"

#include <stdio.h>

static void set_impair(struct controlplane *cp, const char *text, struct ipc_reply *reply)
{
	struct shm_impair impair;

	reply->type = IPC_REFUSED;
	if (impair_parse(text, &impair, reply->text, sizeof(reply->text)) != ERR_NONE)
		return;
	controlplane_impair(cp, &impair);
	reply->type = IPC_DONE;
}

static void show_session(const struct registry_session *s, uint64_t now_us, struct ipc_session *out)
{
	const size_t shown =
		s->client_id.size < IPC_CLIENT_ID_SHOWN ? s->client_id.size : IPC_CLIENT_ID_SHOWN;

	*out = (struct ipc_session){.epoch = s->epoch,
		.age_us = now_us - s->since_us,
		.worker = s->worker,
		.connection = s->connection.index,
		.address = s->address,
		.port = s->port,
		.keepalive_s = s->keepalive_s,
		.protocol = s->protocol,
		.version = s->version,
		.revoking = s->revoking,
		.client_id_size = (uint32_t)s->client_id.size};
	memcpy(out->client_id, s->client_id.at, shown);
}

static void list_sessions(const struct controlplane *cp, uint64_t now_us,
	const struct ipc_list *list, struct ipc_reply *reply)
{
	const struct registry *r = controlplane_registry(cp);
	struct registry_session s;
	uint32_t cursor = list->cursor;

	reply->type = IPC_SESSIONS;
	reply->page = (struct ipc_page){0, 0};
	while (reply->page.count < list->limit && registry_list(r, &cursor, &s))
		show_session(&s, now_us, &reply->sessions[reply->page.count++]);
	/* Is there one more? Then the page says where it starts. */
	uint32_t next = cursor;
	if (reply->page.count == list->limit && registry_list(r, &next, &s))
		reply->page.cursor = cursor;
}

static void inspect(struct controlplane *cp, uint64_t now_us, const struct ipc_inspect *asked,
	struct ipc_reply *reply)
{
	switch (controlplane_inspect(cp, asked, now_us, &reply->inspected, reply->records)) {
	case INSPECT_WAITS:
		reply->type = IPC_WAIT;
		return;
	case INSPECT_ANSWERED:
		reply->type = IPC_INSPECTED;
		return;
	case INSPECT_BUSY:
		snprintf(reply->text, sizeof(reply->text), "another question is under way");
		break;
	case INSPECT_SENSELESS:
		snprintf(reply->text, sizeof(reply->text),
			"there is no such worker, or it answers nonsense");
		break;
	}
	reply->type = IPC_REFUSED;
}

size_t ipc_answer(struct controlplane *cp, uint64_t now_us, struct span request, uint8_t *out)
{
	static struct ipc_reply reply; /* too large for a stack */
	struct ipc_request asked = {.token = 0};

	if (ipc_decode_request(request, &asked) != ERR_NONE) {
		reply.type = IPC_REFUSED;
		snprintf(reply.text, sizeof(reply.text),
			"malformed request, or one of another version than %d", IPC_VERSION);
	} else if (asked.type == IPC_SET_IMPAIR) {
		set_impair(cp, asked.text, &reply);
	} else if (asked.type == IPC_RESET_NIC) {
		controlplane_reset_nic(cp);
		reply.type = IPC_DONE;
	} else if (asked.type == IPC_INSPECT) {
		inspect(cp, now_us, &asked.inspect, &reply);
	} else if (asked.type == IPC_LIST_SESSIONS) {
		list_sessions(cp, now_us, &asked.list, &reply);
	} else {
		reply.type = IPC_FACTS;
		controlplane_facts(cp, now_us, &reply.facts);
		impair_print(
			&reply.facts.config.impair, reply.facts.impair, sizeof(reply.facts.impair));
	}
	reply.token = asked.token;
	return ipc_encode_reply(&reply, out);
}
