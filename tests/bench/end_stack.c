/* end_stack.c - connections by our own TCP, over memif to the box. See end.h.
 *
 * The same net and tcp as the box's, in one thread that never waits: memif cannot wake anybody.
 * Not here: the other end of the memif, which is the box (`./run --nic memif:SOCKET`). */
#include "dataplane/base/assert.h"
#include "dataplane/net/buffers.h"
#include "dataplane/tcp/tcp.h"
#include "drivers/soft/soft.h"
#include "tests/bench/end.h"

#include <arpa/inet.h>
#include <errno.h>
#include <rte_eal.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

enum {
	BURST = 32,
	BURSTS = 8, /* of a turn */
	EVENTS = 4096,
	TIMERS = 1024,
	LINK_WAIT_US = 5 * 1000 * 1000,
	GOODBYE_US = 2 * 1000 * 1000,
	LINGER_US = 50 * 1000,
	SCOUT = UINT32_MAX, /* no connection's number */
	RX_BUFFERS = 8192,
	TX_BUFFERS = 32768,
	HELD_BUFFERS = 8192,
	HEADER_ROOM = RTE_PKTMBUF_HEADROOM + 640, /* as the box's */
	MEMORY_MIB = 320,
	QUEUE_MIN = 64 << 10,
	WINDOW_MIN = 256 << 10,
};

struct line {
	struct tcp_id id;
	bool open;
};

struct stack {
	struct end end;
	struct end_conf conf;
	uint64_t now_us;
	struct counters counters;
	struct driver *nic;
	struct net *net;
	struct tcp *tcp;
	rte_be32_t to;
	struct rte_mempool *rx, *headers, *copies, *held, *control;
	struct line *lines;
	bool found;       /* the box has answered */
	uint8_t *scratch; /* where a frame that straddles buffers is put together */
	size_t scratch_size;
};

static struct stack *of(struct end *e)
{
	return (struct stack *)e;
}

static uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

__attribute__((noreturn)) static void fail(const char *what, const char *why)
{
	fprintf(stderr, "generator: %s: %s\n", what, why);
	exit(1);
}

static bool stack_open(struct end *e, uint32_t connection)
{
	struct stack *s = of(e);
	struct line *l = &s->lines[connection];

	ASSERT(!l->open);
	l->open = tcp_connect(s->tcp, s->to, s->conf.port, 0, connection, &l->id, s->now_us) ==
		  ERR_NONE;
	errno = l->open ? 0 : EAGAIN;
	return l->open;
}

static bool stack_send(struct end *e, uint32_t connection, struct span bytes)
{
	struct stack *s = of(e);
	struct line *l = &s->lines[connection];

	return l->open && tcp_send_room(s->tcp, l->id) >= bytes.size &&
	       tcp_send(s->tcp, l->id, bytes);
}

static void stack_close(struct end *e, uint32_t connection)
{
	struct stack *s = of(e);
	struct line *l = &s->lines[connection];

	if (l->open)
		tcp_abort(s->tcp, l->id);
	l->open = false; /* its CLOSED is nobody's */
}

static size_t show(struct stack *s, uint32_t connection, struct span bytes)
{
	return s->conf.events.bytes(s->conf.events.owner, connection, bytes);
}

/* What is contiguous, and in one piece what is not. */
static void feed(struct stack *s, uint32_t connection)
{
	const struct line *l = &s->lines[connection];

	while (l->open) {
		struct span bytes = tcp_recv_peek(s->tcp, l->id);
		const size_t all = tcp_recv_available(s->tcp, l->id);
		size_t used = bytes.size == 0 ? 0 : show(s, connection, bytes);
		if (used == 0 && all > bytes.size && l->open) {
			const size_t size = all < s->scratch_size ? all : s->scratch_size;
			tcp_recv_copy(s->tcp, l->id, s->scratch, size);
			used = show(s, connection, span_of(s->scratch, size));
		}
		if (used == 0 || !l->open)
			break;
		tcp_recv_consume(s->tcp, l->id, used);
	}
	if (l->open && tcp_at_end(s->tcp, l->id))
		tcp_close(s->tcp, l->id);
}

