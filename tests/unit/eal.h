/* eal.h - DPDK's buffers for tests: no NIC, no hugepages, no files. */
#pragma once
#include <rte_mbuf.h>

/* Starts EAL once per process; ends the process with a message if that fails. */
void unit_eal_start(void);
/* A pool of `count` buffers with the usual room, uniquely named. Lives as long as the process. */
struct rte_mempool *unit_pool(uint32_t count);
