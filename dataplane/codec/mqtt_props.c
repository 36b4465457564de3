/* mqtt_props.c - MQTT 5.0 properties: one table, read by the decoder, the encoder and the walker.
 *
 * Spec: MQTT 5.0 2.2.2, table 2-4, and the ranges given packet by packet in part 3. */
#include "dataplane/codec/mqtt_props.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/attr.h"
#include "dataplane/codec/mqtt_wire.h"

enum kind {
	KIND_NONE,   /* no such identifier */
	KIND_FLAG,   /* a byte, 0 or 1: all byte properties are */
	KIND_U16,    /* two byte integer */
	KIND_U32,    /* four byte integer */
	KIND_VARINT, /* the subscription identifier */
	KIND_TEXT,
	KIND_TOPIC, /* text that is a topic name */
	KIND_BINARY,
	KIND_PAIR, /* the user property */
};

struct property {
	uint8_t kind;       /* enum kind */
	uint8_t zero_error; /* enum err when 0 is a Protocol Error; ERR_NONE: 0 is fine */
	uint16_t packets;   /* allowed in: 1 << enum mqtt_type, 1 << MQTT_WILL */
	uint16_t offset;    /* of the field in struct mqtt_props */
};

#define IN(packet) (1u << MQTT_##packet)
#define AT(field)  offsetof(struct mqtt_props, field)

enum {
	MESSAGE = IN(PUBLISH) | IN(WILL),
	OPENING = IN(CONNECT) | IN(CONNACK),
	ACKS = IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP) | IN(SUBACK) | IN(UNSUBACK),
	ANSWERS = IN(CONNACK) | ACKS | IN(DISCONNECT) | IN(AUTH),
	ALL = ANSWERS | MESSAGE | IN(CONNECT) | IN(SUBSCRIBE) | IN(UNSUBSCRIBE),
};

static_assert(ERR_MQTT_TOPIC_ALIAS <= UINT8_MAX && ERR_MQTT_PROTOCOL <= UINT8_MAX, "zero_error");

/* Table 2-4. */
static const struct property table[MQTT_PROPERTY_END] = {
	[MQTT_PROPERTY_PAYLOAD_FORMAT] = {KIND_FLAG, 0, MESSAGE, AT(payload_format)},
	[MQTT_PROPERTY_MESSAGE_EXPIRY] = {KIND_U32, 0, MESSAGE, AT(message_expiry_s)},
	[MQTT_PROPERTY_CONTENT_TYPE] = {KIND_TEXT, 0, MESSAGE, AT(content_type)},
	[MQTT_PROPERTY_RESPONSE_TOPIC] = {KIND_TOPIC, 0, MESSAGE, AT(response_topic)},
	[MQTT_PROPERTY_CORRELATION] = {KIND_BINARY, 0, MESSAGE, AT(correlation)},
	[MQTT_PROPERTY_SUBSCRIPTION_ID] = {KIND_VARINT, ERR_MQTT_PROTOCOL,
		IN(PUBLISH) | IN(SUBSCRIBE), AT(subscription_ids)},
	[MQTT_PROPERTY_SESSION_EXPIRY] = {KIND_U32, 0, OPENING | IN(DISCONNECT),
		AT(session_expiry_s)},
	[MQTT_PROPERTY_ASSIGNED_CLIENT_ID] = {KIND_TEXT, 0, IN(CONNACK), AT(assigned_client_id)},
	[MQTT_PROPERTY_SERVER_KEEPALIVE] = {KIND_U16, 0, IN(CONNACK), AT(server_keepalive_s)},
	[MQTT_PROPERTY_AUTH_METHOD] = {KIND_TEXT, 0, OPENING | IN(AUTH), AT(auth_method)},
	[MQTT_PROPERTY_AUTH_DATA] = {KIND_BINARY, 0, OPENING | IN(AUTH), AT(auth_data)},
	[MQTT_PROPERTY_REQUEST_PROBLEM] = {KIND_FLAG, 0, IN(CONNECT), AT(request_problem)},
	[MQTT_PROPERTY_WILL_DELAY] = {KIND_U32, 0, IN(WILL), AT(will_delay_s)},
	[MQTT_PROPERTY_REQUEST_RESPONSE] = {KIND_FLAG, 0, IN(CONNECT), AT(request_response)},
	[MQTT_PROPERTY_RESPONSE_INFO] = {KIND_TEXT, 0, IN(CONNACK), AT(response_info)},
	[MQTT_PROPERTY_SERVER_REFERENCE] = {KIND_TEXT, 0, IN(CONNACK) | IN(DISCONNECT),
		AT(server_reference)},
	[MQTT_PROPERTY_REASON_STRING] = {KIND_TEXT, 0, ANSWERS, AT(reason_string)},
	[MQTT_PROPERTY_RECEIVE_MAX] = {KIND_U16, ERR_MQTT_PROTOCOL, OPENING, AT(receive_max)},
	[MQTT_PROPERTY_TOPIC_ALIAS_MAX] = {KIND_U16, 0, OPENING, AT(topic_alias_max)},
	[MQTT_PROPERTY_TOPIC_ALIAS] = {KIND_U16, ERR_MQTT_TOPIC_ALIAS, IN(PUBLISH),
		AT(topic_alias)},
	[MQTT_PROPERTY_QOS_MAX] = {KIND_FLAG, 0, IN(CONNACK), AT(qos_max)},
	[MQTT_PROPERTY_RETAIN_AVAILABLE] = {KIND_FLAG, 0, IN(CONNACK), AT(retain_available)},
	[MQTT_PROPERTY_USER] = {KIND_PAIR, 0, ALL, AT(user)},
	[MQTT_PROPERTY_PACKET_SIZE_MAX] = {KIND_U32, ERR_MQTT_PROTOCOL, OPENING,
		AT(packet_size_max)},
	[MQTT_PROPERTY_WILDCARD_AVAILABLE] = {KIND_FLAG, 0, IN(CONNACK), AT(wildcard_available)},
	[MQTT_PROPERTY_SUB_IDS_AVAILABLE] = {KIND_FLAG, 0, IN(CONNACK), AT(sub_ids_available)},
	[MQTT_PROPERTY_SHARED_AVAILABLE] = {KIND_FLAG, 0, IN(CONNACK), AT(shared_available)},
};

