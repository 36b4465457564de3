/* server_test.c - real requests over loopback, good and bad, in virtual time. */
#include "mgmt/http/event_id.h"
#include "mgmt/http/server.h"

#include "tests/unit/regions.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { S = 1000000, TURNS_MAX = 400, ANSWER_MAX = 512 * 1024 };

static struct shm_map map;
static struct monitor monitor;
static struct server *server;
static uint64_t now_us;
static char answer[ANSWER_MAX];
static size_t answer_size;

static int64_t wall_ms(void)
{
	return 1700000000000 + (int64_t)(now_us / 1000);
}

static void start(void)
{
	struct sockaddr_storage address;
	socklen_t size;

	now_us = 1000 * S;
	unit_regions_open(&map, 1);
	unit_regions_beat(&map, now_us);
	monitor_init(&monitor, &map, now_us, wall_ms());
	CU_ASSERT_FATAL(server_address_read("127.0.0.1:0", &address, &size));
	server = server_create(&monitor, "9.9", (const struct sockaddr *)&address, size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(server);
}

static void stop(void)
{
	server_close(server);
	unit_regions_close(&map);
}

static void turn(void)
{
	struct pollfd fd = {.fd = server_fd(server), .events = POLLIN};

	(void)poll(&fd, 1, server_wait_ms(server, 1));
	server_turn(server, now_us, wall_ms());
}

static void second(bool beats)
{
	now_us += S;
	if (beats)
		unit_regions_beat(&map, now_us);
	monitor_tick(&monitor, now_us, wall_ms());
	server_tick(server, now_us);
	turn();
}

static int dial(void)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(server_port(server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	CU_ASSERT_FATAL(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	return fd;
}

static int dial_after_start(void)
{
	start();
	return dial();
}

static void say(int fd, const char *text)
{
	CU_ASSERT_EQUAL(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Adds what has come to `answer`; false when the other side has closed. */
static bool take(int fd)
{
	const ssize_t n = recv(fd, answer + answer_size, sizeof(answer) - 1 - answer_size, 0);

	if (n > 0)
		answer_size += (size_t)n;
	answer[answer_size] = '\0';
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* Turns until `text` has arrived, or the connection is closed. */
static bool await(int fd, const char *text)
{
	for (int i = 0; i < TURNS_MAX; i++) {
		turn();
		const bool open = take(fd);
		if (text != NULL && strstr(answer, text) != NULL)
			return true;
		if (!open)
			return text == NULL;
	}
	return false;
}

/* One request on a connection of its own, to the end. */
static const char *ask(const char *request)
{
	const int fd = dial();

	answer_size = 0;
	answer[0] = '\0';
	say(fd, request);
	CU_ASSERT(await(fd, NULL));
	close(fd);
	return answer;
}

static const char *get(const char *path)
{
	char request[512];

	snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n", path);
	return ask(request);
}

static bool has(const char *text)
{
	const bool found = strstr(answer, text) != NULL;

	if (!found)
		printf("# no \"%s\" in: %.1500s\n", text, answer);
	return found;
}

static bool has_status(const char *status)
{
	const bool same =
		strncmp(answer, "HTTP/1.1 ", 9) == 0 && strncmp(answer + 9, status, 3) == 0;

	if (!same)
		printf("# not %s: %.80s\n", status, answer);
	return same;
}

static void every_path_answers(void)
{
	static const struct {
		const char *path, *type, *part;
	} rows[] = {
		{"/healthz", "application/json", "\"status\":\"ok\""},
		{"/metrics", "text/plain; version=0.0.4; charset=utf-8", "signalbox_sessions 0"},
		{"/api/v1/monitor/overview", "application/json", "\"version\":\"9.9\""},
		{"/api/v1/monitor/counters", "application/json", "\"PUBLISHES\""},
		{"/api/v1/monitor/memory", "application/json", "\"used_bytes\""},
		{"/api/v1/monitor/history", "application/json", "\"step_ms\":1000"},
		{"/", "text/html; charset=utf-8", "<title>Signalbox</title>"},
		{"/console.js", "text/javascript; charset=utf-8", "EventSource"},
		{"/console.css", "text/css; charset=utf-8", "prefers-color-scheme"},
		{"/favicon.svg", "image/svg+xml", "<svg"},
		{"/healthz?anything=1", "application/json", "\"status\":\"ok\""},
	};

	start();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char type[128];
		get(rows[i].path);
		snprintf(type, sizeof(type), "\r\nContent-Type: %s\r\n", rows[i].type);
		CU_ASSERT(has_status("200"));
		CU_ASSERT(has(type));
		CU_ASSERT(has(rows[i].part));
	}
	stop();
}

static void expect_safe(void)
{
	static const char *const headers[] = {
		"\r\nContent-Security-Policy: default-src 'self';",
		"\r\nX-Content-Type-Options: nosniff\r\n",
		"\r\nX-Frame-Options: DENY\r\n",
		"\r\nReferrer-Policy: no-referrer\r\n",
		"\r\nCross-Origin-Resource-Policy: same-origin\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		CU_ASSERT(has(headers[i]));
}

static void every_answer_is_guarded(void)
{
	start();
	get("/");
	expect_safe();
	get("/nothing");
	expect_safe();
	get("/api/v1/monitor/overview");
	expect_safe();
	CU_ASSERT(has("\r\nCache-Control: no-store\r\n"));
	ask("POST / HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n");
	expect_safe();
	stop();
}

static void unknown_paths_are_problems(void)
{
	static const char *const paths[] = {
		"/nothing",
		"/healthz/",
		"//healthz",
		"/%68ealthz",
		"/healthz%00",
		"/api/v1",
		"/../etc/passwd",
		"/HEALTHZ",
		"/api/v1/monitor/overview/x",
	};

	start();
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		get(paths[i]);
		CU_ASSERT(has_status("404"));
		CU_ASSERT(has("\r\nContent-Type: application/problem+json\r\n"));
		CU_ASSERT(has("\"code\":\"NOT_FOUND\""));
		CU_ASSERT(has("\"status\":404"));
	}
	get("/nothing");
	CU_ASSERT(has("\"instance\":\"/nothing\""));
	stop();
}

static void only_reads(void)
{
	static const char *const methods[] = {
		"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "BREW"};

	start();
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		char request[256];
		snprintf(request, sizeof(request),
			"%s /healthz HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n",
			methods[i]);
		ask(request);
		CU_ASSERT(has_status("405"));
		CU_ASSERT(has("\r\nAllow: GET, HEAD\r\n"));
		CU_ASSERT(has("\"code\":\"METHOD_NOT_ALLOWED\""));
	}
	stop();
}

static void head_has_no_body(void)
{
	start();
	ask("HEAD /healthz HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n");
	CU_ASSERT(has_status("200"));
	CU_ASSERT(has("\r\nContent-Length: "));
	CU_ASSERT(answer_size > 4 && strcmp(answer + answer_size - 4, "\r\n\r\n") == 0);
	ask("HEAD /api/v1/monitor/events HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n");
	CU_ASSERT(has_status("200"));
	CU_ASSERT(answer_size > 4 && strcmp(answer + answer_size - 4, "\r\n\r\n") == 0);
	CU_ASSERT_EQUAL(server_streams(server), 0);
	stop();
}

static void malformed_requests(void)
{
	static const struct {
		const char *request, *status;
	} rows[] = {
		{"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", "400"}, /* no Host */
		{"GET /healthz HTTP/1.1\r\nHost: box\r\nContent-Length: 5\r\n\r\nhello", "400"},
		{"GET /healthz HTTP/1.1\r\nHost: box\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n0\r\n\r\n",
			"400"},
		{"GET /healthz HTTP/1.1\r\nHost: box\r\nContent-Length: -1\r\n\r\n", "400"},
		{"GET /healthz HTTP/1.1\r\nHost: box\r\nno colon here\r\n\r\n", "400"},
		{"POST /healthz HTTP/1.1\r\nHost: box\r\nContent-Length: 9999999999\r\n\r\n",
			"405"},
	};

	start();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ask(rows[i].request);
		CU_ASSERT(has_status(rows[i].status));
	}
	stop();
}

/* Whatever comes, the connection ends and the next client is served. */
static void garbage_harms_nobody(void)
{
	static const char *const rows[] = {"\r\n\r\n\r\n\r\n", "\x16\x03\x01\x02", "GET",
		"GET /healthz", "GET /healthz HTTP/9.9\r\nHost: box\r\n\r\n",
		"\xff\xfe\xfd\r\n\r\n",
		"GET /healthz HTTP/1.1\r\n folded: x\r\nHost: b\r\nConnection: close\r\n\r\n"};

	start();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const int fd = dial();
		say(fd, rows[i]);
		shutdown(fd, SHUT_WR);
		answer_size = 0;
		/* Some of these wait for more: until their time is up. */
		for (int t = 0; t <= SERVER_REQUEST_S + 1; t++)
			second(true);
		CU_ASSERT(await(fd, NULL));
		close(fd);
	}
	get("/healthz");
	CU_ASSERT(has_status("200"));
	stop();
}

static void large_headers_are_refused(void)
{
	static char request[3 * SERVER_REQUEST_BYTES_MAX];
	const int fd = dial_after_start();
	size_t at;

	at = (size_t)snprintf(
		request, sizeof(request), "GET /healthz HTTP/1.1\r\nHost: box\r\nX-Large: ");
	memset(request + at, 'a', 2 * SERVER_REQUEST_BYTES_MAX);
	request[at + 2 * SERVER_REQUEST_BYTES_MAX] = '\0';
	say(fd, request);
	answer_size = 0;
	CU_ASSERT(await(fd, "\r\n\r\n"));
	CU_ASSERT(has_status("431"));
	close(fd);
	get("/healthz");
	CU_ASSERT(has_status("200"));
	stop();
}

static void many_requests_on_one_connection(void)
{
	const int fd = dial_after_start();

	for (int i = 0; i < 50; i++) {
		answer_size = 0;
		say(fd, "GET /healthz HTTP/1.1\r\nHost: box\r\n\r\n");
		CU_ASSERT(await(fd, "\"reasons\":[]}"));
		CU_ASSERT(has_status("200"));
	}
	/* And two at once. */
	answer_size = 0;
	say(fd, "GET /healthz HTTP/1.1\r\nHost: box\r\n\r\nGET /x HTTP/1.1\r\nHost: box\r\n\r\n");
	CU_ASSERT(await(fd, "\"instance\":\"/x\""));
	close(fd);
	stop();
}

static void slow_request_is_cut_off(void)
{
	const int fd = dial_after_start();

	answer_size = 0;
	say(fd, "GET /healthz HTTP/1.1\r\nX: ");
	for (int i = 0; i <= SERVER_REQUEST_S; i++) {
		second(true);
		(void)send(fd, "a", 1, MSG_NOSIGNAL); /* never silent */
	}
	second(true);
	CU_ASSERT(await(fd, NULL));
	close(fd);
	get("/healthz");
	CU_ASSERT(has_status("200"));
	stop();
}

static void clients_are_bounded(void)
{
	int fds[SERVER_CLIENTS_PER_ADDRESS_MAX + 8];
	size_t open = 0;

	start();
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = dial();
		turn();
		turn();
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		answer_size = 0;
		open += take(fds[i]);
		close(fds[i]);
	}
	CU_ASSERT_EQUAL(open, SERVER_CLIENTS_PER_ADDRESS_MAX);
	for (int i = 0; i < 5; i++)
		turn();
	get("/healthz");
	CU_ASSERT(has_status("200"));
	stop();
}

static void health_follows_the_heartbeats(void)
{
	start();
	now_us += 2 * S;
	get("/healthz");
	CU_ASSERT(has_status("200"));
	now_us += S / 100;
	get("/healthz");
	CU_ASSERT(has_status("503"));
	CU_ASSERT(has("\"code\":\"WORKER_STALLED\""));
	CU_ASSERT(has("\"code\":\"CONTROLPLANE_STALLED\""));
	unit_regions_beat(&map, now_us);
	get("/healthz");
	CU_ASSERT(has_status("200"));
	get("/readyz");
	CU_ASSERT(has_status("503"));
	shm_region_ready(map.base[SHM_DP_COUNTERS], true);
	shm_region_ready(map.base[SHM_CP_COUNTERS], true);
	get("/readyz");
	CU_ASSERT(has_status("200"));
	stop();
}

static void unchanged_files_are_not_sent_again(void)
{
	char request[256], tag[64] = "";

	start();
	get("/console.css");
	const char *at = strstr(answer, "\r\nETag: ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	sscanf(at + 8, "%60[^\r]", tag);
	snprintf(request, sizeof(request),
		"GET /console.css HTTP/1.1\r\nHost: box\r\nIf-None-Match: %s\r\n"
		"Connection: close\r\n\r\n",
		tag);
	ask(request);
	CU_ASSERT(has_status("304"));
	CU_ASSERT(answer_size < 1000);
	stop();
}

static int open_stream(const char *header)
{
	const int fd = dial();
	char request[256];

	answer_size = 0;
	snprintf(request, sizeof(request),
		"GET /api/v1/monitor/events HTTP/1.1\r\nHost: box\r\n%s\r\n", header);
	say(fd, request);
	return fd;
}

static void stream_starts_whole(void)
{
	start();
	const int fd = open_stream("");
	CU_ASSERT(await(fd, "}}\n\n"));
	CU_ASSERT(has_status("200"));
	CU_ASSERT(has("\r\nContent-Type: text/event-stream\r\n"));
	CU_ASSERT(has("retry: 2000\n\n"));
	CU_ASSERT(has("id: 1700001000000-1\nevent: all\ndata: {\"time_ms\":1700001000000"));
	CU_ASSERT(has("\"PUBLISHES\":0"));
	CU_ASSERT_EQUAL(server_streams(server), 1);
	close(fd);
	stop();
}

static void stream_goes_on_with_changes(void)
{
	start();
	const int fd = open_stream("");
	CU_ASSERT(await(fd, "}}\n\n"));
	for (unsigned i = 1; i <= 3; i++) {
		char expected[160];
		answer_size = 0;
		counter_add(shm_counters(map.base[SHM_DP_COUNTERS], 0), COUNTER_PUBLISHES, 10);
		second(true);
		CU_ASSERT(await(fd, "}}\n\n"));
		snprintf(expected, sizeof(expected), "id: 1700001000000-%u\nevent: changes\n",
			i + 1);
		CU_ASSERT(has(expected));
		snprintf(expected, sizeof(expected), "\"values\":{\"PUBLISHES\":%u}", 10 * i);
		CU_ASSERT(has(expected));
	}
	close(fd);
	stop();
}

static void stream_resumes(void)
{
	start();
	for (unsigned i = 0; i < 5; i++) { /* samples 2 to 6 */
		counter_add(shm_counters(map.base[SHM_DP_COUNTERS], 0), COUNTER_PUBLISHES, 1);
		second(true);
	}
	int fd = open_stream("Last-Event-ID: 1700001000000-3\r\n");
	CU_ASSERT(await(fd, "\"values\":{\"PUBLISHES\":5}"));
	CU_ASSERT_PTR_NULL(strstr(answer, "event: all"));
	CU_ASSERT_PTR_NULL(strstr(answer, "1000000-3\n"));
	CU_ASSERT(has("id: 1700001000000-4\nevent: changes"));
	CU_ASSERT(has("\"values\":{\"PUBLISHES\":3}"));
	CU_ASSERT(has("id: 1700001000000-6\nevent: changes"));
	close(fd);
	/* It has all: nothing comes before the next second. */
	fd = open_stream("Last-Event-ID: 1700001000000-6\r\n");
	CU_ASSERT(await(fd, "retry: 2000"));
	turn();
	(void)take(fd);
	CU_ASSERT_PTR_NULL(strstr(answer, "event:"));
	second(true);
	CU_ASSERT(await(fd, "id: 1700001000000-7\nevent: changes"));
	close(fd);
	stop();
}

/* Ids of another run, of the future, of long ago, or nonsense: all values, at once. */
static void stream_starts_anew_for_strange_ids(void)
{
	static const char *const ids[] = {"1699999999999-1", "1700001000001-1", "1700001000000-999",
		"-", "x", "1700001000000-0", "1700001000000--1", "99999999999999999999999-1"};

	start();
	second(true);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		char header[128];
		snprintf(header, sizeof(header), "Last-Event-ID: %s\r\n", ids[i]);
		const int fd = open_stream(header);
		CU_ASSERT(await(fd, "id: 1700001000000-2\nevent: all\n"));
		close(fd);
		turn();
	}
	stop();
}

static void quiet_stream_says_so(void)
{
	start();
	const int fd = open_stream("");
	CU_ASSERT(await(fd, "}}\n\n"));
	answer_size = 0;
	for (int i = 0; i < SERVER_STREAM_QUIET_S; i++) { /* seconds without a sample */
		now_us += S;
		server_tick(server, now_us);
		turn();
	}
	CU_ASSERT(await(fd, ": still here\n\n"));
	CU_ASSERT_PTR_NULL(strstr(answer, "event:"));
	close(fd);
	stop();
}

static void streams_are_bounded_and_freed(void)
{
	int fds[SERVER_STREAMS_MAX];

	start();
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = open_stream("");
		CU_ASSERT(await(fds[i], "}}\n\n"));
	}
	CU_ASSERT_EQUAL(server_streams(server), SERVER_STREAMS_MAX);
	get("/api/v1/monitor/events");
	CU_ASSERT(has_status("503"));
	CU_ASSERT(has("\"code\":\"STREAMS_FULL\""));
	CU_ASSERT(has("\r\nRetry-After: "));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	for (int i = 0; i < 3; i++)
		second(true);
	CU_ASSERT_EQUAL(server_streams(server), 0);
	stop();
}

static void stops_with_streams_open(void)
{
	start();
	const int fd = open_stream("");
	CU_ASSERT(await(fd, "}}\n\n"));
	stop(); /* the sanitizers would tell what was left */
	close(fd);
}

/* Asks for `path`, waits until it has become a question to a worker, then answers that. */
static void ask_worker(const char *path, enum inspect_result result, uint32_t count)
{
	char request[256];
	struct inspection *one = &monitor.inspections.slots[0];
	const int fd = dial();

	answer_size = 0;
	snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n", path);
	say(fd, request);
	for (int i = 0; i < TURNS_MAX && !one->used; i++)
		turn();
	CU_ASSERT_FATAL(one->used);
	CU_ASSERT(take(fd)); /* it waits */
	CU_ASSERT_EQUAL(answer_size, 0);
	one->result = result;
	one->head = (struct shm_answer_head){
		.kind = one->ask.ask.kind, .count = count, .next = SHM_ASK_END};
	memset(one->records, 1, sizeof(one->records));
	CU_ASSERT(await(fd, NULL));
	CU_ASSERT_FALSE(one->used);
	close(fd);
}

static void connections_are_asked_for(void)
{
	start();
	ask_worker("/api/v1/monitor/connections?state=ESTABLISHED&limit=2", INSPECT_DONE, 2);
	CU_ASSERT(has_status("200"));
	CU_ASSERT(has("{\"connections\":[{\"id\":\"0-16843009-16843009\""));
	CU_ASSERT(has("\"next\":null"));
	ask_worker("/api/v1/monitor/connections/0-3-4", INSPECT_DONE, 1);
	CU_ASSERT(has_status("200"));
	CU_ASSERT(has("\"client_id\":"));
	ask_worker("/api/v1/monitor/connections/0-3-4", INSPECT_DONE, 0);
	CU_ASSERT(has_status("404"));
	CU_ASSERT(has("\"code\":\"NO_SUCH_CONNECTION\""));
	ask_worker("/api/v1/monitor/connections/0-3-4/events", INSPECT_DONE, 2);
	CU_ASSERT(has_status("200"));
	CU_ASSERT(has("{\"events\":[{\"ago_us\":"));
	ask_worker("/api/v1/monitor/connections/0-3-4", INSPECT_GIVEN_UP, 0);
	CU_ASSERT(has_status("503"));
	CU_ASSERT(has("\"code\":\"NO_ANSWER\""));
	stop();
}

static void connections_that_cannot_be(void)
{
	static const struct {
		const char *path, *status, *code;
	} rows[] = {
		{"/api/v1/monitor/connections?limit=0", "400", "\"code\":\"BAD_PARAMETER\""},
		{"/api/v1/monitor/connections?port=1", "400", "\"code\":\"BAD_PARAMETER\""},
		{"/api/v1/monitor/connections?worker=1", "400", "\"code\":\"BAD_PARAMETER\""},
		{"/api/v1/monitor/connections/", "400", "\"code\":\"BAD_CONNECTION_ID\""},
		{"/api/v1/monitor/connections/0-1", "400", "\"code\":\"BAD_CONNECTION_ID\""},
		{"/api/v1/monitor/connections/0-1-1/event", "400",
			"\"code\":\"BAD_CONNECTION_ID\""},
		{"/api/v1/monitor/connections/1-1-1", "404", "\"code\":\"NO_SUCH_CONNECTION\""},
		{"/api/v1/monitor/connectionsX", "404", "\"code\":\"NOT_FOUND\""},
	};

	start();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		get(rows[i].path);
		CU_ASSERT(has_status(rows[i].status));
		CU_ASSERT(has(rows[i].code));
	}
	stop();
}

