/* watch.h - what the main thread looks after while the workers work: the NIC.
 *
 * A NIC that is gone, that asks for a new start, or for which the configuration
 * asks (net_resets, by signalbox-ctl), is opened again while the workers rest
 * between two turns; connections know nothing of it but lost frames. While
 * there is none it is tried again. Link changes are counted and told. */
#pragma once
#include "dataplane/worker/thread.h"

enum { WATCH_EVERY_US = 100 * 1000 };

struct watch {
	struct thread_team *team;
	uint32_t workers;
	struct driver *nic;
	const struct shm_config_page *page;
	uint64_t sequence; /* of the configuration last looked at */
	uint32_t resets;   /* that it had asked for */
	uint64_t again_us; /* after a try that failed: not before */
	bool link, told;   /* link as last told; that the NIC is gone was told */
};

void watch_init(struct watch *w, const struct shm_config *c);
/* Every WATCH_EVERY_US. */
void watch_turn(struct watch *w, uint64_t now_us);
