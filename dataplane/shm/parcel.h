/* parcel.h - a message as bytes, where it crosses between the planes or lies in the store.
 *
 *	u8 version  u8 flags  u8 qos  u8 priority  u32 expiry_s  u64 born_ms
 *	u16 topic  u16 content_type  u16 reply_to  u16 correlation  u32 user  u32 payload
 *	...the bytes of those six, in this order
 *
 * Network order; sizes in bytes. Pure: nothing is copied, spans point into the
 * input. The head and the payload may lie apart: a worker encodes the head and
 * sends its segments behind it. Not here: what a queue keeps beside a message. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/err.h"
#include "dataplane/base/reader.h"
#include "dataplane/base/writer.h"

enum {
	PARCEL_VERSION = 1,
	PARCEL_FIXED = 32,         /* bytes before the topic */
	STORE_IDENTIFIERS_MAX = 5, /* of a queue entry; further ones are left out */
	STORE_TARGET_MAX = 11 + 4 * STORE_IDENTIFIERS_MAX, /* bytes of one target */
};

struct parcel {
	struct span topic, content_type, reply_to, correlation, user, payload;
	uint64_t born_ms;  /* wall clock; 0: not known yet */
	uint32_t expiry_s; /* from born_ms; 0: never */
	uint32_t payload_size;
	uint8_t qos; /* the publisher's */
	uint8_t priority;
	bool retain, payload_is_utf8;
};

/* Everything before the payload, which follows elsewhere: payload_size counts, payload is unused.
 */
void parcel_encode_head(struct writer *w, const struct parcel *p);
/* The first PARCEL_FIXED bytes of it: the topic and what comes with it follow elsewhere, too. */
void parcel_encode_fixed(struct writer *w, const struct parcel *p);
/* ERR_TRUNCATED, ERR_TRAILING_BYTES, ERR_SLOT_BAD. Sizes only: what the bytes say is judged by
 * whoever uses them. */
MUST_USE enum err parcel_decode(struct span in, struct parcel *out);
/* The same of a beginning: the head must be here, the payload need not. *head is its size. */
MUST_USE enum err parcel_decode_head(struct span in, struct parcel *out, size_t *head);

/* One queue that a STORE goes to. */
struct store_target {
	uint64_t session;
	uint8_t qos; /* 1 or 2: what it is to be delivered at */
	bool retain; /* retain-as-published, and the publisher said so */
	uint8_t identifier_count;
	uint32_t identifiers[STORE_IDENTIFIERS_MAX];
};

/* The text of a STORE: u32 count, the targets, a parcel.
 * target: u64 session, u8 qos, u8 flags, u8 identifiers, u32 each */
void store_encode_count(struct writer *w, uint32_t count);
void store_encode_target(struct writer *w, const struct store_target *t);
/* Takes the count off the text: then so many store_decode_target, then a parcel is left. */
MUST_USE enum err store_decode_count(struct reader *r, uint32_t *count);
MUST_USE enum err store_decode_target(struct reader *r, struct store_target *out);