/* Nobody answers: the clients are told, those beyond the bound at once, and the end waits for none.
 */
static void questions_are_bounded(void)
{
	int fds[INSPECTIONS_MAX];

	start();
	for (int i = 0; i < INSPECTIONS_MAX; i++) {
		fds[i] = dial();
		say(fds[i], "GET /api/v1/monitor/connections HTTP/1.1\r\nHost: box\r\n\r\n");
	}
	for (int i = 0; i < TURNS_MAX && !monitor.inspections.slots[INSPECTIONS_MAX - 1].used; i++)
		turn();
	get("/api/v1/monitor/connections");
	CU_ASSERT(has("\"code\":\"QUESTIONS_FULL\""));
	now_us += INSPECT_GIVE_UP_US;
	answer_size = 0;
	CU_ASSERT(await(fds[0], "\"code\":\"NO_ANSWER\""));
	const int late = dial();
	say(late, "GET /api/v1/monitor/connections HTTP/1.1\r\nHost: box\r\n\r\n");
	for (int i = 0; i < TURNS_MAX && inspections_next_us(&monitor.inspections) == UINT64_MAX;
		i++)
		turn();
	answer_size = 0;
	stop(); /* in the middle of that */
	(void)take(late);
	CU_ASSERT(has("\"code\":\"NO_ANSWER\""));
	close(late);
	for (int i = 0; i < INSPECTIONS_MAX; i++)
		close(fds[i]);
}

