/* wire.h - what a client of a broker says and hears, for MQTT 3.1.1 and for NATS.
 *
 * Only what the generator needs, written out apart from dataplane/codec, so that nothing of the
 * box is measured with itself. Pure. A message's payload must be whole before it is DONE. Specs:
 * MQTT 3.1.1; NATS client protocol, docs.nats.io (INFO, CONNECT, PUB, SUB, MSG, PING, PONG). */
#pragma once
#include "dataplane/base/writer.h"
#include "dataplane/codec/codec.h"

enum wire_kind {
	WIRE_NOTHING, /* of no interest */
	WIRE_ANSWER,  /* to connect or subscribe: CONNACK, SUBACK, PONG */
	WIRE_REFUSED, /* to the same: no */
	WIRE_MESSAGE, /* payload; qos and packet_id */
	WIRE_PUBACK,  /* packet_id, as with the next three */
	WIRE_PUBREC,
	WIRE_PUBREL,
	WIRE_PUBCOMP,
	WIRE_PING, /* must be answered */
};

struct wire_event {
	enum wire_kind kind;
	uint8_t qos;
	uint16_t packet_id;
	struct span payload; /* points into the input */
};

struct wire {
	const char *name;
	bool speaks_first; /* the server does: connect after its first bytes */
	bool says_goodbye; /* by `disconnect`, after which the server closes */
	uint8_t qos_max;
	void (*connect)(struct writer *w, const char *id);
	void (*subscribe)(struct writer *w, const char *topic, uint8_t qos);
	void (*publish)(struct writer *w, const char *topic, struct span payload, uint8_t qos,
		uint16_t packet_id);
	/* Of a message with a QoS, of PUBREC, PUBREL, PING. */
	void (*ack)(struct writer *w, const struct wire_event *to);
	void (*disconnect)(struct writer *w);
	struct decoded (*decode)(struct span in, struct wire_event *out);
};

enum { WIRE_OVERHEAD_MAX = 64, WIRE_TOPIC_MAX = 64 }; /* of a publish, topic aside */

extern const struct wire wire_mqtt, wire_nats;
/* NULL: no such protocol. */
MUST_USE const struct wire *wire_of(const char *name);
