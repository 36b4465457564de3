/* parcel_fuzz.c - a parcel, and the text of a STORE, out of arbitrary bytes.
 *
 * What is accepted lies within the input and is encoded to the same bytes. */
#include "dataplane/base/assert.h"
#include "dataplane/shm/parcel.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct span in, struct span field)
{
	ASSERT(field.size <= in.size);
	if (field.size != 0)
		ASSERT(field.at >= in.at && field.at + field.size <= in.at + in.size);
}

static void check_same(struct span in, const struct parcel *p)
{
	uint8_t *again = malloc(in.size);

	ASSERT(again != NULL);
	struct writer w = writer_of(again, in.size);
	parcel_encode_head(&w, p);
	write_bytes(&w, p->payload);
	ASSERT(!w.bad && span_equal(writer_span(&w), in));
	free(again);
}

static void try_parcel(struct span in)
{
	struct parcel p, head;
	size_t size = 0;
	const enum err of_head = parcel_decode_head(in, &head, &size), e = parcel_decode(in, &p);

	if (of_head != ERR_NONE) {
		ASSERT(e == of_head);
		return;
	}
	ASSERT(size >= PARCEL_FIXED && size <= in.size);
	check_inside(in, head.topic);
	check_inside(in, head.content_type);
	check_inside(in, head.reply_to);
	check_inside(in, head.correlation);
	check_inside(in, head.user);
	if (e != ERR_NONE) {
		ASSERT(e == ERR_TRUNCATED || e == ERR_TRAILING_BYTES);
		return;
	}
	check_inside(in, p.payload);
	ASSERT(size + p.payload_size == in.size && p.payload.size == p.payload_size);
	check_same(in, &p);
}

static void try_store(struct span in)
{
	struct reader r = reader_of(in);
	struct store_target t;
	uint32_t count;

	if (store_decode_count(&r, &count) != ERR_NONE)
		return;
	for (uint32_t i = 0; i < count; i++) {
		uint8_t again[STORE_TARGET_MAX];
		struct writer w = writer_of(again, sizeof(again));
		const uint8_t *before = r.at;
		/* Each takes 11 bytes at least: a count that lies ends with the input. */
		if (store_decode_target(&r, &t) != ERR_NONE)
			return;
		ASSERT(t.session != 0 && t.identifier_count <= STORE_IDENTIFIERS_MAX);
		store_encode_target(&w, &t);
		ASSERT(!w.bad);
		ASSERT(span_equal(writer_span(&w), span_of(before, (size_t)(r.at - before))));
	}
	try_parcel((struct span){r.at, reader_left(&r)});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = {data, size};

	try_parcel(in);
	try_store(in);
	return 0;
}
