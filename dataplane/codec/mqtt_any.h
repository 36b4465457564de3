/* mqtt_any.h - any MQTT packet behind one decode, encode and compare: for the tests and the fuzzer.
 *
 * Not part of the codec's library: a session dispatches by itself. */
#pragma once
#include "dataplane/codec/mqtt.h"

enum { MQTT_ANY_FILTERS_MAX = 64 };

struct mqtt_any {
	enum mqtt_type type;
	enum mqtt_version version; /* of a CONNECT: its own */
	union {
		struct mqtt_connect connect;
		struct mqtt_connack connack;
		struct mqtt_publish publish;
		struct mqtt_ack ack;
		struct mqtt_subscribe subscribe; /* and UNSUBSCRIBE */
		struct mqtt_suback suback;       /* and UNSUBACK */
		struct mqtt_reason reason;       /* DISCONNECT and AUTH */
	};
	uint32_t payload_size; /* PUBLISH */
};

MUST_USE enum err mqtt_any_decode(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_any *out);
/* False when it has more than MQTT_ANY_FILTERS_MAX filters. */
MUST_USE bool mqtt_any_encode(struct writer *w, const struct mqtt_any *p);
/* Field by field, properties and what can be walked included. */
bool mqtt_any_equal(const struct mqtt_any *a, const struct mqtt_any *b);

/* The properties of the packet; NULL when its type has none. */
const struct mqtt_props *mqtt_any_props(const struct mqtt_any *p);
