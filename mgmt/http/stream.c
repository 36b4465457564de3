/* stream.c - server-sent events: one sample a second to whoever listens.
 *
 * The first event carries all values, the following what changed; a browser
 * that comes back with Last-Event-ID gets what it missed, as far as the history
 * has it. A stream with nothing to say is suspended, and woken by the tick.
 *
 * Spec: HTML 9.2 (server-sent events). */
#include "dataplane/base/assert.h"
#include "mgmt/http/event_id.h"
#include "mgmt/http/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct problem too_many = {MHD_HTTP_SERVICE_UNAVAILABLE, "STREAMS_FULL",
	"no more event streams are served at once",
	"close another console, or poll /api/v1/monitor/overview"};

static struct stream *free_stream(struct server *s)
{
	for (size_t i = 0; i < SERVER_STREAMS_MAX; i++)
		if (s->streams[i].connection == NULL)
			return &s->streams[i];
	return NULL;
}

static void say(struct stream *st, const char *text, size_t size)
{
	ASSERT(size <= sizeof(st->text));
	memcpy(st->text, text, size);
	st->size = size;
	st->sent = 0;
	st->written_us = st->server->now_us;
}

/* Empty when the sample is gone, the event is larger than our room, or memory is short. */
static void say_event(struct stream *st)
{
	const struct monitor *m = st->server->monitor;
	char id[EVENT_ID_MAX];
	json_t *event = report_event(&m->history, st->next, st->whole);
	char *data = event == NULL ? NULL : json_dumps(event, JSON_COMPACT);

	st->size = st->sent = 0;
	json_decref(event);
	if (data == NULL)
		return;
	event_id_write(m->epoch, st->next, id);
	const int n = snprintf(st->text, sizeof(st->text), "id: %s\nevent: %s\ndata: %s\n\n", id,
		st->whole ? "all" : "changes", data);
	free(data);
	if (n < 0 || (size_t)n >= sizeof(st->text))
		return;
	st->size = (size_t)n;
	st->written_us = st->server->now_us;
}

/* Puts what is due into st->text; leaves it empty when nothing is. */
static void fill(struct stream *st)
{
	static const char quiet[] = ": still here\n\n";
	const struct history *h = &st->server->monitor->history;

	st->size = st->sent = 0;
	if (st->next < history_oldest_id(h)) { /* it was away for too long */
		st->next = h->newest;
		st->whole = true;
	}
	if (st->next <= h->newest) {
		say_event(st);
		if (st->size > 0)
			st->whole = false;
		st->next++;
		return;
	}
	if (st->server->now_us - st->written_us >= SERVER_STREAM_QUIET_S * 1000000ull)
		say(st, quiet, sizeof(quiet) - 1);
}

static ssize_t on_read(void *cls, uint64_t position, char *to, size_t room)
{
	struct stream *st = (struct stream *)cls;

	(void)position;
	if (st->server->closing)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (st->sent == st->size)
		fill(st);
	if (st->sent == st->size) {
		st->suspended = true;
		MHD_suspend_connection(st->connection);
		return 0;
	}
	const size_t n = st->size - st->sent < room ? st->size - st->sent : room;
	memcpy(to, st->text + st->sent, n);
	st->sent += n;
	return (ssize_t)n;
}

static void on_free(void *cls)
{
	struct stream *st = (struct stream *)cls;

	st->connection = NULL;
}

/* Behind the last event that the client has, or at the newest sample, whole. */
static void start_at(struct stream *st, const char *last_event_id)
{
	const struct monitor *m = st->server->monitor;
	uint64_t epoch, sample;

	st->next = m->history.newest;
	st->whole = true;
	if (!event_id_read(last_event_id, &epoch, &sample) || epoch != m->epoch)
		return;
	if (history_at(&m->history, sample) != NULL) {
		st->next = sample + 1;
		st->whole = false;
	}
}

enum MHD_Result stream_open(struct server *s, const struct request *r)
{
	struct stream *st = free_stream(s);
	char hello[32];

	if (st == NULL)
		return answer_problem(r, &too_many);
	struct MHD_Response *response =
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, on_read, st, on_free);
	if (response == NULL)
		return MHD_NO;
	st->server = s;
	st->connection = r->connection;
	st->suspended = false;
	start_at(st, MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Last-Event-ID"));
	const int n = snprintf(hello, sizeof(hello), "retry: %d\n\n", SERVER_STREAM_RETRY_MS);
	say(st, hello, (size_t)n);
	answer_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
	answer_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	client_of(r->connection)->streams = true;
	MHD_set_connection_option(
		r->connection, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)SERVER_STREAM_STUCK_S);
	return answer_queue(r, MHD_HTTP_OK, &response);
}

void stream_tick(struct server *s)
{
	for (size_t i = 0; i < SERVER_STREAMS_MAX; i++) {
		struct stream *st = &s->streams[i];
		if (st->connection == NULL || !st->suspended)
			continue;
		st->suspended = false;
		MHD_resume_connection(st->connection);
	}
}

/* libmicrohttpd must not be stopped while a connection is suspended. */
void stream_stop(struct server *s)
{
	s->closing = true;
	stream_tick(s);
}
