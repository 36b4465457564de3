/* connections_test.c - ids, parameters and documents; and the asking, between both ends of a
 * socket. */
#include "mgmt/api/connections.h"

#include "mgmt/api/inspect.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { S = 1000000 };

static void ids(void)
{
	static const struct {
		const char *text;
		bool good;
		uint32_t worker, index, generation;
	} rows[] = {
		{"0-0-0", true, 0, 0, 0},
		{"7-4294967294-4294967295", true, 7, 4294967294u, 4294967295u},
		{"8-0-0", false, 0, 0, 0},
		{"0-4294967295-0", false, 0, 0, 0},
		{"0-0-4294967296", false, 0, 0, 0},
		{"0-99999999999999999999999-0", false, 0, 0, 0},
		{"", false, 0, 0, 0},
		{"0", false, 0, 0, 0},
		{"0-1", false, 0, 0, 0},
		{"0-1-", false, 0, 0, 0},
		{"0-1-2-3", false, 0, 0, 0},
		{"0-1-2/", false, 0, 0, 0},
		{" 0-1-2", false, 0, 0, 0},
		{"0--1-2", false, 0, 0, 0},
		{"+0-1-2", false, 0, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ipc_inspect ask;
		CU_ASSERT_EQUAL(connections_id_read(rows[i].text, strlen(rows[i].text), &ask),
			rows[i].good);
		if (!rows[i].good)
			continue;
		CU_ASSERT_EQUAL(ask.worker, rows[i].worker);
		CU_ASSERT_EQUAL(ask.ask.index, rows[i].index);
		CU_ASSERT_EQUAL(ask.ask.generation, rows[i].generation);
		CU_ASSERT(shm_ask_check(&ask.ask));
	}
}

static void parameters(void)
{
	static const struct {
		const char *name, *value;
		bool good;
	} rows[] = {
		{"limit", "1", true},
		{"limit", "64", true},
		{"limit", "0", false},
		{"limit", "65", false},
		{"limit", "6x", false},
		{"limit", NULL, false},
		{"worker", "7", true},
		{"worker", "8", false},
		{"cursor", "1-64", true},
		{"cursor", "1-64-1", false},
		{"cursor", "64", false},
		{"state", "ESTABLISHED", true},
		{"state", "ESTABLISHED,TIME-WAIT", true},
		{"state", "established", false},
		{"state", "ESTABLISHED,", false},
		{"peer_port", "65535", true},
		{"peer_port", "65536", false},
		{"local_port", "0", false},
		{"peer", "10.9.0.1", true},
		{"peer", "10.9.0.0/16", true},
		{"peer", "10.9.0.0/33", false},
		{"peer", "10.9.0.0/", false},
		{"peer", "10.9.0", false},
		{"peer", "2001:db8::/32", true},
		{"peer", "2001:db8::/129", false},
		{"peer", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa", false},
		{"port", "1", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct connections_page p;
		connections_page_init(&p);
		CU_ASSERT_EQUAL(
			connections_page_read(&p, rows[i].name, rows[i].value), rows[i].good);
		if (rows[i].good)
			CU_ASSERT(shm_ask_check(&p.ask.ask));
	}
}

static void what_parameters_mean(void)
{
	struct connections_page p;
	static const uint8_t peer[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 9};

	connections_page_init(&p);
	CU_ASSERT(connections_page_read(&p, "peer", "10.9.0.0/16"));
	CU_ASSERT_EQUAL(memcmp(p.ask.ask.peer, peer, sizeof(peer)), 0);
	CU_ASSERT_EQUAL(p.ask.ask.peer_bits, 96 + 16);
	CU_ASSERT(connections_page_read(&p, "state", "SYN-SENT,LAST-ACK"));
	CU_ASSERT_EQUAL(p.ask.ask.states, 1u << 2 | 1u << 9);
	CU_ASSERT(connections_page_read(&p, "cursor", "1-64"));
	CU_ASSERT_FALSE(connections_page_read(&p, "worker", "0")); /* a contradiction */
	CU_ASSERT_EQUAL(p.ask.worker, 1);
	CU_ASSERT_EQUAL(p.ask.ask.index, 64);
	connections_page_init(&p);
	CU_ASSERT(connections_page_read(&p, "worker", "1"));
	CU_ASSERT_FALSE(connections_page_read(&p, "cursor", "0-64"));
}

static struct shm_connection_facts facts(void)
{
	struct shm_connection_facts f;

	memset(&f, 0, sizeof(f));
	f.tcp = (struct tcp_facts){.index = 17,
		.generation = 3,
		.peer = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 9, [15] = 1},
		.local = {0x20, 0x01, [15] = 2},
		.peer_port = 40000,
		.local_port = 1883,
		.state = 4,
		.flags = TCP_FACTS_SACK | TCP_FACTS_PASSIVE,
		.srtt_us = 250,
		.cwnd = 14600};
	memcpy(f.client_id, "sensor", 6);
	f.client_id_size = 6;
	return f;
}

static bool says(json_t *document, const char *what)
{
	char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
	const bool found = text != NULL && strstr(text, what) != NULL;

	if (!found)
		printf("# no %s in %s\n", what, text);
	free(text);
	return found;
}

static void one_document(void)
{
	struct shm_connection_facts f = facts();
	json_t *d = connections_report_one(1, (const uint8_t *)&f);

	CU_ASSERT(says(d, "\"id\":\"1-17-3\""));
	CU_ASSERT(says(d, "\"peer\":{\"address\":\"10.9.0.1\",\"port\":40000}"));
	CU_ASSERT(says(d, "\"local\":{\"address\":\"2001::2\",\"port\":1883}"));
	CU_ASSERT(says(d, "\"state\":\"ESTABLISHED\""));
	CU_ASSERT(says(d, "\"flags\":[\"sack\",\"passive\"]"));
	CU_ASSERT(says(d, "\"client_id\":\"sensor\""));
	CU_ASSERT(says(d, "\"rtt_us\":250"));
	json_decref(d);
}

/* What a broken worker writes is shown as far as it is text, and read no further than it is. */
static void hostile_records(void)
{
	struct shm_connection_facts f = facts();

	f.tcp.state = 200;
	f.client_id_size = UINT32_MAX;
	memset(f.client_id, 'x', sizeof(f.client_id));
	f.client_id[sizeof(f.client_id) - 1] = 0xe2; /* cut within a character */
	json_t *d = connections_report_one(1, (const uint8_t *)&f);
	CU_ASSERT(says(d, "\"state\":\"unknown\""));
	CU_ASSERT_EQUAL(json_string_length(json_object_get(d, "client_id")), 63);
	json_decref(d);
	memset(f.client_id, 0xff, sizeof(f.client_id));
	d = connections_report_one(1, (const uint8_t *)&f);
	CU_ASSERT(says(d, "\"client_id\":null"));
	json_decref(d);
}

static void pages_follow_each_other(void)
{
	static const struct {
		uint32_t worker, next;
		bool one_worker;
		const char *cursor;
	} rows[] = {
		{0, 64, false, "\"next\":\"0-64\""},
		{0, SHM_ASK_END, false, "\"next\":\"1-0\""},
		{1, SHM_ASK_END, false, "\"next\":null"},
		{0, SHM_ASK_END, true, "\"next\":null"},
		{0, 64, true, "\"next\":\"0-64\""},
	};
	const struct shm_connection_facts f = facts();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct connections_page p;
		const struct shm_answer_head head = {
			.kind = SHM_ASK_CONNECTIONS, .count = 1, .next = rows[i].next};
		connections_page_init(&p);
		p.ask.worker = rows[i].worker;
		p.one_worker = rows[i].one_worker;
		json_t *d = connections_report(&p, 2, &head, (const uint8_t *)&f);
		CU_ASSERT_EQUAL(json_array_size(json_object_get(d, "connections")), 1);
		CU_ASSERT(says(d, rows[i].cursor));
		json_decref(d);
	}
}

static void events_become_lines(void)
{
	static const struct tcp_happened found[] = {{1500000, 104, TCP_WHAT_FINISHED, {0}},
		{1400000, 0x12, TCP_WHAT_CONTROL_IN, {0}}, {1300000, 4, TCP_WHAT_STATE, {0}},
		{1200000, 65535, TCP_WHAT_STATE, {0}}, {1100000, 65535, TCP_WHAT_FINISHED, {0}},
		{1000000, 1460, TCP_WHAT_SEGMENT_IN, {0}}, {900000, 0, TCP_WHAT_CHALLENGE, {0}},
		{800000, 3, TCP_WHATS, {0}}};
	const struct shm_answer_head head = {
		.kind = SHM_ASK_EVENTS, .count = ARRAY_SIZE(found), .now_us = 1400001};
	json_t *d = connections_report_events(&head, (const uint8_t *)found);

	const json_t *list = json_object_get(d, "events");
	CU_ASSERT_EQUAL(json_array_size(list), ARRAY_SIZE(found));
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_object_get(json_array_get(list, 0), "what")), "UNKNOWN");
	CU_ASSERT(says(d, "\"ago_us\":0,"));
	CU_ASSERT(says(d, "\"ago_us\":1,"));
	CU_ASSERT(says(d, "\"segment with SYN, FIN or RST came in: SYN ACK\""));
	CU_ASSERT(says(d, "\"state changed: ESTABLISHED\""));
	CU_ASSERT(says(d, "\"state changed: unknown\""));
	CU_ASSERT(says(d, "\"the connection is over: unknown\""));
	CU_ASSERT(says(d, "\"segment came in: 1460 bytes\""));
	CU_ASSERT(says(d, "\"challenge ACK was due\""));
	CU_ASSERT(says(d, "\"cut\":false"));
	json_decref(d);
}

