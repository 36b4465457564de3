/* retained.h - the last value of each topic that asked for it, of one owner worker.
 *
 * Values lie compactly in memory taken at start, not in message buffers; a
 * message is made when one is to be sent. Ordered by topic, level by level, so
 * a filter reads only the parts of the tree that its levels name, and a
 * cursor survives changes: what is set or removed while a snapshot runs is
 * neither skipped nor told twice by it. Expired values are not told. One
 * thread, no clock. Not here: who asks, the store. */
#pragma once
#include "dataplane/fabric/message.h"

struct retained_conf {
	uint32_t topics_max;
	uint64_t bytes_max;        /* topics, properties and values, in cells of 64 bytes */
	uint64_t secret;           /* peers choose the topics, but not the shape of the tree */
	struct counters *counters; /* RETAINED, RETAINED_BYTES */
	/* Filters that are not levels ("$filter/..."): does it match? Such a one is compared with
	 * every topic. NULL: they match nothing. */
	bool (*matches)(void *owner, struct span filter, struct span topic);
	void *owner;
};

struct retained;
struct retained_cursor; /* one running snapshot; from a pool of RETAINED_CURSORS_MAX */

enum { RETAINED_CURSORS_MAX = 1024 };

MUST_USE struct retained *retained_create(const struct retained_conf *conf); /* NULL: no memory */
void retained_destroy(struct retained **r);
size_t retained_bytes(const struct retained_conf *conf); /* 0: more than 32-bit indices serve */

/* An empty payload removes. ERR_RETAINED_FULL: nothing changed; counted. */
enum err retained_set(struct retained *r, const struct message *m);
bool retained_room(const struct retained *r, const struct message *m); /* would set say NONE? */
size_t retained_used(const struct retained *r);
uint32_t retained_count(const struct retained *r);
/* Looks at so many values, going round, and removes those that have expired. */
void retained_sweep(struct retained *r, uint64_t now_us, uint32_t budget);

/* NULL: all cursors are in use. The filter, a well-formed one, stays the caller's and where it is
 * until the cursor is closed. */
MUST_USE struct retained_cursor *retained_open(struct retained *r, struct span filter);
enum retained_step { RETAINED_VALUE, RETAINED_NO_ROOM, RETAINED_BUDGET, RETAINED_END };
/* The next value that matches, as a new message of `store` (retain and born_us set, expiry_s what
 * is left). NO_ROOM: the store has none now, the cursor stays. BUDGET: `*budget` topics were looked
 * at (counted down) without reaching one. */
MUST_USE enum retained_step retained_next(struct retained *r, struct retained_cursor *c,
	struct messages *store, uint64_t now_us, uint32_t *budget, struct message **out);
/* Goes back, or on, to that topic: the next value is the first from it on, itself included. */
void retained_seek(struct retained *r, struct retained_cursor *c, struct span topic);
void retained_close(struct retained *r, struct retained_cursor **c);
void retained_check(const struct retained *r);
