/* ipc_test.c - messages, what is answered to them, and the socket between. */
#include "controlplane/ipc/answer.h"
#include "controlplane/ipc/client.h"
#include "controlplane/ipc/server.h"
#include "dataplane/shm/ring.h"
#include "storage/memory/memory.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void *regions[SHM_REGIONS];
static struct shm_tx commands;
static struct shm_arena arena;
static struct memory_disk *disk;
static struct storage *store;

static struct controlplane *control_new(void)
{
	static struct shm_config config = {.connections_max = 500,
		.sessions_max = 500,
		.takeover_timeout_us = 1000,
		.durability = "synced"};
	struct controlplane *cp;

	for (unsigned k = SHM_DP; k <= SHM_CP_COUNTERS; k++) {
		const size_t bytes = shm_region_bytes((enum shm_region)k, 1);
		regions[k] = aligned_alloc(SHM_PAGE, bytes);
		memset(regions[k], 0, bytes);
		shm_region_init(regions[k], (enum shm_region)k, 1);
	}
	disk = memory_disk_create(&(struct memory_disk_conf){.sync_us = 0});
	store = storage_memory_open(disk, 1000);
	const struct controlplane_conf conf = {.cp = regions[SHM_CP],
		.cp_counters = regions[SHM_CP_COUNTERS],
		.dp = regions[SHM_DP],
		.workers = 1,
		.config = &config,
		.store = store};
	shm_region_start(regions[SHM_DP], 1);
	struct shm_dp_worker *dp = shm_dp_worker(regions[SHM_DP], 0);
	shm_tx_init(&commands, dp->commands, &dp->command_producer,
		&shm_cp_worker_const(regions[SHM_CP], 0)->command_consumer, 1);
	shm_arena_init(&arena, dp->arena, commands.next);
	CU_ASSERT_FATAL(controlplane_create(&conf, (struct sessions_now){1000, 1700000000000},
				&cp) == ERR_NONE);
	const struct shm_hello hello = {.loaded = 1};
	CU_ASSERT(shm_tx_push(&commands, SHM_COMMAND_HELLO, &hello, sizeof(hello)));
	CU_ASSERT(shm_tx_push(&commands, SHM_COMMAND_RESYNCED, NULL, 0));
	return cp;
}

static void control_free(struct controlplane *cp)
{
	controlplane_destroy(&cp);
	store->ops->close(&store);
	memory_disk_destroy(&disk);
	for (unsigned k = SHM_DP; k <= SHM_CP_COUNTERS; k++)
		free(regions[k]);
}

static void connect_client(struct controlplane *cp, uint32_t index, const char *id)
{
	const struct span part = span_str(id);
	struct shm_connect c = {.connection = {index, 1},
		.client_id_size = (uint16_t)part.size,
		.port = 1234,
		.receive_max = 10,
		.version = 5};

	CU_ASSERT(shm_arena_put(&arena, &commands, &part, 1, &c.text));
	CU_ASSERT(shm_tx_push(&commands, SHM_COMMAND_CONNECT, &c, sizeof(c)));
	for (bool worked = true; worked;) {
		storage_memory_now(store, 1000);
		CU_ASSERT(controlplane_turn(cp, (struct sessions_now){1000, 1700000000000},
				  &worked) == ERR_NONE);
	}
}

/* Asks in memory. */
static struct ipc_reply *ask(struct controlplane *cp, const struct ipc_request *request)
{
	static struct ipc_reply reply;
	uint8_t in[IPC_MESSAGE_MAX], out[IPC_MESSAGE_MAX];
	const size_t asked = ipc_encode_request(request, in);
	const size_t said = ipc_answer(cp, 2000, span_of(in, asked), out);

	CU_ASSERT_FATAL(ipc_decode_reply(span_of(out, said), &reply) == ERR_NONE);
	CU_ASSERT(reply.token == request->token);
	return &reply;
}

