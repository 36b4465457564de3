/* world_internal.h - what the simulation's own files share. */
#pragma once
#include "controlplane/link/controlplane.h"
#include "dataplane/codec/mqtt.h"
#include "dataplane/tcp/tcp.h"
#include "storage/memory/memory.h"
#include "tests/sim/world.h"

enum { CLIENT_SCRATCH = 160 << 10 };

enum client_state { CLIENT_IDLE, CLIENT_CONNECTING, CLIENT_GREETING, CLIENT_LIVE };

struct client {
	struct world *world;
	struct client_events events;
	enum client_state state;
	struct tcp_id tcp;
	char id[32];
	uint16_t packet_id;
	uint32_t payload_left; /* of the PUBLISH being read */
	size_t topic_size;
	uint8_t topic[256];
};

struct world {
	uint64_t seed;
	uint64_t now_us;
	uint64_t trace; /* running hash of all frames */
	struct shm_config config;
	struct sim_wire *wire;
	void *region[SHM_REGIONS]; /* as the launcher would hold them */
	struct box_conf box;
	struct worker *worker;
	struct memory_disk *disk;
	struct storage *store;      /* NULL: dead, too */
	struct controlplane *plane; /* NULL: dead */
	unsigned lives;             /* of the dataplane so far: names of its pools */
	struct net *net;            /* the clients' stack */
	struct tcp *tcp;
	struct box_pools client_pools;
	struct counters client_counters;
	uint8_t *scratch;
	uint32_t client_count;
	struct client clients[WORLD_CLIENTS_MAX];
};

void client_on_event(struct world *w, const struct tcp_event *e);
