/* values.h - encoders and decoders of the values of schema.h, which includes this.
 *
 * Each takes the key that the value lies under: the checksum covers it, so a
 * value that got under another key is found out. Decoders answer
 * ERR_STORAGE_VERSION or ERR_STORAGE_CORRUPT. */
#pragma once
#include "storage/schema/schema.h"

struct schema_options {
	uint32_t identifier;
	uint8_t qos, flags;
};

/* A body's size in one byte, rounded up by an eighth at most. */
uint8_t schema_size_class(uint64_t bytes);
uint64_t schema_class_bytes(uint8_t size_class);

/* The head of a value whose content lies behind `head` already, or follows: a parcel. */
void schema_seal(uint8_t head[SCHEMA_HEAD], struct span key, struct span content);
MUST_USE enum err schema_open(struct span value, struct span key, struct span *content);

void schema_encode_meta(struct writer *w, struct span key, const struct schema_meta *m);
void schema_encode_mark(struct writer *w, struct span key, const struct schema_mark *m);
void schema_encode_session(struct writer *w, struct span key, const struct schema_session *s);
void schema_encode_options(struct writer *w, struct span key, const struct schema_options *o);
void schema_encode_number(struct writer *w, struct span key, uint64_t number); /* I, X */
void schema_encode_nothing(struct writer *w, struct span key);                 /* C, G, P, R, D */
void schema_encode_reference(struct writer *w, struct span key, const struct schema_reference *r);

MUST_USE enum err schema_decode_meta(struct span v, struct span key, struct schema_meta *out);
MUST_USE enum err schema_decode_mark(struct span v, struct span key, struct schema_mark *out);
MUST_USE enum err schema_decode_session(struct span v, struct span key, struct schema_session *out);
MUST_USE enum err schema_decode_options(struct span v, struct span key, struct schema_options *out);
MUST_USE enum err schema_decode_number(struct span v, struct span key, uint64_t *out);
MUST_USE enum err schema_decode_reference(
	struct span v, struct span key, struct schema_reference *out);