static void facts_are_told(void)
{
	struct controlplane *cp = control_new();
	const struct ipc_request request = {.type = IPC_GET_FACTS, .token = 9};

	connect_client(cp, 1, "a");
	const struct ipc_reply *r = ask(cp, &request);
	CU_ASSERT(r->type == IPC_FACTS && r->facts.generation == 1 && r->facts.uptime_us == 1000);
	CU_ASSERT(r->facts.sessions == 1 && r->facts.sessions_max == 500);
	CU_ASSERT_STRING_EQUAL(r->facts.impair, "off");
	control_free(cp);
}

/* The worker's part is played: what it wrote is judged and handed on. */
static void a_worker_is_asked(void)
{
	struct controlplane *cp = control_new();
	struct ipc_request request = {.type = IPC_INSPECT,
		.token = 9,
		.inspect.ask = {.kind = SHM_ASK_CONNECTION, .index = 3, .limit = 1}};
	struct shm_answer *answer = &shm_dp_worker(regions[SHM_DP], 0)->answer;
	const struct shm_question *question = &shm_cp_worker_const(regions[SHM_CP], 0)->question;
	const struct shm_connection_facts f = {.tcp.index = 3, .tcp.state = 4};

	CU_ASSERT_EQUAL(ask(cp, &request)->type, IPC_WAIT);
	CU_ASSERT_EQUAL(ask(cp, &request)->type, IPC_WAIT);
	CU_ASSERT_EQUAL(question->ask.index, 3);
	answer->head = (struct shm_answer_head){
		.kind = SHM_ASK_CONNECTION, .count = 1, .next = SHM_ASK_END};
	memcpy(answer->records, &f, sizeof(f));
	shm_store(&answer->sequence, question->sequence);
	const struct ipc_reply *r = ask(cp, &request);
	CU_ASSERT_EQUAL(r->type, IPC_INSPECTED);
	CU_ASSERT_EQUAL(r->inspected.count, 1);
	CU_ASSERT_EQUAL(memcmp(r->records, &f, sizeof(f)), 0);
	CU_ASSERT_EQUAL(ask(cp, &request)->type, IPC_WAIT);
	request.inspect.ask.index = 4; /* while that is under way */
	CU_ASSERT_EQUAL(ask(cp, &request)->type, IPC_REFUSED);
	request.inspect.worker = 1; /* there is only one */
	CU_ASSERT_EQUAL(ask(cp, &request)->type, IPC_REFUSED);
	control_free(cp);
}

static void an_impairment_is_set_or_refused_with_a_reason(void)
{
	struct controlplane *cp = control_new();
	struct ipc_request request = {.type = IPC_SET_IMPAIR, .text = "loss=5%"};
	struct shm_config config;
	uint64_t sequence;

	CU_ASSERT(ask(cp, &request)->type == IPC_DONE);
	CU_ASSERT(shm_config_read(shm_config_page_const(regions[SHM_CP]), &config, &sequence));
	CU_ASSERT(config.impair.loss_ppm == 50000);
	snprintf(request.text, sizeof(request.text), "loss=500%%");
	const struct ipc_reply *r = ask(cp, &request);
	CU_ASSERT(r->type == IPC_REFUSED);
	CU_ASSERT_STRING_EQUAL(r->text, "loss wants a percentage from 0% to 100%, such as 0.1%");
	memset(request.text, 'x', sizeof(request.text) - 1);
	request.text[sizeof(request.text) - 1] = '\0';
	CU_ASSERT(ask(cp, &request)->type == IPC_REFUSED);
	CU_ASSERT(shm_config_read(shm_config_page_const(regions[SHM_CP]), &config, &sequence));
	CU_ASSERT(config.impair.loss_ppm == 50000);
	control_free(cp);
}

