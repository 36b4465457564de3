/* ipc.c - messages to structs and back. See ipc.h. */
#include "controlplane/ipc/ipc.h"

#include "dataplane/base/assert.h"

static_assert(sizeof(struct ipc_header) == 16, "the same in every build");
static_assert(sizeof(struct ipc_session) == 168, "no holes");
static_assert(sizeof(struct ipc_header) + sizeof(struct ipc_page) +
			      IPC_SESSIONS_MAX * sizeof(struct ipc_session) <=
		      IPC_MESSAGE_MAX,
	"a page fits a message");
static_assert(sizeof(struct ipc_inspect) == 56, "no holes");
static_assert(sizeof(struct ipc_header) + sizeof(struct shm_answer_head) + SHM_ANSWER_BYTES <=
		      IPC_MESSAGE_MAX,
	"an answer fits a message");
static_assert(sizeof(struct ipc_header) + sizeof(struct ipc_facts) <= IPC_MESSAGE_MAX,
	"facts fit a message");

/* Checks the header and yields what follows it. */
static enum err open_message(struct span message, struct ipc_header *header, struct span *body)
{
	if (message.size < sizeof(*header) || message.size > IPC_MESSAGE_MAX)
		return ERR_IPC;
	memcpy(header, message.at, sizeof(*header));
	if (header->magic != IPC_MAGIC || header->version != IPC_VERSION)
		return ERR_IPC;
	if (header->size != message.size)
		return ERR_IPC;
	*body = span_skip(message, sizeof(*header));
	return ERR_NONE;
}

/* The body is exactly one struct. */
static enum err read_struct(struct span body, void *out, size_t size)
{
	if (body.size != size)
		return ERR_IPC;
	if (size != 0)
		memcpy(out, body.at, size);
	return ERR_NONE;
}

static enum err read_text(struct span body, char out[IPC_TEXT_MAX])
{
	if (body.size == 0 || body.size >= IPC_TEXT_MAX || memchr(body.at, 0, body.size) != NULL)
		return ERR_IPC;
	memcpy(out, body.at, body.size);
	out[body.size] = '\0';
	return ERR_NONE;
}

enum err ipc_decode_request(struct span message, struct ipc_request *out)
{
	struct ipc_header header;
	struct span body;
	enum err e = open_message(message, &header, &body);

	if (e != ERR_NONE)
		return e;
	out->type = (enum ipc_type)header.type;
	out->token = header.token;
	switch (header.type) {
	case IPC_GET_FACTS:
	case IPC_RESET_NIC:
		return read_struct(body, NULL, 0);
	case IPC_SET_IMPAIR:
		return read_text(body, out->text);
	case IPC_LIST_SESSIONS:
		e = read_struct(body, &out->list, sizeof(out->list));
		if (e == ERR_NONE && (out->list.limit < 1 || out->list.limit > IPC_SESSIONS_MAX))
			e = ERR_IPC;
		return e;
	case IPC_INSPECT:
		e = read_struct(body, &out->inspect, sizeof(out->inspect));
		return e == ERR_NONE && !shm_ask_check(&out->inspect.ask) ? ERR_IPC : e;
	default:
		return ERR_IPC;
	}
}

static enum err read_inspected(struct span body, struct ipc_reply *out)
{
	if (body.size < sizeof(out->inspected))
		return ERR_IPC;
	memcpy(&out->inspected, body.at, sizeof(out->inspected));
	if (out->inspected.count > shm_records_max(out->inspected.kind))
		return ERR_IPC;
	return read_struct(span_skip(body, sizeof(out->inspected)), out->records,
		out->inspected.count * shm_record_bytes(out->inspected.kind));
}

static enum err read_sessions(struct span body, struct ipc_reply *out)
{
	if (body.size < sizeof(out->page))
		return ERR_IPC;
	memcpy(&out->page, body.at, sizeof(out->page));
	if (out->page.count > IPC_SESSIONS_MAX)
		return ERR_IPC;
	return read_struct(span_skip(body, sizeof(out->page)), out->sessions,
		out->page.count * sizeof(out->sessions[0]));
}

