/* end_kernel.c - connections by the kernel's sockets and epoll. See end.h. */
#include "dataplane/base/assert.h"
#include "tests/bench/end.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READ_BYTES = 256 << 10,
	QUEUE_FRAMES = 64, /* a connection's unsent bytes: so many frames, and at least: */
	QUEUE_BYTES = 16 << 10,
	EVENTS = 512, /* of one turn */
};

struct socket_state {
	int fd;
	bool opening;
	bool dirty;    /* in the list of those with something to send */
	bool blocked;  /* the kernel takes no more: EPOLLOUT is asked for */
	uint8_t *rest; /* unread bytes of a frame that is not whole */
	uint8_t *queue;
	uint32_t rest_size;
	uint32_t queued;
	uint32_t queue_size;
};

struct kernel {
	struct end end;
	struct end_conf conf;
	struct sockaddr_in to;
	int epoll;
	uint32_t queue_max;
	struct socket_state *sockets;
	uint32_t *dirty;
	uint32_t dirty_count;
	uint8_t *read; /* a rest, and what comes after it */
	size_t read_size;
};

static struct kernel *of(struct end *e)
{
	return (struct kernel *)e;
}

static void watch(struct kernel *k, uint32_t connection, int how, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u32 = connection};

	if (epoll_ctl(k->epoll, how, k->sockets[connection].fd, &event) != 0)
		ASSERT(errno == ENOENT);
}

static bool kernel_open(struct end *e, uint32_t connection)
{
	struct kernel *k = of(e);
	struct socket_state *s = &k->sockets[connection];
	const int on = 1;

	ASSERT(s->fd < 0);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return false;
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(s->fd, (const struct sockaddr *)&k->to, sizeof(k->to)) != 0 &&
		errno != EINPROGRESS) {
		close(s->fd);
		s->fd = -1;
		return false;
	}
	s->opening = true;
	watch(k, connection, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
	return true;
}

static void forget(struct kernel *k, uint32_t connection)
{
	struct socket_state *s = &k->sockets[connection];

	close(s->fd);
	s->fd = -1;
	s->queued = s->rest_size = 0;
	s->opening = s->blocked = false;
	free(s->rest);
	free(s->queue);
	s->rest = s->queue = NULL;
	s->queue_size = 0;
}

static void kernel_close(struct end *e, uint32_t connection)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};
	struct kernel *k = of(e);

	if (k->sockets[connection].fd < 0)
		return;
	(void)setsockopt(k->sockets[connection].fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	forget(k, connection);
}

static void lose(struct kernel *k, uint32_t connection)
{
	forget(k, connection);
	k->conf.events.closed(k->conf.events.owner, connection);
}

/* Room is doubled as it is needed: idle connections have none. */
static bool grow(struct kernel *k, struct socket_state *s, size_t wanted)
{
	uint32_t size = s->queue_size == 0 ? 1024 : s->queue_size;

	if (wanted > k->queue_max)
		return false;
	while (size < wanted)
		size *= 2;
	if (size > s->queue_size) {
		uint8_t *queue = (uint8_t *)realloc(s->queue, size);
		if (queue == NULL)
			return false;
		s->queue = queue;
		s->queue_size = size;
	}
	return true;
}

static bool kernel_send(struct end *e, uint32_t connection, struct span bytes)
{
	struct kernel *k = of(e);
	struct socket_state *s = &k->sockets[connection];

	if (s->fd < 0 || !grow(k, s, s->queued + bytes.size))
		return false;
	memcpy(s->queue + s->queued, bytes.at, bytes.size);
	s->queued += (uint32_t)bytes.size;
	if (!s->dirty && !s->blocked) {
		s->dirty = true;
		k->dirty[k->dirty_count++] = connection;
	}
	return true;
}

static void flush_one(struct kernel *k, uint32_t connection)
{
	struct socket_state *s = &k->sockets[connection];
	const bool was_blocked = s->blocked;

	if (s->fd < 0 || s->opening || s->queued == 0)
		return;
	const ssize_t n = send(s->fd, s->queue, s->queued, MSG_NOSIGNAL);
	if (n > 0) {
		s->queued -= (uint32_t)n;
		memmove(s->queue, s->queue + n, s->queued);
	}
	/* An error shows again when it is read. */
	s->blocked = s->queued > 0;
	if (s->blocked != was_blocked)
		watch(k, connection, EPOLL_CTL_MOD, EPOLLIN | (s->blocked ? EPOLLOUT : 0));
}

