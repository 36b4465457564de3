/* soft.c - opens and closes a software NIC: checks, the virtual device, its queues, its facts.
 *
 * The ways in which the kinds differ are in soft_tap.c, soft_af_packet.c and
 * soft_memif.c; frames move in soft_io.c. */
#include "drivers/soft/soft.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/hash.h"
#include "drivers/soft/soft_port.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ARGS_BYTES = 256,  /* of a virtual device */
	DEVICE_BYTES = 64, /* its name */
	RENEW_TRIES = 10,
	RENEW_TRY_MS = 5,
};

/* The key is no secret: only the spread matters. */
static uint64_t name_hash(uint16_t box, const char *interface)
{
	const struct hash_key key = {box, 0x5342};

	return siphash(key, span_str(interface));
}

void soft_mac(uint16_t box, const char *interface, uint8_t mac[6])
{
	const uint64_t h = name_hash(box, interface);
	const uint8_t out[6] = {
		0x02, 0x53, 0x42, (uint8_t)(h >> 16), (uint8_t)(h >> 8), (uint8_t)h};

	memcpy(mac, out, sizeof(out));
}

bool soft_name_good(const char *interface)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	const size_t size = strlen(interface);

	return size > 0 && size <= SOFT_INTERFACE_MAX && strspn(interface, allowed) == size &&
	       strcmp(interface, ".") != 0 && strcmp(interface, "..") != 0;
}

void soft_request_name(const struct soft *s, struct ifreq *request)
{
	memcpy(request->ifr_name, s->interface,
		strnlen(s->interface, sizeof(request->ifr_name) - 1));
}

bool soft_interface(struct soft *s, uint8_t mac[6])
{
	struct ifreq request = {0};

	soft_request_name(s, &request);
	if (ioctl(s->control_fd, SIOCGIFMTU, &request) != 0)
		return false;
	s->mtu = request.ifr_mtu > SOFT_MTU_MAX ? SOFT_MTU_MAX : (uint16_t)request.ifr_mtu;
	if (ioctl(s->control_fd, SIOCGIFHWADDR, &request) != 0)
		return false;
	memcpy(mac, request.ifr_hwaddr.sa_data, 6);
	return true;
}

static const struct soft_kind *kind_of(const char *name)
{
	static const struct soft_kind *const kinds[] = {
		&soft_tap, &soft_af_packet, &soft_af_xdp, &soft_memif, &soft_memif_peer};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i]->name, name) == 0)
			return kinds[i];
	return NULL;
}

static enum err conf_check(const struct soft_conf *c, char *why, size_t why_size)
{
	const struct soft_kind *kind = kind_of(c->kind);

	if (kind == NULL) {
		snprintf(why, why_size,
			"NIC \"%s\" is not known: use tap, af_packet, af_xdp or memif", c->kind);
		return ERR_NIC_CONFIG;
	}
	if (strlen(c->interface) > SOFT_NAME_MAX || !kind->name_good(c->interface)) {
		snprintf(why, why_size, "\"%s\" cannot be a NIC of kind %s, which is named by %s",
			c->interface, c->kind, kind->name_rule);
		return ERR_NIC_CONFIG;
	}
	if (c->queues == 0 || c->queues > kind->queues_max) {
		snprintf(why, why_size, "%u workers on one NIC of kind %s: use 1 to %u", c->queues,
			c->kind, kind->queues_max);
		return ERR_NIC_CONFIG;
	}
	for (uint16_t q = 0; q < c->queues; q++) {
		ASSERT(c->pools[q] != NULL && c->counters[q] != NULL);
		ASSERT(rte_pktmbuf_data_room_size(c->pools[q]) >=
			SOFT_ROOM_BYTES + RTE_PKTMBUF_HEADROOM);
	}
	return ERR_NONE;
}

static enum err refuse(const struct soft *s, const char *what, int rc, char *why, size_t why_size)
{
	snprintf(why, why_size, "DPDK's %s cannot %s on %s: %s", s->kind->vdev, what, s->interface,
		rte_strerror(rc < 0 ? -rc : rc));
	return ERR_NIC_CONFIG;
}

static enum err copies_create(
	struct soft_queue *q, const struct soft *s, char *why, size_t why_size)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	if (q->segs_max >= SOFT_SEGS_MAX || q->linear != NULL)
		return ERR_NONE;
	snprintf(name, sizeof(name), "linear%u_%u", q->port, q->number);
	q->linear = rte_pktmbuf_pool_create(name, SOFT_LINEAR_BUFFERS, 0, 0,
		SOFT_ROOM_BYTES + RTE_PKTMBUF_HEADROOM, (int)SOCKET_ID_ANY);
	if (q->linear == NULL)
		return refuse(s, "get memory for copies", rte_errno, why, why_size);
	return ERR_NONE;
}

