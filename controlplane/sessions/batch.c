/* batch.c - write batches. See batch.h. */
#include "controlplane/sessions/batch.h"

#include "controlplane/sessions/memory.h"
#include "dataplane/base/assert.h"

#include <stdlib.h>

enum { KEY_FIXED_MAX = 32, PREFIX_MAX = 16 };

void batch_fini(struct batch *b)
{
	free(b->ops);
	free(b->out);
	free(b->bytes);
	*b = (struct batch){0};
}

void batch_begin(struct batch *b)
{
	b->count = b->used = b->lent_bytes = 0;
	b->bad = false;
}

static bool room_for(struct batch *b, size_t bytes)
{
	b->bad |= !memory_grow((void **)&b->ops, &b->ops_room, b->count + 1, sizeof(*b->ops)) ||
		  !memory_grow((void **)&b->bytes, &b->bytes_room, b->used + bytes, 1);
	return !b->bad;
}

/* The op's key, and after it at least `room` bytes. NULL: no memory. */
static struct batch_op *add(
	struct batch *b, enum storage_op_kind kind, const struct schema_key *k, size_t room)
{
	if (!room_for(b, KEY_FIXED_MAX + k->text.size + room))
		return NULL;
	struct batch_op *op = &b->ops[b->count++];
	struct writer w = writer_of(b->bytes + b->used, b->bytes_room - b->used);
	schema_key_encode(&w, k);
	ASSERT(!w.bad);
	*op = (struct batch_op){.kind = kind, .key_at = b->used, .key_size = writer_used(&w)};
	b->used += op->key_size;
	return op;
}

struct writer batch_put(struct batch *b, const struct schema_key *k, size_t room, struct span *key)
{
	struct batch_op *op = add(b, STORAGE_PUT, k, room);

	if (op == NULL) {
		*key = (struct span){NULL, 0};
		return writer_of(NULL, 0);
	}
	*key = span_of(b->bytes + op->key_at, op->key_size);
	op->value_at = b->used;
	return writer_of(b->bytes + b->used, room);
}

void batch_end(struct batch *b, const struct writer *w)
{
	if (b->bad)
		return;
	ASSERT(!w->bad);
	b->ops[b->count - 1].value_size = writer_used(w);
	b->used += writer_used(w);
}

void batch_put_body(struct batch *b, const struct schema_key *k, struct body *body)
{
	struct batch_op *op = add(b, STORAGE_PUT, k, 0);

	if (op == NULL)
		return;
	schema_seal(body->bytes, span_of(b->bytes + op->key_at, op->key_size), body_content(body));
	op->lent = span_of(body->bytes, body->size);
	b->lent_bytes += body->size;
}

void batch_put_nothing(struct batch *b, const struct schema_key *k)
{
	struct span key;
	struct writer w = batch_put(b, k, SCHEMA_HEAD, &key);

	schema_encode_nothing(&w, key);
	batch_end(b, &w);
}

void batch_delete(struct batch *b, const struct schema_key *k)
{
	(void)add(b, STORAGE_DELETE, k, 0);
}

void batch_delete_all(struct batch *b, const struct schema_key *k)
{
	if (!room_for(b, 2 * PREFIX_MAX))
		return;
	struct batch_op *op = &b->ops[b->count++];
	struct writer w = writer_of(b->bytes + b->used, PREFIX_MAX);
	struct schema_key end = *k;
	schema_key_encode_prefix(&w, k);
	*op = (struct batch_op){
		.kind = STORAGE_DELETE_RANGE, .key_at = b->used, .key_size = writer_used(&w)};
	b->used += writer_used(&w);
	/* Exclusive: the first part, plus one; ids and workers never are the largest number. */
	end.id++;
	end.small++;
	w = writer_of(b->bytes + b->used, PREFIX_MAX);
	schema_key_encode_prefix(&w, &end);
	op->value_at = b->used;
	op->value_size = writer_used(&w);
	b->used += op->value_size;
}

size_t batch_bytes(const struct batch *b)
{
	return b->used + b->lent_bytes;
}

enum err batch_submit(
	struct batch *b, struct storage *store, enum storage_sync sync, uint64_t token)
{
	if (b->bad || !memory_grow((void **)&b->out, &b->out_room, b->count, sizeof(*b->out)))
		return ERR_STORAGE_FULL;
	for (size_t i = 0; i < b->count; i++) {
		const struct batch_op *op = &b->ops[i];
		b->out[i] = (struct storage_op){.kind = op->kind,
			.key = span_of(b->bytes + op->key_at, op->key_size),
			.value = op->lent.size > 0
					 ? op->lent
					 : span_of(b->bytes + op->value_at, op->value_size)};
	}
	const struct storage_batch out = {
		.ops = b->out, .count = b->count, .sync = sync, .token = token};
	return store->ops->submit(store, &out);
}
