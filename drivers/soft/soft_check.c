/* soft_check.c - tries a software NIC against the kernel, as root, in a namespace of its own.
 *
 * The main thread is the box: it owns queue 0 and sends back whatever comes. A
 * second thread stands at the kernel's end with a packet socket. Checked: every
 * frame comes back byte for byte, sent plain, as a chain, and with a shared
 * segment; frames that cannot go are dropped, counted and hold up nothing; a
 * burst larger than the rings ends. Measured: from a frame's departure to the
 * worker awake with it, and the processor that an idle worker costs.
 *
 *	soft_check KIND INTERFACE PEER [WAKES [IDLE_MS]]
 *
 * PEER is the kernel's end: INTERFACE itself for tap, the other end of a veth
 * for af_packet. One "ok NAME" or "not ok NAME" a line; exit code: how many failed. */
#include "drivers/soft/soft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ETHER_TYPE = 0x88b5, /* IEEE 802: local experiments */
	BUFFERS = 8192,
	FRAME_MAX = 1514,
	SEGS = 8,
	FLOOD_FRAMES = 20000,
	WAKES_MAX = 100000,
	REPLY_MS = 1000,
	DOWN_WAITS = 20,
	RENEWALS = 5,
};

/* The body of every frame that the peer sends; padded with a pattern from its number. */
struct PACKED note {
	uint8_t to[6], from[6];
	uint16_t type;
	uint64_t number;
	uint64_t sent_ns;
};

enum form { PLAIN, CHAIN, SHARED, FORMS };

static const uint64_t settle_ns = 5000000000;

static struct driver *nic;
static struct rte_mempool *pool;
static struct counters counters;
static int peer_fd;
static unsigned failures;
static volatile bool peer_done;
static unsigned echo_bad; /* written by the peer, read after it ended */
static unsigned wakes = 300;
static uint64_t wake_ns[WAKES_MAX];

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void verdict(const char *name, bool good)
{
	printf("%s %s\n", good ? "ok" : "not ok", name);
	failures += !good;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "soft_check: %s: %s\n", what, why);
	exit(100);
}

/* ---- the peer ---- */

static void peer_open(const char *interface)
{
	const struct sockaddr_ll at = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHER_TYPE),
		.sll_ifindex = (int)if_nametoindex(interface)};

	peer_fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (peer_fd < 0 || bind(peer_fd, (const struct sockaddr *)&at, sizeof(at)) != 0)
		die("packet socket at the kernel's end", strerror(errno));
}

static size_t frame_make(uint8_t *frame, uint64_t number, size_t size)
{
	struct note n = {.type = htons(ETHER_TYPE), .number = number};

	memcpy(n.to, nic->facts.mac, 6);
	memcpy(n.from, "\x02\x53\x42\xff\xff\x01", 6);
	for (size_t i = sizeof(n); i < size; i++)
		frame[i] = (uint8_t)(number * 31 + i);
	n.sent_ns = clock_ns(CLOCK_MONOTONIC);
	memcpy(frame, &n, sizeof(n));
	return size;
}

/* True when the next frame of ours from the box is this one, addresses swapped. */
static bool reply_is(const uint8_t *frame, size_t size)
{
	uint8_t got[2048];
	struct pollfd p = {.fd = peer_fd, .events = POLLIN};

	if (poll(&p, 1, REPLY_MS) != 1)
		return false;
	const ssize_t n = recv(peer_fd, got, sizeof(got), 0);
	return n == (ssize_t)size && memcmp(got, frame + 6, 6) == 0 &&
	       memcmp(got + 6, frame, 6) == 0 && memcmp(got + 12, frame + 12, size - 12) == 0;
}

static void *peer_echo(void *unused)
{
	uint8_t frame[FRAME_MAX];
	uint64_t number = 0;

	for (size_t size = 60; size <= FRAME_MAX; size += 29, number++) {
		frame_make(frame, number, size);
		if (send(peer_fd, frame, size, 0) != (ssize_t)size || !reply_is(frame, size))
			echo_bad++;
	}
	frame_make(frame, number, FRAME_MAX);
	if (send(peer_fd, frame, FRAME_MAX, 0) != FRAME_MAX || !reply_is(frame, FRAME_MAX))
		echo_bad++;
	peer_done = true;
	return unused;
}