static void event_ids(void)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t epoch, sample;
	} rows[] = {
		{"1-2", true, 1, 2},
		{"18446744073709551615-18446744073709551615", true, UINT64_MAX, UINT64_MAX},
		{"18446744073709551616-1", false, 0, 0},
		{"1-18446744073709551616", false, 0, 0},
		{"", false, 0, 0},
		{"1", false, 0, 0},
		{"1-", false, 0, 0},
		{"-1", false, 0, 0},
		{"1-2 ", false, 0, 0},
		{" 1-2", false, 0, 0},
		{"+1-2", false, 0, 0},
		{"1-2-3", false, 0, 0},
		{NULL, false, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t epoch = 0, sample = 0;
		char text[EVENT_ID_MAX];
		CU_ASSERT_EQUAL(event_id_read(rows[i].text, &epoch, &sample), rows[i].good);
		if (!rows[i].good)
			continue;
		CU_ASSERT_EQUAL(epoch, rows[i].epoch);
		CU_ASSERT_EQUAL(sample, rows[i].sample);
		event_id_write(epoch, sample, text);
		CU_ASSERT_STRING_EQUAL(text, rows[i].text);
	}
}

static void addresses(void)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {{"127.0.0.1:8080", true}, {"[::1]:80", true}, {"0.0.0.0:0", true},
		{"127.0.0.1", false}, {"127.0.0.1:", false}, {"127.0.0.1:65536", false},
		{"127.0.0.1:80x", false}, {"::1:80", false}, {"[::1:80", false}, {":80", false},
		{"localhost:80", false}, {"", false}, {"[]:80", false}, {"127.0.0.1:-1", false}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sockaddr_storage out;
		socklen_t size;
		CU_ASSERT_EQUAL(server_address_read(rows[i].text, &out, &size), rows[i].good);
	}
}

