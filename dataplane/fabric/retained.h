/* retained.h - the last value of each topic that asked for it, of one owner worker.
 *
 * Values lie compactly in memory taken at start, not in message buffers; a
 * message is made when one is to be sent. Ordered by topic, level by level, so
 * a filter reads only the part of the tree that its first levels name, and a
 * cursor survives changes: what is set or removed while a snapshot runs is
 * neither skipped nor told twice by it. Expired values are not told. One
 * thread, no clock. Not here: who asks, the store. */
#pragma once
#include "dataplane/fabric/message.h"

struct retained_conf {
	uint32_t topics_max;
	uint64_t bytes_max;        /* topics, properties and values */
	struct counters *counters; /* RETAINED, RETAINED_BYTES */
};

struct retained;
struct retained_cursor; /* one running snapshot; from a pool of RETAINED_CURSORS_MAX */

enum { RETAINED_CURSORS_MAX = 1024 };

MUST_USE struct retained *retained_create(const struct retained_conf *conf);
void retained_destroy(struct retained **r);
size_t retained_bytes(const struct retained_conf *conf);

/* An empty payload removes. ERR_RETAINED_FULL: nothing changed. */
MUST_USE enum err retained_set(struct retained *r, const struct message *m);
uint32_t retained_count(const struct retained *r);

/* NULL: all cursors are in use. */
MUST_USE struct retained_cursor *retained_open(struct retained *r, struct span filter);
enum retained_step { RETAINED_VALUE, RETAINED_NO_ROOM, RETAINED_BUDGET, RETAINED_END };
/* The next value that matches, as a new message of `store` (retain and born_us set, expiry_s what
 * is left). NO_ROOM: the store has none now, the cursor stays. BUDGET: `*budget` topics were looked
 * at (counted down) without reaching one. */
MUST_USE enum retained_step retained_next(struct retained *r, struct retained_cursor *c,
	struct messages *store, uint64_t now_us, uint32_t *budget, struct message **out);
void retained_close(struct retained *r, struct retained_cursor **c);
void retained_check(const struct retained *r);
