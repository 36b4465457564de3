/* retained_internal.h - what retained.c (the tree) and retained_walk.c (cursors) share. */
#pragma once
#include "dataplane/base/pool.h"
#include "dataplane/fabric/cells.h"
#include "dataplane/fabric/retained.h"

enum { RETAINED_NONE = UINT32_MAX };

/* One value. Its bytes, in this order: topic, content type, reply-to, correlation, user, payload.
 */
struct value {
	uint32_t lower, upper; /* the treap */
	uint32_t next, prev;   /* the same order as a list */
	uint32_t cells;        /* the bytes; never none */
	uint32_t user_size, payload_size;
	uint32_t expiry_s; /* from born_us; 0: never */
	uint64_t born_us;
	uint16_t topic_size, type_size, reply_size, correlation_size;
	uint16_t cursors; /* that stand here */
	uint8_t qos, priority, payload_is_utf8;
};

struct retained_cursor {
	struct span filter;
	uint32_t at; /* the value to be looked at next; RETAINED_NONE: it is through */
	bool open;
	uint32_t free; /* the next free one, RETAINED_NONE: none */
};

struct retained {
	struct pool values;
	struct retained_cursor *cursors; /* RETAINED_CURSORS_MAX */
	uint32_t cursors_free, cursors_open;
	struct cells cells;
	struct counters *counters;
	uint64_t secret;
	bool (*matches)(void *owner, struct span filter, struct span topic);
	void *owner;
	uint32_t root, first;
	uint32_t expiring; /* values that can expire */
	uint32_t swept;    /* where the sweep goes on; RETAINED_NONE: at the first */
	uint8_t *topic;    /* of the value that is looked at; 64 KiB */
	uint8_t *head;     /* of a message that is made, or where to seek; MESSAGE_HEAD_LARGE */
};

static inline struct value *retained_at(const struct retained *r, uint32_t index)
{
	return (struct value *)(void *)r->values.objects + index;
}

static inline bool retained_expired(const struct value *v, uint64_t now_us)
{
	return v->expiry_s != 0 && now_us >= v->born_us + v->expiry_s * 1000000ull;
}

/* The first value at or above a topic; `after`: above it and all that lies below it. */
uint32_t retained_from(const struct retained *r, struct span topic, bool after);
struct span retained_topic(const struct retained *r, const struct value *v); /* until the next */
void retained_remove(struct retained *r, uint32_t index);