static void *peer_wake(void *unused)
{
	uint8_t frame[64];

	for (unsigned i = 0; i < wakes; i++) {
		/* Uneven gaps, long enough for the worker to fall asleep in between. */
		const struct timespec gap = {0, 1000000 + (long)(i * 7919 % 1000) * 1000};
		ppoll(NULL, 0, &gap, NULL);
		frame_make(frame, i, sizeof(frame));
		if (send(peer_fd, frame, sizeof(frame), 0) != (ssize_t)sizeof(frame))
			die("send at the kernel's end", strerror(errno));
	}
	peer_done = true;
	return unused;
}

/* ---- the box ---- */

static struct rte_mbuf *buffer(void)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	if (m == NULL)
		die("buffers", "none left");
	return m;
}

/* The bytes of `in` in `segs` segments; `extra` references to the last one are taken. */
static struct rte_mbuf *cut(struct rte_mbuf *in, unsigned segs, uint16_t extra)
{
	const uint8_t *bytes = rte_pktmbuf_mtod(in, const uint8_t *);
	struct rte_mbuf *out = NULL, *last = NULL;
	uint16_t at = 0;

	for (unsigned i = 0; i < segs; i++) {
		const uint16_t size = i + 1 == segs ? (uint16_t)(in->data_len - at)
						    : (uint16_t)(in->data_len / segs);
		struct rte_mbuf *m = buffer();
		memcpy(rte_pktmbuf_append(m, size), bytes + at, size);
		at = (uint16_t)(at + size);
		if (out == NULL)
			out = m;
		else if (rte_pktmbuf_chain(out, m) != 0)
			die("chain", "too long");
		last = m;
	}
	rte_mbuf_refcnt_update(last, (int16_t)extra);
	return out;
}

/* Sends a frame back in one of three forms; false when the NIC would not take it. */
static bool send_back(struct rte_mbuf *in, enum form form)
{
	uint8_t *mac = rte_pktmbuf_mtod(in, uint8_t *), swap[6];
	struct rte_mbuf *out = in, *shared = NULL;

	memcpy(swap, mac, 6);
	memmove(mac, mac + 6, 6);
	memcpy(mac + 6, swap, 6);
	if (form != PLAIN) {
		out = cut(in, form == CHAIN ? SEGS : 2, form == SHARED);
		if (form == SHARED)
			shared = out->next;
		rte_pktmbuf_free(in);
	}
	const bool sent = driver_tx(nic, 0, &out, 1) == 1;
	if (!sent)
		rte_pktmbuf_free(out);
	if (shared != NULL) {
		if (rte_mbuf_refcnt_read(shared) != 1)
			die("a shared segment", "was written to or lost");
		rte_pktmbuf_free(shared);
	}
	return sent;
}

static bool ours(struct rte_mbuf *m)
{
	const struct note *n = rte_pktmbuf_mtod(m, const struct note *);

	return m->pkt_len >= sizeof(*n) && n->type == htons(ETHER_TYPE) &&
	       memcmp(n->to, nic->facts.mac, 6) == 0;
}

/* The kernel activates a link some time after it is up: sends until something comes. */
static bool frames_pass(void)
{
	const uint64_t give_up_ns = clock_ns(CLOCK_MONOTONIC) + settle_ns;
	struct rte_mbuf *frames[32];
	uint8_t frame[64];
	bool seen = false;

	frame_make(frame, 0, sizeof(frame));
	while (!seen && clock_ns(CLOCK_MONOTONIC) < give_up_ns) {
		if (send(peer_fd, frame, sizeof(frame), 0) < 0 && errno != ENETDOWN)
			die("send at the kernel's end", strerror(errno));
		nic->ops->wait(nic, 0, -1, 20000);
		for (uint16_t n; (n = driver_rx(nic, 0, frames, 32)) > 0; seen = true)
			rte_pktmbuf_free_bulk(frames, n);
	}
	return seen;
}

static void check_echo(enum form form, const char *name)
{
	struct rte_mbuf *frames[32];
	pthread_t peer;

	peer_done = false;
	echo_bad = 0;
	pthread_create(&peer, NULL, peer_echo, NULL);
	while (!peer_done) {
		const uint16_t n = driver_rx(nic, 0, frames, 32);
		if (n == 0)
			nic->ops->wait(nic, 0, -1, 10000);
		for (uint16_t i = 0; i < n; i++) {
			if (!ours(frames[i]))
				rte_pktmbuf_free(frames[i]);
			else if (!send_back(frames[i], form))
				echo_bad++;
		}
	}
	pthread_join(peer, NULL);
	verdict(name, echo_bad == 0);
}

static struct rte_mbuf *blank(uint32_t size)
{
	struct rte_mbuf *first = buffer();

