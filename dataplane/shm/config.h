/* config.h - the configuration as the control plane hands it to the dataplane.
 *
 * A snapshot in the CP region: written by the control plane under a sequence
 * number (odd while it writes), copied whole by readers. The human form, its
 * defaults and its checks: controlplane/config. Sizes in bytes, times in
 * microseconds unless the name says otherwise; addresses in network order. */
#pragma once
#include "dataplane/base/prefix.h"
#include "dataplane/shm/region.h"

struct shm_impair {
	uint32_t loss_ppm, reorder_ppm, duplicate_ppm, corrupt_ppm;
	uint32_t delay_us, jitter_us;
	uint64_t seed;
};

struct shm_config {
	uint32_t workers;
	uint32_t connections_max;
	uint32_t subscriptions_max;
	uint32_t filters_max;
	uint32_t filter_bytes_max;
	uint32_t patterns_max;     /* of the filters */
	uint32_t pattern_size_max; /* bytes of text of one */
	uint32_t messages_max;
	uint32_t packet_size_max;                                       /* MQTT packet */
	uint32_t rx_buffers, tx_buffers, held_buffers, message_buffers; /* of 2 KiB */
	uint32_t receive_window_max;
	uint32_t send_queue_max;
	uint32_t half_open_max;
	uint32_t mqtt_port;
	uint32_t keepalive_max_s;
	uint32_t sessions_max;       /* durable, stored */
	uint32_t queue_messages_max; /* in one durable queue */
	uint64_t queue_bytes_max;    /* the same, of bodies */
	uint32_t queued_max;         /* waiting for the window of one clean session */
	uint32_t outbound_max;       /* messages in flight and waiting, of a worker's sessions */
	uint32_t inflight_max;       /* unacknowledged, to one client */
	uint32_t receive_max;        /* unacknowledged, from one client */
	uint32_t topic_alias_max;    /* that a client may set */
	uint32_t session_expiry_max_s;
	uint32_t retained_max; /* topics, of a worker */
	uint32_t nic_resets;   /* asked for since the control plane started */
	uint32_t patterns_session_max;
	uint32_t compile_time_s; /* processor time of the compiler of patterns, for a set */
	uint64_t compile_memory_max, compile_database_max;
	uint64_t retained_bytes_max; /* topics and values, of a worker */
	uint64_t wal_bytes_max;
	uint64_t sync_interval_us; /* journal: until the next sync */
	char durability[8];        /* "synced", "journal", "memory" */
	char congestion[8];        /* "cubic", "newreno" */
	uint64_t connect_timeout_us, grant_timeout_us, park_timeout_us;
	uint64_t takeover_timeout_us; /* how long a CONNECT waits for the end of an older one */
	uint64_t tcp_keepalive_us;
	uint64_t tcp_user_timeout_us;
	uint64_t time_wait_us;
	uint64_t idle_spin_us;  /* empty turns before a worker waits */
	uint64_t idle_sleep_us; /* longest sleep where the NIC cannot wake us */
	uint32_t address, netmask, gateway;
	uint16_t mtu;
	uint16_t reserved;
	char nic[16];        /* "tap", "af_packet", ... */
	char interface[112]; /* what names the NIC of that kind */
	struct shm_impair impair;
	struct prefixes allow, deny; /* sources */
};

struct shm_config_page {
	uint64_t sequence; /* 0: never written; odd: being written */
	struct shm_config config;
};

/* Where it lies in the CP region. */
struct shm_config_page *shm_config_page(void *cp_base);
const struct shm_config_page *shm_config_page_const(const void *cp_base);
void shm_config_write(struct shm_config_page *page, const struct shm_config *c);
/* False while it was never written or is being written: ask again. *sequence tells changes. */
MUST_USE bool shm_config_read(
	const struct shm_config_page *page, struct shm_config *out, uint64_t *sequence);
