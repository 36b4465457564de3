/* server.c - libmicrohttpd's set-up, its callbacks and the deadlines. See server.h. */
#include "mgmt/http/inside.h"

#include "dataplane/base/assert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool server_address_read(const char *text, struct sockaddr_storage *out, socklen_t *size)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2];
	char *end;

	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		return false;
	if (colon[1] < '0' || colon[1] > '9')
		return false;
	const unsigned long port = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || port > UINT16_MAX)
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	memset(out, 0, sizeof(*out));
	if (host[0] == '[' && colon[-1] == ']') {
		host[colon - text - 1] = '\0';
		*size = sizeof(*v6);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1;
	}
	*size = sizeof(*v4);
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
}

/* While somebody waits for an answer that may be asked for again. */
enum { INSPECT_WAIT_MS = INSPECT_AGAIN_US / 1000 };

struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	ASSERT(info != NULL && info->socket_context != NULL);
	return (struct client *)info->socket_context;
}

static struct client *free_client(struct server *s)
{
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		if (!s->clients[i].used)
			return &s->clients[i];
	return NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	struct server *s = (struct server *)cls;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		((struct client *)*context)->used = false;
		return;
	}
	struct client *client = free_client(s);
	ASSERT(client != NULL); /* libmicrohttpd was told the same limit */
	*client = (struct client){
		.used = true,
		.fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
			      ->connect_fd,
		.busy_since_us = s->now_us,
		.connection = connection,
	};
	*context = client;
}

/* The next request of a kept connection has its own time. */
static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode code)
{
	struct server *s = (struct server *)cls;
	struct client *client = client_of(connection);

	(void)state;
	(void)code;
	connections_forget(s, client);
	client->streams = false;
	client->busy_since_us = s->now_us;
}

/* Called when a request's header is complete, and again when its body is, too. What must have no
 * body is answered the second time: an early answer ends the connection, since libmicrohttpd then
 * leaves unread whatever follows. That is right for all else. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *path,
	const char *method, const char *version, const char *body, size_t *body_size, void **state)
{
	const struct request r = {connection, path};

	(void)version;
	(void)body;
	(void)body_size;
	if (*state == NULL && request_is_read(&r, method)) {
		*state = cls;
		return MHD_YES;
	}
	return route((struct server *)cls, &r, method);
}

/* Paths stay as they were sent, so that no two spellings mean the same. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
	(void)cls;
	(void)connection;
	return strlen(text);
}

static int listen_at(const struct sockaddr *address, socklen_t size)
{
	const int one = 1;
	const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
		bind(fd, address, size) == 0 && listen(fd, SERVER_CLIENTS_MAX) == 0)
		return fd;
	const int why = errno;
	close(fd);
	errno = why;
	return -1;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage at;
	socklen_t size = sizeof(at);

	memset(&at, 0, sizeof(at));
	if (getsockname(fd, (struct sockaddr *)&at, &size) != 0)
		return 0;
	return at.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&at)->sin6_port)
					: ntohs(((struct sockaddr_in *)&at)->sin_port);
}

static struct MHD_Daemon *start_daemon(struct server *s, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
		s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)SERVER_CLIENTS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned)SERVER_CLIENTS_PER_ADDRESS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)SERVER_REQUEST_BYTES_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)SERVER_IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes,
		NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, s, MHD_OPTION_END);
}

struct server *server_create(
	struct monitor *m, const char *version, const struct sockaddr *address, socklen_t size)
{
	struct server *s = (struct server *)calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->monitor = m;
	s->version = version;
	s->now_us = m->snapshot.sum.now_us;
	s->wall_ms = m->snapshot.sum.wall_ms;
	const int fd = listen_at(address, size);
	if (fd >= 0) {
		s->port = port_of(fd);
		s->daemon = start_daemon(s, fd);
		if (s->daemon == NULL)
			close(fd);
	}
	if (s->daemon == NULL) {
		free(s);
		return NULL;
	}
	s->epoll_fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	return s;
}

void server_close(struct server *s)
{
	stream_stop(s);
	connections_stop(s);
	MHD_run(s->daemon);
	MHD_stop_daemon(s->daemon);
	free(s);
}

uint16_t server_port(const struct server *s)
{
	return s->port;
}

int server_fd(const struct server *s)
{
	return s->epoll_fd;
}

int server_wait_ms(struct server *s, int at_most_ms)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (inspections_next_us(&s->monitor->inspections) != UINT64_MAX)
		at_most_ms = at_most_ms < INSPECT_WAIT_MS ? at_most_ms : INSPECT_WAIT_MS;
	if (MHD_get_timeout(s->daemon, &ms) != MHD_YES || ms > (unsigned)at_most_ms)
		return at_most_ms;
	return (int)ms;
}

void server_turn(struct server *s, uint64_t now_us, int64_t wall_ms)
{
	s->now_us = now_us;
	s->wall_ms = wall_ms;
	connections_turn(s);
	MHD_run(s->daemon);
	inspections_turn(&s->monitor->inspections, now_us); /* what has just been asked */
}

/* libmicrohttpd counts silence; a client that sends or takes a byte at a time is not silent. */
static void cut_off_slow(struct server *s)
{
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++) {
		const struct client *c = &s->clients[i];
		if (c->used && !c->streams &&
			s->now_us - c->busy_since_us > SERVER_REQUEST_S * 1000000ull)
			shutdown(c->fd, SHUT_RDWR);
	}
}

void server_tick(struct server *s, uint64_t now_us)
{
	s->now_us = now_us;
	cut_off_slow(s);
	stream_tick(s);
}

uint32_t server_streams(const struct server *s)
{
	uint32_t open = 0;

	for (size_t i = 0; i < SERVER_STREAMS_MAX; i++)
		open += s->streams[i].connection != NULL;
	return open;
}
