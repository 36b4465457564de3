/* load_internal.h - what the load's own files share. */
#pragma once
#include "tests/bench/load.h"

enum client_state {
	CLIENT_CLOSED,
	CLIENT_OPENING,
	CLIENT_CONNECTING,
	CLIENT_SUBSCRIBING,
	CLIENT_LIVE
};

struct client {
	uint64_t number;  /* of the next message: to send, or expected */
	uint32_t owed;    /* publisher: deliveries that have not come */
	uint32_t unacked; /* publisher, QoS 1 and 2 */
	uint16_t packet_id;
	uint8_t state;
	bool due; /* publisher: in the list of those that may publish */
};

struct load {
	struct load_conf conf;
	struct end *end;
	uint64_t (*now_ns)(void);
	uint64_t seen_ns; /* when the bytes in hand were read */
	uint32_t count;   /* clients */
	struct client *clients;
	uint64_t *opened_ns; /* connects only */
	uint32_t *due;
	uint32_t due_count;
	uint32_t live, opening, next_to_open;
	uint64_t owed, unacked; /* all publishers' */
	uint64_t progress_ns;
	uint64_t start_ns, due_number; /* open loop: since when, and messages due until now */
	bool publishing, measuring;
	uint8_t *scratch;
	size_t scratch_size;
	uint8_t *payload;
	struct load_counts counts;
	struct histogram delays;
};

/* load_client.c */
bool load_is_publisher(const struct load *l, uint32_t client);
uint32_t load_publisher_of(const struct load *l, uint32_t client);
void load_topic(const struct load *l, uint32_t client, char *to, size_t size);
bool load_say(struct load *l, uint32_t client, const struct writer *w);
void load_open_some(struct load *l, uint64_t now_ns);

/* load.c */
void load_may_publish(struct load *l, uint32_t publisher);
void load_hear(struct load *l, uint32_t client, const struct wire_event *e);
