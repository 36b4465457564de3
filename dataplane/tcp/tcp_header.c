/* tcp_header.c - see tcp_header.h. */
#include "dataplane/tcp/tcp_header.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/reader.h"
#include "dataplane/base/writer.h"

enum {
	KIND_END = 0,
	KIND_NOP = 1,
	KIND_MSS = 2,
	KIND_WSCALE = 3,
	KIND_SACK_PERMITTED = 4,
	KIND_SACK = 5,
	KIND_TIMESTAMPS = 8,
};

static enum err decode_sack(struct reader body, struct tcp_options *out)
{
	const size_t size = reader_left(&body);

	if (size == 0 || size % 8 != 0 || size > 8 * TCP_SACK_BLOCKS)
		return ERR_TCP_OPTIONS;
	out->sack_count = (uint8_t)(size / 8);
	for (unsigned i = 0; i < out->sack_count; i++) {
		out->sack[i].left = read_u32(&body);
		out->sack[i].right = read_u32(&body);
	}
	return ERR_NONE;
}

/* One option with a length byte. Its body must be exactly what its kind asks for. */
static enum err decode_option(uint8_t kind, struct span bytes, bool syn, struct tcp_options *out)
{
	static const uint8_t sizes[] = {[KIND_MSS] = 2, [KIND_WSCALE] = 1, [KIND_TIMESTAMPS] = 8};
	struct reader body = reader_of(bytes);

	if (kind == KIND_SACK)
		return decode_sack(body, out);
	const bool known = kind == KIND_MSS || kind == KIND_WSCALE || kind == KIND_TIMESTAMPS ||
			   kind == KIND_SACK_PERMITTED;
	if (!known)
		return ERR_NONE; /* RFC 9293 MUST-6 */
	if (bytes.size != sizes[kind])
		return ERR_TCP_OPTIONS;
	if (kind == KIND_TIMESTAMPS) {
		out->has_timestamps = true;
		out->tsval = read_u32(&body);
		out->tsecr = read_u32(&body);
	}
	if (!syn)
		return ERR_NONE;
	if (kind == KIND_MSS)
		out->mss = read_u16(&body);
	if (kind == KIND_SACK_PERMITTED)
		out->sack_permitted = true;
	if (kind == KIND_WSCALE) {
		out->has_wscale = true;
		out->wscale = read_u8(&body);
		if (out->wscale > TCP_WSCALE_MAX) /* RFC 7323 2.3: use 14 */
			out->wscale = TCP_WSCALE_MAX;
	}
	return ERR_NONE;
}

static enum err decode_options(struct span in, bool syn, struct tcp_options *out)
{
	while (in.size > 0 && in.at[0] != KIND_END) {
		if (in.at[0] == KIND_NOP) {
			in = span_skip(in, 1);
			continue;
		}
		if (in.size < 2 || in.at[1] < 2 || in.at[1] > in.size)
			return ERR_TCP_OPTIONS;
		const struct span body = {in.at + 2, (size_t)in.at[1] - 2};
		const enum err e = decode_option(in.at[0], body, syn, out);
		if (e != ERR_NONE)
			return e;
		in = span_skip(in, in.at[1]);
	}
	return ERR_NONE;
}

enum err tcp_header_decode(struct span in, struct tcp_header *out)
{
	struct reader r = reader_of(in);

	*out = (struct tcp_header){0};
	out->src_port = read_u16(&r);
	out->dst_port = read_u16(&r);
	out->seq = read_u32(&r);
	out->ack = read_u32(&r);
	out->size = (uint8_t)((read_u8(&r) >> 4) * 4);
	out->flags = read_u8(&r);
	out->window = read_u16(&r);
	(void)read_u16(&r); /* checksum: already seen to */
	/* RFC 6093: the urgent pointer is not used; urgent bytes are bytes like any others. */
	(void)read_u16(&r);
	if (r.bad || out->size < TCP_HEADER_MIN || out->size > in.size)
		return ERR_TCP_HEADER;
	if (out->src_port == 0 || out->dst_port == 0)
		return ERR_TCP_HEADER;
	return decode_options(
		(struct span){in.at + TCP_HEADER_MIN, (size_t)out->size - TCP_HEADER_MIN},
		(out->flags & TCP_SYN) != 0, &out->options);
}

size_t tcp_options_size(const struct tcp_options *o)
{
	size_t size = 0;

	if (o->mss != 0)
		size += 4;
	if (o->has_wscale)
		size += 4;
	if (o->has_timestamps)
		size += 12;
	if (o->sack_permitted)
		size += o->has_timestamps ? 0 : 4; /* goes where the padding was */
	if (o->sack_count != 0)
		size += 4 + 8 * (size_t)o->sack_count;
	return size;
}

static void encode_options(struct writer *w, const struct tcp_options *o)
{
	if (o->mss != 0) {
		write_u16(w, KIND_MSS << 8 | 4);
		write_u16(w, o->mss);
	}
	if (o->sack_permitted)
		write_u16(w, KIND_SACK_PERMITTED << 8 | 2);
	if (o->sack_permitted != o->has_timestamps)
		write_u16(w, KIND_NOP << 8 | KIND_NOP);
	if (o->has_timestamps) {
		write_u16(w, KIND_TIMESTAMPS << 8 | 10);
		write_u32(w, o->tsval);
		write_u32(w, o->tsecr);
	}
	if (o->has_wscale) {
		write_u16(w, KIND_NOP << 8 | KIND_WSCALE);
		write_u16(w, (uint16_t)(3 << 8 | o->wscale));
	}
	if (o->sack_count != 0) {
		write_u16(w, KIND_NOP << 8 | KIND_NOP);
		write_u16(w, (uint16_t)(KIND_SACK << 8 | (2 + 8 * o->sack_count)));
	}
	for (unsigned i = 0; i < o->sack_count; i++) {
		write_u32(w, o->sack[i].left);
		write_u32(w, o->sack[i].right);
	}
}

size_t tcp_header_encode(const struct tcp_header *h, uint8_t out[TCP_HEADER_MAX])
{
	struct writer w = writer_of(out, TCP_HEADER_MAX);
	const size_t size = TCP_HEADER_MIN + tcp_options_size(&h->options);

	ASSERT(size <= TCP_HEADER_MAX);
	write_u16(&w, h->src_port);
	write_u16(&w, h->dst_port);
	write_u32(&w, h->seq);
	write_u32(&w, h->ack);
	write_u8(&w, (uint8_t)(size / 4 << 4));
	write_u8(&w, h->flags);
	write_u16(&w, h->window);
	write_u32(&w, 0); /* checksum, urgent pointer */
	encode_options(&w, &h->options);
	ASSERT(!w.bad);
	ASSERT(writer_used(&w) == size);
	return size;
}
