/* tcp_rig.c - see tcp_rig.h. */
#include "dataplane/tcp/tcp_rig.h"

#include "tests/unit/eal.h"
#include "tests/unit/unit.h"

enum { HEADERS = 64, COPIES = 16, HELD = 16 };

static uint16_t on_transmit(void *owner, struct rte_mbuf **frames, uint16_t n)
{
	(void)owner;
	rte_pktmbuf_free_bulk(frames, n);
	return n;
}

struct tcp_rig *tcp_rig_open(uint32_t nodes)
{
	static struct tcp_rig r;

	if (r.headers == NULL) {
		r.headers = unit_pool(HEADERS);
		r.copies = unit_pool(COPIES);
		r.held = unit_pool(HELD);
	}
	r.counters = (struct counters){0};
	const struct net_conf net = {.mac = {2, 0, 0, 0, 0, 1},
		.mtu = 1500,
		.address = rte_cpu_to_be_32(0x0a000001),
		.netmask = rte_cpu_to_be_32(0xffffff00),
		.pool = r.headers,
		.counters = &r.counters,
		.transmit = on_transmit};
	r.net = net_create(&net, 0);
	const struct tcp_conf tcp = {.net = r.net,
		.address = net.address,
		.connections_max = 64,
		.half_open_max = 8,
		.time_wait_max = 8,
		.receive_window_max = 65535,
		.send_queue_max = 1 << 20,
		.send_nodes_max = nodes,
		.headers = r.headers,
		.copies = r.copies,
		.held = r.held,
		.segs_max = 8,
		.key = {11, 12},
		.seed = 13,
		.counters = &r.counters};
	r.tcp = tcp_create(&tcp, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r.tcp);
	return &r;
}

void tcp_rig_close(struct tcp_rig *r)
{
	tcp_check(r->tcp);
	tcp_destroy(&r->tcp);
	net_destroy(&r->net);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->headers), 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->copies), 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->held), 0);
}
