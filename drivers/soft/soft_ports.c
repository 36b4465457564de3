/* soft_ports.c - the ports of DPDK's under a NIC: made, configured as negotiated, started, removed.
 *
 * One port with all queues, or one for each, as the kind wants it. */
#include "drivers/offload.h"
#include "drivers/soft/soft_internal.h"

#include "dataplane/base/assert.h"

#include <errno.h>
#include <net/if.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <stdio.h>
#include <string.h>

enum {
	ARGS_BYTES = 256,  /* of a virtual device */
	DEVICE_BYTES = 64, /* its name */
};

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

static enum err queue_setup(struct soft *s, struct soft_queue *q, const struct offload_plan *plan,
	char *why, size_t why_size)
{
	q->segs_max = plan->segs_max;
	q->tx_checksum = plan->tx_checksum;
	int rc = rte_eth_rx_queue_setup(
		q->port, q->number, plan->rx_descriptors, (unsigned)SOCKET_ID_ANY, NULL, q->pool);
	if (rc != 0)
		return refuse(s, "set up a receive queue", rc, why, why_size);
	rc = rte_eth_tx_queue_setup(
		q->port, q->number, plan->tx_descriptors, (unsigned)SOCKET_ID_ANY, NULL);
	if (rc != 0)
		return refuse(s, "set up a transmit queue", rc, why, why_size);
	return copies_create(q, s, why, why_size);
}

/* DPDK's own thread: the main one sees it by soft_sound. */
static int on_event(uint16_t port, enum rte_eth_event_type type, void *soft, void *unused)
{
	(void)port;
	(void)type;
	(void)unused;
	__atomic_store_n(&((struct soft *)soft)->wants_renewal, 1, __ATOMIC_RELEASE);
	return 0;
}

static const enum rte_eth_event_type renewing[] = {
	RTE_ETH_EVENT_INTR_RESET, RTE_ETH_EVENT_INTR_RMV};

/* What the NIC shall do, by what it can and what the kind has a use for. */
static enum err plan_make(const struct soft *s, uint16_t port, uint16_t n,
	struct offload_plan *plan, char *why, size_t why_size)
{
	const struct offload_wish wish = {
		.tx = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | s->kind->tx_offloads,
		.rx = s->kind->rx_offloads,
		.rss = s->kind->rss,
		.queues = n,
		.rx_descriptors = s->kind->rx_descriptors,
		.tx_descriptors = s->kind->tx_descriptors};
	struct rte_eth_dev_info info;
	char reason[96];

	const int rc = rte_eth_dev_info_get(port, &info);
	if (rc != 0)
		return refuse(s, "tell what it can", rc, why, why_size);
	if (offload_negotiate(&info, &wish, plan, reason, sizeof(reason)) == ERR_NONE)
		return ERR_NONE;
	snprintf(why, why_size, "NIC %s cannot be used so: %s", s->interface, reason);
	return ERR_NIC_CONFIG;
}

/* A port whose queues are `n` from this one on. */
static enum err port_start(
	struct soft *s, struct soft_queue *q, uint16_t n, char *why, size_t why_size)
{
	struct offload_plan plan;
	enum err e = plan_make(s, q->port, n, &plan, why, why_size);

	if (e != ERR_NONE)
		return e;
	plan.conf.intr_conf.rxq = s->kind == &soft_tap;
	int rc = rte_eth_dev_configure(q->port, n, n, &plan.conf);
	if (rc != 0)
		return refuse(s, "be configured", rc, why, why_size);
	for (uint16_t i = 0; i < n && e == ERR_NONE; i++)
		e = queue_setup(s, &q[i], &plan, why, why_size);
	if (e != ERR_NONE)
		return e;
	for (size_t i = 0; i < ARRAY_SIZE(renewing); i++)
		(void)rte_eth_dev_callback_register(q->port, renewing[i], on_event, s);
	rc = rte_eth_dev_start(q->port);
	if (rc != 0)
		return refuse(s, "start", rc, why, why_size);
	/* The box's MAC is not the device's, so a device that filters must let all pass. */
	rc = s->kind->has_mac ? 0 : rte_eth_promiscuous_enable(q->port);
	if (rc != 0 && rc != -ENOTSUP)
		return refuse(s, "be promiscuous", rc, why, why_size);
	return ERR_NONE;
}

static void device_name(const struct soft *s, uint16_t port, char out[DEVICE_BYTES])
{
	if (s->kind->bus != NULL) {
		snprintf(out, DEVICE_BYTES, "%.63s", s->interface);
		return;
	}
	/* Short, for net_tap makes a pool of that name; and a path has signs that DPDK takes for
	 * its own. */
	snprintf(out, DEVICE_BYTES, "%s%u_%08x", s->kind->vdev, port,
		(uint32_t)soft_name_hash(s->box, s->interface));
}

static const char *bus_of(const struct soft *s)
{
	return s->kind->bus != NULL ? s->kind->bus : "vdev";
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
	/* A real NIC was found when EAL started, but not when it is opened again. */
	const int rc = rte_eth_dev_get_port_by_name(name, &port) == 0
			       ? 0
			       : rte_eal_hotplug_add(bus_of(s), name, all);
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
		for (size_t i = 0; i < ARRAY_SIZE(renewing); i++)
			(void)rte_eth_dev_callback_unregister(q->port, renewing[i], on_event, s);
		rte_eth_promiscuous_disable(q->port);
		rte_eth_dev_stop(q->port);
		rte_eth_dev_close(q->port);
	}
	rte_eal_hotplug_remove(bus_of(s), name);
}

void soft_ports_remove(struct soft *s)
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

enum err soft_ports_open(struct soft *s, char *why, size_t why_size)
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
		soft_ports_remove(s);
	else if (s->kind->attach != NULL)
		s->kind->attach(s);
	opened(s);
	s->index = s->kind->link_up == NULL ? if_nametoindex(s->interface) : 0;
	return e;
}