	memset(rte_pktmbuf_append(first, 60), 0, 60);
	for (uint32_t left = size - 60; left > 0;) {
		const uint16_t part = left > 1000 ? 1000 : (uint16_t)left;
		struct rte_mbuf *m = buffer();
		memset(rte_pktmbuf_append(m, part), 0, part);
		if (rte_pktmbuf_chain(first, m) != 0)
			die("chain", "too long");
		left -= part;
	}
	return first;
}

/* A frame that is too long goes nowhere, is counted, and those around it are sent. */
static void check_too_long(void)
{
	const uint64_t sent = counter_get(&counters, COUNTER_NIC_TX_PACKETS);
	struct rte_mbuf *frames[3] = {blank(60), blank(nic->facts.mtu + 19u), blank(60)};

	const bool took = driver_tx(nic, 0, frames, 3) == 3;
	verdict("too_long_is_dropped_and_counted",
		took && counter_get(&counters, COUNTER_NIC_TX_PACKETS) == sent + 2 &&
			counter_get(&counters, COUNTER_NAMED + ERR_NIC_TX_DROPPED) == 1);
}

/* More than the rings hold, and nobody reads it: full or not, tx returns. */
static void check_flood(void)
{
	const uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	uint32_t took = 0;

	for (uint32_t i = 0; i < FLOOD_FRAMES; i++) {
		struct rte_mbuf *m = blank(FRAME_MAX);
		const uint16_t n = driver_tx(nic, 0, &m, 1);
		took += n;
		if (n == 0)
			rte_pktmbuf_free(m);
	}
	const uint64_t ns = clock_ns(CLOCK_MONOTONIC) - begin;
	printf("flood: %u of %d frames taken, %llu ns each\n", took, FLOOD_FRAMES,
		(unsigned long long)ns / FLOOD_FRAMES);
	verdict("flood_ends", took > 0);
}

static void interface_up(const char *interface, bool up)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (ioctl(peer_fd, SIOCGIFFLAGS, &request) != 0)
		die("flags of the interface", strerror(errno));
	request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
	if (ioctl(peer_fd, SIOCSIFFLAGS, &request) != 0)
		die("flags of the interface", strerror(errno));
	int error; /* the peer's own socket was told, too */
	socklen_t size = sizeof(error);
	(void)getsockopt(peer_fd, SOL_SOCKET, SO_ERROR, &error, &size);
}

/* With the interface down, frames go nowhere and waiting still waits. */
static void check_down(const char *interface)
{
	struct rte_mbuf *frames[2] = {blank(60), blank(60)};

	interface_up(interface, false);
	verdict("down_is_seen", !nic->ops->link_up(nic));
	verdict("down_holds_no_frames", driver_tx(nic, 0, frames, 2) == 2);
	const uint64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned i = 0; i < DOWN_WAITS; i++)
		nic->ops->wait(nic, 0, -1, 10000);
	verdict("down_does_not_spin",
		clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu < DOWN_WAITS * 1000000u);
	interface_up(interface, true);
	verdict("up_is_seen", frames_pass() && nic->ops->link_up(nic));
}