/* The asking. */
static char folder[64], path[80];
static struct inspections all;

static int listen_here(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(folder, sizeof(folder), "/tmp/inspect-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/control", folder);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, 4), 0);
	return fd;
}

static void end(int listener)
{
	inspections_fini(&all);
	close(listener);
	unlink(path);
	rmdir(folder);
}

static struct ipc_inspect ask_for(uint32_t index)
{
	return (struct ipc_inspect){
		.ask = {.kind = SHM_ASK_CONNECTION, .index = index, .limit = 1}};
}

/* The index that is asked for; its token goes into *token. UINT32_MAX: nothing is asked. */
static uint32_t hear(int fd, uint32_t *token)
{
	uint8_t message[IPC_MESSAGE_MAX];
	struct ipc_request request;
	const ssize_t got = recv(fd, message, sizeof(message), MSG_DONTWAIT);

	if (got <= 0)
		return UINT32_MAX;
	CU_ASSERT_EQUAL(ipc_decode_request(span_of(message, (size_t)got), &request), ERR_NONE);
	CU_ASSERT_EQUAL(request.type, IPC_INSPECT);
	*token = request.token;
	return request.inspect.ask.index;
}

static void say(int fd, enum ipc_type type, uint32_t token)
{
	static struct ipc_reply r;
	uint8_t message[IPC_MESSAGE_MAX];
	const struct shm_connection_facts f = facts();

	memset(&r, 0, sizeof(r));
	r.type = type;
	r.token = token;
	if (type == IPC_INSPECTED) {
		r.inspected = (struct shm_answer_head){.kind = SHM_ASK_CONNECTION, .count = 1};
		memcpy(r.records, &f, sizeof(f));
	} else if (type == IPC_REFUSED) {
		snprintf(r.text, sizeof(r.text), "another question");
	}
	const size_t size = ipc_encode_reply(&r, message);
	CU_ASSERT_EQUAL(send(fd, message, size, 0), (ssize_t)size);
}

