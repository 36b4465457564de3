/* eal.c - starts EAL quietly for tests. */
#include "tests/unit/eal.h"

#include "dataplane/net/buffers.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

void unit_eal_start(void)
{
	static bool started;
	static const char *args[] = {"unit", "--no-huge", "-m", "1024", "--no-pci", "--no-shconf",
		"--no-telemetry", "--iova-mode=va", "--log-level=error", "-l", "0", NULL};

	if (started)
		return;
	if (rte_eal_init(11, (char **)(uintptr_t)args) < 0) {
		fprintf(stderr, "EAL does not start: %s\n", rte_strerror(rte_errno));
		exit(100);
	}
	started = true;
}

struct rte_mempool *unit_pool(uint32_t count)
{
	static unsigned serial;
	char name[32];

	unit_eal_start();
	snprintf(name, sizeof(name), "unit%u", serial++);
	struct rte_mempool *pool = buffers_create(name, count, BUFFERS_ROOM);
	if (pool == NULL) {
		fprintf(stderr, "no memory for a pool of %u buffers\n", count);
		exit(100);
	}
	return pool;
}
