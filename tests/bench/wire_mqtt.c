/* wire_mqtt.c - MQTT 3.1.1 as a client speaks it. See wire.h. */
#include "tests/bench/wire.h"

enum {
	CONNACK = 2,
	PUBLISH = 3,
	PUBACK = 4,
	PUBREC = 5,
	PUBREL = 6,
	PUBCOMP = 7,
	SUBACK = 9,
	LENGTH_BYTES_MAX = 4,
	KEEPALIVE_S = 0, /* the generator is never silent without wanting to be */
	PACKET_ID_SUBSCRIBE = 1,
};

static void write_length(struct writer *w, size_t n)
{
	do {
		write_u8(w, (uint8_t)(n % 128 + (n >= 128 ? 128 : 0)));
		n /= 128;
	} while (n > 0);
}

static void write_text(struct writer *w, const char *text)
{
	write_u16(w, (uint16_t)strlen(text));
	write_bytes(w, span_str(text));
}

static void mqtt_connect(struct writer *w, const char *id)
{
	write_u8(w, 0x10);
	write_length(w, 12 + strlen(id));
	write_text(w, "MQTT");
	write_u8(w, 4); /* 3.1.1 */
	write_u8(w, 2); /* clean session */
	write_u16(w, KEEPALIVE_S);
	write_text(w, id);
}

static void mqtt_subscribe(struct writer *w, const char *topic, uint8_t qos)
{
	write_u8(w, 0x82);
	write_length(w, 5 + strlen(topic));
	write_u16(w, PACKET_ID_SUBSCRIBE);
	write_text(w, topic);
	write_u8(w, qos);
}

static void mqtt_publish(
	struct writer *w, const char *topic, struct span payload, uint8_t qos, uint16_t packet_id)
{
	write_u8(w, (uint8_t)(0x30 | qos << 1));
	write_length(w, 2 + strlen(topic) + (qos > 0 ? 2 : 0) + payload.size);
	write_text(w, topic);
	if (qos > 0)
		write_u16(w, packet_id);
	write_bytes(w, payload);
}

/* 4.3: QoS 1 by PUBACK; QoS 2 by PUBREC, which asks for a PUBREL, which asks for a PUBCOMP. */
static void mqtt_ack(struct writer *w, const struct wire_event *to)
{
	uint8_t type = to->qos == 2 ? 0x50 : 0x40;

	if (to->kind == WIRE_PUBREC)
		type = 0x62;
	if (to->kind == WIRE_PUBREL)
		type = 0x70;
	write_u8(w, type);
	write_u8(w, 2);
	write_u16(w, to->packet_id);
}

static void mqtt_disconnect(struct writer *w)
{
	write_u16(w, 0xe000);
}

static struct decoded decode_message(
	struct span body, uint8_t flags, size_t used, struct wire_event *out)
{
	const uint8_t qos = flags >> 1 & 3;

	if (body.size < 2)
		return decode_bad(ERR_TRUNCATED);
	const size_t topic = 2 + (size_t)(body.at[0] << 8 | body.at[1]);
	const size_t head = topic + (qos > 0 ? 2 : 0);
	if (head > body.size)
		return decode_bad(ERR_TRUNCATED);
	out->kind = WIRE_MESSAGE;
	out->qos = qos;
	if (qos > 0)
		out->packet_id = (uint16_t)(body.at[topic] << 8 | body.at[topic + 1]);
	out->payload = span_skip(body, head);
	return decode_done(used);
}

static struct decoded decode_short(
	uint8_t type, struct span body, size_t used, struct wire_event *out)
{
	static const enum wire_kind kinds[16] = {[PUBACK] = WIRE_PUBACK,
		[PUBREC] = WIRE_PUBREC,
		[PUBREL] = WIRE_PUBREL,
		[PUBCOMP] = WIRE_PUBCOMP};

	if (type == CONNACK || type == SUBACK) {
		/* The return code: CONNACK's second byte, SUBACK's third. */
		const size_t at = type == CONNACK ? 1 : 2;
		const uint8_t bad_from = type == CONNACK ? 1 : 0x80;
		if (body.size <= at)
			return decode_bad(ERR_TRUNCATED);
		out->kind = body.at[at] < bad_from ? WIRE_ANSWER : WIRE_REFUSED;
		return decode_done(used);
	}
	out->kind = kinds[type];
	if (out->kind != WIRE_NOTHING) {
		if (body.size < 2)
			return decode_bad(ERR_TRUNCATED);
		out->packet_id = (uint16_t)(body.at[0] << 8 | body.at[1]);
	}
	return decode_done(used);
}

static struct decoded mqtt_decode_one(struct span in, struct wire_event *out)
{
	size_t body = 0;

	*out = (struct wire_event){.kind = WIRE_NOTHING};
	/* 2.2.3: seven bits a byte, low first, top bit means more. */
	for (size_t i = 0; i < LENGTH_BYTES_MAX; i++) {
		const size_t head = i + 2;
		if (in.size < head)
			return decode_more(head);
		body |= (size_t)(in.at[i + 1] & 0x7f) << (7 * i);
		if (in.at[i + 1] & 0x80)
			continue;
		if (in.size < head + body)
			return decode_more(head + body);
		const struct span rest = span_of(in.at + head, body);
		if (in.at[0] >> 4 == PUBLISH)
			return decode_message(rest, in.at[0] & 0x0f, head + body, out);
		return decode_short(in.at[0] >> 4, rest, head + body, out);
	}
	return decode_bad(ERR_LENGTH_ENCODING);
}

const struct wire wire_mqtt = {.name = "mqtt",
	.says_goodbye = true,
	.qos_max = 2,
	.connect = mqtt_connect,
	.subscribe = mqtt_subscribe,
	.publish = mqtt_publish,
	.ack = mqtt_ack,
	.disconnect = mqtt_disconnect,
	.decode = mqtt_decode_one};

const struct wire *wire_of(const char *name)
{
	if (strcmp(name, wire_mqtt.name) == 0)
		return &wire_mqtt;
	return strcmp(name, wire_nats.name) == 0 ? &wire_nats : NULL;
}