/* Closed and opened again, and again: it works as before, and every buffer is there. */
static void check_renew(void)
{
	char why[256];
	bool good = true;

	for (unsigned i = 0; i < RENEWALS && good; i++) {
		good = nic->ops->sound(nic) && nic->ops->renew(nic, why, sizeof(why)) == ERR_NONE;
		if (!good)
			printf("renew: %s\n", why);
	}
	verdict("renew", good && nic->ops->sound(nic) && frames_pass());
	if (good)
		check_echo(SHARED, "echo_after_renew");
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure_wakes(void)
{
	struct rte_mbuf *frames[32];
	unsigned seen = 0;
	pthread_t peer;

	peer_done = false;
	pthread_create(&peer, NULL, peer_wake, NULL);
	const uint64_t give_up_ns = clock_ns(CLOCK_MONOTONIC) + 30000000000u;
	while (seen < wakes && clock_ns(CLOCK_MONOTONIC) < give_up_ns) {
		const uint16_t n = driver_rx(nic, 0, frames, 32);
		const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
		for (uint16_t i = 0; i < n; i++) {
			if (ours(frames[i]) && seen < wakes)
				wake_ns[seen++] =
					now_ns -
					rte_pktmbuf_mtod(frames[i], struct note *)->sent_ns;
			rte_pktmbuf_free(frames[i]);
		}
		if (n == 0)
			nic->ops->wait(nic, 0, -1, 100000);
	}
	pthread_join(peer, NULL);
	verdict("every_frame_wakes", seen == wakes);
	if (seen == 0)
		return;
	qsort(wake_ns, seen, sizeof(wake_ns[0]), by_size);
	const unsigned p50 = seen / 2, p99 = seen * 99 / 100;
	printf("wake_up_us: p50 %.1f p99 %.1f max %.1f (%u frames)\n", (double)wake_ns[p50] / 1e3,
		(double)wake_ns[p99] / 1e3, (double)wake_ns[seen - 1] / 1e3, seen);
}

static void measure_idle(uint64_t wait_us, uint64_t idle_ms)
{
	const uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	const uint64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	struct rte_mbuf *frames[32];
	unsigned turns = 0;

	while (clock_ns(CLOCK_MONOTONIC) - begin < idle_ms * 1000000) {
		const uint16_t n = driver_rx(nic, 0, frames, 32);
		rte_pktmbuf_free_bulk(frames, n);
		nic->ops->wait(nic, 0, -1, wait_us);
		turns++;
	}
	const uint64_t wall = clock_ns(CLOCK_MONOTONIC) - begin;
	printf("idle_cpu_percent: %.2f (waits of %llu us, %u turns)\n",
		100.0 * (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu) / (double)wall,
		(unsigned long long)wait_us, turns);
}

/* Without gaps between buffers, as the box has them: net_af_xdp wants it so. */
static struct rte_mempool *pool_create(void)
{
	struct rte_pktmbuf_pool_private facts = {
		.mbuf_data_room_size = 2048 + RTE_PKTMBUF_HEADROOM};
	struct rte_mempool *mp = rte_mempool_create_empty("soft_check", BUFFERS,
		sizeof(struct rte_mbuf) + facts.mbuf_data_room_size, 0, sizeof(facts),
		(int)SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_IOVA_CONTIG);

	if (mp == NULL)
		return NULL;
	rte_pktmbuf_pool_init(mp, &facts);
	if (rte_mempool_populate_default(mp) < 0)
		return NULL;
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	return mp;
}

static void eal_start(void)
{
	static const char *args[] = {"soft_check", "--no-huge", "-m", "128", "--no-pci",
		"--no-shconf", "--no-telemetry", "--iova-mode=va", "--log-level=error", "-l", "0",
		NULL};

	if (rte_eal_init(11, (char **)(uintptr_t)args) < 0)
		die("EAL does not start", rte_strerror(rte_errno));
	pool = pool_create();
	if (pool == NULL)
		die("no memory for buffers", rte_strerror(rte_errno));
}

int main(int argc, char **argv)
{
	struct counters *blocks[1] = {&counters};
	char why[256];

	if (argc < 4) {
		fprintf(stderr, "usage: %s KIND INTERFACE PEER [WAKES [IDLE_MS]]\n", argv[0]);
		return 2;
	}
	if (argc > 4)
		wakes = (unsigned)strtoul(argv[4], NULL, 10);
	if (wakes == 0 || wakes > WAKES_MAX)
		die("WAKES", "use 1 to 100000");
	const uint64_t idle_ms = argc > 5 ? strtoul(argv[5], NULL, 10) : 500;

	eal_start();
	const struct soft_conf conf = {.kind = argv[1],
		.interface = argv[2],
		.queues = 1,
		.pools = &pool,
		.counters = blocks};
	if (soft_open(&conf, &nic, why, sizeof(why)) != ERR_NONE)
		die("the NIC does not open", why);
	peer_open(argv[3]);
	printf("nic: %s, mtu %u, wakes %s\n", nic->facts.name, nic->facts.mtu,
		nic->facts.wakes ? "yes" : "no");
	verdict("link_is_up", frames_pass() && nic->ops->link_up(nic));
	check_echo(PLAIN, "echo_plain");
	check_echo(CHAIN, "echo_chain");
	check_echo(SHARED, "echo_shared");
	check_too_long();
	check_flood();
	check_down(argv[2]);
	check_echo(PLAIN, "echo_after_down");
	check_renew();
	measure_wakes();
	measure_idle(1000, idle_ms);
	measure_idle(100000, idle_ms);
	nic->ops->close(nic);
	printf("buffers: %u lost\n", rte_mempool_in_use_count(pool));
	verdict("no_buffer_is_lost", rte_mempool_in_use_count(pool) == 0);
	verdict("interface_is_left", if_nametoindex(argv[3]) != 0);
	return (int)failures;
}