static void each_wish_for_another_nic_is_published(void)
{
	struct controlplane *cp = control_new();
	const struct ipc_request request = {.type = IPC_RESET_NIC};
	struct shm_config config;
	uint64_t sequence;

	for (uint32_t i = 1; i <= 2; i++) {
		CU_ASSERT(ask(cp, &request)->type == IPC_DONE);
		CU_ASSERT(shm_config_read(
			shm_config_page_const(regions[SHM_CP]), &config, &sequence));
		CU_ASSERT(config.nic_resets == i);
	}
	control_free(cp);
}

static void sessions_come_page_by_page(void)
{
	static const struct {
		uint32_t sessions, limit, pages;
	} rows[] = {{0, 10, 1}, {1, 10, 1}, {10, 10, 1}, {11, 10, 2}, {64, 64, 1}, {100, 7, 15}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct controlplane *cp = control_new();
		struct ipc_request request = {
			.type = IPC_LIST_SESSIONS, .list = {.limit = rows[i].limit}};
		uint32_t pages = 0, seen = 0;
		for (uint32_t n = 0; n < rows[i].sessions; n++) {
			char id[16];
			snprintf(id, sizeof(id), "c%u", n);
			connect_client(cp, n, id);
		}
		do {
			const struct ipc_reply *r = ask(cp, &request);
			CU_ASSERT_FATAL(r->type == IPC_SESSIONS && r->page.count <= rows[i].limit);
			for (uint32_t n = 0; n < r->page.count; n++)
				CU_ASSERT(r->sessions[n].age_us == 1000 &&
					  r->sessions[n].port == 1234 &&
					  r->sessions[n].client_id[0] == 'c');
			seen += r->page.count;
			pages++;
			request.list.cursor = r->page.cursor;
		} while (request.list.cursor != 0 && pages < 100);
		CU_ASSERT(seen == rows[i].sessions && pages == rows[i].pages);
		control_free(cp);
	}
}

static void a_long_client_id_is_cut(void)
{
	struct controlplane *cp = control_new();
	const struct ipc_request request = {.type = IPC_LIST_SESSIONS, .list = {.limit = 1}};
	char id[1000];

	memset(id, 'i', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	connect_client(cp, 1, id);
	const struct ipc_reply *r = ask(cp, &request);
	CU_ASSERT(r->page.count == 1 && r->sessions[0].client_id_size == 999);
	CU_ASSERT(r->sessions[0].client_id[IPC_CLIENT_ID_SHOWN - 1] == 'i');
	control_free(cp);
}

static void malformed_requests_are_refused(void)
{
	static const struct {
		const char *name;
		size_t offset;
		uint32_t bytes, value;
	} rows[] = {
		{"magic", offsetof(struct ipc_header, magic), 4, 1},
		{"version", offsetof(struct ipc_header, version), 2, IPC_VERSION + 1},
		{"no type", offsetof(struct ipc_header, type), 2, 0},
		{"a reply's type", offsetof(struct ipc_header, type), 2, IPC_FACTS},
		{"another type", offsetof(struct ipc_header, type), 2, IPC_GET_FACTS},
		{"size", offsetof(struct ipc_header, size), 4, 23},
		{"huge size", offsetof(struct ipc_header, size), 4, UINT32_MAX},
		{"no limit", sizeof(struct ipc_header) + offsetof(struct ipc_list, limit), 4, 0},
		{"large limit", sizeof(struct ipc_header) + offsetof(struct ipc_list, limit), 4,
			IPC_SESSIONS_MAX + 1},
	};
	const struct ipc_request good = {.type = IPC_LIST_SESSIONS, .list = {.limit = 5}};
	struct ipc_request out;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t message[IPC_MESSAGE_MAX];
		const size_t size = ipc_encode_request(&good, message);
		CU_ASSERT(ipc_decode_request(span_of(message, size), &out) == ERR_NONE);
		for (size_t n = 0; n < size; n++)
			CU_ASSERT(ipc_decode_request(span_of(message, n), &out) == ERR_IPC);
		CU_ASSERT(ipc_decode_request(span_of(message, size + 1), &out) == ERR_IPC);
		memcpy(message + rows[i].offset, &rows[i].value, rows[i].bytes);
		CU_ASSERT(ipc_decode_request(span_of(message, size), &out) == ERR_IPC);
	}
}