static void on_event(struct stack *s, const struct tcp_event *e)
{
	const uint32_t connection = (uint32_t)e->user;
	struct line *l = e->user == SCOUT ? NULL : &s->lines[connection];
	const bool known = l != NULL && l->open && l->id.index == e->id.index &&
			   l->id.generation == e->id.generation;

	s->found |= l == NULL;
	if (e->kind == TCP_EVENT_CLOSED) {
		tcp_release(s->tcp, e->id);
		if (!known)
			return;
		l->open = false;
		s->conf.events.closed(s->conf.events.owner, connection);
	} else if (known && e->kind == TCP_EVENT_CONNECTED) {
		s->conf.events.opened(s->conf.events.owner, connection);
	} else if (known && e->kind == TCP_EVENT_READABLE) {
		feed(s, connection);
	}
}

static void receive(struct stack *s)
{
	struct rte_mbuf *frames[BURST];
	struct net_packet packet;

	for (int burst = 0; burst < BURSTS; burst++) {
		const uint16_t n = driver_rx(s->nic, 0, frames, BURST);
		for (uint16_t i = 0; i < n; i++)
			rte_prefetch0(rte_pktmbuf_mtod(frames[i], const void *));
		for (uint16_t i = 0; i < n; i++)
			if (net_rx(s->net, &frames[i], &packet, s->now_us))
				tcp_rx(s->tcp, &packet, s->now_us);
		if (n < BURST)
			return;
	}
}

static void stack_turn(struct end *e, uint64_t wait_us)
{
	struct stack *s = of(e);
	struct tcp_event event;

	(void)wait_us; /* looking is all the waiting there is */
	s->now_us = clock_us();
	receive(s);
	tcp_poll_timers(s->tcp, s->now_us, TIMERS);
	net_poll_timers(s->net, s->now_us);
	for (int i = 0; i < EVENTS && tcp_next_event(s->tcp, &event); i++)
		on_event(s, &event);
	tcp_flush(s->tcp, s->now_us);
	net_flush(s->net);
}

/* The box's MAC, before there are more SYNs than may wait for it: a SYN that is lost costs a
 * second. Any answer of its port will do. */
static void find_neighbour(struct stack *s)
{
	const uint64_t patience = clock_us() + LINK_WAIT_US;
	struct tcp_id id;

	if (tcp_connect(s->tcp, s->to, s->conf.port, 0, SCOUT, &id, s->now_us) != ERR_NONE)
		fail("no connection", s->conf.address);
	while (!s->found) {
		if (clock_us() > patience)
			fail("no answer", s->conf.address);
		stack_turn(&s->end, 0);
	}
	tcp_abort(s->tcp, id);
}

static void turn_for(struct stack *s, uint64_t us)
{
	const uint64_t until = clock_us() + us;

	while (clock_us() < until)
		stack_turn(&s->end, 0);
}

/* The box is to hear that its peers are gone, and to have read it before the ring is no more. */
static void say_goodbye(struct stack *s)
{
	const uint64_t patience = clock_us() + GOODBYE_US;

	for (uint32_t i = 0; i < s->conf.connections; i++)
		stack_close(&s->end, i);
	while (counter_get(&s->counters, COUNTER_TCP_CONNECTIONS) > 0 && clock_us() < patience)
		stack_turn(&s->end, 0);
	turn_for(s, LINGER_US);
}

static void stack_destroy(struct end **e)
{
	struct stack *s = of(*e);

	*e = NULL;
	say_goodbye(s);
	tcp_destroy(&s->tcp);
	net_destroy(&s->net);
	s->nic->ops->close(s->nic);
	free(s->lines);
	free(s->scratch);
	free(s);
	rte_eal_cleanup();
}

static void start_eal(int core)
{
	char megabytes[16], where[24];
	cpu_set_t may;

	CPU_ZERO(&may);
	(void)sched_getaffinity(0, sizeof(may), &may);
	for (int i = 0; core < 0 && i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &may))
			core = i;
	snprintf(megabytes, sizeof(megabytes), "%d", MEMORY_MIB);
	snprintf(where, sizeof(where), "0@%d", core);
	const char *args[] = {"generator", "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry",
		"--iova-mode=va", "--log-level=error", "-m", megabytes, "--lcores", where, NULL};
	if (rte_eal_init(ARRAY_SIZE(args) - 1, (char **)(uintptr_t)args) < 0)
		fail("DPDK does not start", strerror(errno));
}

static struct rte_mempool *pool_of(const char *name, uint32_t count, uint16_t room)
{
	struct rte_mempool *p = buffers_create(name, count, room);

	if (p == NULL)
		fail("no memory for buffers", name);
	return p;
}

