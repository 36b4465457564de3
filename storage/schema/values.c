/* values.c - values to bytes and back. See schema.h. */
#include "storage/schema/values.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/hash.h"

enum {
	SESSION_DURABLE = 1,
	SESSION_CONNECTED = 2,
	SESSION_PRESENT = 4,
	SESSION_FLAGS = SESSION_DURABLE | SESSION_CONNECTED | SESSION_PRESENT,
	REFERENCE_QOS2 = 1,
	REFERENCE_RETAIN = 2,
	REFERENCE_RECEIVED = 4,
	REFERENCE_SOLE = 8,
	REFERENCE_COUNT_SHIFT = 4,
	REFERENCE_COUNT_MASK = 7,
	REFERENCE_NEWER = 0x80, /* a version that we do not know */
	CHECK_BYTES = 4,
	QOS_MAX = 2,
};

/* Not a secret: it is to find accidents. */
static uint32_t check_of(struct span key, struct span content)
{
	const struct hash_key fixed = {0x5369676e616c626full, SCHEMA_VERSION};
	const struct hash_key keyed = {siphash(fixed, key), fixed.k0};
	const uint64_t h = siphash(keyed, content);

	return (uint32_t)(h ^ h >> 32);
}

void schema_seal(uint8_t head[SCHEMA_HEAD], struct span key, struct span content)
{
	struct writer w = writer_of(head, SCHEMA_HEAD);

	write_u8(&w, SCHEMA_VERSION);
	write_u32(&w, check_of(key, content));
}

enum err schema_open(struct span value, struct span key, struct span *content)
{
	struct reader r = reader_of(value);
	const uint8_t version = read_u8(&r);
	const uint32_t check = read_u32(&r);

	if (r.bad)
		return ERR_STORAGE_CORRUPT;
	if (version == 0)
		return ERR_STORAGE_CORRUPT; /* there never was one */
	if (version != SCHEMA_VERSION)
		return ERR_STORAGE_VERSION;
	*content = span_skip(value, SCHEMA_HEAD);
	if (check != check_of(key, *content))
		return ERR_STORAGE_CORRUPT;
	return ERR_NONE;
}

/* Leaves room for the head, which `end` fills in. */
static uint8_t *begin(struct writer *w)
{
	static const uint8_t none[SCHEMA_HEAD];
	uint8_t *head = w->at;

	write_bytes(w, span_of(none, sizeof(none)));
	return head;
}

static void end(struct writer *w, uint8_t *head, struct span key)
{
	if (w->bad)
		return;
	const uint8_t *content = head + SCHEMA_HEAD;
	schema_seal(head, key, span_of(content, (size_t)(w->at - content)));
}

static enum err ended(const struct reader *r)
{
	return r->bad || reader_left(r) != 0 ? ERR_STORAGE_CORRUPT : ERR_NONE;
}

void schema_encode_meta(struct writer *w, struct span key, const struct schema_meta *m)
{
	uint8_t *head = begin(w);

	write_u64(w, m->next_session);
	write_u64(w, m->next_body);
	write_u64(w, m->sessions);
	write_u64(w, m->dataplane);
	end(w, head, key);
}

enum err schema_decode_meta(struct span v, struct span key, struct schema_meta *out)
{
	struct span content;
	const enum err e = schema_open(v, key, &content);

	if (e != ERR_NONE)
		return e;
	struct reader r = reader_of(content);
	out->next_session = read_u64(&r);
	out->next_body = read_u64(&r);
	out->sessions = read_u64(&r);
	out->dataplane = read_u64(&r);
	return ended(&r);
}

void schema_encode_mark(struct writer *w, struct span key, const struct schema_mark *m)
{
	uint8_t *head = begin(w);

	write_u64(w, m->dp_generation);
	write_u64(w, m->sequence);
	end(w, head, key);
}

enum err schema_decode_mark(struct span v, struct span key, struct schema_mark *out)
{
	struct span content;
	const enum err e = schema_open(v, key, &content);

	if (e != ERR_NONE)
		return e;
	struct reader r = reader_of(content);
	out->dp_generation = read_u64(&r);
	out->sequence = read_u64(&r);
	return ended(&r);
}

void schema_encode_session(struct writer *w, struct span key, const struct schema_session *s)
{
	uint8_t *head = begin(w);

	write_u8(w, (uint8_t)((s->durable ? SESSION_DURABLE : 0) |
			      (s->connected ? SESSION_CONNECTED : 0) |
			      (s->connect.present ? SESSION_PRESENT : 0)));
	write_u32(w, s->expiry_s);
	write_u32(w, s->will_delay_s);
	write_u64(w, s->disconnected_ms);
	write_u64(w, s->epoch);
	write_u64(w, s->will);
	write_u64(w, s->will_due_s);
	write_u64(w, s->entries);
	write_u64(w, s->sent);
	write_u64(w, s->connect.dataplane);
	write_u32(w, s->connect.worker);
	write_u32(w, s->connect.index);
	write_u32(w, s->connect.generation);
	write_bytes(w, s->client_id);
	end(w, head, key);
}

enum err schema_decode_session(struct span v, struct span key, struct schema_session *out)
{
	struct span content;
	const enum err e = schema_open(v, key, &content);

