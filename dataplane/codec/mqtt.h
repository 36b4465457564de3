/* mqtt.h - MQTT control packets: bytes to views and back.
 *
 * Pure, see codec.h. mqtt_decode finds the packet; mqtt_decode_X reads its
 * body. A PUBLISH is DONE as soon as its variable header is here: `used` then
 * counts the bytes up to the payload, and `payload_size` more bytes of the
 * stream are payload.
 *
 *	 7    4 3    0
 *	+------+------+----------------------+------------------+---------+
 *	| type | flags| remaining length 1-4 | variable header  | payload |
 *	+------+------+----------------------+------------------+---------+
 *
 * Spec: MQTT 3.1.1 and 5.0; 3.1 ("MQIsdp") is read as 3.1.1, but may resend
 * control packets with DUP and leave out credentials that it announced. Not here:
 * sessions, QoS state, client identifiers, topic matching, who may send what;
 * structs of the single packets: mqtt_packets.h, properties: mqtt_props.h. */
#pragma once
#include "dataplane/codec/codec.h"
#include "dataplane/codec/mqtt_packets.h"

enum {
	MQTT_FIXED_HEADER_MAX = 5,
	MQTT_REMAINING_MAX = 268435455, /* 2.1.4 */
};

struct mqtt_limits {
	uint32_t packet_size_max;  /* whole packet, PUBLISH; beyond: ERR_FRAME_TOO_BIG */
	uint32_t control_size_max; /* any other packet, and the part of a PUBLISH before its payload
				    */
};

struct mqtt_frame {
	enum mqtt_type type;
	uint8_t flags;         /* low nibble of the first byte, as sent */
	struct span body;      /* variable header and payload; PUBLISH: variable header only */
	uint32_t payload_size; /* PUBLISH only: bytes that follow in the stream */
};

/* version: as the CONNECT said; before it, MQTT_V4 (CONNECT reads its own). Checks type and flags
 * (2.1.2, 2.1.3) and limits before waiting for bytes. */
MUST_USE struct decoded mqtt_decode(struct span in, enum mqtt_version version,
	const struct mqtt_limits *limits, struct mqtt_frame *out);

/* Bodies. Each refuses truncation, trailing bytes, bad UTF-8, bad properties and reserved bits. On
 * an error nothing of `out` may be used, but the version of a CONNECT: it is what was read (0 when
 * it was not), also when it is unknown (ERR_MQTT_PROTOCOL_VERSION), for the answer. */
MUST_USE enum err mqtt_decode_connect(const struct mqtt_frame *f, struct mqtt_connect *out);
MUST_USE enum err mqtt_decode_connack(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_connack *out);
MUST_USE enum err mqtt_decode_publish(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_publish *out);
/* PUBACK, PUBREC, PUBREL, PUBCOMP */
MUST_USE enum err mqtt_decode_ack(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_ack *out);
MUST_USE enum err mqtt_decode_subscribe(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_subscribe *out);
MUST_USE enum err mqtt_decode_unsubscribe(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_subscribe *out);
/* SUBACK, UNSUBACK */
MUST_USE enum err mqtt_decode_suback(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_suback *out);
/* DISCONNECT, AUTH */
MUST_USE enum err mqtt_decode_reason(
	const struct mqtt_frame *f, enum mqtt_version v, struct mqtt_reason *out);

/* Walks the filters of a decoded SUBSCRIBE or UNSUBSCRIBE. False at the end. They are text and not
 * empty; whether wildcards stand where they may is the matcher's to judge. */
bool mqtt_next_filter(struct mqtt_subscribe *s, struct mqtt_filter *out);

/* Encoders write one packet in its shortest form. The writer's `bad` says that it did not fit.
 * Properties: `has` says which are written; props may be NULL where it is a parameter.
 * mqtt_encode_publish writes all but the payload, whose size goes into the length. */
void mqtt_encode_connect(struct writer *w, const struct mqtt_connect *p);
void mqtt_encode_connack(struct writer *w, enum mqtt_version v, const struct mqtt_connack *p);
void mqtt_encode_publish(
	struct writer *w, enum mqtt_version v, const struct mqtt_publish *p, uint32_t payload_size);
void mqtt_encode_ack(
	struct writer *w, enum mqtt_type t, enum mqtt_version v, const struct mqtt_ack *p);
void mqtt_encode_subscribe(struct writer *w, enum mqtt_type t, enum mqtt_version v,
	uint16_t packet_id, const struct mqtt_props *props, const struct mqtt_filter *f, size_t n);
void mqtt_encode_suback(
	struct writer *w, enum mqtt_type t, enum mqtt_version v, const struct mqtt_suback *p);
void mqtt_encode_reason(
	struct writer *w, enum mqtt_type t, enum mqtt_version v, const struct mqtt_reason *p);
void mqtt_encode_empty(struct writer *w, enum mqtt_type t); /* PINGREQ, PINGRESP */