static void open_nic(struct stack *s)
{
	struct counters *counters = &s->counters;
	const struct soft_conf conf = {.kind = "memif_peer",
		.interface = s->conf.memif,
		.box = 1,
		.queues = 1,
		.pools = &s->rx,
		.counters = &counters};
	const uint64_t patience = clock_us() + LINK_WAIT_US;
	char why[256];

	if (soft_open(&conf, &s->nic, why, sizeof(why)) != ERR_NONE)
		fail(s->conf.memif, why);
	while (!s->nic->ops->link_up(s->nic))
		if (clock_us() > patience)
			fail(s->conf.memif, "the box does not answer");
}

static uint16_t transmit(void *owner, struct rte_mbuf **frames, uint16_t n)
{
	return driver_tx(((struct stack *)owner)->nic, 0, frames, n);
}

static rte_be32_t address_of(const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		fail("not an address of IPv4", text);
	return a.s_addr;
}

static void create_net(struct stack *s)
{
	struct net_conf net = {.mac = {0x02, 'b', 'e', 'n', 'c', 'h'},
		.mtu = s->nic->facts.mtu,
		.address = address_of(s->conf.own_address),
		.netmask = htonl(0xffffff00),
		.pool = s->control,
		.counters = &s->counters,
		.transmit = transmit,
		.owner = s};

	s->net = net_create(&net, s->now_us);
	ASSERT(s->net != NULL);
}

static void create_tcp(struct stack *s)
{
	const struct end_conf *c = &s->conf;
	const uint32_t frames = 2 * (uint32_t)c->frame_max; /* a frame is read when all is there */
	struct tcp_conf tcp = {.net = s->net,
		.address = address_of(c->own_address),
		.mtu = s->nic->facts.mtu,
		.box = 1,
		.connections_max = 2 * c->connections, /* those that end, too */
		.half_open_max = 64,
		.time_wait_max = 1024,
		.receive_window_max = frames > WINDOW_MIN ? frames : WINDOW_MIN,
		.send_queue_max = QUEUE_MIN + 64 * (uint32_t)c->frame_max,
		.send_nodes_max = 4 * c->connections + TX_BUFFERS,
		.time_wait_us = 1000,
		.user_timeout_us = 60 * 1000000,
		.headers = s->headers,
		.copies = s->copies,
		.held = s->held,
		.segs_max = s->nic->facts.segs_max,
		/* No secret: with the same key, sequence numbers and timestamps of an address and
		 * port go on where an earlier generator stopped, and the box's TIME-WAITs take a
		 * SYN for a new one (RFC 6191). */
		.key = {1, 2},
		.counters = &s->counters};

	if (getrandom(&tcp.seed, sizeof(tcp.seed), 0) != (ssize_t)sizeof(tcp.seed))
		fail("no random numbers", strerror(errno));
	s->tcp = tcp_create(&tcp, s->now_us);
	if (s->tcp == NULL)
		fail("no memory", "TCP connections");
}

static const struct end_ops ops = {.open = stack_open,
	.send = stack_send,
	.close = stack_close,
	.turn = stack_turn,
	.destroy = stack_destroy};

struct end *end_stack_create(const struct end_conf *conf, int core)
{
	struct stack *s = (struct stack *)calloc(1, sizeof(*s));

	ASSERT(s != NULL);
	s->end.ops = &ops;
	s->conf = *conf;
	s->to = address_of(conf->address);
	s->scratch_size = 4096 + 2 * conf->frame_max;
	s->lines = (struct line *)calloc(conf->connections, sizeof(*s->lines));
	s->scratch = (uint8_t *)malloc(s->scratch_size);
	ASSERT(s->lines != NULL && s->scratch != NULL);
	start_eal(core);
	s->now_us = clock_us();
	s->rx = pool_of("bench.rx", RX_BUFFERS, BUFFERS_ROOM);
	s->headers = pool_of("bench.hd", TX_BUFFERS, HEADER_ROOM);
	s->copies = pool_of("bench.cp", TX_BUFFERS, BUFFERS_ROOM);
	s->held = pool_of("bench.he", HELD_BUFFERS, BUFFERS_ROOM);
	s->control = pool_of("bench.ct", 512, BUFFERS_ROOM);
	open_nic(s);
	create_net(s);
	create_tcp(s);
	find_neighbour(s);
	return &s->end;
}
