/* sessions_rig.h - for tests: sessions over a store in memory, with workers that write down what
 * they hear.
 *
 * Batches complete when the test says so. A crash is destroy and create on the
 * same store: what was complete stays, of the rest a prefix. What the workers
 * heard is one text, an effect after the other: see rig_said. */
#pragma once
#include "controlplane/sessions/sessions.h"
#include "dataplane/base/rng.h"

struct rig_row {
	uint8_t *key, *value;
	size_t key_size, value_size;
};

struct rig_rows {
	struct rig_row *at;
	size_t count, room;
};

struct rig_batch {
	struct storage_op *ops; /* owned, with their bytes */
	size_t count;
	uint64_t token;
};

struct rig_store {
	struct storage base;
	struct rig_rows view, disk; /* all that was submitted; all that is complete */
	struct rig_batch *log;      /* under way */
	size_t log_count, log_room;
	uint64_t allowed; /* so many may complete */
	uint64_t batches;
	enum err fail;       /* the next submit fails with this */
	enum err fail_later; /* and the next completion with that */
	enum err fail_read;  /* and every get with that */
};

enum { RIG_SAID = 1 << 16, RIG_WORKERS = 2 };

struct rig {
	struct rig_store store;
	struct sessions *s;
	struct shm_config config;
	struct counters counters;
	struct sessions_now now;
	uint64_t dp_generation, epoch, sequence[RIG_WORKERS];
	bool silent; /* workers do not answer replicas */
	char said[RIG_SAID];
	size_t said_size;
	void (*heard)(void *owner, uint32_t worker, const struct sessions_effect *e); /* or NULL */
	void *owner;
};

void rig_store_init(struct rig_store *st);
void rig_store_fini(struct rig_store *st);
/* Of what is under way the first `kept` batches survive. */
void rig_store_crash(struct rig_store *st, size_t kept);
size_t rig_store_rows(const struct rig_store *st, uint8_t kind); /* of all that was submitted */

void rig_init(struct rig *r); /* both workers are greeted and loaded */
void rig_fini(struct rig *r);
void rig_open(struct rig *r); /* creates sessions; no greeting */
void rig_greet(struct rig *r, bool loaded);
/* We die, and are started again; the dataplane too, if `both`. `kept`: see rig_store_crash. */
void rig_restart(struct rig *r, size_t kept, bool both);
/* Everything completes, and all is heard, until nothing moves. */
void rig_run(struct rig *r);
void rig_hear(struct rig *r, uint32_t worker); /* what is there now, without completions */
/* What was heard since the last time, "worker:what" with spaces between; then forgets it. */
const char *rig_said(struct rig *r);

/* A session, or 0: CONNECT of connection `index` at that worker, run and granted. */
struct rig_who {
	uint32_t worker, index;
	const char *client;
	uint32_t expiry_s;
	bool clean, again;
	uint16_t receive_max; /* 0: 100 */
	const char *will;     /* topic=payload; NULL: none */
	uint32_t will_delay_s;
};
uint64_t rig_connect(struct rig *r, const struct rig_who *who); /* its epoch; 0: not now */
struct sessions_ready rig_ready(struct rig *r);

struct rig_store_work {
	uint32_t worker;
	uint64_t targets[8]; /* ends with 0 */
	uint8_t qos;
	const char *topic, *payload;
	uint64_t session, will;
	uint16_t packet_id;
	uint8_t flags;
	uint32_t expiry_s;
	uint64_t sequence; /* 0: the next one */
};
enum sessions_answer rig_publish(struct rig *r, const struct rig_store_work *w);
enum sessions_answer rig_work(struct rig *r, uint32_t worker, enum shm_command type,
	struct shm_work work, const char *text); /* sequence 0: the next one */
