/* server.h - HTTP for the management network: reads only, and trusts no client.
 *
 * libmicrohttpd parses; this folder decides. One thread: the caller waits for
 * server_fd() to be readable for at most server_wait_ms(), then calls
 * server_turn(). Nothing here blocks. Limits below; a client that is slow with
 * its request or with taking the answer is cut off. Paths: routes.c.
 *
 * Spec: RFC 9110, 9112 (by libmicrohttpd), 9457; the event stream: HTML 9.2. */
#pragma once
#include "mgmt/http/monitor.h"

#include <sys/socket.h>

enum {
	SERVER_CLIENTS_MAX = 64,
	SERVER_CLIENTS_PER_ADDRESS_MAX = 32,
	SERVER_STREAMS_MAX = 16,
	SERVER_REQUEST_BYTES_MAX = 16 * 1024, /* request line and header, and our answer's header */
	SERVER_IDLE_S = 10,                   /* without a byte */
	SERVER_REQUEST_S = 20,                /* from the first byte to the end of the answer */
	SERVER_STREAM_STUCK_S = 30,           /* a stream that takes nothing */
	SERVER_STREAM_QUIET_S = 15,           /* after so long a comment is sent */
	SERVER_STREAM_RETRY_MS = 2000,        /* when browsers try again */
};

struct server;

/* "127.0.0.1:8080", "[::1]:8080"; port 0: any. False: it is no such text. */
MUST_USE bool server_address_read(const char *text, struct sockaddr_storage *out, socklen_t *size);
/* NULL: the address cannot be used, see errno, or no memory. `m` is lent. */
struct server *server_create(
	struct monitor *m, const char *version, const struct sockaddr *address, socklen_t size);
void server_close(struct server *s); /* ends all connections and frees it */
uint16_t server_port(const struct server *s);

int server_fd(const struct server *s);
int server_wait_ms(struct server *s, int at_most_ms);
void server_turn(struct server *s, uint64_t now_us, int64_t wall_ms);
/* After monitor_tick: wakes the streams, cuts off who took too long. */
void server_tick(struct server *s, uint64_t now_us);
/* For tests and metrics: streams that are open. */
uint32_t server_streams(const struct server *s);
