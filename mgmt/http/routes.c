/* routes.c - every path that there is, in one table, and what it answers.
 *
 * Paths are compared as they were sent: nothing is decoded, so there is one
 * spelling of each. Query strings are ignored, but for lists. A path that ends in a slash stands
 * for all that begin so. */
#include "mgmt/console/assets.h"
#include "mgmt/http/inside.h"
#include "mgmt/http/resident.h"

#include <string.h>

typedef enum MHD_Result answer_fn(struct server *s, const struct request *r);

static enum MHD_Result answer_health(const struct request *r, const struct health *health)
{
	return answer_json(r, health->count == 0 ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
		report_health(health));
}

static enum MHD_Result healthz(struct server *s, const struct request *r)
{
	struct health health;

	health_judge(&s->monitor->snapshot.sum, &health);
	return answer_health(r, &health);
}

static enum MHD_Result readyz(struct server *s, const struct request *r)
{
	struct health health;

	health_judge_ready(&s->monitor->snapshot.sum, &health);
	return answer_health(r, &health);
}

static struct report_input input(const struct server *s)
{
	const struct monitor *m = s->monitor;

	return (struct report_input){
		&m->history, &m->snapshot, s->version, facts_fresh(&m->facts, s->now_us)};
}

static enum MHD_Result overview(struct server *s, const struct request *r)
{
	const struct report_input in = input(s);

	return answer_json(r, MHD_HTTP_OK, report_overview(&in));
}

static enum MHD_Result counters(struct server *s, const struct request *r)
{
	const struct report_input in = input(s);

	return answer_json(r, MHD_HTTP_OK, report_counters(&in));
}

static enum MHD_Result history(struct server *s, const struct request *r)
{
	return answer_json(r, MHD_HTTP_OK, report_history(&s->monitor->history));
}

static enum MHD_Result metrics(struct server *s, const struct request *r)
{
	const size_t size =
		metrics_write(&s->monitor->snapshot, s->version, s->metrics, sizeof(s->metrics));

	return answer_bytes(r, "text/plain; version=0.0.4; charset=utf-8", s->metrics, size);
}

static enum MHD_Result memory(struct server *s, const struct request *r)
{
	struct memory_input in;

	resident_read(&s->monitor->snapshot, &in);
	return answer_json(r, MHD_HTTP_OK, report_memory(&in));
}

static const struct {
	const char *path;
	answer_fn *answer;
} routes[] = {
	{"/healthz", healthz},
	{"/readyz", readyz},
	{"/metrics", metrics},
	{"/api/v1/monitor/overview", overview},
	{"/api/v1/monitor/counters", counters},
	{"/api/v1/monitor/memory", memory},
	{"/api/v1/monitor/history", history},
	{"/api/v1/monitor/events", stream_open},
	{"/api/v1/monitor/connections", connections_list},
	{CONNECTIONS_PATH, connections_one},
};

static const struct problem not_found = {MHD_HTTP_NOT_FOUND, "NOT_FOUND", "no such path",
	"see /api/v1/monitor/overview, /healthz, /metrics, or / for the console"};
static const struct problem method_not_allowed = {MHD_HTTP_METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED",
	"this path is read-only", "use GET or HEAD"};
static const struct problem body_not_allowed = {MHD_HTTP_BAD_REQUEST, "BODY_NOT_ALLOWED",
	"a GET or HEAD request has no body here", "leave out Content-Length and Transfer-Encoding"};

static const struct asset *asset_at(const char *path)
{
	for (size_t i = 0; i < assets_count; i++)
		if (strcmp(assets[i].path, path) == 0)
			return &assets[i];
	return NULL;
}

static bool is_at(const char *route, const char *path)
{
	const size_t size = strlen(route);

	return route[size - 1] == '/' ? strncmp(route, path, size) == 0 : strcmp(route, path) == 0;
}

static answer_fn *route_at(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
		if (is_at(routes[i].path, path))
			return routes[i].answer;
	return NULL;
}

static bool has_body(struct MHD_Connection *connection)
{
	const char *size = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	const char *coding = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING);

	return coding != NULL || (size != NULL && strcmp(size, "0") != 0);
}

static bool is_read(const char *method)
{
	return strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
	       strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

bool request_is_read(const struct request *r, const char *method)
{
	return is_read(method) && !has_body(r->connection);
}

enum MHD_Result route(struct server *s, const struct request *r, const char *method)
{
	answer_fn *answer = route_at(r->path);
	const struct asset *asset = asset_at(r->path);

	if (answer == NULL && asset == NULL)
		return answer_problem(r, &not_found);
	if (!is_read(method))
		return answer_problem(r, &method_not_allowed);
	if (has_body(r->connection))
		return answer_problem(r, &body_not_allowed);
	if (asset != NULL)
		return answer_asset(r, asset->type, asset->etag, asset->bytes, asset->size);
	monitor_refresh(s->monitor, s->now_us, s->wall_ms);
	return answer(s, r);
}
