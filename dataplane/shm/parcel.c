/* parcel.c - messages and the targets of a STORE, to bytes and back. See parcel.h. */
#include "dataplane/shm/parcel.h"

#include "dataplane/base/assert.h"

enum { FLAG_RETAIN = 1, FLAG_UTF8 = 2, FLAGS = FLAG_RETAIN | FLAG_UTF8, QOS_MAX = 2 };

void parcel_encode_fixed(struct writer *w, const struct parcel *p)
{
	ASSERT(p->qos <= QOS_MAX);
	write_u8(w, PARCEL_VERSION);
	write_u8(
		w, (uint8_t)((p->retain ? FLAG_RETAIN : 0) | (p->payload_is_utf8 ? FLAG_UTF8 : 0)));
	write_u8(w, p->qos);
	write_u8(w, p->priority);
	write_u32(w, p->expiry_s);
	write_u64(w, p->born_ms);
	write_u16(w, (uint16_t)p->topic.size);
	write_u16(w, (uint16_t)p->content_type.size);
	write_u16(w, (uint16_t)p->reply_to.size);
	write_u16(w, (uint16_t)p->correlation.size);
	write_u32(w, (uint32_t)p->user.size);
	write_u32(w, p->payload_size);
}

void parcel_encode_head(struct writer *w, const struct parcel *p)
{
	parcel_encode_fixed(w, p);
	write_bytes(w, p->topic);
	write_bytes(w, p->content_type);
	write_bytes(w, p->reply_to);
	write_bytes(w, p->correlation);
	write_bytes(w, p->user);
}

enum err parcel_decode_head(struct span in, struct parcel *out, size_t *head)
{
	struct reader r = reader_of(in);
	const uint8_t version = read_u8(&r), flags = read_u8(&r);

	*out = (struct parcel){
		.retain = (flags & FLAG_RETAIN) != 0, .payload_is_utf8 = (flags & FLAG_UTF8) != 0};
	out->qos = read_u8(&r);
	out->priority = read_u8(&r);
	out->expiry_s = read_u32(&r);
	out->born_ms = read_u64(&r);
	const uint16_t topic = read_u16(&r), content_type = read_u16(&r), reply_to = read_u16(&r),
		       correlation = read_u16(&r);
	const uint32_t user = read_u32(&r);
	out->payload_size = read_u32(&r);
	out->topic = read_bytes(&r, topic);
	out->content_type = read_bytes(&r, content_type);
	out->reply_to = read_bytes(&r, reply_to);
	out->correlation = read_bytes(&r, correlation);
	out->user = read_bytes(&r, user);
	if (r.bad)
		return ERR_TRUNCATED;
	*head = in.size - reader_left(&r);
	if (version != PARCEL_VERSION || (flags & ~FLAGS) != 0 || out->qos > QOS_MAX)
		return ERR_SLOT_BAD;
	return ERR_NONE;
}

enum err parcel_decode(struct span in, struct parcel *out)
{
	size_t head;
	const enum err e = parcel_decode_head(in, out, &head);

	if (e != ERR_NONE)
		return e;
	out->payload = span_skip(in, head);
	if (out->payload.size < out->payload_size)
		return ERR_TRUNCATED;
	return out->payload.size > out->payload_size ? ERR_TRAILING_BYTES : ERR_NONE;
}

void store_encode_count(struct writer *w, uint32_t count)
{
	write_u32(w, count);
}

void store_encode_target(struct writer *w, const struct store_target *t)
{
	ASSERT(t->qos >= 1 && t->qos <= QOS_MAX);
	ASSERT(t->identifier_count <= STORE_IDENTIFIERS_MAX);
	write_u64(w, t->session);
	write_u8(w, t->qos);
	write_u8(w, t->retain ? FLAG_RETAIN : 0);
	write_u8(w, t->identifier_count);
	for (uint32_t i = 0; i < t->identifier_count; i++)
		write_u32(w, t->identifiers[i]);
}

enum err store_decode_count(struct reader *r, uint32_t *count)
{
	*count = read_u32(r);
	return r->bad ? ERR_TRUNCATED : ERR_NONE;
}

enum err store_decode_target(struct reader *r, struct store_target *out)
{
	*out = (struct store_target){.session = read_u64(r), .qos = read_u8(r)};
	const uint8_t flags = read_u8(r);

	out->retain = (flags & FLAG_RETAIN) != 0;
	out->identifier_count = read_u8(r);
	if (r->bad)
		return ERR_TRUNCATED;
	if ((flags & ~FLAG_RETAIN) != 0 || out->identifier_count > STORE_IDENTIFIERS_MAX)
		return ERR_SLOT_BAD;
	if (out->session == 0 || out->qos < 1 || out->qos > QOS_MAX)
		return ERR_SLOT_BAD;
	for (uint32_t i = 0; i < out->identifier_count; i++)
		out->identifiers[i] = read_u32(r);
	return r->bad ? ERR_TRUNCATED : ERR_NONE;
}