/* Field by field: for a struct assignment of this size gcc 12 emits `rep stos`, which costs a third
 * of decoding a PUBLISH. */
void mqtt_props_init(struct mqtt_props *p)
{
	const struct span empty = {NULL, 0};

	p->has = 0;
	p->session_expiry_s = 0;
	p->message_expiry_s = 0;
	p->will_delay_s = 0;
	p->packet_size_max = 0;
	for (size_t i = 0; i < MQTT_SUB_IDS_MAX; i++)
		p->subscription_ids[i] = 0;
	p->subscription_id_count = 0;
	p->payload_format = 0;
	p->request_problem = 1;
	p->request_response = 0;
	p->qos_max = 2;
	p->retain_available = 1;
	p->wildcard_available = 1;
	p->sub_ids_available = 1;
	p->shared_available = 1;
	p->user_split = false;
	p->server_keepalive_s = 0;
	p->receive_max = UINT16_MAX;
	p->topic_alias_max = 0;
	p->topic_alias = 0;
	p->content_type = empty;
	p->response_topic = empty;
	p->correlation = empty;
	p->assigned_client_id = empty;
	p->auth_method = empty;
	p->auth_data = empty;
	p->response_info = empty;
	p->server_reference = empty;
	p->reason_string = empty;
	p->user = empty;
	p->raw = empty;
}

static void *field_of(struct mqtt_props *p, const struct property *property)
{
	return (uint8_t *)p + property->offset;
}

/* "may appear more than once": 3.1.2.11.8 and its kin; 3.3.2.3.8. */
static bool may_repeat(unsigned int id, unsigned int scope)
{
	return id == MQTT_PROPERTY_USER ||
	       (id == MQTT_PROPERTY_SUBSCRIPTION_ID && scope == MQTT_PUBLISH);
}

static void read_user(struct mqtt_in *in, struct mqtt_props *out, bool first)
{
	const uint8_t *from = in->r.at;

	mqtt_read_text(in); /* [MQTT-1.5.7-1] */
	mqtt_read_text(in);
	out->user_split = !first;
	out->user = first ? span_of(from, (size_t)(in->r.at - from)) : span_of(NULL, 0);
}

static void keep_subscription_id(struct mqtt_props *out, uint32_t id)
{
	if (out->subscription_id_count < MQTT_SUB_IDS_MAX)
		out->subscription_ids[out->subscription_id_count++] = id;
}