static void flush(struct kernel *k)
{
	const uint32_t n = k->dirty_count;

	k->dirty_count = 0;
	for (uint32_t i = 0; i < n; i++) {
		k->sockets[k->dirty[i]].dirty = false;
		flush_one(k, k->dirty[i]);
	}
}

/* Keeps what was not used in a buffer of just that size. */
static void keep_rest(struct socket_state *s, struct span rest)
{
	if (rest.size > 0) {
		s->rest = (uint8_t *)realloc(s->rest, rest.size);
		ASSERT(s->rest != NULL);
		memcpy(s->rest, rest.at, rest.size);
	} else {
		free(s->rest);
		s->rest = NULL;
	}
	s->rest_size = (uint32_t)rest.size;
}

static void receive(struct kernel *k, uint32_t connection)
{
	struct socket_state *s = &k->sockets[connection];
	const size_t before = s->rest_size;

	if (before > 0)
		memcpy(k->read, s->rest, before);
	const ssize_t n = recv(s->fd, k->read + before, k->read_size - before, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lose(k, connection);
		return;
	}
	const struct span all = span_of(k->read, before + (size_t)n);
	const size_t used = k->conf.events.bytes(k->conf.events.owner, connection, all);
	if (s->fd >= 0)
		keep_rest(s, span_skip(all, used));
}

static void finish_opening(struct kernel *k, uint32_t connection)
{
	struct socket_state *s = &k->sockets[connection];
	int error = 0;
	socklen_t size = sizeof(error);

	(void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error != 0) {
		lose(k, connection);
		return;
	}
	s->opening = false;
	watch(k, connection, EPOLL_CTL_MOD, EPOLLIN);
	k->conf.events.opened(k->conf.events.owner, connection);
}

static void handle(struct kernel *k, const struct epoll_event *event)
{
	const uint32_t connection = event->data.u32;
	struct socket_state *s = &k->sockets[connection];

	if (s->fd >= 0 && s->opening && (event->events & ~EPOLLIN))
		finish_opening(k, connection);
	else if (s->fd >= 0 && (event->events & EPOLLOUT))
		flush_one(k, connection);
	if (s->fd >= 0 && !s->opening && (event->events & ~EPOLLOUT))
		receive(k, connection);
}

static void kernel_turn(struct end *e, uint64_t wait_us)
{
	struct epoll_event events[EVENTS];
	struct kernel *k = of(e);
	const struct timespec wait = {
		(time_t)(wait_us / 1000000), (long)(wait_us % 1000000 * 1000)};

	flush(k);
	const int n = epoll_pwait2(k->epoll, events, EVENTS, &wait, NULL);
	for (int i = 0; i < n; i++)
		handle(k, &events[i]);
}

static void kernel_destroy(struct end **e)
{
	struct kernel *k = of(*e);

	*e = NULL;
	for (uint32_t i = 0; i < k->conf.connections; i++)
		if (k->sockets[i].fd >= 0)
			forget(k, i);
	close(k->epoll);
	free(k->sockets);
	free(k->dirty);
	free(k->read);
	free(k);
}

static const struct end_ops ops = {.open = kernel_open,
	.send = kernel_send,
	.close = kernel_close,
	.turn = kernel_turn,
	.destroy = kernel_destroy};

struct end *end_kernel_create(const struct end_conf *conf)
{
	struct kernel *k = (struct kernel *)calloc(1, sizeof(*k));

	ASSERT(k != NULL);
	k->end.ops = &ops;
	k->conf = *conf;
	k->queue_max = QUEUE_BYTES + (uint32_t)(QUEUE_FRAMES * conf->frame_max);
	k->read_size = READ_BYTES + 2 * conf->frame_max;
	k->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(conf->port)};
	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	k->sockets = (struct socket_state *)calloc(conf->connections, sizeof(*k->sockets));
	k->dirty = (uint32_t *)calloc(conf->connections, sizeof(*k->dirty));
	k->read = (uint8_t *)malloc(k->read_size);
	ASSERT(k->epoll >= 0 && k->sockets != NULL && k->dirty != NULL && k->read != NULL);
	ASSERT(inet_pton(AF_INET, conf->address, &k->to.sin_addr) == 1);
	for (uint32_t i = 0; i < conf->connections; i++)
		k->sockets[i].fd = -1;
	return &k->end;
}
