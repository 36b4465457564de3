/* message.h - one message of the fabric: topic, properties, payload.
 *
 * Built once by the worker it arrives at, then immutable; reference counted by
 * that worker alone; the payload is copied once, into segments of the message
 * pool, and never per subscriber. Topic and properties lie contiguous in its
 * head. Another worker makes a head of its own and shares the segments.
 *
 * Ownership: message_begin gives one reference to the caller; message_ref adds
 * one; message_put takes one away and clears the pointer. Not here: matching,
 * wire formats. */
#pragma once
#include "dataplane/base/attr.h"
#include "dataplane/base/counters.h"
#include "dataplane/base/span.h"

#include <rte_mbuf.h>

enum {
	MESSAGE_HEAD_SMALL = 512,       /* bytes of topic and properties that most messages have */
	MESSAGE_HEAD_LARGE = 136 << 10, /* the largest: a topic of 64 KiB and as much again */
	/* The largest payload: a chain counts its segments of 2 KiB in 16 bits. */
	MESSAGE_PAYLOAD_MAX = UINT16_MAX * 2048,
};

/* What a publisher says beside topic and payload. All spans: empty when absent. */
struct message_props {
	struct span content_type;
	struct span reply_to; /* MQTT response topic, AMQP reply-to */
	struct span correlation;
	struct span user;  /* pairs, each {u16 size, key, u16 size, value} */
	uint32_t expiry_s; /* 0: none */
	uint8_t payload_is_utf8;
	uint8_t priority;
};

/* Who published it, as any worker of the box can tell: no_local holds across workers. */
struct message_origin {
	uint64_t session;           /* a durable one; 0: none, or unknown */
	uint32_t index, generation; /* its connection there */
	uint32_t worker;
};

struct message {
	struct span topic;          /* in the head */
	struct message_props props; /* in the head */
	uint32_t publisher; /* subscriber of this fabric that published it; POOL_NONE: none */
	struct message_origin origin;
	uint32_t refs;
	uint32_t payload_size, payload_have; /* while it is being built, they differ */
	struct rte_mbuf *payload;            /* segments in order; NULL when empty */
	struct rte_mbuf *last;               /* where the next chunk goes */
	uint8_t qos;                         /* the publisher's */
	bool retain;                         /* publisher's flag, for retain-as-published */
	bool large_head;
	struct messages *store;
	uint64_t born_us;
	uint64_t carrier[4]; /* the worker's, for the transport that lends the payload */
};
struct messages_conf {
	uint32_t count;       /* messages alive at once */
	uint32_t large_count; /* of them with a head above MESSAGE_HEAD_SMALL */
	/* Heads that only message_share takes, or two workers whose heads are all lent to each
	 * other would wait forever. 0 for one that is alone. */
	uint32_t share_reserve, large_share_reserve;
	struct rte_mempool *segments; /* payload bytes; owned by the caller */
	uint32_t segments_reserve;    /* keep this many free: message_begin refuses below */
	struct counters *counters;
};

struct messages; /* the store of one worker */
MUST_USE struct messages *messages_create(const struct messages_conf *conf);
void messages_destroy(struct messages **m); /* asserts that none is alive */
uint32_t messages_alive(const struct messages *m);
size_t messages_bytes(const struct messages_conf *conf);
size_t messages_used(const struct messages *m); /* heads; segments are the caller's to count */

/* Could there be room for it in an empty store? If not, waiting is in vain. */
bool message_fits(const struct messages *store, struct span topic,
	const struct message_props *props, uint32_t payload_size);
/* Copies topic and properties. NULL when a pool is empty, fewer segments are free than the payload
 * and the reserve want, or it can never fit: a normal answer, counted as ERR_NO_MESSAGES. Room for
 * the payload is not held for it: a peer may announce much and send little. */
MUST_USE struct message *message_begin(struct messages *store, struct span topic,
	const struct message_props *props, uint32_t payload_size);
/* Appends a chunk, which must not exceed what is missing; false when segments ran out: nothing was
 * taken, try again later; counted as ERR_NO_BUFFERS. */
MUST_USE bool message_append(struct message *m, struct span chunk);
static inline bool message_whole(const struct message *m)
{
	return m->payload_have == m->payload_size;
}
struct message *message_ref(struct message *m);
/* To another worker, which gets a pointer to a whole message that its owner keeps alive: the owner
 * takes a reference to the segments for it (lend); it puts them, once, into a message of its own
 * store (share). NULL: no room, counted; it still has them, and asks again or frees `payload`. */
void message_lend(struct message *m);
/* Could it be shared without the reserve? What is lent on to others must not use that. */
bool message_may_lend_on(const struct messages *store, const struct message *lent);
MUST_USE struct message *message_share(struct messages *store, const struct message *lent);
void message_put(struct message **m);
