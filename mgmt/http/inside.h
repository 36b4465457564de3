/* inside.h - what the files of this folder share and nobody else sees. */
#pragma once
#include "mgmt/api/metrics.h"
#include "mgmt/api/report.h"
#include "mgmt/http/server.h"

#include <microhttpd.h>

enum { STREAM_TEXT_MAX = 64 * 1024 };
#define CONNECTIONS_PATH "/api/v1/monitor/connections/" /* and the id of one */

/* A connection, for its deadlines. */
struct client {
	bool used;
	bool streams; /* has no deadline of its own */
	int fd;
	uint64_t busy_since_us; /* of the request being read or answered */
	struct MHD_Connection *connection;
	struct inspection *inspection; /* what its request waits for; NULL: nothing */
};

/* One open event stream. */
struct stream {
	struct server *server;
	struct MHD_Connection *connection; /* NULL: free */
	bool suspended;
	bool whole;                 /* the next event carries all values */
	uint64_t next;              /* sample to be sent */
	uint64_t written_us;        /* when something was last written */
	size_t size, sent;          /* of text */
	char text[STREAM_TEXT_MAX]; /* one event on its way */
};

struct server {
	struct MHD_Daemon *daemon;
	struct monitor *monitor;
	const char *version;
	int epoll_fd;
	uint16_t port;
	bool closing;
	uint64_t now_us; /* of this turn */
	int64_t wall_ms;
	struct client clients[SERVER_CLIENTS_MAX];
	struct stream streams[SERVER_STREAMS_MAX];
	char metrics[METRICS_BYTES_MAX];
};

struct request {
	struct MHD_Connection *connection;
	const char *path;
};

/* server.c */
struct client *client_of(struct MHD_Connection *connection);

/* answer.c: every answer leaves by one of these, with the headers that all have. */
enum MHD_Result answer_json(const struct request *r, unsigned status, json_t *take);
enum MHD_Result answer_bytes(
	const struct request *r, const char *type, const void *bytes, size_t size);
enum MHD_Result answer_asset(const struct request *r, const char *type, const char *etag,
	const void *bytes, size_t size);
enum MHD_Result answer_problem(const struct request *r, const struct problem *p);
enum MHD_Result answer_queue(const struct request *r, unsigned status, struct MHD_Response **take);
void answer_header(struct MHD_Response *response, const char *name, const char *value);

/* routes.c */
/* GET or HEAD, and no body will follow. */
bool request_is_read(const struct request *r, const char *method);
enum MHD_Result route(struct server *s, const struct request *r, const char *method);

/* connections.c */
enum MHD_Result connections_list(struct server *s, const struct request *r);
enum MHD_Result connections_one(struct server *s, const struct request *r);
void connections_turn(struct server *s);
void connections_stop(struct server *s);
void connections_forget(struct server *s, struct client *client); /* its request is over */

/* stream.c */
enum MHD_Result stream_open(struct server *s, const struct request *r);
void stream_tick(struct server *s);
void stream_stop(struct server *s);
