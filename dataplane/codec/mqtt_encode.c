/* mqtt_encode.c - writes MQTT control packets.
 *
 * Sizes are summed first, so a packet that does not fit leaves the buffer
 * untouched and `bad` set. A string above 64 KiB fits nowhere: `bad` too. What a peer must not be
 * sent (packet identifier 0, QoS 3, a property foreign to the packet) is our mistake and an
 * assertion.
 *
 * Spec: MQTT 5.0 part 3, 3.1.1 part 3; the shortest form is written. */
#include "dataplane/base/assert.h"
#include "dataplane/codec/mqtt.h"
#include "dataplane/codec/mqtt_wire.h"

/* Writes the fixed header if it and `remaining` bytes fit, of which `elsewhere` do not go into
 * this buffer. */
static bool begin(
	struct writer *w, enum mqtt_type t, uint8_t flags, size_t remaining, size_t elsewhere)
{
	if (w->bad || remaining > MQTT_REMAINING_MAX) {
		w->bad = true;
		return false;
	}
	const size_t head = 1 + mqtt_varint_size((uint32_t)remaining);
	if ((size_t)(w->end - w->at) < head + remaining - elsewhere) {
		w->bad = true;
		return false;
	}
	write_u8(w, (uint8_t)(t << 4 | flags));
	mqtt_write_varint(w, (uint32_t)remaining);
	return true;
}

static size_t text_size(struct span s)
{
	return 2 + s.size;
}

static uint8_t connect_flags(const struct mqtt_connect *p)
{
	uint8_t flags = p->clean_start ? 0x02 : 0;

	if (p->has_will)
		flags |= (uint8_t)(0x04 | p->will_qos << 3 | (p->will_retain ? 0x20 : 0));
	if (p->has_password)
		flags |= 0x40;
	if (p->has_username)
		flags |= 0x80;
	return flags;
}

static size_t connect_payload_size(const struct mqtt_connect *p)
{
	size_t size = text_size(p->client_id);

	if (p->has_will)
		size += mqtt_props_size(p->version, MQTT_WILL, &p->will_props) +
			text_size(p->will_topic) + text_size(p->will_payload);
	if (p->has_username)
		size += text_size(p->username);
	if (p->has_password)
		size += text_size(p->password);
	return size;
}

void mqtt_encode_connect(struct writer *w, const struct mqtt_connect *p)
{
	const struct span name = span_str(p->version == MQTT_V3 ? "MQIsdp" : "MQTT");
	const size_t header =
		text_size(name) + 4 + mqtt_props_size(p->version, MQTT_CONNECT, &p->props);

	ASSERT(p->version >= MQTT_V3 && p->version <= MQTT_V5);
	ASSERT(p->will_qos <= 2);
	if (!begin(w, MQTT_CONNECT, 0, header + connect_payload_size(p), 0))
		return;
	mqtt_write_binary(w, name);
	write_u8(w, (uint8_t)p->version);
	write_u8(w, connect_flags(p));
	write_u16(w, p->keepalive_s);
	mqtt_write_props(w, p->version, MQTT_CONNECT, &p->props);
	mqtt_write_binary(w, p->client_id);
	if (p->has_will) {
		mqtt_write_props(w, p->version, MQTT_WILL, &p->will_props);
		mqtt_write_binary(w, p->will_topic);
		mqtt_write_binary(w, p->will_payload);
	}
	if (p->has_username)
		mqtt_write_binary(w, p->username);
	if (p->has_password)
		mqtt_write_binary(w, p->password);
}

void mqtt_encode_connack(struct writer *w, enum mqtt_version v, const struct mqtt_connack *p)
{
	const size_t remaining = 2 + mqtt_props_size(v, MQTT_CONNACK, &p->props);

	if (!begin(w, MQTT_CONNACK, 0, remaining, 0))
		return;
	write_u8(w, p->session_present);
	write_u8(w, p->reason);
	mqtt_write_props(w, v, MQTT_CONNACK, &p->props);
}

void mqtt_encode_publish(
	struct writer *w, enum mqtt_version v, const struct mqtt_publish *p, uint32_t payload_size)
{
	const uint8_t flags = (uint8_t)(p->dup << 3 | p->qos << 1 | p->retain);
	const size_t header = text_size(p->topic) + (p->qos != 0 ? 2 : 0) +
			      mqtt_props_size(v, MQTT_PUBLISH, &p->props);