static const struct unit_test tests[] = {
	{"every_path_answers", every_path_answers},
	{"every_answer_is_guarded", every_answer_is_guarded},
	{"unknown_paths_are_problems", unknown_paths_are_problems},
	{"only_reads", only_reads},
	{"head_has_no_body", head_has_no_body},
	{"malformed_requests", malformed_requests},
	{"garbage_harms_nobody", garbage_harms_nobody},
	{"large_headers_are_refused", large_headers_are_refused},
	{"many_requests_on_one_connection", many_requests_on_one_connection},
	{"slow_request_is_cut_off", slow_request_is_cut_off},
	{"clients_are_bounded", clients_are_bounded},
	{"health_follows_the_heartbeats", health_follows_the_heartbeats},
	{"unchanged_files_are_not_sent_again", unchanged_files_are_not_sent_again},
	{"stream_starts_whole", stream_starts_whole},
	{"stream_goes_on_with_changes", stream_goes_on_with_changes},
	{"stream_resumes", stream_resumes},
	{"stream_starts_anew_for_strange_ids", stream_starts_anew_for_strange_ids},
	{"quiet_stream_says_so", quiet_stream_says_so},
	{"streams_are_bounded_and_freed", streams_are_bounded_and_freed},
	{"stops_with_streams_open", stops_with_streams_open},
	{"connections_are_asked_for", connections_are_asked_for},
	{"connections_that_cannot_be", connections_that_cannot_be},
	{"questions_are_bounded", questions_are_bounded},
	{"event_ids", event_ids},
	{"addresses", addresses},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("server", tests, argc, argv);
}
