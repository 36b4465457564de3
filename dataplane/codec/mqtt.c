/* mqtt.c - finds where an MQTT control packet ends, and the header of a PUBLISH.
 *
 * Spec: MQTT 5.0 2.1 and 3.3, 3.1.1 2.2 and 3.3. Bodies: mqtt_decode.c. */
#include "dataplane/codec/mqtt.h"

#include "dataplane/codec/mqtt_wire.h"

enum {
	FLAG_DUP = 0x08,
	FLAG_QOS_1 = 0x02,
	FRAME_SIZE_MIN = 2, /* type and flags, remaining length */
};

/* Table 2-2; PUBLISH is judged by itself. */
static const uint8_t flags_wanted[] = {
	[MQTT_PUBREL] = FLAG_QOS_1,
	[MQTT_SUBSCRIBE] = FLAG_QOS_1,
	[MQTT_UNSUBSCRIBE] = FLAG_QOS_1,
	[MQTT_AUTH] = 0,
};

static enum err check_publish_flags(uint8_t flags)
{
	const uint8_t qos = flags >> 1 & 3;
	if (qos == 3)
		return ERR_MQTT_QOS; /* [MQTT-3.3.1-4] */
	if (qos == 0 && (flags & FLAG_DUP) != 0)
		return ERR_MQTT_FLAGS; /* [MQTT-3.3.1-2] */
	return ERR_NONE;
}

static enum err check_first_byte(uint8_t first, enum mqtt_version version)
{
	const unsigned int type = first >> 4;
	uint8_t flags = first & 0x0f;

	if (type == MQTT_PUBLISH)
		return check_publish_flags(flags);
	if (type == 0 || (type == MQTT_AUTH && version < MQTT_V5))
		return ERR_MQTT_PACKET_TYPE;
	/* MQTT 3.1 2.1: what is sent at QoS 1 may be sent again, marked DUP. */
	if (version == MQTT_V3 && flags_wanted[type] == FLAG_QOS_1)
		flags &= (uint8_t)~FLAG_DUP;
	return flags == flags_wanted[type] ? ERR_NONE : ERR_MQTT_FLAGS;
}

/* A length that is known is judged before it is waited for. */
static inline struct decoded judge(
	size_t have, size_t head, size_t wanted, size_t remaining, const struct mqtt_limits *limits)
{
	if (wanted > remaining)
		return decode_bad(ERR_TRUNCATED);
	if (head + wanted > limits->control_size_max)
		return decode_bad(ERR_FRAME_TOO_BIG);
	if (have < head + wanted)
		return decode_more(head + wanted);
	return decode_done(head + wanted);
}

/* 3.3.2: topic, packet identifier, properties. What follows is payload and need not be here. */
static struct decoded decode_publish_header(struct span in, size_t head, size_t remaining,
	enum mqtt_version version, const struct mqtt_limits *limits)
{
	const size_t packet_id = (in.at[0] >> 1 & 3) != 0 ? 2 : 0;
	const size_t props = version == MQTT_V5 ? 1 : 0; /* the least: a property length of 0 */
	size_t wanted = 2 + packet_id + props;
	if (in.size >= head + 2)
		wanted += (size_t)in.at[head] << 8 | in.at[head + 1];
	const struct decoded d = judge(in.size, head, wanted, remaining, limits);
	if (d.verdict != DECODE_DONE || props == 0)
		return d;

	const uint8_t *at = in.at + head + wanted - props;
	const size_t whole = head + remaining;
	const size_t have = in.size < whole ? in.size : whole; /* the next packet is not ours */
	uint32_t props_size;
	const int bytes = mqtt_varint(at, have - (head + wanted - props), &props_size);
	if (bytes == MQTT_VARINT_ENDLESS)
		return decode_bad(ERR_LENGTH_ENCODING);
	if (bytes == 0)
		return judge(in.size, head, have - head + 1, remaining, limits);
	wanted += (size_t)bytes - props + props_size;
	return judge(in.size, head, wanted, remaining, limits);
}

static struct decoded decode_publish(struct span in, size_t head, uint32_t remaining,
	enum mqtt_version version, const struct mqtt_limits *limits, struct mqtt_frame *out)
{
	if (head + remaining > limits->packet_size_max)
		return decode_bad(ERR_FRAME_TOO_BIG);

	const struct decoded d = decode_publish_header(in, head, remaining, version, limits);
	if (d.verdict != DECODE_DONE)
		return d;
	out->type = MQTT_PUBLISH;
	out->flags = in.at[0] & 0x0f;
	out->body = (struct span){in.at + head, d.used - head};
	out->payload_size = (uint32_t)(head + remaining - d.used);
	return d;
}

struct decoded mqtt_decode(struct span in, enum mqtt_version version,
	const struct mqtt_limits *limits, struct mqtt_frame *out)
{
	if (in.size == 0)
		return decode_more(FRAME_SIZE_MIN);
	const enum err e = check_first_byte(in.at[0], version);
	if (e != ERR_NONE)
		return decode_bad(e);

	uint32_t remaining;
	const int bytes = mqtt_varint(in.at + 1, in.size - 1, &remaining);
	if (bytes == MQTT_VARINT_ENDLESS)
		return decode_bad(ERR_LENGTH_ENCODING);
	if (bytes == 0)
		return decode_more(in.size + 1);

	const size_t head = 1 + (size_t)bytes;
	const enum mqtt_type type = in.at[0] >> 4;
	if (type == MQTT_PUBLISH)
		return decode_publish(in, head, remaining, version, limits, out);

	/* 3.12, 3.13: these two have no body, so no function that would refuse one. */
	if ((type == MQTT_PINGREQ || type == MQTT_PINGRESP) && remaining != 0)
		return decode_bad(ERR_TRAILING_BYTES);
	const struct decoded d = judge(in.size, head, remaining, remaining, limits);
	if (d.verdict == DECODE_DONE)
		*out = (struct mqtt_frame){type, in.at[0] & 0x0f, {in.at + head, remaining}, 0};
	return d;
}
