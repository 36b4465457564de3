/* soft.c - opens, renews and closes a NIC: checks, facts.
 *
 * The ports are in soft_ports.c, the ways in which the kinds differ in soft_tap.c
 * and its like; frames move in soft_io.c. */
#include "drivers/soft/soft.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/hash.h"
#include "drivers/soft/soft_internal.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RENEW_TRIES = 10, RENEW_TRY_MS = 5 };

const uint8_t soft_mac_prefix[SOFT_MAC_PREFIX] = {0x02, 'S', 'B'}; /* locally administered */

/* The key is no secret: only the spread matters. */
uint64_t soft_name_hash(uint16_t box, const char *interface)
{
	const struct hash_key key = {box, 0x5342};

	return siphash(key, span_str(interface));
}

void soft_mac(uint16_t box, const char *interface, uint8_t mac[6])
{
	const uint64_t h = soft_name_hash(box, interface);
	const uint8_t own[3] = {(uint8_t)(h >> 16), (uint8_t)(h >> 8), (uint8_t)h};

	memcpy(mac, soft_mac_prefix, SOFT_MAC_PREFIX);
	memcpy(mac + SOFT_MAC_PREFIX, own, sizeof(own));
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

enum err soft_interface_check(struct soft *s, char *why, size_t why_size)
{
	uint8_t mac[6];

	if (!soft_interface(s, mac)) {
		snprintf(why, why_size,
			"interface %s cannot be used: %s; `ip link` lists what is there, and a "
			"network namespace has its own",
			s->interface, strerror(errno));
		return ERR_NIC_CONFIG;
	}
	return ERR_NONE;
}

static const struct soft_kind *kind_of(const char *name)
{
	static const struct soft_kind *const kinds[] = {&soft_tap, &soft_af_packet, &soft_af_xdp,
		&soft_memif, &soft_memif_peer, &soft_pcap, &soft_pci};

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
			"NIC \"%s\" is not known: use tap, af_packet, af_xdp, memif, pcap or pci",
			c->kind);
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

static void facts_fill(struct soft *s)
{
	struct driver_facts *f = &s->driver.facts;

	if (s->kind->has_mac)
		(void)rte_eth_macaddr_get(s->queue[0].port, (struct rte_ether_addr *)f->mac);
	else
		soft_mac(s->box, s->interface, f->mac);
	f->mtu = s->mtu;
	f->queues = s->queues;
	f->segs_max = SOFT_SEGS_MAX;
	f->tx_checksum = s->queue[0].tx_checksum;
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
	e = soft_ports_open(s, why, why_size);
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

	return s->ports > 0 && __atomic_load_n(&s->wants_renewal, __ATOMIC_ACQUIRE) == 0 &&
	       (s->index == 0 || if_nametoindex(s->interface) == s->index);
}

enum err soft_renew(struct driver *d, char *why, size_t why_size)
{
	struct soft *s = (struct soft *)d;

	enum err e;

	__atomic_store_n(&s->wants_renewal, 0, __ATOMIC_RELEASE);
	if (s->ports > 0)
		soft_ports_remove(s);
	/* The kernel lets go of what a closed socket had a moment later. */
	for (int i = 0; (e = soft_ports_open(s, why, why_size)) != ERR_NONE && i < RENEW_TRIES; i++)
		(void)poll(NULL, 0, RENEW_TRY_MS);
	return e;
}

void soft_close(struct driver *d)
{
	struct soft *s = (struct soft *)d;

	if (s->ports > 0)
		soft_ports_remove(s);
	soft_destroy(s);
}