static void asks_until_answered(void)
{
	const int listener = listen_here();
	const struct ipc_inspect ask = ask_for(7);
	uint32_t token = 0;

	inspections_init(&all, path);
	const int peer = accept(listener, NULL, NULL);
	CU_ASSERT_EQUAL(inspections_next_us(&all), UINT64_MAX);
	struct inspection *one = inspections_add(&all, &ask, 1 * S);
	CU_ASSERT_PTR_NOT_NULL_FATAL(one);
	CU_ASSERT_EQUAL(inspections_next_us(&all), 1 * S);
	for (unsigned i = 0; i < 3; i++) {
		const uint64_t now_us = 1 * S + i * INSPECT_AGAIN_US;
		inspections_turn(&all, now_us);
		CU_ASSERT_EQUAL(hear(peer, &token), 7);
		inspections_turn(&all, now_us); /* not twice at once */
		CU_ASSERT_EQUAL(hear(peer, &token), UINT32_MAX);
		say(peer, i == 0 ? IPC_WAIT : i == 1 ? IPC_REFUSED : IPC_INSPECTED, token);
		inspections_read(&all, now_us);
		CU_ASSERT_EQUAL(one->result, i < 2 ? INSPECT_PENDING : INSPECT_DONE);
		inspections_turn(&all, now_us + INSPECT_AGAIN_US - 1); /* not too soon */
		CU_ASSERT_EQUAL(hear(peer, &token), UINT32_MAX);
	}
	CU_ASSERT_EQUAL(one->head.count, 1);
	CU_ASSERT_EQUAL(
		((const struct shm_connection_facts *)(const void *)one->records)->tcp.index, 17);
	inspections_remove(&all, one);
	close(peer);
	end(listener);
}