static enum err queue_setup(struct soft *s, struct soft_queue *q, char *why, size_t why_size)
{
	int rc = rte_eth_rx_queue_setup(
		q->port, q->number, s->kind->rx_descriptors, 0, NULL, q->pool);
	if (rc != 0)
		return refuse(s, "set up a receive queue", rc, why, why_size);
	rc = rte_eth_tx_queue_setup(q->port, q->number, 1, 0, NULL);
	if (rc != 0)
		return refuse(s, "set up a transmit queue", rc, why, why_size);
	return copies_create(q, s, why, why_size);
}

/* A port whose queues are `n` from this one on. */
static enum err port_start(
	struct soft *s, struct soft_queue *q, uint16_t n, char *why, size_t why_size)
{
	struct rte_eth_conf conf = {.intr_conf = {.rxq = s->kind == &soft_tap}};
	struct rte_eth_dev_info info;

	int rc = rte_eth_dev_info_get(q->port, &info);
	if (rc != 0)
		return refuse(s, "tell what it can", rc, why, why_size);
	conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	rc = rte_eth_dev_configure(q->port, n, n, &conf);
	if (rc != 0)
		return refuse(s, "have so many queues", rc, why, why_size);
	for (uint16_t i = 0; i < n; i++) {
		q[i].segs_max = conf.txmode.offloads != 0 ? info.tx_desc_lim.nb_seg_max : 1;
		const enum err e = queue_setup(s, &q[i], why, why_size);
		if (e != ERR_NONE)
			return e;
	}
	rc = rte_eth_dev_start(q->port);
	if (rc != 0)
		return refuse(s, "start", rc, why, why_size);
	/* The box's MAC is not the device's, so a device that filters must let all pass. */
	rc = rte_eth_promiscuous_enable(q->port);
	if (rc != 0 && rc != -ENOTSUP)
		return refuse(s, "be promiscuous", rc, why, why_size);
	return ERR_NONE;
}

static void device_name(const struct soft *s, uint16_t port, char out[DEVICE_BYTES])
{
	/* Short, for net_tap makes a pool of that name; and a path has signs that DPDK takes for
	 * its own. */
	snprintf(out, DEVICE_BYTES, "%s%u_%08x", s->kind->vdev, port,
		(uint32_t)name_hash(s->box, s->interface));
}

static uint16_t queues_per_port(const struct soft *s)
{
	return s->kind->port_argument == NULL ? s->queues : 1;
}

/* Makes the device of that number; its queues know their port then. */
static enum err port_probe(
	struct soft *s, uint16_t number, const char *args, char *why, size_t why_size)
{
	const uint16_t n = queues_per_port(s);
	char name[DEVICE_BYTES], all[ARGS_BYTES + 32];
	uint16_t port;

	device_name(s, number, name);
	snprintf(all, sizeof(all), "%s", args);
	if (s->kind->port_argument != NULL)
		snprintf(all, sizeof(all), "%s,%s=%u", args, s->kind->port_argument, number);
	const int rc = rte_eal_hotplug_add("vdev", name, all);
	if (rc != 0)
		return refuse(s, "open a port", rc, why, why_size);
	s->ports = (uint16_t)(number + 1);
	if (rte_eth_dev_get_port_by_name(name, &port) != 0)
		return refuse(s, "name its port", ENODEV, why, why_size);
	for (uint16_t i = 0; i < n; i++) {
		s->queue[number * n + i].port = port;
		s->queue[number * n + i].number = i;
	}
	return ERR_NONE;
}

static void port_remove(struct soft *s, uint16_t number)
{
	const struct soft_queue *q = &s->queue[number * queues_per_port(s)];
	char name[DEVICE_BYTES];

	device_name(s, number, name);
	if (q->port != RTE_MAX_ETHPORTS) {
		rte_eth_promiscuous_disable(q->port);
		rte_eth_dev_stop(q->port);
		rte_eth_dev_close(q->port);
	}
	rte_eal_hotplug_remove("vdev", name);
}

static void ports_remove(struct soft *s)
{
	while (s->ports > 0)
		port_remove(s, --s->ports);
	if (s->kind->detach != NULL)
		s->kind->detach(s);
	for (uint16_t q = 0; q < s->queues; q++) {
		s->queue[q].port = RTE_MAX_ETHPORTS;
		s->queue[q].wake_fd = -1;
		s->queue[q].dropped_before = 0;
		if (s->kind->keeps_buffers)
			(void)soft_reclaim(s->queue[q].pool);
	}
}

static void opening(struct soft *s)
{
	if (s->kind->log_name != NULL) {
		const int type = rte_log_register(s->kind->log_name);
		s->log_level = (uint32_t)rte_log_get_level(type);
		rte_log_set_level(type, RTE_LOG_CRIT);
	}
	if (s->kind->before != NULL)
		s->kind->before(s);
}