/* A number into its field. Answers it, so that the caller can judge 0. */
static uint32_t read_number(struct mqtt_in *in, enum kind kind, void *field, struct mqtt_props *out)
{
	uint32_t n;

	if (kind == KIND_FLAG) {
		n = *(uint8_t *)field = read_u8(&in->r);
		if (n > 1)
			mqtt_fail(in, ERR_MQTT_PROTOCOL); /* 3.1.2.11.6 and its kin */
	} else if (kind == KIND_U16) {
		n = *(uint16_t *)field = read_u16(&in->r);
	} else if (kind == KIND_U32) {
		n = *(uint32_t *)field = read_u32(&in->r);
	} else {
		n = mqtt_read_varint(in);
		keep_subscription_id(out, n);
	}
	return n;
}

static void read_value(
	struct mqtt_in *in, const struct property *property, struct mqtt_props *out, bool first)
{
	const enum kind kind = property->kind;
	void *field = field_of(out, property);

	if (kind == KIND_PAIR) {
		read_user(in, out, first);
	} else if (kind == KIND_BINARY) {
		*(struct span *)field = mqtt_read_binary(in);
	} else if (kind == KIND_TEXT || kind == KIND_TOPIC) {
		const struct span text = *(struct span *)field = mqtt_read_text(in);
		if (kind == KIND_TOPIC && !mqtt_is_topic_name(text))
			mqtt_fail(in, ERR_MQTT_TOPIC); /* [MQTT-3.3.2-14] */
	} else if (read_number(in, kind, field, out) == 0 && property->zero_error != ERR_NONE) {
		mqtt_fail(in, property->zero_error);
	}
}

static void read_property(struct mqtt_in *in, unsigned int scope, struct mqtt_props *out)
{
	const uint32_t id = mqtt_read_varint(in);

	/* Holes in the table are allowed nowhere. */
	if (id >= MQTT_PROPERTY_END || (table[id].packets >> scope & 1) == 0) {
		mqtt_fail(in, ERR_MQTT_PROPERTY);
		return;
	}
	const uint64_t bit = 1ull << id;
	const bool first = (out->has & bit) == 0;
	if (!first && !may_repeat(id, scope)) {
		mqtt_fail(in, ERR_MQTT_PROPERTY_TWICE);
		return;
	}
	out->has |= bit;
	read_value(in, &table[id], out, first);
}

void mqtt_read_props(
	struct mqtt_in *in, enum mqtt_version v, unsigned int scope, struct mqtt_props *out)
{
	mqtt_props_init(out);
	if (v != MQTT_V5)
		return;
	out->raw = read_bytes(&in->r, mqtt_read_varint(in));
	if (out->raw.size == 0)
		return;

	struct mqtt_in block = mqtt_in_of(out->raw);
	while (block.err == ERR_NONE && !block.r.bad && reader_left(&block.r) != 0)
		read_property(&block, scope, out);
	/* A value that runs past the block is a bad property, not a short frame. */
	if (block.err != ERR_NONE || block.r.bad)
		mqtt_fail(in, block.err != ERR_NONE ? block.err : ERR_MQTT_PROPERTY);
}

/* One user pair without its identifier. */
static bool next_pair(struct reader *pairs, struct span *key, struct span *value)
{
	if (reader_left(pairs) == 0)
		return false;
	*key = read_bytes(pairs, read_u16(pairs));
	*value = read_bytes(pairs, read_u16(pairs));
	return !pairs->bad;
}

static void skip_value(struct mqtt_in *in, enum kind kind)
{
	if (kind == KIND_FLAG)
		read_bytes(&in->r, sizeof(uint8_t));
	else if (kind == KIND_U16)
		read_bytes(&in->r, sizeof(uint16_t));
	else if (kind == KIND_U32)
		read_bytes(&in->r, sizeof(uint32_t));
	else if (kind == KIND_VARINT)
		mqtt_read_varint(in);
	else
		mqtt_read_binary(in);
}

bool mqtt_next_user(struct reader *raw, struct span *key, struct span *value)
{
	struct mqtt_in in = {*raw, ERR_NONE};
	uint32_t id = 0;

	while (!in.r.bad && reader_left(&in.r) != 0) {
		id = mqtt_read_varint(&in);
		if (id >= MQTT_PROPERTY_END || table[id].kind == KIND_NONE)
			in.r.bad = true; /* not a block that mqtt_read_props let pass */
		else if (id == MQTT_PROPERTY_USER)
			break;
		else
			skip_value(&in, table[id].kind);
	}
	const bool found = id == MQTT_PROPERTY_USER && next_pair(&in.r, key, value);
	*raw = in.r;
	return found;
}