static void gives_up_in_time(void)
{
	const int listener = listen_here();
	const struct ipc_inspect ask = ask_for(7), next = ask_for(8);
	uint32_t token = 0;

	inspections_init(&all, path);
	int peer = accept(listener, NULL, NULL);
	struct inspection *one = inspections_add(&all, &ask, 1 * S);
	inspections_turn(&all, 1 * S);
	inspections_turn(&all, 1 * S + INSPECT_GIVE_UP_US - 1);
	CU_ASSERT_EQUAL(one->result, INSPECT_PENDING);
	inspections_turn(&all, 1 * S + INSPECT_GIVE_UP_US);
	CU_ASSERT_EQUAL(one->result, INSPECT_GIVEN_UP);
	inspections_remove(&all, one);
	close(peer);
	/* The next one finds the control plane again. */
	one = inspections_add(&all, &next, 9 * S);
	inspections_turn(&all, 9 * S);
	peer = accept(listener, NULL, NULL);
	CU_ASSERT_EQUAL(hear(peer, &token), 8);
	close(peer); /* dies */
	inspections_read(&all, 9 * S);
	inspections_turn(&all, 9 * S + INSPECT_AGAIN_US);
	peer = accept(listener, NULL, NULL);
	CU_ASSERT_EQUAL(hear(peer, &token), 8);
	say(peer, IPC_INSPECTED, token - 1); /* to somebody else */
	inspections_read(&all, 9 * S);
	CU_ASSERT_EQUAL(one->result, INSPECT_PENDING);
	say(peer, IPC_INSPECTED, token);
	inspections_read(&all, 9 * S);
	CU_ASSERT_EQUAL(one->result, INSPECT_DONE);
	close(peer);
	end(listener);
}

static void questions_are_bounded(void)
{
	const struct ipc_inspect ask = ask_for(7);

	inspections_init(&all, NULL);
	for (int i = 0; i < INSPECTIONS_MAX; i++)
		CU_ASSERT_PTR_NOT_NULL(inspections_add(&all, &ask, 1 * S));
	CU_ASSERT_PTR_NULL(inspections_add(&all, &ask, 1 * S));
	inspections_turn(&all, 1 * S); /* nobody to ask: no harm */
	inspections_give_up(&all);
	CU_ASSERT_EQUAL(all.slots[3].result, INSPECT_GIVEN_UP);
	inspections_remove(&all, &all.slots[3]);
	CU_ASSERT_PTR_EQUAL(inspections_add(&all, &ask, 1 * S), &all.slots[3]);
	inspections_fini(&all);
}

static const struct unit_test tests[] = {
	{"ids", ids},
	{"parameters", parameters},
	{"what_parameters_mean", what_parameters_mean},
	{"one_document", one_document},
	{"hostile_records", hostile_records},
	{"pages_follow_each_other", pages_follow_each_other},
	{"events_become_lines", events_become_lines},
	{"asks_until_answered", asks_until_answered},
	{"gives_up_in_time", gives_up_in_time},
	{"questions_are_bounded", questions_are_bounded},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("connections", tests, argc, argv);
}