static void opened(struct soft *s)
{
	if (s->kind->after != NULL)
		s->kind->after(s);
	if (s->kind->log_name != NULL)
		rte_log_set_level(rte_log_register(s->kind->log_name), s->log_level);
}

static enum err ports_open(struct soft *s, char *why, size_t why_size)
{
	const uint16_t n = queues_per_port(s);
	char args[ARGS_BYTES];

	enum err e = s->kind->prepare(s, args, sizeof(args), why, why_size);
	if (e != ERR_NONE)
		return e;
	opening(s);
	for (uint16_t i = 0; i * n < s->queues && e == ERR_NONE; i++) {
		e = port_probe(s, i, args, why, why_size);
		if (e == ERR_NONE)
			e = port_start(s, &s->queue[i * n], n, why, why_size);
	}
	if (e != ERR_NONE)
		ports_remove(s);
	else if (s->kind->attach != NULL)
		s->kind->attach(s);
	opened(s);
	s->index = s->kind->link_up == NULL ? if_nametoindex(s->interface) : 0;
	return e;
}

static void facts_fill(struct soft *s)
{
	struct driver_facts *f = &s->driver.facts;

	soft_mac(s->box, s->interface, f->mac);
	f->mtu = s->mtu;
	f->queues = s->queues;
	f->segs_max = SOFT_SEGS_MAX;
	f->wakes = true;
	for (uint16_t q = 0; q < s->queues; q++)
		f->wakes &= s->queue[q].wake_fd >= 0;
	snprintf(f->name, sizeof(f->name), "%s", s->kind->name);
	s->tx_bytes_max = s->mtu + (uint32_t)SOFT_ETHER_BYTES + SOFT_VLAN_BYTES;
}

static struct soft *soft_create(const struct soft_conf *conf)
{
	struct soft *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->control_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->control_fd < 0) {
		free(s);
		return NULL;
	}
	s->kind = kind_of(conf->kind);
	s->box = conf->box;
	s->queues = conf->queues;
	s->driver.ops = &soft_ops;
	s->driver.counters = conf->counters[0];
	snprintf(s->interface, sizeof(s->interface), "%s", conf->interface);
	for (uint16_t q = 0; q < s->queues; q++)
		s->queue[q] = (struct soft_queue){.port = RTE_MAX_ETHPORTS,
			.pool = conf->pools[q],
			.counters = conf->counters[q],
			.wake_fd = -1};
	return s;
}

static void soft_destroy(struct soft *s)
{
	for (uint16_t q = 0; q < s->queues; q++)
		rte_mempool_free(s->queue[q].linear);
	close(s->control_fd);
	free(s);
}

enum err soft_open(const struct soft_conf *conf, struct driver **out, char *why, size_t why_size)
{
	enum err e = conf_check(conf, why, why_size);
	if (e != ERR_NONE)
		return e;
	struct soft *s = soft_create(conf);
	if (s == NULL) {
		snprintf(why, why_size, "no memory or socket for NIC %s: %s", conf->interface,
			strerror(errno));
		return ERR_NIC_CONFIG;
	}
	e = ports_open(s, why, why_size);
	if (e != ERR_NONE) {
		soft_destroy(s);
		return e;
	}
	facts_fill(s);
	*out = &s->driver;
	return ERR_NONE;
}

/* Asked of the kernel: 22.11's af_packet says "up" whatever happens. */
bool soft_link_up(struct driver *d)
{
	const struct soft *s = (const struct soft *)d;
	struct ifreq request = {0};

	if (s->kind->link_up != NULL)
		return s->kind->link_up(s);
	soft_request_name(s, &request);
	return ioctl(s->control_fd, SIOCGIFFLAGS, &request) == 0 &&
	       (request.ifr_flags & IFF_UP) != 0 && (request.ifr_flags & IFF_RUNNING) != 0;
}

/* An interface that was removed may be there again under its name, and is another one then. */
bool soft_sound(struct driver *d)
{
	const struct soft *s = (const struct soft *)d;

	return s->ports > 0 && (s->index == 0 || if_nametoindex(s->interface) == s->index);
}

enum err soft_renew(struct driver *d, char *why, size_t why_size)
{
	struct soft *s = (struct soft *)d;

	enum err e;

	if (s->ports > 0)
		ports_remove(s);
	/* The kernel lets go of what a closed socket had a moment later. */
	for (int i = 0; (e = ports_open(s, why, why_size)) != ERR_NONE && i < RENEW_TRIES; i++)
		(void)poll(NULL, 0, RENEW_TRY_MS);
	return e;
}

void soft_close(struct driver *d)
{
	struct soft *s = (struct soft *)d;

	if (s->ports > 0)
		ports_remove(s);
	soft_destroy(s);
}
