/* answer.c - how an answer is dressed: headers, JSON, problems, files of the console. */
#include "mgmt/http/inside.h"

#include <stdlib.h>
#include <string.h>

/* The console needs nothing from elsewhere and nobody needs it in a frame. */
static const char *const everywhere[][2] = {
	{"Content-Security-Policy",
		"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
		"object-src 'none'"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Permissions-Policy", "camera=(), geolocation=(), microphone=()"},
	{"Referrer-Policy", "no-referrer"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
};

void answer_header(struct MHD_Response *response, const char *name, const char *value)
{
	/* Fails only without memory; then the answer goes out with a header less. */
	(void)MHD_add_response_header(response, name, value);
}

enum MHD_Result answer_queue(const struct request *r, unsigned status, struct MHD_Response **take)
{
	struct MHD_Response *response = *take;

	*take = NULL;
	if (response == NULL)
		return MHD_NO; /* no memory: the connection is closed */
	for (size_t i = 0; i < ARRAY_SIZE(everywhere); i++)
		answer_header(response, everywhere[i][0], everywhere[i][1]);
	const enum MHD_Result result = MHD_queue_response(r->connection, status, response);
	MHD_destroy_response(response); /* the connection holds its own */
	return result;
}

static struct MHD_Response *json_response(json_t **take, const char *type)
{
	char *text = *take == NULL ? NULL : json_dumps(*take, JSON_COMPACT);

	json_decref(*take);
	*take = NULL;
	if (text == NULL)
		return NULL;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (response == NULL) {
		free(text);
		return NULL;
	}
	answer_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	answer_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	return response;
}

enum MHD_Result answer_json(const struct request *r, unsigned status, json_t *take)
{
	struct MHD_Response *response = json_response(&take, "application/json");

	return answer_queue(r, status, &response);
}

enum MHD_Result answer_problem(const struct request *r, const struct problem *p)
{
	json_t *document = report_problem(p, r->path);
	struct MHD_Response *response = json_response(&document, "application/problem+json");

	if (response != NULL && p->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		answer_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (response != NULL && p->status == MHD_HTTP_SERVICE_UNAVAILABLE)
		answer_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "5");
	return answer_queue(r, p->status, &response);
}

enum MHD_Result answer_bytes(
	const struct request *r, const char *type, const void *bytes, size_t size)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		size, (void *)(uintptr_t)bytes, MHD_RESPMEM_MUST_COPY);

	if (response != NULL) {
		answer_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
		answer_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	}
	return answer_queue(r, MHD_HTTP_OK, &response);
}

/* A browser asks again each time, and is told "the same" by the tag (RFC 9110 13.1.2). */
enum MHD_Result answer_asset(
	const struct request *r, const char *type, const char *etag, const void *bytes, size_t size)
{
	const char *known = MHD_lookup_connection_value(
		r->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
	const bool same = known != NULL && strcmp(known, etag) == 0;
	struct MHD_Response *response = MHD_create_response_from_buffer(
		same ? 0 : size, (void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT);

	if (response != NULL) {
		answer_header(response, MHD_HTTP_HEADER_ETAG, etag);
		answer_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
		if (!same)
			answer_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	}
	return answer_queue(r, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, &response);
}
