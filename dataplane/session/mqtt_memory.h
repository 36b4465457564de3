/* mqtt_memory.h - what the MQTT sessions of one worker take from common pools.
 *
 * Most sessions have nothing of it at a given time. All is taken at start; an
 * empty pool is a normal answer: a publisher waits, a delivery is declined or
 * dropped and counted. Not here: what the nodes mean (mqtt_inbound.c,
 * mqtt_alias.c, mqtt_subscribe.c, fabric/outbound.h). */
#pragma once
#include "dataplane/fabric/outbound.h"

enum {
	MQTT_ALIAS_CHUNK_BYTES = 52,     /* of a topic; most fit one chunk */
	MQTT_FILTERS_ANSWERED_MAX = 256, /* of one SUBSCRIBE; the rest gets 0x97 */
};

struct mqtt_memory_conf {
	struct outbounds_conf outbound;
	uint32_t inbound_max;       /* publishes of QoS 1 and 2 that are not through yet */
	uint32_t alias_chunks_max;  /* of 64 bytes: topics that aliases stand for */
	uint32_t filter_blocks_max; /* SUBSCRIBEs with many filters that wait for answers */
};

/* A publish of QoS 1 or 2 that came from the client. */
struct mqtt_inbound_node {
	uint32_t next, prev;
	uint16_t packet_id;
	uint8_t state;  /* enum mqtt_inbound_state */
	uint8_t type;   /* of the answer: PUBACK, PUBREC, PUBCOMP */
	uint8_t code;   /* of the answer */
	bool mapped;    /* QoS 2: its id is in the set of received ones */
	bool uncounted; /* it came over an earlier connection */
};

/* A piece of a topic that an alias stands for. */
struct mqtt_alias_chunk {
	uint32_t more;        /* next piece of the same topic */
	uint32_t next;        /* first pieces: next alias of the same session */
	uint16_t alias, size; /* first pieces: of the whole topic */
	uint8_t bytes[MQTT_ALIAS_CHUNK_BYTES];
};

static_assert(sizeof(struct mqtt_alias_chunk) == 64, "a chunk is a cache line");

struct mqtt_memory {
	struct outbounds *outbounds;
	struct pool inbound;       /* struct mqtt_inbound_node */
	struct idmap received;     /* beside it: ids of QoS 2 that are not released */
	struct pool chunks;        /* struct mqtt_alias_chunk */
	struct idmap aliases;      /* beside it: first pieces */
	struct pool filters;       /* reason codes of one SUBSCRIBE */
	uint64_t serial;           /* sessions opened so far; the keys of the maps begin with it */
	uint8_t topic[UINT16_MAX]; /* where a topic is put together again */
};

/* NULL: no memory. */
MUST_USE struct mqtt_memory *mqtt_memory_create(const struct mqtt_memory_conf *conf);
void mqtt_memory_destroy(struct mqtt_memory **m); /* asserts that nothing is in use */
size_t mqtt_memory_bytes(const struct mqtt_memory_conf *conf);
size_t mqtt_memory_used(const struct mqtt_memory *m);
