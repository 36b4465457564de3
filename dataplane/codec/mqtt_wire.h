/* mqtt_wire.h - the data types of MQTT (5.0 1.5), and what the codec's files share.
 *
 * Inside of the codec: nobody else includes this. A body is read through `struct mqtt_in`: the
 * first judgement sticks, so read straight on and ask mqtt_in_end once. What is read after an
 * overrun is empty and is not judged, so the overrun stays the answer. */
#pragma once
#include "dataplane/base/err.h"
#include "dataplane/codec/mqtt_packets.h"
#include "dataplane/codec/mqtt_varint.h"
#include "dataplane/codec/utf8.h"

enum {
	MQTT_WILL = 0, /* beside enum mqtt_type: where will properties are allowed */
};

struct mqtt_in {
	struct reader r;
	enum err err; /* first judgement; the reader's `bad` stands beside it */
};

static inline struct mqtt_in mqtt_in_of(struct span s)
{
	return (struct mqtt_in){reader_of(s), ERR_NONE};
}

static inline void mqtt_fail(struct mqtt_in *in, enum err e)
{
	if (!in->r.bad && in->err == ERR_NONE)
		in->err = e;
}

/* The verdict on a body of which everything has been read. */
static inline enum err mqtt_in_end(const struct mqtt_in *in)
{
	if (in->err != ERR_NONE)
		return in->err;
	if (in->r.bad)
		return ERR_TRUNCATED;
	return reader_left(&in->r) == 0 ? ERR_NONE : ERR_TRAILING_BYTES;
}

static inline uint32_t mqtt_read_varint(struct mqtt_in *in)
{
	uint32_t value;
	const int size = in->r.bad ? 0 : mqtt_varint(in->r.at, reader_left(&in->r), &value);
	if (size > 0) {
		in->r.at += size;
		return value;
	}
	if (size == MQTT_VARINT_ENDLESS)
		mqtt_fail(in, ERR_LENGTH_ENCODING);
	in->r.bad = true;
	return 0;
}

static inline struct span mqtt_read_binary(struct mqtt_in *in) /* 1.5.6 */
{
	return read_bytes(&in->r, read_u16(&in->r));
}

static inline struct span mqtt_read_text(struct mqtt_in *in) /* 1.5.4 */
{
	const struct span s = mqtt_read_binary(in);
	if (!utf8_valid(s, false))
		mqtt_fail(in, ERR_BAD_UTF8);
	return s;
}

/* Binary data, and text that is known to be valid. */
static inline void mqtt_write_binary(struct writer *w, struct span s)
{
	if (s.size > UINT16_MAX) {
		w->bad = true;
		return;
	}
	write_u16(w, (uint16_t)s.size);
	write_bytes(w, s);
}

static inline uint16_t mqtt_read_packet_id(struct mqtt_in *in)
{
	const uint16_t id = read_u16(&in->r);
	if (id == 0)
		mqtt_fail(in, ERR_MQTT_PACKET_ID); /* [MQTT-2.2.1-3] */
	return id;
}

/* [MQTT-3.3.2-2], [MQTT-4.7.3-1]: a topic name has no wildcard, and something. */
bool mqtt_is_topic_name(struct span s);

/* Property length and properties; none before 5.0. `scope`: the packet's type, or MQTT_WILL. */
void mqtt_read_props(
	struct mqtt_in *in, enum mqtt_version v, unsigned int scope, struct mqtt_props *out);
/* Bytes of property length and properties, and those bytes; p may be NULL: none. */
size_t mqtt_props_size(enum mqtt_version v, unsigned int scope, const struct mqtt_props *p);
void mqtt_write_props(
	struct writer *w, enum mqtt_version v, unsigned int scope, const struct mqtt_props *p);

/* Table 2-6; 3.1.1 tables 3.1 and 3.9.3. */
bool mqtt_reason_allowed(enum mqtt_type t, enum mqtt_version v, uint8_t reason);