/* The names in it are C strings: whatever came, they end. */
static enum err read_facts(struct span body, struct ipc_facts *out)
{
	const enum err e = read_struct(body, out, sizeof(*out));

	out->config.nic[sizeof(out->config.nic) - 1] = '\0';
	out->config.interface[sizeof(out->config.interface) - 1] = '\0';
	out->config.durability[sizeof(out->config.durability) - 1] = '\0';
	out->config.congestion[sizeof(out->config.congestion) - 1] = '\0';
	out->impair[sizeof(out->impair) - 1] = '\0';
	return e;
}

enum err ipc_decode_reply(struct span message, struct ipc_reply *out)
{
	struct ipc_header header;
	struct span body;
	const enum err e = open_message(message, &header, &body);

	if (e != ERR_NONE)
		return e;
	out->type = (enum ipc_type)header.type;
	out->token = header.token;
	switch (header.type) {
	case IPC_FACTS:
		return read_facts(body, &out->facts);
	case IPC_DONE:
	case IPC_WAIT:
		return read_struct(body, NULL, 0);
	case IPC_INSPECTED:
		return read_inspected(body, out);
	case IPC_REFUSED:
		return read_text(body, out->text);
	case IPC_SESSIONS:
		return read_sessions(body, out);
	default:
		return ERR_IPC;
	}
}

static size_t put(uint8_t *out, size_t at, const void *bytes, size_t size)
{
	ASSERT(at + size <= IPC_MESSAGE_MAX);
	if (size != 0)
		memcpy(out + at, bytes, size);
	return at + size;
}

static size_t close_message(uint8_t *out, enum ipc_type type, uint32_t token, size_t size)
{
	const struct ipc_header header = {.magic = IPC_MAGIC,
		.version = IPC_VERSION,
		.type = (uint16_t)type,
		.size = (uint32_t)size,
		.token = token};

	memcpy(out, &header, sizeof(header));
	return size;
}

size_t ipc_encode_request(const struct ipc_request *request, uint8_t *out)
{
	size_t used = sizeof(struct ipc_header);

	if (request->type == IPC_SET_IMPAIR)
		used = put(out, used, request->text, strnlen(request->text, IPC_TEXT_MAX - 1));
	else if (request->type == IPC_LIST_SESSIONS)
		used = put(out, used, &request->list, sizeof(request->list));
	else if (request->type == IPC_INSPECT)
		used = put(out, used, &request->inspect, sizeof(request->inspect));
	else
		ASSERT(request->type == IPC_GET_FACTS || request->type == IPC_RESET_NIC);
	return close_message(out, request->type, request->token, used);
}

size_t ipc_encode_reply(const struct ipc_reply *reply, uint8_t *out)
{
	size_t used = sizeof(struct ipc_header);

	if (reply->type == IPC_FACTS) {
		used = put(out, used, &reply->facts, sizeof(reply->facts));
	} else if (reply->type == IPC_REFUSED) {
		used = put(out, used, reply->text, strnlen(reply->text, IPC_TEXT_MAX - 1));
	} else if (reply->type == IPC_SESSIONS) {
		ASSERT(reply->page.count <= IPC_SESSIONS_MAX);
		used = put(out, used, &reply->page, sizeof(reply->page));
		used = put(
			out, used, reply->sessions, reply->page.count * sizeof(reply->sessions[0]));
	} else if (reply->type == IPC_INSPECTED) {
		ASSERT(reply->inspected.count <= shm_records_max(reply->inspected.kind));
		used = put(out, used, &reply->inspected, sizeof(reply->inspected));
		used = put(out, used, reply->records,
			reply->inspected.count * shm_record_bytes(reply->inspected.kind));
	} else {
		ASSERT(reply->type == IPC_DONE || reply->type == IPC_WAIT);
	}
	return close_message(out, reply->type, reply->token, used);
}
