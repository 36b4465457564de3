/* facts_test.c - asks a control plane that answers well, late, badly or not at all. */
#include "mgmt/api/facts.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { S = 1000000 };

static char folder[64], path[80];
static struct facts f;

static int listen_here(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, 4), 0);
	return fd;
}

static int begin(void)
{
	snprintf(folder, sizeof(folder), "/tmp/facts-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/control", folder);
	return listen_here();
}

static void end(int listener)
{
	facts_fini(&f);
	close(listener);
	unlink(path);
	rmdir(folder);
}

static struct ipc_request take_request(int fd)
{
	uint8_t message[IPC_MESSAGE_MAX];
	struct ipc_request request;
	const ssize_t got = recv(fd, message, sizeof(message), MSG_DONTWAIT);

	memset(&request, 0, sizeof(request));
	CU_ASSERT_FATAL(got > 0);
	CU_ASSERT_EQUAL(ipc_decode_request(span_of(message, (size_t)got), &request), ERR_NONE);
	return request;
}

static void reply(int fd, enum ipc_type type, uint32_t token, uint32_t sessions)
{
	static struct ipc_reply r;
	uint8_t message[IPC_MESSAGE_MAX];

	memset(&r, 0, sizeof(r));
	r.type = type;
	r.token = token;
	if (type == IPC_FACTS) {
		r.facts.sessions = sessions;
		snprintf(r.facts.impair, sizeof(r.facts.impair), "off");
	}
	const size_t size = ipc_encode_reply(&r, message);
	CU_ASSERT_EQUAL(send(fd, message, size, 0), (ssize_t)size);
}

static void asks_and_learns(void)
{
	const int listener = begin();

	facts_init(&f, path);
	CU_ASSERT(f.fd >= 0);
	const int peer = accept(listener, NULL, NULL);
	CU_ASSERT_PTR_NULL(facts_fresh(&f, 1 * S));
	facts_tick(&f);
	const struct ipc_request request = take_request(peer);
	CU_ASSERT_EQUAL(request.type, IPC_GET_FACTS);
	facts_read(&f, 1 * S); /* nothing there yet */
	CU_ASSERT_PTR_NULL(facts_fresh(&f, 1 * S));
	reply(peer, IPC_FACTS, request.token, 7);
	facts_read(&f, 2 * S);
	CU_ASSERT_PTR_NOT_NULL_FATAL(facts_fresh(&f, 2 * S));
	CU_ASSERT_EQUAL(facts_fresh(&f, 2 * S)->sessions, 7);
	/* Shown until they are too old. */
	CU_ASSERT_PTR_NOT_NULL(facts_fresh(&f, 7 * S));
	CU_ASSERT_PTR_NULL(facts_fresh(&f, 7 * S + 1));
	close(peer);
	end(listener);
}

static void late_answers_are_no_answers(void)
{
	const int listener = begin();

	facts_init(&f, path);
	const int first = accept(listener, NULL, NULL);
	facts_tick(&f);
	const struct ipc_request old = take_request(first);
	/* A second later it hangs up and asks on a new connection. */
	facts_tick(&f);
	const int second = accept(listener, NULL, NULL);
	CU_ASSERT_FATAL(second >= 0);
	const struct ipc_request request = take_request(second);
	CU_ASSERT_NOT_EQUAL(request.token, old.token);
	reply(second, IPC_FACTS, old.token, 1);
	facts_read(&f, 1 * S);
	CU_ASSERT_PTR_NULL(facts_fresh(&f, 1 * S));
	reply(second, IPC_FACTS, request.token, 2);
	facts_read(&f, 1 * S);
	CU_ASSERT_PTR_NOT_NULL(facts_fresh(&f, 1 * S));
	close(first);
	close(second);
	end(listener);
}

static void nonsense_ends_the_connection(void)
{
	const int listener = begin();

	facts_init(&f, path);
	const int peer = accept(listener, NULL, NULL);
	facts_tick(&f);
	(void)take_request(peer);
	CU_ASSERT_EQUAL(send(peer, "nonsense", 8, 0), 8);
	facts_read(&f, 1 * S);
	CU_ASSERT_EQUAL(f.fd, -1);
	CU_ASSERT_PTR_NULL(facts_fresh(&f, 1 * S));
	close(peer);
	end(listener);
}

static void refusal_is_no_fact(void)
{
	const int listener = begin();

	facts_init(&f, path);
	const int peer = accept(listener, NULL, NULL);
	facts_tick(&f);
	const struct ipc_request request = take_request(peer);
	reply(peer, IPC_REFUSED, request.token, 0);
	facts_read(&f, 1 * S);
	CU_ASSERT_PTR_NULL(facts_fresh(&f, 1 * S));
	CU_ASSERT(!f.waiting);
	close(peer);
	end(listener);
}

static void survives_a_restart(void)
{
	int listener = begin();

	facts_init(&f, path);
	close(accept(listener, NULL, NULL));
	close(listener);
	unlink(path);
	facts_read(&f, 1 * S); /* sees the end */
	CU_ASSERT_EQUAL(f.fd, -1);
	facts_tick(&f); /* nobody there */
	CU_ASSERT_EQUAL(f.fd, -1);
	listener = listen_here();
	facts_tick(&f);
	const int peer = accept(listener, NULL, NULL);
	CU_ASSERT_FATAL(peer >= 0);
	reply(peer, IPC_FACTS, take_request(peer).token, 3);
	facts_read(&f, 2 * S);
	CU_ASSERT_PTR_NOT_NULL(facts_fresh(&f, 2 * S));
	close(peer);
	end(listener);
}

static void without_a_socket(void)
{
	facts_init(&f, NULL);
	facts_tick(&f);
	facts_read(&f, 1 * S);
	CU_ASSERT_EQUAL(f.fd, -1);
	CU_ASSERT_PTR_NULL(facts_fresh(&f, 1 * S));
	facts_fini(&f);
}

static const struct unit_test tests[] = {
	{"asks_and_learns", asks_and_learns},
	{"late_answers_are_no_answers", late_answers_are_no_answers},
	{"nonsense_ends_the_connection", nonsense_ends_the_connection},
	{"refusal_is_no_fact", refusal_is_no_fact},
	{"survives_a_restart", survives_a_restart},
	{"without_a_socket", without_a_socket},
};

int main(int argc, char **argv)
{
	return UNIT_MAIN("facts", tests, argc, argv);
}