static void malformed_replies_are_refused(void)
{
	static struct ipc_reply reply, out;
	uint8_t message[IPC_MESSAGE_MAX];

	reply.type = IPC_SESSIONS;
	reply.page.count = 2;
	size_t size = ipc_encode_reply(&reply, message);
	CU_ASSERT(ipc_decode_reply(span_of(message, size), &out) == ERR_NONE);
	const uint32_t counts[] = {0, 1, 3, IPC_SESSIONS_MAX + 1, UINT32_MAX};
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		memcpy(message + sizeof(struct ipc_header), &counts[i], 4);
		CU_ASSERT(ipc_decode_reply(span_of(message, size), &out) == ERR_IPC);
	}
	/* More sessions than there is room for, and a size that says the same. */
	struct ipc_header header;
	const uint32_t many = IPC_SESSIONS_MAX + 1;
	memcpy(&header, message, sizeof(header));
	header.size = (uint32_t)(sizeof(header) + sizeof(struct ipc_page) +
				 many * sizeof(struct ipc_session));
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), &many, sizeof(many));
	CU_ASSERT(ipc_decode_reply(span_of(message, header.size), &out) == ERR_IPC);
	reply.type = IPC_FACTS;
	memset(&reply.facts, 0xff, sizeof(reply.facts));
	size = ipc_encode_reply(&reply, message);
	CU_ASSERT(ipc_decode_reply(span_of(message, size), &out) == ERR_NONE);
	CU_ASSERT(strnlen(out.facts.config.nic, 16) == 15);
	CU_ASSERT(strnlen(out.facts.config.durability, 8) == 7);
	CU_ASSERT(strnlen(out.facts.config.congestion, 8) == 7);
	snprintf(reply.text, sizeof(reply.text), "no");
	reply.type = IPC_REFUSED;
	size = ipc_encode_reply(&reply, message);
	message[size - 1] = '\0';
	CU_ASSERT(ipc_decode_reply(span_of(message, size), &out) == ERR_IPC);
}

/* Answers with DONE and the first byte as token. */
static size_t echo(void *owner, struct span request, uint8_t *out)
{
	const struct ipc_reply reply = {.type = IPC_DONE, .token = 1};

	*(size_t *)owner = request.size;
	return ipc_encode_reply(&reply, out);
}

struct served {
	struct ipc_server server;
	char folder[32], path[64];
	size_t size; /* of the last request */
	bool stop;
};

static void serve(struct served *s)
{
	snprintf(s->folder, sizeof(s->folder), "/tmp/ipc_test.XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(s->folder) != NULL);
	snprintf(s->path, sizeof(s->path), "%s/sock", s->folder);
	CU_ASSERT_FATAL(ipc_server_open(&s->server, s->path, (uid_t)-1));
}

static void serve_end(struct served *s)
{
	ipc_server_close(&s->server);
	unlink(s->path);
	rmdir(s->folder);
}

static void *serve_thread(void *arg)
{
	struct served *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		struct pollfd fds[IPC_FDS_MAX];
		ipc_server_fds(&s->server, fds);
		poll(fds, IPC_FDS_MAX, 10);
		ipc_server_poll(&s->server, echo, &s->size);
	}
	return NULL;
}

