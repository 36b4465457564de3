/* connections.c - REST about connections: a question to a worker, and the client waits suspended.
 *
 * libmicrohttpd calls the route twice: first it puts the question and is
 * suspended, then, when there is an answer or none will come, it answers. */
#include "mgmt/api/connections.h"

#include "mgmt/http/inside.h"

#include <string.h>

static const struct problem bad_parameter = {MHD_HTTP_BAD_REQUEST, "BAD_PARAMETER",
	"a parameter is unknown, or cannot be what it is",
	"worker, state, peer, peer_port, local_port, limit, cursor: see docs/reference/rest.md"};
static const struct problem bad_id = {MHD_HTTP_BAD_REQUEST, "BAD_CONNECTION_ID",
	"that is no id of a connection", "take one from /api/v1/monitor/connections"};
static const struct problem no_such = {MHD_HTTP_NOT_FOUND, "NO_SUCH_CONNECTION",
	"there is no such connection, or no more",
	"an id is not given again: look for the peer in /api/v1/monitor/connections"};
static const struct problem full = {MHD_HTTP_SERVICE_UNAVAILABLE, "QUESTIONS_FULL",
	"no more questions about connections are asked at once", "ask again"};
static const struct problem no_answer = {MHD_HTTP_SERVICE_UNAVAILABLE, "NO_ANSWER",
	"neither the control plane nor the worker answered in time", "see /healthz"};

/* The first call. */
static enum MHD_Result put_question(
	struct server *s, const struct request *r, const struct ipc_inspect *ask)
{
	struct inspection *one = inspections_add(&s->monitor->inspections, ask, s->now_us);

	if (one == NULL)
		return answer_problem(r, &full);
	client_of(r->connection)->inspection = one;
	MHD_suspend_connection(r->connection);
	return MHD_YES;
}

/* The second one: the slot is free again, its contents are valid until the next question. */
static const struct inspection *take_answer(struct server *s, const struct request *r)
{
	struct client *client = client_of(r->connection);
	struct inspection *one = client->inspection;

	client->inspection = NULL;
	if (one != NULL)
		inspections_remove(&s->monitor->inspections, one);
	return one;
}

struct reading {
	struct connections_page page;
	bool good;
};

static enum MHD_Result read_parameter(
	void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct reading *reading = (struct reading *)cls;

	(void)kind;
	reading->good = connections_page_read(&reading->page, name, value);
	return reading->good ? MHD_YES : MHD_NO;
}

enum MHD_Result connections_list(struct server *s, const struct request *r)
{
	struct reading reading = {.good = true};
	const uint32_t workers = s->monitor->map->workers;

	connections_page_init(&reading.page);
	MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, read_parameter, &reading);
	const struct inspection *one = take_answer(s, r);
	if (!reading.good || reading.page.ask.worker >= workers)
		return answer_problem(r, &bad_parameter);
	if (one == NULL)
		return put_question(s, r, &reading.page.ask);
	if (one->result != INSPECT_DONE)
		return answer_problem(r, &no_answer);
	return answer_json(r, MHD_HTTP_OK,
		connections_report(&reading.page, workers, &one->head, one->records));
}

/* ID, or ID/events. */
static bool read_path(const char *path, struct ipc_inspect *ask)
{
	static const char events[] = "/events";
	const char *id = path + strlen(CONNECTIONS_PATH);
	const char *slash = strchr(id, '/');
	const size_t size = slash == NULL ? strlen(id) : (size_t)(slash - id);

	if (!connections_id_read(id, size, ask))
		return false;
	if (slash == NULL)
		return true;
	ask->ask.kind = SHM_ASK_EVENTS;
	ask->ask.limit = CONNECTIONS_EVENTS;
	return strcmp(slash, events) == 0;
}

enum MHD_Result connections_one(struct server *s, const struct request *r)
{
	const struct inspection *one = take_answer(s, r);
	struct ipc_inspect ask;

	if (!read_path(r->path, &ask))
		return answer_problem(r, &bad_id);
	if (ask.worker >= s->monitor->map->workers)
		return answer_problem(r, &no_such);
	if (one == NULL)
		return put_question(s, r, &ask);
	if (one->result != INSPECT_DONE)
		return answer_problem(r, &no_answer);
	if (one->head.count == 0)
		return answer_problem(r, &no_such);
	return answer_json(r, MHD_HTTP_OK,
		ask.ask.kind == SHM_ASK_EVENTS ? connections_report_events(&one->head, one->records)
					       : connections_report_one(ask.worker, one->records));
}

void connections_turn(struct server *s)
{
	inspections_turn(&s->monitor->inspections, s->now_us);
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];
		if (c->used && c->inspection != NULL && c->inspection->result != INSPECT_PENDING)
			MHD_resume_connection(c->connection);
	}
}

/* libmicrohttpd must not be stopped while a connection is suspended. */
void connections_stop(struct server *s)
{
	inspections_give_up(&s->monitor->inspections);
	connections_turn(s);
}

void connections_forget(struct server *s, struct client *client)
{
	if (client->inspection != NULL)
		inspections_remove(&s->monitor->inspections, client->inspection);
	client->inspection = NULL;
}