/* Pairs come joined when they are ours, and with identifiers between when they were decoded. */
static bool next_of(const struct mqtt_props *p, struct reader *r, struct span *k, struct span *v)
{
	return p->user_split ? mqtt_next_user(r, k, v) : next_pair(r, k, v);
}

static struct reader users_of(const struct mqtt_props *p)
{
	return reader_of(p->user_split ? p->raw : p->user);
}

void mqtt_join_user(struct writer *w, const struct mqtt_props *p)
{
	struct reader r = users_of(p);
	struct span key, value;

	while (next_of(p, &r, &key, &value)) {
		mqtt_write_binary(w, key);
		mqtt_write_binary(w, value);
	}
}

static size_t users_size(const struct mqtt_props *p)
{
	struct reader r = users_of(p);
	struct span key, value;
	size_t size = 0;

	while (next_of(p, &r, &key, &value))
		size += 1 + 2 + key.size + 2 + value.size;
	return size;
}

/* Bytes of one property with its identifier, which is one byte for all there are. */
static size_t property_size(const struct mqtt_props *p, const struct property *property)
{
	const void *field = (const uint8_t *)p + property->offset;
	size_t size = 0;

	switch ((enum kind)property->kind) {
	case KIND_FLAG:
		return 1 + sizeof(uint8_t);
	case KIND_U16:
		return 1 + sizeof(uint16_t);
	case KIND_U32:
		return 1 + sizeof(uint32_t);
	case KIND_VARINT:
		for (size_t i = 0; i < p->subscription_id_count; i++)
			size += 1 + mqtt_varint_size(p->subscription_ids[i]);
		return size;
	case KIND_PAIR:
		return users_size(p);
	case KIND_TEXT:
	case KIND_TOPIC:
	case KIND_BINARY:
		return 1 + 2 + ((const struct span *)field)->size;
	case KIND_NONE:
		break;
	}
	return 0;
}

/* Of the properties alone, without the length in front of them. */
static size_t block_size(unsigned int scope, const struct mqtt_props *p)
{
	size_t size = 0;

	for (uint64_t left = p == NULL ? 0 : p->has; left != 0; left &= left - 1) {
		const unsigned int id = (unsigned int)__builtin_ctzll(left);
		ASSERT(id < MQTT_PROPERTY_END);
		ASSERT((table[id].packets >> scope & 1) != 0);
		size += property_size(p, &table[id]);
	}
	return size;
}

size_t mqtt_props_size(enum mqtt_version v, unsigned int scope, const struct mqtt_props *p)
{
	if (v != MQTT_V5)
		return 0;
	const size_t size = block_size(scope, p);
	/* What cannot be encoded is found too large by the caller: it exceeds the packet. */
	return size > UINT32_MAX / 2 ? size : mqtt_varint_size((uint32_t)size) + size;
}

static void write_repeated(struct writer *w, unsigned int id, const struct mqtt_props *p)
{
	struct reader r = users_of(p);
	struct span key, value;

	if (id == MQTT_PROPERTY_SUBSCRIPTION_ID) {
		for (size_t i = 0; i < p->subscription_id_count; i++) {
			write_u8(w, (uint8_t)id);
			mqtt_write_varint(w, p->subscription_ids[i]);
		}
		return;
	}
	while (next_of(p, &r, &key, &value)) {
		write_u8(w, (uint8_t)id);
		mqtt_write_binary(w, key);
		mqtt_write_binary(w, value);
	}
}

static void write_property(struct writer *w, unsigned int id, const struct mqtt_props *p)
{
	const enum kind kind = table[id].kind;
	const void *field = (const uint8_t *)p + table[id].offset;

	if (kind == KIND_VARINT || kind == KIND_PAIR) {
		write_repeated(w, id, p);
		return;
	}
	write_u8(w, (uint8_t)id);
	if (kind == KIND_FLAG)
		write_u8(w, *(const uint8_t *)field);
	else if (kind == KIND_U16)
		write_u16(w, *(const uint16_t *)field);
	else if (kind == KIND_U32)
		write_u32(w, *(const uint32_t *)field);
	else
		mqtt_write_binary(w, *(const struct span *)field);
}

void mqtt_write_props(
	struct writer *w, enum mqtt_version v, unsigned int scope, const struct mqtt_props *p)
{
	if (v != MQTT_V5)
		return;
	mqtt_write_varint(w, (uint32_t)block_size(scope, p));
	for (uint64_t left = p == NULL ? 0 : p->has; left != 0; left &= left - 1)
		write_property(w, (unsigned int)__builtin_ctzll(left), p);
}