	ASSERT(p->qos <= 2);
	ASSERT(p->qos == 0 || p->packet_id != 0);
	if (!begin(w, MQTT_PUBLISH, flags, header + payload_size, payload_size))
		return;
	mqtt_write_binary(w, p->topic);
	if (p->qos != 0)
		write_u16(w, p->packet_id);
	mqtt_write_props(w, v, MQTT_PUBLISH, &p->props);
}

void mqtt_encode_ack(
	struct writer *w, enum mqtt_type t, enum mqtt_version v, const struct mqtt_ack *p)
{
	const bool props = v == MQTT_V5 && p->props.has != 0;
	const bool reason = v == MQTT_V5 && (p->reason != 0 || props);

	ASSERT(t >= MQTT_PUBACK && t <= MQTT_PUBCOMP);
	const size_t remaining = 2 + reason + (props ? mqtt_props_size(v, t, &p->props) : 0);
	if (!begin(w, t, t == MQTT_PUBREL ? 0x02 : 0, remaining, 0))
		return;
	write_u16(w, p->packet_id);
	if (reason)
		write_u8(w, p->reason);
	if (props)
		mqtt_write_props(w, v, t, &p->props);
}

static uint8_t options_of(const struct mqtt_filter *f, enum mqtt_version v)
{
	if (v != MQTT_V5)
		return f->qos;
	return (uint8_t)(f->qos | f->no_local << 2 | f->retain_as_published << 3 |
			 f->retain_handling << 4);
}

void mqtt_encode_subscribe(struct writer *w, enum mqtt_type t, enum mqtt_version v,
	uint16_t packet_id, const struct mqtt_props *props, const struct mqtt_filter *f, size_t n)
{
	size_t remaining = 2 + mqtt_props_size(v, t, props);

	ASSERT(t == MQTT_SUBSCRIBE || t == MQTT_UNSUBSCRIBE);
	ASSERT(packet_id != 0);
	for (size_t i = 0; i < n; i++)
		remaining += text_size(f[i].filter) + (t == MQTT_SUBSCRIBE);
	if (!begin(w, t, 0x02, remaining, 0))
		return;
	write_u16(w, packet_id);
	mqtt_write_props(w, v, t, props);
	for (size_t i = 0; i < n; i++) {
		mqtt_write_binary(w, f[i].filter);
		if (t == MQTT_SUBSCRIBE)
			write_u8(w, options_of(&f[i], v));
	}
}

void mqtt_encode_suback(
	struct writer *w, enum mqtt_type t, enum mqtt_version v, const struct mqtt_suback *p)
{
	/* 3.1.1 3.11: UNSUBACK has no payload. */
	const bool reasons = t == MQTT_SUBACK || v == MQTT_V5;

	ASSERT(t == MQTT_SUBACK || t == MQTT_UNSUBACK);
	const size_t remaining =
		2 + mqtt_props_size(v, t, &p->props) + (reasons ? p->reasons.size : 0);
	if (!begin(w, t, 0, remaining, 0))
		return;
	write_u16(w, p->packet_id);
	mqtt_write_props(w, v, t, &p->props);
	if (reasons)
		write_bytes(w, p->reasons);
}

void mqtt_encode_reason(
	struct writer *w, enum mqtt_type t, enum mqtt_version v, const struct mqtt_reason *p)
{
	const bool some = v == MQTT_V5 && (p->reason != 0 || p->props.has != 0);
	/* 3.14.2.2.1 lets a DISCONNECT end after its reason; AUTH has no such rule. */
	const bool props = some && (p->props.has != 0 || t == MQTT_AUTH);

	ASSERT(t == MQTT_DISCONNECT || t == MQTT_AUTH);
	if (!begin(w, t, 0, some + (props ? mqtt_props_size(v, t, &p->props) : 0), 0))
		return;
	if (some)
		write_u8(w, p->reason);
	if (props)
		mqtt_write_props(w, v, t, &p->props);
}

void mqtt_encode_empty(struct writer *w, enum mqtt_type t)
{
	ASSERT(t == MQTT_PINGREQ || t == MQTT_PINGRESP);
	begin(w, t, 0, 0, 0);
}
