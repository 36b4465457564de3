/* mqtt_vectors.h - MQTT packets written by hand, for the tests: good ones and bad ones.
 *
 * Bytes are text for hex.h. Not part of the codec's library. */
#pragma once
#include "dataplane/base/err.h"
#include "dataplane/codec/mqtt_packets.h"

enum { MQTT_VECTOR_SIZE_MAX = 512 };

/* Well-formed packets, one of every type, version and shape. */
struct mqtt_good {
	const char *name;
	enum mqtt_version version;
	bool canonical; /* the shortest form, properties in ascending order: what we encode */
	const char *hex;
};

/* Malformed packets: one row a rule. Clauses in [] are the normative statements of MQTT 5.0 (OASIS
 * Standard, appendix B), or of 3.1.1 where that is said; bare numbers are sections. */
struct mqtt_bad {
	const char *rule;
	enum mqtt_version version;
	enum err err;
	const char *hex;
};

extern const struct mqtt_good mqtt_good[];
extern const struct mqtt_bad mqtt_bad[];
extern const size_t mqtt_good_count, mqtt_bad_count;