static void a_client_asks_over_the_socket(void)
{
	struct served s = {.stop = false};
	struct ipc_request request = {.type = IPC_GET_FACTS, .token = 1};
	static struct ipc_reply reply;
	pthread_t thread;
	struct stat st;

	serve(&s);
	CU_ASSERT(stat(s.path, &st) == 0 && (st.st_mode & 0777) == 0600);
	CU_ASSERT_FATAL(pthread_create(&thread, NULL, serve_thread, &s) == 0);
	const int fd = ipc_connect(s.path, 5000);
	CU_ASSERT_FATAL(fd >= 0);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(ipc_ask(fd, &request, &reply) && reply.type == IPC_DONE);
	request.token = 2; /* the answer says 1 */
	CU_ASSERT(!ipc_ask(fd, &request, &reply) && errno == EBADMSG);
	close(fd);
	__atomic_store_n(&s.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	serve_end(&s);
	CU_ASSERT(ipc_connect(s.path, 100) < 0);
	CU_ASSERT(ipc_connect("/a/path/that/is/much/too/long/for/a/socket/address/which/has/room/"
			      "for/a/hundred/and/seven/bytes/and/no/more",
			  100) < 0);
}

static void a_packet_too_large_is_seen_as_one(void)
{
	struct served s = {.stop = false};
	static uint8_t large[IPC_MESSAGE_MAX * 2];

	serve(&s);
	const int fd = ipc_connect(s.path, 100);
	CU_ASSERT(send(fd, large, sizeof(large), 0) == (ssize_t)sizeof(large));
	ipc_server_poll(&s.server, echo, &s.size);
	CU_ASSERT(s.size == IPC_MESSAGE_MAX + 1);
	struct ipc_request out;
	CU_ASSERT(ipc_decode_request(span_of(large, s.size), &out) == ERR_IPC);
	close(fd);
	serve_end(&s);
}

static void one_client_too_many_drops_the_quietest(void)
{
	struct served s = {.stop = false};
	int fds[IPC_CLIENTS_MAX + 1];
	const struct ipc_request request = {.type = IPC_GET_FACTS, .token = 1};
	uint8_t message[IPC_MESSAGE_MAX];
	const size_t size = ipc_encode_request(&request, message);

	serve(&s);
	for (int i = 0; i < IPC_CLIENTS_MAX; i++) {
		fds[i] = ipc_connect(s.path, 100);
		ipc_server_poll(&s.server, echo, &s.size);
	}
	CU_ASSERT(send(fds[0], message, size, 0) == (ssize_t)size);
	ipc_server_poll(&s.server, echo, &s.size);
	fds[IPC_CLIENTS_MAX] = ipc_connect(s.path, 100);
	ipc_server_poll(&s.server, echo, &s.size);
	CU_ASSERT(recv(fds[0], message, sizeof(message), MSG_DONTWAIT) > 0);
	CU_ASSERT(recv(fds[0], message, sizeof(message), MSG_DONTWAIT) < 0 && errno == EAGAIN);
	CU_ASSERT(recv(fds[1], message, sizeof(message), MSG_DONTWAIT) == 0);
	for (int i = 0; i <= IPC_CLIENTS_MAX; i++)
		close(fds[i]);
	CU_ASSERT(ipc_server_poll(&s.server, echo, &s.size)); /* notices that all are gone */
	CU_ASSERT(!ipc_server_poll(&s.server, echo, &s.size));
	serve_end(&s);
}

static const struct unit_test tests[] = {
	{"facts_are_told", facts_are_told},
	{"a_worker_is_asked", a_worker_is_asked},
	{"an_impairment_is_set_or_refused_with_a_reason",
		an_impairment_is_set_or_refused_with_a_reason},
	{"each_wish_for_another_nic_is_published", each_wish_for_another_nic_is_published},
	{"sessions_come_page_by_page", sessions_come_page_by_page},
	{"a_long_client_id_is_cut", a_long_client_id_is_cut},
	{"malformed_requests_are_refused", malformed_requests_are_refused},
	{"malformed_replies_are_refused", malformed_replies_are_refused},
	{"a_client_asks_over_the_socket", a_client_asks_over_the_socket},
	{"a_packet_too_large_is_seen_as_one", a_packet_too_large_is_seen_as_one},
	{"one_client_too_many_drops_the_quietest", one_client_too_many_drops_the_quietest},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("ipc", tests, argc, argv);
}