	if (e != ERR_NONE)
		return e;
	struct reader r = reader_of(content);
	const uint8_t flags = read_u8(&r);
	*out = (struct schema_session){.expiry_s = read_u32(&r),
		.durable = (flags & SESSION_DURABLE) != 0,
		.connected = (flags & SESSION_CONNECTED) != 0};
	out->will_delay_s = read_u32(&r);
	out->disconnected_ms = read_u64(&r);
	out->epoch = read_u64(&r);
	out->will = read_u64(&r);
	out->will_due_s = read_u64(&r);
	out->entries = read_u64(&r);
	out->sent = read_u64(&r);
	out->connect.dataplane = read_u64(&r);
	out->connect.worker = read_u32(&r);
	out->connect.index = read_u32(&r);
	out->connect.generation = read_u32(&r);
	out->connect.present = (flags & SESSION_PRESENT) != 0;
	out->client_id = read_bytes(&r, reader_left(&r));
	if (out->client_id.size == 0 || out->client_id.size > SCHEMA_TEXT_MAX)
		return ERR_STORAGE_CORRUPT;
	if ((flags & ~SESSION_FLAGS) != 0)
		return ERR_STORAGE_CORRUPT;
	return ended(&r);
}

void schema_encode_options(struct writer *w, struct span key, const struct schema_options *o)
{
	uint8_t *head = begin(w);

	write_u8(w, o->qos);
	write_u8(w, o->flags);
	write_u32(w, o->identifier);
	end(w, head, key);
}

enum err schema_decode_options(struct span v, struct span key, struct schema_options *out)
{
	struct span content;
	const enum err e = schema_open(v, key, &content);

	if (e != ERR_NONE)
		return e;
	struct reader r = reader_of(content);
	out->qos = read_u8(&r);
	out->flags = read_u8(&r);
	out->identifier = read_u32(&r);
	return out->qos > QOS_MAX ? ERR_STORAGE_CORRUPT : ended(&r);
}

void schema_encode_number(struct writer *w, struct span key, uint64_t number)
{
	uint8_t *head = begin(w);

	write_u64(w, number);
	end(w, head, key);
}

enum err schema_decode_number(struct span v, struct span key, uint64_t *out)
{
	struct span content;
	const enum err e = schema_open(v, key, &content);

	if (e != ERR_NONE)
		return e;
	struct reader r = reader_of(content);
	*out = read_u64(&r);
	return ended(&r);
}

void schema_encode_nothing(struct writer *w, struct span key)
{
	uint8_t *head = begin(w);

	end(w, head, key);
}

void schema_encode_reference(struct writer *w, struct span key, const struct schema_reference *r)
{
	const uint8_t *start = w->at;

	ASSERT(r->body <= SCHEMA_BODY_ID_MAX);
	ASSERT(r->qos == 1 || r->qos == QOS_MAX);
	ASSERT(r->identifier_count <= SCHEMA_IDENTIFIERS_MAX);
	write_u8(w,
		(uint8_t)((r->qos == QOS_MAX ? REFERENCE_QOS2 : 0) |
			  (r->retain ? REFERENCE_RETAIN : 0) |
			  (r->received ? REFERENCE_RECEIVED : 0) | (r->sole ? REFERENCE_SOLE : 0) |
			  r->identifier_count << REFERENCE_COUNT_SHIFT));
	write_u8(w, r->size_class);
	write_u16(w, (uint16_t)(r->body >> 32));
	write_u32(w, (uint32_t)r->body);
	for (uint32_t i = 0; i < r->identifier_count; i++)
		write_u32(w, r->identifiers[i]);
	if (!w->bad)
		write_u32(w, check_of(key, span_of(start, (size_t)(w->at - start))));
}

enum err schema_decode_reference(struct span v, struct span key, struct schema_reference *out)
{
	struct reader r = reader_of(v);
	const uint8_t flags = read_u8(&r);

	if (r.bad || v.size < CHECK_BYTES)
		return ERR_STORAGE_CORRUPT;
	if ((flags & REFERENCE_NEWER) != 0)
		return ERR_STORAGE_VERSION;
	*out = (struct schema_reference){.qos = (flags & REFERENCE_QOS2) != 0 ? QOS_MAX : 1,
		.size_class = read_u8(&r),
		.retain = (flags & REFERENCE_RETAIN) != 0,
		.received = (flags & REFERENCE_RECEIVED) != 0,
		.sole = (flags & REFERENCE_SOLE) != 0,
		.identifier_count = flags >> REFERENCE_COUNT_SHIFT & REFERENCE_COUNT_MASK};
	out->body = (uint64_t)read_u16(&r) << 32;
	out->body |= read_u32(&r);
	if (out->identifier_count > SCHEMA_IDENTIFIERS_MAX)
		return ERR_STORAGE_CORRUPT;
	for (uint32_t i = 0; i < out->identifier_count; i++)
		out->identifiers[i] = read_u32(&r);
	const struct span content = {v.at, v.size - CHECK_BYTES};
	const uint32_t check = read_u32(&r);
	if (ended(&r) != ERR_NONE || check != check_of(key, content))
		return ERR_STORAGE_CORRUPT;
	return out->received == (out->body == 0) ? ERR_NONE : ERR_STORAGE_CORRUPT;
}
