/* selfcheck.c - sends one message through the box, as two of its clients, and tells how long it
 * took.
 *
 *	signalbox-selfcheck ADDRESS PORT
 *
 * Two kernel TCP sockets, MQTT 3.1.1 written out by hand so that nothing of the
 * box is tested with itself: CONNECT both, SUBSCRIBE one, PUBLISH on the other
 * at QoS 0, and wait for the same bytes. Prints "round_trip_us: N". Each step has
 * five seconds; exit code 1 with the step that failed. Not here: load, options.
 *
 * Spec: MQTT 3.1.1. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STEP_MS = 5000, PACKET_MAX = 127, TEXT_MAX = 48 };

static const char *step; /* for the message when it fails */

__attribute__((noreturn)) static void fail(const char *why)
{
	fprintf(stderr, "%s: %s\n", step, why);
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void wait_for(int fd, short events, uint64_t deadline_us)
{
	struct pollfd p = {.fd = fd, .events = events};
	const uint64_t now = now_us();

	if (now >= deadline_us || poll(&p, 1, (int)((deadline_us - now) / 1000) + 1) == 0)
		fail("no answer within 5 s");
}

static int tcp_connect(const char *address, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	const int on = 1;
	int error = 0;
	socklen_t size = sizeof(error);

	step = "TCP connection";
	if (fd < 0)
		fail(strerror(errno));
	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		fail("the address is not one of IPv4");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)
		fail(strerror(errno));
	wait_for(fd, POLLOUT, now_us() + STEP_MS * 1000);
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error != 0)
		fail(strerror(error));
	return fd;
}

/* A packet is a type and flags, a length below 128, and a body. */
struct packet {
	uint8_t bytes[2 + PACKET_MAX];
	size_t size;
};

static void put(struct packet *p, const void *bytes, size_t size)
{
	memcpy(p->bytes + p->size, bytes, size);
	p->size += size;
	p->bytes[1] = (uint8_t)(p->size - 2);
}

static void put_text(struct packet *p, const char *text)
{
	const uint8_t length[2] = {0, (uint8_t)strlen(text)};

	put(p, length, 2);
	put(p, text, strlen(text));
}

static struct packet packet_of(uint8_t type)
{
	return (struct packet){.bytes = {type, 0}, .size = 2};
}

static void send_packet(int fd, const struct packet *p)
{
	if (send(fd, p->bytes, p->size, MSG_NOSIGNAL) != (ssize_t)p->size)
		fail(strerror(errno));
}

static void receive_bytes(int fd, uint8_t *at, size_t size, uint64_t deadline_us)
{
	while (size > 0) {
		const ssize_t n = recv(fd, at, size, 0);
		if (n == 0)
			fail("the box closed the connection");
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			fail(strerror(errno));
		if (n < 0) {
			wait_for(fd, POLLIN, deadline_us);
			continue;
		}
		at += n;
		size -= (size_t)n;
	}
}

/* Receives one packet, which must be exactly this. */
static void expect(int fd, const struct packet *want)
{
	const uint64_t deadline_us = now_us() + STEP_MS * 1000;
	uint8_t got[2 + PACKET_MAX];
	char why[96];

	receive_bytes(fd, got, 2, deadline_us);
	if (got[1] > PACKET_MAX)
		fail("the answer is too long");
	receive_bytes(fd, got + 2, got[1], deadline_us);
	if (got[1] + 2u == want->size && memcmp(got, want->bytes, want->size) == 0)
		return;
	snprintf(why, sizeof(why), "unexpected answer: type %02x, %u bytes, the last of them %02x",
		got[0], got[1], got[1 + got[1]]);
	fail(why);
}

static int mqtt_connect(const char *address, uint16_t port, const char *name)
{
	static const uint8_t head[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 2 /* clean session */, 0, 60};
	static const uint8_t accepted[] = {0, 0};
	struct packet connect = packet_of(0x10), connack = packet_of(0x20);
	char client[TEXT_MAX];

	const int fd = tcp_connect(address, port);
	step = "MQTT CONNECT";
	snprintf(client, sizeof(client), "selfcheck-%s-%d", name, (int)getpid());
	put(&connect, head, sizeof(head));
	put_text(&connect, client);
	put(&connack, accepted, sizeof(accepted));
	send_packet(fd, &connect);
	expect(fd, &connack);
	return fd;
}

static void mqtt_subscribe(int fd, const char *topic)
{
	static const uint8_t id[] = {0, 1}, qos[] = {0}, granted[] = {0, 1, 0};
	struct packet subscribe = packet_of(0x82), suback = packet_of(0x90);

	step = "MQTT SUBSCRIBE";
	put(&subscribe, id, sizeof(id));
	put_text(&subscribe, topic);
	put(&subscribe, qos, sizeof(qos));
	put(&suback, granted, sizeof(granted));
	send_packet(fd, &subscribe);
	expect(fd, &suback);
}

int main(int argc, char **argv)
{
	static const char payload[] = "does it arrive?";
	struct packet publish = packet_of(0x30);
	char topic[TEXT_MAX];

	step = "command line";
	const long port = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	if (port < 1 || port > UINT16_MAX)
		fail("usage: signalbox-selfcheck ADDRESS PORT");

	const int subscriber = mqtt_connect(argv[1], (uint16_t)port, "sub");
	const int publisher = mqtt_connect(argv[1], (uint16_t)port, "pub");
	snprintf(topic, sizeof(topic), "signalbox/selfcheck/%d", (int)getpid());
	mqtt_subscribe(subscriber, topic);

	step = "MQTT PUBLISH";
	put_text(&publish, topic);
	put(&publish, payload, sizeof(payload) - 1);
	const uint64_t begin_us = now_us();
	send_packet(publisher, &publish);
	expect(subscriber, &publish);
	printf("round_trip_us: %llu\n", (unsigned long long)(now_us() - begin_us));

	const struct packet disconnect = packet_of(0xe0);
	send_packet(subscriber, &disconnect);
	send_packet(publisher, &disconnect);
	close(subscriber);
	close(publisher);
	return 0;
}
